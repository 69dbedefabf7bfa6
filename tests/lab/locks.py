"""What only one of several labs on the machine may do at a time."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def only_one(file: Path) -> Iterator[None]:
    """Wait until nobody else holds this file, and hold it; its folder is made, for root alone."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with file.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
