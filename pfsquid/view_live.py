"""What a running collection says: the service's log, and the line of `--follow`. Prints through `views` alone."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from pfsquid import views
from pfsquid.lake.state import State

RECENT_SECONDS = 15.0  # over which rows a second are told


_ONE = threading.Lock()  # threads speak one after the other


def log(screen: views.Screen, level: str, event: str, fields: Mapping[str, Any]) -> None:
    """A line on standard error: for people on a terminal, else JSON (RFC 8259), one object a line.

    Nobody there to read it is no reason to stop.
    """
    with _ONE, suppress(OSError, ValueError):
        if screen.interactive:
            told = "".join(f"  {name}={value}" for name, value in fields.items())
            views.progress(screen, "")
            views.say(screen, f"{datetime.now(UTC):%H:%M:%S} {level:<7} {event}{told}")
            return
        entry = {"time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}", "level": level, "event": event, **fields}
        views.say(screen, json.dumps(entry, default=str))


def logger(screen: views.Screen) -> Callable[..., None]:
    """`log(level, event, **fields)` for this screen."""

    def say(level: str, event: str, **fields: Any) -> None:
        log(screen, level, event, fields)

    return say


class Follow:
    """One line that is written over: rows, rows a second of late, rejects, lag. Nothing where there is no terminal."""

    def __init__(self, screen: views.Screen, clock: Callable[[], float] = time.monotonic) -> None:
        self._screen, self._clock = screen, clock
        self._past: deque[tuple[float, int]] = deque()

    def update(self, states: Mapping[str, State]) -> None:
        """All sources, as they are now; a line a second at most."""
        now = self._clock()
        if self._past and now - self._past[-1][0] < 1.0:
            return
        with _ONE, suppress(OSError, ValueError):
            views.progress(self._screen, self.line(states, now))

    def line(self, states: Mapping[str, State], now: float) -> str:
        """What it says at this time."""
        rows, rejects = sum(one.rows for one in states.values()), sum(one.rejects for one in states.values())
        self._past.append((now, rows))
        while now - self._past[0][0] > RECENT_SECONDS:
            self._past.popleft()
        begin, before = self._past[0]
        speed = (rows - before) / (now - begin) if now > begin else 0.0
        lag = max((one.lag_seconds for one in states.values()), default=0.0)
        waiting = sum(one.lag_bytes or 0 for one in states.values())
        failing = [one.name for one in states.values() if one.error]
        told = f"{rows:,} rows, {speed:,.0f}/s, {rejects:,} rejects, lag {lag:.0f} s"
        told += f" and {views.human_bytes(waiting)}" if waiting else ""
        return told + (f", failing: {', '.join(failing)}" if failing else "")
