"""An Iceberg REST catalog: what pyiceberg asks of one, over HTTP, kept in a SQLite catalog of pyiceberg's own.

A commit is judged by the requirements that come with it, and put in the place of the very state that was judged.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pyiceberg.catalog import Catalog
from pyiceberg.catalog.rest import CreateTableRequest
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
from pyiceberg.table import CommitTableRequest, Table

from pfsquid.lake.remote import remote_catalog
from pfsquid.place import Place

STATUS = {
    NoSuchTableError: 404,
    NoSuchNamespaceError: 404,
    TableAlreadyExistsError: 409,
    NamespaceAlreadyExistsError: 409,
    CommitFailedException: 409,
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    catalog: Catalog
    token: str
    one_at_a_time = threading.Lock()  # but for commits, which are to meet

    def _answer(self, status: int, content: Any) -> None:
        body = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _told(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size).decode()
        if self.token and self.headers.get("Authorization") != f"Bearer {self.token}":
            error = {"message": "who are you?", "type": "NotAuthorizedException", "code": 401}
            return self._answer(401, {"error": error})
        try:
            self._answer(200, self._done(self.command, self._parts(), body))
        except tuple(STATUS) as exc:
            status = STATUS[type(exc)]
            self._answer(status, {"error": {"message": str(exc), "type": type(exc).__name__, "code": status}})
        return None

    do_GET = do_POST = do_HEAD = _told  # noqa: N815 - http.server's names

    def _parts(self) -> list[str]:
        return [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")][1:]

    def _done(self, command: str, parts: list[str], body: str) -> Any:
        match command, parts:
            case "GET", ["config"]:
                return {"defaults": {}, "overrides": {}}
            case "POST", ["namespaces"]:
                with self.one_at_a_time:
                    self.catalog.create_namespace(tuple(json.loads(body)["namespace"]))
                return json.loads(body)
            case "GET", ["namespaces", name]:
                return {"namespace": [name], "properties": self.catalog.load_namespace_properties(name)}
            case "POST", ["namespaces", name, "tables"]:
                asked = CreateTableRequest.model_validate_json(body)
                made = self.catalog.create_table(
                    (name, asked.name),
                    schema=asked.table_schema,
                    location=asked.location,
                    partition_spec=asked.partition_spec or UNPARTITIONED_PARTITION_SPEC,
                    properties=asked.properties,
                )
                return _loaded(made)
            case _, ["namespaces", name, "tables", table]:
                there = self.catalog.load_table((name, table))
                if command == "POST":
                    asked_for = CommitTableRequest.model_validate_json(body)
                    done = self.catalog.commit_table(there, asked_for.requirements, asked_for.updates)
                    metadata = done.metadata.model_dump(mode="json", by_alias=True)
                    return {"metadata-location": done.metadata_location, "metadata": metadata}
                return _loaded(there)
        raise NoSuchTableError(self.path)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def _loaded(table: Table) -> Any:
    metadata = table.metadata.model_dump(mode="json", by_alias=True)
    return {"metadata-location": table.metadata_location, "metadata": metadata, "config": {}}


@contextmanager
def rest_catalog(place: Place, folder: Path, token: str = "") -> Iterator[str]:
    """A catalog for tables below a place; its address. token: what it wants to be told, '' for nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    catalog = remote_catalog(Place(place.folder, place.url, f"sqlite:{folder / 'rest.db'}", "rest", place.cloud), True)
    handler = type("Handler", (_Handler,), {"catalog": catalog, "token": token})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
