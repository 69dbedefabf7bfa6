"""The fixtures `graph` and `graph_ca`: a factory of Graph servers, which end with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from tests.graph.certificate import make
from tests.graph.remote import Apart, apart
from tests.graph.serving import Options, Served, build
from tests.graph.world import Size

GraphFactory = Callable[..., Served]
# Tests have no time to lose: the real limit, in a twentieth of its time.
FAST = {"limit": 5, "per": 0.5}


@pytest.fixture(scope="session")
def graph_ca(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """ca.pem, and certificate and key of localhost."""
    return make(tmp_path_factory.mktemp("graph"))


@pytest.fixture
def graph(graph_ca: tuple[Path, Path, Path]) -> Iterator[GraphFactory]:
    """graph(**options) → Served, with the options of Size and of Options by name."""
    servers = []
    sizes = {one.name for one in fields(Size)}

    def serve(**given: Any) -> Served:
        size = Size(**{name: value for name, value in given.items() if name in sizes})
        options = Options(**{**FAST, **{name: value for name, value in given.items() if name not in sizes}})
        server, served = build(size, options, graph_ca)
        server.start()
        servers.append(server)
        return served

    yield serve
    for server in servers:
        server.stop()


@pytest.fixture
def graph_apart() -> Iterator[Callable[..., Apart]]:
    """graph_apart(**options) → Apart: the same in a process of its own."""
    with ExitStack() as stack:
        yield lambda **given: stack.enter_context(apart(**{**FAST, **given}))
