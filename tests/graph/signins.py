"""Sign-ins made from a number: every shape that Graph's CSDL and documentation show, and those seen in the field.

Source of fields and enumerations: CSDL of signIn, v1.0 and beta; examples of the pages "List signIns".
"""

from __future__ import annotations

import json
from typing import Any

from tests.graph.clock import stamp
from tests.graph.dice import Dice
from tests.graph.names import AGENTS, BROWSERS, CLIENTS, FAILURES, INTERRUPTED, PLACES, SIGN_INS, SYSTEMS, guid, words
from tests.graph.people import App, Directory
from tests.graph.shelf import digits_of

UNKNOWN = "unknownFutureValue"
# Members that came after the sentinel (CSDL) or that no version of it names yet: only given to those who ask.
_NEW_PROTOCOLS = ("deviceCode", "authenticationTransfer", "somethingOfTomorrow")
_FIELDS_V1 = frozenset(
    words(
        """
    id createdDateTime userDisplayName userPrincipalName userId appId appDisplayName ipAddress clientAppUsed
    userAgent correlationId conditionalAccessStatus isInteractive riskDetail riskLevelAggregated
    riskLevelDuringSignIn riskState riskEventTypes riskEventTypes_v2 resourceDisplayName resourceId
    resourceTenantId homeTenantId status deviceDetail location appliedConditionalAccessPolicies servicePrincipalId
    servicePrincipalName authenticationAppDeviceDetails
    """
    )
)
FIELDS_BETA = _FIELDS_V1 | frozenset(
    words(
        """
    alternateSignInName appOwnerTenantId authenticationDetails authenticationMethodsUsed authenticationProtocol
    authenticationProcessingDetails authenticationRequirement authenticationRequirementPolicies
    autonomousSystemNumber clientCredentialType crossTenantAccessType federatedCredentialId flaggedForReview
    homeTenantName incomingTokenType ipAddressFromResourceProvider globalSecureAccessIpAddress isTenantRestricted
    isThroughGlobalSecureAccess mfaDetail managedServiceIdentity networkLocationDetails originalRequestId
    processingTimeInMilliseconds resourceOwnerTenantId resourceServicePrincipalId servicePrincipalCredentialKeyId
    servicePrincipalCredentialThumbprint sessionId sessionLifetimePolicies signInEventTypes signInIdentifier
    signInIdentifierType tokenIssuerName tokenIssuerType tokenProtectionStatusDetails uniqueTokenIdentifier
    userType conditionalAccessAudiences agent azureResourceId privateLinkDetails originalTransferMethod
    clientSessionId appTokenProtectionStatus signInTokenProtectionStatus
    """
    )
)
FIELDS = {"v1.0": _FIELDS_V1, "beta": FIELDS_BETA}


def sign_in(stream: str, created: int, seed: int, final: bool, id: str, directory: Directory) -> dict[str, Any]:
    """The whole record as beta gives it to those who ask for all members. final: after its change."""
    rng = Dice(seed)
    record: dict[str, Any] = {"id": id, "createdDateTime": stamp(created, digits_of(seed))}
    if stream in ("interactive", "non_interactive"):
        record |= _who(rng, directory)
    else:
        record |= {"userDisplayName": None, "userPrincipalName": rng.pick(("", None)), "userId": ""}
    app = directory.app_of(rng)
    record |= {"appId": app.app_id, "appDisplayName": app.name, "ipAddress": _address(rng)}
    record |= {"ipAddressFromResourceProvider": None, "clientAppUsed": rng.pick(CLIENTS)}
    record |= {"userAgent": rng.pick(AGENTS), "correlationId": _guid(rng), "originalRequestId": id}
    record |= _outcome(rng, stream, final)
    record["isInteractive"] = stream == "interactive"
    record["signInEventTypes"] = [SIGN_INS[stream]]
    record |= _risk(rng, directory)
    resource = directory.app_of(rng)
    record |= {"resourceDisplayName": resource.name or None, "resourceId": resource.app_id}
    record |= {"resourceTenantId": directory.tenant, "homeTenantId": directory.tenant, "homeTenantName": ""}
    record |= _device(rng)
    record["location"] = _place(rng)
    record["appliedConditionalAccessPolicies"] = _policies(rng)
    if stream in ("service_principal", "managed_identity"):
        record |= _workload(rng, stream, app)
    else:
        record |= {"servicePrincipalId": "", "servicePrincipalName": None}
    _strange(rng, record)
    return record


