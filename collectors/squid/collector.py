"""Access logs → batches of rows, rejects and position. The Squid collector, as the lake sees it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import BinaryIO

import pyarrow as pa

from collectors.batch import Batch, Position, Reject
from collectors.squid.access_log import AccessLogParser, compile_parser
from collectors.squid.choose import AUTO, check_format, detected
from collectors.squid.detect import SAMPLE
from collectors.squid.follow import PRINT, Piece, Resume, SourceError, digest, marks_of, pieces, read_at, resume
from collectors.squid.logformat import format_of
from collectors.squid.logs import GoneError, Log, Logs, Place, now, unseen_for_long
from collectors.squid.schema import PROXY_SCHEMA

BATCH_BYTES = 10 * 1024 * 1024  # of log; about 60,000 lines of the native format
BATCH_SECONDS = 10.0  # a slow source's rows wait no longer than this for others
PARSERS = 2


@dataclass(frozen=True)
class Pace:
    """How much of a log is in memory at once: bytes of a batch and a piece (None: as usual), pieces parsed at a time.

    turn: held while a piece is parsed, never while a log is waited for.
    """

    batch: int | None = None
    piece: int | None = None
    parsers: int = PARSERS
    turn: AbstractContextManager[object] = field(default_factory=nullcontext)


USUAL = Pace()


def collect_logs(
    logs: Logs, format_name: str, known: Mapping[str, Position], firewall: str | None = None, pace: Pace = USUAL
) -> Iterator[Batch]:
    """One round: what came since `known` to the logs of a place, source after source.

    format_name: "auto", a name, or a logformat. known: positions by source. firewall: for the rows. A log that cannot
    be read does not hinder the next ones: the first SourceError comes at the end, once for each state of a damaged
    log. Raises at once what is not the log's own fault (a lost connection), after the last batch that could be read.
    """
    reached = dict(known)
    broken: SourceError | None = None
    for log in logs.changed(reached):
        try:
            for batch in collect_log(logs, log, format_name, reached, firewall, pace):
                reached[batch.source] = batch.position
                yield batch
        except GoneError:
            continue
        except SourceError as exc:
            broken = broken or exc
    if broken:
        raise broken


def collect_log(
    logs: Logs,
    log: Log,
    format_name: str,
    known: Mapping[str, Position],
    firewall: str | None = None,
    pace: Pace = USUAL,
) -> Iterator[Batch]:
    """Batches of one of the logs from where the lake's last position ends; none where there is nothing new.

    Raises SourceError, FormatError before the first batch, or SourceError after the last that could be read; GoneError.
    """
    last = logs.places.pop(log.key, None) or Place(None)
    origin = logs.origin or firewall
    with log.open() as stream:
        try:
            going_on = resume(stream, log.name, known, origin, last.source)
            position = going_on.position
            came = None
            if position is not None and (going_on.start is None or going_on.waits):
                place = replace(last, state=log.state, source=going_on.source, offset=position.offset)
            else:
                reading = _Reading(log, stream, going_on, last, origin)
                for came in _batches(reading, format_name, firewall, pace):
                    yield came
                place = reading.place()
        except SourceError as exc:
            if exc.lasting:
                logs.places[log.key] = Place(log.state)
            raise
    if came is None and position is not None and unseen_for_long(position):
        position = replace(position, read_at=now(), origin=position.origin or origin)
        yield Batch("proxy", PROXY_SCHEMA.empty_table(), going_on.source, position)
    logs.places[log.key] = place


class _Reading:
    """A log being read from `start` on: how far, with the bytes that the next position's digests are made of."""

    def __init__(self, log: Log, stream: BinaryIO, going_on: Resume, last: Place, origin: str | None) -> None:
        assert going_on.start is not None, "there is something to read"
        self.log, self.stream, self.source = log, stream, going_on.source
        self.start, self.replaces, self.known = going_on.start, going_on.replaces, going_on.position
        before = going_on.before
        if before is None and (last.source, last.offset) == (self.source, self.start):
            before = last.before
        if before is None:
            begin = max(0, self.start - PRINT)
            before = read_at(stream, log.name, begin, self.start - begin)
        self._last, self._end = before, self.start
        self._head = before if self.start <= PRINT else b""
        self._unended: int | None = None
        self._origin = self.known.origin or origin if self.known else origin
        self.format = last.format if last.source == self.source else ""

    def pieces(self, size: int | None) -> Iterator[Piece]:
        """What is new. A live log's last line waits for its end. size: see Pace."""
        with suppress(AttributeError):
            self.stream.onward()  # type: ignore[attr-defined]
        for piece in pieces(self.stream, self.log.name, self.start, size):
            if piece.ended or not self.log.live:
                yield piece

    def add(self, piece: Piece) -> None:
        """The piece is in the batch."""
        self._last = (self._last + piece.data[-PRINT:])[-PRINT:]
        if self.start <= PRINT:
            self._head += piece.data[: PRINT - len(self._head)]
        self._end = piece.offset + len(piece.data)
        self._unended = None if piece.ended else piece.offset

    def position(self) -> Position:
        """Where to resume after what was added."""
        tail, told = digest(self._last), (self._origin, now())
        if self.known and self.start > PRINT:
            head, size, marks = self.known.head, self.known.head_bytes, self.known.marks
        else:
            head, size, marks = digest(self._head), len(self._head), marks_of(self._head)
        return Position(self._end, head, size, tail, self._unended, marks, *told)

    def place(self) -> Place:
        """What to remember of it."""
        return Place(self.log.state, self.source if self._end else "", self._end, self._last, self.format)


