"""What a directory, or the way to it, says no with: told apart, with cause and the next command. Asks nobody.

Sources: RFC 4511 A.2 (result codes); the `data` numbers of AD's bind errors are Win32 codes in hexadecimal ([MS-ERREF]
2.2: 52e ERROR_LOGON_FAILURE, 775 ERROR_ACCOUNT_LOCKED_OUT …); X509_V_ERR_ numbers of OpenSSL's verification.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from pfsquid.errors import PfsquidError


class Kind(StrEnum):
    """The kinds of LdapProblem. NO_TLS: something answers there, but not in TLS. NOT_ALLOWED: no right to do that."""

    UNREACHABLE = "unreachable"
    NO_TLS = "no_tls"
    UNTRUSTED = "untrusted"
    WRONG_NAME = "wrong_name"
    EXPIRED_CERTIFICATE = "expired_certificate"
    BAD_PASSWORD = "bad_password"  # noqa: S105 - the name of a problem
    LOCKED = "locked"
    DISABLED = "disabled"
    ACCOUNT_EXPIRED = "account_expired"
    PASSWORD_EXPIRED = "password_expired"  # noqa: S105
    MUST_CHANGE = "must_change"
    NOT_ALLOWED = "not_allowed"
    SIGNING_REQUIRED = "signing_required"
    OTHER = "other"


# What has to do with the way to the server, by value; all else is about who asks.
WAY = frozenset(
    kind.value
    for kind in (
        Kind.UNREACHABLE,
        Kind.NO_TLS,
        Kind.UNTRUSTED,
        Kind.WRONG_NAME,
        Kind.EXPIRED_CERTIFICATE,
        Kind.SIGNING_REQUIRED,
    )
)


class LdapProblem(PfsquidError):  # noqa: N818 - reads as what it is
    """Why the directory could not be asked. code: the LDAP result code, None where it did not come to one."""

    def __init__(self, kind: Kind, message: str, *next: str, code: int | None = None) -> None:
        super().__init__(message, *next)
        self.kind = kind
        self.code = code


class Trust(Protocol):
    """What of a site matters for a certificate's failure."""

    @property
    def ca(self) -> Path | None:
        """The CA's file."""

    @property
    def tls(self) -> str:
        """ldaps or starttls."""


_DATA = re.compile(r"data ([0-9a-fA-F]{1,8})\b")
_WIN32 = {
    0x525: (Kind.BAD_PASSWORD, "there is no such account"),
    0x52E: (Kind.BAD_PASSWORD, "wrong user name or password"),
    0x52F: (Kind.NOT_ALLOWED, "a restriction of the account forbids it"),
    0x530: (Kind.NOT_ALLOWED, "the account may not log on at this time"),
    0x531: (Kind.NOT_ALLOWED, "the account may not log on at this computer"),
    0x532: (Kind.PASSWORD_EXPIRED, "the password has expired"),
    0x533: (Kind.DISABLED, "the account is disabled"),
    0x701: (Kind.ACCOUNT_EXPIRED, "the account has expired"),
    0x773: (Kind.MUST_CHANGE, "the password must be changed at the next logon"),
    0x775: (Kind.LOCKED, "the account is locked out"),
}
_CURES = {
    Kind.BAD_PASSWORD: ("try the same name and password elsewhere first: each wrong one counts towards a lockout",),
    Kind.PASSWORD_EXPIRED: ("change the password, for example: kpasswd USER@REALM",),
    Kind.MUST_CHANGE: ("change the password, for example: kpasswd USER@REALM",),
    Kind.LOCKED: ("Unlock-ADAccount USER", "samba-tool user unlock USER    # on a Samba domain controller"),
    Kind.DISABLED: ("Enable-ADAccount USER",),
    Kind.ACCOUNT_EXPIRED: ("Clear-ADAccountExpiration USER",),
    Kind.NOT_ALLOWED: ("log in as an account that may, or ask who administers the domain",),
}
_HOSTNAME_MISMATCH, _EXPIRED, _NOT_YET = 62, 10, 9


