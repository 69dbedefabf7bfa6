"""Judges of tickets: a login to the domain, and a ticket for the proxy that a key of the keytab opens."""

from __future__ import annotations

import pytest

from pfsquid.kerberos import chain_ticket as chain
from pfsquid.kerberos.check import Status
from pfsquid.kerberos.facts_proxy import Login, Service
from pfsquid.kerberos.tickets import Opened
from tests.kerberos.made import HOSTILE, NOW, SECRET, SERVICE, SPN, WHO, asked, entry, tgt, ticket, told


def test_a_login_tells_who_and_by_which_credentials() -> None:
    finding = chain.login(Login(WHO, "verify.password", tgt()))
    assert (finding.status, finding.detail) == (Status.OK, f"{WHO} (verify.password)")


@pytest.mark.parametrize(
    ("code", "text", "command"),
    [
        (6, "no such principal", "verify.user"),
        (14, "no enctype in common", "verify.user"),
        (18, "disabled, expired or locked", "Unlock-ADAccount rick.sanchez"),
        (23, "expired or must be changed", f"kpasswd {WHO}"),
        (24, "tried once, and not again", "verify.password"),
        (32, "log in again", f"kinit {WHO}"),
        (37, "clocks are too far apart", "--only clock"),
        (68, "another realm", "verify.user"),
        (60, "see what the KDC says", "verify.user"),
        (None, "see what the KDC says", "verify.user"),
    ],
)
def test_a_login_that_is_refused_is_a_break_with_the_cure_for_its_very_code(
    code: int | None, text: str, command: str
) -> None:
    finding = chain.login(Login(WHO, "verify.password", None, "the KDC's words", code))
    assert (finding.status, finding.detail) == (Status.FAIL, f"{WHO} gets no ticket of the domain: the KDC's words")
    assert text in told(finding)
    assert command in told(finding)


@pytest.mark.parametrize("who", [*HOSTILE, "rick; rm -rf /@LAB.EXAMPLE", '"`x`"@LAB.EXAMPLE'])
def test_no_strange_name_gets_into_a_command_that_is_to_be_pasted(who: str) -> None:
    finding = chain.login(Login(who, "ticket cache", None, "no", 18))
    assert finding.remedy
    assert not [word for word in finding.remedy.commands if word.endswith((" rick; rm -rf /", "`")) or "\x00" in word]


def test_a_ticket_that_opens_tells_enctype_and_kvno_of_both() -> None:
    finding = chain.ticket(asked(), Service(ticket(), opened=Opened(entry(kvno=3), ticket().client, NOW)))
    assert finding.status is Status.OK
    assert finding.detail == "aes256-cts-hmac-sha1-96, kvno 4: opened by the keytab's key (kvno 3)"
    assert SECRET.decode() not in repr(finding)


@pytest.mark.parametrize(("code", "cause"), [(7, ("spn-missing",)), (8, ("spn-duplicate",)), (13, ()), (None, ())])
def test_where_the_kdc_gives_no_ticket_its_words_are_told_and_the_spn_is_to_be_looked_up(
    code: int | None, cause: tuple[str, ...]
) -> None:
    finding = chain.ticket(asked(), Service(None, "the KDC's words", code))
    assert (finding.status, finding.cause) == (Status.FAIL, cause)
    assert finding.detail == f"the KDC gives no ticket for {SPN}: the KDC's words"
    assert f"setspn -Q {SERVICE}" in told(finding)


@pytest.mark.parametrize(
    ("reason", "cause", "command"),
    [
        ("no_principal", ("keytab-other-principal",), "pfsquid keytab create --adopt"),
        ("no_enctype", ("keytab-enctype-missing",), "Set-ADUser svc_squid -KerberosEncryptionType"),
        ("no_kvno", ("kvno-old-keytab",), "pfsquid keytab rotate"),
        ("wrong_key", ("wrong-key",), f"setspn -Q {SERVICE}"),
        ("something new", (), "pfsquid keytab rotate"),
    ],
)
def test_a_ticket_that_does_not_open_is_a_break_with_the_cure_for_its_very_reason(
    reason: str, cause: tuple[str, ...], command: str
) -> None:
    finding = chain.ticket(asked(), Service(ticket(), reason=reason, text="the reason in words"))
    assert (finding.status, finding.cause) == (Status.FAIL, cause)
    assert "the reason in words" in finding.detail
    assert command in told(finding)


def test_a_command_names_no_account_that_nobody_named() -> None:
    finding = chain.ticket(asked(account=None), Service(ticket(), reason="no_enctype", text="x"))
    assert "Set-ADUser <account>" in told(finding)


def test_a_ticket_without_a_kvno_says_so() -> None:
    finding = chain.ticket(asked(), Service(ticket(kvno=None), reason="wrong_key", text="x"))
    assert "kvno not said" in finding.detail
