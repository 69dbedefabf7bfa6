"""Lakes whose commits meet, fail and lose their answers: as if each writer were on a machine of its own."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from pyiceberg.exceptions import CommitFailedException

from collectors.batch import Batch, Position
from pfsquid.lake.catalog import Lake, open_lake
from pfsquid.lake.ingest import Ingested, Moved, ingest, positions
from tests.lake.rows import batch, proxy_rows


class CutError(OSError):
    """A connection that was cut, as Arrow tells of it."""

    def __init__(self) -> None:
        super().__init__("AWS Error NETWORK_CONNECTION during PutObject operation: curlCode: 56")


class Apart(Lake):
    """A lake without common locks."""

    def writing(self, table: str, wait: bool | float = False) -> Any:
        """No lock."""
        return nullcontext()

    def caring(self) -> Any:
        """No lock."""
        return nullcontext()


def apart(folder: Path) -> Lake:
    """A lake with a catalog of its own connection, that no lock keeps from others."""
    lake = open_lake(folder, make=True)
    return Apart(lake.folder, lake.place, lake.namespace, lake.connect)


@contextmanager
def hindered(lake: Lake, before: Callable[[], None], after: Callable[[], None]) -> Iterator[None]:
    """What happens before and after each commit of this lake reaches its catalog; either may raise."""
    catalog: Any = lake.catalog
    real = catalog.commit_table

    def commit_table(*given: Any) -> Any:
        before()
        answer = real(*given)
        after()
        return answer

    catalog.commit_table = commit_table
    try:
        yield
    finally:
        del catalog.commit_table


def at_random(seed: int, rate: float, kill: float = 0.0) -> tuple[Callable[[], None], Callable[[], None]]:
    """Commits that fail and answers that get lost, each at a rate; kill: of SIGKILL before and after a commit."""
    dice = random.Random(seed)

    def before() -> None:
        if dice.random() < kill:
            os.kill(os.getpid(), signal.SIGKILL)
        if dice.random() < rate:
            raise dice.choice([CommitFailedException("by chance"), CutError()])

    def after() -> None:
        if dice.random() < kill:
            os.kill(os.getpid(), signal.SIGKILL)
        if dice.random() < rate:
            raise dice.choice([CommitFailedException("a retry of the client met its own commit"), CutError()])

    return before, after


def log_from(position: Position | None, source: str, steps: int, rows: int = 3) -> Iterator[Batch]:
    """What is left of a log of so many steps; each has rows and, at its end, a reject."""
    begin = position.offset // (rows + 1) if position else 0
    for number in range(begin, steps):
        first = number * (rows + 1)
        offsets = range(first, first + rows)
        yield batch(proxy_rows(*offsets, source=source), first + rows + 1, first + rows, source=source)


def collected(lake: Lake, source: str, steps: int) -> int:
    """Read a log to its end, beginning anew where another was faster; how often that was."""
    moved = 0
    while True:
        known = positions(lake, "proxy")
        try:
            ingest(lake, log_from(known.get(source), source, steps), Ingested(), known=known, seconds=0.0)
            return moved
        except Moved:
            moved += 1


def writer(folder: Path, sources: list[str], steps: int, seed: int, kill: float = 0.0) -> None:
    """A process that reads these logs to their ends into a lake whose commits fail at random."""
    lake = apart(folder)
    with hindered(lake, *at_random(seed, 0.15, kill)):
        for source in sources:
            collected(lake, source, steps)


def side_by_side(*deeds: Callable[[], object]) -> list[BaseException]:
    """Do them in threads at once; what they raised."""
    raised: list[BaseException] = []

    def run(deed: Callable[[], object]) -> None:
        try:
            deed()
        except BaseException as exc:  # noqa: BLE001 - handed to the test
            raised.append(exc)

    threads = [threading.Thread(target=run, args=(deed,)) for deed in deeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


__all__ = ["CutError", "apart", "at_random", "collected", "hindered", "log_from", "side_by_side", "writer"]
