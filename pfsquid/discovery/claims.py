"""Names that no account of a directory bears → users of Entra ID, by their UPNs. Unique, or with a reason. Pure.

The whole name, the name with a configured suffix for its realm, the name before the `@`; a stronger rule wins where two
names claim one user. Who is known to log in under another name is not found by the name before the `@`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pfsquid.discovery.individuals import ENTRA, Individual
from pfsquid.discovery.realms import Name, Realms

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True)
class Claim:
    """Whom a name means: the number of an individual, or None and the reason why nobody."""

    who: int | None
    reason: str


class Known:
    """Who is known to Entra ID, by UPN and by what stands before its @ (a GUID there names nobody)."""

    def __init__(self, crowd: Mapping[int, Individual]) -> None:
        self.upn: dict[int, str] = {}
        self.by_upn: dict[str, list[int]] = defaultdict(list)
        self.by_local: dict[str, list[int]] = defaultdict(list)
        for number, one in crowd.items():
            accounts = [account.upn for account in one.newest(ENTRA) if account.upn]
            for upn in dict.fromkeys([*accounts, *(identity.upn for identity in one.identities)]):
                self.upn.setdefault(number, upn)
                _add(self.by_upn[upn.casefold()], number)
                if not _GUID.fullmatch(upn) and not one.has_sam:
                    _add(self.by_local[upn.partition("@")[0].casefold()], number)


def settle(names: Collection[Name], known: Known, realms: Realms, nobody: str) -> dict[Name, Claim]:
    """Whom each name means. nobody: what was looked through in vain, such as `no sign-in`."""
    claims = {name: _candidates(name, known, realms) for name in names}
    claimants: dict[int, list[Name]] = defaultdict(list)
    for name, (_, candidates) in claims.items():
        if len(candidates) == 1:
            claimants[candidates[0]].append(name)
    return {name: _settled(name, claims, claimants, known, nobody) for name in names}


def _add(numbers: list[int], number: int) -> None:
    if number not in numbers:
        numbers.append(number)


def _candidates(name: Name, known: Known, realms: Realms) -> tuple[int, list[int]]:
    """Who may be meant, and by how strong a rule (0 is the strongest)."""
    sam, realm = name
    whole = known.by_upn.get(f"{sam}@{realm}".casefold())
    if whole:
        return 0, whole
    if realms.suffixes.get(realm):
        found = [number for upn in realms.upns(name) for number in known.by_upn.get(upn, ())]
        return 1, list(dict.fromkeys(found))
    return 2, known.by_local.get(sam, [])


def _settled(
    name: Name,
    claims: Mapping[Name, tuple[int, list[int]]],
    claimants: Mapping[int, list[Name]],
    known: Known,
    nobody: str,
) -> Claim:
    strength, candidates = claims[name]
    sam = name[0]
    if not candidates:
        return Claim(None, f"{nobody} of anybody called {sam}")
    if len(candidates) > 1:
        upns = sorted({known.upn[number] for number in candidates})
        if len({upn.casefold() for upn in upns}) == 1:
            return Claim(None, f"{len(candidates)} accounts of Entra ID bear the UPN {upns[0]}, one after the other")
        cure = "name the realm's suffix under people.realms"
        return Claim(None, f"{len(candidates)} users of Entra ID are called {sam} ({', '.join(upns)}): {cure}")
    rivals = [other for other in claimants[candidates[0]] if other != name and claims[other][0] <= strength]
    if rivals:
        names = ", ".join(sorted(f"{sam}@{realm}" if realm else sam for sam, realm in rivals))
        cure = "name the realms' suffixes under people.realms"
        return Claim(None, f"{known.upn[candidates[0]]} may also be {names}: {cure}")
    return Claim(candidates[0], "")
