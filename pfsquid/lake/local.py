"""The catalog that is a file: of a lake in a folder, and of one in S3 that a single machine writes to."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from pyiceberg.catalog.sql import SqlCatalog
from sqlalchemy.engine import URL


def sqlite_catalog(name: str, path: Path, properties: dict[str, Any], make: bool = True) -> SqlCatalog:
    """The catalog in this file; with its tables, where they are to be made. Raises sqlalchemy's errors."""
    # A path as it is and no text of a URL, in which a folder's `?`, `#` and `%` would mean something.
    uri = cast(str, URL.create("sqlite", database=str(path)))
    return SqlCatalog(name, uri=uri, init_catalog_tables=str(make).lower(), **properties)
