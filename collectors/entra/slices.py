"""A slice of a stream, read from Graph page by page → pieces: spans of time with their rows, each whole.

Records are asked for in the order of their time. So what lies before the last record of a page is whole, and is given
out as a piece when some pages have come: what is killed or breaks off after that begins there. Nothing is taken on
trust: a record that comes out of order before a piece was given out only makes the pieces larger; one that belongs
into a piece that was given out already is `OutOfOrder`, and the slice is to be read again without pieces.

The ends: Graph's documented operators are `ge` and `le`, so a slice is asked for with both its ends, and what stands
at the end itself, in the first moment of the next slice, is left out. Ends are whole seconds, which no number of
fraction digits shifts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from collectors.batch import Reject
from collectors.entra import audits, signins
from collectors.entra.records import Record
from collectors.entra.streams import GraphStream, query_of

MOST_HELD = 16  # pages in memory at most
PIECE_BYTES = 5 << 20  # of rows that wait for a piece
CHAIN = 32  # pages of one query at most: long ones are what Graph breaks off


@dataclass(frozen=True)
class Kind:
    """The rows of a table. row_of: of a record of a tenant and stream, or why it is none. time: the column of time."""

    schema: pa.Schema
    row_of: Callable[[Record, str, str], dict[str, Any] | str]
    time: str


KINDS: Mapping[str, Kind] = {
    "signins": Kind(
        signins.SIGNINS_SCHEMA,
        lambda record, tenant, stream: signins.row_of(record.value, record.text, tenant, stream),
        "created_at",
    ),
    "audits": Kind(
        audits.AUDITS_SCHEMA,
        lambda record, tenant, _: audits.row_of(record.value, record.text, tenant),
        "activity_at",
    ),
}


@dataclass(frozen=True)
class Rows:
    """A page as rows: of each its id, time and a hash of the record. full, last: as of `graph.Page`."""

    table: pa.Table
    ids: list[str]
    times: list[datetime]
    hashes: list[int]
    rejects: list[Reject]
    full: bool = False
    last: bool = True


Ask = Callable[[dict[str, str]], Iterator[Rows]]


def row_of(record: Record, stream: GraphStream, tenant: str) -> dict[str, Any] | Reject:
    """A record as a row of the stream's table, or as a reject."""
    row = KINDS[stream.table].row_of(record, tenant, stream.name)
    return _reject(record, row) if isinstance(row, str) else row


def rows_of(made: Iterable[dict[str, Any] | Reject], stream: GraphStream) -> Rows:
    """What `row_of` made of the records of a page, as columns."""
    kind = KINDS[stream.table]
    rows: list[dict[str, Any]] = []
    rejects: list[Reject] = []
    for one in made:
        if isinstance(one, Reject):
            rejects.append(one)
        else:
            rows.append(one)
    columns = {name: [row[name] for row in rows] for name in kind.schema.names}
    table = pa.Table.from_pydict(columns, schema=kind.schema)
    hashes = [hash(raw) for raw in columns["raw"]]
    return Rows(table, columns["id"], columns[kind.time], hashes, rejects)


@dataclass(frozen=True)
class Piece:
    """All records of [start, end), in seconds since 1970: rows, unique by id, and what is no row."""

    start: int
    end: int
    rows: pa.Table
    rejects: list[Reject]


class TooLarge(Exception):  # noqa: N818 - reads as what it is
    """More than fits into memory, in no order: ask for a smaller slice."""


class OutOfOrder(Exception):  # noqa: N818 - reads as what it is
    """A record that belongs into a piece that was given out: read the slice again without pieces."""


class Flood(Exception):  # noqa: N818 - reads as what it is
    """More records at one moment than a page holds, and no link to the rest."""


