"""The catalogs of a lake in S3: Glue, SQLite or an Iceberg REST catalog, whichever the configuration says.

Each commits by comparing what is there with what was there, so that writers on any machine meet without a loss.
Loaded for a lake in S3 alone: what it imports takes a second.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from pyiceberg.catalog import Catalog
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.io import PY_IO_IMPL
from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter

from pfsquid.cloud import CONNECT_SECONDS, READ_SECONDS
from pfsquid.errors import WrongUse
from pfsquid.lake.access import CLOUD, LakeIO
from pfsquid.lake.failures import no_lake
from pfsquid.lake.local import sqlite_catalog
from pfsquid.lake.locks import locked
from pfsquid.place import Place

# Of a REST catalog that asks for one: a token, or `CLIENT:SECRET` of OAuth. Names of environment variables.
TOKEN, CREDENTIAL = "PFSQUID_CATALOG_TOKEN", "PFSQUID_CATALOG_CREDENTIAL"
_SECRETS = frozenset({"token", "credential"})
_OURS = "pfsquid."  # how the properties begin that no other engine has a use for


def remote_catalog(place: Place, make: bool) -> Catalog:
    """The catalog of a lake in S3. Glue is not asked for anything yet; REST is, for what it can do; the file of SQLite
    is made where it is to be.

    Raises PfsquidError, and what a REST catalog or SQLite raises.
    """
    properties: dict[str, Any] = {
        PY_IO_IMPL: f"{LakeIO.__module__}.{LakeIO.__name__}",
        CLOUD: place.cloud,
    }
    kind, _, where = place.catalog.partition(":")
    if place.catalog_file:
        return _sqlite(place, place.catalog_file, properties, make)
    if kind == "rest":
        return _rest(place, where, properties)
    return _Glue(place.database, place.cloud.client("glue"), **properties)


def _sqlite(place: Place, path: Path, properties: dict[str, Any], make: bool) -> Catalog:
    if not make:
        if not path.is_file():
            raise no_lake(place)
        return sqlite_catalog(place.database, path, properties, make)
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_name(f"{path.name}.lock"), wait=True):  # two may begin with it at once
        catalog = sqlite_catalog(place.database, path, properties)
        catalog.create_namespace_if_not_exists(place.database)
    return catalog


class _Glue(GlueCatalog):
    """Glue holds of a table what Athena needs: its columns, and where its metadata lies. What pfsquid keeps in a
    table's properties stays in the metadata: Glue would cut off names of more than 255 characters, and forget none."""

    def _create_glue_table(self, database_name: str, table_name: str, table_input: Any) -> None:
        super()._create_glue_table(database_name, table_name, _plain(table_input))

    def _update_glue_table(self, database_name: str, table_name: str, table_input: Any, version_id: str) -> None:
        super()._update_glue_table(database_name, table_name, _plain(table_input), version_id)

    def _is_s3tables_database(self, database_name: str) -> bool:  # noqa: ARG002
        return False  # those say themselves where tables lie; ours lie where the configuration says


def _plain(table_input: dict[str, Any]) -> dict[str, Any]:
    given = table_input.get("Parameters", {})
    return {**table_input, "Parameters": {key: value for key, value in given.items() if not key.startswith(_OURS)}}


class _Rest(RestCatalog):
    """An Iceberg REST catalog that is not waited for without end."""

    def _create_session(self) -> Session:
        session = super()._create_session()
        for scheme in ("https://", "http://"):
            session.mount(scheme, _Timed())
        return session


class _Timed(HTTPAdapter):
    """Requests with time-outs, where none are asked for."""

    def send(self, request: PreparedRequest, *args: Any, **given: Any) -> Response:
        if given.get("timeout") is None:
            given["timeout"] = (CONNECT_SECONDS, READ_SECONDS)
        return super().send(request, *args, **given)


def _rest(place: Place, where: str, properties: dict[str, Any]) -> Catalog:
    """where: its address; what stands behind a `?` are properties, such as `warehouse=NAME`."""
    url = urlsplit(where)
    given = dict(parse_qsl(url.query))
    if shown := _SECRETS & given.keys():
        raise WrongUse(
            f"aws.catalog: {', '.join(shown)} is a secret and no part of an address",
            f"export {TOKEN}=…",
            f"export {CREDENTIAL}=CLIENT:SECRET",
        )
    for name, variable in (("token", TOKEN), ("credential", CREDENTIAL)):
        if value := os.environ.get(variable):
            given[name] = value
    uri = urlunsplit((url.scheme, url.netloc, url.path, "", ""))
    return _Rest(place.database, uri=uri, **{**given, **properties})
