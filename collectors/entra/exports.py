"""Files of sign-ins and directory audits → batches of rows, each file recognised by what it holds.

JSON in every shape of `shapes`, as pages, lists, messages of Event Hub or one record a line; CSV of the Entra portal,
of Log Analytics and PowerShell. One record a line and CSV are read line by line, other JSON is held as a whole.
"""

from __future__ import annotations

import csv
import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from collectors.batch import Batch, Position, Reject
from collectors.entra import audits, portal, signins
from collectors.entra.records import CutOffError, records
from collectors.entra.shapes import AUDITS, SIGNINS, Alien, Told, told
from collectors.entra.streamed import FileError, Text, lines, texts
from collectors.entra.values import sound

BATCH_RECORDS = 20_000
BATCH_BYTES = 12 << 20  # of the records' own text in memory; a batch is a few times as much
STRANGE = 1_000  # so many records that are none of ours may come before the first that is
_SCHEMAS = {SIGNINS: signins.SIGNINS_SCHEMA, AUDITS: audits.AUDITS_SCHEMA}
_DECODER = json.JSONDecoder()


class _Found(NamedTuple):
    """What stands at a place of a file. offset: in bytes. text: as it is kept. one: None where it is no record, and
    why. stood: as it stood, where that is another text."""

    offset: int
    text: str
    one: Told | Alien | None
    why: str = "not JSON"
    stood: str = ""


def collect(path: Path, seen: Callable[[str], None] = lambda _: None) -> Iterator[Batch]:
    """Batches of a file's sign-ins and audits, keyed by id: a record replaces the same record of before.

    seen: is told what the file holds, in words, once for each shape. Raises FileError: before the first batch where
    the file holds neither, or after the last record that could be read where it is damaged.
    """
    for text in texts(path):
        yield from _collected(path, text, seen)


def _collected(path: Path, text: Text, seen: Callable[[str], None]) -> Iterator[Batch]:
    held = _Held(f"{text.name}#{hashlib.blake2b(text.head, digest_size=6).hexdigest()}")
    shapes: set[str] = set()
    broken: FileError | None = None
    read = end = 0
    strange = ""
    try:
        for found in _found(path, text):
            end = found.offset
            row = _row(found)
            if isinstance(found.one, Told):
                if found.one.shape not in shapes:
                    shapes.add(found.one.shape)
                    seen(found.one.shape)
                if isinstance(row, dict):
                    read += 1
                    held.add(found.one.table, row)
                    if held.full:
                        yield from held.batches(end)
            elif isinstance(found.one, Alien):
                strange = strange or found.one.reason
                if not shapes and len(held.rejects) >= STRANGE:
                    break
            if isinstance(row, str):
                held.rejects.append(Reject(end, row, text.bytes_of(found.stood or found.text)))
    except CutOffError as exc:
        if not shapes and not strange:
            raise FileError(_no_records(path, str(exc)), wrong_use=True) from exc
        broken = FileError(f"{path} is cut off or damaged after {read:,} records, at byte {exc.offset:,}: {exc}")
    if not shapes and strange:
        raise FileError(_strange(path, strange), wrong_use=True)
    if not shapes and held.rejects:
        raise FileError(_no_records(path, f"it begins with {held.rejects[0].raw[:40]!r}"), wrong_use=True)
    if text.cut and broken is None:
        broken = FileError(f"{path} is cut off or damaged after {read:,} records: {text.cut}")
    yield from held.batches(end + 1)
    if broken:
        raise broken


def _row(found: _Found) -> dict[str, Any] | str:
    if isinstance(found.one, Told):
        row_of = signins.row_of if found.one.table == SIGNINS else audits.row_of
        return row_of(found.one.value, found.text)
    return found.why if found.one is None else found.one.reason


class _Held:
    """Rows and rejects on their way to a batch. source: where they are from."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.rejects: list[Reject] = []
        self._rows: dict[str, dict[str, dict[str, Any]]] = {SIGNINS: {}, AUDITS: {}}
        self._bytes = 0

    def add(self, table: str, row: dict[str, Any]) -> None:
        """Add a row; a later one of the same id takes its place."""
        self._rows[table][row["id"]] = row
        self._bytes += sys.getsizeof(row["raw"])

    @property
    def full(self) -> bool:
        """Is it enough for a batch?"""
        return self._bytes >= BATCH_BYTES or sum(map(len, self._rows.values())) >= BATCH_RECORDS

    def batches(self, offset: int) -> Iterator[Batch]:
        """What is held, a batch for each table; held no longer. The rejects go with the first."""
        wanted = [table for table, rows in self._rows.items() if rows] or ([SIGNINS] if self.rejects else [])
        for table in wanted:
            rows, schema = self._rows[table].values(), _SCHEMAS[table]
            columns = {name: [row[name] for row in rows] for name in schema.names}
            self._rows[table] = {}
            batch = pa.Table.from_pydict(columns, schema=schema)
            yield Batch(table, batch, self.source, Position(offset), self.rejects, key="id")
            self.rejects = []
        self._bytes = 0


def _found(path: Path, text: Text) -> Iterator[_Found]:
    """What the file holds, in its order. Raises CutOffError (offset in bytes) and FileError."""
    begun = _begun(text)
    begin = begun.lstrip(" \t\r\n,")
    pieces = chain([begun], text.pieces)
    if begin[:1] in ("{", "["):
        yield from _lines_of(text, pieces) if _is_lines(begin) else _document(text, "".join(pieces), text.begin)
    elif begin:
        header = _columns(begin, path.name)
        if isinstance(header, portal.Columns):
            yield from _table(text, pieces, header, _delimiter(begin))
        elif header:
            raise FileError(_strange(path, header, "CSV"), wrong_use=True)
        elif any(line[:1] in ("{", "[") for line in begin.splitlines()):
            yield from _document(text, "".join(pieces), text.begin)
        else:
            raise FileError(_no_records(path, f"it begins with {begin[:40]!r}"), wrong_use=True)


def _begun(text: Text) -> str:
    """The text's first piece that has something in it, with all before it, and as far as its first line goes."""
    begun = ""
    for piece in text.pieces:
        begun += piece
        if "\n" in begun.lstrip() or len(begun) > BATCH_BYTES:
            break
    return begun


