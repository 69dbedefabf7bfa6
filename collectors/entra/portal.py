"""Rows of a CSV of sign-ins or audits → Graph's shape. Pure: names of columns in, what they mean out.

Columns of the downloads of the Entra portal, all generations in English, and of Log Analytics and PowerShell, which
name theirs as they do in JSON. Source: the downloads' own first lines.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from collectors.entra.shapes import AUDITS, SIGNINS, Alien, Told, told
from collectors.entra.values import compact

_NO_LETTER = re.compile(r"[^a-z0-9]")
_SIGNINS = {
    "date": "createdDateTime", "dateutc": "createdDateTime", "requestid": "id", "useragent": "userAgent",
    "correlationid": "correlationId", "userid": "userId", "user": "userDisplayName", "username": "userPrincipalName",
    "userprincipalname": "userPrincipalName", "crosstenantaccesstype": "crossTenantAccessType",
    "application": "appDisplayName", "applicationid": "appId", "resource": "resourceDisplayName",
    "resourceid": "resourceId", "resourcetenantid": "resourceTenantId", "hometenantid": "homeTenantId",
    "ipaddress": "ipAddress", "signinerrorcode": "status.errorCode", "errorcode": "status.errorCode",
    "failurereason": "status.failureReason", "clientapp": "clientAppUsed", "deviceid": "deviceDetail.deviceId",
    "browser": "deviceDetail.browser", "devicebrowser": "deviceDetail.browser",
    "operatingsystem": "deviceDetail.operatingSystem", "deviceoperatingsystem": "deviceDetail.operatingSystem",
    "compliant": "deviceDetail.isCompliant", "managed": "deviceDetail.isManaged",
    "multifactorauthenticationresult": "status.additionalDetails", "mfaresult": "status.additionalDetails",
    "multifactorauthenticationauthmethod": "mfaDetail.authMethod", "mfaauthmethod": "mfaDetail.authMethod",
    "multifactorauthenticationauthdetail": "mfaDetail.authDetail", "mfaauthdetail": "mfaDetail.authDetail",
    "authenticationrequirement": "authenticationRequirement", "conditionalaccess": "conditionalAccessStatus",
    "conditionalaccessstatus": "conditionalAccessStatus", "serviceprincipalid": "servicePrincipalId",
    "serviceprincipalname": "servicePrincipalName", "managedidentitytype": "managedServiceIdentity.msiType",
    "isinteractive": "isInteractive",
}  # fmt: skip
_AUDITS = {
    "date": "activityDateTime", "dateutc": "activityDateTime", "id": "id", "correlationid": "correlationId",
    "service": "loggedByService", "category": "category", "activity": "activityDisplayName", "result": "result",
    "status": "result", "resultreason": "resultReason", "statusreason": "resultReason",
}  # fmt: skip
_DATE = re.compile(r"\d{1,2}/\d{1,2}/\d{4}")
_DATES = tuple(
    f"{name}{utc}" for name in ("timegenerated", "createddatetime", "activitydatetime") for utc in ("", "utc")
)
_TARGET = re.compile(r"target(\d+)(type|displayname|objectid|id|userprincipalname)")
_CHANGED = re.compile(r"target(\d+)modifiedproperty(\d+)(name|oldvalue|newvalue)")
_OF_TARGET = {"type": "type", "displayname": "displayName", "objectid": "id", "id": "id",
              "userprincipalname": "userPrincipalName"}  # fmt: skip
_OF_CHANGE = {"name": "displayName", "oldvalue": "oldValue", "newvalue": "newValue"}
_ACCESS = {"notapplied": "notApplied", "success": "success", "failure": "failure"}
# The first words of the names that the portal gives its files; the longer one first.
_FILES = {
    "noninteractivesignins": "non_interactive",
    "interactivesignins": "interactive",
    "applicationsignins": "service_principal",
    "msisignins": "managed_identity",
}


@dataclass(frozen=True)
class Columns:
    """The columns of a CSV. names: as they stand, made unlike. read: a row's values → the record."""

    names: tuple[str, ...]
    read: Callable[[list[str]], Iterator[Told | Alien]]


def columns(header: list[str], file_name: str) -> Columns | str:
    """What the first line of a CSV means; or what it is instead, for people, '' where that is unknown.

    file_name: by the portal's names of files sign-ins with a person, without one, of apps … are told apart.
    """
    names = tuple(_unlike([name.strip().lstrip("\ufeff") for name in header]))
    short = tuple(_NO_LETTER.sub("", name.lower()) for name in names)
    have = set(short)
    if "auditdata" in have:
        return "Microsoft 365's unified audit log, not a log of Entra ID"
    if have.intersection([*_DATES, *(f"{name}utc" for name in _DATES)]):
        return Columns(names, lambda row: _flat(names, row))
    if not {"date", "dateutc"} & have:
        return (
            "" if len({*_SIGNINS, *_AUDITS} & have) < 4 else "a CSV of the Entra portal without its column `Date (UTC)`"
        )
    if "activity" in have and {"actortype", "target1type", "service", "category"} & have:
        seen: dict[str, int] = {}
        return Columns(names, lambda row: iter([_audit(names, short, row, seen)]))
    if {"application", "applicationid"} & have and {"username", "user", "serviceprincipalid", "requestid"} & have:
        kind = next((kind for words, kind in _FILES.items() if words in _NO_LETTER.sub("", file_name.lower())), None)
        return Columns(names, lambda row: iter([_signin(names, short, row, kind)]))
    if {"requestid", "authenticationmethod"} <= have:
        return "the authentication details of sign-ins; the sign-ins are in the portal's other file"
    return ""


