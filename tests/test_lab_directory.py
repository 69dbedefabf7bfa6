"""The directory against a real Active Directory (Samba): what it says of accounts, and each way it can say no."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from pfsquid.errors import WrongUse
from pfsquid.kerberos.account import AccountKind
from pfsquid.kerberos.directory import Directory, Kind, LdapProblem, Site, connect, connect_any
from tests.lab import dc
from tests.lab.fixture import Lab
from tests.lab.inside import in_network
from tests.lab.layout import BASE_DN, DC, PERSON_PASSWORD, REALM, SERVICE_ACCOUNT, SPN, WEB

pytestmark = pytest.mark.lab

Result = TypeVar("Result")
PERSON = "rick.sanchez"
AGE = str(-42 * 86400 * 10_000_000)
DISABLED, NEVER_EXPIRES = 0x2, 0x10000


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Site:
    ca = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.write_bytes(lab.read("dc", dc.CA))
    return Site(((DC.fqdn, DC.address4),), f"{PERSON}@{REALM}", PERSON_PASSWORD, ca)


@pytest.fixture
def changing(lab: Lab) -> Iterator[Callable[..., None]]:
    """Changes in the directory, all of them undone afterwards."""
    dc.live(lab.state, ["keep", "directory"])

    def change(*deeds: list[Any]) -> None:
        dc.live(lab.state, *deeds)

    yield change
    dc.live(lab.state, ["restore", "directory"])


def ask(
    lab: Lab, site: Site, what: Callable[[Directory], Result], name: str = DC.fqdn, address: str = DC.address4
) -> Result:
    def do() -> Result:
        with connect(site, name, address) as directory:
            return what(directory)

    return in_network(lab.state, "ws", do)


def refused(lab: Lab, site: Site, **where: str) -> LdapProblem:
    with pytest.raises(LdapProblem) as problem:
        ask(lab, site, lambda directory: None, **where)
    assert problem.value.next, "each error names the next step"
    assert site.password not in problem.value.message
    return problem.value


@pytest.mark.parametrize("tls", ["ldaps", "starttls"])
def test_an_account_is_read_as_it_is(lab: Lab, site: Site, tls: Any) -> None:
    found = ask(lab, replace(site, tls=tls), lambda directory: directory.account(SERVICE_ACCOUNT))
    assert found is not None
    assert found.dn == f"CN={SERVICE_ACCOUNT},CN=Users,{BASE_DN}"
    assert (found.spns, found.enctypes, found.kind) == ((SPN,), 24, AccountKind.USER)
    assert found.kvno is not None
    assert (found.enabled, found.locked, found.password_expired, found.must_change) == (True, False, False, False)


@pytest.mark.parametrize("address", [DC.address4, DC.address6])
def test_the_name_is_verified_whatever_the_address(lab: Lab, site: Site, address: str) -> None:
    assert ask(lab, site, lambda directory: directory.domain, address=address) == BASE_DN


def test_owners_of_an_spn_are_found_in_the_whole_forest_in_any_case(lab: Lab, site: Site) -> None:
    owners, forest = ask(lab, site, lambda d: (d.owners_of(SPN.lower()), d.sees_forest))
    assert [one.sam for one in owners] == [SERVICE_ACCOUNT]
    assert forest
    assert owners[0].kvno is not None, "what a global catalog has not is read from the domain's own port"


def test_a_second_owner_is_found_too(lab: Lab, site: Site, changing: Callable[..., None]) -> None:
    changing(["add", "jerry.smith", "servicePrincipalName", SPN])
    owners = ask(lab, site, lambda directory: directory.owners_of(SPN))
    assert {one.sam for one in owners} == {SERVICE_ACCOUNT, "jerry.smith"}


def test_without_a_global_catalog_it_says_so_and_looks_in_the_domain(lab: Lab, site: Site) -> None:
    found = ask(lab, replace(site, global_catalog=False), lambda d: (d.sees_forest, len(d.owners_of(SPN))))
    assert found == (False, 1)


def test_spns_that_are_nearly_right_are_found(lab: Lab, site: Site, changing: Callable[..., None]) -> None:
    changing(["replace", SERVICE_ACCOUNT, "servicePrincipalName", "HTTP/proxy"])
    assert [one.spns for one in ask(lab, site, lambda d: d.accounts_like(SPN.partition("/")[2]))] == [("HTTP/proxy",)]


@pytest.mark.parametrize("name", ["*", "svc_*", "x)(sAMAccountName=*", "\\2a", "nobody", "\0"])
def test_what_looks_like_a_filter_finds_nobody(lab: Lab, site: Site, name: str) -> None:
    assert ask(lab, site, lambda d: (d.account(name), d.owners_of(name))) == (None, ())


def test_the_domains_policy_is_read(lab: Lab, site: Site, changing: Callable[..., None]) -> None:
    changing(["replace", BASE_DN, "maxPwdAge", AGE], ["replace", BASE_DN, "lockoutThreshold", "5"])
    policy = ask(lab, site, lambda directory: directory.policy())
    assert policy.max_password_age is not None
    assert (policy.max_password_age.days, policy.lockout_threshold) == (42, 5)
    assert policy.level >= 3
    assert set(policy.enctypes) == {"krbtgt", "DC1$"}


LOCKED = (["replace", BASE_DN, "lockoutThreshold", "5"], ["replace", PERSON, "lockoutTime", "now"])
EXPIRED = (
    ["replace", BASE_DN, "maxPwdAge", AGE],
    ["flags", PERSON, 0, NEVER_EXPIRES],
    ["replace", PERSON, "pwdLastSet", "-8640000 s"],
)
STATES = {
    Kind.DISABLED: (["flags", PERSON, DISABLED, 0],),
    Kind.LOCKED: LOCKED,
    Kind.ACCOUNT_EXPIRED: (["replace", PERSON, "accountExpires", "-86400 s"],),
    Kind.PASSWORD_EXPIRED: EXPIRED,
    Kind.MUST_CHANGE: (["flags", PERSON, 0, NEVER_EXPIRES], ["replace", PERSON, "pwdLastSet", "0"]),
}


@pytest.mark.parametrize("kind", STATES)
def test_an_account_that_may_not_log_in_is_told_why(
    lab: Lab, site: Site, changing: Callable[..., None], kind: Kind
) -> None:
    changing(*STATES[kind])
    assert refused(lab, site).kind is kind


@pytest.mark.parametrize("kind", STATES)
def test_the_same_is_read_of_an_account_by_another(
    lab: Lab, site: Site, changing: Callable[..., None], kind: Kind
) -> None:
    changing(*STATES[kind])
    reader = replace(site, user=f"morty.smith@{REALM}")
    found, now = ask(lab, reader, lambda directory: (directory.account(PERSON), directory.policy().now))
    assert found is not None
    states = {
        Kind.DISABLED: not found.enabled,
        Kind.LOCKED: found.locked,
        Kind.ACCOUNT_EXPIRED: found.is_expired(now),
        Kind.PASSWORD_EXPIRED: found.password_expired,
        Kind.MUST_CHANGE: found.must_change,
    }
    assert [one for one, true in states.items() if true] == [kind]


def test_a_wrong_password_counts_once(lab: Lab, site: Site, changing: Callable[..., None]) -> None:
    changing(["replace", BASE_DN, "lockoutThreshold", "5"])
    assert refused(lab, replace(site, password="Not-His-0ne")).kind is Kind.BAD_PASSWORD
    assert dc.live(lab.state, ["show", PERSON, "badPwdCount"])[0]["badPwdCount"] == ["1"]


@pytest.mark.parametrize("tls", ["ldaps", "starttls"])
def test_an_untrusted_certificate_and_a_wrong_name_are_told_apart(lab: Lab, site: Site, tls: Any) -> None:
    ours = replace(site, tls=tls)
    assert refused(lab, replace(ours, ca=None)).kind is Kind.UNTRUSTED
    assert refused(lab, ours, name=f"dc9.{REALM.lower()}").kind is Kind.WRONG_NAME


def test_no_password_is_said_to_a_controller_that_is_not_verified(lab: Lab, site: Site) -> None:
    log = "/var/log/samba/log.samba"
    before = len(lab.read("dc", log))
    refused(lab, replace(site, ca=None))
    refused(lab, site, name=f"dc9.{REALM.lower()}")
    assert b"Auth:" not in lab.read("dc", log)[before:]


def test_ways_that_lead_nowhere_are_told_apart(lab: Lab, site: Site) -> None:
    assert refused(lab, site, address=WEB.address4).kind is Kind.UNREACHABLE
    assert refused(lab, replace(site, port=389)).kind is Kind.NO_TLS
    assert refused(lab, replace(site, tls="starttls", port=636)).kind is Kind.NO_TLS


def test_the_next_server_is_asked_where_one_does_not_answer(lab: Lab, site: Site) -> None:
    def do() -> str:
        with connect_any(replace(site, servers=((DC.fqdn, WEB.address4), (DC.fqdn, DC.address4)))) as directory:
            return directory.address

    assert in_network(lab.state, "ws", do) == DC.address4


def test_a_change_without_the_right_to_it_is_told_so(lab: Lab, site: Site) -> None:
    with pytest.raises(LdapProblem) as problem:
        ask(lab, site, lambda d: d.change(f"CN={SERVICE_ACCOUNT},CN=Users,{BASE_DN}", {"description": ["x"]}))
    assert problem.value.kind is Kind.NOT_ALLOWED


def test_a_ca_that_is_none_is_wrong_use(lab: Lab, site: Site) -> None:
    for path in (Path("/etc/hostname"), Path("/nowhere.pem")):
        with pytest.raises(WrongUse, match="PEM"):
            ask(lab, replace(site, ca=path), lambda directory: None)
