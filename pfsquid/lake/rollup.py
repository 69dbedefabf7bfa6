"""The daily rollup `usage`: its columns, and the one definition in SQL of what counts as use. Touches no lake."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pyarrow as pa

_TIMESTAMP = pa.timestamp("us", tz="UTC")

USAGE_SCHEMA = pa.schema(
    [
        pa.field("day", pa.date32(), nullable=False),  # UTC
        pa.field("firewall", pa.string()),
        pa.field("user_name", pa.string()),
        pa.field("host", pa.string()),
        pa.field("requests", pa.int64(), nullable=False),
        pa.field("denied", pa.int64(), nullable=False),
        pa.field("bytes_up", pa.int64()),
        pa.field("bytes_down", pa.int64()),
        pa.field("first_use", _TIMESTAMP),
        pa.field("last_use", _TIMESTAMP),
        pa.field("hours", pa.int32(), nullable=False),  # bit 0 is 00:00 to 01:00 UTC
    ]
)


@cache
def rollup_sql() -> str:
    """`counted_rows AS (SELECT … FROM proxy WHERE :rows GROUP BY …)` in Athena's dialect: the columns of USAGE_SCHEMA.

    :rows is a condition on `ts`; it must take whole days for the rows to be those of `usage`.
    """
    return Path(__file__).with_suffix(".sql").read_text("utf-8")
