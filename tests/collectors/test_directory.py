"""Accounts of Active Directory and of Graph as rows: what the documentation, and what odd directories hold."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from collectors.directory.accounts import Attributes, generalized_time, row_of, sid, table
from collectors.directory.schema import ACCOUNTS_SCHEMA, ListingError, listed
from collectors.entra.directory import service_principal_row, service_principals, user_row, users
from collectors.entra.records import Record, records
from collectors.entra.streams import DIRECTORY_STREAMS

GUID = uuid.UUID("6f0b9e1c-0a54-4c1e-9d3b-2f4b2f1c9e11")
SID = bytes.fromhex("0105000000000005150000000100000002000000030000005d040000")
RICK: dict[str, list[bytes]] = {
    "objectGUID": [GUID.bytes_le],
    "objectSid": [SID],
    "sAMAccountName": [b"rick"],
    "userPrincipalName": [b"Rick@lab.local"],
    "displayName": ["Rick Sánchez".encode()],
    "userAccountControl": [b"512"],
    "whenCreated": [b"20261124131817.0Z"],
}


def test_a_user_of_active_directory() -> None:
    row = row_of(RICK, "Lab.Local")
    assert (row["origin"], row["tenant"], row["account_id"], row["realm"]) == (
        "ad",
        "lab.local",
        str(GUID),
        "LAB.LOCAL",
    )
    assert (row["upn"], row["on_premises_upn"], row["sam_account_name"]) == ("Rick@lab.local", "Rick@lab.local", "rick")
    assert (row["sid"], row["display_name"], row["enabled"]) == ("S-1-5-21-1-2-3-1117", "Rick Sánchez", True)
    assert row["created_at"] == datetime(2026, 11, 24, 13, 18, 17, tzinfo=UTC)
    assert row["immutable_id"] == base64.b64encode(GUID.bytes_le).decode()
    assert json.loads(row["raw"])["displayName"] == "Rick Sánchez"


def test_the_consistency_guid_is_the_immutable_id_where_it_is_set() -> None:
    assert (
        row_of({**RICK, "mS-DS-ConsistencyGuid": [b"\x01" * 16]}, "lab.local")["immutable_id"]
        == "AQEBAQEBAQEBAQEBAQEBAQ=="
    )


def test_a_disabled_user_is_one() -> None:
    assert row_of({**RICK, "userAccountControl": [b"514"]}, "lab.local")["enabled"] is False


@pytest.mark.parametrize(
    "odd", [{}, {"sAMAccountName": []}, {"mail": [b"\xff"]}, {"userAccountControl": [b"x"]}, {"objectSid": [b"1"]}]
)
def test_odd_and_missing_attributes_make_a_row_all_the_same(odd: Attributes) -> None:
    assert table([{"objectGUID": [GUID.bytes_le], **odd}], "lab.local").schema == listed(ACCOUNTS_SCHEMA)


@pytest.mark.parametrize("guid", [[], [b""], [b"short"]])
def test_a_user_without_object_guid_ends_the_listing(guid: list[bytes]) -> None:
    with pytest.raises(ListingError, match=r"rick of lab\.local has no objectGUID"):
        row_of({**RICK, "objectGUID": guid}, "lab.local")


@pytest.mark.parametrize("value", [None, b"", b"\x01\x05", SID[:-1], SID + b"\0"])
def test_what_is_no_sid_is_none(value: bytes | None) -> None:
    assert sid(value) is None


@pytest.mark.parametrize(
    ("text", "hour"),
    [("20261124131817Z", 13), ("20261124131817.5Z", 13), ("20261124131817+0200", 11), ("20261124131817-02", 15)],
)
def test_generalized_time_is_read_in_utc(text: str, hour: int) -> None:
    assert generalized_time(text) == datetime(2026, 11, 24, hour, 18, 17, tzinfo=UTC)


@pytest.mark.parametrize("text", [None, "", "20261324131817Z", "20261124131817", "00010101000000+0200", "x"])
def test_what_is_no_generalized_time_is_none(text: str | None) -> None:
    assert generalized_time(text) is None


class Page(NamedTuple):
    records: list[Record]


class Graph:
    """Gives its records two a page, and notes what it was asked."""

    def __init__(self, *values: Any) -> None:
        self._records = list(records(json.dumps(list(values))))
        self.asked: list[tuple[str, Mapping[str, str], str]] = []

    def pages(self, path: str, query: Mapping[str, str], version: str = "v1.0") -> Iterator[Page]:
        self.asked.append((path, query, version))
        for at in range(0, len(self._records), 2):
            yield Page(self._records[at : at + 2])


GUEST = {
    "id": "7B1C1C9E-0a54-4c1e-9d3b-2f4b2f1c9e11",
    "displayName": "contoso1",
    "mail": "'contoso1@gmail.com",
    "proxyAddresses": ["SMTP:contoso1@gmail.com"],
    "userPrincipalName": "contoso1_gmail.com#EXT#@microsoft.onmicrosoft.com",
}


def test_users_come_a_table_a_page_and_by_the_select_of_the_stream() -> None:
    graph = Graph(*(dict(GUEST, id=str(n)) for n in range(5)))
    tables = list(users(graph, "TENANT"))
    assert [len(one) for one in tables] == [2, 2, 1]
    ((path, query, version),) = graph.asked
    assert (path, version) == (DIRECTORY_STREAMS["users"].path, "v1.0")
    assert {"id", "onPremisesSamAccountName", "onPremisesSecurityIdentifier", "createdDateTime"} <= set(
        query["$select"].split(",")
    )


def test_a_synced_user_has_realm_and_sid() -> None:
    synced = {
        **GUEST,
        "onPremisesDomainName": "corp.contoso.example",
        "onPremisesSamAccountName": "ada",
        "onPremisesSecurityIdentifier": "S-1-5-21-1",
        "accountEnabled": True,
        "department": "",
        "userType": None,
        "createdDateTime": "2021-03-01T08:15:00Z",
    }
    row = user_row(synced, json.dumps(synced), "Tenant")
    assert (row["tenant"], row["account_id"]) == ("tenant", "7b1c1c9e-0a54-4c1e-9d3b-2f4b2f1c9e11")
    assert (row["realm"], row["sam_account_name"], row["sid"]) == ("CORP.CONTOSO.EXAMPLE", "ada", "S-1-5-21-1")
    assert (row["department"], row["user_type"], row["enabled"]) == (None, None, True)
    assert row["created_at"] == datetime(2021, 3, 1, 8, 15, tzinfo=UTC)
    assert json.loads(row["raw"]) == synced


@pytest.mark.parametrize("value", [None, [], "x", {}, {"id": None}, {"id": ""}])
@pytest.mark.parametrize("row", [user_row, service_principal_row])
def test_a_record_without_id_ends_the_listing(row: Any, value: Any) -> None:
    with pytest.raises(ListingError, match="came without id"):
        row(value, "", "t")


@pytest.mark.parametrize("odd", [1, "", [], {}, [None, "https://x", 5], True])
def test_odd_values_make_a_row_all_the_same(odd: Any) -> None:
    record = dict.fromkeys(
        ("displayName", "replyUrls", "tags", "accountEnabled", "verifiedPublisher", "homepage", "mail"), odd
    )
    assert len(next(iter(users(Graph({"id": "1", **record}), "t")))) == 1
    assert len(next(iter(service_principals(Graph({"id": "1", **record}), "t")))) == 1


def test_a_service_principal() -> None:
    record = {
        "id": "SP",
        "displayName": None,
        "appDisplayName": "App",
        "replyUrls": ["https://b", "https://a", "https://b"],
        "verifiedPublisher": {"displayName": "Acme"},
        "preferredSingleSignOnMode": "saml",
        "tags": [],
        "homepage": "",
    }
    row = service_principal_row(record, "{}", "T")
    assert (row["id"], row["display_name"], row["publisher"], row["sso_mode"]) == ("sp", "App", "Acme", "saml")
    assert (row["reply_urls"], row["tags"], row["homepage"]) == ('["https://a","https://b"]', None, None)
