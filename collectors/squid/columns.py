"""The fast path: all plain lines of a piece of log at once, column by column, with numpy and Arrow.

A line is plain when it cuts at its spaces into exactly the groups of the format and each group has its form. All
others are named and left to the slow path (`lines`). There is no loop over lines here: Python sees distinct values
of columns that repeat, and nothing else. Offsets into the text go through Arrow's checked arrays, never pointers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collectors.squid.logformat import Item, Token
from collectors.squid.schema import TIMESTAMP
from collectors.squid.values import DEFAULT_PORTS, bracket_decoded, percent_decoded

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_SPACE, _NEWLINE, _SLASH, _COLON, _DOT, _ZERO, _MINUS, _X = 32, 10, 47, 58, 46, 48, 45, 120
_TEN_DIGITS = 10 ** np.arange(9, -1, -1, dtype=np.int64)
_THREE_DIGITS = np.array([100, 10, 1], dtype=np.int64)
_HOST = r"^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$"


@dataclass
class Piece:
    """A piece of log that ends at an end of line, with the places of what structures it.

    text: its bytes. line_ends: place of each newline. starts, ends: of each token. first: number of each line's first
    token. count: how many tokens a line has. spaces: how many spaces. odd: lines that hold a byte outside of printable
    ASCII.
    """

    text: npt.NDArray[np.uint8]
    line_ends: Ints
    starts: Ints
    ends: Ints
    first: Ints
    count: Ints
    spaces: Ints
    odd: Bools
    colons: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    slashes: Ints = field(default_factory=lambda: np.zeros(0, np.int64))


@dataclass
class Lines:
    """Columns of the lines chosen so far, all of one length, and which of those lines turned out not to be plain."""

    piece: Piece
    first: Ints
    plain: Bools
    columns: dict[str, pa.Array]

    def token(self, index: int) -> tuple[Ints, Ints]:
        """Start and end of each line's token `index`."""
        return self.piece.starts[self.first + index], self.piece.ends[self.first + index]


Extractor = Callable[[Lines, int], None]


def index(data: bytes) -> Piece:
    """Find lines and tokens. `data` must end with a newline."""
    text = np.frombuffer(data, dtype=np.uint8)
    seams = np.flatnonzero((text - np.uint8(33)) > 93)  # all but the printable: space, newline, and the odd ones
    kinds = text[seams]
    before = np.concatenate((np.array([-1], np.int64), seams[:-1]))
    full = seams - before > 1
    newline = np.flatnonzero(kinds == _NEWLINE)
    upto = np.cumsum(full, dtype=np.int64)[newline]
    first = np.concatenate((np.zeros(1, np.int64), upto[:-1])).astype(np.int64)
    strange = (kinds != _SPACE) & (kinds != _NEWLINE)
    odd = np.zeros(len(newline), np.bool_)
    if strange.any():
        odd[np.searchsorted(newline, np.flatnonzero(strange))] = True
    spaces = np.diff(newline, prepend=-1) - 1
    return Piece(text, seams[newline], before[full] + 1, seams[full], first, upto - first, spaces, odd)


def compile_columns(groups: list[tuple[Item, ...]]) -> Callable[[Piece, int], tuple[Bools, dict[str, pa.Array]]] | None:
    """A function: piece, longest line → (which lines are plain, columns of just those); None where a group of the
    format has a shape that only the slow path knows."""
    extractors = [_extractor(group) for group in groups]
    if any(extract is None for extract in extractors) or _time not in extractors:
        return None
    padded = [number for number, group in enumerate(groups) if isinstance(group[0], Token) and group[0].padded]
    ready = [(number, extract) for number, extract in enumerate(extractors) if extract is not None]
    ready.sort(key=lambda pair: pair[1] is _url)  # whether a URL is a tunnel's host:port, the method says

    def columns(piece: Piece, longest: int) -> tuple[Bools, dict[str, pa.Array]]:
        lengths = np.diff(piece.line_ends, prepend=-1)
        plain = (piece.count == len(ready)) & ~piece.odd & (lengths <= longest)
        chosen = np.flatnonzero(plain)
        single = piece.spaces[chosen] == len(ready) - 1 + _padding(piece, piece.first[chosen], padded)
        if not single.all():
            plain[chosen[~single]] = False
            chosen = chosen[single]
        piece.colons = np.flatnonzero(piece.text == _COLON)
        piece.slashes = np.flatnonzero(piece.text == _SLASH)
        lines = Lines(piece, piece.first[chosen], np.ones(len(chosen), np.bool_), {})
        for number, extract in ready:
            extract(lines, number)
        plain[chosen[~lines.plain]] = False
        if lines.plain.all():
            return plain, lines.columns
        keep = pa.array(lines.plain)
        return plain, {name: column.filter(keep) for name, column in lines.columns.items()}

    return columns


def _padding(piece: Piece, first: Ints, padded: list[int]) -> Ints | int:
    """How many spaces of each line only pad a token to its width: those before `padded`, but for one."""
    return sum(piece.starts[first + number] - piece.ends[first + number - 1] - 1 for number in padded if number)


