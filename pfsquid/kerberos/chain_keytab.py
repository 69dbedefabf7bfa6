"""Links in the keytab: that it is there, whose it is, which keys it has, and that they open a ticket. Pure."""

from __future__ import annotations

from pfsquid.firewall.inspected import Inspected
from pfsquid.kerberos.check import Finding, fail, ok, unknown
from pfsquid.kerberos.enctypes import AES128, AES128_SHA2, AES256, AES256_SHA2, name_of
from pfsquid.kerberos.facts import Asked, Domain, Owners
from pfsquid.kerberos.facts_proxy import Keys, Login, Service, Trial
from pfsquid.kerberos.keytab import Entry

_AES = frozenset({AES256, AES128, AES256_SHA2, AES128_SHA2})
_BITS = {4: 23, 8: AES128, 16: AES256}  # msDS-SupportedEncryptionTypes ([MS-KILE] 2.2.7) → enctypes
_CLOSED_GROUPS = ("proxy", "squid", "wheel", "root")  # nobody but Squid and administrators is in these
_NEW = "pfsquid keytab create --adopt    # a new password, and a keytab of it"
_ROTATE = "pfsquid keytab rotate    # a new password and keytab, brought to the firewall in the right order"
_BRING = "pfsquid configure    # brings the keytab of the configuration to the firewall"


def keytab_readable(firewall: Inspected) -> Finding:
    """The keytab is where Squid's configuration says, and Squid's user can read it."""
    keytab = firewall.keytab
    path = keytab.path if keytab else "in squid.conf"
    if keytab is None or keytab.file is None or keytab.file.kind != "file":
        return fail(
            f"there is no keytab {path}{f': {keytab.problem}' if keytab and keytab.problem else ''}",
            "each login fails, and the helpers die over and over, which takes the whole proxy down",
            _BRING,
            cause=["keytab-missing"],
        )
    file = keytab.file
    told = f"{path} is {file.owner}:{file.group} {file.mode:04o}"
    if not keytab.squid_reads:
        closed = f"; it may not pass {', '.join(keytab.closed)}" if keytab.closed else ""
        return fail(
            f"Squid cannot read the keytab: {told}{closed}",
            "Squid gives up its supplementary groups: only its user, or the group proxy, counts",
            _BRING,
            f"chown squid:proxy {path}; chmod 400 {path}    # on the firewall",
            cause=["keytab-unreadable"],
        )
    return ok(told)


def keytab_private(firewall: Inspected) -> Finding:
    """Nobody but Squid (and root) can read the keytab."""
    if firewall.keytab is None or firewall.keytab.file is None:
        return unknown("the keytab was not found", "see keytab-readable")
    path, file = firewall.keytab.path, firewall.keytab.file
    if firewall.keytab.nobody_reads or file.mode & 0o007 or (file.mode & 0o070 and file.group not in _CLOSED_GROUPS):
        who = "everybody" if firewall.keytab.nobody_reads or file.mode & 0o007 else f"the group {file.group}"
        return fail(
            f"{who} on the firewall can use the keytab {path} ({file.mode:04o})",
            "with its key one can pretend to be the proxy, and make tickets of anybody for it: close it, and take a "
            "new key if somebody may have seen it",
            f"chown squid:proxy {path}; chmod 400 {path}    # on the firewall",
            _ROTATE,
            cause=["keytab-open"],
        )
    return ok(f"{file.owner}:{file.group} {file.mode:04o}")


def keytab(keys: Keys) -> Finding:
    """The keytab can be parsed, and has entries."""
    if keys.problem:
        return fail(
            f"{keys.path}: {keys.problem}",
            "it was cut or changed on its way (a copy as text does that): make it anew, or bring the good one again",
            "pfsquid keytab show    # the one on this machine: is it whole?",
            _BRING,
            cause=keys.codes,
        )
    return ok(f"{len(keys.entries)} keys", [_shown(one) for one in keys.entries])


