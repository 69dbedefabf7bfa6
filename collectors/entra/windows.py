"""The ledger of a stream: which spans of time were read, how well, when each is due again. Pure: it is told the time.

Why spans are read more than once: Graph lists sign-ins minutes to hours after they happened, and changes some later.
So a span is read when it is `settle` old, and again when its end is 1 h, 6 h, 24 h and 72 h ago. A span that was read
for the first time when it was older than that needs no second look: then it is settled, and grows together with its
neighbours, so that the ledger stays small.

Times are whole seconds since 1970 (UTC); spans are half open, [start, end).
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise

HOUR, DAY = 3600, 86400
_PART = 12  # windows that wait for the same re-read grow together up to this part of its age
_AHEAD = 60  # seconds that a clock may be set back without doubt on what was read before


class Status(StrEnum):
    """What is known of a span. complete: all of it was read. partial: the server does not give it, or not whole.
    failed: the server refuses it. never: not read yet. lost: not read, and no longer kept by the server."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"
    NEVER = "never"
    LOST = "lost"


@dataclass(frozen=True)
class Window:
    """A span and what came of reading it. rows: in the lake. late, changed, vanished: rows that a re-read found new,
    in another state, or no more. read_at: when it was read last. reads: how often it was read again after the first
    time; where it is not complete, how often that was tried. why: what hinders."""

    start: int
    end: int
    status: Status = Status.COMPLETE
    rows: int = 0
    late: int = 0
    changed: int = 0
    vanished: int = 0
    read_at: int = 0
    reads: int = 0
    why: str = ""


