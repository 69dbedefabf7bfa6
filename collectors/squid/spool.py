"""The spool: a folder of plain logs, to which a receiver appends whole lines, bounded in size.

One receiver has one folder (a lock sees to it) and one growing file in it, a new one each 64 MB and each day (UTC).
The folder is read as any folder of logs is; a file that is closed and read whole is then deleted. Files are appended
to and deleted, never truncated: what a reader has seen stays where it was.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from collectors.batch import Position
from collectors.squid.follow import PRINT, SourceError, digest
from collectors.squid.framing import marked
from collectors.squid.places import LocalLogs

FILE_BYTES = 64 * 1024 * 1024
PATTERN = "received-*.log"
_NAME = "received-%Y%m%dT%H%M%S.%fZ.log"


class Spool:
    """The writing end. For one thread, but for `sync`, `current` and `size`.

    limit: bytes of all files together at which it is `full`. It may be passed by what was on its way. sync_each: bring
    each block to the disk at once.
    """

    def __init__(self, folder: Path, limit: int, now: Callable[[], float] = time.time, sync_each: bool = False) -> None:
        self.folder, self.limit = folder, limit
        self.current: Path | None = None  # the file that grows
        self.size = 0  # bytes of all files
        self.problem = ""  # why nothing can be written now, or ''
        self.half_lines = 0  # left by a receiver that was killed, marked by this one
        self._file_bytes = min(FILE_BYTES, max(1, limit // 4))
        self._now, self._sync_each = now, sync_each
        self._lock: int | None = None
        self._file: int | None = None
        self._file_size, self._day = 0, ""
        self._newest = ""  # name of the newest file ever seen here
        self._waiting = b""  # what the disk had no room for
        self._cut = False  # the growing file ends within a line, since the disk had no room for more
        self._unsynced = False
        self._guard = threading.Lock()  # around the descriptor, for `sync`

    def open(self) -> None:
        """Make and lock the folder, and mark the half line that a killed receiver left. Raises SourceError."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.half_lines = sum(map(_mend, spool_files(self.folder)))
        except BlockingIOError:
            self.close()
            raise SourceError(
                f"another pfsquid receives into {self.folder}: stop it, or give each listener a folder of its own"
            ) from None
        except OSError as exc:
            self.close()
            raise SourceError(f"the spool {self.folder} cannot be used: {exc.strerror or exc}") from exc
        self._waiting = b""
        self.look()

    @property
    def full(self) -> bool:
        """Nothing more may be brought: the limit is reached, or the disk does not take what was brought last."""
        return bool(self._waiting) or self.size >= self.limit

    def append(self, data: bytes) -> None:
        """Hand whole lines to the operating system. What the disk does not take waits, and the spool is `full`."""
        self._waiting += data
        self._write()

    def look(self) -> None:
        """See what was deleted, what has its day behind it, and whether the disk takes again what waits."""
        self._write()
        if self._file is not None and not self._waiting and (self.size >= self.limit or self._day != self._today()):
            self._roll()  # so that it can be deleted once it is read
        files = spool_files(self.folder)
        self.size = sum(_size(file) for file in files)
        self._newest = max([self._newest, *(file.name for file in files[-1:])])

    def sync(self) -> None:
        """Bring what was appended to the disk. May be called from another thread. Raises OSError."""
        with self._guard:
            if self._file is None or not self._unsynced:
                return
            self._unsynced = False
            file = os.dup(self._file)
        try:
            os.fsync(file)
        finally:
            os.close(file)

    def close(self) -> int:
        """Close and unlock; how many lines are lost, since the disk did not take them."""
        if self._lock is None:
            return 0
        self._write()
        lost, self._waiting = self._waiting.count(b"\n"), b""
        self._roll()
        os.close(self._lock)
        self._lock = None
        return lost

    def _write(self) -> None:
        if not self._waiting:
            return
        try:
            if self._file is None or (self._file_size and not self._cut and self._over(len(self._waiting))):
                self._roll()
                self._begin()
            while self._waiting and self._file is not None:
                written = os.write(self._file, self._waiting)
                self._cut = self._waiting[written - 1 : written] != b"\n"
                self._waiting = self._waiting[written:]
                self._file_size += written
                self.size += written
                self._unsynced = True
            if self._sync_each:
                self.sync()
            self.problem = ""
        except OSError as exc:
            self.problem = f"the spool {self.folder} takes no more: {exc.strerror or exc}"

    def _over(self, more: int) -> bool:
        return self._file_size + more > self._file_bytes or self._day != self._today()

    def _today(self) -> str:
        return time.strftime("%Y%m%d", time.gmtime(self._now()))

    def _begin(self) -> None:
        stamp = datetime.fromtimestamp(self._now(), UTC)
        name = stamp.strftime(_NAME)
        if name <= self._newest:  # the clock was set back
            newest = datetime.strptime(self._newest, _NAME).replace(tzinfo=UTC)
            name = (newest + timedelta(microseconds=1)).strftime(_NAME)
        path = self.folder / name
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self.current, self._newest, self._file_size, self._day = path, name, 0, self._today()
        _sync_folder(self.folder)

    def _roll(self) -> None:
        if self._file is None:
            return
        try:
            self.sync()
        except OSError as exc:
            self.problem = f"the spool {self.folder} was not brought to the disk: {exc.strerror or exc}"
        with self._guard:
            os.close(self._file)
            self._file, self.current = None, None
        self._cut = False


class SpoolLogs(LocalLogs):
    """The reading end: the spool as a place of logs, which may be empty. origin: whose lines they are."""

    def __init__(self, folder: Path, origin: str | None = None) -> None:
        super().__init__(str(folder), lambda: spool_files(folder), origin, follows=True, empty=True)


def spool_files(folder: Path) -> list[Path]:
    """The files of a spool, oldest first; the last one may be growing."""
    return sorted(folder.glob(PATTERN))


def remove_read(files: Iterable[Path], read: Iterable[Position]) -> list[Path]:
    """Delete those of the files that have been read whole, and return them. For after the commit of their rows.

    files: of a spool, without the one that is growing. read: the positions that the lake has. Raises OSError.
    """
    ends: dict[int, list[Position]] = {}
    for position in read:
        ends.setdefault(position.offset, []).append(position)
    removed = []
    for path in files:
        if _is_read(path, ends):
            path.unlink(missing_ok=True)
            removed.append(path)
    return removed


def _is_read(path: Path, ends: dict[int, list[Position]]) -> bool:
    size = _size(path)
    # A last line that was read before its line feed came is known by the offset before that.
    known = [*ends.get(size, ()), *(one for one in ends.get(size - 1, ()) if one.unended is not None)]
    if not size or not known:
        return False
    with path.open("rb") as file:
        head = file.read(PRINT)
        for position in known:
            begin = max(0, position.offset - PRINT)
            file.seek(begin)
            tail, after = file.read(position.offset - begin), file.read()
            if (
                after in (b"", b"\n")
                and digest(head[: position.head_bytes]) == position.head
                and digest(tail) == position.tail
            ):
                return True
    return False


def _mend(path: Path) -> int:
    """Mark a half line at the end of a file that nobody writes any more; 1 where there was one."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        if not size:
            path.unlink()
            return 0
        file.seek(size - 1)
        if file.read() == b"\n":
            return 0
        file.write(marked(b"", "the receiver ended in the middle of this line"))
        file.flush()
        os.fsync(file.fileno())
    return 1


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
