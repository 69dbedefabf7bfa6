"""Record what Squid writes for odd values by many logformats: `python -m tests.lab.record_formats OUTDIR`.

One request after the other goes through the lab's Squid, with names, headers and URLs that need quoting; every log
has a line for each. Writes `formats.json` (name → logformat), `requests.json` (what was sent, in order) and NAME.txt
(what Squid wrote) into OUTDIR. Puts the lab's own configuration back.
"""

from __future__ import annotations

import base64
import json
import sys
import time
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.fixture import Lab
from tests.lab.fw_files import LOGS, SQUID_CONF
from tests.lab.layout import state_folder

FORMATS = {
    "quoted": (
        '%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %>st %rm %ru %[un %Sh/%<a %mt "%{Referer}>h" "%{User-Agent}>h" "%{X-Odd}>h"'
    ),
    "url-encoded": "%ts.%03tu %#un %#{User-Agent}>h %#{Referer}>h %#{X-Odd}>h %Ss %st %<st %rm %ru",
    "bracketed": "%ts.%03tu [%un] [%{User-Agent}>h] [%{Referer}>h] [%{X-Odd}>h] %Ss:%Sh %>Hs %rm %ru",
    "shell": "%ts.%03tu %/un %/{User-Agent}>h %/{Referer}>h %/{X-Odd}>h %>Hs %rm %ru",
    "raw": "%ts.%03tu\t%'un\t%'{User-Agent}>h\t%'{Referer}>h\t%'{X-Odd}>h\t%>Hs\t%rm\t%ru",
    "default": "%ts.%03tu %>Hs %rm %>ru %{User-Agent}>h %{Referer}>h %{X-Odd}>h %un",
    "widths": "%ts.%06.6tu |%-9tr|%9>p|%16>a|%-16>a| %-40{X-Odd}>h| %#.8{User-Agent}>h %#.12un %010<st %03>Hs %rm %ru",
    "times": (
        "%{%F:%T%z}tl %{%s}tl %{%Y-%m-%dT%H:%M:%SZ}tg %tg %tS %ts.%03tu %dt %<tt %>Hs %rm"
        " %>rs %>rd %>rP %>rp %#ul %#ue %#ui %st %<st %>sh %<sh"
    ),
    "json": (
        '{"time":"%tl","user":"%un","method":"%rm","url":"%ru","agent":"%{User-Agent}>h","referer":"%{Referer}>h",'
        '"odd":"%{X-Odd}>h","status":%>Hs,"size":%<st,"percent":"100%%"}'
    ),
    "splunk": (
        "%ts.%03tu logformat=splunk_recommended_squid duration=%tr src_ip=%>a src_port=%>p dest_ip=%<a dest_port=%<p"
        ' user_ident="%[ui" user="%[un" local_time=[%tl] http_method=%rm request_method_from_client=%<rm'
        ' request_method_to_server=%>rm url="%ru" http_referrer="%{Referer}>h" http_user_agent="%{User-Agent}>h"'
        ' status=%>Hs vendor_action=%Ss dest_status=%Sh total_time_milliseconds=%<tt http_content_type="%mt" bytes=%st'
        ' bytes_in=%>st bytes_out=%<st sni="-"'
    ),
}
BUILT_IN = ("squid", "common", "combined", "referrer", "useragent")
USERS = (
    "rick.sanchez@LAB.PFSQUID.TEST", "LAB\\rick", "tammy guetermann@LAB", "50%off", "%41%20", "odd[1]{2}", "o'brien",
    'q"uote', "WS1$@LAB", "renée", "ren\udce9e", "a|b,c", "ends\\", "tab\there",
)  # fmt: skip
TEXTS = (
    "curl/8.0", 'A "B" C', "back\\slash", "ends\\", "[br] (x; y) {z}", "50% %41 %20 %7E", "é ü", "caf\udce9", "a\tb",
    "<x>|^~`'#", '" "', '"', "-", "x" * 60, "über" * 12,
)  # fmt: skip
PATHS = ("/", "/a%20b?c=%22d%22", "/q\"u'[x]{y}|z\\w^`~", "/café", "/caf\udce9", "/?u=http://b.example:99/", "/x" * 30)
HELPER = "/usr/local/libexec/squid/says_yes"


