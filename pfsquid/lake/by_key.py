"""Which rows of a batch are news to the table, where each row has a key and replaces the row of the same key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.expressions import AlwaysTrue, And, BooleanExpression, GreaterThanOrEqual, In, LessThanOrEqual
from pyiceberg.table import Table

from collectors.batch import Batch
from pfsquid.lake.tables import TABLES

# (table, rows there by id, tenant, stream and time) → which of them a batch may not replace.
Stands = Callable[[str, pa.Table], list[bool]]


@dataclass(frozen=True)
class News:
    """rows: those to write. outdated: which rows of the table give way to them, None for none; replaced: how many.
    unchanged: rows of the batch that the table has already, or may not be told by it."""

    rows: pa.Table
    outdated: BooleanExpression | None = None
    replaced: int = 0
    unchanged: int = 0


def news(table: Table, batch: Batch, key: str, stands: Stands | None = None) -> News:
    """Compare a batch, unique by `key`, with the table: by its key and its text in `raw`. Raises OSError."""
    if not len(batch.rows) or not len(_there(table, batch, key, (key,))):
        return News(batch.rows)
    spec = TABLES[batch.table]
    told = tuple(name for name in (key, "raw", "tenant", "stream", spec.by_day or "") if name in spec.arrow.names)
    states = _there(table, batch, key, told)
    there = states[key].to_pylist()
    state = dict(zip(there, states["raw"].to_pylist(), strict=True))
    firm = stands(batch.table, states) if stands else [False] * len(states)
    fixed = {identity for identity, is_firm in zip(there, firm, strict=True) if is_firm}
    ids = batch.rows[key].to_pylist()
    new = [
        identity not in fixed and state.get(identity) != raw
        for identity, raw in zip(ids, batch.rows["raw"].to_pylist(), strict=True)
    ]
    outdated = [identity for identity, is_new in zip(ids, new, strict=True) if is_new and identity in state]
    wanted = In(key, outdated) if outdated else None
    return News(batch.rows.filter(pa.array(new)), wanted, len(outdated), len(new) - sum(new))


def _there(table: Table, batch: Batch, key: str, columns: tuple[str, ...]) -> pa.Table:
    """The table's rows of the batch's keys: those within a day of the batch, since what happened keeps its time.

    Compared here and not by the scan, to which each key is an object.
    """
    around: BooleanExpression = AlwaysTrue()
    day = TABLES[batch.table].by_day
    if day is not None:
        first, last = (pc.min_max(batch.rows[day])[end].as_py() for end in ("min", "max"))
        since, until = (first - timedelta(days=1)).isoformat(), (last + timedelta(days=1)).isoformat()
        around = And(GreaterThanOrEqual(day, since), LessThanOrEqual(day, until))
    keys = batch.rows[key].combine_chunks()
    with table.scan(row_filter=around, selected_fields=columns).to_arrow_batch_reader() as reader:
        found = [rows.filter(pc.is_in(rows[key].cast(keys.type), value_set=keys)) for rows in reader]
        return pa.Table.from_batches(found, reader.schema)
