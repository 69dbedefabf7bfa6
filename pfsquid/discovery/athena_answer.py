"""From a question and its parameters to an answer of Athena. The SQL is that of DuckDB's answers; what hosts, apps and
people are stands in the tables that `publish` wrote, and names are looked up there.

Only the lake's metadata and its smallest tables are read from here: all else is Athena's work.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pyiceberg.conversions import from_bytes
from pyiceberg.table import Table
from pyiceberg.types import TimestamptzType

from pfsquid.discovery.answer import app_named, gaps, person_named, time_of, values_of
from pfsquid.discovery.ask import BEGINNING, END, Question, Values, question, render, spans
from pfsquid.discovery.athena import Athena, check
from pfsquid.discovery.athena_cost import Reads, days_in, reads, size_of, spans_of, told
from pfsquid.discovery.athena_values import NARROWER
from pfsquid.discovery.meaning import Knowledge, digest_of_knowledge, names_of
from pfsquid.discovery.publish import need_published, states
from pfsquid.errors import PfsquidError
from pfsquid.lake.catalog import Lake, explained
from pfsquid.lake.days import Held, held
from pfsquid.lake.published import APPS, PEOPLE, PRINCIPALS, PUBLISHED, SOURCES, Stand
from pfsquid.lake.tables import TABLES
from pfsquid.lake.usage import covered

_COLUMNS = {name: spec.arrow.names for name, spec in TABLES.items()}


@dataclass(frozen=True)
class Asked:
    """A query that is ready to be sent. size: bytes that it reads at most; is_bound: are its days known, or may a
    condition of the SQL leave out most of it?"""

    sql: str
    size: int
    is_bound: bool
    title: str = ""
    notes: tuple[str, ...] = ()


@dataclass
class Streamed:
    """An answer whose rows come page by page. notes: what a reader must know, and what it cost; told after the rows,
    of which some tell them."""

    columns: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]
    title: str
    notes: Iterable[str]
    scanned: int
    seconds: float


def ask(athena: Athena, asked: Asked) -> Streamed:
    """Send a query; its answer when the first rows are there. Raises PfsquidError, before anything is sent where it
    would read more than the workgroup allows."""
    group = athena.group()
    athena.tell(f"Athena is to read at most {told(asked.size)}")
    if group.cutoff is not None and asked.size > group.cutoff:
        limit = (
            f"{told(asked.size)} at most, and the workgroup {group.name} allows {group.cutoff / 1e6:,.1f} MB a query"
        )
        if asked.is_bound:
            raise PfsquidError(f"this reads too much: {limit}", *NARROWER)
        athena.tell(f"this may read too much: {limit}; Athena will stop it then")
    ran = athena.run(asked.sql)
    cost = f"Athena read {told(ran.scanned)} in {ran.running:.1f} s, of which {ran.queued:.1f} s in the queue"
    watched = _Bytes(ran.columns, ran.rows)
    notes = _Later(asked.notes, watched, cost)
    return Streamed(ran.columns, iter(watched), asked.title, notes, ran.scanned, ran.running)


def prepare(lake: Lake, known: Knowledge, name: str, given: Iterable[str], now: datetime | None = None) -> Asked:
    """A question as Athena gets it. given: `key=value` texts. Raises WrongUse, PfsquidError."""
    asked = question(name)
    values = values_of(asked, given)
    since, until = time_of(asked, values, now or datetime.now(UTC))
    with explained(lake):
        published = need_published(lake)
        app = app_named(values["app"], _apps(lake), "app") if "app" in values else None
        people, principals = _rows(lake, PEOPLE), _rows(lake, PRINCIPALS)
        names = names_of(people, ((one["user_name"], one["person_id"]) for one in principals))
        person = person_named(values["person"], names) if "person" in values else None
        tables = {one: lake.table(one) for one in TABLES}
        seen = covered(tables["proxy"], tables["usage"])
        stale = [*(there.day for there in seen.stale if there.day is not None), *seen.gone]
        filled: Values = {
            "since": since, "until": until, "app": app, "person": person, **spans(since, until, stale),
        }  # fmt: skip
        sql = render(asked.sql, filled, "athena")
        read = reads(sql, _COLUMNS)
        files = {one: _days(one, tables[one], filled, until) for one in read.tables}
        notes = (
            *_of_time(asked, tables, since, until),
            *_of_people(asked, principals),
            *gaps(lake, asked.sql, since, until),
            *_of_publishing(tables, known, published),
        )
        return Asked(sql, size_of(read, tables, files), True, asked.title, notes)


def prepare_sql(lake: Lake, known: Knowledge, sql: str) -> Asked:
    """SQL of one's own, in Athena's dialect. Raises WrongUse for anything but one SELECT."""
    check(sql)
    with explained(lake):
        read: Reads = reads(sql, _COLUMNS)
        tables = {one: lake.table(one) for one in {*read.tables, *SOURCES}}
        published = (need_published(lake),) if read.tables.keys() & PUBLISHED.keys() else ()
        files = {one: [*held(tables[one]).values()] for one in read.tables}
        notes = (
            *gaps(lake, sql.lower(), BEGINNING, END),
            *(note for stand in published for note in _of_publishing(tables, known, stand)),
        )
        return Asked(sql, size_of(read, tables, files), False, "", notes)


def _days(name: str, table: Table | None, filled: Values, until: datetime) -> list[Held]:
    """What the conditions of the questions leave in of a table."""
    if name == "usage":
        return days_in(table, spans_of(filled["days"]))
    if name == "proxy":
        return days_in(table, spans_of(filled["rows"]))
    return days_in(table, [(BEGINNING, until)])


def _rows(lake: Lake, name: str) -> list[dict[str, Any]]:
    table = lake.table(name)
    rows: list[dict[str, Any]] = table.scan().to_arrow().to_pylist() if table else []
    return rows


def _apps(lake: Lake) -> dict[str, str]:
    return {one["app_id"]: one["name"] for one in _rows(lake, APPS)}


def _of_time(asked: Question, tables: dict[str, Table | None], since: datetime, until: datetime) -> Iterator[str]:
    """What the lake has of sign-ins and of the log, by its metadata."""
    if "signins" in asked.sql:
        first, last = _bounds(tables["signins"], "created_at")
        if first is None or last is None:
            yield "the lake holds no sign-ins, so `never` says nothing: pfsquid collect entra --from signins.json"
        else:
            span = f"from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"
            yield f"the lake holds sign-ins {span}; `never` means none of these"
    first, last = _bounds(tables["proxy"], "ts", days_in(tables["proxy"], [(since, until)]))
    if first is None or last is None or last < since or first >= until:
        yield "there is no access log in this time: pfsquid collect squid --from access.log"


def _bounds(
    table: Table | None, column: str, days: list[Held] | None = None
) -> tuple[datetime | None, datetime | None]:
    """The first and the last moment in a column, as the files' statistics tell."""
    if table is None:
        return None, None
    number = table.schema().find_field(column).field_id
    files = [file for there in (held(table).values() if days is None else days) for file in there.files]
    ends = [
        [int(from_bytes(TimestamptzType(), bounds[number])) for bounds in of if bounds and number in bounds]
        for of in ([file.lower_bounds for file in files], [file.upper_bounds for file in files])
    ]
    if not ends[0] or not ends[1]:
        return None, None
    zero = datetime(1970, 1, 1, tzinfo=UTC)
    return zero + timedelta(microseconds=min(ends[0])), zero + timedelta(microseconds=max(ends[1]))


