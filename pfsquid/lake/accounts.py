"""Listings of a directory → versions of its accounts and service principals: what held from when to when.

A version ends when what it says changes, or when the account is gone; the account's id keeps a renamed one the same. A
listing is compared as a whole: one that broke off, or that is empty where there were accounts, changes nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.expressions import AlwaysFalse, And, BooleanExpression, EqualTo, In, IsNull
from pyiceberg.table import Table

from collectors.directory.schema import VALIDITY, listed
from pfsquid.errors import PfsquidError
from pfsquid.lake.catalog import Lake, explained
from pfsquid.lake.commit import committed, discarded, put_properties
from pfsquid.lake.files import write_data_files
from pfsquid.lake.memory import give_back, use_little
from pfsquid.lake.tables import TABLES

ACCOUNTS, SERVICE_PRINCIPALS = "accounts", "service_principals"
_KEYS = {ACCOUNTS: "account_id", SERVICE_PRINCIPALS: "id"}
# What of a record says when something was done with it, and nothing of what it is.
_PASSING = frozenset(
    {
        "lastPasswordChangeDateTime",
        "onPremisesLastSyncDateTime",
        "refreshTokensValidFromDateTime",
        "signInActivity",
        "signInSessionsValidFromDateTime",
    }
)


_ROWS = 200  # as Python's values at a time


@dataclass(frozen=True)
class Counts:
    """What a listing brought. seen: accounts in it. new, changed: versions begun. gone: accounts that are no more."""

    seen: int = 0
    new: int = 0
    changed: int = 0
    gone: int = 0


def refresh(
    lake: Lake, origin: str, tenant: str, tables: Iterable[pa.Table], now: datetime, table: str = ACCOUNTS
) -> Counts:
    """Bring a whole listing of one origin and tenant into `accounts` or `service_principals`, in one commit.

    tables: as `collectors.entra.directory` and `collectors.directory.accounts` give them; what they raise is raised
    before anything is written. tenant: as in their column. now: UTC, when the listing was read. Raises PfsquidError
    where the listing is empty and accounts are known, where its rows are of another tenant, and where the lake fails.
    """
    use_little()
    try:
        return _refresh(lake, origin, tenant.lower(), tables, now, table)
    finally:
        give_back()


def _refresh(lake: Lake, origin: str, tenant: str, tables: Iterable[pa.Table], now: datetime, table: str) -> Counts:
    spec, key = TABLES[table], _KEYS[table]
    listing = pa.concat_tables([listed(spec.arrow).empty_table(), *tables])
    _check_tenant(listing, tenant, table)
    new = _states(listing.to_batches(max_chunksize=_ROWS), key)
    mine = _of(origin, tenant, table)

    def attempt(there: Table) -> Counts:
        old = _states(there.scan(row_filter=mine).to_arrow_batch_reader(), key)
        if old and not new:
            raise PfsquidError(
                f"the listing of {tenant} is empty, but {len(old):,} {table.replace('_', ' ')} of it are known: "
                "nothing was changed",
                "look whether the account that reads them may still do so, and whether directory.base is right",
                f"pfsquid query --sql \"SELECT * FROM {table} WHERE tenant = '{tenant}' AND valid_to IS NULL\"",
            )
        changed = [one for one, state in new.items() if one in old and state.digest != old[one].digest]
        gone = [one for one in old if one not in new]
        begun = [one for one in new if one not in old]
        if changed or gone or begun:
            outdated = And(mine, In(key, [*changed, *gone])) if changed or gone else AlwaysFalse()
            ended = there.scan(row_filter=outdated).to_arrow()
            fresh = listing.take(pa.array([new[one].row for one in (*begun, *changed)], pa.int64()))
            # A clock that was set back would end versions before they began.
            at = max([now, *ended["valid_from"].to_pylist()])
            rows = [_held(ended, spec.arrow, valid_to=at), _held(fresh, spec.arrow, valid_from=at, valid_to=None)]
            _commit(there, table, outdated if len(ended) else None, rows)
        return Counts(len(new), len(begun), len(changed), len(gone))

    with explained(lake), lake.writing(table, wait=True):
        return committed(lake, table, attempt)


def read_before(lake: Lake, origin: str, tenant: str, table: str) -> float | None:
    """When a listing was read last, seconds since 1970, as the lake itself says; None where it does not."""
    with explained(lake):
        there = lake.table(table)
        text = there.properties.get(_read_key(origin, tenant)) if there else None
    return float(text) if text else None


def note_read(lake: Lake, origin: str, tenant: str, table: str, now: float) -> None:
    """Say in the lake when a listing was read, though it brought nothing new. Raises PfsquidError."""

    def attempt(there: Table) -> None:
        with there.transaction() as tx:
            put_properties(tx, {_read_key(origin, tenant): f"{now:.0f}"})

    with explained(lake), lake.writing(table, wait=True):
        committed(lake, table, attempt)


def _read_key(origin: str, tenant: str) -> str:
    return f"pfsquid.read.{origin}.{tenant.lower()}"


@dataclass(frozen=True)
class _State:
    row: int
    digest: bytes


def _states(batches: Iterable[pa.RecordBatch], key: str) -> dict[str, _State]:
    """Where each account stands, and a digest of what it says; where a page came twice, as it came last."""
    found: dict[str, _State] = {}
    number = 0
    for batch in batches:
        for begin in range(0, len(batch), _ROWS):
            for row in batch.slice(begin, _ROWS).to_pylist():
                found[row[key]] = _State(number, hashlib.blake2b(_content(row).encode(), digest_size=16).digest())
                number += 1
    return found


def _held(rows: pa.Table, schema: pa.Schema, **validity: datetime | None) -> pa.Table:
    """The rows with all columns of the table, from or to a moment."""
    columns = [
        pa.array([validity[field.name]] * len(rows), field.type)
        if field.name in validity
        else rows[field.name].cast(field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, names=schema.names).cast(schema)


def _check_tenant(listing: pa.Table, tenant: str, table: str) -> None:
    others = {*listing["tenant"].unique().to_pylist()} - {tenant}
    if others:
        raise PfsquidError(
            f"the listing of {table} is of {', '.join(sorted(others))}, not of {tenant}: nothing was changed",
            "the same command with --debug",
        )


def _of(origin: str, tenant: str, table: str) -> BooleanExpression:
    """The versions that hold now."""
    current = And(EqualTo("tenant", tenant), IsNull("valid_to"))
    return And(EqualTo("origin", origin), current) if table == ACCOUNTS else current


def _content(row: Mapping[str, Any]) -> str:
    """What a version says: its columns, and its record whatever order Graph put it in."""
    plain = sorted((name, str(value)) for name, value in row.items() if name not in (*VALIDITY, "raw"))
    return f"{plain}\n{_plain(row['raw'])}"


def _plain(raw: str) -> str:
    try:
        return json.dumps(_ordered(json.loads(raw)), sort_keys=True)
    except (ValueError, RecursionError):
        return raw


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _ordered(inner) for key, inner in value.items() if key not in _PASSING and not key.startswith("@odata")
        }
    if isinstance(value, list):
        return sorted((_ordered(inner) for inner in value), key=lambda inner: json.dumps(inner, sort_keys=True))
    return value


def _commit(table: Table, name: str, outdated: BooleanExpression | None, rows: Iterable[pa.Table]) -> None:
    """One commit: the outdated versions give way to themselves with an end, and to what follows them."""
    written = write_data_files(table, TABLES[name], pa.concat_tables(rows))
    try:
        with table.transaction() as tx:
            if outdated is not None:
                tx.delete(outdated)
            with tx.update_snapshot().fast_append() as append:
                for file in written:
                    append.append_data_file(file)
    except CommitFailedException:
        discarded(table, written)
        raise
