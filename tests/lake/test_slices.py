"""A slice of Graph in the lake: replaced as a whole, counted right, in one commit with its ledger."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from collectors.batch import Batch, Position, Reject
from collectors.entra.signins import SIGNINS_SCHEMA
from collectors.entra.slices import Piece
from collectors.entra.windows import HOUR, Ledger, Rules, Status
from pfsquid.lake.catalog import Lake, open_lake
from pfsquid.lake.compact import merge, merges
from pfsquid.lake.ingest import Ingested, Moved, ingest
from pfsquid.lake.overlap import Stream
from pfsquid.lake.slices import Fewer, commit, record
from pfsquid.lake.windows import complete_spans, coverage, ledgers, load, write_table
from pfsquid.settings_care import CompactSettings

TENANT = "11111111-2222-3333-4444-555555555555"
STREAM = Stream("signins", TENANT, "interactive")
RULES = Rules()
DAY = 1_795_392_000  # 2026-11-23
NOW = DAY + 40 * HOUR


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake", make=True)


def rows(states: dict[str, tuple[float, str]], tenant: str | None = TENANT, stream: str = "interactive") -> pa.Table:
    """id → (seconds after DAY, state)."""
    columns: dict[str, list[Any]] = {name: [None] * len(states) for name in SIGNINS_SCHEMA.names}
    columns |= {
        "id": list(states),
        "created_at": [datetime.fromtimestamp(DAY + at, UTC) for at, _ in states.values()],
        "raw": [state for _, state in states.values()],
        "tenant": [tenant] * len(states),
        "stream": [stream] * len(states),
    }
    return pa.Table.from_pydict(columns, schema=SIGNINS_SCHEMA)


def put(
    lake: Lake,
    start: int,
    end: int,
    states: dict[str, tuple[float, str]],
    stream: Stream = STREAM,
    rejects: Iterable[Reject] = (),
    now: int = NOW,
    **more: Any,
) -> Any:
    piece = Piece(DAY + start, DAY + end, rows(states, stream.tenant, stream.name), list(rejects))
    return commit(lake, stream, piece, load(lake, stream.table, stream.tenant, stream.name)[1], RULES, now, **more)


def held(lake: Lake) -> dict[str, str]:
    table = lake.table("signins")
    assert table is not None
    found = table.scan(selected_fields=("id", "raw")).to_arrow().to_pylist()
    assert len(found) == len({row["id"] for row in found})
    return {row["id"]: row["raw"] for row in found}


def ledger(lake: Lake) -> Ledger:
    return ledgers(lake)[TENANT, "interactive"]


def test_rows_and_ledger_come_together(lake: Lake) -> None:
    done = put(lake, 0, 300, {"a": (1, "A"), "b": (299.999999, "B")})
    assert (done.rows, done.new, done.late) == (2, 2, 0)
    assert held(lake) == {"a": "A", "b": "B"}
    assert [(one.start, one.end, one.rows, one.status) for one in ledger(lake).windows] == [
        (DAY, DAY + 300, 2, Status.COMPLETE)
    ]


def test_a_re_read_counts_what_is_late_and_changed_and_replaces_the_slice(lake: Lake) -> None:
    put(lake, 0, 300, {"a": (1, "A"), "b": (2, "B")})
    put(lake, 300, 600, {"c": (300, "C")})
    done = put(lake, 0, 300, {"a": (1, "A"), "b": (2, "B2"), "late": (3, "L")}, now=NOW + 1)
    assert (done.late, done.changed, done.vanished, done.new) == (1, 1, 0, 2)
    assert held(lake) == {"a": "A", "b": "B2", "late": "L", "c": "C"}
    assert (sum(one.rows for one in ledger(lake).windows), sum(one.late for one in ledger(lake).windows)) == (4, 1)


def test_a_re_read_that_finds_nothing_new_writes_no_file(lake: Lake) -> None:
    put(lake, 0, 300, {"a": (1, "A")})
    table = lake.table("signins")
    assert table is not None
    snapshot = table.metadata.current_snapshot_id
    put(lake, 0, 300, {"a": (1, "A")}, now=NOW + HOUR)
    assert table.refresh().metadata.current_snapshot_id == snapshot
    assert ledger(lake).windows[0].read_at == NOW + HOUR


def test_rows_vanish_only_where_that_is_sure(lake: Lake) -> None:
    put(lake, 0, 300, {"a": (1, "A"), "b": (2, "B")})
    with pytest.raises(Fewer) as caught:
        put(lake, 0, 300, {"a": (1, "A")})
    assert caught.value.ids == {"b"}
    assert held(lake) == {"a": "A", "b": "B"}
    assert put(lake, 0, 300, {"a": (1, "A")}, sure=True).vanished == 1
    assert held(lake) == {"a": "A"}


def test_other_streams_and_tenants_and_neighbours_stay(lake: Lake) -> None:
    other = Stream("signins", "another.example", "interactive")
    put(lake, 0, 300, {"x": (5, "X")}, Stream("signins", TENANT, "non_interactive"))
    put(lake, 0, 300, {"y": (5, "Y")}, other)
    put(lake, 0, 300, {"a": (5, "A")})
    put(lake, 0, 300, {}, sure=True)
    assert held(lake) == {"x": "X", "y": "Y"}
    assert set(ledgers(lake)) == {
        (TENANT, "interactive"),
        (TENANT, "non_interactive"),
        ("another.example", "interactive"),
    }


def test_a_slice_over_midnight_is_replaced_on_both_days(lake: Lake) -> None:
    span = (86400 - 60, 86400 + 60)
    put(lake, *span, {"a": (86400 - 1, "A"), "b": (86400, "B")}, now=NOW + 30 * HOUR)
    put(lake, *span, {"a": (86400 - 1, "A2"), "b": (86400, "B2")}, now=NOW + 31 * HOUR)
    assert held(lake) == {"a": "A2", "b": "B2"}


def test_rows_from_files_give_way_to_the_same_records_from_graph(lake: Lake) -> None:
    from_file = rows({"a": (1, "old"), "only-there": (2, "F")}, tenant=None)
    ingest(lake, [Batch("signins", from_file, "export.json#1", Position(9), key="id")], Ingested())
    done = put(lake, 0, 300, {"a": (1, "A")})
    assert (done.vanished, done.late) == (0, 0)
    assert held(lake) == {"a": "A", "only-there": "F"}


def test_a_part_of_a_slice_that_is_read_again_leaves_the_rest(lake: Lake) -> None:
    put(lake, 0, 600, {"a": (1, "A"), "b": (301, "B")})
    put(lake, 0, 300, {"a": (1, "A2")}, now=NOW + 1)
    assert held(lake) == {"a": "A2", "b": "B"}
    assert sum(one.rows for one in ledger(lake).windows) == 2


def test_what_care_has_merged_is_taken_apart_again(lake: Lake) -> None:
    for n in range(12):
        put(lake, n * 300, n * 300 + 300, {f"r{n}": (n * 300, "A")})
    settings = CompactSettings(files=10, quiet=0)
    moment = datetime.fromtimestamp(NOW, UTC)
    done = [merge(lake, one, settings) for one in merges(lake, "signins", settings, moment, everything=True)]
    assert any(one and one.files == (12, 1) for one in done)
    put(lake, 300, 600, {"r1": (300, "B"), "late": (301, "L")}, now=NOW + 1)
    assert held(lake) == {f"r{n}": "A" for n in range(12)} | {"r1": "B", "late": "L"}


def test_a_second_reader_that_was_faster_is_noticed(lake: Lake) -> None:
    put(lake, 0, 300, {"a": (1, "A")})
    piece = Piece(DAY + 299, DAY + 600, rows({"b": (300, "B")}), [])
    with pytest.raises(Moved):
        commit(lake, STREAM, piece, None, RULES, NOW)
    assert held(lake) == {"a": "A"}


def test_what_a_second_reader_read_of_other_slices_stays_read(lake: Lake) -> None:
    put(lake, 0, 300, {"a": (1, "A")})
    piece = Piece(DAY + 300, DAY + 600, rows({"b": (300, "B")}), [])
    done = commit(lake, STREAM, piece, None, RULES, NOW)
    assert held(lake) == {"a": "A", "b": "B"}
    assert done.ledger == ledger(lake)
    assert sum(one.end - one.start for one in ledger(lake).windows) == 600


def test_a_reject_is_told_once_however_often_its_slice_is_read(lake: Lake) -> None:
    bad = [Reject(77, "a sign-in without id", b"{}"), Reject(78, "not a record", b"1")]
    assert put(lake, 0, 300, {"a": (1, "A")}, rejects=bad).rejects == 2
    assert put(lake, 0, 300, {"a": (1, "A")}, rejects=[*bad, Reject(79, "not a record", b"2")]).rejects == 1
    table = lake.table("rejects")
    assert table is not None
    found = table.scan().to_arrow()
    assert sorted(found["source_offset"].to_pylist()) == [77, 78, 79]
    assert set(found["source"].to_pylist()) == {f"entra:{TENANT}/interactive"}


def test_what_was_not_given_is_noted_and_its_rows_of_before_stay(lake: Lake) -> None:
    put(lake, 0, 300, {"a": (1, "A")})
    record(lake, STREAM, DAY, DAY + 300, Status.PARTIAL, "504", load(lake, *_of(STREAM))[1], RULES, NOW)
    assert held(lake) == {"a": "A"}
    (window,) = ledger(lake).windows
    assert (window.status, window.why, window.rows, window.reads) == (Status.PARTIAL, "504", 1, 1)
    assert complete_spans(lake) == {(TENANT, "interactive"): []}


def test_the_table_windows_says_what_the_ledgers_say(lake: Lake) -> None:
    put(lake, 0, 300, {"a": (1, "A")})
    record(lake, STREAM, DAY + 300, DAY + 600, Status.PARTIAL, "504", load(lake, *_of(STREAM))[1], RULES, NOW)
    assert write_table(lake, NOW)
    assert not write_table(lake, NOW + 1)
    table = lake.table("windows")
    assert table is not None
    found = sorted(table.scan().to_arrow().to_pylist(), key=lambda row: row["start"])
    assert [row["status"] for row in found] == ["never", "complete", "partial", "never"]
    assert all(a["end"] == b["start"] for a, b in pairwise(found))


def test_coverage_tells_of_what_is_missing_in_words(lake: Lake) -> None:
    put(lake, 0, 10 * HOUR, {})
    record(
        lake, STREAM, DAY + 10 * HOUR, DAY + 12 * HOUR, Status.PARTIAL, "504", load(lake, *_of(STREAM))[1], RULES, NOW
    )
    put(lake, 12 * HOUR, 30 * HOUR, {})
    moments = [datetime.fromtimestamp(DAY + hours * HOUR, UTC) for hours in (1, 9, 30, 29)]
    now = datetime.fromtimestamp(NOW, UTC)
    assert coverage(lake, None, ["interactive"], moments[0], moments[1], now).complete
    found = coverage(lake, TENANT, ["interactive", "non_interactive"], moments[0], moments[2], now)
    assert [str(one) for one in found.missing] == ["interactive 2026-11-23 10:00-12:00 UTC partial (504)"]
    assert not coverage(open_lake(lake.folder.parent / "other", make=True), None, ["interactive"], *moments[:2]).known


KILLED = """
import os, signal, sys
import pfsquid.lake.replace, pfsquid.lake.slices
from pyiceberg.catalog.sql import SqlCatalog
from tests.lake.test_slices import put
from pfsquid.lake.catalog import open_lake
from pathlib import Path
def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
where, real = sys.argv[2], SqlCatalog.commit_table
def after(*a, **k):
    real(*a, **k)
    die()
