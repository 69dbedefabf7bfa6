"""What a process that reads a stream tells the next one, should it die: what it was at, and how large slices may be.

A file beside the tables, an observation and no state: where it is missing or wrong, reading is slower for a while and
nothing else. Where it is a request itself that readers die of, it is asked for in ever smaller parts.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from collectors.entra.schedule import longer, shorter
from collectors.entra.windows import DAY, Rules
from pfsquid.lake.aside import put_aside

FOLDER = ".entra"
_PATIENCE = 8  # pieces in a row until larger slices are asked for again
_FIRST = DAY  # of the first slice: what comes of it is committed page by page, so that a short one gains nothing
_STUBBORN = 3  # crashes at the same slice until less of it is asked for


@dataclass
class Hints:
    """length: of the next slice, in seconds. ceiling: of that, after one that was not given. at: the slice of the
    request that is under way. read_at: when a listing was read. page: see `Reading.largest`. died_at: the end of the
    slice in whose request the last reader died, and stuck: how many did there."""

    path: Path
    length: int
    ceiling: int
    at: tuple[int, int] | None = None
    read_at: float | None = None
    page: int = 0
    died_at: int | None = None
    stuck: int = 0
    _done: int = field(default=0)

    @staticmethod
    def load(lake: Path, name: str, rules: Rules) -> Hints:
        """Of a stream by its name; in a lake that is a folder."""
        path = lake / FOLDER / f"{name}.json"
        hints = Hints(path, min(max(_FIRST, rules.least), rules.most), rules.most)
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            told = json.loads(path.read_text("utf-8"))
            hints.length = min(max(int(told["length"]), rules.least), rules.most)
            hints.ceiling = min(max(int(told["ceiling"]), rules.least), rules.most)
            hints.read_at = told.get("read_at")
            hints.page = int(told.get("page", 0))
            if told["at"] is not None:
                end = told["at"][1]
                hints.stuck = told.get("stuck", 0) + 1 if end == told.get("died_at") else 1
                hints.died_at = end
                if hints.stuck % _STUBBORN == 0:
                    hints.length = shorter(hints.length, rules)
        return hints

    def begin(self, start: int, end: int) -> None:
        """A request for a part of this slice goes out."""
        self.at = (start, end)
        self.save()

    def progress(self, rules: Rules) -> None:
        """A piece of it is in the lake."""
        self._done += 1
        if self._done % _PATIENCE == 0:
            self.ceiling = min(self.ceiling * 2, rules.most)

    def grow(self, pages: int, rules: Rules) -> None:
        """A slice of full length was given in so many pages."""
        self.length = min(longer(self.length, pages, rules), self.ceiling)
        self.save()

    def shrink(self, span: int, rules: Rules) -> None:
        """A slice of so many seconds was not given; larger ones are not asked for again at once."""
        self.length = self.ceiling = shorter(min(self.length, span), rules)
        self.save()

    def end(self) -> None:
        """There is an answer, or none will come any more."""
        self.at = None
        self.save()

    def save(self) -> None:
        """Write it down; a lake without room for it is no error."""
        names = ("length", "ceiling", "at", "read_at", "page", "died_at", "stuck")
        put_aside(self.path, {name: getattr(self, name) for name in names})
