"""The way to logs on a firewall: one program that stays there and answers questions, over one connection.

`LogReader` is what `collectors.squid.remote` asks. It connects when first asked, and anew after a loss. The program
reads only, and ends with the connection.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from types import TracebackType
from typing import Any

import paramiko

from pfsquid.errors import PfsquidError
from pfsquid.firewall.pfsense import Pfsense
from pfsquid.firewall.ssh import CONNECT_SECONDS, LostConnection, Ran

SILENCE_SECONDS = 10.0  # without a byte of an answer, the connection counts as lost
KEEP_ALIVE_SECONDS = 3
IDLE_SECONDS = 240.0  # the program ends by itself some time after this
_RECEIVE = 256 * 1024


class LogReader:
    """Asks the program `log` on a firewall; from any thread, one question at a time.

    connect: a new connection to the firewall. A question that fails ends the connection; the next one makes a new one.
    Raises LostConnection where it was lost, PfsquidError where none can be made or PHP cannot run.
    """

    def __init__(self, connect: Callable[[], AbstractContextManager[Pfsense]]) -> None:
        self._connect = connect
        self._session: _Session | None = None
        self._open = ExitStack()
        self._used = 0.0
        self._one = threading.Lock()

    def __call__(self, question: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """The answer to one question, and the bytes that came with it."""
        with self._one:
            if time.monotonic() - self._used > IDLE_SECONDS:
                self._close()
            try:
                if self._session is None:
                    pfsense = self._open.enter_context(self._connect())
                    self._session = _Session(pfsense)
                answered = self._session.ask(question)
            except BaseException:
                self._close()
                raise
            self._used = time.monotonic()
            return answered

    def close(self) -> None:
        """End the program and the connection; a further question makes new ones."""
        with self._one:
            self._close()

    def _close(self) -> None:
        session, self._session = self._session, None
        if session:
            session.close()
        opened, self._open = self._open, ExitStack()
        with suppress(OSError, EOFError, paramiko.SSHException):
            opened.close()

    def __enter__(self) -> LogReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Session:
    """The program, running."""

    def __init__(self, pfsense: Pfsense) -> None:
        self._pfsense = pfsense
        self._received = bytearray()
        command, body, mark = pfsense.asked("log", {}, more=True)
        self._mark = mark.encode()
        transport = pfsense.connection.transport
        transport.set_keepalive(KEEP_ALIVE_SECONDS)
        try:
            self._channel = transport.open_session(timeout=CONNECT_SECONDS)
            self._channel.settimeout(SILENCE_SECONDS)
            self._channel.exec_command(command)
            self._channel.sendall(body)
            self._answer()
        except TimeoutError as exc:
            raise self._lost(exc) from exc
        except (paramiko.SSHException, OSError, EOFError) as exc:
            # It may have ended before it took all that was sent, and said why.
            raise (self._ended() if hasattr(self, "_channel") else self._lost(exc)) from exc

    def ask(self, question: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """See LogReader."""
        try:
            self._channel.sendall(json.dumps(question).encode() + b"\n")
            return self._answer()
        except (paramiko.SSHException, OSError, EOFError) as exc:
            raise self._lost(exc) from exc

    def close(self) -> None:
        """Let the program end."""
        with suppress(OSError, EOFError, paramiko.SSHException):
            self._channel.close()

    def _answer(self) -> tuple[dict[str, Any], bytes]:
        """A marked line, and as many bytes as it tells of; what PHP says beside that is noise."""
        line = self._line()
        while not line.startswith(self._mark):
            line = self._line()
        answer: dict[str, Any] = json.loads(line[len(self._mark) :])
        while len(self._received) < answer["bytes"]:
            self._receive()
        data = bytes(memoryview(self._received)[: answer["bytes"]])
        del self._received[: answer["bytes"]]
        return answer, data

    def _line(self) -> bytes:
        while (end := self._received.find(b"\n")) < 0:
            self._receive()
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        return line

    def _receive(self) -> None:
        part = self._channel.recv(_RECEIVE)
        if not part:
            raise self._ended()
        self._received += part

    def _ended(self) -> PfsquidError:
        """Why the program is no longer there."""
        err = b""
        with suppress(OSError):
            err = self._channel.recv_stderr(_RECEIVE)
        status = self._channel.recv_exit_status() if self._channel.exit_status_ready() else -1
        if not self._pfsense.connected or (status <= 0 and not err):
            return self._lost(EOFError("it was closed"))
        return self._pfsense.no_answer("log", Ran(None if status < 0 else status, bytes(self._received), err))

    def _lost(self, why: Exception) -> LostConnection:
        said = f"silent for {SILENCE_SECONDS:.0f} s" if isinstance(why, TimeoutError) else str(why) or "it was closed"
        target = self._pfsense.connection.target
        return LostConnection(
            f"{target.name}: the connection was lost: {said}",
            f"ssh -p {target.port} {target.user}@{target.host} uptime",
            "nothing is lost or read twice: the next round goes on from what is in the lake",
        )
