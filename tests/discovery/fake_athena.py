"""An Athena to test against, over HTTP as botocore speaks to it (JSON 1.1): strict in what it takes, and nasty.

It runs the SQL over a lake's tables as they are, read by pyiceberg, in a DuckDB of its own. States pass one look at a
time; results come in pages of at most 1,000 rows with the header in the first page alone; a null has no VarCharValue.
What goes wrong is said beforehand, see `Nasty`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import botocore.session
import duckdb
import pytest
import sqlglot
from botocore.validate import ParamValidator

from pfsquid.cloud import Cloud
from pfsquid.discovery.athena import Athena
from pfsquid.lake.catalog import Lake
from pfsquid.lake.tables import TABLES

_TYPES = {
    "VARCHAR": "varchar", "BIGINT": "bigint", "INTEGER": "integer", "BOOLEAN": "boolean", "DOUBLE": "double",
    "DATE": "date", "TIMESTAMP WITH TIME ZONE": "timestamp with time zone", "TIMESTAMP": "timestamp",
    "BLOB": "varbinary", "HUGEINT": "bigint",
}  # fmt: skip


@dataclass
class Nasty:
    """What goes wrong. looks: that a query stays QUEUED, then RUNNING. throttle: of so many requests that come next.
    endless: it never ends by itself. reason: it ends FAILED. deaf: so many StartQueryExecution begin, and the answer is
    lost. refuse: operation → (code, message). output, managed, cutoff, state: of the workgroup."""

    looks: int = 1
    throttle: int = 0
    endless: bool = False
    reason: str = ""
    deaf: int = 0
    refuse: dict[str, tuple[str, str]] = field(default_factory=dict)
    output: str = "s3://bucket/athena/"
    managed: bool = False
    cutoff: int | None = None
    state: str = "ENABLED"
    page: int = 1000


@dataclass
class FakeAthena:
    """queries: what was sent, by id: text, state, looks, result. asked: the operations, in order."""

    lake: Lake | None
    nasty: Nasty = field(default_factory=Nasty)
    queries: dict[str, dict[str, Any]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    endpoint: str = ""

    def answer(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        """Raises ApiError."""
        self.asked.append(operation)
        _validated(operation, body)
        if self.nasty.throttle:
            self.nasty.throttle -= 1
            raise ApiError("TooManyRequestsException", "Rate exceeded")
        if operation in self.nasty.refuse:
            raise ApiError(*self.nasty.refuse[operation])
        return getattr(self, f"_{operation}")(body)  # type: ignore[no-any-return]

    def _GetWorkGroup(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        if body["WorkGroup"] != "pfsquid":
            raise ApiError("InvalidRequestException", f"WorkGroup {body['WorkGroup']} is not found.")
        told: dict[str, Any] = {"ResultConfiguration": {}, "EnforceWorkGroupConfiguration": True}
        if self.nasty.output:
            told["ResultConfiguration"]["OutputLocation"] = self.nasty.output
        if self.nasty.managed:
            told["ManagedQueryResultsConfiguration"] = {"Enabled": True}
        if self.nasty.cutoff:
            told["BytesScannedCutoffPerQuery"] = self.nasty.cutoff
        return {"WorkGroup": {"Name": "pfsquid", "State": self.nasty.state, "Configuration": told}}

    def _StartQueryExecution(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if body["WorkGroup"] != "pfsquid":
            raise ApiError("InvalidRequestException", f"WorkGroup {body['WorkGroup']} is not found.")
        token = body["ClientRequestToken"]
        if token not in self.tokens:
            identity = f"00000000-0000-0000-0000-{len(self.queries):012d}"
            self.tokens[token] = identity
            self.queries[identity] = {"sql": body["QueryString"], "state": "QUEUED", "looks": 0, "reason": ""}
        if self.nasty.deaf:
            self.nasty.deaf -= 1
            raise LostError
        return {"QueryExecutionId": self.tokens[token]}

    def _GetQueryExecution(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        one = self.queries[body["QueryExecutionId"]]
        if one["state"] in ("QUEUED", "RUNNING"):
            one["looks"] += 1
            if one["looks"] > self.nasty.looks:
                one["state"] = "RUNNING"
            if one["looks"] > 2 * self.nasty.looks and not self.nasty.endless:
                self._finish(one)
        status = {"State": one["state"], "SubmissionDateTime": 1_764_000_000.0}
        if one["reason"]:
            status["StateChangeReason"] = one["reason"]
        return {
            "QueryExecution": {
                "QueryExecutionId": body["QueryExecutionId"],
                "Query": one["sql"],
                "StatementType": "DML",
                "Status": status,
                "Statistics": {
                    "DataScannedInBytes": 12_345_678,
                    "QueryQueueTimeInMillis": 150,
                    "TotalExecutionTimeInMillis": 1500,
                },
                "WorkGroup": "pfsquid",
            }
        }  # fmt: skip

    def _StopQueryExecution(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        one = self.queries[body["QueryExecutionId"]]
        if one["state"] in ("QUEUED", "RUNNING"):
            one.update(state="CANCELLED", reason="Query cancelled by user")
        return {}

    def _GetQueryResults(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        one = self.queries[body["QueryExecutionId"]]
        if one["state"] != "SUCCEEDED":
            raise ApiError("InvalidRequestException", "Query has not yet finished.")
        columns, rows = one["result"]
        data = [{"Data": [{"VarCharValue": name} for name, _ in columns]}]
        data += [{"Data": [{} if text is None else {"VarCharValue": text} for text in row]} for row in rows]
        begin = int(body.get("NextToken", "0"))
        end = begin + min(self.nasty.page, body.get("MaxResults", 1000))
        told = [{"Name": name, "Label": name, "Type": kind, "Nullable": "UNKNOWN"} for name, kind in columns]
        page: dict[str, Any] = {"ResultSet": {"Rows": data[begin:end], "ResultSetMetadata": {"ColumnInfo": told}}}
        return {**page, "NextToken": str(end)} if end < len(data) else page

    def _finish(self, one: dict[str, Any]) -> None:
        if self.nasty.reason:
            one.update(state="FAILED", reason=self.nasty.reason)
            return
        try:
            one.update(state="SUCCEEDED", result=self.computed(one["sql"]))
        except Exception as exc:  # noqa: BLE001 - it is the query's failure
            missing = "does not exist" in str(exc)
            one.update(state="FAILED", reason=f"{'TABLE_NOT_FOUND' if missing else 'SYNTAX_ERROR'}: {exc}")

    def computed(self, sql: str) -> tuple[list[tuple[str, str]], list[list[str | None]]]:
        """The columns and texts of an answer."""
        connection = duckdb.connect()
        connection.execute("SET TimeZone='UTC'")
        for name in TABLES:
            if self.lake and (table := self.lake.table(name)):
                connection.register(name, table.scan().to_arrow())
        there = connection.sql(sqlglot.transpile(sql, read="trino", write="duckdb")[0])
        columns = [(name, _type(str(kind))) for name, kind in zip(there.columns, there.types, strict=True)]
        answer = there.to_arrow_table()
        rows = zip(*([_text(value) for value in column.to_pylist()] for column in answer.columns), strict=True)
        return columns, [list(row) for row in rows]


class ApiError(Exception):
    """Code and message."""


class LostError(Exception):
    """The connection breaks off."""


def _type(kind: str) -> str:
    return _TYPES.get(kind, "map" if kind.startswith("MAP") else "array" if "[" in kind else "varchar")


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        stamp = value.strftime("%Y-%m-%d %H:%M:%S.%f")
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f} UTC" if value.tzinfo else stamp
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex(" ")
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={one}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(str, value)) + "]"
    return str(value)


_MODEL = botocore.session.get_session().get_service_model("athena")


def _validated(operation: str, body: dict[str, Any]) -> None:
    wrong = ParamValidator().validate(body, _MODEL.operation_model(operation).input_shape)
    if wrong.has_errors():
        raise ApiError("InvalidRequestException", wrong.generate_report())


@contextmanager
def serving(athena: FakeAthena) -> Iterator[FakeAthena]:
    """It on a free port of 127.0.0.1; `endpoint` says which."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            operation = self.headers["X-Amz-Target"].partition(".")[2]
            try:
                status, told = 200, athena.answer(operation, body)
            except ApiError as exc:
                status, told = 400, {"__type": exc.args[0], "message": exc.args[1], "Message": exc.args[1]}
            except LostError:
                self.close_connection = True
                return
            text = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    athena.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield athena
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def asking(athena: FakeAthena, patch: pytest.MonkeyPatch, timeout: float) -> Athena:
    """The product's engine, which asks this one and hardly pauses. timeout: seconds for an answer."""
    patch.setenv("AWS_ENDPOINT_URL_ATHENA", athena.endpoint)
    patch.setenv("AWS_ACCESS_KEY_ID", "test")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    patch.setattr("pfsquid.discovery.athena._PAUSES", (0.001, 0.01))
    return Athena(Cloud("eu-central-1"), "pfsquid", "pfsquid", timeout=timeout)
