"""A lake opens in any folder, says what is wrong with one that will not do, and lets one writer in at a time."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pfsquid.errors import PfsquidError, WrongUse
from pfsquid.lake.catalog import CATALOG, explained, open_lake
from tests.running import ACCESS_LOG, Pfsquid

ODD_NAMES = ("Über wachung", "a#b", "100%", "a%20b", "what?", 'it\'s "the" lake', "a*b[1];c")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_lake_folder_may_have_any_name(pfsquid: Pfsquid, tmp_path: Path, name: str) -> None:
    assert pfsquid("collect", "squid", "--lake", name, "--from", ACCESS_LOG).status == 0
    told = pfsquid("query", "--lake", name, "--json", "--sql", "SELECT count(*) AS n FROM proxy")
    assert (told.status, told.rows) == (0, [{"n": 1131}])
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"home", name}


def test_two_lakes_whose_names_differ_by_an_escape_are_two(pfsquid: Pfsquid) -> None:
    pfsquid("collect", "squid", "--lake", "a b", "--from", ACCESS_LOG)
    assert pfsquid("query", "apps", "--lake", "a%20b").status == 2


def test_a_relative_lake_is_the_same_from_elsewhere(pfsquid: Pfsquid, tmp_path: Path) -> None:
    pfsquid("collect", "squid", "--lake", "lake", "--from", ACCESS_LOG)
    (tmp_path / "elsewhere").mkdir()
    run = Pfsquid(tmp_path / "elsewhere")("query", "--lake", "../lake", "--json", "--sql", "SELECT 1 AS n FROM proxy")
    assert (run.status, len(run.rows)) == (0, 1131)


def test_a_question_to_no_lake_is_wrong_use_and_makes_none(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="there is no lake in"):
        open_lake(tmp_path / "lake", make=False)
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize("make", [True, False])
def test_a_file_is_no_lake(tmp_path: Path, make: bool) -> None:
    (tmp_path / "lake").touch()
    with pytest.raises(WrongUse, match="is a file; a lake is a folder"):
        open_lake(tmp_path / "lake", make)


def test_a_folder_below_a_file_is_no_lake(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PfsquidError, match="cannot be used: Not a directory"):
        open_lake(tmp_path / "file" / "lake", make=True)


def test_a_catalog_of_a_killed_first_run_is_no_lake_yet_and_is_taken_up(tmp_path: Path) -> None:
    (tmp_path / CATALOG).touch()
    with pytest.raises(WrongUse, match="there is no lake in"), explained(tmp_path):
        open_lake(tmp_path, make=False).table("proxy")
    assert open_lake(tmp_path, make=True).table("proxy") is None


def test_a_table_lets_one_writer_in_at_a_time(tmp_path: Path) -> None:
    lake = open_lake(tmp_path, make=True)
    with (
        lake.writing("proxy"),
        pytest.raises(PfsquidError, match="another pfsquid is writing to the table proxy"),
        lake.writing("proxy"),
    ):
        pass


def test_writers_of_different_tables_do_not_meet(tmp_path: Path) -> None:
    lake = open_lake(tmp_path, make=True)
    with lake.writing("proxy"), lake.writing("signins"):
        pass


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(28, "No space left on device"), "no space left for the lake"),
        (OSError(122, "Disk quota exceeded"), "no space left for the lake"),
        (OSError(30, "Read-only file system"), "no access to the lake"),
        (PermissionError(13, "Permission denied"), "no access to the lake"),
        (OSError(5, "Input/output error"), "cannot be used: Input/output error"),
    ],
)
def test_what_goes_wrong_below_a_lake_is_told_with_a_next_step(error: OSError, told: str) -> None:
    with pytest.raises(PfsquidError, match=told) as caught, explained(Path("/srv/my lake")):
        raise error
    assert "'/srv/my lake'" in caught.value.next[0]


@pytest.fixture
def read_only(pfsquid: Pfsquid) -> Pfsquid:
    """A lake with rows on a mount that nobody can write to, seen through `unshare -m`; needs root."""
    assert pfsquid("collect", "squid", "--lake", "lake", "--from", ACCESS_LOG).status == 0
    if subprocess.run([*on_read_only(pfsquid), "true"], capture_output=True, check=False).returncode:
        pytest.skip("a mount of its own needs root")
    return pfsquid


def on_read_only(pfsquid: Pfsquid) -> tuple[str, ...]:
    lake = pfsquid.folder / "lake"
    mount = f"mount --bind '{lake}' '{lake}' && mount -o remount,ro,bind '{lake}' && exec \"$@\""
    return ("unshare", "--mount", "sh", "-c", mount, "sh")


def test_a_read_only_lake_answers(read_only: Pfsquid) -> None:
    run = read_only.finished("query", "apps", "--lake", "lake", before=on_read_only(read_only))
    assert (run.status, "Dropbox" in run.out) == (0, True)


def test_a_read_only_lake_refuses_rows_and_says_why(read_only: Pfsquid) -> None:
    words = ("collect", "squid", "--lake", "lake", "--from", ACCESS_LOG)
    run = read_only.finished(*words, before=on_read_only(read_only))
    assert (run.status, "no access to the lake" in run.err, "Read-only file system" in run.err) == (1, True, True)


@pytest.fixture
def of_root(pfsquid: Pfsquid) -> tuple[Pfsquid, tuple[str, ...]]:
    """A lake of root's that others may read, and how to be somebody else."""
    nobody = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
    assert pfsquid("collect", "squid", "--lake", "lake", "--from", ACCESS_LOG).status == 0
    for folder in (pfsquid.folder, *pfsquid.folder.parents):
        if folder.stat().st_uid == os.getuid() and folder.name.startswith(("test_", "popen-", "pytest-")):
            folder.chmod(0o755)
    try:
        if pfsquid.finished("--version", before=nobody).status:
            pytest.skip("to be somebody else needs root, and a Python that others may use")
    except FileNotFoundError:
        pytest.skip("to be somebody else needs setpriv")
    return pfsquid, nobody


def test_a_lake_of_somebody_elses_answers(of_root: tuple[Pfsquid, tuple[str, ...]]) -> None:
    program, nobody = of_root
    run = program.finished("query", "apps", "--lake", "lake", before=nobody)
    assert (run.status, "Dropbox" in run.out) == (0, True)


def test_a_lake_of_somebody_elses_refuses_rows_and_says_why(of_root: tuple[Pfsquid, tuple[str, ...]]) -> None:
    program, nobody = of_root
    run = program.finished("collect", "squid", "--lake", "lake", "--from", ACCESS_LOG, before=nobody)
    assert (run.status, "no access to the lake" in run.err, "ls -ld" in run.err) == (1, True, True)


def test_a_lake_that_may_not_be_seen_is_told(of_root: tuple[Pfsquid, tuple[str, ...]]) -> None:
    program, nobody = of_root
    (program.folder / "home").chmod(0o700)
    run = program.finished("query", "apps", before=nobody)
    assert (run.status, "no access to the lake" in run.err) == (1, True)
