"""Questions: SQL files in Athena's dialect, their parameters, and the text that an engine gets. Runs nothing."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from pfsquid.errors import WrongUse
from pfsquid.lake.rollup import rollup_sql

logging.getLogger("sqlglot").setLevel(logging.CRITICAL)  # what it would say there, WrongUse says
_FOLDER = Path(__file__).parent / "questions"
PARAMETERS = {
    "since": "the first day or moment that counts (2026-11-01, 2026-11-01T08:00, 7d for seven days back)",
    "until": "the last day that counts, or the first moment that does not",
    "app": "an app, by id or name",
    "person": "a person, by UPN, principal or the name before the @",
}
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
END = datetime(2200, 1, 1, tzinfo=UTC)
# In Trino a timestamp without a precision has milliseconds, and a finer text is rounded to them.
_MICROSECONDS = exp.DataType.build("timestamp(6) with time zone", dialect="trino")


@dataclass(frozen=True)
class Question:
    """A question. sql: whole, in Athena's dialect, with :since, :until, :app and :person as parameters."""

    name: str
    title: str
    sql: str
    parameters: tuple[str, ...]


@dataclass(frozen=True)
class Spans:
    """Spans of time [first, last) that a column is to lie in: of moments, or of days. Without any, no row is meant."""

    column: str
    spans: tuple[tuple[datetime | date, datetime | date], ...]


Values = Mapping[str, "datetime | str | Spans | None"]


