"""Graph's answers to what it does not like: status, code, message and headers, as its users report them."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from email.utils import formatdate


@dataclass
class Problem(Exception):  # noqa: N818 - an answer, not a failure
    """An answer that is an error. undocumented: why the request should not have been made at all, or ''."""

    status: int
    code: str
    message: str
    undocumented: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def body(self, now: float) -> bytes:
        inner = {"date": formatdate(now, usegmt=True), "request-id": str(uuid.uuid4())}
        return json.dumps({"error": {"code": self.code, "message": self.message, "innerError": inner}}).encode()


def bad(message: str, undocumented: str, code: str = "BadRequest") -> Problem:
    return Problem(400, code, message, undocumented)


def bad_filter(undocumented: str) -> Problem:
    return bad("Invalid filter clause", undocumented)


def dead_link() -> Problem:
    return Problem(400, "BadRequest", "Invalid Skip Token, skip token is null")


def throttled(retry: str | None) -> Problem:
    headers = {} if retry is None else {"Retry-After": retry}
    return Problem(429, "TooManyRequests", "Too many requests. Please retry after some time.", headers=headers)


def no_token(message: str) -> Problem:
    challenge = {"WWW-Authenticate": 'Bearer realm="", authorization_uri="https://login/common/oauth2/authorize"'}
    return Problem(401, "InvalidAuthenticationToken", message, headers=challenge)


def no_licence() -> Problem:
    return Problem(
        403,
        "Authentication_RequestFromNonPremiumTenantOrB2CTenant",
        "Neither tenant is B2C or tenant doesn't have premium license",
    )


def no_permission(permission: str = "") -> Problem:
    """The reports name what is missing; the directory does not."""
    if permission:
        why = f"The principal does not have required Microsoft Graph permission(s): {permission} to call this API."
        return Problem(403, "Authentication_MSGraphPermissionMissing", why)
    return Problem(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")


def conditional() -> Problem:
    return Problem(403, "UnknownError", "")
