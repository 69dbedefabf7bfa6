"""The table `usage`: a row for each day, firewall, user name and host, counted from `proxy`. Exact, or known not to be.

Each day bears a mark of the rows that it was counted from (a property of the table, in one commit with the rows). A day
whose mark is not that of `proxy` now is stale: whoever asks counts it from the rows, and the care of the lake anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import sqlglot
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table
from sqlglot import exp

from pfsquid.lake.catalog import Lake
from pfsquid.lake.commit import Busy, committed, made
from pfsquid.lake.compact import PATIENCE, discard, run_prefix, sorted_files
from pfsquid.lake.days import Held, held, path_of
from pfsquid.lake.engine import engine, rows_of
from pfsquid.lake.files import KEPT, DataFiles
from pfsquid.lake.replace import replace_files
from pfsquid.lake.rollup import USAGE_SCHEMA, rollup_sql
from pfsquid.lake.sorting import sorted_rows
from pfsquid.lake.tables import TABLES

MARK = "pfsquid.usage."


@dataclass(frozen=True)
class Counted:
    """A day of which the rollup was made anew. rows: of `usage`; 0 where the day is gone from `proxy`."""

    day: date
    rows: int


@dataclass(frozen=True)
class Covered:
    """What `usage` holds of `proxy` at one moment. days: all days of `proxy`. fresh: the rollup's files of the days of
    which it is exact. gone: days that it has and `proxy` has not."""

    days: Mapping[date, Held]
    fresh: Mapping[date, Held]
    gone: tuple[date, ...]

    @property
    def stale(self) -> tuple[Held, ...]:
        """The days to count from the rows."""
        return tuple(there for day, there in self.days.items() if day not in self.fresh)


def covered(proxy: Table | None, usage: Table | None) -> Covered:
    """Compare the two tables as they were loaded, in whatever order: a mark fits the rows, or it does not."""
    days = {day: there for day, there in held(proxy).items() if day is not None}
    marks = _marks(usage)
    rolled = held(usage)
    fresh = {day: rolled.get(day, Held(day)) for day, there in days.items() if marks.get(day) == there.mark}
    gone = tuple(sorted({day for day in (*marks, *rolled) if day is not None} - days.keys()))
    return Covered(days, fresh, gone)


def to_count(lake: Lake, quiet: float, now: datetime, everything: bool = False) -> list[date]:
    """The days whose rollup is to be made anew or taken away. quiet: seconds without new rows that a day has first;
    with `everything`, none."""
    seen = covered(lake.table("proxy"), lake.table("usage"))
    before = now - timedelta(seconds=quiet)
    return [*seen.gone, *(h.day for h in seen.stale if h.day is not None and (everything or h.newest <= before))]


def count(lake: Lake, day: date) -> Counted:
    """Make the rollup of one day anew, in one commit. Raises OSError, PfsquidError."""
    spec = TABLES["usage"]
    proxy = lake.table("proxy")
    there = held(proxy).get(day)
    table = made(lake, "usage")
    files = sorted_files(table, spec, run_prefix(KEPT))
    new: list[DataFile] = []
    try:
        if proxy is not None and there is not None:
            _fill(lake, proxy, there, files)
        new = files.finish()
        mark = {f"{MARK}{day}": there.mark if there else None}
        with lake.writing("usage", wait=PATIENCE):
            committed(lake, "usage", lambda now: replace_files(now, held(now).get(day, Held(day)).files, new, mark))
    except Busy:
        raise  # it may yet come about; files that no commit names go when they are old
    except BaseException:
        files.abandon()
        discard(lake, "usage", new)
        raise
    return Counted(day, sum(file.record_count for file in new))


def duckdb_rollup(rows: str = "proxy") -> str:
    """The definition of `usage` as one SELECT of DuckDB, over all of the table or subquery `rows`."""
    tree = sqlglot.parse_one(f"WITH {rollup_sql()} SELECT * FROM counted_rows", read="athena")
    whole = tree.transform(lambda node: exp.true() if isinstance(node, exp.Placeholder) else node)
    return whole.sql(dialect="duckdb", unsupported_level=sqlglot.ErrorLevel.RAISE).replace("FROM proxy", f"FROM {rows}")


def _fill(lake: Lake, proxy: Table, there: Held, files: DataFiles) -> None:
    with engine(lake.folder) as on:
        rows_of(on.connection, "proxy", proxy, TABLES["proxy"], there)
        on.connection.execute(f"CREATE TEMP TABLE counted AS {duckdb_rollup()}")
        rows = on.connection.execute("SELECT count(*) FROM counted").fetchall()[0][0]
        for part in sorted_rows(on.connection, "counted", TABLES["usage"].sorted_by, rows, on.spill):
            files.add(part.cast(USAGE_SCHEMA))


def _marks(usage: Table | None) -> dict[date, str]:
    properties = usage.properties if usage else {}
    return {
        date.fromisoformat(key.removeprefix(MARK)): value for key, value in properties.items() if key.startswith(MARK)
    }


def paths(held_days: Mapping[date, Held]) -> list[str]:
    """The files of some days."""
    return [str(path_of(file)) for there in held_days.values() for file in there.files]
