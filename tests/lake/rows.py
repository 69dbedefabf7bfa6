"""Rows, batches and lakes made by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from collectors.batch import Batch, Position, Reject
from collectors.entra.signins import SIGNINS_SCHEMA
from collectors.squid.schema import PROXY_SCHEMA
from pfsquid.lake.catalog import Lake, open_lake

MONDAY = datetime(2026, 11, 16, 12, tzinfo=UTC)


def new_lake(folder: Path) -> Lake:
    return open_lake(folder / "lake", make=True)


def table_of(schema: pa.Schema, rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pydict({name: [row.get(name) for row in rows] for name in schema.names}, schema=schema)


def proxy_rows(*offsets: int, day: int = 0, source: str = "access.log#1", **columns: Any) -> pa.Table:
    """A row at each offset, `day` days after MONDAY."""
    given = {"ts": MONDAY + timedelta(days=day), "source": source, "method": "GET", **columns}
    return table_of(PROXY_SCHEMA, [{**given, "source_offset": offset} for offset in offsets])


def batch(rows: pa.Table, until: int, *bad: int, source: str = "access.log#1", **position: Any) -> Batch:
    """A step of a log that ends at byte `until`, with a reject at each offset of `bad`."""
    replaces = position.pop("replaces", None)
    rejects = [Reject(offset, "an empty line", b"") for offset in bad]
    return Batch("proxy", rows, source, Position(until, **position), rejects, replaces)


def sign_ins(*states: tuple[str, str]) -> Batch:
    """Sign-ins as (id, state)."""
    rows = [{"id": identity, "created_at": MONDAY, "raw": raw} for identity, raw in states]
    return Batch("signins", table_of(SIGNINS_SCHEMA, rows), "signins.json#signins", Position(1), key="id")


def held(lake: Lake, table: str, *columns: str) -> list[Any]:
    """What a table holds, in order: values of one column, or tuples of several."""
    there = lake.table(table)
    if there is None:
        return []
    rows = there.scan().to_arrow()
    values = [rows[column].to_pylist() for column in columns]
    return sorted(values[0] if len(columns) == 1 else zip(*values, strict=True))


def snapshots(lake: Lake, table: str) -> int:
    there = lake.table(table)
    return len(there.snapshots()) if there else 0
