"""Sign-ins as they come from Graph, from exports and from torn files: rows, rejects and clear refusals."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from collectors.entra import exports
from collectors.entra.signins import SIGNINS_SCHEMA, row_of
from collectors.entra.streamed import FileError
from collectors.entra.values import timestamp
from tests.collectors.graph_records import Read, page, signin

APP = {"servicePrincipalId": "sp", "userId": None}
TWO = (signin("a1"), signin("a2", userDisplayName="Renée"))


def row(**changed: Any) -> dict[str, Any]:
    found = row_of(signin(**changed), "{}")
    assert isinstance(found, dict), found
    return found


@pytest.mark.parametrize(
    "text",
    [
        page(*TWO),
        page(*TWO, indent=2),
        json.dumps(TWO),
        json.dumps(TWO, indent=1),
        "\n".join(map(json.dumps, TWO)),
        "\r\n".join(map(json.dumps, TWO)) + "\r\n",
        json.dumps(TWO[0], indent=1) + "\n" + json.dumps(TWO[1], indent=1),
        page(TWO[0]) + "\n" + page(TWO[1]),
        page(TWO[0]) + page(TWO[1]),
        "[" + json.dumps(TWO[0]) + "," + json.dumps(TWO[1]) + ",]",
        json.dumps({"count": 2, "value": TWO}),
        json.dumps({"value": TWO, "@odata.nextLink": "https://g"}),
    ],
    ids=["page", "indented page", "list", "indented list", "lines", "CRLF", "indented records", "pages",
         "pages in a row", "comma at the end", "count first", "link last"],
)  # fmt: skip
def test_every_shape_of_an_export_gives_the_same_records(tmp_path: Path, text: str) -> None:
    read = Read(tmp_path, text)
    assert (read.ids, read.rejects, read.error) == (["a1", "a2"], [], None)
    assert [row["user_display_name"] for row in read.rows] == ["Rick Sanchez", "Renée"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("packed", [False, True])
def test_every_encoding_of_an_export_is_read(tmp_path: Path, encoding: str, packed: bool) -> None:
    raw = page(*TWO, ensure_ascii=False).encode(encoding)
    read = Read(tmp_path, gzip.compress(raw, mtime=0) if packed else raw)
    assert [row["user_display_name"] for row in read.rows] == ["Rick Sanchez", "Renée"]


def test_each_field_stands_in_its_column() -> None:
    found = row()
    assert {name: value for name, value in found.items() if value is not None} == {
        "id": "a1",
        "stream": "interactive",
        "created_at": datetime(2026, 11, 20, 8, 15, 30, 123456, UTC),
        "user_id": "5f0e7a7e-0000-4000-8000-000000000001",
        "user_principal_name": "rick.sanchez@citadel.example",
        "user_display_name": "Rick Sanchez",
        "app_id": "6d2c0000-0000-4000-8000-0000000000aa",
        "app_name": "Dropbox Business",
        "resource_id": "00000003-0000-0000-c000-000000000000",
        "resource_name": "Microsoft Graph",
        "ip_address": "192.0.2.10",
        "client_app": "Browser",
        "error_code": 50126,
        "failure_reason": "Invalid username or password.",
        "conditional_access": "success",
        "is_interactive": True,
        "risk_level": "none",
        "country": "CH",
        "city": "Bern",
        "device_id": "d1",
        "device_os": "Windows 11",
        "browser": "Edge 131",
        "is_managed": True,
        "is_compliant": False,
        "correlation_id": "c0ffee00-0000-4000-8000-000000000001",
        "raw": "{}",
    }
    assert list(found) == SIGNINS_SCHEMA.names


@pytest.mark.parametrize("absent", [None, "", ..., [], {}])
@pytest.mark.parametrize("key", ["status", "deviceDetail", "location"])
def test_an_object_that_is_absent_gives_nulls(key: str, absent: Any) -> None:
    found = row(**{key: absent})
    of_it = {"status": "error_code", "deviceDetail": "device_id", "location": "country"}[key]
    assert found[of_it] is None


@pytest.mark.parametrize("absent", [None, "", ...])
def test_every_text_may_be_absent(absent: Any) -> None:
    keep = {"id", "createdDateTime"}
    found = row(**{key: absent for key in signin() if key not in keep})
    assert {name for name, value in found.items() if value is not None} == {"id", "created_at", "raw"}


@pytest.mark.parametrize(
    ("text", "micros"),
    [("30.535404056Z", 535_404),
     ("30Z", 0), ("30.Z", 0), ("30.1Z", 100_000), ("30.12Z", 120_000), ("30.1234Z", 123_400), ("30.123456Z", 123_456),
     ("30.9999999Z", 999_999), ("30.1234567+00:00", 123_456), ("30", 0), ("30z", 0)],
)  # fmt: skip
def test_a_stamp_has_up_to_seven_digits_of_fraction(text: str, micros: int) -> None:
    assert timestamp(f"2026-11-20T08:15:{text}") == datetime(2026, 11, 20, 8, 15, 30, micros, UTC)


@pytest.mark.parametrize(
    "text", ["2026-11-20T03:15:30.5-05:00", "2026-11-20T13:45:30.5000000+05:30", "2026-11-20 08:15:30.5Z"]
)
def test_a_stamp_with_an_offset_is_kept_in_utc(text: str) -> None:
    assert timestamp(text) == datetime(2026, 11, 20, 8, 15, 30, 500_000, UTC)


@pytest.mark.parametrize(
    "text",
    ["11/20/2026 8:15:30 AM", "11/20/2026 08:15:30", "11/20/2026, 8:15:30.000 AM", "11/20/2026 9:15:30 AM +01:00",
     "/Date(1795162530000)/"],
)  # fmt: skip
def test_a_stamp_of_event_hub_or_powershell_is_read_month_first(text: str) -> None:
    assert timestamp(text) == datetime(2026, 11, 20, 8, 15, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["13/13/2026 8:15:30 AM", "11/20/2026 13:15:30 PM", "11/20/2026 0:15:30 AM", "/Date(99999999999999)/"]
)
def test_a_stamp_that_no_clock_shows_is_none(text: str) -> None:
    assert timestamp(text) is None


@pytest.mark.parametrize(
    "value", [None, "", 5, "yesterday", "20/11/2026 8:15:30 AM", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00"]
)
def test_a_sign_in_without_a_readable_stamp_is_a_reject(value: Any) -> None:
    assert row_of(signin(createdDateTime=value), "{}") == "a sign-in without a readable createdDateTime"


@pytest.mark.parametrize("value", [None, "", 7, {"x": 1}])
def test_a_sign_in_without_id_is_a_reject(value: Any) -> None:
    assert row_of(signin(id=value), "{}") == "a sign-in without id"


@pytest.mark.parametrize(
    ("value", "number"),
    [(0, 0), ("50126", 50126), (50126.0, 50126), (" 7 ", 7), ("x", None), (None, None), ([], None), (2**31, None),
     (float("inf"), None), (float("nan"), None), (True, None), ("9" * 5000, None)],
)  # fmt: skip
def test_an_error_code_may_be_text_but_is_never_guessed(value: Any, number: int | None) -> None:
    assert row(status={"errorCode": value})["error_code"] == number


@pytest.mark.parametrize(
    ("changed", "stream"),
    [
        ({"signInEventTypes": ["nonInteractiveUser"]}, "non_interactive"),
        ({"signInEventTypes": ["servicePrincipal"]}, "service_principal"),
        ({"signInEventTypes": ["managedIdentity"]}, "managed_identity"),
        ({"signInEventTypes": ["unknownFutureValue"], "isInteractive": False}, "non_interactive"),
        ({"signInEventTypes": "interactiveUser", "isInteractive": None}, None),
        ({"signInEventTypes": '["nonInteractiveUser"]'}, "non_interactive"),
        ({"servicePrincipalId": "sp", "userId": ""}, "service_principal"),
        ({**APP, "managedServiceIdentity": {"msiType": "none"}}, "service_principal"),
        ({**APP, "managedServiceIdentity": {"msiType": "userAssigned"}}, "managed_identity"),
        ({"category": "NonInteractiveUserSignInLogs"}, "non_interactive"),
        ({"category": "AADManagedIdentitySignInLogs"}, "managed_identity"),
        ({"category": "SignInLogs", "signInEventTypes": ["nonInteractiveUser"]}, "non_interactive"),
        ({"category": 5}, "interactive"),
    ],
)  # fmt: skip
def test_the_stream_is_the_kind_of_sign_in(changed: dict[str, Any], stream: str | None) -> None:
    assert row(**changed)["stream"] == stream


@pytest.mark.parametrize(
    ("key", "column", "value"),
    [
        ("userPrincipalName", "user_principal_name", "5f0e7a7e-0000-4000-8000-000000000001"),
        ("userPrincipalName", "user_principal_name", "guest@partner.example"),
        ("ipAddress", "ip_address", "2001:db8::17"),
        ("conditionalAccessStatus", "conditional_access", "unknownFutureValue"),
        ("riskLevelDuringSignIn", "risk_level", "hidden"),
        ("crossTenantAccessType", "cross_tenant", "b2bCollaboration,unknownFutureValue"),
    ],
)
def test_values_are_kept_as_they_came(key: str, column: str, value: str) -> None:
    assert row(**{key: value})[column] == value


@pytest.mark.parametrize(
    ("changed", "mfa"),
    [
        ({"authenticationRequirement": "multiFactorAuthentication"}, True),
        ({"authenticationRequirement": "MultifactorAuthentication"}, True),
        ({"authenticationRequirement": "singleFactorAuthentication"}, False),
        ({"authenticationRequirement": "singleFactorAuthentication", "mfaDetail": {"authMethod": "SMS"}}, False),
        ({"authenticationRequirement": "unknownFutureValue"}, None),
        ({"authenticationRequirement": ""}, None),
        ({}, None),
        ({"status": {"additionalDetails": "MFA requirement satisfied by claim in the token"}}, True),
        ({"status": {"additionalDetails": "MFA required in Azure AD"}}, True),
        ({"status": {"additionalDetails": "MFA requirement skipped due to registered device"}}, None),
        ({"status": {"additionalDetails": 7}}, None),
        ({"mfaDetail": {"authMethod": "Phone call", "authDetail": None}}, True),
        ({"mfaDetail": {"authMethod": "", "authDetail": None}}, None),
        ({"mfaDetail": {}}, None),
        ({"authenticationDetails": [{"authenticationStepRequirement": "Primary authentication"}]}, None),
        ({"authenticationDetails": [None, {"authenticationStepRequirement": "MFA"}]}, True),
        ({"authenticationDetails": '[{"authenticationStepRequirement": "Multifactor authentication"}]'}, True),
    ],
)  # fmt: skip
def test_multi_factor_is_known_only_where_it_is_said(changed: dict[str, Any], mfa: bool | None) -> None:
    assert row(**changed)["mfa"] is mfa


@pytest.mark.parametrize(
    ("changed", "tenant"),
    [
        ({}, None),
        ({"tenantId": "t"}, "t"),
        ({"homeTenantId": "t", "resourceTenantId": "T"}, "t"),
        ({"resourceTenantId": "t"}, "t"),
        ({"resourceTenantId": "t", "crossTenantAccessType": "b2bCollaboration"}, None),
        ({"homeTenantId": "t", "resourceTenantId": "u"}, None),
        ({"homeTenantId": "00000000-0000-0000-0000-000000000000", "resourceTenantId": "t"}, "t"),
        ({"homeTenantId": "", "resourceTenantId": None}, None),
    ],
)
def test_the_tenant_is_told_only_where_there_is_but_one(changed: dict[str, Any], tenant: str | None) -> None:
    assert row(**changed)["tenant"] == tenant


def test_what_was_asked_of_graph_is_known_better_than_by_the_record() -> None:
    found = row_of(signin(tenantId="x", signInEventTypes=["interactiveUser"]), "{}", "contoso", "managed_identity")
    assert isinstance(found, dict)
    assert (found["tenant"], found["stream"]) == ("contoso", "managed_identity")


def test_objects_that_were_packed_into_texts_are_read() -> None:
    packed = {key: json.dumps(signin()[key]) for key in ("status", "deviceDetail", "location")}
    assert row(**packed) == row()


def test_truths_may_be_written_as_texts() -> None:
    found = row(isInteractive="False", deviceDetail={"isManaged": "true", "isCompliant": "perhaps"})
    assert (found["is_interactive"], found["is_managed"], found["is_compliant"]) == (False, True, None)


def test_the_later_state_of_the_same_sign_in_wins(tmp_path: Path) -> None:
    read = Read(tmp_path, page(signin("a1", city="x"), signin("a2"), signin("a1", appDisplayName="later")))
    assert {row["id"]: row["app_name"] for row in read.rows} == {"a1": "later", "a2": "Dropbox Business"}
    assert read.keys == {"id"}


def test_a_long_file_comes_in_batches_in_its_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "BATCH_RECORDS", 2)
    read = Read(tmp_path, "\n".join(json.dumps(signin(each)) for each in ("a", "b", "c", "a", "d")))
    assert read.ids == ["a", "b", "c", "a", "d"]


def test_raw_is_the_text_that_stood_there(tmp_path: Path) -> None:
    odd = '{ "id":"a1",  "id" : "a2", "createdDateTime":"2026-11-20T08:15:30Z", "n": 1.50, "name":"Ren\\u00e9e \\/" }'
    (found,) = Read(tmp_path, f'{{"value": [ {odd} ]}}').rows
    assert (found["id"], found["raw"]) == ("a2", odd)


def test_a_lone_surrogate_in_a_name_is_replaced_and_in_an_id_is_a_reject(tmp_path: Path) -> None:
    read = Read(tmp_path, json.dumps([signin("a1", userDisplayName="x\ud800"), signin("a\ud800"), signin("a3")]))
    assert read.ids == ["a1", "a3"]
    assert read.rows[0]["user_display_name"] == "x?"
    assert [reason for reason, _ in read.rejects] == ["characters that no Unicode text holds"]


def test_a_line_that_is_not_utf_8_is_a_reject_with_its_bytes(tmp_path: Path) -> None:
    bad = json.dumps(signin("a2", userDisplayName="Renée"), ensure_ascii=False).encode("latin-1")
    read = Read(tmp_path, b"\n".join([json.dumps(TWO[0]).encode(), bad, json.dumps(signin("a3")).encode()]))
    assert (read.ids, read.error) == (["a1", "a3"], None)
    assert read.rejects == [("characters that no Unicode text holds", bad)]


@pytest.mark.parametrize("bad", ['{"id": "a0", "createdDat', "oops", '{"x": ' + "[" * 100_000 + "]" * 100_000 + "}"])
@pytest.mark.parametrize("before", [0, 1])
def test_a_damaged_line_is_a_reject_and_the_others_are_read(tmp_path: Path, bad: str, before: int) -> None:
    lines = [json.dumps(signin("a1")), json.dumps(signin("a2"))]
    lines.insert(before, bad)
    read = Read(tmp_path, "\n".join(lines))
    assert (read.ids, read.rejects, read.error) == (["a1", "a2"], [("not JSON", bad.encode())], None)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_page_cut_anywhere_keeps_what_was_readable_and_says_so(tmp_path: Path, encoding: str) -> None:
    raw = page(signin("é1"), signin("é2"), ensure_ascii=False).encode(encoding)
    first, second = (raw.index(f"é{n}".encode(encoding).removeprefix(b"\xff\xfe")) for n in (1, 2))
    for end in range(second, len(raw) - 1, 7):
        read = Read(tmp_path, raw[:end])
        assert read.ids in (["é1"], ["é1", "é2"])
        assert read.error is not None
        assert not read.error.wrong_use
    assert Read(tmp_path, raw[: first + 1]).error is not None


def test_a_gzip_cut_in_half_keeps_what_was_readable_and_says_so(tmp_path: Path) -> None:
    packed = gzip.compress("\n".join(json.dumps(signin(f"a{n**7}")) for n in range(3000)).encode())
    read = Read(tmp_path, packed[: len(packed) // 2])
    assert len(read.ids) > 100
    assert read.error is not None
    assert "cut off or damaged after" in str(read.error)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (json.dumps({"error": {"code": "Authentication_Failed", "message": "no"}}), "an error message of Graph"),
        (json.dumps([{"name": "x"}]), "no sign-ins of Microsoft Graph"),
        ("[1, 2]", "no JSON of sign-ins"),
        ("hello\nworld\n", "no JSON of sign-ins"),
        ("{hello\n{world\n", "no JSON of sign-ins"),
        ("\0" * 50, "no JSON"),
        ("[" * 100_000, "no JSON of sign-ins"),
        ('{"value": [' + '{"a": ' * 100_000, "no JSON of sign-ins"),
        ('{"value": [], "x": ' + "[" * 100_000, "no JSON of sign-ins"),
    ],
    ids=[
        "error",
        "other JSON",
        "numbers",
        "text",
        "braces",
        "NUL",
        "deep list",
        "deep page",
        "deep after page",
    ],
)
def test_what_holds_no_sign_ins_is_refused(tmp_path: Path, text: str, says: str) -> None:
    read = Read(tmp_path, text)
    assert (read.rows, read.rejects) == ([], [])
    assert read.error is not None
    assert read.error.wrong_use
    assert says in str(read.error)


def test_commas_that_json_does_not_have_are_left_out(tmp_path: Path) -> None:
    odd = json.dumps(signin("a1", userDisplayName="a,}"))[:-1] + ',\n "riskEventTypes": [ ], "x": [1, ],\n}'
    read = Read(tmp_path, '{"value": [' + odd + ",]}")
    assert (read.ids, read.error, read.rejects) == (["a1"], None, [])
    assert json.loads(read.rows[0]["raw"]) == signin("a1", userDisplayName="a,}", riskEventTypes=[], x=[1])


@pytest.mark.parametrize("text", ["", " \n", "[]", '{"value": []}', '{"records": []}', "\ufeff"])
def test_a_file_without_records_is_empty_and_no_error(tmp_path: Path, text: str) -> None:
    read = Read(tmp_path, text)
    assert (read.rows, read.rejects, read.error) == ([], [], None)


def test_a_directory_and_a_missing_file_are_named(tmp_path: Path) -> None:
    for path, says in ((tmp_path, "is a directory"), (tmp_path / "none.json", "there is no file")):
        with pytest.raises(FileError, match=says) as caught:
            list(exports.collect(path))
        assert caught.value.wrong_use
