"""The server's own time: it begins at `start` and runs `speed` times as fast as ours; a test can push it on."""

from __future__ import annotations

import threading
import time
from datetime import date, timedelta
from functools import cache

TICKS = 10_000_000  # Graph's stamps have up to 7 fraction digits


class Clock:
    """Seconds since 1970 (UTC). start: None is the real time."""

    def __init__(self, start: float | None = None, speed: float = 1.0) -> None:
        self._lock = threading.Lock()
        self._real = time.monotonic()
        self._base = time.time() if start is None else start
        self.start = self._base
        self.speed = speed

    def now(self) -> float:
        with self._lock:
            return self._base + (time.monotonic() - self._real) * self.speed

    def advance(self, seconds: float) -> float:
        """Push the clock on. Returns the new time."""
        with self._lock:
            self._base += seconds
            return self._base + (time.monotonic() - self._real) * self.speed

    def run(self, speed: float) -> None:
        """From now on run `speed` times as fast as the real time; 0 stops the clock."""
        with self._lock:
            now = time.monotonic()
            self._base += (now - self._real) * self.speed
            self._real, self.speed = now, speed


def ticks(seconds: float) -> int:
    return round(seconds * 1_000_000) * (TICKS // 1_000_000)


@cache
def _date(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()


def stamp(at: int, digits: int = 7) -> str:
    """Ticks since 1970 as Graph writes them, with as many fraction digits."""
    seconds, rest = divmod(at, TICKS)
    day, second = divmod(seconds, 86_400)
    text = f"{_date(day)}T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    return f"{text}.{rest:07d}"[: len(text) + 1 + digits] + "Z" if digits else text + "Z"
