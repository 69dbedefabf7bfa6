"""A slice of Graph into the lake: its rows take the place of what was there, and the ledger says so, in one commit.

The ledger is a property of the very table that the rows are in, so that neither can be ahead of the other. Data files
are written a slice each: a slice that is read again drops whole files, and others are not touched; only where care
has merged files are the rest of their rows written anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pyarrow.compute as pc
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.expressions import And, EqualTo, In
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from collectors.batch import Reject, rejects_table
from collectors.entra.slices import Piece
from collectors.entra.windows import Ledger, Rules, Status, Window
from pfsquid.errors import PfsquidError
from pfsquid.lake.catalog import Lake, explained
from pfsquid.lake.commit import Moved, committed, discarded, put_properties
from pfsquid.lake.days import name_of
from pfsquid.lake.files import KEPT, MERGED, DataFiles, write_data_files
from pfsquid.lake.overlap import Stream, There, giving_way, hashes, there_is
from pfsquid.lake.reading import rows_in
from pfsquid.lake.replace import replace_files
from pfsquid.lake.tables import TABLES, TableSpec
from pfsquid.lake.windows import key_of

__all__ = ["Committed", "Fewer", "Stream", "commit", "record"]


class Fewer(PfsquidError):  # noqa: N818 - reads as what it is
    """A re-read did not give rows that are there. ids: those that would vanish. Nothing was committed."""

    def __init__(self, ids: frozenset[str]) -> None:
        super().__init__(f"{len(ids):,} records of before were not given again", "pfsquid status")
        self.ids = ids


@dataclass(frozen=True)
class Committed:
    """What a commit did. text: of the ledger as it stands now, which the next commit must begin from. rows: of the
    piece; new: those of them that were not there, or in another state."""

    ledger: Ledger
    text: str
    rows: int = 0
    new: int = 0
    late: int = 0
    changed: int = 0
    vanished: int = 0
    rejects: int = 0


def commit(
    lake: Lake, stream: Stream, piece: Piece, before: str | None, rules: Rules, now: int, sure: bool = False
) -> Committed:
    """Bring a piece into the lake. before: the ledger's text that the reading began from. sure: rows may vanish.

    What others have read meanwhile stays in the ledger. Raises Moved where that is of this very slice, Fewer unless
    `sure`, PfsquidError where the lake fails. After each of them the lake is as it was, but that rejects may be there;
    those are never doubled.
    """
    new = hashes(piece.rows)
    written: list[DataFile] | None = None

    def attempt(table: Table) -> Committed:
        nonlocal written
        try:
            ledger = _begun(table, stream, before, piece.start, piece.end).trusted(now)
            there = there_is(table, stream, piece.start, piece.end, new)
            known = ledger.covered(piece.start, piece.end)
            vanished = frozenset(there.old.keys() - new.keys())
            if vanished and not sure:
                raise Fewer(vanished)
        except (Moved, Fewer):
            discarded(table, written or ())
            raise
        late = len(new.keys() - there.old.keys()) if known else 0
        changed = sum(there.old[one] != digest for one, digest in new.items() if one in there.old)
        reads = ledger.reads(piece.start, piece.end) + 1 if known else 0
        window = Window(piece.start, piece.end, Status.COMPLETE, len(new), late, changed, len(vanished), now, reads)
        after = ledger.put(window, there.seconds, rules)
        text = after.to_json()
        properties = {key_of(stream.tenant, stream.name): text}
        if there.old == new and not there.taken:
            with table.transaction() as tx:
                put_properties(tx, properties)
        else:
            if written is None:
                written = write_data_files(table, TABLES[stream.table], piece.rows)
            _replace(table, stream, piece, there, new, written, properties)
        added = len(new.keys() - there.old.keys()) + changed
        return Committed(after, text, len(new), added, late, changed, len(vanished))

    with explained(lake):
        rejects = _add_rejects(lake, stream.source, piece.rejects)
        with lake.writing(stream.table, wait=True):
            return replace(committed(lake, stream.table, attempt), rejects=rejects)


def record(
    lake: Lake,
    stream: Stream,
    start: int,
    end: int,
    status: Status,
    why: str,
    before: str | None,
    rules: Rules,
    now: int,
) -> Committed:
    """Note that a slice could not be read; its rows of before stay. Raises Moved, PfsquidError."""

    def attempt(table: Table) -> Committed:
        ledger = _begun(table, stream, before, start, end).trusted(now)
        there = there_is(table, stream, start, end, {}).seconds
        tries = max((one.reads for one in ledger.windows if one.end > start and one.start < end and one.why), default=0)
        after = ledger.put(Window(start, end, status, len(there), read_at=now, reads=tries + 1, why=why), there, rules)
        text = after.to_json()
        with table.transaction() as tx:
            put_properties(tx, {key_of(stream.tenant, stream.name): text})
        return Committed(after, text)

    with explained(lake), lake.writing(stream.table, wait=True):
        return committed(lake, stream.table, attempt)


def _begun(table: Table, stream: Stream, before: str | None, start: int, end: int) -> Ledger:
    """The ledger as it is now, with what others have read meanwhile; Moved where they read something of this slice."""
    there = table.properties.get(key_of(stream.tenant, stream.name))
    newest = Ledger.from_json(there)
    if there != before and _within(newest, start, end) != _within(Ledger.from_json(before), start, end):
        raise Moved(
            f"another pfsquid reads {stream.source}, too, and was faster; this one goes on from there",
            "one of the two is enough: pfsquid status",
        )
    return newest


def _within(ledger: Ledger, start: int, end: int) -> list[tuple[int, ...]]:
    """When each part of a span was read, and how often."""
    windows = [one for one in ledger.windows if one.end > start and one.start < end]
    return [(max(one.start, start), min(one.end, end), one.read_at, one.reads, len(one.why)) for one in windows]


def _replace(
    table: Table,
    stream: Stream,
    piece: Piece,
    there: There,
    new: Mapping[str, int],
    written: list[DataFile],
    properties: Mapping[str, str],
) -> None:
    spec = TABLES[stream.table]
    rests: list[DataFiles] = []
    try:
        for file in there.cut:
            name = name_of(file)
            prefix = next((f"{one}rest-" for one in (KEPT, MERGED) if name.startswith(one)), "")
            rests.append(DataFiles(table, spec, prefix, statistics=_statistics(spec)))
            for rows in rows_in(table, spec, file, there.deletes):
                rests[-1].add(rows.filter(pc.invert(giving_way(spec, rows, stream, piece.start, piece.end, new))))
        files = [file for rest in rests for file in rest.finish()]
    except BaseException:
        for one in rests:
            one.abandon()
        raise
    try:
        replace_files(table, [*there.gone, *there.cut], [*written, *files], properties)
    except CommitFailedException:
        discarded(table, files)
        raise


def _statistics(spec: TableSpec) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*spec.statistics, *spec.sorted_by)))


def _add_rejects(lake: Lake, source: str, rejects: list[Reject]) -> int:
    """Those that are not there yet; a slice is read again and again, its rejects are told once."""
    if not rejects:
        return 0

    def attempt(table: Table) -> int:
        numbers = {reject.offset: reject for reject in rejects}
        wanted = And(EqualTo("source", source), In("source_offset", list(numbers)))
        known = set(table.scan(row_filter=wanted, selected_fields=("source_offset",)).to_arrow()[0].to_pylist())
        new = [reject for number, reject in numbers.items() if number not in known]
        if new:
            files = write_data_files(table, TABLES["rejects"], rejects_table(source, new))
            try:
                replace_files(table, (), files)
            except CommitFailedException:
                discarded(table, files)
                raise
        return len(new)

    with lake.writing("rejects", wait=True):
        return committed(lake, "rejects", attempt)
