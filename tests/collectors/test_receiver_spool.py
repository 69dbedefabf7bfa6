"""The spool is bounded, survives a death at any moment, and loses a file only once that is read whole."""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collectors.batch import Position
from collectors.squid import spool as module
from collectors.squid.follow import PRINT, SourceError, digest
from collectors.squid.framing import MARK
from collectors.squid.spool import Spool, remove_read, spool_files
from tests.collectors.senders import connect, receiving, send, send_datagrams, spooled, until

LINE = b"x" * 99 + b"\n"
HALF = MARK + b"the receiver ended in the middle of this line\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def opened(folder: Path, limit: int = 1 << 20, now: Callable[[], float] = time.time, **more: Any) -> Spool:
    spool = Spool(folder, limit, now, **more)
    spool.open()
    return spool


def read(data: bytes) -> Position:
    """The position of a reader that has read so much of a log."""
    return Position(len(data), digest(data[:PRINT]), min(PRINT, len(data)), digest(data[-PRINT:]))


class Clock:
    """A time of day that the test sets."""

    def __init__(self, now: float = 1_795_505_945.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def test_a_new_file_begins_at_the_size_and_each_day(folder: Path) -> None:
    clock = Clock()
    spool = opened(folder, limit=4000, now=clock)  # files of 1,000 bytes
    for _ in range(11):
        spool.append(LINE)
        clock.now += 1
    assert [file.stat().st_size for file in spool_files(folder)] == [1000, 100]
    clock.now += 86_400
    spool.look()
    assert spool.current is None  # so that it can be deleted without another line
    spool.append(LINE)
    assert len(spool_files(folder)) == 3
    assert spool.close() == 0


def test_files_stay_in_their_order_though_the_clock_is_set_back(folder: Path) -> None:
    clock = Clock()
    for number in range(3):
        spool = opened(folder, now=clock)
        spool.append(b"%d\n" % number)
        spool.close()
        clock.now -= 3600
    assert spooled(folder) == b"0\n1\n2\n"


def test_folder_and_files_are_private(folder: Path) -> None:
    spool = opened(folder)
    spool.append(LINE)
    spool.close()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_a_file_is_deleted_once_it_is_closed_and_read_whole(folder: Path) -> None:
    with receiving("tcp://127.0.0.1:0", folder) as receiver:
        send(receiver, LINE * 100)
        until(lambda: receiver.stats().lines == 100)
        assert receiver.done([read(LINE * 100)]) == []  # it grows still
        receiver.stop()
        assert receiver.done([read(LINE * 99), read(b"y" + LINE * 100), Position(0)]) == []
        assert len(receiver.done([read(b"other\n"), read(LINE * 100)])) == 1
        assert spool_files(folder) == []


def test_a_file_whose_last_line_was_read_before_its_end_came_is_deleted(folder: Path) -> None:
    folder.mkdir()
    (folder / "received-1.log").write_bytes(b"a\nb\n")
    last = read(b"a\nb")
    assert remove_read(spool_files(folder), [last]) == []
    assert len(remove_read(spool_files(folder), [Position(3, last.head, 3, last.tail, unended=2)])) == 1


def test_the_half_line_of_a_killed_receiver_is_marked_by_the_next(folder: Path) -> None:
    folder.mkdir()
    (folder / "received-20260101T000000.000000Z.log").write_bytes(b"whole\nhalf")
    (folder / "received-20260101T000000.000001Z.log").write_bytes(b"")
    with receiving("tcp://127.0.0.1:0", folder) as receiver:
        send(receiver, b"new\n")
        until(lambda: receiver.stats().lines == 1)
        assert spooled(folder) == b"whole\nhalf" + HALF + b"new\n"
        assert receiver.stats().bad == 1
        assert len(spool_files(folder)) == 2


def test_a_full_spool_holds_senders_back_and_goes_on_when_it_is_read(folder: Path) -> None:
    stream = b"".join(b"%0999d\n" % number for number in range(13_000))  # 13 MB: more than the sockets hold
    got = b""
    with receiving("tcp://127.0.0.1:0", folder, limit=4_000_000) as receiver, connect(receiver) as sender:
        sender.setblocking(False)
        sent, quiet = 0, time.monotonic()
        while time.monotonic() - quiet < 0.3:
            try:
                sent += sender.send(stream[sent : sent + 65536])
                quiet = time.monotonic()
            except BlockingIOError:
                time.sleep(0.01)
        assert sent < len(stream)
        assert receiver.stats().full
        assert receiver.stats().spool_bytes < 4_600_000

        def go_on() -> bool:
            nonlocal got, sent
            whole = {file: file.read_bytes() for file in spool_files(folder)}
            got += b"".join(whole[file] for file in receiver.done(map(read, whole.values())))
            with contextlib.suppress(BlockingIOError):
                sent += sender.send(stream[sent : sent + 65536])
            if receiver.stats().bytes == len(stream):
                receiver.stop()  # closes the last file
            return len(got) >= len(stream)

        until(go_on)
    assert got == stream


def test_datagrams_that_find_the_spool_full_are_counted(folder: Path) -> None:
    with receiving("udp://127.0.0.1:0", folder, limit=1000) as receiver:
        send_datagrams(receiver, LINE * 10)
        until(lambda: receiver.stats().full)
        send_datagrams(receiver, LINE, LINE)
        until(lambda: receiver.stats().dropped == 2)
        assert "datagrams are dropped" in receiver.stats().problem
        assert spooled(folder) == LINE * 10


def test_a_full_disk_holds_senders_back_and_no_byte_is_lost_or_doubled(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = 1050  # half a line's worth more than ten lines

    def write(file: int, data: bytes) -> int:
        nonlocal room
        if room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = os.write(file, data[:room])
        room -= written
        return written

    monkeypatch.setattr(module, "os", _Os(write))
    with receiving("tcp://127.0.0.1:0", folder) as receiver:
        send(receiver, LINE * 20)
        until(lambda: "No space left on device" in receiver.stats().problem)
        assert receiver.stats().full
        assert len(spooled(folder)) == 1050
        room = 1 << 20
        until(lambda: spooled(folder) == LINE * 20)
        assert not receiver.stats().full
        room = 0
        send(receiver, LINE * 3)
        until(lambda: receiver.stats().full)
        receiver.stop()
        assert receiver.stats().lost == 3


class _Os:
    """The module os with another write."""

    def __init__(self, write: Callable[[int, bytes], int]) -> None:
        self.write = write

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


@pytest.mark.parametrize("sync", [0.0, 0.02])
def test_lines_are_brought_to_the_disk(folder: Path, sync: float, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(file))
    with receiving("tcp://127.0.0.1:0", folder, sync=sync) as receiver:
        send(receiver, LINE)
        until(lambda: len(synced) >= 2)  # the folder with the new file, the file


def test_a_spool_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match="cannot be used: Not a directory"):
        Spool(tmp_path / "file/spool", 1000).open()


def _receive(folder: Path, port: Any) -> None:
    with receiving("tcp://127.0.0.1:0", folder, limit=1 << 30) as receiver:
        port.value = receiver.port
        time.sleep(60)


def test_a_receiver_killed_at_random_moments_leaves_whole_lines_in_order(folder: Path) -> None:
    """What was taken is there, line after line, with at most one marked half line for each death."""
    context = multiprocessing.get_context("fork")
    for death in range(3):
        port = context.Value("i", 0)
        process = context.Process(target=_receive, args=(folder, port))
        process.start()
        until(lambda: port.value != 0)  # noqa: B023 - called here and now
        number = 0
        with socket.create_connection(("127.0.0.1", port.value)) as sender:
            end = time.monotonic() + 0.05 + 0.07 * death
            while time.monotonic() < end:
                sender.sendall(b"".join(b"%d %09d %s\n" % (death, number + one, b"x" * 50) for one in range(500)))
                number += 500
            os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        process.close()
        opened(folder).close()
        lines = [line for file in spool_files(folder) for line in file.read_bytes().splitlines()]
        sound = [line for line in lines if MARK not in line and line.startswith(b"%d " % death)]
        assert sound
        numbers = [int(line.split()[1]) for line in sound]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert len(lines) - len([line for line in lines if MARK not in line]) <= death + 1
