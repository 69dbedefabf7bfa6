"""Compaction: fewer files, the same rows, whatever happens meanwhile."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pfsquid.errors import PfsquidError
from pfsquid.lake import compact as module
from pfsquid.lake import sorting
from pfsquid.lake.care import care, compact, plan_compact
from pfsquid.lake.catalog import Lake
from pfsquid.lake.days import held, name_of, path_of
from pfsquid.lake.files import KEPT, DataFiles
from pfsquid.lake.ingest import positions
from pfsquid.lake.replace import manifests, replace_files
from tests.lake.care_rows import EAGER, LATER, append, everything, files, many, on_disk, traffic
from tests.lake.rows import MONDAY, new_lake, proxy_rows, snapshots


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return new_lake(tmp_path)


def test_a_day_that_is_over_becomes_one_file_and_keeps_its_rows(lake: Lake) -> None:
    many(lake, 4, days=(0, 1))
    before, known = everything(lake), positions(lake, "proxy")
    compact(lake, EAGER, LATER)
    assert (files(lake), everything(lake), positions(lake, "proxy")) == ([1, 1], before, known)


def test_a_day_that_was_compacted_is_left_alone(lake: Lake) -> None:
    many(lake, 4)
    compact(lake, EAGER, LATER)
    count = snapshots(lake, "proxy")
    assert not compact(lake, EAGER, LATER)
    assert not care(
        lake, EAGER.model_copy(update={"expire": EAGER.expire.model_copy(update={"snapshots": 1e9})}), LATER
    )
    assert snapshots(lake, "proxy") == count


def test_a_day_that_is_not_over_is_merged_only_where_it_has_many_files(lake: Lake) -> None:
    many(lake, 2)
    compact(lake, EAGER, MONDAY)
    assert files(lake) == [2]
    many(lake, 1)
    compact(lake, EAGER, MONDAY)
    assert files(lake) == [1]


def test_a_day_that_is_not_quiet_yet_waits(lake: Lake) -> None:
    many(lake, 2)
    patient = EAGER.model_copy(update={"compact": EAGER.compact.model_copy(update={"quiet": 3600.0})})
    when = datetime.now(MONDAY.tzinfo)
    assert when.date() > MONDAY.date() or pytest.skip("MONDAY is not over yet")
    care(lake, patient, when)
    assert (files(lake), lake.table("usage")) == ([2], None)
    care(lake, patient, when + timedelta(hours=2))
    assert files(lake) == [1]


def test_few_late_rows_do_not_make_a_day_written_anew_but_many_do(lake: Lake) -> None:
    append(lake, proxy_rows(*range(100)), 100)
    compact(lake, EAGER, LATER)
    append(lake, proxy_rows(100), 101)
    assert not [deed for deed in plan_compact(lake, EAGER, LATER).deeds if deed.table == "proxy"]
    append(lake, proxy_rows(*range(101, 111)), 111)
    compact(lake, EAGER, LATER)
    assert files(lake) == [1]


def test_a_compacted_day_is_sorted_and_says_whose_rows_are_where(lake: Lake) -> None:
    append(lake, traffic(*({"user_name": name, "host": host} for name in "cab" for host in "yx")))
    append(lake, traffic({"user_name": None, "host": "z"}, {"user_name": "b", "host": None}))
    compact(lake, EAGER, LATER)
    (there,) = held(lake.table("proxy")).values()
    path = Path(path_of(there.files[0]))
    rows = pq.read_table(path, columns=["user_name", "host"]).to_pylist()
    assert [(row["user_name"], row["host"]) for row in rows] == [
        *(("a", "x"), ("a", "y"), ("b", "x"), ("b", "y"), ("b", None), ("c", "x"), ("c", "y"), (None, "z"))
    ]
    group = pq.ParquetFile(path).metadata.row_group(0)
    kept = {group.column(n).path_in_schema for n in range(group.num_columns) if group.column(n).is_stats_set}
    assert kept == {"ts", "source", "source_offset", "user_name", "host"}


def test_a_day_larger_than_a_file_may_be_becomes_several(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MB", 10)
    monkeypatch.setattr(sorting, "ROWS", 20)
    append(lake, proxy_rows(*range(200)), 200)
    before = everything(lake)
    compact(lake, EAGER, LATER)
    (there,) = held(lake.table("proxy")).values()
    assert len(there.files) > 1 and all(name_of(file).startswith(KEPT) for file in there.files)
    assert everything(lake) == before and not compact(lake, EAGER, LATER)


def test_rows_written_while_a_day_is_compacted_are_neither_lost_nor_doubled(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(lake, 3)
    written = module._written

    def while_others_write(*args: Any) -> Any:
        new = written(*args)
        append(lake, proxy_rows(50), 51)
        return new

    monkeypatch.setattr(module, "_written", while_others_write)
    before = everything(lake)
    assert module.merge(lake, module.merges(lake, "proxy", EAGER.compact, LATER)[0], EAGER.compact)
    assert [row["source_offset"] for row in everything(lake)] != [row["source_offset"] for row in before]
    assert (files(lake), sorted(row["source_offset"] for row in everything(lake))) == ([2], [0, 1, 2, 50])


def test_a_collector_that_appends_all_the_while_keeps_every_row(lake: Lake) -> None:
    stop = threading.Event()
    written: list[int] = []

    def collect() -> None:
        while not stop.is_set():
            written.append(len(written))
            with lake.writing("proxy", wait=True):
                append(lake, proxy_rows(written[-1], day=len(written) % 2), written[-1] + 1)
            time.sleep(0.03)  # a collector reads in between

    collector = threading.Thread(target=collect)
    collector.start()
    try:
        for _ in range(6):
            compact(lake, EAGER, LATER)
    finally:
        stop.set()
        collector.join()
    compact(lake, EAGER, LATER)
    assert sorted(row["source_offset"] for row in everything(lake)) == written


def test_a_row_replaced_meanwhile_stays_replaced(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    append(lake, proxy_rows(0, 10), 15, unended=10)
    append(lake, proxy_rows(20), 30)
    written, first = module._written, iter((True,))

    def while_others_replace(*args: Any) -> Any:
        new = written(*args)
        if next(first, False):
            append(lake, proxy_rows(10, method="POST"), 20, replaces=10)
        return new

    monkeypatch.setattr(module, "_written", while_others_replace)
    compact(lake, EAGER, LATER)
    assert {row["source_offset"]: row["method"] for row in everything(lake)} == {0: "GET", 10: "POST", 20: "GET"}
    assert files(lake) == [1]


def test_manifests_are_merged(lake: Lake) -> None:
    many(lake, 35, days=(0,))
    settings = EAGER.model_copy(update={"compact": EAGER.compact.model_copy(update={"files": 1000})})
    before = everything(lake)
    compact(lake, settings, MONDAY)
    assert (manifests(lake.made_table("proxy")), files(lake), everything(lake)) == (1, [35], before)


def test_tables_without_days_are_merged_too(lake: Lake) -> None:
    from collectors.batch import Batch, Position, Reject
    from pfsquid.lake.ingest import Ingested, ingest

    for offset in range(4):
        step = Batch("proxy", proxy_rows(), "log", Position(offset + 1), [Reject(offset, "odd", b"\x00\xff")])
        ingest(lake, [step], Ingested())
    before = everything(lake, "rejects")
    compact(lake, EAGER, LATER)
    assert (files(lake, "rejects"), everything(lake, "rejects")) == ([1], before)


def test_a_full_disk_leaves_the_lake_as_it_was(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    many(lake, 3)
    before, paths = everything(lake), on_disk(lake)

    def full(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    places: tuple[tuple[Any, str], ...] = (
        (DataFiles, "add"),
        (DataFiles, "finish"),
        (module, "replace_files"),
        (sorting, "_in_order"),
    )
    for target, name in places:
        with monkeypatch.context() as patched:
            patched.setattr(target, name, full)
            with pytest.raises(PfsquidError, match="no space left"):
                compact(lake, EAGER, LATER)
        assert (everything(lake), {path for path in on_disk(lake) if path.endswith(".parquet")}) == (
            before,
            {path for path in paths if path.endswith(".parquet")},
        )
    assert list(lake.folder.glob(".spill-*")) == []


def test_what_is_committed_is_not_removed_by_a_fault_after_it(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    many(lake, 3)
    before, replace = everything(lake), replace_files

    def then_fail(*args: Any) -> None:
        replace(*args)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(module, "replace_files", then_fail)
    with pytest.raises(PfsquidError):
        compact(lake, EAGER, LATER)
    assert everything(lake) == before


def test_a_plan_changes_nothing(lake: Lake) -> None:
    many(lake, 3)
    paths = on_disk(lake)
    plan = plan_compact(lake, EAGER, LATER)
    assert [(d.table, d.deed, d.day, d.files, d.rows) for d in plan.deeds] == [
        ("proxy", "sort", MONDAY.date(), 3, 3),
        ("usage", "count", MONDAY.date(), 0, 0),
    ]
    assert (on_disk(lake), lake.table("usage")) == (paths, None)


def test_a_second_one_is_told_of_the_first(lake: Lake) -> None:
    with lake.caring(), pytest.raises(PfsquidError, match="another pfsquid is compacting"):
        compact(lake, EAGER, LATER)


texts = st.one_of(st.none(), st.text(max_size=4))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(texts, texts, st.integers(-5, 5)), max_size=60), st.integers(1, 9))
def test_more_rows_than_memory_holds_come_out_in_order(rows: list[tuple[Any, Any, int]], piece: int) -> None:
    import tempfile
    from unittest.mock import patch

    import pyarrow as pa

    columns = [
        pa.array([row[n] for row in rows], kind) for n, kind in enumerate((pa.string(), pa.string(), pa.int64()))
    ]
    table = pa.Table.from_arrays(columns, names=["a", "b", "c"])
    connection = duckdb.connect()
    connection.register("given", table)
    with tempfile.TemporaryDirectory() as folder, patch.multiple(sorting, ROWS=piece, PIECE=piece, _SAMPLE=2):
        parts = list(sorting.sorted_rows(connection, "given", ("a", "b", "c"), len(rows), Path(folder)))
    out = [tuple(row.values()) for part in parts for row in part.to_pylist()]
    assert out == sorted(rows, key=lambda row: (*((one is None, one) for one in row[:2]), row[2]))