def _of_people(asked: Question, principals: list[dict[str, Any]]) -> Iterator[str]:
    names = {one["user_name"] for one in principals if one["kind"] == "person"}
    nobodies = {one["user_name"]: one["reason"] for one in principals if one["reason"]}
    if nobodies and ("JOIN people" in asked.sql or asked.name == "unmatched-people"):
        yield (
            f"{len(nobodies):,} of {len(names):,} user names of people match nobody, of whatever time: "
            "pfsquid query unmatched-people"
        )
    curable = [(name, reason) for name, reason in sorted(nobodies.items()) if "people.realms" in reason]
    for name, reason in curable[:3]:
        yield f"{name} is not matched: {reason}"


def _of_publishing(tables: dict[str, Table | None], known: Knowledge, published: Stand) -> Iterator[str]:
    """What is not as it was when meaning was published."""
    when = f"{published.at:%Y-%m-%d %H:%M} UTC"
    if digest_of_knowledge(known) != published.known:
        yield (f"apps and people are as another catalogue or configuration told them at {when}: pfsquid lake publish")
    if states(tables) != published.rows:
        yield f"hosts and people that were first seen after {when} are not in it: pfsquid lake publish"


class _Bytes:
    """Rows, watched on their way: was there a request, and were bytes_up known of any?"""

    def __init__(self, columns: tuple[str, ...], rows: Iterator[tuple[Any, ...]]) -> None:
        self._columns, self._rows = columns, rows
        self.unknown = False

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        if not {"bytes_up", "requests"} <= set(self._columns):
            yield from self._rows
            return
        up, requests = self._columns.index("bytes_up"), self._columns.index("requests")
        used = known = False
        for row in self._rows:
            used, known = used or bool(row[requests]), known or row[up] is not None
            yield row
        self.unknown = used and not known


class _Later:
    """Notes that are complete when the rows have been read."""

    def __init__(self, notes: tuple[str, ...], watched: _Bytes, cost: str) -> None:
        self._notes, self._watched, self._cost = notes, watched, cost

    def __iter__(self) -> Iterator[str]:
        yield from self._notes
        if self._watched.unknown:
            yield "bytes_up is unknown: Squid's native format does not log it; pfsquid's own format does"
        yield self._cost
