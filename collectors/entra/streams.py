"""What is read from Graph: the streams, where each is, and how a time span of one is asked for. Pure data and text.

Documented operators only (`ge`, `le`, `any`, `eq`), stamps unquoted: reference pages signin-list (v1.0, beta),
directoryaudit-list, resource types signIn and directoryAudit, user-list, serviceprincipal-list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType


@dataclass(frozen=True)
class GraphStream:
    """A collection of Graph.

    name: as in the column `stream` and in the configuration. table: of the lake. path: without the version.
    time_field: what it is filtered and ordered by; '' where it is read as a whole. event_type: the literal of
    signInEventTypes that it is asked for by (beta only), or None. permissions: the application permissions it needs.
    top: the largest page that Graph gives. select: the properties asked for; empty: all that Graph gives.
    """

    name: str
    table: str
    path: str
    version: str
    time_field: str
    event_type: str | None
    permissions: tuple[str, ...]
    top: int
    select: tuple[str, ...] = ()


# Both are needed for sign-ins: Graph looks the licence up with Directory.Read.All (signin-list, "known issue").
_SIGNINS = ("AuditLog.Read.All", "Directory.Read.All")


def _signins(name: str, version: str, event_type: str | None) -> GraphStream:
    return GraphStream(name, "signins", "auditLogs/signIns", version, "createdDateTime", event_type, _SIGNINS, 1000)


_ALL = (
    # v1.0 gives interactive sign-ins only, and knows no signInEventTypes to ask for others.
    _signins("interactive", "v1.0", None),
    _signins("non_interactive", "beta", "nonInteractiveUser"),
    _signins("service_principal", "beta", "servicePrincipal"),
    _signins("managed_identity", "beta", "managedIdentity"),
    # A filter on createdDateTime is refused here.
    GraphStream(
        "audits",
        "audits",
        "auditLogs/directoryAudits",
        "v1.0",
        "activityDateTime",
        None,
        ("AuditLog.Read.All", "Directory.Read.All"),
        1000,
    ),
)

STREAMS: Mapping[str, GraphStream] = MappingProxyType({stream.name: stream for stream in _ALL})

_USER = (
    "id userPrincipalName displayName givenName surname mail otherMails proxyAddresses userType accountEnabled "
    "createdDateTime creationType externalUserState identities department jobTitle companyName employeeId "
    "onPremisesSyncEnabled onPremisesSamAccountName onPremisesDomainName onPremisesUserPrincipalName "
    "onPremisesDistinguishedName onPremisesSecurityIdentifier onPremisesImmutableId"
)
_SERVICE_PRINCIPAL = (
    "id appId displayName appDisplayName appOwnerOrganizationId accountEnabled homepage loginUrl logoutUrl replyUrls "
    "servicePrincipalNames servicePrincipalType signInAudience preferredSingleSignOnMode "
    "verifiedPublisher tags info appRoleAssignmentRequired alternativeNames"
)

DIRECTORY_STREAMS: Mapping[str, GraphStream] = MappingProxyType(
    {
        "users": GraphStream(
            "users", "accounts", "users", "v1.0", "", None, ("User.Read.All",), 999, tuple(_USER.split())
        ),
        "service_principals": GraphStream(
            "service_principals",
            "service_principals",
            "servicePrincipals",
            "v1.0",
            "",
            None,
            ("Application.Read.All",),
            999,
            tuple(_SERVICE_PRINCIPAL.split()),
        ),
    }
)


def query_of(
    stream: GraphStream, start: datetime | None = None, end: datetime | None = None, top: int | None = None
) -> dict[str, str]:
    """The query of a stream's records from `start` to `end`, both included, oldest first.

    start, end: aware. A stream without times takes none (ValueError), one with times needs both. top: records a page,
    at most and by default the stream's own.
    """
    if bool(stream.time_field) != (start is not None and end is not None) or (start is None) != (end is None):
        raise ValueError(f"{stream.name} is read {'from a start to an end' if stream.time_field else 'as a whole'}")
    query: dict[str, str] = {}
    if start is not None and end is not None:
        clauses = [f"{stream.time_field} ge {stamp(start)}", f"{stream.time_field} le {stamp(end)}"]
        if stream.event_type:
            clauses.append(f"signInEventTypes/any(t: t eq '{stream.event_type}')")
        query["$filter"] = " and ".join(clauses)
        query["$orderby"] = f"{stream.time_field} asc"
    if stream.select:
        query["$select"] = ",".join(stream.select)
    query["$top"] = str(max(1, min(top or stream.top, stream.top)))
    return query


def stamp(moment: datetime) -> str:
    """A moment as Graph's filters take it: UTC, `Z`, no fraction where there is none. ValueError where it is naive."""
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone")
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
