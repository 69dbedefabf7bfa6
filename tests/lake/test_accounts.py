"""Versions of accounts: one commit for each listing that says something new, none for what is no whole listing."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from collectors.directory.schema import ACCOUNTS_SCHEMA, table_of
from collectors.entra.directory import SERVICE_PRINCIPALS_SCHEMA, service_principal_row, user_row
from pfsquid.errors import PfsquidError
from pfsquid.lake.accounts import Counts, refresh
from pfsquid.lake.care import compact
from pfsquid.lake.catalog import Lake
from tests.lake.care_rows import EAGER, LATER
from tests.lake.rows import held, new_lake, snapshots

T0 = datetime(2026, 11, 1, tzinfo=UTC)
COLUMNS = ("account_id", "upn", "valid_from", "valid_to")


def day(number: int) -> datetime:
    return T0 + timedelta(days=number)


def user(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"id-{number}",
        "userPrincipalName": f"user{number}@example.com",
        "proxyAddresses": ["a", "b"],
        **more,
    }


def listing(*users: dict[str, Any], tenant: str = "T") -> list[pa.Table]:
    """Two users a page."""
    rows = [user_row(one, json.dumps(one), tenant) for one in users]
    return [table_of(ACCOUNTS_SCHEMA, rows[at : at + 2]) for at in range(0, len(rows), 2)]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Three users, first seen on day 0."""
    made = new_lake(tmp_path)
    assert refresh(made, "entra", "T", listing(user(1), user(2), user(3)), day(0)) == Counts(3, 3, 0, 0)
    return made


def versions(lake: Lake) -> list[tuple[str, str, int, int | None]]:
    rows = [(a, b, (c - T0).days, d and (d - T0).days) for a, b, c, d in _rows(lake)]
    return sorted(rows, key=lambda row: (row[0], row[2]))


def _rows(lake: Lake) -> Iterator[tuple[Any, ...]]:
    table = lake.table("accounts")
    assert table is not None
    rows = table.scan().to_arrow()
    return zip(*(rows[name].to_pylist() for name in COLUMNS), strict=True)


def test_a_change_ends_a_version_and_begins_the_next(lake: Lake) -> None:
    renamed = user(2, userPrincipalName="new@example.com")
    assert refresh(lake, "entra", "T", listing(user(1), renamed, user(3)), day(1)) == Counts(3, 0, 1, 0)
    assert versions(lake)[1:3] == [("id-2", "user2@example.com", 0, 1), ("id-2", "new@example.com", 1, None)]
    assert len(versions(lake)) == 4


def test_who_is_gone_has_an_end_and_who_comes_back_a_new_version(lake: Lake) -> None:
    assert refresh(lake, "entra", "T", listing(user(1), user(3)), day(1)) == Counts(2, 0, 0, 1)
    assert refresh(lake, "entra", "T", listing(user(1), user(2), user(3)), day(2)) == Counts(3, 1, 0, 0)
    assert [row[2:] for row in versions(lake) if row[0] == "id-2"] == [(0, 1), (2, None)]


def test_the_same_listing_writes_nothing_in_whatever_order_it_comes(lake: Lake) -> None:
    before = snapshots(lake, "accounts")
    users = [user(n, proxyAddresses=["b", "a"], onPremisesLastSyncDateTime="now") for n in (1, 2, 3)]
    mixed = [dict(random.Random(1).sample(list(one.items()), len(one))) for one in reversed(users)]
    assert refresh(lake, "entra", "T", listing(*mixed), day(1)) == Counts(3, 0, 0, 0)
    assert snapshots(lake, "accounts") == before


def test_what_has_no_column_is_a_change_too(lake: Lake) -> None:
    users = [user(n, jobTitle="Scientist" if n == 1 else None) for n in (1, 2, 3)]
    assert refresh(lake, "entra", "T", listing(*users), day(1)).changed == 3
    assert refresh(lake, "entra", "T", listing(*users), day(2)).changed == 0


def test_a_page_that_comes_twice_is_no_account_more(lake: Lake) -> None:
    pages = listing(user(1), user(2), user(3))
    assert refresh(lake, "entra", "T", [*pages, *pages[:1]], day(1)) == Counts(3, 0, 0, 0)


def test_a_listing_that_breaks_off_changes_nothing(lake: Lake) -> None:
    def broken() -> Iterator[pa.Table]:
        yield from listing(user(1, userPrincipalName="other@example.com"))
        raise ConnectionError("cut")

    before = snapshots(lake, "accounts")
    with pytest.raises(ConnectionError):
        refresh(lake, "entra", "T", broken(), day(1))
    assert (snapshots(lake, "accounts"), len(versions(lake))) == (before, 3)


def test_a_listing_without_anybody_is_refused_where_there_was_somebody(lake: Lake) -> None:
    with pytest.raises(PfsquidError, match="is empty, but 3 accounts of it are known") as caught:
        refresh(lake, "entra", "T", [], day(1))
    assert caught.value.next
    assert [row[3] for row in versions(lake)] == [None] * 3


def test_the_first_listing_of_nobody_is_nobody(tmp_path: Path) -> None:
    assert refresh(new_lake(tmp_path), "entra", "T", [], day(0)) == Counts()


def test_tenants_and_origins_leave_each_other_alone(lake: Lake) -> None:
    refresh(lake, "entra", "U", listing(user(1), tenant="U"), day(1))
    refresh(lake, "entra", "U", listing(user(2), tenant="U"), day(2))
    assert sorted(row[3] is None for row in versions(lake)) == [False, True, True, True, True]


def test_a_listing_of_another_tenant_is_refused(lake: Lake) -> None:
    with pytest.raises(PfsquidError, match="is of u, not of t"):
        refresh(lake, "entra", "T", listing(user(1), tenant="U"), day(1))


def test_a_clock_that_was_set_back_ends_no_version_before_it_began(lake: Lake) -> None:
    refresh(lake, "entra", "T", listing(user(1), user(2)), day(-5))
    assert [row[2:] for row in versions(lake) if row[0] == "id-3"] == [(0, 0)]


def test_compaction_keeps_every_version(lake: Lake) -> None:
    for number in range(1, 12):
        refresh(lake, "entra", "T", listing(user(1, department=str(number)), user(2), user(3)), day(number))
    before = versions(lake)
    compact(lake, EAGER, LATER)
    assert versions(lake) == before and len(before) == 14


def test_service_principals_have_versions_too(tmp_path: Path) -> None:
    lake = new_lake(tmp_path)

    def pages(*urls: str) -> list[pa.Table]:
        record = {"id": "SP", "appId": "a", "replyUrls": list(urls), "accountEnabled": True}
        return [table_of(SERVICE_PRINCIPALS_SCHEMA, [service_principal_row(record, json.dumps(record), "T")])]

    for number, urls in enumerate((("x", "y"), ("y", "x"), ("x",))):
        refresh(lake, "entra", "T", pages(*urls), day(number), table="service_principals")
    assert held(lake, "service_principals", "reply_urls") == ['["x","y"]', '["x"]']
    assert held(lake, "service_principals", "valid_from") == [day(0), day(2)]
