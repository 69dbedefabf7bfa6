"""What the Entra collector brings in equals what Graph holds, whatever Graph does; and what is missing is said."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from collectors.entra.graph import Patience
from collectors.entra.limit import Stopped
from collectors.entra.windows import DAY, HOUR, Ledger, Status
from pfsquid.config import CollectConfig, Config
from pfsquid.discovery.answer import answer, knowledge
from pfsquid.entra import reached, run_once, sources_of
from pfsquid.lake.catalog import Lake, open_lake
from pfsquid.lake.state import State
from pfsquid.lake.windows import ledgers
from pfsquid.settings_entra import EntraSettings
from tests.graph.asked import kinds
from tests.graph.fixture import GraphFactory
from tests.graph.serving import Served

SIGN_INS = ("interactive", "non_interactive", "service_principal", "managed_identity")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake", make=True)


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    yield monkeypatch


def config_of(served: Served, monkeypatch: pytest.MonkeyPatch, **given: Any) -> Config:
    monkeypatch.setenv("ENTRA_SECRET", served.secret)
    settings: dict[str, Any] = {
        "tenant": served.tenant,
        "client_id": served.client_id,
        "secret": "env:ENTRA_SECRET",
        "authority": served.url,
        "graph": served.url,
        "ca": served.ca,
        "rate": {"requests": 5, "per": 0.5},
        "retention": 3 * DAY,
        "streams": ["interactive"],
        "timeout": 1.0,
        **given,
    }
    return Config(collect=CollectConfig(entra={"contoso": EntraSettings.model_validate(settings)}))


def collected(lake: Lake, config: Config) -> dict[str, State]:
    """One round. Nobody may need longer than half a minute."""
    sources = sources_of(config, Path("/"), lake.folder)
    states, ended = run_once(lake, sources, threading.Event(), lambda _: None, lambda _: "")
    assert ended
    return {one.name: one for one in states}


def held(lake: Lake, stream: str) -> dict[str, str]:
    table = lake.table("audits" if stream == "audits" else "signins")
    assert table is not None
    names = ("id", "raw") if stream == "audits" else ("id", "raw", "stream")
    rows = [
        row for row in table.scan(selected_fields=names).to_arrow().to_pylist() if row.get("stream", stream) == stream
    ]
    assert len(rows) == len({row["id"] for row in rows})
    return {row["id"]: row["raw"] for row in rows}


def truth(served: Served, stream: str, ledger: Ledger) -> dict[str, str]:
    """What the server holds of the time that was read."""
    assert ledger.since is not None
    end = ledger.windows[-1].end
    found = served.control.truth(stream, since=ledger.since)
    later = served.control.truth(stream, since=end)
    return {name: text for name, text in found.items() if name not in later}


def ledger_of(lake: Lake, served: Served, stream: str = "interactive") -> Ledger:
    return ledgers(lake)[served.tenant, stream]


def moved(monkeypatch: pytest.MonkeyPatch, served: Served) -> None:
    """Let pfsquid have the server's clock."""
    monkeypatch.setattr(time, "time", served.control.now)


