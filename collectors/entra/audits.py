"""A directory audit as Microsoft Graph gives it → a row of `audits`. Nothing is dropped: the whole record is in `raw`.

Source of the fields: the Graph resource type directoryAudit, v1.0 and beta. Where records come from is read elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from collectors.entra.values import compact, decoded, list_of, object_of, sound, text_of, timestamp

AUDITS_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("activity_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("activity", pa.string()),
        pa.field("category", pa.string()),
        pa.field("result", pa.string()),
        pa.field("result_reason", pa.string()),
        pa.field("initiated_by_user", pa.string()),
        pa.field("initiated_by_app", pa.string()),
        pa.field("initiated_by_ip", pa.string()),
        pa.field("targets", pa.string()),
        pa.field("modified", pa.string()),
        pa.field("correlation_id", pa.string()),
        pa.field("tenant", pa.string()),
        pa.field("raw", pa.string(), nullable=False),
    ]
)


def row_of(value: Any, text: str, tenant: str | None = None) -> dict[str, Any] | str:
    """One audit as values of AUDITS_SCHEMA, or the reason why it is none. Total: raises nothing.

    value: the record in Graph's shape. text: the record as it stood. tenant: whose log was asked for.
    """
    if not isinstance(value, dict):
        return "not JSON" if value is None else "not a record"
    identity = value.get("id")
    if not sound(text) or not sound(identity):
        return "characters that no Unicode text holds"
    if not isinstance(identity, str) or not identity:
        return "an audit without id"
    at = timestamp(value.get("activityDateTime"))
    if at is None:
        return "an audit without a readable activityDateTime"
    initiator = object_of(value.get("initiatedBy"))
    user, app = object_of(initiator.get("user")), object_of(initiator.get("app"))
    targets = [object_of(target) for target in list_of(value.get("targetResources"))]
    return {
        "id": identity,
        "activity_at": at,
        "activity": text_of(value.get("activityDisplayName")),
        "category": text_of(value.get("category")),
        "result": text_of(value.get("result")),
        "result_reason": text_of(value.get("resultReason")),
        "initiated_by_user": _first(user, "userPrincipalName", "id", "displayName"),
        "initiated_by_app": _first(app, "displayName", "servicePrincipalName", "servicePrincipalId", "appId"),
        "initiated_by_ip": _first(user, "ipAddress") or _first(app, "ipAddress") or _first(value, "callerIpAddress"),
        "targets": _json(target for target in map(_target, targets) if target),
        "modified": _json(_modified(targets)),
        "correlation_id": text_of(value.get("correlationId")),
        "tenant": tenant or text_of(value.get("tenantId")),
        "raw": text,
    }


def _target(resource: dict[str, Any]) -> dict[str, str]:
    """A target by what it has of type, id, name and upn. Graph's documentation has `Type`, its answers have `type`."""
    told = {
        "type": _first(resource, "type", "Type"),
        "id": _first(resource, "id"),
        "name": _first(resource, "displayName"),
        "upn": _first(resource, "userPrincipalName"),
    }
    return {key: value for key, value in told.items() if value is not None}


def _modified(targets: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was changed, sorted by name: the order in the record differs from one to the next and means nothing."""
    found = []
    for target in targets:
        for changed in list_of(target.get("modifiedProperties")):
            if isinstance(changed, dict) and changed:
                told = {
                    "name": _first(changed, "displayName", "name"),
                    "target": _first(target, "id"),
                    "old": decoded(changed.get("oldValue")),
                    "new": decoded(changed.get("newValue")),
                }
                found.append({key: value for key, value in told.items() if value is not None})
    return sorted(found, key=lambda each: (each.get("name", ""), each.get("target", ""), compact(each) or ""))


def _json(values: Iterator[dict[str, str]] | list[dict[str, Any]]) -> str | None:
    listed = list(values)
    return compact(listed) if listed else None


def _first(record: dict[str, Any], *keys: str) -> str | None:
    """The first of the keys that has something to tell, as text."""
    return next((found for key in keys if (found := text_of(record.get(key))) is not None), None)
