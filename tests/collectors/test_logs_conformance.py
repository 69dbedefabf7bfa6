"""What every place of logs keeps to, be it a folder, a pattern, a path or a firewall: no line lost, none twice."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from collectors.squid.follow import SourceError
from collectors.squid.logs import GoneError, Logs
from collectors.squid.places import local_logs
from collectors.squid.remote import RemoteLogs
from pfsquid.firewall.remote_log import LogReader
from tests.collectors.reading import Shelf, line, log
from tests.firewall.local_php import local_pfsense

LONG = range(100)  # about 8 KB: more than the bytes that a digest covers
SHORT = range(3)
SIZES = pytest.mark.parametrize("numbers", [SHORT, LONG], ids=["short", "long"])
Place = Callable[[], Logs]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


@pytest.fixture(params=["folder", "pattern", "path", "firewall"])
def place(request: pytest.FixtureRequest, path: Path) -> Iterator[Place]:
    """Makes a new view of the place where `path` is, as a restart of pfsquid does."""
    with ExitStack() as stack:

        def made() -> Logs:
            if request.param == "firewall":
                reader = stack.enter_context(LogReader(local_pfsense))
                return RemoteLogs("office", str(path), reader)
            named: dict[str, str | Path] = {"folder": path.parent, "pattern": f"{path}*", "path": path}
            return local_logs(named[request.param], follow=True)

        yield made


def turned(path: Path, keep: int = 9) -> None:
    """As Squid rotates: .1 becomes .2, .0 becomes .1, the log becomes .0."""
    for number in range(keep - 1, -1, -1):
        former = path.with_name(f"{path.name}.{number - 1}") if number else path
        if former.exists():
            former.rename(path.with_name(f"{path.name}.{number}"))


def squeezed(path: Path) -> None:
    """As compress tools do it: a new file, and the old one deleted."""
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), 1, mtime=0))
    path.unlink()


def test_each_line_is_there_once_and_the_oldest_log_comes_first(place: Place, path: Path) -> None:
    path.write_bytes(log(7, 8))
    Path(f"{path}.0").write_bytes(log(5, 6))
    Path(f"{path}.1").write_bytes(log(3, 4))
    Path(f"{path}.10").write_bytes(log(1, 2))
    shelf, logs = Shelf(), place()
    assert shelf.read(logs) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert (shelf.read(logs), shelf.read(place())) == ([], [])


def test_dates_in_names_are_followed_too(place: Place, path: Path) -> None:
    path.write_bytes(log(7, 8))
    Path(f"{path}-20261123").write_bytes(log(5, 6))
    Path(f"{path}-20261122.gz").write_bytes(gzip.compress(log(3, 4)))
    Path(f"{path}-20261121.zst").write_bytes(pa.Codec("zstd").compress(log(1, 2), asbytes=True))
    shelf = Shelf()
    assert shelf.read(place()) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert shelf.read(place()) == []


def test_what_did_not_change_is_not_opened(place: Place, path: Path) -> None:
    path.write_bytes(log(*LONG))
    Path(f"{path}.0").write_bytes(log(200))
    for one in path.parent.iterdir():
        os.utime(one, (1, 1))
    shelf, logs = Shelf(), place()
    assert len(list(logs.changed(shelf.known))) == 2
    shelf.read(logs)
    assert list(logs.changed(shelf.known)) == []
    assert logs.remaining(shelf.known) == 0


def test_what_remains_is_told(place: Place, path: Path) -> None:
    path.write_bytes(log(*LONG))
    shelf, logs = Shelf(), place()
    list(logs.changed({}))
    assert logs.remaining({}) == len(log(*LONG))
    shelf.read(logs)
    assert logs.remaining(shelf.known) == 0


@SIZES
def test_a_growing_log_gives_what_is_new(place: Place, path: Path, numbers: range) -> None:
    shelf, logs = Shelf(), place()
    for end in range(1, len(numbers), 7):
        path.write_bytes(log(*numbers[:end]))
        shelf.read(logs)
    path.write_bytes(log(*numbers))
    shelf.read(logs)
    assert shelf.numbers == list(numbers)
    assert len(shelf.known) == 1


@SIZES
def test_a_rotated_log_is_finished_first(place: Place, path: Path, numbers: range) -> None:
    shelf, logs = Shelf(), place()
    path.write_bytes(log(*numbers))
    shelf.read(logs)
    path.write_bytes(log(*numbers, 300))
    turned(path)
    path.write_bytes(log(301))
    assert shelf.read(logs) == [300, 301]


@SIZES
@pytest.mark.parametrize("restarted", [False, True])
def test_days_of_absence_lose_nothing(place: Place, path: Path, numbers: range, restarted: bool) -> None:
    shelf, logs = Shelf(), place()
    path.write_bytes(log(*numbers))
    shelf.read(logs)
    path.write_bytes(log(*numbers, 300))
    for day in range(4):
        turned(path)
        path.write_bytes(log(400 + day, 500 + day))
        if day == 3:
            squeezed(Path(f"{path}.2"))
    assert shelf.read(place() if restarted else logs) == [300, 400, 500, 401, 501, 402, 502, 403, 503]


@SIZES
def test_a_rotation_between_listing_and_reading_loses_and_doubles_nothing(
    place: Place, path: Path, numbers: range
) -> None:
    shelf, logs = Shelf(), place()
    path.write_bytes(log(*numbers))
    Path(f"{path}.0").write_bytes(log(200, 201))

    def rotate() -> None:
        if not Path(f"{path}.1").exists():
            turned(path)
            path.write_bytes(log(300))

    shelf.read(logs, between=rotate)
    shelf.read(logs)
    assert shelf.numbers == sorted([*numbers, 200, 201, 300])


def test_a_log_that_is_deleted_between_listing_and_reading_is_no_error(place: Place, path: Path) -> None:
    path.write_bytes(log(1))
    Path(f"{path}.0").write_bytes(log(2))
    logs = place()
    first, _ = list(logs.changed({}))
    Path(f"{path}.0").unlink()
    with pytest.raises(GoneError):
        first.open().read(1)
    shelf = Shelf()
    assert shelf.read(logs, between=lambda: None) == [1]


@SIZES
@pytest.mark.parametrize("more", [SHORT, LONG], ids=["fewer", "more"])
def test_a_truncated_log_begins_anew(place: Place, path: Path, numbers: range, more: range) -> None:
    shelf, logs = Shelf(), place()
    path.write_bytes(log(*numbers))
    shelf.read(logs)
    os.truncate(path, 0)
    shelf.read(logs)
    new = [number + 500 for number in more]
    with path.open("ab") as stream:
        stream.write(log(*new))
    assert shelf.read(logs) == new


@SIZES
def test_a_log_that_was_made_anew_is_read_whole(place: Place, path: Path, numbers: range) -> None:
    shelf, logs = Shelf(), place()
    path.write_bytes(log(*numbers))
    shelf.read(logs)
    path.unlink()
    path.write_bytes(log(*(number + 500 for number in numbers)))  # as long, and perhaps with the same inode
    assert shelf.read(logs) == [number + 500 for number in numbers]


@SIZES
def test_a_log_that_is_copied_and_truncated_loses_nothing_that_was_copied(
    place: Place, path: Path, numbers: range
) -> None:
    shelf, logs = Shelf(), place()
    path.write_bytes(log(*numbers))
    shelf.read(logs)
    path.write_bytes(log(*numbers, 300))
    shutil.copy(path, f"{path}.0")
    os.truncate(path, 0)
    with path.open("ab") as stream:
        stream.write(log(400))
    assert shelf.read(logs) == [300, 400]
    assert shelf.read(place()) == []


@SIZES
def test_an_older_and_shorter_copy_brings_nothing(place: Place, path: Path, numbers: range) -> None:
    shelf, logs = Shelf(), place()
    path.write_bytes(log(*numbers))
    shelf.read(logs)
    for cut in (1, 40, 100, 150, 160, len(log(*numbers)) - 1):
        Path(f"{path}.{cut}").write_bytes(log(*numbers)[:cut])
    assert (shelf.read(logs), shelf.read(place()), shelf.rejects) == ([], [], [])
    path.write_bytes(log(*numbers, 300))
    assert shelf.read(logs) == [300]


@SIZES
def test_two_copies_that_are_new_in_one_round_are_one_log(place: Place, path: Path, numbers: range) -> None:
    Path(f"{path}.8").write_bytes(log(*numbers[:2]))
    Path(f"{path}.7").write_bytes(log(*numbers)[:-30])
    path.write_bytes(log(*numbers, 300))
    shelf = Shelf()
    shelf.read(place())
    assert (shelf.numbers, len(shelf.known)) == ([*numbers, 300], 1)


def test_a_log_that_is_written_again_from_its_beginning_is_the_same(place: Place, path: Path) -> None:
    """As a tool does that copies a log anew each hour, in place."""
    whole = log(*LONG)
    shelf, logs = Shelf(), place()
    path.write_bytes(whole)
    shelf.read(logs)
    for size in (0, 10, 70, 1000, 5000, len(whole) - 1, len(whole)):
        path.write_bytes(whole[:size])
        assert shelf.read(logs) == []
    path.write_bytes(whole + log(300))
    assert shelf.read(logs) == [300]


def test_a_reboot_with_the_logs_in_memory_begins_anew(place: Place, path: Path) -> None:
    shelf, logs = Shelf(), place()
    path.write_bytes(log(*LONG))
    Path(f"{path}.0").write_bytes(log(200))
    shelf.read(logs)
    for one in list(path.parent.iterdir()):
        one.unlink()
    with pytest.raises(SourceError, match=r"there is no (log|file)"):
        shelf.read(logs)
    path.write_bytes(log(300))
    assert shelf.read(logs) == [300]


@SIZES
def test_the_last_line_of_a_live_log_waits_for_its_end(place: Place, path: Path, numbers: range) -> None:
    shelf, logs = Shelf(), place()
    whole = log(*numbers, 300)
    path.write_bytes(whole[:-1])  # it would read as a row, and perhaps as a wrong one
    assert shelf.read(logs) == [*numbers]
    path.write_bytes(whole + line(301)[:-3])
    assert shelf.read(logs) == [300]
    path.write_bytes(whole + line(301))
    assert (shelf.read(logs), shelf.rejects) == ([301], [])


@SIZES
def test_the_last_line_of_a_finished_log_does_not_wait(place: Place, path: Path, numbers: range) -> None:
    shelf, logs = Shelf(), place()
    path.write_bytes(log(*numbers, 300)[:-1])
    os.utime(path, (1, 1))
    assert shelf.read(logs) == [*numbers]
    turned(path)
    assert shelf.read(logs) == [300]
    Path(f"{path}.0").write_bytes(log(*numbers, 300, 301))  # a second worker of Squid was late
    assert shelf.read(logs) == [301]


@SIZES
@pytest.mark.parametrize("same", [True, False], ids=["goes-on", "restarted"])
def test_what_was_read_and_not_committed_comes_again(place: Place, path: Path, numbers: range, same: bool) -> None:
    shelf, logs = Shelf(), place()
    Path(f"{path}.1").write_bytes(log(200))
    Path(f"{path}.0").write_bytes(log(201))
    path.write_bytes(log(*numbers))
    for one in path.parent.iterdir():
        os.utime(one, (1, 1))
    for count in range(3):
        lost = Shelf()
        lost.known = dict(shelf.known)
        lost.read(logs)  # and nobody commits it
        assert len(list(logs.changed(shelf.known))) == 3 - len(shelf.known)
        shelf.read(logs, until=count)
        logs = logs if same else place()
    shelf.read(logs)
    assert shelf.numbers == sorted([200, 201, *numbers])


def test_what_grew_and_was_not_committed_comes_again(place: Place, path: Path) -> None:
    shelf, logs = Shelf(), place()
    path.write_bytes(log(*LONG))
    shelf.read(logs)
    path.write_bytes(log(*LONG, 300))
    os.utime(path, (1, 1))
    lost = Shelf()
    lost.known = dict(shelf.known)
    assert lost.read(logs) == [300]
    assert shelf.read(logs) == [300]


def test_a_damaged_log_is_told_once_and_does_not_hinder_the_others(place: Place, path: Path) -> None:
    packed = gzip.compress(log(*LONG), 1, mtime=0)
    Path(f"{path}.0.gz").write_bytes(packed[: len(packed) * 2 // 3])
    path.write_bytes(log(300))
    for one in path.parent.iterdir():
        os.utime(one, (1, 1))
    shelf, logs = Shelf(), place()
    with pytest.raises(SourceError, match="is damaged after byte"):
        shelf.read(logs)
    assert 300 in shelf.numbers
    assert 1 < len(shelf.numbers) < len(LONG)
    assert shelf.read(logs) == []
    Path(f"{path}.0.gz").write_bytes(packed)
    shelf.read(logs)
    assert shelf.numbers == [*LONG, 300]


def test_a_position_is_written_anew_while_its_log_is_still_there(place: Place, path: Path) -> None:
    path.write_bytes(log(1))
    os.utime(path, (1, 1))
    shelf, logs = Shelf(), place()
    shelf.read(logs)
    ((source, position),) = shelf.known.items()
    assert shelf.batches == 1
    for old in ("", "2026-01-01T00:00:00+00:00"):
        shelf.known = {source: replace(position, read_at=old)}
        shelf.read(logs)
        assert shelf.known[source].read_at == position.read_at
        assert shelf.known == {source: position}
    assert shelf.batches == 3
