"""A real ticket: whose credentials, a login, a ticket for the proxy, a token of it. In memory; no cache is written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pfsquid.firewall.pfsense import Pfsense
from pfsquid.firewall.probes import Question, relay
from pfsquid.kerberos import ccache, keytab
from pfsquid.kerberos.check import NotAsked, Waiting
from pfsquid.kerberos.client import login, service_ticket
from pfsquid.kerberos.enctypes import BadKey, Key
from pfsquid.kerberos.facts import Asked, Kdcs, Refusal
from pfsquid.kerberos.facts_proxy import Keys, Login, Service
from pfsquid.kerberos.kdc import Exchange, KdcError, NoKdc, over_network
from pfsquid.kerberos.principal import NT_SRV_INST, Principal, parse_principal
from pfsquid.kerberos.spnego import token
from pfsquid.kerberos.tickets import CannotOpen, Ticket, open_ticket
from pfsquid.secrets import resolve
from pfsquid.settings import DirectorySettings, VerifySettings

_WRONG_PASSWORD = (18, 23, 24)  # RFC 4120 7.5.9: revoked, key expired, preauthentication failed
_HOW = (
    "verify.user, verify.password    # in pfsquid.yaml: any ordinary account of the domain",
    "kinit    # or your own ticket, on this machine",
)


@dataclass(frozen=True)
class Credentials:
    """Whose ticket is tried: a ticket that is there already, or a password, or keys. source: where they are from."""

    principal: Principal
    source: str
    tgt: Ticket | None = None
    password: str | None = field(default=None, repr=False)
    keys: tuple[Key, ...] = field(default=(), repr=False)
    directory_user: str | None = None


@dataclass
class Refused:
    """Passwords that were refused, by user, so that none is ever tried twice: each counts towards a lockout.

    said: by LDAP; logins: by a KDC, for a principal; by_kdc: users of the directory whose password a KDC has refused.
    """

    said: dict[str, Refusal] = field(default_factory=dict)
    logins: dict[str, Login] = field(default_factory=dict)
    by_kdc: set[str] = field(default_factory=set)

    def note(self, user: str, refusal: Refusal) -> None:
        """Remember it."""
        self.said[user.lower()] = refusal

    def of(self, user: str) -> Refusal | None:
        """What was said to it, if it was refused."""
        return self.said.get(user.lower())


def credentials(
    asked: Asked,
    verify: VerifySettings,
    directory: DirectorySettings,
    folder: Path,
    environment: Mapping[str, str],
) -> Credentials:
    """verify.user; else the caller's own ticket of the realm; else directory.user; else a ticket that has ended.

    Raises NotAsked, WrongUse.
    """
    if verify.user:
        who = _person(verify.user, asked.realm)
        if who is None:
            raise NotAsked(f"verify.user: {verify.user!r} is no principal of {asked.realm}", *_HOW)
        if verify.keytab:
            return Credentials(who, f"keytab {verify.keytab}", keys=_keys(folder / verify.keytab.expanduser(), who))
        if verify.password:
            secret, same = resolve(verify.password, folder), verify.password == directory.password
            asks = directory.user if same and directory.user and _person(directory.user, asked.realm) == who else None
            return Credentials(who, "verify.password", password=secret, directory_user=asks)
    own = _own_ticket(asked, environment)
    if own is not None and not _has_ended(own.tgt):
        return own
    user = _person(directory.user, asked.realm) if directory.user else None
    if user is not None and directory.password:
        return Credentials(
            user, "directory.password", password=resolve(directory.password, folder), directory_user=directory.user
        )
    if own is not None:
        return own
    raise NotAsked("nobody's ticket is to be had, so nothing was tried with a real one", *_HOW)


def log_in(who: Credentials, send: Exchange, refused: Refused) -> Login:
    """A ticket of the domain. Raises NoKdc; Waiting where the directory has refused that password already."""
    if who.tgt is not None:
        if _has_ended(who.tgt):
            return Login(str(who.principal), who.source, None, f"it ended at {who.tgt.ends:%Y-%m-%d %H:%M} UTC", 32)
        return Login(str(who.principal), who.source, who.tgt)
    if who.directory_user and refused.of(who.directory_user):
        raise Waiting("ldap-login")
    name = str(who.principal)
    if name in refused.logins:
        return refused.logins[name]
    try:
        return Login(name, who.source, login(send, who.principal, who.password, who.keys))
    except KdcError as exc:
        said = Login(name, who.source, None, str(exc), exc.code)
        if exc.code in _WRONG_PASSWORD:
            refused.logins[name] = said
            refused.by_kdc |= {who.directory_user} if who.directory_user else set()
        return said


def for_proxy(asked: Asked, login: Login, send: Exchange, keys: Keys) -> Service:
    """A ticket for the proxy, and whether a key of the keytab opens it. Raises NoKdc."""
    if login.tgt is None:
        raise Waiting("login")
    try:
        ticket = service_ticket(send, login.tgt, Principal(("HTTP", asked.proxy), asked.realm, NT_SRV_INST))
    except KdcError as exc:
        return Service(None, str(exc), exc.code)
    except BadKey as exc:
        return Service(None, f"the login's ticket cannot be used here: {exc}")
    try:
        return Service(ticket, opened=open_ticket(ticket, keys.entries))
    except CannotOpen as exc:
        return Service(ticket, reason=exc.reason, text=str(exc))


def exchange(pfsense: Pfsense, kdcs: Kdcs) -> Exchange:
    """A KDC, from this machine where it can be reached, else through the firewall. What has failed is tried last."""
    addresses = [address for _, address in kdcs.good]
    ways = [over_network(one, seconds=3.0) for one in addresses] + [_through(pfsense, one) for one in addresses]

    def send(message: bytes) -> bytes:
        last = NoKdc("no KDC is known")
        for way in tuple(ways):
            try:
                return way(message)
            except NoKdc as exc:
                last = exc
                ways.remove(way)
                ways.append(way)
        raise last

    return send


def _through(pfsense: Pfsense, address: str) -> Exchange:
    def send(message: bytes) -> bytes:
        answer = relay(pfsense, [Question("kdc", "tcp", address, 88, message, 4, 5.0)])["kdc"]
        if answer.error:
            raise NoKdc(f"{address}, asked from the firewall: {answer.error}")
        return answer.data

    return send


def fresh_token(service: Service) -> bytes:
    """A token that was never sent before. Raises Waiting where there is no ticket."""
    if service.ticket is None:
        raise Waiting("ticket")
    return token(service.ticket)


def _has_ended(ticket: Ticket | None) -> bool:
    return ticket is not None and ticket.ends < datetime.now(UTC) + ticket.offset


def _person(user: str, realm: str) -> Principal | None:
    """A user as the configuration writes it, as a principal of the realm; None for a DN or another domain's name."""
    if "=" in user:
        return None
    name = user.rpartition("\\")[2]
    try:
        found = parse_principal(name, realm)
    except ValueError:
        return None
    return Principal(found.components, realm) if found.realm.upper() == realm else None


