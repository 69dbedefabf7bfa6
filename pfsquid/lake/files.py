"""Arrow rows → Parquet data files of an Iceberg table, written our way, and what Iceberg must know of them.

Written here and not by pyiceberg's `append` for speed: statistics only where they serve, dictionaries kept, zstd 1
(`facts`: 2.7 s against 1.5 s for 2 M rows). Files are only written; a commit makes them part of the table.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.io.pyarrow import parquet_file_to_data_file
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from pfsquid.lake.tables import TableSpec

ROW_GROUP = 1_000_000


def write_data_files(table: Table, spec: TableSpec, rows: pa.Table) -> list[DataFile]:
    """Write `rows` (columns in the spec's order, texts plain or as dictionaries) as one file a day.

    Returns what to commit. Raises OSError where the folder cannot be written; files begun are left unreferenced.
    """
    numbered = _numbered(spec)
    return [_write(table, spec, part, numbered) for part in _by_day(spec, rows) if len(part)]


def _by_day(spec: TableSpec, rows: pa.Table) -> Iterator[pa.Table]:
    if spec.by_day is None or len(rows) == 0:
        yield rows
        return
    days = pc.floor_temporal(rows[spec.by_day], unit="day")
    distinct = pc.unique(days)
    if len(distinct) == 1:
        yield rows
        return
    for day in distinct.sort():
        # A part of a batch would carry the dictionaries of the whole: encode anew.
        yield _plain(rows.filter(pc.equal(days, day)))


def _plain(rows: pa.Table) -> pa.Table:
    for number, field in enumerate(rows.schema):
        if pa.types.is_dictionary(field.type):
            decoded = rows.column(number).cast(field.type.value_type)
            rows = rows.set_column(number, field.name, decoded)
    return rows


def _numbered(spec: TableSpec) -> list[dict[bytes, bytes]]:
    return [{b"PARQUET:field_id": str(number).encode()} for number in range(1, len(spec.arrow) + 1)]


def _write(table: Table, spec: TableSpec, rows: pa.Table, numbered: list[dict[bytes, bytes]]) -> DataFile:
    rows = rows.unify_dictionaries()
    fields = [
        pa.field(wanted.name, have.type, nullable=wanted.nullable, metadata=number)
        for wanted, have, number in zip(spec.arrow, rows.schema, numbered, strict=True)
    ]
    rows = pa.Table.from_arrays(rows.columns, schema=pa.schema(fields))
    texts = [field.name for field in spec.arrow if pa.types.is_string(field.type) or pa.types.is_binary(field.type)]
    path = f"{table.location()}/data/{uuid.uuid4()}.parquet"
    with table.io.new_output(path).create() as stream:
        pq.write_table(
            rows,
            stream,
            row_group_size=ROW_GROUP,
            compression="zstd",
            compression_level=1,
            use_dictionary=[name for name in texts if name not in spec.unlike],
            write_statistics=list(spec.statistics),
            store_schema=False,
        )
    return parquet_file_to_data_file(table.io, table.metadata, path)
