"""What the rows of the lake mean, as tables for DuckDB: hosts, apps, people, principals, identities, signin_apps.

Made from the distinct values in the lake, the directory's accounts and service principals, the catalogue and the
configuration as they are now. What the lake holds of it already (see `publish`) is taken from there, where what decides
on it is still the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from typing import Any

import duckdb
import pyarrow as pa

from pfsquid.discovery.apps import UNREVIEWED, Catalogue, Host, classify
from pfsquid.discovery.links import Linked, ServicePrincipal, linked
from pfsquid.discovery.people import Account, Identity, Person, Principal, Rules, match
from pfsquid.lake.published import APPS, HOSTS, IDENTITIES, PEOPLE, PRINCIPALS, PUBLISHED, SIGNIN_APPS

_CLASSIFIED = "1"  # counts up where `classify` comes to judge the same host another way


@dataclass(frozen=True)
class Knowledge:
    """What the meaning of the rows hangs on. tags: app id → sanctioned or unsanctioned."""

    catalogue: Catalogue
    rules: Rules = field(default_factory=Rules)
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Before:
    """What the lake holds of an earlier publication, as SQL that selects it. hosts: what hosts were found to be, by
    what the digest `of` stands for. names: user names, so that they mean the same whatever time is asked about."""

    hosts: str = ""
    of: str = ""
    names: str = ""


@dataclass(frozen=True)
class Meaning:
    """What was found on the way. people: every person_id, with the names, casefolded, by which one may ask for them.
    catalogue: with the apps that only service principals tell. of: a digest of what decides on hosts."""

    people: dict[str, set[str]]
    catalogue: Catalogue
    of: str


def register(connection: duckdb.DuckDBPyConnection, knowledge: Knowledge, before: Before = Before()) -> Meaning:
    """Make the tables, from the views usage, signins, accounts and service_principals of the connection."""
    links = linked(knowledge.catalogue, _service_principals(connection))
    of = digest_of(links.catalogue)
    _hosts(connection, links.catalogue, before.hosts if before.of == of else "")
    signed_in = _signin_apps(connection, links)
    _apps(connection, knowledge, links, signed_in)
    names = _user_names(connection, before.names)
    people, principals = match(names, _identities(connection), knowledge.rules, _accounts(connection))
    _people(connection, people, principals)
    return Meaning(_asked(people, principals), links.catalogue, of)


def digest_of(catalogue: Catalogue) -> str:
    """Changes whenever a host may be judged in another way."""
    told = hashlib.sha256(f"{_CLASSIFIED} {_suffixes_of()}".encode())
    for suffix, (kind, app_id) in sorted(catalogue.suffixes.items()):
        told.update(f"{suffix}\t{kind}\t{app_id}\n".encode())
    return told.hexdigest()[:24]


def digest_of_knowledge(knowledge: Knowledge) -> str:
    """Changes whenever catalogue or configuration may tell something else."""
    rules, catalogue = knowledge.rules, knowledge.catalogue
    told = [
        digest_of(catalogue),
        [repr(app) for _, app in sorted(catalogue.apps.items())],
        sorted(catalogue.by_name.items()),
        sorted(knowledge.tags.items()),
        sorted((realm, [*suffixes]) for realm, suffixes in rules.suffixes.items()),
        sorted(rules.services),
    ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:24]


@cache
def _suffixes_of() -> str:
    """Which Public Suffix List is in use."""
    return version("publicsuffixlist")


def _hosts(connection: duckdb.DuckDBPyConnection, catalogue: Catalogue, before: str) -> None:
    """Register what each host of `usage` is; those that `before` selects are known."""
    seen = "SELECT DISTINCT host FROM usage WHERE host IS NOT NULL"
    if not before:
        _register(connection, HOSTS, map(_row_of, _classified(connection, seen, catalogue)))
        return
    connection.execute(f"CREATE TEMP TABLE hosts_of_usage AS {seen}")
    known = connection.sql(f"SELECT * FROM ({before}) SEMI JOIN hosts_of_usage USING (host)").to_arrow_table()
    connection.register("hosts_known", known)
    new = [*_classified(connection, "SELECT host FROM hosts_of_usage ANTI JOIN hosts_known USING (host)", catalogue)]
    connection.unregister("hosts_known")
    connection.execute("DROP TABLE hosts_of_usage")
    connection.register(HOSTS, pa.concat_tables([known.cast(PUBLISHED[HOSTS]), _table(HOSTS, map(_row_of, new))]))


def _classified(connection: duckdb.DuckDBPyConnection, sql: str, catalogue: Catalogue) -> Iterable[Host]:
    return (classify(host, catalogue) for (host,) in connection.execute(sql).fetchall())


def _row_of(one: Host) -> tuple[Any, ...]:
    return one.host, one.domain, one.app_id, one.kind, one.rule


def _signin_apps(connection: duckdb.DuckDBPyConnection, links: Linked) -> set[str]:
    """Register what the apps of sign-ins are; those that people did sign in to."""
    seen = connection.execute(
        "SELECT coalesce(app_id, ''), coalesce(app_name, ''), "
        " bool_or(coalesce(error_code = 0, false) AND coalesce(user_id, user_principal_name) IS NOT NULL)"
        " FROM signins GROUP BY ALL"
    ).fetchall()
    known = [(f"{app_id}|{name}", app, ok) for app_id, name, ok in seen if (app := links.app_of_sign_in(app_id, name))]
    _register(connection, SIGNIN_APPS, [(key, app) for key, app, _ in known])
    return {app for _, app, ok in known if ok}


def _apps(connection: duckdb.DuckDBPyConnection, knowledge: Knowledge, links: Linked, signed_in: set[str]) -> None:
    federated = links.federated | signed_in
    _register(
        connection,
        APPS,
        [
            (
                app.id, app.name, app.vendor, app.category, app.risk_level(), ", ".join(app.risk),
                knowledge.tags.get(app.id, UNREVIEWED), ", ".join(app.entra_app_ids), app.id in federated,
            )
            for app in links.catalogue.apps.values()
        ],
    )  # fmt: skip


def _user_names(connection: duckdb.DuckDBPyConnection, before: str) -> list[str]:
    seen = "SELECT DISTINCT user_name FROM usage WHERE user_name IS NOT NULL"
    names = connection.execute(f"{seen} UNION {before}" if before else seen).fetchall()
    return [name for (name,) in names]


def _identities(connection: duckdb.DuckDBPyConnection) -> list[Identity]:
    # A failed sign-in without a user, or with the user of zeros, is of a name that Entra ID does not know: no person.
    rows = connection.execute(
        "SELECT coalesce(user_id, lower(user_principal_name)) AS key, arg_max(user_principal_name, created_at),"
        " arg_max(user_display_name, created_at) FROM signins WHERE key IS NOT NULL"
        " AND (error_code = 0 OR user_id <> '00000000-0000-0000-0000-000000000000') GROUP BY key"
    ).fetchall()
    return [Identity(key, upn or key, name) for key, upn, name in rows]


def _accounts(connection: duckdb.DuckDBPyConnection) -> list[Account]:
    columns = list(Account.__dataclass_fields__)
    rows = connection.sql(f"SELECT {', '.join(columns)} FROM accounts").to_arrow_table()
    return [Account(**row) for row in rows.to_pylist()]


def _service_principals(connection: duckdb.DuckDBPyConnection) -> list[ServicePrincipal]:
    rows = connection.sql(
        "SELECT tenant, id, app_id, display_name, homepage, login_url, reply_urls, publisher, owner_tenant, sso_mode,"
        " enabled, kind, valid_to IS NULL AS present FROM service_principals"
        " QUALIFY row_number() OVER (PARTITION BY tenant, id ORDER BY valid_from DESC, valid_to DESC NULLS FIRST) = 1"
    ).to_arrow_table()
    return [
        ServicePrincipal(**{**row, "reply_urls": tuple(json.loads(row["reply_urls"] or "[]"))})
        for row in rows.to_pylist()
    ]


def _people(connection: duckdb.DuckDBPyConnection, people: list[Person], principals: list[Principal]) -> None:
    _register(connection, PEOPLE, [tuple(getattr(one, name) for name in PUBLISHED[PEOPLE].names) for one in people])
    names = PUBLISHED[PRINCIPALS].names
    _register(connection, PRINCIPALS, [tuple(getattr(one, name) for name in names) for one in principals])
    _register(
        connection, IDENTITIES, [(identity, one.person_id) for one in people for identity in one.identities]
    )  # fmt: skip


def names_of(people: Iterable[Mapping[str, Any]], user_names: Iterable[tuple[str, str | None]]) -> dict[str, set[str]]:
    """Every person_id, with the names, casefolded, by which one may ask for them. people: rows of the table, by
    column. user_names: of the access log, each with a person_id."""
    asked: dict[str, set[str]] = {}
    for one in people:
        names = [one[key] for key in ("person_id", "upn", "mail", "sam_account_name", "display_name")]
        person_id = str(one["person_id"])
        asked[person_id] = {name.casefold() for name in names if name} | {person_id.partition("@")[0].casefold()}
    for user_name, person in user_names:
        if person:
            asked[person].add(user_name.casefold())
    return asked


def _asked(people: list[Person], principals: list[Principal]) -> dict[str, set[str]]:
    return names_of(map(vars, people), ((one.user_name, one.person_id) for one in principals))


def _table(name: str, rows: Iterable[tuple[Any, ...]]) -> pa.Table:
    schema = PUBLISHED[name]
    values = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.Table.from_arrays(
        [pa.array(list(of), column.type) for of, column in zip(values, schema, strict=True)], schema=schema
    )


def _register(connection: duckdb.DuckDBPyConnection, name: str, rows: Iterable[tuple[Any, ...]]) -> None:
    connection.register(name, _table(name, rows))