def _is_lines(begin: str) -> bool:
    """Does the first line hold a whole object or list, so that the file is read line by line?"""
    line, _, rest = begin.partition("\n")
    try:
        return bool(rest) and not line[_DECODER.raw_decode(line)[1] :].strip(" \t\r,")
    except (ValueError, RecursionError):
        return False


def _lines_of(text: Text, pieces: Iterator[str]) -> Iterator[_Found]:
    """One record, page or message a line. A line that is no JSON is one bad record where the next line begins one; else
    what follows is read as one document, in which a record may have many lines."""
    offset, bad = text.begin, ""
    rest = lines(pieces)
    for line in rest:
        bare = line.strip(" \t\r\n,")
        if bad and bare:
            if bare[0] not in "{[":
                yield from _document(text, "".join([bad, line, *rest]), offset - text.width(bad))
                return
            yield _Found(offset - text.width(bad), bad.rstrip("\r\n"), None)
            bad = ""
        elif bad:
            bad += line
        if not bad and bare:
            try:
                yield from list(_document(text, line, offset))
            except CutOffError:
                bad = line
        offset += text.width(line)
    if bad:
        yield from _document(text, bad, offset - text.width(bad))


def _document(text: Text, whole: str, begin: int) -> Iterator[_Found]:
    """The records of a JSON text. begin: the bytes before it."""
    place = _places(text, whole, begin)
    next(place)
    try:
        for record in records(whole):
            if not isinstance(record.value, dict):
                why = "not JSON" if record.value is None else "not a record"
                yield _Found(place.send(record.offset), record.text, None, why)
                continue
            for one in told(record.value):
                own = one.text if isinstance(one, Told) else None
                yield _Found(place.send(record.offset), record.text if own is None else own, one)
    except CutOffError as exc:
        raise CutOffError(place.send(exc.offset), str(exc)) from exc


def _places(text: Text, whole: str, begin: int) -> Any:
    """A generator that is sent places in characters, in their order, and gives them in bytes."""
    last = 0
    while True:
        at = yield begin
        begin += text.width(whole[last:at]) if at > last else 0
        last = max(last, at)


def _table(text: Text, pieces: Iterator[str], header: portal.Columns, delimiter: str) -> Iterator[_Found]:
    """The rows of a CSV after its first line. A row of too many or too few values is none."""
    taken: list[str] = []

    def read() -> Iterator[str]:
        for line in lines(pieces):
            taken.append(line)
            yield line

    offset = text.begin
    rows = csv.reader(read(), delimiter=delimiter)
    number = 0
    while True:
        why = ""
        try:
            row = next(rows, None)
        except csv.Error as exc:
            row, why = [], f"no row of a CSV: {exc}"
        if row is None:
            return
        stood = "".join(taken)
        taken.clear()
        if number and stood.strip():
            if not sound(stood):
                yield _Found(offset, stood.rstrip("\r\n"), None, "characters that no Unicode text holds")
            elif len(row) == len(header.names):
                for one in header.read(row):
                    own = (one.text if isinstance(one, Told) else None) or stood
                    yield _Found(offset, own, one, stood=stood.rstrip("\r\n"))
            elif text.cut or not stood.endswith("\n"):
                raise CutOffError(offset, "the last row is not whole")
            else:
                why = why or f"{len(row)} values where the first line has {len(header.names)}"
                yield _Found(offset, stood.rstrip("\r\n"), None, why)
        number += bool(stood.strip())
        offset += text.width(stood)


def _columns(begin: str, name: str) -> portal.Columns | str:
    try:
        header = next(csv.reader([begin.partition("\n")[0]], delimiter=_delimiter(begin)), [])
    except csv.Error:
        return ""
    return portal.columns(header, name) if len(header) > 1 else ""


def _delimiter(begin: str) -> str:
    """A comma; where a spreadsheet wrote the file anew, a semicolon or a tab."""
    line = begin.partition("\n")[0]
    return max(",;\t", key=line.count)


def _no_records(path: Path, why: str) -> str:
    return f"{path} is no JSON of sign-ins or audits, and no CSV of them: {why}"


def _strange(path: Path, what: str, form: str = "JSON") -> str:
    return f"{path} is {form}, but its records are no sign-ins of Microsoft Graph and no directory audits: it is {what}"
