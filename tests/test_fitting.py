"""A terminal shows the columns that matter most, says which it leaves out, and never a table that nobody can read."""

from __future__ import annotations

import pytest

from pfsquid.fitting import FOLDED_AT_MOST, GAP, MINOR, fit

COLUMNS = ("person", "name", "app", "app_name", "requests", "denied", "last_sign_in")
WIDTHS = (28, 12, 17, 36, 8, 6, 20)
WHOLE = sum(WIDTHS) + GAP * (len(WIDTHS) - 1)


def test_all_columns_are_shown_where_there_is_room() -> None:
    assert fit(COLUMNS, WIDTHS, WHOLE).shown == tuple(range(len(COLUMNS)))
    assert fit(COLUMNS, WIDTHS, WHOLE).left_out == ()


def test_the_least_important_goes_first_and_is_named() -> None:
    assert fit(COLUMNS, WIDTHS, WHOLE - 1).left_out == ("app_name",)


@pytest.mark.parametrize("available", range(1, WHOLE + 20))
def test_what_is_shown_fits_or_holds_no_minor_column(available: int) -> None:
    fitted = fit(COLUMNS, WIDTHS, available)
    total = sum(WIDTHS[number] + GAP for number in fitted.shown) - GAP
    assert total <= available or not {COLUMNS[number] for number in fitted.shown} & set(MINOR)
    assert {COLUMNS[number] for number in fitted.shown} | set(fitted.left_out) == set(COLUMNS)


def test_many_columns_that_do_not_fit_become_records_with_nothing_left_out() -> None:
    columns = tuple(f"c{number}" for number in range(FOLDED_AT_MOST + 1))
    fitted = fit(columns, [20] * len(columns), 80)
    assert fitted.records
    assert len(fitted.shown) == len(columns)


def test_no_columns_fit_anywhere() -> None:
    assert fit((), (), 80).shown == ()
