"""The ledgers of the lake: how far each stream of a tenant was read, for questions, `status`, SQL and other engines.

A ledger stands as text in a property of the table that the stream's rows are in (see `slices`); here it is read. The
table `windows` says the same in rows. It is made from the ledgers after rounds, so that a kill between the two is
healed by the next.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Table

from collectors.entra.schedule import next_due
from collectors.entra.windows import DAY, Ledger, Rules, Status, Window
from pfsquid.lake.catalog import Lake, explained
from pfsquid.lake.commit import committed, discarded, looked_up
from pfsquid.lake.days import held
from pfsquid.lake.files import write_data_files
from pfsquid.lake.replace import replace_files
from pfsquid.lake.tables import TABLES

PROPERTY = "pfsquid.windows."
_MARK = "pfsquid.windows"  # of the table `windows`: a digest of what it was made from
_OF = ("signins", "audits")
_FRESH = 900  # seconds; what is not older waits for the next round


@dataclass(frozen=True)
class Missing:
    """A span of a stream that is not complete. start, end: seconds since 1970."""

    tenant: str
    stream: str
    start: int
    end: int
    status: Status
    why: str = ""

    def __str__(self) -> str:
        begin, end = (datetime.fromtimestamp(one, UTC) for one in (self.start, self.end))
        until = f"{end:%H:%M}" if begin.date() == end.date() else f"{end:%Y-%m-%d %H:%M}"
        told = {Status.NEVER: "not read yet", Status.LOST: "lost: Graph keeps them no longer"}
        status = told.get(self.status, f"{self.status.value} ({self.why})" if self.why else self.status.value)
        return f"{self.stream} {begin:%Y-%m-%d %H:%M}-{until} UTC {status}"


@dataclass(frozen=True)
class Coverage:
    """Is a span of time complete? known: is there any ledger at all, or do all rows come from files?"""

    known: bool
    missing: tuple[Missing, ...] = ()

    @property
    def complete(self) -> bool:
        """Nothing is missing."""
        return not self.missing


@dataclass(frozen=True)
class Reached:
    """How far a stream is read. complete_from, complete_to: the newest span without a gap; None where nothing was read.
    missing: what of the time that was to be read is not complete, up to what is settled now. next_read: when a span is
    due again. leaving: what of it falls out of retention within a day."""

    name: str
    complete_from: datetime | None
    complete_to: datetime | None
    missing: tuple[Missing, ...]
    next_read: datetime | None
    leaving: tuple[Missing, ...]

    @property
    def not_given(self) -> tuple[Missing, ...]:
        """What the server did not give, or refused."""
        return tuple(one for one in self.missing if one.status in (Status.PARTIAL, Status.FAILED))


def reach(name: str, tenant: str, stream: str, ledger: Ledger, rules: Rules, now: float) -> Reached:
    """How far a stream is read, by its ledger."""
    edge, horizon = rules.edge(now), rules.horizon(now)
    trusted = ledger.trusted(now)
    spans = _complete(trusted)
    since = edge if trusted.since is None else trusted.since
    missing = _missing(tenant, stream, trusted, since, horizon, int(now), rules)
    soon = edge + min(DAY, rules.retention // 4)
    leaving = tuple(one for one in missing if one.start < soon and one.end > edge) if spans else ()
    due = next_due(trusted, now, rules)
    start, end = (datetime.fromtimestamp(one, UTC) for one in spans[-1]) if spans else (None, None)
    return Reached(name, start, end, missing, datetime.fromtimestamp(due, UTC) if due else None, leaving)


def key_of(tenant: str, stream: str) -> str:
    """The property that holds a ledger."""
    return f"{PROPERTY}{tenant}.{stream}"


def load(lake: Lake, table: str, tenant: str, stream: str) -> tuple[Ledger, str | None]:
    """A ledger, and its text as it stands in the lake. Raises PfsquidError."""
    with explained(lake):
        there = looked_up(lake, table)
        text = there.properties.get(key_of(tenant, stream)) if there else None
        return Ledger.from_json(text), text


def ledgers(lake: Lake) -> dict[tuple[str, str], Ledger]:
    """All ledgers of the lake, by tenant and stream."""
    found = {}
    with explained(lake):
        for name in _OF:
            there = looked_up(lake, name)
            for key, text in there.properties.items() if there else ():
                if key.startswith(PROPERTY):
                    tenant, _, stream = key.removeprefix(PROPERTY).rpartition(".")
                    found[tenant, stream] = Ledger.from_json(text)
    return found


def waiting_days(table: Table) -> set[date]:
    """The days (UTC) of a table of which a part is to be read again."""
    days: set[date] = set()
    for key, text in table.properties.items():
        if key.startswith(PROPERTY):
            for start, end in Ledger.from_json(text).waiting():
                numbers = range(start // DAY, (end - 1) // DAY + 1)
                days |= {date(1970, 1, 1) + timedelta(days=number) for number in numbers}
    return days


def complete_spans(lake: Lake) -> Mapping[tuple[str, str], list[tuple[datetime, datetime]]]:
    """(tenant, stream) → the spans that are complete, merged, in order. The stream of audits is `audits`."""
    return {
        key: [
            (datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC)) for start, end in _complete(ledger)
        ]
        for key, ledger in ledgers(lake).items()
    }


def coverage(
    lake: Lake,
    tenant: str | None,
    streams: Iterable[str],
    since: datetime,
    until: datetime,
    now: datetime | None = None,
) -> Coverage:
    """What of [since, until) is not complete. tenant: None for all that were ever read. now: what is settled ends
    `settle` before it.

    What lies before the beginning of all reading counts only where `since` is a moment that somebody asked for: a
    question without one is about what there is.
    """
    moment = int((now or datetime.now(UTC)).timestamp())
    every = ledgers(lake)
    wanted = [name for name in streams if any(name == stream for _, stream in every)]
    begin, end = (max(-(2**40), min(int(one.timestamp()), 2**40)) for one in (since, until))
    missing: list[Missing] = []
    for (owner, stream), ledger in sorted(every.items()):
        if stream not in wanted or tenant not in (None, owner) or ledger.since is None:
            continue
        rules = ledger.rules
        first = ledger.since if begin <= 0 else begin
        missing += _missing(owner, stream, ledger, first, min(end, rules.horizon(moment)), moment, rules)
    return Coverage(bool(every), tuple(missing))


def write_table(lake: Lake, now: int) -> bool:
    """Make the table `windows` say what the ledgers say; was anything to be done? Raises PfsquidError."""
    if not ledgers(lake):
        return False

    def attempt(table: Table) -> bool:
        every = ledgers(lake)  # after the table: what another writes of newer ones is then newer than this table
        told = "".join(f"{key}{one.to_json()}" for key, one in sorted(every.items()))
        mark = hashlib.sha256(told.encode()).hexdigest()
        if table.properties.get(_MARK) == mark:
            return False
        files = write_data_files(table, TABLES["windows"], _rows(every, now))
        gone = [file for there in held(table).values() for file in there.files]
        try:
            replace_files(table, gone, files, {_MARK: mark})
        except CommitFailedException:
            discarded(table, files)
            raise
        return True

    with explained(lake), lake.writing("windows", wait=True):
        return committed(lake, "windows", attempt)


def _missing(
    tenant: str, stream: str, ledger: Ledger, start: int, end: int, now: int, rules: Rules
) -> tuple[Missing, ...]:
    """What of [start, end) is not complete; the last minutes, which the next round reads, are not told of."""
    gone = [one for one in ledger.spans(start, end, rules.edge(now)) if one.status is not Status.COMPLETE]
    if gone and gone[-1].status is Status.NEVER and rules.horizon(now) - gone[-1].start < _FRESH:
        gone.pop()
    return tuple(Missing(tenant, stream, one.start, one.end, one.status, one.why) for one in gone)


def _complete(ledger: Ledger) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for one in ledger.windows:
        if one.status is Status.COMPLETE:
            if spans and spans[-1][1] == one.start:
                spans[-1] = (spans[-1][0], one.end)
            else:
                spans.append((one.start, one.end))
    return spans


def _rows(every: Mapping[tuple[str, str], Ledger], now: int) -> pa.Table:
    rows: list[dict[str, object]] = []
    for (tenant, stream), ledger in sorted(every.items()):
        rules = ledger.rules
        last = max((one.end for one in ledger.windows), default=0)
        since = ledger.since if ledger.since is not None else last
        spans = ledger.spans(since, max(last, rules.horizon(now)), rules.edge(now))
        rows += [_row(tenant, stream, one) for one in spans]
    names = TABLES["windows"].arrow.names
    return pa.Table.from_pydict({name: [row[name] for row in rows] for name in names}, schema=TABLES["windows"].arrow)


def _row(tenant: str, stream: str, one: Window) -> dict[str, object]:
    return {
        "tenant": tenant,
        "stream": stream,
        "start": datetime.fromtimestamp(one.start, UTC),
        "end": datetime.fromtimestamp(one.end, UTC),
        "status": one.status.value,
        "rows": one.rows,
        "late": one.late,
        "changed": one.changed,
        "vanished": one.vanished,
        "reads": one.reads,
        "read_at": datetime.fromtimestamp(one.read_at, UTC) if one.read_at else None,
        "why": one.why or None,
    }
