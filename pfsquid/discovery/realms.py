"""What a user name of the access log is made of: name, Kerberos realm, and whether a person can be meant. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

PERSON, COMPUTER, SERVICE = "person", "computer", "service"
Name = tuple[str, str]  # (name before the @, casefolded; Kerberos realm in capitals, or '')


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
    """person, computer (`WS1$`, `host/ws1.lab.example`; so are managed service accounts) or service (as configured)."""
    sam, _ = split_principal(user_name)
    if sam.endswith("$") or "/" in sam:
        return COMPUTER
    services = {name.casefold() for name in rules.services}
    return SERVICE if {user_name.casefold(), sam.casefold()} & services else PERSON


class Realms:
    """The realms of the log, of the configuration and of the directory.

    whole: a realm as logged → the Kerberos realm meant: a NetBIOS domain is the realm that it is the first label of, a
    missing realm (`-r` of the helper) is the only one that there is, else ''. suffixes: such a realm → UPN suffixes.
    """

    def __init__(self, logged: Set[str], rules: Rules, directory: Set[str] = frozenset()) -> None:
        named = {realm.upper(): suffixes for realm, suffixes in rules.suffixes.items()}
        every = (logged | named.keys() | directory) - {""}
        self.whole = {realm: _whole(realm, every) for realm in every}
        theirs, there = ({self.whole[realm] for realm in one - {""}} for one in (logged, directory))
        # A UPN in the log looks like a realm, too; the directory knows better.
        candidates = (theirs & there) or there or theirs or set(self.whole.values())
        self.whole[""] = candidates.pop() if len(candidates) == 1 else ""
        short_first = sorted(named, key=lambda realm: ("." in realm, realm))
        self.suffixes = {self.whole[realm]: named[realm] for realm in short_first}

    def meant(self, user_name: str) -> Name:
        """The name and realm by which this user name is matched."""
        sam, realm = split_principal(user_name)
        return sam.casefold(), self.whole[realm]

    def upns(self, name: Name) -> list[str]:
        """The UPNs that the configured suffixes of its realm make of a name, casefolded."""
        sam, realm = name
        return sorted({f"{sam}@{suffix}".casefold() for suffix in self.suffixes.get(realm, ())})


def _whole(realm: str, every: Set[str]) -> str:
    longer = [other for other in every if other.startswith(realm + ".")] if "." not in realm else []
    return longer[0] if len(longer) == 1 else realm
