"""Where reading began, and whether a table still is there: so one of two who read the same log learns of the other.

Judges the positions in a table's properties; it reads no log and commits nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyiceberg.table import Table

from collectors.batch import Position
from pfsquid.lake.commit import Moved

POSITION = "pfsquid.position."


@dataclass(frozen=True)
class Begun:
    """The positions that reading began at, brought up to date with each commit. locked: does the reader hold the
    table's lock all the while?"""

    positions: dict[str, Position]
    locked: bool

    def check(self, table: Table, source: str, reached: Position) -> None:
        """Raises Moved where another read the same log meanwhile, under whatever name it found for it."""
        before = self.positions.get(source)
        moved = _place(_position(table, source)) != _place(before)
        if before is None and not moved:
            others = (key.removeprefix(POSITION) for key in table.properties if key.startswith(POSITION))
            moved = any(_may_be_same(reached, _position(table, one)) for one in others if one not in self.positions)
        if moved:
            raise Moved(
                f"another pfsquid reads {source}, too, and was faster; this one starts its round again",
                "one of the two is enough: pfsquid status",
            )


def _position(table: Table, source: str) -> Position | None:
    there = table.properties.get(POSITION + source)
    return Position.from_json(there) if there else None


def _place(position: Position | None) -> tuple[int, int | None]:
    """What of a position must be the same for reading to go on from it. None is the beginning."""
    return (position.offset, position.unended) if position else (0, None)


def _may_be_same(one: Position, other: Position | None) -> bool:
    """May both be of one log, which was shorter when the other began with it? As far as their beginnings tell."""
    if other is None or not (one.head_bytes and other.head_bytes):
        return False
    if None not in (one.origin, other.origin) and one.origin != other.origin:
        return False
    both = min(len(one.marks), len(other.marks))
    return one.marks[:both] == other.marks[:both]