def _batches(reading: _Reading, format_name: str, firewall: str | None, pace: Pace) -> Iterator[Batch]:
    """Pieces gathered to batches; an error in the middle comes after what was read."""
    name, known = reading.log.name, reading.known is not None
    sample = read_at(reading.stream, name, 0, SAMPLE) if known and format_name == AUTO and not reading.format else b""
    stream = reading.pieces(pace.piece)
    first = next(stream, None)
    if first is None:
        return
    if format_name == AUTO:
        reading.format = reading.format or detected(sample or first.data, name)
    elif not known:
        check_format(first.data, format_name, name)
    parser = compile_parser(format_of(reading.format or format_name))
    tables: list[pa.Table] = []
    rejects: list[Reject] = []
    size, since, replaces = 0, time.monotonic(), reading.replaces
    for piece, rows, bad in _parsed(chain((first,), stream), parser, reading.source, firewall, pace):
        if isinstance(piece, Piece) and (piece.ended or not bad):
            # A last line without its end that does not read is left for the next time.
            since = since if tables else time.monotonic()
            tables.append(rows)
            rejects.extend(bad)
            reading.add(piece)
            size += len(piece.data)
        full = size >= (pace.batch or BATCH_BYTES) or time.monotonic() - since >= BATCH_SECONDS
        if tables and (full or not isinstance(piece, Piece)):
            yield Batch("proxy", pa.concat_tables(tables), reading.source, reading.position(), rejects, replaces)
            tables, rejects, size, replaces = [], [], 0, None
        if isinstance(piece, Exception):
            raise piece


def _parsed(
    stream: Iterator[Piece], parser: AccessLogParser, source: str, firewall: str | None, pace: Pace
) -> Iterator[tuple[Piece | Exception | None, pa.Table, list[Reject]]]:
    """Each piece with its rows and rejects, in order, two being parsed at a time (numpy and Arrow share the cores);
    at the end the error that ended the log, or None."""

    def parse(piece: Piece) -> tuple[Piece, pa.Table, list[Reject]]:
        data = piece.data if piece.ended else piece.data + b"\n"
        with pace.turn:
            return piece, *parser.read(data, piece.offset, source, firewall)

    broken: Exception | None = None
    with ThreadPoolExecutor(pace.parsers, thread_name_prefix="parser") as pool:
        ahead: deque[Future[tuple[Piece, pa.Table, list[Reject]]]] = deque()
        while True:
            try:
                piece = next(stream, None)
            except Exception as exc:  # noqa: BLE001 - raised again behind what was read
                piece, broken = None, exc
            if piece is None:
                break
            ahead.append(pool.submit(parse, piece))
            if len(ahead) == pace.parsers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    yield broken, None, []
