"""Every result as a table, as JSON, as CSV; every error as text. The only place that prints."""

from __future__ import annotations

import csv
import json
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, TextIO

from pfsquid.errors import PfsquidError


class Format(StrEnum):
    """How a result is written to standard output."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


@dataclass(frozen=True)
class Screen:
    """Where output goes. Data to `out`, all else to `err`."""

    out: TextIO
    err: TextIO
    color: bool = False

    @property
    def interactive(self) -> bool:
        """Is standard error a terminal, where a line may be written over?"""
        return self.err.isatty()


_NUMERIC = (int, float)


def show(
    screen: Screen,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    format: Format,
    title: str = "",
    notes: Sequence[str] = (),
) -> None:
    """A result on standard output, its notes on standard error.

    JSON is `{"columns": [...], "rows": [{column: value}]}`; times as ISO 8601 in UTC, bytes as text with `\\xNN`.
    """
    if format is Format.JSON:
        body = [dict(zip(columns, map(_jsonable, row), strict=True)) for row in rows]
        json.dump(
            {"columns": list(columns), "rows": body},
            screen.out,
            ensure_ascii=False,
            indent=None if len(body) > 1000 else 1,
        )
        screen.out.write("\n")
    elif format is Format.CSV:
        writer = csv.writer(screen.out, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([["" if value is None else _jsonable(value) for value in row] for row in rows])
    else:
        _table(screen, columns, rows, title)
    for note in notes:
        say(screen, f"note: {note}")


def say(screen: Screen, text: str) -> None:
    """A line on standard error."""
    print(text, file=screen.err, flush=True)


def tell(screen: Screen, text: str) -> None:
    """A line of prose on standard output, where prose is the result (`pfsquid demo`)."""
    print(text, file=screen.out, flush=True)


def progress(screen: Screen, text: str) -> None:
    """A line on a terminal that the next one writes over; nothing where standard error is no terminal."""
    if screen.interactive:
        screen.err.write(f"\r\x1b[K{text}")
        screen.err.flush()


def error(screen: Screen, problem: BaseException, debug: bool) -> None:
    """What failed, why, and the next command to type. A traceback only with `--debug`."""
    if debug:
        traceback.print_exception(problem, file=screen.err)
    if isinstance(problem, PfsquidError):
        first, *others = problem.message.splitlines() or [""]
        say(screen, f"pfsquid: {first}")
        for line in others:
            say(screen, f"         {line}")
        for step in problem.next:
            say(screen, f"  next:  {step}")
        return
    say(screen, f"pfsquid: {type(problem).__name__}: {problem}")
    if not debug:
        say(screen, "  next:  the same command with --debug, and a bug report with what it prints")


def _table(screen: Screen, columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    terminal = screen.out.isatty()
    # rich cuts columns to the width that it knows; a file or a pipe has none.
    console = Console(
        file=screen.out, width=None if terminal else 10_000, no_color=not (terminal and screen.color), highlight=False
    )
    table = Table(
        title=Text(title) if title else None,
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        header_style="bold",
    )
    for number, column in enumerate(columns):
        values = [row[number] for row in rows if row[number] is not None]
        right = bool(values) and all(isinstance(value, _NUMERIC) for value in values)
        table.add_column(
            Text(column),
            justify="right" if right else "left",
            overflow="fold",
            no_wrap=not terminal,
        )
    for row in rows:
        table.add_row(*(Text(_shown(column, value)) for column, value in zip(columns, row, strict=True)))
    with console.capture() as captured:
        console.print(table)
    # Neither blanks at the ends of lines nor a last line of blanks are wanted in a file.
    tell(screen, "\n".join(line.rstrip() for line in captured.get().rstrip().splitlines()))
    if not rows:
        tell(screen, "(no rows)")


def _shown(column: str, value: Any) -> str:
    if value is None:
        return "-"
    if column.startswith("bytes") and isinstance(value, int):
        return human_bytes(value)
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    text = str(_jsonable(value))
    # What stands in a log was written by strangers: no control character of theirs reaches the terminal.
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)


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


def _jsonable(value: Any) -> Any:
    if isinstance(value, datetime):
        text = value.isoformat(timespec="milliseconds" if value.microsecond % 1000 == 0 else "microseconds")
        return text.replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, float) and value != value:
        return None
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, (list, tuple)):
        return [_jsonable(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _jsonable(item) for key, item in value.items()}
    return str(value)


def standard_screen(environment: dict[str, str]) -> Screen:
    """The process's own standard output and error. `NO_COLOR` is kept to (no-color.org)."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    return Screen(sys.stdout, sys.stderr, color=not environment.get("NO_COLOR"))
