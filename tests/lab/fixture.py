"""The one door by which tests reach the lab: the session fixture `lab`.

It brings the lab up where it is down and then takes it down at the end; a lab that was already up
is left up. A test that changes something in the lab puts it back. Where the lab cannot be (no
root, no Linux), tests skip and say so; every other trouble is a failure.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lab import dc, dc2, fw, hosts
from tests.lab import lab as whole
from tests.lab.browse import standard_traffic
from tests.lab.errors import LabError
from tests.lab.fw_files import NATIVE_LOG, OWN_LOG
from tests.lab.hosts import by_name, execute, must
from tests.lab.layout import FW, state_folder
from tests.lab.packages import install
from tests.lab.pfsense.door import Firewall


@dataclass(frozen=True)
class Lab(Firewall):
    """A lab that is up. Host names are dc, fw, ws and web. `pose` and what goes with it: pfsense/door.py."""

    def exec(
        self, host: str, argv: Sequence[str], input: bytes | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command in a host, as root; its status is not looked at (124: over `timeout` seconds)."""
        return execute(self.state, by_name(host), argv, input=input, timeout=timeout)

    def sh(self, host: str, text: str, timeout: float = 60) -> str:
        """Run a line of bash in a host; its output. A status other than 0 is a LabError."""
        return must(self.state, by_name(host), ["/bin/bash", "-c", text], text, timeout=timeout).decode(
            "utf-8", "surrogateescape"
        )

    def read(self, host: str, path: str) -> bytes:
        return must(self.state, by_name(host), ["cat", path], f"cannot read {host}:{path}")

    def write(self, host: str, path: str, content: bytes, mode: int = 0o644, owner: str = "root:root") -> None:
        hosts.write(self.state, by_name(host), path, content, mode=mode, owner=owner)

    def traffic(self, seed: int = 1, rounds: int = 1) -> dict[str, Any]:
        """Let the people browse; the truth, once Squid has written all of it (see traffic.py)."""
        return standard_traffic(self.state, seed=seed, rounds=rounds)

    def fresh_logs(self) -> None:
        """Squid starts anew with empty logs."""
        fw.fresh_logs(self.state)

    def restart_squid(self, at: str | None = None, speed: float = 1.0) -> None:
        """Restart Squid; `at` ("2026-11-16 09:00:00", UTC) is what its clock then shows."""
        fw.restart_squid(self.state, at, speed)

    def fresh_domain(self) -> None:
        """The domain as it was when the lab came up first, whatever was done to it; Samba is started anew."""
        dc.fresh(self.state)

    def second_dc(self) -> AbstractContextManager[None]:
        """The domain with a second controller, dc2; then `fresh_domain`, which knows nothing of it."""
        return dc2.second(self.state)

    def replicate(self) -> None:
        """While there are two controllers: what one has, the other has now (else it takes some seconds)."""
        dc2.replicate(self.state)

    def native_log(self) -> bytes:
        return self.read(FW.name, NATIVE_LOG)

    def own_log(self) -> bytes:
        return self.read(FW.name, OWN_LOG)

    @property
    def ssh_key(self) -> Path:
        """Root's private key for the firewall, on this side."""
        return fw.keys_folder(self.state) / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """The firewall's host keys, as a known_hosts file, on this side."""
        return fw.keys_folder(self.state) / "known_hosts"


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    if sys.platform != "linux":
        pytest.skip("the lab needs Linux")
    if os.geteuid():
        pytest.skip("the lab needs root")
    state = state_folder()
    try:
        install()
        brought_up = whole.up(state, lambda text: print(text, file=sys.stderr))
    except LabError as error:
        pytest.fail(f"the lab does not come up: {error}", pytrace=False)
    try:
        yield Lab(state)
    finally:
        if brought_up:
            whole.down(state)