def keytab_principal(asked: Asked, keys: Keys) -> Finding:
    """The keytab has keys of the very principal that the helper looks for."""
    names = list(dict.fromkeys(str(one.principal) for one in keys.entries))
    if asked.spn in names:
        return ok(f"{asked.spn}", [_shown(one) for one in keys.entries])
    near = next((name for name in names if name.lower() == asked.spn.lower()), None)
    if near:
        return fail(
            f"the keytab says {near}, the helper looks for {asked.spn}: upper and lower case count",
            "the host name stands in small letters, HTTP and the realm in capitals",
            _NEW,
            f"ktpass /princ {asked.spn} …    # on Windows: `pfsquid keytab create --offline` writes the whole command",
            cause=["keytab-case"],
        )
    return fail(
        f"the keytab has no key of {asked.spn}; it has {', '.join(names)}",
        "it is the keytab of another service, or was made for another name of the proxy",
        _NEW,
        "kerberos.proxy    # in pfsquid.yaml: the name that browsers use",
        cause=["keytab-other-principal"],
    )


def keytab_enctypes(asked: Asked, maybe_owners: Owners | None, keys: Keys) -> Finding:
    """The keytab has a key of the enctype that tickets will be made with."""
    ours = {one.key.enctype for one in _of(asked, keys)}
    has = ", ".join(name_of(one) for one in sorted(ours, reverse=True))
    allowed = maybe_owners.service.enctypes if maybe_owners and maybe_owners.service else None
    will = max((_BITS[bit] for bit in (16, 8) if allowed and allowed & bit), default=None)
    if not ours & _AES:
        return fail(
            f"the keytab has no AES key, only {has}",
            "domain controllers make tickets with AES where the account allows it, and Windows gives RC4 up",
            _ROTATE,
            "ktpass … /crypto AES256-SHA1    # on Windows: `pfsquid keytab create --offline` writes the whole command",
            cause=["keytab-rc4-only"],
        )
    if will and will not in ours:
        return fail(
            f"tickets will be made with {name_of(will)}, and the keytab has only {has}",
            "a keytab needs a key of each enctype that the account allows",
            _ROTATE,
            cause=["keytab-enctype-missing"],
        )
    refused = [one for one in ours & _AES if one not in asked.enctypes]
    if refused and not ours & _AES & set(asked.enctypes):
        return fail(
            f"krb5.conf does not allow any of the keytab's enctypes ({has})",
            "kerberos.enctypes leaves them out",
            "kerberos.enctypes: [aes256-sha1, aes128-sha1]    # in pfsquid.yaml",
        )
    return ok(has)


def keytab_kvno(asked: Asked, owners: Owners, domain: Domain, keys: Keys, trial: Trial) -> Finding:
    """The keytab has the key of the number (kvno) that every domain controller has."""
    ours = sorted({one.kvno for one in _of(asked, keys)})
    theirs = {name: kvno for name, kvno in domain.kvnos.items() if kvno is not None}
    told = ", ".join(f"{name} {kvno}" for name, kvno in theirs.items())
    evidence = [f"keytab: {', '.join(map(str, ours))}", *(f"{name}: {kvno}" for name, kvno in domain.kvnos.items())]
    who = owners.service.sam if owners.service else asked.who
    if not theirs:
        return unknown("the directory does not say which kvno the account has", "may that user read it?")
    if len(set(theirs.values())) > 1:
        return fail(
            f"the domain controllers do not agree on the kvno of {who}: {told}",
            "a new password has not reached all of them: tickets depend on which one a client asks",
            "repadmin /replsummary; repadmin /syncall /AdeP    # on Windows",
            "samba-tool drs showrepl    # on Samba",
            evidence=evidence,
        )
    kvno = next(iter(theirs.values()))
    # Old keytabs have 8 bits for the kvno.
    if kvno in ours or kvno % 256 in ours:
        former = [str(one) for one in ours if one not in (kvno, kvno % 256)]
        beside = f", and {', '.join(former)} beside it" if former else ""
        return ok(f"{kvno}{beside}", evidence)
    have = ", ".join(map(str, ours))
    if trial.opens:
        return fail(
            f"the directory has kvno {kvno}, the keytab {have}. Its key is the right one, only the number is not",
            "a helper that is told its service name (-s) takes the key of the ticket's number only. Tools that make a "
            "keytab from a password have to be told the number that the directory has",
            _ROTATE,
            cause=["kvno-not-in-keytab"],
            evidence=evidence,
        )
    when = owners.service.password_set if owners.service else None
    return fail(
        f"{who} got a new password after the keytab was made: the directory has kvno {kvno}, the keytab {have}"
        f"{f' (password set {when:%Y-%m-%d %H:%M} UTC)' if when else ''}",
        "new tickets are made with a key that the keytab does not have: a new keytab is needed. If a tool or a person "
        "changes that password by routine, it has to stop",
        _ROTATE,
        cause=["kvno-old-keytab" if kvno > max(ours, default=0) else "kvno-new-keytab"],
        evidence=evidence,
    )


