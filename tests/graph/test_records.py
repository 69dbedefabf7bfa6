"""Generated records have every shape that Graph's documentation and its users show."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import pytest

from tests.graph.clock import Clock
from tests.graph.conftest import Ask
from tests.graph.fixture import GraphFactory
from tests.graph.names import AUDITS, SIGN_INS
from tests.graph.people import USER_FIELDS
from tests.graph.signins import FIELDS
from tests.graph.world import Size, World

GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@cache
def made(stream: str) -> tuple[dict[str, Any], ...]:
    """All versions of the records of a stream: as they are first, and as they are last."""
    world = World(
        Size(sign_ins=2500, audits=1000, changed=0.1, people=300, days=1.0), Clock(1_782_900_000.0, 0.0), "tenant"
    )
    texts = [text for at in (None, 1_783_900_000.0) for _, text in world.truth(stream, at)]
    return tuple(json.loads(text) for text in texts)


def values(stream: str, path: str) -> list[Any]:
    """What stands at a path such as status.errorCode; "missing" where nothing does."""
    found = []
    for record in made(stream):
        value: Any = record
        for name in path.split("."):
            value = value.get(name, "missing") if isinstance(value, dict) else "missing"
        found.append(value)
    return found


@pytest.mark.parametrize("digits", range(8))
def test_times_have_every_number_of_digits(digits: int) -> None:
    fraction = "[.]" + "[0-9]" * digits if digits else ""
    ends = re.compile(f":[0-9][0-9]{fraction}Z")
    assert any(ends.search(text) for text in values("interactive", "createdDateTime"))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("userPrincipalName", ""),
        ("status.failureReason", None),
        ("status.failureReason", "Other."),
        ("status.failureReason", "missing"),
        ("status.errorCode", 50074),
        ("location.geoCoordinates", {}),
        ("location", None),
        ("location", "missing"),
        ("deviceDetail", None),
        ("deviceDetail.deviceId", ""),
        ("deviceDetail.deviceId", None),
        ("deviceDetail.browser", None),
        ("deviceDetail.isManaged", None),
        ("ipAddress", "missing"),
        ("userAgent", ""),
        ("userType", "guest"),
        ("signInIdentifierType", "onPremisesUserPrincipalName"),
        ("authenticationProtocol", "somethingOfTomorrow"),
        ("servicePrincipalId", ""),
        ("riskLevelAggregated", "high"),
    ],
)
def test_sign_ins_have_odd_values(path: str, expected: Any) -> None:
    assert expected in values("non_interactive", path)


def test_names_in_sign_ins_are_small_guests_home_addresses_or_guids() -> None:
    names = [name for name in values("non_interactive", "userPrincipalName") if name]
    assert all(name == name.lower() and "#ext#" not in name for name in names)
    assert any(GUID.fullmatch(name) for name in names)
    assert any(name.endswith("@partner.example") for name in names)


def test_addresses_are_of_both_kinds() -> None:
    addresses = [text for text in values("non_interactive", "ipAddress") if text]
    assert any(":" in text for text in addresses)
    assert any("." in text for text in addresses)


def test_some_fields_are_of_nobodys_documentation_and_hold_json() -> None:
    odd = [record["x-private-use"] for record in made("non_interactive") if "x-private-use" in record]
    assert odd
    assert json.loads(odd[0]["nested"]) == {"a": '"False"', "ü": [1, None]}


def test_workloads_have_no_user() -> None:
    for stream in ("service_principal", "managed_identity"):
        assert all(GUID.fullmatch(text) for text in values(stream, "servicePrincipalId"))
        assert set(values(stream, "userId")) == {""}
        assert set(map(tuple, values(stream, "signInEventTypes"))) == {(SIGN_INS[stream],)}


def test_v1_has_its_own_fields_only() -> None:
    assert {name for record in made("interactive") for name in record} <= FIELDS["v1.0"]
    assert "signInEventTypes" not in FIELDS["v1.0"]
    beta = {name for record in made("non_interactive") for name in record} - {"x-private-use"}
    assert beta <= FIELDS["beta"]
    assert "uniqueTokenIdentifier" in beta


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("initiatedBy.user", None),
        ("initiatedBy.app", None),
        ("initiatedBy.user", "missing"),
        ("initiatedBy.user.userPrincipalName", ""),
        ("targetResources", []),
        ("targetResources", "missing"),
        ("result", "failure"),
        ("resultReason", "Pending"),
        ("resultReason", None),
    ],
)
def test_audits_have_odd_values(path: str, expected: Any) -> None:
    assert expected in values(AUDITS, path)


def test_modified_properties_hold_json_in_any_order() -> None:
    consents = [record for record in made(AUDITS) if record["activityDisplayName"] == "Consent to application"]
    targets = [target for record in consents for target in record.get("targetResources", [])]
    orders = {tuple(one["displayName"] for one in target["modifiedProperties"]) for target in targets}
    assert len(orders) > 3
    changed = {one["displayName"]: json.loads(one["newValue"]) for one in targets[0]["modifiedProperties"]}
    assert changed["ConsentContext.IsAdminConsent"] == "False"
    assert "ConsentType: Principal, Scope:  User.Read openid profile" in changed["ConsentAction.Permissions"]
    assert {"type", "Type"} <= {name for target in targets for name in target}


def test_unknown_members_are_for_those_who_ask(graph: GraphFactory, ask: Ask) -> None:
    asking = ask(graph(sign_ins=1000, quiet=600.0))
    path = "/beta/auditLogs/signIns?$filter=signInEventTypes/any(t: t eq 'nonInteractiveUser')"
    plain, asked = (
        {one["authenticationProtocol"] for one in asking.get(path, prefer=prefer).json["value"]}
        for prefer in (False, True)
    )
    assert "unknownFutureValue" in plain - asked
    assert "somethingOfTomorrow" in asked - plain


def test_users_are_synced_cloud_only_and_guests() -> None:
    users = list(World(Size(sign_ins=0, people=400), Clock(), "tenant").directory.users.values())
    assert {name for user in users for name in user} <= USER_FIELDS
    guests = [user for user in users if user["userType"] == "Guest"]
    synced = [user for user in users if user["onPremisesSamAccountName"]]
    assert all("#EXT#" in user["userPrincipalName"] for user in guests)
    assert 0 < len(guests) < len(users) - len(synced)
    assert {user["onPremisesDomainName"] for user in synced} == {"corp.contoso.example", "emea.contoso.example"}
    assert any(user["userPrincipalName"] != user["userPrincipalName"].lower() for user in users if user not in guests)
    assert any(user["mail"] is None for user in users)
    assert any(user["displayName"] is None for user in users)


def test_what_a_test_changes_in_a_user_changes_no_sign_in(graph: GraphFactory) -> None:
    control = graph(sign_ins=100, quiet=600.0, people=1).control
    before = control.truth("non_interactive")
    for user in control.users.values():
        user["displayName"] = user["userPrincipalName"] = "renamed@contoso.example"
    assert control.truth("non_interactive") == before
    assert "renamed@contoso.example" in next(iter(control.truth("users").values()))
