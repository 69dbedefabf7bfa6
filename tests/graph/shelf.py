"""The records of one stream, in the order of their time, as columns of numbers: a row is rendered when it is asked for.

created: the time in the record. visible: from when on Graph gives it. changed: from when on it gives its last version.
All in ticks of 100 ns since 1970.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.graph.clock import TICKS, ticks

NEVER = 2**62
DAY = 86_400
LATEST = 3 * DAY  # how late Entra's logs come at the most, by its documentation
_USUAL = (5.0, 240.0)  # seconds until a record can be read, as a rule
_LATE = (600.0, float(LATEST))
# How busy the hours of a working day are, midnight first (UTC).
_HOURS = np.array([1, 1, 1, 1, 1, 2, 5, 14, 20, 18, 16, 14, 10, 15, 16, 15, 12, 8, 4, 3, 2, 2, 1, 1], dtype=float)

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Span:
    """When records are made (seconds since 1970), and how many of them come late or change.

    quiet: seconds before the start in which none is made.
    during: None, or seconds after `start` within which the late records of the last three days come, and change.
    """

    begin: float
    start: float
    end: float
    late: float = 0.0
    changed: float = 0.0
    during: float | None = None
    quiet: float = 0.0


@dataclass
class Scripted:
    """A record that a test has put: its versions and when each begins, in ticks. None is no record any more."""

    id: str
    versions: list[tuple[int, dict[str, Any] | None]] = field(default_factory=list)

    def at(self, now: int) -> dict[str, Any] | None:
        found = None
        for begin, value in self.versions:
            found = value if begin <= now else found
        return found


@dataclass
class Shelf:
    """which: the number of a generated row, or -1, -2, … for scripted ones."""

    name: str
    created: Numbers
    visible: Numbers
    changed: Numbers
    seeds: Numbers
    which: Numbers
    scripted: list[Scripted] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.created)

    def rows(self, low: int, high: int, now: int) -> Numbers:
        """Rows with low <= created <= high that can be seen now, oldest first."""
        first, last = (
            int(np.searchsorted(self.created, low, "left")),
            int(np.searchsorted(self.created, high, "right")),
        )
        return first + np.flatnonzero(self.visible[first:last] <= now).astype(np.int64)

    def number(self, created: int, which: int) -> int:
        """Where that row stands now."""
        at = int(np.searchsorted(self.created, created, "left"))
        while int(self.which[at]) != which:
            at += 1
        return at

    def put(self, created: int, visible: int, value: dict[str, Any]) -> Scripted:
        """A record of a test's own."""
        self.scripted.append(made := Scripted(value["id"], [(visible, value)]))
        at = int(np.searchsorted(self.created, created, "right"))
        for name, number in (
            ("created", created),
            ("visible", visible),
            ("changed", NEVER),
            ("seeds", 0),
            ("which", -len(self.scripted)),
        ):
            setattr(self, name, np.insert(getattr(self, name), at, number))
        return made


def shelf(name: str, count: int, span: Span, seed: list[int]) -> Shelf:
    """`count` records between the span's begin and start, and as many for the same time up to its end."""
    rng = np.random.default_rng(seed)
    ahead = round(count * (span.end - span.start) / max(span.start - span.begin, 1.0))
    times = np.concatenate(
        [_times(rng, count, span.begin, span.start - span.quiet), _times(rng, ahead, span.start, span.end)]
    )
    total = len(times)
    seeds = rng.integers(1, 2**62, total, dtype=np.int64)
    created = _shortened((times * 1_000_000).astype(np.int64) * 10 + rng.integers(0, 10, total), seeds)
    order = np.argsort(created, kind="stable")
    created, seeds = created[order], seeds[order]
    delay = rng.uniform(*_USUAL, total)
    is_late = rng.random(total) < span.late
    delay[is_late] = np.exp(rng.uniform(np.log(_LATE[0]), np.log(_LATE[1]), int(is_late.sum())))
    visible = created + (delay * TICKS).astype(np.int64)
    changes = rng.random(total) < span.changed
    after = (np.exp(rng.uniform(np.log(300.0), np.log(_LATE[1]), total)) * TICKS).astype(np.int64)
    changed = np.where(changes, visible + after, NEVER)
    if span.during is not None:
        visible, changed = _hurried(rng, created, visible, changed, is_late, span)
    return Shelf(name, created, visible, changed, seeds, np.arange(total, dtype=np.int64))


def digits_of(seed: int) -> int:
    """How many fraction digits the stamp of a row has: 7 as a rule, 0 to 7."""
    return (7, 7, 7, 7, 7, 7, 7, 7, 6, 3, 0, 0, 5, 1, 2, 4)[seed % 16]


def _shortened(created: Numbers, seeds: Numbers) -> Numbers:
    steps = np.array([10 ** (7 - digits_of(seed)) for seed in range(16)], dtype=np.int64)[seeds % 16]
    return created // steps * steps


def _times(rng: np.random.Generator, count: int, begin: float, end: float) -> NDArray[np.float64]:
    """Moments between begin and end: by day most, on weekends few, everything else by chance."""
    if count <= 0 or end <= begin:
        return np.empty(0)
    edges = np.arange(np.floor(begin / 3600), np.ceil(end / 3600) + 1) * 3600
    weekday = (edges[:-1] // DAY + 3) % 7  # 1970-01-01 was a Thursday
    weights = _HOURS[(edges[:-1] // 3600 % 24).astype(int)] * np.where(weekday >= 5, 0.15, 1.0)
    inside = np.clip(np.minimum(edges[1:], end) - np.maximum(edges[:-1], begin), 0, None) / 3600
    chosen = rng.choice(len(weights), count, p=weights * inside / (weights * inside).sum())
    low, high = np.maximum(edges[:-1], begin)[chosen], np.minimum(edges[1:], end)[chosen]
    return np.asarray(low + rng.random(count) * (high - low) * 0.999_999, dtype=np.float64)


def _hurried(
    rng: np.random.Generator,
    created: Numbers,
    visible: Numbers,
    changed: Numbers,
    is_late: NDArray[np.bool_],
    span: Span,
) -> tuple[Numbers, Numbers]:
    """Late and changing records of the three days before the start come and change within `during` after it.

    Those of before have come and changed; those of after the start take their time.
    """
    assert span.during is not None
    start, lasts = ticks(span.start), ticks(span.during)
    old, changes = created <= start, changed < NEVER
    young = old & (created > start - LATEST * TICKS)
    moments = start + (rng.random((2, len(created))) * lasts).astype(np.int64)
    visible = np.where(young & is_late, moments[0], visible)
    later = np.maximum(np.maximum(moments[1], visible + TICKS // 100), start)
    changed = np.where(
        old & changes, np.where(young, later, np.maximum(visible + 1, np.minimum(changed, start))), changed
    )
    return visible, changed
