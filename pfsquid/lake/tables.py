"""The tables of the lake: schema, partition and how their files are written. Says what is, touches nothing."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC, PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import DayTransform
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    IcebergType,
    IntegerType,
    LongType,
    MapType,
    NestedField,
    StringType,
    TimestamptzType,
)

from collectors.batch import REJECTS_SCHEMA
from collectors.directory.schema import ACCOUNTS_SCHEMA
from collectors.entra.audits import AUDITS_SCHEMA
from collectors.entra.directory import SERVICE_PRINCIPALS_SCHEMA
from collectors.entra.signins import SIGNINS_SCHEMA
from collectors.squid.schema import PROXY_SCHEMA
from pfsquid.lake.published import PUBLISHED
from pfsquid.lake.rollup import USAGE_SCHEMA

NAMESPACE = "pfsquid"
_TIMESTAMP = pa.timestamp("us", tz="UTC")
WINDOWS_SCHEMA = pa.schema(
    [
        pa.field("tenant", pa.string(), nullable=False),
        pa.field("stream", pa.string(), nullable=False),
        pa.field("start", _TIMESTAMP, nullable=False),
        pa.field("end", _TIMESTAMP, nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("rows", pa.int64(), nullable=False),
        pa.field("late", pa.int64(), nullable=False),
        pa.field("changed", pa.int64(), nullable=False),
        pa.field("vanished", pa.int64(), nullable=False),
        pa.field("reads", pa.int64(), nullable=False),
        pa.field("read_at", _TIMESTAMP),
        pa.field("why", pa.string()),
    ]
)
_TYPES: dict[pa.DataType, IcebergType] = {
    pa.string(): StringType(),
    pa.binary(): BinaryType(),
    pa.int32(): IntegerType(),
    pa.int64(): LongType(),
    pa.bool_(): BooleanType(),
    pa.date32(): DateType(),
    pa.timestamp("us", tz="UTC"): TimestamptzType(),
}


def iceberg_type(kind: pa.DataType, first: int = 1) -> IcebergType:
    """Iceberg's type for one of ours. first: the field number of the key of a map; its value has the next one."""
    if pa.types.is_map(kind):
        return MapType(first, _TYPES[kind.key_type], first + 1, _TYPES[kind.item_type], value_required=False)
    return _TYPES[kind]


@dataclass(frozen=True)
class TableSpec:
    """One table. arrow: its rows. by_day: the timestamp or date whose day parts it. unlike: text columns whose values
    hardly repeat, written without a dictionary. statistics: columns whose minimum and maximum each file keeps.
    sorted_by: the order of the rows where a day is compacted, by what questions ask for."""

    name: str
    arrow: pa.Schema
    by_day: str | None = None
    unlike: tuple[str, ...] = ()
    statistics: tuple[str, ...] = ()
    sorted_by: tuple[str, ...] = ()

    def properties(self) -> dict[str, str]:
        """The table's properties: what all tables have, and of which columns Iceberg keeps minimum and maximum."""
        kept = {f"write.metadata.metrics.column.{name}": "full" for name in self.statistics}
        return {**_COMMON, **kept}

    def iceberg_schema(self) -> Schema:
        """The schema with field numbers 1, 2, 3 … in the order of the columns, then those of the parts of maps."""
        fields, parts = [], len(self.arrow)
        for number, column in enumerate(self.arrow, 1):
            kind = iceberg_type(column.type, parts + 1)
            parts += 2 if isinstance(kind, MapType) else 0
            fields.append(NestedField(number, column.name, kind, required=not column.nullable))
        return Schema(*fields)

    def partition_spec(self) -> PartitionSpec:
        """By day of `by_day`, or none."""
        if self.by_day is None:
            return UNPARTITIONED_PARTITION_SPEC
        number = self.arrow.get_field_index(self.by_day) + 1
        return PartitionSpec(PartitionField(number, 1000, DayTransform(), f"{self.by_day}_day"))


# Retries are ours, not the library's: after a lost race the position must be read again before rows are appended.
# Old metadata files are deleted at each commit; each would hold all positions and snapshots once more.
_COMMON = {
    "format-version": "2",
    "commit.retry.num-retries": "0",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "10",
    "write.parquet.compression-codec": "zstd",
    "write.metadata.metrics.default": "none",
    "write.target-file-size-bytes": "256000000",  # as care's: Glue's optimizers leave alone what care has sorted
}

TABLES: dict[str, TableSpec] = {
    spec.name: spec
    for spec in (
        TableSpec(
            "proxy",
            PROXY_SCHEMA,
            by_day="ts",
            unlike=("url", "path"),
            statistics=("ts", "source", "source_offset"),
            sorted_by=("user_name", "host", "ts"),
        ),
        TableSpec(
            "signins",
            SIGNINS_SCHEMA,
            by_day="created_at",
            unlike=("id", "raw"),
            statistics=("created_at", "tenant", "stream"),
            sorted_by=("user_id", "created_at"),
        ),
        TableSpec(
            "audits",
            AUDITS_SCHEMA,
            by_day="activity_at",
            unlike=("id", "raw"),
            statistics=("activity_at", "tenant"),
            sorted_by=("activity_at",),
        ),
        TableSpec(
            "rejects",
            REJECTS_SCHEMA,
            unlike=("raw",),
            statistics=("source", "source_offset"),
            sorted_by=("source", "source_offset"),
        ),
        TableSpec(
            "usage",
            USAGE_SCHEMA,
            by_day="day",
            statistics=("day",),
            sorted_by=("user_name", "host", "firewall"),
        ),
        TableSpec("windows", WINDOWS_SCHEMA, sorted_by=("tenant", "stream", "start")),
        TableSpec(
            "accounts",
            ACCOUNTS_SCHEMA,
            unlike=("account_id", "raw"),
            statistics=("tenant", "valid_from", "valid_to"),
            sorted_by=("tenant", "account_id", "valid_from"),
        ),
        TableSpec(
            "service_principals",
            SERVICE_PRINCIPALS_SCHEMA,
            unlike=("id", "raw"),
            statistics=("tenant", "valid_from", "valid_to"),
            sorted_by=("tenant", "id", "valid_from"),
        ),
        *(TableSpec(name, arrow, sorted_by=(arrow.names[0],)) for name, arrow in PUBLISHED.items()),
    )
}
