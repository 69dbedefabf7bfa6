"""Each row is in the lake exactly once, whatever dies in between: kills, rivals, full disks, growing logs."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults import faulty
from tests.running import ACCESS_LOG, RECORDED, SIGN_INS, Forked, Pfsquid

LINES = ACCESS_LOG.read_bytes().splitlines(keepends=True)
BAD = b"1794816508.281 1433 10.77.0.50 TCP_TUNNEL/200\n"
EXACT = """SELECT 'rows' AS kind, count(*) AS n, count(DISTINCT source_offset) AS offsets,
    sum(hash(source_offset, ts, user_name, url, bytes_down))::VARCHAR AS digest FROM proxy
    UNION ALL SELECT 'rejects', count(*), count(DISTINCT source_offset),
    sum(hash(source_offset, reason, raw))::VARCHAR FROM rejects"""


def log_of(path: Path, repeats: int) -> Path:
    """A log of repeats × 1,132 lines, all different, with a bad line in each round."""
    with path.open("wb") as log:
        for number in range(repeats):
            stamp = b"%d" % (1794816508 + number * 1000)
            log.writelines(stamp + line[10:] for line in LINES)
            log.write(BAD.replace(b"1794816508", stamp))
    return path


def held(pfsquid: Pfsquid, lake: Path | str) -> list[dict[str, object]]:
    return pfsquid("query", "--json", "--lake", lake, "--sql", EXACT).rows


def undisturbed(pfsquid: Pfsquid, log: Path) -> list[dict[str, object]]:
    assert pfsquid("collect", "squid", "--lake", "undisturbed", "--from", log).status == 0
    return held(pfsquid, "undisturbed")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, object]]]:
    """A log of some 3,400 lines, and what an undisturbed run makes of it."""
    folder = tmp_path_factory.mktemp("small")
    log = log_of(folder / "access.log", 3)
    return log, undisturbed(Pfsquid(folder), log)


Small = tuple[Path, list[dict[str, object]]]


def started(pfsquid: Pfsquid, fault: str, log: Path) -> Forked:
    """Start `collect squid` with a fault of tests/faults.py in it."""
    words = ["collect", "squid", "--lake", "lake", "--from", str(log)]
    return Forked(pfsquid.folder, pfsquid.environment(), faulty, fault, words)


def driven(pfsquid: Pfsquid, fault: str, log: Path) -> int:
    """Run it to its end; its exit status."""
    with started(pfsquid, fault, log) as process:
        return process.wait()


def test_a_second_run_adds_nothing(pfsquid: Pfsquid, tmp_path: Path) -> None:
    log = log_of(tmp_path / "access.log", 2)
    expected = undisturbed(pfsquid, log)
    again = pfsquid("collect", "squid", "--json", "--lake", "undisturbed", "--from", log)
    assert (again.rows[0]["rows"], again.rows[0]["rejects"], held(pfsquid, "undisturbed")) == (0, 0, expected)


def test_a_grown_log_adds_only_what_is_new(pfsquid: Pfsquid, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(b"".join(LINES[:100]) + BAD)
    pfsquid("collect", "squid", "--from", log)
    log.write_bytes(b"".join(LINES[:100]) + BAD + b"".join(LINES[100:107]) + BAD)
    run = pfsquid("collect", "squid", "--json", "--from", log)
    assert (run.rows[0]["rows"], run.rows[0]["rejects"], pfsquid.count("proxy")) == (7, 1, 107)


@pytest.mark.parametrize(
    "fault",
    [
        "before-the-rows-commit",
        "after-the-rejects-commit",
        "after-the-rows-commit",
        "in-the-middle-of-reading",
        "data-files-written",
        "catalog-made",
        "table-made",
    ],
)
def test_a_process_killed_at_this_point_leaves_nothing_double_or_lost(
    pfsquid: Pfsquid, small: Small, fault: str
) -> None:
    log, expected = small
    assert driven(pfsquid, fault, log) == -signal.SIGKILL
    assert pfsquid("collect", "squid", "--lake", "lake", "--from", log).status == 0
    assert held(pfsquid, "lake") == expected


def test_a_small_log_that_grows_after_a_kill_keeps_its_rejects_single(pfsquid: Pfsquid, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(LINES[0] + BAD)
    assert driven(pfsquid, "after-the-rejects-commit", log) == -signal.SIGKILL
    log.write_bytes(LINES[0] + BAD + LINES[1])
    pfsquid("collect", "squid", "--lake", "lake", "--from", log)
    assert [row["n"] for row in held(pfsquid, "lake")] == [2, 1]


@pytest.mark.parametrize(("fault", "repeats"), [("none", 60), ("small-steps", 20)])
def test_a_process_killed_at_any_moment_leaves_nothing_double_or_lost(
    pfsquid: Pfsquid, tmp_path: Path, fault: str, repeats: int
) -> None:
    log = log_of(tmp_path / "access.log", repeats)
    expected = undisturbed(pfsquid, log)
    moments = random.Random(20261124)
    for _ in range(7):
        with started(pfsquid, fault, log) as process:
            time.sleep(moments.uniform(0.1, 0.9))
            process.kill()
    assert pfsquid("collect", "squid", "--lake", "lake", "--from", log).status == 0
    assert held(pfsquid, "lake") == expected


def test_a_fault_in_the_commit_is_not_taken_for_the_end_of_the_log(pfsquid: Pfsquid, small: Small) -> None:
    log, expected = small
    assert driven(pfsquid, "lost-the-race", log) == 1
    assert pfsquid("collect", "squid", "--lake", "lake", "--from", log).status == 0
    assert held(pfsquid, "lake") == expected


def test_a_second_collector_stops_and_says_why(pfsquid: Pfsquid, tmp_path: Path) -> None:
    log = log_of(tmp_path / "access.log", 1)
    pfsquid("collect", "squid", "--from", log)
    holder = "import fcntl, sys; lock = open('.proxy.lock'); fcntl.flock(lock, 2); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", holder], cwd=pfsquid.lake, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout and other.stdout.readline()
        run = pfsquid("collect", "squid", "--from", log)
        other.communicate(b"\n")
    assert (run.status, "another pfsquid is writing to the table proxy" in run.err) == (1, True)


def test_many_collectors_of_one_log_at_once_double_nothing(pfsquid: Pfsquid, small: Small) -> None:
    log, expected = small
    rivals = [pfsquid.forked("collect", "squid", "--lake", "lake", "--from", log) for _ in range(3)]
    statuses = sorted(process.wait() for process in rivals)
    assert (statuses[0], set(statuses) <= {0, 1}, held(pfsquid, "lake")) == (0, True, expected)


def test_logs_and_sign_ins_are_collected_side_by_side_into_a_new_lake(pfsquid: Pfsquid, tmp_path: Path) -> None:
    log = log_of(tmp_path / "access.log", 1)
    bad = tmp_path / "signins.json"
    bad.write_bytes(SIGN_INS.read_bytes().replace(b'"createdDateTime"', b'"created"', 3))
    both = [pfsquid.forked("collect", "squid", "--from", log), pfsquid.forked("collect", "entra", "--from", bad)]
    assert [process.wait() for process in both] == [0, 0]
    assert (pfsquid.count("proxy"), pfsquid.count("signins"), pfsquid.count("rejects")) == (len(LINES), 72, 4)


def test_a_last_line_without_its_end_is_completed_not_doubled(pfsquid: Pfsquid, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(LINES[0] + LINES[2].rstrip(b"\n"))
    pfsquid("collect", "squid", "--from", log)
    log.write_bytes(LINES[0] + LINES[2].rstrip(b"\n") + b"+more\n" + LINES[3])
    pfsquid("collect", "squid", "--from", log)
    told = pfsquid("query", "--json", "--sql", "SELECT content_type FROM proxy ORDER BY source_offset").rows
    assert [row["content_type"] for row in told] == [None, "application/octet-stream+more", "text/html"]


def test_a_last_line_that_grows_into_a_bad_one_gives_way_to_its_reject(pfsquid: Pfsquid, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(LINES[0] + BAD + LINES[2].rstrip(b"\n"))
    pfsquid("collect", "squid", "--from", log)
    log.write_bytes(LINES[0] + BAD + LINES[2].rstrip(b"\n") + b" and more and more\n")
    pfsquid("collect", "squid", "--from", log)
    assert [row["n"] for row in held(pfsquid, pfsquid.lake)] == [1, 2]


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """A file system of that size; needs root."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a file system of its own needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.parametrize("kilobytes", [24, 180])
def test_a_full_disk_is_told_and_after_making_room_the_same_command_completes(
    pfsquid: Pfsquid, tmp_path: Path, kilobytes: int
) -> None:
    log = log_of(tmp_path / "access.log", 20)
    expected = undisturbed(pfsquid, log)
    with small_disk(tmp_path / "disk", kilobytes) as disk:
        full = pfsquid("collect", "squid", "--lake", disk / "lake", "--from", log)
        assert (full.status, "no space left for the lake" in full.err, "df -h" in full.err) == (1, True, True)
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        assert pfsquid("collect", "squid", "--lake", disk / "lake", "--from", log).status == 0
        assert held(pfsquid, disk / "lake") == expected


def test_a_full_disk_is_not_filled_further_by_what_was_begun(pfsquid: Pfsquid, tmp_path: Path) -> None:
    log = log_of(tmp_path / "access.log", 20)
    with small_disk(tmp_path / "disk", 200) as disk:
        pfsquid("collect", "squid", "--lake", disk / "lake", "--from", log)
        assert not list((disk / "lake").rglob("proxy/data/*.parquet"))


def test_the_same_sign_ins_again_replace_nothing_and_make_no_snapshot(pfsquid: Pfsquid) -> None:
    pfsquid("collect", "entra", "--from", SIGN_INS)
    before = sorted(pfsquid.lake.rglob("*"))
    run = pfsquid("collect", "entra", "--json", "--from", SIGN_INS)
    assert (run.rows[0]["rows"], run.rows[0]["unchanged"], sorted(pfsquid.lake.rglob("*"))) == (0, 75, before)


def test_the_recorded_week_is_read_whole(pfsquid: Pfsquid) -> None:
    run = pfsquid("collect", "squid", "--json", "--format", "pfsquid", "--from", RECORDED / "pfsquid.log")
    assert (run.rows[0]["rows"], run.rows[0]["rejects"]) == (len(LINES), 0)
