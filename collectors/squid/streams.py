"""Bytes of a log as a stream that can be read from any offset: plain, gzip and zstd by what they hold, and pipes.

Read-only. What goes wrong in the middle is an OSError, EOFError or zlib.error of the read, after all that was whole.
"""

from __future__ import annotations

import gzip
import io
import tempfile
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from collectors.squid.follow import SourceError

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_STEP = 64 * 1024


def open_log(path: Path) -> BinaryIO:
    """Open a log for reading, undoing compression where its first bytes say so. Raises SourceError."""
    try:
        if path.is_dir():
            raise SourceError(f"{path} is a directory", wrong_use=True)
        raw = path.open("rb")
        return unpacked(raw if raw.seekable() else cast(BinaryIO, Spooled(raw, owns=True)))
    except FileNotFoundError:
        raise SourceError(f"there is no file {path}", wrong_use=True) from None
    except OSError as exc:
        raise SourceError(f"{path} cannot be opened: {exc.strerror or exc}") from exc


def unpacked(raw: BinaryIO) -> BinaryIO:
    """The stream itself, or what is packed in it; closing it closes `raw`. raw: at its beginning, seekable."""
    magic = b""
    while len(magic) < 4 and (part := raw.read(4 - len(magic))):
        magic += part
    raw.seek(0)
    if magic[:2] == _GZIP:
        return cast(BinaryIO, _Gzip(raw))
    return cast(BinaryIO, _Zstd(raw)) if magic == _ZSTD else raw


class FromBeginning(io.RawIOBase):
    """Bytes that can be read from any offset, told from the beginning. A subclass has `read1`, and its own `_go`."""

    def __init__(self) -> None:
        super().__init__()
        self._at = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """The offset of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to an offset from the beginning."""
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation("from the beginning only")
        return self._go(offset)

    def readinto(self, buffer: object) -> int:
        """As `read1`, into a buffer."""
        view = memoryview(cast(bytearray, buffer))
        part = self.read1(len(view))
        view[: len(part)] = part
        return len(part)

    def read1(self, size: int) -> bytes:
        """Some bytes, at most `size`; none at the end."""
        raise NotImplementedError

    def _go(self, offset: int) -> int:
        self._at = offset
        return offset


class _Gzip(gzip.GzipFile):
    """A gzip stream that closes what it reads from."""

    def __init__(self, raw: BinaryIO) -> None:
        super().__init__(fileobj=raw, mode="rb")
        self._raw = raw

    def close(self) -> None:
        super().close()
        self._raw.close()


class _Zstd(FromBeginning):
    """A zstd stream, of several frames if need be. Going back begins anew, as with gzip."""

    def __init__(self, raw: BinaryIO) -> None:
        super().__init__()
        self._raw = raw
        self._step = _STEP
        self._begin()

    def _begin(self) -> None:
        self._raw.seek(0)
        # Arrow closes the file that it is given, and this one is needed again.
        self._stream = pa.CompressedInputStream(pa.PythonFile(_Lent(self._raw), mode="r"), "zstd")
        self._at = 0

    def _go(self, offset: int) -> int:
        if offset < self._at:
            self._begin()
        while self._at < offset and self.read1(offset - self._at):
            pass
        self._at = offset  # beyond the end there is nothing, and it may be asked for
        return offset

    def read1(self, size: int) -> bytes:
        """Some bytes, at most `size`; Arrow drops what it has where a read meets the damage, so less is asked then."""
        at = self._at
        while True:
            try:
                part: bytes = self._stream.read(min(size, self._step))
            except (OSError, pa.ArrowException) as exc:
                if min(size, self._step) == 1:
                    raise OSError(str(exc)) from exc
                self._step = min(size, self._step) // 2
                self._begin()
                while self._at < at:
                    self._at += len(self._stream.read(min(self._step, at - self._at)))
                continue
            self._at += len(part)
            return part

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Lent:
    """A file for reading that its reader cannot close."""

    closed = False

    def __init__(self, raw: BinaryIO) -> None:
        self.read, self.seek, self.tell = raw.read, raw.seek, raw.tell

    def readable(self) -> bool:
        """Yes."""
        return True

    def close(self) -> None:
        """Leave it open."""


class Spooled(FromBeginning):
    """A pipe as a stream that can go back: what was read is kept in a file without a name, until `onward`.

    owns: close the pipe with it.
    """

    def __init__(self, pipe: BinaryIO, owns: bool = False) -> None:
        super().__init__()
        self._pipe, self._owns = pipe, owns
        self._spool = tempfile.TemporaryFile(prefix="pfsquid-")  # noqa: SIM115 - closed with this stream
        self._kept = self._read = 0
        self._keeps = True

    def onward(self) -> None:
        """From now on nobody goes back to what was not read yet: keep no more of it."""
        self._keeps = False

    def _go(self, offset: int) -> int:
        if self._read > self._kept and offset != self._at:
            raise OSError("standard input cannot be read twice")
        self._at = min(offset, self._read)
        while self._at < offset and self.read1(min(_STEP, offset - self._at)):
            pass
        return self._at

    def read1(self, size: int) -> bytes:
        """Some bytes, at most `size`, as soon as there are any."""
        if self._at < self._kept:
            self._spool.seek(self._at)
            part = self._spool.read(min(size, self._kept - self._at))
        else:
            part = self._pipe.read1(size)  # type: ignore[attr-defined]
            self._read += len(part)
            if self._keeps:
                self._spool.seek(self._kept)
                self._spool.write(part)
                self._kept += len(part)
        self._at += len(part)
        return part

    def close(self) -> None:
        """Drop what was kept."""
        self._spool.close()
        if self._owns:
            self._pipe.close()
        super().close()
