"""Links in the directory: LDAP itself, the service account, its SPN and encryption types. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from pfsquid.kerberos.account import AES_ONLY, Account, enctype_names
from pfsquid.kerberos.check import Finding, fail, ok, unknown, warn
from pfsquid.kerberos.enctypes import RC4, name_of
from pfsquid.kerberos.facts import Asked, Domain, Ldap, Owners
from pfsquid.kerberos.facts_proxy import Trial
from pfsquid.kerberos.ldap_problem import WAY

_SOON = timedelta(days=14)
_ADUC = "Active Directory Users and Computers"


_CURES = {
    "untrusted": "the certificate was not signed by a CA that is trusted here: name the domain's CA certificate in "
    "pfsquid.yaml; never switch the verification off",
    "wrong_name": "the certificate is of another name: name the domain controller as its certificate does",
    "expired_certificate": "renew the domain controller's certificate",
    "no_tls": "the domain controller has no certificate, or something else listens on that port",
    "signing_required": "use directory.tls: ldaps",
}
# Those that have a cause of their own.
_CODES: dict[str, tuple[str, ...]] = {
    kind: (f"ldap-{kind.replace('_', '-')}",)
    for kind in (
        "untrusted", "wrong_name", "expired_certificate", "signing_required", "bad_password", "locked", "disabled",
        "account_expired", "password_expired", "must_change",
    )
}  # fmt: skip


def ldap(ldap: Ldap) -> Finding:
    """A domain controller speaks LDAP inside TLS to this machine, and shows a certificate of its name."""
    evidence = [f"{name}: {refusal.message}" for name, refusal in ldap.refused.items()]
    bad = {name: one for name, one in ldap.refused.items() if one.kind in WAY and one.kind != "unreachable"}
    if bad:
        refusal = next(iter(bad.values()))
        return fail(
            refusal.message, _CURES.get(refusal.kind, "see what the server says"), *refusal.next,
            cause=_CODES.get(refusal.kind, ()), evidence=evidence,
        )  # fmt: skip
    if ldap.opened or any(one.kind not in WAY for one in ldap.refused.values()):
        names = [*ldap.opened, *(name for name, one in ldap.refused.items() if one.kind not in WAY)]
        return ok(f"{', '.join(names)}: TLS, and a certificate of that name", evidence)
    first = next(iter(ldap.refused.values()), None)
    if first is None:
        return unknown(
            "no domain controller is known whose LDAP could be asked",
            "neither the configuration nor an SRV record names one",
            "directory.servers: [NAME]    # in pfsquid.yaml",
        )
    return unknown(
        f"LDAP cannot be reached from this machine: {first.message}",
        "the firewall does reach a domain controller; run this where LDAPS is allowed, or let this machine through",
        *first.next,
        evidence=evidence,
    )


def ldap_login(ldap: Ldap) -> Finding:
    """The account that asks the directory can log in there."""
    refused = {name: one for name, one in ldap.refused.items() if one.kind not in WAY}
    if not refused:
        return ok(f"{ldap.user} at {', '.join(ldap.opened)}")
    refusal = next(iter(refused.values()))
    return fail(
        refusal.message,
        f"this is about {ldap.user}, which pfsquid asks with, not about the service account. It was tried once, and "
        "not again: each wrong password counts towards a lockout",
        *refusal.next,
        "directory.user, directory.password    # in pfsquid.yaml",
        cause=_CODES.get(refusal.kind, ()),
        evidence=[f"{name}: {one.message}" for name, one in ldap.refused.items()],
    )


def spn(asked: Asked, owners: Owners) -> Finding:
    """The SPN is on exactly one account, the right one, in the right case."""
    wanted, accounts = asked.service, owners.accounts
    evidence = [f"{one.dn}: {', '.join(one.spns)}" for one in accounts] + [f"{spn}: {sam}" for spn, sam in owners.like]
    if not accounts:
        near = f"; there is {owners.like[0][0]}, on {owners.like[0][1]}" if owners.like else ""
        return fail(
            f"no account has the SPN {wanted} ({owners.where}){near}",
            "without it the KDC has no ticket for the proxy, and browsers fall back to NTLM or ask for a password",
            f"setspn -S {wanted} {asked.who}",
            f"samba-tool spn add {wanted} {asked.who}    # on a Samba domain controller",
            cause=["spn-missing"],
            evidence=evidence,
        )
    if len(accounts) > 1:
        named = ", ".join(one.sam for one in accounts)
        return fail(
            f"{len(accounts)} accounts have the SPN {wanted}: {named} ({owners.where})",
            "the KDC then gives no ticket at all (or one that only the other account can read): leave it on one",
            *_left_on_one(asked, owners),
            f"setspn -Q {wanted}    # to look again; setspn -X -F finds all duplicates of the forest",
            cause=["spn-duplicate"],
            evidence=evidence,
        )
    owner = accounts[0]
    if owners.service is not None and owner.dn.lower() != owners.service.dn.lower():
        return fail(
            f"the SPN {wanted} is on {owner.sam}, not on {owners.service.sam}",
            f"tickets are made with the key of {owner.sam}, which the keytab does not have; the helper then says that "
            "the ticket is out of date, which misleads",
            f"setspn -D {wanted} {owner.sam}",
            f"setspn -S {wanted} {owners.service.sam}",
            cause=["spn-other-account"],
            evidence=evidence,
        )
    spelled = owner.spelling_of(wanted)
    if spelled and wanted not in owner.spns:
        return fail(
            f"the SPN is written {spelled}, and browsers ask for {wanted}",
            "Active Directory itself does not tell upper from lower case, but keytabs do: tools copy the spelling into "
            "the keytab, and the helper then finds no key",
            f"setspn -D {spelled} {owner.sam}",
            f"setspn -S {wanted} {owner.sam}",
            evidence=evidence,
        )
    return ok(f"{wanted} is on {owner.sam} alone ({owners.where})", evidence)


def _left_on_one(asked: Asked, owners: Owners) -> tuple[str, ...]:
    """Commands that leave the SPN on the service account alone; which that is, nobody may guess."""
    if owners.service is None:
        names = " or ".join(one.sam for one in owners.accounts)
        return (f"setspn -D {asked.service} ACCOUNT    # {names}: each but the one whose key the keytab has",)
    ours = owners.service.dn.lower()
    others = [one.sam for one in owners.accounts if one.dn.lower() != ours]
    adds = () if len(others) < len(owners.accounts) else (f"setspn -S {asked.service} {owners.service.sam}",)
    return (*(f"setspn -D {asked.service} {sam}" for sam in others), *adds)


def account(asked: Asked, owners: Owners, domain: Domain) -> Finding:
    """The service account is enabled, not locked, and its password holds."""
    one = owners.service
    if one is None and asked.account is None:
        return unknown(
            "which account is the service's is not known: the configuration names none, and no one alone has the SPN",
            "name it",
            "kerberos.account    # in pfsquid.yaml",
        )
    if one is None:
        return fail(
            f"there is no account {asked.who} in the domain",
            "make it, or correct kerberos.account in pfsquid.yaml",
            "pfsquid keytab create    # makes the account, its SPN and the keytab",
        )
    evidence = [f"{one.dn}: {', '.join(sorted(one.flags))}; password set {one.password_set or 'never'}"]
    bad = _unusable(one, domain)
    if bad:
        what, text, commands, cause = bad
        return fail(
            f"{one.sam} {what}", f"{text} (Samba goes on giving tickets for it, Windows does not)", *commands,
            cause=[cause], evidence=evidence,
        )  # fmt: skip
    expiry = _expiry(one, domain)
    # Where it is over by the domain's rule and the controller says nothing, a finer rule holds for this account.
    if expiry is not None and timedelta() <= expiry - domain.now < _SOON:
        return warn(
            f"the password of {one.sam} expires on {expiry:%Y-%m-%d}",
            "change it before, and the keytab with it; or let it not expire, as is usual for a service",
            "pfsquid keytab rotate",
            f"Set-ADUser {one.sam} -PasswordNeverExpires $true",
            evidence=evidence,
        )
    if "TRUSTED_FOR_DELEGATION" in one.flags:
        return warn(
            f"{one.sam} is trusted for delegation to any service",
            "a proxy needs no delegation: with it, whoever has the keytab can act as anybody who used the proxy",
            f"Set-ADAccountControl {one.sam} -TrustedForDelegation $false",
            evidence=evidence,
        )
    return ok(f"{one.sam} ({one.kind.value}) is enabled, not locked, its password holds", evidence)


def _unusable(one: Account, domain: Domain) -> tuple[str, str, tuple[str, ...], str] | None:
    """What makes an account useless, what to do about it, by which commands, and the cause's code; or None."""
    sam = one.sam
    never = (
        f"Set-ADUser {sam} -PasswordNeverExpires $true",
        "pfsquid keytab rotate    # sets a new password, and makes the keytab of it",
    )
    if not one.enabled:
        enable = (f"Enable-ADAccount {sam}", f"samba-tool user enable {sam}")
        return "is disabled", "enable it", enable, "account-revoked"
    if one.locked:
        unlock = (f"Unlock-ADAccount {sam}", f"samba-tool user unlock {sam}")
        who = "somebody tries wrong passwords on it: find out who (event 4740 of the domain controller), and unlock it"
        return "is locked out", who, unlock, "account-revoked"
    if one.is_expired(domain.now):
        return "has expired", "it has an end date of its own", (f"Clear-ADAccountExpiration {sam}",), "account-revoked"
    if one.must_change:
        text = "a service never logs on, so nobody ever changes it"
        return "must change its password at the next logon", text, never, "account-password-expired"
    if one.password_expired:
        return "has an expired password", "let it not expire, or set a new one", never, "account-password-expired"
    return None


