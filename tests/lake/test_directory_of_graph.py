"""The users and service principals of a whole Graph in the lake: all of them, and nothing of half a listing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from collectors.entra.directory import service_principals, users
from collectors.entra.errors import GraphError
from pfsquid.lake.accounts import Counts, refresh
from pfsquid.lake.catalog import Lake
from tests.collectors.test_graph_against_server import WIDE, client
from tests.graph.fixture import GraphFactory
from tests.lake.rows import new_lake

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def rows(lake: Lake, table: str, key: str) -> Mapping[str, dict[str, Any]]:
    there = lake.table(table)
    found: list[dict[str, Any]] = there.scan().to_arrow().to_pylist() if there else []
    return {row[key]: row for row in found}


def test_all_users_come_as_the_server_has_them(graph: GraphFactory, tmp_path: Path) -> None:
    served, lake = graph(people=1200, sign_ins=10, **WIDE), new_lake(tmp_path)
    truth = served.control.users
    assert refresh(lake, "entra", served.tenant, users(client(served), served.tenant), NOW) == Counts(1200, 1200, 0, 0)
    read = rows(lake, "accounts", "account_id")
    assert read.keys() == truth.keys()
    for account_id, row in read.items():
        told = truth[account_id]
        assert row["upn"] == told["userPrincipalName"]
        assert (row["sam_account_name"], row["sid"]) == (
            told["onPremisesSamAccountName"], told["onPremisesSecurityIdentifier"],
        )  # fmt: skip
        assert row["realm"] == (told["onPremisesDomainName"].upper() if told["onPremisesDomainName"] else None)
        assert (row["department"] or "") == (told["department"] or "")
    again = refresh(lake, "entra", served.tenant, users(client(served), served.tenant), NOW + timedelta(days=1))
    assert again == Counts(1200, 0, 0, 0)


def test_all_service_principals_come_and_what_changes_is_a_version(graph: GraphFactory, tmp_path: Path) -> None:
    served, lake = graph(people=5, sign_ins=10, **WIDE), new_lake(tmp_path)
    truth = served.control.service_principals

    def read(now: datetime) -> Counts:
        listing = service_principals(client(served), served.tenant)
        return refresh(lake, "entra", served.tenant, listing, now, table="service_principals")

    assert read(NOW) == Counts(len(truth), len(truth), 0, 0)
    first, second = list(truth)[:2]
    truth[first]["accountEnabled"] = not truth[first]["accountEnabled"]
    del truth[second]
    assert read(NOW + timedelta(days=1)) == Counts(len(truth), 0, 1, 1)
    assert rows(lake, "service_principals", "id").keys() == {*truth, second}


@pytest.mark.parametrize("permission", [[], ["AuditLog.Read.All"]])
def test_who_may_not_read_users_changes_nothing(graph: GraphFactory, tmp_path: Path, permission: list[str]) -> None:
    served, lake = graph(people=20, sign_ins=10, **WIDE), new_lake(tmp_path)
    refresh(lake, "entra", served.tenant, users(client(served), served.tenant), NOW)
    served.control.permissions(permission)
    with pytest.raises(GraphError):
        refresh(lake, "entra", served.tenant, users(client(served), served.tenant), NOW + timedelta(days=1))
    assert {row["valid_to"] for row in rows(lake, "accounts", "account_id").values()} == {None}
