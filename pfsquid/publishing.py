"""The care of the lake under `pfsquid run`: now and then, by a process of its own, whose memory goes with it.

That process is `pfsquid lake care`; what it writes to stdout as CSV is told in a line.
"""

from __future__ import annotations

import csv
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from pfsquid.errors import PfsquidError
from pfsquid.lake.catalog import Lake

SECONDS = 6 * 3600.0  # that it may take: a backlog of a week is sorted in one


def tending(config: Path | None) -> Callable[[Lake], str]:
    """What keeps a lake tidy and its meaning published, for the service; gives a line of what it did, '' for nothing.

    Raises PfsquidError where it fails.
    """

    def tend(lake: Lake) -> str:
        words = ["lake", "care", "--format", "csv", "--lake", str(lake.place)]
        words += ["--config", str(config)] if config else []
        try:
            ran = subprocess.run(  # noqa: S603 - this very program, with the words above
                [sys.executable, "-m", "pfsquid", *words], capture_output=True, text=True, check=False, timeout=SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise PfsquidError(str(exc), "pfsquid lake care") from exc
        done = line_of(ran.stdout)
        if ran.returncode:
            why = ran.stderr.strip().partition("\n")[0].removeprefix("pfsquid: ") or f"status {ran.returncode}"
            raise PfsquidError(f"{done}; {why}" if done else why, "pfsquid lake care")
        return done

    return tend


def line_of(told: str) -> str:
    """What `pfsquid lake care --format csv` did, in a line: `proxy: sort 2, expire 1; usage: count 2`."""
    times = Counter((row["table"], row["deed"]) for row in csv.DictReader(told.splitlines()))
    tables = dict.fromkeys(table for table, _ in times)
    deeds = {one: [f"{deed} {n}" for (table, deed), n in times.items() if table == one] for one in tables}
    return "; ".join(f"{table}: {', '.join(of)}" for table, of in deeds.items())
