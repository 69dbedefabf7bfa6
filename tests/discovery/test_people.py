"""Whom a user name of the log means: rules in their order, each match unique, and never a guess."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pfsquid.discovery.people import COMPUTER, PERSON, SERVICE, Identity, Person, Principal, Rules, kind_of, match

RICK = Identity("id-rick", "rick.sanchez@example.com", "Rick Sanchez")
MORTY = Identity("id-morty", "morty.smith@example.com", "Morty Smith")
OTHER_RICK = Identity("id-other", "rick.sanchez@partner.example", "Rick Sanchez of the partner")


def matched(name: str, *identities: Identity, names: tuple[str, ...] = (), rules: Rules | None = None) -> str | None:
    """The key of the identity that `name` is given, with `names` in the same log."""
    people, principals = match([name, *names], identities, rules or Rules())
    person_id = next(one.person_id for one in principals if one.user_name == name)
    return next((person.identity for person in people if person.person_id == person_id), None)


def reason(name: str, *identities: Identity, names: tuple[str, ...] = (), rules: Rules | None = None) -> str:
    """Why `name` matches nobody, or ''."""
    _, principals = match([name, *names], identities, rules or Rules())
    return next(one.reason for one in principals if one.user_name == name)


def test_a_realm_that_is_not_the_upn_suffix_is_the_normal_case() -> None:
    assert matched("rick.sanchez@LAB.LOCAL", RICK, MORTY) == "id-rick"


def test_the_whole_name_goes_before_the_name_before_the_at() -> None:
    assert matched("rick.sanchez@EXAMPLE.COM", RICK, OTHER_RICK) == "id-rick"


def test_the_whole_name_goes_before_a_configured_suffix() -> None:
    rules = Rules({"EXAMPLE.COM": ("partner.example",)})
    assert matched("rick.sanchez@EXAMPLE.COM", RICK, OTHER_RICK, rules=rules) == "id-rick"


def test_a_configured_suffix_goes_before_the_name_before_the_at() -> None:
    rules = Rules({"LAB.LOCAL": ("partner.example",)})
    assert matched("rick.sanchez@LAB.LOCAL", RICK, OTHER_RICK, rules=rules) == "id-other"


def test_a_realm_with_configured_suffixes_is_never_matched_by_the_bare_name() -> None:
    rules = Rules({"LAB.LOCAL": ("elsewhere.example",)})
    assert matched("rick.sanchez@LAB.LOCAL", RICK, rules=rules) is None


def test_the_realm_of_the_configuration_may_be_written_in_any_case() -> None:
    rules = Rules({"Lab.local": ("partner.example",)})
    assert matched("rick.sanchez@LAB.LOCAL", RICK, OTHER_RICK, rules=rules) == "id-other"


@pytest.mark.parametrize(
    "name", ["RICK.SANCHEZ@lab.local", "Rick.Sanchez@LAB.LOCAL", r"lab\rick.sanchez", "RICK.SANCHEZ"]
)
def test_case_does_not_matter(name: str) -> None:
    assert matched(name, RICK, MORTY) == "id-rick"


@pytest.mark.parametrize(
    ("name", "upn"),
    [
        ("Rick Sanchez@LAB.LOCAL", "rick sanchez@example.com"),
        ("jörg.müller@LAB.LOCAL", "jörg.müller@example.com"),
        ("GROẞ@LAB.LOCAL", "groß@example.com"),
        ("o'neil@LAB.LOCAL", "o'neil@example.com"),
    ],
)
def test_spaces_umlauts_and_quotes_are_part_of_a_name(name: str, upn: str) -> None:
    assert matched(name, Identity("id", upn)) == "id"


def test_a_netbios_domain_is_the_realm_that_it_is_the_first_label_of() -> None:
    people, _ = match([r"LAB\rick.sanchez", "rick.sanchez@LAB.LOCAL"], [RICK], Rules())
    assert [(person.realm, person.identity) for person in people] == [("LAB.LOCAL", "id-rick")]


def test_a_netbios_domain_of_two_realms_is_neither() -> None:
    people, _ = match([r"LAB\rick", "morty@LAB.ONE", "morty@LAB.TWO"], [], Rules())
    assert [person.realm for person in people if person.sam_account_name == "rick"] == ["LAB"]


def test_a_netbios_domain_finds_the_suffixes_of_its_realm_in_the_configuration() -> None:
    rules = Rules({"LAB.LOCAL": ("partner.example",)})
    assert matched(r"LAB\rick.sanchez", RICK, OTHER_RICK, rules=rules) == "id-other"


def test_a_realm_finds_the_suffixes_of_its_netbios_domain_in_the_configuration() -> None:
    rules = Rules({"LAB": ("partner.example",)})
    assert matched("rick.sanchez@LAB.LOCAL", RICK, OTHER_RICK, rules=rules) == "id-other"


def test_the_realm_itself_wins_over_its_netbios_domain_in_the_configuration() -> None:
    rules = Rules({"LAB.LOCAL": ("partner.example",), "LAB": ("example.com",)})
    assert matched("rick.sanchez@LAB.LOCAL", RICK, OTHER_RICK, rules=rules) == "id-other"


def test_a_bare_name_belongs_to_the_only_realm_of_the_log() -> None:
    people, _ = match(["rick.sanchez", "rick.sanchez@LAB.LOCAL"], [RICK], Rules())
    assert len(people) == 1


def test_a_bare_name_belongs_to_no_realm_where_the_log_has_two() -> None:
    people, _ = match(["rick", "morty@ONE.LOCAL", "morty@TWO.LOCAL"], [], Rules())
    assert [person.realm for person in people if person.sam_account_name == "rick"] == [None]


def test_bare_names_alone_belong_to_the_only_realm_of_the_configuration() -> None:
    rules = Rules({"LAB.LOCAL": ("partner.example",)})
    assert matched("rick.sanchez", RICK, OTHER_RICK, rules=rules) == "id-other"


def test_one_name_in_two_realms_is_given_to_neither() -> None:
    names = ("rick.sanchez@ONE.LOCAL", "rick.sanchez@TWO.LOCAL")
    assert [matched(name, RICK, names=names) for name in names] == [None, None]


def test_one_name_in_two_realms_says_that_people_realms_solves_it() -> None:
    text = reason("rick.sanchez@ONE.LOCAL", RICK, names=("rick.sanchez@TWO.LOCAL",))
    assert "people.realms" in text and "rick.sanchez@TWO.LOCAL" in text


def test_one_name_in_two_realms_is_solved_by_the_configuration() -> None:
    names = ("rick.sanchez@ONE.LOCAL", "rick.sanchez@TWO.LOCAL")
    rules = Rules({"ONE.LOCAL": ("example.com",), "TWO.LOCAL": ("partner.example",)})
    assert [matched(name, RICK, OTHER_RICK, names=names, rules=rules) for name in names] == ["id-rick", "id-other"]


def test_two_realms_of_one_suffix_are_not_told_apart() -> None:
    rules = Rules({"ONE.LOCAL": ("example.com",), "TWO.LOCAL": ("example.com",)})
    assert matched("rick.sanchez@ONE.LOCAL", RICK, names=("rick.sanchez@TWO.LOCAL",), rules=rules) is None


def test_the_stronger_rule_wins_over_the_name_before_the_at() -> None:
    names = ("rick.sanchez@EXAMPLE.COM", "rick.sanchez@LAB.LOCAL")
    assert [matched(name, RICK, names=names) for name in names] == ["id-rick", None]


def test_two_users_of_one_name_are_not_guessed_between() -> None:
    assert matched("rick.sanchez@LAB.LOCAL", RICK, OTHER_RICK) is None


def test_two_users_of_one_name_are_named_with_the_cure() -> None:
    text = reason("rick.sanchez@LAB.LOCAL", RICK, OTHER_RICK)
    assert RICK.upn in text and OTHER_RICK.upn in text and "people.realms" in text


def test_two_accounts_of_one_upn_say_so_and_name_no_cure_that_is_none() -> None:
    text = reason("rick.sanchez@LAB.LOCAL", RICK, Identity("id-again", RICK.upn))
    assert "bear the UPN rick.sanchez@example.com" in text and "people.realms" not in text


def test_two_accounts_of_one_upn_are_both_people() -> None:
    people, _ = match([], [RICK, Identity("id-again", RICK.upn)], Rules())
    assert [person.person_id for person in people] == [f"{RICK.upn} (id-again)", f"{RICK.upn} (id-rick)"]


def test_a_guid_for_a_upn_names_nobody() -> None:
    guid = "7b1c1c9e-0a54-4c1e-9d3b-2f4b2f1c9e11"
    assert matched(f"{guid}@LAB.LOCAL", Identity("id", guid)) is None


def test_a_guest_is_matched_by_no_local_account_of_another_name() -> None:
    guest = Identity("id-guest", "rick.sanchez_partner.example#EXT#@example.onmicrosoft.com")
    assert matched("rick.sanchez@LAB.LOCAL", guest, RICK) == "id-rick"


@pytest.mark.parametrize(
    "name", ["WS1$@LAB.LOCAL", r"LAB\WS1$", "ws1$", "host/ws1.lab.local@LAB.LOCAL", "host/ws1.lab.local"]
)
def test_a_computer_account_is_no_person(name: str) -> None:
    assert match([name], [Identity("id", "ws1$@lab.local")], Rules())[1] == [Principal(name, COMPUTER, None, "")]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("svc_backup@LAB.LOCAL", SERVICE),
        (r"LAB\SVC_Backup", SERVICE),
        ("svc_backup", SERVICE),
        ("scanner@LAB.LOCAL", SERVICE),
        ("scanner@OTHER.LOCAL", PERSON),
        ("svc_backup2@LAB.LOCAL", PERSON),
    ],
)
def test_services_are_named_with_or_without_realm(name: str, kind: str) -> None:
    assert kind_of(name, Rules(services=frozenset({"svc_backup", "scanner@lab.local"}))) == kind


def test_who_is_matched_bears_the_upn_and_the_name_of_the_sign_ins() -> None:
    people, _ = match(["Rick.Sanchez@LAB.LOCAL"], [RICK], Rules())
    assert people == [Person(RICK.upn, "id-rick", RICK.upn, "Rick.Sanchez", "LAB.LOCAL", "Rick Sanchez")]


def test_who_is_not_matched_is_a_person_all_the_same() -> None:
    people, principals = match(["nobody@LAB.LOCAL"], [RICK], Rules())
    assert people[0] == Person("nobody@LAB.LOCAL", None, None, "nobody", "LAB.LOCAL", None)
    assert principals[0].reason == "no sign-in of anybody called nobody"


def test_an_identity_without_traffic_is_a_person() -> None:
    people, _ = match([], [MORTY], Rules())
    assert people == [Person(MORTY.upn, "id-morty", MORTY.upn, None, None, "Morty Smith")]


def test_a_changed_upn_of_one_user_id_is_one_person() -> None:
    people, _ = match(["summer@LAB.LOCAL"], [Identity("id-summer", "summer@example.com")], Rules())
    assert [(person.person_id, person.identity) for person in people] == [("summer@example.com", "id-summer")]


def test_the_order_is_stable() -> None:
    people, principals = match(["b@X.Y", "A@X.Y", "a@X.Y"], [MORTY, RICK], Rules())
    assert [person.person_id for person in people] == ["A@X.Y", "b@X.Y", MORTY.upn, RICK.upn]
    assert [one.user_name for one in principals] == ["A@X.Y", "a@X.Y", "b@X.Y"]


SAMS = st.sampled_from(["rick", "Rick", "morty", "jörg m", "ws1$", "svc", "host/ws", "", "a@b"])
REALMS = st.sampled_from(["LAB.LOCAL", "lab.local", "LAB", "TWO.LOCAL", "EXAMPLE.COM"])
NAMES = st.one_of(
    st.builds("{}@{}".format, SAMS, REALMS),
    st.builds("{1}\\{0}".format, SAMS, REALMS),
    SAMS.filter(bool),
    st.text("ab@\\$/. ", min_size=1, max_size=6),
)
UPNS = st.builds("{}@{}".format, SAMS, st.sampled_from(["example.com", "partner.example", "lab.local", "two.local"]))
IDENTITIES = st.lists(st.tuples(st.sampled_from("abcdef"), UPNS), max_size=6, unique_by=lambda pair: pair[0]).map(
    lambda pairs: [Identity(key, upn) for key, upn in pairs]
)
RULES = st.builds(
    Rules,
    st.dictionaries(REALMS, st.lists(st.sampled_from(["example.com", "partner.example"]), max_size=2).map(tuple)),
    st.just(frozenset({"svc"})),
)
bounded = settings(max_examples=150, deadline=None, derandomize=True)


@bounded
@given(st.lists(NAMES, max_size=8), IDENTITIES, RULES)
def test_every_user_name_is_answered_exactly_once(names: list[str], known: list[Identity], rules: Rules) -> None:
    _, principals = match(names, known, rules)
    assert [one.user_name for one in principals] == sorted(set(names))


@bounded
@given(st.lists(NAMES, max_size=8), IDENTITIES, RULES)
def test_no_identity_is_two_people_and_none_is_lost(names: list[str], known: list[Identity], rules: Rules) -> None:
    people, _ = match(names, known, rules)
    assert sorted(person.identity for person in people if person.identity) == sorted(one.key for one in known)


@bounded
@given(st.lists(NAMES, max_size=8), IDENTITIES, RULES)
def test_every_person_has_an_id_of_their_own(names: list[str], known: list[Identity], rules: Rules) -> None:
    people, principals = match(names, known, rules)
    ids = [person.person_id for person in people]
    assert len(set(ids)) == len(ids)
    assert {one.person_id for one in principals if one.kind == PERSON} <= set(ids)


@bounded
@given(st.lists(NAMES, max_size=8), IDENTITIES, RULES, st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(names: list[str], known: list[Identity], rules: Rules, random) -> None:  # type: ignore[no-untyped-def]
    mixed, others = list(names), list(known)
    random.shuffle(mixed)
    random.shuffle(others)
    assert match(mixed, others, rules) == match(names, known, rules)
