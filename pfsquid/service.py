"""`pfsquid run`: all sources of the configuration, supervised, with the care of the lake, until a signal ends it.

A thread for each source; one that fails tries again with growing pauses and never stops another. SIGTERM and SIGINT:
what was read is committed, and the process ends within seconds. SIGHUP: the configuration is read anew; where it is
wrong, the old one goes on.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Protocol

from pfsquid.errors import PfsquidError
from pfsquid.lake import status
from pfsquid.lake.catalog import Lake
from pfsquid.lake.live import State, Stream, follow
from pfsquid.systemd import notify, watchdog_seconds

END_SECONDS = 4.0  # for the sources to commit what they have read
CARE_SECONDS = 600.0
WRITE_SECONDS = 2.0  # how often a state that did not change is written down at most

Log = Callable[..., None]
Care = Callable[[Lake], str]


@dataclass(frozen=True)
class Plan:
    """What runs. care: keeps the lake tidy; gives a line of what it did, '' for nothing."""

    lake: Lake
    streams: tuple[Stream, ...]
    flush: float
    alarm: float
    care: Care | None = None


class Metrics(Protocol):
    """Where numbers go, for Prometheus."""

    def update(self, state: State) -> None:
        """A source's numbers."""


@dataclass
class Service:
    """The supervisor. load: reads the configuration; log: `log(level, event, **fields)`. metrics: None for none."""

    load: Callable[[], Plan]
    log: Log
    environment: Mapping[str, str]
    metrics: Metrics | None = None
    _end: threading.Event = field(default_factory=threading.Event)
    _again: threading.Event = field(default_factory=threading.Event)
    _wake: threading.Event = field(default_factory=threading.Event)
    _states: dict[str, State] = field(default_factory=dict)

    def run(self) -> None:
        """Run until a signal. Raises PfsquidError where nothing could be begun."""
        plan = self.load()
        with self._signals():
            while True:
                self._again.clear()
                self._serve(plan)
                if self._end.is_set():
                    break
                try:
                    plan = self.load()
                    self.log("info", "configuration read anew", sources=len(plan.streams))
                except PfsquidError as exc:
                    self.log("error", "the configuration is wrong; the old one goes on", error=exc.message)
        notify(self.environment, "STOPPING=1")

    def _serve(self, plan: Plan) -> None:
        stop = threading.Event()
        status.forget(plan.lake.folder, {stream.name for stream in plan.streams})
        threads = [
            threading.Thread(target=self._follow, args=(plan, stream, stop), name=stream.name, daemon=True)
            for stream in plan.streams
        ]
        if plan.care is not None:
            threads.append(threading.Thread(target=self._tend, args=(plan, stop), name="care", daemon=True))
        for thread in threads:
            thread.start()
        self.log("info", "running", sources=len(plan.streams), lake=str(plan.lake.folder))
        notify(self.environment, "READY=1", f"STATUS={len(plan.streams)} sources")
        self._watch(plan, threads)
        stop.set()
        until = time.monotonic() + END_SECONDS
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive() and thread.name != "care":
                self.log("warning", "did not end in time; what it had not committed is read again", source=thread.name)

    def _watch(self, plan: Plan, threads: list[threading.Thread]) -> None:
        """Sleep until a signal; meanwhile the watchdog is told that all threads are there."""
        every = watchdog_seconds(self.environment)
        silent: set[str] = set()
        while not (self._end.is_set() or self._again.is_set()):
            self._wake.wait(min(every or 10.0, 10.0))
            self._wake.clear()
            gone = [thread.name for thread in threads if not thread.is_alive()]
            if gone:
                self.log("error", "a thread has died", threads=gone)
                self._end.set()
            elif every is not None:
                notify(self.environment, "WATCHDOG=1")
            for name, state in list(self._states.items()):
                quiet = state.silent_for(time.time()) > plan.alarm
                if quiet and name not in silent:
                    self.log("warning", "no data", source=name, seconds=round(state.silent_for(time.time())))
                (silent.add if quiet else silent.discard)(name)

    def _follow(self, plan: Plan, stream: Stream, stop: threading.Event) -> None:
        told = ("", 0)

        def watch(state: State) -> None:
            nonlocal told
            self._states[state.name] = state
            if self.metrics:
                self.metrics.update(state)
            now = (state.error, state.rows)
            if state.error and state.error != told[0]:
                self.log("error", "source failed", source=state.name, error=state.error, failures=state.failures)
            elif told[0] and not state.error:
                self.log("info", "source is back", source=state.name)
            if now != told or time.time() - state.written > WRITE_SECONDS:
                state.written = time.time()
                status.write(plan.lake, state)
            told = now

        while not stop.is_set():
            try:
                follow(plan.lake, stream, plan.flush, stop, watch)
            except Exception as exc:  # noqa: BLE001 - a fault of ours in one source must not stop the others
                self.log("error", "source broke", source=stream.name, error=f"{type(exc).__name__}: {exc}")
                stop.wait(30.0)

    def _tend(self, plan: Plan, stop: threading.Event) -> None:
        while not stop.wait(CARE_SECONDS if self._states else 5.0):
            try:
                told = plan.care(plan.lake) if plan.care else ""
                if told:
                    self.log("info", "care of the lake", done=told)
            except Exception as exc:  # noqa: BLE001 - tidiness must not stop collection
                self.log("error", "care of the lake failed", error=getattr(exc, "message", None) or str(exc))

    def _signals(self) -> AbstractContextManager[None]:
        return _Signals({signal.SIGTERM: self._stop, signal.SIGINT: self._stop, signal.SIGHUP: self._reload})

    def _stop(self, number: int, _: FrameType | None) -> None:
        if self._end.is_set():
            os._exit(130 if number == signal.SIGINT else 143)  # asked twice: at once
        self._end.set()
        self._wake.set()

    def _reload(self, _number: int, _: FrameType | None) -> None:
        notify(self.environment, "RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        self._again.set()
        self._wake.set()


class _Signals:
    """Handlers of signals for the length of a context."""

    def __init__(self, handlers: dict[signal.Signals, Any]) -> None:
        self._handlers = handlers
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> None:
        for number, handler in self._handlers.items():
            self._before[number] = signal.signal(number, handler)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
