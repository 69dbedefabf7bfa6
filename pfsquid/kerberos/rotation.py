"""`keytab rotate`: a new key with no failed request, for the proxy has it before the domain uses it.

Order: derive the next kvno's keys, write a keytab with former and new ones, bring it to the firewalls, and only then
set the password. Tickets of before are opened with the former key, tickets of after with the new one.
MIT's acceptor with an explicit principal (`-s HTTP/…`) looks a key up by the ticket's kvno and takes the first of that
kvno and enctype (tried, krb5 1.20): so kvno and salt must be foretold rightly, and are corrected at once if not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pfsquid.errors import PfsquidError
from pfsquid.kerberos.account import Account
from pfsquid.kerberos.directory import Directory
from pfsquid.kerberos.enrol import ADOPT, Clock, Say, now, refuse_computer, refuse_others, set_password
from pfsquid.kerberos.keytab import Entry
from pfsquid.kerberos.keytabs import Held, Salts, derived, new_password, put, put_bytes, salt_to_come
from pfsquid.kerberos.ldap_problem import Kind, LdapProblem
from pfsquid.kerberos.principal import Principal
from pfsquid.kerberos.proof import Kdc, NotProved


@dataclass(frozen=True)
class Service:
    """The account and its SPN in a realm, and the keytab's file. wait: how long a ticket may be in use."""

    spn: Principal
    sam: str
    file: Held
    wait: timedelta

    @property
    def name(self) -> str:
        """The SPN as the directory has it."""
        return "/".join(self.spn.components)


@dataclass(frozen=True)
class Way:
    """Who is asked and what is done. bring: takes the keytab's file, as it then is, to where it is used."""

    directory: Directory
    kdc: Kdc
    bring: Callable[[], None]
    say: Say
    clock: Clock = now


@dataclass(frozen=True)
class Kept:
    """kvno: the present key's. former: those still in the keytab. until: when these may go; None: there are none."""

    kvno: int
    former: tuple[int, ...]
    until: datetime | None


def rotate(service: Service, way: Way) -> Kept:
    """A new password and kvno. Raises PfsquidError, and says what holds then."""
    account = _account(service, way.directory)
    live = live_kvno(service, account, way.kdc)
    kvno, password = (account.kvno or live) + 1, new_password()
    salts = _salts_to_come(account, service.spn.realm, way.kdc.stated(account.sam))
    fresh = tuple(entry for one in salts for entry in derived(service.spn, password, one, kvno, way.clock()))
    kept = _worth_keeping(service, account, live, way.clock())
    _put(service, fresh, kept)
    way.say(f"{service.file.path} has the keys of kvno {kvno} beside those in use")
    _brought(
        service, way, f"the password is as it was, and {service.file.path} too: everything goes on with kvno {live}"
    )
    _set(service, way.directory, account, password, live)
    way.say(f"{account.dn} has its new password")
    read = way.directory.account_at(account.dn) or account
    number = read.kvno if read.kvno and read.kvno > live else kvno
    right = derived(service.spn, password, way.kdc.stated(account.sam), number, way.clock())
    _settle(service, way, fresh, kept, right)
    former = tuple(sorted({one.kvno for one in kept}))
    return Kept(number, former, _until(service, read, way.clock()))


def drop(service: Service, way: Way) -> Kept:
    """Take former keys out of the keytab. Raises PfsquidError where a ticket may still need one."""
    account = _account(service, way.directory)
    live = live_kvno(service, account, way.kdc)
    path, entries, at = service.file.path, service.file.of(service.spn), way.clock()
    former = tuple(sorted({one.kvno for one in entries} - {live}))
    names = ", ".join(map(str, former))
    if not former:
        way.say(f"{path} has no former keys of {service.name}: kvno {live} alone")
        return Kept(live, (), None)
    until = _until(service, account, at)
    if until > at:
        raise PfsquidError(
            f"too early: tickets for kvno {names} may be in use until {until:%Y-%m-%d %H:%M} UTC"
            f" ({_length(until - at)} more); nothing was changed",
            f"pfsquid keytab rotate --drop    # after {until:%Y-%m-%d %H:%M} UTC",
        )
    _put(service, tuple(one for one in entries if one.kvno == live), ())
    way.say(f"{path}: kvno {names} dropped, kvno {live} stays")
    _brought(service, way, f"{path} is put back, with its former keys")
    return Kept(live, (), None)


