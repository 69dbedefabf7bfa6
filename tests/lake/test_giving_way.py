"""The row of a last line that was not whole yet gives way to the whole one, in whatever file it has come to stand."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyiceberg.table import Table

from pfsquid.lake import giving_way as module
from pfsquid.lake.care import compact
from pfsquid.lake.catalog import Lake
from pfsquid.lake.days import held, name_of
from tests.lake.care_rows import EAGER, LATER, append, everything, files
from tests.lake.rows import new_lake, proxy_rows
from tests.lake.test_deletes import delete


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Two days, each a file that care has sorted; rows of two sources in it."""
    lake = new_lake(tmp_path)
    append(lake, proxy_rows(0, 10, 20, source="other"), 30, source="other")
    append(lake, proxy_rows(0, 10, 20), 25, unended=20)
    append(lake, proxy_rows(40, day=1, source="other"), 50, source="other")
    compact(lake, EAGER, LATER)
    return lake


def names(lake: Lake) -> list[str]:
    return [name_of(file) for there in held(lake.table("proxy")).values() for file in there.files]


def rows(lake: Lake) -> list[tuple[str, int, str]]:
    return sorted((row["source"], row["source_offset"], row["method"]) for row in everything(lake))


def test_only_the_file_that_holds_it_is_written_anew_and_care_knows_it_again(lake: Lake) -> None:
    before, there = rows(lake), names(lake)
    append(lake, proxy_rows(20, method="POST"), 30, replaces=20)
    new = [row for row in before if row != ("access.log#1", 20, "GET")] + [("access.log#1", 20, "POST")]
    assert rows(lake) == sorted(new)
    now = names(lake)
    assert (len(now), len(set(now) & set(there)), there[1] in now) == (3, 1, True)
    assert sum(name.startswith(there[0][:17]) for name in now) == 1  # "day-" and the run that sorted it


def test_no_file_is_read_but_for_two_columns_of_those_that_may_hold_it(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def whole(*_: object) -> None:
        raise AssertionError("read whole")

    monkeypatch.setattr(module, "rows_in", whole)
    before = rows(lake)
    append(lake, proxy_rows(27), 30, replaces=25)  # which is in no file
    assert rows(lake) == sorted([*before, ("access.log#1", 27, "GET")])


def test_a_file_of_which_it_was_the_only_row_goes(lake: Lake) -> None:
    append(lake, proxy_rows(60, source="new"), 65, source="new", unended=60)
    append(lake, proxy_rows(60, source="new", method="POST"), 70, source="new", replaces=60)
    assert files(lake) == [2, 1]
    assert ("new", 60, "POST") in rows(lake)
    assert ("new", 60, "GET") not in rows(lake)


def test_rows_that_another_engine_deleted_do_not_come_back(lake: Lake) -> None:
    table: Table = lake.made_table("proxy")
    first = next(iter(held(table).values())).files[0]
    before = rows(lake)
    delete(table, first, 0)
    gone = set(before) - set(rows(lake))
    append(lake, proxy_rows(20, method="POST"), 30, replaces=20)
    assert len(gone) == 1
    assert not gone & set(rows(lake))
    assert len(rows(lake)) == len(before) - 1 + (gone == {("access.log#1", 20, "GET")})
