"""Where reading a log goes on, and its bytes as pieces of whole lines from there.

A log is known again by what it holds, not by its name: digests of its first bytes and of the last bytes before the
place reached. So a log that was rotated, renamed, copied or compressed in the meantime is not read twice, and a new log
under an old name is read from its beginning. Logs of two firewalls are never taken for each other.

What cannot be told: a log that is shorter than what was read of it, and begins alike, is taken for an older copy, and
nothing is read of it until it is longer. If it was cut in its middle and went on with other lines, it then counts as a
new log: the lines before the cut come twice, and what came after it is late. Never writes.
"""

from __future__ import annotations

import hashlib
import re
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from collectors.batch import Position

PIECE = 4 * 1024 * 1024
PRINT = 4096  # bytes that a digest covers, at the head and at the tail
MARKS = (32, 64, 128, 256, 512, 1024, 2048)  # no sound line is shorter than the first
PATIENCE = 10.0  # seconds after which a slow source's bytes are passed on, though they fill no piece
_MARK = 12  # hexadecimal digits of a mark that are kept
_OLD = 32  # hexadecimal digits of a BLAKE2b digest, as positions had them; a firewall's PHP has none
_SUFFIXES = re.compile(r"\.(gz|zst)$")
_ROTATED = re.compile(r"[.-]\d[\d._-]*$")

Range = tuple[int, int]  # begin, length


class SourceError(Exception):
    """A source that cannot be read (further). reason: what and why; wrong_use: the name given was wrong.

    lasting: it is what the log holds, and will be so until that changes.
    """

    def __init__(self, reason: str, wrong_use: bool = False, lasting: bool = False) -> None:
        super().__init__(reason)
        self.wrong_use, self.lasting = wrong_use, lasting


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

    start: first byte to read, None where the log is an older and shorter copy of what was read. replaces: offset of an
    unfinished line that is read again, or None. before: up to PRINT bytes before `start`, where they were read anyway.
    waits: the last line read had no end yet, and nothing came after it so far.
    """

    source: str
    position: Position | None
    start: int | None
    replaces: int | None = None
    before: bytes | None = None
    waits: bool = False


def digest(data: bytes) -> str:
    """The digest by which a piece of a log is known again (SHA-256, its first 160 bits, hexadecimal)."""
    return hashlib.sha256(data).hexdigest()[:40]


def marks_of(head: bytes) -> str:
    """The digests of the first 32, 64 … 2,048 bytes, as many as there are, as a Position keeps them."""
    return "".join(digest(head[:size])[:_MARK] for size in MARKS if size <= len(head))


def resume(
    stream: BinaryIO, name: str, known: Mapping[str, Position], origin: str | None = None, likely: str = ""
) -> Resume:
    """Find out which of the known logs this is, if any, and where to go on in it.

    stream: from `Log.open`; it is left anywhere. name: its path. origin: whose log it is. likely: the source that it
    was the last time. Where several fit, it is the one that was read farthest. Raises SourceError.
    """
    prints = _Prints(stream, name)
    if likely in known and _may_be(known[likely], origin):
        found = prints.place(likely, known[likely], "")
        if found and found.start is not None:
            return found
    *firsts, head = prints.of([(0, size) for size in (*MARKS, PRINT)])
    marks = "".join(first[:_MARK] for first in firsts if first)
    shorter: Resume | None = None
    for source in sorted(known, key=lambda one: known[one].offset, reverse=True):
        position = known[source]
        if _may_be(position, origin) and _begins_alike(position, marks, head):
            found = prints.place(source, position, marks)
            if found and found.start is not None:
                return found
            shorter = shorter or found
    begins = head or digest(prints.head())
    return shorter or Resume(_new_name(name, begins, origin, known), None, 0, before=b"")


def _may_be(position: Position, origin: str | None) -> bool:
    return bool(position.head_bytes) and (origin is None or position.origin in (None, origin))


def _begins_alike(position: Position, marks: str, head: str) -> bool:
    """As far as the marks tell, without a further look at the log."""
    both = min(len(marks), len(position.marks))
    if marks[:both] != position.marks[:both]:
        return False
    whole = position.head_bytes == PRINT and head and len(position.head) != _OLD
    return position.head == head if whole else bool(both or not position.marks)


def _new_name(name: str, begins: str, origin: str | None, known: Mapping[str, Position]) -> str:
    plain = _ROTATED.sub("", _SUFFIXES.sub("", name.rpartition("/")[2]))
    first = f"{origin}/" * (origin is not None) + f"{plain}#{begins[:12]}"
    new, count = first, 2
    while new in known:
        new, count = f"{first}-{count}", count + 1
    return new


class _Prints:
    """Digests of a log's parts, made where the log is; what was read for them here is kept for what comes next."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream, self._name = stream, name
        self._head: bytes | None = None
        self._last: tuple[Range, bytes] = ((0, 0), b"")
        self._ask = getattr(stream, "digests", None)

    def of(self, ranges: Sequence[Range]) -> list[str]:
        """The digest of each range, '' where the log does not hold all of it."""
        if self._ask:
            found: list[str] = self._ask(ranges)
            return found
        parts = [self._bytes(*one) for one in ranges]
        return [digest(part) if len(part) == one[1] else "" for one, part in zip(ranges, parts, strict=True)]

    def head(self) -> bytes:
        """The log's first bytes, up to PRINT."""
        if self._head is None:
            self._head = read_at(self._stream, self._name, 0, PRINT)
        return self._head

    def place(self, source: str, position: Position, marks: str) -> Resume | None:
        """Where to go on if it is this source, None if it is not. marks: those that the two have been found to share,
        on which a log is judged that is shorter than the source's head; '' for none."""
        begin, offset = max(0, position.offset - PRINT), position.offset
        ranges = [(0, position.head_bytes), (begin, offset - begin)]
        head, tail = self.of(ranges)
        head = self._old(*ranges[0]) if len(position.head) == _OLD else head
        tail = self._old(*ranges[1]) if len(position.tail) == _OLD else tail
        if head != position.head and (head or not marks or not position.marks):
            return None
        if offset and not tail:
            return Resume(source, position, None)
        if offset and tail != position.tail:
            return None
        before = b"" if not offset else self._last[1] if self._last[0] == ranges[1] else None
        if position.unended is None:
            return Resume(source, position, offset, before=before)
        after = read_at(self._stream, self._name, offset, 1)
        if not after:
            return Resume(source, position, offset, waits=True)
        if after == b"\n":
            return Resume(source, position, offset + 1, before=None if before is None else (before + after)[-PRINT:])
        return Resume(source, position, position.unended, replaces=position.unended)

    def _old(self, begin: int, length: int) -> str:
        """As `of`, by the former digest."""
        part = self._bytes(begin, length)
        return hashlib.blake2b(part, digest_size=16).hexdigest() if len(part) == length else ""

    def _bytes(self, begin: int, length: int) -> bytes:
        part = read_at(self._stream, self._name, begin, length) if begin else self.head()[:length]
        self._last = (begin, length), part
        return part


