"""The rows of one data file, some at a time, in the columns that its table has today. Reads, and judges nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from pfsquid.lake.access import opened
from pfsquid.lake.tables import TableSpec

_BATCH = 4096  # rows read at a time


def rows_in(
    table: Table, spec: TableSpec, file: DataFile, deletes: bool, names: Sequence[str] = (), groups: bool = False
) -> Iterator[pa.Table]:
    """The rows of a file, some at a time. names: the columns; without any, all of today's, in their order.

    deletes: may other engines have deleted rows of it? groups: a row group at a time, for who writes them again.
    """
    columns = [spec.arrow.field(name) for name in names or spec.arrow.names]
    if deletes:
        from pfsquid.lake.engine import left_rows  # DuckDB comes with it: only where it is needed

        batches: Iterator[pa.RecordBatch] = iter(left_rows(table, [file]))
        yield from (_whole(columns, pa.Table.from_batches([batch])) for batch in batches)
        return
    with pq.ParquetFile(opened(table.io, file)) as parquet:
        there = set(parquet.schema_arrow.names)
        wanted = [one.name for one in columns if one.name in there]
        if groups:
            for number in range(parquet.num_row_groups):
                yield _whole(columns, parquet.read_row_group(number, wanted))
            return
        for batch in parquet.iter_batches(_BATCH, columns=wanted):
            yield _whole(columns, pa.Table.from_batches([batch]))


def _whole(columns: Sequence[pa.Field], rows: pa.Table) -> pa.Table:
    arrays = [
        rows[one.name].cast(one.type) if one.name in rows.column_names else pa.nulls(len(rows), one.type)
        for one in columns
    ]
    return pa.Table.from_arrays(arrays, names=[one.name for one in columns])
