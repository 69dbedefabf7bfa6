"""The fast path: all plain lines of a piece of log at once, column by column, with numpy and Arrow.

A line is plain when it cuts at its spaces and quotes into exactly the cells of the format and each cell has its form.
All others are named and left to the slow path (`lines`). There is no loop over lines here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from collectors.squid.cells import STAMP, Cell, cell_of, cells_of
from collectors.squid.extract import STAMP_WIDTH, Lines
from collectors.squid.index import HIDDEN, Bools, Piece, Shape, index
from collectors.squid.logformat import Item, Token
from collectors.squid.meaning import OF_URL
from collectors.squid.rows import candidates, kept
from collectors.squid.schema import EXTRA

_REPEATING = pa.dictionary(pa.int32(), pa.string())
_HIDDEN = chr(HIDDEN)


@dataclass(frozen=True)
class Columns:
    """A compiled fast path: `find` cuts a piece into lines, `read` gives which of them are plain, and their columns."""

    cells: tuple[Cell, ...]
    shape: Shape
    primary: dict[str, list[str]]  # column → names of the columns that stand behind it
    extras: tuple[tuple[str, str], ...]  # name of the column → key

    def find(self, data: bytes) -> Piece:
        """The lines of a piece of log that ends with a newline."""
        return index(data, self.shape)

    def read(self, piece: Piece, longest: int) -> tuple[Bools, dict[str, pa.Array]]:
        """Which lines are plain, and the columns of just those. longest: a plain line's length, in bytes."""
        plain = piece.fits & (np.diff(piece.line_ends, prepend=-1) <= longest)
        count = int(plain.sum())
        if not count:
            return plain, {}
        fields, whole = self._fields(piece.lines(plain, self.shape), count)
        plain[np.flatnonzero(plain)[~whole]] = False
        lines = Lines(np.ones(int(whole.sum()), np.bool_))
        for cell, parts in sorted(zip(self.cells, fields, strict=True), key=lambda pair: pair[0].is_url):
            for part in parts if self.shape.even and cell.repeats else ():
                if pc.index(part.dictionary, "").as_py() >= 0:
                    lines.refuse(part, pc.not_equal(part.dictionary, ""))  # nothing between two spaces
            values = _together(parts)
            if cell.fields > 1 or self.shape.quotes:
                values = _shown(values)
            if cell.before or cell.after:
                values = _inner(lines, values, cell)
            if cell.read is not None:
                cell.read(lines, values)
        columns = self._settled(lines)
        if lines.plain.all():
            return plain, columns
        plain[np.flatnonzero(plain)[~lines.plain]] = False
        keep = pa.array(lines.plain)
        return plain, {name: column.filter(keep) for name, column in columns.items()}

    def _fields(self, lines: bytes | memoryview, count: int) -> tuple[list[list[pa.Array]], Bools]:
        """The fields of so many lines, of each cell an array or, where the shape is even, one for each field of it;
        without the lines that have more or fewer, and which have as many."""
        whole = np.ones(count, np.bool_)

        def odd(row: csv.InvalidRow) -> str:
            whole[row.number - 1] = False
            return "skip"

        widths = [cell.fields if self.shape.even else 1 for cell in self.cells]
        types = {
            f"{number}.{part}": _REPEATING if cell.repeats else pa.string()
            for number, (cell, width) in enumerate(zip(self.cells, widths, strict=True))
            for part in range(width)
        }
        table = csv.read_csv(
            pa.BufferReader(lines),
            csv.ReadOptions(column_names=list(types), use_threads=False, block_size=len(lines) + 1),
            csv.ParseOptions(
                delimiter=" ",
                quote_char=False,
                double_quote=False,
                ignore_empty_lines=False,
                invalid_row_handler=odd,
            ),
            csv.ConvertOptions(column_types=types, check_utf8=False),
        )
        columns = iter([one.combine_chunks() if one.num_chunks != 1 else one.chunk(0) for one in table.columns])
        return [list(islice(columns, width)) for width in widths], whole

    def _settled(self, lines: Lines) -> dict[str, pa.Array]:
        """Each column with the value of its first code; a line where only another has one is not plain."""
        for column, others in self.primary.items():
            absent = pc.is_null(lines.columns[column])
            for other in others:
                both = pc.and_(absent, pc.is_valid(lines.columns[other]))
                if pc.any(both).as_py():
                    lines.plain &= ~both.to_numpy(zero_copy_only=False)
        columns = lines.columns
        if self.extras:
            named = [(key, columns.pop(name)) for name, key in self.extras]
            columns["extra"] = _maps(named, len(lines.plain))
        return columns