@dataclass(frozen=True)
class Rules:
    """How a stream is read; seconds. settle: how old a moment is before it is read. reread: ages of a window's end at
    which it is read again. least, most: of a slice. retention: how long the server keeps records. margin: how long
    before their end they are given up, since they may go while they are read."""

    settle: int = 900
    reread: tuple[int, ...] = (HOUR, 6 * HOUR, 24 * HOUR, 72 * HOUR)
    least: int = 300
    most: int = 7 * DAY
    retention: int = 30 * DAY
    margin: int = HOUR

    def edge(self, now: float) -> int:
        """The oldest moment that is worth asking for."""
        return int(now) - self.retention + min(self.margin, self.retention // 2)

    def horizon(self, now: float) -> int:
        """The newest moment that is settled."""
        return int(now) - self.settle


@dataclass(frozen=True)
class Ledger:
    """All windows of a stream of a tenant, sorted and apart from each other. since: from where on everything was to be
    read; None before the first window. rules: as they were last, for who has no configuration; of the slices' lengths
    nothing is kept."""

    since: int | None = None
    windows: tuple[Window, ...] = ()
    rules: Rules = Rules()

    def to_json(self) -> str:
        """As it stands in the table's properties: a list for each window, zeros at its end left out."""
        rows = []
        for one in self.windows:
            row: list[int | str] = [
                one.start, one.end - one.start, one.status.value[0], one.read_at - one.end, one.rows, one.reads,
                one.late, one.changed, one.vanished, one.why,
            ]  # fmt: skip
            while row[-1] in (0, ""):
                row.pop()
            rows.append(row)
        rules = {"retention": self.rules.retention, "settle": self.rules.settle, "reread": self.rules.reread}
        told = {"since": self.since, **rules, "windows": rows}
        return json.dumps(told, separators=(",", ":"))

    @staticmethod
    def from_json(text: str | None) -> Ledger:
        """Read what `to_json` wrote; None is the beginning. Raises ValueError on anything else."""
        if text is None:
            return Ledger()
        try:
            told = json.loads(text)
            windows = tuple(_window(row) for row in told["windows"])
            rules = Rules(told["settle"], tuple(told["reread"]), retention=told["retention"])
            return Ledger(told["since"], windows, rules)
        except (TypeError, KeyError, AttributeError, ValueError) as exc:
            raise ValueError(f"not a ledger of windows: {text[:80]!r}") from exc

    def waiting(self) -> list[tuple[int, int]]:
        """The spans that are to be read again some time."""
        return [(one.start, one.end) for one in self.windows if one.why or due(one, self.rules.reread) is not None]

    def gaps(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The spans of [start, end) of which there is no window, in order."""
        at = start
        for one in self.windows:
            if one.end <= at:
                continue
            if one.start >= end:
                break
            if one.start > at:
                yield at, one.start
            at = one.end
        if at < end:
            yield at, end

    def spans(self, start: int, end: int, edge: int) -> list[Window]:
        """What is known of [start, end), without a hole: windows cut to it, and between them what was never read, or
        is lost since it lies before `edge`. Counts of a window that is cut are those of the whole."""
        found = [replace(one, start=max(one.start, start), end=min(one.end, end)) for one in self._within(start, end)]
        for begin, until in self.gaps(start, end):
            middle = min(max(begin, edge), until)
            found += [Window(begin, middle, Status.LOST)] if begin < middle else []
            found += [Window(middle, until, Status.NEVER)] if middle < until else []
        return sorted(found, key=lambda one: one.start)

    def covered(self, start: int, end: int) -> bool:
        """Was any part of [start, end) read before?"""
        return any(one.status is Status.COMPLETE for one in self._within(start, end))

    def reads(self, start: int, end: int) -> int:
        """How often [start, end) was read again at least, the parts of it that were read at all."""
        return min((one.reads for one in self._within(start, end) if one.status is Status.COMPLETE), default=0)

    def put(self, new: Window, there: Iterable[int], rules: Rules) -> Ledger:
        """The ledger after [new.start, new.end) was read. there: times of the rows that the lake held in it before.

        The counts of windows that it covers are added to it, so that sums stay what they are.
        """
        kept: list[Window] = []
        before = sorted(there)
        for one in self.windows:
            if one.end <= new.start or one.start >= new.end:
                kept.append(one)
                continue
            rests = [(one.start, min(one.end, new.start)), (max(one.start, new.end), one.end)]
            rests = [(start, end) for start, end in rests if start < end]
            if not rests:
                new = _sum(new, one)
            taken = bisect_left(before, min(one.end, new.end)) - bisect_left(before, max(one.start, new.start))
            for number, (start, end) in enumerate(rests):
                rest = replace(one, start=start, end=end, rows=max(0, one.rows - taken))
                kept.append(rest if number == 0 else replace(rest, rows=0, late=0, changed=0, vanished=0))
        since = min(new.start, max(0, rules.edge(new.read_at)))
        since = since if self.since is None else min(self.since, since)
        windows = _compact(sorted([*kept, new], key=lambda one: one.start), rules.reread)
        return Ledger(since, windows, rules)

    def trusted(self, now: float) -> Ledger:
        """As the clock tells now. What was read in what is the future now was read by a clock that was wrong: of it,
        nothing is known of times that are not settled yet, and what is younger than the last re-read is due again."""
        if all(one.read_at <= now + _AHEAD for one in self.windows):
            return self
        windows: list[Window] = []
        old = int(now) - max(self.rules.reread, default=0)
        for one in self.windows:
            if one.read_at <= now + _AHEAD:
                windows.append(one)
                continue
            end = min(one.end, self.rules.horizon(now))
            middle = min(max(one.start, old), end)
            parts = [(start, until) for start, until in ((one.start, middle), (middle, end)) if start < until]
            for number, (start, until) in enumerate(parts):
                part = replace(one, start=start, end=until, read_at=int(now))
                windows.append(part if number == 0 else replace(part, rows=0, late=0, changed=0, vanished=0))
        return replace(self, windows=tuple(windows))

    def _within(self, start: int, end: int) -> Iterator[Window]:
        return (one for one in self.windows if one.end > start and one.start < end)


def due(one: Window, reread: Iterable[int]) -> int | None:
    """When a complete window is to be read again; None where it is settled."""
    return next((one.end + age for age in sorted(reread) if one.end + age > one.read_at), None)


def _window(row: list[int | str]) -> Window:
    """A window from its list; see `Ledger.to_json`."""
    start, length, status, *rest = row
    numbers = [int(one) for one in rest[:6]] + [0] * (6 - len(rest[:6]))
    kind = {one.value[0]: one for one in (Status.COMPLETE, Status.PARTIAL, Status.FAILED)}[str(status)]
    end = int(start) + int(length)
    read_at, rows, reads, late, changed, vanished = numbers
    why = str(rest[6]) if len(rest) > 6 else ""
    return Window(int(start), end, kind, rows, late, changed, vanished, end + read_at, reads, why)


def _sum(new: Window, old: Window) -> Window:
    return replace(
        new, late=new.late + old.late, changed=new.changed + old.changed, vanished=new.vanished + old.vanished
    )


def _compact(windows: list[Window], reread: tuple[int, ...]) -> tuple[Window, ...]:
    """Neighbours that are settled become one; those that wait for the same re-read, too, while they are short."""
    done: list[Window] = []
    for one in windows:
        if done and (joined := _joined(done[-1], one, reread)):
            done[-1] = joined
        else:
            done.append(one)
    return tuple(done)


def _joined(left: Window, right: Window, reread: tuple[int, ...]) -> Window | None:
    if left.end != right.start or {left.status, right.status} != {Status.COMPLETE}:
        return None
    waits = [_waits_for(one, reread) for one in (left, right)]
    # The later time: else what was read some seconds after its neighbour would be due for an age that it has passed.
    joined = replace(
        _sum(left, right),
        end=right.end,
        rows=left.rows + right.rows,
        read_at=max(left.read_at, right.read_at),
        reads=min(left.reads, right.reads),
    )
    if waits[0] != waits[1] or _waits_for(joined, reread) != waits[0]:
        return None
    if waits[0] is not None and joined.end - joined.start > waits[0] // _PART:
        return None
    return joined


def _waits_for(one: Window, reread: Iterable[int]) -> int | None:
    """The age at which it is read again; None where it is settled."""
    moment = due(one, reread)
    return None if moment is None else moment - one.end


def apart(windows: Iterable[Window]) -> bool:
    """Are they sorted, not empty, and apart from each other?"""
    listed = list(windows)
    return all(one.start < one.end for one in listed) and all(a.end <= b.start for a, b in pairwise(listed))
