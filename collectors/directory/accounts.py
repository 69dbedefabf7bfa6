"""LDAP attributes of Active Directory's users → rows of a listing of accounts. Pure: attributes come from the caller.

Sources: [MS-ADTS] 2.2.16 (userAccountControl), [MS-ADA1] to [MS-ADA3] (the attributes), [MS-DTYP] 2.4.2.2 (SID) and
2.3.4.2 (GUID), RFC 4517 3.3.13 (Generalized Time). Entra Connect makes its immutable id from mS-DS-ConsistencyGuid, and
from objectGUID where that is not set.
"""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from collectors.directory.schema import ACCOUNTS_SCHEMA, AD, ListingError, table_of

Attributes = Mapping[str, Sequence[bytes]]
"""LDAP attributes as they come: name → raw values."""

# SAM_NORMAL_USER_ACCOUNT ([MS-SAMR] 2.2.1.9): people's and service accounts. Computers, managed service accounts (gMSA)
# and trusts are of other types, and their names end with `$`, by which they are told in the log.
FILTER = "(sAMAccountType=805306368)"
ATTRIBUTES = (
    "objectGUID",
    "objectSid",
    "mS-DS-ConsistencyGuid",
    "sAMAccountName",
    "userPrincipalName",
    "mail",
    "displayName",
    "department",
    "userAccountControl",
    "whenCreated",
)
_BINARY = ("objectGUID", "objectSid", "mS-DS-ConsistencyGuid")
_DISABLED = 0x2
_GENERALIZED = re.compile(r"(\d{14})(?:[.,]\d+)?(?:Z|([+-])(\d\d)(\d\d)?)")


def table(entries: Iterable[Attributes], domain: str) -> pa.Table:
    """A part of a listing. domain: DNS name of the AD domain. Raises ListingError."""
    return table_of(ACCOUNTS_SCHEMA, (row_of(attributes, domain) for attributes in entries))


def row_of(attributes: Attributes, domain: str) -> dict[str, Any]:
    """One user. Raises ListingError where it has no objectGUID, by which it is known again after a rename."""
    guid = _bytes(attributes, "objectGUID")
    sam = _text(attributes, "sAMAccountName")
    if guid is None or len(guid) != 16:
        raise ListingError(f"{sam or 'an entry'} of {domain} has no objectGUID")
    control = _number(attributes, "userAccountControl")
    upn = _text(attributes, "userPrincipalName")
    return {
        "origin": AD,
        "tenant": domain.lower(),
        "account_id": str(uuid.UUID(bytes_le=guid)),
        "upn": upn,
        "sam_account_name": sam,
        "realm": domain.upper(),
        "on_premises_upn": upn,
        "sid": sid(_bytes(attributes, "objectSid")),
        "immutable_id": base64.b64encode(_bytes(attributes, "mS-DS-ConsistencyGuid") or guid).decode(),
        "mail": _text(attributes, "mail"),
        "display_name": _text(attributes, "displayName"),
        "department": _text(attributes, "department"),
        "enabled": None if control is None else not control & _DISABLED,
        "user_type": None,
        "created_at": generalized_time(_text(attributes, "whenCreated")),
        "raw": _raw(attributes),
    }


def sid(value: bytes | None) -> str | None:
    """A SID in words: S-1-5-21-…; None for what is none."""
    if value is None or len(value) < 8 or len(value) != 8 + 4 * value[1]:
        return None
    parts = [int.from_bytes(value[at : at + 4], "little") for at in range(8, len(value), 4)]
    return "-".join(["S", str(value[0]), str(int.from_bytes(value[2:8], "big")), *map(str, parts)])


def generalized_time(text: str | None) -> datetime | None:
    """`20261124131817.0Z` in UTC, to the second; None for what is none."""
    found = _GENERALIZED.fullmatch(text or "")
    if not found:
        return None
    try:
        moment = datetime.strptime(found[1], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        ahead = timedelta(hours=int(found[3] or 0), minutes=int(found[4] or 0))
        return moment + ahead if found[2] == "-" else moment - ahead
    except (ValueError, OverflowError):
        return None


def _raw(attributes: Attributes) -> str:
    """The attributes as JSON, in the order of ATTRIBUTES; what is no text as base64."""
    told: dict[str, str | list[str]] = {}
    for name in ATTRIBUTES:
        values = [
            base64.b64encode(value).decode() if name in _BINARY else value.decode("utf-8", "backslashreplace")
            for value in attributes.get(name) or ()
        ]
        if values:
            told[name] = values[0] if len(values) == 1 else values
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def _bytes(attributes: Attributes, name: str) -> bytes | None:
    values = attributes.get(name) or ()
    return values[0] if values else None


def _text(attributes: Attributes, name: str) -> str | None:
    value = _bytes(attributes, name)
    return (value.decode("utf-8", "backslashreplace") if value else None) or None


def _number(attributes: Attributes, name: str) -> int | None:
    try:
        return int(_bytes(attributes, name) or b"")
    except ValueError:
        return None
