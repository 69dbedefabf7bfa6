"""Where a lake is: a folder; or a prefix of a bucket, with a catalog and a folder of this machine for what stays."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pfsquid.cloud import Cloud

NAMESPACE = "pfsquid"


@dataclass(frozen=True)
class Place:
    """folder: the lake's, absolute; of a lake in S3 the one on this machine that holds its locks, status and spools.

    url: s3://BUCKET/PREFIX, "" for a folder. catalog: glue, sqlite:PATH or rest:URL, of a lake in S3. database: the
    namespace of its tables, of Glue the database.
    """

    folder: Path
    url: str = ""
    catalog: str = "glue"
    database: str = NAMESPACE
    cloud: Cloud = field(default_factory=Cloud)

    @property
    def catalog_file(self) -> Path | None:
        """The file of a SQLite catalog of a lake in S3; None where it has another one."""
        kind, _, path = self.catalog.partition(":")
        return Path(path).expanduser().absolute() if self.url and kind == "sqlite" else None

    def __str__(self) -> str:
        return self.url or str(self.folder)
