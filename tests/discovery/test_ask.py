"""Questions as files, their parameters, and the text that an engine gets."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import duckdb
import pytest

from pfsquid.discovery.ask import PARAMETERS, moment, question, questions, render
from pfsquid.errors import WrongUse

NOW = datetime(2026, 11, 24, 13, 30, tzinfo=UTC)


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0, micro: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, second, micro, UTC)


def test_there_are_the_six_questions() -> None:
    assert list(questions()) == ["app-people", "app-signins", "apps", "people", "unknown-domains", "unmatched-people"]


@pytest.mark.parametrize("name", questions())
def test_every_question_has_a_title(name: str) -> None:
    assert len(question(name).title) > 20


@pytest.mark.parametrize("name", questions())
def test_every_question_takes_a_time(name: str) -> None:
    assert {"since", "until"} <= set(question(name).parameters) <= set(PARAMETERS)


def test_an_unknown_domain_has_no_app_to_ask_for() -> None:
    assert question("unknown-domains").parameters == ("since", "until", "person")


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026-11-01", utc(2026, 11, 1), utc(2026, 11, 2)),
        ("today", utc(2026, 11, 24), utc(2026, 11, 25)),
        ("yesterday", utc(2026, 11, 23), utc(2026, 11, 24)),
        ("2026-11-01T08:00", utc(2026, 11, 1, 8), utc(2026, 11, 1, 8)),
        ("2026-11-01T08:00:00Z", utc(2026, 11, 1, 8), utc(2026, 11, 1, 8)),
        ("2026-11-01T08:00+02:00", utc(2026, 11, 1, 6), utc(2026, 11, 1, 6)),
        ("2026-11-01 08:00:00.5", utc(2026, 11, 1, 8, 0, 0, 500_000), utc(2026, 11, 1, 8, 0, 0, 500_000)),
        ("7d", utc(2026, 11, 17, 13, 30), utc(2026, 11, 17, 13, 30)),
        ("36h", utc(2026, 11, 23, 1, 30), utc(2026, 11, 23, 1, 30)),
        ("0d", NOW, NOW),
    ],
)
def test_a_day_as_an_end_means_the_whole_of_it_and_a_moment_itself(text: str, start: datetime, end: datetime) -> None:
    assert (moment(text, False, NOW), moment(text, True, NOW)) == (start, end)


NO_MOMENTS = (
    "d|soon|2026-13-01|2026-02-30|-7d|7.5d|²d|99999999999999d|9999-12-31|0001-01-01T00:00+14:00|2026-11-01T25:00"
    "|1793491200|'; DROP TABLE proxy; --"
)


@pytest.mark.parametrize("text", ["", *NO_MOMENTS.split("|")])
def test_what_is_no_day_or_moment_is_refused_with_examples(text: str) -> None:
    with pytest.raises(WrongUse, match="is no day or moment") as caught:
        moment(text, True, NOW)
    assert "until=2026-11-01" in caught.value.next[0]


def test_a_text_is_filled_in_as_a_quoted_literal() -> None:
    hostile = "x' OR '1'='1\\'; -- :since"
    sql = render("SELECT :app AS a", {"app": hostile}, "duckdb")
    assert duckdb.connect().execute(sql).fetchall() == [(hostile,)]


def test_nothing_filled_in_is_null() -> None:
    sql = render("SELECT :app IS NULL OR 'a' = :app AS any_app", {"app": None}, "duckdb")
    assert duckdb.connect().execute(sql).fetchall() == [(True,)]


def test_a_moment_keeps_its_microseconds() -> None:
    at = utc(2026, 11, 1, 8, 0, 0, 123_456)
    connection = duckdb.connect()
    connection.execute("SET TimeZone='UTC'")
    sql = render("SELECT CAST(:since AS varchar) AS at", {"since": at}, "duckdb")
    assert connection.execute(sql).fetchall() == [("2026-11-01 08:00:00.123456+00",)]


def test_a_colon_in_a_text_is_no_parameter() -> None:
    assert render("SELECT ':app' AS a", {}, "duckdb") == "SELECT ':app' AS a"


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELECT :nobody", ":nobody"),
        ("SELECT 1; SELECT 2", "one statement"),
        ("", "one statement"),
        ("SELECT (1", "cannot be read"),
        ("SHOW TABLES", "no SELECT"),
    ],
)
def test_sql_that_cannot_be_carried_over_is_refused(sql: str, told: str) -> None:
    with pytest.raises(WrongUse, match=told):
        render(sql, {}, "duckdb")


def test_an_error_in_sql_comes_without_control_characters() -> None:
    with pytest.raises(WrongUse) as caught:
        render("SELECT FROM WHERE )", {}, "duckdb")
    assert caught.value.message.isprintable()


def test_sqlglot_says_nothing_of_its_own(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    with caplog.at_level(logging.WARNING), pytest.raises(WrongUse):
        render("SHOW TABLES", {}, "duckdb")
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []
