"""Random access logs for the property tests: records as Squid writes them, and lines that no Squid wrote.

Also the comparisons that these tests share. Knows nothing of how a line is read.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pyarrow as pa
from hypothesis import settings
from hypothesis import strategies as st

BOUNDED = settings(max_examples=60, deadline=None, derandomize=True, database=None)

USERS = [
    "-",
    "rick.sanchez@LAB.EXAMPLE",
    "WS1$@LAB.EXAMPLE",
    "LAB\\\\rick",
    "LAB%5Crick",
    "50%25off@LAB.EXAMPLE",
    "ren%c3%a9e@LAB.EXAMPLE",
    "ren%e9e",
    "tammy guetermann@LAB.EXAMPLE",
    "tammy%20guetermann",
    "o'brien",
    'q"uote',
    "%",
    "%2d",
]
HOSTS = [
    "www.example.com",
    "WWW.Example.COM.",
    "a_b.example",
    "[2001:db8::1]",
    "192.0.2.7",
    "münchen.example",
    "xn--mnchen-3ya.example",
    "user:secret@ftp.example",
    "user@www.example",
    "-odd-.example",
    "..",
    "",
    "a b",
    "a%2eb",
]
PORTS = ["", ":", ":80", ":8443", ":99999", ":123456", ":x", ":-1"]
PATHS = ["", "/", "/a/b.html", "?q=1", "/?q=http://b.example:81/", "/a b", "/café", '/"', "/[x]{y}|z\\w^`", "/%", "#f"]
SCHEMES = ["http://", "https://", "HTTP://", "ftp://", "cache_object://", "ws://", "://", "//", "", "urn:", "x-y+z://"]
OTHER_URLS = [
    "error:invalid-request",
    "error:transaction-end-before-headers",
    "*",
    "/",
    "-",
    "http:/",
    "http://",
    ":",
    "urn:isbn:1",
]


def _mostly(sound: list[str], spoilt: list[str]) -> st.SearchStrategy[str]:
    """One of the first list, and one time in about ten of the second: a line is seldom spoilt twice."""
    return st.integers(0, 9).flatmap(lambda dice: st.sampled_from(sound if dice else spoilt))


_numbers = _mostly(
    ["0", "1", "12", "307", "-1", "007", "999999999999", "-0"],
    ["0x10", "1" * 13, "9" * 18, "9" * 19, "-", "+1", "1e3"],
)
urls = st.one_of(
    st.builds(lambda *parts: "".join(parts), *map(st.sampled_from, (SCHEMES, HOSTS, PORTS, PATHS))),
    st.builds(lambda host, port: host + port, st.sampled_from(HOSTS), st.sampled_from(PORTS)),
    st.sampled_from(OTHER_URLS),
)
records = st.fixed_dictionaries(
    {
        "ts": _mostly(["1402454773.542", "1795505945.000", "9999999999.999"], ["1335542309", "13355423.1", "0.001"]),
        "elapsed": _numbers,
        "client": st.sampled_from(["192.0.2.1", "2001:db8::5", "fe80::1%em0", "-"]),
        "port": _mostly(["51234", "0", "70000"], ["-", "-1", "123456", "0x1f"]),
        "mac": st.sampled_from(["00:11:22:33:44:55", "-"]),
        "result": _mostly(
            ["TCP_MISS/200", "TCP_DENIED/407", "NONE_NONE/000", "TAG_NONE/503"], ["TCP_MISS/20", "/200", "tcp/200"]
        ),
        "up": _numbers,
        "down": _numbers,
        "method": st.sampled_from(["GET", "CONNECT", "POST", "-", "X-ODD!", "get"]),
        "url": urls,
        "user": st.sampled_from(USERS),
        "peer": _mostly(["HIER_DIRECT/192.0.2.9", "HIER_NONE/-", "DIRECT/2001:db8::9"], ["HIER_NONE", "NONE/", "x/y"]),
        "type": st.sampled_from(["text/html", "-", "application/x-foo%20bar"]),
        "agent": st.sampled_from(["-", "Mozilla/5.0 (X) é", "curl/8.0", "a\\b"]),
        "sni": st.sampled_from(["-", "www.example.com"]),
    }
)


def native(record: dict[str, str]) -> bytes:
    """A record in Squid's native format."""
    r = record
    return (
        f"{r['ts']} {r['elapsed']:>6} {r['client']} {r['result']} {r['down']} {r['method']} {r['url']} {r['user']}"
        f" {r['peer']} {r['type']}"
    ).encode()


def own(record: dict[str, str]) -> bytes:
    """A record in pfsquid's own format."""
    r = record
    return (
        f"{r['ts']} {r['elapsed']} {r['client']} {r['port']} {r['mac']} {r['user'].replace(' ', '%20')} {r['result']}"
        f" {r['up']} {r['down']} {r['method']} {r['peer']} {r['type']} - {quote(r['agent'])} {r['sni']} {r['url']}"
    ).encode()


