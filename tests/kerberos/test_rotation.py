"""`keytab rotate`: the order of its steps, and what is left wherever it fails. On a domain in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pfsquid.errors import PfsquidError
from pfsquid.kerberos import rotation
from pfsquid.kerberos.keytab import Entry, dump, parse
from pfsquid.kerberos.keytabs import derived, held
from pfsquid.kerberos.principal import Principal
from pfsquid.kerberos.proof import NotProved
from tests.kerberos.domain import REALM, SPN, Domain, lost, made, refusal

WAIT = timedelta(hours=10, minutes=5)
OTHER = Principal(("HOST", "proxy.lab.example"), REALM)


class Desk:
    """A domain with a service account, its keytab in a folder, and what rotates it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "squid.keytab"
        self.domain = Domain()
        spns = ["HTTP/proxy.lab.example"]
        self.domain.accounts["svc_squid"] = replace(
            made("svc_squid", userAccountControl="66048", servicePrincipalName=spns), kvno=2
        )
        self.domain.set_password("svc_squid", "first")
        other = replace(self.entries(3)[0], principal=OTHER)
        self.path.write_bytes(dump((other, *self.entries(3))))
        self.said: list[str] = []
        self.at_bringing: list[tuple[int, ...]] = []

    def entries(self, kvno: int) -> tuple[Entry, ...]:
        salts = dict.fromkeys((18, 17), (self.domain.salts["svc_squid"], None))
        return derived(SPN, self.domain.passwords["svc_squid"], salts, kvno, self.domain.now)

    def bring(self) -> None:
        self.domain.step("bring")
        self.at_bringing.append(self.kvnos)

    @property
    def kvnos(self) -> tuple[int, ...]:
        """The SPN's kvnos in the file, in its order, each once."""
        return tuple(dict.fromkeys(one.kvno for one in held(self.path).of(SPN)))

    def __call__(self, what: str = "rotate") -> rotation.Kept:
        domain: Any = self.domain
        way = rotation.Way(domain, domain, self.bring, self.said.append, self.domain.clock)
        return getattr(rotation, what)(  # type: ignore[no-any-return]
            rotation.Service(SPN, "svc_squid", held(self.path), WAIT), way
        )


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_the_proxy_has_the_new_key_before_the_domain_uses_it(desk: Desk) -> None:
    kept = desk()
    assert desk.domain.steps == ["prove", "salts", "bring", "password", "salts", "prove"]
    assert desk.at_bringing == [(4, 3)]
    assert (kept.kvno, kept.former, kept.until) == (4, (3,), desk.domain.now + WAIT)


def test_what_was_brought_is_what_is_left(desk: Desk) -> None:
    desk()
    assert desk.kvnos == desk.at_bringing[0]
    keys = [one.key for one in held(desk.path).of(SPN) if one.kvno == 4]
    assert keys == desk.domain.keys("svc_squid")


def test_other_principals_stay(desk: Desk) -> None:
    desk()
    assert [one.principal for one in parse(desk.path.read_bytes())].count(OTHER) == 1


@pytest.mark.parametrize("step", ["prove", "salts", "bring"])
def test_a_failure_before_the_password_leaves_all_as_it_was(desk: Desk, step: str) -> None:
    before = desk.path.read_bytes()
    desk.domain.fail[step] = NotProved("no answer") if step != "bring" else PfsquidError("the firewall says no")
    with pytest.raises(PfsquidError):
        desk()
    assert desk.path.read_bytes() == before
    assert "password" not in desk.domain.steps


def test_an_interruption_while_it_is_brought_puts_the_file_back(desk: Desk) -> None:
    before = desk.path.read_bytes()
    desk.domain.fail["bring"] = KeyboardInterrupt()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        desk()
    assert desk.path.read_bytes() == before


def test_a_refused_password_puts_the_file_back_and_says_so(desk: Desk) -> None:
    before = desk.path.read_bytes()
    desk.domain.fail["password"] = refusal()
    with pytest.raises(PfsquidError, match="goes on with kvno 3"):
        desk()
    assert desk.path.read_bytes() == before


def test_where_nobody_knows_whether_it_was_set_both_keys_stay(desk: Desk) -> None:
    desk.domain.fail["password"] = lost()
    with pytest.raises(PfsquidError, match="the keys for both"):
        desk()
    assert desk.kvnos == (4, 3)


