"""Bytes of an access log → rows of `proxy` and rejects. Whole lines in, Arrow out; reads no file itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collectors.batch import Reject
from collectors.squid.columns import Bools, Piece, compile_columns, index
from collectors.squid.lines import LONGEST_LINE, LineReader, line_reader
from collectors.squid.logformat import groups, parse_logformat
from collectors.squid.schema import PROXY_SCHEMA, TIMESTAMP


@dataclass(frozen=True)
class AccessLogParser:
    """A compiled logformat. `read_line` reads one line; `columns` reads all plain lines of a piece, or is None."""

    read_line: LineReader
    columns: Callable[[Piece, int], tuple[Bools, dict[str, pa.Array]]] | None

    def read(self, data: bytes, offset: int, source: str, firewall: str | None) -> tuple[pa.Table, list[Reject]]:
        """Read whole lines.

        data: bytes that end with a newline, at most 2 GiB. offset: where they begin in the source. Returns rows in
        PROXY_SCHEMA (plain lines first, each group in the order of the log) and rejects; together as many as lines.
        """
        piece = index(data)
        columns: dict[str, Any] = {}
        if self.columns is None:
            plain = np.zeros(len(piece.line_ends), np.bool_)
        else:
            plain, columns = self.columns(piece, LONGEST_LINE)
        begins = np.concatenate((np.zeros(1, np.int64), piece.line_ends[:-1] + 1))
        rescued, rejects = self._slowly(data, begins[~plain], piece.line_ends[~plain], offset)
        tables = []
        if plain.any():
            columns["source_offset"] = pa.array(begins[plain] + offset)
            tables.append(_table(columns, source, firewall))
        if rescued:
            tables.append(_table_of_rows(rescued, source, firewall))
        return (pa.concat_tables(tables) if tables else _table_of_rows([], source, firewall)), rejects

    def _slowly(self, data: bytes, begins: Any, ends: Any, offset: int) -> tuple[list[dict[str, Any]], list[Reject]]:
        rows, rejects = [], []
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
            row = self.read_line(data[begin:end])
            if isinstance(row, str):
                rejects.append(Reject(offset + begin, row, data[begin:end].removesuffix(b"\r")))
            else:
                row["source_offset"] = offset + begin
                rows.append(row)
        return rows, rejects


def compile_parser(logformat: str) -> AccessLogParser:
    """A parser for a logformat line. Raises LogformatError where the line is none."""
    items = parse_logformat(logformat)
    cut = groups(items)
    return AccessLogParser(line_reader(items), compile_columns(cut) if cut else None)


def _table(columns: dict[str, Any], source: str, firewall: str | None) -> pa.Table:
    """Columns of one length → PROXY_SCHEMA in order: what is absent is null, repeating texts stay dictionaries."""
    size = len(columns["ts"])
    if "elapsed_ms" in columns:
        elapsed = pc.multiply(columns["elapsed_ms"], 1000).cast(pa.duration("us"))
        columns["started_at"] = pc.subtract(columns["ts"], elapsed).cast(TIMESTAMP)
    columns["source"] = _repeated(source, size)
    columns["firewall"] = _repeated(firewall, size)
    arrays = []
    for field in PROXY_SCHEMA:
        column = columns.get(field.name)
        if column is None:
            column = pa.nulls(size, _dictionary(field.type) if pa.types.is_string(field.type) else field.type)
        elif pa.types.is_dictionary(column.type) or field.name in ("url", "path"):
            pass
        elif pa.types.is_string(field.type):
            column = column.dictionary_encode()
        else:
            column = column.cast(field.type)
        arrays.append(column)
    return pa.Table.from_arrays(arrays, names=PROXY_SCHEMA.names)


def _table_of_rows(rows: list[dict[str, Any]], source: str, firewall: str | None) -> pa.Table:
    texts = {field.name for field in PROXY_SCHEMA if pa.types.is_string(field.type)} - {"url", "path"}
    columns: dict[str, Any] = {}
    for field in PROXY_SCHEMA:
        values = pa.array([row.get(field.name) for row in rows], field.type)
        columns[field.name] = values.dictionary_encode() if field.name in texts else values
    return _table({name: column for name, column in columns.items() if name != "started_at"}, source, firewall)


def _dictionary(of: pa.DataType) -> pa.DataType:
    return pa.dictionary(pa.int32(), of)


def _repeated(value: str | None, size: int) -> pa.Array:
    if value is None:
        return pa.nulls(size, _dictionary(pa.string()))
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(size, np.int32)), pa.array([value]))