def _expiry(one: Account, domain: Domain) -> datetime | None:
    if "DONT_EXPIRE_PASSWD" in one.flags or one.is_computer or not (domain.max_password_age and one.password_set):
        return None
    return one.password_set + domain.max_password_age


def account_enctypes(owners: Owners, trial: Trial) -> Finding:
    """The service account allows AES, and nothing that the firewall would not take."""
    one = owners.service
    if one is None:
        return unknown("there is no service account to look at", "see account", "kerberos.account    # in pfsquid.yaml")
    fix = (
        f"Set-ADUser {one.sam} -KerberosEncryptionType AES128,AES256",
        f"net ads enctypes set {one.sam} 24    # on a Samba domain controller",
        "pfsquid keytab rotate    # keys of a type exist only after a new password",
    )
    if "USE_DES_KEY_ONLY" in one.flags:
        return fail(
            f"{one.sam} has the flag “Use only Kerberos DES encryption types”", f"take it out ({_ADUC}: Account)", *fix,
            cause=["account-rc4"],
        )  # fmt: skip
    if not one.enctypes:
        told = f"{one.sam} does not say which encryption types it allows, so the domain's default holds"
        if trial.enctype is not None and trial.enctype != RC4:
            return ok(f"{told}: tickets come with {name_of(trial.enctype)}")
        told += ": tickets come with RC4" if trial.enctype == RC4 else "; that is often RC4"
        verdict = fail if trial.enctype == RC4 and not trial.opens else warn
        text = "say AES: the keytab's keys are AES keys, and a ticket made with RC4 cannot be read with them"
        return verdict(told, text, *fix, cause=["account-rc4"])
    names = enctype_names(one.enctypes)
    if not one.enctypes & AES_ONLY:
        return fail(
            f"{one.sam} allows {', '.join(names) or 'nothing known'}, and no AES (msDS-SupportedEncryptionTypes "
            f"{one.enctypes})",
            "tickets for the proxy are then made with a key that the keytab does not have, or should not",
            *fix,
            cause=["account-rc4"],
        )
    more = [name for name in names if not name.startswith("AES")]
    told = f"; not needed, and allowed too: {', '.join(more)}" if more else ""
    return ok(f"{', '.join(names)} (msDS-SupportedEncryptionTypes {one.enctypes}){told}")
