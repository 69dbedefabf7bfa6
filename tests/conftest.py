"""Fixtures that many tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.aws.ministack import ministack, ministack_server  # noqa: F401 - fixtures
from tests.aws.seaweed import as_writer, seaweed, seaweed_apart  # noqa: F401 - fixtures
from tests.aws.stacks import deployer  # noqa: F401 - a fixture
from tests.graph.fixture import graph, graph_apart, graph_ca  # noqa: F401 - fixtures
from tests.lab.fixture import lab  # noqa: F401 - a fixture
from tests.running import Pfsquid


@pytest.fixture
def pfsquid(tmp_path: Path) -> Pfsquid:
    """The program in an empty home, started in `tmp_path`."""
    return Pfsquid(tmp_path)
