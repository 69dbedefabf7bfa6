"""Why Graph did not answer as asked, in a person's words, and what to do about it. Pure judgement of texts.

Which refusal means what: the error texts are Graph's own, as reported in public issues of its documentation and SDKs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType


class Kind(StrEnum):
    """What kind of failure: what a caller does about it follows from this alone."""

    PERMISSION = "permission"  # an administrator must grant something
    LICENCE = "licence"  # the tenant must own something
    TOO_OLD = "too_old"  # Graph no longer keeps what was asked for
    BAD_REQUEST = "bad_request"  # Graph does not take the question
    DEAD_LINK = "dead_link"  # the way to the next page is lost: begin the slice again
    TOO_SLOW = "too_slow"  # no answer in time, or 5xx again and again: ask for less
    THROTTLED = "throttled"  # too many requests, of this or another program of the app
    UNAUTHORIZED = "unauthorized"  # a fresh token was refused
    CREDENTIAL = "credential"  # no token: secret, certificate, tenant or app are wrong
    UNREACHABLE = "unreachable"  # no connection
    BROKEN = "broken"  # an answer that is none of Graph
    NOT_FOUND = "not_found"  # this cloud has no such thing


class GraphError(Exception):
    """A failure. message: what and why, without secrets. cures: what to do next, the likeliest first.

    status: of HTTP, None where there was no answer. code: Graph's or Entra's own (`Authorization_RequestDenied`).
    wait: s that the server asks to be left alone, None where it does not say.
    """

    def __init__(
        self,
        kind: Kind,
        message: str,
        *cures: str,
        status: int | None = None,
        code: str = "",
        wait: float | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.cures = cures
        self.status = status
        self.code = code
        self.wait = wait

    def __str__(self) -> str:
        return self.message  # what is added on an error's way up belongs to it


# The identifiers are the same in every tenant: the reference page of Microsoft Graph's permissions.
APP_ROLES: Mapping[str, str] = MappingProxyType(
    {
        "AuditLog.Read.All": "b0afded3-3588-46d8-8b3d-9842eff778da",
        "Directory.Read.All": "7ab1d382-f21e-4acd-a863-ba3e13f7da61",
        "User.Read.All": "df021288-bdef-4463-88db-98f22de89214",
        "Application.Read.All": "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30",
    }
)
_GRAPH_APP = "00000003-0000-0000-c000-000000000000"
# What each collection needs, where Graph does not say; least privilege first.
_NEEDS = (
    ("auditLogs/", ("AuditLog.Read.All", "Directory.Read.All")),
    ("users", ("User.Read.All",)),
    ("servicePrincipals", ("Application.Read.All",)),
)
_PERMISSION = re.compile(r"\b[A-Z][A-Za-z]+(?:-[A-Z][A-Za-z]+)?(?:\.[A-Z][A-Za-z]+){1,3}\b")
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
# The shortest time that any licence keeps: a filter within it is never too old. An hour for clocks that differ.
_ALWAYS_KEPT = timedelta(days=7) - timedelta(hours=1)


@dataclass(frozen=True)
class Asked:
    """What was asked. path: without version. following: it was a link that Graph gave. query: its text, decoded.

    client_id: for the commands of a cure. roles: the permissions that the token names, None where it does not say.
    """

    path: str
    following: bool = False
    query: str = ""
    client_id: str = ""
    roles: frozenset[str] | None = None


def grant_cures(client_id: str, *permissions: str) -> tuple[str, ...]:
    """How an administrator grants application permissions of Graph: in the portal, and by the Azure CLI."""
    app = client_id or "<client id>"
    portal = (
        "in the Entra admin center: App registrations > the app > API permissions > Add a permission > Microsoft "
        f"Graph > Application permissions > {', '.join(permissions)}; then Grant admin consent"
    )
    known = [APP_ROLES[name] for name in permissions if name in APP_ROLES]
    if len(known) < len(permissions):
        return (portal,)
    roles = " ".join(f"{role}=Role" for role in known)
    return (
        portal,
        f"az ad app permission add --id {app} --api {_GRAPH_APP} --api-permissions {roles}",
        f"az ad app permission admin-consent --id {app}",
    )


# What an answer is called by says nothing, and may hold any letters.
_REQUEST_ID = re.compile(r"\[request-id [^\]]*\]?")


def refusal(status: int, code: str, text: str, asked: Asked, now: datetime | None = None) -> GraphError:
    """The failure that an answer with an error means.

    status: of HTTP. code, text: of Graph's error object, '' where there is none. now: aware, for what is too old.
    """
    text = " ".join(text.split())[:300]
    said = f"{status} {code}".strip() + (f": {text}" if text else "")
    where = f"Microsoft Graph on {asked.path}"
    cures: tuple[str, ...]
    low = f"{code} {_REQUEST_ID.sub('', text)}".lower()
    if status == 429 or status == 509 or (400 <= status < 500 and "throttled" in low):
        kind, why, cures = Kind.THROTTLED, f"{where} is throttled ({said})", _BUSY
    elif status >= 500 or status == 408:
        kind, why, cures = Kind.TOO_SLOW, f"{where} does not manage to answer ({said})", _SLOW
    elif status == 401:
        kind, why, cures = Kind.UNAUTHORIZED, f"{where} refuses a fresh token ({said})", _unauthorized(low)
    elif status == 403:
        return _forbidden(code, low, said, where, asked)
    elif status in (404, 410) and asked.following:
        kind, why, cures = Kind.DEAD_LINK, f"{where} has forgotten its link to the next page ({said})", ()
    elif status == 404:
        kind, why, cures = Kind.NOT_FOUND, f"{where}: there is no such thing in this cloud ({said})", _NO_SUCH
    elif status == 400 and (asked.following or re.search(r"skip ?token", low)):
        kind, why, cures = Kind.DEAD_LINK, f"{where} no longer takes its link to the next page ({said})", ()
    elif status == 400 and _too_old(low, asked.query, now or datetime.now(UTC)):
        kind, why = Kind.TOO_OLD, f"{where} no longer keeps what is that old ({said})"
        cures = ("sign-ins and audits are kept for 7 days (Free) or 30 days (P1, P2); set `retention` to what it is",)
    elif 200 <= status < 300:
        kind, why, cures = Kind.BROKEN, f"{where} answers without content ({said})", _NOT_GRAPH
    elif 300 <= status < 400:
        kind, why, cures = Kind.BROKEN, f"{where} sends elsewhere ({said}), which is not followed", _NOT_GRAPH
    else:
        kind, why, cures = Kind.BAD_REQUEST, f"{where} does not take the question ({said})", ()
    return GraphError(kind, why, *cures, status=status, code=code)


_BUSY = (
    "Graph takes 5 requests in 10 s per app and tenant: look whether another program uses the same app",
    "give this one an app of its own, or lower `rate`",
)
_SLOW = ("wait: it is tried again with less at a time",)
_NO_SUCH = ("check `cloud`: not every national cloud has every log",)
_NOT_GRAPH = ("check `graph` and `cloud`, and whether a proxy answers in Graph's place",)


def _unauthorized(low: str) -> tuple[str, ...]:
    if "audience" in low:
        return ("the token is for another cloud: check `cloud`, `authority` and `graph`",)
    if "lifetime" in low or "expired" in low:
        return ("compare this machine's clock with the real time: timedatectl",)
    return ("check `tenant` and `cloud`: token and Graph must be of the same",)


def _forbidden(code: str, low: str, said: str, where: str, asked: Asked) -> GraphError:
    """403: a licence, or a permission, and which."""
    lookup = "directoryreadaccess" in low or "license check" in low  # it could not look the licence up
    if not lookup and ("premium" in low or "b2c" in low):
        return GraphError(
            Kind.LICENCE,
            f"{where} needs the licence Entra ID P1 or P2, and the tenant has none ({said})",
            "buy Entra ID P1 for the tenant, or leave the sign-in streams out of `streams`: audits work without",
            "where the tenant has one, Graph may be unable to see it: it looks it up with Directory.Read.All",
            *grant_cures(asked.client_id, "Directory.Read.All"),
            status=403,
            code=code,
        )
    if lookup:
        missing: tuple[str, ...] = ("Directory.Read.All",)
    elif "read all audit log data" in low or "noreadauditlog" in low:
        missing = ("AuditLog.Read.All",)
    else:
        missing = tuple(dict.fromkeys(_PERMISSION.findall(said))) or _missing(asked)
    names = " and ".join(missing) or "(it does not say which)"
    return GraphError(
        Kind.PERMISSION,
        f"{where} is not allowed: the app lacks the application permission {names} ({said})",
        *(grant_cures(asked.client_id, *missing) if missing else ()),
        "a permission counts once an administrator has consented; a new one takes some minutes to arrive",
        status=403,
        code=code,
    )


def _missing(asked: Asked) -> tuple[str, ...]:
    """What a collection needs and the token does not name; all that it needs where the token names all or nothing."""
    needed = next((names for start, names in _NEEDS if asked.path.startswith(start)), ())
    lacking = tuple(name for name in needed if name not in (asked.roles or ()))
    return lacking or needed


def _too_old(low: str, query: str, now: datetime) -> bool:
    """A filter that begins before what Graph keeps. Graph says no more than "Invalid filter clause" (docs issue 5676).

    Whatever it says, a span that every licence keeps is not too old.
    """
    oldest = _oldest(_STAMP.findall(query))
    if oldest is None or now - oldest < _ALWAYS_KEPT:
        return False
    return any(word in low for word in ("filter", "retention", "older", "out of range", "days"))


def _oldest(stamps: Iterable[str]) -> datetime | None:
    moments = []
    for text in stamps:
        try:
            moments.append(datetime.fromisoformat(text).replace(tzinfo=UTC))
        except ValueError:
            continue
    return min(moments, default=None)
