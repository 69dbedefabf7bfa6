"""Directory audits as they come from Graph, its documentation and exports: what of them is in which column."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from collectors.entra.audits import AUDITS_SCHEMA, row_of
from tests.collectors.entra_shapes import audit


def row(**changed: Any) -> dict[str, Any]:
    found = row_of(audit(**changed), "{}")
    assert isinstance(found, dict), found
    return found


def modified(*properties: dict[str, Any]) -> Any:
    text = row(targetResources=[{"id": "t", "modifiedProperties": list(properties)}])["modified"]
    return text and json.loads(text)


def test_each_field_stands_in_its_column() -> None:
    found = row()
    assert {name: value for name, value in found.items() if value is not None} == {
        "id": "Directory_c0ffee00_1",
        "activity_at": datetime(2026, 11, 20, 9, 0, 0, 765432, UTC),
        "activity": "Consent to application",
        "category": "ApplicationManagement",
        "result": "success",
        "initiated_by_user": "beth.smith@citadel.example",
        "initiated_by_ip": "2001:db8::17",
        "targets": '[{"type":"ServicePrincipal","id":"sp1","name":"Notion"},'
        '{"type":"User","id":"u1","upn":"beth.smith@citadel.example"}]',
        "modified": '[{"name":"ConsentAction.Permissions","target":"sp1","old":[],"new":"[] => [[Scope: a]]; "},'
        '{"name":"ConsentContext.OnBehalfOfAll","target":"sp1","new":"True"}]',
        "correlation_id": "c0ffee00-0000-4000-8000-000000000002",
        "raw": "{}",
    }
    assert list(found) == AUDITS_SCHEMA.names


@pytest.mark.parametrize(
    ("initiator", "user", "app", "address"),
    [
        (None, None, None, None),
        ({}, None, None, None),
        ({"user": None, "app": {"displayName": "Sync", "servicePrincipalId": "p"}}, None, "Sync", None),
        ({"app": {"appId": None, "displayName": None, "servicePrincipalId": "p"}}, None, "p", None),
        ({"app": {"displayName": "", "appId": "a", "ipAddress": "192.0.2.1"}}, None, "a", "192.0.2.1"),
        ({"user": {"id": "u", "displayName": "Beth", "userPrincipalName": ""}}, "u", None, None),
        ({"user": {"displayName": "Beth", "id": None}, "app": "x"}, "Beth", None, None),
        ('{"user":{"userPrincipalName":"b@c","ipAddress":"192.0.2.1"}}', "b@c", None, "192.0.2.1"),
        ([], None, None, None),
    ],
)
def test_who_did_it_is_a_user_or_an_app_by_the_best_name_there_is(
    initiator: Any, user: str | None, app: str | None, address: str | None
) -> None:
    found = row(initiatedBy=initiator)
    told = (found["initiated_by_user"], found["initiated_by_app"], found["initiated_by_ip"])
    assert told == (user, app, address)


def test_the_kind_of_a_target_is_read_as_documentation_writes_it_too() -> None:
    assert row(targetResources=[{"Type": "Group", "id": "g"}])["targets"] == '[{"type":"Group","id":"g"}]'


@pytest.mark.parametrize("targets", [None, "", [], {}, "x", [None, 5, {}], [{"modifiedProperties": None}], "[]"])
def test_without_targets_there_is_null(targets: Any) -> None:
    found = row(targetResources=targets)
    assert (found["targets"], found["modified"]) == (None, None)


@pytest.mark.parametrize(
    ("packed", "value"),
    [
        ('"False"', "False"),
        ('["a","b"]', ["a", "b"]),
        ('{"a":1}', {"a": 1}),
        ('"{\\"a\\":1}"', '{"a":1}'),
        ('""', ""),
        ("DirectorySync", "DirectorySync"),
        ("007", "007"),
        ("true", "true"),
        ("[not JSON", "[not JSON"),
        ("[NaN]", "[NaN]"),
        ("[" * 100_000, "[" * 100_000),
        (5, 5),
        (False, False),
    ],
)
def test_a_changed_value_that_was_packed_is_unpacked_and_no_other_is_touched(packed: Any, value: Any) -> None:
    assert modified({"displayName": "x", "newValue": packed}) == [{"name": "x", "target": "t", "new": value}]


@pytest.mark.parametrize("absent", [None, "", ...])
def test_a_changed_value_that_is_absent_is_left_out(absent: Any) -> None:
    changed = {"displayName": "x", "oldValue": absent, "newValue": absent}
    told = {key: value for key, value in changed.items() if value is not ...}
    assert modified(told) == [{"name": "x", "target": "t"}]


def test_the_order_of_changed_properties_means_nothing() -> None:
    one, two = {"displayName": "a", "newValue": '"1"'}, {"displayName": "b", "newValue": '"2"'}
    three = {"displayName": "a", "newValue": '"0"'}
    assert modified(one, two, three) == modified(three, two, one) == modified(two, one, three)
    assert [each["name"] for each in modified(two, one)] == ["a", "b"]


def test_a_changed_property_names_the_target_that_it_is_of() -> None:
    change = [{"displayName": "Group.DisplayName", "newValue": '"Admins"'}]
    text = row(targetResources=[{"id": each, "modifiedProperties": change} for each in ("y", "x")])["modified"]
    assert [each["target"] for each in json.loads(text)] == ["x", "y"]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "not JSON"),
        ([], "not a record"),
        (audit(id=None), "an audit without id"),  # type: ignore[arg-type]
        (audit(id=""), "an audit without id"),
        (audit(id="\ud800"), "characters that no Unicode text holds"),
        (audit(activityDateTime="soon"), "an audit without a readable activityDateTime"),
        (audit(activityDateTime=...), "an audit without a readable activityDateTime"),
    ],
)
def test_what_is_no_audit_is_a_reject_with_its_reason(value: Any, why: str) -> None:
    assert row_of(value, "{}") == why


def test_the_tenant_is_the_one_that_was_asked_for() -> None:
    found = row_of(audit(tenantId="x"), "{}", "contoso")
    assert isinstance(found, dict)
    assert found["tenant"] == "contoso"
    assert row(tenantId="x")["tenant"] == "x"
