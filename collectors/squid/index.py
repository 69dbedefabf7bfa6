"""Where the lines of a piece of log end and which of them cut into the fields of a format: for all at once, with numpy.

Knows no format but how many fields and quotes a line of it has. What it hands on are lines of which each space parts
two fields, as a reader of CSV takes them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]

SPACE, NEWLINE, QUOTE, HIDDEN = 32, 10, 34, 31  # HIDDEN stands for a space that parts no fields


@dataclass(frozen=True)
class Shape:
    """What a line looks like. fields: how many. padded: numbers of the fields that spaces fill up before them. joined:
    numbers of the fields that belong to the one after them. quotes: how many double quotes a line has; a space in a
    quoted string parts nothing but in those strings (by their number) that are spaced."""

    fields: int
    padded: tuple[int, ...] = ()
    joined: tuple[int, ...] = ()
    quotes: int = 0
    spaced: tuple[int, ...] = ()


@dataclass(frozen=True)
class Piece:
    """A piece of log that ends at an end of line. line_ends: place of each newline. seams: places of all that is no
    printable character but hidden spaces; newlines: which of the seams end a line. fits: lines that cut into the
    fields of the shape and are printable ASCII. hidden: places of spaces that part nothing."""

    data: bytes
    line_ends: Ints
    seams: Ints
    newlines: Ints
    fits: Bools
    hidden: Ints

    def lines(self, wanted: Bools, shape: Shape) -> bytes | memoryview:
        """The wanted lines (all of them fit), HIDDEN in the place of each space that parts no fields, without those
        that only fill up."""
        if not len(self.hidden) and not shape.joined and not shape.padded:
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
        if wanted.all() and not drop:
            return text.tobytes()
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


def _joined(data: bytes, line_ends: Ints, wanted: Bools) -> bytes | memoryview:
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
    ascii_only = not len(text) or int(text.max()) < 127
    seams = np.flatnonzero(text <= SPACE) if ascii_only else np.flatnonzero((text - np.uint8(33)) > 93)
    kinds = text[seams]
    hidden = np.zeros(0, np.int64)
    unlike: Bools | bool = False
    if shape.quotes:
        seams, kinds, hidden, unlike = _unquoted(text, seams, kinds, shape)
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
    if isinstance(unlike, np.ndarray):
        fits &= ~unlike
    strange = np.flatnonzero((kinds != SPACE) & (kinds != NEWLINE))
    if len(strange):
        fits[np.searchsorted(newlines, strange)] = False
    return Piece(data, line_ends, seams, newlines, fits, hidden)


def _unquoted(text: Bytes, seams: Ints, kinds: Bytes, shape: Shape) -> tuple[Ints, Bytes, Ints, Bools]:
    """The seams without the spaces in quoted strings, those spaces, and which lines have another number of quotes."""
    places = np.flatnonzero(text == QUOTE)
    ends = np.flatnonzero(kinds == NEWLINE)
    upto = np.searchsorted(places, seams[ends])
    unlike = np.diff(upto, prepend=0) != shape.quotes
    before = np.concatenate((np.zeros(1, upto.dtype), upto[:-1]))[: len(upto)]
    passed = np.searchsorted(places, seams) - np.repeat(before, np.diff(ends, prepend=-1))
    is_hidden = (kinds == SPACE) & (passed & 1 == 1)
    for number in shape.spaced:
        is_hidden &= passed != 2 * number + 1
    shown = ~is_hidden
    return seams[shown], kinds[shown], seams[is_hidden], unlike
