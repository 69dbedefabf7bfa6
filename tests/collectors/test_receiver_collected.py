"""From the socket to rows: each line that was taken is a row once, and what is no line is a reject with its reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from collectors.squid.access_log import compile_parser
from collectors.squid.collector import collect_logs
from collectors.squid.framing import KEPT, MARK, marked
from collectors.squid.logformat import FORMATS
from collectors.squid.receiver import Receiver
from collectors.squid.spool import SpoolLogs, spool_files
from tests.collectors.reading import Shelf, line, log
from tests.collectors.senders import connect, receiving, send, send_datagrams, until


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def test_rows_come_once_while_files_grow_and_are_closed_and_deleted(spool: Path) -> None:
    shelf, number = Shelf(), 0
    for _ in range(3):
        with receiving("tcp://127.0.0.1:0", spool, limit=40_000) as receiver, connect(receiver) as sender:
            logs = receiver.logs()
            for _ in range(6):
                sender.sendall(log(*range(number, number + 40)))
                number += 40
                until(lambda: shelf.read(logs) is not None and shelf.numbers == list(range(number)))  # noqa: B023
                receiver.done(shelf.known.values())
                assert len(spool_files(spool)) <= 2
    assert shelf.read(SpoolLogs(spool)) == []
    assert len(spool_files(spool)) == 1  # the last file, closed and read since
    with receiving("tcp://127.0.0.1:0", spool) as receiver:
        assert len(receiver.done(shelf.known.values())) == 1
        assert shelf.read(receiver.logs()) == []
        send(receiver, line(number))
        until(lambda: shelf.read(receiver.logs()) == [number])
    assert shelf.rejects == []


@pytest.mark.parametrize("followed", [True, False])
@pytest.mark.parametrize("cut", [-40, -1])
def test_the_half_line_of_a_killed_receiver_is_a_reject_even_where_it_was_read_as_a_row(
    spool: Path, followed: bool, cut: int
) -> None:
    spool.mkdir()
    shelf, path = Shelf(), spool / "received-20260101T000000.000000Z.log"
    path.write_bytes(log(0, 1, 2)[:cut])
    came = shelf.read(SpoolLogs(spool) if followed else path)
    assert came == ([0, 1] if followed or cut < -1 else [0, 1, 2])
    with receiving("tcp://127.0.0.1:0", spool) as receiver:
        send(receiver, line(3))
        until(lambda: receiver.stats().lines == 1)
        shelf.read(receiver.logs())
        assert shelf.numbers == [0, 1, 3]
        [reject] = shelf.rejects
        assert reject.raw == line(2)[:cut] + MARK + b"the receiver ended in the middle of this line"
        assert receiver.done(shelf.known.values()) == [path]


def test_a_line_in_syslog_is_the_row_of_the_line_without(spool: Path) -> None:
    shelf = Shelf()
    with receiving("udp://127.0.0.1:0", spool) as receiver:
        for number, header in enumerate(
            (b"<165>1 2026-11-16T09:00:00.123Z fw (squid-1) 7 - - ", b"<165>Nov 16 09:00:00 fw (squid-1)[7]: ", b"")
        ):
            send_datagrams(receiver, header + line(number))
        until(lambda: receiver.stats().lines == 3)
        assert shelf.read(receiver.logs()) == [0, 1, 2]
        assert shelf.rejects == []


@pytest.mark.parametrize("name", FORMATS)
def test_a_marked_line_is_a_reject_in_every_format(name: str) -> None:
    parser = compile_parser(FORMATS[name])
    for raw in (b"", line(1).rstrip(), b"<165>1 2026-11-16T09:00:00Z fw squid 7 - - " + line(1).rstrip(), b"x" * KEPT):
        rows, rejects = parser.read(marked(raw, "a reason"), 0, "source", None)
        assert (rows.num_rows, len(rejects)) == (0, 1)
        assert rejects[0].raw.endswith(MARK + b"a reason")
        assert rejects[0].reason == "broken off on the way: a reason"


def test_an_empty_spool_is_no_error(spool: Path) -> None:
    spool.mkdir()
    assert list(collect_logs(SpoolLogs(spool), "squid", {})) == []
    assert Receiver("tcp://127.0.0.1:0", spool).done([]) == []
