"""What the rows of the lake mean, as tables for DuckDB: hosts, apps, people, principals, identities, signin_apps.

Made from the distinct values in the lake, the directory's accounts and service principals, the catalogue and the
configuration as they are now.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa

from pfsquid.discovery.apps import UNREVIEWED, Catalogue, Host, classify
from pfsquid.discovery.links import Linked, ServicePrincipal, linked
from pfsquid.discovery.people import Account, Identity, Person, Principal, Rules, match

_TIMESTAMP = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class Knowledge:
    """What the meaning of the rows hangs on. tags: app id → sanctioned or unsanctioned."""

    catalogue: Catalogue
    rules: Rules = field(default_factory=Rules)
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Meaning:
    """What was found on the way. people: every person_id, with the names, casefolded, by which one may ask for them.
    catalogue: with the apps that only service principals tell."""

    people: dict[str, set[str]]
    catalogue: Catalogue


def register(connection: duckdb.DuckDBPyConnection, knowledge: Knowledge) -> Meaning:
    """Make the tables, from the views usage, signins, accounts and service_principals of the connection."""
    links = linked(knowledge.catalogue, _service_principals(connection))
    _register(
        connection, "hosts", _texts("host", "domain", "app_id", "kind", "rule"),
        [(one.host, one.domain, one.app_id, one.kind, one.rule) for one in _hosts(connection, links.catalogue)],
    )  # fmt: skip
    signed_in = _signin_apps(connection, links)
    _apps(connection, knowledge, links, signed_in)
    people, principals = match(_user_names(connection), _identities(connection), knowledge.rules, _accounts(connection))
    _people(connection, people, principals)
    return Meaning(_asked(people, principals), links.catalogue)


def _hosts(connection: duckdb.DuckDBPyConnection, catalogue: Catalogue) -> list[Host]:
    hosts = connection.execute("SELECT DISTINCT host FROM usage WHERE host IS NOT NULL").fetchall()
    return [classify(host, catalogue) for (host,) in hosts]


def _signin_apps(connection: duckdb.DuckDBPyConnection, links: Linked) -> set[str]:
    """Register what the apps of sign-ins are; those that people did sign in to."""
    seen = connection.execute(
        "SELECT coalesce(app_id, ''), coalesce(app_name, ''), "
        " bool_or(coalesce(error_code = 0, false) AND coalesce(user_id, user_principal_name) IS NOT NULL)"
        " FROM signins GROUP BY ALL"
    ).fetchall()
    known = [(f"{app_id}|{name}", app, ok) for app_id, name, ok in seen if (app := links.app_of_sign_in(app_id, name))]
    _register(connection, "signin_apps", _texts("signin_app", "app_id"), [(key, app) for key, app, _ in known])
    return {app for _, app, ok in known if ok}


def _apps(connection: duckdb.DuckDBPyConnection, knowledge: Knowledge, links: Linked, signed_in: set[str]) -> None:
    federated = links.federated | signed_in
    _register(
        connection,
        "apps",
        [
            *_texts("app_id", "name", "vendor", "category", "risk", "risk_reasons", "tag", "entra_app_ids"),
            pa.field("federated", pa.bool_()),
        ],
        [
            (
                app.id, app.name, app.vendor, app.category, app.risk_level(), ", ".join(app.risk),
                knowledge.tags.get(app.id, UNREVIEWED), ", ".join(app.entra_app_ids), app.id in federated,
            )
            for app in links.catalogue.apps.values()
        ],
    )  # fmt: skip


def _user_names(connection: duckdb.DuckDBPyConnection) -> list[str]:
    names = connection.execute("SELECT DISTINCT user_name FROM usage WHERE user_name IS NOT NULL").fetchall()
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
    validity = [pa.field("valid_from", _TIMESTAMP), pa.field("valid_to", _TIMESTAMP)]
    texts = _texts("person_id", "identity", "upn", "sam_account_name", "realm", "display_name", "department", "mail")
    columns = [*texts, pa.field("enabled", pa.bool_()), *validity]
    _register(connection, "people", columns, [tuple(getattr(one, column.name) for column in columns) for one in people])
    columns = [*_texts("user_name", "kind", "person_id", "reason"), *validity]
    _register(
        connection, "principals", columns,
        [tuple(getattr(one, column.name) for column in columns) for one in principals],
    )  # fmt: skip
    _register(
        connection, "identities", _texts("identity", "person_id"),
        [(identity, one.person_id) for one in people for identity in one.identities],
    )  # fmt: skip


def _asked(people: list[Person], principals: list[Principal]) -> dict[str, set[str]]:
    asked: dict[str, set[str]] = {}
    for one in people:
        names = (one.person_id, one.upn, one.mail, one.sam_account_name, one.display_name)
        asked[one.person_id] = {name.casefold() for name in names if name}
        asked[one.person_id].add(one.person_id.partition("@")[0].casefold())
    for principal in principals:
        if principal.person_id:
            asked[principal.person_id].add(principal.user_name.casefold())
    return asked


def _texts(*names: str) -> list[pa.Field]:
    return [pa.field(name, pa.string()) for name in names]


def _register(
    connection: duckdb.DuckDBPyConnection, name: str, columns: list[pa.Field], rows: list[tuple[Any, ...]]
) -> None:
    values = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    arrays = [pa.array(list(of), column.type) for of, column in zip(values, columns, strict=True)]
    connection.register(name, pa.Table.from_arrays(arrays, schema=pa.schema(columns)))
