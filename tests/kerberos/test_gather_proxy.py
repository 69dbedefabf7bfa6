"""The proxy asked and its logs read: the helper's words, the offer, a request, cache.log by time zones, who knocked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfsquid.firewall import probes
from pfsquid.firewall.inspected import FileState, Process
from pfsquid.firewall.pfsense import Pfsense
from pfsquid.firewall.probes import Accepted, Answer, Position, Question
from pfsquid.kerberos import gather_proxy
from pfsquid.kerberos.facts_proxy import Children, Journal, Requested
from pfsquid.kerberos.negotiate import NoProxy, Reply
from tests.kerberos.made import CONF, HELPER, KEYTAB, LAN, SPN, WHO, asked, conf, file, firewall, offer, squid

NOBODY = cast(Pfsense, None)
LOG, CACHE = "/var/squid/logs/access.log", "/var/squid/logs/cache.log"
NOON = int(datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp())
HOUR = 3600


@dataclass
class Firewall:
    """What the firewall answers. head: of the proxy; said: of the helper; grown: what logs got; reply: to a request."""

    head: bytes = b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Negotiate\r\n\r\n"
    error: str = ""
    said: Accepted = field(default_factory=lambda: Accepted(True, ("BH x",), "errors", "squid", ""))
    grown: dict[str, bytes] = field(default_factory=dict)
    reply: Reply | Exception = field(default_factory=lambda: Reply(200, (), "", ("10.1.0.50", 4711), 0.1))
    words: tuple[str, ...] = ()
    questions: list[Question] = field(default_factory=list)
    waited_for: list[tuple[bytes | None, float]] = field(default_factory=list)
    begun: list[dict[str, Position]] = field(default_factory=list)

    def relay(self, _pfsense: Pfsense, questions: Sequence[Question]) -> dict[str, Answer]:
        self.questions += questions
        return {one.id: Answer(self.head, self.error, one.host, 0.1) for one in questions}

    def accept(self, _pfsense: Pfsense, words: Sequence[str], _tokens: Sequence[bytes]) -> Accepted:
        self.words = tuple(words)
        return self.said

    def positions(self, _pfsense: Pfsense, paths: Sequence[str]) -> dict[str, Position]:
        return {path: Position(7, 100) for path in paths}

    def since(
        self, _pfsense: Pfsense, begun: Mapping[str, Position], wait_for: bytes | None, seconds: float
    ) -> dict[str, bytes]:
        self.waited_for.append((wait_for, seconds))
        self.begun.append(dict(begun))
        return {path: self.grown.get(path, b"") for path in begun}

    def ask(self, _address: str, _port: int, _url: str, _token: bytes) -> Reply:
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Firewall:
    one = Firewall()
    monkeypatch.setattr(probes, "accept", one.accept)
    for name in ("relay", "positions", "since", "ask"):
        monkeypatch.setattr(gather_proxy, name, getattr(one, name))
    return one


# ---- the helper


def test_the_helper_is_started_by_the_very_words_of_squid_conf(wall: Firewall) -> None:
    told = gather_proxy.speak(NOBODY, conf(CONF), b"token")
    assert wall.words == (HELPER, "-k", KEYTAB, "-s", SPN)
    assert (told.answer, told.errors, told.problem) == ("BH x", "errors", "")


def test_a_helper_that_answers_nothing_has_a_problem(wall: Firewall) -> None:
    wall.said = Accepted(True, (), "", "squid", "no answer within 5 s")
    assert gather_proxy.speak(NOBODY, conf(CONF), b"token").problem == "no answer within 5 s"


def test_without_a_helper_none_is_started(wall: Firewall) -> None:
    assert (gather_proxy.speak(NOBODY, conf(""), b"x").problem, wall.words) == ("squid.conf names no helper", ())


# ---- the offer


def schemes(wall: Firewall, *lines: str) -> tuple[str, ...]:
    wall.head = "\r\n".join(["HTTP/1.1 407 No", *lines, "", "Proxy-Authenticate: Body"]).encode()
    return gather_proxy.offer(NOBODY, asked(), conf(CONF)).schemes


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([], ()),
        (["Proxy-Authenticate: Negotiate"], ("Negotiate",)),
        (["proxy-authenticate:Negotiate", "Proxy-Authenticate: Basic realm=x"], ("Negotiate", "Basic")),
        (['Proxy-Authenticate: Negotiate, Basic realm="x"'], ("Negotiate",)),
        (["X-Proxy-Authenticate: NTLM"], ()),
    ],
)
def test_schemes_are_those_of_the_headers(wall: Firewall, lines: list[str], found: tuple[str, ...]) -> None:
    assert schemes(wall, *lines) == found


def test_the_proxy_is_asked_at_the_address_of_the_lan_without_a_token(wall: Firewall) -> None:
    gather_proxy.offer(NOBODY, asked(), conf(f"http_port 127.0.0.1:3127\nhttp_port {LAN}:8080\n"))
    (question,) = wall.questions
    assert (question.host, question.port, b"authorization" in question.data.lower()) == (LAN, 8080, False)


@pytest.mark.parametrize(
    ("text", "other", "place"),
    [
        (f"http_port {LAN}:8080\n", {"address": "10.9.9.9"}, ("10.9.9.9", 8080)),
        ("http_port 8080\n", {}, (LAN, 8080)),
        ("http_port 0.0.0.0:8080\n", {}, (LAN, 8080)),
        ("http_port 127.0.0.1:8080\n", {}, ("fw.example", 8080)),
        ("http_port 8080 intercept\n", {}, ("fw.example", 3128)),
        ("", {}, ("fw.example", 3128)),
    ],
)
def test_where_the_proxy_is_asked(wall: Firewall, text: str, other: Any, place: tuple[str, int]) -> None:
    found = gather_proxy.offer(NOBODY, asked(**other), conf(text))
    assert (found.address, found.port) == place


@pytest.mark.parametrize(
    ("head", "error", "said"),
    [
        (b"", "refused", "refused"),
        (b"SSH-2.0-OpenSSH\r\n", "", "what it says is no HTTP"),
        (b"", "", "what it says is no HTTP"),
    ],
)
def test_what_is_no_http_is_no_offer(wall: Firewall, head: bytes, error: str, said: str) -> None:
    wall.head, wall.error = head, error
    found = gather_proxy.offer(NOBODY, asked(), conf(CONF))
    assert (found.status, found.error) == (0, said)


# ---- a request


def request(**other: Any) -> Requested:
    return gather_proxy.requested(NOBODY, asked(**other), firewall(), offer(), WHO, b"token")


def test_a_request_brings_what_the_logs_got_of_it(wall: Firewall) -> None:
    wall.grown = {LOG: b"a line of rick\n", CACHE: b"a crash\xff\n"}
    told = request()
    assert (told.status, told.client, told.logs, told.cache_log) == (
        200, "10.1.0.50", {LOG: "a line of rick\n"}, "a crash�\n",
    )  # fmt: skip


@pytest.mark.parametrize(("status", "page"), [(200, b"http://x.example/p"), (407, None)])
def test_a_page_is_waited_for_as_squid_writes_it_and_a_refusal_not_at_all(
    wall: Firewall, status: int, page: bytes | None
) -> None:
    wall.reply = Reply(status, (), "", ("10.1.0.50", 1), 0.1)
    request(url="http://x.example/p?q=1")
    assert wall.waited_for == [(page, 3.0)]


@pytest.mark.parametrize(
    "problem", [NoProxy("it closed"), TimeoutError("timed out"), ConnectionRefusedError("refused")]
)
def test_a_proxy_that_cannot_be_reached_is_a_problem_and_no_exception(wall: Firewall, problem: Exception) -> None:
    wall.reply = problem
    told = request()
    assert (told.status, told.problem, told.logs) == (0, str(problem), {})


# ---- cache.log


def log(*lines: str, touched: float = NOON) -> FileState:
    return file(CACHE, "\n".join(lines), mtime=int(touched))


def of_log(wall: Firewall, cache: FileState | None, **of_squid: Any) -> Journal:
    return gather_proxy.journal(NOBODY, firewall(cache_log=cache, squid=squid(**of_squid)))


def times(journal: Journal) -> list[float | None]:
    return [line.at for line in (*journal.older, *journal.recent)]


@pytest.mark.parametrize("zone", [0, 1, -5, 5.5, 12.75])
def test_times_of_the_log_are_of_the_zone_in_which_its_last_line_fits_its_file(wall: Firewall, zone: float) -> None:
    local = datetime.fromtimestamp(NOON - 2 + zone * HOUR, UTC)
    found = of_log(wall, log("first", f"{local:%Y/%m/%d %H:%M:%S} kid1| last"))
    assert times(found) == [None, NOON - 2]


def test_a_line_without_a_time_is_of_the_time_of_the_line_before_it(wall: Firewall) -> None:
    found = of_log(
        wall, log("before", "2026/11/24 11:59:58| stamped", "  and on", "2026/11/24 12:00:00.123 kid1| last")
    )
    assert times(found) == [None, NOON - 2, NOON - 2, NOON]


def test_a_line_of_the_helper_has_its_time_further_in(wall: Firewall) -> None:
    line = "negotiate_kerberos_auth.cc(182): pid=97 :2026/11/24 12:00:00| negotiate_kerberos_auth: ERROR: x"
    assert times(of_log(wall, log(line))) == [NOON]


@pytest.mark.parametrize("stamp", ["2026/13/45 99:99:99|", "0000/00/00 00:00:00|", "2026/11/24|", "\x00\x1b[31m"])
def test_a_line_with_a_time_that_is_none_counts_without(wall: Firewall, stamp: str) -> None:
    assert times(of_log(wall, log(f"{stamp} x"))) == [None]


@pytest.mark.parametrize("cache", [None, file(CACHE, None), file(CACHE, "")])
def test_a_log_that_is_not_there_has_no_lines(wall: Firewall, cache: FileState | None) -> None:
    assert times(of_log(wall, cache)) == []


@given(st.binary())
def test_no_bytes_of_a_log_raise(content: bytes) -> None:
    assert len(gather_proxy._lines(file(CACHE, content))) == len(content.decode("utf-8", "replace").splitlines())


# ---- since when


def helper(started: float, command: str = HELPER) -> Process:
    return Process(1, 1, "squid", started, f"(negotiate_kerberos_auth) {command}")


@pytest.mark.parametrize(
    ("of_squid", "since"),
    [
        ({"started": 500.0}, 1000.0),  # squid.conf was written at 1000
        ({"started": 2000.0}, 2000.0),
        ({"started": None, "conf": None}, None),
        ({"started": 500.0, "processes": (helper(3000.0), helper(4000.0))}, 3000.0),  # the oldest of those that run
        ({"started": 2000.0, "processes": (helper(1500.0),)}, 2000.0),
        ({"started": 500.0, "processes": (Process(1, 1, "squid", 9000.0, "(squid-1)"),)}, 1000.0),
    ],
)
def test_the_log_counts_from_the_last_of_start_configuration_and_oldest_helper(
    wall: Firewall, of_squid: dict[str, Any], since: float | None
) -> None:
    assert of_log(wall, None, **of_squid).since == since


def test_lines_from_before_are_told_from_those_after_with_a_second_to_spare(wall: Firewall) -> None:
    stamps = [f"2026/11/24 {clock}| x" for clock in ("11:59:50", "11:59:58", "11:59:59", "12:00:00")]
    found = of_log(wall, log(*stamps), started=float(NOON))
    assert (len(found.older), len(found.recent)) == (2, 2)


def test_without_a_time_a_line_is_recent(wall: Firewall) -> None:
    assert len(of_log(wall, log("no time")).recent) == 1


# ---- who knocked

NTLM = "2026/11/24 12:00:00 kid1| received type 1 NTLM token"


def knocked(wall: Firewall, *lines: str) -> tuple[tuple[float, str], ...]:
    wall.grown = {LOG: "\n".join(lines).encode()}
    return of_log(wall, log(NTLM)).knocks


def denied(client: str, result: str = "TCP_DENIED/407", at: str = "1700000000.123") -> str:
    return f"{at}      0 {client} {result} 4000 GET http://x.example/ - HIER_NONE/- text/html"


def test_who_was_turned_away_is_known_by_the_access_log(wall: Firewall) -> None:
    found = knocked(wall, denied("10.1.0.7"), denied("fd00::7"), denied("10.1.0.8", "NONE_NONE/200"))
    assert found == ((1700000000.123, "10.1.0.7"), (1700000000.123, "fd00::7"))


@pytest.mark.parametrize(
    "line",
    ["", "x" * 5000, "\x00", denied("10.1.0.7", at="yesterday"), denied("10.1.0.7", "TCP_DENIED/403"), denied(LAN)],
)
def test_what_is_no_refusal_of_a_browser_is_nobodys_knock(wall: Firewall, line: str) -> None:
    assert knocked(wall, line) == ()


def test_only_the_end_of_a_log_is_read_for_it(wall: Firewall) -> None:
    big = {LOG: file(LOG, None, size=10**9), "/gone": None}
    gather_proxy.journal(NOBODY, firewall(cache_log=log(NTLM), logs=big))
    assert wall.begun == [{LOG: Position(7, 10**9 - 262_144)}]


def test_without_ntlm_no_access_log_is_read(wall: Firewall) -> None:
    of_log(wall, log("2026/11/24 12:00:00 kid1| quiet"))
    assert wall.begun == []


# ---- helper processes

PAGE = """Helper: negotiateauthenticator
number active: 2 of 20 (0 shutting down)
requests sent: 10
replies received: 10
queue length: 1
avg service time: 7 msec

   ID #  FD  PID  # Requests  # Replies  Flags  Time  Offset Request
    1    9   100  5           5          B      0.001 0      x
    2    11  101  5           5                 0.001 0      (none)
"""


def test_helpers_are_counted_by_squids_own_page() -> None:
    assert gather_proxy.counted(firewall(squid=squid(manager=PAGE))) == Children(20, 2, 1, 1, 7)


@pytest.mark.parametrize(
    ("of_squid", "problem"),
    [
        ({"manager_problem": "403"}, "403"),
        ({}, "its page of helpers could not be had"),
        ({"manager": "<html>"}, "its page of helpers could not be had"),
    ],
)
def test_without_that_page_the_limit_of_squid_conf_is_known(of_squid: dict[str, str], problem: str) -> None:
    assert gather_proxy.counted(firewall(squid=squid(**of_squid))) == Children(20, problem=problem)
