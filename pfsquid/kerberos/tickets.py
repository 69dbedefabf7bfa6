"""Tickets as a client holds them: shown to a service (AP-REQ, RFC 4120 5.5.1), or opened with a keytab. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pfsquid.kerberos import der, messages
from pfsquid.kerberos.enctypes import SUPPORTED, BadKey, Key, decrypt, encrypt, name_of
from pfsquid.kerberos.keytab import Entry
from pfsquid.kerberos.principal import Principal

MUTUAL_REQUIRED = 0x20000000  # of the AP options
_AP_REQ, _AUTHENTICATOR = 14, 2
_TICKET_USAGE = 2
_VERSION = 5


@dataclass(frozen=True)
class Ticket:
    """A ticket and what the client knows of it. Neither its session key nor the ticket itself appear in its repr.

    der: the whole Ticket element; enctype, kvno, cipher: of its encrypted part, which only `server` can open;
    starts, ends: UTC by the KDC's clock; offset: that clock minus ours.
    """

    client: Principal
    server: Principal
    session: Key = field(repr=False)
    der: bytes = field(repr=False)
    enctype: int
    kvno: int | None
    cipher: bytes = field(repr=False)
    starts: datetime
    ends: datetime
    offset: timedelta


@dataclass(frozen=True)
class Opened:
    """A ticket as its service reads it. entry: the one whose key opened it; ends: UTC by the KDC's clock."""

    entry: Entry
    client: Principal
    ends: datetime


class CannotOpen(Exception):  # noqa: N818 - reads as what it is
    """No key of the keytab opens the ticket. reason: no_principal, no_enctype, no_kvno or wrong_key."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


def ap_request(
    ticket: Ticket, usage: int, check: tuple[int, bytes], at: datetime, options: int = 0, sequence: int | None = None
) -> bytes:
    """AP-REQ. usage: the key usage of its authenticator; check: (type, checksum); at: the KDC's time, not ours.

    BadKey: a session key of an enctype that cannot be computed here.
    """
    kind, value = check
    authenticator = der.fields(
        f0=der.integer(_VERSION),
        f1=der.text(ticket.client.realm),
        f2=messages.name(ticket.client),
        f3=der.fields(f0=der.integer(kind), f1=der.octets(value)),
        f4=der.integer(at.microsecond),
        f5=der.time(at),
        f7=None if sequence is None else der.integer(sequence),
    )
    cipher = encrypt(ticket.session, usage, der.application(_AUTHENTICATOR, authenticator))
    request = der.fields(
        f0=der.integer(_VERSION),
        f1=der.integer(_AP_REQ),
        f2=der.flags(options),
        f3=ticket.der,
        f4=messages.sealed(ticket.session.enctype, cipher),
    )
    return der.application(_AP_REQ, request)


def open_ticket(ticket: Ticket, entries: Sequence[Entry]) -> Opened:
    """What the service would read, given its keytab. Judged as MIT's acceptor does.

    All keys of the ticket's principal and enctype are tried, whatever their kvno; the case of names counts, that of the
    realm does not. CannotOpen where none opens it; its reason says what of principal, kvno and enctype is absent, in
    this order, or that all is there and the key is another.
    """
    own = [entry for entry in entries if _same(entry.principal, ticket.server)]
    if not own:
        raise CannotOpen("no_principal", _no_principal(ticket, entries))
    for entry in own:
        if entry.key.enctype == ticket.enctype:
            try:
                plain = decrypt(entry.key, _TICKET_USAGE, ticket.cipher)
                part = messages.read_ticket_part(plain)
            except (BadKey, der.BadDer):
                continue
            return Opened(entry, part.client, part.ends)
    enctype = name_of(ticket.enctype)
    if ticket.kvno is not None and all(entry.kvno != ticket.kvno for entry in own):
        kvnos = ", ".join(str(kvno) for kvno in sorted({entry.kvno for entry in own}))
        raise CannotOpen("no_kvno", f"the ticket has kvno {ticket.kvno}, the keytab has {kvnos} for {ticket.server}")
    at_kvno = {entry.key.enctype for entry in own if ticket.kvno in (None, entry.kvno)}
    if ticket.enctype not in at_kvno:
        names = ", ".join(name_of(one) for one in sorted(at_kvno))
        raise CannotOpen("no_enctype", f"the ticket is encrypted with {enctype}, the keytab has {names} for its kvno")
    if ticket.enctype not in SUPPORTED:
        raise CannotOpen("no_enctype", f"the ticket is encrypted with {enctype}, which cannot be tried here")
    raise CannotOpen("wrong_key", f"the keytab has kvno {ticket.kvno} with {enctype}, but its key is not the account's")


def _same(one: Principal, other: Principal) -> bool:
    return one.components == other.components and one.realm.casefold() == other.realm.casefold()


def _no_principal(ticket: Ticket, entries: Sequence[Entry]) -> str:
    wanted = str(ticket.server)
    if not entries:
        return f"the keytab has no entries, so none for {wanted}"
    there = sorted({str(entry.principal) for entry in entries})
    for name in there:
        if name.casefold() == wanted.casefold():
            return f"the ticket is for {wanted}, the keytab has {name}: upper and lower case differ"
    return f"the ticket is for {wanted}, the keytab has {', '.join(there)}"