if where == "before": SqlCatalog.commit_table = die
if where == "after": SqlCatalog.commit_table = after
if where == "files": pfsquid.lake.slices.replace_files = die
put(open_lake(Path(sys.argv[1]), make=False), 0, 300, {"a": (1, "A2"), "late": (3, "L")})
"""


@pytest.mark.parametrize(("where", "there"), [("files", False), ("before", False), ("after", True)])
def test_a_kill_at_any_point_leaves_rows_and_ledger_of_one_moment(lake: Lake, where: str, there: bool) -> None:
    put(lake, 0, 300, {"a": (1, "A")}, now=NOW - HOUR)
    folder = Path(__file__).parents[2]
    subprocess.run(
        [sys.executable, "-c", KILLED, str(lake.folder), where],
        env={**os.environ, "PYTHONPATH": str(folder)},
        check=False,
        timeout=60,
    )
    assert held(lake) == ({"a": "A2", "late": "L"} if there else {"a": "A"})
    assert sum(one.late for one in ledger(lake).windows) == int(there)
    put(lake, 0, 300, {"a": (1, "A2"), "late": (3, "L")}, now=NOW + 1)
    assert held(lake) == {"a": "A2", "late": "L"}


def _of(stream: Stream) -> tuple[str, str, str]:
    return stream.table, stream.tenant, stream.name
