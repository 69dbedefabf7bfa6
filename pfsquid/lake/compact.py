"""Many small data files become few large ones, sorted by what questions ask for; a day at a time, a commit each.

Files are read and written without the table's lock, which is held for the commit alone: what others append meanwhile
stays. Where others changed the very files (a row was replaced or deleted), the day is begun again.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

import pyarrow as pa
from pyiceberg.exceptions import ValidationException
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from pfsquid.lake.access import remove
from pfsquid.lake.catalog import Lake
from pfsquid.lake.commit import Busy, committed, made
from pfsquid.lake.days import Held, held, name_of
from pfsquid.lake.engine import engine, rows_of
from pfsquid.lake.files import KEPT, MERGED, DataFiles
from pfsquid.lake.replace import MANIFESTS, manifests, replace_files
from pfsquid.lake.sorting import sorted_rows
from pfsquid.lake.tables import TABLES, TableSpec
from pfsquid.lake.windows import waiting_days
from pfsquid.settings_care import MB, CompactSettings

LEVEL = 3  # of zstd: a compacted file is written once and read often
TRIES = 3
PATIENCE = 60.0  # seconds to wait for a collector's commit
# Of a day whose slices are yet to be read again, only small files are merged: what is replaced is then little.
_WAITING_ROWS = 2000
_WORTH = 20  # late rows are sorted into their day where they are more than one in so many


@dataclass(frozen=True)
class Merge:
    """Files of one table and day that become few. whole: all of the day's, which then are sorted throughout."""

    table: str
    held: Held
    whole: bool

    @property
    def day(self) -> date | None:
        """The day; None of a table without days."""
        return self.held.day


@dataclass(frozen=True)
class Merged:
    """What came of a merge: number of files before and after, their bytes, and the rows in them."""

    table: str
    day: date | None
    files: tuple[int, int]
    size: tuple[int, int]
    rows: int


def merges(lake: Lake, name: str, settings: CompactSettings, now: datetime, everything: bool = False) -> list[Merge]:
    """What there is to merge in a table now. everything: also the days that are not quiet yet."""
    table = lake.table(name)
    if table is None:
        return []
    quiet = now if everything else now - timedelta(seconds=settings.quiet)
    waiting = set() if everything else waiting_days(table)
    found = []
    for day, there in held(table).items():
        over = day is not None and day < now.date() and there.newest <= quiet and day not in waiting
        if over and _is_loose(there, settings):
            found.append(Merge(name, there, whole=True))
        elif files := _class_of_many(there, settings, _WAITING_ROWS if day in waiting else None):
            found.append(Merge(name, Held(day, files, there.deletes), whole=False))
    return found


def merge(lake: Lake, wanted: Merge, settings: CompactSettings) -> Merged | None:
    """Do one. None where others keep changing the very files; the next time will do. Raises OSError, PfsquidError."""
    spec = TABLES[wanted.table]
    for _ in range(TRIES):
        table = made(lake, wanted.table)
        now = _as_it_is(table, wanted)
        if now is None:
            return None
        new = _written(lake, table, spec, now, settings.file_size * MB, KEPT if wanted.whole else MERGED)
        if _committed(lake, wanted, now, new):
            return Merged(
                wanted.table,
                wanted.day,
                (len(now.files), len(new)),
                (now.size, sum(file.file_size_in_bytes for file in new)),
                sum(file.record_count for file in new),
            )
    return None


def merge_manifests(lake: Lake, name: str) -> int:
    """Write a table's manifests anew where they are many; how many they were, or 0."""
    table = lake.table(name)
    if table is None or manifests(table) <= 3 * MANIFESTS:
        return 0

    def attempt(table: Table) -> int:
        before = manifests(table)
        replace_files(table, (), ())
        return before

    with lake.writing(name, wait=PATIENCE):
        return committed(lake, name, attempt)


def _is_loose(there: Held, settings: CompactSettings) -> bool:
    """Is the day other than one compaction leaves it, by more than a few late rows?"""
    loose = [file for file in there.files if not _run(file)]
    if there.deletes or len({_run(file) for file in there.files} - {""}) > 1:
        return True
    rows = sum(file.record_count for file in loose)
    return rows * _WORTH > there.rows or len(loose) >= settings.files


