"""`keytab create`: make or adopt the service account, and a keytab that is proved before it replaces anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ldap3.utils.dn import escape_rdn

from pfsquid.errors import PfsquidError, WrongUse
from pfsquid.kerberos.account import AES_ONLY, DES_ONLY, DISABLED, NEVER_EXPIRES, NO_PASSWORD_NEEDED, NORMAL, Account
from pfsquid.kerberos.directory import Directory
from pfsquid.kerberos.keytab import Entry
from pfsquid.kerberos.keytabs import ENCTYPES, Held, check_place, derived, held, new_password, put
from pfsquid.kerberos.ldap_problem import LdapProblem
from pfsquid.kerberos.principal import Principal
from pfsquid.kerberos.proof import Kdc, NotProved

Say = Callable[[str], None]
Clock = Callable[[], datetime]
ADOPT = "pfsquid keytab create --adopt"
NO_SUCH_OBJECT = 32


@dataclass(frozen=True)
class Wish:
    """What is to be. container: DN of the folder for a new account, None for the domain's CN=Users."""

    spn: Principal
    sam: str
    out: Path
    container: str | None = None
    adopt: bool = False

    @property
    def service(self) -> str:
        """The SPN as the directory has it, without realm."""
        return "/".join(self.spn.components)


def now() -> datetime:
    """The time, UTC, in whole seconds, as a keytab has it."""
    return datetime.now(UTC).replace(microsecond=0)


def create(wish: Wish, directory: Directory, kdc: Kdc, say: Say, clock: Clock = now) -> bool:
    """Bring account and keytab to what is wished; False where all was right already. Raises PfsquidError.

    An error says what was done before it. The keytab is as it was then; with `adopt`, the same command goes on.
    """
    file = held(wish.out)
    check_place(wish.out)
    account = directory.account(wish.sam)
    refuse_others(wish.service, account, directory)
    if account:
        refuse_computer(account)
        missing = what_is_missing(account, wish.service)
        proved = _proved(wish, account, file, kdc)
        if proved and not missing:
            say(f"{account.dn} and {wish.out} are right already: kvno {account.kvno}, and the key opens a ticket")
            return False
        if not wish.adopt:
            raise _not_adopted(wish, account, missing, proved)
        if proved:
            _settle(wish, directory, account)
            say(f"{account.dn}: {', '.join(missing)}: put right; the password and the keytab stay")
            return True
    done: list[str] = []
    try:
        entries, kvno = _enrolled(wish, directory, kdc, account, done, clock)
        kept = tuple(one for one in file.of(wish.spn) if one.kvno < kvno)
        put(wish.out, (*file.others(wish.spn), *entries, *kept))
    except PfsquidError as problem:
        problem.message += f"\nthe keytab {wish.out} is as it was; " + (
            f"done before that: {'; '.join(done)}" if done else "nothing was changed"
        )
        if done:
            problem.next = (*problem.next, f"{ADOPT}    # goes on from here")
        raise
    for one in done:
        say(one)
    say(f"{wish.out} is written: kvno {kvno}, {len(entries)} keys, proved by a ticket for {wish.service}")
    return True


def refuse_others(service: str, account: Account | None, directory: Directory) -> None:
    """Raises PfsquidError where an account other than `account` has the SPN, with its name and the cure."""
    others = [one for one in directory.owners_of(service) if account is None or one.dn.lower() != account.dn.lower()]
    if others:
        raise PfsquidError(
            f"{service} is on {' and on '.join(one.dn for one in others)}: tickets would be made for that account",
            *(f"setspn -D {one.spelling_of(service)} {one.sam}    # if it is not needed there" for one in others),
            *(f"pfsquid keytab create --account {one.sam} --adopt    # or take that account" for one in others[:1]),
        )


def refuse_computer(account: Account) -> None:
    """Raises WrongUse for an account that sets its own password."""
    if account.is_computer:
        raise WrongUse(
            f"{account.dn} is a {account.kind}: its password is changed by others, and any keytab goes stale with that",
            "--account NAME    # a user account for the proxy alone",
        )


def what_is_missing(account: Account, service: str) -> list[str]:
    """What of an account is not as a proxy's should be."""
    return [
        text
        for wrong, text in (
            (account.spelling_of(service) is None, f"has no SPN {service}"),
            (account.enctypes != AES_ONLY, "is not set to AES alone"),
            (not account.enabled, "is disabled"),
            (account.locked, "is locked out"),
            (account.must_change or "DONT_EXPIRE_PASSWD" not in account.flags, "has a password that expires"),
            (bool(account.control & (DES_ONLY | NO_PASSWORD_NEEDED)), "has weakening flags"),
        )
        if wrong
    ]


