"""Keytab files: what stands in one, new keys for one, and replacing one so that never half of it is there.

Key bytes go into files and nowhere else.
"""

from __future__ import annotations

import os
import secrets
import string
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pfsquid.errors import PfsquidError, WrongUse
from pfsquid.kerberos.account import Account, AccountKind
from pfsquid.kerberos.enctypes import AES128, AES256, Key, name_of, string_to_key
from pfsquid.kerberos.keytab import BadKeytab, Entry, dump, parse
from pfsquid.kerberos.principal import Principal

ENCTYPES = (AES256, AES128)
LENGTH = 64
_CLASSES = (string.ascii_uppercase, string.ascii_lowercase, string.digits, "!#%()*+,-./:;<=>?@[]^_{|}~")

Salts = Mapping[int, tuple[bytes, bytes | None]]
"""What a key needs beside the password: enctype → (salt, parameters)."""


@dataclass(frozen=True)
class Held:
    """A keytab's file as it is: data is None where there is none."""

    path: Path
    data: bytes | None
    entries: tuple[Entry, ...]

    def of(self, spn: Principal) -> tuple[Entry, ...]:
        """The entries of one principal."""
        return tuple(one for one in self.entries if one.principal == spn)

    def keys(self, spn: Principal, kvno: int) -> tuple[Key, ...]:
        """A principal's AES keys of one kvno."""
        return tuple(one.key for one in self.of(spn) if one.kvno == kvno and one.key.enctype in ENCTYPES)

    def others(self, spn: Principal) -> tuple[Entry, ...]:
        """The entries of other principals, which nothing here touches."""
        return tuple(one for one in self.entries if one.principal != spn)


def held(path: Path, needed: bool = False) -> Held:
    """Read a keytab; a missing one has no entries, or is WrongUse where it is needed.

    Raises PfsquidError for a file that is no keytab, with what it is instead.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        if needed:
            raise WrongUse(f"there is no keytab {path}", "pfsquid keytab create") from None
        return Held(path, None, ())
    except OSError as exc:
        raise PfsquidError(f"the keytab {path} cannot be read: {exc.strerror}", f"ls -l {path}") from exc
    try:
        return Held(path, data, parse(data))
    except BadKeytab as exc:
        raise PfsquidError(
            f"{path} is no keytab that can be read: {exc}", f"mv {path} {path}.bad", "pfsquid keytab create"
        ) from exc


def check_place(path: Path) -> None:
    """Raises PfsquidError where no file can be put there; nothing is left behind."""
    if path.is_dir():
        raise WrongUse(f"{path} is a folder", "--out FILE")
    trial = _beside(path)
    try:
        _write(trial, b"\0" * 1024)
    except OSError as exc:
        raise PfsquidError(
            f"{path} cannot be written: {exc.strerror}; nothing was changed",
            f"ls -ld {path.parent}",
            "--out ANOTHER_PLACE",
        ) from exc
    finally:
        with suppress(OSError):
            trial.unlink()


def put(path: Path, entries: Iterable[Entry]) -> None:
    """Replace a keytab, mode 0600: all of it or nothing. Raises PfsquidError; what stood there is untouched then."""
    put_bytes(path, dump(entries))


def put_bytes(path: Path, data: bytes) -> None:
    """As `put`, for a keytab's bytes."""
    fresh = _beside(path)
    try:
        _write(fresh, data)
        fresh.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as exc:
        with suppress(OSError):
            fresh.unlink()
        raise PfsquidError(
            f"{path} cannot be written: {exc.strerror}; what stood there is as it was",
            f"df {path.parent}",
            f"ls -ld {path.parent}",
        ) from exc


def new_password() -> str:
    """A password that nobody needs to know: 64 characters, each class among them, near 400 bits."""
    while True:
        password = "".join(secrets.choice("".join(_CLASSES)) for _ in range(LENGTH))
        if all(set(password) & set(one) for one in _CLASSES):
            return password


def derived(spn: Principal, password: str, salts: Salts, kvno: int, now: datetime) -> tuple[Entry, ...]:
    """Entries for an SPN: one AES key for each salt (RFC 3962 4). Raises PfsquidError where the KDC offers no AES."""
    entries = [
        Entry(spn, kvno, string_to_key(enctype, password, *salts[enctype]), now)
        for enctype in ENCTYPES
        if enctype in salts
    ]
    if not entries:
        offered = ", ".join(name_of(one) for one in salts) or "nothing"
        raise PfsquidError(
            f"the KDC offers no AES key for this account, but {offered}",
            "Set-ADUser ACCOUNT -KerberosEncryptionType AES128,AES256",
        )
    return tuple(entries)


def salt_to_come(account: Account, realm: str) -> bytes:
    """The salt that the domain uses when it next sets the account's password, UTF-8.

    [MS-KILE] 3.1.1.2: a person's is the realm and the name, a computer's has `host` and the full DNS name. The name is
    the UPN's, without its suffix, where there is a UPN (tried with Samba; ktpass, which sets the UPN, relies on it).
    """
    if account.kind is not AccountKind.USER:
        return f"{realm}host{account.sam.rstrip('$').lower()}.{realm.lower()}".encode()
    name = (account.upn or account.sam).partition("@")[0]
    return f"{realm}{name.replace('/', '')}".encode()


def rows(entries: Sequence[Entry]) -> list[tuple[str, int, str, datetime, str]]:
    """What `show` tells of each entry: principal, kvno, enctype, time, and is it current or former. Never a key."""
    newest = {one.principal: max(two.kvno for two in entries if two.principal == one.principal) for one in entries}
    return [
        (
            str(one.principal),
            one.kvno,
            name_of(one.key.enctype),
            one.timestamp,
            "current" if one.kvno == newest[one.principal] else "former",
        )
        for one in entries
    ]


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
