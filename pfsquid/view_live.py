"""What a running collection says: the service's log, and the line of `--follow`. Prints through `views` alone."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pfsquid import views
from pfsquid.lake.live import State


def log(screen: views.Screen, level: str, event: str, fields: Mapping[str, Any]) -> None:
    """A line on standard error: for people on a terminal, else JSON (RFC 8259), one object a line."""
    if screen.interactive:
        told = "".join(f"  {name}={value}" for name, value in fields.items())
        views.progress(screen, "")
        views.say(screen, f"{datetime.now(UTC):%H:%M:%S} {level:<7} {event}{told}")
        return
    entry = {"time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}", "level": level, "event": event, **fields}
    views.say(screen, json.dumps(entry, default=str))


class Follow:
    """One line that is written over: rows, rejects, lag. Nothing where standard error is no terminal."""

    def __init__(self, screen: views.Screen) -> None:
        self._screen = screen
        self._states: dict[str, State] = {}
        self._began = time.monotonic()

    def update(self, state: State) -> None:
        """A source's numbers, as they are now."""
        self._states[state.name] = state
        states = list(self._states.values())
        rows, rejects = sum(one.rows for one in states), sum(one.rejects for one in states)
        lag = max((one.lag_seconds for one in states), default=0.0)
        waiting = sum(one.lag_bytes or 0 for one in states)
        failing = [one.name for one in states if one.error]
        speed = rows / max(time.monotonic() - self._began, 1.0)
        told = f"{rows:,} rows, {speed:,.0f}/s, {rejects:,} rejects, lag {lag:.0f} s"
        told += f" and {views.human_bytes(waiting)}" if waiting else ""
        told += f", failing: {', '.join(failing)}" if failing else ""
        views.progress(self._screen, told)
