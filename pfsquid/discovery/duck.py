"""The engine on this machine: DuckDB over the lake's Parquet files, shut in: it can read those files and nothing else.

Tables: those of the lake as they are; but usage from the lake for the days of which it is exact there,
counted from the rows for the others; hosts, apps, people, principals, identities and signin_apps as they are known now
(see `meaning`).
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
from pyiceberg.table import Table

from pfsquid.discovery.apps import Catalogue
from pfsquid.discovery.ask import BEGINNING, END, Result
from pfsquid.discovery.meaning import Before, Knowledge, register
from pfsquid.errors import PfsquidError, WrongUse
from pfsquid.lake.catalog import Lake, explained
from pfsquid.lake.days import Held, held, path_of
from pfsquid.lake.engine import left_rows, select
from pfsquid.lake.published import HOSTS, OF, PRINCIPALS, PUBLISHED
from pfsquid.lake.tables import TABLES
from pfsquid.lake.usage import covered, duckdb_rollup

if TYPE_CHECKING:
    from pfsquid.lake.duck_files import DuckFiles

__all__ = ["Knowledge", "Session", "session"]

# Of what is published, that which saves work; the rest is made anew in any case.
_READ = tuple(name for name in TABLES if name not in PUBLISHED or name in (HOSTS, PRINCIPALS))
_READ_ONLY = 'pfsquid query --sql "SELECT user_name, count(*) AS n FROM proxy GROUP BY user_name"'


@dataclass(frozen=True)
class Session:
    """DuckDB with the lake's tables. people: every person_id, with the names by which one may ask for them. catalogue:
    with the apps that only a tenant's service principals tell. of: a digest of what decides on hosts. remote: the files
    in S3, of a lake there."""

    connection: duckdb.DuckDBPyConnection
    people: dict[str, set[str]]
    catalogue: Catalogue
    of: str = ""
    remote: DuckFiles | None = None

    def run(self, sql: str, title: str = "", notes: tuple[str, ...] = ()) -> Result:
        """Run one SELECT in DuckDB's dialect. Raises WrongUse for anything else, and for SQL that does not run."""
        try:
            statements = self.connection.extract_statements(sql)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise WrongUse("only one SELECT is allowed: the lake is read, never written, by a query", _READ_ONLY)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                answer = self._interruptibly(statements[0])
        except duckdb.OutOfMemoryException as exc:
            raise PfsquidError(f"the question needs more memory than there is: {exc}", "narrow it: since=7d") from exc
        except duckdb.Error as exc:
            _raise_cause(self.remote, exc)
            raise WrongUse(_shortened(str(exc)), 'pfsquid query --sql "SHOW TABLES"', _READ_ONLY) from exc
        try:
            columns = [_values(column) for column in answer.columns]
        except (OverflowError, ValueError) as exc:  # Python's dates end with the year 9999, DuckDB's do not
            raise WrongUse(f"the answer holds a value that cannot be shown: {exc}", "CAST(… AS varchar)") from exc
        return Result(tuple(answer.column_names), list(zip(*columns, strict=True)), title, notes)

    def _interruptibly(self, statement: duckdb.Statement) -> Any:
        """The answer as an Arrow table. DuckDB runs in a thread of its own, so that Ctrl-C is seen and stops it."""
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(lambda: self.connection.execute(statement).to_arrow_table())
            try:
                return answer.result()
            except KeyboardInterrupt:
                self.connection.interrupt()
                raise


@contextmanager
def session(
    lake: Lake,
    knowledge: Knowledge,
    since: datetime = BEGINNING,
    until: datetime = END,
    anew: bool = False,
    memory: str = "",
) -> Iterator[Session]:
    """Open the lake for questions about [since, until). Closes and cleans up after itself.

    anew: user names that are published but not in the log any more mean nothing. memory: DuckDB's own at most.
    """
    with tempfile.TemporaryDirectory(prefix="pfsquid-") as spill, explained(lake):
        connection = duckdb.connect(":memory:", config={"temp_directory": spill})
        remote = _remote(connection, lake)
        try:
            connection.execute("SET TimeZone='UTC'")
            if memory:
                connection.execute(f"SET memory_limit='{memory}'")
            views, of = _views(connection, lake, since, until, Path(spill), remote)
            allowed = [path for paths, _ in views.values() for path in paths]
            connection.execute("SET allowed_paths=$1", [allowed])
            connection.execute("SET python_enable_replacements=false")
            connection.execute("SET enable_external_access=false")
            connection.execute("SET lock_configuration=true")
            published = {name: views.pop(name) for name in (HOSTS, PRINCIPALS)}
            for name, (paths, others) in views.items():
                connection.execute(f"CREATE VIEW {name} AS {select(TABLES[name], paths, *others)}")
            before = {name: select(TABLES[name], paths, *others) for name, (paths, others) in published.items()}
            names = f"SELECT user_name FROM ({before[PRINCIPALS]})" if not anew else ""
            meaning = register(connection, knowledge, Before(before[HOSTS] if of else "", of, names))
            yield Session(connection, meaning.people, meaning.catalogue, meaning.of, remote)
        except duckdb.Error as exc:
            _raise_cause(remote, exc)
            raise
        finally:
            connection.close()


