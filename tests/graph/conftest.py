"""A plain client, closed with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.graph.asking import Asking
from tests.graph.serving import Served

Ask = Callable[[Served], Asking]


@pytest.fixture
def ask() -> Iterator[Ask]:
    """ask(served) → Asking."""
    opened: list[Asking] = []

    def open_one(served: Served) -> Asking:
        opened.append(Asking(served))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()
