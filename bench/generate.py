"""A made-up access log of any size, always the same: `python bench/generate.py --lines 1000000`.

Prints the log's path. Beside it stands a JSON file with its lines, bytes and odd lines. Both are kept and
used again while the parameters, the app catalogue and the generator's own source stay the same. Memory does
not grow with the number of lines. It never reads a real log and never touches the network.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that `python bench/generate.py` finds its parts

from bench import odd, people
from bench.pieces import FORMATS, Ints, Traffic

HERE = Path(__file__).parent
APPS = HERE.parent / "configs" / "apps"
DATA = HERE / ".data"
CHUNK = 50_000
ODD_SHARE = 0.001
START = datetime(2026, 3, 2, tzinfo=UTC)  # a Monday
# Share of a day's requests in each hour, UTC: an office, and what its computers do at night.
HOURS = np.array([1, 1, 1, 1, 1, 2, 4, 8, 14, 16, 16, 14, 11, 14, 16, 15, 13, 9, 5, 3, 2, 2, 1, 1.0])


@dataclass(frozen=True)
class Parameters:
    """What a log follows from. `domains` and `source` are digests: of the app catalogue, of the generator."""

    lines: int
    log_format: str
    seed: int
    days: int
    domains: str
    source: str
    numpy: str


def parameters(lines: int, log_format: str, seed: int, days: int, domains: list[str]) -> Parameters:
    """The parameters of a log made now, here."""
    digest = hashlib.sha256()
    for name in ("generate.py", "pieces.py", "people.py", "odd.py", "words.yaml"):
        digest.update((HERE / name).read_bytes())
    catalogue = hashlib.sha256("\n".join(domains).encode()).hexdigest()[:16]
    return Parameters(lines, log_format, seed, days, catalogue, digest.hexdigest()[:16], np.__version__)


def instants(first: int, last: int, wanted: Parameters, random: np.random.Generator) -> Ints:
    """Rising times, ms since 1970, of the lines `first` to `last` (not included) of the whole log."""
    share = (np.arange(first, last) + random.random(last - first)) / wanted.lines * wanted.days
    of_day = np.concatenate([[0.0], np.cumsum(HOURS / HOURS.sum())])
    hour = np.interp(share % 1.0, of_day, np.arange(25))
    day_ms, hour_ms = 86_400_000, 3_600_000
    found = np.floor(share) * day_ms + hour * hour_ms + START.timestamp() * 1000
    return np.asarray(found.astype(np.int64))


def write(log: Path, wanted: Parameters, domains: list[str]) -> dict[str, Any]:
    """Writes the log and gives what stands in its side file."""
    traffic = Traffic(wanted.log_format, wanted.seed, domains)
    odd_lines: Counter[str] = Counter()
    size = 0
    with log.open("wb", buffering=0) as out:
        for chunk, first in enumerate(range(0, wanted.lines, CHUNK)):
            last = min(first + CHUNK, wanted.lines)
            times = instants(first, last, wanted, np.random.default_rng([wanted.seed, 2, chunk]))
            grid, random = traffic.lines(chunk, times)
            for row in np.flatnonzero(random.random(last - first) < ODD_SHARE).tolist():
                make = odd.KINDS[random.integers(0, len(odd.KINDS))]
                plain = dict(zip(traffic.names, grid[row].tolist(), strict=True))
                grid[row] = b""
                grid[row, 0] = make(plain, random)
                odd_lines[make.__name__] += 1
            text = b"".join(grid.ravel().tolist())
            out.write(text)
            size += len(text)
    return {
        "parameters": asdict(wanted),
        "lines": wanted.lines,
        "bytes": size,
        "empty_lines": odd_lines[odd.empty.__name__],
        "odd_lines": {kind.__name__: odd_lines[kind.__name__] for kind in odd.KINDS},
        "distinct_hosts": int(traffic.hosts_seen[:-1].sum()),
        "users": people.USERS,
        "first_day": START.date().isoformat(),
        "last_day": (START + timedelta(days=wanted.days - 1)).date().isoformat(),
    }


def side_file(log: Path) -> Path:
    """Where the facts about a log stand."""
    return log.with_suffix(".json")


def ensure(folder: Path, lines: int, log_format: str, seed: int, days: int) -> Path:
    """The log with these parameters in `folder`, made if need be. A half-made log never has its name."""
    domains = people.catalogue_domains(APPS)
    wanted = parameters(lines, log_format, seed, days, domains)
    log = folder / f"{log_format}-{lines}-{days}d-seed{seed}.log"
    if log.exists() and side_file(log).exists():
        facts = json.loads(side_file(log).read_text())
        if facts["parameters"] == asdict(wanted) and facts["bytes"] == log.stat().st_size:
            return log
    folder.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    half_made = log.with_suffix(".part")
    try:
        facts = write(half_made, wanted, domains)
        side_file(log).unlink(missing_ok=True)
        half_made.replace(log)
    finally:
        half_made.unlink(missing_ok=True)
    side_file(log).write_text(json.dumps(facts, indent=2) + "\n")
    took = time.perf_counter() - began
    print(f"made {log.name}: {facts['bytes'] / 1e6:.0f} MB in {took:.0f} s", file=sys.stderr)
    return log


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes an access log and prints its path.")
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--format", choices=sorted(FORMATS), default="squid")
    parser.add_argument("--days", type=int, default=1, help="the days that the lines are spread over")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dir", type=Path, default=DATA, help="where logs are kept (default: bench/.data)")
    asked = parser.parse_args()
    if asked.lines < 1 or asked.days < 1:
        parser.error("--lines and --days must be at least 1")
    print(ensure(asked.dir, asked.lines, asked.format, asked.seed, asked.days))


if __name__ == "__main__":
    main()