def combined(record: dict[str, str]) -> bytes:
    """A record in Squid's combined format: the user agent as it came."""
    r = record
    action, _, status = r["result"].partition("/")
    return (
        f'{r["client"]} - {r["user"]} [11/Jun/2014:04:46:13 +0200] "{r["method"]} {r["url"]} HTTP/1.1" {status}'
        f' {r["down"]} "-" "{r["agent"]}" {action}:{r["peer"].partition("/")[0]}'
    ).encode()


def with_agent(record: dict[str, str]) -> bytes:
    """A record in the native format, and the user agent, quoted."""
    agent = record["agent"].replace("\\", "\\\\").replace('"', '\\"')
    return native(record) + f' "-" "{agent}"'.encode()


def keyed(record: dict[str, str]) -> bytes:
    """A record of keys and values, in the format KEYED."""
    r = record
    return (
        f'{r["ts"]} ms={r["elapsed"]} src="{r["client"]}" user="{r["user"]}" at=[11/Jun/2014:04:46:13 +0200]'
        f' {r["method"]} url="{r["url"]}" agent="{r["agent"]}" st={r["up"]} end'
    ).encode()


KEYED = '%ts.%03tu ms=%tr src="%>a" user="%[un" at=[%tl] %rm url="%\'ru" agent="%"{User-Agent}>h" st=%>st end'
WRITTEN = {"squid": native, "pfsquid": own, "combined": combined, "squid-agent": with_agent, KEYED: keyed}

_ODD = [
    b"\t",
    b"\x00",
    b"\r",
    b" ",
    b"  ",
    b"\xff\xfe",
    b"\xc3\xa9",
    b'"',
    b"[",
    b"\\",
    b"/",
    b":",
    b"\x7f",
    b"TCP_HIT/200 5 G",
]


@st.composite
def spoilt(draw: st.DrawFn, line: bytes) -> bytes:
    """The line cut short at either end, with odd bytes put into it, ended as Windows does, or not a line at all."""
    at = draw(st.integers(0, len(line)))
    how = draw(st.integers(0, 6))
    if how == 0:
        return line[:at]
    if how == 1:
        return line[at:]
    if how == 2:
        return line[:at] + draw(st.sampled_from(_ODD)) + line[at:]
    if how == 3:
        return line + b"\r"
    if how == 4:
        return line[at:] + line
    if how == 5:
        return line.replace(b"/a/b.html", b"/" + b"a" * draw(st.sampled_from([9_000, 60_000, 70_000])))
    return draw(st.binary(max_size=60)).replace(b"\n", b"")


@st.composite
def retyped(draw: st.DrawFn, line: bytes) -> bytes:
    """The line with one to three characters changed, put in or left out, as a wrong key or a flipped bit would."""
    for _ in range(draw(st.integers(1, 3))):
        at, new = draw(st.integers(0, len(line))), draw(st.sampled_from(_KEYS))
        line = line[:at] + new + line[at + draw(st.integers(0, 1)) :]
    return line


_KEYS = [bytes([key]) for key in b'0179-+xX/:.@%\\[] AZa_?"\t\r'] + [b"", b"  "]
PLAIN = {
    "squid": (
        b"1402454773.542    307 192.0.2.1 TCP_MISS/200 10 GET http://a.example:80/b?c rick@LAB HIER_DIRECT/192.0.2.9 -"
    ),
    "pfsquid": (
        b"1402454773.542 307 192.0.2.1 51234 - rick%5C@LAB TCP_TUNNEL/200 55 10 CONNECT HIER_DIRECT/192.0.2.9 text/html"
        b" http://r%20/ curl/8%20x - a.example:443"
    ),
    "combined": (
        b'192.0.2.1 - rick%5b@LAB [20/Nov/2026:09:15:30 +0100] "GET http://a.example:80/b?c HTTP/1.1" 200 512'
        b' "http://r.example/" "Mozilla/5.0 (X; Y)" TCP_MISS:HIER_DIRECT'
    ),
    "squid-agent": (
        b"1402454773.542    307 192.0.2.1 TCP_MISS/200 10 GET http://a.example:80/b?c rick@LAB HIER_DIRECT/192.0.2.9 -"
        b' "http://r.example/" "Mozilla/5.0 (X; \\\\Y)"'
    ),
    KEYED: (
        b'1402454773.542 ms=307 src="192.0.2.1" user="rick%5b guetermann" at=[20/Nov/2026:09:15:30 +0100] GET'
        b' url="http://a.example:80/b?c" agent="Mozilla/5.0 (X)" st=12 end'
    ),
}


def logs(name: str, max_lines: int = 8) -> st.SearchStrategy[list[bytes]]:
    """Lines (without their ends) in the format `name`, sound and spoilt ones in any order."""
    line = records.map(WRITTEN[name])
    return st.lists(st.one_of(line, line.flatmap(spoilt), retyped(PLAIN[name])), max_size=max_lines)


def rows(table: pa.Table) -> list[dict[str, Any]]:
    """The rows in the order of the log."""
    found: list[dict[str, Any]] = table.to_pylist()
    return sorted(found, key=lambda row: row["source_offset"])
