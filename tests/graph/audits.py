"""Directory audits made from a number. Source: CSDL of directoryAudit, examples of the page "List directoryAudits"."""

from __future__ import annotations

import json
from typing import Any

from tests.graph.clock import stamp
from tests.graph.dice import Dice
from tests.graph.names import words
from tests.graph.people import Directory
from tests.graph.shelf import digits_of

FIELDS = frozenset(
    words(
        """
    id category correlationId result resultReason activityDisplayName activityDateTime loggedByService
    operationType initiatedBy targetResources additionalDetails userAgent
    """
    )
)
_ACTIVITIES = (
    ("Add member to group", "GroupManagement", "Assign"),
    ("Update user", "UserManagement", "Update"),
    ("Consent to application", "ApplicationManagement", "Assign"),
    ("Add service principal", "ApplicationManagement", "Add"),
    ("Add app role assignment grant to user", "UserManagement", "Assign"),
    ("Reset user password", "UserManagement", "Update"),
)


def audit(created: int, seed: int, final: bool, id: str, directory: Directory) -> dict[str, Any]:
    """One record as Graph gives it; before its change it is one of which the reason is not known yet."""
    rng = Dice(seed)
    activity, category, operation = rng.pick(_ACTIVITIES)
    failed = rng.random() < 0.05
    reason = rng.pick(("", None))
    record: dict[str, Any] = {
        "id": id,
        "category": category,
        "correlationId": id[-12:],
        "result": "failure" if failed else "success",
        "resultReason": ("Zugriff verweigert" if failed else reason) if final else "Pending",
        "activityDisplayName": activity,
        "activityDateTime": stamp(created, digits_of(seed)),
        "loggedByService": rng.pick(("Core Directory", "B2C", None)),
        "operationType": rng.pick((operation, None)),
        "initiatedBy": _initiator(rng, directory),
        "targetResources": [_target(rng, activity, directory) for _ in range(rng.number(0, 4))],
        "additionalDetails": [{"key": "User-Agent", "value": rng.pick(("EvoSTS", None, '{"a": 1}'))}],
    }
    if rng.random() < 0.02:
        record.pop(rng.pick(("targetResources", "additionalDetails", "loggedByService", "correlationId")))
    return record


def _initiator(rng: Dice, directory: Directory) -> dict[str, Any]:
    odd = rng.random()
    if odd < 0.3:
        app = directory.app_of(rng)
        named = {"appId": None, "displayName": app.name, "servicePrincipalId": app.id, "servicePrincipalName": None}
        return {"app": named, "user": None} if odd < 0.2 else {"app": named}
    if odd < 0.32:
        return {"user": None, "app": None}
    user = directory.user_of(rng)
    return {
        "user": {
            "id": user["id"],
            "displayName": rng.pick((user["displayName"], None)),
            "userPrincipalName": rng.pick((user["userPrincipalName"], "")),
            "ipAddress": rng.pick(("192.0.2.7", "", None, "2001:db8::7")),
            "userType": None,
            "roles": [],
        },
        "app": None,
    }


def _target(rng: Dice, activity: str, directory: Directory) -> dict[str, Any]:
    user = directory.user_of(rng)
    kind = rng.pick(("User", "ServicePrincipal", "Group", "Other"))
    return {
        "id": user["id"],
        "displayName": rng.pick((user["displayName"], "", None)),
        rng.pick(("type", "type", "type", "Type")): kind,
        "userPrincipalName": user["userPrincipalName"] if kind == "User" else None,
        "groupType": "unifiedGroups" if kind == "Group" else None,
        "modifiedProperties": _modified(rng, activity),
    }


def _modified(rng: Dice, activity: str) -> list[dict[str, Any]]:
    """Old and new values are texts that hold JSON. A consent's come in any order."""
    if activity != "Consent to application":
        return [{"displayName": "AccountEnabled", "oldValue": json.dumps([False]), "newValue": json.dumps([True])}]
    granted = (
        "[] => [[Id: q1, ClientId: 00000000-0000-0000-0000-000000000000, PrincipalId: , ResourceId: r1, "
        "ConsentType: Principal, Scope:  User.Read openid profile, CreatedDateTime: , LastModifiedDateTime ]]; "
    )
    names = {
        "ConsentContext.IsAdminConsent": "False",
        "ConsentContext.IsAppOnly": "False",
        "ConsentContext.OnBehalfOfAll": "False",
        "ConsentAction.Permissions": granted,
        "TargetId.ServicePrincipalNames": "https://app.example",
    }
    made = [{"displayName": name, "oldValue": None, "newValue": json.dumps(value)} for name, value in names.items()]
    rng.shuffle(made)
    return made
