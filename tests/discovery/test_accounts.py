"""Names and accounts: rules in their order, who bore a name when, which accounts are one person, and never a guess."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pfsquid.discovery.bearers import ALWAYS, EVER, Span, turns
from pfsquid.discovery.people import Account, Identity, Person, Principal, Rules, match

START = datetime(2026, 11, 1, tzinfo=UTC)


def day(number: int) -> datetime:
    return START + timedelta(days=number)


def entra(account_id: str = "id-rick", upn: str | None = "rick.sanchez@example.com", **more: Any) -> Account:
    return Account(
        **{"origin": "entra", "tenant": "t", "account_id": account_id, "upn": upn, "valid_from": START, **more}
    )


def synced(account_id: str = "id-rick", sam: str = "rick", **more: Any) -> Account:
    """An account of Entra ID that came from the domain."""
    here = {"sam_account_name": sam, "realm": "LAB.LOCAL", "on_premises_upn": f"{sam}@lab.local"}
    return entra(account_id, **{**here, "sid": f"S-1-5-21-1-2-3-{account_id}", **more})


def ad(account_id: str = "guid-rick", sam: str = "rick", **more: Any) -> Account:
    given = {
        "sam_account_name": sam,
        "realm": "LAB.LOCAL",
        "upn": f"{sam}@lab.local",
        "on_premises_upn": f"{sam}@lab.local",
    }
    return Account(
        **{"origin": "ad", "tenant": "lab.local", "account_id": account_id, "valid_from": START, **given, **more}
    )


def matched(
    *accounts: Account, names: tuple[str, ...], seen: tuple[Identity, ...] = (), rules: Rules | None = None
) -> tuple[dict[str, Person], list[Principal]]:
    people, principals = match(names, seen, rules or Rules(), accounts)
    return {one.person_id: one for one in people}, principals


def meant(name: str, *accounts: Account, **more: Any) -> str | None:
    """Whom a name means, where it means somebody, and always the same."""
    _, principals = matched(*accounts, names=(name,), **more)
    (one,) = principals
    return None if one.reason else one.person_id


def why(name: str, *accounts: Account, **more: Any) -> str:
    return " ".join(one.reason for one in matched(*accounts, names=(name,), **more)[1])


@pytest.mark.parametrize(
    "name",
    ["rick@LAB.LOCAL", "RICK@lab.local", r"LAB\rick", "rick", "rick.sanchez@example.com", "R.Sanchez@Example.com"],
)
def test_every_way_to_log_in_is_one_person(name: str) -> None:
    one = synced(mail="r.sanchez@example.com")
    assert meant(name, one) == "rick.sanchez@example.com"


def test_the_sam_account_name_and_domain_go_before_the_upn() -> None:
    other = entra("id-other", "rick@lab.local")
    assert meant("rick@LAB.LOCAL", synced(), other) == "rick.sanchez@example.com"


def test_the_upn_on_premises_goes_before_the_upn() -> None:
    one = synced(on_premises_upn="boss@lab.local")
    assert meant("boss@LAB.LOCAL", one, entra("id-other", "boss@lab.local")) == "rick.sanchez@example.com"


def test_the_upn_goes_before_the_mail_address() -> None:
    one, other = entra("id-1", "a@example.com"), entra("id-2", "b@example.com", mail="a@example.com")
    assert meant("a@EXAMPLE.COM", one, other) == "a@example.com"


def test_a_upn_of_sign_ins_alone_goes_before_a_mail_address() -> None:
    assert (
        meant("a@EXAMPLE.COM", entra(mail="a@example.com"), seen=(Identity("id-a", "a@example.com"),))
        == "a@example.com"
    )


def test_a_name_of_another_realm_is_not_the_domains() -> None:
    assert meant("rick@OTHER.LOCAL", synced()) is None


def test_a_mail_address_of_two_is_given_to_neither_and_both_are_named() -> None:
    accounts = (
        entra("id-1", "a@example.com", mail="team@example.com"),
        entra("id-2", "b@example.com", mail="team@example.com"),
    )
    assert meant("team@EXAMPLE.COM", *accounts) is None
    assert "2 people have this mail address: a@example.com, b@example.com" in why("team@EXAMPLE.COM", *accounts)


def test_a_bare_name_of_two_realms_is_given_to_neither() -> None:
    accounts = (ad(), ad("guid-2", tenant="two.local", realm="TWO.LOCAL", upn="rick@two.local", on_premises_upn=None))
    assert meant("rick", *accounts) is None
    assert "sAMAccountName" in why("rick", *accounts)


def test_who_is_in_no_directory_is_said_so() -> None:
    assert why("nobody@LAB.LOCAL", synced()) == "no account and no sign-in of anybody called nobody"


def test_a_cloud_account_is_found_by_the_name_before_the_at() -> None:
    assert meant("rick.sanchez@LAB.LOCAL", entra()) == "rick.sanchez@example.com"


def test_who_logs_in_under_another_name_is_not_found_by_the_name_before_the_at() -> None:
    assert meant("rick.sanchez@LAB.LOCAL", synced()) is None


def test_a_rename_keeps_one_person() -> None:
    before = synced(sam="summer", upn="summer@example.com", valid_to=day(5))
    after = synced(sam="summer.smith", upn="summer.smith@example.com", valid_from=day(5))
    assert meant("summer@LAB.LOCAL", before, after) == "summer.smith@example.com"
    _, principals = matched(before, after, names=("summer.smith@LAB.LOCAL",))
    assert (principals[-1].person_id, principals[-1].valid_from) == ("summer.smith@example.com", START)


def test_who_bore_a_name_before_the_directory_was_first_read_may_have_been_another() -> None:
    before = synced(sam="summer", upn="summer@example.com", valid_to=day(5))
    after = synced(sam="summer.smith", upn="summer.smith@example.com", valid_from=day(5))
    assert "since 2026-11-01 00:00 UTC only" in why("summer.smith@LAB.LOCAL", before, after)


def test_a_reused_name_means_the_one_of_that_time() -> None:
    first = synced("id-1", upn="rick.one@example.com", valid_to=day(5))
    second = synced("id-2", upn="rick.two@example.com", valid_from=day(9), created_at=day(8))
    _, principals = matched(first, second, names=("rick@LAB.LOCAL",))
    assert [(one.person_id, one.valid_from, one.valid_to) for one in principals] == [
        ("rick.one@example.com", None, day(8)),
        ("rick.two@example.com", day(8), None),
    ]


def test_an_account_that_went_unnoticed_had_lost_its_name_when_another_got_it() -> None:
    first = synced("id-1", upn="rick.one@example.com", valid_to=day(9))
    second = synced("id-2", upn="rick.two@example.com", valid_from=day(9), created_at=day(7))
    _, principals = matched(first, second, names=("rick@LAB.LOCAL",))
    assert [one.valid_from for one in principals] == [None, day(7)]


def test_two_people_of_one_upn_after_each_other_are_two_people() -> None:
    first, second = synced("id-1", valid_to=day(5)), synced("id-2", valid_from=day(6), created_at=day(6))
    people, principals = matched(first, second, names=("rick@LAB.LOCAL",), seen=(Identity("id-1", first.upn or ""),))
    assert [one.person_id for one in principals] == ["rick.sanchez@example.com (id-1)", "rick.sanchez@example.com"]
    assert (people["rick.sanchez@example.com (id-1)"].identities, people["rick.sanchez@example.com"].valid_to) == (
        ("id-1",),
        None,
    )


def test_a_name_is_not_given_to_who_got_it_after_the_directory_was_first_read() -> None:
    late = synced("id-2", valid_from=day(9), created_at=day(8))
    _, principals = matched(entra("id-1", "morty@example.com"), late, names=("rick@LAB.LOCAL",))
    assert [(one.person_id, one.valid_to) for one in principals] == [
        ("rick@LAB.LOCAL", day(8)),
        ("rick.sanchez@example.com", None),
    ]
    assert "since 2026-11-09 00:00 UTC only" in principals[0].reason


def test_who_is_gone_is_meant_until_another_bears_the_name() -> None:
    assert (
        meant("rick@LAB.LOCAL", synced(valid_to=day(5)), entra("id-1", "morty@example.com"))
        == "rick.sanchez@example.com"
    )


@pytest.mark.parametrize(
    ("of_entra", "of_ad"),
    [
        ({"sid": "S-1-5-21-9"}, {"sid": "S-1-5-21-9", "sam_account_name": "other"}),
        ({"immutable_id": "abc="}, {"immutable_id": "abc="}),
        ({"on_premises_upn": "RICK@lab.local"}, {}),
        ({"sam_account_name": "Rick", "realm": "LAB.LOCAL"}, {"upn": None, "on_premises_upn": None}),
        ({"upn": "rick@lab.local"}, {}),
    ],
)
def test_an_account_of_entra_and_one_of_ad_are_one_person(of_entra: dict[str, Any], of_ad: dict[str, Any]) -> None:
    people, _ = matched(entra(**of_entra), ad(**of_ad), names=())
    assert [(one.identity, one.sam_account_name) for one in people.values()] in (
        [("id-rick", "rick")],
        [("id-rick", "other")],
    )


def test_other_sids_are_other_people_whatever_their_names() -> None:
    assert len(matched(synced(sid="S-1-5-1"), ad(sid="S-1-5-2"), names=())[0]) == 2


def test_accounts_side_by_side_in_one_directory_are_two_people() -> None:
    copied = (ad("guid-1", immutable_id="x"), ad("guid-2", "rick2", immutable_id="x"))
    assert len(matched(*copied, names=())[0]) == 2


def test_a_reused_upn_joins_the_accounts_of_one_time_only() -> None:
    accounts = (
        ad("guid-1", valid_to=day(5)), ad("guid-2", valid_from=day(6)),
        entra("id-1", "a@example.com", on_premises_upn="rick@lab.local", valid_to=day(5)),
        entra("id-2", "b@example.com", on_premises_upn="rick@lab.local", valid_from=day(6)),
    )  # fmt: skip
    people, _ = matched(*accounts, names=())
    assert {one.person_id: one.valid_to for one in people.values()} == {"a@example.com": day(5), "b@example.com": None}


def test_an_account_made_anew_for_the_same_sid_is_the_same_person_with_both_identities() -> None:
    old, new = synced("id-1", sid="S-1", valid_to=day(5)), synced("id-2", sid="S-1", valid_from=day(6))
    people, _ = matched(old, new, names=("rick@LAB.LOCAL",), seen=(Identity("id-1", old.upn or ""),))
    assert [(one.identity, sorted(one.identities)) for one in people.values()] == [("id-2", ["id-1", "id-2"])]


def test_a_sign_in_finds_who_is_known_to_ad_alone() -> None:
    people, _ = matched(ad(), names=("rick@LAB.LOCAL",), seen=(Identity("id-9", "rick@example.com", "Rick"),))
    assert [(one.person_id, one.identity, one.sam_account_name) for one in people.values()] == [
        ("rick@example.com", "id-9", "rick")
    ]


def test_two_domains_of_one_name_are_not_guessed_between() -> None:
    accounts = (
        ad(),
        ad("guid-2", tenant="two.local", realm="TWO.LOCAL", upn="rick@two.local", on_premises_upn="rick@two.local"),
    )
    people, _ = matched(*accounts, names=(), seen=(Identity("id-9", "rick@example.com"),))
    assert len(people) == 3


def test_a_service_account_of_the_directory_is_no_person() -> None:
    people, principals = matched(ad("guid-1", "svc"), names=("svc@LAB.LOCAL",), rules=Rules({}, frozenset({"svc"})))
    assert (people, principals[0].kind) == ({}, "service")


def test_a_person_has_what_the_directories_say() -> None:
    people, _ = matched(
        synced(sid="S-1", department="Garage", enabled=True, display_name="Rick"),
        ad(sid="S-1", mail="r@example.com", enabled=False, valid_from=day(3)),
        names=(),
    )
    (one,) = people.values()
    assert (one.department, one.mail, one.enabled, one.valid_from, one.valid_to) == (
        "Garage",
        "r@example.com",
        True,
        START,
        None,
    )


BEARERS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(1, 9) | st.none(), st.integers(0, 3)), min_size=1, max_size=6
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(BEARERS)
def test_the_turns_of_a_name_follow_each_other_without_a_gap(given_: list[tuple[int, int | None, int]]) -> None:
    told = turns(Span(EVER if b == 0 else day(b), ALWAYS if n is None else day(b + n), who) for b, n, who in given_)
    assert (told[0].begin, told[-1].end) == (EVER, ALWAYS)
    assert all(one.end == other.begin and one.who != other.who for one, other in pairwise(told))
    assert all(turn.who for turn in told[1:]), "once borne, a name means somebody"


def test_five_thousand_people_are_matched() -> None:
    accounts = [synced(f"id-{n}", f"user{n}", upn=f"user{n}@example.com") for n in range(5000)]
    accounts += [ad(f"guid-{n}", f"user{n}", sid=f"S-1-5-21-1-2-3-id-{n}") for n in range(5000)]
    people, principals = matched(*accounts, names=tuple(f"user{n}@LAB.LOCAL" for n in range(5000)))
    assert len(people) == 5000 and not any(one.reason for one in principals)
