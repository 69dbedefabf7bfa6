"""Files in S3 as DuckDB reads them: those that it was told of, and nothing else; read only.

DuckDB reads a Parquet file's end several times and then pieces of it. The ends, and small files as a whole, are fetched
for many files at a time and kept for the length of a question; so what counts is the amount of data and not the
number of files.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa
from fsspec import AbstractFileSystem
from pyiceberg.io import FileIO
from pyiceberg.manifest import DataFile

from pfsquid.lake.access import S3, arrow_file, located

WHOLE = 512 * 1024  # bytes; a file of not more is fetched as a whole
END = 64 * 1024  # bytes of the end of others, where what there is to know of them stands
KEPT = 32 << 20  # bytes of ends and small files in memory
AT_ONCE = 16  # requests


class DuckFiles(AbstractFileSystem):
    """What DuckDB takes for the file system of `s3://`. `learn` tells of files, in which order ever."""

    protocol = "s3"
    cachable = False
    failed: Exception | None = None  # what S3 refused last, which DuckDB tells as a fault of its own

    def __init__(self) -> None:
        super().__init__()
        self._files: dict[str, _Remote] = {}
        self.kept = Kept()

    def learn(self, io: FileIO, files: Iterable[DataFile]) -> None:
        """These may be read. Their ends are fetched now. Raises OSError."""
        new = {located(file): file.file_size_in_bytes for file in files if located(file).startswith(S3)}
        new = {path: size for path, size in new.items() if path not in self._files}
        self._files |= {path: _Remote(io, path, size, self) for path, size in new.items()}
        first: list[_Remote] = []
        room = KEPT - self.kept.size
        for path, size in new.items():
            room -= size if size <= WHOLE else END
            if room < 0:
                break
            first.append(self._files[path])
        if first:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                list(pool.map(_Remote.fetch_end, first))

    def open(self, path: str, mode: str = "rb", **_: Any) -> _Handle:
        """A file, to be read."""
        if mode != "rb":
            raise PermissionError(f"{path} is read, never written")
        return _Handle(self._known(path))

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Its size."""
        return {"name": path, "size": self._known(path).size, "type": "file"}

    def glob(self, path: str, **_: Any) -> list[str]:
        """The file of this very name; there are no patterns."""
        return [path] if self._of(path) in self._files else []

    def exists(self, path: str, **_: Any) -> bool:
        """Was it told of?"""
        return self._of(path) in self._files

    def isfile(self, path: str) -> bool:
        """Was it told of?"""
        return self.exists(path)

    def isdir(self, path: str) -> bool:  # noqa: ARG002
        """There are no folders in S3."""
        return False

    def modified(self, path: str) -> datetime:
        """A data file is written once."""
        self._known(path)
        return datetime(1970, 1, 1, tzinfo=UTC)

    def _known(self, path: str) -> _Remote:
        found = self._files.get(self._of(path))
        if found is None:
            raise PermissionError(f"{path} is no file of the lake")
        return found

    def _of(self, path: str) -> str:
        return path if path.startswith(S3) else f"{S3}{path}"


class Kept:
    """Bytes that are kept, so many at most; those used least go first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._parts: OrderedDict[str, bytes] = OrderedDict()
        self.size = 0

    def get(self, path: str) -> bytes | None:
        """What is kept of a file."""
        with self._lock:
            if path in self._parts:
                self._parts.move_to_end(path)
            return self._parts.get(path)

    def put(self, path: str, part: bytes) -> None:
        """Keep it, as long as there is room."""
        with self._lock:
            self.size += len(part) - len(self._parts.pop(path, b""))
            self._parts[path] = part
            while self.size > KEPT:
                self.size -= len(self._parts.popitem(last=False)[1])


class _Remote:
    """A file in S3, opened once for all who read it."""

    def __init__(self, io: FileIO, path: str, size: int, of: DuckFiles) -> None:
        self._io, self._path, self.size, self._of = io, path, size, of
        self._lock = threading.Lock()
        self._file: pa.NativeFile | None = None

    def read(self, begin: int, length: int) -> bytes:
        length = min(length, self.size - begin)
        if length <= 0:
            return b""
        if begin >= self._end:
            part = self.fetch_end()
            return part[begin - self._end : begin - self._end + length]
        return self._fetched(begin, length)

    def fetch_end(self) -> bytes:
        part = self._of.kept.get(self._path)
        if part is None:
            part = self._fetched(self._end, self.size - self._end)
            self._of.kept.put(self._path, part)
        return part

    @property
    def _end(self) -> int:
        return 0 if self.size <= WHOLE else self.size - END

    def _fetched(self, begin: int, length: int) -> bytes:
        try:
            return bytes(self._opened().read_at(length, begin))
        except Exception as exc:
            self._of.failed = exc
            raise

    def _opened(self) -> pa.NativeFile:
        with self._lock:
            if self._file is None:
                self._file = arrow_file(self._io, self._path)
            return self._file


class _Handle:
    """A place in a file, for one who reads it."""

    def __init__(self, remote: _Remote) -> None:
        self._remote, self._at = remote, 0

    def seek(self, to: int, whence: int = 0) -> int:
        self._at = to + (0, self._at, self._remote.size)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, length: int = -1) -> bytes:
        part = self._remote.read(self._at, length if length >= 0 else self._remote.size)
        self._at += len(part)
        return part

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        """Others may read it yet."""

    def __enter__(self) -> _Handle:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def duck_filesystem(connection: duckdb.DuckDBPyConnection) -> DuckFiles:
    """Files in S3 for one connection, which knows of none at first."""
    files = DuckFiles()
    connection.register_filesystem(files)
    return files
