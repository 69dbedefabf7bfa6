"""`python -m tests.faults FAULT WORDS…`: pfsquid, killed (or hindered) at one point of its work."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException

import collectors.squid.collector
import collectors.squid.follow
import pfsquid.cli
import pfsquid.lake.commit
import pfsquid.lake.files
import pfsquid.lake.ingest
from pfsquid.lake.catalog import Lake


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def lose() -> None:
    raise CommitFailedException("somebody else was first")


def around(owner: Any, name: str, before: Callable[..., None] | None, after: Callable[..., None] | None) -> None:
    """Call `before` and `after` with the arguments of every call of owner.name."""
    real = getattr(owner, name)

    def hindered(*args: Any, **options: Any) -> Any:
        if before:
            before(*args, **options)
        result = real(*args, **options)
        if after:
            after(*args, **options)
        return result

    setattr(owner, name, hindered)


def on(table: str, deed: Callable[[], None]) -> Callable[..., None]:
    """Do it where a commit or a file concerns this table."""

    def maybe(_: Any, concerned: Any, *__: Any) -> None:
        name = concerned if isinstance(concerned, str) else concerned.name()[-1]
        if name == table:
            deed()

    return maybe


def at_call(number: int) -> Callable[..., None]:
    """Die at this call, counted from 1."""
    before = iter(range(number - 1))
    return lambda *_: None if next(before, None) is not None else die()


def small_steps() -> None:
    """Commits of some 1,500 lines, so that a small log takes several."""
    collectors.squid.follow.PIECE = 64 * 1024
    collectors.squid.collector.BATCH_BYTES = 128 * 1024
    pfsquid.lake.ingest.COMMIT_ROWS = 1000


def arrange(fault: str) -> None:
    if fault == "none":
        return
    small_steps()
    if fault == "before-the-rows-commit":
        around(SqlCatalog, "commit_table", on("proxy", at_call(2)), None)
    elif fault == "after-the-rejects-commit":
        around(SqlCatalog, "commit_table", None, on("rejects", die))
    elif fault == "after-the-rows-commit":
        around(SqlCatalog, "commit_table", None, on("proxy", die))
    elif fault == "lost-the-race":
        around(SqlCatalog, "commit_table", on("proxy", lose), None)
        pfsquid.lake.commit.SECONDS = 1.0
    elif fault == "in-the-middle-of-reading":
        around(collectors.squid.follow, "_block", at_call(5), None)
    elif fault == "data-files-written":
        around(pfsquid.lake.files.DataFiles, "finish", None, at_call(4))
    elif fault == "catalog-made":
        around(SqlCatalog, "create_tables", at_call(1), None)
    elif fault == "table-made":
        around(Lake, "made_table", None, on("proxy", die))
    elif fault != "small-steps":
        raise SystemExit(f"there is no fault {fault}")


def faulty(fault: str, words: list[str]) -> None:
    """pfsquid with this fault. To be called in a process of its own."""
    arrange(fault)
    pfsquid.cli.main(words)


if __name__ == "__main__":
    faulty(sys.argv[1], sys.argv[2:])
