"""One sign-in and one audit in the shapes of several products, for the tests: invented people, invented ids."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from tests.collectors.graph_records import signin

TENANT = "11111111-2222-4333-8444-555555555555"
WORKSPACE = "99999999-0000-4000-8000-000000000009"

AUDIT: dict[str, Any] = {
    "id": "Directory_c0ffee00_1",
    "category": "ApplicationManagement",
    "correlationId": "c0ffee00-0000-4000-8000-000000000002",
    "result": "success",
    "resultReason": "",
    "activityDisplayName": "Consent to application",
    "activityDateTime": "2026-11-20T09:00:00.7654321Z",
    "loggedByService": "Core Directory",
    "initiatedBy": {
        "app": None,
        "user": {"id": "u1", "displayName": "Beth Smith", "userPrincipalName": "beth.smith@citadel.example",
                 "ipAddress": "2001:db8::17"},
    },
    "targetResources": [
        {
            "id": "sp1",
            "displayName": "Notion",
            "type": "ServicePrincipal",
            "modifiedProperties": [
                {"displayName": "ConsentContext.OnBehalfOfAll", "oldValue": None, "newValue": "\"True\""},
                {"displayName": "ConsentAction.Permissions", "oldValue": "[]", "newValue": "\"[] => [[Scope: a]]; \""},
            ],
        },
        {"id": "u1", "displayName": None, "type": "User", "userPrincipalName": "beth.smith@citadel.example",
         "modifiedProperties": []},
    ],
    "additionalDetails": [{"key": "AppId", "value": "a1"}],
}  # fmt: skip


def audit(id: str = "Directory_c0ffee00_1", **changed: Any) -> dict[str, Any]:
    """An audit with other values; a value of `...` leaves the key out."""
    return {key: value for key, value in {**AUDIT, "id": id, **changed}.items() if value is not ...}


def hub(category: str, properties: dict[str, Any], **around: Any) -> dict[str, Any]:
    """A record as Event Hub and Azure Storage have it."""
    envelope = {
        "time": "2026-11-20T08:16:01.5Z",
        "resourceId": f"/tenants/{TENANT}/providers/Microsoft.aadiam",
        "operationName": "Sign-in activity",
        "category": category,
        "tenantId": TENANT,
        "resultType": "0",
        "resultSignature": "None",
        "durationMs": 0,
        "callerIpAddress": "192.0.2.77",
        "correlationId": "c0ffee00-0000-4000-8000-000000000001",
        "identity": "Rick Sanchez",
        "Level": 4,
        "properties": properties,
    }
    return {key: value for key, value in {**envelope, **around}.items() if value is not ...}


def analytics(packed: bool, **changed: Any) -> dict[str, Any]:
    """A sign-in as a row of Log Analytics. packed: its objects as JSON in texts."""
    pack = (lambda value: json.dumps(value)) if packed else (lambda value: value)
    row = {
        "TenantId": WORKSPACE,
        "SourceSystem": "Azure AD",
        "TimeGenerated": "2026-11-20T08:16:01.5Z",
        "ResourceId": f"/tenants/{TENANT}/providers/Microsoft.aadiam",
        "OperationName": "Sign-in activity",
        "Category": "NonInteractiveUserSignInLogs",
        "ResultType": "50126",
        "ResultDescription": "Invalid username or password.",
        "CorrelationId": "c0ffee00-0000-4000-8000-000000000001",
        "Resource": "Microsoft.aadiam",
        "Identity": "Rick Sanchez",
        "Location": "CH",
        "AppDisplayName": "Dropbox Business",
        "AppId": "6d2c0000-0000-4000-8000-0000000000aa",
        "ClientAppUsed": "Browser",
        "ConditionalAccessStatus": "success",
        "CreatedDateTime": "2026-11-20T08:15:30.1234567Z",
        "DeviceDetail": pack({"deviceId": "d1", "operatingSystem": "Windows 11", "browser": "Edge 131"}),
        "IsInteractive": False,
        "Id": "a1",
        "IPAddress": "192.0.2.10",
        "LocationDetails": pack({"city": "Bern", "state": "", "countryOrRegion": "CH"}),
        "MfaDetail": "",
        "ResourceDisplayName": "Microsoft Graph",
        "ResourceIdentity": "00000003-0000-0000-c000-000000000000",
        "Status": pack({"errorCode": 50126, "additionalDetails": "MFA requirement satisfied by claim in the token"}),
        "UserDisplayName": "Rick Sanchez",
        "UserId": "5f0e7a7e-0000-4000-8000-000000000001",
        "UserPrincipalName": "rick.sanchez@citadel.example",
        "AADTenantId": TENANT,
        "Type": "AADNonInteractiveUserSignInLogs",
    }
    return {key: value for key, value in {**row, **changed}.items() if value is not ...}


def pascal(value: Any) -> Any:
    """As PowerShell writes Graph's objects: every name with a capital."""
    if isinstance(value, dict):
        return {key[:1].upper() + key[1:]: pascal(each) for key, each in value.items()}
    return [pascal(each) for each in value] if isinstance(value, list) else value


