"""Keep a process that runs for weeks small: freed memory goes back to the system. Imports nothing of pfsquid.

Measured with `bench/backlog.py`: Arrow's usual pool and malloc's many arenas kept 250 MB of the memory of eight busy
sources that nobody used.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # mallopt(3)


def be_frugal() -> None:
    """To be called before pyarrow is imported. Without effect where malloc is another one than glibc's."""
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_ARENA_MAX, 1)
        libc.mallopt(_M_MMAP_THRESHOLD, 1 << 20)
