"""Open a lake: a folder with a SQLite catalog and Iceberg tables. Makes it where asked to; holds its locks."""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.table import Table
from sqlalchemy.exc import DatabaseError

from pfsquid.errors import PfsquidError, WrongUse
from pfsquid.lake.tables import NAMESPACE, TABLES

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
        """The table, made if it is not there yet."""
        table = self.table(name)
        if table is not None:
            return table
        spec = TABLES[name]
        return self.catalog.create_table(
            f"{NAMESPACE}.{name}",
            schema=spec.iceberg_schema(),
            partition_spec=spec.partition_spec(),
            properties=spec.properties(),
        )

    @contextmanager
    def writing(self, table: str) -> Iterator[None]:
        """Hold the lock of one table, so that two collectors never append the same rows. Raises PfsquidError."""
        with self._explained(), (self.folder / f".{table}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise PfsquidError(
                    f"another pfsquid is writing to the table {table} of {self.folder}",
                    "wait for it to end, and run this again: it goes on where that one stopped",
                ) from None
            yield

    @contextmanager
    def _explained(self) -> Iterator[None]:
        with explained(self.folder):
            yield


def open_lake(folder: Path, make: bool) -> Lake:
    """Open the lake in `folder`; `make` it where there is none. Raises PfsquidError."""
    folder = folder.expanduser().absolute()
    there = (folder / CATALOG).is_file()
    if not there and not make:
        raise WrongUse(
            f"there is no lake in {folder}",
            f"pfsquid collect squid --from /path/to/access.log --lake {folder}",
            "pfsquid demo",
        )
    if folder.exists() and not folder.is_dir():
        raise WrongUse(f"{folder} is a file; a lake is a folder", f"pfsquid … --lake {folder}.lake")
    with explained(folder):
        if not there:
            folder.mkdir(parents=True, exist_ok=True)
        catalog = SqlCatalog(
            NAMESPACE,
            uri=f"sqlite:///{folder / CATALOG}",
            warehouse=folder.as_uri(),
            init_catalog_tables="false" if there else "true",
        )
        if make:
            catalog.create_namespace_if_not_exists(NAMESPACE)
    return Lake(folder, catalog)


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn what goes wrong below a lake's folder into an error that says what to do."""
    try:
        yield
    except OSError as exc:
        raise _failure(folder, exc.strerror or str(exc)) from exc
    except (DatabaseError, sqlite3.Error) as exc:
        raise _failure(folder, str(getattr(exc, "orig", exc))) from exc


def _failure(folder: Path, why: str) -> PfsquidError:
    lower = why.lower()
    if "no space" in lower or "disk is full" in lower or "disk full" in lower:
        return PfsquidError(
            f"no space left for the lake in {folder}", f"df -h {folder}", "make room, and run this again"
        )
    if any(word in lower for word in ("permission", "readonly", "read-only", "unable to open")):
        return PfsquidError(
            f"the lake in {folder} cannot be written: {why}",
            f"ls -ld {folder}    # who may write there, and is it mounted read-only?",
            "pfsquid … --lake ANOTHER_FOLDER",
        )
    return PfsquidError(f"the lake in {folder} cannot be used: {why}", f"ls -la {folder}")
