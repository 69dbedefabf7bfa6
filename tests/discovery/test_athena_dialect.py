"""The questions are Athena's SQL: they parse, round-trip, keep to Trino's grammar, hold nothing that differs silently.

What differs silently between Trino and DuckDB after sqlglot was found by trial; each rule of the lint has a test.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
import sqlglot
from sqlglot import exp

from pfsquid.discovery.ask import Question, questions, render

ALL = list(questions().values())
FILLED: dict[str, datetime | str | None] = {
    "since": datetime(2026, 11, 1, tzinfo=UTC),
    "until": datetime(2026, 12, 1, 12, 30, 1, 5, UTC),
    "app": "dropbox",
    "person": "o'neil@example.com",
}
FRACTIONS = {exp.DataType.Type.DOUBLE, exp.DataType.Type.DECIMAL, exp.DataType.Type.FLOAT}
TIMES = {exp.DataType.Type.DATE, exp.DataType.Type.TIMESTAMP, exp.DataType.Type.TIMESTAMPTZ}
TIME_COLUMNS = {"day", "ts", "started_at", "created_at", "first_use", "last_use", "last_sign_in"}


def lint(sql: str) -> list[str]:
    """What of Athena's SQL would give another answer on DuckDB without an error, a word each."""
    return sorted(set(_findings(sqlglot.parse_one(sql, read="athena"))))


def _findings(tree: exp.Expr) -> Iterator[str]:
    for node in tree.walk():
        if isinstance(node, exp.Div) and not (_is_fraction(node.this) or _is_fraction(node.expression)):
            yield "division"  # 7/2 is 3 in Trino, 3.5 in DuckDB
        elif isinstance(node, exp.Substring) and _is_zero(node.args.get("start")):
            yield "substring from 0"  # '' in Trino, one letter less in DuckDB
        elif isinstance(node, exp.Func) and _name(node) == "format":
            yield "format"  # printf in Trino, {} in DuckDB
        elif isinstance(node, exp.Sub) and (_is_time(node.this) or _is_time(node.expression)):
            yield "date minus date"  # an interval in Trino, a number of days in DuckDB
        elif isinstance(node, (exp.DateTrunc, exp.TimestampTrunc)) and _unit(node) == "WEEK":
            yield "date_trunc to week"  # a date in Trino, a timestamp in DuckDB


def _name(node: exp.Func) -> str:
    return (node.name if isinstance(node, exp.Anonymous) else node.sql_name()).lower()


def _unit(node: exp.Expr) -> str:
    unit = node.args.get("unit")
    return unit.name.upper() if isinstance(unit, exp.Expr) else ""


def _is_fraction(node: exp.Expr) -> bool:
    node = node.unnest()
    return isinstance(node, exp.Cast) and node.to.this in FRACTIONS


def _is_zero(node: exp.Expr | None) -> bool:
    return isinstance(node, exp.Literal) and node.name == "0"


def _is_time(node: exp.Expr) -> bool:
    node = node.unnest()
    if isinstance(node, exp.Cast):
        return node.to.this in TIMES
    if isinstance(node, exp.Column):
        return node.name in TIME_COLUMNS
    if isinstance(node, (exp.Min, exp.Max)):
        return _is_time(node.this)
    return isinstance(node, (exp.CurrentDate, exp.CurrentTimestamp, exp.DateTrunc, exp.TimestampTrunc, exp.Date))


@pytest.fixture(scope="module")
def trino() -> Callable[[str], object]:
    """Trino's own grammar (ANTLR), as a function that raises on what is none of its SQL."""
    parse: Callable[[str], object] = importlib.import_module("trino_query_parser").parse_statement
    return parse


def name_of(question: Question) -> str:
    return question.name


@pytest.mark.parametrize("question", ALL, ids=name_of)
def test_a_question_parses_and_round_trips_in_athenas_dialect(question: Question) -> None:
    tree = sqlglot.parse_one(question.sql, read="athena")
    again = sqlglot.parse_one(tree.sql(dialect="athena"), read="athena")
    assert again == tree


