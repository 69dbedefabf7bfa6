"""What the firewall is asked to ask: other hosts by UDP and TCP, the real helper as Squid's user, logs as they grow."""

from __future__ import annotations

import base64
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import dns.message
import pytest

from pfsquid.firewall.pfsense import Pfsense
from pfsquid.firewall.probes import Accepted, Position, Question, accept, positions, relay, since
from tests.firewall.reached import no_longer, reached, serve
from tests.lab.fixture import Lab
from tests.lab.hosts import entry_command
from tests.lab.layout import DC, DOMAIN, FW, PERSON_PASSWORD, REALM, SPN, WEB, Host
from tests.lab.pfsense.squid import CONF, KEYTAB, conf, kerberos, put, until

pytestmark = pytest.mark.lab

HELPER = "/usr/local/libexec/squid/negotiate_kerberos_auth"
COMMAND = (HELPER, "-k", KEYTAB, "-s", f"{SPN}@{REALM}")
BLACK_HOLE = "10.77.0.99"
ACCESS, CACHE = "/var/squid/logs/access.log", "/var/squid/logs/cache.log"
NTLM = base64.b64encode(b"NTLMSSP\0\1\0\0\0" + bytes(20)).decode()
HTTP = b"GET / HTTP/1.0\r\nHost: www.example.com\r\n\r\n"
A_RECORD = dns.message.make_query(DC.fqdn, "A").to_wire()
# Until its input ends, a TCP server by port: 701 says nothing, 702 closes at once, 703 half an answer, 704 a length
# beyond reason, 705 echoes in pieces; UDP 706 counts what it gets, and answers to every second datagram only.
SERVER = r"""
import os, socket, struct, sys, threading, time
def serve(port, do):
    server = socket.create_server(("", port))
    while True:
        one, _ = server.accept()
        threading.Thread(target=do, args=(one,), daemon=True).start()
def half(one): one.recv(99); one.sendall(struct.pack(">I", 10) + b"half"); one.close()
def huge(one): one.recv(99); one.sendall(b"HTTP/1.1 400"); time.sleep(9)
def echo(one):
    got = one.recv(99)
    for at in range(len(got)): one.sendall(got[at:at + 1]); time.sleep(0.005)
    time.sleep(9)
def silent(one): time.sleep(99)
def closes(one): one.close()
for port, do in ((701, silent), (702, closes), (703, half), (704, huge), (705, echo)):
    threading.Thread(target=serve, args=(port, do), daemon=True).start()
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.bind(("", 706))
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
print("ready", flush=True)
count = 0
while True:
    got, who = udp.recvfrom(99)
    count += 1
    if count % 2 == 0: udp.sendto(str(count).encode(), who)
"""


@pytest.fixture(scope="module")
def posing(lab: Lab) -> Iterator[Lab]:
    lab.pose("2.8")
    serve(lab)
    # An included file that Squid's user cannot read makes the libraries refuse the whole configuration.
    lab.sh("fw", "chmod 644 /etc/krb5.conf.d/more.conf")
    yield lab
    no_longer(lab)


@pytest.fixture(scope="module")
def pfsense(posing: Lab) -> Iterator[Pfsense]:
    with reached(posing, "operator") as open_one:
        yield open_one


@contextmanager
def running_on(lab: Lab, host: Host, program: str) -> Iterator[None]:
    words = entry_command(lab.state, host, ["/usr/bin/python3", "-I", "-c", program])
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield
        process.stdin.close()


@pytest.fixture(scope="module")
def servers(posing: Lab) -> Iterator[None]:
    with running_on(posing, WEB, SERVER):
        yield


def test_all_are_asked_at_once(pfsense: Pfsense, servers: None) -> None:
    web = WEB.address4
    begun = time.monotonic()
    answers = relay(
        pfsense,
        [
            Question("closed", "tcp", web, 9, b"?"),
            Question("closed udp", "udp", web, 9, b"?"),
            Question("hole", "tcp", BLACK_HOLE, 88, b"?", 4, 1.5),
            Question("hole udp", "udp", BLACK_HOLE, 88, b"?", 0, 1.5),
            Question("no way", "tcp", "203.0.113.7", 88, b"?", 4),
            Question("silent", "tcp", web, 701, b"?", 4, 1.5),
            Question("hangs up", "tcp", web, 702, b"?", 4),
            Question("half", "tcp", web, 703, b"?", 4),
            Question("huge", "tcp", web, 704, b"?", 4),
            Question("echo", "tcp", web, 705, b"abc", 4),
            Question("again", "udp", web, 706, b"?"),
            Question("all", "tcp", web, 80, HTTP),
            Question("all of six", "tcp", WEB.address6, 80, HTTP),
            Question("by name", "tcp", "www.example.com", 80, HTTP),
            Question("nobody", "tcp", "nowhere.example", 80, HTTP),
            Question("dns", "udp", DC.address4, 53, A_RECORD),
            Question("dns tcp", "tcp", DC.address4, 53, A_RECORD, 2),
            Question("unbound", "udp", "127.0.0.1", 53, A_RECORD),
        ],
    )
    assert time.monotonic() - begun < 4
    errors = {name: one.error for name, one in answers.items() if one.error}
    assert errors.pop("huge") == f"no answer of this protocol: it tells of {int.from_bytes(b'HTTP')} bytes"
    assert errors == {
        "closed": "refused",
        "closed udp": "refused",
        "hole": "timed out",
        "hole udp": "timed out",
        "no way": "unreachable",
        "silent": "timed out",
        "hangs up": "closed",
        "half": "closed",
        "nobody": "no such host",
    }
    assert answers["echo"].data == b"abc"
    assert answers["again"].data == b"2"
    assert 1 <= answers["again"].seconds < 1.5
    for name in ("all", "all of six", "by name"):
        assert answers[name].data.startswith(b"HTTP/1.1 200 OK"), name
    for name in ("dns", "dns tcp", "unbound"):
        assert DC.address4 in str(dns.message.from_wire(answers[name].data).answer), name


