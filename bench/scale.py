"""What a lake costs and where it ends, as arithmetic: `python bench/scale.py` prints the tables of docs/scale.md.

From measured numbers, list prices and assumptions (bench/scale.yaml); pure, asks nobody. `--write` puts the tables into
the document, between their marks; a test holds that they are there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that `python bench/scale.py` finds its parts

from bench.scale_measured import commits, contended, formats, n, questions, table

HERE = Path(__file__).parent
DOCUMENT = HERE.parent / "docs" / "scale.md"
SIZES = {"1 GB": 1e9, "100 GB": 1e11, "10 TB": 1e13}
DAY = 86_400


@dataclass(frozen=True)
class Given:
    """What all is computed from: three parts of bench/scale.yaml."""

    prices: dict[str, Any]
    assumed: dict[str, Any]
    measured: dict[str, Any]


@dataclass(frozen=True)
class Load:
    """What a day brings. size: its name. per day, where it does not say otherwise."""

    size: str
    lines: float
    people: float
    rows_gb: float  # Parquet, compacted
    usage_gb: float
    commits: float
    streams: int

    @property
    def lines_per_second(self) -> float:
        """On average over the day."""
        return self.lines / DAY


def load(given: Given, size: str) -> Load:
    """A day of so much access log in Squid's native format."""
    assumed, squid = given.assumed, given.measured["formats"]["squid"]
    lines = SIZES[size] / squid["log_bytes_per_line"]
    people = lines / assumed["lines_per_person_day"]
    return Load(
        size,
        lines,
        people,
        lines * squid["parquet_bytes_per_row"]["compacted"] / 1e9,
        people * assumed["hosts_per_person_day"] * given.measured["habits"]["usage_bytes_per_row"] / 1e9,
        assumed["streams"][size] * DAY / assumed["flush_seconds"][size],
        assumed["streams"][size],
    )


def per_commit(given: Given) -> dict[str, float]:
    """Requests of a commit as a bill calls them, in a table that is cared for (the last that was measured)."""
    asked = given.measured["commits"]["s3"][-1]["requests"]
    put = sum(count for kind, count in asked.items() if kind in ("s3.PUT", "s3.POST", "s3.LIST"))
    get = sum(count for kind, count in asked.items() if kind in ("s3.GET", "s3.HEAD"))
    return {"put": put, "get": get, "glue": sum(n for kind, n in asked.items() if kind.startswith("glue."))}


def month(given: Given, day: Load) -> dict[str, float]:
    """US dollars a month, once the retention is full; what is zero where it is not used stands there, too."""
    price, assumed = given.prices, given.assumed
    days, asked = assumed["days_in_month"], per_commit(given)
    again = assumed["writes_per_row"] - 1
    kept = (day.rows_gb + day.usage_gb) * assumed["retention_days"] + day.rows_gb * again * assumed["version_days"]
    commits = day.commits * days
    s3_requests = commits * (asked["put"] * price["s3_put_1000"] + asked["get"] * price["s3_get_1000"]) / 1000
    from_usage = max(day.usage_gb * assumed["question_days"], assumed["athena_least_mb"] / 1000)
    columns = given.measured["formats"]["squid"]["column_bytes_per_row"]["a_sum"]
    from_rows = max(day.lines * columns / 1e9 * assumed["own_days"], assumed["athena_least_mb"] / 1000)
    runs = assumed["entra_runs_per_day"] * days
    spice = day.people * assumed["targets_per_person_day"] * assumed["dashboard_days"] * assumed["spice_bytes_per_row"]
    return {
        "S3: bytes kept": kept * price["s3_gb_month"],
        "S3: requests of the commits": s3_requests,
        "KMS": price["kms_key_month"]
        + commits * (asked["put"] + asked["get"]) * assumed["kms_per_request"] / 10_000 * price["kms_10000"],
        "Glue: catalog": commits * asked["glue"] / 1e6 * price["glue_million"],
        "Athena: pfsquid's questions": from_usage * assumed["questions_per_day"] * days / 1000 * price["athena_tb"],
        "Athena: SQL over the rows": from_rows * assumed["own_queries_per_day"] * days / 1000 * price["athena_tb"],
        "Lambda: Entra ID": runs
        * (assumed["entra_seconds"] * assumed["entra_gb"] * price["lambda_gb_second"] + price["lambda_million"] / 1e6),
        "CloudWatch": assumed["metrics"] * price["cloudwatch_metric"] + assumed["alarms"] * price["cloudwatch_alarm"],
        "one of: care on a machine in the region": cores(given, day)["care"] * 24 * days * price["vcpu_hour"],
        "one of: care on premises, rows read back": day.rows_gb * again * days * price["egress_gb"],
        "one of: Glue's compaction": day.rows_gb * again * days / assumed["gb_per_dpu_hour"] * price["glue_dpu_hour"],
        "if wanted: QuickSight, users": assumed["readers"] * price["quicksight_reader"]
        + assumed["authors"] * price["quicksight_author"],
        "if wanted: QuickSight, SPICE": spice / 1e9 * price["spice_gb_month"],
        "if wanted: QuickSight, a load a day": from_usage
        / assumed["question_days"]
        * assumed["dashboard_days"]
        * 2  # data sets that read `usage`
        * days
        / 1000
        * price["athena_tb"],
    }


def total(dollars: dict[str, float]) -> float:
    """Of all that every lake has, and care on a machine in the region."""
    optional = ("one of", "if wanted")
    every: float = sum(number for name, number in dollars.items() if not name.startswith(optional))
    return every + dollars["one of: care on a machine in the region"]


