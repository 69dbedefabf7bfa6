"""Results and errors as people and programs get them."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from pfsquid.errors import PfsquidError
from pfsquid.views import Format, Screen, error, human_bytes, progress, say, show

MOMENT = datetime(2026, 11, 16, 8, 8, 28, 281000, tzinfo=UTC)


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def shown(format: Format, columns: tuple[str, ...], *rows: tuple[Any, ...], title: str = "") -> str:
    out = io.StringIO()
    show(Screen(out, io.StringIO()), columns, rows, format, title)
    return out.getvalue()


def value_in_json(value: Any) -> Any:
    return json.loads(shown(Format.JSON, ("a",), (value,)))["rows"][0]["a"]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (MOMENT, "2026-11-16T08:08:28.281Z"),
        (MOMENT + timedelta(microseconds=1), "2026-11-16T08:08:28.281001Z"),
        (date(2026, 11, 16), "2026-11-16"),
        (b"caf\xe9", "caf\\xe9"),
        (Decimal("1.25"), 1.25),
        (Decimal("NaN"), None),
        (float("nan"), None),
        (float("inf"), None),
        (True, True),
        (None, None),
        (2**60, 2**60),
        ([MOMENT, None], ["2026-11-16T08:08:28.281Z", None]),
        ({"a": b"b"}, {"a": "b"}),
        (timedelta(hours=1), "1:00:00"),
        ("\x9b31m\x7f\x00", "\x9b31m\x7f\x00"),
    ],
)
def test_a_value_in_json(value: Any, told: Any) -> None:
    assert value_in_json(value) == told


def test_json_is_one_object_of_columns_and_rows() -> None:
    assert json.loads(shown(Format.JSON, ("a", "b"), (1, "x"), (2, None))) == {
        "columns": ["a", "b"],
        "rows": [{"a": 1, "b": "x"}, {"a": 2, "b": None}],
    }


def test_json_without_rows_has_its_columns() -> None:
    assert json.loads(shown(Format.JSON, ("a",))) == {"columns": ["a"], "rows": []}


def test_columns_of_one_name_are_told_apart() -> None:
    told = json.loads(shown(Format.JSON, ("a", "a", "a_2"), (1, 2, 3)))
    assert told == {"columns": ["a", "a_2", "a_2_2"], "rows": [{"a": 1, "a_2": 2, "a_2_2": 3}]}


def test_json_holds_no_control_character() -> None:
    assert all(char.isprintable() or char == "\n" for char in shown(Format.JSON, ("a",), ("\x1b]0;\x07\x9b\x7f\r",)))


def test_csv_reads_back() -> None:
    rows = [('say "hi", then\nleave', 5, None), ("ü;\t", 1.5, MOMENT)]
    assert list(csv.reader(io.StringIO(shown(Format.CSV, ("a", "b", "c"), *rows)))) == [
        ["a", "b", "c"],
        ['say "hi", then\nleave', "5", ""],
        ["ü;\t", "1.5", "2026-11-16T08:08:28.281Z"],
    ]


def test_a_list_in_csv_is_json() -> None:
    assert list(csv.reader(io.StringIO(shown(Format.CSV, ("a",), (["x", None],)))))[1] == ['["x", null]']


def test_a_table_says_where_there_are_no_rows() -> None:
    assert shown(Format.TABLE, ("a",)) == "a\n(no rows)\n"


def test_a_table_counts_bytes_for_people() -> None:
    assert "1.5 MB" in shown(Format.TABLE, ("bytes_up",), (1_500_000,))


def test_a_title_is_not_cut_where_the_table_is_narrow() -> None:
    title = "What is asked here is longer than what is answered"
    assert shown(Format.TABLE, ("a",), (1,), title=title).splitlines()[0] == title


def test_square_brackets_are_no_markup() -> None:
    assert "[red]x[/red]" in shown(Format.TABLE, ("[bold]a",), ("[red]x[/red]",))


def test_wide_characters_are_not_cut() -> None:
    assert "漢字" * 500 in shown(Format.TABLE, ("a", "b"), ("漢字" * 500, "x"))


def test_a_table_holds_no_control_character() -> None:
    told = shown(Format.TABLE, ("a\x1b",), ("\x1b]0;\x07\x9b\u202e\r\n",))
    assert told.splitlines() == ["a\\x1b", "\\x1b]0;\\x07\\x9b\\u202e\\x0d\\x0a"]


def test_csv_on_a_terminal_holds_no_control_character() -> None:
    out = Terminal()
    show(Screen(out, io.StringIO()), ("a",), [("\x1b]0;\x07",)], Format.CSV)
    assert out.getvalue() == "a\n\\x1b]0;\\x07\n"


def test_notes_hold_no_control_character() -> None:
    err = io.StringIO()
    say(Screen(io.StringIO(), err), "note: \x1b[31mred")
    assert err.getvalue() == "note: \\x1b[31mred\n"


def test_progress_shows_on_a_terminal_only() -> None:
    plain, terminal = io.StringIO(), Terminal()
    for stream in (plain, terminal):
        progress(Screen(io.StringIO(), stream), "5 rows")
    assert (plain.getvalue(), "5 rows" in terminal.getvalue()) == ("", True)


def test_an_error_tells_what_failed_and_each_next_step() -> None:
    err = io.StringIO()
    error(Screen(io.StringIO(), err), PfsquidError("it broke\nin two", "do this", "or that"), debug=False)
    assert err.getvalue() == "pfsquid: it broke\n         in two\n  next:  do this\n  next:  or that\n"


def test_an_unforeseen_error_asks_for_debug() -> None:
    err = io.StringIO()
    error(Screen(io.StringIO(), err), ValueError("odd"), debug=False)
    assert err.getvalue().splitlines()[0] == "pfsquid: ValueError: odd"
    assert "--debug" in err.getvalue()


@pytest.mark.parametrize(
    ("count", "told"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"), (-1500, "-1.5 kB")],
)
def test_bytes_for_people(count: int, told: str) -> None:
    assert human_bytes(count) == told


def test_even_too_many_bytes_have_a_name() -> None:
    assert human_bytes(10**20) == "100000.0 PB"
