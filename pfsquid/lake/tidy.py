"""The least care: earlier states of tables are forgotten, so that a commit stays as quick as it was. Deletes no file.

For a collector that has neither the time nor the memory to compact; what no state names any more is an orphan, which
Glue's optimizers or the care of a `pfsquid run` take away.
"""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.table.update.snapshot import ExpireSnapshots

from pfsquid.lake.catalog import Lake, explained
from pfsquid.lake.commit import committed

TABLES_OF_GRAPH = ("signins", "audits", "windows", "rejects", "accounts", "service_principals")
FEW = 50  # snapshots: not worth a commit


def expire_snapshots(lake: Lake, before: datetime, tables: tuple[str, ...] = TABLES_OF_GRAPH) -> int:
    """Forget the snapshots that another one had followed before that moment (aware); how many. Raises PfsquidError."""
    gone = 0
    for name in tables:
        with explained(lake):
            there = lake.table(name)
            if there is not None and len(old_snapshots(there, before)) > FEW:
                with lake.writing(name, wait=10.0):
                    gone += committed(lake, name, lambda table: _forget(table, before))
    return gone


def _forget(table: Table, before: datetime) -> int:
    old = [one.snapshot_id for one in old_snapshots(table, before)]
    if old:
        with table.transaction() as tx:
            ExpireSnapshots(tx).by_ids(old).commit()
    return len(old)


def old_snapshots(table: Table, before: datetime) -> list[Snapshot]:
    """The snapshots that another one had followed before that moment (aware)."""
    line = sorted(table.metadata.snapshots, key=lambda one: (one.sequence_number or 0, one.timestamp_ms))
    protected = {ref.snapshot_id for ref in table.metadata.refs.values()}
    limit = before.timestamp() * 1000
    return [
        one for one, follower in pairwise(line) if follower.timestamp_ms <= limit and one.snapshot_id not in protected
    ]
