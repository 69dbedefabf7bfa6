"""Skip tokens: opaque, of one query each, and mortal."""

from __future__ import annotations

import hashlib
import itertools
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.graph.problems import dead_link
from tests.graph.query import Query
from tests.graph.world import Row

_MOST = 20_000


@dataclass
class Place:
    """Where a page begins: after this row (None: at the start), or at this number in a plain list."""

    query: Query
    given: dict[str, str]
    after: Row | None = None
    number: int = 0
    page: int = 0
    served: int = 0
    born: float = field(default_factory=time.monotonic)
    uses: int = 0
    before: Place | None = None


class Places:
    """life: seconds (real) until a token dies, uses: answers it gives, rows: how many a chain of pages may give."""

    def __init__(self, seed: int, life: float = 3600.0, uses: int | None = None, rows: int | None = None) -> None:
        self.life, self.uses, self.rows = life, uses, rows
        self._seed, self._number = f"{seed}/{time.time_ns()}", itertools.count()
        self._open: OrderedDict[str, Place] = OrderedDict()
        self._lock = threading.Lock()
        self.clock: Callable[[], float] = time.monotonic

    def link(self, place: Place) -> str:
        """A new token for a place."""
        name = hashlib.md5(f"{self._seed}/{next(self._number)}".encode(), usedforsecurity=False).hexdigest()
        token = f"{name}_{place.page}"
        place.born = self.clock()
        with self._lock:
            self._open[token] = place
            if len(self._open) > _MOST:
                self._open.popitem(last=False)
        return token

    def find(self, token: str) -> Place:
        """Raises Problem (400) where the token is unknown or dead."""
        with self._lock:
            place = self._open.get(token)
            if place is None or self.clock() - place.born > self.life:
                raise dead_link()
            if self.uses is not None and place.uses >= self.uses:
                raise dead_link()
            if self.rows is not None and place.served >= self.rows:
                raise dead_link()
            place.uses += 1
            return place

    def kill(self, token: str | None = None) -> None:
        """One token, or all given so far, are dead."""
        with self._lock:
            if token is None:
                self._open.clear()
            self._open.pop(token or "", None)
