"""All that there is to read, and the truth about it: what a collector without fault would hold at a moment."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np

from tests.graph.audits import audit
from tests.graph.clock import Clock, ticks
from tests.graph.names import AUDITS, SERVICE_PRINCIPALS, SHARES, SIGN_INS, USERS, guid
from tests.graph.people import Directory
from tests.graph.query import Query
from tests.graph.shelf import DAY, NEVER, Numbers, Scripted, Shelf, Span, shelf
from tests.graph.signins import as_given, sign_in

MARGIN = 3600.0  # data begin so long after the edge of what is kept, so that a first run can have them all


@dataclass(frozen=True)
class Size:
    """How much there is. quiet: seconds before the start without a record; ahead: days of records after it."""

    seed: int = 1
    days: float = 2.0
    sign_ins: int = 2000
    audits: int | None = None
    people: int = 50
    late: float = 0.0
    changed: float = 0.0
    during: float | None = None
    quiet: float = 0.0
    ahead: float = 0.0


class Row(NamedTuple):
    """A record's place: its time, its stream, and which of the stream's it is (negative: put by a test)."""

    created: int
    stream: str
    which: int


class World:
    """keep: days after which Graph gives a record no longer. Safe for use by many threads."""

    def __init__(self, size: Size, clock: Clock, tenant: str, keep: float = 30.0, licence: str = "P2") -> None:
        self.size, self.clock, self.tenant, self.keep = size, clock, tenant, keep
        self.directory = Directory(size.seed, tenant, size.people, licence)
        self.lock = threading.RLock()
        start = clock.start
        begin = start - size.days * DAY + (MARGIN if size.days == keep else 0.0)
        end = start + size.ahead * DAY
        span = Span(begin, start, end, size.late, size.changed, size.during, size.quiet)
        audits = size.sign_ins // 20 if size.audits is None else size.audits
        counts = {name: round(size.sign_ins * share) for name, share in SHARES.items()} | {AUDITS: audits}
        counts["non_interactive"] += size.sign_ins - sum(counts[name] for name in SHARES)
        self.shelves = {
            name: shelf(name, count, span, [size.seed, n]) for n, (name, count) in enumerate(counts.items())
        }
        self._put: dict[tuple[str, str], Scripted] = {}

    def edge(self, now: float | None = None) -> float:
        """The age at which records are no longer given, as a moment (seconds)."""
        return (self.clock.now() if now is None else now) - self.keep * DAY

    def page(self, query: Query, after: Row | None, now: float) -> tuple[list[Row], bool]:
        """The next rows of a query (as many as $top, fewer where some have gone), and whether there are more."""
        low, high = max(query.low, ticks(self.edge(now))), min(query.high, NEVER)
        with self.lock:
            if len(query.streams) > 1 or query.ids is not None:
                rows = sorted(row for name in query.streams for row in self._rows(name, low, high, now))
                rows = rows if query.ids is None else [row for row in rows if self.id_of(row) in query.ids]
                rows = rows[::-1] if query.newest_first else rows
                rows = (
                    rows
                    if after is None
                    else [row for row in rows if (row < after) is query.newest_first and row != after]
                )
                return self._seen(rows[: query.top], now), len(rows) > query.top
            one = self.shelves[query.streams[0]]
            at = one.rows(low, high, ticks(now))
            if after is not None:
                cut = one.number(after.created, after.which)
                at = at[: np.searchsorted(at, cut)] if query.newest_first else at[np.searchsorted(at, cut, "right") :]
            at = at[::-1] if query.newest_first else at
            return self._seen(self._named(one, at[: query.top]), now), len(at) > query.top

    def count(self, query: Query, now: float) -> int:
        """How many records the whole query has."""
        low = max(query.low, ticks(self.edge(now)))
        return sum(len(self.shelves[name].rows(low, query.high, ticks(now))) for name in query.streams)

    def id_of(self, row: Row) -> str:
        if row.which < 0:
            return self.shelves[row.stream].scripted[-row.which - 1].id
        own = guid(self.size.seed, row.stream, row.which)
        return f"Directory_{own.replace('-', '').upper()}_{row.which % 100000}" if row.stream == AUDITS else own

    def record(self, row: Row, now: float) -> dict[str, Any]:
        """The record as it is now, whole."""
        with self.lock:
            one = self.shelves[row.stream]
            if row.which < 0:
                value = one.scripted[-row.which - 1].at(ticks(now))
                assert value is not None, "page() leaves out what is gone"
                return value
            number = one.number(row.created, row.which)
            changed, seed = int(one.changed[number]), int(one.seeds[number])
        final = changed == NEVER or changed <= ticks(now)
        if row.stream == AUDITS:
            return audit(row.created, seed, final, self.id_of(row), self.directory)
        return sign_in(row.stream, row.created, seed, final, self.id_of(row), self.directory)

    def text(self, row: Row, now: float, version: str, members: bool, select: tuple[str, ...] = ()) -> str:
        """The record as the very text that stands in a page."""
        value = self.record(row, now)
        if row.stream != AUDITS and row.which >= 0:
            value = as_given(value, version, members)
        return as_text({name: value.get(name) for name in dict.fromkeys(("id", *select))} if select else value)

    def put(self, stream: str, record: dict[str, Any], visible: float | None = None) -> None:
        """A record of a test's own, to be seen from `visible` on (now); it replaces one with its id."""
        time_field = "activityDateTime" if stream == AUDITS else "createdDateTime"
        begin = ticks(self.clock.now() if visible is None else visible)
        created = ticks(datetime.fromisoformat(record[time_field]).timestamp())
        key = (stream, record["id"])
        with self.lock:
            if key in self._put:
                self._put[key].versions.append((begin, record))
            else:
                self._put[key] = self.shelves[stream].put(created, begin, record)

    def remove(self, stream: str, id: str, gone: float | None = None) -> None:
        """A record is given no longer from `gone` on (now). A generated one goes at once."""
        moment = ticks(self.clock.now() if gone is None else gone)
        with self.lock:
            if (stream, id) in self._put:
                self._put[stream, id].versions.append((moment, None))
                return
            one = self.shelves[stream]
            places = zip(one.created.tolist(), one.which.tolist(), strict=True)
            found = [n for n, place in enumerate(places) if self.id_of(Row(place[0], stream, place[1])) == id]
            one.visible[found] = NEVER

    def truth(
        self, stream: str, at: float | None = None, since: float | None = None, version: str | None = None
    ) -> Iterator[tuple[str, str]]:
        """(id, text) of all that could be had at `at` (now) of records made after `since` (the edge)."""
        now = self.clock.now() if at is None else at
        if stream in (USERS, SERVICE_PRINCIPALS):
            for value in list(self.listed(stream).values()):
                yield value["id"], as_text(value)
            return
        version = version or ("v1.0" if stream in ("interactive", AUDITS) else "beta")
        low = max(ticks(self.edge(now)), 0 if since is None else ticks(since))
        with self.lock:
            rows = self._seen(list(self._rows(stream, low, NEVER, now)), now)
        for row in rows:
            yield self.id_of(row), self.text(row, now, version, members=True)

    def listed(self, stream: str) -> dict[str, dict[str, Any]]:
        return self.directory.users if stream == USERS else self.directory.service_principals

    def moments(self, streams: Iterable[str] = (*SIGN_INS, AUDITS)) -> tuple[int, int]:
        """How many records are still to come, and how many still to change."""
        now = ticks(self.clock.now())
        shelves: list[Shelf] = [self.shelves[name] for name in streams]
        to_come = sum(int(np.count_nonzero((one.visible > now) & (one.visible < NEVER))) for one in shelves)
        return to_come, sum(int(np.count_nonzero((one.changed > now) & (one.changed < NEVER))) for one in shelves)

    def _rows(self, stream: str, low: int, high: int, now: float) -> list[Row]:
        one = self.shelves[stream]
        return self._named(one, one.rows(low, high, ticks(now)))

    def _named(self, one: Shelf, at: Numbers) -> list[Row]:
        created, which = one.created[at].tolist(), one.which[at].tolist()
        return [Row(moment, one.name, number) for moment, number in zip(created, which, strict=True)]

    def _seen(self, rows: list[Row], now: float) -> list[Row]:
        """Without those that a test has taken away."""
        return [
            row
            for row in rows
            if row.which >= 0 or self.shelves[row.stream].scripted[-row.which - 1].at(ticks(now)) is not None
        ]


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def as_text(value: Any) -> str:
    return _ENCODER.encode(value)