def test_an_unreachable_neighbour_is_told_before_the_time_is_over(pfsense: Pfsense) -> None:
    found = relay(pfsense, [Question("hole", "tcp", BLACK_HOLE, 88, b"?", 4, 6)])["hole"]
    assert (found.error, found.seconds < 5) == ("unreachable", True)


def test_a_silent_resolver_holds_nobody_up_for_long(posing: Lab, pfsense: Pfsense) -> None:
    posing.sh("fw", f"cp /etc/resolv.conf /var/lab/resolv; echo nameserver {BLACK_HOLE} >/etc/resolv.conf")
    begun = time.monotonic()
    questions = [Question(str(number), "tcp", f"host{number}.example", 80, HTTP) for number in range(9)]
    answers = relay(pfsense, [*questions, Question("web", "tcp", WEB.address4, 80, HTTP)])
    posing.sh("fw", "cat /var/lab/resolv >/etc/resolv.conf")
    assert time.monotonic() - begun < 5
    assert {one.error for name, one in answers.items() if name != "web"} == {"the resolver is silent"}
    assert answers["web"].error == ""


def test_nothing_asked_is_nothing_answered(pfsense: Pfsense) -> None:
    assert relay(pfsense, []) == {}


def token(lab: Lab) -> bytes:
    test = "/usr/lib/squid/negotiate_kerberos_auth_test"
    login = f"echo '{PERSON_PASSWORD}' | kinit rick.sanchez >/dev/null"
    return base64.b64decode(lab.sh("ws", f"{login}; {test} proxy.{DOMAIN}").split("Token: ")[1].split()[0])


def test_the_helper_accepts_a_real_token_again_and_again(posing: Lab, pfsense: Pfsense) -> None:
    one = token(posing)
    said = accept(pfsense, (*COMMAND, "-t", "dfl"), [one, one, b"pfsquid" * 8])
    assert (said.started, said.ran_as, said.problem) == (True, "squid", "")
    assert [line.split()[0] for line in said.lines] == ["OK", "OK", "BH"]
    assert all(f"user=rick.sanchez@{REALM}" in line and "group=" in line for line in said.lines[:2])
    assert all("token=…" in line for line in said.lines[:2])
    assert posing.sh("fw", "ls /var/tmp") == ""


def test_no_token_comes_back_from_a_helper_that_tells_all(posing: Lab, pfsense: Pfsense) -> None:
    one = token(posing)
    said = accept(pfsense, ("/usr/bin/env", "KRB5_CONFIG=/etc/krb5.conf", *COMMAND, "-d"), [one])
    assert said.lines[0].startswith("OK ")
    assert "Got 'YR …' from squid" in said.errors
    shown = repr(said)
    whole = base64.b64encode(one).decode()
    assert not any(whole[at : at + 24] in shown for at in range(0, len(whole) - 24, 8))


def test_an_included_file_that_squid_cannot_read_is_told_by_the_helper(posing: Lab, pfsense: Pfsense) -> None:
    posing.sh("fw", "chmod 600 /etc/krb5.conf.d/more.conf")
    said = accept(pfsense, COMMAND, [b"pfsquid" * 8])
    posing.sh("fw", "chmod 644 /etc/krb5.conf.d/more.conf")
    assert "Included profile file could not be read" in said.lines[0]


def test_squids_user_has_the_groups_that_squid_has(posing: Lab, pfsense: Pfsense) -> None:
    posing.sh("fw", f"getent group squid >/dev/null || groupadd squid; usermod -aG squid squid; cp {KEYTAB} {KEYTAB}2")
    posing.sh("fw", f"chown root:squid {KEYTAB}2; chmod 440 {KEYTAB}2")
    command = (HELPER, "-k", f"{KEYTAB}2", "-s", f"{SPN}@{REALM}")
    said = accept(pfsense, command, [b"pfsquid" * 8])
    assert "is not accessible" in said.errors
    assert said.lines == ()
    posing.sh("fw", f"chown root:proxy {KEYTAB}2")
    assert "gss_accept_sec_context" in accept(pfsense, command, [b"pfsquid" * 8]).lines[0]
    posing.sh("fw", f"rm {KEYTAB}2")


