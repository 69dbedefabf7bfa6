"""From a line in a log to a row that a query sees: `python bench/latency.py --flush 1s --lines 60`.

A line is appended to a local log each 0.4 s or so while `pfsquid run` follows it; each is looked for in the lake as a
query would. Prints the median and the 95th percentile of the seconds between.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

ROOT = Path(__file__).parents[1]
LINE = "{0:.3f}    307 192.0.2.1 TCP_MISS/200 {1} GET http://host{1}.example/ - HIER_NONE/- -\n"


def seen(lake: Path) -> set[int]:
    """The numbers of the lines that are in the lake."""
    from pfsquid.lake.catalog import open_lake

    table = open_lake(lake, make=True).table("proxy")
    return set(table.scan(selected_fields=("bytes_down",)).to_arrow()["bytes_down"].to_pylist()) if table else set()


def measure(flush: str, lines: int) -> list[float]:
    """Seconds from writing to being seen, of each line."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "access.log"
        log.touch()
        squid = {"here": {"path": str(log), "format": "squid"}}
        config = {"lake": str(folder / "lake"), "collect": {"flush": flush, "squid": squid}}
        (folder / "pfsquid.yaml").write_text(json.dumps(config))
        words = [sys.executable, "-m", "pfsquid", "run", "--config", str(folder / "pfsquid.yaml")]
        with subprocess.Popen(words, cwd=folder, stderr=-3, env={**os.environ, "PYTHONPATH": str(ROOT)}) as run:
            while not list(folder.glob("lake/.status/*.json")):
                time.sleep(0.1)
            written: dict[int, float] = {}
            found: dict[int, float] = {}
            pause, due = random.Random(1), time.monotonic()
            while len(found) < lines:
                if len(written) < lines and time.monotonic() >= due:
                    with log.open("a") as out:
                        out.write(LINE.format(time.time(), len(written)))
                    written[len(written)] = time.monotonic()
                    due = time.monotonic() + pause.uniform(0.1, 0.7)
                for number in seen(folder / "lake") - found.keys():
                    found[number] = time.monotonic()
                time.sleep(0.05)
            run.send_signal(signal.SIGTERM)
            run.wait(30)
    return sorted(found[number] - written[number] for number in found)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flush", default="1s")
    parser.add_argument("--lines", type=int, default=60)
    given = parser.parse_args()
    took = measure(given.flush, given.lines)
    at95 = took[min(len(took) - 1, round(0.95 * len(took)))]
    print(f"flush {given.flush}, {len(took)} lines: median {statistics.median(took):.2f} s, p95 {at95:.2f} s")


if __name__ == "__main__":
    main()