def _extractor(group: tuple[Item, ...]) -> Extractor | None:
    codes = tuple(item.code if isinstance(item, Token) else item for item in group)
    if codes in (("ts", ".", "tu"),):
        return _time
    if codes == ("Ss", "/", ">Hs"):
        return _action_and_status
    if codes in (("Sh", "/", "<a"), ("Sh", "/", "<A")):
        return _hierarchy_and_peer
    if len(group) != 1 or not isinstance(group[0], Token):
        return None
    token = group[0]
    if token.code in _NUMBERS:
        name = _NUMBERS[token.code]
        return lambda lines, number: _number(lines, number, name)
    if token.code == "ru":
        return _url
    name = _TEXTS.get(token.code, "")
    if token.code == ">h":
        name = {"referer": "referrer", "user-agent": "user_agent"}.get(token.argument.lower(), "")
    if not name or token.quoting in ('"', "/"):
        return None
    quoting = token.quoting or ("#" if name in ("user_name", "referrer", "user_agent") else "")
    decode = {"[": bracket_decoded, "#": percent_decoded}.get(quoting)
    return lambda lines, number: _text(lines, number, name, decode)


_NUMBERS = {"tr": "elapsed_ms", "<st": "bytes_down", ">st": "bytes_up", ">p": "client_port"}
_LONGEST = {"elapsed_ms": 12, "bytes_down": 18, "bytes_up": 18, "client_port": 5}  # characters
_TEXTS = {
    ">a": "client_ip", ">eui": "client_mac", "un": "user_name", "ul": "user_name", "rm": "method",
    "mt": "content_type", ">sni": "sni",
}  # fmt: skip


def _spans(text: npt.NDArray[np.uint8], starts: Ints, ends: Ints) -> pa.Array:
    """The bytes between each start and end, as an Arrow string array. Spans ascend and do not overlap."""
    offsets = np.empty(2 * len(starts) + 1, np.int32)
    offsets[0:-1:2], offsets[1::2] = starts, ends
    offsets[-1] = ends[-1] if len(ends) else 0
    both = pa.Array.from_buffers(pa.binary(), 2 * len(starts), [None, pa.py_buffer(offsets), pa.py_buffer(text)])
    return both.take(pa.array(np.arange(0, 2 * len(starts), 2, dtype=np.int32))).cast(pa.string())


def _digits(text: npt.NDArray[np.uint8], starts: Ints, weights: Ints) -> tuple[Ints, Bools]:
    """Numbers of a fixed count of digits, and which are digits throughout."""
    digits = text[starts[:, None] + np.arange(len(weights))] - np.uint8(_ZERO)
    return digits.astype(np.int64) @ weights, (digits <= 9).all(axis=1)


def _time(lines: Lines, number: int) -> None:
    starts, ends = lines.token(number)
    text = lines.piece.text
    if len(text) < 14:
        lines.plain[:] = False
        lines.columns["ts"] = pa.nulls(len(starts), TIMESTAMP)
        return
    formed = ends - starts == 14
    starts = np.where(formed, starts, 0)
    seconds, whole = _digits(text, starts, _TEN_DIGITS)
    millis, part = _digits(text, starts + 11, _THREE_DIGITS)
    lines.plain &= formed & whole & part & (text[starts + 10] == _DOT)
    micros = (seconds * 1000 + millis) * 1000
    lines.columns["ts"] = pa.array(micros).cast(pa.timestamp("us")).cast(TIMESTAMP)


def _number(lines: Lines, number: int, name: str) -> None:
    starts, ends = lines.token(number)
    text = lines.piece.text
    lines.plain &= ends - starts <= _LONGEST[name]
    lines.plain &= (text[starts + 1] | np.uint8(32)) != _X  # 0x10: Arrow reads it, Squid writes none
    if name == "client_port":
        lines.plain &= text[starts] != _MINUS
    texts = _spans(text, starts, ends)
    try:
        lines.columns[name] = texts.cast(pa.int64())
        return
    except pa.ArrowInvalid:
        formed = pc.match_substring_regex(texts, r"^-?[0-9]{1,18}$")
    lines.plain &= formed.to_numpy(zero_copy_only=False)
    lines.columns[name] = pc.if_else(formed, texts, None).cast(pa.int64())


def _action_and_status(lines: Lines, number: int) -> None:
    starts, ends = lines.token(number)
    text = lines.piece.text
    formed = ends - starts > 4
    at = np.where(formed, ends - 3, 1)
    status, digits = _digits(text, at, _THREE_DIGITS)
    lines.plain &= formed & digits & (text[at - 1] == _SLASH)
    lines.columns["status"] = pa.array(status.astype(np.int32))
    _word(lines, "action", starts, np.where(formed, ends - 4, ends))


def _hierarchy_and_peer(lines: Lines, number: int) -> None:
    starts, ends = lines.token(number)
    slash = _next(lines.piece.slashes, starts, ends)
    lines.plain &= slash < ends
    _word(lines, "hierarchy", starts, slash)
    peers = _spans(lines.piece.text, np.minimum(slash + 1, ends), ends).dictionary_encode()
    named = pc.if_else(pc.is_in(peers.dictionary, pa.array(["-", ""])), None, peers.dictionary)
    lines.columns["peer"] = _renamed(peers, named)


