"""Questions where the directory was read: who bore a name when, sums that stay, unmatched names, apps of the tenant."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from collectors.directory.schema import ACCOUNTS_SCHEMA, table_of
from collectors.entra.directory import SERVICE_PRINCIPALS_SCHEMA, service_principal_row, user_row
from pfsquid.discovery.answer import answer, answer_sql
from pfsquid.discovery.duck import Knowledge
from pfsquid.lake.accounts import refresh
from pfsquid.lake.care import compact
from pfsquid.lake.catalog import Lake, open_lake
from pfsquid.lake.collect import collect_squid
from tests.discovery.conftest import TRAFFIC, collected, write_log
from tests.lake.care_rows import EAGER, LATER

# rick@LAB.LOCAL is one person's until 3 November, noon, and then another's; what both use is the same.
HANDED_ON = """
2026-11-02T08:00:00 rick@LAB.LOCAL         TCP_TUNNEL/200 1    10 CONNECT www.dropbox.com:443
2026-11-03T09:00:00 rick@LAB.LOCAL         TCP_TUNNEL/200 2    20 CONNECT www.dropbox.com:443
2026-11-03T15:00:00 rick@LAB.LOCAL         TCP_TUNNEL/200 4    40 CONNECT acme.slack.com:443
2026-11-03T15:01:00 rick@LAB.LOCAL         TCP_DENIED/403 0    0  CONNECT wetransfer.com:443
2026-11-04T08:00:00 rick@LAB.LOCAL         TCP_TUNNEL/200 8    80 CONNECT www.dropbox.com:443
2026-11-04T08:00:01 LAB\\rick              TCP_TUNNEL/200 16   1  CONNECT app.acme-crm.com:443
2026-11-04T09:00:00 two@example.com        TCP_TUNNEL/200 32   1  CONNECT app.acme-crm.com:443
2026-11-04T10:00:00 ghost@LAB.LOCAL        TCP_TUNNEL/200 64   1  CONNECT www.dropbox.com:443
2026-11-04T11:00:00 WS1$@LAB.LOCAL         TCP_TUNNEL/200 128  1  CONNECT www.dropbox.com:443
"""
OUR_CRM = {"id": "sp", "appId": "crm", "displayName": "Our CRM", "homepage": "https://www.acme-crm.com"}
NOON = datetime(2026, 11, 3, 12, tzinfo=UTC)


def user(name: str, **more: Any) -> dict[str, Any]:
    return {
        "id": f"id-{name}", "userPrincipalName": f"{name}@example.com", "displayName": name, "accountEnabled": True,
        "onPremisesSamAccountName": "rick", "onPremisesDomainName": "lab.local", **more,
    }  # fmt: skip


def read_users(lake: Lake, when: datetime, *users: dict[str, Any]) -> None:
    rows = [user_row(one, json.dumps(one), "t") for one in users]
    refresh(lake, "entra", "t", [table_of(ACCOUNTS_SCHEMA, rows)], when)


def read_apps(lake: Lake, *records: dict[str, Any]) -> None:
    rows = [service_principal_row(one, json.dumps(one), "t") for one in records]
    refresh(lake, "entra", "t", [table_of(SERVICE_PRINCIPALS_SCHEMA, rows)], NOON, table="service_principals")


def asked(lake: Lake, known: Knowledge, name: str, *given: str) -> list[dict[str, Any]]:
    result = answer(lake, known, name, given)
    return [dict(zip(result.columns, row, strict=True)) for row in result.rows]


def made(folder: Path, traffic: str = HANDED_ON) -> Lake:
    lake = open_lake(folder / "lake", make=True)
    collected(collect_squid(lake, [write_log(folder / "pfsquid.log", traffic)], "pfsquid", None, lambda *_: None))
    return lake


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """HANDED_ON, two users after each other, and a service principal; counted, so that whole days are of `usage`."""
    lake = made(tmp_path_factory.mktemp("identity"))
    read_users(lake, NOON - timedelta(days=9), user("one"), user("boss", onPremisesSamAccountName="boss"))
    read_users(lake, NOON, user("two"), user("boss", onPremisesSamAccountName="boss"))
    read_apps(lake, OUR_CRM)
    compact(lake, EAGER, LATER)
    return lake


def test_a_name_that_was_handed_on_means_the_one_of_that_time(lake: Lake, known: Knowledge) -> None:
    rows = {(row["person"], row["app"]): row["bytes_up"] for row in asked(lake, known, "app-people")}
    assert rows == {
        ("one@example.com", "dropbox"): 3,
        ("two@example.com", "dropbox"): 8,
        ("two@example.com", "slack"): 4,
        ("two@example.com", "our-crm"): 48,
        ("ghost@LAB.LOCAL", "dropbox"): 64,
        ("one@example.com", "wetransfer"): None,
    }


@pytest.fixture(scope="module")
def uncounted(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The same as `lake`, all of it to be counted from the rows."""
    lake = made(tmp_path_factory.mktemp("uncounted"))
    read_users(lake, NOON - timedelta(days=9), user("one"), user("boss", onPremisesSamAccountName="boss"))
    read_users(lake, NOON, user("two"), user("boss", onPremisesSamAccountName="boss"))
    read_apps(lake, OUR_CRM)
    return lake


