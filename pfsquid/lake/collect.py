"""Files into the lake: what `pfsquid collect … --from` does, one report a file. A bad file does not stop the next."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from collectors.entra import signins
from collectors.squid import collector as squid
from collectors.squid.follow import SourceError
from collectors.squid.logformat import FORMATS
from pfsquid.errors import ExitCode, PfsquidError, WrongUse
from pfsquid.lake.catalog import Lake
from pfsquid.lake.ingest import Ingested, ingest, positions

Progress = Callable[[Path, Ingested], None]


@dataclass(frozen=True)
class Report:
    """What became of one file. problem: why it was not read, or not to its end; None where all went well."""

    path: Path
    done: Ingested
    problem: PfsquidError | None = None

    def notes(self) -> list[str]:
        """What a reader must know of a file beside its numbers."""
        if not self.problem and not (self.done.rows or self.done.rejects or self.done.unchanged):
            return [f"{self.path}: nothing new to collect"]
        return [f"{self.path}: {count:,} × {reason}" for reason, count in sorted(self.done.reasons.items())]


def collect_squid(
    lake: Lake, paths: Iterable[Path], format_name: str, firewall: str | None, progress: Progress
) -> list[Report]:
    """Access logs into the table `proxy`. Raises WrongUse for an unknown format, PfsquidError where the lake fails."""
    if format_name not in FORMATS:
        raise WrongUse(
            f"there is no format {format_name!r}; there are {', '.join(FORMATS)}",
            "pfsquid collect squid --format squid --from …    # Squid's own default",
        )
    reports = []
    with lake.writing("proxy"):
        for path in paths:
            done = Ingested()
            problem: PfsquidError | None = None
            try:
                batches = squid.collect(path, format_name, positions(lake, "proxy"), firewall)
                ingest(lake, batches, done, lambda so_far, path=path: progress(path, so_far))  # type: ignore[misc]
            except squid.FormatError as exc:
                problem = WrongUse(str(exc), *_other_format(lake, path, exc.instead))
            except SourceError as exc:
                problem = _file_problem(path, str(exc), exc.wrong_use, done)
            if problem is None and done.rejects and not done.rows:
                problem = PfsquidError(
                    f"no line of {path} could be read as {format_name}: {done.rejects:,} lines went to rejects",
                    f"pfsquid query {_lake(lake)} --sql "
                    '"SELECT reason, count(*) AS lines FROM rejects GROUP BY reason"',
                )
            reports.append(Report(path, done, problem))
    return reports


def collect_signins(lake: Lake, paths: Iterable[Path], progress: Progress) -> list[Report]:
    """Sign-ins in JSON, as Graph gives them, into the table `signins`. Raises PfsquidError where the lake fails."""
    reports = []
    with lake.writing("signins"):
        for path in paths:
            done = Ingested()
            problem: PfsquidError | None = None
            try:
                ingest(lake, signins.collect(path), done, lambda so_far, path=path: progress(path, so_far))  # type: ignore[misc]
            except signins.FileError as exc:
                problem = _file_problem(path, str(exc), exc.wrong_use, done)
            reports.append(Report(path, done, problem))
    return reports


def exit_code(reports: Iterable[Report]) -> ExitCode:
    """0 where all files were read, else the status of the first problem."""
    return next((report.problem.exit_code for report in reports if report.problem), ExitCode.DONE)


def _other_format(lake: Lake, path: Path, instead: str) -> tuple[str, ...]:
    log = quote(str(path))
    if instead:
        return (f"pfsquid collect squid {_lake(lake)} --format {instead} --from {log}",)
    return (
        f"head -3 {log}    # is it the file you meant?",
        f"pfsquid collect squid {_lake(lake)} --format NAME --from {log}    # NAME is one of {', '.join(FORMATS)}",
    )


def _lake(lake: Lake) -> str:
    return f"--lake {quote(str(lake.folder))}"


def _file_problem(path: Path, message: str, wrong_use: bool, done: Ingested) -> PfsquidError:
    if wrong_use:
        if path.is_file():
            return WrongUse(message, f"head -c 300 {quote(str(path))}    # is it the file you meant?")
        folder = path if path.is_dir() else path.parent
        return WrongUse(
            message, f"ls -l {quote(str(folder))}    # which file is it? Then the same command with --from FILE"
        )
    kept = f"; the {done.rows:,} rows before that are in the lake" if done.rows else ""
    return PfsquidError(message + kept, "get a whole copy of the file and run the same command: nothing is read twice")
