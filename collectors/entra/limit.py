"""How often Graph may be asked: never more than so many requests in so many seconds, as the server sees them.

Holds over all threads and, by a journal file, over all processes, over kill -9 and a restart. The server sees a
request at some moment between its sending and the head of its answer. So a new request is let go only when fewer than
`requests` others can have been seen in the `seconds` before: an answered one counts from its answer, one still under
way counts as seen now. Then no `requests` + 1 of them can lie within any `seconds`, whatever the network does.

The clock is the machine's monotonic one, counted from its start: all processes share it and nobody can set it. After
a restart of the machine it is smaller than in the journal, or the journal is of another boot: what stands there then
counts as just now, which costs one window at most. A damaged journal counts as a full one.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

# The longest that a Retry-After is kept: a server that asks for days must not silence the collector for days.
LONGEST_PAUSE = 3600.0
_PAGE = 4096
_PIECE = 1.0


class Stopped(Exception):  # noqa: N818 - no error: somebody asked to stop
    """The stop event was set while waiting."""


class Turn(NamedTuple):
    """The leave to send one request."""

    owner: str
    number: int


@dataclass
class _Sent:
    """A request. sent, seen: s of the clock; seen None: no answer yet."""

    owner: str
    number: int
    sent: float
    seen: float | None


@dataclass
class _State:
    turns: list[_Sent] = field(default_factory=list)
    paused_at: float = 0.0
    paused_until: float = 0.0


class Limit:
    """At most `requests` in any `seconds`. Thread-safe; cheap to make; several on one journal act as one.

    journal: a file of its own per app and tenant, made at need; None: this object's threads only.
    spread: s between two requests at least. It takes nothing from the limit as long as `requests` times that is less
    than `seconds`, and a process that is killed has fewer under way.
    transit: s after which a request without an answer counts as seen: longer than a connection takes to come about.
    clock: s, monotonic, the same for all processes. OSError comes from every method where the journal cannot be used.
    """

    def __init__(
        self,
        requests: int = 5,
        seconds: float = 10.0,
        journal: Path | None = None,
        *,
        spread: float = 0.0,
        transit: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if requests < 1 or seconds <= 0:
            raise ValueError("a limit is of at least one request in more than 0 s")
        self._requests, self._transit, self._spread = requests, transit, spread
        # The server's clock may run a little faster than this machine's, and its stamps may be rounded.
        self._window = seconds + min(0.05, seconds * 0.005)
        self._journal, self._clock, self._sleep = journal, clock, sleep
        self._lock = threading.Lock()
        self._memory = _State()
        self._number = 0

    def wait(self, stop: threading.Event | None = None) -> Turn:
        """Return when a request may be sent, at once. Give the turn back to `ended`. Raises Stopped."""
        while True:
            if stop is not None and stop.is_set():
                raise Stopped
            with self._state() as (state, now):
                delay = self._delay(state, now)
                if delay <= 0:
                    self._number += 1
                    turn = Turn(_owner(), self._number)
                    state.turns.append(_Sent(*turn, sent=now, seen=None))
                    return turn
            self._rest(min(delay, _PIECE), stop)

    def ended(self, turn: Turn) -> None:
        """The head of the answer is there, or the request has failed. May be called twice; the first time counts."""
        with self._state() as (state, now):
            for one in state.turns:
                if (one.owner, one.number) == turn and one.seen is None:
                    one.seen = min(now, one.sent + self._transit)

    @contextmanager
    def turn(self, stop: threading.Event | None = None) -> Iterator[Turn]:
        """A turn for the time of a `with`. Raises Stopped."""
        mine = self.wait(stop)
        try:
            yield mine
        finally:
            self.ended(mine)

    def pause(self, seconds: float) -> None:
        """Nobody sends anything for so many seconds from now (Retry-After); an hour at most. Never shortens a pause."""
        with self._state() as (state, now):
            until = now + min(max(seconds, 0.0), LONGEST_PAUSE)
            if until > state.paused_until:
                state.paused_at, state.paused_until = now, until

    def paused(self) -> float:
        """How many seconds a pause still lasts; 0 where there is none."""
        with self._state() as (state, now):
            return max(0.0, state.paused_until - now)

    def _delay(self, state: _State, now: float) -> float:
        """s until the next request may be sent; 0 or less: now."""
        taken = sorted((self._latest(one, now) for one in state.turns), reverse=True)
        delay = state.paused_until - now
        if state.turns:
            delay = max(delay, max(one.sent for one in state.turns) + self._spread - now)
        if len(taken) >= self._requests:
            delay = max(delay, taken[self._requests - 1] + self._window - now)
        return delay

    def _latest(self, one: _Sent, now: float) -> float:
        """The latest moment at which the server can have seen a request."""
        return min(now, one.sent + self._transit) if one.seen is None else one.seen

    def _tidy(self, state: _State, now: float, same_boot: bool) -> None:
        """Stamps that cannot be become now; requests of dead processes are over; what no longer counts goes."""
        for one in state.turns:
            if not same_boot or one.sent > now:
                one.sent = one.seen = now
            elif one.seen is None and _dead(one.owner):
                one.seen = min(now, one.sent + self._transit)
            elif one.seen is not None and one.seen > now:
                one.seen = now
        state.turns = [one for one in state.turns if self._latest(one, now) > now - self._window]
        if not same_boot or state.paused_at > now:
            state.paused_at, state.paused_until = now, now + max(0.0, state.paused_until - state.paused_at)

    @contextmanager
    def _state(self) -> Iterator[tuple[_State, float]]:
        """The state, for this thread alone, and the time. Written back at the end."""
        if self._journal is None:
            with self._lock:
                now = self._clock()
                self._tidy(self._memory, now, True)
                yield self._memory, now
            return
        with self._lock, _locked(self._journal) as file:
            now = self._clock()  # only now: the lock may have taken long
            before = os.pread(file, 1 << 24, 0)
            state, boot = self._read(before, now)
            self._tidy(state, now, boot == _boot())
            yield state, now
            after = _written(state)
            if after != before:
                os.pwrite(file, after, 0)
                os.ftruncate(file, len(after))

    def _read(self, text: bytes, now: float) -> tuple[_State, str]:
        """The state in the journal and the boot it is of. An empty one is new, a damaged one is full."""
        if not text:
            return _State(), _boot()
        try:
            raw = json.loads(text)
            turns = [
                _Sent(str(owner), int(number), float(sent), None if seen is None else float(seen))
                for owner, number, sent, seen in raw["turns"]
            ]
            return _State(turns, float(raw["pause"][0]), float(raw["pause"][1])), str(raw["boot"])
        except (ValueError, TypeError, KeyError, IndexError):
            return _State([_Sent("?", number, now, now) for number in range(self._requests)]), _boot()

    def _rest(self, seconds: float, stop: threading.Event | None) -> None:
        if stop is None:
            self._sleep(seconds)
        else:
            stop.wait(seconds)


def _written(state: _State) -> bytes:
    """One page of the file system where it fits: a kill cannot leave half of it."""
    turns = [[one.owner, one.number, one.sent, one.seen] for one in state.turns]
    raw = {"boot": _boot(), "turns": turns, "pause": [state.paused_at, state.paused_until]}
    return json.dumps(raw).encode().ljust(_PAGE - 1) + b"\n"


@contextmanager
def _locked(journal: Path) -> Iterator[int]:
    """The journal, open and locked. The lock goes with the process, however it ends."""
    journal.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(journal, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
    finally:
        os.close(file)


def _boot() -> str:
    """Which start of the machine this is; '' where it does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def _owner() -> str:
    """This process: its number, when it started, and the namespace in which the number means something."""
    return f"{os.getpid()}:{_started(os.getpid())}:{_namespace()}"


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        return ""


def _started(process: int) -> str:
    """When a process started, in the kernel's ticks; '' where there is none or it is only waiting to be buried."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text("utf-8", "replace")
    except OSError:
        return ""
    # The name may hold blanks and brackets; state is field 3, the start field 22 (proc_pid_stat(5)).
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]


def _dead(owner: str) -> bool:
    """Whether the process that a request was of is gone for certain. One of another namespace cannot be judged."""
    number, _, rest = owner.partition(":")
    started, _, namespace = rest.partition(":")
    if not number.isdigit() or namespace != _namespace() or not namespace:
        return False
    return int(number) != os.getpid() and _started(int(number)) != started
