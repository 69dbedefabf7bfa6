"""Sign-ins as Microsoft Graph gives them → rows of `signins`. Nothing is dropped: the whole record is in `raw`.

Source of the fields: the Graph resource type signIn, v1.0 and beta. Files only; the Graph itself is read elsewhere.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import json
import re
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from collectors.batch import Batch, Position, Reject
from collectors.entra.records import CutOffError, Record, records

BATCH_RECORDS = 20_000
_SURROGATE = re.compile("[\ud800-\udfff]")
_TIMESTAMP = pa.timestamp("us", tz="UTC")

SIGNINS_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("stream", pa.string()),
        pa.field("created_at", _TIMESTAMP, nullable=False),
        pa.field("user_id", pa.string()),
        pa.field("user_principal_name", pa.string()),
        pa.field("user_display_name", pa.string()),
        pa.field("app_id", pa.string()),
        pa.field("app_name", pa.string()),
        pa.field("resource_id", pa.string()),
        pa.field("resource_name", pa.string()),
        pa.field("ip_address", pa.string()),
        pa.field("client_app", pa.string()),
        pa.field("error_code", pa.int32()),
        pa.field("failure_reason", pa.string()),
        pa.field("conditional_access", pa.string()),
        pa.field("is_interactive", pa.bool_()),
        pa.field("mfa", pa.bool_()),
        pa.field("risk_level", pa.string()),
        pa.field("country", pa.string()),
        pa.field("city", pa.string()),
        pa.field("device_id", pa.string()),
        pa.field("device_os", pa.string()),
        pa.field("browser", pa.string()),
        pa.field("is_managed", pa.bool_()),
        pa.field("is_compliant", pa.bool_()),
        pa.field("correlation_id", pa.string()),
        pa.field("home_tenant_id", pa.string()),
        pa.field("resource_tenant_id", pa.string()),
        pa.field("cross_tenant", pa.string()),
        pa.field("user_agent", pa.string()),
        pa.field("raw", pa.string(), nullable=False),
    ]
)

_STREAMS = {
    "interactiveUser": "interactive",
    "nonInteractiveUser": "non_interactive",
    "servicePrincipal": "service_principal",
    "managedIdentity": "managed_identity",
}


class FileError(Exception):
    """A file that cannot be read (further). wrong_use: it is not what it was said to be."""

    def __init__(self, reason: str, wrong_use: bool = False) -> None:
        super().__init__(reason)
        self.wrong_use = wrong_use


def collect(path: Path) -> Iterator[Batch]:
    """Batches of a file's sign-ins, keyed by id: a record replaces the same record of before.

    Raises FileError: before the first batch where the file is none of sign-ins, or after the last record that could
    be read where it is damaged.
    """
    text, cut = _text(path)
    source = f"{path.name}#{hashlib.blake2b(text[:4096].encode('utf-8', 'replace'), digest_size=6).hexdigest()}"
    rows: dict[str, dict[str, Any]] = {}
    rejects: list[Reject] = []
    broken: FileError | None = None
    read, known = 0, False
    try:
        for record in records(text):
            row = row_of(record.value, record.text)
            if isinstance(row, str):
                if not known:
                    _check_kind(path, record)
                known = known or record.value is not None
                rejects.append(Reject(record.offset, row, _bytes_of(record.text)))
                continue
            known = True
            read += 1
            rows[row["id"]] = row
            if len(rows) >= BATCH_RECORDS:
                yield _batch(source, rows, rejects, record.offset)
                rows, rejects = {}, []
    except CutOffError as exc:
        broken = FileError(f"{path} is cut off or damaged after {read:,} records, at character {exc.offset:,}: {exc}")
        if not known:
            raise FileError(f"{path} is no JSON of sign-ins: {exc}", wrong_use=True) from exc
    if cut and broken is None:
        broken = FileError(f"{path} is cut off or damaged after {read:,} records: {cut}")
    if rows or rejects:
        yield _batch(source, rows, rejects, len(text))
    if broken:
        raise broken


def row_of(record: Any, text: str) -> dict[str, Any] | str:
    """One sign-in as values of SIGNINS_SCHEMA, or the reason why it is none. text: the record as it stood."""
    if not isinstance(record, dict):
        return "not JSON" if record is None else "not a record"
    if not _sound(text) or not _sound(record.get("id")):
        return "characters that no Unicode text holds"
    if not isinstance(record.get("id"), str) or not record["id"]:
        return "a sign-in without id"
    created = timestamp(record.get("createdDateTime"))
    if created is None:
        return "a sign-in without a readable createdDateTime"
    status, device, location = (_object(record, key) for key in ("status", "deviceDetail", "location"))
    return {
        "id": record["id"],
        "stream": _stream(record),
        "created_at": created,
        "user_id": _text_of(record.get("userId")),
        "user_principal_name": _text_of(record.get("userPrincipalName")),
        "user_display_name": _text_of(record.get("userDisplayName")),
        "app_id": _text_of(record.get("appId")),
        "app_name": _text_of(record.get("appDisplayName")),
        "resource_id": _text_of(record.get("resourceId")),
        "resource_name": _text_of(record.get("resourceDisplayName")),
        "ip_address": _text_of(record.get("ipAddress")),
        "client_app": _text_of(record.get("clientAppUsed")),
        "error_code": _number(status.get("errorCode")),
        "failure_reason": _text_of(status.get("failureReason")),
        "conditional_access": _text_of(record.get("conditionalAccessStatus")),
        "is_interactive": _flag(record.get("isInteractive")),
        "mfa": _mfa(record),
        "risk_level": _text_of(record.get("riskLevelDuringSignIn")) or _text_of(record.get("riskLevelAggregated")),
        "country": _text_of(location.get("countryOrRegion")),
        "city": _text_of(location.get("city")),
        "device_id": _text_of(device.get("deviceId")),
        "device_os": _text_of(device.get("operatingSystem")),
        "browser": _text_of(device.get("browser")),
        "is_managed": _flag(device.get("isManaged")),
        "is_compliant": _flag(device.get("isCompliant")),
        "correlation_id": _text_of(record.get("correlationId")),
        "home_tenant_id": _text_of(record.get("homeTenantId")),
        "resource_tenant_id": _text_of(record.get("resourceTenantId")),
        "cross_tenant": _text_of(record.get("crossTenantAccessType")),
        "user_agent": _text_of(record.get("userAgent")),
        "raw": text,
    }


def timestamp(value: Any) -> datetime | None:
    """Graph's date and time, with 0 to 7 digits of fraction and any offset, in UTC; None where it is none.

    The seventh digit (100 ns) is cut: the lake keeps microseconds.
    """
    if not isinstance(value, str):
        return None
    text = value.strip().replace(" ", "T", 1)
    if text[-1:] in ("Z", "z"):
        text = text[:-1] + "+00:00"
    head, dot, rest = text.partition(".")
    if dot:
        digits = len(rest) - len(rest.lstrip("0123456789"))
        text = f"{head}.{rest[:digits][:6].ljust(6, '0')}{rest[digits:]}"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if not timedelta(0) < moment - datetime(1970, 1, 1, tzinfo=UTC) < timedelta(days=100_000):
        return None
    return moment.astimezone(UTC)


def _check_kind(path: Path, record: Record) -> None:
    """Raise FileError where the first record that is JSON shows that the file holds something else."""
    value = record.value
    if value is None:
        return
    if isinstance(value, dict) and "activityDateTime" in value:
        raise FileError(f"{path} holds directory audits, not sign-ins", wrong_use=True)
    if isinstance(value, dict) and "error" in value:
        raise FileError(f"{path} holds an error message of Graph: {json.dumps(value['error'])[:200]}", wrong_use=True)
    if not isinstance(value, dict):
        raise FileError(f"{path} is no JSON of sign-ins: it begins with {record.text[:40]!r}", wrong_use=True)
    if not {"createdDateTime", "appId", "userId", "id"} & value.keys():
        raise FileError(f"{path} is JSON, but its records are no sign-ins of Microsoft Graph", wrong_use=True)


def _batch(source: str, rows: dict[str, dict[str, Any]], rejects: list[Reject], offset: int) -> Batch:
    columns = {name: [row[name] for row in rows.values()] for name in SIGNINS_SCHEMA.names}
    return Batch(
        "signins", pa.Table.from_pydict(columns, schema=SIGNINS_SCHEMA), source, Position(offset), rejects, key="id"
    )


def _text(path: Path) -> tuple[str, str]:
    """A file's text, and why it ends too early ('' where it does not). What is not Unicode comes as lone surrogates."""
    cut = ""
    try:
        if path.is_dir():
            raise FileError(f"{path} is a directory; name the files in it: {path}/*.json", wrong_use=True)
        raw = path.read_bytes()
        if raw[:2] == b"\x1f\x8b":
            raw, cut = _unpacked(raw)
        encoding = json.detect_encoding(raw)
        decoder = codecs.getincrementaldecoder(encoding)("surrogateescape" if "8" in encoding else "surrogatepass")
        return decoder.decode(raw).removeprefix("\ufeff"), cut  # half a character at the end is left out
    except FileNotFoundError:
        raise FileError(f"there is no file {path}", wrong_use=True) from None
    except UnicodeDecodeError as exc:
        raise FileError(f"{path} is no JSON: {exc}", wrong_use=True) from exc
    except OSError as exc:
        raise FileError(f"{path} cannot be read: {exc}") from exc


