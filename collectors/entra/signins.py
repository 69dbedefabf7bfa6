"""A sign-in as Microsoft Graph gives it → a row of `signins`. Nothing is dropped: the whole record is in `raw`.

Source of the fields: the Graph resource type signIn, v1.0 and beta. Where records come from is read elsewhere.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from collectors.entra.values import flag, list_of, number, object_of, sound, text_of, timestamp

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
        pa.field("tenant", pa.string()),
        pa.field("service_principal_id", pa.string()),
        pa.field("service_principal_name", pa.string()),
    ]
)

_STREAMS = {
    "interactiveUser": "interactive",
    "nonInteractiveUser": "non_interactive",
    "servicePrincipal": "service_principal",
    "managedIdentity": "managed_identity",
}
# The logs of Azure Monitor by their names, in small letters and without the `AAD` of Log Analytics.
_CATEGORIES = {
    "signinlogs": "interactive",
    "noninteractiveusersigninlogs": "non_interactive",
    "microsoftnoninteractiveusersigninlogs": "non_interactive",
    "serviceprincipalsigninlogs": "service_principal",
    "microsoftserviceprincipalsigninlogs": "service_principal",
    "managedidentitysigninlogs": "managed_identity",
    "microsoftmanagedidentitysigninlogs": "managed_identity",
}
NOBODY = "00000000-0000-0000-0000-000000000000"


def row_of(value: Any, text: str, tenant: str | None = None, stream: str | None = None) -> dict[str, Any] | str:
    """One sign-in as values of SIGNINS_SCHEMA, or the reason why it is none. Total: raises nothing.

    value: the record in Graph's shape. text: the record as it stood. tenant, stream: what was asked of Graph; it is
    known better than by the record.
    """
    if not isinstance(value, dict):
        return "not JSON" if value is None else "not a record"
    record, identity = value.get, value.get("id")
    if not sound(text) or not sound(identity):
        return "characters that no Unicode text holds"
    if not isinstance(identity, str) or not identity:
        return "a sign-in without id"
    created = timestamp(record("createdDateTime"))
    if created is None:
        return "a sign-in without a readable createdDateTime"
    status = object_of(record("status"))
    device = object_of(record("deviceDetail"))
    location = object_of(record("location"))
    return {
        "id": identity,
        "stream": stream or stream_of(value),
        "created_at": created,
        "user_id": text_of(record("userId")),
        "user_principal_name": text_of(record("userPrincipalName")),
        "user_display_name": text_of(record("userDisplayName")),
        "app_id": text_of(record("appId")),
        "app_name": text_of(record("appDisplayName")),
        "resource_id": text_of(record("resourceId")),
        "resource_name": text_of(record("resourceDisplayName")),
        "ip_address": text_of(record("ipAddress")),
        "client_app": text_of(record("clientAppUsed")),
        "error_code": number(status.get("errorCode")),
        "failure_reason": text_of(status.get("failureReason")),
        "conditional_access": text_of(record("conditionalAccessStatus")),
        "is_interactive": flag(record("isInteractive")),
        "mfa": mfa_of(value, status),
        "risk_level": text_of(record("riskLevelDuringSignIn")) or text_of(record("riskLevelAggregated")),
        "country": text_of(location.get("countryOrRegion")),
        "city": text_of(location.get("city")),
        "device_id": text_of(device.get("deviceId")),
        "device_os": text_of(device.get("operatingSystem")),
        "browser": text_of(device.get("browser")),
        "is_managed": flag(device.get("isManaged")),
        "is_compliant": flag(device.get("isCompliant")),
        "correlation_id": text_of(record("correlationId")),
        "home_tenant_id": text_of(record("homeTenantId")),
        "resource_tenant_id": text_of(record("resourceTenantId")),
        "cross_tenant": text_of(record("crossTenantAccessType")),
        "user_agent": text_of(record("userAgent")),
        "raw": text,
        "tenant": tenant or tenant_of(value),
        "service_principal_id": text_of(record("servicePrincipalId")),
        "service_principal_name": text_of(record("servicePrincipalName")),
    }


def stream_of(record: dict[str, Any]) -> str | None:
    """Which of the four kinds a sign-in is. Best says it its event types, then the log it stood in, then who it was."""
    for kind in list_of(record.get("signInEventTypes")):
        if isinstance(kind, str) and kind in _STREAMS:
            return _STREAMS[kind]
    category = record.get("category")
    if isinstance(category, str) and (known := _CATEGORIES.get(category.lower().removeprefix("aad"))):
        return known
    if record.get("servicePrincipalId") and not record.get("userId"):
        return "managed_identity" if _is_managed(record) else "service_principal"
    interactive = flag(record.get("isInteractive"))
    return None if interactive is None else ("interactive" if interactive else "non_interactive")


def _is_managed(record: dict[str, Any]) -> bool:
    """Is the service principal a managed identity? `msiType` is `none` for any other."""
    kind = object_of(record.get("managedServiceIdentity") or record.get("managedIdentity")).get("msiType")
    return isinstance(kind, str) and kind.lower() not in ("", "none", "unknownfuturevalue")


def tenant_of(record: dict[str, Any]) -> str | None:
    """The tenant whose log it stood in, where the record tells.

    A sign-in across tenants stands in the logs of both: of one that names two different tenants, nobody knows.
    """
    names = ("tenantId", "homeTenantId", "resourceTenantId")
    told, home, resource = (None if (one := text_of(record.get(name))) == NOBODY else one for name in names)
    if told or (home and resource):
        return told or (home if str(home).lower() == str(resource).lower() else None)
    return home or resource if record.get("crossTenantAccessType") in (None, "", "none") else None


def mfa_of(record: dict[str, Any], status: dict[str, Any]) -> bool | None:
    """Was multi-factor authentication asked for? By the requirement, else by what was done; None where nothing says."""
    requirement = record.get("authenticationRequirement")
    if isinstance(requirement, str) and requirement:
        if requirement.startswith(("multi", "Multi")):
            return True
        if requirement.startswith(("single", "Single")):
            return False
    if _says_mfa(status.get("additionalDetails")):
        return True
    if any(map(text_of, object_of(record.get("mfaDetail")).values())):
        return True
    for step in list_of(record.get("authenticationDetails")):
        if isinstance(step, dict):
            asked = step.get("authenticationStepRequirement")
            if isinstance(asked, str) and asked.lower().startswith(("mfa", "multi")):
                return True
            if _says_mfa(step.get("authenticationStepResultDetail")):
                return True
    return None


def _says_mfa(detail: Any) -> bool:
    """`MFA requirement satisfied by claim in the token` does, `MFA requirement skipped due to location` does not."""
    words = detail[:200].lower() if isinstance(detail, str) else ""
    return words.startswith("mfa") and "skipped" not in words and "not required" not in words
