"""What a reader of Graph tells the next one survives a kill at any moment, and a kill while it waits tells nothing."""

from __future__ import annotations

from pathlib import Path

from collectors.entra.windows import DAY, HOUR, Rules
from pfsquid.lake.hints import Hints

RULES = Rules(most=7 * DAY)


def reader(lake: Path) -> Hints:
    return Hints.load(lake, "tenant.stream", RULES)


def test_a_longer_slice_is_remembered_at_once(tmp_path: Path) -> None:
    reader(tmp_path).grow(1, RULES)
    assert reader(tmp_path).length == 4 * DAY


def test_a_shorter_slice_is_remembered_at_once(tmp_path: Path) -> None:
    reader(tmp_path).shrink(HOUR, RULES)
    assert (reader(tmp_path).length, reader(tmp_path).ceiling) == (HOUR // 4, HOUR // 4)


def test_readers_that_die_while_they_wait_for_their_turn_are_asked_for_no_less(tmp_path: Path) -> None:
    for _ in range(20):
        one = reader(tmp_path)
        one.begin(0, HOUR)
        one.end()
    assert reader(tmp_path).length == DAY


def test_a_request_that_readers_die_of_is_asked_for_in_smaller_parts(tmp_path: Path) -> None:
    for _ in range(4):
        reader(tmp_path).begin(0, HOUR)
    assert reader(tmp_path).length < DAY


def test_a_stream_is_at_its_largest_slices_after_two_of_one_page(tmp_path: Path) -> None:
    """A page of each is read, whatever its length: small slices at first are requests for nothing."""
    for _ in range(2):
        reader(tmp_path).grow(1, RULES)
    assert reader(tmp_path).length == RULES.most


def test_readers_that_are_killed_at_different_slices_go_on_with_large_ones(tmp_path: Path) -> None:
    reader(tmp_path).grow(1, RULES)
    for number in range(20):
        reader(tmp_path).begin(number * DAY, (number + 1) * DAY)
    assert reader(tmp_path).length == 4 * DAY


def test_a_broken_file_is_as_none(tmp_path: Path) -> None:
    one = reader(tmp_path)
    one.grow(1, RULES)
    for text in ("", "{", "[]", '{"length": "x"}', '{"length": 1, "ceiling": null}'):
        one.path.write_text(text, "utf-8")
        assert reader(tmp_path).length in (DAY, RULES.least)
