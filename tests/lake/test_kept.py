"""An answer that came is not asked for again by the next life, and nothing wrong is ever made of one."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from collectors.entra.wire import Answer
from pfsquid.lake.kept import SECONDS, Kept

NOW = 1_795_500_000.0
PAGES = [Answer(200, {}, gzip.compress(f"page {number}".encode(), mtime=0), True) for number in range(9)]


def begun(lake: Path, ledger: str | None = "ledger", pages: int = 1) -> Kept:
    """A reader that got so many pages of the slice [0, 1000), none of which is in the lake."""
    kept = Kept.load(lake, "tenant.stream")
    kept.begin(ledger, 0, 1000)
    for page in PAGES[:pages]:
        kept.add(page, NOW)
    return kept


def killed(lake: Path) -> Kept:
    """What the next life finds."""
    return Kept.load(lake, "tenant.stream")


def bodies(kept: Kept) -> list[bytes]:
    return [one.packed and one.body for one in kept.answers()]


def test_an_answer_that_came_is_there_after_a_kill_with_all_that_is_known_of_its_slice(tmp_path: Path) -> None:
    begun(tmp_path)
    kept = killed(tmp_path)
    assert kept.goes_on("ledger", NOW + 5)
    assert (kept.start, kept.end, kept.begun, kept.pages, kept.asked) == (0, 1000, 0, 1, NOW)
    assert bodies(kept) == [b"page 0"]


def test_after_a_commit_the_last_answer_stays_since_it_names_the_next(tmp_path: Path) -> None:
    kept = begun(tmp_path, pages=2)
    kept.committed("after", 700)
    kept.add(PAGES[2], NOW + 1)
    found = killed(tmp_path)
    assert found.goes_on("after", NOW)
    assert (found.begun, bodies(found)) == (700, [b"page 1", b"page 2"])


def test_what_is_all_in_the_lake_is_kept_no_longer(tmp_path: Path) -> None:
    begun(tmp_path).committed("after", 1000)
    assert not killed(tmp_path).goes_on("after", NOW)
    assert list((tmp_path / ".entra").iterdir()) == []


def test_a_kill_between_the_commit_and_its_note_reads_nothing_twice(tmp_path: Path) -> None:
    begun(tmp_path)
    assert not killed(tmp_path).goes_on("the ledger after the commit", NOW)


@pytest.mark.parametrize("now", [NOW + SECONDS + 1, NOW - 1])
def test_an_answer_that_is_old_or_of_the_future_is_not_used(tmp_path: Path, now: float) -> None:
    begun(tmp_path)
    assert not killed(tmp_path).goes_on("ledger", now)


@pytest.mark.parametrize("damage", [b"", b"half", None])
def test_an_answer_that_is_not_what_was_kept_comes_empty(tmp_path: Path, damage: bytes | None) -> None:
    """None: the file is gone. Another reader of the same stream may have written it, too."""
    kept = begun(tmp_path)
    path = tmp_path / ".entra" / kept.files[0]["file"]
    path.unlink() if damage is None else path.write_bytes(damage)
    assert bodies(killed(tmp_path)) == [b""]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": [{}]}', '{"files": [], "mark": 1, "start": "x"}'])
def test_a_broken_note_is_as_none(tmp_path: Path, text: str) -> None:
    begun(tmp_path)
    (tmp_path / ".entra" / "tenant.stream.kept").write_text(text, "utf-8")
    assert not killed(tmp_path).goes_on("ledger", NOW)


def test_answers_that_reader_after_reader_dies_of_are_given_up(tmp_path: Path) -> None:
    begun(tmp_path)
    lives = 0
    while killed(tmp_path).goes_on("ledger", NOW):
        lives += 1
    assert lives == 8


def test_an_answer_that_was_no_page_gives_way_to_the_one_after_it(tmp_path: Path) -> None:
    kept = begun(tmp_path)
    kept.spoiled()
    kept.add(PAGES[5], NOW)
    assert bodies(killed(tmp_path)) == [b"page 5"]


def test_many_answers_that_wait_for_each_other_are_not_kept(tmp_path: Path) -> None:
    begun(tmp_path, pages=9)
    assert not killed(tmp_path).goes_on("ledger", NOW)
    assert len(list((tmp_path / ".entra").iterdir())) <= 1


def test_nobody_else_can_read_what_is_kept(tmp_path: Path) -> None:
    kept = begun(tmp_path)
    assert (tmp_path / ".entra" / kept.files[0]["file"]).stat().st_mode & 0o077 == 0


def test_a_lake_without_room_for_it_is_no_error(tmp_path: Path) -> None:
    (tmp_path / ".entra").write_text("no folder")
    assert not begun(tmp_path).files
