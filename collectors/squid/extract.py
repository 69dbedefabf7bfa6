"""Columns out of the fields of plain lines: numbers, words, texts, times, URLs; each for all lines at once.

A field comes as an Arrow array, of texts that repeat as a dictionary. Where a line's field has not the form that it
should have, the line is not plain. Python sees distinct values of columns that repeat, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collectors.squid.index import Bools, Bytes, Ints, found
from collectors.squid.schema import TIMESTAMP
from collectors.squid.values import DEFAULT_PORTS

_SLASH, _COLON, _DOT, _MINUS, _X, _BACKSLASH, _ZERO = 47, 58, 46, 45, 120, 92, 48
STAMP_WIDTH = 14
# In µs. Whole numbers: a product of floats goes to a library that keeps threads of its own spinning.
_STAMP = np.concatenate((10 ** np.arange(15, 5, -1), [0], 10 ** np.arange(5, 2, -1))).astype(np.int64)
_ABSENT = pa.array(["-", ""])
_WORDS = np.isin(np.arange(256), list(b"abcdefghijklmnopqrstuvwxyz0123456789_"))
_OF_HOSTS = _WORDS | np.isin(np.arange(256), list(b".-"))
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
    text, formed = text[starts[0] if len(starts) else 0 :], ends - starts == STAMP_WIDTH
    if not formed.all():
        lines.plain &= formed
        text = text[np.repeat(formed, ends - starts)]
    marks = text.reshape(-1, STAMP_WIDTH)  # they stand one after the other
    digits = marks - np.uint8(_ZERO)
    strange = digits > 9
    strange[:, 10] = marks[:, 10] != _DOT
    lines.plain[np.flatnonzero(formed)[np.flatnonzero(strange) // STAMP_WIDTH]] = False
    moments = np.zeros(len(starts), np.int64)
    moments[formed] = digits @ _STAMP
    lines.columns["ts"] = pa.array(moments).cast(pa.timestamp("us")).cast(TIMESTAMP)


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
    some = list(map(read, distinct.filter(told).to_pylist()))
    if any(value is not None for value in some):
        encoded = renamed(encoded, pc.replace_with_mask(distinct, told, pa.array(some, pa.string())))
    elif some:
        there = pc.invert(told).take(encoded.indices)
        encoded = pa.DictionaryArray.from_arrays(pc.if_else(there, encoded.indices, None), distinct)
    lines.columns[name] = encoded


def renamed(encoded: pa.DictionaryArray, values: pa.Array) -> pa.DictionaryArray:
    """The same column with other values in its dictionary; two may have become one, and null is absence."""
    again = values.dictionary_encode()
    return pa.DictionaryArray.from_arrays(again.indices.take(encoded.indices), again.dictionary)


def parted(encoded: pa.DictionaryArray, byte: int) -> tuple[pa.DictionaryArray, pa.DictionaryArray, pa.Array]:
    """Each value cut at the first `byte` in it, and which distinct ones hold it."""
    left, right, cut = _parted(encoded.dictionary, chr(byte))
    return renamed(encoded, left), renamed(encoded, right), cut


def _parted(values: pa.Array, mark: str) -> tuple[pa.Array, pa.Array, pa.Array]:
    """What stands before and after the first `mark`, and which values hold one; without it all stands before."""
    text, starts, ends = _places(values)
    at = pc.find_substring(values, mark).to_numpy(zero_copy_only=False)
    cut = at >= 0
    at = np.where(cut, starts + at, ends)
    return _spans(text, starts, at), _spans(text, np.minimum(at + 1, ends), ends), pa.array(cut)


def url(lines: Lines, values: pa.Array, escaped: bool) -> None:
    """`url`, `scheme`, `host`, `port`, `path`; whether it is a tunnel's host:port, the column `method` says.

    escaped: a backslash in it begins an escape, and the line is not plain.
    """
    columns = lines.columns
    columns["url"] = values
    text, starts, ends = _places(values)
    text = text if len(text) else np.zeros(1, np.uint8)
    if escaped:
        lines.plain &= _following(np.flatnonzero(text == _BACKSLASH), starts, ends) == ends
    tunnel = _tunnels(columns.get("method"), len(starts))
    web = np.flatnonzero(~tunnel)
    first, end = starts[web], ends[web]
    colon = first + pc.find_substring(values, ":").to_numpy()[web]
    after, last = text[np.minimum(colon + 1, len(text) - 1)], text[np.minimum(colon + 2, len(text) - 1)]
    formed = (first < colon) & (colon + 3 < end) & (after == _SLASH) & (last == _SLASH)
    schemes = pc.ascii_lower(_spans(text, first, np.where(formed, colon, first))).dictionary_encode()
    formed &= pc.is_in(schemes.dictionary, pa.array(list(DEFAULT_PORTS))).take(schemes.indices).to_numpy(False)
    lines.plain[web[~formed]] = False
    begin, path = starts.copy(), ends.copy()
    begin[web] = np.minimum(colon + 3, end)
    path[web] = _following(found(text, lambda part: part == _SLASH), begin[web], end)
    codes = np.zeros(len(starts), np.int32)
    codes[web] = schemes.indices.to_numpy()
    columns["scheme"] = pa.DictionaryArray.from_arrays(pa.array(codes, mask=tunnel), schemes.dictionary)
    defaults = np.array([DEFAULT_PORTS.get(scheme, 0) for scheme in schemes.dictionary.to_pylist()] or [0], np.int32)
    _authorities(lines, _spans(text, begin, path).dictionary_encode(), tunnel, defaults[codes])
    paths = _spans(text, path, ends, tunnel)
    if (path == ends)[web].any():
        paths = pc.if_else(pc.equal(paths, ""), "/", paths)
    columns["path"] = paths


def _tunnels(methods: pa.Array | None, size: int) -> Bools:
    """Which of so many lines are of the method CONNECT."""
    if methods is None:
        return np.zeros(size, np.bool_)
    if pa.types.is_dictionary(methods.type):
        methods = pc.equal(methods.dictionary, "CONNECT").take(methods.indices)
    else:
        methods = pc.equal(methods, "CONNECT")
    tunnels: Bools = pc.fill_null(methods, False).to_numpy(zero_copy_only=False)
    return tunnels


def _authorities(lines: Lines, encoded: pa.DictionaryArray, tunnel: Bools, defaults: npt.NDArray[np.int32]) -> None:
    """`host` and `port` of `host:port`; where a line that is no tunnel has no port, the default."""
    hosts, ports, _ = _parted(encoded.dictionary, ":")
    hosts, ports = pc.ascii_rtrim(pc.ascii_lower(hosts), "."), ports.dictionary_encode()
    named = pc.match_substring_regex(ports.dictionary, "^[0-9]{1,5}$")
    numbers = pc.if_else(named, ports.dictionary, "0").cast(pa.int32()).take(ports.indices)
    formed = pc.or_(named, pc.equal(ports.dictionary, "")).take(ports.indices)
    named = named.take(ports.indices)
    lines.refuse(encoded, pc.and_(_hosts(hosts), formed))
    lines.columns["host"] = encoded if hosts.equals(encoded.dictionary) else renamed(encoded, hosts)
    written = named.take(encoded.indices).to_numpy(zero_copy_only=False)
    lines.plain &= written | ~tunnel
    lines.columns["port"] = pa.array(np.where(written, numbers.take(encoded.indices).to_numpy(), defaults))


def _hosts(names: pa.Array) -> pa.Array:
    """Which names are [a-z0-9_.-]+ that neither begin nor end with a dot or a hyphen."""
    text, starts, ends = _places(names)
    formed = ends > starts
    if len(text):
        formed &= _WORDS[text[np.minimum(starts, len(text) - 1)]] & _WORDS[text[ends - 1]]
        formed[np.searchsorted(ends, np.flatnonzero(~_OF_HOSTS[text]), side="right")] = False
    return pa.array(formed)


def _places(values: pa.Array) -> tuple[Bytes, Ints, Ints]:
    """The bytes of an Arrow string array, and where each value begins and ends in them."""
    _, offsets, data = values.buffers()
    bounds = np.frombuffer(offsets, np.int32)[values.offset : values.offset + len(values) + 1].astype(np.int64)
    text = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return text[: bounds[-1]] if len(bounds) else text, bounds[:-1], bounds[1:]


def _spans(text: Bytes, starts: Ints, ends: Ints, absent: Bools | None = None) -> pa.Array:
    """The bytes between each start and end, as an Arrow string array. Spans ascend, do not overlap, and are ASCII.
    absent: those that are null all the same."""
    offsets = np.empty(2 * len(starts) + 1, np.int32)
    offsets[0:-1:2], offsets[1::2] = starts, ends
    offsets[-1] = ends[-1] if len(ends) else 0
    both = pa.Array.from_buffers(pa.string(), 2 * len(starts), [None, pa.py_buffer(offsets), pa.py_buffer(text)])
    return both.take(pa.array(np.arange(0, 2 * len(starts), 2, dtype=np.int32), mask=absent))


def _following(places: Ints, starts: Ints, ends: Ints) -> Ints:
    """For each span the first of `places` in it, or its end where there is none."""
    if len(places) == 0:
        return ends
    at = np.searchsorted(places, starts)
    found = places[np.minimum(at, len(places) - 1)]
    return np.where((found >= starts) & (found < ends), found, ends)