def as_given(record: dict[str, Any], version: str, members: bool) -> dict[str, Any]:
    """The record as that version gives it; members: the request prefers unknown enumeration members."""
    known = FIELDS[version]
    given = record if version == "beta" else {key: value for key, value in record.items() if key in known}
    if not members:
        given = dict(given)
        if given.get("authenticationProtocol") in _NEW_PROTOCOLS:
            given["authenticationProtocol"] = UNKNOWN
        if given.get("incomingTokenType") == "remoteDesktopToken":
            given["incomingTokenType"] = UNKNOWN
        if given.get("riskDetail") == "m365DAdminDismissedDetection":
            given["riskDetail"] = UNKNOWN
    return given


def _who(rng: Dice, directory: Directory) -> dict[str, Any]:
    user = directory.user_of(rng)
    name = str(user["userPrincipalName"]).lower()
    guest = user["userType"] == "Guest"
    if guest:
        name = str(user["mail"]).lower()
    odd = rng.random()
    if odd < 0.01:
        name = user["id"]  # seen where the user was unknown to the service that wrote the record
    elif odd < 0.015:
        name = ""
    synced = user["onPremisesUserPrincipalName"]
    other = bool(synced) and rng.random() < 0.05
    return {
        "userDisplayName": user["displayName"] if odd > 0.02 else "",
        "userPrincipalName": name,
        "userId": user["id"],
        "userType": "guest" if guest else "member",
        "crossTenantAccessType": "b2bCollaboration" if guest else "none",
        "signInIdentifier": synced if other else rng.pick((name, "", None)),
        "signInIdentifierType": "onPremisesUserPrincipalName" if other else rng.pick(("userPrincipalName", None)),
        "alternateSignInName": rng.pick((name, "", None)),
    }


def _outcome(rng: Dice, stream: str, final: bool) -> dict[str, Any]:
    """Status and authentication; a record that will change begins as one that waits for the second factor."""
    failed = rng.random() < 0.07
    code, reason = rng.pick(FAILURES) if failed else (0, rng.pick((None, "Other.")))
    more = rng.pick((None, "", "MFA requirement satisfied by claim in the token"))
    if not final:
        code, reason = INTERRUPTED
        more = "MFA required in Azure AD"
    mfa = rng.random() < 0.4
    return {
        "status": {"errorCode": code, "failureReason": reason, "additionalDetails": more},
        "conditionalAccessStatus": rng.pick(("success", "notApplied", "failure" if code else "success")),
        "authenticationRequirement": "multiFactorAuthentication" if mfa else "singleFactorAuthentication",
        "authenticationProtocol": rng.pick(("none", "none", "oAuth2", "saml20", "ropc", *_NEW_PROTOCOLS)),
        "incomingTokenType": rng.pick(("none", "primaryRefreshToken", "refreshToken", "remoteDesktopToken")),
        "authenticationDetails": [_step(rng, final)] if stream == "interactive" else [],
        "authenticationProcessingDetails": [{"key": "Legacy TLS (TLS 1.0, 1.1, 3DES)", "value": "False"}],
        "authenticationRequirementPolicies": [],
        "mfaDetail": {"authMethod": "Text message", "authDetail": "+X XXXXXXXX12"} if mfa and final else None,
        "tokenIssuerName": "",
        "tokenIssuerType": rng.pick(("AzureAD", "AzureAD", "ADFederationServices")),
        "uniqueTokenIdentifier": _guid(rng)[:22] + "==",
        "processingTimeInMilliseconds": rng.number(0, 2000),
        "sessionId": rng.pick((_guid(rng), "", None)),
        "autonomousSystemNumber": rng.number(0, 70_000),
        "flaggedForReview": rng.pick((False, None)),
    }


def _step(rng: Dice, final: bool) -> dict[str, Any]:
    return {
        "authenticationStepDateTime": f"2026-07-0{rng.number(1, 9)}T10:00:{rng.number(10, 60)}.1234567Z",
        "authenticationMethod": rng.pick(("Password", "FIDO2", "Previously satisfied")),
        "authenticationMethodDetail": rng.pick(("Password Hash Sync", None, "")),
        "succeeded": final,
        "authenticationStepResultDetail": "MFA completed in Azure AD" if final else "Authentication in progress",
        "authenticationStepRequirement": rng.pick(("Primary authentication", "MFA", "")),
    }


