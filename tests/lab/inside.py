"""Run Python of a test in the network of a host of the lab, so that its sockets are that host's.

Addresses only: names are still looked up as this machine does it.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from tests.lab.errors import LabError
from tests.lab.hosts import by_name, running

_NETWORK = 0x40000000  # CLONE_NEWNET
Result = TypeVar("Result")


def in_network(state: Path, host: str, do: Callable[[], Result]) -> Result:
    """What `do` returns or raises, called in a thread that is in the host's network namespace."""
    found = running(state, by_name(host))
    if found is None:
        raise LabError(f"{host} is not up")

    def enter() -> None:
        namespace = os.open(f"/proc/{found.init}/ns/net", os.O_RDONLY)
        try:
            if ctypes.CDLL(None, use_errno=True).setns(namespace, _NETWORK):
                raise OSError(ctypes.get_errno(), "cannot enter the network of a host")
        finally:
            os.close(namespace)

    with ThreadPoolExecutor(1, initializer=enter) as pool:
        return pool.submit(do).result()
