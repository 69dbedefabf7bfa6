"""Access logs of a firewall, read from afar through a program that runs there: only what is new travels.

The program answers one question at a time: which logs there are, digests of parts of one, its bytes from an offset.
How a question gets there is the business of the callable that is given.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from collectors.squid.follow import PRINT, Range, SourceError, digest
from collectors.squid.logs import RACY_SECONDS, GoneError, Log, Logs, by_age, is_packed, is_turn_of, is_turned
from collectors.squid.streams import FromBeginning, unpacked

BLOCK = 4 * 1024 * 1024
# A question as a JSON object → the answer as one, and the raw bytes that come with it. Raises what it likes.
Ask = Callable[[dict[str, Any]], tuple[dict[str, Any], bytes]]


@dataclass(frozen=True)
class RemoteLog:
    """A log on a firewall; the file is found by its number even where it was renamed since."""

    firewall: str
    path: str
    name: str
    live: bool
    size: int | None
    key: Hashable
    state: Hashable | None
    ask: Ask

    def open(self) -> BinaryIO:
        """See Log."""
        stream = cast(BinaryIO, RemoteStream(self))
        if not is_packed(self.name):
            return stream
        return unpacked(cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, stream), BLOCK)))


class RemoteLogs(Logs):
    """The log at `path` of a firewall, and its rotated ones. ask: the way to the program `log` there."""

    def __init__(self, firewall: str, path: str, ask: Ask) -> None:
        super().__init__(f"{firewall}:{path}", firewall)
        self._firewall, self._path, self._ask = firewall, path, ask
        self._tag, self._files = "", list[tuple[str, int, int, int, int]]()

    def listed(self) -> Sequence[Log]:
        """See Logs. One question, whose answer is short where nothing changed. Raises what `ask` raises, too."""
        answer, _ = self._ask({"do": "list", "path": self._path, "tag": self._tag})
        if answer.get("error"):
            raise SourceError(f"{self.name} cannot be read: {answer['error']}")
        if not answer.get("same"):
            self._tag = answer["tag"]
            base = self._path.rpartition("/")[2]
            files = [tuple(one) for one in answer["files"] if is_turn_of(one[0], base)]
            self._files = sorted(cast("list[tuple[str, int, int, int, int]]", files), key=lambda one: by_age(one[0]))
        if not self._files:
            raise SourceError(f"there is no log {self._path} on {self._firewall}")
        return [self._log(*one, now=answer["now"]) for one in self._files]

    def _log(self, name: str, dev: int, ino: int, size: int, changed: int, now: float) -> RemoteLog:
        live = not is_turned(name)
        state = None if now - changed < RACY_SECONDS else (dev, ino, size, changed, live)
        path = f"{self._path.rpartition('/')[0]}/{name}"
        known_size = None if is_packed(name) else size
        return RemoteLog(self._firewall, self._path, path, live, known_size, (dev, ino), state, self._ask)


class RemoteStream(FromBeginning):
    """The bytes of a log on a firewall, up to where it ended when that was reached first.

    Each read says what must stand before its place; a log that was truncated or rewritten meanwhile ends there.
    """

    def __init__(self, log: RemoteLog) -> None:
        super().__init__()
        self._log = log
        self._end: int | None = None
        self._before: dict[int, tuple[int, int, str]] = {}  # a place → the range before it, and its digest

    def digests(self, ranges: Sequence[Range]) -> list[str]:
        """The digest of each range, '' where the log does not hold all of it; they are made on the firewall."""
        answer, _ = self._question({"do": "digests", "ranges": ranges})
        found: list[str] = answer["digests"]
        for (begin, length), one in zip(ranges, found, strict=True):
            if one:
                self._before[begin + length] = (begin, length, one)
        return found

    def read1(self, size: int) -> bytes:
        """Up to BLOCK bytes."""
        if self._end is not None and self._at >= self._end:
            return b""
        asked = {"do": "read", "offset": self._at, "length": min(size, BLOCK), "before": self._before.get(self._at)}
        answer, data = self._question(asked)
        if answer.get("packed"):
            data = zlib.decompress(data)
        if answer["end"]:
            self._end = self._at + len(data)
        last = data[-PRINT:]
        self._at += len(data)
        self._before = {self._at: (self._at - len(last), len(last), digest(last))} if last else {}
        return data

    def _question(self, asked: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        dev, ino = cast("tuple[int, int]", self._log.key)
        where = {"path": self._log.path, "name": self._log.name.rpartition("/")[2], "dev": dev, "ino": ino}
        answer, data = self._log.ask({**where, **asked})
        if answer.get("gone"):
            raise GoneError(self._log.name)
        if answer.get("error"):
            raise SourceError(f"{self._log.firewall}: {self._log.name} cannot be read: {answer['error']}")
        return answer, data
