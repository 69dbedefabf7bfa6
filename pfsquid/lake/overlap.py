"""What a table holds where a slice of Graph is to go: found by what the manifests say, read as little as can be.

Files written for one slice hold one stream of one tenant and a span of time, and the manifests say so: most others
need not be looked into.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.conversions import from_bytes
from pyiceberg.io import FileIO
from pyiceberg.manifest import DataFile, ManifestContent, ManifestFile
from pyiceberg.table import Table
from pyiceberg.types import PrimitiveType

from collectors.entra.slices import KINDS
from pfsquid.lake.reading import rows_in
from pfsquid.lake.tables import TABLES, TableSpec

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Stream:
    """What is read: a stream of a tenant, into a table."""

    table: str
    tenant: str
    name: str

    @property
    def source(self) -> str:
        """As it stands in `rejects`."""
        return f"entra:{self.tenant}/{self.name}"


@dataclass
class There:
    """What the lake holds where a slice is to go.

    old: id → hash of the rows of the slice itself; seconds: their times. gone: files of which nothing remains; cut:
    files of which the rest is written anew. taken: rows of elsewhere that have one of its ids. deletes: have other
    engines deleted rows?
    """

    old: dict[str, int] = field(default_factory=dict)
    seconds: list[int] = field(default_factory=list)
    gone: list[DataFile] = field(default_factory=list)
    cut: list[DataFile] = field(default_factory=list)
    taken: int = 0
    deletes: bool = False


def there_is(table: Table, stream: Stream, start: int, end: int, new: Mapping[str, int]) -> There:
    """What is to give way to the slice [start, end) of a stream. new: its ids; {} where none are brought in."""
    spec, there = TABLES[stream.table], There()
    snapshot = table.current_snapshot()
    if snapshot is None:
        return there
    days = {(_EPOCH + timedelta(days=number)) for number in range(start // 86400, (end - 1) // 86400 + 1)}
    for manifest in snapshot.manifests(table.io):
        for file, deletes in _entries(_Manifest(manifest, table.io)):
            if _EPOCH + timedelta(days=file.partition[0]) not in days:
                continue
            if deletes:
                there.deletes = True
            elif _may_hold(table, spec, file, stream, start, end):
                there.cut.append(file)
    needed = [name for name in ("id", "raw", "tenant", "stream", KINDS[stream.table].time) if name in spec.arrow.names]
    for file in list(there.cut):
        mine = rows = 0
        for part in rows_in(table, spec, file, there.deletes, needed):
            mask = giving_way(spec, part, stream, start, end, new)
            found = part.filter(mask)
            inside = found.filter(_within(spec, found, stream, start, end))
            there.old.update(hashes(inside))
            times = inside[KINDS[stream.table].time].cast(pa.int64())
            there.seconds += [one // 1_000_000 for one in times.to_pylist()]
            there.taken += len(found) - len(inside)
            mine, rows = mine + len(found), rows + len(part)
        if mine in (0, rows):
            there.cut.remove(file)
        if mine == rows:
            there.gone.append(file)
    return there


def hashes(rows: pa.Table) -> dict[str, int]:
    """id → hash of the record, of this process only."""
    found: dict[str, int] = {}
    for part in rows.select(["id", "raw"]).to_batches(256):
        found.update(zip(part["id"].to_pylist(), map(hash, part["raw"].to_pylist()), strict=True))
    return found


def giving_way(
    spec: TableSpec, rows: pa.Table, stream: Stream, start: int, end: int, new: Mapping[str, int]
) -> pa.Array:
    """Which rows give way: those of the slice, and those of its ids, whatever file they came from."""
    within = _within(spec, rows, stream, start, end)
    return pc.or_(within, pc.is_in(rows["id"], pa.array(list(new), pa.string()))) if new else within


def _within(spec: TableSpec, rows: pa.Table, stream: Stream, start: int, end: int) -> pa.Array:
    times = rows[KINDS[stream.table].time].cast(pa.int64())
    found = pc.and_(pc.greater_equal(times, start * 1_000_000), pc.less(times, end * 1_000_000))
    found = pc.and_(found, pc.fill_null(pc.equal(rows["tenant"], stream.tenant), False))
    if "stream" in spec.arrow.names:
        found = pc.and_(found, pc.fill_null(pc.equal(rows["stream"], stream.name), False))
    return found


def _may_hold(table: Table, spec: TableSpec, file: DataFile, stream: Stream, start: int, end: int) -> bool:
    """May the file hold rows of the slice, or of its ids, by what the manifest says of it?"""
    first, last, _ = _bounds(table, file, KINDS[stream.table].time)
    if first is not None and (last < start * 1_000_000 or first >= end * 1_000_000):
        return False
    wanted = {"tenant": stream.tenant} | ({"stream": stream.name} if "stream" in spec.arrow.names else {})
    bounds = {name: _bounds(table, file, name) for name in wanted}
    one_only = all(low is not None and low == high and not nulls for low, high, nulls in bounds.values())
    return not one_only or all(bounds[name][0] == value for name, value in wanted.items())


def _bounds(table: Table, file: DataFile, column: str) -> tuple[Any, Any, bool]:
    """Least and greatest value, None where unknown; may there be nulls? Timestamps in microseconds."""
    there = table.schema().find_field(column)
    assert isinstance(there.field_type, PrimitiveType)
    low, high = (file.lower_bounds or {}).get(there.field_id), (file.upper_bounds or {}).get(there.field_id)
    nulls = (file.null_value_counts or {}).get(there.field_id)
    if low is None or high is None:
        return None, None, True
    return from_bytes(there.field_type, low), from_bytes(there.field_type, high), nulls is None or nulls > 0


@dataclass(frozen=True, eq=False)
class _Manifest:
    """A manifest, equal to any of its path: it is written once and never changed."""

    manifest: ManifestFile
    io: FileIO

    def __hash__(self) -> int:
        return hash(self.manifest.manifest_path)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Manifest) and other.manifest.manifest_path == self.manifest.manifest_path


@lru_cache(maxsize=32)
def _entries(of: _Manifest) -> tuple[tuple[DataFile, bool], ...]:
    """The files that a manifest names, and whether they delete rows of others."""
    deletes = of.manifest.content == ManifestContent.DELETES
    entries = of.manifest.fetch_manifest_entry(of.io, discard_deleted=True)
    return tuple((entry.data_file, deletes) for entry in entries)
