"""What to read next of a stream, and in how large a slice. Pure: it is told the time.

The order: what falls out of retention, what is new, what is due again, and the rest. Slices adapt to what the server
gives: an unfinished one costs nothing but its time, since what was read of it is kept (see `slices`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from collectors.entra.windows import DAY, HOUR, Ledger, Rules, Status, Window, due

LEAST = 10  # seconds; nothing is asked for in smaller slices
_FIRST_PAUSE, _LONGEST_PAUSE = 60, 6 * HOUR  # before what was not given is asked for again


def again(one: Window) -> int:
    """When a window that is not complete is to be tried again: after pauses that grow."""
    return one.read_at + min(_FIRST_PAUSE << min(max(one.reads - 1, 0), 10), _LONGEST_PAUSE)


class Why(StrEnum):
    """Why a slice is read now."""

    LEAVING = "about to fall out of retention"
    LIVE = "new"
    REREAD = "read again"
    RETRY = "tried again"
    BACKFILL = "back-fill"


@dataclass(frozen=True)
class Task:
    """A slice to read now."""

    start: int
    end: int
    why: Why


def next_task(ledger: Ledger, now: float, horizon: int, length: int, rules: Rules, fresh: float = 0) -> Task | None:
    """What to read next, or None where all is read. length: of a slice now, in seconds. fresh: new moments of fewer
    seconds are left for later, also by a process that was just started.

    First what falls out of retention within a day, oldest first; then what is new; then re-reads that are due; then
    the rest from the newest to the oldest, since the newest is asked for most; last, what was not given before.
    """
    edge = rules.edge(now)
    gaps = [(start, end) for start, end in ledger.gaps(min(edge, horizon), horizon) if end > start]
    soon = edge + min(DAY, rules.retention // 4)
    if gaps and gaps[0][0] < soon:
        start, end = gaps[0]
        return Task(start, min(end, start + length), Why.LEAVING)
    # A new moment comes with every look: what is new waits until it is worth a request, else nothing but that is read
    # by a process that is started again and again.
    new = gaps.pop() if gaps and gaps[-1][1] == horizon and gaps[-1][0] >= horizon - DAY else None
    if new and new[1] - new[0] >= max(rules.least, fresh):
        return Task(new[0], min(new[1], new[0] + length), Why.LIVE)
    if task := _reread(ledger, now, edge, length, rules):
        return task
    if gaps:
        start, end = gaps[-1]
        return Task(max(start, end - length), end, Why.BACKFILL)
    if new and new[1] - new[0] >= fresh:
        return Task(*new, Why.LIVE)
    return _retry(ledger, now, edge)


def next_due(ledger: Ledger, now: float, rules: Rules) -> int | None:
    """When the next re-read or retry is; None where nothing is waited for."""
    edge = rules.edge(now)
    times = [
        due(one, rules.reread) if one.status is Status.COMPLETE else again(one)
        for one in ledger.windows
        if one.end > edge
    ]
    return min((one for one in times if one is not None), default=None)


def longer(length: int, pages: int, rules: Rules) -> int:
    """The length of the next slice after one that took so many pages."""
    if pages <= 4:
        return min(length * (4 if pages <= 1 else 2), rules.most)
    return max(length // 2, rules.least) if pages > 16 else length


def shorter(length: int, rules: Rules) -> int:
    """The length of the next slice after one that was not given."""
    return max(length // 4, rules.least)


def _reread(ledger: Ledger, now: float, edge: int, length: int, rules: Rules) -> Task | None:
    """The oldest windows that are due, as many in a row as a slice holds."""
    start = end = None
    for one in ledger.windows:
        wanted = one.status is Status.COMPLETE and one.end > edge and (due(one, rules.reread) or now + 1) <= now
        if end is not None and (not wanted or one.start != end or one.end - (start or 0) > length):
            break
        if wanted:
            start = max(one.start, edge) if start is None else start
            end = one.end
    if start is None or end is None:
        return None
    return Task(start, min(end, start + max(length, LEAST)), Why.REREAD)


def _retry(ledger: Ledger, now: float, edge: int) -> Task | None:
    """The first window whose pause is over: half of it, as long as it can be halved."""
    for one in sorted(ledger.windows, key=again):
        if one.status is Status.COMPLETE or one.end <= edge or again(one) > now:
            continue
        start = max(one.start, edge)
        return Task(start, min(one.end, start + max(LEAST, (one.end - start + 1) // 2)), Why.RETRY)
    return None