def refused(
    server: str, user: str, result: Mapping[str, Any], operation: str = "bind", target: str = ""
) -> LdapProblem:
    """What a result other than success means. The server's own words are kept to one line."""
    code, said = int(result["result"]), " ".join(str(result.get("message") or "").replace("\0", "").split())
    name = str(result.get("description") or code)
    if operation == "bind":
        return _refused_bind(server, user, code, name, said)
    about = f"{server} refuses to {operation} {target or 'the root'}: {name}" + (f" ({said[:200]})" if said else "")
    if code == 50:  # insufficientAccessRights
        return LdapProblem(
            Kind.NOT_ALLOWED, f"{about}\n{user} has no right to do that", *_CURES[Kind.NOT_ALLOWED], code=code
        )
    return LdapProblem(Kind.OTHER, about, "the same command with --debug", code=code)


def _refused_bind(server: str, user: str, code: int, name: str, said: str) -> LdapProblem:
    if code in (8, 13):  # strongerAuthRequired, confidentialityRequired
        return LdapProblem(
            Kind.SIGNING_REQUIRED,
            f"{server} takes no simple bind here: it wants LDAP signing or TLS ({name})",
            "directory.tls: ldaps    # in pfsquid.yaml",
            code=code,
        )
    data = _DATA.search(said)
    kind, why = _WIN32.get(int(data[1], 16) if data else -1, (Kind.OTHER, f"{name} {said[:200]}".strip()))
    if kind is Kind.OTHER and code == 49:  # invalidCredentials without a reason
        kind, why = Kind.BAD_PASSWORD, "wrong user name or password"
    cures = [cure.replace("USER", user) for cure in _CURES.get(kind, ("the same command with --debug",))]
    return LdapProblem(kind, f"{server} refuses the login of {user}: {why}", *cures, code=code)


def untrusted(server: str, address: str, port: int, site: Trust, failure: Exception) -> LdapProblem:
    """What a failed handshake means. Nothing secret was sent then."""
    begin = f"-connect {_bracketed(address)}:{port}" + (" -starttls ldap" if site.tls == "starttls" else "")
    show = f"openssl s_client {begin} -showcerts </dev/null | openssl x509 -noout -issuer -dates -ext subjectAltName"
    if isinstance(failure, ssl.SSLCertVerificationError):
        code, why = failure.verify_code, failure.verify_message
        if code == _HOSTNAME_MISMATCH:
            return LdapProblem(
                Kind.WRONG_NAME,
                f"the certificate at {address} is for another name than {server}",
                f"{show}    # which names has it?",
                "directory.servers: [THAT NAME]    # in pfsquid.yaml: the full name of the domain controller",
            )
        if code in (_EXPIRED, _NOT_YET):
            return LdapProblem(Kind.EXPIRED_CERTIFICATE, f"the certificate of {server}: {why}", show, "date -u")
        trusted = f"by {site.ca}" if site.ca else "by what this machine trusts"
        return LdapProblem(
            Kind.UNTRUSTED,
            f"the certificate of {server} is not trusted {trusted}: {why}",
            "directory.ca: PATH    # in pfsquid.yaml: the certificate (PEM) of the domain's CA; on a Windows CA: "
            "certutil -ca.cert ca.cer && certutil -encode ca.cer ca.pem",
            show,
        )
    return LdapProblem(
        Kind.NO_TLS,
        f"{server} ({address}, port {port}) does not speak TLS as it should: {_short(failure)}",
        f"{show}    # a domain controller without a certificate answers so",
    )


def no_connection(server: str, address: str, port: int, failure: Exception) -> LdapProblem:
    """What a connection that did not come about, or ended, means."""
    where = f"{server} ({address}, port {port})"
    return LdapProblem(
        Kind.UNREACHABLE, f"{where} cannot be reached: {_short(failure)}", f"nc -vz {address} {port}", f"ping {address}"
    )


def _short(failure: Exception) -> str:
    text = " ".join(str(failure).split())
    return text.removeprefix("socket connection error while opening: ")[:200] or type(failure).__name__


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