def login(login: Login) -> Finding:
    """Somebody can log in to the domain, so that a real ticket can be tried."""
    if login.tgt is not None:
        return ok(f"{login.tgt.client} ({login.source})")
    cure = _LOGINS.get(login.code or 0, ("see what the KDC says", ()))
    return fail(
        f"{login.who} gets no ticket of the domain: {login.error}",
        f"{cure[0]}. This is about {login.who} ({login.source}), with whom pfsquid tries the chain",
        *cure[1],
        "verify.user, verify.password    # in pfsquid.yaml",
    )


# RFC 4120 7.5.9.
_LOGINS: dict[int, tuple[str, tuple[str, ...]]] = {
    6: ("there is no such principal in that realm", ()),
    14: ("the KDC and the account have no enctype in common", ()),
    18: ("the account is disabled, expired or locked out", ("Unlock-ADAccount USER; Enable-ADAccount USER",)),
    23: ("its password has expired or must be changed", ("kpasswd USER@REALM",)),
    24: ("the password is wrong; it was tried once, and not again", ()),
    32: ("the ticket is too old: log in again", ("kinit",)),
    37: ("the clocks are too far apart", ()),
    68: ("the account is in another realm", ()),
}


def ticket(asked: Asked, service: Service) -> Finding:
    """A ticket for the proxy can be had, and a key of the firewall's keytab opens it."""
    if service.ticket is None:
        return fail(
            f"the KDC gives no ticket for {asked.spn}: {service.error}",
            "the SPN is missing, or on two accounts; if the directory could not be asked here, look there"
            if service.code in (7, 8) else "see what the KDC says",
            f"setspn -Q {asked.service}",
            cause=["spn-missing"] if service.code == 7 else [],
        )  # fmt: skip
    got = service.ticket
    told = f"{name_of(got.enctype)}, kvno {got.kvno if got.kvno is not None else 'not said'}"
    if service.opened:
        return ok(f"{told}: opened by the keytab's key (kvno {service.opened.entry.kvno})")
    text, commands, cause = _UNOPENED.get(service.reason, ("make the keytab anew", (_ROTATE,), ""))
    return fail(
        f"the firewall's keytab does not open the ticket ({told}): {service.text}", text, *commands,
        cause=[cause] if cause else [],
    )  # fmt: skip


_UNOPENED: dict[str, tuple[str, tuple[str, ...], str]] = {
    "no_principal": ("the keytab is of another name", (_NEW,), "keytab-other-principal"),
    "no_enctype": (
        "the account makes tickets with an enctype of which the keytab has no key",
        ("Set-ADUser ACCOUNT -KerberosEncryptionType AES128,AES256", _ROTATE),
        "keytab-enctype-missing",
    ),
    "no_kvno": ("the password was set anew since the keytab was made", (_ROTATE,), "kvno-old-keytab"),
    "wrong_key": (
        "the key is of another password or salt (changing the UPN changes the salt), or the SPN is on another account",
        ("setspn -Q SPN", _ROTATE),
        "wrong-key",
    ),
}


def _of(asked: Asked, keys: Keys) -> tuple[Entry, ...]:
    return tuple(one for one in keys.entries if str(one.principal) == asked.spn)


def _shown(one: Entry) -> str:
    return f"{one.principal} kvno {one.kvno} {name_of(one.key.enctype)} {one.timestamp:%Y-%m-%d %H:%M} UTC"