@pytest.mark.parametrize(
    ("program", "problem", "errors"),
    [
        ("exit 3", "it ended without an answer (status 3)", ""),
        ("echo no such library >&2; exit 1", "it ended without an answer (status 1)", "no such library"),
        ("kill -9 $$", "it ended without an answer (signal 9)", ""),
        ("exec sleep 60", "no answer within 0.5 s", ""),
        ("exec >&-; exec sleep 60", "it ended without an answer", ""),
        ("yes oops >&2", "no answer within 0.5 s", "oops"),
        ("read a; echo one; exit 0", "it ended without an answer (status 0)", ""),
    ],
)
def test_a_helper_that_hangs_or_dies(posing: Lab, pfsense: Pfsense, program: str, problem: str, errors: str) -> None:
    posing.write("fw", "/usr/local/libexec/squid/bad", f"#!/bin/sh\n{program}\n".encode(), mode=0o755)
    begun = time.monotonic()
    said = accept(pfsense, ("/usr/local/libexec/squid/bad",), [b"pfsquid", b"pfsquid"], seconds=0.5)
    assert time.monotonic() - begun < 3
    assert (said.started, said.problem) == (True, problem)
    assert errors in said.errors
    assert posing.exec("fw", ["pgrep", "-u", "squid", "-f", "sleep 60|yes oops"]).returncode == 1


@pytest.mark.parametrize("command", ["/usr/local/libexec/squid/none", "/etc/hosts"])
def test_a_helper_that_is_none(pfsense: Pfsense, command: str) -> None:
    problem = f"there is no {command} that the user squid may run"
    assert accept(pfsense, (command,), [b"pfsquid"]) == Accepted(False, (), "", "squid", problem)


def ask(lab: Lab, path: str, header: str = "") -> None:
    lab.sh("ws", f"curl -s -o /dev/null {header} -x {FW.address4}:3128 http://www.example.com/{path}")


def test_what_a_log_got_since(posing: Lab, pfsense: Pfsense) -> None:
    begun = positions(pfsense, [ACCESS, "/var/squid/logs/none.log"])
    assert begun["/var/squid/logs/none.log"] == Position(0, 0)
    assert begun[ACCESS].size == len(posing.read("fw", ACCESS))
    threading.Timer(0.5, ask, (posing, "later")).start()
    news = since(pfsense, begun, b"/later", 5)
    assert news[ACCESS].count(b"\n") == 1
    assert b"TCP_DENIED/407" in news[ACCESS]
    assert news["/var/squid/logs/none.log"] == b""
    waited = time.monotonic()
    assert since(pfsense, begun, b"/never", 0.6) == news
    assert 0.6 <= time.monotonic() - waited < 2


def test_a_log_is_followed_over_a_rotation(posing: Lab, pfsense: Pfsense) -> None:
    begun = positions(pfsense, [ACCESS])
    ask(posing, "before")
    posing.sh("fw", f"/usr/local/sbin/squid -k rotate -f {CONF}")
    until(lambda: posing.exec("fw", ["test", "-e", f"{ACCESS}.0"]).returncode == 0)
    ask(posing, "after")
    news = since(pfsense, begun, b"/after", 3)[ACCESS]
    assert [line.split()[6] for line in news.splitlines()] == [
        b"http://www.example.com/before",
        b"http://www.example.com/after",
    ]


def test_a_log_that_was_cut_or_grew_by_much(posing: Lab, pfsense: Pfsense) -> None:
    path = "/var/squid/logs/other.log"
    posing.write("fw", path, b"x" * 100)
    begun = positions(pfsense, [path])
    posing.sh("fw", f"echo new >{path}")
    assert since(pfsense, begun)[path] == b"new\n"
    posing.write("fw", path, b"needle\n" + b"a line\n" * 300_000)
    found = since(pfsense, {path: Position(0, 0)}, b"needle", 2)[path]
    assert found.startswith(b"needle\n")
    assert len(found) == 1_048_576
    posing.sh("fw", f"rm {path}")


def test_with_all_at_level_1_cache_log_tells_of_ntlm_and_is_still_rotated(posing: Lab, pfsense: Pfsense) -> None:
    header = f"-H 'Proxy-Authorization: Negotiate {NTLM}'"
    begun = positions(pfsense, [CACHE])
    ask(posing, "silent", header)
    assert b"NTLM" not in since(pfsense, begun, b"NTLM", 1)[CACHE]
    put(posing, f"debug_options ALL,1 rotate=14\n{kerberos()}")
    assert "debug_options rotate=14\n" in conf(posing)
    until(lambda: _tells(posing, pfsense, header))
    posing.sh("fw", f"/usr/local/sbin/squid -k rotate -f {CONF}")
    until(lambda: posing.exec("fw", ["test", "-e", f"{CACHE}.0"]).returncode == 0)


def _tells(lab: Lab, pfsense: Pfsense, header: str) -> bool:
    begun = positions(pfsense, [CACHE])
    ask(lab, "told", header)
    news = since(pfsense, begun, b"received type 1 NTLM token", 1)[CACHE]
    assert NTLM.encode() not in news
    return b"Negotiate Authentication validating user" in news and b"received type 1 NTLM token" in news
