"""Credential caches of MIT are read, what is none says so, and hostile bytes do no harm."""

from __future__ import annotations

import struct
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pfsquid.kerberos.ccache import BadCache, read
from pfsquid.kerberos.keytab import parse
from pfsquid.kerberos.principal import Principal
from pfsquid.kerberos.tickets import open_ticket
from tests.kerberos.wire import WIRE, mutated

CACHES = {version: WIRE[f"ccache-mit-v{version}"] for version in (3, 4)}
LAB = "LAB.PFSQUID.TEST"
RICK = Principal(("rick.sanchez",), LAB)


@pytest.mark.parametrize("version", CACHES)
def test_a_cache_of_mits_kinit_has_its_owner_and_tickets_and_nothing_of_its_notes(version: int) -> None:
    cache = read(CACHES[version])
    assert cache.principal == RICK
    assert [str(ticket.server) for ticket in cache.tickets] == [
        f"krbtgt/{LAB}@{LAB}",
        f"HTTP/proxy.lab.pfsquid.test@{LAB}",
    ]
    tgt, service = cache.tickets
    assert {tgt.client, service.client} == {RICK}
    assert (tgt.ends - tgt.starts, tgt.offset) == (timedelta(hours=10), timedelta(0))
    assert open_ticket(service, parse(WIRE["keytab-samba"])).client == RICK


def test_the_clocks_difference_in_the_header_is_read() -> None:
    rest = CACHES[4][2:]
    (length,) = struct.unpack_from(">H", rest)
    header = struct.pack(">HHii", 1, 8, -600, 250_000)
    cache = read(b"\x05\x04" + struct.pack(">H", len(header)) + header + rest[2 + length :])
    assert {ticket.offset for ticket in cache.tickets} == {timedelta(seconds=-600, microseconds=250_000)}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "empty"),
        (WIRE["keytab-samba"], "keytab"),
        (b"<html>", "no credential cache"),
        (b"\x05", "no credential cache"),
    ],
)
def test_what_is_no_cache_says_so(data: bytes, told: str) -> None:
    with pytest.raises(BadCache, match=told):
        read(data)


@pytest.mark.parametrize("version", CACHES)
def test_a_cache_cut_anywhere_is_bad_or_has_fewer_tickets(version: int) -> None:
    data, whole = CACHES[version], read(CACHES[version])
    shorter = 0
    for at in range(len(data)):
        try:
            cache = read(data[:at])
        except BadCache:
            continue
        shorter += 1
        assert cache.tickets == whole.tickets[: len(cache.tickets)]
    assert 0 < shorter < 8  # at the end of an entry only


def test_counts_that_are_not_paid_for_are_refused_at_once() -> None:
    with pytest.raises(BadCache, match="cut off"):
        read(b"\x05\x03" + struct.pack(">ii", 1, -1) + bytes(100))


@given(data=st.binary(max_size=80).map(lambda rest: b"\x05\x04" + rest) | mutated(*CACHES.values()))
@settings(max_examples=150, deadline=None)
def test_hostile_bytes_are_a_cache_or_a_bad_cache(data: bytes) -> None:
    try:
        read(data)
    except BadCache as error:
        assert str(error)


def test_no_session_key_is_in_a_repr() -> None:
    cache = read(CACHES[4])
    assert not any(repr(ticket.session.value)[2:14] in repr(cache) for ticket in cache.tickets)
    assert "session" not in repr(cache)
