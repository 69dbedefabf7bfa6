"""The records in a JSON text, one after the other, each with the very text it stood in.

Takes every shape that exports come in: a Graph page (`{"value": […]}`), a message of Event Hub (`{"records": […]}`), a
list, one record a line, several of these in a row. A text that is cut off or damaged yields what can be read first. A
comma before the end of an object or list, as documentation has it, is read over. Knows nothing of what a record means.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator
from typing import Any, NamedTuple

_DECODER = json.JSONDecoder()
_BLANK = re.compile(r"[\s,]*")
_LINE = re.compile(r"[^\n]*\n?")
_LISTS = ("value", "records", "results")
_MARKS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]]', re.DOTALL)
_LAST_COMMA = re.compile(r'("[^"\\]*(?:\\.[^"\\]*)*")|,(?=\s*[}\]])', re.DOTALL)
_LONGEST = 1 << 24  # characters of a record in which commas are looked for


class Record(NamedTuple):
    """A record: where it begins (characters), its own text, and its value; value is None where the text is no JSON.

    text: as it stood, but without commas that JSON does not have.
    """

    offset: int
    text: str
    value: Any


class CutOffError(Exception):
    """The text ends, or stops being JSON, in the middle of a record. offset: where that record begins."""

    def __init__(self, offset: int, why: str) -> None:
        super().__init__(why)
        self.offset = offset


def records(text: str) -> Iterator[Record]:
    """All records of `text`. A damaged line of a file with one record a line comes as a Record without value.

    Raises CutOffError, after all records before it, where a page or a list breaks off, or the last line does.
    """
    at = _skip(text, 0)
    while at < len(text):
        if text[at] == "[":
            at = yield from _elements(text, at)
        elif text[at] == "{":
            at = yield from _page_or_record(text, at)
        else:
            at = yield from _bad_line(text, at)
        at = _skip(text, at)


def _page_or_record(text: str, begin: int) -> Generator[Record, None, int]:
    """One object: a page gives the elements of its `value`, any other is a record. Returns the place after it."""
    at = _skip(text, begin + 1)
    try:
        while at < len(text) and text[at] == '"':
            key, at = _DECODER.raw_decode(text, at)
            at = _skip(text, at)
            if at >= len(text) or text[at] != ":":
                break
            at = _skip(text, at + 1)
            if key in _LISTS and text[at : at + 1] == "[":
                at = yield from _elements(text, at)
                return (yield from _rest_of_page(text, at))
            if key not in _PAGE_KEYS:
                break
            _, at = _DECODER.raw_decode(text, at)
            at = _skip(text, at)
        record, end = _record(text, begin)
    except (ValueError, RecursionError) as exc:
        return (yield from _bad_line(text, begin, str(exc)))
    value = record.value
    for key in _LISTS:
        if isinstance(value.get(key), list) and "id" not in value:
            inner = re.compile(rf'"{key}"\s*:\s*\[').search(text, begin, end)
            if inner:
                yield from _elements(text, inner.end() - 1)
                return end
    yield record
    return end


def _record(text: str, begin: int) -> tuple[Record, int]:
    """The object or other value that begins there, and the place after it. Raises ValueError, RecursionError."""
    try:
        value, end = _DECODER.raw_decode(text, begin)
        return Record(begin, text[begin:end], value), end
    except ValueError:
        end = _end_of(text, begin)
        better = _LAST_COMMA.sub(r"\1", text[begin:end])
        if not end or len(better) == end - begin:
            raise
        return Record(begin, better, json.loads(better)), end


def _end_of(text: str, begin: int) -> int:
    """The place after the bracket that closes the one at `begin`; 0 where there is none."""
    depth = 0
    for mark in _MARKS.finditer(text, begin, begin + _LONGEST):
        if mark.start() == begin and mark.group() not in "{[":
            return 0
        if mark.group() in "{[":
            depth += 1
        elif mark.group() in "}]":
            depth -= 1
            if depth <= 0:
                return mark.end()
    return 0


_PAGE_KEYS = frozenset(
    {"@odata.context", "@odata.nextLink", "@odata.count", "@odata.deltaLink", "@microsoft.graph.tips"}
)


def _rest_of_page(text: str, at: int) -> Generator[Record, None, int]:
    """Pass what follows the list in a page, up to its closing brace."""
    yield from ()
    at = _skip(text, at)
    while at < len(text) and text[at] == '"':
        try:
            _, at = _DECODER.raw_decode(text, at)
            at = _skip(text, at)
            _, at = _DECODER.raw_decode(text, _skip(text, at + 1))
        except (ValueError, RecursionError) as exc:
            raise CutOffError(at, str(exc)) from exc
        at = _skip(text, at)
    if at >= len(text):
        raise CutOffError(at, "the page is not closed")
    return at + 1


def _elements(text: str, begin: int) -> Generator[Record, None, int]:
    """The elements of a list. Returns the place after it; raises CutOffError where it breaks off."""
    at = _skip(text, begin + 1)
    while at < len(text) and text[at] != "]":
        try:
            record, end = _record(text, at)
        except (ValueError, RecursionError) as exc:
            raise CutOffError(at, str(exc)) from exc
        yield record
        at = _skip(text, end)
    if at >= len(text):
        raise CutOffError(at, "the list is not closed")
    return at + 1


def _bad_line(text: str, begin: int, why: str = "not JSON") -> Generator[Record, None, int]:
    """A line that is no JSON is one bad record, if lines follow it; else the text is cut off there."""
    line = _LINE.match(text, begin)
    assert line is not None, "matches the empty text too"
    following = _skip(text, line.end())
    if following >= len(text) or text[following] not in "{[":
        raise CutOffError(begin, why)
    if text[following - 1] != "\n":
        raise CutOffError(begin, why)  # an indented line inside of a broken record, not the next record
    yield Record(begin, line.group().rstrip("\r\n"), None)
    return line.end()


def _skip(text: str, at: int) -> int:
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at
