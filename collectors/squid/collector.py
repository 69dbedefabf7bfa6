"""One access log → batches of rows, rejects and position. The Squid collector, as the lake sees it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from collectors.batch import Batch, Position, Reject
from collectors.squid.access_log import AccessLogParser, compile_parser
from collectors.squid.detect import SAMPLE, describe_other, fits, looks_like
from collectors.squid.follow import PRINT, Piece, Resume, SourceError, digest, open_log, pieces, read_at, resume
from collectors.squid.logformat import FORMATS

BATCH_ROWS = 250_000


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
    """Pieces gathered to batches of about BATCH_ROWS rows; an error in the middle comes after what was read."""
    tables: list[pa.Table] = []
    rejects: list[Reject] = []
    replaces, broken = going_on.replaces, None
    while True:
        try:
            piece = next(stream, None)
        except SourceError as exc:
            piece, broken = None, exc
        if piece is not None:
            rows, bad = parser.read(
                piece.data if piece.ended else piece.data + b"\n", piece.offset, going_on.source, firewall
            )
            if piece.ended or not bad:  # a last line without its end that does not read is left for the next time
                tables.append(rows)
                rejects.extend(bad)
                reached.add(piece)
        if tables and (piece is None or sum(map(len, tables)) + len(rejects) >= BATCH_ROWS):
            yield Batch("proxy", pa.concat_tables(tables), going_on.source, reached.position(), rejects, replaces)
            tables, rejects, replaces = [], [], None
        if piece is None:
            if broken:
                raise broken
            return


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