def live_kvno(service: Service, account: Account, kdc: Kdc) -> int:
    """The kvno under which the keytab has the account's present key, proved by a ticket. Raises PfsquidError.

    The directory's kvno is tried; where the keytab has not that, its highest. One guess, for a wrong one counts as a
    bad password.
    """
    kvnos = sorted({one.kvno for one in service.file.of(service.spn)})
    if not kvnos:
        raise PfsquidError(
            f"{service.file.path} has no key of {service.spn}", f"pfsquid keytab show {service.file.path}", ADOPT
        )
    guess = account.kvno if account.kvno in kvnos else kvnos[-1]
    keys = service.file.keys(service.spn, guess)
    if not keys:
        raise PfsquidError(f"{service.file.path} has no AES key of kvno {guess}", ADOPT)
    try:
        return kdc.prove(account.sam, keys, service.spn, service.file.of(service.spn)).kvno
    except NotProved as problem:
        if problem.wrong_key:
            problem.message += (
                f"\n{service.file.path} (kvno {', '.join(map(str, kvnos))}) has not the present key of {account.dn}"
                f" (kvno {account.kvno}); nothing was changed"
            )
            problem.next = (f"{ADOPT}    # there is nothing to keep going",)
        else:
            problem.message += "\nnothing was changed"
        raise


def _account(service: Service, directory: Directory) -> Account:
    account = directory.account(service.sam)
    if account is None:
        raise PfsquidError(
            f"there is no account {service.sam} in {directory.base}", "--account NAME", "pfsquid keytab create"
        )
    refuse_computer(account)
    refuse_others(service.name, account, directory)
    return account


def _salts_to_come(account: Account, realm: str, stated: Salts) -> list[Salts]:
    """What the next password's salt may be, likeliest first: by the name that the account now has; as it is stated."""
    by_name = {one: (salt_to_come(account, realm), params) for one, (_, params) in stated.items()}
    return [by_name] if by_name == stated else [by_name, dict(stated)]


def _worth_keeping(service: Service, account: Account, live: int, at: datetime) -> tuple[Entry, ...]:
    """The entries in use, and former ones that a ticket may still need; not those of a rotation that was cut off."""
    over = _until(service, account, at) <= at
    return tuple(one for one in service.file.of(service.spn) if one.kvno == live or (one.kvno < live and not over))


def _until(service: Service, account: Account, at: datetime) -> datetime:
    """When the last ticket made with a former key is over: none was made since the present password was set."""
    return (account.password_set or at) + service.wait


def _set(service: Service, directory: Directory, account: Account, password: str, live: int) -> None:
    try:
        set_password(directory, account.dn, password)
    except LdapProblem as problem:
        if problem.kind is Kind.UNREACHABLE:
            problem.message += "\nit may have been set or not; the keytab has the keys for both, and everything goes on"
            problem.next = ("pfsquid keytab rotate    # finds out which key holds, and begins anew", *problem.next)
        else:
            if service.file.data is not None:
                put_bytes(service.file.path, service.file.data)
            problem.message += (
                f"\nthe password is as it was: everything goes on with kvno {live}; {service.file.path} is put back"
            )
            problem.next = (
                *problem.next,
                "pfsquid configure    # brings it back to the firewalls, too; there is no hurry",
            )
        raise


def _settle(
    service: Service, way: Way, fresh: tuple[Entry, ...], kept: tuple[Entry, ...], right: tuple[Entry, ...]
) -> None:
    """Prove the new key; where kvno or salt came out otherwise than foretold, correct the keytab and bring it again."""
    if [(one.kvno, one.key) for one in fresh] != [(one.kvno, one.key) for one in right]:
        _put(service, right, kept)
        if [(one.kvno, one.key) for one in fresh[: len(right)]] != [(one.kvno, one.key) for one in right]:
            way.say("kvno or salt came out otherwise than foretold: the keytab is corrected, and brought again")
            way.bring()
    try:
        way.kdc.prove(service.sam, [one.key for one in right], service.spn, right)
    except NotProved as problem:
        problem.message += (
            f"\nthe new password is set, and {service.file.path} has former and new keys (kvno {right[0].kvno})"
        )
        raise


def _brought(service: Service, way: Way, otherwise: str) -> None:
    """Bring the file; where that fails, put the former one back, and say so."""
    try:
        way.bring()
    except BaseException as problem:
        if service.file.data is not None:
            put_bytes(service.file.path, service.file.data)
        if isinstance(problem, PfsquidError):
            problem.message += f"\n{otherwise}"
        raise


def _put(service: Service, fresh: tuple[Entry, ...], kept: tuple[Entry, ...]) -> None:
    put(service.file.path, (*service.file.others(service.spn), *fresh, *kept))


def _length(left: timedelta) -> str:
    minutes = int(left.total_seconds() // 60) + 1
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