def cores(given: Given, day: Load) -> dict[str, float]:
    """Cores busy on average: of collectors, of care."""
    squid = given.measured["formats"]["squid"]
    return {
        "collect": day.lines_per_second * squid["collect"]["cpu_s_per_million"] / 1e6,
        "care": day.lines_per_second * squid["compact_and_count"]["cpu_s_per_million"] / 1e6,
    }


def commit_seconds(given: Given) -> float:
    """How long a commit in S3 takes, with requests one after the other."""
    one = given.measured["commits"]["s3"][-1]
    waited: float = sum(one["requests"].values()) * given.assumed["request_seconds"]
    return waited + float(one["cpu_s"])


def basis(given: Given) -> str:
    """What a day is."""
    every = [load(given, size) for size in SIZES]
    squid = given.measured["formats"]["squid"]["collect"]["cpu_s_per_million"]
    rows: list[tuple[str, Callable[[Load], float]]] = [
        ("lines a day, millions", lambda day: day.lines / 1e6),
        ("lines a second, average", lambda day: day.lines_per_second),
        ("lines a second, busiest hour", lambda day: day.lines_per_second * given.assumed["peak_over_average"]),
        ("people", lambda day: day.people),
        ("firewalls (streams)", lambda day: day.streams),
        ("`proxy`, GB a day", lambda day: day.rows_gb),
        ("`usage`, GB a day", lambda day: day.usage_gb),
        (
            "lake when the retention is full, TB",
            lambda d: (d.rows_gb + d.usage_gb) * given.assumed["retention_days"] / 1e3,
        ),
        ("collectors: cores busy, average", lambda day: cores(given, day)["collect"]),
        ("collectors: processes for the busiest hour", lambda d: -(-d.lines_per_second * 3 * squid // 1e6)),
        ("care: cores busy, average", lambda day: cores(given, day)["care"]),
        ("commits a day to `proxy`", lambda day: day.commits),
    ]
    return table(("a day of access log", *SIZES), [(name, *(n(of(day)) for day in every)) for name, of in rows])


def costs(given: Given) -> str:
    """Dollars a month."""
    every = [month(given, load(given, size)) for size in SIZES]
    rows = [(name, *(n(one[name]) for one in every)) for name in every[0]]
    rows.append(("**what every lake has, care in the region**", *(f"**{n(total(one))}**" for one in every)))
    return table(("US dollars a month", *SIZES), rows)


def limits(given: Given) -> str:
    """Where it ends."""
    assumed, squid = given.assumed, given.measured["formats"]["squid"]
    seconds = commit_seconds(given)
    collect, care = (squid[name]["cpu_s_per_million"] for name in ("collect", "compact_and_count"))
    bytes_per_line = squid["log_bytes_per_line"]
    entries = {size: load(given, size).rows_gb * 1e3 / assumed["file_mb"] * assumed["retention_days"] for size in SIZES}
    rows = [
        ("one collector process reads at most, lines a second", n(1e6 / collect)),
        ("that is, GB of log a day at its peak all day", n(1e6 / collect * bytes_per_line * DAY / 1e9)),
        ("care of one lake (one process) keeps up with, GB of log a day", n(DAY / care * 1e6 * bytes_per_line / 1e9)),
        ("a commit in S3 takes, seconds", n(seconds)),
        ("commits a second to one table, at most", n(1 / seconds)),
        *(
            (f"streams of one table that commit each {flush} s, at most", n(flush / seconds))
            for flush in assumed["flush_seconds"].values()
        ),
        *(
            (f"data files at {size} a day when the retention is full", n(max(count, assumed["retention_days"])))
            for size, count in entries.items()
        ),
        *(
            (
                f"manifests at {size} a day, MB",
                n(max(count, assumed["retention_days"]) * assumed["manifest_bytes_per_file"] / 1e6),
            )
            for size, count in entries.items()
        ),
    ]
    return table(("limit", "value"), rows)


def inputs(given: Given) -> str:
    """Prices and assumptions."""
    every = [(name, value) for part in (given.prices, given.assumed) for name, value in part.items()]
    told = [(name, value if isinstance(value, dict) else {"": value}) for name, value in every]
    return table(
        ("price or assumption", "value"),
        [
            (f"`{name}`", ", ".join(f"{k}: {v}" if k else f"{v:.10f}".rstrip("0").rstrip(".") for k, v in of.items()))
            for name, of in told
        ],
    )


TABLES: dict[str, Callable[[Given], str]] = {
    "basis": basis,
    "costs": costs,
    "limits": limits,
    "formats": lambda given: formats(given.measured),
    "commits": lambda given: commits(given.measured),
    "contended": lambda given: contended(given.measured),
    "questions": lambda given: questions(given.measured),
    "inputs": inputs,
}


def read(path: Path) -> Given:
    """The three parts of a file."""
    parts = yaml.safe_load(path.read_text("utf-8"))
    return Given(parts["prices"], parts["assumed"], parts["measured"])


def filled(text: str, given: Given) -> str:
    """The document with its tables as they are now: `<!-- scale: NAME -->` … `<!-- end -->`."""
    for name, of in TABLES.items():
        before, mark, rest = text.partition(f"<!-- scale: {name} -->")
        after = rest.partition("<!-- end -->")[2]
        text = f"{before}{mark}\n{of(given)}\n<!-- end -->{after}" if mark else text
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description="Prints the tables of docs/scale.md.")
    parser.add_argument("--from", dest="source", type=Path, default=HERE / "scale.yaml", help="prices and assumptions")
    parser.add_argument("--write", action="store_true", help="put them into docs/scale.md")
    asked = parser.parse_args()
    given = read(asked.source)
    if asked.write:
        DOCUMENT.write_text(filled(DOCUMENT.read_text("utf-8"), given), "utf-8")
        return
    for name, of in TABLES.items():
        print(f"## {name}\n\n{of(given)}\n")


if __name__ == "__main__":
    main()
