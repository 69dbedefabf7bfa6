"""Arrow rows → Parquet data files of an Iceberg table, written our way, and what Iceberg must know of them.

Written here and not by pyiceberg's `append` for speed and memory: a file a day grows batch by batch, statistics stand
only where they serve, dictionaries are kept as they come, numbers are held by their differences, zstd is at level 1.
Files are only written here; a commit makes them part of the table.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.io.pyarrow import parquet_file_to_data_file
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table
from pyiceberg.types import MapType

from pfsquid.lake.tables import TableSpec

ROW_GROUP = 1_000_000
PAGE = 4 * 1024 * 1024  # bytes: few pages, as a question reads whole columns of a row group
# How the names of files begin that the care of the lake wrote: a whole day, sorted; some files of a day merged.
KEPT, MERGED = "day-", "merged-"


@dataclass(frozen=True)
class _Open:
    path: str
    stream: Any
    writer: pq.ParquetWriter


class DataFiles:
    """Data files being written for one commit, one for each day.

    `add` rows as often as wanted, then `finish` for what to commit, or `abandon` all of it. Raises OSError where the
    folder cannot be written. prefix: how the files' names begin. level: of zstd. statistics: columns whose minimum and
    maximum each row group keeps; without it, those of the spec.
    """

    def __init__(
        self, table: Table, spec: TableSpec, prefix: str = "", level: int = 1, statistics: tuple[str, ...] = ()
    ) -> None:
        self._table, self._spec = table, spec
        self._prefix, self._level, self._statistics = prefix, level, statistics or spec.statistics
        self._open: dict[date | None, _Open] = {}

    def add(self, rows: pa.Table) -> None:
        """Append rows (columns in the spec's order, texts plain or as dictionaries) as a row group for each day."""
        for day, part in _by_day(self._spec, rows):
            part = _numbered(self._table, self._spec, part.unify_dictionaries())
            if day not in self._open:
                self._open[day] = self._opened(part.schema)
            self._open[day].writer.write_table(part.cast(self._open[day].writer.schema), row_group_size=ROW_GROUP)

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return sum(one.stream.tell() for one in self._open.values())

    def finish(self) -> list[DataFile]:
        """Close the files; what a commit must name."""
        for one in self._open.values():
            one.writer.close()
            one.stream.close()
        paths = [one.path for one in self._open.values()]
        self._open.clear()
        return [parquet_file_to_data_file(self._table.io, self._table.metadata, path) for path in paths]

    def abandon(self) -> None:
        """Close and delete what was begun; an error in that is of no interest beside the one that led here."""
        for one in self._open.values():
            for step in (one.writer.close, one.stream.close, lambda path=one.path: self._table.io.delete(path)):
                with suppress(Exception):
                    step()
        self._open.clear()

    def _opened(self, schema: pa.Schema) -> _Open:
        spec = self._spec
        texts = [_leaf(field) for field in spec.arrow if not pa.types.is_primitive(field.type)]
        numbers = [field.name for field in spec.arrow if _is_number(field.type)]
        path = f"{self._table.location()}/data/{self._prefix}{uuid.uuid4()}.parquet"
        stream = self._table.io.new_output(path).create()
        writer = pq.ParquetWriter(
            stream,
            schema,
            compression="zstd",
            compression_level=self._level,
            use_dictionary=[name for name in texts if name not in spec.unlike],
            column_encoding=dict.fromkeys(numbers, "DELTA_BINARY_PACKED"),
            data_page_size=PAGE,
            write_statistics=list(self._statistics),
            store_schema=False,
        )
        return _Open(path, stream, writer)


def write_data_files(table: Table, spec: TableSpec, rows: pa.Table) -> list[DataFile]:
    """Write `rows` alone as one file a day; returns what to commit. Raises OSError."""
    files = DataFiles(table, spec)
    try:
        files.add(rows)
        return files.finish()
    except BaseException:
        files.abandon()
        raise


def _by_day(spec: TableSpec, rows: pa.Table) -> Iterator[tuple[date | None, pa.Table]]:
    """The rows of each day; texts are decoded where a day is a part of the rows, since a part would carry the
    dictionaries of the whole."""
    if len(rows) == 0:
        return
    if spec.by_day is None:
        yield None, rows
        return
    span = pc.min_max(rows[spec.by_day])
    first, last = (pc.floor_temporal(span[name], unit="day") for name in ("min", "max"))
    if first == last:  # as nearly always; to ask each row for its day takes a tenth of all
        yield _date(first.as_py()), rows
        return
    days = pc.floor_temporal(rows[spec.by_day], unit="day")
    distinct = pc.unique(days).sort()
    for day in distinct:
        yield _date(day.as_py()), _decoded(rows.filter(pc.equal(days, day)))


def _date(value: date | datetime) -> date:
    return value.date() if isinstance(value, datetime) else value


def _decoded(rows: pa.Table) -> pa.Table:
    for number, field in enumerate(rows.schema):
        if pa.types.is_dictionary(field.type):
            rows = rows.set_column(number, field.name, rows.column(number).cast(field.type.value_type))
    return rows


def _is_number(kind: pa.DataType) -> bool:
    """A whole number, or a time, which Parquet holds as one."""
    return bool(pa.types.is_integer(kind) or pa.types.is_temporal(kind))


def _leaf(field: pa.Field) -> str:
    """Under which name Parquet knows the column; of a map its keys, which repeat."""
    return f"{field.name}.key_value.key" if pa.types.is_map(field.type) else field.name


def _numbered(table: Table, spec: TableSpec, rows: pa.Table) -> pa.Table:
    """The rows with the table's field numbers, and with the spec's nullability."""
    fields, columns = [], []
    for wanted, column in zip(spec.arrow, rows.columns, strict=True):
        there = table.schema().find_field(wanted.name)
        kind = column.type
        if isinstance(there.field_type, MapType):
            key, value = (_numbers(number) for number in (there.field_type.key_id, there.field_type.value_id))
            kind = pa.map_(
                pa.field("key", kind.key_type, nullable=False, metadata=key),
                pa.field("value", kind.item_type, metadata=value),
            )
            column = column.cast(kind)
        fields.append(pa.field(wanted.name, kind, wanted.nullable, _numbers(there.field_id)))
        columns.append(column)
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def _numbers(number: int) -> dict[bytes, bytes]:
    return {b"PARQUET:field_id": str(number).encode()}