def set_password(directory: Directory, dn: str, password: str) -> None:
    """Reset a password: unicodePwd, quoted, UTF-16LE ([MS-ADTS] 3.1.1.3.1.5.1). Raises LdapProblem."""
    try:
        directory.change(dn, {"unicodePwd": [f'"{password}"'.encode("utf-16-le")]})
    except LdapProblem as problem:
        if problem.code in (19, 53):  # constraintViolation, unwillingToPerform
            problem.message += "\nthe domain's password policy or a missing right refuses it"
        raise


def _proved(wish: Wish, account: Account, file: Held, kdc: Kdc) -> bool:
    """Do the keytab's keys open a ticket? Tried where all else speaks for it: a wrong key counts as a bad password."""
    keys = file.keys(wish.spn, account.kvno or 0)
    if len(keys) < len(ENCTYPES) or not account.enabled or account.locked or account.spelling_of(wish.service) is None:
        return False
    try:
        kdc.prove(account.sam, keys, wish.spn, file.of(wish.spn))
    except NotProved as problem:
        if not problem.wrong_key:
            raise
        return False
    return True


def _not_adopted(wish: Wish, account: Account, missing: Sequence[str], proved: bool) -> PfsquidError:
    state = " and " + ", ".join(missing) if missing else ""
    if proved:
        return PfsquidError(
            f"{account.dn} is there, {wish.out} has its key{state}\nnothing was changed",
            f"{ADOPT}    # puts that right; password and keytab stay",
        )
    return PfsquidError(
        f"{account.dn} is there{state}; {wish.out} has not its present key (kvno {account.kvno})\nnothing was changed",
        f"{ADOPT}    # sets a new password: every ticket for it that is in use fails until its owner gets a new one",
        "pfsquid keytab create --account ANOTHER_NAME",
    )


def _enrolled(
    wish: Wish, directory: Directory, kdc: Kdc, account: Account | None, done: list[str], clock: Clock
) -> tuple[tuple[Entry, ...], int]:
    """The account with a new password, and proved entries for it. Each step that is done is told in `done`."""
    if account is None:
        account = _made(wish, directory)
        done.append(f"{account.dn} was made, disabled")
    # Keys are made for the encryption types that are allowed at that moment: these come before the password.
    directory.change(account.dn, {"msDS-SupportedEncryptionTypes": [str(AES_ONLY)]})
    password = new_password()
    set_password(directory, account.dn, password)
    done.append("it has a new password")
    _settle(wish, directory, account)
    done.append(f"it has the SPN {wish.service}, AES alone, and a password that does not expire")
    fresh = directory.account_at(account.dn)
    if fresh is None or fresh.kvno is None:
        raise PfsquidError(
            f"{directory.name} does not tell the kvno of {account.dn}", "log in as an account that may read it"
        )
    entries = derived(wish.spn, password, kdc.stated(fresh.sam), fresh.kvno, clock())
    kdc.prove(fresh.sam, [one.key for one in entries], wish.spn, entries)
    return entries, fresh.kvno


def _made(wish: Wish, directory: Directory) -> Account:
    container = wish.container or f"CN=Users,{directory.domain}"
    dn = f"CN={escape_rdn(wish.sam)},{container}"
    try:
        directory.add(
            dn,
            ["top", "person", "organizationalPerson", "user"],
            {
                "sAMAccountName": [wish.sam],
                "userAccountControl": [str(NORMAL | DISABLED)],
                "msDS-SupportedEncryptionTypes": [str(AES_ONLY)],
                "description": [f"Kerberos account of the proxy {wish.spn.components[-1]}"],
            },
        )
    except LdapProblem as problem:
        if problem.code == NO_SUCH_OBJECT:
            problem.next = ("--in DN    # a folder that is there, such as OU=Services,DC=lab,DC=example",)
        raise
    account = directory.account_at(dn)
    if account is None:
        raise PfsquidError(
            f"{dn} was made, but {directory.name} does not show it", "log in as an account that may read it"
        )
    return account


def _settle(wish: Wish, directory: Directory, account: Account) -> None:
    """Everything but the password: enabled, does not expire, AES alone, and the SPN beside those that are there."""
    spns = [one for one in account.spns if one.lower() != wish.service.lower()]
    control = account.control & ~(DISABLED | NO_PASSWORD_NEEDED | DES_ONLY) | NORMAL | NEVER_EXPIRES
    changes: dict[str, list[str | bytes]] = {
        "msDS-SupportedEncryptionTypes": [str(AES_ONLY)],
        "userAccountControl": [str(control)],
        "servicePrincipalName": [*spns, wish.service],
    }
    if account.locked:
        changes["lockoutTime"] = ["0"]
    directory.change(account.dn, changes)
