"""Batches into the lake: rows and reading position in one commit, so that each row is there exactly once.

Rejects live in a table of their own, committed first, with a position of its own: after a crash between the two the
batch is read again, and the rejects that are there already are left out.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

import pyarrow as pa
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table, Transaction

from collectors.batch import Batch, Position, Reject, rejects_table
from collectors.squid.follow import digest
from pfsquid.lake.ahead import ahead
from pfsquid.lake.begun import POSITION, Begun
from pfsquid.lake.by_key import News, Stands, news
from pfsquid.lake.catalog import Lake, explained
from pfsquid.lake.commit import Moved, committed, discarded, looked_up, made, put_properties
from pfsquid.lake.files import DataFiles, write_data_files
from pfsquid.lake.giving_way import without_row
from pfsquid.lake.replace import replace_files
from pfsquid.lake.tables import TABLES

__all__ = ["POSITION", "Ingested", "Moved", "ingest", "positions"]

# A commit is worth its tenth of a second when one of these has gathered.
COMMIT_ROWS = 1_000_000
COMMIT_REJECTS = 10_000
COMMIT_REJECT_BYTES = 16_000_000  # rejects wait in memory
COMMIT_SECONDS = 10.0


_NO_TURN: AbstractContextManager[object] = nullcontext()
_NEVER = threading.Event()


@dataclass
class Ingested:
    """What one run brought in. replaced: rows that were there in an earlier state and gave way."""

    rows: int = 0
    rejects: int = 0
    replaced: int = 0
    unchanged: int = 0
    reasons: dict[str, int] = field(default_factory=dict)


def positions(lake: Lake, table: str) -> dict[str, Position]:
    """How far each source of a table has been read.

    A source of which a killed process left rejects and no row yet is there too, at its beginning: it keeps its name.
    """
    begun = {
        source: replace(position, offset=0, tail=digest(b""), unended=None)
        for source, position in _positions(lake, "rejects").items()
    }
    return begun | _positions(lake, table)


def _positions(lake: Lake, table: str) -> dict[str, Position]:
    there = looked_up(lake, table)
    if there is None:
        return {}
    return {
        key.removeprefix(POSITION): Position.from_json(value)
        for key, value in there.properties.items()
        if key.startswith(POSITION)
    }


def ingest(
    lake: Lake,
    batches: Iterable[Batch],
    done: Ingested,
    progress: Callable[[Ingested], None] = lambda _: None,
    known: Mapping[str, Position] | None = None,
    seconds: float | None = None,
    turn: AbstractContextManager[object] = _NO_TURN,
    stop: threading.Event = _NEVER,
    stands: Stands | None = None,
    locked: bool = False,
) -> None:
    """Bring batches into the lake; `done` counts what is committed, also where an error ends it in the middle.

    The next batch is read while one is written. A commit comes when enough rows or seconds have gathered, and at the
    end. known: the positions that reading began at; a source that is not where it was then is Moved, since another
    collector reads it, too. None where nobody else can write to the lake. locked: does the caller hold the table's
    lock? Else it is taken for each commit alone; of `known` None it is taken for granted.
    seconds: how old a row may get (COMMIT_SECONDS) before it is committed, also where the source is silent.
    turn: held while rows are written. stop: when set, what has come is committed, and that is the end.
    stands: which rows do not give way to those of the same key; None for none.
    Raises what `batches` raises after committing what came before it, and PfsquidError where the lake fails.
    """
    if "jemalloc" in pa.supported_memory_backends():
        pa.set_memory_pool(pa.jemalloc_memory_pool())  # a fifth less resident than Arrow's default, as fast
    seconds = COMMIT_SECONDS if seconds is None else seconds
    gathered: _Gathered | None = None
    begun = None if known is None else Begun(dict(known), locked)
    broken: Exception | None = None
    try:
        for batch in ahead(batches):
            if isinstance(batch, Exception):
                broken = batch  # the source broke off, not the lake: what was read before is kept
                break
            if stop.is_set():
                break
            with explained(lake), turn if batch or (gathered and gathered.full(seconds)) else _NO_TURN:
                if batch is None:
                    if gathered and gathered.full(seconds):
                        gathered.commit(done, begun)
                        gathered = None
                    continue
                if batch.key is not None:
                    _replace_by_key(lake, batch, batch.key, done, stands)
                else:
                    if gathered and (gathered.source != batch.source or batch.replaces is not None):
                        gathered.commit(done, begun)
                        gathered = None
                    gathered = gathered or _Gathered(lake, batch)
                    gathered.add(batch)
                    if gathered.full(seconds):
                        gathered.commit(done, begun)
                        gathered = None
            progress(done)
        if gathered:
            with explained(lake), turn:
                gathered.commit(done, begun)
    except BaseException:
        if gathered:
            gathered.files.abandon()
        raise
    progress(done)
    if broken:
        raise broken


class _Gathered:
    """Batches of one source on their way to one commit: rows already in data files, rejects still in memory."""

    def __init__(self, lake: Lake, first: Batch) -> None:
        self._lake = lake
        table = made(lake, first.table)
        self._written: list[DataFile] | None = None
        self._since = time.monotonic()
        self._rows = 0
        self._replaces = first.replaces
        self._last = first
        self._rejects: list[Reject] = []
        self._reject_bytes = 0
        self.files = DataFiles(table, TABLES[first.table])

    def add(self, batch: Batch) -> None:
        self.files.add(batch.rows)
        self._rows += len(batch.rows)
        self._rejects += batch.rejects
        self._reject_bytes += sum(len(reject.raw) for reject in batch.rejects)
        self._last = batch

    def full(self, seconds: float) -> bool:
        waited = time.monotonic() - self._since
        rejects = len(self._rejects) >= COMMIT_REJECTS or self._reject_bytes >= COMMIT_REJECT_BYTES
        return self._rows >= COMMIT_ROWS or rejects or waited >= seconds

    @property
    def source(self) -> str:
        """Where the rows come from: one commit is of one source."""
        return self._last.source

    def commit(self, done: Ingested, begun: Begun | None) -> None:
        """Rejects first, then rows and position together. Raises Moved."""
        position = self._last.position
        waits = begun is not None and not begun.locked
        with self._lake.writing(self._last.table, wait=True) if waits else nullcontext():
            committed(self._lake, self._last.table, lambda table: self._attempt(table, done, begun))
        if begun is not None:
            begun.positions[self.source] = position
        done.rows += self._rows - (self._replaces is not None)
        done.replaced += self._replaces is not None

    def _attempt(self, table: Table, done: Ingested, begun: Begun | None) -> None:
        """One try, on the table as it is now. The rows' files are written once and serve every try."""
        source, position = self._last.source, self._last.position
        if begun is not None:
            try:
                begun.check(table, source, position)
            except Moved:
                discarded(table, self._written or ())
                raise
        _commit_rejects(self._lake, source, position, self._rejects, done)
        if self._written is None:
            self._written = self.files.finish()
        gone: list[DataFile] = []
        rest: list[DataFile] = []
        if self._replaces is not None:
            gone, rest = without_row(table, TABLES[self._last.table], source, self._replaces)
        reached = {POSITION + source: position.to_json()}
        try:
            if gone:
                replace_files(table, gone, [*self._written, *rest], reached)
            else:
                with table.transaction() as tx:
                    _append(tx, self._written)
                    put_properties(tx, reached)
        except CommitFailedException:
            discarded(table, rest)
            raise


