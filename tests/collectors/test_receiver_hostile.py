"""Whatever a sender does, the others' lines arrive."""

from __future__ import annotations

import socket
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collectors.squid import intake
from collectors.squid.receiver import Receiver
from tests.collectors.senders import Pair, connect, make_pair, receiving, send, send_datagrams, spooled, until

GOOD = b"1402454773.542 307 192.0.2.1 good\n"
FEW = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def receiver(spool: Path) -> Iterator[Receiver]:
    with receiving("tcp://127.0.0.1:0", spool, first_line=0.5, connections=40, per_sender=30) as one:
        yield one


def others_arrive(receiver: Receiver, spool: Path, host: str = "127.0.0.1") -> None:
    """One sender's line gets through now."""
    before = spooled(spool).count(GOOD)
    send(receiver, GOOD, host)
    until(lambda: spooled(spool).count(GOOD) == before + 1)


@pytest.mark.parametrize(
    "hostile",
    [
        b"x" * 300_000,
        b"\x00" * 300_000,
        b"1000000000000 <134>a",
        b"900000 <134>" + b"y" * 100_000,
        b"\x16\x03\x01\x02\x00",
        b"\n" * 100_000,
        b"GET / HTTP/1.1\r\n\r\n",
        b"",
    ],
    ids=["no line feed", "NULs", "a count of 10^12", "a long message", "TLS", "empty lines", "HTTP", "nothing"],
)
def test_one_that_sends_rubbish_is_hung_up_on_in_the_end_and_harms_nobody(
    receiver: Receiver, spool: Path, hostile: bytes
) -> None:
    with connect(receiver) as sender:
        sender.sendall(hostile)
        others_arrive(receiver, spool)
        if b"HTTP" not in hostile:  # these are lines
            until(lambda: receiver.stats().connections == 0)
    assert len(spooled(spool)) < 100_000


def test_one_that_sends_slowly_does_not_hold_up_the_others(receiver: Receiver, spool: Path) -> None:
    with connect(receiver) as slow:
        for byte in GOOD[:10]:
            slow.send(bytes([byte]))
            others_arrive(receiver, spool)
        slow.sendall(GOOD[10:])
        until(lambda: spooled(spool) == GOOD * 11)


def test_a_sender_that_has_sent_lines_may_be_silent(receiver: Receiver, spool: Path) -> None:
    with connect(receiver) as sender, connect(receiver):
        sender.sendall(GOOD)
        until(lambda: "sent no whole line in 0.5 s" in receiver.stats().problem)
        until(lambda: receiver.stats().connections == 1)
        sender.sendall(GOOD)
        until(lambda: spooled(spool) == GOOD * 2)


def test_hundreds_of_connections_of_one_leave_room_for_another(receiver: Receiver, spool: Path) -> None:
    with ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(connect(receiver))
        until(lambda: receiver.stats().refused >= 270)
        assert receiver.stats().connections <= 30
        with socket.create_connection(("127.0.0.1", receiver.port), source_address=("127.0.0.2", 0)) as other:
            other.sendall(GOOD)
            until(lambda: spooled(spool) == GOOD)
    until(lambda: receiver.stats().connections == 0)
    others_arrive(receiver, spool)


def test_the_connection_that_is_silent_for_longest_gives_way(
    receiver: Receiver, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "QUIET", 0.2)
    with ExitStack() as stack:
        senders = [stack.enter_context(connect(receiver)) for _ in range(30)]
        for sender in senders:
            sender.sendall(GOOD)
        until(lambda: receiver.stats().lines == 30)
        until(lambda: intake.QUIET < 1 and _came_through(receiver, spool))
        assert receiver.stats().connections <= 30


def _came_through(receiver: Receiver, spool: Path) -> bool:
    before = receiver.stats().lines
    try:
        send(receiver, GOOD)
        until(lambda: receiver.stats().lines > before, 0.1)
    except (AssertionError, OSError):
        return False
    return True


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(tmp_path_factory.mktemp("tls"), "server")


def test_rubbish_and_silence_instead_of_a_handshake_harm_nobody(
    spool: Path, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "_HANDSHAKE", 0.5)
    with receiving("tls://127.0.0.1:0", spool, certificate=pair.certificate, key=pair.key) as receiver:
        with ExitStack() as stack:
            for number in range(40):
                sender = stack.enter_context(connect(receiver))
                sender.sendall((b"", b"\x16\x03\x01\x02\x00", b"\x00" * 5000, b"\x16\x03\x03\xff\xff" * 99)[number % 4])
            with pair.context().wrap_socket(connect(receiver), server_hostname="127.0.0.1") as good:
                good.sendall(GOOD)
                until(lambda: spooled(spool) == GOOD)
            until(lambda: receiver.stats().refused == 40)
        until(lambda: receiver.stats().connections == 0)


@FEW
@given(streams=st.lists(st.binary(max_size=500), max_size=5))
def test_random_bytes_of_many_harm_nobody(receiver: Receiver, spool: Path, streams: list[bytes]) -> None:
    for stream in streams:
        send(receiver, stream)
    others_arrive(receiver, spool)
    assert spooled(spool).endswith(b"\n")
    assert receiver.stats().running


def test_random_datagrams_harm_nobody(spool: Path) -> None:
    with receiving("udp://127.0.0.1:0", spool) as receiver:
        send_datagrams(
            receiver, *(bytes([number]) * number for number in range(256)), b"<1>" + b"\n" * 9, b"\xff" * 65000
        )
        send_datagrams(receiver, GOOD)
        until(lambda: spooled(spool).endswith(GOOD))
        assert receiver.stats().running


def test_many_senders_of_half_lines_take_little_memory(spool: Path) -> None:
    with receiving("tcp://127.0.0.1:0", spool, connections=100, per_sender=100) as receiver, ExitStack() as stack:
        tracemalloc.start()
        try:
            for _ in range(100):
                stack.enter_context(connect(receiver)).sendall(b"x" * 250_000)
            until(lambda: receiver.stats().accepted == 100)
            until(lambda: len(receiver._intake.senders if receiver._intake else ()) == 100)
            assert tracemalloc.get_traced_memory()[1] < 64 * 1024 * 1024
        finally:
            tracemalloc.stop()
