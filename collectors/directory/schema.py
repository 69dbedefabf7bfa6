"""The columns of `accounts`, which Entra ID and Active Directory have in common, and what a listing of them is.

A listing is all accounts of one origin and tenant at one moment, as Arrow tables; when each version held is added by
the lake, which alone knows what was there before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

TIMESTAMP = pa.timestamp("us", tz="UTC")
ENTRA, AD = "entra", "ad"

ACCOUNTS_SCHEMA = pa.schema(
    [
        pa.field("origin", pa.string(), nullable=False),  # entra or ad
        pa.field("tenant", pa.string(), nullable=False),  # tenant id, or the AD domain's DNS name
        pa.field("account_id", pa.string(), nullable=False),  # Entra's user id, or objectGUID
        pa.field("upn", pa.string()),
        pa.field("sam_account_name", pa.string()),
        pa.field("realm", pa.string()),  # Kerberos realm, in capitals
        pa.field("on_premises_upn", pa.string()),
        pa.field("sid", pa.string()),
        pa.field("immutable_id", pa.string()),
        pa.field("mail", pa.string()),
        pa.field("display_name", pa.string()),
        pa.field("department", pa.string()),
        pa.field("enabled", pa.bool_()),
        pa.field("user_type", pa.string()),
        pa.field("created_at", TIMESTAMP),  # when the directory made the account
        pa.field("valid_from", TIMESTAMP, nullable=False),
        pa.field("valid_to", TIMESTAMP),  # null: it is so now
        pa.field("raw", pa.string(), nullable=False),
    ]
)
VALIDITY = ("valid_from", "valid_to")


class ListingError(Exception):
    """A listing holds what is no account at all: it cannot be taken for the whole."""


def listed(schema: pa.Schema) -> pa.Schema:
    """The columns of a listing: those of the table without its validity."""
    return pa.schema([field for field in schema if field.name not in VALIDITY])


def table_of(schema: pa.Schema, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows of a listing, in the order of the table's columns."""
    wanted, given = listed(schema), list(rows)
    return pa.Table.from_pydict({name: [row.get(name) for row in given] for name in wanted.names}, schema=wanted)
