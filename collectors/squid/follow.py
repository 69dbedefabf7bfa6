"""A log file, plain or gzip, as pieces of whole lines from where the last reading ended.

A log is known again by what it holds, not by its name: a digest of its first bytes and one of the last bytes before
the place reached. So a log that was rotated, renamed, copied or compressed in the meantime is not read twice, and a
new log under an old name is read from its beginning. Never writes.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from collectors.batch import Position

PIECE = 4 * 1024 * 1024
PRINT = 4096  # bytes that a digest covers, at the head and at the tail


class SourceError(Exception):
    """A source that cannot be read (further). reason: what and why; wrong_use: the name given was wrong."""

    def __init__(self, reason: str, wrong_use: bool = False) -> None:
        super().__init__(reason)
        self.wrong_use = wrong_use


@dataclass(frozen=True)
class Piece:
    """Whole lines of a log: `data` begins at `offset` of the (decompressed) stream.

    ended: it closes with an end of line; the last piece of a log that is still being written may not.
    """

    offset: int
    data: bytes
    ended: bool


@dataclass(frozen=True)
class Resume:
    """Where to go on. source: the log's stable name. position: what the lake knows of it, None for a new log.

    start: first byte to read. replaces: offset of an unfinished line that is read again, or None.
    """

    source: str
    position: Position | None
    start: int
    replaces: int | None = None


def open_log(path: Path) -> BinaryIO:
    """Open a log for reading, undoing gzip where its first bytes say so. Raises SourceError."""
    try:
        if path.is_dir():
            raise SourceError(f"{path} is a directory; name the log files in it: {path}/access.log*", wrong_use=True)
        with path.open("rb") as raw:
            magic = raw.read(2)
        return cast(BinaryIO, gzip.open(path, "rb")) if magic == b"\x1f\x8b" else path.open("rb")
    except FileNotFoundError:
        raise SourceError(f"there is no file {path}", wrong_use=True) from None
    except OSError as exc:
        raise SourceError(f"{path} cannot be opened: {exc.strerror or exc}") from exc


def digest(data: bytes) -> str:
    """The digest by which a piece of a log is known again (BLAKE2b, 128 bits, hexadecimal)."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def resume(stream: BinaryIO, path: Path, known: Mapping[str, Position]) -> Resume:
    """Find out which of the known logs this is, if any, and where to go on in it.

    stream: from `open_log`; it is left anywhere. Raises SourceError where it cannot be read at all.
    """
    head = read_at(stream, path, 0, PRINT)
    matching = [
        (position.offset, source)
        for source, position in known.items()
        if position.head_bytes
        and position.head_bytes <= len(head)
        and digest(head[: position.head_bytes]) == position.head
    ]
    for offset, source in sorted(matching, reverse=True):
        position = known[source]
        begin = max(0, offset - PRINT)
        around = read_at(stream, path, begin, offset - begin + 1)
        tail, after = around[: offset - begin], around[offset - begin :]
        if len(tail) < offset - begin and position.head_bytes == PRINT:
            return Resume(source, position, offset)  # a shorter copy of what is in the lake already
        if digest(tail) != position.tail or len(tail) < offset - begin:
            continue
        if position.unended is None or not after:
            return Resume(source, position, offset)
        if after == b"\n":
            return Resume(source, position, offset + 1)
        return Resume(source, position, position.unended, replaces=position.unended)
    return Resume(_new_name(path, head, known), None, 0)


def _new_name(path: Path, head: bytes, known: Mapping[str, Position]) -> str:
    plain = path.name.removesuffix(".gz")
    name = f"{plain}#{digest(head)[:12]}"
    count = 2
    while name in known:
        name, count = f"{plain}#{digest(head)[:12]}-{count}", count + 1
    return name


def read_at(stream: BinaryIO, path: Path, offset: int, length: int) -> bytes:
    """`length` bytes from `offset`, fewer at the end of the log or where it is damaged. Raises SourceError where it
    cannot be read up to `offset`, or no byte after it."""
    try:
        stream.seek(offset)
    except (OSError, EOFError, zlib.error) as exc:
        raise SourceError(f"{path} cannot be read: {exc}") from exc
    data, broken = _block(stream, length)
    if broken and not data:
        raise SourceError(f"{path} cannot be read: {broken}")
    return data


def pieces(stream: BinaryIO, path: Path, start: int) -> Iterator[Piece]:
    """The log from byte `start`, cut at ends of lines; each piece about PIECE bytes.

    Raises SourceError in the middle of a damaged file, after the last piece that could be read.
    """
    read_at(stream, path, start, 0)
    rest, offset = b"", start
    while True:
        block, broken = _block(stream, PIECE)
        data = rest + block
        cut = data.rfind(b"\n") + 1
        rest = data[cut:]
        if cut:
            yield Piece(offset, data[:cut], ended=True)
            offset += cut
        elif len(data) > 4 * PIECE:
            raise SourceError(f"{path} has a line of over {len(data):,} bytes at byte {offset:,}: this is no log", True)
        if broken:
            raise SourceError(f"{path} is damaged after byte {offset + len(rest):,}: {broken}")
        if not block:
            if rest:
                yield Piece(offset, rest, ended=False)
            return


def _block(stream: BinaryIO, size: int) -> tuple[bytes, str]:
    """Up to `size` bytes, and why there were no more: '' at the end of the log or where the block is full."""
    parts: list[bytes] = []
    missing = size
    try:
        while missing:
            part = stream.read1(missing)  # type: ignore[attr-defined]
            if not part:
                break
            parts.append(part)
            missing -= len(part)
    except (OSError, EOFError, zlib.error) as exc:
        return b"".join(parts), str(exc)
    return b"".join(parts), ""
