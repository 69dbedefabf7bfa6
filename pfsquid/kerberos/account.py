"""An account as the directory has it, made from LDAP attributes. Pure: reads bytes, asks nobody.

Sources: [MS-ADTS] 2.2.16 (userAccountControl), [MS-ADA1] and [MS-ADA3] (the attributes), [MS-ADTS] 3.1.1.4.5.17
(msDS-User-Account-Control-Computed), [MS-KILE] 2.2.7 (msDS-SupportedEncryptionTypes).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

Attributes = Mapping[str, Sequence[bytes]]
"""LDAP attributes as they come: name → raw values."""

ATTRIBUTES = (
    "sAMAccountName",
    "userPrincipalName",
    "servicePrincipalName",
    "objectClass",
    "userAccountControl",
    "msDS-User-Account-Control-Computed",
    "msDS-SupportedEncryptionTypes",
    "msDS-KeyVersionNumber",
    "msDS-AllowedToDelegateTo",
    "accountExpires",
    "lockoutTime",
    "pwdLastSet",
)

# [MS-ADTS] 2.2.16, under the names of its ADS_UF_ constants.
DISABLED = 0x2
NO_PASSWORD_NEEDED = 0x20
NORMAL = 0x200
NEVER_EXPIRES = 0x10000
DES_ONLY = 0x200000
_LOCKED = 0x10
_EXPIRED = 0x800000
FLAGS = {
    "ACCOUNTDISABLE": DISABLED,
    "LOCKOUT": _LOCKED,
    "PASSWD_NOTREQD": NO_PASSWORD_NEEDED,
    "NORMAL_ACCOUNT": NORMAL,
    "WORKSTATION_TRUST_ACCOUNT": 0x1000,
    "SERVER_TRUST_ACCOUNT": 0x2000,
    "DONT_EXPIRE_PASSWD": NEVER_EXPIRES,
    "SMARTCARD_REQUIRED": 0x40000,
    "TRUSTED_FOR_DELEGATION": 0x80000,
    "NOT_DELEGATED": 0x100000,
    "USE_DES_KEY_ONLY": DES_ONLY,
    "DONT_REQUIRE_PREAUTH": 0x400000,
    "PASSWORD_EXPIRED": _EXPIRED,
    "TRUSTED_TO_AUTH_FOR_DELEGATION": 0x1000000,
}
# [MS-KILE] 2.2.7; the others of its bits are no encryption types.
ENCTYPES = {"DES-CBC-CRC": 1, "DES-CBC-MD5": 2, "RC4": 4, "AES128": 8, "AES256": 16}
AES_ONLY = 8 | 16

_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)  # FILETIME ([MS-DTYP] 2.3.3): units of 100 ns since then
_NEVER = (0, 0x7FFFFFFFFFFFFFFF)


class AccountKind(StrEnum):
    """What an account stands for. GROUP_MANAGED: a gMSA, whose password the domain makes by itself."""

    USER = "user"
    COMPUTER = "computer"
    GROUP_MANAGED = "group managed service account"


@dataclass(frozen=True)
class Account:
    """An account. Times are UTC.

    control: userAccountControl as stored. enctypes: msDS-SupportedEncryptionTypes, None where it is not set (the KDC's
    default then holds) or was not to be had. kvno, locked and password_expired are the domain controller's own and not
    in a global catalog: `whole` is False for an account that was read there only. expires: None is never.
    """

    dn: str
    sam: str
    upn: str | None
    spns: tuple[str, ...]
    kind: AccountKind
    enabled: bool
    locked: bool
    password_expired: bool
    must_change: bool
    expires: datetime | None
    enctypes: int | None
    kvno: int | None
    password_set: datetime | None
    flags: frozenset[str]
    delegates_to: tuple[str, ...]
    control: int
    whole: bool = True

    @property
    def is_computer(self) -> bool:
        """A computer, or what counts as one in the directory: a gMSA."""
        return self.kind is not AccountKind.USER

    def is_expired(self, now: datetime) -> bool:
        """Is accountExpires over?"""
        return self.expires is not None and self.expires <= now

    def spelling_of(self, spn: str) -> str | None:
        """The SPN as the account has it, upper and lower case not told apart; None where it has not."""
        return next((one for one in self.spns if one.lower() == spn.lower()), None)


def account(dn: str, attributes: Attributes, whole: bool = True) -> Account:
    """The record for an entry of ATTRIBUTES; whole: they come from a domain controller's own port.

    The password counts as expired where the domain controller says so (it knows maxPwdAge and finer policies), but not
    where it must be changed, for which the controller says the same.
    """
    control = _number(attributes, "userAccountControl") or 0
    computed = _number(attributes, "msDS-User-Account-Control-Computed")
    set_at = _number(attributes, "pwdLastSet")
    locked = bool(computed & _LOCKED) if computed is not None else bool(_number(attributes, "lockoutTime"))
    must_change = set_at == 0 and not control & NEVER_EXPIRES
    return Account(
        dn=dn,
        sam=_text(attributes, "sAMAccountName") or "",
        upn=_text(attributes, "userPrincipalName"),
        spns=_texts(attributes, "servicePrincipalName"),
        kind=_kind(_texts(attributes, "objectClass")),
        enabled=not control & DISABLED,
        locked=locked,
        password_expired=bool((computed or 0) & _EXPIRED) and not must_change,
        must_change=must_change,
        expires=filetime(_number(attributes, "accountExpires")),
        enctypes=_number(attributes, "msDS-SupportedEncryptionTypes"),
        kvno=_number(attributes, "msDS-KeyVersionNumber"),
        password_set=filetime(set_at),
        flags=frozenset(name for name, bit in FLAGS.items() if (control | (computed or 0)) & bit),
        delegates_to=_texts(attributes, "msDS-AllowedToDelegateTo"),
        control=control,
        whole=whole,
    )


def enctype_names(enctypes: int) -> tuple[str, ...]:
    """The encryption types in a msDS-SupportedEncryptionTypes, as PowerShell names them: 24 is AES128, AES256."""
    return tuple(name for name, bit in ENCTYPES.items() if enctypes & bit)


def filetime(value: int | None) -> datetime | None:
    """A FILETIME as UTC; None for none, and for the two numbers that mean never."""
    if value is None or value in _NEVER:
        return None
    try:
        return _EPOCH + timedelta(microseconds=value // 10)
    except OverflowError:
        return None


def interval(value: int | None) -> timedelta | None:
    """A length of time as maxPwdAge has it, in negative units of 100 ns; None for none and for ever."""
    if value is None or value == 0 or value <= -0x7FFFFFFFFFFFFFFF:
        return None
    return timedelta(microseconds=-value // 10)


def number(value: bytes) -> int | None:
    """An integer of LDAP, signed as [MS-ADTS] has them: 32 bits and 64; None for what is none."""
    try:
        return int(value)
    except ValueError:
        return None


def _number(attributes: Attributes, name: str) -> int | None:
    values = attributes.get(name) or ()
    return number(values[0]) if values else None


def _texts(attributes: Attributes, name: str) -> tuple[str, ...]:
    return tuple(value.decode("utf-8", "backslashreplace") for value in attributes.get(name) or ())


def _text(attributes: Attributes, name: str) -> str | None:
    return next(iter(_texts(attributes, name)), None)


def _kind(classes: Sequence[str]) -> AccountKind:
    lower = {one.lower() for one in classes}
    if lower & {"msds-groupmanagedserviceaccount", "msds-managedserviceaccount"}:
        return AccountKind.GROUP_MANAGED
    return AccountKind.COMPUTER if "computer" in lower else AccountKind.USER
