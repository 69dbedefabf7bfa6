"""A receiver: takes access logs that Squid or a syslog daemon sends, and appends them to a spool.

TCP, TLS and UDP; raw lines and syslog (framing.py). From the spool on each row is kept exactly once, as from any folder
of logs. What is lost before that is the sender's doing, or the network's: docs/receiver.md. Never reads the spool, and
never acknowledges anything: none of these protocols can.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

from collectors.batch import Position
from collectors.squid.follow import SourceError
from collectors.squid.intake import Counts, Intake, Limits
from collectors.squid.listening import bound_sockets, load_certificate, parse_listen, tls_context
from collectors.squid.spool import Spool, SpoolLogs, remove_read, spool_files

LIMIT = 256 * 1024 * 1024
_LOOK = 0.2  # seconds
_SETTLE = 0.25  # seconds without a byte, after which all that was on its way has come
_RENEWALS = 60.0  # seconds between two looks at the certificate


@dataclass(frozen=True)
class Stats:
    """What a receiver did since its start.

    running: it listens. connections: now. accepted, refused: connections (refused also: datagrams of senders that may
    not send). lines: sound ones. bytes: appended to the spool. bad: lines that were marked, and will be rejects.
    empty: lines of nothing. skipped: bytes of bad lines that were left out. dropped: datagrams for which there was no
    room. lost: lines that a full disk did not take before the end. last: when the last line came (seconds since 1970).
    spool_bytes: now. full: nothing is read until some of the spool is done. problem: what went wrong last, or ''.
    """

    running: bool
    connections: int
    accepted: int
    refused: int
    lines: int
    bytes: int
    bad: int
    empty: int
    skipped: int
    dropped: int
    lost: int
    last: float | None
    spool_bytes: int
    full: bool
    problem: str


class Receiver:
    """listen: tcp://, tls:// or udp://ADDRESS:PORT. spool: a folder of its own, made where it is missing.

    limit: bytes of the spool. certificate, key, client_ca: PEM, for tls:// (see `tls_context`). allow: networks or
    addresses that may send, empty for all. sync: seconds between two fsyncs; 0 for one after each block. connections,
    per_sender: how many at a time, of all and of one address. first_line: seconds for a sender to send a whole line.
    Raises SourceError where a setting is wrong.
    """

    def __init__(
        self,
        listen: str,
        spool: Path,
        limit: int = LIMIT,
        certificate: Path | None = None,
        key: Path | None = None,
        client_ca: Path | None = None,
        *,
        allow: Sequence[str] = (),
        sync: float = 1.0,
        connections: int = 200,
        per_sender: int = 50,
        first_line: float = 30.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._address = parse_listen(listen)
        if self._address.scheme != "tls" and (certificate or key or client_ca):
            raise SourceError(f"{listen} has no TLS: write tls://, or leave out certificate, key, client_ca", True)
        try:
            networks = tuple(ip_network(one, strict=False) for one in allow)
        except ValueError as exc:
            raise SourceError(f"allow: {exc}; write networks such as 192.0.2.0/24", wrong_use=True) from None
        self._limits = Limits(connections, per_sender, first_line, networks)
        self._files = (certificate, key, client_ca)
        self._sync, self._clock = sync, clock
        self._spool = Spool(spool, limit, clock, sync_each=not sync)
        self._counts = Counts()
        self._lost = 0
        self._intake: Intake | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._patience = 0.0
        self.port = self._address.port

    def start(self) -> None:
        """Listen, in a thread of its own. Raises SourceError, with what to do; then nothing stays open."""
        if self._thread is not None:
            raise SourceError(f"already listening on {self._address}")
        context = tls_context(*self._files) if self._address.scheme == "tls" else None
        self._spool.open()
        try:
            sockets = bound_sockets(self._address)
        except SourceError:
            self._spool.close()
            raise
        self.port = sockets[0].getsockname()[1]
        self._counts = Counts(bad=self._spool.half_lines)
        self._lost = 0
        self._intake = Intake(self._spool, self._counts, self._limits, context, self._clock)
        ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._run(sockets, ready)), name=f"receiver {self._address}", daemon=True
        )
        self._thread.start()
        ready.wait()

    def stop(self, seconds: float = 2.0) -> None:
        """Take no new senders, read what is on its way for at most so long, hang up, bring all to the disk."""
        thread, loop, stopping = self._thread, self._loop, self._stopping
        if thread is None or loop is None or stopping is None:
            return
        self._patience = seconds
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            loop.call_soon_threadsafe(stopping.set)
        thread.join()
        self._thread = None

    def stats(self) -> Stats:
        """What it did until now. From any thread."""
        counts, intake = self._counts, self._intake
        return Stats(
            running=self._thread is not None and self._thread.is_alive(),
            connections=len(intake.senders) if intake is not None else 0,
            accepted=counts.accepted,
            refused=counts.refused,
            lines=counts.lines,
            bytes=counts.bytes,
            bad=counts.bad,
            empty=counts.empty,
            skipped=counts.skipped,
            dropped=counts.dropped,
            lost=self._lost,
            last=counts.last,
            spool_bytes=self._spool.size,
            full=self._spool.full,
            problem=counts.problem,
        )

    def logs(self, origin: str | None = None) -> SpoolLogs:
        """The spool, for `collect_logs`. origin: whose lines they are."""
        return SpoolLogs(self._spool.folder, origin)

    def done(self, read: Iterable[Position]) -> list[Path]:
        """After a commit, from any thread: delete the spool files that are closed and whole in the lake.

        read: the positions that the lake has. Returns what was deleted. Raises OSError.
        """
        files = spool_files(self._spool.folder)
        current = self._spool.current  # looked up after the files: what begins from now on is not among them
        return remove_read([file for file in files if file != current], read)

    async def _run(self, sockets: list[socket.socket], ready: threading.Event) -> None:
        loop = asyncio.get_running_loop()
        intake = self._intake
        assert intake is not None
        self._loop, self._stopping = loop, asyncio.Event()
        loop.set_exception_handler(lambda _, context: intake.tell(str(context.get("exception") or context["message"])))
        tasks = [asyncio.create_task(self._look(intake)), asyncio.create_task(self._renew(intake))]
        if self._sync:
            tasks.append(asyncio.create_task(self._sync_often(intake)))
        for one in sockets:
            loop.add_reader(one, intake.read_datagrams if self._address.scheme == "udp" else intake.accept, one)
        ready.set()
        try:
            await self._stopping.wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._address.scheme == "udp":
                while not self._spool.full and any(map(intake.read_datagrams, sockets)):
                    pass
            else:
                for one in sockets:
                    intake.accept(one)
            _close(loop, sockets)
            await self._settle(intake)
            await intake.hang_up()
            self._lost = self._spool.close()

    async def _settle(self, intake: Intake) -> None:
        """Wait until nothing more comes, or patience is over."""
        loop = asyncio.get_running_loop()
        end, quiet, seen = loop.time() + self._patience, loop.time(), -1
        while intake.senders and not intake.paused and loop.time() < end and loop.time() - quiet < _SETTLE:
            if seen != self._counts.bytes:
                seen, quiet = self._counts.bytes, loop.time()
            await asyncio.sleep(0.02)

    async def _look(self, intake: Intake) -> None:
        while True:
            await asyncio.sleep(_LOOK)
            try:
                intake.look()
            except OSError as exc:
                intake.tell(f"the spool {self._spool.folder} cannot be seen: {exc.strerror or exc}")

    async def _sync_often(self, intake: Intake) -> None:
        while True:
            await asyncio.sleep(self._sync)
            try:
                await asyncio.to_thread(self._spool.sync)
            except OSError as exc:
                intake.tell(f"the spool {self._spool.folder} was not brought to the disk: {exc.strerror or exc}")

    async def _renew(self, intake: Intake) -> None:
        """Take a renewed certificate for new connections."""
        certificate, key, _ = self._files
        if intake.tls is None or certificate is None:
            return
        stamps = _stamps(certificate, key)
        while True:
            await asyncio.sleep(_RENEWALS)
            if _stamps(certificate, key) != stamps:
                try:
                    load_certificate(intake.tls, certificate, key)
                    stamps = _stamps(certificate, key)
                except SourceError as exc:
                    intake.tell(f"the old certificate stays in use: {exc}")


def _stamps(*paths: Path | None) -> list[int]:
    return [path.stat().st_mtime_ns if path is not None and path.exists() else 0 for path in paths]


def _close(loop: asyncio.AbstractEventLoop, sockets: list[socket.socket]) -> None:
    for one in sockets:
        if one.fileno() >= 0:
            loop.remove_reader(one)
            one.close()