@pytest.mark.parametrize("was_set", [False, True])
def test_after_being_killed_at_the_password_the_next_run_goes_on(desk: Desk, was_set: bool) -> None:
    desk.domain.fail["password"] = lost()
    with pytest.raises(PfsquidError):
        desk()
    desk.domain.fail.clear()
    if was_set:  # by another way: the key of kvno 4 in the file is not this one
        desk.domain.set_password("svc_squid", "first")
        desk.path.write_bytes(dump((*desk.entries(4), *[one for one in held(desk.path).of(SPN) if one.kvno == 3])))
    kept = desk()
    assert kept.kvno == (5 if was_set else 4)
    assert desk.kvnos == ((5, 4, 3) if was_set else (4, 3))


def test_a_keytab_without_the_present_key_is_refused(desk: Desk) -> None:
    desk.domain.set_password("svc_squid", "another")
    before = desk.path.read_bytes()
    with pytest.raises(PfsquidError, match="has not the present key"):
        desk()
    assert desk.path.read_bytes() == before
    assert desk.domain.steps == ["prove"]


def test_a_kvno_that_came_out_otherwise_is_corrected_and_brought_again(desk: Desk) -> None:
    desk.domain.kvno_step = 2
    kept = desk()
    assert kept.kvno == 5
    assert desk.at_bringing == [(4, 3), (5, 3)]
    assert desk.domain.steps[-2:] == ["bring", "prove"]


def test_a_upn_that_was_changed_since_changes_the_salt_and_needs_no_second_bringing(desk: Desk) -> None:
    account = desk.domain.accounts["svc_squid"]
    desk.domain.accounts["svc_squid"] = replace(account, upn="HTTP/proxy.lab.example@LAB.EXAMPLE")
    desk()
    assert desk.at_bringing == [(4, 3)]
    assert [one.key for one in held(desk.path).of(SPN) if one.kvno == 4] == desk.domain.keys("svc_squid")


def test_former_keys_stay_while_a_ticket_may_need_them(desk: Desk) -> None:
    desk()
    desk.domain.now += timedelta(hours=1)
    desk()
    assert desk.kvnos == (5, 4, 3)


def test_the_next_rotation_drops_what_no_ticket_needs(desk: Desk) -> None:
    desk()
    desk.domain.now += WAIT
    desk()
    assert desk.kvnos == (5, 4)


def test_drop_is_refused_too_early_with_the_time_to_wait(desk: Desk) -> None:
    desk()
    desk.domain.now += timedelta(hours=9)
    before = desk.path.read_bytes()
    with pytest.raises(PfsquidError, match="1 h 6 min more"):
        desk("drop")
    assert desk.path.read_bytes() == before


def test_drop_keeps_the_current_key_and_other_principals(desk: Desk) -> None:
    desk()
    desk.domain.now += WAIT
    desk("drop")
    assert desk.kvnos == (4,)
    assert [one.principal for one in parse(desk.path.read_bytes())].count(OTHER) == 1
    assert desk.domain.steps[-1] == "bring"


def test_drop_never_takes_the_living_key_of_a_rotation_that_was_cut_off(desk: Desk) -> None:
    desk.domain.fail["password"] = lost()
    with pytest.raises(PfsquidError):
        desk()
    desk.domain.now += WAIT
    desk("drop")
    assert desk.kvnos == (3,)


def test_drop_without_former_keys_changes_nothing(desk: Desk) -> None:
    before = desk.path.read_bytes()
    desk("drop")
    assert desk.path.read_bytes() == before
    assert "bring" not in desk.domain.steps


def test_an_spn_on_a_second_account_stops_it(desk: Desk) -> None:
    desk.domain.accounts["old"] = made("old", servicePrincipalName="http/PROXY.lab.example")
    with pytest.raises(PfsquidError, match="CN=old"):
        desk()


def test_no_secret_is_told(desk: Desk) -> None:
    kept = desk()
    told = " ".join([*desk.said, repr(kept), repr(held(desk.path).entries)])
    assert desk.domain.passwords["svc_squid"] not in told
    assert not any(one.key.value.hex() in told or repr(one.key.value) in told for one in held(desk.path).entries)
