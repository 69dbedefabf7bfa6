"""Open a lake: a folder with a SQLite catalog and Iceberg tables. Makes it where asked to; holds its locks."""

from __future__ import annotations

import fcntl
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import cast

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError
from pyiceberg.table import Table
from sqlalchemy.engine import URL
from sqlalchemy.exc import DatabaseError

from pfsquid.errors import PfsquidError, WrongUse
from pfsquid.lake.tables import NAMESPACE, TABLES, TableSpec, iceberg_type

CATALOG = "catalog.db"


@dataclass(frozen=True)
class Lake:
    """An open lake. folder: its absolute path."""

    folder: Path
    catalog: SqlCatalog

    def table(self, name: str) -> Table | None:
        """The table, or None where nothing was ever written to it."""
        try:
            return self.catalog.load_table(f"{NAMESPACE}.{name}")
        except NoSuchTableError:
            return None

    def made_table(self, name: str) -> Table:
        """The table, made if it is not there yet; one of an older pfsquid gets the columns that have come since."""
        table, spec = self.table(name), TABLES[name]
        if table is not None:
            return _widened(table, spec)
        with _locked(self.folder / ".lake.lock", wait=True):  # two sources may begin with it at once
            return self.table(name) or self.catalog.create_table(
                f"{NAMESPACE}.{name}",
                schema=spec.iceberg_schema(),
                partition_spec=spec.partition_spec(),
                properties=spec.properties(),
            )

    @contextmanager
    def writing(self, table: str, wait: bool | float = False) -> Iterator[None]:
        """Hold the lock of one table, so that two collectors never append the same rows.

        wait: for the other to let go of it; so many seconds, or as long as it takes. Raises PfsquidError where
        another holds it.
        """
        with explained(self.folder):
            try:
                with _locked(self.folder / f".{table}.lock", wait):
                    yield
            except BlockingIOError:
                raise PfsquidError(
                    f"another pfsquid is writing to the table {table} of {self.folder}",
                    "wait for it to end, and run this again: it goes on where that one stopped",
                ) from None

    @contextmanager
    def caring(self) -> Iterator[None]:
        """Hold the lock of the care of the lake: one at a time. Raises PfsquidError where another holds it."""
        with explained(self.folder), ExitStack() as held:
            try:
                held.enter_context(_locked(self.folder / ".care.lock", wait=False))
            except BlockingIOError:
                raise PfsquidError(
                    f"another pfsquid is compacting or clearing the lake in {self.folder}",
                    "nothing: it does what this one was to do",
                ) from None
            yield


def open_lake(folder: Path, make: bool) -> Lake:
    """Open the lake in `folder`; `make` it where there is none. Raises PfsquidError."""
    folder = folder.expanduser().absolute()
    with explained(folder):
        if folder.exists() and not folder.is_dir():
            raise WrongUse(f"{folder} is a file; a lake is a folder", f"pfsquid … --lake {quote(f'{folder}.lake')}")
        if not make and not (folder / CATALOG).is_file():
            raise WrongUse(*_no_lake(folder))
        if make:
            folder.mkdir(parents=True, exist_ok=True)
            with _locked(folder / ".lake.lock", wait=True):
                catalog = _catalog(folder, make)
                catalog.create_namespace_if_not_exists(NAMESPACE)
        else:
            catalog = _catalog(folder, make)
    return Lake(folder, catalog)


def _widened(table: Table, spec: TableSpec) -> Table:
    """The table with every column of the spec: those that it lacks are added at its end, and null in its rows."""
    there = set(table.schema().column_names)
    missing = [column for column in spec.arrow if column.name not in there]
    if missing:
        with table.update_schema() as update:
            for column in missing:
                update.add_column(column.name, iceberg_type(column.type))
    return table


@contextmanager
def alone(lake: Lake) -> Iterator[None]:
    """One `pfsquid run` at a time works on a lake. Raises PfsquidError for the second."""
    with explained(lake.folder):
        try:
            with _locked(lake.folder / ".run.lock", wait=False):
                yield
        except BlockingIOError:
            raise PfsquidError(
                f"another pfsquid run is at work on the lake in {lake.folder}",
                "pfsquid status",
                "systemctl status pfsquid",
            ) from None


def _catalog(folder: Path, make: bool) -> SqlCatalog:
    # Both are paths as they are and no text of a URL, in which a folder's `?`, `#` and `%` would mean something.
    return SqlCatalog(
        NAMESPACE,
        uri=cast(str, URL.create("sqlite", database=str(folder / CATALOG))),
        warehouse=str(folder),
        init_catalog_tables=str(make).lower(),
    )


def _no_lake(folder: Path) -> tuple[str, ...]:
    return (
        f"there is no lake in {folder}",
        f"pfsquid collect squid --from /path/to/access.log --lake {quote(str(folder))}",
        "pfsquid demo",
    )


@contextmanager
def _locked(path: Path, wait: bool | float) -> Iterator[None]:
    """Hold the lock of a file, made if need be. Raises BlockingIOError where another holds it, and still does after
    `wait` seconds; where that is True, it waits as long as it takes."""
    with path.open("w") as lock:
        until = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait is True else fcntl.LOCK_NB))
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise
                time.sleep(0.005)
        yield


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn what goes wrong below a lake's folder into an error that says what to do."""
    try:
        yield
    except OSError as exc:
        raise _failure(folder, exc.strerror or str(exc)) from exc
    except (DatabaseError, sqlite3.Error) as exc:
        raise _failure(folder, str(getattr(exc, "orig", exc))) from exc
    except CommitFailedException as exc:
        raise PfsquidError(
            f"another program wrote to the lake in {folder} at the same moment; nothing of this step was written",
            "run this again: it goes on from what is in the lake",
        ) from exc


def _failure(folder: Path, why: str) -> PfsquidError:
    lower = why.lower()
    if "no such table" in lower:  # made by a process that was killed before it wrote anything
        return WrongUse(*_no_lake(folder))
    if any(words in lower for words in ("no space", "disk is full", "disk full", "quota exceeded")):
        return PfsquidError(
            f"no space left for the lake in {folder}",
            f"df -h {quote(str(folder))}",
            "make room, and run this again: it goes on from what is in the lake",
        )
    if any(words in lower for words in ("permission", "readonly", "read-only", "unable to open", "not permitted")):
        return PfsquidError(
            f"no access to the lake in {folder}: {why}",
            f"ls -ld {quote(str(folder))}    # whose is it, and is it mounted read-only?",
            "pfsquid … --lake ANOTHER_FOLDER",
        )
    return PfsquidError(f"the lake in {folder} cannot be used: {why}", f"ls -la {quote(str(folder))}")
