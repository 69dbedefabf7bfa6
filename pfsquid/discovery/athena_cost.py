"""How much a query of Athena reads at most, and what that costs: from the lake's own metadata, before it is sent.

Athena is paid by the bytes that it reads: of the files of the days that count, the columns that the SQL names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import sqlglot
from pyiceberg.manifest import DataFile
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.types import MapType
from sqlglot import exp

from pfsquid.discovery.ask import Spans
from pfsquid.lake.days import Held, held

PRICE = 5.0  # dollars for 10^12 bytes; dearer in a few regions
LEAST = 10_000_000  # bytes of a query that are paid for in any case


@dataclass(frozen=True)
class Reads:
    """What a query reads. tables: name → how often it is read. columns: of each table, those that the SQL names."""

    tables: Mapping[str, int]
    columns: Mapping[str, frozenset[str]]


def dollars(size: int) -> float:
    """What reading so many bytes in one query costs."""
    return max(size, LEAST) * PRICE / 1e12


def told(size: int) -> str:
    """`12.3 MB ($0.00006)`."""
    cost = dollars(size)
    return f"{size / 1e6:,.1f} MB (${cost:,.2f})" if cost >= 0.01 else f"{size / 1e6:,.1f} MB (${cost:.5f})"


def reads(sql: str, schemas: Mapping[str, Iterable[str]]) -> Reads:
    """What a SELECT in Athena's dialect reads of tables with these columns. More than it does, where in doubt: a
    common table expression is read as often as it is named."""
    tree = sqlglot.parse_one(sql, read="athena")
    expressions = {one.alias: one.this for one in tree.find_all(exp.CTE)}
    tables = _times(tree, expressions, schemas, frozenset())
    named = {column.name for column in tree.find_all(exp.Column)}
    starred = _starred(tree)
    return Reads(
        tables,
        {one: frozenset(schemas[one]) & (frozenset(schemas[one]) if one in starred else named) for one in tables},
    )


def _times(
    node: exp.Expr, expressions: Mapping[str, exp.Expr], schemas: Mapping[str, Iterable[str]], inside: frozenset[str]
) -> Counter[str]:
    found: Counter[str] = Counter()
    for table in node.find_all(exp.Table):
        if _is_in_a_definition(table, node):
            continue
        if table.name in expressions and table.name not in inside:
            found += _times(expressions[table.name], expressions, schemas, inside | {table.name})
        elif table.name in schemas:
            found[table.name] += 1
    return found


def _is_in_a_definition(table: exp.Expr, top: exp.Expr) -> bool:
    """Does it stand in a WITH below `top`? What is defined there is counted where it is named."""
    above = table.parent
    while above is not None and above is not top:
        if isinstance(above, exp.CTE):
            return True
        above = above.parent
    return False


def _starred(tree: exp.Expr) -> set[str]:
    """Tables that a `*` stands for, all columns of them."""
    found = set()
    for select in tree.find_all(exp.Select):
        if select.is_star:
            sources = [select.args.get("from_") or select.args.get("from"), *select.args.get("joins", ())]
            found |= {one.this.name for one in sources if one is not None and isinstance(one.this, exp.Table)}
    return found


def size_of(read: Reads, tables: Mapping[str, Table | None], files: Mapping[str, Iterable[Held]]) -> int:
    """Bytes that Athena reads at most. files: of each table, the days that it looks into."""
    size = 0
    for name, times in read.tables.items():
        table = tables.get(name)
        if table is not None:
            wanted = _numbers(table.schema(), read.columns[name])
            each = sum(_of_file(file, wanted) for there in files[name] for file in there.files)
            each += sum(file.file_size_in_bytes for there in files[name] for file in there.deletes)
            size += times * each
    return size


def days_in(table: Table | None, spans: Iterable[tuple[date, date]]) -> list[Held]:
    """The days of a table that a partition filter leaves in: those that touch one of the spans [first, last)."""
    wanted = [(_start(first), _start(last)) for first, last in spans]
    return [
        there
        for day, there in held(table).items()
        if day is None or any(a < _start(day) + timedelta(days=1) and _start(day) < b for a, b in wanted)
    ]


def spans_of(value: object) -> tuple[tuple[date, date], ...]:
    """The spans of a parameter of a question."""
    return value.spans if isinstance(value, Spans) else ()


def _start(moment: date) -> datetime:
    return moment if isinstance(moment, datetime) else datetime.combine(moment, time(), UTC)


def _numbers(schema: Schema, columns: Iterable[str]) -> list[int]:
    """Field numbers of columns, as Parquet has them: of a map those of its keys and values."""
    found = []
    for name in columns:
        field = schema.find_field(name)
        kind = field.field_type
        found += [kind.key_id, kind.value_id] if isinstance(kind, MapType) else [field.field_id]
    return found


def _of_file(file: DataFile, wanted: Iterable[int]) -> int:
    sizes = file.column_sizes
    return sum(sizes.get(number, 0) for number in wanted) if sizes else file.file_size_in_bytes