PORTAL = {
    "Date (UTC)": "2026-11-20T08:15:30Z",
    "Request ID": "a1",
    "User agent": "Mozilla/5.0, the \"fox\"",
    "Correlation ID": "c0ffee00-0000-4000-8000-000000000001",
    "User ID": "5f0e7a7e-0000-4000-8000-000000000001",
    "User": "Renée Sanchez",
    "Username": "rick.sanchez@citadel.example",
    "User type": "Member",
    "Cross tenant access type": "none",
    "Incoming token type": "None",
    "Application": "Dropbox Business",
    "Application ID ": "6d2c0000-0000-4000-8000-0000000000aa",
    "Resource": "Microsoft Graph",
    "Resource ID ": "00000003-0000-0000-c000-000000000000",
    "Resource tenant ID": TENANT,
    "Home tenant ID": TENANT,
    "IP address": "192.0.2.10",
    "Location": "Bern, Bern, CH",
    "Status": "Failure",
    "Sign-in error code": "50126",
    "Failure reason": "Invalid username or password.",
    "Client app": "Browser",
    "Device ID": "",
    "Browser": "Edge 131",
    "Operating System": "Windows 11",
    "Compliant": "false",
    "Managed": "true",
    "Multifactor authentication result": "MFA requirement satisfied by claim in the token",
    "Authentication requirement": "Multifactor authentication",
    "Autonomous system  number": "64500",
    "Latency": "95",
    "Conditional Access": "Not Applied",
}  # fmt: skip

PORTAL_AUDIT = {
    "Date (UTC)": "2026-11-20T09:00:00.7654321+00:00",
    "CorrelationId": "c0ffee00-0000-4000-8000-000000000002",
    "Service": "Core Directory",
    "Category": "ApplicationManagement",
    "Activity": "Consent to application",
    "Result": "success",
    "ResultReason": "",
    "ActorType": "User",
    "ActorDisplayName": "",
    "ActorObjectId": "u1",
    "ActorUserPrincipalName": "beth.smith@citadel.example",
    "IPAddress": "2001:db8::17",
    "ActorServicePrincipalId": "",
    "Target1Type": "ServicePrincipal",
    "Target1DisplayName": "Notion",
    "Target1ObjectId": "sp1",
    "Target1UserPrincipalName": "",
    "Target1ModifiedProperty1Name": "ConsentContext.OnBehalfOfAll",
    "Target1ModifiedProperty1OldValue": "",
    "Target1ModifiedProperty1NewValue": "\"True\"",
    "Target2Type": "User",
    "Target2ObjectId": "u1",
    "AdditionalDetail1Key": "AppId",
    "AdditionalDetail1Value": "a1",
}  # fmt: skip


def table(*rows: dict[str, str], delimiter: str = ",", bom: str = "\ufeff") -> str:
    """Rows as a CSV with a first line of names, as the portal downloads it."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return bom + out.getvalue()


def five_logs() -> list[dict[str, Any]]:
    """What one Event Hub gets: the four kinds of sign-ins and an audit."""
    app = signin("sp", userId=None, userDisplayName=..., userPrincipalName=..., servicePrincipalId="p1",
                 servicePrincipalName="backup", isInteractive=False)  # fmt: skip
    return [
        hub("SignInLogs", signin("i")),
        hub("NonInteractiveUserSignInLogs", signin("n", isInteractive=False)),
        hub("ServicePrincipalSignInLogs", app, identity=...),
        hub("ManagedIdentitySignInLogs", {**app, "id": "m"}, identity=...),
        hub("AuditLogs", audit("d"), operationName="Consent to application"),
    ]
