"""What Graph does to a client, and what the client does: asks again on the same link, or says what is wrong."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from collectors.entra.errors import GraphError, Kind
from collectors.entra.graph import Graph, Patience
from collectors.entra.limit import Limit, Stopped
from collectors.entra.wire import Timeout, Wire, retry_after
from tests.collectors.graph_stub import Fixed, Reply, Stub, error, graph_of, stub

Certificate = tuple[Path, Path, Path]
GOOD = Reply(200, {"value": [{"id": "a"}]})


def read(server: Stub, **options: Any) -> list[str]:
    return [record.value["id"] for one in graph_of(server, **options).pages("p", {}) for record in one.records]


def failed(server: Stub, **options: Any) -> GraphError:
    with pytest.raises(GraphError) as caught:
        read(server, **options)
    return caught.value


PASSING = {
    "429": error(429, "TooManyRequests", "Too many requests"),
    "503": error(503, "serviceNotAvailable", "The service is unavailable."),
    "504": error(504, "UnknownError", ""),
    "502 of a proxy": Reply(502, b"<html>Bad gateway</html>"),
    "500": error(500, "UnknownError", ""),
    "cut body": Reply(200, {"value": [{"id": "a"}]}, cut=5),
    "hung up": Reply(hang_up=True),
    "no JSON": Reply(200, b"<html>please sign in</html>"),
    "half JSON": Reply(200, b'{"value":[{"id":"a"'),
    "empty": Reply(200, b""),
    "no content": Reply(204, b""),
    "no list": Reply(200, {"@odata.context": "x"}),
    "error with 200": Reply(200, {"error": {"code": "UnknownError", "message": "x"}}),
    "throttled with 200": Reply(200, {"error": {"code": "TooManyRequests", "message": "x"}}),
    "no gzip": Reply(200, b"not gzip", {"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_what_passes_is_asked_for_again(graph_ca: Certificate, fault: Reply) -> None:
    with stub(graph_ca, fault, fault, GOOD) as server:
        assert read(server) == ["a"]
    assert len({got.path for got in server.got}) == 1


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("429", Kind.THROTTLED),
        ("503", Kind.TOO_SLOW),
        ("504", Kind.TOO_SLOW),
        ("cut body", Kind.BROKEN),
        ("hung up", Kind.UNREACHABLE),
        ("no JSON", Kind.BROKEN),
        ("no list", Kind.BROKEN),
        ("error with 200", Kind.TOO_SLOW),
        ("throttled with 200", Kind.THROTTLED),
    ],
)
def test_what_does_not_pass_is_given_up_with_its_kind(graph_ca: Certificate, fault: str, kind: Kind) -> None:
    with stub(graph_ca, PASSING[fault]) as server:
        caught = failed(server)
    assert caught.kind is kind
    assert "tried 4 times" in str(caught)
    assert len(server.got) == 4


def test_silence_is_tried_twice_only_and_is_too_slow(graph_ca: Certificate) -> None:
    with stub(graph_ca, Reply(silent=True)) as server:
        caught = failed(server, timeout=Timeout(5, 0.1, 10))
        assert len(server.got) == 2
    assert caught.kind is Kind.TOO_SLOW
    assert caught.status is None


def test_an_answer_that_trickles_for_ever_is_too_slow(graph_ca: Certificate) -> None:
    with stub(graph_ca, GOOD) as server:
        assert failed(server, timeout=Timeout(5, 5, -1)).kind is Kind.TOO_SLOW


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_waited_for_by_all(graph_ca: Certificate, status: int, tmp_path: Path) -> None:
    other = Limit(1000, 0.1, tmp_path / "journal")
    with stub(graph_ca, error(status, "x", "", Retry_After="1"), GOOD) as server:
        thread = threading.Thread(target=read, args=(server,), kwargs={"limit": Limit(1000, 0.1, tmp_path / "journal")})
        thread.start()
        while not server.got or other.paused() == 0:
            assert thread.is_alive()
            time.sleep(0.005)
        thread.join()
    assert server.got[1].at - server.got[0].at >= 1


def test_a_retry_after_that_is_too_long_ends_the_try_and_still_holds(graph_ca: Certificate) -> None:
    limit = Limit(1000, 0.1)
    with stub(graph_ca, error(429, "x", "", Retry_After="900")) as server:
        caught = failed(server, limit=limit)
    assert caught.kind is Kind.THROTTLED
    assert caught.wait == 900
    assert "900 s" in str(caught)
    assert limit.paused() > 800


def test_while_graph_wants_to_be_left_alone_for_long_nobody_hangs(graph_ca: Certificate) -> None:
    limit = Limit(1000, 0.1)
    limit.pause(900)
    with stub(graph_ca, GOOD) as server:
        caught = failed(server, limit=limit)
    assert caught.kind is Kind.THROTTLED
    assert server.got == []


def test_a_proxy_of_the_environment_is_used_for_what_is_not_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "inside.example")
    wire = Wire()
    assert wire.settings("https://graph.example/x")["proxies"]["https"] == "http://proxy.example:3128"
    for direct in ("https://inside.example/", "https://127.0.0.1:1/", "https://localhost/", "https://[::1]/"):
        assert wire.settings(direct)["proxies"].get("https") is None


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "1.5"}, 1.5),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT", "Date": "Wed, 21 Oct 2026 07:29:00 GMT"}, 0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT"}, 30),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": ""}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_every_form(headers: dict[str, str], wait: float | None) -> None:
    assert retry_after(headers, now=1792567680.0) == wait


def test_a_refused_token_is_renewed_once(graph_ca: Certificate) -> None:
    tokens = Fixed()
    with stub(graph_ca, error(401, "InvalidAuthenticationToken", "expired"), GOOD) as server:
        assert read(server, tokens=tokens) == ["a"]
    assert [got.headers["Authorization"] for got in server.got] == ["Bearer token-0", "Bearer token-1"]


def test_a_fresh_token_that_is_refused_ends_it(graph_ca: Certificate) -> None:
    with stub(graph_ca, error(401, "InvalidAuthenticationToken", "Invalid audience.")) as server:
        caught = failed(server)
    assert caught.kind is Kind.UNAUTHORIZED
    assert len(server.got) == 2
    assert "token-" not in f"{caught} {caught.cures}"


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (error(403, "Authorization_RequestDenied", "Insufficient privileges"), Kind.PERMISSION),
        (error(400, "BadRequest", "Invalid filter clause"), Kind.BAD_REQUEST),
        (error(404, "Request_ResourceNotFound", "x"), Kind.NOT_FOUND),
        (Reply(200, {"error": {"code": "Authorization_RequestDenied", "message": "x"}}), Kind.PERMISSION),
    ],
)
def test_what_asking_again_cannot_mend_is_asked_once(graph_ca: Certificate, reply: Reply, kind: Kind) -> None:
    with stub(graph_ca, reply) as server:
        assert failed(server).kind is kind
    assert len(server.got) == 1


def test_a_dead_link_is_told_apart_from_a_bad_question(graph_ca: Certificate) -> None:
    first = Reply(200, {"value": [{"id": "a"}], "@odata.nextLink": "/v1.0/p?$skiptoken=x"})
    with stub(graph_ca, first, error(400, "UnknownError", "Invalid Skip Token, skip token is null")) as server:
        pages = graph_of(server).pages("p", {})
        assert [record.value["id"] for record in next(pages).records] == ["a"]
        with pytest.raises(GraphError) as caught:
            next(pages)
    assert caught.value.kind is Kind.DEAD_LINK
    assert "r-1" in str(caught.value), "the request's identifier is what Microsoft's support asks for"


def test_an_unknown_ca_is_said_at_once(graph_ca: Certificate) -> None:
    with stub(graph_ca, GOOD) as server:
        caught = failed(server, ca=None)
    assert caught.kind is Kind.UNREACHABLE
    assert "certificate" in str(caught)
    assert "`ca`" in caught.cures[0]
    assert server.got == []


def test_a_ca_file_that_is_not_there_is_said_at_once(graph_ca: Certificate, tmp_path: Path) -> None:
    with stub(graph_ca, GOOD) as server:
        assert "nowhere.pem" in str(failed(server, ca=tmp_path / "nowhere.pem"))


def test_the_environment_does_not_replace_a_given_ca(graph_ca: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, os.devnull)
    with stub(graph_ca, GOOD) as server:
        assert read(server) == ["a"]


def test_the_environments_ca_counts_where_none_is_given(graph_ca: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(graph_ca[0]))
    with stub(graph_ca, GOOD) as server:
        assert read(server, ca=None) == ["a"]


def test_a_netrc_does_not_take_the_tokens_place(
    graph_ca: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with stub(graph_ca, GOOD) as server:
        read(server)
    assert server.got[0].headers["Authorization"] == "Bearer token-0"


def test_nobody_there_is_unreachable() -> None:
    graph = Graph(Fixed(), "https://127.0.0.1:9", Limit(1000, 0.1), patience=Patience(2, 2, 0.001, 0.01, 1))
    with pytest.raises(GraphError) as caught:
        graph.get("organization")
    assert caught.value.kind is Kind.UNREACHABLE
    assert "127.0.0.1" in str(caught.value)


def test_who_is_stopped_asks_no_further(graph_ca: Certificate) -> None:
    stop = threading.Event()
    with stub(graph_ca, error(503, "x", "", Retry_After="4")) as server:
        threading.Timer(0.1, stop.set).start()
        with pytest.raises(Stopped):
            read(server, stop=stop)
        assert len(server.got) == 1


def test_the_limit_is_told_of_an_answer_when_its_head_is_there(graph_ca: Certificate) -> None:
    class Watched(Limit):
        ends = 0

        def ended(self, turn: Any) -> None:
            Watched.ends += 1
            super().ended(turn)

    with stub(graph_ca, Reply(200, {"value": []}, cut=3)) as server:
        failed(server, limit=Watched(1000, 0.1))
    assert Watched.ends >= 2 * len(server.got)
