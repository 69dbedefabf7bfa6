"""How far ingest is from what it is due to reach. It compares what was measured and measures nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.measure import Median

TIMES_GOACCESS = {"squid": 5.0, "combined": 5.0, "pfsquid": 8.0}
TIMES_SQUIDANALYZER = 50.0
WALL_AGAINST_WC = 90.0
PEAK_MB = 400.0
SET_FOR_LINES = 5_000_000


@dataclass(frozen=True)
class Target:
    """One promise, what was found, and whether it holds: `met`, `not yet` or `not measured (why)`."""

    what: str
    target: str
    measured: str
    verdict: str


def judge(
    log_format: str,
    medians: dict[str, Median | None],
    reasons: dict[str, str],
    checks: Sequence[dict[str, Any]],
) -> list[Target]:
    """The targets for one log. `reasons` tells why a contestant has no median; `checks` has pfsquid's counts,
    one of each run that worked."""
    ours = medians.get("pfsquid")
    found = [
        _ratio("GoAccess's wall / pfsquid's", "GoAccess", True, TIMES_GOACCESS[log_format], medians, reasons),
        _ratio("SquidAnalyzer's wall / pfsquid's", "SquidAnalyzer", True, TIMES_SQUIDANALYZER, medians, reasons),
        _ratio("pfsquid's wall / wc -l's", "wc -l", False, WALL_AGAINST_WC, medians, reasons),
    ]
    if ours:
        verdict = "met" if ours.peak_mb <= PEAK_MB else "not yet"
        found.append(Target("peak resident size", f"<= {PEAK_MB:.0f} MB", f"{ours.peak_mb:.0f} MB", verdict))
    else:
        why = f"not measured (pfsquid: {reasons['pfsquid']})"
        found.append(Target("peak resident size", f"<= {PEAK_MB:.0f} MB", "-", why))
    found.append(_nothing_lost(reasons, checks))
    return found


def _ratio(
    what: str,
    peer: str,
    peer_is_slower: bool,
    limit: float,
    medians: dict[str, Median | None],
    reasons: dict[str, str],
) -> Target:
    target = f">= {limit:g} x" if peer_is_slower else f"<= {limit:g} x"
    ours, theirs = medians.get("pfsquid"), medians.get(peer)
    if not ours or not theirs:
        missing = peer if not theirs else "pfsquid"
        return Target(what, target, "-", f"not measured ({missing}: {reasons[missing]})")
    ratio = theirs.wall_s / ours.wall_s if peer_is_slower else ours.wall_s / theirs.wall_s
    met = ratio >= limit if peer_is_slower else ratio <= limit
    return Target(what, target, f"{ratio:.1f} x", "met" if met else "not yet")


def _nothing_lost(reasons: dict[str, str], checks: Sequence[dict[str, Any]]) -> Target:
    what, target = "rows + rejects = lines that are not empty", "always"
    if not checks:
        return Target(what, target, "-", f"not measured (pfsquid: {reasons['pfsquid']})")
    uncounted = [check for check in checks if "rows" not in check]
    if uncounted:
        return Target(what, target, "-", f"not measured ({uncounted[0]['note']})")
    over = [check["rows"] + check["rejects"] - check["lines"] for check in checks]
    worst = max(over, key=abs)
    measured = f"off by {worst:+,}" if worst else f"equal in {len(over)} of {len(over)} runs"
    return Target(what, target, measured, "not yet" if worst else "met")
