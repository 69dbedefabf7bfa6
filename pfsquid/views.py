"""Every result as a table, as JSON, as CSV; every error as text. The only place that prints."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TextIO

from pfsquid.errors import PfsquidError
from pfsquid.fitting import GAP, fit
from pfsquid.fitting import human_bytes as human_bytes

if TYPE_CHECKING:
    from pfsquid.firewall.explain import Explained


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


_NUMERIC = (int, float, Decimal)
_INDENTED = 1000  # rows of JSON; more are written for programs
_C1 = re.compile("[\x7f-\x9f]")  # control characters that JSON lets stand


def show(
    screen: Screen,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    format: Format,
    title: str = "",
    notes: Iterable[str] = (),
) -> None:
    """A result on standard output, its notes on standard error. Raises PfsquidError where it cannot be written.

    Rows that come one by one are written as they come, but for a table, which needs them all; notes are asked for last.
    JSON is `{"columns": [...], "rows": [{column: value}]}`; times as ISO 8601 in UTC, bytes as text with `\\xNN`.
    """
    columns = _told_apart(columns)
    with written(screen):
        if format is Format.JSON:
            _json(screen, columns, rows)
        elif format is Format.CSV:
            _csv(screen, columns, rows)
        else:
            _table(screen, columns, rows if isinstance(rows, Sequence) else list(rows), title)
    for note in notes:
        say(screen, f"note: {note}")


@contextmanager
def written(screen: Screen) -> Iterator[None]:
    """See to it that what is written to standard output arrives. Raises PfsquidError, or BrokenPipeError (`| head`)."""
    try:
        yield
        screen.out.flush()
    except BrokenPipeError:
        raise
    except OSError as exc:
        raise PfsquidError(
            f"the result cannot be written: {exc.strerror}", "the same command with its output to another place"
        ) from exc


def show_changes(screen: Screen, told: Sequence[Explained], warnings: Sequence[str], json_wanted: bool) -> None:
    """The changes of plans on standard output, what to know first on standard error."""
    for warning in dict.fromkeys(warnings):
        say(screen, f"note: {warning}")
    if json_wanted:
        columns = ("firewall", "sign", "resource", "summary", "diff")
        rows = [(one.firewall, one.sign, one.resource, one.summary, list(one.diff)) for one in told]
        show(screen, columns, rows, Format.JSON)
        return
    for one in told:
        tell(screen, printable(f"{one.sign} {one.firewall}: {one.resource}{'  ' + one.summary if one.summary else ''}"))
        for line in one.diff:
            tell(screen, printable(f"    {line}"))
    tell(screen, f"{len(told)} changes" if told else "no changes")


def ask(screen: Screen, question: str) -> bool:
    """A question on the terminal; anything but y or yes is No."""
    screen.err.write(f"{question} [y/N] ")
    screen.err.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def say(screen: Screen, text: str) -> None:
    """A line on standard error."""
    print(printable(text), file=screen.err, flush=True)


def tell(screen: Screen, text: str) -> None:
    """A line of prose on standard output, where prose is the result (`pfsquid demo`)."""
    with written(screen):
        print(text, file=screen.out)


def progress(screen: Screen, text: str) -> None:
    """A line on a terminal that the next one writes over; nothing where standard error is no terminal."""
    if screen.interactive:
        screen.err.write(f"\r\x1b[K{printable(text)}")
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


def _json(screen: Screen, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    coming = iter(rows)
    first = list(islice(coming, _INDENTED + 1))
    records = (dict(zip(columns, map(_jsonable, row), strict=True)) for row in chain(first, coming))
    if len(first) <= _INDENTED:
        screen.out.write(_escaped({"columns": list(columns), "rows": list(records)}, 1) + "\n")
        return
    screen.out.write(f'{{"columns": {_escaped(list(columns))}, "rows": [{_escaped(next(records))}')
    for record in records:
        screen.out.write(f", {_escaped(record)}")
    screen.out.write("]}\n")


def _escaped(value: Any, indent: int | None = None) -> str:
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return _C1.sub(lambda char: f"\\u{ord(char[0]):04x}", text)


def _csv(screen: Screen, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    writer = csv.writer(screen.out, lineterminator="\n")
    writer.writerow(columns)
    terminal = screen.out.isatty()  # which gets no control character of theirs; a file gets the values as they are
    for row in rows:
        texts = map(_text, row)
        writer.writerow(map(printable, texts) if terminal else texts)


def _table(screen: Screen, columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str) -> None:
    from rich.cells import cell_len
    from rich.console import Console
    from rich.text import Text

    terminal = screen.out.isatty()
    cells = [[_shown(column, value) for column, value in zip(columns, row, strict=True)] for row in rows]
    names = [printable(column) for column in columns]
    widths = [max(map(cell_len, texts)) for texts in zip(names, *cells, strict=True)]
    # rich cuts what is wider than the console, and a file or a pipe has no width.
    wide = max(cell_len(title), sum(widths) + GAP * len(widths), 1)
    plain = not (terminal and screen.color)
    console = Console(
        file=screen.out, width=None if terminal else wide, force_terminal=terminal, no_color=plain, highlight=False
    )
    fitted = fit(columns, widths, console.width)
    with console.capture() as captured:
        if title:
            console.print(Text(title, style="bold"))
        if fitted.records:
            for number, row in enumerate(cells, 1):
                console.print(Text(f"row {number}", style="bold"))
                console.print(_grid([("", False), ("", False)], list(zip(names, row, strict=True)), False))
        else:
            heads = [(names[number], _is_numeric(rows, number)) for number in fitted.shown]
            console.print(_grid(heads, [[row[number] for number in fitted.shown] for row in cells], True))
    # Neither blanks at the ends of lines nor a last line of blanks are wanted in a file.
    tell(screen, "\n".join(line.rstrip() for line in captured.get().rstrip().splitlines()))
    if not rows:
        tell(screen, "(no rows)")
    if fitted.left_out:
        say(screen, f"note: not shown for lack of room: {', '.join(fitted.left_out)} (--format csv has all)")


def _grid(heads: Sequence[tuple[str, bool]], cells: Sequence[Sequence[str]], headed: bool) -> Any:
    """A rich table of texts. heads: of each column its name, and is it set to the right?"""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", show_header=headed)
    for name, right in heads:
        table.add_column(Text(name), justify="right" if right else "left", overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    return table


def _is_numeric(rows: Sequence[Sequence[Any]], number: int) -> bool:
    values = [row[number] for row in rows if row[number] is not None]
    return bool(values) and all(isinstance(value, _NUMERIC) for value in values)


def _told_apart(columns: Sequence[str]) -> tuple[str, ...]:
    """Names of columns, each once: `SELECT a.ts, b.ts` gives ts and ts_2."""
    names: dict[str, None] = {}
    for column in columns:
        name, count = column, 2
        while name in names:
            name, count = f"{column}_{count}", count + 1
        names[name] = None
    return tuple(names)


def _shown(column: str, value: Any) -> str:
    if value is None:
        return "-"
    if column.startswith("bytes") and isinstance(value, int):
        return human_bytes(value)
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return printable(_text(value))


def _text(value: Any) -> str:
    plain = _jsonable(value)
    if plain is None:
        return ""
    return json.dumps(plain, ensure_ascii=False) if isinstance(plain, (list, dict)) else str(plain)


def printable(text: str) -> str:
    """What stands in a log was written by strangers: no control character of theirs reaches the terminal."""
    return text if text.isprintable() else "".join(map(_printable, text))


def _printable(char: str) -> str:
    if char.isprintable():
        return char
    return f"\\x{ord(char):02x}" if ord(char) < 0x100 else f"\\u{ord(char):04x}"


def _jsonable(value: Any) -> Any:
    if isinstance(value, datetime):
        text = value.isoformat(timespec="milliseconds" if value.microsecond % 1000 == 0 else "microseconds")
        return text.replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no word for it
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
    # Python has None for a stream that is closed (`>&-`): nobody wants it.
    return Screen(sys.stdout or io.StringIO(), sys.stderr or io.StringIO(), color=not environment.get("NO_COLOR"))
