"""A domain in memory: directory and KDC, with one memory of accounts and passwords; steps are noted, and can fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from pfsquid.kerberos.account import Account, account
from pfsquid.kerberos.enctypes import Key, string_to_key
from pfsquid.kerberos.keytab import Entry
from pfsquid.kerberos.keytabs import ENCTYPES, Salts, salt_to_come
from pfsquid.kerberos.ldap_problem import Kind, LdapProblem
from pfsquid.kerberos.principal import Principal
from pfsquid.kerberos.proof import NotProved

REALM = "LAB.EXAMPLE"
SPN = Principal(("HTTP", "proxy.lab.example"), REALM)
START = datetime(2026, 11, 24, 8, tzinfo=UTC)


def made(sam: str, **attributes: str | list[str]) -> Account:
    """An account as the directory gives it."""
    raw = {
        name: [v.encode() for v in ([value] if isinstance(value, str) else value)] for name, value in attributes.items()
    }
    return account(f"CN={sam},CN=Users,DC=lab,DC=example", {"sAMAccountName": [sam.encode()], **raw})


@dataclass
class Domain:
    """Directory and KDC in one. fail: name of a step → what it raises. steps: what was done, in order."""

    accounts: dict[str, Account] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)
    salts: dict[str, bytes] = field(default_factory=dict)
    fail: dict[str, Exception] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)
    now: datetime = START
    kvno_step: int = 1
    name: str = "dc1.lab.example"
    domain: str = "DC=lab,DC=example"
    base: str = "DC=lab,DC=example"

    def clock(self) -> datetime:
        return self.now

    def step(self, what: str) -> None:
        self.steps.append(what)
        if what in self.fail:
            raise self.fail[what]

    # the directory

    def account(self, sam: str) -> Account | None:
        return self.accounts.get(sam)

    def account_at(self, dn: str) -> Account | None:
        return next((one for one in self.accounts.values() if one.dn == dn), None)

    def owners_of(self, spn: str) -> tuple[Account, ...]:
        return tuple(one for one in self.accounts.values() if one.spelling_of(spn))

    def add(self, dn: str, classes: Sequence[str], attributes: Mapping[str, Sequence[str | bytes]]) -> None:
        self.step("add")
        sam = str(attributes["sAMAccountName"][0])
        plain: Any = {name: [str(value) for value in values] for name, values in attributes.items()}
        self.accounts[sam] = replace(made(sam, **plain, objectClass=list(classes)), dn=dn, kvno=1)

    def change(self, dn: str, attributes: Mapping[str, Sequence[str | bytes]]) -> None:
        sam = next(one.sam for one in self.accounts.values() if one.dn == dn)
        if "unicodePwd" in attributes:
            self.step("password")
            raw = attributes["unicodePwd"][0]
            assert isinstance(raw, bytes)
            self.set_password(sam, raw.decode("utf-16-le").strip('"'))
            return
        self.step("settle" if "servicePrincipalName" in attributes else "enctypes")
        plain: Any = {name: [str(value) for value in values] for name, values in attributes.items()}
        read = made(sam, **plain)
        old = self.accounts[sam]
        self.accounts[sam] = replace(
            old,
            enctypes=read.enctypes or old.enctypes,
            spns=read.spns or old.spns,
            control=read.control or old.control,
            enabled=read.enabled if read.control else old.enabled,
            flags=read.flags or old.flags,
        )

    def set_password(self, sam: str, password: str) -> None:
        old = self.accounts[sam]
        self.passwords[sam], self.salts[sam] = password, salt_to_come(old, REALM)
        self.accounts[sam] = replace(old, kvno=(old.kvno or 0) + self.kvno_step, password_set=self.now)

    # the KDC

    def stated(self, sam: str) -> Salts:
        self.step("salts")
        return dict.fromkeys(ENCTYPES, (self.salts[sam], None))

    def keys(self, sam: str) -> list[Key]:
        return [string_to_key(one, self.passwords[sam], self.salts[sam]) for one in ENCTYPES]

    def prove(self, sam: str, keys: Sequence[Key], spn: Principal, entries: Sequence[Entry]) -> Entry:
        self.step("prove")
        right = self.keys(sam)
        if keys[0] not in right:
            raise NotProved("PREAUTH_FAILED", wrong_key=True)
        return next(one for one in entries if one.key in right and one.principal == spn)


def refusal() -> LdapProblem:
    return LdapProblem(Kind.OTHER, "dc1 refuses to modify: unwillingToPerform", code=53)


def lost() -> LdapProblem:
    return LdapProblem(Kind.UNREACHABLE, "dc1 cannot be reached: connection reset")


def quiet() -> tuple[list[str], Callable[[str], None]]:
    """What was said, and what takes it."""
    said: list[str] = []
    return said, said.append
