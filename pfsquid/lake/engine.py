"""DuckDB for the care of the lake: little memory, what does not fit goes to a folder beside the tables.

Reads the files that it is told of, and gives rows back as Arrow; it writes nothing of the lake.
"""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from pfsquid.lake.access import S3
from pfsquid.lake.days import Held, path_of
from pfsquid.lake.memory import give_back, use_little
from pfsquid.lake.tables import TableSpec

MEMORY = "100MB"  # DuckDB's own; with Python, Arrow and a row group being written a process stays under 400 MB
_SPILL = ".spill-"
_SQL_TYPES = {
    pa.string(): "VARCHAR",
    pa.binary(): "BLOB",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.bool_(): "BOOLEAN",
    pa.date32(): "DATE",
    pa.timestamp("us", tz="UTC"): "TIMESTAMPTZ",
}


@dataclass(frozen=True)
class Engine:
    """A connection, and a folder for what does not fit into memory."""

    connection: duckdb.DuckDBPyConnection
    spill: Path


@contextmanager
def engine(folder: Path) -> Iterator[Engine]:
    """An engine for one deed in the lake's `folder`. Raises OSError where the disk is full or cannot be written."""
    use_little()
    with tempfile.TemporaryDirectory(prefix=_SPILL, dir=folder) as spill:
        config: dict[str, str | bool | int | float | list[str]] = {
            "temp_directory": spill,
            "memory_limit": MEMORY,
            "threads": 1,
            "enable_external_file_cache": False,
        }
        connection = duckdb.connect(":memory:", config=config)
        try:
            connection.execute("SET TimeZone='UTC'")
            yield Engine(connection, Path(spill))
        except (duckdb.IOException, duckdb.OutOfMemoryException) as exc:
            if shutil.disk_usage(folder).free < 64 << 20 or "No space left" in str(exc):
                raise OSError(errno.ENOSPC, "No space left on device") from exc
            raise OSError(errno.EIO, str(exc).partition("\n")[0]) from exc
        except duckdb.Error as exc:  # what S3 refused comes as a fault of DuckDB's own
            if told := [line for line in str(exc).splitlines() if "AWS Error" in line]:
                raise OSError(errno.EIO, told[0]) from exc
            raise
        finally:
            connection.close()
            give_back()


def swept(folder: Path) -> None:
    """Remove what engines of killed processes left in the lake's folder. Only where no other cares for the lake."""
    for spill in folder.glob(f"{_SPILL}*"):
        shutil.rmtree(spill, ignore_errors=True)


def select(spec: TableSpec, paths: Sequence[str], *others: str) -> str:
    """SQL that selects the spec's columns from Parquet files and from `others`, which the connection knows by name.

    Columns that files of an older pfsquid lack are null.
    """
    nulls = ", ".join(f'CAST(NULL AS {_sql_type(field.type)}) AS "{field.name}"' for field in spec.arrow)
    parts = [f"SELECT {nulls} WHERE false", *(f"SELECT * FROM {one}" for one in others)]
    if paths:
        listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
        parts.append(f"SELECT * FROM read_parquet([{listed}], union_by_name=true)")
    names = ", ".join(f'"{name}"' for name in spec.arrow.names)
    return f"SELECT {names} FROM ({' UNION ALL BY NAME '.join(parts)})"


def _sql_type(kind: pa.DataType) -> str:
    if pa.types.is_map(kind):
        return f"MAP({_sql_type(kind.key_type)}, {_sql_type(kind.item_type)})"
    return _SQL_TYPES[kind]


def rows_of(connection: duckdb.DuckDBPyConnection, name: str, table: Table, spec: TableSpec, held: Held) -> None:
    """Make a view of a day's rows, for one query. Where rows were deleted from the files, pyiceberg leaves them out."""
    if not held.deletes:
        if held.files and path_of(held.files[0]).startswith(S3):
            from pfsquid.lake.duck_files import duck_filesystem  # what it needs is not needed for a folder

            duck_filesystem(connection).learn(table.io, held.files)
        sql = select(spec, [path_of(file) for file in held.files])
    else:
        connection.register("left_rows", left_rows(table, held.files))
        sql = select(spec, [], "left_rows")
    connection.execute(f"CREATE VIEW {name} AS {sql}")


def left_rows(table: Table, files: Sequence[DataFile]) -> pa.RecordBatchReader:
    """The rows of some files of the newest snapshot without those that its delete files take away."""
    wanted = {file.file_path for file in files}
    tasks = [task for task in table.scan().plan_files() if task.file.file_path in wanted]
    schema = table.schema()
    batches = ArrowScan(table.metadata, table.io, schema, AlwaysTrue()).to_record_batches(tasks)
    first = next(batches, None)
    if first is None:
        return pa.RecordBatchReader.from_batches(schema.as_arrow(), [])
    return pa.RecordBatchReader.from_batches(first.schema, _chained(first, batches))


def _chained(first: pa.RecordBatch, others: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    for batch in others:
        yield batch.cast(first.schema)
