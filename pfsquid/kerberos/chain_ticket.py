"""Links that need somebody's ticket: a login to the domain, and a ticket for the proxy that the keytab opens. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from pfsquid.kerberos.causes import fill
from pfsquid.kerberos.chain_keytab import NEW, ROTATE
from pfsquid.kerberos.check import Finding, fail, ok
from pfsquid.kerberos.enctypes import name_of
from pfsquid.kerberos.facts import Asked
from pfsquid.kerberos.facts_proxy import Login, Service


@dataclass(frozen=True)
class _Cure:
    """What an answer means, what to do about it (commands with {placeholders} of `causes.fill`), and its causes."""

    text: str
    commands: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()


def login(login: Login) -> Finding:
    """Somebody can log in to the domain, so that a real ticket can be tried."""
    if login.tgt is not None:
        return ok(f"{login.tgt.client} ({login.source})")
    cure = _LOGINS.get(login.code or 0, _Cure("see what the KDC says"))
    return fail(
        f"{login.who} gets no ticket of the domain: {login.error}",
        f"{cure.text}. This is about {login.who} ({login.source}), with whom pfsquid tries the chain",
        *fill(cure.commands, user=login.who, account=login.who.partition("@")[0]),
        "verify.user, verify.password    # in pfsquid.yaml",
        cause=cure.causes,
    )


# RFC 4120 7.5.9.
_LOGINS = {
    6: _Cure("there is no such principal in that realm", (), ("kinit-unknown-client",)),
    14: _Cure("the KDC and the account have no enctype in common"),
    18: _Cure(
        "the account is disabled, expired or locked out",
        ("Unlock-ADAccount {account}", "Enable-ADAccount {account}"),
        ("kinit-revoked",),
    ),
    23: _Cure("its password has expired or must be changed", ("kpasswd {user}",), ("kinit-password-expired",)),
    24: _Cure("the password is wrong; it was tried once, and not again", (), ("kinit-wrong-password",)),
    32: _Cure("the ticket is too old: log in again", ("kinit {user}",)),
    37: _Cure("the clocks are too far apart", ("pfsquid verify-kerberos --only clock",)),
    68: _Cure("the account is in another realm"),
}


def ticket(asked: Asked, service: Service) -> Finding:
    """A ticket for the proxy can be had, and a key of the firewall's keytab opens it."""
    if service.ticket is None:
        twice = {7: ("spn-missing",), 8: ("spn-duplicate",)}.get(service.code or 0)
        return fail(
            f"the KDC gives no ticket for {asked.spn}: {service.error}",
            "the SPN is missing, or on two accounts; if the directory could not be asked here, look there"
            if twice else "see what the KDC says",
            f"setspn -Q {asked.service}",
            cause=twice or (),
        )  # fmt: skip
    got = service.ticket
    told = f"{name_of(got.enctype)}, kvno {got.kvno if got.kvno is not None else 'not said'}"
    if service.opened:
        return ok(f"{told}: opened by the keytab's key (kvno {service.opened.entry.kvno})")
    cure = _UNOPENED.get(service.reason, _Cure("make the keytab anew", (ROTATE,)))
    return fail(
        f"the firewall's keytab does not open the ticket ({told}): {service.text}",
        cure.text,
        *fill(cure.commands, spn=asked.service, account=asked.account),
        cause=cure.causes,
    )


_UNOPENED = {
    "no_principal": _Cure("the keytab is of another name", (NEW,), ("keytab-other-principal",)),
    "no_enctype": _Cure(
        "the account makes tickets with an enctype of which the keytab has no key",
        ("Set-ADUser {account} -KerberosEncryptionType AES128,AES256", ROTATE),
        ("keytab-enctype-missing",),
    ),
    "no_kvno": _Cure("the password was set anew since the keytab was made", (ROTATE,), ("kvno-old-keytab",)),
    "wrong_key": _Cure(
        "the key is of another password or salt (changing the UPN changes the salt), or the SPN is on another account",
        ("setspn -Q {spn}", ROTATE),
        ("wrong-key",),
    ),
}