def test_all_streams_equal_the_truth_though_requests_fail(
    graph: GraphFactory, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = graph(sign_ins=1500, days=2.5, failing=0.1, retry_after=0.2, silence=0.2, latency=0.0)
    streams = [*SIGN_INS, "audits", "users", "service_principals"]
    states = collected(lake, config_of(served, monkeypatch, streams=streams))
    assert {one.error for one in states.values()} == {""}
    for stream in (*SIGN_INS, "audits"):
        ledger = ledger_of(lake, served, stream)
        assert held(lake, stream) == truth(served, stream, ledger)
        assert {one.status for one in ledger.windows} == {Status.COMPLETE}
    accounts = lake.table("accounts")
    assert accounts is not None
    assert accounts.scan().to_arrow().num_rows == len(served.control.users)
    assert served.control.violations() == []


def test_what_comes_late_and_changes_is_found_by_re_reads(
    graph: GraphFactory, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = graph(sign_ins=600, days=1, late=0.1, changed=0.1, speed=0.0, lifetime=10**8)
    moved(monkeypatch, served)
    config = config_of(served, monkeypatch, retention=10 * DAY, streams=["non_interactive"])
    collected(lake, config)
    for hours in (2, 8, 20, 50):
        served.control.advance(hours * HOUR)
        assert collected(lake, config)["contoso:non_interactive"].error == ""
    ledger = ledger_of(lake, served, "non_interactive")
    assert held(lake, "non_interactive") == truth(served, "non_interactive", ledger)
    assert sum(one.late for one in ledger.windows) > 5
    assert sum(one.changed for one in ledger.windows) > 5
    assert sum(one.rows for one in ledger.windows) == len(held(lake, "non_interactive"))


@pytest.mark.parametrize(
    "fault",
    [
        "NO_NEXT_LINK",
        "REPEATED_RECORD",
        "REPEATED_PAGE",
        "DEAD_TOKEN",
        "SELF_LINK",
        "CUT_BODY",
        "EMPTY_PAGE",
        "SHORT_PAGE",
    ],
)
def test_a_fault_in_the_middle_of_a_chain_loses_and_doubles_nothing(
    graph: GraphFactory, lake: Lake, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    served = graph(sign_ins=9000, days=1, people=20, per=0.05)
    served.control.fault(fault, nth=2, times=2, path="signIns")
    collected(
        lake,
        config_of(
            served,
            monkeypatch,
            retention=2 * DAY,
            slice={"least": DAY, "most": 7 * DAY},
            rate={"requests": 5, "per": 0.05},
            timeout=20.0,
        ),
    )
    ledger = ledger_of(lake, served)
    assert held(lake, "interactive") == truth(served, "interactive", ledger)
    assert {one.status for one in ledger.windows} == {Status.COMPLETE}


def test_what_was_answered_and_not_committed_is_not_asked_for_again(
    graph: GraphFactory, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A life ends before its commit, again and again; each next one begins with the answer that the last one got."""
    served = graph(sign_ins=5000, days=1, people=20, per=0.05)
    config = config_of(
        served, monkeypatch, retention=2 * DAY, rate={"requests": 5, "per": 0.05}, timeout=20.0, settle=0
    )

    def dies(*_: object, **__: object) -> None:
        raise Stopped

    for _ in range(3):
        with monkeypatch.context() as patch:
            patch.setattr("pfsquid.lake.graph.commit", dies)
            assert collected(lake, config)["contoso:interactive"].error == "interrupted"
    assert collected(lake, config)["contoso:interactive"].error == ""
    ledger = ledger_of(lake, served)
    assert held(lake, "interactive") == truth(served, "interactive", ledger)
    asked = kinds(served.control.requests("auditLogs"))
    assert asked["asked again"] == 0, asked
    assert asked["failed"] == 0, asked


def test_records_at_the_ends_of_slices_are_there_once(
    graph: GraphFactory, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = graph(sign_ins=0, days=1, per=0.05)
    now = int(time.time())
    stamps = [f"{datetime.fromtimestamp(now - 1800 - n, UTC):%Y-%m-%dT%H:%M:%S}" for n in range(400)]
    tails = ("Z", ".0Z", ".9999999Z", ".0000001Z", ".123Z")
    for number, stamp in enumerate(stamps):
        served.control.put(
            "interactive",
            {"id": f"r{number}", "createdDateTime": stamp + tails[number % len(tails)], "isInteractive": True},
        )
    config = config_of(
        served, monkeypatch, retention=7200, slice={"least": 10, "most": 20}, rate={"requests": 500, "per": 0.5}
    )
    served.control.limit(500, 0.5)
    collected(lake, config)
    assert len(held(lake, "interactive")) == 400


def test_a_slice_that_is_never_given_is_partial_and_is_said_to_be(
    graph: GraphFactory, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = graph(sign_ins=500, days=1, per=0.02)
    now = int(time.time())
    served.control.never(now - 8 * HOUR, now - 8 * HOUR + 200, "interactive")
    monkeypatch.setattr("pfsquid.entra.PATIENCE", Patience(attempts=2, first=0.01))
    config = config_of(
        served, monkeypatch, retention=DAY, rate={"requests": 5, "per": 0.02}, slice={"least": 300, "most": DAY}
    )
    state = collected(lake, config)["contoso:interactive"]
    assert state.error == ""
    ledger = ledger_of(lake, served)
    bad = [one for one in ledger.windows if one.status is Status.PARTIAL]
    assert sum(one.end - one.start for one in bad) <= 900
    assert bad[0].start <= now - 8 * HOUR + 200
    assert bad[-1].end >= now - 8 * HOUR
    assert sum(one.end - one.start for one in ledger.windows if one.status is Status.COMPLETE) > 20 * HOUR
    (reach,) = reached(lake, config)
    assert reach.not_given
    notes = answer(lake, knowledge([], {}, [], [], [], {}), "people", ["since=23h"]).notes
    assert any("sign-ins are not complete: interactive" in note and "partial" in note for note in notes)
    served.control.clear()


def test_a_record_that_graph_no_longer_gives_goes_after_two_readings(
    graph: GraphFactory, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = graph(sign_ins=0, days=1, speed=0.0, lifetime=10**8)
    moved(monkeypatch, served)
    stamp = f"{datetime.fromtimestamp(served.control.now() - 3000, UTC):%Y-%m-%dT%H:%M:%SZ}"
    for name in ("stays", "goes"):
        served.control.put("interactive", {"id": name, "createdDateTime": stamp})
    config = config_of(served, monkeypatch, retention=DAY)
    collected(lake, config)
    served.control.remove("interactive", "goes")
    served.control.advance(3 * HOUR)
    collected(lake, config)
    assert set(held(lake, "interactive")) == {"stays"}
    assert sum(one.vanished for one in ledger_of(lake, served).windows) == 1


def test_a_missing_permission_fails_its_stream_and_no_other(
    graph: GraphFactory, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = graph(sign_ins=50, days=1)
    served.control.permissions(["AuditLog.Read.All"])
    states = collected(lake, config_of(served, monkeypatch, streams=["interactive", "audits"], retention=DAY))
    assert "Directory.Read.All" in states["contoso:interactive"].error
    assert states["contoso:audits"].error == ""
    assert reached(lake, config_of(served, monkeypatch))[0].complete_to is None


def test_a_gap_is_told_of_a_day_before_graph_forgets_it(
    graph: GraphFactory, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = graph(sign_ins=50, days=1, speed=0.0, lifetime=10**8)
    moved(monkeypatch, served)
    config = config_of(served, monkeypatch, retention=7 * DAY)
    collected(lake, config)
    start = served.control.now()
    served.control.advance(2 * DAY)
    later = reached(lake, config)[0]
    assert (later.complete_to, later.leaving) == (datetime.fromtimestamp(int(start) - 900, UTC), ())
    served.control.advance(4 * DAY)
    assert [one.status for one in reached(lake, config)[0].leaving] == [Status.NEVER]
    served.control.advance(2 * DAY)
    assert [one.status for one in reached(lake, config)[0].missing] == [Status.LOST, Status.NEVER]
