"""Faults of accounts: the service account, its SPN and keys, the account that reads the directory, a person."""

from __future__ import annotations

from tests.lab.breaks.parts import Fault, directory
from tests.lab.layout import BASE_DN, CHECKER_ACCOUNT, SERVICE_ACCOUNT, SPN

OTHER_ACCOUNT = "jerry.smith"  # who gets the SPN wrongly
PERSON = "rick.sanchez"
DISABLED, NEVER_EXPIRES, UNCONSTRAINED = 0x2, 0x10000, 0x80000  # userAccountControl, [MS-ADTS] 2.2.16
OTHER_PASSWORD = "Another-Passw0rd-7!"
AGE = str(-42 * 86400 * 10_000_000)  # maxPwdAge: 42 days


def disabled(who: str) -> Fault:
    return directory(["flags", who, DISABLED, 0])


def locked(who: str) -> Fault:
    """As after too many wrong passwords: Samba and Windows compute the state from the time."""
    return directory(["replace", BASE_DN, "lockoutThreshold", "5"], ["replace", who, "lockoutTime", "now"])


def password_expired(who: str) -> Fault:
    return directory(
        ["replace", BASE_DN, "maxPwdAge", AGE],
        ["flags", who, 0, NEVER_EXPIRES],
        ["replace", who, "pwdLastSet", f"-{100 * 86400} s"],
    )


def must_change(who: str) -> Fault:
    return directory(["flags", who, 0, NEVER_EXPIRES], ["replace", who, "pwdLastSet", "0"])


def expired(who: str) -> Fault:
    return directory(["replace", who, "accountExpires", "-86400 s"])


def spns(*values: str) -> list[str]:
    return ["replace", SERVICE_ACCOUNT, "servicePrincipalName", *values]


def states(prefix: str, who: str, words: str) -> dict[str, tuple[str, Fault]]:
    """What can be wrong with any account."""
    return {
        f"{prefix}_disabled": (f"{words} is disabled", disabled(who)),
        f"{prefix}_locked": (f"{words} is locked", locked(who)),
        f"{prefix}_expired": (f"{words} has expired", expired(who)),
        f"{prefix}_password_expired": (f"the password of {words} has expired", password_expired(who)),
        f"{prefix}_must_change": (f"{words} must change the password", must_change(who)),
    }


FAULTS: dict[str, tuple[str, Fault]] = {
    **states("service", SERVICE_ACCOUNT, "the service account"),
    **states("checker", CHECKER_ACCOUNT, "the account that reads the directory"),
    **states("person", PERSON, "the person"),
    "checker_wrong_password": (
        "the account that reads the directory has another password",
        directory(["password", CHECKER_ACCOUNT, OTHER_PASSWORD]),
    ),
    "person_wrong_password": ("the person has another password", directory(["password", PERSON, OTHER_PASSWORD])),
    "service_delegation": (
        "the service account is trusted for unconstrained delegation",
        directory(["flags", SERVICE_ACCOUNT, UNCONSTRAINED, 0]),
    ),
    "spn_missing": ("no account has the SPN", directory(spns())),
    "spn_duplicate": (
        "two accounts have the SPN",
        directory(["add", OTHER_ACCOUNT, "servicePrincipalName", SPN]),
    ),
    "spn_elsewhere": (
        "another account has the SPN",
        directory(spns(), ["add", OTHER_ACCOUNT, "servicePrincipalName", SPN]),
    ),
    "spn_case": ("the SPN is in another case", directory(spns(SPN.replace("HTTP/proxy", "http/PROXY")))),
    "spn_other_name": ("the SPN is that of another name", directory(spns(SPN.replace("proxy", "gate")))),
    "password_reset": (
        "the password was reset after the keytab was made",
        directory(["password", SERVICE_ACCOUNT, OTHER_PASSWORD]),
    ),
    "account_rc4_only": (
        "the service account has RC4 keys only",
        directory(
            ["replace", SERVICE_ACCOUNT, "msDS-SupportedEncryptionTypes", "4"],
            ["password", SERVICE_ACCOUNT, OTHER_PASSWORD],
        ),
    ),
    "account_enctypes_unset": (
        "nothing says which enctypes the service account has",
        directory(["replace", SERVICE_ACCOUNT, "msDS-SupportedEncryptionTypes"]),
    ),
}
