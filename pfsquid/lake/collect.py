"""Files into the lake: what `pfsquid collect … --from` does, one report a file. A bad file does not stop the next."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from shlex import quote

import pyarrow as pa

from collectors.entra import exports
from collectors.entra.streamed import FileError
from collectors.squid import collector as squid
from collectors.squid.access_log import compile_parser
from collectors.squid.choose import AUTO, FormatError
from collectors.squid.follow import SourceError
from collectors.squid.logformat import FORMATS, LogformatError, format_of
from collectors.squid.logs import GoneError, Log, Logs
from collectors.squid.places import local_logs
from pfsquid.errors import ExitCode, PfsquidError, WrongUse
from pfsquid.lake.by_key import Stands
from pfsquid.lake.catalog import Lake
from pfsquid.lake.ingest import Ingested, Moved, ingest, positions
from pfsquid.lake.tables import TABLES
from pfsquid.lake.windows import complete_spans

PATIENCE = 3.0  # seconds; so long a `pfsquid run` may hold a table to commit
_TRIES = 5  # to read a log that another reads at the same moment
Progress = Callable[[Path, Ingested], None]


@dataclass(frozen=True)
class Report:
    """What became of one file. problem: why it was not read, or not to its end; None where all went well.

    shapes: what was recognised in it, in words.
    """

    path: Path
    done: Ingested
    problem: PfsquidError | None = None
    shapes: tuple[str, ...] = ()

    def notes(self) -> list[str]:
        """What a reader must know of a file beside its numbers."""
        if not self.problem and not (self.done.rows or self.done.rejects or self.done.unchanged):
            return [f"{self.path}: nothing new to collect"]
        return [
            *(f"{self.path}: {shape}" for shape in self.shapes),
            *(f"{self.path}: {count:,} × {reason}" for reason, count in sorted(self.done.reasons.items())),
        ]


def collect_squid(
    lake: Lake, paths: Iterable[Path], format_name: str, firewall: str | None, progress: Progress
) -> list[Report]:
    """Access logs into the table `proxy`: files, folders, patterns, `-` for standard input.

    format_name: "auto", a name, or a logformat; WrongUse for what is none. Raises PfsquidError where the lake fails.
    """
    if format_name != AUTO:
        try:
            compile_parser(format_of(format_name))
        except LogformatError as exc:
            raise WrongUse(str(exc), "pfsquid collect squid --format squid --from …    # Squid's own default") from None
    reports: list[Report] = []
    with lake.writing("proxy", wait=PATIENCE):
        for path in paths:
            logs = local_logs(path)
            try:
                changed = logs.changed(positions(lake, "proxy"))
                reports.extend(_collected(lake, logs, log, format_name, firewall, progress) for log in changed)
            except SourceError as exc:
                reports.append(Report(path, Ingested(), _file_problem(path, str(exc), exc.wrong_use, Ingested())))
    return reports


def _collected(lake: Lake, logs: Logs, log: Log, format_name: str, firewall: str | None, progress: Progress) -> Report:
    path, done = Path(log.name), Ingested()
    problem: PfsquidError | None = None
    try:
        for left in reversed(range(_TRIES)):
            known = positions(lake, "proxy")
            batches = squid.collect_log(logs, log, format_name, known, firewall)
            try:
                ingest(lake, batches, done, lambda so_far: progress(path, so_far), known, locked=True)
                break
            except Moved as exc:  # a collector of another machine, which our lock does not reach
                problem = None if left else exc
    except GoneError:
        problem = PfsquidError(f"{path} is gone", "the same command again: what it held has another name now")
    except FormatError as exc:
        problem = WrongUse(str(exc), *_other_format(lake, path, exc.instead))
    except SourceError as exc:
        problem = _file_problem(path, str(exc), exc.wrong_use, done)
    if problem is None and done.rejects and not done.rows:
        problem = PfsquidError(
            f"no line of {path} could be read as {format_name}: {done.rejects:,} lines went to rejects",
            f'pfsquid query {_lake(lake)} --sql "SELECT reason, count(*) AS lines FROM rejects GROUP BY reason"',
        )
    return Report(path, done, problem)


def collect_entra(lake: Lake, paths: Iterable[Path], progress: Progress) -> list[Report]:
    """Files of sign-ins and directory audits into the tables `signins` and `audits`.

    A file has no say over what Graph gave of a span that was read completely: its rows of the same id are left out.
    Raises PfsquidError where the lake fails.
    """
    reports: list[Report] = []
    with lake.writing("signins", wait=PATIENCE), lake.writing("audits", wait=PATIENCE):
        stands = _given_by_graph(lake)
        for path in paths:
            done, shapes = Ingested(), list[str]()
            problem: PfsquidError | None = None
            try:
                batches = exports.collect(path, shapes.append)
                ingest(lake, batches, done, lambda so_far, path=path: progress(path, so_far), stands=stands)  # type: ignore[misc]
            except FileError as exc:
                problem = _file_problem(path, str(exc), exc.wrong_use, done)
            reports.append(Report(path, done, problem, tuple(dict.fromkeys(shapes))))
    return reports


def _given_by_graph(lake: Lake) -> Stands:
    """Tells of rows whether they lie in a span that was read from Graph completely."""
    spans = complete_spans(lake)

    def given(tenant: str, stream: str, at: datetime) -> bool:
        of = spans.get((tenant, stream), [])
        place = bisect_right(of, at, key=lambda span: span[0]) - 1
        return place >= 0 and at < of[place][1]

    def stands(table: str, rows: pa.Table) -> list[bool]:
        streams = rows["stream"] if "stream" in rows.column_names else [table] * len(rows)
        names = ([str(each) for each in column] for column in (rows["tenant"], streams))
        times = rows[TABLES[table].by_day].to_pylist()
        return [given(*each) for each in zip(*names, times, strict=True)]

    return stands


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
    return f"--lake {quote(str(lake.place))}"


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