def _risk(rng: Dice, directory: Directory) -> dict[str, Any]:
    level = "none" if rng.random() < 0.95 else rng.pick(("low", "medium", "high"))
    detail = "none" if rng.random() < 0.95 else rng.pick(("userPassedMFADrivenByRiskBasedPolicy", "hidden"))
    if rng.random() < 0.01:
        detail = "m365DAdminDismissedDetection"
    if directory.licence != "P2":
        level = detail = "hidden"
    return {
        "riskDetail": detail,
        "riskLevelAggregated": level,
        "riskLevelDuringSignIn": level,
        "riskState": "none" if level in ("none", "hidden") else "atRisk",
        "riskEventTypes": [] if level in ("none", "hidden") else ["unfamiliarFeatures"],
        "riskEventTypes_v2": [] if level in ("none", "hidden") else ["unfamiliarFeatures"],
    }


def _device(rng: Dice) -> dict[str, Any]:
    managed = rng.pick((True, False, None))
    return {
        "deviceDetail": {
            "deviceId": _guid(rng) if managed else rng.pick(("", None)),
            "displayName": f"PC-{rng.number(0, 9999):04d}" if managed else rng.pick(("", None)),
            "operatingSystem": rng.pick(SYSTEMS),
            "browser": rng.pick(BROWSERS),
            "isCompliant": managed,
            "isManaged": managed,
            "trustType": "Hybrid Azure AD joined" if managed else rng.pick(("", None)),
        }
    }


def _place(rng: Dice) -> dict[str, Any] | None:
    if rng.random() < 0.01:
        return None
    city, state, country, latitude, longitude = rng.pick(PLACES)
    coordinates = {"altitude": None, "latitude": latitude, "longitude": longitude}
    return {
        "city": city,
        "state": state,
        "countryOrRegion": country,
        "geoCoordinates": {} if rng.random() < 0.1 else coordinates,
    }


_POLICIES = tuple(guid("policy", number) for number in range(3))


def _policies(rng: Dice) -> list[dict[str, Any]]:
    return [
        {
            "id": _POLICIES[number],
            "displayName": ("Require MFA for everyone", 'Block legacy — "old" clients', "Geräte")[number],
            "enforcedGrantControls": ["Mfa"] if number == 0 else [],
            "enforcedSessionControls": [],
            "result": rng.pick(("success", "notApplied", "notEnabled", "reportOnlySuccess")),
        }
        for number in range(rng.number(0, 3))
    ]


def _workload(rng: Dice, stream: str, app: App) -> dict[str, Any]:
    managed = stream == "managed_identity"
    return {
        "servicePrincipalId": app.id,
        "servicePrincipalName": app.name or rng.pick(("", None)),
        "clientCredentialType": "managedIdentity" if managed else rng.pick(("clientSecret", "certificate")),
        "servicePrincipalCredentialKeyId": "" if managed else _guid(rng),
        "resourceServicePrincipalId": _guid(rng),
        "managedServiceIdentity": {"msiType": "systemAssigned"} if managed else None,
    }


def _strange(rng: Dice, record: dict[str, Any]) -> None:
    """What is rare: fields that are not there, fields that nobody has documented, texts that hold JSON."""
    odd = rng.random()
    if odd < 0.02:
        for name in rng.sample(
            ("location", "deviceDetail", "userAgent", "appDisplayName", "ipAddress", "riskDetail"), 2
        ):
            record.pop(name, None)
    elif odd < 0.04:
        record["x-private-use"] = {"nested": json.dumps({"a": '"False"', "ü": [1, None]})}
    elif odd < 0.05:
        record["status"] = {"errorCode": 0}
    elif odd < 0.06:
        record["deviceDetail"] = None


def _address(rng: Dice) -> str | None:
    odd = rng.random()
    if odd < 0.15:
        return f"2001:db8:{rng.number(0, 65536):x}:{rng.number(0, 65536):x}::{rng.number(1, 65536):x}"
    if odd < 0.16:
        return rng.pick(("", None, "::ffff:198.51.100.7"))
    return f"{rng.pick(('192.0.2', '198.51.100', '203.0.113'))}.{rng.number(1, 255)}"


def _guid(rng: Dice) -> str:
    text = f"{rng.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
