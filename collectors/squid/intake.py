"""The senders of a receiver: who may come, who must go, and what they bring to the spool. Runs in one event loop.

No sender can hold up another: each has its own framing, a bounded half line and a bounded number of connections, and
must have sent a whole line within a time. Where the spool is full nobody is read, and TCP holds the senders back.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from collectors.squid.framing import Framed, Framer, datagram
from collectors.squid.listening import IP, SO_RXQ_OVFL, sender_address, tls_problem
from collectors.squid.spool import Spool

Network = IPv4Network | IPv6Network

QUIET = 60.0  # seconds after which a silent connection gives way to a new one where there are too many
_HANDSHAKE = 10.0
_CONNECTIONS = 64  # taken at a time
_DATAGRAMS, _DATAGRAM_BYTES = 256, 1024 * 1024  # read at a time
# A sender that has vanished (half-open) is found by TCP itself after two minutes.
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4))


@dataclass
class Counts:
    """What came since the start; changed in the event loop only, read anywhere."""

    accepted: int = 0
    refused: int = (
        0  # connections: too many, not allowed, without a line in time, TLS that failed; datagrams not allowed
    )
    lines: int = 0
    bytes: int = 0
    bad: int = 0
    empty: int = 0
    skipped: int = 0
    dropped: int = 0
    last: float | None = None
    problem: str = ""


@dataclass(frozen=True)
class Limits:
    """allow: networks that may send, empty for all. first_line: seconds within which a sender has sent a line."""

    connections: int
    per_sender: int
    first_line: float
    allow: tuple[Network, ...] = ()


class Sender(asyncio.Protocol):
    """One connection."""

    def __init__(self, intake: Intake, address: IP, now: float) -> None:
        self.address, self.began, self.last = address, now, now
        self.lines = 0
        self.transport: asyncio.Transport | None = None
        self._intake = intake
        self._framer = Framer()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the connection stands, TLS included."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self._intake.paused:
            transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        """asyncio: what the sender sent."""
        framed = self._framer.feed(data)
        self.lines += framed.lines
        self.last = self._intake.take(framed)
        if self._framer.broken:
            self._intake.tell(f"{self.address}: {self._framer.broken}")
            self.hang_up()

    def connection_lost(self, _: Exception | None) -> None:
        """asyncio: the connection has ended, by whomever."""
        self._intake.take(self._framer.end())
        self._intake.senders.discard(self)

    def hang_up(self) -> None:
        """End the connection now."""
        if self.transport is not None:
            self.transport.abort()


@dataclass(eq=False)
class Intake:
    """All senders of one receiver. clock: time of day, as seconds since 1970."""

    spool: Spool
    counts: Counts
    limits: Limits
    tls: ssl.SSLContext | None
    clock: Callable[[], float]
    senders: set[Sender] = field(default_factory=set)
    paused: bool = False
    _opening: set[asyncio.Task[None]] = field(default_factory=set)
    _overflows: dict[socket.socket, int] = field(default_factory=dict)

    def accept(self, listener: socket.socket) -> None:
        """Take the connections that wait. A reader of the event loop."""
        for _ in range(_CONNECTIONS):
            try:
                connection, peer = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as exc:  # no descriptor is left: not again at once, for the others' sake
                self.tell(f"no further sender can be taken: {exc.strerror or exc}")
                loop = asyncio.get_running_loop()
                loop.remove_reader(listener)
                loop.call_later(0.5, self._accept_again, listener)
                return
            connection.setblocking(False)
            sender = self._admit(sender_address(peer[0]))
            if sender is None:
                connection.close()
                continue
            task = asyncio.create_task(self._open(connection, sender))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def _accept_again(self, listener: socket.socket) -> None:
        if listener.fileno() >= 0:
            asyncio.get_running_loop().add_reader(listener, self.accept, listener)

    def _admit(self, address: IP) -> Sender | None:
        same = [sender for sender in self.senders if sender.address == address]
        if not self._allowed(address):
            self.refuse(f"{address} is not among those that may send (allow)")
        elif len(same) >= self.limits.per_sender and not self._make_room(same):
            self.refuse(f"{address} has {len(same)} connections already")
        elif len(self.senders) >= self.limits.connections and not self._make_room(list(self.senders)):
            self.refuse(f"{len(self.senders)} connections already, as {address} came")
        else:
            sender = Sender(self, address, asyncio.get_running_loop().time())
            self.senders.add(sender)
            return sender
        return None

    def _allowed(self, address: IP) -> bool:
        return not self.limits.allow or any(address in network for network in self.limits.allow)

    def _make_room(self, among: Sequence[Sender]) -> bool:
        """Hang up on the one that has been silent for longest, if it has been so for QUIET seconds."""
        oldest = min(among, key=lambda sender: sender.last)
        if self.paused or asyncio.get_running_loop().time() - oldest.last < QUIET:
            return False
        oldest.hang_up()
        self.senders.discard(oldest)
        return True

    async def _open(self, connection: socket.socket, sender: Sender) -> None:
        stands = False
        try:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in _KEEPALIVE:
                connection.setsockopt(socket.IPPROTO_TCP, option, value)
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: sender,
                connection,
                ssl=self.tls,
                ssl_handshake_timeout=_HANDSHAKE if self.tls else None,
                ssl_shutdown_timeout=1.0 if self.tls else None,
            )
            stands = True
            self.counts.accepted += 1
        except OSError as exc:  # TimeoutError, ssl.SSLError and ConnectionError are such
            self.refuse(f"{sender.address}: {tls_problem(exc) if self.tls else exc}")
        finally:
            if not stands:
                self.senders.discard(sender)
                connection.close()

    def read_datagrams(self, listener: socket.socket) -> int:
        """Take what has come by UDP, so much at a time; how many datagrams went to the spool."""
        parts: list[Framed] = []
        size = 0
        while len(parts) < _DATAGRAMS and size < _DATAGRAM_BYTES:
            try:
                data, ancillary, _, peer = listener.recvmsg(65536, socket.CMSG_SPACE(4))
            except BlockingIOError:
                break
            except OSError as exc:
                self.tell(f"UDP: {exc.strerror or exc}")
                break
            self._count_overflow(listener, ancillary)
            if not self._allowed(sender_address(peer[0])):
                self.refuse(f"{peer[0]} is not among those that may send (allow)")
                size += 1024
            elif self.spool.full:
                self.counts.dropped += 1
                self.tell("the spool is full: datagrams are dropped")
                size += 1024
            else:
                parts.append(datagram(data))
                size += len(data)
        if parts:
            self.take(
                Framed(
                    b"".join(part.data for part in parts),
                    *(sum(getattr(part, name) for part in parts) for name in ("lines", "bad", "empty", "skipped")),
                )
            )
        return len(parts)

    def _count_overflow(self, listener: socket.socket, ancillary: list[tuple[int, int, bytes]]) -> None:
        for level, kind, value in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, SO_RXQ_OVFL):
                total = int.from_bytes(value[:4], "little" if socket.htonl(1) != 1 else "big")
                more = (total - self._overflows.get(listener, 0)) & 0xFFFFFFFF
                self._overflows[listener] = total
                if more:
                    self.counts.dropped += more
                    self.tell("datagrams came faster than they could be read: the kernel dropped some")

    def take(self, framed: Framed) -> float:
        """To the spool with it; the loop's time."""
        now = asyncio.get_running_loop().time()
        counts = self.counts
        counts.empty += framed.empty
        if not framed.data:
            return now
        self.spool.append(framed.data)
        counts.lines += framed.lines
        counts.bad += framed.bad
        counts.skipped += framed.skipped
        counts.bytes += len(framed.data)
        counts.last = self.clock()
        if self.spool.full:
            self.pause()
        return now

    def pause(self) -> None:
        """Read nobody."""
        self.paused = True
        for sender in self.senders:
            if sender.transport is not None:
                sender.transport.pause_reading()

    def look(self) -> None:
        """To be called several times a second: go on where there is room again, hang up on those that send no line."""
        self.spool.look()
        if self.spool.problem:
            self.tell(self.spool.problem)
        now = asyncio.get_running_loop().time()
        if self.spool.full:
            self.pause()
            return
        if self.paused:
            self.paused = False
            for sender in self.senders:
                sender.began = now
                if sender.transport is not None:
                    sender.transport.resume_reading()
        for sender in list(self.senders):
            if sender.transport and not sender.lines and now - sender.began > self.limits.first_line:
                self.refuse(f"{sender.address} sent no whole line in {self.limits.first_line:g} s")
                sender.hang_up()
                self.senders.discard(sender)

    def refuse(self, why: str) -> None:
        """Count a connection that was not taken, or not kept."""
        self.counts.refused += 1
        self.tell(why)

    def tell(self, problem: str) -> None:
        """What went wrong last."""
        self.counts.problem = problem

    async def hang_up(self) -> None:
        """End all connections; half lines are marked."""
        for task in list(self._opening):
            task.cancel()
        for sender in list(self.senders):
            sender.hang_up()
        end = asyncio.get_running_loop().time() + 1
        while self.senders and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.01)
