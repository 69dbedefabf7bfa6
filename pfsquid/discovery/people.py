"""Principal → person: whom a user name in the access log means among the people of Entra ID. Pure.

A realm differs from the UPN's suffix as a rule (rick.sanchez@LAB.LOCAL signs in as rick.sanchez@lab.example). Names are
matched in this order, each match unique or reported: the whole name, the name with a configured suffix for its
realm, the name before the `@`. Never guesses between two people.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

PERSON, COMPUTER, SERVICE = "person", "computer", "service"
Account = tuple[str, str]  # (name before the @, casefolded; Kerberos realm in capitals, or '')
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True)
class Identity:
    """A user of Entra ID as the sign-ins show them. key: user_id, or the UPN where there is none."""

    key: str
    upn: str
    display_name: str | None = None


@dataclass(frozen=True)
class Person:
    """One person. person_id: the UPN where the person is known to Entra ID, else the principal (sam@REALM)."""

    person_id: str
    identity: str | None
    upn: str | None
    sam_account_name: str | None
    realm: str | None
    display_name: str | None


@dataclass(frozen=True)
class Principal:
    """A user name of the access log. kind: person, computer or service. reason: why it matches nobody, or ''."""

    user_name: str
    kind: str
    person_id: str | None
    reason: str


@dataclass(frozen=True)
class Rules:
    """What the administrator knows. suffixes: realm (any case) → UPN suffixes. services: user names, or their part
    before the `@`, that are no people."""

    suffixes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    services: frozenset[str] = frozenset()


def split_principal(user_name: str) -> tuple[str, str]:
    r"""(name, realm) of `sam@REALM`, `DOMAIN\sam` or a bare name; the realm in capitals, '' where there is none."""
    if "\\" in user_name:
        realm, _, sam = user_name.partition("\\")
    else:
        sam, _, realm = user_name.rpartition("@") if "@" in user_name else (user_name, "", "")
    return sam.strip(), realm.strip().upper()


def kind_of(user_name: str, rules: Rules) -> str:
    """person, computer (`WS1$`, `host/ws1.lab.example`) or service (as configured)."""
    sam, _ = split_principal(user_name)
    if sam.endswith("$") or "/" in sam:
        return COMPUTER
    services = {name.casefold() for name in rules.services}
    return SERVICE if {user_name.casefold(), sam.casefold()} & services else PERSON


def match(
    user_names: Iterable[str], identities: Iterable[Identity], rules: Rules
) -> tuple[list[Person], list[Principal]]:
    """All people behind the user names and the identities, and what each user name means; both in a stable order."""
    names = sorted(set(user_names))
    realms = _Realms({split_principal(name)[1] for name in names if kind_of(name, rules) == PERSON}, rules)
    known = _Known(identities)
    accounts: dict[Account, list[str]] = defaultdict(list)
    principals = []
    for name in names:
        kind = kind_of(name, rules)
        if kind == PERSON:
            sam, realm = split_principal(name)
            accounts[(sam.casefold(), realms.whole[realm])].append(name)
        else:
            principals.append(Principal(name, kind, None, ""))
    claims = {account: _candidates(account, known, realms) for account in accounts}
    claimants: dict[str, list[Account]] = defaultdict(list)
    for account, (_, candidates) in claims.items():
        if len(candidates) == 1:
            claimants[candidates[0].key].append(account)
    people: dict[str, Person] = {}
    for account, spellings in accounts.items():
        identity, reason = _settle(account, claims, claimants)
        person = _person(account, spellings, identity)
        people[person.person_id] = person
        principals += [Principal(name, PERSON, person.person_id, reason) for name in spellings]
    matched = {person.identity for person in people.values()}
    for identity in known.identities:
        if identity.key not in matched:
            alone = len(known.by_upn[identity.upn.casefold()]) == 1 and identity.upn not in people
            person_id = identity.upn if alone else f"{identity.upn} ({identity.key})"
            people[person_id] = Person(person_id, identity.key, identity.upn, None, None, identity.display_name)
    return sorted(people.values(), key=lambda person: person.person_id), sorted(
        principals, key=lambda one: one.user_name
    )


class _Known:
    """The identities, by UPN and by what stands before its @ (a GUID there names nobody)."""

    def __init__(self, identities: Iterable[Identity]) -> None:
        self.identities = sorted(identities, key=lambda identity: identity.key)
        self.by_upn: dict[str, list[Identity]] = defaultdict(list)
        self.by_local: dict[str, list[Identity]] = defaultdict(list)
        for identity in self.identities:
            self.by_upn[identity.upn.casefold()].append(identity)
            if not _GUID.fullmatch(identity.upn):
                self.by_local[identity.upn.partition("@")[0].casefold()].append(identity)


class _Realms:
    """The realms of the log and of the configuration.

    whole: a realm as logged → the Kerberos realm meant: a NetBIOS domain is the realm that it is the first label of, a
    missing realm (`-r` of the helper) is the only one that there is, else ''. suffixes: such a realm → UPN suffixes.
    """

    def __init__(self, logged: set[str], rules: Rules) -> None:
        named = {realm.upper(): suffixes for realm, suffixes in rules.suffixes.items()}
        every = (logged | named.keys()) - {""}
        self.whole = {realm: _whole_realm(realm, every) for realm in every}
        candidates = {self.whole[realm] for realm in logged - {""}} or set(self.whole.values())
        self.whole[""] = candidates.pop() if len(candidates) == 1 else ""
        short_first = sorted(named, key=lambda realm: ("." in realm, realm))
        self.suffixes = {self.whole[realm]: named[realm] for realm in short_first}


def _whole_realm(realm: str, every: set[str]) -> str:
    longer = [other for other in every if other.startswith(realm + ".")] if "." not in realm else []
    return longer[0] if len(longer) == 1 else realm


def _candidates(account: Account, known: _Known, realms: _Realms) -> tuple[int, list[Identity]]:
    """Who may be meant, and by how strong a rule (0 is the strongest)."""
    sam, realm = account
    whole = known.by_upn.get(f"{sam}@{realm}".casefold())
    if whole:
        return 0, whole
    suffixes = realms.suffixes.get(realm, ())
    if suffixes:
        wanted = sorted({f"{sam}@{suffix}".casefold() for suffix in suffixes})
        return 1, [identity for upn in wanted for identity in known.by_upn.get(upn, ())]
    return 2, known.by_local.get(sam, [])


def _settle(
    account: Account, claims: Mapping[Account, tuple[int, list[Identity]]], claimants: Mapping[str, list[Account]]
) -> tuple[Identity | None, str]:
    strength, candidates = claims[account]
    sam = account[0]
    if not candidates:
        return None, f"no sign-in of anybody called {sam}"
    if len(candidates) > 1:
        upns = sorted({identity.upn for identity in candidates})
        if len({upn.casefold() for upn in upns}) == 1:
            return None, f"{len(candidates)} accounts of Entra ID bear the UPN {upns[0]}, one after the other"
        cure = "name the realm's suffix under people.realms"
        return None, f"{len(candidates)} users of Entra ID are called {sam} ({', '.join(upns)}): {cure}"
    identity = candidates[0]
    rivals = [other for other in claimants[identity.key] if other != account and claims[other][0] <= strength]
    if rivals:
        names = ", ".join(sorted(f"{name}@{where}" if where else name for name, where in rivals))
        return None, f"{identity.upn} may also be {names}: name the realms' suffixes under people.realms"
    return identity, ""


def _person(account: Account, spellings: list[str], identity: Identity | None) -> Person:
    realm = account[1]
    shown = split_principal(spellings[0])[0]
    person_id = identity.upn if identity else (f"{shown}@{realm}" if realm else shown)
    return Person(
        person_id=person_id,
        identity=identity.key if identity else None,
        upn=identity.upn if identity else None,
        sam_account_name=shown,
        realm=realm or None,
        display_name=identity.display_name if identity else None,
    )