def _views(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    since: datetime,
    until: datetime,
    spill: Path,
    files: DuckFiles | None,
) -> tuple[dict[str, tuple[list[str], list[str]]], str]:
    """Of each table its Parquet files, and the names of Arrow tables where rows were deleted from files; and of what
    the published hosts were made."""
    source = {name: lake.table(name) for name in _READ}
    seen = covered(source["proxy"], source["usage"])
    days = {name: [*held(source[name]).values()] for name in _READ if name not in ("proxy", "usage")}
    days["proxy"] = [there for day, there in seen.days.items() if _touches(day, since, until)]
    days["usage"] = [there for day, there in seen.fresh.items() if _touches(day, since, until)]
    views = {name: _rows_of(connection, name, source[name], days[name], files) for name in _READ}
    stale = [there for there in days["proxy"] if there.day not in seen.fresh]
    if stale:
        paths, others = _rows_of(connection, "stale", source["proxy"], stale, files)
        counted = str(spill / "usage.parquet")
        rows = select(TABLES["proxy"], paths, *others)
        try:
            connection.execute(f"COPY ({duckdb_rollup(f'({rows})')}) TO '{counted}'")
        except (duckdb.OutOfMemoryException, duckdb.IOException) as exc:
            _raise_cause(files, exc)
            raise PfsquidError(
                f"the use of {len(stale)} days cannot be counted on the way: {_shortened(str(exc))}",
                "pfsquid lake compact    # counts them once and for all",
            ) from exc
        views["usage"][0].append(counted)
    hosts = source[HOSTS]
    return views, str(hosts.properties.get(OF, "")) if hosts else ""


def _remote(connection: duckdb.DuckDBPyConnection, lake: Lake) -> DuckFiles | None:
    """What DuckDB reads a lake in S3 by; None for a folder, which it reads by itself."""
    if not lake.remote:
        return None
    from pfsquid.lake.duck_files import duck_filesystem  # what it needs is not needed for a folder

    return duck_filesystem(connection)


def _raise_cause(remote: DuckFiles | None, exc: duckdb.Error) -> None:
    """Raise what S3 refused while DuckDB read, which it tells as a fault of its own."""
    if remote is not None and remote.failed is not None:
        raise remote.failed from exc


def _touches(day: date, since: datetime, until: datetime) -> bool:
    """Is a part of this day (UTC) in [since, until)?"""
    return since.date() <= day <= (until - timedelta(microseconds=1)).date()


def _rows_of(
    connection: duckdb.DuckDBPyConnection, name: str, table: Table | None, days: list[Held], files: DuckFiles | None
) -> tuple[list[str], list[str]]:
    whole = [path_of(file) for there in days if not there.deletes for file in there.files]
    cut = [file for there in days if there.deletes for file in there.files]
    if files is not None and table is not None:
        files.learn(table.io, [file for there in days if not there.deletes for file in there.files])
    if table is None or not cut:
        return whole, []
    connection.register(f"{name}_left", left_rows(table, cut).read_all())
    return whole, [f"{name}_left"]


def _values(column: pa.ChunkedArray) -> list[Any]:
    """A column as Python's values; a map is a dictionary, not a list of pairs."""
    values = [_plain(value) for value in column.to_pylist()]
    return [value and dict(value) for value in values] if pa.types.is_map(column.type) else values


def _plain(value: Any) -> Any:
    """A value as people and JSON take it: whole decimals as int, moments in UTC."""
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return int(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    return value


def _shortened(message: str) -> str:
    """DuckDB's message without the picture of the SQL, which pfsquid wrote and the reader did not."""
    return message.partition("\n\nLINE")[0].strip()
