"""Lakes of many small commits for the tests of the care of the lake, and what they hold."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from collectors.squid.schema import PROXY_SCHEMA
from pfsquid.lake.catalog import Lake
from pfsquid.lake.days import held as days_of
from pfsquid.lake.days import path_of
from pfsquid.lake.ingest import Ingested, ingest
from pfsquid.settings_care import CareSettings
from tests.lake.rows import MONDAY, batch, proxy_rows, table_of

LATER = MONDAY + timedelta(days=30)  # when all days of the tests are over and quiet
EAGER = CareSettings.model_validate(
    {"compact": {"files": 3, "quiet": "0s"}, "expire": {"snapshots": "0s", "orphans": "1m"}}
)


def append(lake: Lake, rows: pa.Table, until: int = 1, source: str = "access.log#1", **position: Any) -> None:
    """One commit."""
    ingest(lake, [batch(rows, until, source=source, **position)], Ingested())


def many(lake: Lake, commits: int, days: Iterable[int] = (0,), **columns: Any) -> None:
    """As many commits for each day, a row each, offsets counted on."""
    offset = 0
    for number in range(commits):
        for day in days:
            append(lake, proxy_rows(offset, day=day, user_name=f"user-{number % 3}", **columns), offset + 1)
            offset += 1


def traffic(*rows: dict[str, Any]) -> pa.Table:
    """Rows of proxy with what is given, the rest as null; `at` is the minutes after MONDAY."""
    made = []
    for number, row in enumerate(rows):
        given = {"source": "log#1", "source_offset": number, **row}
        given["ts"] = MONDAY + timedelta(minutes=given.pop("at", 0))
        made.append(given)
    return table_of(PROXY_SCHEMA, made)


def files(lake: Lake, table: str = "proxy") -> list[int]:
    """How many data files each day has."""
    return [len(there.files) for there in days_of(lake.table(table)).values()]


def on_disk(lake: Lake, table: str = "proxy") -> set[str]:
    folder = Path(path_of(lake.made_table(table).location()))
    return {str(path) for path in folder.rglob("*") if path.is_file()}


def everything(lake: Lake, table: str = "proxy") -> list[dict[str, Any]]:
    """All rows, in an order of their own."""
    there = lake.table(table)
    rows: list[dict[str, Any]] = there.scan().to_arrow().to_pylist() if there else []
    return sorted(rows, key=repr)


def age(lake: Lake, seconds: float, table: str = "proxy") -> None:
    """Make all files of a table look older."""
    import os

    for path in on_disk(lake, table):
        when = Path(path).stat().st_mtime - seconds
        os.utime(path, (when, when))


def now() -> datetime:
    return datetime.now(UTC)
