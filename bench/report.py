"""The benchmark's results as tables of text that are Markdown as well. It measures and judges nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.measure import Median, Run, median
from bench.targets import SET_FOR_LINES, Target

HEADINGS = (
    "what",
    "wall s",
    "(least-most)",
    "cpu s",
    "peak MB",
    "lines/s",
    "MB/s",
    "wall / wc -l",
    "GoAccess / this",
    "exit",
)


@dataclass
class Result:
    """All runs of one contestant on one log. `reason` says why nothing counts, "" while something does."""

    name: str
    reason: str
    runs: list[Run] = field(default_factory=list)
    checks: list[dict[str, Any]] = field(default_factory=list)  # one of each run that ended with 0

    @property
    def median(self) -> Median | None:
        """Of the runs that worked; None where none did or where their result was faulty."""
        return None if self.reason else median(self.runs)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows, the first of them headings, as a Markdown table with straight columns; numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]

    def line(cells: Sequence[str]) -> str:
        padded = [c.rjust(w) if c[:1].isdigit() else c.ljust(w) for c, w in zip(cells, widths, strict=True)]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([line(rows[0]), rule, *(line(row) for row in rows[1:])])


def results(found: Sequence[Result], facts: Mapping[str, Any]) -> str:
    """One row for each contestant, and under the table what each said or why it has no numbers."""
    medians = {result.name: result.median for result in found}
    floor, peer = medians.get("wc -l"), medians.get("GoAccess")
    rows: list[Sequence[str]] = [HEADINGS]
    notes = []
    for result in found:
        exits = ", ".join(str(status) for status in sorted({r.status for r in result.runs})) or "-"
        middle = medians[result.name]
        if middle:
            wall = middle.wall_s
            rows.append(
                (
                    result.name,
                    f"{wall:.2f}",
                    f"{middle.least_wall_s:.2f}-{middle.most_wall_s:.2f}",
                    f"{middle.cpu_s:.2f}",
                    f"{middle.peak_mb:.0f}",
                    f"{facts['lines'] / wall:,.0f}",
                    f"{facts['bytes'] / wall / 1e6:.1f}",
                    f"{wall / floor.wall_s:.1f}" if floor else "-",
                    f"{peer.wall_s / wall:.2f}" if peer else "-",
                    exits,
                )
            )
        else:
            rows.append((result.name, *["-"] * (len(HEADINGS) - 2), exits))
            notes.append(f"{result.name}: {result.reason}")
        notes += sorted({f"{result.name}: {check['note']}" for check in result.checks if "note" in check})
        failed = [r for r in result.runs if r.status != 0]
        if failed:
            said = failed[-1].stderr.replace("\n", "\n    ") or "(nothing on stderr)"
            notes.append(f"{result.name} failed in {len(failed)} of {len(result.runs)} runs:\n    {said}")
    return "\n".join([table(rows), *(f"- {note}" for note in notes)])


def targets(judged: Sequence[tuple[str, int, Target]]) -> str:
    """One row for each target of each log (format, lines)."""
    rows: list[Sequence[str]] = [("log", "lines", "what", "target", "measured", "verdict")]
    for log_format, lines, target in judged:
        rows.append((log_format, f"{lines:,}", target.what, target.target, target.measured, target.verdict))
    text = table(rows)
    if any(lines != SET_FOR_LINES for _, lines, _ in judged):
        text += f"\nThe targets are set for {SET_FOR_LINES:,} lines; at other sizes the start-up distorts them."
    return text
