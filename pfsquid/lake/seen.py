"""Logs that need not be looked at again by the next connection or process, kept in a file for each source.

So a packed log does not travel whole from a firewall each time, and a damaged one is told of once. It saves work and
nothing else: what stands there counts only where the file is the very same and the lake has all of it; without it,
everything is found out again.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collectors.squid.logs import Place
from pfsquid.lake.aside import put_aside

_FOLDER = ".seen"


@dataclass
class Seen:
    """Of one source. lake: the lake's folder. made: how it was read: what was read otherwise, in another logformat or
    by another pfsquid, may come to something else, and does not count."""

    lake: Path
    name: str
    made: str
    _kept: dict[Hashable, Place] = field(default_factory=dict)

    def read(self) -> dict[Hashable, Place]:
        """What was kept last; nothing where it cannot be read."""
        with suppress(OSError, ValueError, TypeError, KeyError):
            given = json.loads(self._path.read_text("utf-8"))
            if given["made"] == self.made:
                self._kept = {
                    _frozen(key): Place(_frozen(state), str(source), int(offset))
                    for key, state, source, offset in given["logs"]
                }
        return self._kept

    def keep(self, places: Mapping[Hashable, Place]) -> None:
        """Write it down, if it is another; a lake without room for it is no error."""
        new = {key: Place(place.state, place.source, place.offset) for key, place in places.items()}
        if new == self._kept:
            return
        logs = [(key, place.state, place.source, place.offset) for key, place in new.items()]
        if put_aside(self._path, {"made": self.made, "logs": logs}):
            self._kept = new

    @property
    def _path(self) -> Path:
        return self.lake / _FOLDER / f"{self.name}.json"


def _frozen(value: Any) -> Hashable:
    """JSON's lists as the tuples that they were."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
