"""One source followed: rounds of reading and committing, again and again; a failure is told, and tried again later.

What a round has read it commits, also where it breaks off in the middle: the next begins after it. Nothing is kept
but the lake's own positions. Stops between two batches.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import pyarrow.compute as pc

from collectors.batch import Batch, Position
from collectors.squid.follow import SourceError
from pfsquid.errors import PfsquidError
from pfsquid.lake.catalog import Lake
from pfsquid.lake.ingest import Ingested, Moved, ingest, positions

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
# Rounds that are being read at once: each may hold two batches in memory.
_AT_ONCE = threading.BoundedSemaphore(2)


class Opened(Protocol):
    """A source that is open: a connection, a folder, a port."""

    def round(self, known: Mapping[str, Position]) -> Iterator[Batch]:
        """What is new since these positions."""

    def remaining(self) -> int | None:
        """Bytes that are there and were not read yet; None where that cannot be told."""


@dataclass(frozen=True)
class Stream:
    """A source of rows. place: where it is, for people. open: connects; raises SourceError, PfsquidError."""

    name: str
    table: str
    place: str
    open: Callable[[], AbstractContextManager[Opened]]


@dataclass
class State:
    """What is known of a stream, for `status` and metrics. Times: seconds since 1970; None where it never was.

    rows, rejects: since the start of this process. lag_seconds: for how long there was something unread. newest: the
    latest row's own time. error: of the last round, '' where it went well.
    """

    name: str
    place: str
    started: float
    rows: int = 0
    rejects: int = 0
    rounds: int = 0
    lag_bytes: int | None = None
    caught_up: float | None = None
    last_data: float | None = None
    newest: float | None = None
    source: str = ""
    offset: int | None = None
    error: str = ""
    error_at: float | None = None
    failures: int = 0
    written: float = 0.0
    reasons: dict[str, int] = field(default_factory=dict)

    @property
    def lag_seconds(self) -> float:
        """How long ago everything was read."""
        return max(0.0, time.time() - (self.caught_up if self.caught_up is not None else self.started))

    def silent_for(self, now: float) -> float:
        """Seconds without data."""
        return max(0.0, now - (self.last_data if self.last_data is not None else self.started))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def once(lake: Lake, stream: Stream) -> State:
    """A single round. What went wrong stands in the state's `error`."""
    state = State(stream.name, stream.place, time.time())
    try:
        with stream.open() as opened:
            _round(lake, stream, opened, 10.0, threading.Event(), state)
    except (SourceError, PfsquidError, OSError) as exc:
        state.error = _told(exc)
    return state


def follow(lake: Lake, stream: Stream, flush: float, stop: threading.Event, watch: Callable[[State], None]) -> State:
    """Rounds every `flush` seconds until `stop`.

    watch: told after each round, in this thread.
    """
    state = State(stream.name, stream.place, time.time())
    pause = FIRST_PAUSE
    while not stop.is_set():
        try:
            with stream.open() as opened:
                while not stop.is_set():
                    begin = time.monotonic()
                    _round(lake, stream, opened, flush, stop, state)
                    state.error, state.failures, pause = "", 0, FIRST_PAUSE
                    watch(state)
                    stop.wait(max(0.05, flush - (time.monotonic() - begin)))
        except Moved:
            watch(state)
        except (SourceError, PfsquidError, OSError) as exc:
            state.error = _told(exc)
            state.error_at, state.failures = time.time(), state.failures + 1
            watch(state)
            stop.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
    return state


def _told(exc: Exception) -> str:
    return exc.message if isinstance(exc, PfsquidError) else str(exc)


def _round(lake: Lake, stream: Stream, opened: Opened, flush: float, stop: threading.Event, state: State) -> None:
    known = positions(lake, stream.table)
    done = Ingested()
    before = (state.rows, state.rejects)

    def counted(so_far: Ingested) -> None:
        state.rows, state.rejects = before[0] + so_far.rows, before[1] + so_far.rejects

    def until_stopped(batches: Iterator[Batch]) -> Iterator[Batch]:
        for batch in batches:
            _note(state, batch)
            yield batch
            if stop.is_set():
                return

    began = time.time()
    try:
        with _AT_ONCE:
            ingest(lake, until_stopped(opened.round(known)), done, counted, known, flush)
    finally:
        counted(done)
        state.rounds += 1
        for reason, count in done.reasons.items():
            state.reasons[reason] = state.reasons.get(reason, 0) + count
        with suppress(Exception):
            state.lag_bytes = opened.remaining()
    if not stop.is_set() and not state.lag_bytes:
        state.caught_up = began


def _note(state: State, batch: Batch) -> None:
    state.last_data = time.time()
    state.source, state.offset = batch.source, batch.position.offset
    column = {"proxy": "ts", "signins": "created_at"}.get(batch.table)
    if column and len(batch.rows):
        newest = pc.max(batch.rows[column]).as_py()
        if isinstance(newest, datetime):
            seconds = newest.astimezone(UTC).timestamp()
            state.newest = seconds if state.newest is None else max(state.newest, seconds)
