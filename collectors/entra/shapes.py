"""The shapes in which sign-ins and audits leave Microsoft's services → Graph's own shape. Pure.

Graph itself, Event Hub and Azure Storage (an envelope with `properties`), Log Analytics and Sentinel (flat columns, or
a table of columns and rows), PowerShell's `Get-MgAuditLog…`, and all of these in the wrappers of other products.
Sources: Azure Monitor's tables SigninLogs, AAD…SignInLogs and AuditLogs; the resource types signIn and directoryAudit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from collectors.entra.values import compact, decoded, list_of, object_of, text_of, timestamp

SIGNINS, AUDITS = "signins", "audits"
_DEEPEST = 4  # wrappers in wrappers


@dataclass(frozen=True, slots=True)
class Told:
    """One record. table: signins or audits. value: in Graph's shape. shape: how it came, in words.

    text: of a row of a table, as an object; None where the record's own text is to be kept.
    """

    table: str
    value: dict[str, Any]
    shape: str
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Alien:
    """A record that is neither a sign-in nor an audit. reason: what it is instead, as far as it can be told."""

    reason: str


def told(value: dict[str, Any]) -> Iterator[Told | Alien]:
    """The record, or records, that an object of a file stands for: at least one thing, for each object."""
    yield from _told(value, "", 0)


def _told(value: dict[str, Any], inside: str, depth: int) -> Iterator[Told | Alien]:
    if "createdDateTime" in value and not isinstance(value.get("properties"), dict):
        yield _graph(value, SIGNINS, inside)
    elif "activityDateTime" in value and not isinstance(value.get("properties"), dict):
        yield _graph(value, AUDITS, inside)
    elif isinstance(value.get("tables"), list):
        yield from _tables(value["tables"])
    elif isinstance(packed := decoded(_any_case(value, "properties")), dict) and "category" in map(str.lower, value):
        yield _envelope(value, packed, inside)
    else:
        flat = {key.lower(): each for key, each in value.items()}
        if {"createddatetime", "activitydatetime", "timegenerated"} & flat.keys():
            yield _flat(flat, inside)
        elif depth < _DEEPEST:
            yield from _unwrapped(value, inside, depth)
        else:
            yield Alien("wrapped too often")


def _unwrapped(value: dict[str, Any], inside: str, depth: int) -> Iterator[Told | Alien]:
    """What another product put around a record: its key, then the record, its text, or several of them."""
    for key, product in _WRAPPERS.items():
        content = decoded(value.get(key)) if key in value else None
        contents = content if isinstance(content, list) else [content]
        objects = [each for each in map(decoded, contents) if isinstance(each, dict)]
        if objects and len(objects) == len(contents):
            for each in objects:
                found = list(_told(each, inside or f" in {product}", depth + 1))
                several = len(objects) > 1
                yield from (_own_text(one, each) if several and isinstance(one, Told) else one for one in found)
            return
    if {"appId", "userId", "userPrincipalName", "servicePrincipalId"} & value.keys() and _OF_OTHERS.isdisjoint(value):
        yield Told(SIGNINS, value, f"sign-ins as Microsoft Graph gives them{inside}")  # without its time
    else:
        yield Alien(_what(value))


_WRAPPERS = {
    "records": "a message of Event Hub",
    "value": "a page of Graph",
    "hits": "a search of Elasticsearch",
    "_source": "a document of Elasticsearch",
    "result": "a search result of Splunk",
    "results": "a search result",
    "_raw": "an event of Splunk",
    "event": "an event of Splunk",
    "events": "a list of events",
    "original": "an event of Elastic",
    "message": "a line of a log shipper",
    "data": "an event of Wazuh",
    "ms-graph": "an event of Wazuh",
    "Body": "a message of Event Hub",
    "body": "a message of Event Hub",
}


def _own_text(one: Told, value: dict[str, Any]) -> Told:
    return Told(one.table, one.value, one.shape, one.text or compact(value))


def _graph(value: dict[str, Any], table: str, inside: str) -> Told | Alien:
    if not _OF_OTHERS.isdisjoint(value):
        return Alien(_what(value))
    if table == AUDITS and "provisioningAction" in value:
        return Alien("a provisioning log, which is neither a sign-in nor a directory audit")
    if "status.errorCode" in value:
        value = value | _named(value)
    return Told(table, value, f"{_NAMES[table]} as Microsoft Graph gives them{inside}")


_NAMES = {SIGNINS: "sign-ins", AUDITS: "directory audits"}
# Users, groups and applications of Graph have an id and a createdDateTime as well.
_OF_OTHERS = {"accountEnabled", "mailNickname", "businessPhones", "groupTypes", "replyUrls", "servicePrincipalNames",
              "publisherDomain", "riskEventType", "alertWebUrl"}  # fmt: skip


def _envelope(value: dict[str, Any], packed: dict[str, Any], inside: str) -> Told | Alien:
    """Event Hub and Azure Storage: the record is in `properties`; around it stand category, tenant, time and result."""
    around = {key.lower(): each for key, each in value.items()}
    category = text_of(around.get("category")) or ""
    record = _named(packed) if "id" not in packed else dict(packed)
    name = category.lower()
    shape = f"{category} as Event Hub and Azure Storage give them{inside}"
    tenant = around.get("tenantid") or _tenant_in(around.get("resourceid"))
    if tenant:
        record["tenantId"] = tenant
    if name.endswith("auditlogs") or ("activityDateTime" in record and not name.endswith("signinlogs")):
        _add(record, activityDateTime=around.get("time"), activityDisplayName=around.get("operationname"))
        _add(record, correlationId=around.get("correlationid"), callerIpAddress=around.get("calleripaddress"))
        _add(record, resultReason=packed.get("resultDescription") or around.get("resultdescription"))
        return Told(AUDITS, record, shape)
    if name.endswith("signinlogs"):
        record["category"] = category
        _add(record, createdDateTime=around.get("time"), ipAddress=around.get("calleripaddress"))
        _add(record, correlationId=around.get("correlationid"))
        _person(record, around)
        _result(record, around)
        return Told(SIGNINS, record, shape)
    return Alien(f"the log {category[:60]}, which is neither of sign-ins nor of directory audits")


def _flat(flat: dict[str, Any], inside: str) -> Told | Alien:
    """Log Analytics, Sentinel and PowerShell: one column for each field, names in PascalCase, objects often as JSON.

    flat: by names in small letters. `TenantId` is the workspace there, `AADTenantId` the tenant, `Location` a country,
    `ResourceId` the tenant's log, `ResourceIdentity` the resource.
    """
    kind = (text_of(flat.get("type")) or text_of(flat.get("category")) or "").lower()
    record = _named(flat)
    shape = "as Log Analytics gives them" if "timegenerated" in flat else "as PowerShell writes them"
    if _tenant_in(record.get("resourceId")):
        del record["resourceId"]
    if tenant := flat.get("aadtenantid") or _tenant_in(flat.get("resourceid")):
        record["tenantId"] = tenant
    if {"activitydatetime", "initiatedby", "targetresources"} & flat.keys() or kind == "auditlogs":
        _add(record, activityDateTime=flat.get("timegenerated"), activityDisplayName=flat.get("operationname"))
        _add(record, resultReason=flat.get("resultdescription"))
        if "provisioningaction" in flat:
            return Alien("a provisioning log, which is neither a sign-in nor a directory audit")
        return Told(AUDITS, record, f"directory audits {shape}{inside}")
    if kind and not kind.endswith("signinlogs") and "appid" not in flat:
        return Alien(f"the log {kind[:60]}, which is neither of sign-ins nor of directory audits")
    if not kind.endswith("signinlogs") and not _SIGNIN_COLUMNS & flat.keys():
        return Alien(_what(flat))
    record["category"] = text_of(flat.get("type")) if kind.endswith("signinlogs") else None
    record["category"] = record["category"] or flat.get("category")
    _add(record, createdDateTime=flat.get("timegenerated"), resourceId=flat.get("resourceidentity"))
    _person(record, flat)
    place = object_of(flat.get("locationdetails")) or object_of(flat.get("location"))
    record["location"] = _small(place) or {"countryOrRegion": flat.get("location")}
    _result(record, flat)
    return Told(SIGNINS, record, f"sign-ins {shape}{inside}")


_SIGNIN_COLUMNS = {"appid", "appdisplayname", "userprincipalname", "serviceprincipalid", "clientappused", "ipaddress"}


def _named(flat: dict[str, Any]) -> dict[str, Any]:
    """Columns under Graph's names, objects unpacked; those that no column of ours needs are left out.

    A column `Status.ErrorCode` is a field of the object `status`.
    """
    record: dict[str, Any] = {}
    for name, value in flat.items():
        whole, _, part = name.lower().partition(".")
        if (known := _KNOWN.get(whole)) is None or value is None or value == "":
            continue
        if not part:
            record[known] = _small(decoded(value) if isinstance(value, str) else value)
        elif isinstance(inner := record.setdefault(known, {}), dict):
            inner[_KNOWN.get(part, part)] = value
    return record


_KNOWN = {
    name.lower(): name
    for name in (
        "id", "createdDateTime", "userId", "userPrincipalName", "userDisplayName", "appId", "appDisplayName",
        "resourceId", "resourceDisplayName", "ipAddress", "clientAppUsed", "status", "conditionalAccessStatus",
        "isInteractive", "authenticationRequirement", "authenticationDetails", "mfaDetail", "riskLevelDuringSignIn",
        "riskLevelAggregated", "location", "deviceDetail", "correlationId", "homeTenantId", "resourceTenantId",
        "crossTenantAccessType", "userAgent", "servicePrincipalId", "servicePrincipalName", "signInEventTypes",
        "managedServiceIdentity", "activityDateTime", "activityDisplayName", "category", "result", "resultReason",
        "initiatedBy", "targetResources", "errorCode", "failureReason", "additionalDetails", "deviceId", "browser",
        "operatingSystem", "isManaged", "isCompliant", "city", "countryOrRegion",
    )
}  # fmt: skip


def _small(value: Any, depth: int = 0) -> Any:
    """Objects with the names of their fields as Graph writes them: `ErrorCode` → `errorCode`."""
    if isinstance(value, dict) and depth < _DEEPEST:
        return {key[:1].lower() + key[1:]: _small(each, depth + 1) for key, each in value.items()}
    return [_small(each, depth + 1) for each in value] if isinstance(value, list) and depth < _DEEPEST else value


def _person(record: dict[str, Any], around: dict[str, Any]) -> None:
    """`identity` is the display name of whoever signed in, a person or an app."""
    if record.get("userId") or not record.get("servicePrincipalId"):
        _add(record, userDisplayName=around.get("identity"))


def _result(record: dict[str, Any], around: dict[str, Any]) -> None:
    """The error's code and words, where only what stands around the record has them."""
    status = dict(object_of(record.get("status")))
    _add(status, errorCode=around.get("resulttype"), failureReason=around.get("resultdescription"))
    record["status"] = status


