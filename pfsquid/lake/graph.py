"""A stream of Graph followed: slice after slice into the lake, in the order that `schedule` says, until all is read.

A slice that the server does not give is asked for in smaller ones; the smallest is noted as partial or failed, tried
again after growing pauses, and stops no other. What concerns the whole stream (a permission, a secret, the network, a
server that answers nothing at all) is raised, told, and tried again by `follow`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pyarrow.compute as pc

from collectors.batch import Reject
from collectors.entra.errors import GraphError, Kind
from collectors.entra.graph import Graph
from collectors.entra.limit import Stopped
from collectors.entra.page import HEAVY
from collectors.entra.records import Record
from collectors.entra.schedule import Task, Why, next_task
from collectors.entra.slices import KINDS, Flood, OutOfOrder, Piece, Reading, Rows, TooLarge, row_of, rows_of
from collectors.entra.streams import GraphStream
from collectors.entra.windows import Ledger, Rules, Status
from collectors.entra.wire import Answer
from pfsquid.lake.catalog import Lake
from pfsquid.lake.hints import Hints
from pfsquid.lake.ingest import Moved
from pfsquid.lake.kept import Kept
from pfsquid.lake.memory import give_back, use_little
from pfsquid.lake.slices import Committed, Fewer, Stream, commit, record
from pfsquid.lake.state import State
from pfsquid.lake.windows import load, write_table

STEP = 1  # pages of a commit: the limit gives more time between two than a commit takes, and a kill may come then
TABLE_SECONDS = 60  # how often the table `windows` is written at least, while much is read
_READS = 4  # of a span whose rows vanish, until two agree
_DEAD = 3  # links that died in a row, until less is asked for
_PROBE = 10  # seconds of the slice by which a server is found to answer nothing at all
# What is the matter with the slice, not with the stream.
_OF_SLICE = frozenset({Kind.TOO_SLOW, Kind.DEAD_LINK, Kind.BROKEN, Kind.TOO_OLD, Kind.BAD_REQUEST})
_REFUSED = frozenset({Kind.TOO_OLD, Kind.BAD_REQUEST})


@dataclass
class Reader:
    """Reads one stream. every: seconds after which what is new is looked for again. fresh: see `next_task`."""

    lake: Lake
    stream: Stream
    asked: GraphStream
    graph: Graph
    rules: Rules
    every: float
    fresh: float
    state: State
    hints: Hints
    kept: Kept
    _asked: list[float] = field(default_factory=list)  # when the pages that wait for a commit were asked for
    _ledger: Ledger = field(default_factory=Ledger)
    _text: str | None = None
    _dead: int = 0
    _given: int = 0  # pieces since something was not given
    _wrote: float = 0.0

    def round(self) -> None:
        """Read all that is to be read now. Raises GraphError, limit.Stopped, PfsquidError."""
        use_little()
        try:
            self._round()
        finally:
            self.hints.end()

    def _round(self) -> None:
        self._load()
        begun = time.time()
        horizon = self.rules.horizon(begun)
        started = begun
        if self.kept.deadly:
            self.hints.shrink(self.kept.end - self.kept.begun, self.rules)
        if self.kept.goes_on(self._text, begun):
            self._try(Task(self.kept.begun, self.kept.end, Why.BACKFILL), again=True)
        while task := next_task(self._ledger, time.time(), horizon, self.hints.length, self.rules, self.fresh):
            self._try(task)
            now = time.time()
            if not begun <= now < begun + self.every:
                begun, horizon = now, self.rules.horizon(now)
            if abs(now - self._wrote) > TABLE_SECONDS:
                self._write()
        self._write()
        self.state.caught_up = started

    def _try(self, task: Task, again: bool = False) -> None:
        """Read a slice. again: begin with what an earlier life has kept of it."""
        try:
            self._slice(task, again)
        except Stopped:
            raise  # what is kept is for the next life
        except Moved:
            self.kept.clear()
            self._load()
        except Exception:
            self.kept.clear()
            raise
        self.kept.clear()
        self.state.rounds += 1

    def _load(self) -> None:
        self._ledger, self._text = load(self.lake, self.stream.table, self.stream.tenant, self.stream.name)
        self._ledger = self._ledger.trusted(time.time())

    def _write(self) -> None:
        self._wrote = time.time()
        write_table(self.lake, int(self._wrote))

    def _ask(self, query: dict[str, str], start: int, end: int, keep: bool, again: bool) -> Iterator[Rows]:
        """The pages of a query. keep: until they are in the lake; again: those kept by an earlier life come first."""
        sent, pending = 0.0, False

        def take(record: Record) -> dict[str, Any] | Reject:
            return row_of(record, self.asked, self.stream.tenant)

        def sending() -> None:
            nonlocal sent, pending
            if pending:  # it was no good
                self.kept.spoiled()
            sent, pending = time.time(), False
            self.hints.begin(start, end)

        def answered(answer: Answer) -> None:
            nonlocal pending
            self._asked.append(sent)
            if keep:
                self.kept.add(answer, sent)
                pending = True
            self.hints.end()

        before = self.kept.answers() if again else ()
        if again:
            self._asked.append(self.kept.asked)
        path, version = self.asked.path, self.asked.version
        for page in self.graph.pages(path, query, version, take, sending, answered, before):
            pending = False
            with HEAVY:
                rows = rows_of(page.records, self.asked)
                page.records.clear()
                give_back()
            if not page.last:
                self.hints.page = max(self.hints.page, len(rows.ids))
            whole = iter([replace(rows, full=page.full, last=page.last)])
            del rows  # whoever takes them is the only one who holds them
            yield next(whole)

    def _reading(self, start: int, end: int, step: int | None, again: bool = False) -> Reading:
        first = iter([again])

        def ask(query: dict[str, str]) -> Iterator[Rows]:
            return self._ask(query, start, end, step is not None, next(first, False))

        return Reading(self.asked, self.stream.tenant, ask, start, end, step, self.hints.page)

    def _slice(self, task: Task, again: bool) -> None:
        self._asked = []
        if not again:
            self.kept.begin(self._text, task.start, task.end)
        reading = self._reading(task.start, task.end, STEP, again)
        start = end = task.start
        try:
            for piece in reading.pieces():
                start, end = piece.start, piece.end
                self._commit_as(piece, sure=False)
                self.kept.committed(self._text, end)
                self._dead = 0
                if end == task.end and self.kept.end - self.kept.start >= self.hints.length:
                    self.hints.grow(self.kept.pages, self.rules)
                del piece  # else its rows stay in memory while the next is waited for
        except Fewer as exc:
            self._sure(start, end, exc.ids)
        except OutOfOrder as exc:
            if reading.begun > task.start:  # until it is read again, nobody shall believe in it
                self._note(task.start, reading.begun, Status.PARTIAL, str(exc))
            self._whole(task.start, task.end)
        except (TooLarge, Flood):
            self._whole(reading.begun, task.end)
        except GraphError as exc:
            if exc.kind is Kind.THROTTLED:
                self.hints.shrink(task.end - task.start, self.rules)
            if exc.kind not in _OF_SLICE:
                raise
            self._not_given(reading.begun, task, exc)

    def _not_given(self, begun: int, task: Task, exc: GraphError) -> None:
        """The rest of a slice was not given: less at a time, or a note that it was not."""
        if exc.kind is Kind.DEAD_LINK and (begun > task.start or self._dead < _DEAD):
            self._dead += 1
            return
        self._dead = 0
        if exc.kind not in _REFUSED and task.end - begun > self.rules.least:
            self.hints.shrink(task.end - begun, self.rules)
            return
        if not self._given and not self._answers():
            raise exc
        self._note(begun, task.end, Status.FAILED if exc.kind in _REFUSED else Status.PARTIAL, exc.message)

    def _answers(self) -> bool:
        """Does the server give anything of this stream at all? Asked now, and for the middle of what it keeps."""
        now = time.time()
        for end in (self.rules.horizon(now), (self.rules.horizon(now) + self.rules.edge(now)) // 2):
            with suppress(GraphError, OutOfOrder, TooLarge, Flood):
                for _ in self._reading(end - _PROBE, end, None).pieces():
                    return True
        return False

    def _whole(self, start: int, end: int) -> None:
        """Read a span that comes in no order: as much at a time as memory holds, each a single piece."""
        todo = [(start, end)]
        while todo:
            begin, until = todo.pop()
            try:
                self._commit(self._single(begin, until))
            except (TooLarge, Flood) as exc:
                if until - begin <= 1:
                    self._note(begin, until, Status.PARTIAL, str(exc))
                    continue
                middle = (begin + until) // 2
                todo += [(middle, until), (begin, middle)]

    def _single(self, start: int, end: int) -> Piece:
        """A span as one piece."""
        self._asked = []
        (piece,) = self._reading(start, end, None).pieces()
        return piece

    def _commit(self, piece: Piece) -> None:
        """Commit; where rows would vanish, only after a second reading that says the same."""
        try:
            self._commit_as(piece, sure=False)
        except Fewer as exc:
            self._sure(piece.start, piece.end, exc.ids)

    def _sure(self, start: int, end: int, before: frozenset[str]) -> None:
        """Commit a span whose rows would vanish, these by the last reading, once two agree."""
        for _ in range(_READS):
            piece = self._single(start, end)
            try:
                self._commit_as(piece, sure=False)
                return
            except Fewer as exc:
                if exc.ids == before:
                    self._commit_as(piece, sure=True)
                    return
                before = exc.ids
        self._note(start, end, Status.PARTIAL, "each reading gives other records")

    def _commit_as(self, piece: Piece, sure: bool) -> None:
        with HEAVY:
            # As of when it was asked for: what came between that and now is for the next reading.
            asked = int(min(self._asked, default=time.time()))
            done = commit(self.lake, self.stream, piece, self._text, self.rules, asked, sure)
            give_back()
        self._committed(piece, done)

    def _committed(self, piece: Piece, done: Committed) -> None:
        self._ledger, self._text = done.ledger, done.text
        self._asked = self._asked[-1:]
        self._given += 1
        self.hints.progress(self.rules)
        state = self.state
        state.rows += done.new
        state.rejects += done.rejects
        for reject in piece.rejects if done.rejects else ():
            state.reasons = {**state.reasons, reject.reason: state.reasons.get(reject.reason, 0) + 1}
        state.last_data = time.time()
        state.source = self.stream.source
        newest = pc.max(piece.rows[KINDS[self.stream.table].time]).as_py()
        if isinstance(newest, datetime):
            state.newest = max(state.newest or 0.0, newest.astimezone(UTC).timestamp())

    def _note(self, start: int, end: int, status: Status, why: str) -> None:
        self._given = 0
        done = record(self.lake, self.stream, start, end, status, why, self._text, self.rules, int(time.time()))
        self._ledger, self._text = done.ledger, done.text
