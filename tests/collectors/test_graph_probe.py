"""Each stream is tried with one small request, and what it lacks is said for each."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from collectors.entra.errors import Kind
from collectors.entra.probe import probe
from collectors.entra.streams import DIRECTORY_STREAMS, STREAMS
from tests.collectors.graph_stub import Got, Reply, Stub, error, graph_of

Certificate = tuple[Path, Path, Path]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ALL = (*STREAMS.values(), *DIRECTORY_STREAMS.values())


def test_every_stream_is_asked_for_one_record(graph_ca: Certificate) -> None:
    with Stub(graph_ca, lambda got, _: Reply(200, {"value": [{}] if "users" in got.path else []})) as server:
        results = list(probe(graph_of(server), ALL, NOW))
    assert [one.stream for one in results] == [one.name for one in ALL]
    assert all(one.works for one in results)
    assert all("$top=1" in got.path and not got.path.endswith("0") for got in server.got)
    assert len(server.got) == len(ALL)


def test_a_stream_that_lacks_something_does_not_hide_the_others(graph_ca: Certificate) -> None:
    def script(got: Got, _: int) -> Reply:
        if "/beta/" in got.path:
            return error(403, "Authentication_RequestFromNonPremiumTenantOrB2CTenant", "no premium license")
        if "servicePrincipals" in got.path:
            return error(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
        return Reply(200, {"value": []})

    with Stub(graph_ca, script) as server:
        results = {one.stream: one for one in probe(graph_of(server), ALL, NOW)}
    assert {name for name, one in results.items() if one.works} == {"interactive", "audits", "users"}
    assert results["non_interactive"].kind is Kind.LICENCE
    assert "Application.Read.All" in results["service_principals"].detail
    assert any(cure.startswith("az ad app") for cure in results["service_principals"].cures)


def test_what_all_share_is_met_once(graph_ca: Certificate) -> None:
    with Stub(graph_ca, lambda *_: error(401, "InvalidAuthenticationToken", "Invalid audience.")) as server:
        results = list(probe(graph_of(server), ALL, NOW))
    assert not any(one.works for one in results)
    assert results[1].detail == "not tried: waits for what interactive met"
    assert len(server.got) == 2
