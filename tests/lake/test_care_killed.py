"""Killed at any point of the care of the lake: readers see the state before or after, and the next time finishes it."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest

from pfsquid.lake.care import care
from pfsquid.lake.catalog import Lake, open_lake
from pfsquid.lake.ingest import positions
from pfsquid.lake.usage import to_count
from tests.lake.care_rows import EAGER, LATER, age, everything, files, many, on_disk
from tests.lake.killed import POINTS, cared
from tests.lake.rows import new_lake
from tests.lake.test_expire import named
from tests.running import Forked


def made(folder: Path) -> Lake:
    lake = new_lake(folder)
    many(lake, 3, days=(0, 1))
    return lake


def finished(lake: Lake) -> None:
    """The next time does all that was left, and nothing lies about."""
    for name in ("proxy", "usage"):
        age(lake, 3600, name)
    for _ in range(2):
        care(lake, EAGER, LATER)
    assert (files(lake), to_count(lake, 0, LATER)) == ([1, 1], [])
    for name in ("proxy", "usage"):
        assert on_disk(lake, name) == named(lake, name)
    assert list(lake.folder.glob(".spill-*")) == []


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_point_of_it(tmp_path: Path, point: str) -> None:
    lake = made(tmp_path)
    before, known = everything(lake), positions(lake, "proxy")
    with Forked(tmp_path, {}, cared, point, str(lake.folder)) as process:
        said = process.communicate()
        assert process.returncode == -signal.SIGKILL, said
    lake = open_lake(lake.folder, make=False)
    assert (everything(lake), positions(lake, "proxy")) == (before, known)
    finished(lake)
    assert (everything(lake), positions(lake, "proxy")) == (before, known)


def test_killed_at_any_moment_of_it(tmp_path: Path) -> None:
    lake = made(tmp_path)
    before = everything(lake)
    moments = random.Random(20261124)
    for _ in range(6):
        with Forked(tmp_path, {}, cared, "", str(lake.folder)) as process:
            time.sleep(moments.uniform(0.05, 1.0))
            process.kill()
        assert everything(lake) == before
    finished(lake)
    assert everything(lake) == before
