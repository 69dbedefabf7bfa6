"""The engine on this machine: DuckDB over the lake's Parquet files, shut in: it can read those files and nothing else.

Tables: proxy, signins, rejects as they are in the lake; hosts, apps, people, principals and signin_apps as they are
known now, made from the distinct values in the lake.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
from pyiceberg.expressions import And, GreaterThanOrEqual, LessThan

from pfsquid.discovery.apps import UNREVIEWED, Catalogue, classify
from pfsquid.discovery.ask import BEGINNING, END, Result
from pfsquid.discovery.people import Identity, Rules, match
from pfsquid.errors import PfsquidError, WrongUse
from pfsquid.lake.catalog import Lake, explained
from pfsquid.lake.tables import TABLES

_READ_ONLY = 'pfsquid query --sql "SELECT user_name, count(*) AS n FROM proxy GROUP BY user_name"'


@dataclass(frozen=True)
class Knowledge:
    """What the meaning of the rows hangs on. tags: app id → sanctioned or unsanctioned."""

    catalogue: Catalogue
    rules: Rules = field(default_factory=Rules)
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Session:
    """DuckDB with the lake's tables. people: every person_id, with the names by which one may ask for them."""

    connection: duckdb.DuckDBPyConnection
    people: dict[str, set[str]]

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
            raise WrongUse(_shortened(str(exc)), 'pfsquid query --sql "SHOW TABLES"', _READ_ONLY) from exc
        try:
            columns = [[_plain(value) for value in column.to_pylist()] for column in answer.columns]
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
def session(lake: Lake, knowledge: Knowledge, since: datetime = BEGINNING, until: datetime = END) -> Iterator[Session]:
    """Open the lake for questions about [since, until). Closes and cleans up after itself."""
    with tempfile.TemporaryDirectory(prefix="pfsquid-") as spill, explained(lake.folder):
        connection = duckdb.connect(":memory:", config={"temp_directory": spill})
        try:
            files = {name: _files(lake, name, since, until) for name in TABLES}
            connection.execute("SET TimeZone='UTC'")
            connection.execute("SET allowed_paths=$1", [[path for paths in files.values() for path in paths]])
            connection.execute("SET python_enable_replacements=false")
            connection.execute("SET enable_external_access=false")
            connection.execute("SET lock_configuration=true")
            for name, paths in files.items():
                _table(connection, name, paths)
            yield Session(connection, _meaning(connection, knowledge))
        finally:
            connection.close()


def _files(lake: Lake, name: str, since: datetime, until: datetime) -> list[str]:
    table = lake.table(name)
    if table is None:
        return []
    scan = table.scan()
    if name == "proxy" and (since, until) != (BEGINNING, END):
        scan = scan.filter(And(GreaterThanOrEqual("ts", since.isoformat()), LessThan("ts", until.isoformat())))
    return [task.file.file_path.removeprefix("file://") for task in scan.plan_files()]


def _table(connection: duckdb.DuckDBPyConnection, name: str, paths: list[str]) -> None:
    if paths:
        listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet([{listed}], union_by_name=true)")
    else:
        connection.register(name, TABLES[name].arrow.empty_table())


def _meaning(connection: duckdb.DuckDBPyConnection, knowledge: Knowledge) -> dict[str, set[str]]:
    """Make the tables that say what hosts, user names and sign-in apps mean."""
    catalogue = knowledge.catalogue
    hosts = [
        classify(host, catalogue)
        for (host,) in _rows(connection, "SELECT DISTINCT host FROM proxy WHERE host IS NOT NULL")
    ]
    _register(
        connection,
        "hosts",
        ("host", "domain", "app_id", "kind", "rule"),
        [(one.host, one.domain, one.app_id, one.kind, one.rule) for one in hosts],
    )
    _register(
        connection,
        "apps",
        ("app_id", "name", "vendor", "category", "risk", "risk_reasons", "tag", "entra_app_ids"),
        [
            (
                app.id, app.name, app.vendor, app.category, app.risk_level(), ", ".join(app.risk),
                knowledge.tags.get(app.id, UNREVIEWED), ", ".join(app.entra_app_ids),
            )
            for app in catalogue.apps.values()
        ],
    )  # fmt: skip
    # A failed sign-in without a user, or with the user of zeros, is of a name that Entra ID does not know: no person.
    identities = [
        Identity(key, upn or key, name)
        for key, upn, name in _rows(
            connection,
            "SELECT coalesce(user_id, lower(user_principal_name)) AS key, arg_max(user_principal_name, created_at),"
            " arg_max(user_display_name, created_at) FROM signins WHERE key IS NOT NULL"
            " AND (error_code = 0 OR user_id <> '00000000-0000-0000-0000-000000000000') GROUP BY key",
        )
    ]
    user_names = [
        name for (name,) in _rows(connection, "SELECT DISTINCT user_name FROM proxy WHERE user_name IS NOT NULL")
    ]
    people, principals = match(user_names, identities, knowledge.rules)
    _register(
        connection,
        "people",
        ("person_id", "identity", "upn", "sam_account_name", "realm", "display_name"),
        [(p.person_id, p.identity, p.upn, p.sam_account_name, p.realm, p.display_name) for p in people],
    )
    _register(
        connection,
        "principals",
        ("user_name", "kind", "person_id", "reason"),
        [(one.user_name, one.kind, one.person_id, one.reason) for one in principals],
    )
    seen = _rows(connection, "SELECT DISTINCT coalesce(app_id, ''), coalesce(app_name, '') FROM signins")
    known = [(f"{app_id}|{name}", catalogue.app_of_sign_in(app_id, name)) for app_id, name in seen]
    _register(connection, "signin_apps", ("signin_app", "app_id"), [pair for pair in known if pair[1]])
    asked = {person.person_id: {person.person_id.casefold()} for person in people}
    for person in people:
        asked[person.person_id].update(
            name.casefold() for name in (person.sam_account_name, person.display_name) if name
        )
        asked[person.person_id].add(person.person_id.partition("@")[0].casefold())
    for one in principals:
        if one.person_id:
            asked[one.person_id].add(one.user_name.casefold())
    return asked


def _register(connection: duckdb.DuckDBPyConnection, name: str, columns: tuple[str, ...], rows: list[Any]) -> None:
    schema = pa.schema([(column, pa.string()) for column in columns])
    arrays = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    connection.register(name, pa.Table.from_arrays([pa.array(list(one), pa.string()) for one in arrays], schema=schema))


def _rows(connection: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    return connection.execute(sql).fetchall()


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
