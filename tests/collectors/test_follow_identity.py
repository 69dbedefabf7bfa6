"""Which log is which: small ones, some that begin alike or were cut, those of two firewalls, and old positions."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from collectors.batch import Position
from collectors.squid.follow import MARKS, PRINT, digest, marks_of, resume
from collectors.squid.places import local_logs
from tests.collectors.reading import Shelf, log

LONG = range(100)  # about 8 KB: more than the bytes that a digest covers
SHORT = range(10)
SIZES = pytest.mark.parametrize("numbers", [SHORT, LONG], ids=["short", "long"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


def read(shelf: Shelf, path: Path, firewall: str | None = None) -> list[int]:
    return shelf.read(local_logs(path, origin=firewall), firewall=firewall)


@SIZES
def test_a_shorter_copy_that_grew_in_another_way_is_a_log_of_its_own(path: Path, numbers: range) -> None:
    """A copy that somebody else wrote on: its first lines cannot be told from new ones, so they are there twice."""
    shelf = Shelf()
    path.write_bytes(log(*numbers))
    read(shelf, path)
    copy = path.with_name("copy.log")
    copy.write_bytes(log(*numbers[:-2]))
    assert read(shelf, copy) == []
    more = [number + 500 for number in numbers]
    copy.write_bytes(log(*numbers[:-2], *more))
    assert read(shelf, copy) == [*numbers[:-2], *more]
    path.write_bytes(log(*numbers, 300))
    assert read(shelf, path) == [300]


@SIZES
def test_of_two_that_begin_alike_each_goes_on_where_it_was(path: Path, numbers: range) -> None:
    shelf = Shelf()
    other = path.with_name("other.log")
    other.write_bytes(log(*numbers, 400))
    path.write_bytes(log(*numbers, *range(300, 330)))
    read(shelf, other)
    read(shelf, path)
    other.write_bytes(log(*numbers, 400, 401))  # shorter than the first, and begins like it
    assert read(shelf, other) == [401]
    path.write_bytes(log(*numbers, *range(300, 331)))
    assert read(shelf, path) == [330]


def test_a_log_cut_in_its_middle_that_went_on_is_late_and_then_comes_whole(path: Path) -> None:
    """The one case that cannot be told: nothing of it is lost once it is longer, its first part is there twice."""
    shelf = Shelf()
    path.write_bytes(log(*LONG))
    read(shelf, path)
    path.write_bytes(log(*LONG[:70], 500))
    assert read(shelf, path) == []
    path.write_bytes(log(*LONG[:70], *range(500, 600)))
    assert read(shelf, path) == [*LONG[:70], *range(500, 600)]


@SIZES
def test_a_restored_backup_brings_nothing(path: Path, numbers: range) -> None:
    shelf = Shelf()
    path.write_bytes(log(*numbers))
    read(shelf, path)
    path.write_bytes(log(*numbers[:5]))
    assert read(shelf, path) == []


@SIZES
def test_equal_logs_of_two_firewalls_are_two(path: Path, numbers: range) -> None:
    shelf = Shelf()
    path.write_bytes(log(*numbers))
    assert read(shelf, path, "a") == read(shelf, path, "b") == [*numbers]
    path.write_bytes(log(*numbers, 300))
    assert [read(shelf, path, name) for name in ("a", "b", "a", "b")] == [[300], [300], [], []]
    sources = {(row["firewall"], row["source"].partition("/")[0]) for row in shelf.rows.values()}
    assert sources == {("a", "a"), ("b", "b")}


@SIZES
def test_a_log_read_without_a_name_first_is_not_read_again_under_one(path: Path, numbers: range) -> None:
    shelf = Shelf()
    path.write_bytes(log(*numbers))
    read(shelf, path)
    assert read(shelf, path, "a") == []
    path.write_bytes(log(*numbers, 300))
    assert read(shelf, path, "a") == [300]
    (position,) = shelf.known.values()
    assert position.origin == "a"
    assert read(shelf, path, "b") == [*numbers, 300]
    assert read(shelf, path) == []


@SIZES
def test_a_log_read_under_a_name_is_not_read_again_without_one(path: Path, numbers: range) -> None:
    shelf = Shelf()
    path.write_bytes(log(*numbers))
    read(shelf, path, "a")
    assert read(shelf, path) == []
    path.write_bytes(log(*numbers, 300))
    assert read(shelf, path) == [300]
    assert [position.origin for position in shelf.known.values()] == ["a"]


def test_after_a_line_without_its_end_nothing_is_read_until_more_comes(path: Path) -> None:
    """What comes a moment after this look belongs to that line."""
    shelf = Shelf()
    path.write_bytes(log(*SHORT, 300)[:-1])
    assert read(shelf, path) == [*SHORT, 300]
    with path.open("rb") as stream:
        assert resume(stream, str(path), shelf.known).waits


def blake(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


@SIZES
@pytest.mark.parametrize("firewall", [None, "a"])
def test_positions_of_old_still_count(path: Path, numbers: range, firewall: str | None) -> None:
    data = log(*numbers)
    size = min(len(data), PRINT)
    head, tail = blake(data[:size]), blake(data[-PRINT:])
    old = {"head": head, "head_bytes": size, "offset": len(data), "tail": tail, "unended": None}
    shelf = Shelf()
    shelf.known = {"access.log#123": Position.from_json(json.dumps(old))}
    path.write_bytes(data)
    assert read(shelf, path, firewall) == []
    path.write_bytes(log(*numbers, 300))
    assert read(shelf, path, firewall) == [300]
    path.write_bytes(log(*numbers, 300, 301))
    assert (read(shelf, path, firewall), len(shelf.known)) == ([301], 1)
    path.write_bytes(log(900, 901))
    assert read(shelf, path, firewall) == [900, 901]


def test_marks_are_the_digests_of_the_first_bytes() -> None:
    data = bytes(range(256)) * 8
    assert marks_of(data[:31]) == ""
    assert marks_of(data) == "".join(digest(data[:size])[:12] for size in MARKS)
    assert marks_of(data[:100]) == marks_of(data)[:24]


def test_a_position_says_only_what_it_knows() -> None:
    position = Position(7, "head", 7, "tail")
    assert position.to_json() == '{"head":"head","head_bytes":7,"offset":7,"tail":"tail"}'
    whole = replace(position, marks="ab", origin="fw", read_at="2026-11-24T00:00:00+00:00", unended=0)
    assert Position.from_json(whole.to_json()) == whole
    assert Position.from_json(whole.to_json()).read_at == whole.read_at


def test_no_position_is_long(path: Path) -> None:
    shelf = Shelf()
    path.write_bytes(log(*LONG))
    read(shelf, path, "a")
    assert all(len(position.to_json()) < 400 for position in shelf.known.values())
