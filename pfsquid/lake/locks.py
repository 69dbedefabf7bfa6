"""Locks among the processes of one machine: files beside the lake, held while something is done. Judges nothing."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(path: Path, wait: bool | float) -> Iterator[None]:
    """Hold the lock of a file, made if need be. Raises BlockingIOError where another holds it, and still does after
    `wait` seconds; where that is True, it waits as long as it takes. Raises OSError where the file cannot be made."""
    with path.open("w") as lock:
        until = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait is True else fcntl.LOCK_NB))
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise
                time.sleep(0.005)
        yield
