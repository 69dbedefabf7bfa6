"""The messages between a client and a KDC (RFC 4120 5.4, 5.9.1), built and taken apart. Pure.

Every reader raises BadDer, and nothing else, for bytes that are not the message that it reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pfsquid.kerberos import der
from pfsquid.kerberos.der import BadDer, integer, needed, numbered, to_integer, to_octets, to_text, to_time
from pfsquid.kerberos.enctypes import Key
from pfsquid.kerberos.kdc_errors import WRONG_REALM, KdcError, WrongRealm
from pfsquid.kerberos.principal import Principal

AS_REQ, AS_REP, TGS_REQ, TGS_REP = 10, 11, 12, 13
CANONICALIZE = 0x00010000  # RFC 6806 3: the KDC may answer with another name, or refer to another realm
PA_TGS_REQ, PA_ENC_TIMESTAMP, PA_PW_SALT, PA_ETYPE_INFO, PA_ETYPE_INFO2 = 1, 2, 3, 11, 19
PA_PAC_REQUEST, PA_FX_COOKIE = 128, 133  # [MS-KILE] 2.2.3, RFC 6113 5.2
_VERSION, _TICKET, _ERROR, _ENC_TICKET = 5, 1, 30, 3
_ENC_REPLIES = (0x79, 0x7A)  # [APPLICATION 25] and 26: some KDCs take the latter for both (RFC 4120 5.4.2)
_TILL = datetime(2037, 9, 13, 2, 48, 5, tzinfo=UTC)  # for as long as may be, whatever our clock shows; as Windows asks

PaData = tuple[int, bytes]


@dataclass(frozen=True)
class Sealed:
    """EncryptedData (RFC 4120 5.2.9)."""

    enctype: int
    kvno: int | None
    cipher: bytes = field(repr=False)


@dataclass(frozen=True)
class Reply:
    """An AS-REP or TGS-REP. ticket: the whole element; sealed: what is for the client."""

    padata: tuple[PaData, ...] = field(repr=False)
    client: Principal
    ticket: bytes = field(repr=False)
    sealed: Sealed


@dataclass(frozen=True)
class ReplyPart:
    """What the client reads of a reply once it is opened (EncKDCRepPart). Times are the KDC's."""

    session: Key
    nonce: int
    at: datetime
    starts: datetime
    ends: datetime
    server: Principal


@dataclass(frozen=True)
class TicketPart:
    """What the service reads of a ticket once it is opened (EncTicketPart)."""

    client: Principal
    ends: datetime


# written


def name(principal: Principal) -> bytes:
    """PrincipalName (RFC 4120 5.2.2); the realm stands elsewhere."""
    return der.fields(
        f0=integer(principal.name_type), f1=der.sequence(*(der.text(part) for part in principal.components))
    )


def sealed(enctype: int, cipher: bytes) -> bytes:
    """EncryptedData."""
    return der.fields(f0=integer(enctype), f2=der.octets(cipher))


def timestamp(at: datetime) -> bytes:
    """PA-ENC-TS-ENC (RFC 4120 5.2.7.2), to be encrypted."""
    return der.fields(f0=der.time(at), f1=integer(at.microsecond))


def pac_request(wanted: bool) -> PaData:
    """KERB-PA-PAC-REQUEST: with the groups in the ticket, or without ([MS-KILE] 2.2.3)."""
    return PA_PAC_REQUEST, der.fields(f0=der.boolean(wanted))


def request_body(
    client: Principal | None, realm: str, server: Principal, enctypes: Sequence[int], nonce: int, options: int = 0
) -> bytes:
    """KDC-REQ-BODY. realm: of the KDC; enctypes: as they are preferred, the best first."""
    return der.fields(
        f0=der.flags(options),
        f1=name(client) if client else None,
        f2=der.text(realm),
        f3=name(server),
        f5=der.time(_TILL),
        f7=integer(nonce),
        f8=der.sequence(*(integer(enctype) for enctype in enctypes)),
    )


def request(kind: int, body: bytes, padata: Iterable[PaData]) -> bytes:
    """AS-REQ or TGS-REQ around a body."""
    listed = [der.fields(f1=integer(number), f2=der.octets(value)) for number, value in padata]
    return der.application(
        kind,
        der.fields(f1=integer(_VERSION), f2=integer(kind), f3=der.sequence(*listed) if listed else None, f4=body),
    )


# read