def _keys(path: Path, who: Principal) -> tuple[Key, ...]:
    try:
        entries = keytab.parse(path.read_bytes())
    except OSError as exc:
        raise NotAsked(f"verify.keytab: {path} cannot be read: {exc.strerror}", f"ls -l {path}") from exc
    except keytab.BadKeytab as exc:
        raise NotAsked(f"verify.keytab: {path}: {exc}", f"pfsquid keytab show {path}") from exc
    ours = [one for one in entries if one.principal == who]
    newest = max((one.kvno for one in ours), default=0)
    if not ours:
        raise NotAsked(f"verify.keytab: {path} has no key of {who}", f"pfsquid keytab show {path}")
    return tuple(one.key for one in ours if one.kvno == newest)


def _own_ticket(asked: Asked, environment: Mapping[str, str]) -> Credentials | None:
    """The caller's ticket of the realm, where their cache is a file that can be read."""
    named = environment.get("KRB5CCNAME", "")
    kind, colon, rest = named.partition(":")
    if colon and kind not in ("FILE", ""):
        return None
    path = Path(rest if colon else named or f"/tmp/krb5cc_{os.getuid()}")  # noqa: S108 - MIT's default
    try:
        cache = ccache.read(path.read_bytes())
    except (OSError, ccache.BadCache):
        return None
    tgts = [one for one in cache.tickets if one.server.components == ("krbtgt", asked.realm)]
    if cache.principal.realm != asked.realm or not tgts:
        return None
    return Credentials(cache.principal, f"ticket cache {path}", tgt=max(tgts, key=lambda one: one.ends))
