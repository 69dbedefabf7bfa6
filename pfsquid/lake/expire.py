"""What no question reads any more goes: old snapshots with the files that only they name, files that no commit names,
positions of logs long gone, and whole days past their retention.

A snapshot stays for as long as it was the newest one at some moment of the time that is kept, so that whoever reads it
reads on. First the table forgets, then files go: killed in between, files remain that no commit names, and go later.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from pyiceberg.manifest import DataFile
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.table.update.snapshot import ExpireSnapshots

from collectors.batch import Position
from pfsquid.lake.catalog import Lake
from pfsquid.lake.compact import PATIENCE
from pfsquid.lake.days import held, path_of
from pfsquid.lake.ingest import POSITION
from pfsquid.lake.replace import replace_files
from pfsquid.settings_care import ExpireSettings

_DAYS = 30  # of retention in one commit
_MANY = 500  # snapshots: more than an hour of them only where nobody cared for long


@dataclass(frozen=True)
class Expired:
    """What is to go, or went, of one table. size: bytes of the files."""

    table: str
    snapshots: tuple[int, ...] = ()
    files: tuple[Path, ...] = ()
    size: int = 0
    positions: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.snapshots or self.files or self.positions)


@dataclass(frozen=True)
class Outdated:
    """Days of one table that are past their retention."""

    table: str
    days: tuple[date, ...]
    files: tuple[DataFile, ...]

    @property
    def rows(self) -> int:
        """Rows in them."""
        return sum(file.record_count for file in self.files)


def expiry(lake: Lake, name: str, settings: ExpireSettings, now: datetime) -> Expired:
    """What there is to expire in a table now. Changes nothing."""
    on_disk = _on_disk(lake.table(name))  # before the table is read: what is committed meanwhile is then known to it
    table = lake.table(name)
    if table is None:
        return Expired(name)
    old = _old_snapshots(table, now - timedelta(seconds=settings.snapshots))
    kept = [one for one in table.metadata.snapshots if one.snapshot_id not in {gone.snapshot_id for gone in old}]
    before = (now - timedelta(seconds=settings.orphans)).timestamp()
    aged = {path for path, changed in on_disk.items() if changed <= before}
    named = _named(table, [current] if (current := table.current_snapshot()) else [])
    if old or aged - named:  # most of the time nothing is, and then the other snapshots need not be read
        named |= _named(table, kept, named)
    # Of very many, what they name is not looked up, which takes as long as they are many times over; it ages.
    theirs = _named(table, old, named) if len(old) <= _MANY else {path_of(one.manifest_list) for one in old}
    gone = (theirs & on_disk.keys()) | aged
    files = tuple(sorted(gone - named))
    positions = _old_positions(table, now - timedelta(seconds=settings.positions))
    size = sum(_size(path) for path in files)
    return Expired(name, tuple(one.snapshot_id for one in old), files, size, positions)


def expire(lake: Lake, name: str, settings: ExpireSettings, now: datetime) -> Expired:
    """Do it. Holds the table's lock meanwhile, so that no commit is under way whose files nobody names yet."""
    wanted = expiry(lake, name, settings, now)
    if not wanted:
        return wanted
    with lake.writing(name, wait=PATIENCE):
        table = lake.made_table(name)
        _forget(table, wanted)
        current = table.current_snapshot()
        named = _named(table, [current] if current else [])
        for path in wanted.files:
            if path not in named:
                path.unlink(missing_ok=True)
    return wanted


def _forget(table: Table, wanted: Expired) -> None:
    """Commit: snapshots and positions are no more. Those that are already gone, or were written again, stay out."""
    positions = [key for key in wanted.positions if key in table.properties]
    there = {one.snapshot_id for one in table.metadata.snapshots}
    protected = {ref.snapshot_id for ref in table.metadata.refs.values()}
    snapshots = [one for one in wanted.snapshots if one in there - protected]
    with table.transaction() as tx:
        if positions:
            tx.remove_properties(*positions)
        if snapshots:
            ExpireSnapshots(tx).by_ids(snapshots).commit()


def outdated(lake: Lake, name: str, keep: float | None, now: datetime) -> Outdated:
    """The days of a table that ended more than `keep` seconds ago. Changes nothing."""
    if keep is None:
        return Outdated(name, (), ())
    last = (now - timedelta(seconds=keep)).date()
    old = [there for day, there in held(lake.table(name)).items() if day is not None and day < last]
    days = tuple(there.day for there in old if there.day is not None)
    return Outdated(name, days, tuple(file for there in old for file in there.files))


def delete_outdated(lake: Lake, name: str, keep: float | None, now: datetime) -> Outdated:
    """Do it: the rows are gone from the table; their files go with the snapshots that still name them."""
    wanted = outdated(lake, name, keep, now)
    for begin in range(0, len(wanted.days), _DAYS):
        with lake.writing(name, wait=PATIENCE):
            table = lake.made_table(name)
            days = set(wanted.days[begin : begin + _DAYS])
            replace_files(
                table, [file for day, there in held(table).items() if day in days for file in there.files], ()
            )
    return wanted


def _old_snapshots(table: Table, before: datetime) -> list[Snapshot]:
    """The snapshots that another one had followed before that moment."""
    line = sorted(table.metadata.snapshots, key=lambda one: (one.sequence_number or 0, one.timestamp_ms))
    protected = {ref.snapshot_id for ref in table.metadata.refs.values()}
    limit = before.timestamp() * 1000
    return [
        one for one, follower in pairwise(line) if follower.timestamp_ms <= limit and one.snapshot_id not in protected
    ]


def _old_positions(table: Table, before: datetime) -> tuple[str, ...]:
    """The properties of positions that say that they were read before that moment; those that do not say stay."""
    found = []
    for key, value in table.properties.items():
        if key.startswith(POSITION):
            read_at = Position.from_json(value).read_at
            if read_at and datetime.fromisoformat(read_at).astimezone(UTC) < before:
                found.append(key)
    return tuple(found)


def _on_disk(table: Table | None) -> dict[Path, float]:
    """The table's files, and when each was last written (seconds since the epoch)."""
    found: dict[Path, float] = {}
    if table is not None:
        for folder in ("data", "metadata"):
            for path in _files(path_of(table.location()) / folder):
                try:
                    found[path] = path.stat().st_mtime
                except FileNotFoundError:  # gone meanwhile: metadata of old
                    continue
    return found


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else iter(())


def _named(table: Table, snapshots: list[Snapshot], known: Set[Path] | None = None) -> set[Path]:
    """Every file that these snapshots name. known: files, manifests among them, that need not be looked into; without
    it, also the files that the table's metadata names."""
    named: set[Path] = set()
    if known is None:
        named.add(path_of(table.metadata_location))
        named.update(path_of(entry.metadata_file) for entry in table.metadata.metadata_log)
        named.update(path_of(one.statistics_path) for one in table.metadata.statistics)
        named.update(path_of(one.statistics_path) for one in table.metadata.partition_statistics)
    for snapshot in snapshots:
        named.add(path_of(snapshot.manifest_list))
        for manifest in snapshot.manifests(table.io):
            path = path_of(manifest.manifest_path)
            if path not in named and path not in (known or ()):
                named.add(path)
                entries = manifest.fetch_manifest_entry(table.io, discard_deleted=True)
                named.update(path_of(entry.data_file) for entry in entries)
    return named


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