def error_in(data: bytes) -> KdcError | None:
    """The KRB-ERROR that `data` is, WrongRealm where it says so; None where it is another message."""
    if not data or data[0] != 0x60 | _ERROR:
        return None
    found = numbered(der.in_application(data, _ERROR))
    code = to_integer(needed(found, 6))
    micros = to_integer(found[5]) if 5 in found else 0
    if not 0 <= micros < 1_000_000:
        raise BadDer("microseconds that there are not")
    at = to_time(needed(found, 4)).replace(microsecond=micros)
    told = to_text(found[11]).strip("\0") if 11 in found else ""
    if code == WRONG_REALM:
        realm = to_text(found[7]) if 7 in found else ""
        return WrongRealm(f"the KDC refers to the realm {realm}" if realm else told, realm, at)
    return KdcError(code, told, at, to_octets(found[12]) if 12 in found else b"")


def read_reply(data: bytes, kind: int) -> Reply:
    """The AS-REP or TGS-REP (`kind`) that `data` is."""
    found = numbered(der.in_application(data, kind))
    padata = read_padata(found[2]) if 2 in found else ()
    client = read_name(needed(found, 4), to_text(needed(found, 3)))
    return Reply(padata, client, needed(found, 5), read_sealed(needed(found, 6)))


def read_reply_part(data: bytes) -> ReplyPart:
    """The opened part of a reply."""
    whole = der.first(data)
    if whole[0] not in _ENC_REPLIES:
        raise BadDer("what was opened is no part of a reply")
    found = numbered(der.content(whole, whole[0]))
    at = to_time(needed(found, 5))
    return ReplyPart(
        session=_read_key(needed(found, 0)),
        nonce=to_integer(needed(found, 2)),
        at=at,
        starts=to_time(found[6]) if 6 in found else at,
        ends=to_time(needed(found, 7)),
        server=read_name(needed(found, 10), to_text(needed(found, 9))),
    )


def read_ticket(data: bytes) -> tuple[Principal, Sealed]:
    """For whom a ticket is, and what only they can open (RFC 4120 5.3)."""
    found = numbered(der.in_application(data, _TICKET))
    return read_name(needed(found, 2), to_text(needed(found, 1))), read_sealed(needed(found, 3))


def read_ticket_part(data: bytes) -> TicketPart:
    """The opened part of a ticket."""
    found = numbered(der.in_application(der.first(data), _ENC_TICKET))
    return TicketPart(read_name(needed(found, 3), to_text(needed(found, 2))), to_time(needed(found, 7)))


def read_padata(data: bytes) -> tuple[PaData, ...]:
    """METHOD-DATA, or the padata of a reply (RFC 4120 5.2.7)."""
    listed = (numbered(one) for one in der.elements(data))
    return tuple((to_integer(needed(one, 1)), to_octets(needed(one, 2))) for one in listed)


def read_name(data: bytes, realm: str) -> Principal:
    """A PrincipalName of a realm."""
    found = numbered(data)
    parts = tuple(to_text(part) for part in der.elements(needed(found, 1)))
    return Principal(parts, realm, to_integer(needed(found, 0)))


def read_sealed(data: bytes) -> Sealed:
    """An EncryptedData."""
    found = numbered(data)
    kvno = to_integer(found[1]) if 1 in found else None
    return Sealed(to_integer(needed(found, 0)), kvno, to_octets(needed(found, 2)))


def salts_in(padata: Iterable[PaData], own: bytes) -> tuple[dict[int, bytes], dict[int, bytes | None]]:
    """(salts, parameters of string-to-key) by enctype, as the KDC prefers them: RFC 4120 5.2.7.4 and 5.2.7.5.

    own: the salt where the KDC states none: realm and components in a row (RFC 4120 4).
    """
    by_kind = dict(reversed(list(padata)))
    kind = PA_ETYPE_INFO2 if PA_ETYPE_INFO2 in by_kind else PA_ETYPE_INFO
    salts: dict[int, bytes] = {}
    params: dict[int, bytes | None] = {}
    for entry in der.elements(by_kind[kind]) if kind in by_kind else ():
        found = numbered(entry)
        enctype = to_integer(needed(found, 0))
        if enctype in salts:
            continue
        stated = (
            der.content(found[1], der.GENERAL_STRING if kind == PA_ETYPE_INFO2 else der.OCTET_STRING)
            if 1 in found
            else None
        )
        salts[enctype] = by_kind.get(PA_PW_SALT, own) if stated is None else stated
        params[enctype] = to_octets(found[2]) if kind == PA_ETYPE_INFO2 and 2 in found else None
    return salts, params


def _read_key(data: bytes) -> Key:
    found = numbered(data)
    return Key(to_integer(needed(found, 0)), to_octets(needed(found, 1)))


def clock_offset(server_time: datetime, before: datetime, after: datetime) -> timedelta:
    """The KDC's clock minus ours: it looked at it midway between our question and its answer, as far as we can tell."""
    return server_time - (before + (after - before) / 2)
