"""The command line: statuses, streams, formats; what a terminal, a pipe and a full device get."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pfsquid import __version__
from tests.running import ACCESS_LOG, PATIENCE, SIGN_INS, Pfsquid

QUESTIONS = ("apps", "people", "app-people", "app-signins", "unknown-domains", "unmatched-people")
LINE = ACCESS_LOG.read_text().splitlines()[0]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Pfsquid:
    """A lake with the recorded week; only read."""
    program = Pfsquid(tmp_path_factory.mktemp("full"))
    assert program("collect", "squid", "--from", ACCESS_LOG).status == 0
    assert program("collect", "entra", "--from", SIGN_INS).status == 0
    return program


def test_the_version_is_told(pfsquid: Pfsquid) -> None:
    run = pfsquid("--version")
    assert (run.status, run.out, run.err) == (0, f"pfsquid {__version__}\n", "")


@pytest.mark.parametrize(
    "command", [(), ("collect",), ("collect", "squid"), ("collect", "entra"), ("query",), ("demo",)]
)
def test_each_command_has_help(pfsquid: Pfsquid, command: tuple[str, ...]) -> None:
    run = pfsquid(*command, "--help")
    assert (run.status, "Usage: " + " ".join(("pfsquid", *command)) in run.out, run.err) == (0, True, "")


@pytest.mark.parametrize("words", [("collect", "everything"), ("query", "--frob"), ("collect", "squid")])
def test_wrong_words_are_wrong_use(pfsquid: Pfsquid, words: tuple[str, ...]) -> None:
    run = pfsquid(*words)
    assert (run.status, run.out, "Traceback" in run.err) == (2, "", False)


def test_python_m_pfsquid_is_pfsquid(pfsquid: Pfsquid) -> None:
    run = pfsquid.finished("query")
    assert (run.status, all(name in run.out for name in QUESTIONS), run.err) == (0, True, "")


@pytest.mark.parametrize("question", QUESTIONS)
def test_each_question_in_json_has_columns_and_rows(full: Pfsquid, question: str) -> None:
    told = json.loads(full("query", question, "--json").out)
    assert told.keys() == {"columns", "rows"}
    assert told["rows"]
    assert all(list(row) == told["columns"] for row in told["rows"])


def test_collect_in_json_has_columns_and_rows(pfsquid: Pfsquid) -> None:
    told = json.loads(pfsquid("collect", "squid", "--json", "--from", ACCESS_LOG).out)
    assert told["columns"] == ["file", "rows", "rejects", "replaced", "unchanged"]
    assert list(told["rows"][0]) == told["columns"]


def test_the_list_of_questions_is_json_too(pfsquid: Pfsquid) -> None:
    assert {row["question"] for row in pfsquid("query", "--json").rows} == set(QUESTIONS)


def test_csv_reads_back_as_the_same_rows_as_json(full: Pfsquid) -> None:
    sql = "SELECT ts, url, user_name, bytes_down, bytes_up FROM proxy ORDER BY source_offset"
    in_csv = list(csv.DictReader(io.StringIO(full("query", "--format", "csv", "--sql", sql).out)))
    in_json = full("query", "--json", "--sql", sql).rows
    assert in_csv == [{key: "" if value is None else str(value) for key, value in row.items()} for row in in_json]


def test_data_goes_to_stdout_and_notes_to_stderr(full: Pfsquid) -> None:
    run = full("query", "apps")
    assert ("note:" in run.out, "note:" in run.err) == (False, True)


def test_a_table_in_a_pipe_is_never_cut(pfsquid: Pfsquid, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text(LINE.replace("CONNECT ad.doubleclick.net:443", "GET http://a.example/" + "x" * 60_000) + "\n")
    pfsquid("collect", "squid", "--from", log)
    run = pfsquid("query", "--sql", "SELECT url, method FROM proxy")
    assert len(max(run.out.split(), key=len)) == len("http://a.example/") + 60_000


def test_no_escape_codes_where_there_is_no_terminal(full: Pfsquid) -> None:
    run = full("query", "apps", FORCE_COLOR="1")
    assert "\x1b" not in run.out + run.err


def terminal(pfsquid: Pfsquid, *words: str, **environment: str) -> str:
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    settings = {**pfsquid.environment(), "TERM": "xterm-256color", "COLUMNS": "200", **environment}
    command = [sys.executable, "-m", "pfsquid", *words]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=settings, cwd=pfsquid.folder):
        os.close(theirs)
        parts = []
        try:
            while part := os.read(ours, 65536):
                parts.append(part)
        except OSError:
            pass  # the other side is closed
    os.close(ours)
    return b"".join(parts).decode()


def test_a_terminal_gets_colour(full: Pfsquid) -> None:
    assert "\x1b[1m" in terminal(full, "query", "apps")


def test_no_color_is_kept_to(full: Pfsquid) -> None:
    assert "\x1b[3" not in terminal(full, "query", "apps", NO_COLOR="1")


@pytest.mark.parametrize("format", ["table", "csv", "json"])
def test_control_characters_of_a_log_never_reach_the_terminal(pfsquid: Pfsquid, tmp_path: Path, format: str) -> None:
    log = tmp_path / "access.log"
    evil = "evil%1B]0;owned%07%C2%9B31m"
    log.write_text(LINE.replace("jerry.smith", evil) + "\n" + LINE[:40] + "\x1b]0;owned\x07\n")
    pfsquid("collect", "squid", "--from", log)
    told = terminal(pfsquid, "query", "--format", format, "--sql", "SELECT user_name FROM proxy", NO_COLOR="1")
    assert "evil" in told
    assert not {"\x1b]", "\x07", "\x9b"} & {told[at : at + size] for at in range(len(told)) for size in (1, 2)}


def test_control_characters_of_a_file_name_never_reach_the_terminal(pfsquid: Pfsquid) -> None:
    run = pfsquid("collect", "squid", "--from", "no\x1b]0;owned\x07.log")
    assert (run.status, "\x1b" in run.err + run.out, "no\\x1b]0;owned\\x07.log" in run.err) == (2, False, True)


def test_debug_shows_a_traceback(pfsquid: Pfsquid) -> None:
    assert "Traceback" in pfsquid("query", "apps", "--debug").err


def test_without_debug_no_traceback_is_shown(pfsquid: Pfsquid, tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake/catalog.db").write_text("no database at all, but a text that is long enough\n" * 100)
    run = pfsquid("query", "apps", "--lake", "lake")
    assert (run.status, "Traceback" in run.err, "cannot be used" in run.err) == (1, False, True)


def test_from_takes_a_shell_pattern(pfsquid: Pfsquid, tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_text(LINE.replace("jerry", name) + "\n")
    run = pfsquid("collect", "squid", "--from", "a", "b", "c", "--json")
    assert [(row["file"], row["rows"]) for row in run.rows] == [("a", 1), ("b", 1), ("c", 1)]


def test_from_may_stand_several_times(pfsquid: Pfsquid, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text(LINE.replace("jerry", name) + "\n")
    assert len(pfsquid("collect", "squid", "--from", "a", "--from", "b", "--json").rows) == 2


def test_a_closed_pipe_is_no_error(full: Pfsquid) -> None:
    words = ("query", "--format", "csv", "--sql", "SELECT a.url, b.url FROM proxy a, proxy b LIMIT 200000")
    with full.process(*words) as process:
        assert process.stdout and process.stderr
        assert process.stdout.readline() == "url,url_2\n"
        process.stdout.close()
        err = process.stderr.read()
        assert (process.wait(PATIENCE), err) == (0, "")


def test_a_full_device_is_an_error(full: Pfsquid) -> None:
    with Path("/dev/full").open("w") as device:
        run = full.finished("query", "apps", "--json", stdout=device)
    assert run.status == 1
    assert "the result cannot be written: No space left on device" in run.err
    assert "Exception ignored" not in run.err


def test_closed_streams_are_no_error(pfsquid: Pfsquid) -> None:
    assert pfsquid.finished("query", before=("sh", "-c", 'exec "$@" >&- 2>&-', "sh")).status == 0


def test_ctrl_c_while_collecting_gives_130(pfsquid: Pfsquid, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "access.log")
    with pfsquid.process("collect", "squid", "--from", "access.log") as process:
        while not list(pfsquid.lake.rglob(".proxy.lock")):
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, "interrupted" in err, "Traceback" in err) == (130, True, False)


def test_ctrl_c_in_the_middle_of_a_log_gives_130(pfsquid: Pfsquid, tmp_path: Path) -> None:
    (tmp_path / "access.log").write_bytes(ACCESS_LOG.read_bytes() * 800)
    with pfsquid.process("collect", "squid", "--from", "access.log") as process:
        while not list(pfsquid.lake.rglob("*.parquet")):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, "interrupted" in err, "Traceback" in err) == (130, True, False)


def test_ctrl_c_while_asking_gives_130(full: Pfsquid) -> None:
    sql = "SELECT count(*) FROM proxy a, proxy b, proxy c, proxy d WHERE a.ts < b.ts AND b.url < c.url"
    with full.process("query", "--sql", sql) as process:
        while _worked(process.pid) < 5:  # seconds: it has long been past its start
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, "interrupted" in err, "Traceback" in err) == (130, True, False)


def _worked(pid: int) -> float:
    """The seconds of processor time that a process has had (proc(5): fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_question_and_sql_together_are_refused(full: Pfsquid) -> None:
    assert full("query", "apps", "--sql", "SELECT 1").status == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("ap-people",), "did you mean app-people?"),
        (("apps", "sinse=7d"), "did you mean since?"),
        (("apps", "colour=red"), "it takes since, until, app, person"),
        (("apps", "since"), "is no key=value"),
        (("apps", "since=yesteryear"), "since=yesteryear is no day or moment"),
        (("apps", "since=2026-11-20", "until=2026-11-16"), "is not before until"),
        (("apps", "app=dropbx"), "did you mean dropbox"),
        (("people", "person=jery.smith@pfsquid.example"), "did you mean jerry.smith@pfsquid.example"),
        (("apps", "--lake", "nowhere"), "there is no lake in"),
    ],
)
def test_a_wrong_question_is_refused_with_what_would_be_right(full: Pfsquid, words: tuple[str, ...], told: str) -> None:
    run = full("query", *words)
    assert (run.status, run.out, told in run.err, "  next:  " in run.err) == (2, "", True, True)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1; SELECT 2",
        "INSERT INTO proxy SELECT * FROM proxy",
        "DELETE FROM proxy",
        "CREATE TABLE mine AS SELECT 1",
        "COPY (SELECT 1) TO 'stolen.csv'",
        "ATTACH 'stolen.db'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/etc/*')",
        "SELECT getenv('HOME')",
        "SET enable_external_access=true",
        "PRAGMA database_list",
        "SELEC 1",
        "",
    ],
)
def test_sql_reads_the_lake_and_nothing_else(full: Pfsquid, sql: str) -> None:
    run = full("query", "--sql", sql)
    assert (run.status, run.out, run.err[:9]) == (2, "", "pfsquid: ")
    assert not list(full.folder.glob("stolen*"))