def _signin(names: tuple[str, ...], short: tuple[str, ...], row: list[str], kind: str | None) -> Told:
    record: dict[str, Any] = {}
    values = _values(short, row)
    for name, value in values.items():
        whole, _, part = _SIGNINS.get(name, "").partition(".")
        if whole and value.strip():
            if part:
                record.setdefault(whole, {})[part] = value
            else:
                record[whole] = value
    access = record.get("conditionalAccessStatus", "")
    record["conditionalAccessStatus"] = _ACCESS.get(_NO_LETTER.sub("", access.lower()), access)
    if values.get("status", "").lower() == "success":
        record.setdefault("status", {}).setdefault("errorCode", 0)
    if record.get("crossTenantAccessType") == "None":
        record["crossTenantAccessType"] = "none"
    place = [part.strip() for part in values.get("location", "").rsplit(",", 2)]
    record["location"] = {"countryOrRegion": place[-1], "city": place[0] if len(place) > 2 else ""}
    if kind:
        record["signInEventTypes"] = [_EVENTS[kind]]
    return Told(SIGNINS, record, "sign-ins as the Entra portal downloads them", _as_object(names, row))


_EVENTS = {
    "interactive": "interactiveUser",
    "non_interactive": "nonInteractiveUser",
    "service_principal": "servicePrincipal",
    "managed_identity": "managedIdentity",
}


def _audit(names: tuple[str, ...], short: tuple[str, ...], row: list[str], seen: dict[str, int]) -> Told:
    """An audit. The portal leaves its id out, so that one is made of all that it tells; equal rows are counted."""
    record: dict[str, Any] = {}
    targets: dict[int, dict[str, Any]] = {}
    changes: dict[tuple[int, int], dict[str, Any]] = {}
    values = _values(short, row)
    for name, value in values.items():
        if not value.strip():
            continue
        if name in _AUDITS:
            record[_AUDITS[name]] = value
        elif found := _TARGET.fullmatch(name):
            targets.setdefault(int(found[1]), {})[_OF_TARGET[found[2]]] = value
        elif found := _CHANGED.fullmatch(name):
            changes.setdefault((int(found[1]), int(found[2])), {})[_OF_CHANGE[found[3]]] = value
    for (target, _), change in sorted(changes.items()):
        targets.setdefault(target, {}).setdefault("modifiedProperties", []).append(change)
    record["targetResources"] = [target for _, target in sorted(targets.items())]
    record["initiatedBy"] = _actor(values)
    if "id" not in record:
        digest = hashlib.blake2b((compact(record) or "").encode(), digest_size=16).hexdigest()
        seen[digest] = seen.get(digest, 0) + 1
        record["id"] = f"csv-{digest}" + (f"-{seen[digest]}" if seen[digest] > 1 else "")
    return Told(AUDITS, record, "directory audits as the Entra portal downloads them", _as_object(names, row))


def _actor(values: dict[str, str]) -> dict[str, Any]:
    """Who did it: a user where the row names one, else an app."""
    name, address = values.get("actordisplayname"), values.get("ipaddress")
    if values.get("actortype", "").lower() == "user" or values.get("actoruserprincipalname"):
        upn, identity = values.get("actoruserprincipalname"), values.get("actorobjectid")
        return {"user": {"id": identity, "displayName": name, "userPrincipalName": upn, "ipAddress": address}}
    principal = values.get("actorserviceprincipalid") or values.get("actorobjectid")
    of = values.get("actorserviceprincipalname")
    return {"app": {"displayName": name, "servicePrincipalId": principal, "servicePrincipalName": of,
                    "ipAddress": address}}  # fmt: skip


def _values(names: tuple[str, ...], row: list[str]) -> dict[str, str]:
    """The values by their columns; of two columns of one name the first.

    A date like 3/12/2026 is left out: nobody knows whether a spreadsheet or PowerShell put the day or the month first.
    Log Analytics is known to put the month first; its columns say `[UTC]`.
    """
    values: dict[str, str] = {}
    for name, value in zip(names, row, strict=True):
        values.setdefault(name, "" if _DATE.match(value) and not name.endswith(" [UTC]") else value)
    return values


def _flat(names: tuple[str, ...], row: list[str]) -> Iterator[Told | Alien]:
    text = _as_object(names, row)
    values = _values(names, row)
    for one in told({name.removesuffix(" [UTC]"): value for name, value in values.items()}):
        yield Told(one.table, one.value, f"{one.shape}, in CSV", text) if isinstance(one, Told) else one


def _as_object(names: tuple[str, ...], row: list[str]) -> str:
    return compact(dict(zip(names, row, strict=True))) or ""


def _unlike(names: list[str]) -> Iterator[str]:
    """The same names, of which the portal has one twice, made unlike."""
    seen: dict[str, int] = {}
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        yield name if seen[name] == 1 else f"{name} ({seen[name]})"
