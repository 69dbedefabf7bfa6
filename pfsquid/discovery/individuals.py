"""Accounts of Entra ID and AD, and users seen in sign-ins → individuals: which of them are one person. Pure.

By SID, by immutable id; then, where each has exactly one counterpart at the same time, by the UPN on premises, by
sAMAccountName and realm, by the UPN. Two accounts that stand side by side in one directory are never one person.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product

from pfsquid.discovery.bearers import ALWAYS, Account

Versions = tuple[Account, ...]
"""All versions of one account, in order."""
AD, ENTRA = "ad", "entra"


@dataclass(frozen=True)
class Identity:
    """A user of Entra ID as the sign-ins show them. key: user_id, or the UPN where there is none."""

    key: str
    upn: str
    display_name: str | None = None


@dataclass(frozen=True)
class Individual:
    """One person, as far as directories and sign-ins tell."""

    accounts: tuple[Versions, ...] = ()
    identities: tuple[Identity, ...] = ()

    def newest(self, *origins: str) -> list[Account]:
        """The last version of each account; those that hold now first, of these the origins in their order."""
        last = [versions[-1] for versions in self.accounts if versions[-1].origin in origins]
        last.sort(key=lambda one: (origins.index(one.origin), one.tenant, one.account_id))
        return sorted(last, key=lambda one: one.valid_to or ALWAYS, reverse=True)

    @property
    def is_known_to_entra(self) -> bool:
        """Is there an account, or a sign-in, of Entra ID?"""
        return bool(self.identities) or any(versions[-1].origin == ENTRA for versions in self.accounts)

    @property
    def has_sam(self) -> bool:
        """Is it known under which name they log in to their domain?"""
        return any(one.sam_account_name for versions in self.accounts for one in versions)

    def with_(self, other: Individual) -> Individual:
        """Both as one."""
        return Individual(
            (*self.accounts, *other.accounts), tuple(dict.fromkeys((*self.identities, *other.identities)))
        )


def individuals(versions: Iterable[Account], identities: Iterable[Identity]) -> list[Individual]:
    """Everybody, in a stable order."""
    of_account: dict[tuple[str, str, str], list[Account]] = defaultdict(list)
    for one in versions:
        of_account[(one.origin, one.tenant, one.account_id.casefold())].append(one)
    held = [tuple(sorted(each, key=lambda one: one.valid_from)) for _, each in sorted(of_account.items())]
    groups = _Groups(held)
    for key in (_sid, _immutable_id):
        groups.join_all(key)
    for key in (_upn_on_premises, _sam, _upn):
        groups.join_counterparts(key)
    return _with_sign_ins(groups.individuals(), sorted(identities, key=lambda identity: identity.key))


Key = Callable[[Account], object]


def _sid(one: Account) -> object:
    return one.sid.casefold() if one.sid else None


def _immutable_id(one: Account) -> object:
    return one.immutable_id


def _upn_on_premises(one: Account) -> object:
    return one.on_premises_upn.casefold() if one.on_premises_upn else None


def _sam(one: Account) -> object:
    return (one.sam_account_name.casefold(), one.realm.upper()) if one.sam_account_name and one.realm else None


def _upn(one: Account) -> object:
    return one.upn.casefold() if one.upn else None


class _Groups:
    """Accounts by their numbers, joined bit by bit."""

    def __init__(self, held: Sequence[Versions]) -> None:
        self._held = held
        self._members = {number: [number] for number in range(len(held))}
        self._group = list(range(len(held)))

    def individuals(self) -> list[Individual]:
        return [Individual(tuple(self._held[n] for n in sorted(each))) for _, each in sorted(self._members.items())]

    def join_all(self, key: Key) -> None:
        """All accounts that ever had the same key are one person's."""
        for bearers in self._by(key).values():
            for number, _ in bearers[1:]:
                if not self._side_by_side(bearers[0][0], number):
                    self._join(bearers[0][0], number)

    def join_counterparts(self, key: Key) -> None:
        """An account of AD and one of Entra with the same key at the same time, where each has no other such."""
        for bearers in self._by(key).values():
            of: dict[str, list[tuple[int, Account]]] = {AD: [], ENTRA: []}
            for number, one in bearers:
                of[one.origin].append((number, one))
            pairs = {
                (self._group[a], self._group[b])
                for (a, mine), (b, theirs) in product(of[AD], of[ENTRA])
                if _meet(mine, mine, theirs, theirs) and self._may_be_one(a, b)
            }
            for left, right in sorted(pairs):
                if sum(left in pair for pair in pairs) == 1 and sum(right in pair for pair in pairs) == 1:
                    self._join(left, right)

    def _by(self, key: Key) -> dict[object, list[tuple[int, Account]]]:
        found: dict[object, list[tuple[int, Account]]] = defaultdict(list)
        for number, versions in enumerate(self._held):
            for one in versions:
                if (value := key(one)) is not None:
                    found[value].append((number, one))
        return {value: bearers for value, bearers in found.items() if len({number for number, _ in bearers}) > 1}

    def _may_be_one(self, left: int, right: int) -> bool:
        sids = [{_sid(one) for versions in side for one in versions} - {None} for side in self._sides(left, right)]
        strangers = bool(sids[0] and sids[1] and not sids[0] & sids[1])
        return self._group[left] != self._group[right] and not strangers and not self._side_by_side(left, right)

    def _side_by_side(self, left: int, right: int) -> bool:
        return self._group[left] != self._group[right] and any(
            (a[0].origin, a[0].tenant) == (b[0].origin, b[0].tenant) and _meet(a[0], a[-1], b[0], b[-1])
            for a, b in product(*self._sides(left, right))
        )

    def _sides(self, left: int, right: int) -> tuple[list[Versions], list[Versions]]:
        mine, theirs = ([self._held[n] for n in self._members[self._group[one]]] for one in (left, right))
        return mine, theirs

    def _join(self, left: int, right: int) -> None:
        left, right = sorted((self._group[left], self._group[right]))
        if left != right:
            for number in self._members[right]:
                self._group[number] = left
            self._members[left] += self._members.pop(right)