def compile_columns(items: tuple[Item, ...]) -> Columns | None:
    """The fast path of a logformat; None where a part of it has a shape that only the slow path knows."""
    cut = cells_of(items)
    if cut is None:
        return None
    tokens = [item for item in items if isinstance(item, Token)]
    plan = candidates(tokens)
    names: dict[int, str] = {}  # id of the token → the column that it is read into
    primary: dict[str, list[str]] = {}
    extras: dict[str, str] = {}
    for column, numbers in plan.items():
        names[id(tokens[numbers[0]])] = column
        behind = [f"+{tokens[number].key}" for number in numbers[1:]]
        if behind:
            primary["ts" if column == "clock" else column] = behind
    if "seconds" in plan and "clock" in plan:
        names.pop(id(tokens[plan["clock"][0]]))
    if len({token.key for token in tokens}) < len(tokens) or {"started", *OF_URL} & set(plan):
        return None
    if both := plan.pop("both_ways", []):  # to tell one size from the other two is for the slow path
        if not {"bytes_down", "bytes_up"} <= set(plan):
            return None
        names.pop(id(tokens[both[0]]))
    for token in tokens:
        if id(token) not in names:
            names[id(token)] = f"+{token.key}"
            if kept(token):
                extras[f"+{token.key}"] = token.key
    cells = [cell for cell in (cell_of(group, names) for group in cut[0]) if cell is not None]
    if len(cells) < len(cut[0]):
        return None
    shape = _line_shape(cells, cut[1], cut[2])
    if shape.padded == (1,) and cells[0] == STAMP and cells[1].width:
        shape = replace(shape, number=(STAMP_WIDTH + 1, cells[1].width))
    return Columns(tuple(cells), shape, primary, tuple(extras.items()))


def _line_shape(cells: list[Cell], quotes: int, spaced: tuple[int, ...]) -> Shape:
    numbers = [sum(cell.fields for cell in cells[:place]) for place in range(len(cells) + 1)]
    placed = list(zip(numbers[:-1], cells, strict=True))
    return Shape(
        fields=numbers[-1],
        padded=tuple(number for number, cell in placed if cell.padded),
        joined=tuple(number + more for number, cell in placed for more in range(cell.fields - 1)),
        quotes=quotes,
        spaced=spaced,
    )


def _together(parts: list[Any]) -> Any:
    """The fields of a cell as one, with a space between each two."""
    if len(parts) == 1:
        return parts[0]
    first, *others = parts
    if all(len(part.dictionary) == 1 for part in others):  # as of a time its zone
        whole = pc.binary_join_element_wise(first.dictionary, *(part.dictionary[0] for part in others), " ")
        return pa.DictionaryArray.from_arrays(first.indices, whole)
    return pc.binary_join_element_wise(*(part.cast(pa.string()) for part in parts), " ").dictionary_encode()


def _shown(values: Any) -> Any:
    """The values with their spaces."""
    distinct = values.dictionary if pa.types.is_dictionary(values.type) else values
    if not pc.any(pc.match_substring(distinct, _HIDDEN)).as_py():
        return values
    spaced = pc.replace_substring(distinct, _HIDDEN, " ")
    return pa.DictionaryArray.from_arrays(values.indices, spaced) if distinct is not values else spaced


def _inner(lines: Lines, values: Any, cell: Cell) -> Any:
    """The values without the literal text around them."""
    repeats = pa.types.is_dictionary(values.type)
    distinct = values.dictionary if repeats else values
    around = len(cell.before) + len(cell.after)
    formed = pc.and_(pc.starts_with(distinct, cell.before), pc.ends_with(distinct, cell.after))
    sized = pc.greater_equal if cell.read is not None else pc.equal
    formed = pc.and_(formed, sized(pc.binary_length(distinct), around))
    stop = -len(cell.after) if cell.after else None
    inner = pc.utf8_slice_codeunits(distinct, len(cell.before), stop)
    if not repeats:
        lines.plain &= formed.to_numpy(zero_copy_only=False)
        return inner
    lines.refuse(values, formed)
    return pa.DictionaryArray.from_arrays(values.indices, inner)


def _maps(named: list[tuple[str, Any]], size: int) -> pa.Array:
    """One map a row of the values that are not null; null where there is none."""
    columns = [column.cast(pa.string()) for _, column in named]
    there = np.stack([pc.is_valid(column).to_numpy(zero_copy_only=False) for column in columns], axis=1)
    counts = there.sum(axis=1)
    rows, numbers = np.nonzero(there)
    keys = pa.array([key for key, _ in named]).take(pa.array(numbers))
    items = pa.concat_arrays(columns).take(pa.array(numbers * size + rows))
    offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(counts))).astype(np.int32)
    missing = pa.array(np.append(counts == 0, False))
    return pa.MapArray.from_arrays(pc.if_else(missing, None, pa.array(offsets)), keys, items).cast(EXTRA)
