"""More rows than memory holds, in order: first dealt out to ranges of the key, on disk, then sorted range by range.

Done with Arrow, since DuckDB's own sort of wide rows fails where it may have a few hundred MB only (tried: 2.0.0).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from pfsquid.lake.memory import give_back

ROWS = 49_152  # sorted in memory at a time, and in a row group
PIECE = 20_480  # read at a time
_SAMPLE = 200  # rows by which the bound of a range is found


def sorted_rows(
    connection: duckdb.DuckDBPyConnection, name: str, keys: Sequence[str], rows: int, spill: Path
) -> Iterator[pa.Table]:
    """The rows of the table `name`, ordered by `keys`, nulls last, some ROWS at a time.

    rows: about how many there are. spill: a folder for as long as this takes; it needs room for all of them.
    """
    if rows <= ROWS * 3 // 2:
        if whole := list(batches(connection, f"SELECT * FROM {name}")):
            yield from _in_order(pa.concat_tables(whole), keys)
        return
    ranges = -(-rows // ROWS)
    bounds = _bounds(connection, name, keys, ranges)
    for part in batches(connection, f"SELECT * FROM {name}"):
        _deal(part, bounds, keys, spill)
    give_back()
    for number in range(len(bounds) + 1):
        path = spill / f"{number}.arrows"
        if path.exists():
            yield from _in_order(_collected(path), keys)
            path.unlink()
            give_back()


def batches(connection: duckdb.DuckDBPyConnection, sql: str) -> Iterator[pa.Table]:
    """The answer piece by piece, never as a whole."""
    for batch in connection.sql(sql).to_arrow_reader(PIECE):
        if len(batch):
            yield pa.Table.from_batches([batch])


def _bounds(connection: duckdb.DuckDBPyConnection, name: str, keys: Sequence[str], ranges: int) -> pa.Table:
    """The keys at which the ranges after the first begin, found from a sample."""
    columns, wanted = ", ".join(keys), ranges * _SAMPLE
    sample = connection.sql(
        f"SELECT {columns} FROM (SELECT {columns} FROM {name}) USING SAMPLE reservoir({wanted} ROWS) REPEATABLE (1)"
    ).to_arrow_table()
    ordered = sample.take(_order(sample, keys))
    return ordered.take(pa.array(range(_SAMPLE, len(ordered), _SAMPLE), pa.int64()))


def _deal(part: pa.Table, bounds: pa.Table, keys: Sequence[str], spill: Path) -> None:
    """Append each row to the file of its range: sorted together with the bounds, the rows fall between them."""
    together = pa.concat_tables([part.select(keys), bounds.cast(part.select(keys).schema)])
    order = _order(together, keys)
    is_bound = pc.greater_equal(order, len(part))
    ends = [*pc.indices_nonzero(is_bound).to_pylist(), len(order)]
    rows = part.take(order.filter(pc.invert(is_bound)))
    begin = 0
    for number, end in enumerate(ends):
        end -= number  # so many bounds stood before it
        if end > begin:
            _append(spill / f"{number}.arrows", rows.slice(begin, end - begin))
        begin = end


def _append(path: Path, rows: pa.Table) -> None:
    """A stream of its own at the end of the file, which stays closed between: there may be more than may be open."""
    with path.open("ab") as file, pa.ipc.new_stream(file, rows.schema, options=_LZ4) as stream:
        stream.write_table(rows)


def _collected(path: Path) -> pa.Table:
    parts = []
    with path.open("rb") as file:
        size = path.stat().st_size
        while file.tell() < size:
            parts.append(pa.ipc.open_stream(file).read_all())
    return pa.concat_tables(parts)


def _in_order(rows: pa.Table, keys: Sequence[str]) -> Iterator[pa.Table]:
    order = _order(rows, keys)
    for begin in range(0, len(rows), ROWS):
        yield rows.take(order.slice(begin, ROWS))


def _order(rows: pa.Table, keys: Sequence[str]) -> pa.UInt64Array:
    return pc.sort_indices(rows, sort_keys=[(key, "ascending", "at_end") for key in keys])


_LZ4 = pa.ipc.IpcWriteOptions(compression="lz4")
