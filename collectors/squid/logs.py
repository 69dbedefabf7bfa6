"""A place where access logs are, seen round after round: which logs there are, oldest first, and which may be news.

The contract that local files, standard input and firewalls keep; `places` and `remote` have the implementations. What
an object remembers from round to round saves work and nothing else: a new one finds out again, or is told by `seen`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import BinaryIO, Protocol

from collectors.batch import Position

RACY_SECONDS = 2.0  # a file changed so recently may change again without its time of change showing it
SEEN_AGAIN = timedelta(days=7)  # a position is written anew so often while its log is there, that it be not forgotten
_PACKED = re.compile(r"\.(gz|zst)$")
_TURN = re.compile(r"[.-](\d[\d._-]*)$")


class Log(Protocol):
    """One log, as it was when it was listed."""

    @property
    def name(self) -> str:
        """Its path, for people."""

    @property
    def live(self) -> bool:
        """Squid may still be writing it, so a last line without its end waits."""

    @property
    def size(self) -> int | None:
        """Bytes as they stand there, None where it is compressed or not known."""

    @property
    def key(self) -> Hashable:
        """By which the same file is known in the next round."""

    @property
    def state(self) -> Hashable | None:
        """Equal in two rounds where nothing came in between; None where that cannot be told."""

    def open(self) -> BinaryIO:
        """A stream that can seek, from the log's first (decompressed) byte on.

        One that has a method `digests(ranges) -> list[str]` is asked for digests instead of bytes (see `follow`); one
        with a method `onward()` is told when nobody goes back in it any more. Raises SourceError, Gone.
        """


class GoneError(Exception):
    """A log that was there a moment ago. It is no error: what it held is under another name, or was deleted."""


@dataclass(frozen=True)
class Place:
    """How far a log was read. before: the bytes before `offset`, as many as a position's digest covers.

    source: '' where nothing was read of it, or it is damaged and that was said. format: what "auto" found it to be in.
    """

    state: Hashable | None
    source: str = ""
    offset: int = 0
    before: bytes = field(default=b"", repr=False)
    format: str = ""

    def settled(self, log: Log, known: Mapping[str, Position]) -> bool:
        """Is all that the log holds in the lake? known: the lake's positions."""
        if self.state is None or self.state != log.state:
            return False
        position = known.get(self.source)
        return not self.source or bool(position and position.offset >= self.offset and not unseen_for_long(position))


class Logs(ABC):
    """Logs of one place. name: where it is, for people. origin: whose they are; two origins never share a log."""

    def __init__(self, name: str, origin: str | None = None) -> None:
        self.name, self.origin = name, origin
        self.places: dict[Hashable, Place] = {}
        self.seen: Mapping[Hashable, Place] = {}  # `lasting` of an earlier object
        self._listed: Sequence[Log] = ()

    @abstractmethod
    def listed(self) -> Sequence[Log]:
        """The logs that are there now, oldest first. Raises SourceError where there is none at all."""

    def changed(self, known: Mapping[str, Position]) -> Iterator[Log]:
        """Those of them that may hold something that is not in the lake. known: the lake's positions by source."""
        self._listed = self.listed()
        there = {log.key for log in self._listed}
        self.places = {key: place for key, place in self.places.items() if key in there}
        for log in self._listed:
            place = self._place(log)
            if place is None or not place.settled(log, known):
                yield log

    def lasting(self) -> dict[Hashable, Place]:
        """What is worth knowing of the logs listed last when everything begins anew: how far the packed ones were read,
        which have to come whole to be known again, and which are damaged or no logs, as that was said."""
        places = {log.key: place for log in self._listed if (place := self._place(log)) and place.state is not None}
        packed = {log.key for log in self._listed if log.size is None}
        return {key: place for key, place in places.items() if key in packed or not place.source}

    def _place(self, log: Log) -> Place | None:
        return self.places.get(log.key) or self.seen.get(log.key)

    def remaining(self, known: Mapping[str, Position]) -> int | None:
        """Bytes of the logs listed last that are not in the lake; None where that cannot be told. Looks nowhere."""
        missing = 0
        for log in self._listed:
            place = self._place(log)
            if place and place.settled(log, known):
                continue
            if log.size is None:
                return None
            read = known[place.source].offset if place and place.source in known else 0
            missing += max(0, log.size - read)
        return missing


def now() -> str:
    """The time, as a Position has it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def unseen_for_long(position: Position) -> bool:
    """Is it time to write the position anew, if its log is still there?"""
    return position.read_at < (datetime.now(UTC) - SEEN_AGAIN).isoformat(timespec="seconds")


def is_packed(name: str) -> bool:
    """Does the name say that the file is compressed? What it holds is another question."""
    return bool(_PACKED.search(name))


def is_turn_of(name: str, base: str) -> bool:
    """Is a file's name that of the log `base` or of a rotated one: access.log, .0, -20261124.gz?"""
    plain = _PACKED.sub("", name)
    return plain == base or (plain.startswith(base) and bool(_TURN.fullmatch(plain[len(base) :])))


def is_turned(name: str) -> bool:
    """Does the name say that the log was rotated?"""
    return bool(_TURN.search(_PACKED.sub("", name)))


def by_age(name: str) -> tuple[object, ...]:
    """Sorts the names of one log's files, oldest first: dates, then numbers downward, then the one being written."""
    plain = _PACKED.sub("", name)
    turn = _TURN.search(plain)
    if not turn:
        return plain, 2, 0, name
    digits = re.sub(r"\D", "", turn[1])
    is_number = digits == turn[1] and len(digits) < 6
    return plain[: turn.start()], int(is_number), -int(digits) if is_number else int(digits), name
