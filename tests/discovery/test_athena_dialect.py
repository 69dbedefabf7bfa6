"""The questions are Athena's SQL: they parse, round-trip, keep to Trino's grammar, hold nothing that differs silently.

What differs silently between Trino and DuckDB after sqlglot was found by trial; each rule of the lint has a test.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime

import pytest
import sqlglot
from sqlglot import exp

from pfsquid.discovery.ask import Question, Values, question, questions, render, spans
from pfsquid.discovery.athena import check
from pfsquid.lake.rollup import rollup_sql

ALL = list(questions().values())
FILLED: dict[str, datetime | str | None] = {
    "since": datetime(2026, 11, 1, tzinfo=UTC),
    "until": datetime(2026, 12, 1, 12, 30, 1, 5, UTC),
    "app": "dropbox",
    "person": "o'neil@example.com",
}
# What the questions use, each tried in Trino and DuckDB for the same meaning, nulls and empty groups included.
FUNCTIONS = {
    "bitwise_or_agg", "coalesce", "count", "count_if", "greatest", "hour", "lower", "max", "min", "power", "sum",
    "time_to_str",  # date_format
}  # fmt: skip
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
        elif isinstance(node, (exp.ApproxDistinct, exp.ApproxQuantile)):
            yield "approximate"  # other sketches, other values
        elif isinstance(node, exp.Concat):
            yield "concat"  # of a null: null in Trino, left out in DuckDB
        elif isinstance(node, exp.DPipe) and not (_is_text(node.left) and _is_text(node.right)):
            yield "|| of no text"  # an error in Trino, a text in DuckDB
        elif isinstance(node, exp.Lambda):
            yield "lambda"  # DuckDB has other words for what takes one
        elif isinstance(node, exp.Group) and node.args.get("all"):
            yield "group by all"  # no SQL of Trino's


def _name(node: exp.Func) -> str:
    return (node.name if isinstance(node, exp.Anonymous) else node.sql_name()).lower()


def _unit(node: exp.Expr) -> str:
    unit = node.args.get("unit")
    return unit.name.upper() if isinstance(unit, exp.Expr) else ""


def _is_text(node: exp.Expr) -> bool:
    """Is it a text, and surely so?"""
    node = node.unnest()
    if isinstance(node, exp.Coalesce):
        return any(isinstance(one, exp.Literal) and one.is_string for one in node.expressions)
    if isinstance(node, exp.Cast):
        return node.to.this in exp.DataType.TEXT_TYPES
    return isinstance(node, exp.DPipe) or (isinstance(node, exp.Literal) and bool(node.is_string))


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


def functions_of(sql: str) -> set[str]:
    """The names of all functions in the text that Athena gets."""
    given = render(sql, FILLED, "athena")
    found = sqlglot.parse_one(given, read="athena").find_all(exp.Func)
    return {_name(node) for node in found if not isinstance(node, (exp.Cast, exp.Case, exp.And, exp.Or, exp.If))}


@pytest.mark.parametrize("sql", [*(one.sql for one in ALL), f"WITH {rollup_sql()} SELECT * FROM counted_rows"])
def test_a_question_uses_only_functions_that_both_engines_have_and_that_mean_the_same(sql: str) -> None:
    assert functions_of(sql) - FUNCTIONS == set()
    assert [node.name for node in sqlglot.parse_one(sql, read="athena").find_all(exp.Anonymous)] == []


def test_no_function_is_allowed_that_nobody_needs() -> None:
    assert set().union(*(functions_of(one.sql) for one in ALL)) == FUNCTIONS


def test_the_rollup_keeps_to_trinos_grammar_and_holds_nothing_that_differs_silently(
    trino: Callable[[str], object],
) -> None:
    sql = f"WITH {rollup_sql()} SELECT * FROM counted_rows"
    assert trino(render(sql, FILLED, "athena"))
    assert lint(sql) == []


HOSTILE = (
    "it's", "''", "\\", "\\'", "a\\'; DROP TABLE proxy; --", "x\ny\r\tz", '"', "`", "?", "? ? ?", ":app", "%_",
    "/* */ --", "é ß 漢 😀", "\u202e\u0000", "$$", "U&'\\0041'", "' OR '1'='1", "a" * 5000,
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_text_of_any_kind_is_one_literal_and_nothing_else(trino: Callable[[str], object], text: str) -> None:
    sql = render("SELECT :app AS a", {"app": text}, "athena")
    assert sql == f"SELECT '{text.replace(chr(39), chr(39) * 2)}' AS a"
    check(sql)
    assert trino(sql)
    (literal,) = sqlglot.parse_one(sql, read="trino").find_all(exp.Literal)
    assert literal.name == text


def test_a_question_with_many_days_to_count_keeps_to_the_grammar(trino: Callable[[str], object]) -> None:
    since, until = datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2026, 3, 1, 12, tzinfo=UTC)
    stale = [date(2026, 1, day) for day in range(2, 31, 2)]
    given: Values = {**FILLED, "since": since, "until": until, **spans(since, until, stale)}
    sql = render(question("apps").sql, given, "athena")
    check(sql)
    assert trino(sql)


def test_a_moment_keeps_its_microseconds_in_trino() -> None:
    sql = render("SELECT :until AS at", FILLED, "athena")
    assert sql == "SELECT CAST('2026-12-01 12:30:01.000005 UTC' AS TIMESTAMP(6) WITH TIME ZONE) AS at"


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
        ("SELECT approx_distinct(a) FROM t", ["approximate"]),
        ("SELECT approx_percentile(a, 0.5) FROM t", ["approximate"]),
        ("SELECT concat(a, b) FROM t", ["concat"]),
        ("SELECT a || 'x' FROM t", ["|| of no text"]),
        ("SELECT CAST(a AS varchar) || '|' || coalesce(b, '') FROM t", []),
        ("SELECT transform(a, x -> x + 1) FROM t", ["lambda"]),
        ("SELECT a FROM t GROUP BY ALL", ["group by all"]),
    ],
)
def test_the_lint_finds_what_differs_silently_and_nothing_else(sql: str, found: list[str]) -> None:
    assert lint(sql) == found
