"""What an access log becomes in the lake, in bytes and cpu seconds: `python bench/sizes.py`, for bench/scale.yaml.

A log of one day in each format: its collection, its compaction, bytes a row before and after, bytes that questions must
read. And a lake of people with habits, for the rollup and for the questions. Never run in CI; keeps nothing but logs.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that `python bench/sizes.py` finds its parts

from bench.generate import DATA, ensure
from bench.measure import Run, run
from bench.query import QUESTIONS, asked, make

FORMATS = ("squid", "combined", "pfsquid")
# What a question of one's own may read of the rows: a sum by user and app, and all that use is counted from.
A_SUM = ("user_name", "host", "bytes_up", "bytes_down")
COUNTED = ("ts", "firewall", "user_name", "host", "action", "status", "method", "bytes_up", "bytes_down")
OWN_SQL = "SELECT user_name, sum(bytes_up) AS bytes_up FROM proxy GROUP BY user_name ORDER BY bytes_up DESC LIMIT 10"


def data_files(lake: Path, table: str) -> list[Path]:
    """The data files that the table's newest snapshot names."""
    from pfsquid.lake.catalog import open_lake
    from pfsquid.lake.days import held, path_of

    there = open_lake(lake, make=False).table(table)
    return [Path(path_of(file)) for one in held(there).values() for file in one.files]


def size(files: Iterable[Path], columns: tuple[str, ...] = ()) -> tuple[int, int]:
    """Rows, and bytes of the files, or of some columns."""
    rows = total = 0
    for path in files:
        whole = pq.read_metadata(path)
        rows += whole.num_rows
        if not columns:
            total += path.stat().st_size
            continue
        for number in range(whole.num_row_groups):
            group = whole.row_group(number)
            parts = [group.column(at) for at in range(group.num_columns)]
            total += sum(one.total_compressed_size for one in parts if one.path_in_schema in columns)
    return rows, total


def each(found: tuple[int, int]) -> float:
    """Bytes a row."""
    return round(found[1] / max(found[0], 1), 2)


def cost(done: Run, lines: int) -> dict[str, float]:
    """Of a process: cpu seconds a million lines, the peak of its memory."""
    if done.status:
        raise SystemExit(f"exit status {done.status}: {done.stderr}")
    return {"cpu_s_per_million": round(done.cpu_s / lines * 1e6, 2), "peak_mb": round(done.peak_mb)}


def one_format(name: str, given: argparse.Namespace) -> dict[str, Any]:
    """A log in this format: collected, compacted, measured."""
    log = ensure(given.dir, given.lines, name, 1, 1)
    command = [given.python, "-m", "pfsquid"]
    with tempfile.TemporaryDirectory(prefix="sizes-", dir=given.dir) as folder_name:
        folder, lake = Path(folder_name), Path(folder_name) / "lake"
        collect = [*command, "collect", "squid", "--format", name, "--from", str(log), "--lake", str(lake)]
        collected = cost(run(collect, folder, 1800), given.lines)
        fresh = each(size(data_files(lake, "proxy")))
        compacted = cost(run([*command, "lake", "compact", "--lake", str(lake)], folder, 1800), given.lines)
        files = data_files(lake, "proxy")
        return {
            "log_bytes_per_line": round(log.stat().st_size / given.lines, 1),
            "collect": collected,
            "compact_and_count": compacted,
            "parquet_bytes_per_row": {"as_collected": fresh, "compacted": each(size(files))},
            "column_bytes_per_row": {"a_sum": each(size(files, A_SUM)), "counted": each(size(files, COUNTED))},
        }


def habits(given: argparse.Namespace) -> dict[str, Any]:
    """A lake of people with habits: the rollup, and the questions from it and from the rows."""
    shape = argparse.Namespace(rows=given.lines, days=10, people=200, habits=100)
    with tempfile.TemporaryDirectory(prefix="sizes-", dir=given.dir) as folder_name:
        folder, lake = Path(folder_name), Path(folder_name) / "lake"
        made = multiprocessing.get_context("spawn").Process(target=make, args=(lake, shape))
        made.start()
        made.join()
        run([given.python, "-m", "pfsquid", "lake", "compact", "--lake", str(lake)], folder, 1800)
        runs, _ = asked(lake, 1, folder, given.python)
        own = run([given.python, "-m", "pfsquid", "query", "--sql", OWN_SQL, "--lake", str(lake)], folder, 600)
        usage = size(data_files(lake, "usage"))
        return {
            **vars(shape),
            "usage_rows": usage[0],
            "usage_bytes_per_row": each(usage),
            "query_cpu_s": {name: round(runs[name][0].cpu_s, 2) for name in QUESTIONS} | {"own": round(own.cpu_s, 2)},
            "query_wall_s": {name: round(runs[name][0].wall_s, 2) for name in QUESTIONS}
            | {"own": round(own.wall_s, 2)},
        }


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures what an access log becomes, for bench/scale.yaml.")
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--dir", type=Path, default=DATA, help="logs are kept here, lakes for a moment")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that has pfsquid")
    given = parser.parse_args()
    given.dir.mkdir(parents=True, exist_ok=True)
    found = {"lines": given.lines, "formats": {name: one_format(name, given) for name in FORMATS}}
    print(yaml.safe_dump({**found, "habits": habits(given)}, sort_keys=False), end="")


if __name__ == "__main__":
    main()