def _add(record: dict[str, Any], **values: Any) -> None:
    for name, value in values.items():
        if value not in (None, "") and record.get(name) in (None, ""):
            record[name] = value


def _tenant_in(resource: Any) -> str | None:
    """`/tenants/11111111-…/providers/Microsoft.aadiam` → the tenant."""
    parts = resource.split("/") if isinstance(resource, str) else []
    return parts[2] if len(parts) > 2 and parts[0] == "" and parts[1].lower() == "tenants" else None


def _any_case(value: dict[str, Any], name: str) -> Any:
    return value.get(name, value.get(name.capitalize()))


def _tables(tables: list[Any]) -> Iterator[Told | Alien]:
    """The answer of Log Analytics to a query: tables of columns and rows."""
    for table in map(object_of, tables):
        columns = [text_of(object_of(column).get("name")) or "" for column in list_of(table.get("columns"))]
        for row in list_of(table.get("rows")):
            value = dict(zip(columns, list_of(row), strict=False))
            one = _flat({key.lower(): each for key, each in value.items()}, "")
            yield _own_text(one, value) if isinstance(one, Told) else one
    if not any(list_of(object_of(table).get("rows")) for table in tables):
        yield Alien("an answer of Log Analytics without rows")


def _what(value: dict[str, Any]) -> str:
    """What an object is that is no sign-in, for people."""
    names = {key.lower() for key in value}
    if "auditdata" in names or {"workload", "operation", "creationtime"} <= names:
        return "Microsoft 365's unified audit log, not a log of Entra ID"
    if "error" in names and len(names) < 4:
        return f"an error message of Graph: {(compact(_any_case(value, 'error')) or '')[:200]}"
    if not _OF_OTHERS.isdisjoint(value):
        return "a user, a group or an application, not a sign-in"
    if timestamp(value.get("time") or value.get("Time")) and "category" in names:
        return "a log of Azure without its properties"
    return "neither a sign-in nor a directory audit"
