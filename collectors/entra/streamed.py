"""A file's text, piece by piece: unpacked, decoded, with the place of every piece in bytes. Knows nothing of records.

Files may be packed with gzip or zip, and be in UTF-8, UTF-16 or UTF-32, with and without a byte order mark. Memory is
that of a piece. What is not Unicode comes as lone surrogates and can be given back as the bytes that it was.
"""

from __future__ import annotations

import codecs
import gzip
import json
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

PIECE = 1 << 18  # bytes
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, "utf-8"),
)


class FileError(Exception):
    """A file that cannot be read (further). wrong_use: it is not what it was said to be."""

    def __init__(self, reason: str, wrong_use: bool = False) -> None:
        super().__init__(reason)
        self.wrong_use = wrong_use


@dataclass
class Text:
    """A file, or one in a zip. name: for people. begin: the bytes before the text, a byte order mark.

    head: its first bytes, unpacked. pieces: its whole text, once. cut: why it ends too early, known when all pieces
    have come.
    """

    name: str
    head: bytes
    codec: str
    begin: int
    pieces: Iterator[str] = field(repr=False)
    cut: str = ""

    def bytes_of(self, text: str) -> bytes:
        """A part of the text as the bytes that it was read from."""
        return text.encode(self.codec, "surrogateescape" if self.codec == "utf-8" else "surrogatepass")

    def width(self, text: str) -> int:
        """How many bytes a part of the text was."""
        return len(text) if self.codec == "utf-8" and text.isascii() else len(self.bytes_of(text))


def texts(path: Path) -> Iterator[Text]:
    """The texts of a file: one, or those in a zip, each to be read before the next. Raises FileError."""
    with ExitStack() as held:
        try:
            if path.is_dir():
                raise FileError(f"{path} is a directory; name the files in it: {path}/*.json", wrong_use=True)
            file = held.enter_context(path.open("rb"))
            magic = file.peek(4)[:4]
            if magic == b"PK\x03\x04":
                packed = held.enter_context(zipfile.ZipFile(file))
                for info in packed.infolist():
                    if not info.is_dir():
                        with packed.open(info) as member:
                            yield _text(f"{path.name}/{info.filename}", member)
            elif magic[:2] == b"\x1f\x8b":
                yield _text(path.name, held.enter_context(gzip.GzipFile(fileobj=file)))
            else:
                yield _text(path.name, file)
        except FileNotFoundError:
            raise FileError(f"there is no file {path}", wrong_use=True) from None
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as exc:
            raise FileError(f"{path} cannot be unpacked: {exc}") from exc
        except OSError as exc:
            raise FileError(f"{path} cannot be read: {exc}") from exc


def _text(name: str, stream: IO[bytes] | gzip.GzipFile) -> Text:
    text = Text(name, b"", "utf-8", 0, iter(()))
    parts = _parts(text, stream)
    while len(text.head) < 4096 and (part := next(parts, None)):
        text.head += part
    begin = text.head
    mark, text.codec = next(((bom, codec) for bom, codec in _BOMS if begin.startswith(bom)), (b"", ""))
    text.codec = text.codec or json.detect_encoding(begin)
    text.begin = len(mark) * (2 if mark and begin.startswith(mark * 2) else 1)  # PowerShell puts one before another's
    text.head = begin[:4096]
    text.pieces = _decoded(text, begin[text.begin :], parts)
    return text


def _parts(text: Text, stream: IO[bytes] | gzip.GzipFile) -> Iterator[bytes]:
    """The bytes as far as they can be read and unpacked."""
    read: object = getattr(stream, "read1", stream.read)
    assert callable(read)
    try:
        while part := read(PIECE):
            yield part
    except (EOFError, OSError, zlib.error, zipfile.BadZipFile) as exc:
        text.cut = str(exc)


def _decoded(text: Text, begin: bytes, parts: Iterator[bytes]) -> Iterator[str]:
    """The text. Half a character at the very end is left out. Raises FileError where it is no text of its encoding."""
    errors = "surrogateescape" if text.codec == "utf-8" else "surrogatepass"
    decoder = codecs.getincrementaldecoder(text.codec)(errors)
    try:
        if first := decoder.decode(begin):
            yield first
        for part in parts:
            if piece := decoder.decode(part):
                yield piece
        if text.codec == "utf-8" and (rest := decoder.decode(b"", final=True)):
            yield rest
    except UnicodeDecodeError as exc:
        raise FileError(f"{text.name} is no JSON: {exc}", wrong_use=True) from exc


def lines(pieces: Iterator[str]) -> Iterator[str]:
    """The lines of a text, each with its end."""
    rest: list[str] = []
    for piece in pieces:
        whole = piece.split("\n")
        for line in whole[:-1]:
            yield "".join([*rest, line, "\n"]) if rest else line + "\n"
            rest = []
        rest.append(whole[-1])
    if last := "".join(rest):
        yield last