@dataclass(frozen=True)
class Result:
    """An answer. rows: values by position; times in UTC. notes: what a reader must know to take it rightly."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    title: str = ""
    notes: tuple[str, ...] = field(default=())


@cache
def questions() -> dict[str, Question]:
    """All questions by name."""
    return {path.stem: _read(path) for path in sorted(_FOLDER.glob("*.sql"))}


def question(name: str) -> Question:
    """The question of this name. Raises WrongUse with the names that there are."""
    known = questions()
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, known, 1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise WrongUse(f"there is no question {name!r}{hint}", "pfsquid query    # lists the questions")


def counted_in_all() -> str:
    """SQL for one row: the most bytes up that are known, the number of rows counted, and that of requests."""
    counted = (_FOLDER / "parts" / "counted.sql").read_text("utf-8")
    return f"WITH {rollup_sql()},\n{counted}\nSELECT max(bytes_up), count(*), sum(requests) FROM counted"


def spans(since: datetime, until: datetime, stale: Iterable[date] = ()) -> dict[str, Spans]:
    """How to cover [since, until): `days` by the table usage, `rows` by the rows of proxy.

    Whole days (UTC) are read from usage, but for the stale ones; those and what is left at the ends, from the rows.
    """
    first = _midnight(since) if since == _midnight(since) else _midnight(since) + timedelta(days=1)
    last = max(_midnight(until), first)
    days: list[tuple[date, date]] = []
    begin = first
    for day in sorted({*stale}):
        at = datetime(day.year, day.month, day.day, tzinfo=UTC)
        if begin <= at < last:
            days.append((begin.date(), day))
            begin = at + timedelta(days=1)
    days = [span for span in (*days, (begin.date(), last.date())) if span[0] < span[1]]
    covered = [tuple(datetime(one.year, one.month, one.day, tzinfo=UTC) for one in span) for span in days]
    ends = [since, *(moment for span in covered for moment in span), until]
    rows = [(a, b) for a, b in zip(ends[::2], ends[1::2], strict=True) if a < b]
    return {"days": Spans("day", tuple(days)), "rows": Spans("ts", tuple(rows))}


def _midnight(when: datetime) -> datetime:
    return when.replace(hour=0, minute=0, second=0, microsecond=0)


def render(sql: str, values: Values, dialect: str) -> str:
    """SQL in Athena's dialect → text for an engine (`duckdb` or `athena`), parameters filled in as quoted literals.

    values: moments in UTC, texts, or None for "any"; and `spans`: without these, all is counted from the rows. Raises
    WrongUse where the SQL cannot be read or carried over.
    """
    since, until = values.get("since"), values.get("until")
    if isinstance(since, datetime) and isinstance(until, datetime):
        values = {"days": Spans("day", ()), "rows": Spans("ts", ((since, until),)), **values}
    try:
        trees = sqlglot.parse(sql, read="athena")
        if len(trees) != 1 or trees[0] is None:
            raise WrongUse("one statement at a time, please", 'pfsquid query --sql "SELECT count(*) FROM proxy"')
        if isinstance(trees[0], exp.Command):
            raise WrongUse("this is no SELECT that Athena knows", 'pfsquid query --sql "SELECT count(*) FROM proxy"')
        tree = trees[0].transform(lambda node: _literal(node, values))
        return tree.sql(dialect=dialect, unsupported_level=sqlglot.ErrorLevel.RAISE)
    except SqlglotError as exc:
        raise WrongUse(
            f"the SQL cannot be read: {_first_line(exc)}", 'pfsquid query --sql "SELECT count(*) FROM proxy"'
        ) from exc


def moment(text: str, end: bool, now: datetime) -> datetime:
    """A parameter since or until as a moment in UTC. A day as `end` means the whole of it. Raises WrongUse."""
    try:
        if text[-1:] in "dh" and text[:-1].isdigit():
            return now - (timedelta(days=int(text[:-1])) if text.endswith("d") else timedelta(hours=int(text[:-1])))
        if text in ("today", "yesterday"):
            day = now.date() - timedelta(days=text == "yesterday")
        elif len(text) == 10:
            day = date.fromisoformat(text)
        else:
            read = datetime.fromisoformat(text.replace("Z", "+00:00"))
            return read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
        return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=end)
    except (ValueError, OverflowError):
        name = "until" if end else "since"
        raise WrongUse(
            f"{name}={text} is no day or moment", f"{name}=2026-11-01, {name}=2026-11-01T08:00, {name}=7d"
        ) from None


def _read(path: Path) -> Question:
    text = path.read_text("utf-8")
    head = dict(
        line.removeprefix("-- ").split(": ", 1) for line in text.splitlines() if line.startswith("-- ") and ": " in line
    )
    parts = [
        rollup_sql() if name == "rollup" else (_FOLDER / "parts" / f"{name}.sql").read_text("utf-8")
        for name in head.get("with", "").split()
    ]
    sql = ("WITH " + ",\n".join(parts) + "\n" if parts else "") + text
    without = head.get("without", "").split()
    used = {name for name in PARAMETERS if f":{name}" in sql} | ({"since", "until"} if ":rows" in sql else set())
    parameters = tuple(name for name in PARAMETERS if name in used and name not in without)
    return Question(path.stem, head["title"], sql, parameters)


def _literal(node: exp.Expression, values: Values) -> exp.Expression:
    if not isinstance(node, exp.Placeholder):
        return node
    if node.name not in values:
        raise WrongUse(
            f"the SQL has a parameter :{node.name} that there is no value for", "write the value in its place"
        )
    value = values[node.name]
    if value is None:
        return exp.cast(exp.Null(), "varchar")
    if isinstance(value, Spans):
        column = exp.column(value.column)
        within = [exp.and_(column >= _moment(first), column < _moment(last)) for first, last in value.spans]
        return exp.paren(exp.or_(*within)) if within else exp.false()
    return exp.Literal.string(value) if isinstance(value, str) else _moment(value)


def _moment(value: datetime | date) -> exp.Expression:
    if isinstance(value, datetime):
        return exp.cast(exp.Literal.string(value.strftime("%Y-%m-%d %H:%M:%S.%f UTC")), _MICROSECONDS)
    return exp.cast(exp.Literal.string(value.isoformat()), exp.DataType.Type.DATE)


def _first_line(exc: Exception) -> str:
    return str(exc).partition("\n")[0].replace("\x1b[4m", "").replace("\x1b[0m", "")[:300]
