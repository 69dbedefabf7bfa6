"""Packed logs and pipes as streams: what is whole is read, what is not is said, and nothing is read twice."""

from __future__ import annotations

import gzip
import io
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.squid import collector, follow
from collectors.squid.follow import SourceError
from collectors.squid.places import StandardInput
from collectors.squid.streams import Spooled, open_log, unpacked
from tests.collectors.access_logs import BOUNDED
from tests.collectors.reading import Shelf, line, log


def zstd(data: bytes) -> bytes:
    packed: bytes = pa.Codec("zstd").compress(data, asbytes=True)
    return packed


PACKERS = pytest.mark.parametrize("pack", [gzip.compress, zstd], ids=["gzip", "zstd"])
Pack = Callable[[bytes], bytes]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.log"  # what is packed is known by what it holds, not by its name


@PACKERS
def test_parts_that_were_packed_one_after_the_other_are_one_log(path: Path, pack: Pack) -> None:
    path.write_bytes(pack(log(*range(500))) + pack(log(*range(500, 9000))) + pack(b"") + pack(log(9000)))
    shelf = Shelf()
    assert shelf.read(path) == list(range(9001))
    assert shelf.read(path) == []


@PACKERS
@pytest.mark.parametrize("lines", [60, 9000])
@pytest.mark.parametrize("part", [0.2, 0.5, 0.9, 0.999])
def test_a_torn_file_gives_what_is_whole_and_later_the_rest(path: Path, pack: Pack, lines: int, part: float) -> None:
    packed = b"".join(pack(log(*range(begin, min(begin + 1000, lines)))) for begin in range(0, lines, 1000))
    path.write_bytes(packed[: int(len(packed) * part)])
    shelf = Shelf()
    with pytest.raises(SourceError, match=r"damaged after byte|cannot be read"):
        shelf.read(path)
    if lines == 9000:
        assert shelf.numbers == list(range(len(shelf.numbers)))
        assert abs(len(shelf.numbers) - part * lines) < 1400
    path.write_bytes(packed)
    shelf.read(path)
    assert shelf.numbers == list(range(lines))


@PACKERS
def test_garbage_behind_the_end_is_said(path: Path, pack: Pack) -> None:
    path.write_bytes(pack(log(*range(50))) + b"what is this at the end?")
    shelf = Shelf()
    with pytest.raises(SourceError, match="damaged after byte"):
        shelf.read(path)
    assert shelf.numbers == list(range(50))


@PACKERS
def test_nothing_readable_at_all_is_said(path: Path, pack: Pack) -> None:
    path.write_bytes(pack(b"")[:4] + b"\xff" * 40)
    with pytest.raises(SourceError, match="cannot be read"):
        Shelf().read(path)


@BOUNDED
@given(
    data=st.binary(max_size=3000),
    pack=st.sampled_from([gzip.compress, zstd, bytes]),
    steps=st.lists(st.tuples(st.integers(0, 3500), st.integers(0, 900)), max_size=8),
    piped=st.booleans(),
)
def test_a_stream_can_be_read_from_any_offset(
    data: bytes, pack: Pack, steps: list[tuple[int, int]], piped: bool
) -> None:
    packed = io.BytesIO(pack(b"." + data))
    with unpacked(Spooled(packed) if piped else packed) as stream:  # type: ignore[arg-type]
        for offset, size in steps:
            stream.seek(offset)
            assert stream.read(size) == (b"." + data)[offset : offset + size]


def test_a_pipe_that_is_no_regular_file_can_be_named(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(gzip.compress(log(1, 2, 3))))
    writer.start()
    with open_log(fifo) as stream:
        assert stream.read() == log(1, 2, 3)
    writer.join()


class Pipe(io.RawIOBase):
    """So many lines, made as they are read."""

    def __init__(self, lines: int) -> None:
        super().__init__()
        self._lines, self._left = iter(range(lines)), b""

    def read1(self, size: int) -> bytes:
        while len(self._left) < size and (number := next(self._lines, None)) is not None:
            self._left += line(number)
        part, self._left = self._left[:size], self._left[size:]
        return part


def test_of_a_long_pipe_only_the_beginning_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "PIECE", 64 * 1024)
    monkeypatch.setattr(collector, "BATCH_BYTES", 128 * 1024)
    kept: list[int] = []
    made = Spooled.__init__

    def watched(self: Spooled, pipe: io.RawIOBase, **_: bool) -> None:
        made(self, pipe)  # type: ignore[arg-type]
        spools.append(self)

    spools: list[Spooled] = []
    monkeypatch.setattr(Spooled, "__init__", watched)
    shelf = Shelf()
    shelf.read(StandardInput(Pipe(20_000)), between=lambda: kept.append(spools[-1]._kept))  # type: ignore[arg-type]
    assert (len(shelf.rows), max(kept) < 200_000) == (20_000, True)
    assert shelf.read(StandardInput(Pipe(20_000))) == []  # type: ignore[arg-type]
    assert shelf.read(StandardInput(Pipe(20_002))) == [20_000, 20_001]  # type: ignore[arg-type]


def test_rows_of_a_slow_pipe_do_not_wait_for_a_whole_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "PATIENCE", 0.0)
    monkeypatch.setattr(collector, "BATCH_SECONDS", 0.0)

    class Slow(Pipe):
        def read1(self, size: int) -> bytes:
            return super().read1(min(size, 500))

    shelf = Shelf()
    shelf.read(StandardInput(Slow(300)))  # type: ignore[arg-type]
    assert (shelf.numbers, shelf.batches > 20) == (list(range(300)), True)
