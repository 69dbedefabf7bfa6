"""Links in the keytab: that it is there, who can read it, whose it is, and which keys it has. Pure."""

from __future__ import annotations

from pfsquid.firewall.inspected import Inspected
from pfsquid.kerberos.check import Finding, fail, ok, unknown
from pfsquid.kerberos.enctypes import AES128, AES128_SHA2, AES256, AES256_SHA2, name_of
from pfsquid.kerberos.facts import Asked, Domain, Owners
from pfsquid.kerberos.facts_proxy import Keys, Trial
from pfsquid.kerberos.keytab import Entry

_AES = frozenset({AES256, AES128, AES256_SHA2, AES128_SHA2})
_BITS = {8: AES128, 16: AES256}  # msDS-SupportedEncryptionTypes ([MS-KILE] 2.2.7) → enctypes
_ADMINISTRATORS = ("root", "toor", "admin")  # names of uid 0 on pfSense
_CLOSED_GROUPS = ("proxy", "squid", "wheel", "root")  # nobody but Squid and administrators is in these
NEW = "pfsquid keytab create --adopt    # a new password, and a keytab of it"
ROTATE = "pfsquid keytab rotate    # a new password and keytab, brought to the firewall in the right order"
_WINDOWS = "pfsquid keytab create --offline    # writes the whole ktpass command, for who may do that on Windows"
_FEW = 5
_BRING = "pfsquid configure    # brings the keytab of the configuration to the firewall"


def keytab_readable(firewall: Inspected) -> Finding:
    """The keytab is where Squid's configuration says, and Squid's user can read it."""
    keytab = firewall.keytab
    if keytab is None or keytab.file is None:
        what = f"there is no keytab {keytab.path}" if keytab else "squid.conf names no keytab"
        return fail(
            f"{what}{f': {keytab.problem}' if keytab and keytab.problem else ''}",
            "each login fails, and the helpers die over and over, which takes the whole proxy down",
            _BRING,
            cause=["keytab-missing"],
        )
    path = keytab.path
    if keytab.file.kind != "file":
        return fail(
            f"{path} is no file: {keytab.file.kind}",
            "the helper's -k has to name the keytab itself",
            _BRING,
            f"ls -ld {path}    # on the firewall",
            cause=["keytab-not-a-file"],
        )
    file = keytab.file
    told = f"{path} is {file.owner}:{file.group} {file.mode:04o}"
    if keytab.squid_reads is None:
        return unknown(
            f"{told}; whether Squid can read it could not be tried: has the firewall its user {firewall.squid.user}?",
            "the Squid package makes that user",
            f"id {firewall.squid.user}    # on the firewall",
        )
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
        return unknown("the keytab was not found", "see keytab-readable", _BRING)
    path, file = firewall.keytab.path, firewall.keytab.file
    who = ""
    if firewall.keytab.nobody_reads or file.mode & 0o007:
        who = "everybody"
    elif file.mode & 0o070 and file.group not in _CLOSED_GROUPS:
        who = f"the group {file.group}"
    elif file.owner not in (*_ADMINISTRATORS, firewall.squid.user):
        who = f"the user {file.owner}"
    if who:
        return fail(
            f"{who} on the firewall can use the keytab {path} ({file.mode:04o})",
            "with its key one can pretend to be the proxy, and make tickets of anybody for it: close it, and take a "
            "new key if somebody may have seen it",
            f"chown squid:proxy {path}; chmod 400 {path}    # on the firewall",
            ROTATE,
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
    return ok(f"{len(keys.entries)} key{'' if len(keys.entries) == 1 else 's'}", [_shown(one) for one in keys.entries])


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
            NEW,
            _WINDOWS,
            cause=["keytab-other-principal"],
        )
    return fail(
        f"the keytab has no key of {asked.spn}; it has {', '.join(names[:_FEW])}"
        f"{f' and {len(names) - _FEW} more' if len(names) > _FEW else ''}",
        "it is the keytab of another service, or was made for another name of the proxy",
        NEW,
        "kerberos.proxy    # in pfsquid.yaml: the name that browsers use",
        cause=["keytab-other-principal"],
    )


def keytab_enctypes(asked: Asked, maybe_owners: Owners | None, keys: Keys) -> Finding:
    """The keytab has a key of the enctype that tickets will be made with."""
    entries = _of(asked, keys)
    newest = max((one.kvno for one in entries), default=0)  # an older key is for tickets in flight only
    ours = {one.key.enctype for one in entries if one.kvno == newest}
    has = ", ".join(name_of(one) for one in sorted(ours, reverse=True))
    allowed = maybe_owners.service.enctypes if maybe_owners and maybe_owners.service else None
    will = max((_BITS[bit] for bit in _BITS if allowed and allowed & bit), default=None)
    if not ours & _AES:
        return fail(
            f"the keytab has no AES key, only {has}",
            "domain controllers make tickets with AES where the account allows it, and Windows gives RC4 up",
            ROTATE,
            _WINDOWS,
            cause=["keytab-enctype-missing"],
        )
    if will and will not in ours:
        return fail(
            f"tickets will be made with {name_of(will)}, and the keytab has only {has}",
            "a keytab needs a key of each enctype that the account allows",
            ROTATE,
            cause=["keytab-enctype-missing"],
        )
    if not ours & _AES & set(asked.enctypes):
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
        return unknown(
            "the directory does not say which kvno the account has",
            "may that user read it?",
            "directory.user    # in pfsquid.yaml",
        )
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
            ROTATE,
            cause=["kvno-not-in-keytab"],
            evidence=evidence,
        )
    if kvno < min(ours, default=0):
        return fail(
            f"the keytab is ahead of the directory: it has kvno {have}, the directory {kvno} for {who}",
            "it was made for an account that is no more (deleted and made anew, or restored), or for another one",
            ROTATE,
            cause=["kvno-new-keytab"],
            evidence=evidence,
        )
    when = owners.service.password_set if owners.service else None
    return fail(
        f"{who} got a new password after the keytab was made: the directory has kvno {kvno}, the keytab {have}"
        f"{f' (password set {when:%Y-%m-%d %H:%M} UTC)' if when else ''}",
        "new tickets are made with a key that the keytab does not have: a new keytab is needed. If a tool or a person "
        "changes that password by routine, it has to stop",
        ROTATE,
        cause=["kvno-old-keytab"],
        evidence=evidence,
    )


def _of(asked: Asked, keys: Keys) -> tuple[Entry, ...]:
    return tuple(one for one in keys.entries if str(one.principal) == asked.spn)


def _shown(one: Entry) -> str:
    return f"{one.principal} kvno {one.kvno} {name_of(one.key.enctype)} {one.timestamp:%Y-%m-%d %H:%M} UTC"
