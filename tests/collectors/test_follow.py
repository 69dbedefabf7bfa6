"""A log is known by what it holds: not read twice under another name, and read from its beginning when it is new."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.batch import Position
from collectors.squid import follow
from collectors.squid.follow import SourceError, pieces, resume
from collectors.squid.streams import open_log
from tests.collectors.access_logs import BOUNDED
from tests.collectors.reading import Shelf, line, log

LONG = range(100)  # about 8 KB: more than the bytes that a digest covers
SHORT = range(3)


def renamed(path: Path) -> Path:
    return path.rename(path.with_name("access.log.0"))


def copied(path: Path) -> Path:
    return Path(shutil.copy(path, path.with_name("copy of it")))


def compressed(path: Path) -> Path:
    packed = path.with_name("access.log.0.gz")
    packed.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    return packed


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


@pytest.mark.parametrize("moved", [renamed, copied, compressed])
@pytest.mark.parametrize("numbers", [SHORT, LONG])
def test_a_log_under_another_name_is_not_read_twice(path: Path, numbers: range, moved: Callable[[Path], Path]) -> None:
    shelf = Shelf()
    path.write_bytes(log(*numbers))
    assert shelf.read(path) == list(numbers)
    assert shelf.read(moved(path)) == []
    assert len(shelf.known) == 1


@pytest.mark.parametrize("moved", [renamed, copied, compressed])
@pytest.mark.parametrize("numbers", [SHORT, LONG])
def test_a_log_that_has_grown_gives_only_what_is_new(path: Path, numbers: range, moved: Callable[[Path], Path]) -> None:
    shelf = Shelf()
    path.write_bytes(log(*numbers))
    shelf.read(path)
    path.write_bytes(log(*numbers, 200, 201))
    assert shelf.read(moved(path)) == [200, 201]
    assert shelf.numbers == [*numbers, 200, 201]


def test_a_new_log_under_an_old_name_is_read_from_its_beginning(path: Path) -> None:
    shelf = Shelf()
    path.write_bytes(log(*LONG))
    shelf.read(path)
    path.write_bytes(log(*range(500, 700)))
    assert shelf.read(path) == list(range(500, 700))
    assert len(shelf.known) == 2


def test_two_logs_that_begin_alike_are_two(path: Path) -> None:
    shelf = Shelf()
    path.write_bytes(log(*LONG, 300))
    shelf.read(path)
    path.write_bytes(log(*LONG, 301, 302))
    assert shelf.read(path) == [*LONG, 301, 302]
    assert len(shelf.known) == 2


def test_an_older_and_shorter_copy_brings_nothing(path: Path) -> None:
    shelf = Shelf()
    path.write_bytes(log(*LONG))
    shelf.read(path)
    path.write_bytes(log(*range(70)))
    assert shelf.read(path) == []


@pytest.mark.parametrize("numbers", [SHORT, LONG])
@pytest.mark.parametrize("pack", [False, True])
def test_a_last_line_without_its_end_is_read_and_replaced_when_it_turns_out_longer(
    path: Path, numbers: range, pack: bool
) -> None:
    shelf = Shelf()
    whole = log(*numbers) + line(200)[:-2] + b"text/html\n"
    path.write_bytes(whole[:-6])
    assert shelf.read(path) == [*numbers, 200]
    path.write_bytes(gzip.compress(whole + line(201), mtime=0) if pack else whole + line(201))
    assert shelf.read(path) == [200, 201]
    assert shelf.numbers == [*numbers, 200, 201]
    assert [row["content_type"] for row in shelf.rows.values() if row["bytes_down"] == 200] == ["text/html"]


@pytest.mark.parametrize("more", [b"\n", b"\n" + line(201)])
def test_a_last_line_that_only_lacked_its_end_stays(path: Path, more: bytes) -> None:
    shelf = Shelf()
    path.write_bytes(log(*SHORT, 200)[:-1])
    assert shelf.read(path) == [*SHORT, 200]
    path.write_bytes(log(*SHORT, 200)[:-1] + more)
    assert shelf.read(path) == ([201] if len(more) > 1 else [])
    assert shelf.read(path) == []


def test_a_last_line_that_does_not_read_yet_is_left_for_the_next_time(path: Path) -> None:
    shelf = Shelf()
    path.write_bytes(log(*SHORT) + line(200)[:30])
    assert shelf.read(path) == [*SHORT]
    path.write_bytes(log(*SHORT, 200))
    assert shelf.read(path) == [200]
    assert shelf.rejects == []


def test_an_unfinished_line_that_turns_out_no_record_becomes_a_reject(path: Path) -> None:
    shelf = Shelf()
    path.write_bytes(log(*SHORT, 200)[:-1])
    shelf.read(path)
    path.write_bytes(log(*SHORT, 200)[:-1] + line(201))
    assert shelf.read(path) == []
    assert shelf.numbers == [*SHORT]
    assert [(reject.offset, reject.raw) for reject in shelf.rejects] == [
        (len(log(*SHORT)), (log(200)[:-1] + line(201))[:-1])
    ]


@BOUNDED
@given(cuts=st.lists(st.integers(0, 99), max_size=4), packed=st.lists(st.booleans(), min_size=5, max_size=5))
def test_however_a_log_grows_each_line_is_there_once(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], packed: list[bool]
) -> None:
    shelf = Shelf()
    whole = log(*range(60))
    path = tmp_path_factory.mktemp("log") / "access.log"
    for part, pack in zip([*sorted(cuts), 100], packed, strict=False):
        data = whole[: len(whole) * part // 100]
        path.write_bytes(gzip.compress(data, 1, mtime=0) if pack else data)
        shelf.read(path)
    assert shelf.numbers == list(range(60))


@BOUNDED
@given(size=st.integers(1, 400), log=st.binary(max_size=300).map(lambda data: data.replace(b"\x00", b"\n")))
def test_pieces_are_whole_lines_and_together_the_log(
    tmp_path_factory: pytest.TempPathFactory, size: int, log: bytes
) -> None:
    path = tmp_path_factory.mktemp("log") / "access.log"
    path.write_bytes(b"." + log)
    with pytest.MonkeyPatch.context() as patched, open_log(path) as stream:
        patched.setattr(follow, "PIECE", size)
        try:
            found = list(pieces(stream, str(path), 1))
        except SourceError as exc:
            assert "has a line of over" in str(exc)
            return
    assert b"".join(piece.data for piece in found) == log
    assert [piece.offset for piece in found] == [1 + sum(len(p.data) for p in found[:n]) for n in range(len(found))]
    assert all(piece.data.endswith(b"\n") == piece.ended for piece in found)


@pytest.mark.parametrize("numbers", [range(30), range(9000)])
def test_a_torn_gzip_file_gives_what_can_be_read_and_then_an_error(path: Path, numbers: range) -> None:
    shelf = Shelf()
    packed = gzip.compress(log(*numbers), 1, mtime=0)
    path.write_bytes(packed[: len(packed) * 2 // 3])
    with pytest.raises(SourceError, match="is damaged after byte"):
        shelf.read(path)
    assert 0 < len(shelf.numbers) < len(numbers)
    path.write_bytes(packed)
    shelf.read(path)
    assert shelf.numbers == list(numbers)


def test_a_gzip_file_with_nothing_readable_is_an_error(path: Path) -> None:
    path.write_bytes(b"\x1f\x8bnot gzip at all")
    with pytest.raises(SourceError, match="cannot be read") as caught:
        Shelf().read(path)
    assert not caught.value.wrong_use


def test_a_directory_and_a_missing_file_are_named(tmp_path: Path) -> None:
    for wrong, says in (
        (tmp_path, "is a directory"),
        (tmp_path / "no.log", "there is no file"),
    ):
        with pytest.raises(SourceError, match=says) as caught:
            open_log(wrong)
        assert caught.value.wrong_use


def test_two_new_logs_that_begin_alike_have_names_of_their_own(path: Path) -> None:
    path.write_bytes(log(*LONG))
    with open_log(path) as stream:
        first = resume(stream, str(path), {}).source
        second = resume(stream, str(path), {first: Position(9, "other", 9, "other")}).source
    assert first.startswith("access.log#")
    assert second == f"{first}-2"