@dataclass
class Reading:
    """One slice being read. step: pages of a piece; None for one piece in the end. pages: read so far.

    largest: records of the largest page with a link that the stream ever gave, since a server may give smaller pages
    than it is asked for; 0 where there was none.
    """

    stream: GraphStream
    tenant: str
    ask: Ask
    start: int
    end: int
    step: int | None
    largest: int = 0
    pages: int = 0
    _ordered: bool = True
    _newest: datetime | None = None
    _held: list[pa.Table] = field(default_factory=list)
    _rejects: list[Reject] = field(default_factory=list)
    _where: dict[str, tuple[int, int]] = field(default_factory=dict)  # id → its page among the held, and row in it
    _given: dict[str, int] = field(default_factory=dict)  # id → hash of the record, of the pieces given out

    def __post_init__(self) -> None:
        self._kind = KINDS[self.stream.table]
        self._begin = self.start

    @property
    def begun(self) -> int:
        """Up to where pieces were given out."""
        return self._begin

    def pieces(self) -> Iterator[Piece]:
        """The pieces in order; the last one ends with the slice, or before it where the chain of pages grew long.

        Raises TooLarge, OutOfOrder, Flood, and what Graph raises. What was given out before that stays right.
        """
        asked = datetime.fromtimestamp(self.start, UTC)
        while True:
            doubt = False
            for page in self.ask(query_of(self.stream, asked, datetime.fromtimestamp(self.end, UTC))):
                self.pages += 1
                self._add(page)
                last, count = page.last, len(page.ids)
                doubt = last and self._doubtful(page, asked)
                del page  # else its rows stay in memory while the next is waited for
                if last:
                    continue
                self.largest = max(self.largest, count)
                cut = int(self._newest.timestamp()) if self._newest else self._begin
                if self._ordered and cut > self._begin and self._is_large():
                    yield self._piece(cut)
                    if self.pages >= CHAIN:
                        return
                if len(self._held) > MOST_HELD:
                    raise TooLarge(f"more than {MOST_HELD} pages, in no order")
            if not doubt:
                break
            asked = self._after(asked)
        yield self._piece(self.end)

    def _doubtful(self, page: Rows, asked: datetime) -> bool:
        """Can a page without a link be one that lost it? Where it is full, or as large as those that have a link."""
        onward = self._ordered and self._newest is not None and self._newest > asked
        return page.full or (onward and 0 < self.largest <= len(page.ids))

    def _after(self, asked: datetime) -> datetime:
        if not self._ordered or self._newest is None:
            raise TooLarge("a full page without a link to the next one, in no order")
        if self._newest <= asked:
            raise Flood(f"more than {self.stream.top} records at {self._newest:%Y-%m-%dT%H:%M:%S.%fZ}, and no link")
        return self._newest

    def _add(self, page: Rows) -> None:
        inside: list[int] = []
        for number, (identity, at, digest) in enumerate(zip(page.ids, page.times, page.hashes, strict=True)):
            if (known := self._given.get(identity)) is not None:
                if known != digest:
                    raise OutOfOrder(f"{identity} came again, in another state")
                continue
            second = at.timestamp()
            if not self.start <= second < self.end:
                continue
            if second < self._begin:
                raise OutOfOrder(f"a record of {at:%H:%M:%S} came after those of {self._begin - self.start} s later")
            if self._newest is not None and at < self._newest and identity not in self._where:
                self._ordered = False
            if self._newest is None or at > self._newest:
                self._newest = at
            self._where[identity] = (len(self._held), len(inside))
            inside.append(number)
        self._held.append(
            page.table if len(inside) == len(page.table) else page.table.take(pa.array(inside, pa.int64()))
        )
        self._rejects += page.rejects

    def _is_large(self) -> bool:
        """Is enough held for a piece?"""
        size = sum(table.nbytes for table in self._held)
        return self.step is not None and (len(self._held) >= self.step or size >= PIECE_BYTES)

    def _piece(self, end: int) -> Piece:
        """What is held, up to `end`; what lies behind it stays held."""
        offsets = [0]
        for table in self._held:
            offsets.append(offsets[-1] + len(table))
        rows = pa.concat_tables(self._held) if self._held else self._kind.schema.empty_table()
        self._held = []
        if len(self._where) < len(rows):  # some came twice: the last counts
            rows = rows.take(pa.array(sorted(offsets[page] + row for page, row in self._where.values()), pa.int64()))
        rest = rows.slice(0, 0)
        if end < self.end:
            limit = pa.scalar(end * 1_000_000, pa.int64()).cast(rows.schema.field(self._kind.time).type)
            inside = pc.less(rows[self._kind.time], limit)
            rest, rows = rows.filter(pc.invert(inside)), rows.filter(inside)
        for identity, raw in zip(rows["id"].to_pylist(), rows["raw"].to_pylist(), strict=True):
            self._given[identity] = hash(raw)
        self._held = [rest.combine_chunks()] if len(rest) else []
        self._where = {identity: (0, number) for number, identity in enumerate(rest["id"].to_pylist())}
        piece = Piece(self._begin, end, rows, self._rejects)
        self._begin, self._rejects = end, []
        return piece


def _reject(record: Record, reason: str) -> Reject:
    """By a number that is the same each time: the slice is read again and again, the record is to be told once."""
    try:
        raw = record.text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raw = record.text.encode("utf-8", "surrogatepass")
    return Reject(int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest()) >> 1, reason, raw)
