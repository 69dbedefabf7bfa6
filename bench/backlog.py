"""Memory of `pfsquid run` with many sources in backlog at once: `python bench/backlog.py --sources 8 --lines 400000`.

Each source is the same made-up log (`generate.py`) under a name of its own. Prints how long it took, rows a second, and
the largest resident size.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

ROOT = Path(__file__).parents[1]


def generated(lines: int, log_format: str) -> Path:
    """The log, made where it is not there yet."""
    words = [sys.executable, str(ROOT / "bench/generate.py"), "--lines", str(lines), "--format", log_format]
    return Path(subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()[0])


def peak(pid: int) -> int:
    """The largest resident size of a process so far, in bytes (proc(5), VmHWM)."""
    found = Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0]
    return int(found) * 1024


def rows(lake: Path) -> tuple[int, int]:
    """Rows of all sources and bytes still to be read, as `pfsquid run` last wrote them down."""
    states = []
    for path in lake.glob(".status/*.json"):
        try:
            states.append(json.loads(path.read_text()))
        except (OSError, ValueError):
            return 0, 1
    waiting = sum(one["lag_bytes"] if one["lag_bytes"] is not None else 1 for one in states)
    return sum(one["rows"] + one["rejects"] for one in states), waiting


def measure(sources: int, log: Path, lines: int, log_format: str, flush: str) -> dict[str, float]:
    """One run until everything is in the lake."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        squid = {f"s{number}": {"path": str(log), "format": log_format} for number in range(sources)}
        config = {"lake": str(folder / "lake"), "collect": {"flush": flush, "squid": squid}}
        (folder / "pfsquid.yaml").write_text(json.dumps(config))
        words = [sys.executable, "-m", "pfsquid", "run", "--config", str(folder / "pfsquid.yaml")]
        begin = time.monotonic()
        with (
            (folder / "err").open("w") as err,
            subprocess.Popen(words, cwd=folder, stderr=err, env={**os.environ, "PYTHONPATH": str(ROOT)}) as run,
        ):
            largest, first = 0, 0.0
            while run.poll() is None:
                time.sleep(0.1)
                largest = max(largest, peak(run.pid))
                count, _ = rows(folder / "lake")
                first = first or (time.monotonic() if count else 0.0)
                if count >= sources * lines:
                    break
                if time.monotonic() - begin > 600:
                    raise SystemExit(f"not done after 600 s: {count:,} rows\n{(folder / 'err').read_text()[-2000:]}")
            took = time.monotonic() - begin
            run.send_signal(signal.SIGTERM)
            ended = time.monotonic()
            run.wait(30)
            ending = time.monotonic() - ended
        if run.returncode:
            raise SystemExit((folder / "err").read_text()[-2000:])
    return {"seconds": took, "rows_a_second": sources * lines / took, "peak_mb": largest / 1e6, "ending": ending}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=int, default=8)
    parser.add_argument("--lines", type=int, default=400_000)
    parser.add_argument("--format", default="squid")
    parser.add_argument("--flush", default="10s")
    given = parser.parse_args()
    log = generated(given.lines, given.format)
    found = measure(given.sources, log, given.lines, given.format, given.flush)
    print(
        f"{given.sources} sources of {given.lines:,} lines ({log.stat().st_size / 1e6:.0f} MB each, {given.format}): "
        f"{found['seconds']:.1f} s, {found['rows_a_second']:,.0f} rows a second, peak {found['peak_mb']:.0f} MB, "
        f"ended {found['ending']:.1f} s after SIGTERM"
    )


if __name__ == "__main__":
    main()
