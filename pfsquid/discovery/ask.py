"""Questions: SQL files in Athena's dialect, their parameters, and the text that an engine gets. Runs nothing."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from pfsquid.errors import WrongUse

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


@dataclass(frozen=True)
class Question:
    """A question. sql: whole, in Athena's dialect, with :since, :until, :app and :person as parameters."""

    name: str
    title: str
    sql: str
    parameters: tuple[str, ...]


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


def render(sql: str, values: Mapping[str, datetime | str | None], dialect: str) -> str:
    """SQL in Athena's dialect → text for an engine (`duckdb` or `athena`), parameters filled in as quoted literals.

    values: moments in UTC, texts, or None for "any". Raises WrongUse where the SQL cannot be read or carried over.
    """
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
    parts = [(_FOLDER / "parts" / f"{name}.sql").read_text("utf-8") for name in head.get("with", "").split()]
    sql = ("WITH " + ",\n".join(parts) + "\n" if parts else "") + text
    without = head.get("without", "").split()
    parameters = tuple(name for name in PARAMETERS if f":{name}" in sql and name not in without)
    return Question(path.stem, head["title"], sql, parameters)


def _literal(node: exp.Expression, values: Mapping[str, datetime | str | None]) -> exp.Expression:
    if not isinstance(node, exp.Placeholder):
        return node
    if node.name not in values:
        raise WrongUse(
            f"the SQL has a parameter :{node.name} that there is no value for", "write the value in its place"
        )
    value = values[node.name]
    if value is None:
        return exp.cast(exp.Null(), "varchar")
    if isinstance(value, datetime):
        return exp.cast(exp.Literal.string(value.strftime("%Y-%m-%d %H:%M:%S.%f UTC")), exp.DataType.Type.TIMESTAMPTZ)
    return exp.Literal.string(value)


def _first_line(exc: Exception) -> str:
    return str(exc).partition("\n")[0].replace("\x1b[4m", "").replace("\x1b[0m", "")[:300]