def _word(lines: Lines, name: str, starts: Ints, ends: Ints) -> None:
    """A column of few capital words (TCP_MISS, HIER_DIRECT); anything else is not plain."""
    encoded = _spans(lines.piece.text, starts, ends).dictionary_encode()
    formed = pc.match_substring_regex(encoded.dictionary, "^[A-Z][A-Z0-9_]*$")
    lines.plain &= pc.take(formed, encoded.indices).to_numpy(zero_copy_only=False)
    lines.columns[name] = encoded


def _text(lines: Lines, number: int, name: str, decode: Callable[[bytes], str] | None) -> None:
    encoded = _spans(lines.piece.text, *lines.token(number)).dictionary_encode()
    words: list[str | None] = encoded.dictionary.to_pylist()
    if decode is not None:
        words = [decode(word.encode("ascii")) if word and ("%" in word or "\\" in word) else word for word in words]
    lines.columns[name] = _renamed(encoded, pa.array([None if word == "-" else word for word in words], pa.string()))


def _renamed(encoded: pa.DictionaryArray, values: pa.Array) -> pa.DictionaryArray:
    """The same column with other values in its dictionary; two may have become one, and null is absence."""
    again = values.dictionary_encode()
    return pa.DictionaryArray.from_arrays(again.indices.take(encoded.indices), again.dictionary)


def _url(lines: Lines, number: int) -> None:
    starts, ends = lines.token(number)
    text, columns = lines.piece.text, lines.columns
    columns["url"] = _spans(text, starts, ends)
    tunnel = pc.equal(columns["method"], "CONNECT").fill_null(False).to_numpy(zero_copy_only=False)
    colon = _next(lines.piece.colons, starts, ends)
    last = len(text) - 1
    web = (text[np.minimum(colon + 1, last)] == _SLASH) & (text[np.minimum(colon + 2, last)] == _SLASH)
    formed = np.where(tunnel, colon + 1 < ends, web & (starts < colon) & (colon + 3 < ends))
    lines.plain &= (colon < ends) & formed
    begin = np.where(tunnel, starts, np.minimum(colon + 3, ends))
    path = np.where(tunnel, ends, _next(lines.piece.slashes, begin, ends))
    host_end = np.where(tunnel, np.minimum(colon, ends), np.minimum(_next(lines.piece.colons, begin, ends), path))
    scheme_end = np.where(tunnel | ~web, starts, np.minimum(colon, ends))
    schemes = pc.utf8_lower(_spans(text, starts, scheme_end)).dictionary_encode()
    known = pc.is_in(schemes.dictionary, pa.array(["", *DEFAULT_PORTS]))
    lines.plain &= pc.take(known, schemes.indices).to_numpy(zero_copy_only=False)
    columns["scheme"] = _renamed(schemes, pc.if_else(pc.equal(schemes.dictionary, ""), None, schemes.dictionary))
    columns["host"] = _hosts(lines, begin, host_end)
    columns["port"] = _ports(lines, host_end, path, schemes)
    paths = _spans(text, path, ends)
    paths = pc.if_else(pc.equal(paths, ""), "/", paths)
    columns["path"] = pc.if_else(pa.array(tunnel), pa.scalar(None, pa.string()), paths)


def _hosts(lines: Lines, begin: Ints, end: Ints) -> pa.Array:
    encoded = _spans(lines.piece.text, begin, end).dictionary_encode()
    names = pc.utf8_rtrim(pc.utf8_lower(encoded.dictionary), ".")
    formed = pc.match_substring_regex(names, _HOST)
    lines.plain &= pc.take(formed, encoded.indices).to_numpy(zero_copy_only=False)
    return _renamed(encoded, names)


def _ports(lines: Lines, host_end: Ints, path: Ints, schemes: pa.DictionaryArray) -> pa.Array:
    """The port as written between host and path, else the scheme's."""
    written = _spans(lines.piece.text, np.minimum(host_end + 1, path), path).dictionary_encode()
    named = pc.match_substring_regex(written.dictionary, "^[0-9]{1,5}$")
    numbers = pc.if_else(named, written.dictionary, None).cast(pa.int32())
    formed = pc.or_(named, pc.equal(written.dictionary, ""))
    lines.plain &= pc.take(formed, written.indices).to_numpy(zero_copy_only=False)
    defaults = pa.array([DEFAULT_PORTS.get(scheme) for scheme in schemes.dictionary.to_pylist()], pa.int32())
    return pc.coalesce(numbers.take(written.indices), defaults.take(schemes.indices))


def _next(places: Ints, starts: Ints, ends: Ints) -> Ints:
    """For each span the first of `places` in it, or its end where there is none."""
    if len(places) == 0:
        return ends
    at = np.searchsorted(places, starts)
    found = places[np.minimum(at, len(places) - 1)]
    return np.where((found >= starts) & (found < ends), found, ends)
