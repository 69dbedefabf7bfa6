"""Athena: a SELECT is sent, waited for, and its rows come page by page. What does not end well is stopped there, too.

Never anything but one SELECT is sent, always in the workgroup that is named, which says where results go and how much a
query may read. The text is whole: Athena's own parameters are not used.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import sqlglot
from sqlglot import exp

from pfsquid.cloud import Cloud, refusal
from pfsquid.discovery.athena_values import columns_of, failure, rows_of
from pfsquid.errors import PfsquidError, WrongUse

TIMEOUT = 600.0  # seconds for the answer
LONGEST = 262_144  # bytes of a query (StartQueryExecution, QueryString)
_PAGE = 1000  # rows, the most there may be
_PAUSES = (0.2, 2.0)  # seconds between two looks: the first, and the longest
_THROTTLED = frozenset({"TooManyRequestsException", "ThrottlingException", "Throttling"})
_WRITES = (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Create, exp.Drop, exp.Alter, exp.Command, exp.Into)

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Workgroup:
    """What there is to know of a workgroup. output: where its results go, "" where Athena keeps them itself. cutoff:
    bytes that one query may read; None for no limit."""

    name: str
    output: str
    cutoff: int | None


@dataclass(frozen=True)
class Ran:
    """A query that succeeded. scanned: bytes that it read; queued, running: seconds. rows: page by page, once."""

    identity: str
    columns: tuple[str, ...]
    scanned: int
    queued: float
    running: float
    rows: Iterator[tuple[Any, ...]]


@dataclass
class Athena:
    """The engine. timeout: seconds for an answer. tell: told in a line how a query gets on."""

    cloud: Cloud
    workgroup: str
    database: str
    timeout: float = TIMEOUT
    tell: Tell = lambda _: None
    _client: Any = field(default=None, repr=False)

    def group(self) -> Workgroup:
        """The workgroup. Raises PfsquidError where it is not there, is switched off, or has no place for results."""
        told = self._call("get_work_group", WorkGroup=self.workgroup)["WorkGroup"]
        if told.get("State") == "DISABLED":
            raise PfsquidError(
                f"the workgroup {self.workgroup} of Athena is switched off",
                f"aws athena update-work-group --work-group {self.workgroup} --state ENABLED",
            )
        settings = told.get("Configuration", {})
        output = settings.get("ResultConfiguration", {}).get("OutputLocation", "")
        if not output and not settings.get("ManagedQueryResultsConfiguration", {}).get("Enabled"):
            raise PfsquidError(
                f"the workgroup {self.workgroup} of Athena has no place for results",
                "pfsquid aws deploy    # makes one that has",
                f"aws athena update-work-group --work-group {self.workgroup} --configuration-updates "
                "'ResultConfigurationUpdates={OutputLocation=s3://BUCKET/athena/}'",
            )
        return Workgroup(self.workgroup, output, settings.get("BytesScannedCutoffPerQuery"))

    def run(self, sql: str) -> Ran:
        """Run one SELECT in Athena's dialect. Raises WrongUse for anything else, PfsquidError where it fails.

        Whatever ends the wait for it, the query is stopped.
        """
        check(sql)
        token, identity = uuid.uuid4().hex, None
        try:
            until = time.monotonic() + self.timeout
            identity = self._started(sql, token, until)
            told = self._ended(identity, until)
        except BaseException:
            self._stop(sql, token, identity)
            raise
        if told["Status"]["State"] != "SUCCEEDED":
            raise failure(str(told["Status"]["State"]), str(told["Status"].get("StateChangeReason", "")), identity)
        statistics = told.get("Statistics", {})
        first = self._page(identity)
        columns = columns_of(first)
        headed = told.get("StatementType", "DML") == "DML"
        return Ran(
            identity,
            tuple(name for name, _ in columns),
            int(statistics.get("DataScannedInBytes", 0)),
            statistics.get("QueryQueueTimeInMillis", 0) / 1000,
            statistics.get("TotalExecutionTimeInMillis", 0) / 1000,
            self._rows(identity, first, headed),
        )

    def _rows(self, identity: str, page: dict[str, Any], headed: bool) -> Iterator[tuple[Any, ...]]:
        columns = columns_of(page)
        while True:
            yield from rows_of(page, columns, headed)
            following = page.get("NextToken")
            if not following:
                return
            page, headed = self._page(identity, following), False

    def _page(self, identity: str, token: str = "") -> dict[str, Any]:
        more = {"NextToken": token} if token else {}
        answer = self._call("get_query_results", None, QueryExecutionId=identity, MaxResults=_PAGE, **more)
        return dict(answer)

    def _started(self, sql: str, token: str, until: float) -> str:
        answer = self._call(
            "start_query_execution",
            until=until,
            QueryString=sql,
            ClientRequestToken=token,  # the same when sent again: one query, however often that is
            QueryExecutionContext={"Catalog": "AwsDataCatalog", "Database": self.database},
            WorkGroup=self.workgroup,
        )
        return str(answer["QueryExecutionId"])

    def _ended(self, identity: str, until: float) -> dict[str, Any]:
        """Wait for the end of a query, good or bad; what Athena says of it. Raises PfsquidError where it is late."""
        pause, longest = _PAUSES
        before = ""
        while True:
            told = self._call("get_query_execution", until=until, QueryExecutionId=identity)["QueryExecution"]
            state = str(told["Status"]["State"])
            if state in ("SUCCEEDED", "FAILED", "CANCELLED"):
                return dict(told)
            if state != before:
                self.tell(f"Athena: {state.lower()}")
                before = state
            if time.monotonic() + pause > until:
                raise PfsquidError(
                    f"no answer of Athena within {self.timeout:g} seconds ({state.lower()}): the query was stopped",
                    "since=7d    # narrow the time",
                    f"--timeout {2 * self.timeout:g}s",
                )
            time.sleep(pause)
            pause = min(pause * 1.5, longest)

    def _stop(self, sql: str, token: str, identity: str | None) -> None:
        """Stop a query whose end nobody waits for. Best effort: what goes wrong here must not hide what led here."""
        with suppress(Exception):
            if identity is None:  # it may have begun without an answer to us; the same token tells
                identity = self._started(sql, token, time.monotonic())
            self._call("stop_query_execution", QueryExecutionId=identity)

    def _call(self, operation: str, until: float | None = None, **arguments: Any) -> Any:
        """Ask Athena; throttled, again and again until `until`. Raises PfsquidError."""
        from botocore.exceptions import BotoCoreError, ClientError

        if self._client is None:
            self._client = self.cloud.client("athena", attempts=3)
        pause, longest = _PAUSES
        until = time.monotonic() + self.timeout if until is None else until
        while True:
            try:
                return getattr(self._client, operation)(**arguments)
            except (BotoCoreError, ClientError) as exc:
                code = getattr(exc, "response", {}).get("Error", {}).get("Code", "")
                if code not in _THROTTLED or time.monotonic() + pause > until:
                    raise self._refusal(code, exc) from exc
            time.sleep(pause)
            pause = min(pause * 2, longest)

    def _refusal(self, code: str, exc: Exception) -> PfsquidError:
        text = str(exc)
        if code == "InvalidRequestException" and "workgroup" in text.lower() and "not found" in text.lower():
            return PfsquidError(
                f"there is no workgroup {self.workgroup} in Athena of this account and region",
                "pfsquid aws deploy",
                "see aws.workgroup and aws.region in the configuration",
            )
        if code in ("AccessDeniedException", "AccessDenied"):
            return PfsquidError(
                f"no access to Athena: {text}",
                "aws sts get-caller-identity    # who am I?",
                "attach the stack's AnalystPolicy to this identity: docs/athena.md",
            )
        if code == "InvalidRequestException":
            told = getattr(exc, "response", {}).get("Error", {}).get("Message", text)
            return failure("FAILED", f"SYNTAX_ERROR: {told}" if "queryString" in told else told, "ID")
        return refusal("Athena", exc)


def check(sql: str) -> None:
    """Is it one SELECT in Athena's dialect, and not too long? Raises WrongUse."""
    example = 'pfsquid query --engine athena --sql "SELECT count(*) FROM proxy"'
    try:
        trees = sqlglot.parse(sql, read="athena")
    except sqlglot.errors.SqlglotError as exc:
        raise WrongUse(f"the SQL cannot be read: {str(exc).partition(chr(10))[0][:300]}", example) from exc
    if len(trees) != 1 or not isinstance(trees[0], exp.Query) or any(trees[0].find_all(*_WRITES)):
        raise WrongUse("only one SELECT is allowed: the lake is read, never written, by a query", example)
    if len(sql.encode("utf-8", "surrogatepass")) > LONGEST:
        raise WrongUse(
            f"the SQL is longer than Athena takes ({LONGEST:,} bytes)",
            "since=30d    # narrow the time",
            "pfsquid lake compact    # days that are counted need fewer words",
        )
