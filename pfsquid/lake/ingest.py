"""Batches into the lake: rows and reading position in one commit, so that each row is there exactly once.

Rejects live in a table of their own, committed first, with a position of its own: after a crash between the two the
batch is read again, and the rejects that are there already are left out.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa
from pyiceberg.expressions import And, BooleanExpression, EqualTo, In
from pyiceberg.table import Table

from collectors.batch import Batch, Position, rejects_table
from pfsquid.lake.catalog import Lake, explained
from pfsquid.lake.files import write_data_files
from pfsquid.lake.tables import TABLES

POSITION = "pfsquid.position."


@dataclass
class Ingested:
    """What one run brought in. replaced: rows that were there in an earlier state and gave way."""

    rows: int = 0
    rejects: int = 0
    replaced: int = 0
    unchanged: int = 0
    reasons: dict[str, int] = field(default_factory=dict)


def positions(lake: Lake, table: str) -> dict[str, Position]:
    """How far each source of a table has been read."""
    there = lake.table(table)
    if there is None:
        return {}
    return {
        key.removeprefix(POSITION): Position.from_json(value)
        for key, value in there.properties.items()
        if key.startswith(POSITION)
    }


def ingest(
    lake: Lake, batches: Iterable[Batch], done: Ingested, progress: Callable[[Ingested], None] = lambda _: None
) -> None:
    """Commit batch after batch; `done` counts what is committed, also where an error ends it in the middle.

    Reading the next batch and writing this one go on side by side. Raises what `batches` raises, and PfsquidError.
    """
    for batch in _ahead(batches):
        with explained(lake.folder):
            _commit_rejects(lake, batch, done)
            _commit(lake.made_table(batch.table), batch, done)
        progress(done)


def _commit(table: Table, batch: Batch, done: Ingested) -> None:
    rows, outdated = batch.rows, _outdated_line(batch)
    if batch.key is not None:
        rows, outdated = _changed(table, batch, batch.key, done)
        if len(rows) == 0:
            return
    files = write_data_files(table, TABLES[batch.table], rows)
    with table.transaction() as tx:
        if outdated is not None:
            tx.delete(outdated)
        if files:
            with tx.update_snapshot().fast_append() as append:
                for file in files:
                    append.append_data_file(file)
        if batch.key is None:
            tx.set_properties({POSITION + batch.source: batch.position.to_json()})
    done.rows += len(rows) - (batch.replaces is not None)


def _outdated_line(batch: Batch) -> BooleanExpression | None:
    if batch.replaces is None:
        return None
    return And(EqualTo("source", batch.source), EqualTo("source_offset", batch.replaces))


def _changed(table: Table, batch: Batch, key: str, done: Ingested) -> tuple[pa.Table, BooleanExpression | None]:
    """The rows of the batch that the table does not hold in just this state, and which of its rows give way to them."""
    ids = batch.rows[key].to_pylist()
    there = table.scan(row_filter=In(key, ids), selected_fields=(key,)).to_arrow()[key].to_pylist()
    if not there:
        return batch.rows, None
    states = table.scan(row_filter=In(key, there), selected_fields=(key, "raw")).to_arrow()
    state = dict(zip(states[key].to_pylist(), states["raw"].to_pylist(), strict=True))
    new = [state.get(identity) != raw for identity, raw in zip(ids, batch.rows["raw"].to_pylist(), strict=True)]
    outdated = [identity for identity, is_new in zip(ids, new, strict=True) if is_new and identity in state]
    done.unchanged += len(new) - sum(new)
    done.replaced += len(outdated)
    return batch.rows.filter(pa.array(new)), In(key, outdated) if outdated else None


def _commit_rejects(lake: Lake, batch: Batch, done: Ingested) -> None:
    if not batch.rejects:
        return
    table = lake.made_table("rejects")
    before = table.properties.get(POSITION + batch.source)
    reached = Position.from_json(before).offset if before else 0
    new = [reject for reject in batch.rejects if reject.offset >= reached]
    if not new:
        return
    files = write_data_files(table, TABLES["rejects"], rejects_table(batch.source, new))
    with table.transaction() as tx:
        with tx.update_snapshot().fast_append() as append:
            for file in files:
                append.append_data_file(file)
        tx.set_properties({POSITION + batch.source: batch.position.to_json()})
    done.rejects += len(new)
    for reject in new:
        reason = reject.reason.partition(":")[0].partition(" (")[0]
        done.reasons[reason] = done.reasons.get(reason, 0) + 1


def _ahead(batches: Iterable[Batch]) -> Iterator[Batch]:
    """The same batches, with the next being read while the last is written; never more than these two in memory."""
    handed: queue.Queue[Batch | BaseException | None] = queue.Queue(maxsize=1)
    wanted = threading.Semaphore(1)
    stop = threading.Event()

    def read() -> None:
        try:
            for batch in batches:
                wanted.acquire()
                if stop.is_set():
                    return
                handed.put(batch)
                del batch
            handed.put(None)
        except BaseException as exc:  # noqa: BLE001 - handed to the other thread, which raises it
            handed.put(exc)

    reader = threading.Thread(target=read, name="reader", daemon=True)
    reader.start()
    try:
        while (item := handed.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
            del item
            pa.default_memory_pool().release_unused()
            wanted.release()
    finally:
        stop.set()
        wanted.release()
