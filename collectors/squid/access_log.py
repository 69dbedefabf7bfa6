"""Bytes of an access log → rows of `proxy` and rejects. Whole lines in, Arrow out; reads no file itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collectors.batch import Reject
from collectors.squid.columns import Columns, compile_columns
from collectors.squid.index import Shape, index
from collectors.squid.lines import CUT_BY_SQUID, LONGEST_LINE, LineReader, line_reader
from collectors.squid.logformat import LogformatError, Token, parse_logformat
from collectors.squid.meaning import column_of
from collectors.squid.schema import PROXY_SCHEMA, TIMESTAMP

UNLIKE = frozenset({"url", "path"})  # texts that hardly repeat


@dataclass(frozen=True)
class AccessLogParser:
    """A compiled logformat. `read_line` reads one line; `columns` reads all plain lines of a piece, or is None."""

    read_line: LineReader
    columns: Columns | None

    def read(self, data: bytes, offset: int, source: str, firewall: str | None) -> tuple[pa.Table, list[Reject]]:
        """Read whole lines.

        data: bytes that end with a newline, at most 2 GiB. offset: where they begin in the source. Returns rows in
        PROXY_SCHEMA (plain lines first, each group in the order of the log) and rejects; together as many as lines,
        and one more for each record that Squid cut at 8 KB without an end of line.
        """
        columns: dict[str, Any] = {}
        if self.columns is None:
            piece = index(data, Shape(0))
            plain = np.zeros(len(piece.line_ends), np.bool_)
        else:
            piece = self.columns.find(data)
            plain, columns = self.columns.read(piece, LONGEST_LINE)
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
        for line_begin, line_end in zip(begins.tolist(), ends.tolist(), strict=True):
            for begin, end in _records(data, line_begin, line_end):
                raw = data[begin:end]
                row = "cut by Squid at 8 KB" if end < line_end else self.read_line(raw)
                if isinstance(row, str):
                    rejects.append(Reject(offset + begin, row, raw.removesuffix(b"\r")))
                else:
                    row["source_offset"] = offset + begin
                    rows.append(row)
        return rows, rejects


def _records(data: bytes, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Where the records of a line begin and end: of Squid's built-in formats, one that is cut at 8 KB ends with a NUL,
    and the next one stands right after that."""
    while end - begin > CUT_BY_SQUID and data[begin + CUT_BY_SQUID] == 0:
        yield begin, begin + CUT_BY_SQUID
        begin += CUT_BY_SQUID + 1
    yield begin, end


def compile_parser(logformat: str) -> AccessLogParser:
    """A parser for a logformat line. Raises LogformatError where the line is none, and where it has no time."""
    items = parse_logformat(logformat)
    if not any(isinstance(item, Token) and column_of(item) in ("seconds", "clock") for item in items):
        raise LogformatError("there is no time in it that tells a moment: %ts, %tg, or %tl with its zone")
    return AccessLogParser(line_reader(items), compile_columns(items))


def _table(columns: dict[str, Any], source: str, firewall: str | None) -> pa.Table:
    """Columns of one length → PROXY_SCHEMA in order: what is absent is null, repeating texts stay dictionaries."""
    size = len(columns["ts"])
    if "elapsed_ms" in columns:
        elapsed = pc.multiply(columns["elapsed_ms"], 1000).cast(pa.duration("us"))
        started = pc.subtract(columns["ts"], elapsed).cast(TIMESTAMP)
        logged = columns.get("started_at")
        columns["started_at"] = started if logged is None else pc.coalesce(logged, started)
    columns["source"] = _repeated(source, size)
    columns["firewall"] = _repeated(firewall, size)
    arrays = []
    for field in PROXY_SCHEMA:
        column = columns.get(field.name)
        if column is None:
            column = pa.nulls(size, _kind(field))
        elif pa.types.is_dictionary(column.type) or field.name in UNLIKE:
            pass
        elif pa.types.is_string(field.type):
            column = column.dictionary_encode()
        else:
            column = column.cast(field.type)
        arrays.append(column)
    return pa.Table.from_arrays(arrays, names=PROXY_SCHEMA.names)


def _table_of_rows(rows: list[dict[str, Any]], source: str, firewall: str | None) -> pa.Table:
    texts = {field.name for field in PROXY_SCHEMA if pa.types.is_string(field.type)} - UNLIKE
    columns: dict[str, Any] = {}
    for field in PROXY_SCHEMA:
        got = [row.get(field.name) for row in rows]
        values = pa.array([one and list(one.items()) for one in got] if field.name == "extra" else got, field.type)
        columns[field.name] = values.dictionary_encode() if field.name in texts else values
    return _table(columns, source, firewall)


def _kind(field: pa.Field) -> pa.DataType:
    """How a column is held: texts that repeat as dictionaries."""
    return _dictionary(field.type) if pa.types.is_string(field.type) and field.name not in UNLIKE else field.type


def _dictionary(of: pa.DataType) -> pa.DataType:
    return pa.dictionary(pa.int32(), of)


def _repeated(value: str | None, size: int) -> pa.Array:
    if value is None:
        return pa.nulls(size, _dictionary(pa.string()))
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(size, np.int32)), pa.array([value]))
