"""`pfsquid collect directory` against a real Active Directory (Samba): paged, verified, a rename keeps one account."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from pfsquid.kerberos import ldap_session
from pfsquid.kerberos.directory import LdapProblem, Site, connect
from tests.firewall.at_work import Desk, desk_in
from tests.lab import dc
from tests.lab.fixture import Lab
from tests.lab.inside import in_network
from tests.lab.layout import CHECKER_ACCOUNT, CHECKER_PASSWORD, DC, DOMAIN, PEOPLE, REALM, SERVICE_ACCOUNT

pytestmark = pytest.mark.lab


@pytest.fixture
def desk(lab: Lab, tmp_path: Path) -> Desk:
    """A desk whose configuration says where the directory is."""
    made = desk_in(tmp_path, lab)
    (tmp_path / "ca.pem").write_bytes(lab.read("dc", dc.CA))
    made.write(directory={"user": CHECKER_ACCOUNT, "password": "env:PW", "ca": "ca.pem"})
    return made


@pytest.fixture
def changing(lab: Lab) -> Iterator[Callable[..., None]]:
    """Changes in the directory, all of them undone afterwards."""
    dc.live(lab.state, ["keep", "accounts"])

    def change(*deeds: list[Any]) -> None:
        dc.live(lab.state, *deeds)

    yield change
    dc.live(lab.state, ["restore", "accounts"])


def collected(desk: Desk, password: str = CHECKER_PASSWORD) -> dict[str, Any]:
    ran = desk("collect", "directory", "--once", "--json", "--lake", desk.folder / "lake", environment={"PW": password})
    assert ran.status == 0, ran.err
    (row,) = json.loads(ran.out)["rows"]
    return dict(row)


def asked(desk: Desk, columns: str, where: str) -> list[dict[str, Any]]:
    sql = f"SELECT {columns} FROM accounts WHERE {where} ORDER BY valid_from"
    ran = desk("query", "--sql", sql, "--json", "--lake", desk.folder / "lake")
    rows: list[dict[str, Any]] = json.loads(ran.out)["rows"]
    return rows


def test_all_users_are_read_and_no_computer_and_a_second_time_nothing_is_new(desk: Desk) -> None:
    first = collected(desk)
    assert (first["directory"], first["server"], first["new"]) == (DOMAIN, DC.fqdn, first["accounts"])
    names = {row["sam_account_name"] for row in asked(desk, "sam_account_name", "valid_to IS NULL")}
    assert {*(person.account for person in PEOPLE), SERVICE_ACCOUNT, "Administrator"} <= names
    assert not [name for name in names if name.endswith("$")]
    (rick,) = asked(desk, "upn, realm, mail, department, enabled, sid", "sam_account_name = 'rick.sanchez'")
    assert (rick["upn"], rick["realm"], rick["department"], rick["enabled"]) == (
        PEOPLE[0].mail,
        REALM,
        "Research",
        True,
    )
    assert rick["sid"].startswith("S-1-5-21-")
    again = collected(desk)
    assert (again["new"], again["changed"], again["gone"]) == (0, 0, 0)


def test_a_renamed_account_is_the_same_and_a_disabled_one_is_seen(desk: Desk, changing: Callable[..., None]) -> None:
    before = collected(desk)
    changing(
        ["replace", "jerry.smith", "sAMAccountName", "jerry.renamed"],
        ["replace", "morty.smith", "userAccountControl", "514"],
    )
    after = collected(desk)
    assert (after["accounts"], after["new"], after["changed"], after["gone"]) == (before["accounts"], 0, 2, 0)
    jerry = asked(desk, "account_id, sam_account_name", "sam_account_name LIKE 'jerry.%'")
    assert [row["sam_account_name"] for row in jerry] == ["jerry.smith", "jerry.renamed"]
    assert len({row["account_id"] for row in jerry}) == 1


def test_small_pages_give_the_same_as_large_ones(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_bytes(lab.read("dc", dc.CA))
    site = Site(((DC.fqdn, DC.address4),), f"{CHECKER_ACCOUNT}@{REALM}", CHECKER_PASSWORD, ca)

    def names(size: int) -> list[list[Any]]:
        monkeypatch.setattr(ldap_session, "PAGE", size)

        def read() -> list[list[Any]]:
            with connect(site, DC.fqdn, DC.address4) as directory:
                return [
                    [one["sAMAccountName"][0] for one in page]
                    for page in directory.pages("(sAMAccountType=805306368)", ["sAMAccountName"])
                ]

        return list(in_network(lab.state, "ws", read))

    small, large = names(3), names(500)
    assert len(small) > 3 and max(map(len, small)) <= 3
    assert sorted(chain(*small)) == sorted(chain(*large))


def test_a_server_that_stops_before_the_end_gives_no_listing(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ldap_session, "PAGE", 3)
    ca = tmp_path / "ca.pem"
    ca.write_bytes(lab.read("dc", dc.CA))
    site = Site(((DC.fqdn, DC.address4),), f"{CHECKER_ACCOUNT}@{REALM}", CHECKER_PASSWORD, ca)

    def cut() -> object:
        with connect(site, DC.fqdn, DC.address4) as directory:
            for _ in directory.pages("(objectClass=*)", ["cn"]):
                directory._connection.unbind()  # what a cut connection looks like from here
        return None

    with pytest.raises(LdapProblem):
        in_network(lab.state, "ws", cut)


def test_a_wrong_password_and_a_foreign_ca_change_nothing(desk: Desk) -> None:
    words = ("collect", "directory", "--lake", desk.folder / "lake")
    wrong = desk(*words, environment={"PW": "wrong"})
    assert wrong.status == 1 and "refuses the login of checker" in wrong.err and "wrong-" not in wrong.err
    desk.write(directory={"user": CHECKER_ACCOUNT, "password": "env:PW"})
    foreign = desk(*words, environment={"PW": CHECKER_PASSWORD})
    assert foreign.status == 1 and "is not trusted" in foreign.err
    assert CHECKER_PASSWORD not in foreign.err