@pytest.mark.parametrize("given", [(), ("since=2026-11-03",), ("since=2026-11-03T10:00", "until=2026-11-04T08:00:01")])
def test_sums_are_the_same_whoever_bore_the_names(
    lake: Lake, known: Knowledge, tmp_path: Path, given: tuple[str, ...]
) -> None:
    plain = made(tmp_path)
    read_apps(plain, OUR_CRM)

    def sums(lake: Lake, question: str) -> dict[str, int]:
        rows, columns = asked(lake, known, question, *given), ("requests", "denied", "bytes_up", "bytes_down")
        return {column: sum(row[column] or 0 for row in rows) for column in columns}

    for question in ("apps", "people", "app-people"):
        assert sums(lake, question) == sums(plain, question), question


@pytest.mark.parametrize("question", ["app-people", "people", "unmatched-people"])
def test_the_way_of_counting_does_not_matter(lake: Lake, uncounted: Lake, known: Knowledge, question: str) -> None:
    for given in ((), ("since=2026-11-03T10:00",)):
        assert asked(uncounted, known, question, *given) == asked(lake, known, question, *given)


def test_spans_of_a_name_stand_in_principals(lake: Lake, known: Knowledge) -> None:
    sql = "SELECT person_id, valid_from, valid_to FROM principals WHERE user_name = 'rick@LAB.LOCAL' ORDER BY 1"
    assert answer_sql(lake, known, sql).rows == [("one@example.com", None, NOON), ("two@example.com", NOON, None)]


def test_people_tell_since_when_and_until_when_a_directory_has_them(lake: Lake, known: Knowledge) -> None:
    sql = "SELECT person_id, enabled, valid_to FROM people WHERE upn LIKE '%example.com' ORDER BY 1"
    assert answer_sql(lake, known, sql).rows == [
        ("boss@example.com", True, None), ("one@example.com", False, NOON), ("two@example.com", True, None),
    ]  # fmt: skip


def test_unmatched_people_are_listed_with_the_reason(lake: Lake, known: Knowledge) -> None:
    rows = asked(lake, known, "unmatched-people")
    assert [(row["user_name"], row["kind"], row["requests"]) for row in rows] == [
        ("ghost@LAB.LOCAL", "person", 1), ("WS1$@LAB.LOCAL", "computer", 1),
    ]  # fmt: skip
    assert rows[0]["reason"] == "no account and no sign-in of anybody called ghost"
    assert rows[0]["first_use"] == rows[0]["last_use"] == datetime(2026, 11, 4, 10, tzinfo=UTC)


def test_the_part_of_a_name_that_matches_nobody_is_listed_alone(known: Knowledge, tmp_path: Path) -> None:
    lake = made(tmp_path)
    read_users(lake, NOON - timedelta(days=9), user("boss", onPremisesSamAccountName="boss"))
    read_users(
        lake, NOON, user("boss", onPremisesSamAccountName="boss"), user("two", createdDateTime="2026-11-03T12:00:00Z")
    )
    row = next(row for row in asked(lake, known, "unmatched-people") if row["user_name"] == "rick@LAB.LOCAL")
    assert (row["requests"], row["last_use"]) == (2, datetime(2026, 11, 3, 9, tzinfo=UTC))
    assert row["reason"].startswith("two@example.com has this name since 2026-11-03 12:00 UTC only")


@pytest.mark.parametrize("question", ["people", "app-people", "app-signins", "unmatched-people"])
def test_a_note_tells_how_many_match_nobody(lake: Lake, known: Knowledge, question: str) -> None:
    assert any(
        note.startswith("1 of 4 user names of people match nobody") for note in answer(lake, known, question, []).notes
    )


def test_an_app_of_the_tenants_own_is_asked_for_by_id_and_name(lake: Lake, known: Knowledge) -> None:
    for name in ("our-crm", "Our CRM"):
        (row,) = asked(lake, known, "apps", f"app={name}")
        assert (row["app"], row["category"], row["tag"], row["federated"]) == (
            "our-crm",
            "Entra application",
            "unreviewed",
            True,
        )


def test_apps_used_without_a_sign_in_although_there_is_one_come_first(lake: Lake, known: Knowledge) -> None:
    rows = asked(lake, known, "app-signins")
    assert [(row["app"], row["federated"]) for row in rows][:1] == [("our-crm", True)]
    assert {row["last_sign_in"] for row in rows} == {"never"}


def test_a_lake_without_a_directory_answers_as_before(known: Knowledge, tmp_path: Path) -> None:
    people = {row["person"] for row in asked(made(tmp_path, TRAFFIC), known, "people")}
    assert people == {"rick.sanchez@LAB.LOCAL", "morty.smith@LAB.LOCAL", "stranger@LAB.LOCAL", "(no user name)"}
