"""An answer of Graph taken apart, one at a time however many threads read: a record takes ten times its text's size."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from collectors.entra.answers import ErrorObject, collection
from collectors.entra.errors import GraphError, Kind
from collectors.entra.records import Record
from collectors.entra.wire import Answer

# Held for what takes much memory: by a page that is taken apart, until its records are done with.
HEAVY = threading.RLock()


@dataclass
class PageRead:
    """A page that was read: a digest of its records, how many they are, and the link."""

    print_: bytes
    count: int
    next: str
    records: list[Any]


def read_page(answer: Answer, take: Callable[[Record], Any] | None) -> PageRead:
    """With `take`, HEAVY is held after it."""
    if take:
        HEAVY.acquire()
    try:
        page = collection(answer.body, take)
    except BaseException:
        if take:
            HEAVY.release()
        raise
    records = page.records or []
    return PageRead(page.print_, len(records), page.next, records)


def read_again(answer: Answer, path: str, take: Callable[[Record], Any] | None) -> PageRead:
    """A page of an earlier life. Raises GraphError DEAD_LINK where it is none: the way begins anew."""
    try:
        return read_page(answer, take)
    except (GraphError, ErrorObject) as exc:
        raise GraphError(Kind.DEAD_LINK, f"Microsoft Graph on {path}: what was kept of its answers is damaged") from exc
