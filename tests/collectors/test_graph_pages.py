"""Paging: every record once, whatever is repeated, and never the token to another host."""

from __future__ import annotations

from pathlib import Path

import pytest

from collectors.entra.errors import GraphError, Kind
from collectors.entra.graph import Graph, Page
from collectors.entra.limit import Limit
from tests.collectors.graph_stub import Fixed, Got, Reply, Stub, graph_of, page, stub

Certificate = tuple[Path, Path, Path]
PATH = "auditLogs/signIns"


def ids(pages: list[Page]) -> list[str]:
    return [record.value["id"] for one in pages for record in one.records]


def serving(certificate: Certificate, pages: dict[str, tuple[list[str], str]]) -> Stub:
    """A server of pages: path → (ids, path of the next)."""

    def script(got: Got, _: int) -> Reply:
        wanted, following = pages.get(got.path, ([], ""))
        return Reply(200, page(server.url, *wanted, next=following))

    server = Stub(certificate, script)
    return server


def test_links_are_followed_to_their_end_as_they_are_given(graph_ca: Certificate) -> None:
    opaque = "/v1.0/auditLogs/signIns?$filter=a%20ge%20b&$skiptoken=%7EA%2Fb+c==_'(x)!"
    with serving(graph_ca, {"/v1.0/auditLogs/signIns?$top=2": (["a", "b"], opaque), opaque: (["c"], "")}) as server:
        pages = list(graph_of(server).pages(PATH, {"$top": "2"}))
    assert ids(pages) == ["a", "b", "c"]
    assert [(one.number, one.full, one.last) for one in pages] == [(0, True, False), (1, False, True)]
    assert server.got[1].path == opaque


def test_a_question_is_sent_with_blanks_escaped_and_its_operators_readable(graph_ca: Certificate) -> None:
    with serving(graph_ca, {}) as server:
        list(graph_of(server).pages(PATH, {"$filter": "a ge 2026-01-01T00:00:00Z and x/any(t: t eq 'b')"}, "beta"))
    assert (
        server.got[0].path
        == "/beta/auditLogs/signIns?$filter=a%20ge%202026-01-01T00:00:00Z%20and%20x/any(t:%20t%20eq%20'b')"
    )


def test_new_members_of_enumerations_are_asked_for(graph_ca: Certificate) -> None:
    with serving(graph_ca, {}) as server:
        list(graph_of(server).pages(PATH, {}))
    assert server.got[0].headers["Prefer"] == "include-unknown-enum-members"
    assert server.got[0].headers["Authorization"] == "Bearer token-0"


def test_a_page_that_comes_twice_is_given_once(graph_ca: Certificate) -> None:
    pages = {"/v1.0/p": (["a", "b"], "/v1.0/p?2"), "/v1.0/p?2": (["a", "b"], "/v1.0/p?3"), "/v1.0/p?3": (["c"], "")}
    with serving(graph_ca, pages) as server:
        graph = graph_of(server)
        assert ids(list(graph.pages("p", {}))) == ["a", "b", "c"]
        assert (graph.repeated, graph.requests) == (1, 3)


def test_a_last_page_that_repeats_still_says_that_it_is_the_last(graph_ca: Certificate) -> None:
    with serving(graph_ca, {"/v1.0/p": (["a"], "/v1.0/p?2"), "/v1.0/p?2": (["a"], "")}) as server:
        pages = list(graph_of(server).pages("p", {}))
    assert ids(pages) == ["a"]
    assert [one.last for one in pages] == [False, True]


@pytest.mark.parametrize("back", ["/v1.0/p", "/v1.0/p?2"])
def test_links_in_a_circle_are_a_dead_link(graph_ca: Certificate, back: str) -> None:
    with (
        serving(graph_ca, {"/v1.0/p": (["a"], "/v1.0/p?2"), "/v1.0/p?2": (["b"], back)}) as server,
        pytest.raises(GraphError) as caught,
    ):
        list(graph_of(server).pages("p", {}))
    assert caught.value.kind is Kind.DEAD_LINK
    assert len(server.got) == 2


def test_empty_pages_are_passed_and_hundreds_of_links_are_no_recursion(graph_ca: Certificate) -> None:
    def script(got: Got, number: int) -> Reply:
        return Reply(
            200, page(server.url, *(["end"] if number == 400 else []), next="" if number == 400 else f"/{number}")
        )

    with Stub(graph_ca, script) as server:
        graph = graph_of(server, limit=Limit(100_000, 0.1))
        assert ids(list(graph.pages("p", {}))) == ["end"]


@pytest.mark.parametrize(
    "link", ["https://evil.example/v1.0/p?2", "http://127.0.0.1/p", "https://127.0.0.1:1/p", "//evil/p"]
)
def test_the_token_never_goes_to_another_host(graph_ca: Certificate, link: str) -> None:
    with (
        stub(graph_ca, Reply(200, {"value": [{"id": "a"}], "@odata.nextLink": link})) as server,
        pytest.raises(GraphError) as caught,
    ):
        list(graph_of(server).pages("p", {}))
    assert caught.value.kind is Kind.BROKEN
    assert len(server.got) == 1


def test_a_link_without_host_is_of_the_same_host(graph_ca: Certificate) -> None:
    first = Reply(200, {"value": [{"id": "a"}], "@odata.nextLink": "/v1.0/p?2"})
    with stub(graph_ca, first, Reply(200, {"value": [{"id": "b"}]})) as server:
        assert ids(list(graph_of(server).pages("p", {}))) == ["a", "b"]


def test_a_redirect_is_not_followed(graph_ca: Certificate) -> None:
    with (
        stub(graph_ca, Reply(302, {}, {"Location": "https://evil.example/"})) as server,
        pytest.raises(GraphError) as caught,
    ):
        list(graph_of(server).pages("p", {}))
    assert caught.value.kind is Kind.BROKEN
    assert len(server.got) == 1


def test_plain_http_is_refused_before_a_token_is_fetched() -> None:
    with pytest.raises(GraphError) as caught:
        Graph(Fixed(), "http://graph.example", Limit())
    assert caught.value.kind is Kind.CREDENTIAL


def test_one_page_is_read_only_when_the_one_before_is_done_with(graph_ca: Certificate) -> None:
    with serving(graph_ca, {"/v1.0/p": (["a"], "/v1.0/p?2"), "/v1.0/p?2": (["b"], "")}) as server:
        pages = graph_of(server).pages("p", {})
        next(pages)
        assert len(server.got) == 1


def test_a_full_last_page_says_so(graph_ca: Certificate) -> None:
    with serving(graph_ca, {"/v1.0/p?$top=2": (["a", "b"], "")}) as server:
        assert [(one.full, one.last) for one in graph_of(server).pages("p", {"$top": "2"})] == [(True, True)]
