"""What no question reads any more goes: old snapshots with the files that only they name, files that no commit names,
positions of logs long gone, and whole days past their retention.

A snapshot stays for as long as it was the newest one at some moment of the time that is kept, so that whoever reads it
reads on. First the table forgets, then files go: killed in between, files remain that no commit names, and go later.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from pyiceberg.manifest import DataFile
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.table.update.snapshot import ExpireSnapshots

from collectors.batch import Position
from pfsquid.lake.access import Seen, files_below, remove
from pfsquid.lake.catalog import Lake
from pfsquid.lake.commit import SECONDS, committed
from pfsquid.lake.compact import PATIENCE
from pfsquid.lake.days import held, path_of
from pfsquid.lake.ingest import POSITION
from pfsquid.lake.replace import replace_files
from pfsquid.lake.tidy import old_snapshots
from pfsquid.settings_care import ExpireSettings

_DAYS = 30  # of retention in one commit
# Least seconds of a shared lake. A collector finds out by the snapshots whether a commit without an answer came about;
# a day being compacted is written long before it is committed.
_SNAPSHOTS, _ORPHANS = 10 * SECONDS, 6 * 3600.0
_AGAIN = 3
_MANY = 500  # snapshots: more than an hour of them only where nobody cared for long


@dataclass(frozen=True)
class Expired:
    """What is to go, or went, of one table. size: bytes of the files."""

    table: str
    snapshots: tuple[int, ...] = ()
    files: tuple[str, ...] = ()
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
    for left in reversed(range(_AGAIN)):
        try:
            return _expiry(lake, name, settings, now)
        except FileNotFoundError:  # another machine cares for it, too, and was faster
            if not left:
                raise
    raise AssertionError("it is returned or raised")


def _expiry(lake: Lake, name: str, settings: ExpireSettings, now: datetime) -> Expired:
    settings = _shared(settings) if lake.remote else settings
    on_disk = _on_disk(lake.table(name))  # before the table is read: what is committed meanwhile is then known to it
    table = lake.table(name)
    if table is None:
        return Expired(name)
    old = old_snapshots(table, now - timedelta(seconds=settings.snapshots))
    kept = [one for one in table.metadata.snapshots if one.snapshot_id not in {gone.snapshot_id for gone in old}]
    before = (now - timedelta(seconds=settings.orphans)).timestamp()
    aged = {path for path, seen in on_disk.items() if seen.changed <= before}
    named = _named(table, [current] if (current := table.current_snapshot()) else [])
    if old or aged - named:  # most of the time nothing is, and then the other snapshots need not be read
        named |= _named(table, kept, named)
    # Of very many, what they name is not looked up, which takes as long as they are many times over; it ages.
    theirs = _named(table, old, named) if len(old) <= _MANY else {path_of(one.manifest_list) for one in old}
    gone = (theirs & on_disk.keys()) | aged
    files = tuple(sorted(gone - named))
    positions = _old_positions(table, now - timedelta(seconds=settings.positions))
    size = sum(on_disk[path].size for path in files)
    return Expired(name, tuple(one.snapshot_id for one in old), files, size, positions)


def expire(lake: Lake, name: str, settings: ExpireSettings, now: datetime) -> Expired:
    """Do it. Holds the table's lock meanwhile, so that no commit of this machine is under way whose files nobody names
    yet; those of others are younger than what goes of a shared lake."""
    wanted = expiry(lake, name, settings, now)
    if not wanted:
        return wanted
    with lake.writing(name, wait=PATIENCE):
        table = committed(lake, name, lambda table: _forget(table, wanted, settings, now))
        current = table.current_snapshot()
        named = _named(table, [current] if current else [])
        remove(table.io, [path for path in wanted.files if path not in named])
    return wanted


def _shared(settings: ExpireSettings) -> ExpireSettings:
    """Of a lake that other machines write to, whose commits no lock here tells of: what they may yet need stays."""
    return settings.model_copy(
        update={"snapshots": max(settings.snapshots, _SNAPSHOTS), "orphans": max(settings.orphans, _ORPHANS)}
    )


def _forget(table: Table, wanted: Expired, settings: ExpireSettings, now: datetime) -> Table:
    """Commit: snapshots and positions are no more. Those that are already gone, or were written again, stay out."""
    still = _old_positions(table, now - timedelta(seconds=settings.positions)) if wanted.positions else ()
    positions = [key for key in wanted.positions if key in still]
    there = {one.snapshot_id for one in table.metadata.snapshots}
    protected = {ref.snapshot_id for ref in table.metadata.refs.values()}
    snapshots = [one for one in wanted.snapshots if one in there - protected]
    with table.transaction() as tx:
        if positions:
            tx.remove_properties(*positions)
        if snapshots:
            ExpireSnapshots(tx).by_ids(snapshots).commit()
    return table


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
        days = set(wanted.days[begin : begin + _DAYS])
        with lake.writing(name, wait=PATIENCE):
            committed(lake, name, lambda table, days=days: _delete(table, days))  # type: ignore[misc]
    return wanted


def _delete(table: Table, days: Set[date]) -> None:
    replace_files(table, [file for day, there in held(table).items() if day in days for file in there.files], ())


def _old_positions(table: Table, before: datetime) -> tuple[str, ...]:
    """The properties of positions that say that they were read before that moment; those that do not say stay."""
    found = []
    for key, value in table.properties.items():
        if key.startswith(POSITION):
            read_at = Position.from_json(value).read_at
            if read_at and datetime.fromisoformat(read_at).astimezone(UTC) < before:
                found.append(key)
    return tuple(found)


def _on_disk(table: Table | None) -> dict[str, Seen]:
    """The table's files, as they are now."""
    found: dict[str, Seen] = {}
    if table is not None:
        for folder in ("data", "metadata"):
            found.update(files_below(table.io, f"{path_of(table.location())}/{folder}"))
    return found


def _named(table: Table, snapshots: list[Snapshot], known: Set[str] | None = None) -> set[str]:
    """Every file that these snapshots name. known: files, manifests among them, that need not be looked into; without
    it, also the files that the table's metadata names."""
    named: set[str] = set()
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