def _meet(first: Account, last: Account, other_first: Account, other_last: Account) -> bool:
    """Do two lines of versions hold at the same time, at some moment?"""
    return first.valid_from < (other_last.valid_to or ALWAYS) and other_first.valid_from < (last.valid_to or ALWAYS)


def _with_sign_ins(known: list[Individual], identities: Sequence[Identity]) -> list[Individual]:
    """Users of the sign-ins, with their accounts: by user id; by the UPN where the sign-in has no id, or where only AD
    was read. The others are individuals of their own."""
    by_id = {
        versions[0].account_id.casefold(): number
        for number, one in enumerate(known)
        for versions in one.accounts
        if versions[0].origin == ENTRA
    }
    by_upn: dict[str, set[int]] = defaultdict(set)
    for number, one in enumerate(known):
        for last in one.newest(ENTRA, AD):
            if last.upn:
                by_upn[last.upn.casefold()].add(number)
    taken: dict[int, list[Identity]] = defaultdict(list)
    loose: list[Identity] = []
    for identity in identities:
        owner = by_id.get(identity.key.casefold())
        if owner is None:
            loose.append(identity)
        else:
            taken[owner].append(identity)
    alone: list[Individual] = []
    claims: dict[str, list[Identity]] = defaultdict(list)
    for identity in loose:
        claims[identity.upn.casefold()].append(identity)
    for identity in loose:
        upn = identity.upn.casefold()
        meant = [
            n
            for n in by_upn.get(upn, ())
            if identity.key.casefold() == upn or not (known[n].is_known_to_entra or taken.get(n))
        ]
        if len(meant) == 1 and len(claims[upn]) == 1:
            taken[meant[0]].append(identity)
        else:
            alone.append(Individual((), (identity,)))
    return [*(one.with_(Individual((), tuple(taken.get(n, ())))) for n, one in enumerate(known)), *alone]
