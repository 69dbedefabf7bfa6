"""A Graph in a process of its own is held by the same control, and comes back as it was."""

from __future__ import annotations

import urllib.error
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.graph.control import digest
from tests.graph.remote import Apart, apart


def test_a_server_of_its_own_tells_truth_and_takes_faults(graph_apart: Callable[..., Apart]) -> None:
    served = graph_apart(sign_ins=300, people=20, late=0.1, speed=0.0, start=1_782_900_000.0)
    control = served.control
    assert control.now() == 1_782_900_000.0
    first = dict(control.truth("non_interactive"))
    assert control.call("advance", seconds=4 * 86_400) == 1_783_245_600.0
    last = control.digests("non_interactive")
    assert len(last) > len(first)
    assert digest(next(iter(first.values()))) in last.values()
    assert control.moments() == (0, 0)
    control.call("fault", fault="UNAVAILABLE", times=2)
    control.call("never", begin=0.0, end=1.0)
    assert control.requests() == []
    assert control.violations("rate") == []


def test_what_is_no_part_of_the_control_is_refused(graph_apart: Callable[..., Apart]) -> None:
    control = graph_apart(sign_ins=1).control
    for name, arguments in (("remote", {}), ("app", {}), ("fault", {"fault": "NOTHING"}), ("advance", {})):
        with pytest.raises(urllib.error.HTTPError) as refused:
            control.call(name, **arguments)
        assert refused.value.code in (400, 404)
        refused.value.close()


def test_a_server_that_is_started_again_is_the_same(tmp_path: Path) -> None:
    state = tmp_path / "graph.json"
    seen = []
    for _ in range(2):
        with apart(sign_ins=100, quiet=600.0, state=state) as served:
            seen.append((served.url, served.secret, served.ca.read_bytes(), set(dict(served.control.truth("audits")))))
    assert seen[0] == seen[1]
