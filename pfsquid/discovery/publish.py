"""Meaning for other engines: hosts, apps, people and whom user names mean, as Iceberg tables of the lake.

DuckDB makes them when asked (`meaning`); Athena cannot, and reads them as they were published last. A table is written
only where it says something else than before, in one commit; of hosts, only the new ones are judged and added while
catalogue and service principals are the same. Nothing else of the lake is changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from pfsquid.discovery.duck import Session, session
from pfsquid.discovery.meaning import Knowledge, digest_of_knowledge
from pfsquid.errors import PfsquidError
from pfsquid.lake.catalog import Lake, explained
from pfsquid.lake.commit import committed, discarded, put_properties
from pfsquid.lake.days import held
from pfsquid.lake.files import write_data_files
from pfsquid.lake.published import AT, CONTENT, HOSTS, KNOWN, OF, PUBLISHED, ROWS, SOURCES, Stand, stand
from pfsquid.lake.replace import replace_files
from pfsquid.lake.tables import TABLES

MEMORY = "500MB"  # of DuckDB, beside what Python holds of the distinct values
_PATIENCE = 60.0  # seconds, for the care of the lake to let go of a table


@dataclass(frozen=True)
class Published:
    """What was written. tables: name → rows that it has now, of those that were changed. judged: hosts that were
    looked up in the catalogue. at: when all was as it is now."""

    tables: Mapping[str, int]
    judged: int
    at: datetime


def states(tables: Mapping[str, Table | None]) -> str:
    """Which states the tables have that meaning is made of (SOURCES): changes with each commit of rows."""
    found = {name: tables[name] for name in SOURCES}
    return ",".join(
        f"{name}:{(table.metadata.current_snapshot_id if table else None) or 0}" for name, table in found.items()
    )


def publish(lake: Lake, knowledge: Knowledge, now: datetime | None = None) -> Published:
    """Bring the tables up to date. Raises PfsquidError."""
    now = now or datetime.now(UTC)
    with explained(lake):
        rows = states({name: lake.table(name) for name in SOURCES})
        known = digest_of_knowledge(knowledge)
        last = stand(lake)
        if last and (last.rows, last.known) == (rows, known):
            return Published({}, 0, last.at)
        for name in TABLES:
            lake.made_table(name)  # a question names them whether there are rows or not
        with session(lake, knowledge, anew=True, memory=MEMORY) as made:
            tables = {name: made.connection.sql(f"SELECT * FROM {name}").to_arrow_table() for name in PUBLISHED}
            changed = {
                name: written
                for name in PUBLISHED
                if name != HOSTS and (written := _replaced(lake, name, tables[name], {})) is not None
            }
            stamp = {AT: now.isoformat(), ROWS: rows, KNOWN: known, OF: made.of}
            judged, hosts = _hosts(lake, made, tables[HOSTS], stamp)
        if hosts is not None:
            changed[HOSTS] = hosts
        return Published({name: changed[name] for name in PUBLISHED if name in changed}, judged, now)


def _hosts(lake: Lake, made: Session, rows: pa.Table, stamp: Mapping[str, str | None]) -> tuple[int, int | None]:
    """Add the hosts that are new, or write all of them where they are judged in another way than before; with the
    stamp, in one commit. How many were judged, and how many there are now where that changed."""
    table = lake.table(HOSTS)
    if table is None or table.properties.get(OF) != made.of:
        _replaced(lake, HOSTS, rows, stamp, always=True)
        return len(rows), len(rows)

    def add(there: Table) -> tuple[int, int | None]:
        known = there.scan(selected_fields=("host",)).to_arrow()["host"].combine_chunks()
        new = rows.filter(pc.invert(pc.is_in(rows["host"], value_set=known.cast(pa.string()))))
        if not len(new):
            _stamped(there, stamp)
            return 0, None
        _committed(there, (), write_data_files(there, TABLES[HOSTS], _cast(HOSTS, new)), stamp)
        return len(new), len(known) + len(new)

    with lake.writing(HOSTS, wait=_PATIENCE):
        return committed(lake, HOSTS, add)


def _replaced(
    lake: Lake, name: str, rows: pa.Table, stamp: Mapping[str, str | None], always: bool = False
) -> int | None:
    """Put rows in the place of all that a table has, in one commit; None where they are what it has."""
    rows = _cast(name, rows).sort_by([(column, "ascending") for column in PUBLISHED[name].names])
    content = _digest(rows)

    def put(table: Table) -> int | None:
        if table.properties.get(CONTENT) == content and not always:
            return None
        old = [file for there in held(table).values() for file in there.files]
        new = write_data_files(table, TABLES[name], rows) if len(rows) else []
        _committed(table, old, new, {CONTENT: content, **stamp})
        return len(rows)

    with lake.writing(name, wait=_PATIENCE):
        return committed(lake, name, put)


def _committed(
    table: Table, old: Sequence[DataFile], new: Sequence[DataFile], properties: Mapping[str, str | None]
) -> None:
    """Put files in the place of others. Where that surely did not come about, the new ones are deleted."""
    try:
        replace_files(table, old, new, properties)
    except CommitFailedException:
        discarded(table, new)
        raise


def _stamped(table: Table, stamp: Mapping[str, str | None]) -> None:
    with table.transaction() as tx:
        put_properties(tx, {key: value for key, value in stamp.items() if value is not None})


def _cast(name: str, rows: pa.Table) -> pa.Table:
    return rows.select(PUBLISHED[name].names).cast(PUBLISHED[name])


def _digest(rows: pa.Table) -> str:
    told = hashlib.sha256()
    for batch in rows.to_batches(max_chunksize=10_000):
        told.update(repr(batch.to_pylist()).encode("utf-8", "surrogatepass"))
    return told.hexdigest()[:24]


def need_published(lake: Lake) -> Stand:
    """What is published. Raises PfsquidError where nothing is."""
    with explained(lake):
        found = stand(lake)
    if found is None:
        raise PfsquidError(
            f"hosts, apps and people are not published in {lake.place} yet, so Athena cannot know them",
            "pfsquid lake publish",
            "pfsquid run    # publishes every hour",
        )
    return found