def read_at(stream: BinaryIO, name: str, offset: int, length: int) -> bytes:
    """`length` bytes from `offset`, fewer at the end of the log or where it is damaged. Raises SourceError where it
    cannot be read up to `offset`, or no byte after it."""
    try:
        stream.seek(offset)
    except (OSError, EOFError, zlib.error) as exc:
        raise SourceError(f"{name} cannot be read: {exc}", lasting=True) from exc
    data, broken = _block(stream, length, None)
    if broken and not data:
        raise SourceError(f"{name} cannot be read: {broken}", lasting=True)
    return data


def pieces(stream: BinaryIO, name: str, start: int, size: int | None = None) -> Iterator[Piece]:
    """The log from byte `start`, cut at ends of lines; each piece about `size` (PIECE) bytes, fewer from a slow source.

    Raises SourceError in the middle of a damaged file, after the last piece that could be read.
    """
    read_at(stream, name, start, 0)
    rest, offset = b"", start
    while True:
        block, broken = _block(stream, size or PIECE, time.monotonic() + PATIENCE)
        data = rest + block
        cut = data.rfind(b"\n") + 1
        rest = data[cut:]
        if cut:
            yield Piece(offset, data[:cut], ended=True)
            offset += cut
        elif len(data) > 4 * PIECE:
            raise SourceError(
                f"{name} has a line of over {len(data):,} bytes at byte {offset:,}: this is no log", True, lasting=True
            )
        if broken:
            raise SourceError(f"{name} is damaged after byte {offset + len(rest):,}: {broken}", lasting=True)
        if not block:
            if rest:
                yield Piece(offset, rest, ended=False)
            return


def _block(stream: BinaryIO, size: int, until: float | None) -> tuple[bytes, str]:
    """Up to `size` bytes, and why there were no more: '' at the end of the log, where the block is full, or where
    some came and the time is over."""
    parts: list[bytes] = []
    missing = size
    try:
        while missing:
            part = stream.read1(missing)  # type: ignore[attr-defined]
            if not part:
                break
            parts.append(part)
            missing -= len(part)
            if until is not None and time.monotonic() > until:
                break
    except (OSError, EOFError, zlib.error) as exc:
        return b"".join(parts), str(exc)
    return b"".join(parts), ""
