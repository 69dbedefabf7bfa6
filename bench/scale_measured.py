"""Numbers as tables of Markdown, and what was measured for docs/scale.md as such. Computes nothing but digits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table of Markdown; all but the first column to the right."""
    lines = [head, ("---", *("---:" for _ in head[1:])), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def n(value: float, digits: int = 2) -> str:
    """Two digits that say something, with commas."""
    if value == int(value) and abs(value) < 100:
        return f"{value:.0f}"
    if abs(value) >= 100:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.{digits}f}" if abs(value) >= 0.995 else f"{value:.2g}"


def formats(measured: dict[str, Any]) -> str:
    """What was measured of each format."""
    rows: list[tuple[str, ...]] = []
    for name, one in measured["formats"].items():
        parquet, columns = one["parquet_bytes_per_row"], one["column_bytes_per_row"]
        numbers = [one["log_bytes_per_line"], parquet["as_collected"], parquet["compacted"], columns["a_sum"]]
        numbers += [columns["counted"], one["collect"]["cpu_s_per_million"], one["collect"]["peak_mb"]]
        numbers += [one["compact_and_count"]["cpu_s_per_million"], one["compact_and_count"]["peak_mb"]]
        rows.append((f"`{name}`", *(n(number, 1) for number in numbers)))
    head = ("format", "log, bytes a line", "Parquet, bytes a row", "compacted", "four columns", "nine columns")
    return table((*head, "collect, cpu s/M", "MB", "compact and count, cpu s/M", "MB"), rows)


def commits(measured: dict[str, Any]) -> str:
    """What was measured of commits."""
    rows = []
    for where in ("folder", "s3"):
        for one in measured["commits"][where]:
            asked = one.get("requests", {})
            told = ", ".join(f"{kind.partition('.')[2]} {count:g}" for kind, count in asked.items()) or "none"
            number = [one["cpu_s"], one["wall_s"], one["metadata_kb"]]
            rows.append((where, str(one["snapshots"]), *(n(value) for value in number), str(one["manifests"]), told))
    head = ("where", "snapshots", "cpu s", "s by the clock", "metadata, KB", "manifests", "requests")
    return table(head, rows)


def contended(measured: dict[str, Any]) -> str:
    """What was measured of several that commit to one table at once."""
    rows = []
    for one in measured["commits"]["contended"]:
        asked = ", ".join(f"{kind.partition('.')[2]} {count:g}" for kind, count in one["requests"].items())
        rows.append((str(one["writers"]), str(one["commits"]), asked))
    return table(("machines at once", "commits, all there", "requests a commit"), rows)


def questions(measured: dict[str, Any]) -> str:
    """What was measured of questions."""
    habits = measured["habits"]
    rows = [(name, n(habits["query_cpu_s"][name]), n(habits["query_wall_s"][name])) for name in habits["query_cpu_s"]]
    return table(("question on DuckDB", "cpu s", "s by the clock"), rows)
