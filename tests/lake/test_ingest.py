"""Rows, rejects and position: committed together, counted when committed, and never twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collectors.batch import Batch, Position
from pfsquid.errors import PfsquidError
from pfsquid.lake import ingest as module
from pfsquid.lake.catalog import Lake
from pfsquid.lake.files import DataFiles
from pfsquid.lake.ingest import Ingested, ingest, positions
from tests.lake.rows import batch, held, new_lake, proxy_rows, sign_ins, snapshots

SOURCE = "access.log#1"


class BrokeError(Exception):
    """A source that broke off."""


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return new_lake(tmp_path)


@pytest.fixture
def a_commit_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COMMIT_ROWS", 1)


def breaking_off(*batches: Batch) -> Iterator[Batch]:
    yield from batches
    raise BrokeError


def ingested(lake: Lake, *batches: Batch) -> Ingested:
    done = Ingested()
    ingest(lake, batches, done)
    return done


def test_rows_and_position_appear_together(lake: Lake) -> None:
    ingested(lake, batch(proxy_rows(0, 10), 20, head="abc", head_bytes=20))
    table = lake.table("proxy")
    assert table is not None
    assert [entry.metadata_file for entry in table.metadata.metadata_log][1:] == []  # made, then one commit
    assert positions(lake, "proxy") == {SOURCE: Position(20, "abc", 20)}


def test_batches_are_gathered_to_one_commit(lake: Lake) -> None:
    ingested(lake, *(batch(proxy_rows(offset), offset + 1) for offset in range(5)))
    assert (snapshots(lake, "proxy"), held(lake, "proxy", "source_offset")) == (1, [0, 1, 2, 3, 4])


@pytest.mark.usefixtures("a_commit_a_batch")
def test_enough_rows_are_a_commit(lake: Lake) -> None:
    ingested(lake, *(batch(proxy_rows(offset), offset + 1) for offset in range(3)))
    assert snapshots(lake, "proxy") == 3


def test_enough_rejects_are_a_commit(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COMMIT_REJECTS", 1)
    ingested(lake, batch(proxy_rows(0), 2, 1), batch(proxy_rows(2), 4, 3))
    assert snapshots(lake, "rejects") == 2


def test_enough_seconds_are_a_commit(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COMMIT_SECONDS", 0.0)
    ingested(lake, batch(proxy_rows(0), 1), batch(proxy_rows(1), 2))
    assert snapshots(lake, "proxy") == 2


def test_a_batch_of_rejects_alone_moves_the_position(lake: Lake) -> None:
    ingested(lake, batch(proxy_rows(), 5, 0))
    assert positions(lake, "proxy")[SOURCE].offset == 5


def test_what_was_read_before_the_source_broke_off_is_kept(lake: Lake) -> None:
    done = Ingested()
    with pytest.raises(BrokeError):
        ingest(lake, breaking_off(batch(proxy_rows(0, 10), 20, 15)), done)
    assert (done.rows, done.rejects, held(lake, "proxy", "source_offset")) == (2, 1, [0, 10])
    assert positions(lake, "proxy")[SOURCE].offset == 20


@pytest.mark.parametrize("fault", [RuntimeError("odd"), OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_batch_of_which_a_part_could_be_written_is_not_there_at_all(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    add, calls = DataFiles.add, iter((True, False))

    def second_time_in_half(self: DataFiles, rows: Any) -> None:
        if next(calls):
            add(self, rows)
            return
        add(self, rows.slice(0, 1))
        raise fault

    monkeypatch.setattr(DataFiles, "add", second_time_in_half)
    done = Ingested()
    with pytest.raises((type(fault), PfsquidError)):
        ingest(lake, [batch(proxy_rows(0), 1), batch(proxy_rows(1, 2), 3)], done)
    monkeypatch.undo()
    assert (done.rows, held(lake, "proxy", "source_offset"), positions(lake, "proxy")) == (0, [], {})
    assert list(lake.folder.rglob("*.parquet")) == []


@pytest.mark.usefixtures("a_commit_a_batch")
def test_only_what_is_committed_is_counted(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    done = Ingested()
    append, calls = module._append, iter((True, False))

    def second_time_full(*args: Any) -> None:
        if not next(calls):
            raise OSError(28, "No space left on device")
        append(*args)

    monkeypatch.setattr(module, "_append", second_time_full)
    with pytest.raises(PfsquidError, match="no space left"):
        ingest(lake, [batch(proxy_rows(0), 1), batch(proxy_rows(1, 2), 3)], done)
    assert (done.rows, held(lake, "proxy", "source_offset"), positions(lake, "proxy")[SOURCE].offset) == (1, [0], 1)


def test_progress_tells_what_is_committed(lake: Lake) -> None:
    told: list[int] = []
    ingest(lake, [batch(proxy_rows(0), 1)], Ingested(), lambda done: told.append(done.rows))
    assert told[-1] == 1


def test_rejects_that_are_there_already_are_left_out(lake: Lake) -> None:
    ingested(lake, batch(proxy_rows(0), 10, 5))
    done = ingested(lake, batch(proxy_rows(20), 30, 5, 25))
    assert (done.rejects, held(lake, "rejects", "source_offset")) == (1, [5, 25])


def test_rejects_of_another_source_are_its_own(lake: Lake) -> None:
    ingested(lake, batch(proxy_rows(0), 10, 5))
    ingested(lake, batch(proxy_rows(0, source="other"), 10, 5, source="other"))
    assert held(lake, "rejects", "source") == [SOURCE, "other"]


def test_rejects_are_counted_by_reason(lake: Lake) -> None:
    assert ingested(lake, batch(proxy_rows(0), 10, 5, 6)).reasons == {"an empty line": 2}


def test_an_unfinished_row_gives_way_to_the_finished_one(lake: Lake) -> None:
    ingested(lake, batch(proxy_rows(0, 10), 15, unended=10))
    done = ingested(lake, batch(proxy_rows(10, 20, method="POST"), 30, replaces=10))
    assert held(lake, "proxy", "source_offset", "method") == [(0, "GET"), (10, "POST"), (20, "POST")]
    assert (done.rows, done.replaced) == (1, 1)


def test_an_unfinished_row_of_another_source_stays(lake: Lake) -> None:
    ingested(lake, batch(proxy_rows(10, source="other"), 15, source="other"))
    ingested(lake, batch(proxy_rows(10), 15, unended=10))
    ingested(lake, batch(proxy_rows(10), 20, replaces=10))
    assert held(lake, "proxy", "source") == [SOURCE, "other"]


def test_an_unfinished_row_gives_way_to_a_reject(lake: Lake) -> None:
    ingested(lake, batch(proxy_rows(0, 10), 15, 5, unended=10))
    ingested(lake, batch(proxy_rows(), 20, 10, replaces=10))
    assert (held(lake, "proxy", "source_offset"), held(lake, "rejects", "source_offset")) == ([0], [5, 10])


def test_a_source_of_which_only_rejects_are_there_keeps_its_name(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DataFiles, "finish", lambda *_: (_ for _ in ()).throw(BrokeError))
    rejects_only = batch(proxy_rows(0), 10, 5, head="abc", head_bytes=10)
    monkeypatch.setattr(module, "write_data_files", lambda *_: [])
    with pytest.raises(BrokeError):
        ingested(lake, rejects_only)
    known = positions(lake, "proxy")[SOURCE]
    assert (known.offset, known.head, known.head_bytes) == (0, "abc", 10)


def test_a_changed_sign_in_replaces_itself(lake: Lake) -> None:
    ingested(lake, sign_ins(("a", "1"), ("b", "1")))
    done = ingested(lake, sign_ins(("b", "2"), ("c", "1")))
    assert held(lake, "signins", "id", "raw") == [("a", "1"), ("b", "2"), ("c", "1")]
    assert (done.rows, done.replaced, done.unchanged) == (2, 1, 0)


def test_unchanged_sign_ins_make_no_snapshot(lake: Lake) -> None:
    ingested(lake, sign_ins(("a", "1"), ("b", "1")))
    done = ingested(lake, sign_ins(("a", "1"), ("b", "1")))
    assert (done.rows, done.unchanged, snapshots(lake, "signins")) == (0, 2, 1)


def test_a_sign_in_that_changes_back_is_kept_as_it_is_now(lake: Lake) -> None:
    for state in "121":
        ingested(lake, sign_ins(("a", state)))
    assert held(lake, "signins", "id", "raw") == [("a", "1")]


def test_a_lake_that_nothing_was_written_to_has_no_positions(lake: Lake) -> None:
    assert positions(lake, "proxy") == {}
