"""A slice is given out in pieces only where that is right, whatever order and shape its pages come in."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from collectors.entra.records import Record
from collectors.entra.slices import CHAIN, Flood, OutOfOrder, Reading, Rows, TooLarge, row_of, rows_of
from collectors.entra.streams import STREAMS

START = 1_795_392_000
STREAM = replace(STREAMS["interactive"], top=10)
TENANT = "11111111-2222-3333-4444-555555555555"


def record(identity: str, at: float, state: str = "") -> Record:
    stamp = datetime.fromtimestamp(START + at, UTC).isoformat().replace("+00:00", "Z")
    value: dict[str, Any] = {"id": identity, "createdDateTime": stamp, "state": state}
    return Record(0, json.dumps(value), value)


def pages(*records: list[Record], last: bool = True) -> Iterator[Rows]:
    for number, page in enumerate(records):
        ends = number == len(records) - 1
        yield replace(
            rows_of([row_of(one, STREAM, TENANT) for one in page], STREAM), full=len(page) >= 10, last=ends and last
        )


def reading(*chains: list[list[Record]], step: int | None = 1, end: int = 1000, largest: int = 10) -> Reading:
    """Each query is answered by the next chain of pages."""
    left = iter(chains)
    return Reading(STREAM, TENANT, lambda _: pages(*next(left)), START, START + end, step, largest)


def ids(found: Reading) -> list[list[str]]:
    return [piece.rows["id"].to_pylist() for piece in found.pieces()]


def test_pieces_end_with_the_second_before_the_last_record_of_a_page() -> None:
    found = list(reading([[record("a", 1), record("b", 2.5)], [record("c", 2.7), record("d", 9)], []]).pieces())
    assert [(one.start - START, one.end - START, one.rows["id"].to_pylist()) for one in found] == [
        (0, 2, ["a"]),
        (2, 9, ["b", "c"]),
        (9, 1000, ["d"]),
    ]


def test_records_that_come_newest_first_make_one_piece() -> None:
    assert ids(reading([[record("c", 9), record("b", 5)], [record("a", 1)]])) == [["c", "b", "a"]]


def test_a_record_that_belongs_to_a_piece_given_out_is_noticed() -> None:
    with pytest.raises(OutOfOrder):
        ids(reading([[record("a", 1), record("b", 500)], [record("late", 2)], []]))


def test_a_record_that_comes_twice_counts_once_in_its_last_state() -> None:
    chain = [[record("a", 1, "old"), record("b", 2)], [record("a", 1, "new")]]
    (piece,) = reading(chain, step=None).pieces()
    assert [json.loads(raw)["state"] for raw in piece.rows["raw"].to_pylist()] == ["", "new"]


def test_the_same_record_again_after_its_piece_is_no_disorder() -> None:
    assert ids(reading([[record("a", 1), record("b", 500)], [record("a", 1), record("c", 600)], []])) == [
        ["a"],
        ["b"],
        ["c"],
    ]


def test_what_stands_at_the_end_belongs_to_the_next_slice() -> None:
    assert ids(reading([[record("in", 999.999999), record("at", 1000), record("before", -1)]])) == [["in"]]


def test_a_full_page_without_a_link_is_asked_on_from() -> None:
    first = [record(f"r{n}", n) for n in range(10)]
    assert ids(reading([first], [[record("r9", 9), record("more", 11)]])) == [[*(f"r{n}" for n in range(10)), "more"]]


def test_more_at_one_moment_than_a_page_holds_is_told() -> None:
    flood = [record(f"r{n}", 5) for n in range(10)]
    with pytest.raises(Flood):
        ids(reading([flood], [flood]))


def test_a_page_as_large_as_those_with_a_link_is_asked_on_from() -> None:
    """A server that gives three records a page whatever it is asked for."""
    chain = [record(str(number), number) for number in range(8)]
    cut = [[chain[0:3], chain[3:6]], [chain[5:8]], [chain[7:8]]]
    found = reading(*cut, step=None, largest=0)
    assert ids(found) == [[str(number) for number in range(8)]]
    assert found.largest == 3


def test_a_smaller_page_than_before_is_taken_for_the_last() -> None:
    chain = [record(str(number), number) for number in range(2)]
    assert ids(reading([chain], largest=3)) == [["0", "1"]]


def test_a_full_page_in_no_order_without_a_link_asks_for_less() -> None:
    mixed = [record(f"r{n}", n) for n in range(10)]
    random.Random(1).shuffle(mixed)
    with pytest.raises(TooLarge):
        ids(reading([mixed]))


def test_a_very_long_chain_is_left_in_the_middle() -> None:
    found = reading([[record(f"r{n}", n * 10)] for n in range(90)], step=1, end=10_000)
    pieces = list(found.pieces())
    assert found.pages == CHAIN
    assert pieces[-1].end == START + (CHAIN - 1) * 10


def test_what_is_no_sign_in_is_a_reject_of_the_same_number_each_time() -> None:
    bad = Record(0, '{"id":""}', {"id": ""})
    numbers = [next(reading([[bad]]).pieces()).rejects[0].offset for _ in range(2)]
    assert numbers[0] == numbers[1] > 0
