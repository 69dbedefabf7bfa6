"""One access log → batches of rows, rejects and position. The Squid collector, as the lake sees it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa

from collectors.batch import Batch, Position, Reject
from collectors.squid.access_log import AccessLogParser, compile_parser
from collectors.squid.detect import SAMPLE, describe_other, fits, looks_like
from collectors.squid.follow import PRINT, Piece, Resume, SourceError, digest, open_log, pieces, read_at, resume
from collectors.squid.logformat import FORMATS

BATCH_BYTES = 16 * 1024 * 1024  # of log; about 100,000 lines of the native format
PARSERS = 2


class FormatError(SourceError):
    """A log that is not in the format it was said to be in. instead: the shipped format that it is in, or ''."""

    def __init__(self, reason: str, instead: str = "") -> None:
        super().__init__(reason, wrong_use=True)
        self.instead = instead


def collect(
    path: Path, format_name: str, known: Mapping[str, Position], firewall: str | None = None
) -> Iterator[Batch]:
    """Batches of a log file from where the lake's last position ends; none where there is nothing new.

    format_name: a key of FORMATS. known: positions by source. Raises SourceError, FormatError before the first batch,
    or SourceError after the last batch that could be read.
    """
    with open_log(path) as stream:
        going_on = resume(stream, path, known)
        if going_on.position is None:
            _check_format(path, read_at(stream, path, 0, SAMPLE), format_name)
        head = read_at(stream, path, 0, PRINT)
        start = going_on.start
        reached = _Reached(start, head, read_at(stream, path, max(0, start - PRINT), min(start, PRINT)))
        parser = compile_parser(FORMATS[format_name])
        yield from _batches(pieces(stream, path, start), parser, going_on, reached, firewall)


def _check_format(path: Path, sample: bytes, wanted: str) -> None:
    if not sample.strip() or fits(sample, wanted):
        return
    instead = looks_like(sample, but=wanted)
    if instead:
        raise FormatError(f'{path} is in Squid\'s "{instead}" format, not in "{wanted}"', instead)
    other = describe_other(sample)
    if other:
        raise FormatError(f'{path} is {other}, not an access log in Squid\'s "{wanted}" format')
    raise FormatError(f'no line at the beginning of {path} reads as Squid\'s "{wanted}" format')


def _batches(
    stream: Iterator[Piece], parser: AccessLogParser, going_on: Resume, reached: _Reached, firewall: str | None
) -> Iterator[Batch]:
    """Pieces gathered to batches; an error in the middle comes after what was read."""
    tables: list[pa.Table] = []
    rejects: list[Reject] = []
    size, replaces = 0, going_on.replaces
    for piece, rows, bad in _parsed(stream, parser, going_on.source, firewall):
        if isinstance(piece, Piece) and (piece.ended or not bad):
            # A last line without its end that does not read is left for the next time.
            tables.append(rows)
            rejects.extend(bad)
            reached.add(piece)
            size += len(piece.data)
        if tables and (size >= BATCH_BYTES or not isinstance(piece, Piece)):
            yield Batch("proxy", pa.concat_tables(tables), going_on.source, reached.position(), rejects, replaces)
            tables, rejects, size, replaces = [], [], 0, None
        if isinstance(piece, SourceError):
            raise piece


def _parsed(
    stream: Iterator[Piece], parser: AccessLogParser, source: str, firewall: str | None
) -> Iterator[tuple[Piece | SourceError | None, pa.Table, list[Reject]]]:
    """Each piece with its rows and rejects, in order, two being parsed at a time (numpy and Arrow share the cores);
    at the end the error that ended the log, or None."""

    def parse(piece: Piece) -> tuple[Piece, pa.Table, list[Reject]]:
        data = piece.data if piece.ended else piece.data + b"\n"
        return piece, *parser.read(data, piece.offset, source, firewall)

    broken: SourceError | None = None
    with ThreadPoolExecutor(PARSERS, thread_name_prefix="parser") as pool:
        ahead: deque[Future[tuple[Piece, pa.Table, list[Reject]]]] = deque()
        while True:
            try:
                piece = next(stream, None)
            except SourceError as exc:
                piece, broken = None, exc
            if piece is None:
                break
            ahead.append(pool.submit(parse, piece))
            if len(ahead) == PARSERS:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    yield broken, None, []


class _Reached:
    """How far reading has come, with the bytes that the position's digests are made of."""

    def __init__(self, start: int, head: bytes, before: bytes) -> None:
        self._head, self._last, self._end = head, before, start
        self._unended: int | None = None

    def add(self, piece: Piece) -> None:
        self._last = (self._last + piece.data[-PRINT:])[-PRINT:]
        self._end = piece.offset + len(piece.data)
        self._unended = None if piece.ended else piece.offset

    def position(self) -> Position:
        head_bytes = min(PRINT, self._end)
        return Position(self._end, digest(self._head[:head_bytes]), head_bytes, digest(self._last), self._unended)
