"""One source followed: rounds of reading and committing, again and again; a failure is told, and tried again later.

What a round has read it commits, also where it breaks off in the middle: the next begins after it. Nothing is kept
but the lake's own positions. Whatever goes wrong here goes wrong for this source alone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, runtime_checkable

import pyarrow.compute as pc

from collectors.batch import Batch, Position
from collectors.squid.follow import SourceError
from pfsquid.errors import PfsquidError
from pfsquid.lake.catalog import Lake, explained
from pfsquid.lake.ingest import Ingested, Moved, ingest, positions
from pfsquid.lake.state import State

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
# Held while a piece of a log is parsed or written, never while a source is waited for: what takes most memory is done
# for two sources at a time, and a silent one is in nobody's way.
TURN = threading.BoundedSemaphore(2)

Watch = Callable[[State], None]


class Opened(Protocol):
    """A source that is open: a connection, a folder, a port."""

    def round(self, known: Mapping[str, Position]) -> Iterator[Batch]:
        """What is new since these positions."""

    def remaining(self) -> int | None:
        """Bytes that are there and were not read yet; None where that cannot be told."""

    def usable(self) -> bool:
        """After a failed round: can it go on as it is? Else it is opened anew."""


@runtime_checkable
class Receives(Protocol):
    """A source that is open and takes what others send; it loses what it has no room for."""

    def received(self) -> Mapping[str, int]:
        """Counts since it was opened, also after its end; `state.LOSSES` are among them."""


@dataclass(frozen=True)
class Stream:
    """A source of rows. place: where it is, for people. open: connects; raises SourceError, PfsquidError."""

    name: str
    table: str
    place: str
    open: Callable[[], AbstractContextManager[Opened]]

    def follow(self, lake: Lake, flush: float, stop: threading.Event, watch: Watch, state: State) -> None:
        """See `follow` below."""
        follow(lake, self, flush, stop, watch, state)


def once(lake: Lake, stream: Stream) -> State:
    """A single round. What went wrong stands in the state's `error`."""
    state = State(stream.name, stream.place, time.time())
    try:
        with stream.open() as opened:
            _round(lake, stream, opened, 10.0, threading.Event(), state, lambda _: None)
    except (SourceError, PfsquidError, OSError) as exc:
        state.error = told(exc)
    return state


def follow(lake: Lake, stream: Stream, flush: float, stop: threading.Event, watch: Watch, state: State) -> None:
    """Rounds every `flush` seconds until `stop`; after a failure of any kind with growing pauses.

    watch: told in this thread after each batch and each round, and before each pause.
    """
    pause = FIRST_PAUSE
    while not stop.is_set():
        try:
            with _entered(stream, state) as opened:
                while not stop.is_set():
                    begin = time.monotonic()
                    failed = _tried(lake, stream, opened, flush, stop, state, watch)
                    if failed is None:
                        pause = FIRST_PAUSE
                        stop.wait(max(0.05, flush - (time.monotonic() - begin)))
                    elif not opened.usable():
                        raise failed
                    else:
                        _failed(state, failed, watch)
                        stop.wait(pause)
                        pause = min(pause * 2, LONGEST_PAUSE)
        except Moved:
            watch(state)
            stop.wait(0.05)
        except Exception as exc:  # noqa: BLE001 - told, and tried again; a fault of ours, too
            if stop.is_set():
                return  # what it was doing was taken from it
            _failed(state, exc, watch)
            stop.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE)


@contextmanager
def _entered(stream: Stream, state: State) -> Iterator[Opened]:
    """The source, open; what it counted in its end is kept, too."""
    opened: Opened | None = None
    try:
        with stream.open() as opened:
            yield opened
    finally:
        _count(state, opened)


def _count(state: State, opened: object) -> None:
    if isinstance(opened, Receives):
        state.has_received(opened.received(), time.time())


def told(exc: Exception) -> str:
    """An error, for `status`; one that nobody foresaw by its name, too."""
    if isinstance(exc, PfsquidError):
        return exc.message
    if isinstance(exc, SourceError | OSError):
        return str(exc)
    return f"a fault of pfsquid itself: {type(exc).__name__}: {exc}"


def _failed(state: State, exc: Exception, watch: Watch) -> None:
    state.error = state.last_error = told(exc)
    state.error_at, state.failures = time.time(), state.failures + 1
    watch(state)


def _tried(
    lake: Lake, stream: Stream, opened: Opened, flush: float, stop: threading.Event, state: State, watch: Watch
) -> Exception | None:
    """A round; the error that ended it, or None. Raises Moved."""
    try:
        _round(lake, stream, opened, flush, stop, state, watch)
    except Moved:
        raise
    except Exception as exc:  # noqa: BLE001 - see `follow`
        return exc
    state.error, state.failures = "", 0
    watch(state)
    return None


def _round(
    lake: Lake, stream: Stream, opened: Opened, flush: float, stop: threading.Event, state: State, watch: Watch
) -> None:
    done = Ingested()
    before = (state.rows, state.rejects)

    def counted(so_far: Ingested) -> None:
        state.rows, state.rejects = before[0] + so_far.rows, before[1] + so_far.rejects
        _count(state, opened)
        watch(state)

    def noted(batches: Iterator[Batch]) -> Iterator[Batch]:
        for batch in batches:
            _note(state, batch)
            yield batch

    began = time.time()
    with explained(lake):
        known = positions(lake, stream.table)
    try:
        ingest(lake, noted(opened.round(known)), done, counted, known, flush, TURN, stop)
    finally:
        counted(done)
        state.rounds += 1
        reasons = dict(state.reasons)  # another thread may be reading the old one
        for reason, count in done.reasons.items():
            reasons[reason] = reasons.get(reason, 0) + count
        state.reasons = reasons
        with suppress(Exception):
            state.lag_bytes = opened.remaining()
    if not stop.is_set() and not state.lag_bytes:
        state.caught_up = began


def _note(state: State, batch: Batch) -> None:
    if not len(batch.rows) and not batch.rejects:
        return  # a position written anew
    state.last_data = time.time()
    state.source, state.offset = batch.source, batch.position.offset
    column = {"proxy": "ts", "signins": "created_at"}.get(batch.table)
    if column and len(batch.rows):
        newest = pc.max(batch.rows[column]).as_py()
        if isinstance(newest, datetime):
            seconds = newest.astimezone(UTC).timestamp()
            state.newest = seconds if state.newest is None else max(state.newest, seconds)
