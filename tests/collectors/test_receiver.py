"""What senders send arrives in the spool, by every protocol; nothing runs over; what is wrong is said."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors.squid.follow import SourceError
from collectors.squid.framing import MARK
from collectors.squid.receiver import Receiver
from tests.collectors.senders import (
    Pair,
    connect,
    lock,
    make_pair,
    receiving,
    send,
    send_datagrams,
    spooled,
    until,
)

LINES = b"1402454773.542 307 192.0.2.1 a\n1402454773.543 307 192.0.2.1 b\n"
MESSAGE = b"<134>1 2026-11-16T09:00:00Z fw squid 7 - - a"


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(tmp_path_factory.mktemp("ca"), "authority")


@pytest.fixture(scope="module")
def server(authority: Pair, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(tmp_path_factory.mktemp("server"), "server", authority)


@pytest.fixture
def tls(server: Pair, spool: Path) -> Iterator[Receiver]:
    with receiving("tls://127.0.0.1:0", spool, certificate=server.certificate, key=server.key) as receiver:
        yield receiver


def wrapped(receiver: Receiver, context: ssl.SSLContext) -> ssl.SSLSocket:
    """A connection with TLS."""
    return context.wrap_socket(connect(receiver), server_hostname="127.0.0.1")


@pytest.mark.parametrize(("listen", "host"), [("0.0.0.0", "127.0.0.1"), ("[::1]", "::1"), ("[::]", "127.0.0.1")])
def test_lines_arrive_over_tcp(spool: Path, listen: str, host: str) -> None:
    with receiving(f"tcp://{listen}:0", spool) as receiver:
        send(receiver, LINES, host)
        until(lambda: spooled(spool) == LINES)
        assert (receiver.stats().lines, receiver.stats().bytes) == (2, len(LINES))


@pytest.mark.parametrize(("listen", "host"), [("127.0.0.1", "127.0.0.1"), ("[::]", "::1")])
def test_messages_and_raw_lines_arrive_over_udp(spool: Path, listen: str, host: str) -> None:
    with receiving(f"udp://{listen}:0", spool) as receiver:
        send_datagrams(receiver, MESSAGE, LINES, host=host)
        until(lambda: spooled(spool) == MESSAGE + b"\n" + LINES)


def test_counted_messages_arrive_over_tls(spool: Path, tls: Receiver, authority: Pair) -> None:
    with wrapped(tls, authority.context()) as sender:
        sender.sendall(b"%d %s" % (len(MESSAGE), MESSAGE) * 3)
        until(lambda: spooled(spool) == (MESSAGE + b"\n") * 3)


def test_tls_before_1_2_is_refused(tls: Receiver, authority: Pair) -> None:
    context = authority.context()
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with connect(tls) as sender, pytest.raises(OSError):
        context.wrap_socket(sender, server_hostname="127.0.0.1")
    until(lambda: tls.stats().refused == 1)


def test_a_sender_without_the_wanted_certificate_brings_nothing(
    spool: Path, server: Pair, authority: Pair, tmp_path: Path
) -> None:
    stranger = make_pair(tmp_path, "stranger", make_pair(tmp_path, "other"))
    known = make_pair(tmp_path, "known", authority)
    files = {"certificate": server.certificate, "key": server.key, "client_ca": authority.certificate}
    with receiving("tls://127.0.0.1:0", spool, **files) as receiver:
        for own in (None, stranger):
            context = authority.context(own)
            with (
                contextlib.suppress(OSError),
                context.wrap_socket(connect(receiver), server_hostname="127.0.0.1") as no,
            ):
                no.sendall(LINES)
                assert no.recv(1) == b""  # TLS 1.3: it hears of it only now
        until(lambda: receiver.stats().refused == 2)
        with wrapped(receiver, authority.context(known)) as sender:
            sender.sendall(MESSAGE + b"\n")
            until(lambda: spooled(spool) == MESSAGE + b"\n")


def test_a_sender_without_tls_is_told_of(tls: Receiver) -> None:
    send(tls, MESSAGE + b"\n")
    until(lambda: "does not speak TLS" in tls.stats().problem)


def test_a_half_line_at_the_end_of_a_connection_is_marked(spool: Path) -> None:
    with receiving("tcp://127.0.0.1:0", spool) as receiver:
        send(receiver, LINES + b"half")
        until(lambda: spooled(spool).endswith(b"half" + MARK + b"the connection ended in the middle of this line\n"))
        assert (receiver.stats().lines, receiver.stats().bad) == (2, 1)


def test_what_is_on_its_way_at_a_stop_still_comes(spool: Path) -> None:
    with receiving("tcp://127.0.0.1:0", spool) as receiver, connect(receiver) as sender:
        sender.sendall(LINES * 20_000)
        receiver.stop()
        assert spooled(spool) == LINES * 20_000


def test_a_busy_sender_does_not_hold_up_a_stop(spool: Path) -> None:
    with receiving("tcp://127.0.0.1:0", spool) as receiver, connect(receiver) as sender:
        sender.settimeout(0.1)
        begin = time.monotonic()

        def forever() -> None:
            try:
                while True:
                    sender.sendall(LINES)
            except OSError:
                pass

        thread = threading.Thread(target=forever)
        thread.start()
        receiver.stop(0.5)
        assert time.monotonic() - begin < 2
        thread.join()


def test_it_stops_twice_and_starts_again(spool: Path) -> None:
    with receiving("tcp://127.0.0.1:0", spool) as receiver:
        send(receiver, b"a\n")
        receiver.stop()
        receiver.stop()
        assert not receiver.stats().running
        receiver.start()
        send(receiver, b"b\n")
        until(lambda: spooled(spool) == b"a\nb\n")


def test_only_those_that_may_send_do(spool: Path) -> None:
    with receiving("tcp://[::]:0", spool, allow=["192.0.2.0/24", "::1"]) as receiver:
        send(receiver, b"no\n")
        until(lambda: receiver.stats().refused == 1)
        send(receiver, b"yes\n", "::1")
        until(lambda: spooled(spool) == b"yes\n")
        assert "127.0.0.1 is not among those that may send" in receiver.stats().problem


def test_a_renewed_certificate_is_taken(
    spool: Path, authority: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collectors.squid.receiver._RENEWALS", 0.05)
    pair = make_pair(tmp_path, "server", authority)

    def serial() -> int:
        with wrapped(receiver, authority.context()) as sender:
            return int(str((sender.getpeercert() or {})["serialNumber"]), 16)

    with receiving("tls://127.0.0.1:0", spool, certificate=pair.certificate, key=pair.key) as receiver:
        assert serial() == pair.signed.serial_number
        pair.key.write_text("nothing")
        until(lambda: "the old certificate stays in use" in receiver.stats().problem)
        assert serial() == pair.signed.serial_number
        renewed = make_pair(tmp_path, "server", authority)
        until(lambda: serial() == renewed.signed.serial_number)


def test_wrong_places_to_listen_are_said(spool: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        for listen, said in {
            f"tcp://127.0.0.1:{taken}": "another program has this port",
            "tcp://192.0.2.77:0": "no such address",
            "tcp://no.such.host.invalid:0": "has no address",
            "tcp://127.0.0.1": "no place to listen",
            "tcp://::1:6514": "no place to listen",
            "tcp://127.0.0.1:65536": "no place to listen",
            "http://127.0.0.1:80": "no place to listen",
        }.items():
            with pytest.raises(SourceError, match=said) as raised:
                Receiver(listen, spool).start()
            assert raised.value.wrong_use
    with receiving("tcp://127.0.0.1:0", spool):
        pass  # nothing was left locked


def test_wrong_files_of_tls_are_said(spool: Path, server: Pair, authority: Pair, tmp_path: Path) -> None:
    locked = make_pair(tmp_path, "locked", authority)
    lock(locked)
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    absent = tmp_path / "absent.pem"
    for certificate, key, ca, said in (
        (None, None, None, "needs a certificate"),
        (absent, server.key, None, "certificate: .*absent.pem cannot be read: No such file"),
        (server.certificate, absent, None, "key: .*absent.pem cannot be read"),
        (text, server.key, None, "not a certificate and its key in PEM"),
        (server.certificate, None, None, "not a certificate and its key in PEM"),
        (server.certificate, authority.key, None, "the key is not that of"),
        (locked.certificate, locked.key, None, "locked by a password"),
        (server.certificate, server.key, text, "client_ca: .*text.pem holds no certificate"),
        (server.certificate, server.key, absent, "client_ca: .*absent.pem cannot be read"),
    ):
        with pytest.raises(SourceError, match=said):
            Receiver("tls://127.0.0.1:0", spool, certificate=certificate, key=key, client_ca=ca).start()
    with pytest.raises(SourceError, match="has no TLS"):
        Receiver("tcp://127.0.0.1:0", spool, certificate=server.certificate)
    with pytest.raises(SourceError, match="write networks such as"):
        Receiver("tcp://127.0.0.1:0", spool, allow=["everybody"])


def test_two_receivers_do_not_share_a_spool(spool: Path) -> None:
    with receiving("tcp://127.0.0.1:0", spool), pytest.raises(SourceError, match="another pfsquid receives into"):
        Receiver("tcp://127.0.0.1:0", spool).start()
