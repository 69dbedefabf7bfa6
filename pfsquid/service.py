"""`pfsquid run`: all sources of the configuration, supervised, with the care of the lake, until a signal ends it.

A thread for each source; one that fails tries again with growing pauses and never stops another. SIGTERM and SIGINT:
what was read is committed, and the process ends within seconds. SIGHUP: the configuration is read anew; where it is
wrong, the old one goes on. The main thread does nothing but look: signals, watchdog, states, metrics.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import FrameType, TracebackType
from typing import Any, Protocol

from pfsquid.errors import PfsquidError
from pfsquid.lake import status
from pfsquid.lake.catalog import Lake
from pfsquid.lake.live import Watch
from pfsquid.lake.state import BEAT_SECONDS, State
from pfsquid.systemd import notify, watchdog_seconds

END_SECONDS = 4.0  # for the sources to commit what they have read
CARE_SECONDS = 600.0
TICK_SECONDS = 0.25
WRITE_SECONDS = 2.0  # how often a state that changes is written down at most
# A source without a sign of life for so long (beside `flush`) hangs: the watchdog is fed no more. Long, since a commit
# may wait for another pfsquid that brings in a large file.
HUNG_SECONDS = 900.0

Log = Callable[..., None]
Care = Callable[[Lake], str]


class Source(Protocol):
    """Whatever is followed: an access log, a stream of Entra ID. name: of its own; place: where it is, for people."""

    @property
    def name(self) -> str:
        """Its name in `status`, logs and metrics."""

    @property
    def place(self) -> str:
        """Where it is."""

    def follow(self, lake: Lake, flush: float, stop: threading.Event, watch: Watch, state: State) -> None:
        """Bring its rows into the lake until `stop`; raises nothing. watch: told that it is alive. state: kept true."""


@dataclass(frozen=True)
class Plan:
    """What runs. care: keeps the lake tidy; gives a line of what it did, '' for nothing. states: are they written down
    for `status`?"""

    lake: Lake
    streams: tuple[Source, ...]
    flush: float
    alarm: float
    care: Care | None = None
    care_every: float = CARE_SECONDS
    states: bool = True


class Metrics(Protocol):
    """Where numbers go: Prometheus, a terminal."""

    def update(self, states: Mapping[str, State]) -> None:
        """The states of all sources; those that were there before and are not now are gone."""


@dataclass
class _Running:
    """A plan at work."""

    plan: Plan
    stop: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)


@dataclass
class Service:
    """The supervisor. load: reads the configuration; log: `log(level, event, **fields)`. metrics: None for none."""

    load: Callable[[], Plan]
    log: Log
    environment: Mapping[str, str]
    metrics: Metrics | None = None
    _end: bool = False  # plain, since a handler of a signal must take no lock
    _again: bool = False
    _states: dict[str, State] = field(default_factory=dict)
    _beats: dict[str, float] = field(default_factory=dict)  # by the steady clock, which nobody sets
    _told: dict[str, tuple[str, int]] = field(default_factory=dict)  # error and rows, as written down last
    _odd: set[tuple[str, str]] = field(default_factory=set)  # what was said of whom
    _fed: float = 0.0

    def run(self) -> bool:
        """Run until a signal. Did all end in time? Raises PfsquidError where nothing could begin, or a thread died."""
        with _Signals({signal.SIGTERM: self._stop, signal.SIGINT: self._stop, signal.SIGHUP: self._reload}):
            running = self._begun(self.load())
            while not self._end:
                time.sleep(TICK_SECONDS)
                if self._again:
                    self._again = False
                    running = self._renewed(running)
                dead = [thread.name for thread in running.threads if not thread.is_alive()]
                if dead:
                    self._finish(running)
                    raise PfsquidError(f"the thread of {', '.join(dead)} has died", "pfsquid run", "pfsquid status")
                self._look(running.plan)
            notify(self.environment, "STOPPING=1")
            return self._finish(running)

    def _begun(self, plan: Plan) -> _Running:
        names = {stream.name for stream in plan.streams}
        if plan.states:
            status.forget(plan.lake.folder, names)
        before = status.read(plan.lake.folder) if plan.states else {}
        for name in self._states.keys() - names:
            del self._states[name]
        running, now = _Running(plan), time.time()
        for stream in plan.streams:
            state = State(stream.name, stream.place, now, flush=plan.flush, beat=now)
            if stream.name in self._states:
                state = replace(self._states[stream.name], place=stream.place, flush=plan.flush)
            elif stream.name in before:
                state.goes_on_from(before[stream.name])
            self._states[stream.name] = state
            self._beats[stream.name] = time.monotonic()
            running.threads.append(
                threading.Thread(
                    target=stream.follow,
                    args=(plan.lake, plan.flush, running.stop, self._watch, state),
                    name=stream.name,
                    daemon=True,
                )
            )
        if plan.care is not None:
            running.threads.append(threading.Thread(target=self._tend, args=(running,), name="care", daemon=True))
        for thread in running.threads:
            thread.start()
        self.log("info", "running", sources=len(plan.streams), lake=str(plan.lake.place))
        notify(self.environment, "READY=1", f"STATUS={len(plan.streams)} sources")
        return running

    def _renewed(self, running: _Running) -> _Running:
        """The new configuration at work; where it is wrong, what runs goes on."""
        notify(self.environment, "RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            plan = self.load()
        except Exception as exc:  # noqa: BLE001 - whatever is wrong with it, the old one is right
            said = {"error": getattr(exc, "message", None) or f"{type(exc).__name__}: {exc}"}
            self.log("error", "the configuration is wrong; the old one goes on", **said)
            notify(self.environment, "READY=1", "STATUS=the configuration is wrong; the old one goes on")
            return running
        self.log("info", "the configuration was read anew")
        self._finish(running)
        return self._begun(plan)

    def _finish(self, running: _Running) -> bool:
        """Let the sources commit what they have read, and end. Did they?"""
        running.stop.set()
        until = time.monotonic() + END_SECONDS
        for thread in running.threads:
            thread.join(max(0.0, until - time.monotonic()))
        late = [thread.name for thread in running.threads if thread.is_alive()]
        for name in late:
            self.log("warning", "did not end in time; what it had not committed is read again", source=name)
        self._write_down(running.plan, always=True)
        return not late

    def _watch(self, state: State) -> None:
        """A sign of life, in the source's own thread."""
        name = state.name
        if self._states.get(name) is not state:
            return  # from before a new configuration
        state.beat, self._beats[name] = time.time(), time.monotonic()

    def _look(self, plan: Plan) -> None:
        """At each tick: tell, write down, feed."""
        now = time.time()
        hung = []
        for name, state in self._states.items():
            state.set_back(now)
            hangs = time.monotonic() - self._beats[name] > HUNG_SECONDS + plan.flush
            hung += [name] * hangs
            self._say_once(hangs, name, "hangs; the watchdog is fed no more", seconds=round(HUNG_SECONDS + plan.flush))
            self._say_once(state.silent_for(now) > plan.alarm, name, "no data", seconds=round(state.silent_for(now)))
            error, before = state.error, self._told.get(name, ("", 0))[0]
            if error and error != before:
                self.log("error", "source failed", source=name, error=error, failures=state.failures)
            elif before and not error:
                self.log("info", "source is back", source=name)
        self._write_down(plan)
        if self.metrics:
            self.metrics.update(dict(self._states))
        every = watchdog_seconds(self.environment)
        if every is not None and not hung and time.monotonic() - self._fed >= min(every, BEAT_SECONDS):
            self._fed = time.monotonic()
            failing = [state.name for state in self._states.values() if state.error]
            rest = f", failing: {', '.join(failing)}" if failing else ""
            notify(self.environment, "WATCHDOG=1", f"STATUS={len(self._states)} sources{rest}")

    def _say_once(self, true: bool, name: str, event: str, **more: Any) -> None:
        key = (name, event)
        if true and key not in self._odd:
            self.log("warning", event, source=name, **more)
        (self._odd.add if true else self._odd.discard)(key)

    def _write_down(self, plan: Plan, always: bool = False) -> None:
        now = time.time()
        for name, state in self._states.items():
            told, before = (state.error, state.rows), self._told.get(name, ("", 0))
            pause = 0.0 if always or told[0] != before[0] else WRITE_SECONDS if told != before else BEAT_SECONDS
            if not 0 <= now - state.written < pause:
                self._told[name] = told
                state.written = now
                if plan.states:
                    status.write(plan.lake.folder, state)

    def _tend(self, running: _Running) -> None:
        plan, pause = running.plan, min(5.0, running.plan.care_every)
        while not running.stop.wait(pause):
            pause = plan.care_every
            try:
                told = plan.care(plan.lake) if plan.care else ""
                if told:
                    self.log("info", "care of the lake", done=told)
            except Exception as exc:  # noqa: BLE001 - tidiness must not stop collection
                self.log("error", "care of the lake failed", error=getattr(exc, "message", None) or str(exc))

    def _stop(self, number: int, _: FrameType | None) -> None:
        if self._end:
            os._exit(130 if number == signal.SIGINT else 143)  # asked twice: at once
        self._end = True

    def _reload(self, _number: int, _: FrameType | None) -> None:
        self._again = True


class _Signals:
    """Handlers of signals for the length of a context."""

    def __init__(self, handlers: dict[signal.Signals, Any]) -> None:
        self._handlers = handlers
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> None:
        for number, handler in self._handlers.items():
            self._before[number] = signal.signal(number, handler)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
