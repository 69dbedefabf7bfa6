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
    known = sorted(identities, key=lambda identity: identity.key)
    accounts: dict[tuple[str, str], list[str]] = defaultdict(list)
    principals = []
    realms = {split_principal(name)[1] for name in names if kind_of(name, rules) == PERSON} - {""}
    for name in names:
        kind = kind_of(name, rules)
        if kind == PERSON:
            sam, realm = split_principal(name)
            accounts[(sam.casefold(), _whole_realm(realm, realms))].append(name)
        else:
            principals.append(Principal(name, kind, None, ""))
    claims = {account: _candidates(account, known, rules) for account in accounts}
    people: dict[str, Person] = {}
    for account, spellings in accounts.items():
        identity, reason = _settle(account, claims)
        person = _person(account, spellings, identity)
        people[person.person_id] = person
        principals += [Principal(name, PERSON, person.person_id, reason) for name in spellings]
    matched = {person.identity for person in people.values()}
    for identity in known:
        if identity.key not in matched:
            people.setdefault(
                identity.upn, Person(identity.upn, identity.key, identity.upn, None, None, identity.display_name)
            )
    return sorted(people.values(), key=lambda person: person.person_id), sorted(
        principals, key=lambda one: one.user_name
    )


def _whole_realm(realm: str, realms: set[str]) -> str:
    """A NetBIOS domain as the Kerberos realm that it is the first label of, and a missing realm as the only one."""
    if not realm:
        return next(iter(realms)) if len(realms) == 1 else ""
    if "." not in realm:
        longer = [other for other in realms if other.startswith(realm + ".")]
        if len(longer) == 1:
            return longer[0]
    return realm


def _candidates(account: tuple[str, str], known: list[Identity], rules: Rules) -> tuple[int, list[Identity]]:
    """Who may be meant, and by how strong a rule (0 is the strongest)."""
    sam, realm = account
    suffixes = {name.casefold(): values for name, values in rules.suffixes.items()}.get(realm.casefold(), ())
    whole = [identity for identity in known if identity.upn.casefold() == f"{sam}@{realm}".casefold()]
    if whole:
        return 0, whole
    wanted = {f"{sam}@{suffix}".casefold() for suffix in suffixes}
    named = [identity for identity in known if identity.upn.casefold() in wanted]
    if named or suffixes:
        return 1, named
    local = [identity for identity in known if identity.upn.partition("@")[0].casefold() == sam]
    return 2, [identity for identity in local if not _GUID.fullmatch(identity.upn)]


def _settle(
    account: tuple[str, str], claims: Mapping[tuple[str, str], tuple[int, list[Identity]]]
) -> tuple[Identity | None, str]:
    strength, candidates = claims[account]
    sam = account[0]
    if not candidates:
        return None, f"no sign-in of anybody called {sam}"
    if len(candidates) > 1:
        upns = ", ".join(identity.upn for identity in candidates)
        cure = "name the realm's suffix under people.realms"
        return None, f"{len(candidates)} users of Entra ID are called {sam} ({upns}): {cure}"
    identity = candidates[0]
    rivals = [
        other
        for other, (strong, who) in claims.items()
        if other != account and len(who) == 1 and who[0] == identity and strong <= strength
    ]
    if rivals:
        names = ", ".join(sorted(f"{name}@{where}" if where else name for name, where in rivals))
        return None, f"{identity.upn} may also be {names}: name the realms' suffixes under people.realms"
    return identity, ""


def _person(account: tuple[str, str], spellings: list[str], identity: Identity | None) -> Person:
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
