"""The whole care of a lake, killed with SIGKILL at one point of it. For processes of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pyiceberg.catalog.sql import SqlCatalog

import pfsquid.lake.compact
import pfsquid.lake.engine
import pfsquid.lake.expire
import pfsquid.lake.sorting
import pfsquid.lake.usage
from pfsquid.lake.care import care
from pfsquid.lake.catalog import open_lake
from pfsquid.lake.files import DataFiles
from tests.faults import around, at_call, die, on
from tests.lake.care_rows import EAGER, LATER

count = at_call(3)


def third_time(*_: Any, **__: Any) -> None:
    count()


def after_metadata() -> None:
    """Die when the metadata of the next state is on the disk, and the catalog does not know of it yet."""
    write = SqlCatalog._write_metadata

    def written(*given: Any, **options: Any) -> None:
        write(*given, **options)
        die()

    SqlCatalog._write_metadata = staticmethod(written)  # type: ignore[method-assign]


POINTS = {
    "sorting": lambda: around(pfsquid.lake.sorting, "_in_order", lambda *_: die(), None),
    "files-written": lambda: around(DataFiles, "finish", None, at_call(1)),
    "before-the-first-commit": lambda: around(SqlCatalog, "commit_table", on("proxy", at_call(1)), None),
    "after-the-first-commit": lambda: around(SqlCatalog, "commit_table", None, on("proxy", at_call(1))),
    "between-two-days": lambda: around(SqlCatalog, "commit_table", on("proxy", at_call(2)), None),
    "metadata-written": lambda: after_metadata(),
    "usage-made": lambda: around(pfsquid.lake.usage, "sorted_files", None, at_call(1)),
    "before-the-count-commits": lambda: around(SqlCatalog, "commit_table", on("usage", at_call(1)), None),
    "after-the-count-commits": lambda: around(SqlCatalog, "commit_table", None, on("usage", at_call(1))),
    "before-snapshots-go": lambda: around(pfsquid.lake.expire, "_forget", lambda *_: die(), None),
    "after-snapshots-went": lambda: around(pfsquid.lake.expire, "_forget", None, lambda *_: die()),
    "in-the-middle-of-the-files": lambda: around(Path, "unlink", third_time, None),
}


def cared(point: str, folder: str) -> None:
    """The care of the lake in a folder; point: '' for none."""
    lake = open_lake(Path(folder), make=False)
    if point:
        POINTS[point]()
    care(lake, EAGER, LATER)