def _unpacked(packed: bytes) -> tuple[bytes, str]:
    """The content of a gzip file as far as it can be read, and why no further."""
    parts: list[bytes] = []
    try:
        with gzip.open(io.BytesIO(packed)) as stream:
            while part := stream.read1(1 << 20):
                parts.append(part)
    except (OSError, EOFError, zlib.error) as exc:
        return b"".join(parts), str(exc)
    return b"".join(parts), ""


def _sound(text: Any) -> bool:
    """Is this text without lone surrogates, which Arrow and UTF-8 do not know?"""
    return not isinstance(text, str) or not _SURROGATE.search(text)


def _bytes_of(text: str) -> bytes:
    """A record's text as the bytes that it was read from."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _stream(record: dict[str, Any]) -> str | None:
    kinds = record.get("signInEventTypes")
    for kind in kinds if isinstance(kinds, list) else []:
        if kind in _STREAMS:
            return _STREAMS[kind]
    if record.get("servicePrincipalId") and not record.get("userId"):
        return "service_principal"
    interactive = _flag(record.get("isInteractive"))
    return None if interactive is None else ("interactive" if interactive else "non_interactive")


def _mfa(record: dict[str, Any]) -> bool | None:
    requirement = record.get("authenticationRequirement")
    return requirement == "multiFactorAuthentication" if isinstance(requirement, str) and requirement else None


def _object(record: dict[str, Any], key: str) -> dict[str, Any]:
    value = record.get(key)
    return value if isinstance(value, dict) else {}


def _text_of(value: Any) -> str | None:
    """Text; '' and null are absence, anything else stands as its JSON."""
    if value is None or value == "":
        return None
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else json.dumps(value)


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _number(value: Any) -> int | None:
    """A whole number of 32 bits, also where it is written as text."""
    if isinstance(value, bool):
        return None
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if -(2**31) <= number < 2**31 else None
