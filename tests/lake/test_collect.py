"""Files into the lake: what is reported of each, and what of all."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from pfsquid.errors import ExitCode, PfsquidError, WrongUse
from pfsquid.lake.catalog import Lake
from pfsquid.lake.collect import Report, collect_entra, collect_squid, exit_code
from pfsquid.lake.ingest import Ingested
from tests.lake.rows import held, new_lake
from tests.running import ACCESS_LOG, SIGN_INS

LINES = ACCESS_LOG.read_bytes().splitlines(keepends=True)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return new_lake(tmp_path)


def squid(lake: Lake, *paths: Path, firewall: str | None = None) -> list[Report]:
    return collect_squid(lake, paths, "squid", firewall, lambda *_: None)


def test_each_file_has_its_report(lake: Lake, tmp_path: Path) -> None:
    for name, lines in (("a.log", LINES[:2]), ("b.log", LINES[5:9])):
        (tmp_path / name).write_bytes(b"".join(lines))
    reports = squid(lake, tmp_path / "a.log", tmp_path / "none.log", tmp_path / "b.log")
    assert [(report.path.name, report.done.rows, report.problem is None) for report in reports] == [
        ("a.log", 2, True),
        ("none.log", 0, False),
        ("b.log", 4, True),
    ]


def test_a_rotated_log_is_not_read_again(lake: Lake, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(b"".join(LINES[:50]))
    squid(lake, log)
    log.rename(tmp_path / "access.log.1")
    log.write_bytes(b"".join(LINES[50:60]))
    assert [report.done.rows for report in squid(lake, tmp_path / "access.log.1", log)] == [0, 10]


def test_the_firewall_is_kept_with_its_rows(lake: Lake) -> None:
    squid(lake, ACCESS_LOG, firewall="fw-1")
    assert set(held(lake, "proxy", "firewall")) == {"fw-1"}


def test_a_file_with_nothing_new_is_noted(lake: Lake) -> None:
    squid(lake, ACCESS_LOG)
    (again,) = squid(lake, ACCESS_LOG)
    assert again.notes() == [f"{ACCESS_LOG}: nothing new to collect"]


def test_sign_ins_that_are_there_already_are_counted_and_no_more(lake: Lake) -> None:
    for _ in range(2):
        (report,) = collect_entra(lake, [SIGN_INS], lambda *_: None)
    recognised = f"{SIGN_INS}: sign-ins as Microsoft Graph gives them"
    assert (report.done.unchanged, report.notes()) == (75, [recognised])


def test_rejects_are_noted_by_reason(lake: Lake, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(LINES[0] + b"\n\n" + LINES[1])
    assert squid(lake, log)[0].notes() == [f"{log}: 2 × an empty line"]


def test_the_command_for_another_format_can_be_pasted(lake: Lake, tmp_path: Path) -> None:
    log = tmp_path / "their log"
    log.write_bytes((ACCESS_LOG.parent / "pfsquid.log").read_bytes())
    (report,) = squid(lake, log)
    assert report.problem is not None
    assert shlex.split(report.problem.next[0]) == [
        *("pfsquid", "collect", "squid", "--lake", str(lake.folder), "--format", "pfsquid", "--from", str(log))
    ]


def test_a_file_cut_off_says_how_much_is_kept(lake: Lake, tmp_path: Path) -> None:
    cut = tmp_path / "cut.json"
    cut.write_bytes(SIGN_INS.read_bytes()[:50_000])
    (report,) = collect_entra(lake, [cut], lambda *_: None)
    assert report.problem is not None
    assert f"the {report.done.rows} rows before that are in the lake" in report.problem.message


@pytest.mark.parametrize(
    ("problems", "status"),
    [
        ([], ExitCode.DONE),
        ([None, None], ExitCode.DONE),
        ([None, PfsquidError("x")], ExitCode.FAILED),
        ([WrongUse("x"), PfsquidError("x")], ExitCode.WRONG_USE),
        ([PfsquidError("x"), WrongUse("x")], ExitCode.FAILED),
    ],
)
def test_the_status_is_that_of_the_first_problem(problems: list[PfsquidError | None], status: ExitCode) -> None:
    assert exit_code(Report(Path("log"), Ingested(), problem) for problem in problems) == status
