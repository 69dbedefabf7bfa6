"""Access logs on this machine: a file, a folder, a pattern, a log with its rotated ones, standard input."""

from __future__ import annotations

import glob
import os
import re
import stat
import sys
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from collectors.squid.follow import SourceError
from collectors.squid.logs import RACY_SECONDS, GoneError, Log, Logs, by_age, is_packed, is_turn_of, is_turned
from collectors.squid.streams import Spooled, open_log, unpacked

# What else stands in a folder of logs: Squid's own other files, and what programs have not finished yet.
_NO_LOGS = re.compile(r"\.|(cache|store|icap|netdb|squid)\.(log|out|state)|.*(~|\.(tmp|part|swp|pid|lock|state))$")


@dataclass(frozen=True)
class LocalLog:
    """A log in a file. sure: it was named by itself, so it has to be there."""

    path: Path
    live: bool
    size: int | None
    key: Hashable
    state: Hashable | None
    sure: bool = False

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def open(self) -> BinaryIO:
        """The file, unpacked."""
        if not self.sure and not self.path.exists():
            raise GoneError(self.name)
        return open_log(self.path)


class LocalLogs(Logs):
    """Logs that `find` finds. follows: those without the name of a rotated one are still being written. empty: may
    there be none?"""

    def __init__(
        self,
        name: str,
        find: Callable[[], list[Path]],
        origin: str | None,
        follows: bool,
        sure: bool = False,
        empty: bool = False,
    ) -> None:
        super().__init__(name, origin)
        self._find, self._follows, self._sure, self._empty = find, follows, sure, empty

    def listed(self) -> Sequence[Log]:
        """See Logs."""
        try:
            paths = self._find()
            logs = [log for path in paths if (log := self._log(path))]
        except FileNotFoundError:
            raise SourceError(f"there is no file {self.name}", wrong_use=True) from None
        except OSError as exc:
            raise SourceError(f"{self.name} cannot be read: {exc.strerror or exc}") from exc
        if not logs and not self._empty:
            raise SourceError(f"there is no log in {self.name}", wrong_use=True)
        return logs

    def _log(self, path: Path) -> LocalLog | None:
        try:
            found = path.stat()
        except FileNotFoundError:
            if self._sure:
                raise
            return None
        if not self._sure and not stat.S_ISREG(found.st_mode):
            return None
        key = (found.st_dev, found.st_ino)
        live = self._follows and not is_turned(path.name)
        racy = not stat.S_ISREG(found.st_mode) or time.time() - found.st_mtime < RACY_SECONDS
        state = None if racy else (key, found.st_size, found.st_mtime_ns, live)
        return LocalLog(path, live, None if is_packed(path.name) else found.st_size, key, state, self._sure)


def local_logs(given: str | Path, follow: bool = False, origin: str | None = None) -> Logs:
    """The logs that a path, a folder's path, a pattern (`access.log*`) or `-` names.

    follow: a path stands for the log that Squid writes there, and for its rotated ones. What is not there shows when
    they are listed.
    """
    path, text = Path(given).expanduser(), str(given)
    if text == "-":
        return StandardInput(cast(BinaryIO, sys.stdin.buffer), origin)
    if path.is_dir():
        return LocalLogs(str(path), lambda: _in(path), origin, follow)
    if follow and not glob.has_magic(text):
        return LocalLogs(str(path), lambda: _turns(path), origin, follow)
    if path.exists() or not glob.has_magic(text):
        return LocalLogs(str(path), lambda: [path], origin, follow, sure=True)
    found = partial(glob.iglob, str(path))  # Path.glob takes no absolute pattern
    return LocalLogs(text, lambda: _oldest_first(map(Path, found())), origin, follow)


def _in(folder: Path) -> list[Path]:
    return _oldest_first(Path(one.path) for one in os.scandir(folder) if not _NO_LOGS.match(one.name))


def _turns(path: Path) -> list[Path]:
    return _oldest_first(Path(one.path) for one in os.scandir(path.parent) if is_turn_of(one.name, path.name))


def _oldest_first(paths: object) -> list[Path]:
    return sorted(cast("list[Path]", paths), key=lambda path: (str(path.parent), *by_age(path.name)))


@dataclass(frozen=True)
class _Piped:
    """What comes on standard input, as a log that has come to its end."""

    stream: BinaryIO
    name: str = "standard input"
    live: bool = False
    size: int | None = None
    key: Hashable = "-"
    state: Hashable | None = field(default=None)

    def open(self) -> BinaryIO:
        """See Log."""
        return self.stream


class StandardInput(Logs):
    """A log from a pipe, plain or packed, once. It is known by its first bytes as a file is: the same stream again adds
    nothing, a longer one what is new. Only what must be read to find that out is kept, in a file without a name.
    """

    def __init__(self, pipe: BinaryIO, origin: str | None = None) -> None:
        super().__init__("standard input", origin)
        self._pipe: BinaryIO | None = pipe

    def listed(self) -> Sequence[Log]:
        """The one log; none the second time."""
        if self._pipe is None:
            return ()
        spooled, self._pipe = Spooled(self._pipe), None
        stream = unpacked(cast(BinaryIO, spooled))
        stream.onward = spooled.onward  # type: ignore[attr-defined]
        return (_Piped(stream),)
