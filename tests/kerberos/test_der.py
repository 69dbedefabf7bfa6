"""DER: what was written is read again, and hostile bytes are refused at once, by BadDer and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pfsquid.kerberos import der, messages
from pfsquid.kerberos.der import BadDer
from tests.kerberos.wire import WIRE, mutated

MESSAGES = [WIRE[name] for name in ("samba-1", "samba-2", "samba-3", "samba-unknown-1", "mit-1", "mit-2", "mit-open-1")]
READERS: list[Callable[[bytes], object]] = [
    der.first,
    der.numbered,
    lambda data: list(der.elements(data)),
    der.to_integer,
    der.to_octets,
    der.to_text,
    der.to_time,
    messages.error_in,
    lambda data: messages.read_reply(data, messages.AS_REP),
    lambda data: messages.read_reply(data, messages.TGS_REP),
    messages.read_reply_part,
    messages.read_ticket,
    messages.read_ticket_part,
    messages.read_padata,
    messages.read_sealed,
    lambda data: messages.read_name(data, "R"),
    lambda data: messages.salts_in([(19, data)], b""),
    lambda data: messages.salts_in([(11, data), (3, b"salt")], b""),
]


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, "020100"),
        (127, "02017f"),
        (128, "02020080"),
        (255, "020200ff"),
        (-1, "0201ff"),
        (-128, "020180"),
        (-129, "0202ff7f"),
        (-138, "0202ff76"),
        (2**31 - 1, "02047fffffff"),
        (2**32 - 1, "020500ffffffff"),
    ],
)
def test_integers_are_the_shortest(value: int, encoded: str) -> None:
    assert der.integer(value).hex() == encoded
    assert der.to_integer(bytes.fromhex(encoded)) == value


@given(value=st.integers(-(2**63), 2**63 - 1))
@settings(max_examples=50)
def test_integers_go_round(value: int) -> None:
    assert der.to_integer(der.integer(value)) == value


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256, 65535, 65536])
def test_lengths_go_round(size: int) -> None:
    assert der.to_octets(der.octets(bytes(size))) == bytes(size)


@given(value=st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31)))
@settings(max_examples=50)
def test_times_go_round_in_whole_seconds(value: datetime) -> None:
    at = value.replace(tzinfo=UTC)
    assert der.to_time(der.time(at)) == at.replace(microsecond=0)


def test_text_of_any_bytes_goes_round() -> None:
    for raw in (b"rick", "renée".encode(), b"\xff\xfe\x00"):
        encoded = der.element(der.GENERAL_STRING, raw)
        assert der.text(der.to_text(encoded)) == encoded


@pytest.mark.parametrize(
    "data",
    [
        "",
        "30",
        "3080",  # indefinite
        "30800000",
        "3085000000000100",  # a length of five bytes
        "30840fffffff00",  # 268 million bytes
        "30820001",
        "300100ff",
        "3003020101ff",  # bytes after the end
        "1f8100",  # a tag of more bytes
    ],
)
def test_a_length_that_is_not_the_contents_is_refused(data: str) -> None:
    with pytest.raises(BadDer):
        der.content(bytes.fromhex(data), der.SEQUENCE)


@pytest.mark.parametrize(
    "text", ["20260101000000", "2026010100000Z", "20261301000000Z", "+2026101000000Z", "00000101000000Z"]
)
def test_a_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadDer):
        der.to_time(der.element(der.GENERALIZED_TIME, text.encode()))


@pytest.mark.parametrize("integer", ["0200", "0209010203040506070809"])
def test_an_integer_of_no_or_too_many_bytes_is_refused(integer: str) -> None:
    with pytest.raises(BadDer):
        der.to_integer(bytes.fromhex(integer))


def test_a_field_twice_or_missing_is_refused() -> None:
    twice = der.sequence(der.context(0, der.integer(1)), der.context(0, der.integer(2)))
    with pytest.raises(BadDer):
        der.numbered(twice)
    with pytest.raises(BadDer, match="field 3 is missing"):
        der.needed(der.numbered(der.fields(f0=der.integer(1))), 3)


@given(data=st.binary(max_size=64) | mutated(*MESSAGES))
@settings(max_examples=150, deadline=None)
def test_no_reader_raises_anything_but_bad_der(data: bytes) -> None:
    for read in READERS:
        try:
            read(data)
        except BadDer:
            continue


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_cut_anywhere_is_refused(message: bytes) -> None:
    read = messages.error_in if message[0] == 0x7E else lambda data: messages.read_reply(data, data[0] & 0x1F)
    read(message)
    for at in range(1, len(message)):
        with pytest.raises(BadDer):
            read(message[:at])


def test_deep_nests_and_long_rows_take_no_time() -> None:
    deep = b"\x30\x80" * 50_000, b"\x30\x84\x7f\xff\xff\xff" * 20_000, der.sequence(b"\x05\x00" * 50_000)
    nest = b""
    for _ in range(2_000):
        nest = der.sequence(nest)
    begun = time.monotonic()
    for data in (*deep, nest):
        for read in READERS:
            try:
                read(data)
            except BadDer:
                continue
    assert time.monotonic() - begun < 2
