"""The way to a KDC: what is no KDC is told within the time given, and too big for UDP goes over TCP."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pfsquid.kerberos.client import login, probe
from pfsquid.kerberos.kdc import Exchange, KdcError, NoKdc, over_network, over_tcp, over_udp
from pfsquid.kerberos.principal import parse_principal
from tests.kerberos.hostile import HOST, tcp, udp
from tests.kerberos.small_kdc import REALM, SmallKdc
from tests.kerberos.wire import WIRE, mutated

RICK = parse_principal("rick", REALM)
SECONDS = 0.3


def kdc() -> SmallKdc:
    return SmallKdc({"rick": "secret", "krbtgt": "krbtgt"})


def framed(message: bytes) -> bytes:
    return struct.pack(">I", len(message)) + message


def received(connection: socket.socket) -> bytes:
    (size,) = struct.unpack(">I", connection.recv(4, socket.MSG_WAITALL))
    return connection.recv(size, socket.MSG_WAITALL)


def no_kdc(send: Exchange) -> str:
    begun = time.monotonic()
    with pytest.raises(NoKdc) as caught:
        probe(send, RICK)
    assert time.monotonic() - begun < SECONDS + 0.5
    return str(caught.value)


def test_a_kdc_is_asked_over_tcp_in_pieces_too() -> None:
    answers = kdc()

    def serve(connection: socket.socket) -> None:
        data = framed(answers(received(connection)))
        for at in range(0, len(data), 50):
            connection.sendall(data[at : at + 50])
            time.sleep(0.001)

    with tcp(serve) as port:
        assert login(over_tcp(HOST, port), RICK, "secret").client == RICK


def test_a_kdc_is_asked_over_udp_and_once_more_where_a_datagram_was_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pfsquid.kerberos.kdc._AGAIN", 0.05)
    answers, lost = kdc(), [True, True, False]
    with udp(lambda data: None if lost.pop(0) else answers(data)) as port:
        assert probe(over_udp(HOST, port), RICK).preauth
    assert lost == []


@pytest.mark.parametrize(
    ("serve", "told"),
    [
        (lambda connection: None, "without a whole answer"),
        (lambda connection: connection.recv(10) and connection.sendall(b"\0\0"), "without a whole answer"),
        (lambda connection: received(connection) and connection.sendall(b"\0\0\1\0\x7e"), "without a whole answer"),
        (lambda connection: time.sleep(SECONDS + 0.3), "does not answer over TCP within 0.3 s"),
        (lambda connection: received(connection) and connection.sendall(b"HTTP/1.1 400 Bad\r\n\r\n"), "no Kerberos"),
        (lambda connection: received(connection) and connection.sendall(b"\0\0\0\0"), "no Kerberos"),
        (lambda connection: received(connection) and connection.sendall(framed(b"garbage")), "no Kerberos"),
    ],
)
def test_what_is_no_kdc_over_tcp_says_what_it_did(serve: Callable[[socket.socket], None], told: str) -> None:
    with tcp(serve) as port:
        assert told in no_kdc(over_tcp(HOST, port, SECONDS))


def test_an_answer_that_drips_does_not_hold_us_longer_than_the_time_given() -> None:
    def serve(connection: socket.socket) -> None:
        for byte in framed(bytes(1000)):
            connection.sendall(bytes([byte]))
            time.sleep(0.01)

    with tcp(serve) as port:
        assert "does not answer" in no_kdc(over_tcp(HOST, port, SECONDS))


def test_a_port_where_nothing_listens_is_told() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
    assert "cannot be reached over TCP: connection refused" in no_kdc(over_tcp(HOST, port, SECONDS))
    assert "cannot be reached over UDP: connection refused" in no_kdc(over_udp(HOST, port, SECONDS))
    assert "cannot be reached" in no_kdc(over_network(HOST, port, SECONDS))
    assert "cannot be reached" in no_kdc(over_tcp("nowhere.invalid", 88, SECONDS))


def test_silence_over_udp_is_told_in_time() -> None:
    with udp(lambda _: None) as port:
        assert "does not answer over UDP within 0.3 s" in no_kdc(over_udp(HOST, port, SECONDS))


@pytest.mark.parametrize("lost", [False, True])
def test_what_is_too_big_for_udp_or_lost_there_comes_over_tcp(lost: bool) -> None:
    answers = kdc()

    def serve(connection: socket.socket) -> None:
        connection.sendall(framed(answers(received(connection))))

    with tcp(serve) as port, udp(lambda _: None if lost else answers.error(52), port):
        assert login(over_network(HOST, port, SECONDS), RICK, "secret").client == RICK
        if not lost:
            with pytest.raises(KdcError) as caught:
                login(over_udp(HOST, port, SECONDS), RICK, "secret")
            assert caught.value.code == 52


@given(answer=mutated(*(WIRE[name] for name in ("samba-1", "samba-2", "mit-1"))) | st.binary(max_size=40))
@settings(max_examples=25, deadline=None)
def test_altered_answers_on_the_wire_end_in_a_documented_error(answer: bytes) -> None:
    def serve(connection: socket.socket) -> None:
        received(connection)
        connection.sendall(answer)  # without its length: the first four bytes count as that

    with tcp(serve) as port, suppress(NoKdc, KdcError):
        probe(over_tcp(HOST, port, SECONDS), RICK)
