"""Keytabs of all programs are read the same, what is written is read again, and what is none says what it is."""

from __future__ import annotations

import base64
import gzip
import struct
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pfsquid.kerberos.enctypes import Key
from pfsquid.kerberos.keytab import BadKeytab, Entry, dump, parse
from pfsquid.kerberos.principal import Principal
from tests.kerberos.wire import WIRE, mutated

REAL = {name: data for name, data in WIRE.items() if name.startswith("keytab-")}
SAMBA = REAL["keytab-samba"]
MIT = "MIT.PFSQUID.TEST"
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SECRET = bytes(range(32))

names = st.text(max_size=20) | st.sampled_from(["", "renée", "proxy.lab.example"])
entries = st.builds(
    Entry,
    st.builds(Principal, st.lists(names, max_size=3).map(tuple), names, st.integers(0, 2**32 - 1)),
    st.integers(0, 2**32 - 1),
    st.builds(Key, st.integers(-(2**15), 2**15 - 1), st.binary(max_size=40)),
    st.datetimes(datetime(1970, 1, 1), datetime(2106, 2, 7)).map(lambda at: at.replace(microsecond=0, tzinfo=UTC)),
)


def ktpass(kvno: int, long: bool) -> bytes:
    """As Windows' ktpass writes it: one entry of name type 1, no timestamp; the kvno in 8 bits, or in 32 as well."""
    name = b"".join(struct.pack(">H", len(part)) + part for part in (b"LAB.EXAMPLE", b"HTTP", b"proxy.lab.example"))
    body = struct.pack(">H", 2) + name + struct.pack(">IIBHH", 1, 0, kvno & 0xFF, 18, 32) + SECRET
    body += struct.pack(">I", kvno) if long else b""
    return b"\x05\x02" + struct.pack(">i", len(body)) + body


def reason(data: bytes) -> str:
    with pytest.raises(BadKeytab) as caught:
        parse(data)
    return str(caught.value)


def test_sambas_export_is_read() -> None:
    found = parse(SAMBA)
    assert [(str(entry.principal), entry.kvno, entry.key.enctype) for entry in found] == [
        ("HTTP/proxy.lab.pfsquid.test@LAB.PFSQUID.TEST", 2, 18),
        ("HTTP/proxy.lab.pfsquid.test@LAB.PFSQUID.TEST", 2, 17),
    ]
    assert [len(entry.key.value) for entry in found] == [32, 16]
    assert {entry.timestamp.year for entry in found} == {2026}


def test_mits_ktutil_is_read_with_kvnos_of_more_than_8_bits() -> None:
    found = parse(REAL["keytab-mit-ktutil"])
    assert [(str(entry.principal), entry.kvno, entry.key.enctype) for entry in found] == [
        (f"e{enctype}@{MIT}", 300 if enctype == 20 else enctype, enctype) for enctype in (17, 18, 19, 20, 23)
    ]


def test_a_hole_that_a_removed_entry_left_is_passed_over_also_where_it_is_used_again() -> None:
    def services(name: str) -> list[str]:
        return [
            entry.principal.components[1] for entry in parse(REAL[name]) if entry.principal.components[1] != "web.test"
        ]

    assert services("keytab-mit-hole") == ["e17.test", "e18.test", "e20.test", "e23.test"]
    assert services("keytab-mit-reused") == ["e17.test", "e18.test", "e17.test", "e20.test", "e23.test"]


@pytest.mark.parametrize(("kvno", "long", "read"), [(3, False, 3), (255, False, 255), (3, True, 3), (300, True, 300)])
def test_ktpass_is_read_with_either_kvno(kvno: int, long: bool, read: int) -> None:
    (entry,) = parse(ktpass(kvno, long))
    assert (entry.kvno, entry.principal.name_type, entry.key) == (read, 1, Key(18, SECRET))
    assert str(entry.principal) == "HTTP/proxy.lab.example@LAB.EXAMPLE"


def test_a_kvno_of_32_bits_that_is_zero_does_not_count_and_what_follows_it_neither() -> None:
    body = ktpass(7, long=False)[6:] + bytes(4) + b"\0\0\0\1 and more"
    (entry,) = parse(b"\x05\x02" + struct.pack(">i", len(body)) + body)
    assert entry.kvno == 7


def test_a_length_of_zero_is_the_end() -> None:
    assert parse(SAMBA + bytes(4) + b"whatever") == parse(SAMBA)


