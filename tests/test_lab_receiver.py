"""The lab's real Squid sends its access log to a receiver: the lines of its file. logger and openssl send, too."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from collectors.squid.framing import MARK
from collectors.squid.receiver import Receiver
from tests.collectors.senders import make_pair, spooled, until
from tests.lab.fixture import Lab
from tests.lab.fw_files import OWN_LOG, SQUID_CONF
from tests.lab.inside import in_network
from tests.lab.layout import FW, PROXY_PORT, WS

pytestmark = pytest.mark.lab

PORT = 5514
SENDS = f"access_log tcp://{WS.address4}:{PORT} logformat=pfsquid on-error=drop"
WORKERS = "pgrep -x squid"
LOG_LINES = [
    b"1402454773.542    307 192.0.2.1 TCP_MISS/200 9 GET http://a.example/ rick@LAB.EXAMPLE HIER_DIRECT/192.0.2.9 -",
    b"1402454774.001     12 192.0.2.1 TCP_DENIED/403 99 CONNECT b.example:443 - HIER_NONE/- text/html",
]


@pytest.fixture(scope="module")
def sending(lab: Lab) -> Iterator[Lab]:
    """Squid with the line of the documentation in its configuration."""
    kept = lab.read(FW.name, SQUID_CONF)
    own = f"access_log stdio:{OWN_LOG} logformat=pfsquid\n"
    changed = kept.decode().replace(own, f"{own}{SENDS}\n")
    assert SENDS in changed
    lab.write(FW.name, SQUID_CONF, changed.encode(), owner="squid:proxy")
    lab.restart_squid()
    yield lab
    lab.write(FW.name, SQUID_CONF, kept, owner="squid:proxy")
    lab.restart_squid()


@contextmanager
def on_workstation(lab: Lab, listen: str, spool: Path, **settings: Any) -> Iterator[Receiver]:
    """A receiver on ws."""
    receiver = Receiver(listen, spool, **settings)
    in_network(lab.state, WS.name, receiver.start)
    try:
        yield receiver
    finally:
        receiver.stop()


def browse(lab: Lab, first: int, many: int) -> None:
    """Requests without a ticket, each a line (407) with its number in it."""
    urls = f"http://{FW.address4}.example/{{{first}..{first + many - 1}}}"
    lab.sh(WS.name, f"curl -s -o /dev/null -x http://{FW.address4}:{PROXY_PORT} {urls}")


def numbers(log: bytes) -> list[int]:
    return [int(number) for number in re.findall(rb"\.example/(\d+)", log)]


def reached(receiver: Receiver, lab: Lab) -> bool:
    """Is Squid's connection there? It tries again once a second or so, and only when it has something to say."""
    browse(lab, 999_999, 1)
    time.sleep(0.2)
    return receiver.stats().connections > 0


def test_the_lines_that_squid_sends_are_those_of_its_file(sending: Lab, tmp_path: Path) -> None:
    with on_workstation(sending, f"tcp://{WS.address4}:{PORT}", tmp_path) as receiver:
        sending.fresh_logs()
        sending.traffic(seed=3, rounds=3)
        until(lambda: len(spooled(tmp_path)) >= len(sending.own_log()))
        assert spooled(tmp_path) == sending.own_log()
        assert receiver.stats().lines > 400
        assert (receiver.stats().bad, receiver.stats().problem) == (0, "")


def test_a_receiver_that_goes_and_comes_costs_lines_but_never_the_proxy(sending: Lab, tmp_path: Path) -> None:
    sending.fresh_logs()
    worker = sending.sh(FW.name, WORKERS)
    listen = f"tcp://{WS.address4}:{PORT}"
    with on_workstation(sending, listen, tmp_path) as receiver:
        until(lambda: reached(receiver, sending), 30)
        browse(sending, 0, 300)
        until(lambda: len([one for one in numbers(spooled(tmp_path)) if one < 300]) == 300)
    browse(sending, 1000, 1500)  # nobody listens: far more than Squid's buffer
    with on_workstation(sending, listen, tmp_path) as receiver:
        until(lambda: reached(receiver, sending), 60)
        browse(sending, 5000, 300)
        until(lambda: len([one for one in numbers(spooled(tmp_path)) if 5000 <= one < 6000]) == 300)
    kept, sent = spooled(tmp_path).splitlines(), sending.own_log().splitlines()
    assert MARK not in spooled(tmp_path)
    assert [line for line in sent if line in set(kept)] == kept  # in order, none twice, none that is not Squid's
    lost = set(numbers(b"\n".join(sent))) - set(numbers(b"\n".join(kept)))
    assert lost <= {*range(1000, 2500), 999_999}
    assert sending.sh(FW.name, WORKERS) == worker


@pytest.mark.parametrize("protocol", ["--rfc3164", "--rfc5424"])
@pytest.mark.parametrize(
    ("scheme", "options"), [("udp", "-d"), ("tcp", "-T"), ("tcp", "-T --octet-count")], ids=["udp", "lines", "counted"]
)
def test_what_logger_sends_arrives_with_its_header(
    lab: Lab, tmp_path: Path, protocol: str, scheme: str, options: str
) -> None:
    lab.write(FW.name, "/tmp/lines", b"".join(line + b"\n" for line in LOG_LINES))
    with on_workstation(lab, f"{scheme}://{WS.address4}:0", tmp_path) as receiver:
        to = f"-n {WS.address4} -P {receiver.port}"
        lab.sh(FW.name, f"logger {to} {options} {protocol} -t '(squid-1)' -p local4.notice -f /tmp/lines")
        until(lambda: receiver.stats().lines == 2)
        got = spooled(tmp_path).splitlines()
    assert all(line.startswith(b"<165>") for line in got)
    assert [line[-len(text) :] for line, text in zip(got, LOG_LINES, strict=True)] == LOG_LINES


def test_counted_syslog_arrives_over_tls_with_a_client_certificate(lab: Lab, tmp_path: Path) -> None:
    authority = make_pair(tmp_path, "authority")
    server, client = make_pair(tmp_path, "server", authority), make_pair(tmp_path, "client", authority)
    for pair in (authority, client):
        lab.write(FW.name, f"/tmp/{pair.certificate.name}", pair.certificate.read_bytes())
    lab.write(FW.name, "/tmp/client.key", client.key.read_bytes(), mode=0o600)
    messages = [b"<165>1 2026-11-16T09:00:00Z fw (squid-1) 7 - - " + line for line in LOG_LINES]
    lab.write(FW.name, "/tmp/messages", b"".join(b"%d %s" % (len(one), one) for one in messages))
    spool = tmp_path / "spool"
    files = {"certificate": server.certificate, "key": server.key, "client_ca": authority.certificate}
    with on_workstation(lab, f"tls://{WS.address4}:0", spool, **files) as receiver:
        tls = "openssl s_client -quiet -no_ign_eof -verify_return_error -CAfile /tmp/authority.pem"
        command = f"(cat /tmp/messages; sleep 0.5) | {tls} -connect {WS.address4}:{receiver.port}"
        lab.sh(FW.name, f"{command} -cert /tmp/client.pem -key /tmp/client.key")
        until(lambda: receiver.stats().lines == 2)
        lab.sh(FW.name, f"{command} || true")
        until(lambda: receiver.stats().refused == 1)
        assert "showed no certificate" in receiver.stats().problem
    assert spooled(spool).splitlines() == messages
