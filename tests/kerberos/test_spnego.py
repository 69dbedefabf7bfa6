"""Tokens: one is made that servers take, and each kind is told from the others, whatever bytes come."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pfsquid.kerberos import der, messages, spnego
from pfsquid.kerberos.ccache import read
from pfsquid.kerberos.enctypes import decrypt
from pfsquid.kerberos.spnego import TokenKind, kind_of
from tests.kerberos.wire import WIRE, mutated

TICKET = read(WIRE["ccache-mit-v4"]).tickets[1]
TOKENS = [WIRE[name] for name in ("token-ours", "token-mit-spnego", "token-mit-bare")]
NTLM_1 = b"NTLMSSP\0" + struct.pack("<II", 1, 0xE2088297) + bytes(24)
SPNEGO = bytes.fromhex("06062b0601050502")
KRB5, MS_KRB5 = bytes.fromhex("06092a864886f712010202"), bytes.fromhex("06092a864882f712010202")
NTLM, NEGOEX = bytes.fromhex("060a2b06010401823702020a"), bytes.fromhex("060a2b06010401823702021e")


def offer(*mechanisms: bytes, carried: bytes | None = None) -> bytes:
    """A NegTokenInit as browsers send it."""
    inner = der.fields(f0=der.sequence(*mechanisms), f2=None if carried is None else der.octets(carried))
    return der.element(0x60, SPNEGO + der.context(0, inner))


def answer(carried: bytes) -> bytes:
    """A NegTokenResp."""
    return der.context(1, der.fields(f0=der.element(der.ENUMERATED, b"\1"), f2=der.octets(carried)))


@pytest.mark.parametrize(
    ("token", "kind"),
    [
        (TOKENS[0], "kerberos"),
        (TOKENS[1], "kerberos"),
        (TOKENS[2], "kerberos"),
        (offer(MS_KRB5, KRB5, NTLM, carried=TOKENS[2]), "kerberos"),
        (der.element(0x60, MS_KRB5 + b"\x01\x00rest"), "kerberos"),
        (answer(TOKENS[2]), "kerberos"),
        (NTLM_1, "ntlm"),
        (b"NTLMSSP\0", "ntlm"),
        (offer(NTLM, carried=NTLM_1), "ntlm_in_spnego"),
        (offer(MS_KRB5, KRB5, NTLM, carried=NTLM_1), "ntlm_in_spnego"),
        (offer(NTLM), "ntlm_in_spnego"),
        (answer(NTLM_1), "ntlm_in_spnego"),
        (offer(NEGOEX, NTLM, carried=b"NEGOEXTS"), "spnego_other"),
        (offer(KRB5, NTLM), "spnego_other"),
        (offer(), "spnego_other"),
        (offer(KRB5, carried=b""), "spnego_other"),
        (offer(KRB5, carried=b"\x60\xff"), "spnego_other"),
        (der.element(0x60, SPNEGO + der.context(0, b"")), "spnego_other"),
        (der.element(0x60, bytes.fromhex("06052b0e03021a") + b"x"), "unknown"),
        (b"", "unknown"),
        (b"\x60", "unknown"),
        (b"Basic cmljazpzZWNyZXQ=", "unknown"),
        (TOKENS[0][:-1], "unknown"),
    ],
)
def test_each_kind_of_token_is_told(token: bytes, kind: str) -> None:
    assert kind_of(token) == TokenKind(kind)


@given(token=st.binary(max_size=80) | mutated(*TOKENS, offer(NTLM, carried=NTLM_1), answer(NTLM_1), NTLM_1))
@settings(max_examples=200, deadline=None)
def test_whatever_bytes_have_a_kind(token: bytes) -> None:
    assert kind_of(token) in TokenKind


def opened(token: bytes) -> tuple[dict[int, bytes], dict[int, bytes]]:
    """(AP-REQ, authenticator) of a token of ours."""
    inner = der.content(token, 0x60).removeprefix(SPNEGO)
    carried = der.to_octets(der.numbered(der.content(inner, 0xA0))[2])
    request = der.numbered(der.in_application(der.content(carried, 0x60).removeprefix(KRB5 + b"\1\0"), 14))
    sealed = messages.read_sealed(request[4])
    return request, der.numbered(der.in_application(decrypt(TICKET.session, 11, sealed.cipher), 2))


@pytest.mark.parametrize(("mutual", "options", "flags"), [(True, "0020000000", 0x22), (False, "0000000000", 0x20)])
def test_a_token_says_what_is_wanted_and_who_at_the_kdcs_time(mutual: bool, options: str, flags: int) -> None:
    ticket = TICKET.__class__(**{**TICKET.__dict__, "offset": timedelta(minutes=-7)})
    at = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
    request, authenticator = opened(spnego.token(ticket, at, mutual))
    assert der.content(request[2], der.BIT_STRING).hex() == options
    assert request[3] == ticket.der
    assert messages.read_name(authenticator[2], der.to_text(authenticator[1])) == ticket.client
    check = der.numbered(authenticator[3])
    assert der.to_integer(check[0]) == 0x8003
    assert der.to_octets(check[1]) == struct.pack("<I", 16) + bytes(16) + struct.pack("<I", flags)
    assert der.to_time(authenticator[5]) == datetime(2026, 1, 2, 2, 57, 5, tzinfo=UTC)
    assert der.to_integer(authenticator[4]) == 678


def test_no_two_tokens_are_the_same() -> None:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    assert len({spnego.token(TICKET, at) for _ in range(5)}) == 5
