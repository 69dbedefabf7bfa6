"""The lab's one kind of error, and how a log's end gets into it."""

from __future__ import annotations

from pathlib import Path


class LabError(Exception):
    """Something in the lab did not work; the text says what, and what the log said last."""


def last_lines(log: Path | bytes | str, count: int = 15) -> str:
    """The last `count` lines of a log, indented for an error text; says so when there is none."""
    if isinstance(log, Path):
        try:
            raw = log.read_bytes()
        except OSError as error:
            return f"    (log {log} cannot be read: {error.strerror})"
    else:
        raw = log.encode() if isinstance(log, str) else log
    lines = raw.decode("utf-8", "backslashreplace").rstrip().splitlines()
    return "\n".join(f"    {line}" for line in lines[-count:]) or "    (its log is empty)"
