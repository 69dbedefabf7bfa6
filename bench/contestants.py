"""What is measured, side by side: `wc -l`, pfsquid, GoAccess. How each is started, and told to have worked.

A contestant that is not installed is named with the reason, never left out in silence. Its own words on how
much it read are checked after each run, since a fast program that skipped the log has not won anything.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Debian's build of GoAccess refuses the preset SQUID, so it is spelled out. The ` %^` at the end is added:
# without it the user and the rest of the line count as part of the URL, and GoAccess is slower for it. In
# pfsquid's own format it is given the fields that the native format has too, not user agent and referrer.
GOACCESS_FORMATS = {
    "squid": "%x.%^ %~%L %h %^/%s %b %m %U %^",
    "pfsquid": "%x.%^ %L %h %^ %^ %^ %^/%s %^ %b %m %^ %^ %^ %^ %^ %U",
    "combined": '%h %^ %e [%d:%t %^] "%r" %s %b "%R" "%u" %^',
}
GOACCESS_TIMES = {"combined": ["--date-format=%d/%b/%Y", "--time-format=%H:%M:%S"]}
NOT_EMPTY_REJECTS = "rejects WHERE raw <> X''"  # whether an empty line is a reject is the collector's affair
GOACCESS_READ_AT_LEAST = 0.95  # of the log's lines, or its time counts for nothing


@dataclass(frozen=True)
class Contestant:
    """A command to measure. `reason` says why it cannot be run here, "" if it can.

    `command` takes the log and an empty folder. `check` looks at that folder after a run, takes the log's own
    facts, and gives what it found: `note` for the reader, `fault` where the run must not count, other facts.
    """

    name: str
    command: Callable[[Path, Path], list[str]]
    check: Callable[[dict[str, Any], Path], dict[str, Any]]
    reason: str = ""


def wc() -> Contestant:
    """The floor: a pass over the bytes."""
    return Contestant("wc -l", lambda log, folder: ["wc", "-l", str(log)], lambda facts, folder: {})


def pfsquid(python: str, log_format: str) -> Contestant:
    """The raw log to committed rows in a fresh lake."""

    def command(log: Path, folder: Path) -> list[str]:
        lake = str(folder / "lake")
        return [
            python,
            "-m",
            "pfsquid",
            "collect",
            "squid",
            "--from",
            str(log),
            "--format",
            log_format,
            "--lake",
            lake,
        ]

    def check(facts: dict[str, Any], folder: Path) -> dict[str, Any]:
        try:
            rows, rejects = (_count(python, folder / "lake", what) for what in ("proxy", NOT_EMPTY_REJECTS))
        except (subprocess.SubprocessError, ValueError, LookupError, TypeError) as error:
            return {"note": f"rows could not be counted: {error}"}
        lines = facts["lines"] - facts["empty_lines"]
        note = f"{rows:,} rows + {rejects:,} rejects = {rows + rejects:,} of {lines:,} lines that are not empty"
        return {"rows": rows, "rejects": rejects, "lines": lines, "note": note}

    return Contestant("pfsquid", command, check)


def _count(python: str, lake: Path, what: str) -> int:
    sql = f"SELECT count(*) AS n FROM {what}"
    command = [python, "-m", "pfsquid", "query", "--lake", str(lake), "--json", "--sql", sql]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["(nothing on stderr)"])[-1]
        raise ValueError(f"`{sql}` ended with exit status {done.returncode}: {last}")
    return int(json.loads(done.stdout)["rows"][0]["n"])


def goaccess(log_format: str) -> Contestant:
    """The fastest report writer that Debian has; it computes hits, visitors, URLs and statuses, as JSON."""

    def command(log: Path, folder: Path) -> list[str]:
        return [
            "goaccess",
            str(log),
            "--no-global-config",
            f"--log-format={GOACCESS_FORMATS[log_format]}",
            *GOACCESS_TIMES.get(log_format, ["--datetime-format=%s"]),
            "--no-progress",
            "--no-strict-status",  # status 000 is normal for Squid
            "-o",
            str(folder / "goaccess.json"),
        ]

    def check(facts: dict[str, Any], folder: Path) -> dict[str, Any]:
        try:
            general = json.loads((folder / "goaccess.json").read_bytes().decode(errors="replace"))["general"]
            total, valid = int(general["total_requests"]), int(general["valid_requests"])
        except (OSError, ValueError, LookupError) as error:
            return {"fault": f"no report that could be read: {error!r}"}
        found = {"rows": valid, "note": f"{valid:,} lines read of {total:,} that it counted"}
        if valid < GOACCESS_READ_AT_LEAST * facts["lines"]:
            found["fault"] = f"it read only {valid:,} of {facts['lines']:,} lines"
        return found

    return Contestant("GoAccess", command, check, "" if shutil.which("goaccess") else "not installed")


def squidanalyzer() -> Contestant:
    """Named for the record: its target is for 500,000 lines of 50 people, another log than this one."""
    reason = "installed, but not run on this log" if shutil.which("squid-analyzer") else "not installed"
    return Contestant("SquidAnalyzer", lambda log, folder: [], lambda facts, folder: {}, reason)


def everyone(python: str, log_format: str) -> list[Contestant]:
    """All contestants for a log in `log_format`, in the order in which each round runs them."""
    return [wc(), pfsquid(python, log_format), goaccess(log_format), squidanalyzer()]
