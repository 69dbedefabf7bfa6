"""What docs/scale.md says is what bench/scale.py computes; and its arithmetic is what it says that it is."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from typing import Any

import pytest

from bench import scale
from bench.scale import DOCUMENT, HERE, SIZES, TABLES, Given, load, month, per_commit, read, total
from bench.scale_measured import n

GIVEN = read(HERE / "scale.yaml")
TEXT = DOCUMENT.read_text("utf-8")


def given(part: str, **values: Any) -> Given:
    """The same with other values of one part."""
    changed = {**copy.deepcopy(getattr(GIVEN, part)), **values}
    return replace(GIVEN, **{part: changed})


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_the_document_is_the_one_that_is_computed(name: str) -> None:
    assert f"<!-- scale: {name} -->\n{TABLES[name](GIVEN)}\n<!-- end -->" in TEXT


def test_every_mark_of_the_document_is_of_a_table_that_there_is() -> None:
    assert sorted(re.findall(r"<!-- scale: (\w+) -->", TEXT)) == sorted(TABLES)


def test_a_table_that_is_old_is_put_right() -> None:
    old = re.sub(r"\| people \|.*", "| people | 7 | 8 | 9 |", TEXT)
    assert old != TEXT
    assert scale.filled(old, GIVEN) == TEXT


def test_a_document_without_marks_stays_as_it_is() -> None:
    assert scale.filled("# Scale\n", GIVEN) == "# Scale\n"


@pytest.mark.parametrize("name", [*GIVEN.prices, *GIVEN.assumed])
def test_every_price_and_assumption_is_told_and_used(name: str) -> None:
    assert f"| `{name}` |" in TEXT
    used = (HERE / "scale.py").read_text("utf-8")
    assert f'["{name}"]' in used


@pytest.mark.parametrize("price", GIVEN.prices)
def test_no_price_makes_anything_cheaper(price: str) -> None:
    day = load(GIVEN, "100 GB")
    before = month(GIVEN, day)
    after = month(given("prices", **{price: GIVEN.prices[price] * 2}), day)
    assert all(after[line] >= before[line] for line in before)
    assert sum(after.values()) > sum(before.values())


def test_bytes_kept_are_rows_and_rollup_for_as_long_as_they_are_kept_and_what_was_written_again() -> None:
    day = load(GIVEN, "1 GB")
    squid = GIVEN.measured["formats"]["squid"]
    lines = 1e9 / squid["log_bytes_per_line"]
    rows = lines * squid["parquet_bytes_per_row"]["compacted"] / 1e9
    rollup = lines / 3000 * 100 * GIVEN.measured["habits"]["usage_bytes_per_row"] / 1e9
    assert month(GIVEN, day)["S3: bytes kept"] == pytest.approx(((rows + rollup) * 400 + rows * 2 * 7) * 0.023)


def test_requests_are_counted_as_they_are_billed() -> None:
    measured = copy.deepcopy(GIVEN.measured)
    measured["commits"]["s3"][-1]["requests"] = {
        "s3.PUT": 3, "s3.LIST": 2, "s3.GET": 7, "s3.HEAD": 1, "s3.DELETE": 9, "glue.GetTable": 2, "glue.UpdateTable": 1,
    }  # fmt: skip
    assert per_commit(replace(GIVEN, measured=measured)) == {"put": 5, "get": 8, "glue": 3}


def test_a_longer_flush_makes_requests_cheaper_and_nothing_dearer() -> None:
    slow = given("assumed", flush_seconds=dict.fromkeys(SIZES, 600))
    before, after = (month(one, load(one, "1 GB")) for one in (GIVEN, slow))
    line = "S3: requests of the commits"
    assert after[line] == pytest.approx(before[line] * GIVEN.assumed["flush_seconds"]["1 GB"] / 600)
    assert all(after[name] <= before[name] for name in before)


def test_the_flush_that_is_assumed_lets_the_streams_commit() -> None:
    for size in SIZES:
        need = GIVEN.assumed["streams"][size] * scale.commit_seconds(GIVEN)
        assert need <= GIVEN.assumed["flush_seconds"][size], size


def test_a_query_is_billed_as_ten_megabytes_at_least() -> None:
    assumed = given("assumed", question_days=0.001)
    dollars = month(assumed, load(assumed, "1 GB"))["Athena: pfsquid's questions"]
    assert dollars == pytest.approx(0.01 / 1000 * 50 * 30 * 5)


def test_the_sum_has_what_every_lake_has_and_one_way_of_care() -> None:
    dollars = {"a": 1.0, "one of: care on a machine in the region": 10.0, "one of: b": 100.0, "if wanted: c": 1000.0}
    assert total(dollars) == 11.0


@pytest.mark.parametrize(
    ("value", "told"), [(0.0, "0"), (1.0, "1"), (0.0123, "0.012"), (3.14159, "3.14"), (27654, "27,700")]
)
def test_a_number_is_told_with_the_digits_that_say_something(value: float, told: str) -> None:
    assert n(value) == told
