"""The programs for firewalls, run by this machine's own PHP as a firewall would by SSH: no lab, no network."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pfsquid.firewall.pfsense import Pfsense

PHP = shutil.which("php")
START = f"exec {PHP} -n"  # in place of the firewall's own PHP


class Channel:
    """As much of an SSH channel as is used, over a process."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.process: subprocess.Popen[bytes] | None = None

    def settimeout(self, _: float) -> None:
        """A pipe needs none."""

    def exec_command(self, command: str) -> None:
        command = command.replace("/usr/local/bin/php", START)
        self.process = subprocess.Popen(["/bin/sh", "-c", command], stdin=-1, stdout=-1, stderr=-1)

    def sendall(self, data: bytes) -> None:
        assert self.process and self.process.stdin
        self.process.stdin.write(data)
        self.process.stdin.flush()
        self.transport.sent += len(data)

    def recv(self, size: int) -> bytes:
        assert self.process and self.process.stdout
        part = self.process.stdout.read1(size)  # type: ignore[attr-defined]
        self.transport.received += len(part)
        return bytes(part)

    def recv_stderr(self, size: int) -> bytes:
        assert self.process and self.process.stderr
        return self.process.stderr.read(size)

    def exit_status_ready(self) -> bool:
        return True

    def recv_exit_status(self) -> int:
        assert self.process
        return self.process.wait(5)

    def close(self) -> None:
        if self.process:
            for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
                assert pipe
                pipe.close()
            self.process.wait(5)


class Transport:
    """A connection to "the firewall". cut: nothing comes through any more. received: bytes."""

    def __init__(self) -> None:
        self.sent = self.received = 0
        self.channels: list[Channel] = []

    def set_keepalive(self, _: int) -> None: ...

    def is_active(self) -> bool:
        return True

    def open_session(self, timeout: float) -> Channel:
        self.channels.append(Channel(self))
        return self.channels[-1]

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The program that runs last."""
        process = self.channels[-1].process
        assert process
        return process


@contextmanager
def local_pfsense(transport: Transport | None = None) -> Iterator[Pfsense]:
    """A "firewall" that is this machine; skips where there is no PHP."""
    if not PHP:
        pytest.skip("needs php")
    target = SimpleNamespace(name="fw", port=22, user="root", host="fw.example")
    transport = transport or Transport()
    connection: Any = SimpleNamespace(transport=transport, target=target)
    yield Pfsense(cast(Any, connection), sudo=False)
    for channel in transport.channels:
        channel.close()
