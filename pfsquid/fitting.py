"""Which columns of a table a terminal has room for, and whether the rest is better told as records. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

GAP = 2  # cells between two columns

# What a narrow terminal can do without, the first to go first. JSON and CSV always have all.
MINOR = (
    "app_name",
    "tag",
    "first_use",
    "name",
    "hosts",
    "example_host",
    "category",
    "sign_ins",
    "unknown_domains",
    "risk",
    "last_use",
    "days",
    "denied",
)
FOLDED_AT_MOST = 10  # columns; with more, folding them makes a table that nobody can read


@dataclass(frozen=True)
class Fit:
    """How to show a table. shown: numbers of the columns, in their order. left_out: names of the others.

    records: each row as a list of names and values, since even so it is too wide to be read as a table.
    """

    shown: tuple[int, ...]
    left_out: tuple[str, ...]
    records: bool


def fit(columns: Sequence[str], widths: Sequence[int], available: int) -> Fit:
    """Choose for a terminal of `available` cells. widths: of each column's widest cell or name, in cells."""
    shown = list(range(len(columns)))
    for minor in MINOR:
        if _total(widths, shown) <= available:
            break
        shown = [number for number in shown if columns[number] != minor]
    if _total(widths, shown) > available and len(shown) > FOLDED_AT_MOST:
        return Fit(tuple(range(len(columns))), (), records=True)
    left_out = tuple(name for number, name in enumerate(columns) if number not in shown)
    return Fit(tuple(shown), left_out, records=False)


def _total(widths: Sequence[int], shown: Sequence[int]) -> int:
    return sum(widths[number] + GAP for number in shown) - GAP


def human_bytes(count: int) -> str:
    """1536 → `1.5 kB`: powers of 1000, as the field counts traffic."""
    if abs(count) < 1000:
        return f"{count} B"
    size = float(count)
    for unit in ("kB", "MB", "GB", "TB", "PB"):
        size /= 1000
        if abs(size) < 999.95 or unit == "PB":
            return f"{size:.1f} {unit}"
    raise AssertionError("PB ends the loop")