def requests() -> list[dict[str, str]]:
    """What is sent: each odd value at least once, in different company."""
    count = max(len(USERS), len(TEXTS), len(PATHS)) * 3
    return [
        {
            "user": USERS[number % len(USERS)],
            "agent": TEXTS[(number * 2) % len(TEXTS)],
            "referer": "http://r.example/" + (TEXTS[(number * 4 + 1) % len(TEXTS)] if number % 3 else "a?b=1"),
            "odd": TEXTS[(number * 7 + 3) % len(TEXTS)],
            "url": "http://www.dropbox.com" + PATHS[number % len(PATHS)],
        }
        for number in range(count)
    ]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def message(request: dict[str, str]) -> bytes:
    """The request as the proxy gets it."""
    who = base64.b64encode(_bytes(request["user"]) + b":secret")
    return (
        b"GET " + _bytes(request["url"]) + b" HTTP/1.1\r\nHost: www.dropbox.com\r\nConnection: close\r\n"
        b"Proxy-Authorization: Basic " + who + b"\r\nUser-Agent: " + _bytes(request["agent"]) + b"\r\nReferer: "
        + _bytes(request["referer"]) + b"\r\nX-Odd: " + _bytes(request["odd"]) + b"\r\n\r\n"
    )  # fmt: skip


SEND = """
import socket, sys
data = sys.stdin.buffer.read()
with socket.create_connection(("127.0.0.1", 3128), 10) as proxy:
    proxy.sendall(data)
    while proxy.recv(65536):
        pass
"""


def record(lab: Lab, out: Path) -> None:
    """Send all requests, and bring the logs."""
    before = lab.read("fw", SQUID_CONF)
    lab.write("fw", HELPER, b"#!/bin/sh\nwhile read -r line; do echo OK; done\n", mode=0o755)
    kept = [
        line
        for line in before.decode().splitlines()
        if not line.startswith(("access_log", "logformat", "auth_param", "external_acl", "http_access", "acl auth"))
    ]
    logs = [
        f"logformat {name} {text}\naccess_log stdio:{LOGS}/{name}.txt logformat={name}"
        for name, text in FORMATS.items()
    ]
    built_in = [f"access_log stdio:{LOGS}/{name}.txt logformat={name}" for name in BUILT_IN]
    auth = [
        f"auth_param basic program {HELPER}",
        "auth_param basic children 1",
        "auth_param basic casesensitive on",
        "acl everybody proxy_auth REQUIRED",
        "http_access allow everybody",
        "http_access deny all",
    ]

    lab.write("fw", SQUID_CONF, "\n".join([*kept, *auth, *logs, *built_in, ""]).encode(), owner="squid:proxy")
    try:
        lab.fresh_logs()
        sent = requests()
        for request in sent:
            done = lab.exec("fw", ["python3", "-c", SEND], input=message(request))
            if done.returncode:
                raise LabError(done.stderr.decode("utf-8", "replace"))
        time.sleep(1)
        out.mkdir(parents=True, exist_ok=True)
        for name in (*FORMATS, *BUILT_IN):
            (out / f"{name}.txt").write_bytes(lab.read("fw", f"{LOGS}/{name}.txt"))
        (out / "requests.json").write_text(json.dumps(sent, indent=1) + "\n")
        (out / "formats.json").write_text(json.dumps(FORMATS, indent=1) + "\n")
    finally:
        lab.write("fw", SQUID_CONF, before, owner="squid:proxy")
        lab.fresh_logs()


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: python -m tests.lab.record_formats OUTDIR", file=sys.stderr)
        return 2
    try:
        record(Lab(state_folder()), Path(sys.argv[1]))
    except LabError as error:
        print(f"record_formats: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
