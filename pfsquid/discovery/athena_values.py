"""What Athena says of values and of failures → Python's values, as DuckDB gives them, and errors for people. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from pfsquid.errors import PfsquidError, WrongUse

Column = tuple[str, str]
"""Name and type, as in a result's metadata."""
_TRIES_LATER = ("pfsquid query … --engine athena    # again, in a while", "aws athena list-query-executions")


def columns_of(result: Mapping[str, Any]) -> list[Column]:
    """The columns of a page of GetQueryResults."""
    told = result["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
    return [(str(one.get("Label") or one["Name"]), str(one["Type"]).lower()) for one in told]


def rows_of(result: Mapping[str, Any], columns: Sequence[Column], headed: bool) -> list[tuple[Any, ...]]:
    """The rows of a page. headed: its first row has the names of the columns, as that of the first page of a SELECT.

    A value that is missing is null; an empty text is one.
    """
    rows = [[one.get("VarCharValue") for one in row.get("Data", ())] for row in result["ResultSet"]["Rows"]]
    if headed and rows and rows[0] == [name for name, _ in columns]:
        del rows[0]
    readers = [_READERS.get(kind, str) for _, kind in columns]
    return [
        tuple(None if text is None else read(text) for read, text in zip(readers, row, strict=True)) for row in rows
    ]


def failure(state: str, reason: str, identity: str) -> PfsquidError:
    """The error of a query that did not succeed. state: FAILED or CANCELLED; reason: Athena's StateChangeReason."""
    told = reason.strip() or "Athena gives no reason"
    if state == "CANCELLED":
        if re.search(r"bytes scanned limit", told, re.IGNORECASE):
            return PfsquidError(
                f"Athena stopped the query: it reads more than the workgroup allows ({told})", *NARROWER
            )
        return PfsquidError(f"the query was cancelled in Athena: {told}", *_TRIES_LATER)
    for pattern, make in _REASONS:
        if re.search(pattern, told, re.IGNORECASE):
            return make(told)
    return PfsquidError(
        f"Athena could not answer: {told}", f"aws athena get-query-execution --query-execution-id {identity}"
    )


NARROWER = (
    "since=7d    # narrow the time",
    "pfsquid lake compact    # days that are counted once are small",
    "raise BytesCutoff of the stack: pfsquid aws deploy",
)


def _wrong_sql(told: str) -> PfsquidError:
    return WrongUse(f"Athena does not take the SQL: {told}", 'pfsquid query --sql "SELECT 1" --engine athena')


_REASONS: tuple[tuple[str, Callable[[str], PfsquidError]], ...] = (
    (
        r"TABLE_NOT_FOUND|(?:table|schema) .* (?:does not exist|not found)|SCHEMA_NOT_FOUND",
        lambda told: PfsquidError(
            f"Athena does not find a table: {told}",
            "pfsquid lake publish    # hosts, apps and people",
            "pfsquid collect squid    # a table is made with its first rows",
            "see aws.database in the configuration",
        ),
    ),
    (
        r"bytes scanned limit|EXCEEDED_(?:SCAN|BYTES)",
        lambda told: PfsquidError(f"the query reads more than the workgroup allows: {told}", *NARROWER),
    ),
    (
        r"EXCEEDED_(?:GLOBAL_|LOCAL_)?MEMORY|exhausted resources",
        lambda told: PfsquidError(f"the query needs more than Athena gives: {told}", *NARROWER[:2]),
    ),
    (r"SYNTAX_ERROR|mismatched input|COLUMN_NOT_FOUND|TYPE_MISMATCH|FUNCTION_NOT_FOUND", _wrong_sql),
    (
        r"access ?denied|not authori[sz]ed|PERMISSION_DENIED|insufficient.*permissions",
        lambda told: PfsquidError(
            f"Athena may not read it: {told}",
            "aws sts get-caller-identity    # who am I?",
            "attach the stack's AnalystPolicy to this identity: docs/athena.md",
        ),
    ),
    (
        r"ICEBERG_(?:CANNOT_OPEN_SPLIT|BAD_DATA|MISSING_DATA|FILESYSTEM_ERROR)|NoSuchKey|FileNotFound",
        lambda told: PfsquidError(
            f"a file of the lake went while Athena read it: {told}",
            "the same again",
            "raise care.expire.snapshots above the length of the longest question",
        ),
    ),
    (
        r"TooManyRequests|throttl|slow ?down|rate exceeded|QUEUED.*limit",
        lambda told: PfsquidError(f"AWS is asked too much: {told}", *_TRIES_LATER),
    ),
)


def _moment(text: str) -> Any:
    """`2026-11-03 16:00:00.000 UTC` → in UTC; text where Python has no such moment."""
    try:
        stamp, _, zone = text.rpartition(" ")
        if ":" not in stamp:  # no zone
            return datetime.fromisoformat(text)
        if re.fullmatch(r"[+-]\d\d:\d\d", zone):
            return datetime.fromisoformat(stamp + zone).astimezone(UTC)
        return datetime.fromisoformat(stamp).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return text


def _or_text(read: Callable[[str], Any]) -> Callable[[str], Any]:
    def reading(text: str) -> Any:
        try:
            return read(text)
        except (ValueError, OverflowError):
            return text

    return reading


def _decimal(text: str) -> Any:
    value = Decimal(text)
    return int(value) if value == value.to_integral_value() else value


_READERS: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("tinyint", "smallint", "integer", "int", "bigint"), int),
    **dict.fromkeys(("double", "float", "real"), float),
    "boolean": lambda text: text.lower() == "true",
    "decimal": _decimal,
    "date": _or_text(date.fromisoformat),
    "time": _or_text(time.fromisoformat),
    **dict.fromkeys(("timestamp", "timestamp with time zone"), _moment),
    "varbinary": _or_text(bytes.fromhex),
}
