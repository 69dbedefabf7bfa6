"""Negotiate tokens: made from a ticket (RFC 4178, RFC 4121 4.1), and told from one another. Pure."""

from __future__ import annotations

import secrets
import struct
from datetime import UTC, datetime
from enum import StrEnum

from pfsquid.kerberos import der
from pfsquid.kerberos.der import BadDer
from pfsquid.kerberos.tickets import MUTUAL_REQUIRED, Ticket, ap_request

_SPNEGO = bytes.fromhex("06062b0601050502")  # 1.3.6.1.5.5.2
_KERBEROS = bytes.fromhex("06092a864886f712010202")  # 1.2.840.113554.1.2.2
_MS_KERBEROS = bytes.fromhex("06092a864882f712010202")  # 1.2.840.48018.1.2.2: a slip of Windows 2000, still sent first
_NTLM = bytes.fromhex("060a2b06010401823702020a")  # 1.3.6.1.4.1.311.2.2.10
_NTLM_BEGINS = b"NTLMSSP\0"
_GSS, _NEG_INIT, _NEG_RESPONSE = 0x60, 0xA0, 0xA1
_AP_REQUEST = b"\x01\x00"  # RFC 4121 4.1
_CHECKSUM, _AUTHENTICATOR_USAGE = 0x8003, 11
_MUTUAL, _INTEGRITY = 0x02, 0x20  # RFC 4121 4.1.1.1


class TokenKind(StrEnum):
    """What a Negotiate token carries."""

    KERBEROS = "kerberos"
    NTLM = "ntlm"  # bare
    NTLM_IN_SPNEGO = "ntlm_in_spnego"
    SPNEGO_OTHER = "spnego_other"  # a negotiation that is neither, or that does not say yet
    UNKNOWN = "unknown"


def token(ticket: Ticket, now: datetime | None = None, mutual: bool = True) -> bytes:
    """A NegTokenInit for the ticket's service, each with a sequence number of its own.

    now: our time, aware; the ticket's offset makes it the KDC's. mutual: the service is asked to prove itself, too.
    BadKey: a session key of an enctype that cannot be computed here.
    """
    wanted = _INTEGRITY | (_MUTUAL if mutual else 0)
    bindings = struct.pack("<I", 16) + bytes(16)  # RFC 4121 4.1.1: no channel bindings
    at = (now or datetime.now(UTC)) + ticket.offset
    request = ap_request(
        ticket,
        _AUTHENTICATOR_USAGE,
        (_CHECKSUM, bindings + struct.pack("<I", wanted)),
        at,
        MUTUAL_REQUIRED if mutual else 0,
        secrets.randbits(30),
    )
    inner = der.element(_GSS, _KERBEROS + _AP_REQUEST + request)
    return der.element(_GSS, _SPNEGO + der.context(0, der.fields(f0=der.sequence(_KERBEROS), f2=der.octets(inner))))


def kind_of(token: bytes) -> TokenKind:
    """What a token is, whatever bytes there are: by the mechanism that its contents are of, else that it prefers."""
    if token.startswith(_NTLM_BEGINS):
        return TokenKind.NTLM
    try:
        tag, inner, _ = der.split(token)
        if tag == _GSS and inner.startswith((_KERBEROS, _MS_KERBEROS)):
            return TokenKind.KERBEROS
        if tag == _GSS and inner.startswith(_SPNEGO):
            tag, inner, _ = der.split(inner[len(_SPNEGO) :])
        if tag not in (_NEG_INIT, _NEG_RESPONSE):
            return TokenKind.UNKNOWN
    except BadDer:
        return TokenKind.UNKNOWN
    try:
        return _kind_within(der.numbered(inner), tag)
    except BadDer:
        return TokenKind.SPNEGO_OTHER


def _kind_within(found: dict[int, bytes], tag: int) -> TokenKind:
    carried = der.to_octets(found[2]) if 2 in found else b""
    if carried.startswith(_NTLM_BEGINS):
        return TokenKind.NTLM_IN_SPNEGO
    if carried[:1] == bytes([_GSS]):
        _, inner, _ = der.split(carried)
        return TokenKind.KERBEROS if inner.startswith((_KERBEROS, _MS_KERBEROS)) else TokenKind.SPNEGO_OTHER
    preferred = next(der.elements(found[0]), b"") if tag == _NEG_INIT and 0 in found else b""
    return TokenKind.NTLM_IN_SPNEGO if preferred == _NTLM and not carried else TokenKind.SPNEGO_OTHER
