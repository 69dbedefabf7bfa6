"""Columns out of the fields of plain lines: numbers, words, texts, times, URLs; each for all lines at once.

A field comes as an Arrow array, of texts that repeat as a dictionary. Where a line's field has not the form that it
should have, the line is not plain. Python sees distinct values of columns that repeat, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collectors.squid.index import Bools, Bytes, Ints, found
from collectors.squid.schema import TIMESTAMP
from collectors.squid.values import DEFAULT_PORTS

_SLASH, _COLON, _DOT, _MINUS, _X, _BACKSLASH, _ZERO = 47, 58, 46, 45, 120, 92, 48
STAMP_WIDTH = 14
# In ms. Whole numbers: a product of floats goes to a library that keeps threads of its own spinning.
_STAMP = np.concatenate((10 ** np.arange(12, 2, -1), [0], 10 ** np.arange(2, -1, -1))).astype(np.int64)
_ABSENT = pa.array(["-", ""])
_HOST = r"^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$"
_LONGEST = {"elapsed_ms": 12, "bytes_down": 18, "bytes_up": 18, "client_port": 5}  # characters


@dataclass
class Lines:
    """Columns of the lines chosen so far, all of one length, and which of those lines turned out not to be plain."""

    plain: Bools
    columns: dict[str, pa.Array] = field(default_factory=dict)

    def refuse(self, encoded: pa.DictionaryArray, formed: pa.Array) -> None:
        """Lines whose value in `encoded` is not formed are not plain; formed: one truth for each distinct value."""
        if not pc.all(formed).as_py():
            self.plain &= pc.take(formed, encoded.indices).to_numpy(zero_copy_only=False)


def stamp(lines: Lines, values: pa.Array) -> None:
    """`ts` from `1402454773.542`."""
    text, starts, ends = _places(values)
    formed = ends - starts == STAMP_WIDTH
    if formed.all():
        marks = text[starts[0] if len(starts) else 0 :].reshape(-1, STAMP_WIDTH)  # they stand one after the other
    else:
        lines.plain &= formed
        text = np.concatenate((text, np.zeros(STAMP_WIDTH, np.uint8)))
        marks = text[np.where(formed, starts, 0)[:, None] + np.arange(STAMP_WIDTH)]
    digits = marks - np.uint8(_ZERO)
    strange = digits > 9
    strange[:, 10] = marks[:, 10] != _DOT
    if strange.any():
        lines.plain &= ~strange.any(axis=1)
    lines.columns["ts"] = pa.array((digits @ _STAMP) * 1000).cast(pa.timestamp("us")).cast(TIMESTAMP)


def moment(lines: Lines, encoded: pa.DictionaryArray, read: Callable[[str], object]) -> None:
    """`ts` from a text that `read` makes a moment of, once for each distinct one."""
    moments = pa.array([read(text) for text in encoded.dictionary.to_pylist()], TIMESTAMP)
    lines.refuse(encoded, pc.is_valid(moments))
    lines.columns["ts"] = moments.take(encoded.indices)


def number(lines: Lines, values: pa.Array, name: str) -> None:
    """A column of whole numbers."""
    text, starts, ends = _places(values)
    lines.plain &= (ends - starts <= _LONGEST[name]) & (ends > starts)
    if len(text):
        lines.plain &= (text[np.minimum(starts + 1, len(text) - 1)] | np.uint8(32)) != _X  # 0x10: Arrow reads it
        if name == "client_port":
            lines.plain &= text[np.minimum(starts, len(text) - 1)] != _MINUS
    try:
        lines.columns[name] = values.cast(pa.int64())
        return
    except pa.ArrowInvalid:
        formed = pc.match_substring_regex(values, r"^-?[0-9]{1,18}$")
    lines.plain &= formed.to_numpy(zero_copy_only=False)
    lines.columns[name] = pc.if_else(formed, values, None).cast(pa.int64())


def status(lines: Lines, encoded: pa.DictionaryArray) -> None:
    """`status` of three digits."""
    formed = pc.match_substring_regex(encoded.dictionary, r"^[0-9]{3}$")
    lines.refuse(encoded, formed)
    lines.columns["status"] = pc.if_else(formed, encoded.dictionary, None).cast(pa.int32()).take(encoded.indices)


def word(lines: Lines, encoded: pa.DictionaryArray, name: str) -> None:
    """A column of few capital words (TCP_MISS, HIER_DIRECT); anything else is not plain."""
    lines.refuse(encoded, pc.match_substring_regex(encoded.dictionary, "^[A-Z][A-Z0-9_]*$"))
    lines.columns[name] = encoded


def text(
    lines: Lines,
    encoded: pa.DictionaryArray,
    name: str,
    read: Callable[[str], str | None],
    escapes: str,
    longest: int,
    formed: str,
) -> None:
    """A column of text that repeats.

    read: what makes its value of a text that holds one of `escapes` or is `longest` characters long, each once.
    formed: a regular expression of the texts that are plain, '' for all.
    """
    distinct = encoded.dictionary
    if formed:
        lines.refuse(encoded, pc.match_substring_regex(distinct, formed))
    told = pc.is_in(distinct, _ABSENT)
    for mark in escapes:
        told = pc.or_(told, pc.match_substring(distinct, mark))
    if longest:
        told = pc.or_(told, pc.greater_equal(pc.binary_length(distinct), longest))
    some = distinct.filter(told)
    if len(some):
        values = pc.replace_with_mask(distinct, told, pa.array(list(map(read, some.to_pylist())), pa.string()))
        encoded = renamed(encoded, values)
    lines.columns[name] = encoded


def renamed(encoded: pa.DictionaryArray, values: pa.Array) -> pa.DictionaryArray:
    """The same column with other values in its dictionary; two may have become one, and null is absence."""
    again = values.dictionary_encode()
    return pa.DictionaryArray.from_arrays(again.indices.take(encoded.indices), again.dictionary)


def parted(encoded: pa.DictionaryArray, byte: int) -> tuple[pa.DictionaryArray, pa.DictionaryArray, pa.Array]:
    """Each value cut at the first `byte` in it, and which distinct ones hold it."""
    places, starts, ends = _places(encoded.dictionary)
    at = _following(np.flatnonzero(places == byte), starts, ends)
    left, right = _spans(places, starts, at), _spans(places, np.minimum(at + 1, ends), ends)
    return renamed(encoded, left), renamed(encoded, right), pa.array(at < ends)


def url(lines: Lines, values: pa.Array, escaped: bool) -> None:
    """`url`, `scheme`, `host`, `port`, `path`; whether it is a tunnel's host:port, the column `method` says.

    escaped: a backslash in it begins an escape, and the line is not plain.
    """
    columns = lines.columns
    columns["url"] = values
    text, starts, ends = _places(values)
    if escaped:
        lines.plain &= _following(np.flatnonzero(text == _BACKSLASH), starts, ends) == ends
    methods = columns.get("method", pa.nulls(len(starts), pa.string()))
    tunnel = pc.fill_null(pc.equal(methods, "CONNECT"), False).to_numpy(zero_copy_only=False)
    slashes, colons = found(text, lambda part: part == _SLASH), found(text, lambda part: part == _COLON)
    colon = _following(colons, starts, ends)
    text = np.concatenate((text, np.zeros(3, np.uint8)))
    web = (text[colon + 1] == _SLASH) & (text[colon + 2] == _SLASH)
    formed = np.where(tunnel, colon + 1 < ends, web & (starts < colon) & (colon + 3 < ends))
    lines.plain &= (colon < ends) & formed
    begin = np.where(tunnel, starts, np.minimum(colon + 3, ends))
    path = np.where(tunnel, ends, _following(slashes, begin, ends))
    host_end = np.where(tunnel, colon, np.minimum(_following(colons, begin, ends), path))
    schemes = pc.utf8_lower(_spans(text, starts, np.where(tunnel | ~web, starts, colon))).dictionary_encode()
    lines.refuse(schemes, pc.is_in(schemes.dictionary, pa.array(["", *DEFAULT_PORTS])))
    columns["scheme"] = renamed(schemes, pc.if_else(pc.equal(schemes.dictionary, ""), None, schemes.dictionary))
    columns["host"] = _hosts(lines, _spans(text, begin, host_end).dictionary_encode())
    columns["port"] = _ports(lines, _spans(text, np.minimum(host_end + 1, path), path).dictionary_encode(), schemes)
    paths = _spans(text, path, ends)
    if (path == ends)[~tunnel].any():
        paths = pc.if_else(pc.equal(paths, ""), "/", paths)
    columns["path"] = pc.if_else(pa.array(tunnel), pa.scalar(None, pa.string()), paths)


def _hosts(lines: Lines, encoded: pa.DictionaryArray) -> pa.Array:
    names = pc.utf8_rtrim(pc.utf8_lower(encoded.dictionary), ".")
    lines.refuse(encoded, pc.match_substring_regex(names, _HOST))
    return encoded if names.equals(encoded.dictionary) else renamed(encoded, names)


def _ports(lines: Lines, written: pa.DictionaryArray, schemes: pa.DictionaryArray) -> pa.Array:
    """The port as written between host and path, else the scheme's."""
    named = pc.match_substring_regex(written.dictionary, "^[0-9]{1,5}$")
    numbers = pc.if_else(named, written.dictionary, None).cast(pa.int32())
    lines.refuse(written, pc.or_(named, pc.equal(written.dictionary, "")))
    defaults = pa.array([DEFAULT_PORTS.get(scheme) for scheme in schemes.dictionary.to_pylist()], pa.int32())
    return pc.coalesce(numbers.take(written.indices), defaults.take(schemes.indices))


