"""Runs one whole process and says what it took. It judges nothing and never hides an exit status.

It imports little, on purpose: on Linux a child's peak memory begins with what its parent had when it forked.
"""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

STDERR_LINES = 5


@dataclass(frozen=True)
class Run:
    """One process, from its start to its end.

    `cpu_s` is user and system time of the process and of the children that it waited for; `peak_mb` is the
    peak resident size of the largest single one of them. `status` is the exit status, or minus a signal's
    number.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    status: int
    stderr: str  # its last lines


@dataclass(frozen=True)
class Median:
    """The middle of several runs of one command, over those that worked; None where none did."""

    wall_s: float
    least_wall_s: float
    most_wall_s: float
    cpu_s: float
    peak_mb: float


def run(command: Sequence[str], folder: Path, limit_s: float) -> Run:
    """Runs `command`, its output in `folder`, no input. Kills it, and what it started, after `limit_s`."""
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("w+b") as err:
        began = time.perf_counter()
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True)
        timer = threading.Timer(limit_s, _kill, [child.pid])
        timer.start()
        try:
            _, code, used = os.wait4(child.pid, 0)
        except BaseException:
            _kill(child.pid)
            child.wait()
            raise
        finally:
            timer.cancel()
        wall = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(code)
        err.seek(0)
        last = err.read().decode(errors="replace").splitlines()[-STDERR_LINES:]
    if wall >= limit_s:
        last.append(f"(stopped after {limit_s:.0f} s)")
    peak_mb = used.ru_maxrss / 1024
    return Run(wall, used.ru_utime + used.ru_stime, peak_mb, child.returncode, "\n".join(last))


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def median(runs: Sequence[Run]) -> Median | None:
    """The medians of the runs that ended with exit status 0."""
    worked = [r for r in runs if r.status == 0]
    if not worked:
        return None
    walls = [r.wall_s for r in worked]
    return Median(
        wall_s=statistics.median(walls),
        least_wall_s=min(walls),
        most_wall_s=max(walls),
        cpu_s=statistics.median(r.cpu_s for r in worked),
        peak_mb=statistics.median(r.peak_mb for r in worked),
    )