@given(made=st.lists(entries, max_size=4))
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_again(made: list[Entry]) -> None:
    read = parse(dump(made))
    assert read == tuple(made)
    assert [entry.principal.name_type for entry in read] == [entry.principal.name_type for entry in made]


@pytest.mark.parametrize("name", [name for name in REAL if name != "keytab-mit-hole"])
def test_a_keytab_goes_round(name: str) -> None:
    assert parse(dump(parse(REAL[name]))) == parse(REAL[name])


def test_what_is_written_is_byte_for_byte_what_mit_writes() -> None:
    data = REAL["keytab-mit-ktutil"]
    assert dump(parse(data)) == data


@pytest.mark.parametrize(
    "entry",
    [
        Entry(Principal(("a" * 70_000,), "R"), 1, Key(18, SECRET), AT),
        Entry(Principal(("a",), "R"), 2**32, Key(18, SECRET), AT),
        Entry(Principal(("a",), "R"), 1, Key(18, SECRET), datetime(2200, 1, 1, tzinfo=UTC)),
        Entry(Principal(("a",), "R"), 1, Key(2**15, SECRET), AT),
    ],
)
def test_what_has_no_room_is_not_written(entry: Entry) -> None:
    with pytest.raises(ValueError, match="has no room in a keytab"):
        dump([entry])


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "it is empty"),
        (b"\x05", "cut off in the format version"),
        (b"\x05\x01\x00\x00", "old format version 0x0501"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (b"\r\n<html><body>Sign in", "HTML"),
        (base64.b64encode(SAMBA), "base64"),
        (b"\n" + base64.encodebytes(SAMBA), "base64"),
        (b"-----BEGIN CERTIFICATE-----\n", "PEM"),
        (gzip.compress(SAMBA), "gzip"),
        (b"PK\x03\x04rest", "ZIP"),
        (b"\x05\x04\x00\x0c", "credential cache"),
        (WIRE["ccache-mit-v3"], "credential cache"),
        (b"\x30\x82\x01\x00", "PKCS #12"),
        ("\ufeffBQI=".encode("utf-16-le"), "UTF-16"),
        (b"ktpass: command not found", "text"),
        (b"\x7fELF", "begins with 0x7f45"),
    ],
)
def test_what_is_no_keytab_says_what_it_looks_like(data: bytes, told: str) -> None:
    assert told in reason(data)


def ends_of(data: bytes) -> list[int]:
    ends, at = [2], 2
    while at < len(data):
        at += 4 + abs(struct.unpack_from(">i", data, at)[0])
        ends.append(at)
    return ends


@pytest.mark.parametrize("name", REAL)
def test_a_keytab_cut_anywhere_is_a_shorter_one_or_says_in_which_entry(name: str) -> None:
    data, whole = REAL[name], parse(REAL[name])
    ends = ends_of(data)
    holes = {start for start in ends[:-1] if struct.unpack_from(">i", data, start)[0] < 0}
    for at in range(2, len(data)):
        before = sum(1 for start, end in pairwise(ends) if end <= at and start not in holes)
        if at in ends:
            assert parse(data[:at]) == whole[:before]
        else:
            assert f"entry {before + 1}" in reason(data[:at])
            assert "cut off" in reason(data[:at])


def test_an_entry_that_is_too_short_for_its_parts_says_which_and_where() -> None:
    body = ktpass(3, long=False)[6:]
    first = SAMBA
    for size, part in [(1, "principal"), (5, "realm"), (20, "principal"), (60, "key")]:
        told = reason(first + struct.pack(">i", size) + body[:size])
        assert told.startswith("entry 3 is too short")
        assert told.endswith(part)


@given(
    data=st.binary(max_size=80) | st.binary(max_size=80).map(lambda rest: b"\x05\x02" + rest) | mutated(*REAL.values())
)
@settings(max_examples=200, deadline=None)
def test_hostile_bytes_are_a_keytab_or_a_bad_keytab(data: bytes) -> None:
    try:
        found = parse(data)
    except BadKeytab as error:
        assert str(error)
    else:
        assert parse(dump(found)) == found


def test_no_key_byte_is_ever_told() -> None:
    (entry,) = parse(ktpass(3, long=True))
    told = [repr(entry), str(entry)] + [
        reason(ktpass(3, long=True)[:at]) for at in range(2, len(ktpass(3, long=True))) if at > 2
    ]
    assert not any(SECRET[:4].hex() in text or repr(SECRET)[3:20] in text for text in told)
