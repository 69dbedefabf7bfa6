"""How fast questions are, and in how much memory, without and with the care of the lake: `python bench/query.py`.

Makes a lake of people with habits (a person goes to the same hosts day by day, most often to a few of them), asks every
question as a process of its own, compacts, asks again, and compares the answers. Never run in CI; keeps nothing.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that `python bench/query.py` finds its parts

from bench.measure import Run, median, run
from collectors.batch import Batch, Position
from collectors.squid.schema import PROXY_SCHEMA
from pfsquid.discovery.apps import load
from pfsquid.resources import configs

QUESTIONS = ("apps", "people", "app-people", "unknown-domains")
BATCH = 250_000
FIRST = datetime(2026, 3, 2, tzinfo=UTC)


def batches(rows: int, days: int, people: int, habits: int) -> Iterator[Batch]:
    """Rows in the order of time. habits: hosts that a person goes to."""
    dice = np.random.default_rng(1)
    known = sorted(load([configs() / "apps"], {}).suffixes)
    hosts = np.array([f"h{n}.{known[n % len(known)]}" if n % 4 else f"www.site-{n}.example" for n in range(40_000)])
    weights = 1 / np.arange(1, len(hosts) + 1)
    mine = dice.choice(len(hosts), (people, habits), p=weights / weights.sum())
    often = 1 / np.arange(1, habits + 1)
    names = pa.array([f"user{n}@LAB.EXAMPLE" for n in range(people)])
    span = timedelta(days=days) / rows
    for begin in range(0, rows, BATCH):
        count = min(BATCH, rows - begin)
        who = dice.integers(0, people, count)
        what = hosts[mine[who, dice.choice(habits, count, p=often / often.sum())]]
        stamps = [int((FIRST + span * (begin + n)).timestamp() * 1e6) for n in (0, count)]
        columns = {
            "ts": pa.array(np.linspace(stamps[0], stamps[1], count, endpoint=False).astype("int64")).cast(
                PROXY_SCHEMA.field("ts").type
            ),
            "user_name": pa.DictionaryArray.from_arrays(pa.array(who.astype("int32")), names),
            "action": pa.array(np.where(dice.random(count) < 0.03, "TCP_DENIED", "TCP_TUNNEL")),
            "status": pa.array(np.where(dice.random(count) < 0.03, 407, 200).astype("int32")),
            "method": pa.array(["CONNECT"] * count),
            "url": pa.array([f"{host}:443" for host in what]),
            "host": pa.array(what),
            "bytes_up": pa.array(dice.integers(300, 90_000, count)),
            "bytes_down": pa.array(dice.integers(300, 900_000, count)),
            "source": pa.array(["bench"] * count),
            "source_offset": pa.array(np.arange(begin, begin + count)),
        }
        table = pa.table({f.name: columns.get(f.name, pa.nulls(count, f.type)) for f in PROXY_SCHEMA})
        yield Batch("proxy", table, "bench", Position(begin + count))


def make(lake: Path, given: argparse.Namespace) -> None:
    """The lake, as a collector leaves it: no day compacted, none counted."""
    from pfsquid.lake.catalog import open_lake
    from pfsquid.lake.ingest import Ingested, ingest

    ingest(open_lake(lake, make=True), batches(given.rows, given.days, given.people, given.habits), Ingested())


def asked(lake: Path, rounds: int, folder: Path, python: str) -> tuple[dict[str, list[Run]], dict[str, bytes]]:
    """Every question, `rounds` times, in turns; and its answer."""
    runs: dict[str, list[Run]] = {name: [] for name in QUESTIONS}
    answers = {}
    for _ in range(rounds):
        for name in QUESTIONS:
            runs[name].append(run([python, "-m", "pfsquid", "query", name, "--json", "--lake", str(lake)], folder, 600))
            answers[name] = (folder / "stdout").read_bytes()
    return runs, answers


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures questions without and with the care of the lake.")
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--habits", type=int, default=40, help="hosts that a person goes to")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dir", type=Path, default=None, help="where the lake is made, for a moment")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that has pfsquid")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.dir, prefix="query-") as name:
        folder, lake = Path(name), Path(name) / "lake"
        made = multiprocessing.get_context("spawn").Process(target=make, args=(lake, given))
        made.start()  # a process of its own, so that this one stays small: a child's peak begins with its parent's
        made.join()
        before, answers = asked(lake, given.rounds, folder, given.python)
        care = run([given.python, "-m", "pfsquid", "lake", "compact", "--lake", str(lake)], folder, 3600)
        after, again = asked(lake, given.rounds, folder, given.python)
    print(f"{given.rows:,} rows, {given.days} days, {given.people:,} people of {given.habits} hosts each\n")
    print(f"compact: {care.wall_s:.1f} s, {care.cpu_s:.1f} s cpu, {care.peak_mb:.0f} MB, exit status {care.status}\n")
    print("| question | s before | s after | ratio | cpu before | cpu after | MB before | MB after | same answer |")
    print("|---|---|---|---|---|---|---|---|---|")
    for question in QUESTIONS:
        a, b = median(before[question]), median(after[question])
        if a and b:
            times = f"{a.wall_s:.2f} | {b.wall_s:.2f} | {a.wall_s / b.wall_s:.1f} | {a.cpu_s:.2f} | {b.cpu_s:.2f}"
            same = answers[question] == again[question]
            print(f"| {question} | {times} | {a.peak_mb:.0f} | {b.peak_mb:.0f} | {same} |")
        else:
            print(f"| {question} | failed: {(before[question] + after[question])[0].stderr} |")


if __name__ == "__main__":
    main()
