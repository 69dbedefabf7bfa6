"""Commits on a lake that others write to at the same moment, on this machine or on any other.

A commit takes effect only on the very state that it was made from. Where another was first it is made again, from what
is there now; where the answer got lost, the lake is asked whether it took effect before it is sent again. So nothing
is lost and nothing is there twice. The lock of `Lake.writing` saves the processes of one machine the detour, no more.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Literal, TypeVar, cast

from pydantic import Field
from pyiceberg.catalog import MetastoreCatalog
from pyiceberg.exceptions import (
    CommitFailedException,
    TableAlreadyExistsError,
)
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table, Transaction
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.refs import MAIN_BRANCH
from pyiceberg.table.update import (
    AddSnapshotUpdate,
    AssertRefSnapshotId,
    RemovePropertiesUpdate,
    SetPropertiesUpdate,
    TableRequirement,
    TableUpdate,
    ValidatableTableRequirement,
)

from pfsquid.lake.catalog import Lake
from pfsquid.lake.passing import Busy, Moved, transient

__all__ = ["Busy", "Moved", "committed", "discarded", "looked_up", "made", "put_properties", "transient"]

SECONDS = 60.0  # that a commit is tried
_LOOK = 5.0  # and a table asked for by who is to read it
_GONE = 5  # times that a file of the table's own may be missing: another commit may just have replaced it
T = TypeVar("T")


def committed(lake: Lake, name: str, attempt: Callable[[Table], T], seconds: float | None = None) -> T:
    """Load a table, made if it is not there, and have `attempt` change it by at most one transaction; what it returns.

    It is called again with the table as it is then where another commit came first, or S3 or the catalog failed in a
    way that passes. So it must work out anew what depends on the table, and raise `Moved` where it does not hold any
    more. seconds: how long that is tried (SECONDS); then Busy or what failed is raised, and at once what does not pass.
    """
    until = time.monotonic() + (SECONDS if seconds is None else seconds)
    missing = 0
    for pause in _pauses():
        try:
            return attempt(_sure(lake.made_table(name), until))
        except (CommitFailedException, TableAlreadyExistsError) as exc:
            why: Exception = exc
            wait = pause
        except FileNotFoundError as exc:
            missing += 1
            if missing > _GONE:
                raise
            why, wait = exc, pause
        except _UnknownError as exc:
            raise _busy(name, exc) from exc
        except Exception as exc:
            if not transient(exc):
                raise
            why, wait = exc, 4 * pause
        if time.monotonic() + wait > until:
            if isinstance(why, CommitFailedException | TableAlreadyExistsError):
                raise _busy(name, why) from why
            raise why
        time.sleep(wait)
    raise AssertionError("the pauses never end")


def looked_up(lake: Lake, name: str) -> Table | None:
    """The table, or None where there is none; asked for again for some seconds where that fails in a way that passes.
    Raises what `Lake.table` raises."""
    until = time.monotonic() + min(SECONDS, _LOOK)
    for pause in _pauses():
        try:
            return lake.table(name)
        except Exception as exc:
            passes = isinstance(exc, FileNotFoundError) or transient(exc)
            if not passes or time.monotonic() + pause > until:
                raise
        time.sleep(pause)
    raise AssertionError("the pauses never end")


def made(lake: Lake, name: str) -> Table:
    """The table to write files for, made where it is not there yet. Raises as `committed` does."""
    return committed(lake, name, lambda table: table)


def put_properties(tx: Transaction, properties: Mapping[str, str]) -> None:
    """Set properties in a transaction that may have nothing else in it.

    A catalog that judges for itself (REST) knows of no condition on properties: there a snapshot of the same files goes
    with them, so that of two who set them from the same state one is told.
    """
    table = tx._table
    if not isinstance(table.catalog, MetastoreCatalog) and not tx._updates:
        with tx.update_snapshot().fast_append():
            pass
    tx.set_properties(dict(properties))


def discarded(table: Table, files: Iterable[DataFile]) -> None:
    """Delete files that were written for a commit which surely did not come about; those that stay, care will find."""
    for file in files:
        with suppress(Exception):
            table.io.delete(file.file_path)


def _pauses() -> Iterator[float]:
    """Seconds between one try and the next: at random, so that two do not meet again, and longer and longer."""
    longest = 0.05
    while True:
        yield random.uniform(longest / 5, longest)  # noqa: S311 - no secret
        longest = min(2 * longest, 2.0)


def _busy(name: str, why: Exception) -> Busy:
    if isinstance(why, _UnknownError):
        told = f"no answer to a commit to the table {name}: whether it came about shows when this is run again ({why})"
    else:
        told = f"the table {name} is written to by others all the time; nothing of this step was written"
    return Busy(told, "run this again: it goes on from what is in the lake")


class _UnknownError(Exception):
    """A commit was sent, and nothing tells whether it took effect."""


class _AsItWas(ValidatableTableRequirement):
    """Snapshot and properties are those that a commit was made from. For catalogs that this process commits for: they
    put the new state in the place of the very one that was judged."""

    type: Literal["pfsquid-as-it-was"] = Field(default="pfsquid-as-it-was")
    snapshot: int | None
    properties: dict[str, str]

    def validate(self, base_metadata: TableMetadata | None) -> None:  # type: ignore[override]
        """Raises CommitFailedException where they are not."""
        if base_metadata is None or (base_metadata.current_snapshot_id, base_metadata.properties) != (
            self.snapshot,
            self.properties,
        ):
            raise CommitFailedException("another commit came first")


class _Sure(Table):
    """A table whose commits either took effect, or surely did not (CommitFailedException), or are told to be unknown.

    pyiceberg deletes the files of a commit that failed: that must never be said of one that took effect.
    """

    until: float

    def _do_commit(self, updates: tuple[TableUpdate, ...], requirements: tuple[TableRequirement, ...]) -> None:
        requirements = (*requirements, *self._conditions(requirements))
        why: Exception | None = None
        for pause in _pauses():
            try:
                response = self.catalog.commit_table(self, requirements, updates)
            except Exception as exc:
                if not isinstance(exc, CommitFailedException | FileNotFoundError) and not transient(exc):
                    if why is None:
                        raise
                    raise _UnknownError(str(exc)) from exc  # an earlier try may yet arrive
                why = exc
            else:
                self._check_uuid(self.metadata, response.metadata)
                with suppress(Exception):  # old metadata: what remains of it, care finds
                    self.catalog._delete_old_metadata(self.io, self.metadata, response.metadata)
                self.metadata, self.metadata_location = response.metadata, response.metadata_location
                return
            fresh = self._fresh(why)
            if _has(fresh.metadata, updates):
                self.metadata, self.metadata_location = fresh.metadata, fresh.metadata_location
                return
            if self._follows(fresh):
                raise CommitFailedException("another commit came first") from why
            if time.monotonic() + pause > self.until:
                raise _UnknownError(str(why)) from why
            time.sleep(pause)

    def _conditions(self, requirements: tuple[TableRequirement, ...]) -> list[TableRequirement]:
        found: list[TableRequirement] = []
        if isinstance(self.catalog, MetastoreCatalog):
            properties = {key: str(value) for key, value in self.metadata.properties.items()}
            condition = _AsItWas(snapshot=self.metadata.current_snapshot_id, properties=properties)
            found.append(cast(TableRequirement, condition))
        elif not any(isinstance(one, AssertRefSnapshotId) for one in requirements):
            told = {"ref": MAIN_BRANCH, "snapshot-id": self.metadata.current_snapshot_id}
            found.append(AssertRefSnapshotId.model_validate(told))
        return found

    def _fresh(self, why: Exception) -> Table:
        """The table as it is now; asked for until it answers."""
        for pause in _pauses():
            try:
                return self.catalog.load_table(self.name())
            except Exception as exc:
                if not isinstance(exc, FileNotFoundError) and not transient(exc):
                    raise _UnknownError(str(why)) from exc
                if time.monotonic() + 4 * pause > self.until:
                    raise _UnknownError(str(why)) from exc
                time.sleep(4 * pause)
        raise AssertionError("the pauses never end")

    def _follows(self, fresh: Table) -> bool:
        """Is there another state now, so that a commit from the one before can never take effect any more?"""
        if isinstance(self.catalog, MetastoreCatalog):
            return fresh.metadata_location != self.metadata_location
        return fresh.metadata.current_snapshot_id != self.metadata.current_snapshot_id


def _sure(table: Table, until: float) -> Table:
    sure = _Sure(table.name(), table.metadata, table.metadata_location, table.io, table.catalog, table.config)
    sure.until = until
    return sure


def _has(metadata: TableMetadata, updates: tuple[TableUpdate, ...]) -> bool:
    """Did these changes take effect? Told by their last snapshot; without one, by what they set and removed."""
    snapshots = [one.snapshot.snapshot_id for one in updates if isinstance(one, AddSnapshotUpdate)]
    if snapshots:
        return metadata.snapshot_by_id(snapshots[-1]) is not None
    put = [pair for one in updates if isinstance(one, SetPropertiesUpdate) for pair in one.updates.items()]
    away = [key for one in updates if isinstance(one, RemovePropertiesUpdate) for key in one.removals]
    there = metadata.properties
    return bool(put or away) and all(there.get(key) == value for key, value in put) and not there.keys() & set(away)
