"""One row gives way: the file that holds it is written anew without it, a row group at a time, whatever its size.

pyiceberg's `delete` reads each file that may hold the row into memory, and a file that care has made holds a day.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.expressions import And, EqualTo
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from pfsquid.lake.access import opened
from pfsquid.lake.days import name_of
from pfsquid.lake.files import DataFiles
from pfsquid.lake.reading import rows_in
from pfsquid.lake.tables import TableSpec

_UUID = len("xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx.parquet")  # with which DataFiles ends a name


def without_row(table: Table, spec: TableSpec, source: str, offset: int) -> tuple[list[DataFile], list[DataFile]]:
    """The files that hold the row of a source at an offset, and what to commit in their place. ([], []) where there is
    none. A new file has the old one's beginning of a name, so that care takes it for what it was. Raises OSError."""
    gone: list[DataFile] = []
    new: list[DataFile] = []
    row = And(EqualTo("source", source), EqualTo("source_offset", offset))
    for task in table.scan(row_filter=row).plan_files():
        if not _holds(table, task.file, source, offset):
            continue
        name = name_of(task.file)
        statistics = tuple(dict.fromkeys((*spec.statistics, *spec.sorted_by))) if name[:-_UUID] else spec.statistics
        files = DataFiles(table, spec, name[:-_UUID], statistics=statistics)
        try:
            for rows in rows_in(table, spec, task.file, bool(task.delete_files), groups=True):
                files.add(rows.filter(pc.invert(_is(rows, source, offset))))
            new += files.finish()
        except BaseException:
            files.abandon()
            raise
        gone.append(task.file)
    return gone, new


def _holds(table: Table, file: DataFile, source: str, offset: int) -> bool:
    """Does it? By its two columns alone, and of these the row groups whose statistics leave it open."""
    names = ["source", "source_offset"]
    with pq.ParquetFile(opened(table.io, file)) as parquet:
        columns = {parquet.schema.column(number).path: number for number in range(len(parquet.schema))}
        for number in range(parquet.num_row_groups):
            bounds = parquet.metadata.row_group(number).column(columns["source_offset"]).statistics
            if bounds is not None and bounds.has_min_max and not bounds.min <= offset <= bounds.max:
                continue
            if pc.any(_is(parquet.read_row_group(number, names), source, offset)).as_py():
                return True
    return False


def _is(rows: pa.Table, source: str, offset: int) -> pa.ChunkedArray:
    return pc.and_(pc.equal(rows["source"], source), pc.equal(rows["source_offset"], offset))