def _append(tx: Transaction, files: list[DataFile]) -> None:
    if files:
        with tx.update_snapshot().fast_append() as append:
            for file in files:
                append.append_data_file(file)


def _replace_by_key(lake: Lake, batch: Batch, key: str, done: Ingested, stands: Stands | None) -> None:
    """Rows that are there in another state give way to the batch's; those there in the same state are left, and those
    that stand."""
    _commit_rejects(lake, batch.source, batch.position, batch.rejects, done)

    def attempt(table: Table) -> News:
        found = news(table, batch, key, stands)
        if len(found.rows):
            files = write_data_files(table, TABLES[batch.table], found.rows)
            try:
                with table.transaction() as tx:
                    if found.outdated is not None:
                        tx.delete(found.outdated)
                    _append(tx, files)
            except CommitFailedException:
                discarded(table, files)
                raise
        return found

    found = committed(lake, batch.table, attempt)
    done.rows += len(found.rows)
    done.unchanged += found.unchanged
    done.replaced += found.replaced


def _commit_rejects(lake: Lake, source: str, position: Position, rejects: list[Reject], done: Ingested) -> None:
    """Add the rejects that are not there yet; the table's own position of the source tells which."""
    if not rejects:
        return

    def attempt(table: Table) -> list[Reject]:
        before = table.properties.get(POSITION + source)
        new = [reject for reject in rejects if reject.offset >= _settled(before)]
        if new:
            files = write_data_files(table, TABLES["rejects"], rejects_table(source, new))
            try:
                with table.transaction() as tx:
                    _append(tx, files)
                    tx.set_properties({POSITION + source: position.to_json()})
            except CommitFailedException:
                discarded(table, files)
                raise
        return new

    with lake.writing("rejects", wait=True):  # all collectors write to it
        new = committed(lake, "rejects", attempt)
    done.rejects += len(new)
    for reject in new:
        reason = reject.reason.partition(":")[0].partition(" (")[0]
        done.reasons[reason] = done.reasons.get(reason, 0) + 1


def _settled(position: str | None) -> int:
    """The bytes of a source whose lines are told for good: an unfinished last line may yet become a reject."""
    if position is None:
        return 0
    read = Position.from_json(position)
    return read.offset if read.unended is None else read.unended
