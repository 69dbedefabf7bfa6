"""Batches read ahead: the next is being read in a thread while the last is written. Knows nothing of the lake."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator

import pyarrow as pa

from collectors.batch import Batch

TICK = 0.25  # seconds; how often nothing is handed on while nothing comes
_END = object()


def ahead(batches: Iterable[Batch]) -> Iterator[Batch | Exception | None]:
    """The same batches; never more than two in memory. None each time that none came for a moment.

    Last comes the exception that ended them, if one did. Whoever stops early leaves the thread to end by itself, once
    its source answers.
    """
    handed: queue.Queue[object] = queue.Queue(maxsize=1)
    wanted = threading.Semaphore(1)
    stop = threading.Event()

    def read() -> None:
        try:
            for batch in batches:
                wanted.acquire()
                if stop.is_set():
                    return
                handed.put(batch)
                del batch
            handed.put(_END)
        except BaseException as exc:  # noqa: BLE001 - handed to the other thread, which raises it
            handed.put(exc)

    reader = threading.Thread(target=read, name="reader", daemon=True)
    reader.start()
    try:
        while True:
            try:
                item = handed.get(timeout=TICK)
            except queue.Empty:
                yield None
                continue
            if item is _END:
                return
            if isinstance(item, BaseException) and not isinstance(item, Exception):
                raise item
            assert isinstance(item, Batch | Exception)
            yield item
            if isinstance(item, Exception):
                return
            del item
            pa.default_memory_pool().release_unused()
            wanted.release()
    finally:
        stop.set()
        wanted.release()
