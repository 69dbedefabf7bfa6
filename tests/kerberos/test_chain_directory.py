"""Judges of the directory: LDAP and its certificate, the login there, the SPN, the service account, its enctypes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pfsquid.kerberos import chain_directory as chain
from pfsquid.kerberos.account import AccountKind
from pfsquid.kerberos.causes import load
from pfsquid.kerberos.check import Finding, Status
from pfsquid.kerberos.facts import Refusal
from pfsquid.kerberos.facts_proxy import Trial
from pfsquid.kerberos.ldap_problem import Kind
from tests.kerberos.made import DC1, DC2, HOSTILE, NOW, SERVICE, account, asked, domain, ldap, owners, told, trial

CAUSES = {cause.code for cause in load()}
WAY = ("no_tls", "untrusted", "wrong_name", "expired_certificate", "signing_required")
WHO = tuple(kind.value for kind in Kind if kind.value not in (*WAY, "unreachable"))


def refusing(kind: str, *opened: str, text: str = "it says no") -> Any:
    return ldap(opened=opened, refused={DC2: Refusal(kind, f"{DC2}: {text}", ("do this",))})


# ---- LDAP, and the login there


def test_controllers_that_speak_tls_are_named() -> None:
    finding = chain.ldap(ldap())
    assert (finding.status, finding.detail.startswith(f"{DC1}, {DC2}: TLS")) == (Status.OK, True)


@pytest.mark.parametrize("opened", [(), (DC1,)])
@pytest.mark.parametrize("kind", WAY)
def test_a_certificate_that_is_wrong_is_a_break_also_of_one_controller_alone(
    kind: str, opened: tuple[str, ...]
) -> None:
    finding = chain.ldap(refusing(kind, *opened))
    assert (finding.status, finding.detail) == (Status.FAIL, f"{DC2}: it says no")
    assert "do this" in told(finding)


def test_a_certificate_that_is_not_trusted_is_never_to_be_let_pass() -> None:
    assert "never switch the verification off" in told(chain.ldap(refusing("untrusted")))


def test_a_controller_that_cannot_be_reached_from_here_is_no_break_of_the_proxys_chain() -> None:
    finding = chain.ldap(refusing("unreachable"))
    assert (finding.status, "from this machine" in finding.detail) == (Status.ERROR, True)


def test_one_controller_that_can_be_reached_is_enough() -> None:
    assert chain.ldap(refusing("unreachable", DC1)).status is Status.OK


def test_where_no_controller_is_known_that_is_said() -> None:
    finding = chain.ldap(ldap(opened=()))
    assert (finding.status, "directory.servers" in told(finding)) == (Status.ERROR, True)


@pytest.mark.parametrize("kind", WHO)
def test_who_asks_is_no_matter_of_the_way_there(kind: str) -> None:
    assert chain.ldap(refusing(kind)).status is Status.OK


@pytest.mark.parametrize("kind", WHO)
def test_a_login_that_is_refused_is_a_break_that_tells_whose_it_is(kind: str) -> None:
    finding = chain.ldap_login(refusing(kind, DC1))
    assert (finding.status, finding.detail) == (Status.FAIL, f"{DC2}: it says no")
    assert "reader@LAB.EXAMPLE" in told(finding)
    assert "not again" in told(finding)


def test_a_login_that_is_taken_is_told_with_its_user() -> None:
    assert chain.ldap_login(refusing("unreachable", DC1)).detail == f"reader@LAB.EXAMPLE at {DC1}"


@pytest.mark.parametrize("kind", [kind.value for kind in Kind])
def test_each_cause_that_ldap_gives_is_one_that_explain_knows(kind: str) -> None:
    assert {*chain.ldap(refusing(kind)).cause, *chain.ldap_login(refusing(kind)).cause} <= CAUSES


# ---- SPN


def test_an_spn_on_the_service_account_alone_is_well() -> None:
    finding = chain.spn(asked(), owners())
    assert (finding.status, finding.detail) == (
        Status.OK, f"{SERVICE} is on svc_squid alone (the whole forest was searched)",
    )  # fmt: skip


def test_an_spn_that_nobody_has_is_a_break_with_the_command_that_sets_it() -> None:
    finding = chain.spn(asked(), owners(accounts=()))
    assert (finding.status, f"no account has the SPN {SERVICE}" in finding.detail) == (Status.FAIL, True)
    assert f"setspn -S {SERVICE} svc_squid" in told(finding)


def test_an_spn_that_is_near_it_is_named() -> None:
    finding = chain.spn(asked(), owners(accounts=(), like=(("HTTP/proxy", "other$"),)))
    assert "there is HTTP/proxy, on other$" in finding.detail


def test_where_no_account_is_configured_the_command_has_a_place_for_it() -> None:
    finding = chain.spn(asked(account=None), owners(accounts=(), service=None))
    assert f"setspn -S {SERVICE} SERVICE_ACCOUNT" in told(finding)


def test_an_spn_on_several_accounts_is_to_be_taken_from_each_but_the_service_account() -> None:
    finding = chain.spn(asked(), owners(account("one"), account(), account("two")))
    assert (finding.status, "3 accounts have the SPN" in finding.detail) == (Status.FAIL, True)
    assert finding.remedy
    assert finding.remedy.commands[:2] == (f"setspn -D {SERVICE} one", f"setspn -D {SERVICE} two")
    assert f"setspn -S {SERVICE}" not in told(finding)


def test_an_spn_on_several_others_is_also_to_be_set_on_the_service_account() -> None:
    finding = chain.spn(asked(), owners(account("one"), account("two")))
    assert f"setspn -S {SERVICE} svc_squid" in told(finding)


def test_accounts_of_one_name_in_two_domains_are_told_apart() -> None:
    finding = chain.spn(asked(), owners(account(dn="CN=svc_squid,DC=other"), account()))
    assert finding.remedy
    assert finding.remedy.commands[0] == f"setspn -D {SERVICE} svc_squid"


def test_where_nobody_knows_which_account_is_right_no_command_takes_it_from_one() -> None:
    finding = chain.spn(asked(account=None), owners(account("one"), account("two"), service=None))
    assert f"setspn -D {SERVICE} ACCOUNT" in told(finding)
    assert f"setspn -D {SERVICE} one" not in told(finding)


def test_an_spn_on_another_account_is_a_break_that_names_both() -> None:
    finding = chain.spn(asked(), owners(account("jerry")))
    assert (finding.status, finding.detail) == (Status.FAIL, f"the SPN {SERVICE} is on jerry, not on svc_squid")
    assert f"setspn -D {SERVICE} jerry" in told(finding)


def test_a_dn_is_the_same_in_capitals() -> None:
    assert chain.spn(asked(), owners(account(dn=account().dn.upper()))).status is Status.OK


def test_an_spn_in_another_case_is_a_break_that_shows_it() -> None:
    finding = chain.spn(asked(), owners(account(spns=("http/PROXY.lab.example",))))
    assert (finding.status, "is written http/PROXY.lab.example" in finding.detail) == (Status.FAIL, True)
    assert "setspn -D http/PROXY.lab.example svc_squid" in told(finding)


def test_an_spn_that_is_there_in_the_right_case_too_is_well() -> None:
    assert chain.spn(asked(), owners(account(spns=("http/PROXY.lab.example", SERVICE)))).status is Status.OK


@pytest.mark.parametrize("name", HOSTILE)
def test_a_strange_account_is_judged_like_any_other(name: str) -> None:
    assert chain.spn(asked(), owners(account(name, spns=(), dn="x"))).status is Status.FAIL


# ---- the account


def of_account(of_domain: dict[str, Any] | None = None, **other: Any) -> Finding:
    one = account(**other)
    return chain.account(asked(), owners(one, service=one), domain(**(of_domain or {})))


def test_an_account_in_order_tells_what_it_is() -> None:
    assert of_account(kind=AccountKind.GROUP_MANAGED).detail.startswith("svc_squid (group managed service account)")


def test_an_account_that_is_not_there_is_a_break() -> None:
    finding = chain.account(asked(), owners(service=None), domain())
    assert (finding.status, finding.detail) == (Status.FAIL, "there is no account svc_squid in the domain")
    assert "pfsquid keytab create" in told(finding)


def test_an_account_that_nobody_named_is_not_said_to_be_missing() -> None:
    finding = chain.account(asked(account=None), owners(service=None), domain())
    assert (finding.status, "kerberos.account" in told(finding)) == (Status.ERROR, True)


@pytest.mark.parametrize(
    ("fault", "said", "command"),
    [
        ({"enabled": False}, "is disabled", "Enable-ADAccount svc_squid"),
        ({"locked": True}, "is locked out", "Unlock-ADAccount svc_squid"),
        ({"expires": NOW}, "has expired", "Clear-ADAccountExpiration svc_squid"),
        ({"must_change": True}, "must change its password", "Set-ADUser svc_squid -PasswordNeverExpires"),
        ({"password_expired": True}, "has an expired password", "pfsquid keytab rotate"),
    ],
)
def test_an_account_that_is_of_no_use_is_a_break_with_the_command_that_mends_it(
    fault: dict[str, Any], said: str, command: str
) -> None:
    finding = of_account(**fault)
    assert (finding.status, finding.detail.startswith(f"svc_squid {said}")) == (Status.FAIL, True)
    assert command in told(finding)


def test_an_end_that_is_to_come_is_no_end() -> None:
    assert of_account(expires=NOW + timedelta(seconds=1)).status is Status.OK


EXPIRING: dict[str, Any] = {"flags": frozenset[str](), "password_set": NOW - timedelta(days=40)}


def test_a_password_that_will_expire_is_a_warning_with_its_day() -> None:
    finding = of_account(**EXPIRING)
    assert (finding.status, "expires on 2026-11-26" in finding.detail) == (Status.WARN, True)


@pytest.mark.parametrize(
    ("of_domain", "other"),
    [
        ({}, {"flags": frozenset({"DONT_EXPIRE_PASSWD"})}),
        ({}, {"kind": AccountKind.COMPUTER}),
        ({}, {"password_set": None}),
        ({}, {"password_set": NOW - timedelta(days=10)}),
        ({"max_password_age": None}, {}),
        ({"max_password_age": timedelta(days=39)}, {}),  # over, and the controller says nothing: a finer policy
    ],
)
def test_a_password_that_will_not_expire_soon_is_no_warning(of_domain: dict[str, Any], other: dict[str, Any]) -> None:
    assert of_account(of_domain, **{**EXPIRING, **other}).status is Status.OK


def test_an_account_trusted_for_delegation_is_a_warning() -> None:
    finding = of_account(flags=frozenset({"DONT_EXPIRE_PASSWD", "TRUSTED_FOR_DELEGATION"}))
    assert (finding.status, "-TrustedForDelegation $false" in told(finding)) == (Status.WARN, True)


# ---- its enctypes


def enctypes(found: Trial | None = None, **other: Any) -> Finding:
    one = account(**other)
    return chain.account_enctypes(owners(one, service=one), found or trial())


def test_aes_alone_is_well() -> None:
    assert enctypes().detail == "AES128, AES256 (msDS-SupportedEncryptionTypes 24)"


def test_what_is_allowed_beside_aes_is_told() -> None:
    assert (enctypes(enctypes=28).status, enctypes(enctypes=28).detail[-3:]) == (Status.OK, "RC4")


@pytest.mark.parametrize(
    ("bits", "names"), [(4, "RC4"), (7, "DES-CBC-CRC, DES-CBC-MD5, RC4"), (0x80000, "nothing known")]
)
def test_an_account_without_aes_is_a_break_that_says_what_it_allows(bits: int, names: str) -> None:
    finding = enctypes(enctypes=bits)
    assert (finding.status, f"allows {names}, and no AES" in finding.detail) == (Status.FAIL, True)
    assert "Set-ADUser svc_squid -KerberosEncryptionType AES128,AES256" in told(finding)


def test_an_account_of_des_alone_is_a_break_whatever_else_it_says() -> None:
    finding = enctypes(flags=frozenset({"USE_DES_KEY_ONLY"}))
    assert (finding.status, "DES" in finding.detail) == (Status.FAIL, True)


@pytest.mark.parametrize("unset", [None, 0])
@pytest.mark.parametrize(
    ("found", "status", "word"),
    [
        (Trial(True, 18), Status.OK, "aes256"),
        (Trial(False, 18), Status.OK, "aes256"),
        (Trial(False, 23), Status.FAIL, "tickets come with RC4"),
        (Trial(True, 23), Status.WARN, "tickets come with RC4"),
        (Trial(None), Status.WARN, "often RC4"),
    ],
)
def test_where_an_account_says_nothing_its_tickets_tell(
    unset: int | None, found: Trial, status: Status, word: str
) -> None:
    finding = enctypes(found, enctypes=unset)
    assert (finding.status, word in finding.detail) == (status, True)


def test_no_account_has_no_enctypes_to_judge() -> None:
    assert chain.account_enctypes(replace(owners(), service=None), trial()).status is Status.ERROR
