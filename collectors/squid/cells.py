"""A logformat cut into the cells of the fast path: what stands between two spaces, and what reads it.

Also says where a logformat has a shape that only the slow path knows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pyarrow as pa

from collectors.squid import clock, extract
from collectors.squid.extract import Lines
from collectors.squid.logformat import Item, Token, literal_bytes
from collectors.squid.meaning import OPEN, column_of, decoder, escapes, form

Reader = Callable[[Lines, Any], None]
_TEXTS = frozenset(
    {"client_ip", "client_mac", "user_name", "method", "content_type", "user_agent", "referrer", "sni", "peer"}
)
_NUMBERS = frozenset({"elapsed_ms", "bytes_down", "bytes_up", "client_port"})
_REMEMBERED = 200_000


@dataclass(frozen=True)
class Cell:
    """A field of the line. before, after: the literal text around what `read` reads, None where all is literal.

    fields: how many the cell takes (a time has a space in it). repeats: its values come as a dictionary. width: how
    wide a number is filled up to, on its left; 0 where it is not.
    """

    before: str
    after: str
    read: Reader | None
    fields: int = 1
    padded: bool = False
    is_url: bool = False
    repeats: bool = True
    width: int = 0


STAMP = Cell("", "", extract.stamp, repeats=False)


def cells_of(items: tuple[Item, ...]) -> tuple[list[tuple[Item, ...]], int, tuple[int, ...]] | None:
    """Items cut at spaces: `%ts.%03tu "%rm %ru"` → [(ts, '.', tu), ('"', rm), (ru, '"')], with how many quotes there
    are, and which of the quoted strings are cut at their spaces. None where spaces do not part the fields."""
    cut: list[list[Item]] = [[]]
    quotes, spaced = 0, []
    for item in items:
        if isinstance(item, Token):
            cut[-1].append(item)
            continue
        for char in item:
            if char == " ":
                if not cut[-1]:
                    return None
                cut.append([])
                if quotes % 2:
                    spaced.append(quotes // 2)
                continue
            quotes += char == '"'
            if cut[-1] and isinstance(cut[-1][-1], str):
                cut[-1][-1] += char
            else:
                cut[-1].append(char)
    if quotes % 2 or not cut[-1]:
        return None
    return [tuple(group) for group in cut], quotes, tuple(sorted(set(spaced)))


def cell_of(group: tuple[Item, ...], names: dict[int, str]) -> Cell | None:
    """The cell of one group of items; None where only the slow path can read it. names: id of a token → its column."""
    before, after = "", ""
    if isinstance(group[0], str):
        before, group = group[0], group[1:]
    if group and isinstance(group[-1], str):
        after, group = group[-1], group[:-1]
    if not (before + after).isascii() or not (before + after).isprintable():
        return None
    if not group:
        return Cell(before, "", None)
    codes = tuple(item.code if isinstance(item, Token) else item for item in group)
    tokens = [item for item in group if isinstance(item, Token)]
    if codes == ("ts", ".", "tu") and tokens[1].zero and tokens[1].maximum is None:
        return replace(STAMP, before=before, after=after)
    if len(tokens) == 2 and len(group) == 3 and isinstance(group[1], str) and len(literal_bytes(group[1])) == 1:
        left, right = _reader(tokens[0], names, False), _reader(tokens[1], names, not before and not after)
        if codes[0] not in ("Ss", "Sh") or left is None or right is None or any(token.minimum for token in tokens[:1]):
            return None
        return Cell(before, after, partial(_two, literal_bytes(group[1])[0], left, right))
    if len(group) != 1:
        return None
    token = tokens[0]
    read = _reader(token, names, not before and not after) if token.code != "tg" or token.argument else None
    if read is None or (token.minimum and (before or after or token.left or token.style)):
        return None
    fields = 1 + (token.argument or clock.DEFAULT).count(" ") if token.code in ("tl", "tg") else 1
    if fields > 1 and before[-1:] == '"':
        fields = 1
    name = names.get(id(token), "")
    repeats = name != "url" and name not in _NUMBERS
    width = token.minimum if token.padded and name in _NUMBERS else 0
    return Cell(before, after, read, fields, token.padded, name == "url", repeats, width)


def _reader(token: Token, names: dict[int, str], bare: bool) -> Reader | None:
    """What reads the token's value into its column; None where only the slow path can."""
    name = names[id(token)]
    if name == "clock":
        moment_of = clock.clock(token.argument, token.code == "tg")
        return partial(extract.moment, read=moment_of) if moment_of else None
    if name == "status":
        return extract.status
    if name in _NUMBERS:
        return partial(extract.number, name=name)
    if name in ("action", "hierarchy"):
        return partial(extract.word, name=name)
    if name == "url":
        if token.style not in ("", "'", '"') or token.maximum is not None:
            return None
        return partial(extract.url, escaped=token.style == '"')
    if name not in _TEXTS and not name.startswith("+"):
        return None
    formed = _formed(token, bare)
    if formed is None or (token.minimum and token.zero):
        return None
    read = _Decoded(decoder(token))
    return partial(
        extract.text, name=name, read=read, escapes=escapes(token), longest=token.maximum or 0, formed=formed
    )


def _formed(token: Token, bare: bool) -> str | None:
    """The form that the slow path wants of a text, as RE2 takes it: '' where a field between spaces has it anyway,
    None where it cannot be said. bare: there is no text around the value."""
    if column_of(token) == "client_ip":
        return r"^[0-9]*[A-Za-z_.:%-][\w.:%-]*$"
    value = form(token).replace(OPEN, b"").decode("latin-1").replace("\\ ", " ")
    if "(?!" in value:
        return None
    return "" if bare and value in (r"\S+", r"\S*", r"\S(?:.*\S)?", ".*") else f"^(?:{value})$"


class _Decoded:
    """Texts decoded, each once as long as there is room to remember."""

    def __init__(self, decode: Callable[[bytes], str]) -> None:
        self._decode = decode
        self._known: dict[str, str | None] = {"-": None, "": None}

    def __call__(self, text: str) -> str | None:
        if text in self._known:
            return self._known[text]
        decoded = self._decode(text.encode("ascii"))
        value = None if decoded in ("-", "") else decoded
        if len(self._known) < _REMEMBERED:
            self._known[text] = value
        return value


def _two(byte: int, left: Reader, right: Reader, lines: Lines, encoded: pa.DictionaryArray) -> None:
    """Two values with one character between them, of which the left one holds none."""
    first, second, cut = extract.parted(encoded, byte)
    lines.refuse(encoded, cut)
    left(lines, first)
    right(lines, second)