def _places(values: pa.Array) -> tuple[Bytes, Ints, Ints]:
    """The bytes of an Arrow string array, and where each value begins and ends in them."""
    _, offsets, data = values.buffers()
    bounds = np.frombuffer(offsets, np.int32)[values.offset : values.offset + len(values) + 1].astype(np.int64)
    text = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return text[: bounds[-1]] if len(bounds) else text, bounds[:-1], bounds[1:]


def _spans(text: Bytes, starts: Ints, ends: Ints) -> pa.Array:
    """The bytes between each start and end, as an Arrow string array. Spans ascend, do not overlap, and are ASCII."""
    offsets = np.empty(2 * len(starts) + 1, np.int32)
    offsets[0:-1:2], offsets[1::2] = starts, ends
    offsets[-1] = ends[-1] if len(ends) else 0
    both = pa.Array.from_buffers(pa.string(), 2 * len(starts), [None, pa.py_buffer(offsets), pa.py_buffer(text)])
    return both.take(pa.array(np.arange(0, 2 * len(starts), 2, dtype=np.int32)))


def _following(places: Ints, starts: Ints, ends: Ints) -> Ints:
    """For each span the first of `places` in it, or its end where there is none."""
    if len(places) == 0:
        return ends
    at = np.searchsorted(places, starts)
    found = places[np.minimum(at, len(places) - 1)]
    return np.where((found >= starts) & (found < ends), found, ends)
