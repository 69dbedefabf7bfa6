"""Where the lines of a piece of log end and which of them cut into the fields of a format: for all at once, with numpy.

Knows no format but how many fields and quotes a line of it has. What it hands on are lines of which each space parts
two fields, as a reader of CSV takes them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]

SPACE, NEWLINE, QUOTE, ZERO, HIDDEN = 32, 10, 34, 48, 31  # HIDDEN stands for a space that parts no fields
_NONE: Ints = np.zeros(0, np.int64)
_CACHED = 256 * 1024  # bytes looked at in one go, so that what is made on the way stays in the processor's cache


@dataclass(frozen=True)
class Shape:
    """What a line looks like. fields: how many. padded: numbers of the fields that spaces fill up before them. joined:
    numbers of the fields that belong to the one after them. quotes: how many double quotes a line has; a space in a
    quoted string parts nothing but in those strings (by their number) that are spaced. number: where the only padded
    field begins in every line, and how wide it is at least, if it is a number."""

    fields: int
    padded: tuple[int, ...] = ()
    joined: tuple[int, ...] = ()
    quotes: int = 0
    spaced: tuple[int, ...] = ()
    number: tuple[int, int] | None = None

    @property
    def even(self) -> bool:
        """Does every space outside quotes part two fields, but for those before a number? Then none must be counted."""
        return not self.padded or (self.number is not None and not self.quotes and not self.joined)


@dataclass(frozen=True)
class Piece:
    """A piece of log that ends at an end of line. line_ends: place of each newline. fits: lines that are printable
    ASCII and, unless the shape is even, cut into its fields. seams: places of all that is no printable character but
    hidden spaces; newlines: which of the seams end a line. hidden: places of spaces that part nothing."""

    data: bytes | memoryview
    line_ends: Ints
    fits: Bools
    seams: Ints = field(default_factory=lambda: _NONE)
    newlines: Ints = field(default_factory=lambda: _NONE)
    hidden: Ints = field(default_factory=lambda: _NONE)

    def lines(self, wanted: Bools, shape: Shape) -> bytes | memoryview:
        """The wanted lines (all of them fit), HIDDEN in the place of each space that parts no fields, without those
        that only fill up, or with zeros in their place."""
        if shape.even or (not len(self.hidden) and not shape.joined and not shape.padded):
            return _joined(self.data, self.line_ends, wanted)
        text = np.frombuffer(self.data, np.uint8).copy()
        text[self.hidden] = HIDDEN
        first = np.concatenate((np.zeros(1, np.int64), self.newlines[:-1] + 1))[wanted]
        drop = []
        for number in range(shape.fields):
            # The seam before the field, and how many more there are of those that fill it up.
            if number in shape.padded and number:
                more = _fill(self.seams, first, number)
                drop += [self.seams[first[more > extra] + number + extra] for extra in range(int(more.max(initial=0)))]
                first = first + more
            if number in shape.joined:
                text[self.seams[first + number]] = HIDDEN
        if not drop:
            return _joined(text.data, self.line_ends, wanted)
        keep = np.repeat(wanted, np.diff(self.line_ends, prepend=-1))
        for places in drop:
            keep[places] = False
        return text[keep].tobytes()


def _fill(seams: Ints, first: Ints, number: int) -> Ints:
    """How many spaces stand before a field beyond the one that parts it, for lines whose first seams are `first`."""
    more = np.zeros(len(first), np.int64)
    going = np.ones(len(first), np.bool_)
    last = len(seams) - 1
    while going.any():
        at = np.minimum(first + number + more, last)
        going &= seams[at] == seams[at - 1] + 1
        more += going
    return more


def _joined(data: bytes | memoryview, line_ends: Ints, wanted: Bools) -> bytes | memoryview:
    """The wanted lines one after the other."""
    if wanted.all():
        return data
    edges = np.flatnonzero(np.diff(wanted.astype(np.int8), prepend=0, append=0))
    begins = np.concatenate((np.zeros(1, np.int64), line_ends + 1))
    view = memoryview(data)
    return b"".join(view[begins[first] : begins[last]] for first, last in edges.reshape(-1, 2).tolist())


def index(data: bytes, shape: Shape) -> Piece:
    """Find the lines, and which fit. `data` must end with a newline."""
    text = np.frombuffer(data, dtype=np.uint8)
    if shape.even:
        return _evenly(data, text, shape)
    hidden, unlike = _NONE, None
    if shape.quotes:
        seams, kinds, hidden, unlike = _unquoted(text, shape)
    else:
        seams = found(text, lambda part: (part - np.uint8(33)) > 93)
        kinds = text[seams]
    newlines = np.flatnonzero(kinds == NEWLINE)
    line_ends = seams[newlines]
    spaces = np.diff(newlines, prepend=-1) - 1
    empty = np.flatnonzero(np.diff(seams, prepend=-1) == 1)  # a seam right after another: no field between them
    if shape.padded:
        count = spaces + 1 - np.bincount(np.searchsorted(newlines, empty), minlength=len(newlines))
        fits = count == shape.fields
        first = np.concatenate((np.zeros(1, np.int64), newlines[:-1] + 1))
        chosen = np.flatnonzero(fits)
        wanted, at = np.full(len(chosen), shape.fields - 1), first[chosen]
        for number in shape.padded:
            if number:
                more = _fill(seams, at, number)
                wanted, at = wanted + more, at + more
        fits[chosen[spaces[chosen] != wanted]] = False
    else:
        fits = spaces == shape.fields - 1
        if len(empty):
            fits[np.searchsorted(newlines, empty)] = False
    if unlike is not None:
        fits &= ~unlike
    strange = np.flatnonzero((kinds != SPACE) & (kinds != NEWLINE))
    if len(strange):
        fits[np.searchsorted(newlines, strange)] = False
    return Piece(data, line_ends, fits, seams, newlines, hidden)


def found(text: Bytes, is_one: Callable[[Bytes], Bools]) -> Ints:
    """The places of the bytes for which `is_one` holds."""
    begins = range(0, max(1, len(text)), _CACHED)
    return np.concatenate([np.flatnonzero(is_one(text[begin : begin + _CACHED])) + begin for begin in begins])


def _evenly(data: bytes, text: Bytes, shape: Shape) -> Piece:
    """The lines of a piece whose fields need not be found: zeros fill a number up instead of spaces, and the spaces
    that quotes hold together are hidden. Fields that only belong together are still apart."""
    if shape.quotes:
        marks = found(text, lambda part: ((part - np.uint8(SPACE)) > 94) | (part == QUOTE))
    else:
        marks = found(text, lambda part: (part - np.uint8(SPACE)) > 94)
    kinds = text[marks]
    newlines = np.flatnonzero(kinds == NEWLINE)
    line_ends = marks[newlines]
    fits = np.diff(line_ends, prepend=-1) > 1
    strange = np.flatnonzero((kinds != NEWLINE) & (kinds != QUOTE))
    if len(strange):
        fits[np.searchsorted(newlines, strange)] = False
    if shape.quotes:
        shown = _held(text, marks, kinds, newlines, fits, shape)
        return Piece(shown.data, line_ends, fits)
    if shape.number is None:
        return Piece(data, line_ends, fits)
    place, width = shape.number
    first = np.concatenate((np.zeros(1, np.int64), line_ends[:-1] + 1)) + place
    fits &= first + width <= line_ends
    first = first[fits]
    filled = text.copy()
    for at in range(width - 1):
        first = first[text[first + at] == SPACE]
        filled[first + at] = ZERO
    return Piece(filled.data, line_ends, fits)


def _held(text: Bytes, marks: Ints, kinds: Bytes, newlines: Ints, fits: Bools, shape: Shape) -> Bytes:
    """The text with HIDDEN for each space that quotes hold; lines with another number of quotes do not fit.

    marks: places of the quotes, the ends of lines, and what fits in no line; kinds: what stands there.
    """
    passed = np.cumsum(kinds == QUOTE, dtype=np.int32)
    upto = passed[newlines]
    fits &= np.diff(upto, prepend=0) == shape.quotes
    before = np.concatenate((np.zeros(1, np.int32), upto[:-1]))[: len(upto)]
    passed -= np.repeat(before, np.diff(newlines, prepend=-1))
    holds = passed & 1 == 1
    holds[newlines] = False
    for number in shape.spaced:
        holds &= passed != 2 * number + 1
    # From each mark to the next all is held, or nothing.
    held = np.repeat(np.append(False, holds), np.diff(marks, prepend=0, append=len(text)))
    held &= text == SPACE
    shown: Bytes = text - held  # a space becomes HIDDEN, which is one less
    return shown


def _unquoted(text: Bytes, shape: Shape) -> tuple[Ints, Bytes, Ints, Bools]:
    """The seams but for the spaces in quoted strings, those spaces, and which lines have another number of quotes."""
    marks = found(text, lambda part: ((part - np.uint8(33)) > 93) | (part == QUOTE))
    kinds = text[marks]
    is_quote = kinds == QUOTE
    passed = np.cumsum(is_quote)[~is_quote]
    seams, kinds = marks[~is_quote], kinds[~is_quote]
    ends = np.flatnonzero(kinds == NEWLINE)
    upto = passed[ends]
    unlike = np.diff(upto, prepend=0) != shape.quotes
    before = np.concatenate((np.zeros(1, upto.dtype), upto[:-1]))[: len(upto)]
    passed = passed - np.repeat(before, np.diff(ends, prepend=-1))
    is_hidden = (kinds == SPACE) & (passed & 1 == 1)
    for number in shape.spaced:
        is_hidden &= passed != 2 * number + 1
    shown = ~is_hidden
    return seams[shown], kinds[shown], seams[is_hidden], unlike