@pytest.mark.parametrize("question", ALL, ids=name_of)
@pytest.mark.parametrize("given", [FILLED, dict(FILLED, app=None, person=None)], ids=["filled", "any"])
def test_trinos_grammar_accepts_a_question(
    trino: Callable[[str], object], question: Question, given: dict[str, datetime | str | None]
) -> None:
    assert trino(render(question.sql, given, "athena"))


@pytest.mark.parametrize("sql", ["SELECT FROM WHERE", "COPY a TO 'b'", "SELECT a FROM b QUALIFY 1 = 1"])
def test_trinos_grammar_is_one_that_refuses(trino: Callable[[str], object], sql: str) -> None:
    with pytest.raises(Exception, match=r"mismatched|extraneous|viable"):
        trino(sql)


@pytest.mark.parametrize("question", ALL, ids=name_of)
def test_no_parameter_is_left_open(question: Question) -> None:
    tree = sqlglot.parse_one(render(question.sql, FILLED, "athena"), read="athena")
    assert list(tree.find_all(exp.Placeholder, exp.Parameter)) == []


@pytest.mark.parametrize("question", ALL, ids=name_of)
def test_a_question_holds_nothing_that_differs_silently(question: Question) -> None:
    assert lint(question.sql) == []


@pytest.mark.parametrize("question", ALL, ids=name_of)
def test_a_question_uses_only_functions_that_both_engines_have(question: Question) -> None:
    functions = {_name(node) for node in sqlglot.parse_one(question.sql, read="athena").find_all(exp.Anonymous)}
    assert functions == set()


@pytest.mark.parametrize("question", ALL, ids=name_of)
def test_a_sum_is_cast_to_bigint_before_it_is_shown(question: Question) -> None:
    """sum(bigint) is a bigint in Trino, a 128-bit number in DuckDB."""
    tree = sqlglot.parse_one(question.sql, read="athena")
    assert isinstance(tree, exp.Select)
    assert [column.sql() for column in tree.selects if isinstance(column.unalias(), exp.Sum)] == []


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("SELECT a / b FROM t", ["division"]),
        ("SELECT sum(a) / count(*) FROM t", ["division"]),
        ("SELECT 7 / 2", ["division"]),
        ("SELECT CAST(a AS bigint) / b FROM t", ["division"]),
        ("SELECT CAST(a AS double) / b FROM t", []),
        ("SELECT a / CAST(b AS decimal(18, 2)) FROM t", []),
        ("SELECT a / (CAST(b AS double)) FROM t", []),
        ("SELECT substr(a, 0, 2) FROM t", ["substring from 0"]),
        ("SELECT substring(a, 0) FROM t", ["substring from 0"]),
        ("SELECT substr(a, 1, 2) FROM t", []),
        ("SELECT format('%s', a) FROM t", ["format"]),
        ("SELECT date_format(a, '%Y') FROM t", []),
        ("SELECT CAST(a AS date) - CAST(b AS date) FROM t", ["date minus date"]),
        ("SELECT current_date - CAST(ts AS date) FROM t", ["date minus date"]),
        ("SELECT max(ts) - min(ts) FROM t", ["date minus date"]),
        ("SELECT last_use - first_use FROM t", ["date minus date"]),
        ("SELECT date_trunc('day', ts) - a FROM t", ["date minus date"]),
        ("SELECT date_diff('day', first_use, last_use) FROM t", []),
        ("SELECT a - b FROM t", []),
        ("SELECT date_trunc('week', CAST(ts AS date)) FROM t", ["date_trunc to week"]),
        ("SELECT date_trunc('WEEK', ts) FROM t", ["date_trunc to week"]),
        ("SELECT date_trunc('day', ts) FROM t", []),
        ("SELECT 1 FROM t WHERE a IN (SELECT 7 / b FROM u)", ["division"]),
    ],
)
def test_the_lint_finds_what_differs_silently_and_nothing_else(sql: str, found: list[str]) -> None:
    assert lint(sql) == found
