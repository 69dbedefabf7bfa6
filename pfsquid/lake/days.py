"""What a table holds at one moment, by day: its data files, what was deleted from them, and a mark of it all.

Read from the manifests of one snapshot, so that it is one state, whatever others commit meanwhile.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from pyiceberg.manifest import DataFile, ManifestContent, ManifestEntry
from pyiceberg.table import Table

from pfsquid.lake.access import located
from pfsquid.lake.files import KEPT, MERGED

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Held:
    """The files of one day (None: of a table without days). deletes: Iceberg's delete files in force. newest: when a
    collector last added a file, as far as the snapshots still tell; else the epoch."""

    day: date | None
    files: tuple[DataFile, ...] = ()
    deletes: tuple[DataFile, ...] = ()
    newest: datetime = datetime(1970, 1, 1, tzinfo=UTC)

    @property
    def rows(self) -> int:
        """Rows in the files; those that delete files take away are counted, too."""
        return sum(file.record_count for file in self.files)

    @property
    def size(self) -> int:
        """Bytes of the data files."""
        return sum(file.file_size_in_bytes for file in self.files)

    @property
    def mark(self) -> str:
        """Changes whenever rows of the day do: a digest of the names of its files, which are never written twice."""
        names = sorted(name_of(file) for file in (*self.files, *self.deletes))
        return hashlib.sha256("\n".join(names).encode()).hexdigest()[:24]


def path_of(file: DataFile | str) -> str:
    """Where a file lies: a path of this machine, or s3://BUCKET/KEY."""
    return located(file)


def name_of(file: DataFile | str) -> str:
    """A file's name without its folder."""
    return located(file).rpartition("/")[2]


def held(table: Table | None) -> dict[date | None, Held]:
    """What the table's newest snapshot holds, day by day, in order; {} where there is no table or nothing in it."""
    snapshot = table.current_snapshot() if table else None
    if table is None or snapshot is None:
        return {}
    when = {one.snapshot_id: one.timestamp_ms for one in table.metadata.snapshots}
    files: dict[date | None, list[ManifestEntry]] = {}
    deletes: dict[date | None, list[ManifestEntry]] = {}
    for manifest in snapshot.manifests(table.io):
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
            day = _day(entry.data_file)
            if manifest.content == ManifestContent.DELETES:
                deletes.setdefault(day, []).append(entry)
            else:
                files.setdefault(day, []).append(entry)
    return {
        day: Held(
            day,
            tuple(entry.data_file for entry in files[day]),
            _in_force(deletes.get(day, ()), files[day]),
            _newest(files[day], when),
        )
        for day in sorted(files, key=lambda day: day or _EPOCH)
    }


def _day(file: DataFile) -> date | None:
    return _EPOCH + timedelta(days=file.partition[0]) if len(file.partition) else None


def _in_force(deletes: Iterable[ManifestEntry], files: Iterable[ManifestEntry]) -> tuple[DataFile, ...]:
    """The delete files that may take a row away: one concerns what was there before it (Iceberg's sequence numbers)."""
    oldest = min(entry.sequence_number or 0 for entry in files)
    return tuple(entry.data_file for entry in deletes if (entry.sequence_number or 0) >= oldest)


def _newest(entries: Iterable[ManifestEntry], when: Mapping[int, int]) -> datetime:
    collected = [entry for entry in entries if not name_of(entry.data_file).startswith((KEPT, MERGED))]
    newest = max((when.get(entry.snapshot_id or 0, 0) for entry in collected), default=0)
    return datetime.fromtimestamp(newest / 1000, UTC)
