"""Judges of the keytab: there and readable, closed to others, whole, of the right principal, enctypes and kvno."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pfsquid.firewall.inspected import KeytabState
from pfsquid.kerberos import chain_keytab as chain
from pfsquid.kerberos.check import Finding, Status
from pfsquid.kerberos.facts_proxy import Trial
from pfsquid.kerberos.keytab import Entry
from tests.kerberos.made import (
    DC1,
    DC2,
    KEYTAB,
    SECRET,
    SPN,
    account,
    asked,
    domain,
    entry,
    file,
    firewall,
    keys,
    owners,
    told,
    trial,
)

CHOWN = f"chown squid:proxy {KEYTAB}; chmod 400 {KEYTAB}"


def state(**other: Any) -> KeytabState:
    return replace(KeytabState(KEYTAB, file(KEYTAB), "", (), True, False), **other)


def readable(keytab: KeytabState | None) -> Finding:
    return chain.keytab_readable(firewall(keytab=keytab))


# ---- there, and readable


def test_a_keytab_in_order_is_told_with_owner_and_mode() -> None:
    assert readable(state()).detail == f"{KEYTAB} is squid:proxy 0400"


def test_a_keytab_that_is_not_there_is_a_break_with_its_path() -> None:
    finding = readable(state(file=None, problem="no such file"))
    assert (finding.status, finding.detail) == (Status.FAIL, f"there is no keytab {KEYTAB}: no such file")
    assert "pfsquid configure" in told(finding)


def test_a_squid_conf_that_names_no_keytab_is_a_break() -> None:
    assert (readable(None).status, readable(None).detail) == (Status.FAIL, "squid.conf names no keytab")


def test_a_folder_in_place_of_the_keytab_is_called_one() -> None:
    finding = readable(state(file=file(KEYTAB, kind="folder")))
    assert (finding.status, finding.detail) == (Status.FAIL, f"{KEYTAB} is no file: folder")


def test_a_keytab_that_squid_cannot_read_is_a_break_with_owner_mode_and_closed_folders() -> None:
    closed = state(squid_reads=False, file=file(KEYTAB, owner="root", group="wheel", mode=0o600), closed=("/usr/x",))
    finding = readable(closed)
    assert finding.status is Status.FAIL
    assert f"{KEYTAB} is root:wheel 0600; it may not pass /usr/x" in finding.detail
    assert CHOWN in told(finding)


def test_a_keytab_that_could_not_be_tried_is_a_doubt_and_no_break() -> None:
    finding = readable(state(squid_reads=None))
    assert (finding.status, "id squid" in told(finding)) == (Status.ERROR, True)


# ---- closed to others


def private(**other: Any) -> Finding:
    of_file = {key: value for key, value in other.items() if key != "nobody_reads"}
    nobody = other.get("nobody_reads", False)
    return chain.keytab_private(firewall(keytab=state(file=file(KEYTAB, **of_file), nobody_reads=nobody)))


@pytest.mark.parametrize(
    "other",
    [{}, {"owner": "root", "group": "proxy", "mode": 0o440}, {"owner": "root", "group": "wheel", "mode": 0o640}],
)
def test_a_keytab_of_squids_or_of_administrators_is_private(other: dict[str, Any]) -> None:
    assert private(**other).status is Status.OK


@pytest.mark.parametrize(
    ("other", "who"),
    [
        ({"nobody_reads": True}, "everybody"),
        ({"mode": 0o444}, "everybody"),
        ({"mode": 0o402}, "everybody"),
        ({"mode": 0o440, "group": "operators"}, "the group operators"),
        ({"owner": "jerry"}, "the user jerry"),
    ],
)
def test_a_keytab_that_others_can_use_is_a_break_that_names_them(other: dict[str, Any], who: str) -> None:
    finding = private(**other)
    assert (finding.status, finding.detail.startswith(f"{who} on the firewall")) == (Status.FAIL, True)
    assert CHOWN in told(finding)
    assert "pfsquid keytab rotate" in told(finding)


@pytest.mark.parametrize("keytab", [None, state(file=None)])
def test_no_keytab_is_neither_private_nor_open(keytab: KeytabState | None) -> None:
    assert chain.keytab_private(firewall(keytab=keytab)).status is Status.ERROR


# ---- whole


@pytest.mark.parametrize(("entries", "said"), [((entry(),), "1 key"), ((entry(18), entry(17)), "2 keys")])
def test_keys_are_counted_and_never_shown(entries: tuple[Entry, ...], said: str) -> None:
    finding = chain.keytab(keys(*entries))
    assert (finding.status, finding.detail) == (Status.OK, said)
    assert finding.evidence[0] == f"{SPN} kvno 4 aes256-cts-hmac-sha1-96 2026-11-24 08:00 UTC"
    assert SECRET.decode() not in repr(finding)
    assert SECRET.hex() not in repr(finding)


def test_a_keytab_that_cannot_be_parsed_is_a_break_with_its_reason_and_causes() -> None:
    finding = chain.keytab(replace(keys(), entries=(), problem="it is empty", codes=("keytab-empty",)))
    assert (finding.status, finding.detail) == (Status.FAIL, f"{KEYTAB}: it is empty")
    assert finding.cause == ("keytab-empty",)


# ---- its principal


def test_the_principal_is_found_among_others() -> None:
    finding = chain.keytab_principal(asked(), keys(entry(principal="host/x"), entry()))
    assert (finding.status, finding.detail) == (Status.OK, SPN)


@pytest.mark.parametrize("name", [SPN.lower(), SPN.replace("proxy", "Proxy"), "HTTP/proxy.lab.example@lab.example"])
def test_a_principal_in_another_case_is_a_break_that_shows_both(name: str) -> None:
    finding = chain.keytab_principal(asked(), keys(entry(principal=name)))
    assert (finding.status, name in finding.detail, SPN in finding.detail) == (Status.FAIL, True, True)
    assert "upper and lower case count" in finding.detail
    assert "pfsquid keytab create --offline" in told(finding)


def test_another_principal_is_a_break_that_shows_both() -> None:
    finding = chain.keytab_principal(asked(), keys(entry(principal="HTTP/gate.example@LAB.EXAMPLE")))
    assert finding.detail == f"the keytab has no key of {SPN}; it has HTTP/gate.example@LAB.EXAMPLE"


def test_of_many_principals_a_few_are_shown() -> None:
    finding = chain.keytab_principal(asked(), keys(*(entry(principal=f"host/{n}") for n in range(1000))))
    assert finding.detail.endswith("host/4@LAB.EXAMPLE and 995 more")


# ---- its enctypes


def enctypes(*found: Entry, allowed: int | None = 24, **other: Any) -> Finding:
    one = account(enctypes=allowed)
    return chain.keytab_enctypes(asked(**other), owners(one, service=one), keys(*found))


def test_aes_keys_are_named() -> None:
    assert enctypes().detail == "aes256-cts-hmac-sha1-96, aes128-cts-hmac-sha1-96"


@pytest.mark.parametrize("found", [(entry(23),), (entry(3), entry(23)), (entry(18, 3), entry(23, 4))])
def test_a_keytab_whose_newest_keys_are_no_aes_is_a_break(found: tuple[Entry, ...]) -> None:
    finding = enctypes(*found)
    assert (finding.status, "no AES key, only arcfour-hmac" in finding.detail) == (Status.FAIL, True)
    assert "pfsquid keytab rotate" in told(finding)


def test_a_key_that_tickets_will_need_is_missed() -> None:
    finding = enctypes(entry(17))
    assert (finding.status, "will be made with aes256" in finding.detail) == (Status.FAIL, True)


@pytest.mark.parametrize("allowed", [8, None, 0, 4])
def test_a_key_that_no_ticket_will_need_is_not_missed(allowed: int | None) -> None:
    assert enctypes(entry(17), allowed=allowed).status is Status.OK


def test_enctypes_are_judged_also_without_a_directory() -> None:
    assert chain.keytab_enctypes(asked(), None, keys()).status is Status.OK


def test_keys_that_the_configuration_refuses_are_a_break() -> None:
    finding = enctypes(entry(18), entry(17), enctypes=(23,))
    assert (finding.status, "kerberos.enctypes" in told(finding)) == (Status.FAIL, True)


def test_one_key_that_the_configuration_takes_is_enough() -> None:
    assert enctypes(entry(18), entry(17), enctypes=(17,)).status is Status.OK


# ---- its kvno


def kvno(*found: Entry, opens: bool | None = True, kvnos: dict[str, int | None] | None = None) -> Finding:
    of_domain = domain() if kvnos is None else domain(kvnos=kvnos)
    return chain.keytab_kvno(asked(), owners(), of_domain, keys(*found), trial(opens))


def test_the_directorys_kvno_is_found_with_a_former_one_beside_it() -> None:
    assert kvno(entry(kvno=3), entry(kvno=4)).detail == "4, and 3 beside it"


def test_a_keytab_with_eight_bits_for_the_kvno_is_well() -> None:
    assert kvno(entry(kvno=2), kvnos={DC1: 258}).status is Status.OK


@pytest.mark.parametrize("kvnos", [{}, {DC1: None}])
def test_a_directory_that_does_not_tell_is_a_doubt(kvnos: dict[str, int | None]) -> None:
    assert kvno(kvnos=kvnos).status is Status.ERROR


def test_controllers_that_do_not_agree_are_a_break_that_names_each() -> None:
    finding = kvno(kvnos={DC1: 4, DC2: 5})
    assert (finding.status, f"{DC1} 4, {DC2} 5" in finding.detail) == (Status.FAIL, True)
    assert "repadmin" in told(finding)


@pytest.mark.parametrize("opens", [False, None])
def test_an_old_keytab_is_a_break_that_tells_when_the_password_was_set(opens: bool | None) -> None:
    finding = kvno(entry(kvno=3), opens=opens)
    assert (finding.status, finding.cause) == (Status.FAIL, ("kvno-old-keytab",))
    assert "the directory has kvno 4, the keytab 3 (password set 2026-10-25 08:00 UTC)" in finding.detail


def test_a_right_key_under_a_wrong_number_is_not_called_an_old_password() -> None:
    finding = kvno(entry(kvno=3))
    assert (finding.status, "Its key is the right one" in finding.detail) == (Status.FAIL, True)
    assert finding.cause == ("kvno-not-in-keytab",)


def test_a_keytab_ahead_of_the_directory_is_not_called_an_old_password() -> None:
    finding = kvno(entry(kvno=9), opens=False)
    assert (finding.status, "ahead of the directory" in finding.detail) == (Status.FAIL, True)
    assert "new password" not in finding.detail
    assert finding.cause == ("kvno-new-keytab",)


def test_the_kvno_is_judged_also_of_an_account_whose_password_was_never_set() -> None:
    one = account(password_set=None)
    finding = chain.keytab_kvno(asked(), owners(one, service=one), domain(), keys(entry(kvno=3)), Trial(None))
    assert "password set" not in finding.detail


def test_keys_of_other_principals_do_not_count() -> None:
    assert kvno(entry(kvno=4, principal="host/x"), entry(kvno=3), opens=False).status is Status.FAIL
