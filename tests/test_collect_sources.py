"""`collect squid --from` a folder, a pattern, a pipe, packed files: each line once, however it is given again."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from tests.running import ACCESS_LOG, Pfsquid

LINES = ACCESS_LOG.read_bytes().splitlines(keepends=True)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A folder of 100 lines in four rotated logs, and what else stands there."""
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "access.log").write_bytes(b"".join(LINES[90:100]))
    (folder / "access.log.0").write_bytes(b"".join(LINES[50:90]))
    (folder / "access.log.1.gz").write_bytes(gzip.compress(b"".join(LINES[20:50])))
    (folder / "access.log.2.zst").write_bytes(pa.Codec("zstd").compress(b"".join(LINES[:20]), asbytes=True))
    (folder / "cache.log").write_text("2026/11/20 09:15:30 kid1| Starting\n")
    (folder / ".access.log.swp").write_bytes(b"\0")
    return folder


def piped(pfsquid: Pfsquid, data: bytes) -> int:
    """Give it on standard input."""
    words = [sys.executable, "-m", "pfsquid", "collect", "squid", "--from", "-"]
    done = subprocess.run(words, input=data, cwd=pfsquid.folder, env=pfsquid.environment(), check=False, timeout=60)
    return done.returncode


@pytest.mark.parametrize("given", ["logs", "logs/access.log*"])
def test_a_folder_and_a_pattern_name_all_logs_oldest_first(pfsquid: Pfsquid, logs: Path, given: str) -> None:
    run = pfsquid("collect", "squid", "--json", "--from", given)
    assert run.status == 0, run.err
    assert [(Path(row["file"]).name, row["rows"]) for row in run.rows] == [
        ("access.log.2.zst", 20),
        ("access.log.1.gz", 30),
        ("access.log.0", 40),
        ("access.log", 10),
    ]
    again = pfsquid("collect", "squid", "--json", "--from", given)
    assert (again.status, sum(row["rows"] for row in again.rows), pfsquid.count("proxy")) == (0, 0, 100)


def test_a_bad_file_in_a_folder_does_not_hinder_the_others(pfsquid: Pfsquid, logs: Path) -> None:
    (logs / "access.log.0").write_bytes(b'{"a": 1}\n')
    run = pfsquid("collect", "squid", "--json", "--from", "logs")
    assert (run.status, "is JSON" in run.err, pfsquid.count("proxy")) == (2, True, 60)


def test_a_pipe_is_read_and_again_adds_nothing(pfsquid: Pfsquid) -> None:
    whole = b"".join(LINES[:200])
    assert (piped(pfsquid, whole), pfsquid.count("proxy")) == (0, 200)
    assert (piped(pfsquid, whole), pfsquid.count("proxy")) == (0, 200)
    assert (piped(pfsquid, gzip.compress(whole)), pfsquid.count("proxy")) == (0, 200)
    assert (piped(pfsquid, whole + LINES[200]), pfsquid.count("proxy")) == (0, 201)


def test_a_pipe_after_its_file_adds_nothing(pfsquid: Pfsquid, logs: Path) -> None:
    assert pfsquid("collect", "squid", "--from", "logs/access.log.0").status == 0
    assert (piped(pfsquid, (logs / "access.log.0").read_bytes()), pfsquid.count("proxy")) == (0, 40)


def test_an_empty_pipe_is_no_error(pfsquid: Pfsquid) -> None:
    assert piped(pfsquid, b"") == 0