def _run(file: DataFile) -> str:
    """Which compaction of a whole day wrote the file; '' where none did."""
    name = name_of(file)
    return name.removeprefix(KEPT).split("-")[0] if name.startswith(KEPT) else ""


def _class_of_many(there: Held, settings: CompactSettings, most: int | None = None) -> tuple[DataFile, ...]:
    """The largest set of files of one size class that is large enough to be merged, or (). most: rows of each.

    A class is a power of the number of files: so each row is written again a few times only, however many files come.
    """
    small = [f for f in there.files if f.file_size_in_bytes < settings.file_size * MB // 2 and not _run(f)]
    if most is not None:
        small = [f for f in small if f.record_count < most]

    def size_class(file: DataFile) -> int:
        return int(math.log(max(file.record_count, 1), settings.files))

    classes = [tuple(files) for _, files in groupby(sorted(small, key=size_class), size_class)]
    return max((files for files in classes if len(files) >= settings.files), key=len, default=())


def _as_it_is(table: Table, wanted: Merge) -> Held | None:
    """The files of a merge as they are now: of a whole day all that there are, else those that are still there."""
    there = held(table).get(wanted.day)
    if there is None or wanted.whole:
        return there
    names = {file.file_path for file in wanted.held.files}
    files = tuple(file for file in there.files if file.file_path in names)
    return Held(wanted.day, files, there.deletes) if len(files) > 1 else None


def _written(lake: Lake, table: Table, spec: TableSpec, now: Held, size: int, prefix: str) -> list[DataFile]:
    """The rows, sorted, in files of at most about `size` bytes. Nothing remains of them where that fails."""
    prefix = run_prefix(prefix)
    done: list[DataFile] = []
    files = sorted_files(table, spec, prefix)
    try:
        for rows in _sorted(lake, table, spec, now):
            files.add(rows)
            if files.size >= size:
                done += files.finish()
                files = sorted_files(table, spec, prefix)
        return done + files.finish()
    except BaseException:
        files.abandon()
        remove(table.io, [file.file_path for file in done])
        raise


def run_prefix(kind: str) -> str:
    """How the names of the files of one run begin."""
    return f"{kind}{uuid.uuid4().hex[:12]}-"


def sorted_files(table: Table, spec: TableSpec, prefix: str) -> DataFiles:
    """Files for rows that come in the spec's order, with the statistics by which a reader leaves out parts of them."""
    statistics = tuple(dict.fromkeys((*spec.statistics, *spec.sorted_by)))
    return DataFiles(table, spec, prefix, LEVEL, statistics)


def _sorted(lake: Lake, table: Table, spec: TableSpec, now: Held) -> Iterator[pa.Table]:
    with engine(lake.folder) as on:
        rows_of(on.connection, "held", table, spec, now)
        yield from sorted_rows(on.connection, "held", spec.sorted_by, now.rows, on.spill)


def _committed(lake: Lake, wanted: Merge, before: Held, new: list[DataFile]) -> bool:
    """Put the new files in the place of the old ones, if these are still what they were; else remove the new ones."""

    def attempt(table: Table) -> bool:
        there = held(table).get(wanted.day)
        if there is None or there.deletes != before.deletes:
            return False
        replace_files(table, before.files, new)
        return True

    try:
        with lake.writing(wanted.table, wait=PATIENCE):
            if committed(lake, wanted.table, attempt):
                return True
    except ValidationException:
        pass  # nothing was committed: one of them is gone
    except Busy:
        raise  # it may yet come about; files that no commit names go when they are old
    except BaseException:
        discard(lake, wanted.table, new)
        raise
    remove(lake.made_table(wanted.table).io, [file.file_path for file in new])
    return False


def discard(lake: Lake, name: str, new: list[DataFile]) -> None:
    """Remove what a commit that failed was to name, unless it failed after the commit, or nobody can tell."""
    with suppress(Exception):
        table = lake.made_table(name)
        named = {file.file_path for there in held(table).values() for file in there.files}
        remove(table.io, [file.file_path for file in new if file.file_path not in named])
