"""`keytab create`: what it makes, what it refuses, and what it says where it fails. On a domain in memory."""

from __future__ import annotations

import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pfsquid.errors import PfsquidError, WrongUse
from pfsquid.kerberos.account import AccountKind
from pfsquid.kerberos.enrol import Wish, create
from pfsquid.kerberos.keytab import dump, parse
from pfsquid.kerberos.keytabs import derived, held
from pfsquid.kerberos.proof import NotProved
from tests.kerberos.domain import SPN, Domain, made, refusal

SERVICE = "HTTP/proxy.lab.example"


def run(domain: Domain, out: Path, adopt: bool = False, sam: str = "svc_squid") -> bool:
    any_domain: Any = domain
    return create(Wish(SPN, sam, out, adopt=adopt), any_domain, any_domain, lambda text: None, domain.clock)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "squid.keytab"


def test_account_and_keytab_are_made(out: Path) -> None:
    domain = Domain()
    assert run(domain, out)
    account = domain.accounts["svc_squid"]
    assert account.enabled
    assert account.spelling_of(SERVICE) == SERVICE
    assert account.enctypes == 24
    assert "DONT_EXPIRE_PASSWD" in account.flags
    entries = parse(out.read_bytes())
    assert [(one.principal, one.kvno, one.key) for one in entries] == [
        (SPN, account.kvno, key) for key in domain.keys("svc_squid")
    ]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert list(out.parent.iterdir()) == [out]


def test_encryption_types_come_before_the_password_and_the_proof_before_the_file(out: Path) -> None:
    domain = Domain()
    run(domain, out)
    assert domain.steps == ["add", "enctypes", "password", "settle", "salts", "prove"]


def test_a_second_run_changes_nothing(out: Path) -> None:
    domain = Domain()
    run(domain, out)
    before, domain.steps = out.read_bytes(), []
    assert not run(domain, out)
    assert domain.steps == ["prove"]
    assert out.read_bytes() == before


def test_an_account_that_is_there_is_not_touched_without_adopt(out: Path) -> None:
    domain = Domain(accounts={"svc_squid": made("svc_squid", userAccountControl="66048")})
    with pytest.raises(PfsquidError, match="is there") as told:
        run(domain, out)
    assert any("--adopt" in step for step in told.value.next)
    assert domain.steps == []


def test_adopt_keeps_other_spns_and_former_keys(out: Path) -> None:
    domain = Domain()
    domain.accounts["svc_squid"] = replace(
        made("svc_squid", userAccountControl="66048", servicePrincipalName=["HTTP/other.lab.example", SERVICE]), kvno=6
    )
    former = derived(SPN, "former", {18: (b"salt", None)}, 5, domain.now)
    out.write_bytes(dump(former))
    assert run(domain, out, adopt=True)
    assert domain.accounts["svc_squid"].spns == ("HTTP/other.lab.example", SERVICE)
    assert [one.kvno for one in held(out).of(SPN)] == [7, 7, 5]


def test_adopt_leaves_the_password_where_the_keytab_has_its_key(out: Path) -> None:
    domain = Domain()
    run(domain, out)
    domain.accounts["svc_squid"] = replace(domain.accounts["svc_squid"], enctypes=28)
    before, domain.steps = out.read_bytes(), []
    with pytest.raises(PfsquidError, match="not set to AES alone"):
        run(domain, out)
    assert run(domain, out, adopt=True)
    assert domain.accounts["svc_squid"].enctypes == 24
    assert "password" not in domain.steps
    assert out.read_bytes() == before


def test_an_spn_on_another_account_is_refused_with_its_name_and_the_cure(out: Path) -> None:
    domain = Domain(accounts={"old": made("old", servicePrincipalName="http/PROXY.lab.example")})
    with pytest.raises(PfsquidError, match="CN=old,CN=Users") as told:
        run(domain, out)
    assert any("setspn -D http/PROXY.lab.example old" in step for step in told.value.next)
    assert domain.steps == []


@pytest.mark.parametrize("kind", [AccountKind.COMPUTER, AccountKind.GROUP_MANAGED])
def test_accounts_that_set_their_own_password_are_refused(out: Path, kind: AccountKind) -> None:
    domain = Domain(accounts={"svc_squid": replace(made("svc_squid"), kind=kind)})
    with pytest.raises(WrongUse, match="its password is changed by others"):
        run(domain, out, adopt=True)


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ("add", "nothing was changed"),
        ("enctypes", "was made, disabled"),
        ("password", "was made, disabled"),
        ("settle", "it has a new password"),
        ("salts", "it has the SPN"),
        ("prove", "it has the SPN"),
    ],
)
def test_a_failure_leaves_the_keytab_and_says_what_was_done_and_the_next_run_goes_on(
    out: Path, step: str, told: str
) -> None:
    domain = Domain()
    before = dump(derived(SPN, "former", {18: (b"salt", None)}, 1, datetime(2026, 1, 1, tzinfo=UTC)))
    out.write_bytes(before)
    domain.fail[step] = NotProved("no answer") if step in ("salts", "prove") else refusal()
    with pytest.raises(PfsquidError, match=told):
        run(domain, out)
    assert out.read_bytes() == before
    domain.fail.clear()
    assert run(domain, out, adopt=True)
    assert [one.key for one in held(out).of(SPN) if one.kvno != 1] == domain.keys("svc_squid")


@pytest.mark.parametrize("data", [b"<html>", b"", b"\x05\x02\x00\x00\x00\x50short"])
def test_a_file_that_is_no_keytab_is_not_written_over(out: Path, data: bytes) -> None:
    out.write_bytes(data)
    with pytest.raises(PfsquidError, match="no keytab"):
        run(Domain(), out)
    assert out.read_bytes() == data


def test_a_place_where_nothing_can_be_written_is_found_before_anything_is_changed(tmp_path: Path) -> None:
    domain = Domain()
    with pytest.raises(PfsquidError, match="nothing was changed"):
        run(domain, tmp_path / "no such folder" / "x.keytab")
    assert domain.steps == []
