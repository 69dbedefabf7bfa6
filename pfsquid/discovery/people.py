"""Principal → person: whom a user name in the access log means among the accounts and the sign-ins. Pure.

A realm differs from the UPN's suffix as a rule (rick.sanchez@LAB.LOCAL signs in as rick.sanchez@lab.example). Names are
matched in this order, each match unique or reported: sAMAccountName and domain, UPN on premises, UPN, UPN with a
configured suffix for the realm, mail; and where no account of a directory bears the name, by the UPNs of Entra ID: the
whole name, the name with a configured suffix, the name before the `@`. Never guesses between two people.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from pfsquid.discovery.bearers import ALWAYS, EVER, Account, Bearers, Turn, first_listings
from pfsquid.discovery.claims import Known, settle
from pfsquid.discovery.individuals import AD, ENTRA, Identity, Individual, individuals
from pfsquid.discovery.realms import (
    COMPUTER,
    PERSON,
    SERVICE,
    Name,
    Realms,
    Rules,
    kind_of,
    split_principal,
)

__all__ = [
    "COMPUTER",
    "PERSON",
    "SERVICE",
    "Account",
    "Identity",
    "Person",
    "Principal",
    "Rules",
    "kind_of",
    "match",
    "split_principal",
]


@dataclass(frozen=True)
class Person:
    """One person. person_id: the UPN where there is one, else the principal (sam@REALM). identity: the newest user of
    Entra ID. valid_from, valid_to: since when a directory has the person, and until when it had; None where no
    directory was read, or the person is there now. identities: all keys of the sign-ins."""

    person_id: str
    identity: str | None
    upn: str | None
    sam_account_name: str | None
    realm: str | None
    display_name: str | None
    department: str | None = None
    mail: str | None = None
    enabled: bool | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    identities: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Principal:
    """What a user name of the access log means in a span of time; the spans of a name follow each other without a gap.

    kind: person, computer or service. reason: why it matches nobody, or ''. valid_from, valid_to (not included): None
    is from, or to, the end of time.
    """

    user_name: str
    kind: str
    person_id: str | None
    reason: str
    valid_from: datetime | None = None
    valid_to: datetime | None = None


Meaning = tuple[Turn, str]
"""Whom a name means in a span of time, and why it means nobody where it does not mean one."""
_WORDS = {
    "sam": "have this sAMAccountName in the domain",
    "bare": "have this sAMAccountName, each in a realm of their own: let the helper log the realm",
    "on_premises_upn": "have this UPN on premises",
    "upn": "have this UPN",
    "mail": "have this mail address",
}


def match(
    user_names: Iterable[str], identities: Iterable[Identity], rules: Rules, accounts: Iterable[Account] = ()
) -> tuple[list[Person], list[Principal]]:
    """All people behind the user names, the sign-ins and the accounts, and what each user name means when; both in a
    stable order."""
    kinds = {one: kind_of(one, rules) for one in sorted(set(user_names))}
    logged = [one for one, kind in kinds.items() if kind == PERSON]
    versions = [one for one in accounts if _may_be_a_person(one, rules)]
    directory = {one.realm.upper() for one in versions if one.realm}
    realms = Realms({split_principal(one)[1] for one in logged}, rules, directory)
    spelled: dict[Name, list[str]] = defaultdict(list)
    for one in logged:
        spelled[realms.meant(one)].append(one)

    crowd = dict(enumerate(individuals(versions, identities)))
    meanings = _meanings(spelled.keys(), crowd, realms, versions)
    people = _people(crowd, meanings, spelled)
    taken = {person.person_id for person in people.values()}
    everybody = list(people.values())
    principals = [Principal(one, kind, None, "") for one, kind in kinds.items() if kind != PERSON]
    for name, spellings in spelled.items():
        stranger = _stranger(name, spellings, taken)
        told = meanings[name]
        if any(len(turn.who) != 1 for turn, _ in told):
            everybody.append(stranger)
        for (turn, reason), following in zip(told, [*told[1:], None], strict=True):
            known = len(turn.who) == 1
            person = people[turn.who[0]] if known else stranger
            why = "" if known else _why(turn, reason, following[0] if following else None, people)
            begin, end = (None if moment in (EVER, ALWAYS) else moment for moment in (turn.begin, turn.end))
            principals += [Principal(one, PERSON, person.person_id, why, begin, end) for one in spellings]
    everybody.sort(key=lambda person: person.person_id)
    principals.sort(key=lambda one: (one.user_name, one.valid_from or EVER))
    return everybody, principals


def _meanings(
    names: Collection[Name], crowd: dict[int, Individual], realms: Realms, versions: Sequence[Account]
) -> dict[Name, list[Meaning]]:
    """Whom each name means when. Who is known to AD alone is joined with the user of Entra ID that is found for them,
    in `crowd`."""
    bearers = Bearers({number: one.accounts for number, one in crowd.items()}, first_listings(versions))
    known = Known(crowd)
    borne = {name: told for name in names if (told := _borne(name, bearers, realms, known))}
    loners = _loners(crowd, bearers)
    nobody = "no account and no sign-in" if versions else "no sign-in"
    claims = settle([*(name for name in names if name not in borne), *loners], known, realms, nobody)
    owner = {number: number for number in crowd}
    for name, number in loners.items():
        other = claims[name].who
        if other is not None:
            crowd[number] = crowd[number].with_(crowd.pop(other))
            owner[other] = number
    meanings: dict[Name, list[Meaning]] = {}
    for name in names:
        if name in borne:
            told = borne[name]
        else:
            who = claims[name].who
            told = [(Turn(EVER, ALWAYS, () if who is None else (who,)), claims[name].reason)]
        meanings[name] = [
            (Turn(turn.begin, turn.end, tuple(sorted({owner[number] for number in turn.who}))), reason)
            for turn, reason in told
        ]
    return meanings


def _may_be_a_person(one: Account, rules: Rules) -> bool:
    names = [one.sam_account_name, one.upn]
    if one.sam_account_name and one.realm:
        names.append(f"{one.sam_account_name}@{one.realm}")
    return all(kind_of(name, rules) == PERSON for name in names if name)


def _borne(name: Name, bearers: Bearers, realms: Realms, known: Known) -> list[Meaning]:
    """Whom a name means by the directories, by the first rule under which anybody ever bore it; [] where nobody did."""
    sam, realm = name
    whole = f"{sam}@{realm}".casefold()
    rules: list[tuple[str, Sequence[object]]] = [
        ("sam", [name]) if realm else ("bare", [sam]),
        ("on_premises_upn", [whole]),
        ("upn", [whole]),
        ("upn", realms.upns(name)),
        ("mail", [] if whole in known.by_upn else [whole]),  # a UPN that only sign-ins tell goes before a mail address
    ]
    for kind, wanted in rules:
        if told := bearers.of(kind, *wanted):
            return [(turn, _WORDS[kind]) for turn in told]
    return []


def _loners(crowd: Mapping[int, Individual], bearers: Bearers) -> dict[Name, int]:
    """Who is known to AD alone, by a name that nobody else ever had: sign-ins may still be found for them."""
    found: dict[Name, int] = {}
    for number, one in crowd.items():
        if not one.is_known_to_entra:
            for account in one.newest(AD)[:1]:
                name = ((account.sam_account_name or "").casefold(), (account.realm or "").upper())
                if {who for turn in bearers.of("sam", name) for who in turn.who} == {number}:
                    found[name] = number
    return found


def _people(
    crowd: Mapping[int, Individual],
    meanings: Mapping[Name, Sequence[Meaning]],
    spelled: Mapping[Name, Sequence[str]],
) -> dict[int, Person]:
    """The individuals as people, each with an id of their own: who alone has a UPN now is called by it."""
    names: dict[int, list[Name]] = defaultdict(list)
    for name, told in meanings.items():
        for turn, _ in told:
            if len(turn.who) == 1:
                names[turn.who[0]].append(name)
    made = {number: _person(one, names[number], spelled) for number, one in crowd.items()}
    namesakes: dict[str, list[int]] = defaultdict(list)
    for number, person in made.items():
        namesakes[person.person_id.casefold()].append(number)
    for numbers in namesakes.values():
        now = [number for number in numbers if made[number].valid_from and not made[number].valid_to]
        for number in numbers if len(numbers) > 1 else ():
            person = made[number]
            if now != [number]:
                key = person.identity or crowd[number].accounts[0][0].account_id
                made[number] = replace(person, person_id=f"{person.person_id} ({key})")
    return made


def _person(one: Individual, names: Sequence[Name], spelled: Mapping[Name, Sequence[str]]) -> Person:
    entra, ad = one.newest(ENTRA), one.newest(AD)
    both = [*entra, *ad]
    last = one.identities[-1] if one.identities else None
    keys = [*(identity.key for identity in one.identities), *(account.account_id for account in entra)]
    seen_upn, seen_name = (last.upn, last.display_name) if last else (None, None)
    upns = [*(account.upn for account in entra), seen_upn]
    if seen_upn and seen_upn.casefold() == (_first(upns) or "").casefold():
        upns = [seen_upn]  # as it was called when only sign-ins were known
    upn = _first([*upns, *(account.upn for account in ad)])
    sam = _first(account.sam_account_name for account in (*ad, *entra))
    realm = _first(account.realm for account in (*ad, *entra))
    if sam is None and names:
        sam, realm = split_principal(spelled[names[0]][0])[0], names[0][1] or None
    now = [account for account in both if account.valid_to is None]
    ended = [account.valid_to for account in both if account.valid_to]
    flags = {account.enabled for account in now} - {None}
    return Person(
        person_id=upn or (f"{sam}@{realm}" if sam and realm else sam) or both[0].account_id,
        identity=_first([*(key for key in keys if entra and key.casefold() == entra[0].account_id), *reversed(keys)]),
        upn=upn,
        sam_account_name=sam,
        realm=realm,
        display_name=_first([*(account.display_name for account in both), seen_name]),
        department=_first(account.department for account in both),
        mail=_first(account.mail for account in both),
        enabled=any(flags) if flags else (None if now or not both else False),
        valid_from=min((versions[0].valid_from for versions in one.accounts), default=None),
        valid_to=max(ended) if ended and not now else None,
        identities=tuple(dict.fromkeys(keys)),
    )


def _stranger(name: Name, spellings: Sequence[str], taken: Collection[str]) -> Person:
    """Whoever bears a name that nobody is known by."""
    sam, realm = split_principal(spellings[0])[0], name[1]
    person_id = f"{sam}@{realm}" if realm else sam
    return Person(f"{person_id} (unmatched)" if person_id in taken else person_id, None, None, sam, realm or None, None)


def _why(turn: Turn, reason: str, following: Turn | None, people: Mapping[int, Person]) -> str:
    """Why a turn means nobody: several bore the name, or the one who did came later; else as the claim says."""
    meant = sorted(people[number].person_id for number in turn.who)
    if meant:
        return f"{len(meant)} people {reason}: {', '.join(meant)}"
    if following is None:
        return reason
    follower = " or ".join(sorted(people[number].person_id for number in following.who))
    return f"{follower} has this name since {turn.end:%Y-%m-%d %H:%M} UTC only; who had it before is not known"


def _first(values: Iterable[str | None]) -> str | None:
    return next((value for value in values if value), None)
