"""Open a lake: Iceberg tables in a folder with a SQLite catalog, or in S3. Makes it where asked to; holds its locks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError, TableAlreadyExistsError
from pyiceberg.table import Table

from pfsquid.errors import PfsquidError, WrongUse
from pfsquid.lake.failures import explaining, no_lake
from pfsquid.lake.local import sqlite_catalog
from pfsquid.lake.locks import locked
from pfsquid.lake.tables import NAMESPACE, TABLES, TableSpec, iceberg_type
from pfsquid.place import Place

CATALOG = "catalog.db"


@dataclass(frozen=True)
class Lake:
    """An open lake. folder: its absolute path; of one in S3, the folder of this machine for its locks and states.

    namespace: what its tables are in. connect: gives its catalog, which is asked for when it is first needed.
    """

    folder: Path
    place: Place
    namespace: str
    connect: Callable[[], Catalog]
    _lock: threading.Lock = field(default_factory=threading.Lock, compare=False, repr=False)
    _made: list[Catalog] = field(default_factory=list, compare=False, repr=False)

    @property
    def remote(self) -> bool:
        """Is it in S3?"""
        return bool(self.place.url)

    @property
    def catalog(self) -> Catalog:
        """Its catalog. Raises what connecting to it raises."""
        with self._lock:
            if not self._made:
                self._made.append(self.connect())
            return self._made[0]

    def table(self, name: str) -> Table | None:
        """The table, or None where nothing was ever written to it. Raises WrongUse where it is another lake's."""
        try:
            return self._checked(self.catalog.load_table((self.namespace, name)))
        except (NoSuchTableError, NoSuchNamespaceError):
            return None

    def made_table(self, name: str) -> Table:
        """The table, made if it is not there yet; one of an older pfsquid gets the columns that have come since."""
        table, spec = self.table(name), TABLES[name]
        if table is not None:
            return _widened(table, spec)
        with locked(self.folder / ".lake.lock", wait=True):  # two sources may begin with it at once
            return self.table(name) or self._new(name, spec)

    def _new(self, name: str, spec: TableSpec) -> Table:
        # Where tables lie in S3 is never left to the database, which may say another place. Two databases below one
        # prefix are two lakes.
        location = f"{self.place.url}/{self.namespace}.db/{name}" if self.remote else None
        try:
            return self._created(name, spec, location)
        except NoSuchNamespaceError:
            self.catalog.create_namespace_if_not_exists(self.namespace)
            return self._created(name, spec, location)

    def _created(self, name: str, spec: TableSpec, location: str | None) -> Table:
        """The table, made by us or at the same moment by another machine."""
        try:
            return self.catalog.create_table(
                (self.namespace, name),
                schema=spec.iceberg_schema(),
                location=location,
                partition_spec=spec.partition_spec(),
                properties=spec.properties(),
            )
        except TableAlreadyExistsError:
            return self._checked(self.catalog.load_table((self.namespace, name)))

    def _checked(self, table: Table) -> Table:
        """It lies where the lake does: a database that was given to another lake is not read for this one."""
        if self.remote and not f"{table.location()}/".startswith(f"{self.place.url}/"):
            raise WrongUse(
                f"the database {self.namespace} is of another lake: its table {table.name()[-1]} lies in"
                f" {table.location()}, and not below {self.place.url}",
                f"--lake {table.location().rpartition('/')[0].rpartition('/')[0]}",
                "set aws.database to another name for a lake of its own",
            )
        return table

    @contextmanager
    def writing(self, table: str, wait: bool | float = False) -> Iterator[None]:
        """Hold the lock of one table, so that two collectors of this machine never append the same rows.

        wait: for the other to let go of it; so many seconds, or as long as it takes. Raises PfsquidError where
        another holds it.
        """
        with explained(self):
            try:
                with locked(self.folder / f".{table}.lock", wait):
                    yield
            except BlockingIOError:
                raise PfsquidError(
                    f"another pfsquid is writing to the table {table} of {self.place}",
                    "wait for it to end, and run this again: it goes on where that one stopped",
                ) from None

    @contextmanager
    def caring(self) -> Iterator[None]:
        """Hold the lock of the care of the lake: one at a time. Raises PfsquidError where another holds it."""
        with explained(self), ExitStack() as held:
            try:
                held.enter_context(locked(self.folder / ".care.lock", wait=False))
            except BlockingIOError:
                raise PfsquidError(
                    f"another pfsquid is compacting or clearing the lake in {self.place}",
                    "nothing: it does what this one was to do",
                ) from None
            yield


def open_lake(place: Place | Path, make: bool) -> Lake:
    """Open the lake in a folder or in S3; `make` it where there is none. Raises PfsquidError.

    One in S3 that is to be made is not asked for: it is made when a table is, so that a service starts without it.
    """
    if isinstance(place, Path):
        place = Place(place.expanduser().absolute())
    if place.url:
        return _open_remote(place, make)
    folder = place.folder
    with explaining(place):
        if folder.exists() and not folder.is_dir():
            raise WrongUse(f"{folder} is a file; a lake is a folder", f"pfsquid … --lake {quote(f'{folder}.lake')}")
        if not make and not (folder / CATALOG).is_file():
            raise no_lake(place)
        if make:
            folder.mkdir(parents=True, exist_ok=True)
            with locked(folder / ".lake.lock", wait=True):
                catalog = _catalog(folder, make)
                catalog.create_namespace_if_not_exists(NAMESPACE)
        else:
            catalog = _catalog(folder, make)
    return Lake(folder, place, NAMESPACE, lambda: catalog)


def _open_remote(place: Place, make: bool) -> Lake:
    def connect() -> Catalog:
        from pfsquid.lake.remote import remote_catalog

        return remote_catalog(place, make)

    lake = Lake(place.folder, place, place.database, connect)
    with explaining(place):
        place.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not make:
            try:
                lake.catalog.load_namespace_properties(place.database)
            except NoSuchNamespaceError:
                raise no_lake(place) from None
    return lake


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
    """One `pfsquid run` at a time of this machine works on a lake. Raises PfsquidError for the second."""
    with explained(lake):
        try:
            with locked(lake.folder / ".run.lock", wait=False):
                yield
        except BlockingIOError:
            raise PfsquidError(
                f"another pfsquid run is at work on the lake in {lake.place}",
                "pfsquid status",
                "systemctl status pfsquid",
            ) from None


def _catalog(folder: Path, make: bool) -> Catalog:
    return sqlite_catalog(NAMESPACE, folder / CATALOG, {"warehouse": str(folder)}, make)


@contextmanager
def explained(lake: Lake | Path) -> Iterator[None]:
    """Turn what goes wrong with a lake, in a folder or in S3, into an error that says what to do."""
    with explaining(Place(lake) if isinstance(lake, Path) else lake.place):
        yield
