"""Graph's refusals, by the texts that people have reported: what each means, and what to do about it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from collectors.entra.errors import Asked, Kind, refusal

SIGNINS = Asked("auditLogs/signIns", client_id="c-1")
NOW = datetime(2026, 6, 1, tzinfo=UTC)
AUDIT_ROLE, DIRECTORY_ROLE = "b0afded3-3588-46d8-8b3d-9842eff778da", "7ab1d382-f21e-4acd-a863-ba3e13f7da61"
USER_ROLE, APP_ROLE = "df021288-bdef-4463-88db-98f22de89214", "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30"


def test_a_tenant_without_licence_is_told_which_one_it_needs() -> None:
    code = "Authentication_RequestFromNonPremiumTenantOrB2CTenant"
    error = refusal(403, code, "Tenant is not a B2C tenant and doesn't have premium license", SIGNINS)
    assert error.kind is Kind.LICENCE
    assert "P1" in error.message
    assert error.code == code
    assert error.status == 403


@pytest.mark.parametrize("letters", ["b2c", "premium", "throttled", "skiptoken", "too old", "license check"])
def test_the_name_of_an_answer_says_nothing(letters: str) -> None:
    """A request-id is random: `…-4b2c-…` is no B2C tenant."""
    text = f"Insufficient privileges to complete the operation. [request-id 11111111-{letters}-3333]"
    asked = Asked("auditLogs/signIns", client_id="c-1")
    assert refusal(403, "Authorization_RequestDenied", text, asked).kind is Kind.PERMISSION


@pytest.mark.parametrize(
    ("code", "text", "permission", "role"),
    [
        (
            "Authentication_MSGraphPermissionMissing",
            "Calling principal does not have required MSGraph permissions AuditLog.Read.All",
            "AuditLog.Read.All",
            AUDIT_ROLE,
        ),
        (
            "Authentication_ApplicationHasNoReadAuditLogDataAccess",
            "Application missing MSGraph API 'Read all audit log data' permission",
            "AuditLog.Read.All",
            AUDIT_ROLE,
        ),
        (
            "Authentication_ApplicationHasNoDirectoryReadAccess",
            "Failed to do premium license check from ADGraph",
            "Directory.Read.All",
            DIRECTORY_ROLE,
        ),
    ],
)
def test_a_missing_permission_is_named_with_the_command_that_grants_it(
    code: str, text: str, permission: str, role: str
) -> None:
    error = refusal(403, code, text, SIGNINS)
    assert error.kind is Kind.PERMISSION
    assert permission in error.message
    assert (
        "az ad app permission add --id c-1 --api 00000003-0000-0000-c000-000000000000 "
        f"--api-permissions {role}=Role" in error.cures
    )
    assert "az ad app permission admin-consent --id c-1" in error.cures
    assert any("API permissions" in cure and permission in cure for cure in error.cures)


@pytest.mark.parametrize(
    ("path", "roles"),
    [("users", [USER_ROLE]), ("servicePrincipals", [APP_ROLE]), ("auditLogs/signIns", [AUDIT_ROLE, DIRECTORY_ROLE])],
)
def test_a_refusal_that_names_nothing_is_told_by_what_was_asked_for(path: str, roles: list[str]) -> None:
    error = refusal(
        403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.", Asked(path)
    )
    assert error.kind is Kind.PERMISSION
    assert " ".join(f"{role}=Role" for role in roles) in " ".join(error.cures)


def test_what_the_token_already_names_is_not_asked_for_again() -> None:
    asked = Asked("auditLogs/signIns", roles=frozenset({"AuditLog.Read.All"}))
    error = refusal(403, "Authorization_RequestDenied", "Insufficient privileges", asked)
    assert "Directory.Read.All" in error.message
    assert AUDIT_ROLE not in " ".join(error.cures)


def test_a_permission_that_is_not_of_ours_gets_the_portal_only() -> None:
    error = refusal(403, "x", "missing: NetworkAccess-Reports.Read.All", SIGNINS)
    assert "NetworkAccess-Reports.Read.All" in error.message
    assert not any(cure.startswith("az ") for cure in error.cures)


@pytest.mark.parametrize(
    ("status", "following", "text", "kind"),
    [
        (400, True, "anything", Kind.DEAD_LINK),
        (404, True, "", Kind.DEAD_LINK),
        (410, True, "", Kind.DEAD_LINK),
        (400, False, "Invalid Skip Token, skip token is null", Kind.DEAD_LINK),
        (400, False, "Query option 'Skip' is not allowed", Kind.BAD_REQUEST),
        (404, False, "Resource not found for the segment 'auditLogs'", Kind.NOT_FOUND),
        (429, False, "", Kind.THROTTLED),
        (429, True, "", Kind.THROTTLED),
        (400, True, "This request is throttled. Please try again after some time.", Kind.THROTTLED),
        (500, False, "", Kind.TOO_SLOW),
        (502, False, "", Kind.TOO_SLOW),
        (503, True, "", Kind.TOO_SLOW),
        (504, False, "", Kind.TOO_SLOW),
        (408, False, "", Kind.TOO_SLOW),
        (204, False, "", Kind.BROKEN),
        (302, False, "", Kind.BROKEN),
        (401, False, "Access token has expired", Kind.UNAUTHORIZED),
        (405, False, "", Kind.BAD_REQUEST),
    ],
)
def test_every_status_has_its_kind(status: int, following: bool, text: str, kind: Kind) -> None:
    assert refusal(status, "", text, Asked("auditLogs/signIns", following)).kind is kind


@pytest.mark.parametrize(
    ("since", "kind"),
    [("2026-02-01T00:00:00Z", Kind.TOO_OLD), ("2026-05-24T00:00:00Z", Kind.TOO_OLD), ("2026-05-30", Kind.BAD_REQUEST)],
)
def test_an_invalid_filter_is_too_old_only_where_it_reaches_back(since: str, kind: Kind) -> None:
    asked = Asked("auditLogs/signIns", query=f"$filter=createdDateTime ge {since} and createdDateTime le 2026-05-31")
    assert refusal(400, "BadRequest", "Invalid filter clause", asked, NOW).kind is kind


def test_a_filter_within_what_all_keep_is_never_too_old() -> None:
    asked = Asked("auditLogs/signIns", query="createdDateTime ge 2026-05-31T00:00:00Z")
    assert refusal(400, "BadRequest", "older than the retention of 0 days", asked, NOW).kind is Kind.BAD_REQUEST


def test_a_long_text_of_graph_is_shortened_to_one_line() -> None:
    message = refusal(400, "x", "line\r\n" * 1000, SIGNINS).message
    assert len(message) < 450
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "word"), [("Invalid audience.", "cloud"), ("Lifetime validation failed, the token is expired.", "clock")]
)
def test_a_refused_token_says_where_to_look(text: str, word: str) -> None:
    assert word in refusal(401, "InvalidAuthenticationToken", text, SIGNINS).cures[0]
