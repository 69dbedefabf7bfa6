"""A log file as the lake sees it: batches, rejects and positions, or a refusal that says what the file is."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.batch import REJECTS_SCHEMA, Position, Reject, rejects_table
from collectors.squid import collector, follow
from collectors.squid.choose import FormatError
from tests.collectors.access_logs import BOUNDED, logs
from tests.collectors.reading import Shelf, collect, line, log


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(follow, "PIECE", 200)
    monkeypatch.setattr(collector, "BATCH_BYTES", 900)
    yield


def test_a_log_comes_in_the_order_of_its_lines(path: Path, small_pieces: None) -> None:
    shelf = Shelf()
    path.write_bytes(log(*range(50)))
    assert shelf.read(path) == list(range(50))
    assert shelf.batches > 3


def test_pieces_of_rejects_only_do_not_stop_the_others(path: Path, small_pieces: None) -> None:
    shelf = Shelf()
    path.write_bytes(log(1) + b"bad line\n" * 100 + log(2) + b"bad line\n" * 100)
    assert shelf.read(path) == [1, 2]
    assert len(shelf.rejects) == 200


@BOUNDED
@given(data=st.data(), size=st.integers(150_000, 400_000), batch=st.integers(1, 400_000))
def test_the_size_of_pieces_and_batches_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, size: int, batch: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "access.log"
    path.write_bytes(line(0) + b"".join(each + b"\n" for each in data.draw(logs("squid"))))
    whole, cut = Shelf(), Shelf()
    whole.read(path)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(follow, "PIECE", size // 1000)
        patched.setattr(collector, "BATCH_BYTES", batch // 1000)
        try:
            cut.read(path)
        except follow.SourceError as exc:
            assert "has a line of over" in str(exc)
            return
    assert (cut.rows, cut.rejects, cut.known) == (whole.rows, whole.rejects, whole.known)


def test_each_batch_says_how_far_the_log_is_read(path: Path, small_pieces: None) -> None:
    path.write_bytes(log(*range(50)))
    batches = list(collect(path, "squid", {}))
    read = [sum(len(line(n)) for n in range(50) if line(n) in path.read_bytes()[: b.position.offset]) for b in batches]
    assert [batch.position.offset for batch in batches] == read
    assert read[-1] == len(log(*range(50)))


def test_reading_goes_on_after_any_batch(path: Path, small_pieces: None) -> None:
    path.write_bytes(log(*range(50)))
    for count in range(1, 4):
        shelf = Shelf()
        batches = collect(path, "squid", {})
        for batch in (next(batches) for _ in range(count)):
            shelf.known[batch.source] = batch.position
            shelf.rows |= {(batch.source, row["source_offset"]): row for row in batch.rows.to_pylist()}
        shelf.read(path)
        assert shelf.numbers == list(range(50))


def test_a_line_of_60_kb_is_a_row_and_one_of_70_kb_a_reject(path: Path) -> None:
    shelf = Shelf()
    path.write_bytes(line(1, pad=60_000) + line(2, pad=70_000) + line(3))
    assert shelf.read(path) == [1, 3]
    assert [reject.reason for reject in shelf.rejects] == [
        f"longer than 64 KB ({len(line(2, pad=70_000)) - 1:,} bytes)"
    ]
    assert shelf.rejects[0].raw == line(2, pad=70_000)[:-1]


def test_a_log_without_one_sound_line_gives_its_rejects(path: Path) -> None:
    shelf = Shelf()
    path.write_bytes(line(1)[:40] + b"\n" + line(2)[:50] + b"\n")
    assert shelf.read(path) == []
    assert [reject.offset for reject in shelf.rejects] == [0, 41]
    assert shelf.read(path) == []
    assert len(shelf.rejects) == 2


@pytest.mark.parametrize("content", [b"", gzip.compress(b"", mtime=0)])
def test_an_empty_file_gives_nothing_and_is_no_error(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert list(collect(path, "squid", {})) == []


COMBINED = (
    b'192.0.2.1 - - [20/Nov/2026:09:15:30 +0100] "GET http://a.example/ HTTP/1.1" 200 5 "-" "-" TCP_MISS:HIER_NONE\n'
)


@pytest.mark.parametrize(
    ("content", "named", "says", "instead"),
    [
        (COMBINED, "squid", 'in Squid\'s "combined" format, not in "squid"', "combined"),
        (line(1), "combined", 'in Squid\'s "squid" format, not in "combined"', "squid"),
        (line(1), "pfsquid", 'in Squid\'s "squid" format, not in "pfsquid"', "squid"),
        (b"\x7fELF\x00\x01" * 99, "squid", "is a binary file", ""),
        (b'{"a": 1}\n', "squid", "is JSON, one record a line", ""),
        (b"2026/11/20 09:15:30 kid1| Starting\n", "squid", "is Squid's cache.log", ""),
        (b"who knows\n", "squid", "no line at the beginning of", ""),
    ],
)
def test_a_file_that_is_something_else_is_refused_and_named(
    path: Path, content: bytes, named: str, says: str, instead: str
) -> None:
    path.write_bytes(content)
    with pytest.raises(FormatError) as caught:
        list(collect(path, named, {}))
    assert says in str(caught.value)
    assert caught.value.instead == instead
    assert caught.value.wrong_use


def test_the_firewall_stands_in_every_row(path: Path) -> None:
    path.write_bytes(log(1) + line(2, pad=9).replace(b"http", b"x-y+z"))
    (batch,) = collect(path, "squid", {}, firewall="fw1")
    assert batch.rows.column("firewall").to_pylist() == ["fw1", "fw1"]


def test_a_position_comes_back_from_its_text() -> None:
    position = Position(7, "head", 7, "tail", unended=3)
    assert Position.from_json(position.to_json()) == position
    for wrong in ("", "{}", "[]", '{"offset": 1, "other": 2}', "null"):
        with pytest.raises(ValueError, match="not a reading position"):
            Position.from_json(wrong)


def test_rejects_become_a_table_with_their_very_bytes() -> None:
    table = rejects_table("log", [Reject(3, "why", b"\xff\x00")])
    assert table.schema == REJECTS_SCHEMA
    assert table.to_pylist() == [{"source": "log", "source_offset": 3, "reason": "why", "raw": b"\xff\x00"}]
