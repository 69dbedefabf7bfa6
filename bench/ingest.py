"""How fast and in how much memory an access log becomes rows: `python bench/ingest.py`.

Whole processes, in interleaved rounds (A B C, A B C) on a warm page cache, beside `wc -l` and GoAccess, and
how far that is from the targets. It never runs in CI, keeps no lake, and writes nothing outside its data
folder but the file that --json names.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that `python bench/ingest.py` finds its parts

from bench import machine, report
from bench.contestants import Contestant, everyone
from bench.measure import run
from bench.report import Result
from bench.targets import Target, judge

HERE = Path(__file__).parent
FORMATS = ["squid", "combined", "pfsquid"]


def say(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)


def made_log(asked: argparse.Namespace, lines: int, log_format: str) -> Path:
    """The generated log, in the page cache. Made by another process, so that this one stays small."""
    command = [sys.executable, str(HERE / "generate.py"), "--lines", str(lines), "--format", log_format]
    options = ["--seed", str(asked.seed), "--days", str(asked.days), "--dir", str(asked.dir)]
    done = subprocess.run(command + options, stdout=subprocess.PIPE, text=True, check=True)
    log = Path(done.stdout.strip())
    subprocess.run(["cat", str(log)], stdout=subprocess.DEVNULL, check=True)
    return log


def one_run(contestant: Contestant, log: Path, facts: dict[str, Any], result: Result, limit_s: float) -> None:
    """Runs a contestant once in a fresh folder, adds what came of it to `result`, and deletes the folder."""
    with tempfile.TemporaryDirectory(dir=log.parent, prefix="run-") as name:
        folder = Path(name)
        outcome = run(contestant.command(log, folder), folder, limit_s)
        result.runs.append(outcome)
        say(f"  {contestant.name}: {outcome.wall_s:.2f} s, exit status {outcome.status}")
        if outcome.status == 0:
            check = contestant.check(facts, folder)
            result.checks.append(check)
            result.reason = result.reason or str(check.get("fault", ""))


def measure_log(log: Path, log_format: str, asked: argparse.Namespace) -> tuple[dict[str, Any], list[Result]]:
    """The facts about a log, and what all contestants made of it."""
    facts: dict[str, Any] = json.loads(log.with_suffix(".json").read_text())
    contestants = everyone(asked.python, log_format)
    results = [Result(contestant.name, contestant.reason) for contestant in contestants]
    for number in range(1, asked.rounds + 1):
        say(f"{log.name}, round {number} of {asked.rounds}")
        for contestant, result in zip(contestants, results, strict=True):
            if not contestant.reason:
                one_run(contestant, log, facts, result, asked.limit)
    for result in results:
        if result.runs and all(r.status != 0 for r in result.runs):
            result.reason = f"failed, exit status {result.runs[-1].status}"
    return facts, results


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measures how an access log becomes rows, beside its peers.")
    parser.add_argument("--lines", type=int, nargs="+", default=[1_000_000, 5_000_000])
    parser.add_argument("--format", nargs="+", choices=FORMATS, default=FORMATS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--days", type=int, default=1, help="the days that the log covers")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dir", type=Path, default=HERE / ".data", help="logs are kept here, lakes for a moment")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that has pfsquid")
    parser.add_argument("--limit", type=float, default=1800.0, help="stop a run after so many seconds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all runs there too")
    asked = parser.parse_args()
    if min(asked.lines) < 1 or asked.rounds < 1:
        parser.error("--lines and --rounds must be at least 1")
    return asked


def main() -> None:
    asked = arguments()
    host = machine.describe(asked.python)
    print("# Ingest\n\n" + "\n".join(f"- {name}: {value}" for name, value in host.items()))
    judged: list[tuple[str, int, Target]] = []
    logs: list[dict[str, Any]] = []
    for log_format in asked.format:
        for lines in asked.lines:
            facts, results = measure_log(made_log(asked, lines, log_format), log_format, asked)
            odd = sum(facts["odd_lines"].values())
            print(
                f"\n## {log_format}, {lines:,} lines, {facts['bytes'] / 1e6:.0f} MB, {odd:,} odd lines;",
                end=" ",
            )
            print(f"medians of {asked.rounds} interleaved rounds\n")
            print(report.results(results, facts), flush=True)
            medians = {result.name: result.median for result in results}
            checks = next(result.checks for result in results if result.name == "pfsquid")
            found = judge(log_format, medians, {result.name: result.reason for result in results}, checks)
            judged += [(log_format, lines, target) for target in found]
            logs.append(
                {
                    "log": facts,
                    "results": [
                        {**asdict(result), "median": asdict(middle) if (middle := result.median) else None}
                        for result in results
                    ],
                    "targets": [asdict(target) for target in found],
                }
            )
    print("\n## How far from the targets\n\n" + report.targets(judged))
    print(f"\nLoad averages at the end: {machine.load()}")
    if asked.json:
        asked.json.write_text(json.dumps({"machine": host, "logs": logs}, indent=2) + "\n")


if __name__ == "__main__":
    main()
