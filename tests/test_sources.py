"""The sources of a configuration at work: what a port counts, which log of a firewall is read, and what only once."""

from __future__ import annotations

import gzip
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Hashable
from pathlib import Path

import pytest

from collectors.batch import Batch, Position
from collectors.squid.collector import Pace
from collectors.squid.follow import SourceError
from collectors.squid.logs import Place
from collectors.squid.remote import RemoteLogs
from pfsquid.config import Config
from pfsquid.firewall.remote_log import LogReader
from pfsquid.lake.catalog import Lake, open_lake
from pfsquid.lake.ingest import Ingested, ingest, positions
from pfsquid.lake.live import follow, once
from pfsquid.lake.seen import Seen
from pfsquid.lake.state import State
from pfsquid.log_choice import Choice, chosen_log, read_last
from pfsquid.streams import Following, streams_of
from tests.firewall.local_php import PHP, Transport, local_pfsense
from tests.lake.rows import proxy_rows
from tests.running import ACCESS_LOG

LINES = ACCESS_LOG.read_bytes().splitlines(keepends=True)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake", make=True)


def until(true: Callable[[], object], seconds: float = 8) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


def test_what_a_port_counts_stands_in_its_state_also_after_its_end(lake: Lake, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = Config.model_validate({"collect": {"squid": {"port": {"listen": f"tcp://127.0.0.1:{port}"}}}})
    [stream] = streams_of(settings, tmp_path, lake)
    state, stop = State("port", stream.place, time.time()), threading.Event()
    thread = threading.Thread(target=follow, args=(lake, stream, 0.1, stop, lambda _: None, state))
    thread.start()
    try:
        until(lambda: state.received is not None)
        with socket.create_connection(("127.0.0.1", port)) as sender:
            sender.sendall(b"".join(LINES[:3]))
            until(lambda: state.rows == 3 and state.received and state.received["connections"] == 1)
    finally:
        stop.set()
        thread.join()
    counts = state.received or {}
    assert (counts["lines"], counts["accepted"], counts["connections"], counts["full"]) == (3, 1, 0, 0)
    assert counts["spool_bytes"] == sum(map(len, LINES[:3]))
    assert isinstance(state.received, dict)
    assert state.losing is None


@pytest.mark.parametrize(
    ("before", "now", "loses"),
    [
        (None, {"dropped": 0, "lost": 0}, False),
        (None, {"dropped": 1, "lost": 0}, True),
        ({"dropped": 1, "lost": 0}, {"dropped": 1, "lost": 0}, False),
        ({"dropped": 1, "lost": 0}, {"dropped": 1, "lost": 4}, True),
        ({"dropped": 7, "lost": 0}, {"dropped": 0, "lost": 0}, False),  # opened anew
        ({"dropped": 7, "lost": 0}, {"dropped": 2, "lost": 0}, True),  # opened anew, and dropping again
    ],
)
def test_the_moment_of_the_last_loss_is_known(before: dict[str, int] | None, now: dict[str, int], loses: bool) -> None:
    state = State("port", "here", 1.0, received=before)
    state.has_received(now, 5.0)
    assert (state.losing, state.received) == (5.0 if loses else None, now)


CONF = "logformat pfsquid %ts %ru\naccess_log /var/squid/logs/access.log squid\n"
BOTH = CONF + "access_log /var/squid/logs/pfsquid.log logformat=pfsquid\n"
ACCESS, OWN = "/var/squid/logs/access.log", "/var/squid/logs/pfsquid.log"


@pytest.mark.parametrize(
    ("conf", "path", "before", "chosen", "remark"),
    [
        (CONF, None, "", ACCESS, ""),
        (BOTH, None, "", OWN, ""),
        (BOTH, None, ACCESS, ACCESS, f"goes on with {ACCESS}"),
        (BOTH, None, "access.log", ACCESS, f"goes on with {ACCESS}"),
        (BOTH, None, "pfsquid.log", OWN, ""),
        (CONF, None, OWN, ACCESS, f"Squid writes no {OWN} any more: {ACCESS} is read"),
        (BOTH, OWN, ACCESS, OWN, ""),
        (BOTH, "/elsewhere.log", ACCESS, "/elsewhere.log", ""),
    ],
)
def test_a_firewall_source_stays_with_the_log_that_it_read(
    conf: str, path: str | None, before: str, chosen: str, remark: str
) -> None:
    found = chosen_log(conf, path, "auto", "fw", before)
    assert found.path == chosen
    assert found.remark.startswith(remark) and bool(found.remark) == bool(remark)


def test_what_was_read_last_is_known_from_the_lake() -> None:
    known = {
        "office/access.log#12ab": Position(5, origin="office", read_at="2026-11-20T10:00:00+00:00"),
        "office/pfsquid.log#34cd-2": Position(5, origin="office", read_at="2026-11-21T10:00:00+00:00"),
        "branch/other.log#56ef": Position(5, origin="branch", read_at="2026-11-22T10:00:00+00:00"),
        "access.log#7890": Position(5, read_at="2026-11-23T10:00:00+00:00"),
    }
    assert [read_last(known, name) for name in ("office", "branch", "new")] == ["pfsquid.log", "other.log", ""]


def test_a_choice_lasts_over_connections_and_processes_and_is_told_once(lake: Lake) -> None:
    said: list[tuple[str, str]] = []

    def choice() -> Choice:
        return Choice("office", lake, lambda name, text: said.append((name, text)))

    one = choice()
    assert one.of(CONF, None, "auto", "fw")[0] == ACCESS
    assert [one.of(BOTH, None, "auto", "fw")[0] for _ in range(3)] == [ACCESS] * 3
    assert [(name, text.partition(",")[0]) for name, text in said] == [("office", f"goes on with {ACCESS}")]
    position = Position(100, origin="office", read_at="2026-11-20T10:00:00+00:00")
    ingest(lake, [Batch("proxy", proxy_rows(0), "office/access.log#12ab", position)], Ingested())
    assert choice().of(BOTH, None, "auto", "fw")[0] == ACCESS


def packed_and_damaged(folder: Path) -> None:
    """A log, an older one that is packed, and one that is packed and cut in its middle."""
    whole = gzip.compress(b"".join(LINES[10:200]))
    (folder / "access.log").write_bytes(b"".join(LINES[:10]))
    (folder / "access.log.0.gz").write_bytes(whole)
    (folder / "access.log.1.gz").write_bytes(gzip.compress(b"".join(LINES[200:900]))[:-4000])
    for path in folder.glob("access.log*"):
        os.utime(path, (time.time() - 60,) * 2)


def test_packed_logs_are_read_once_and_damage_is_told_once_also_by_a_new_process(lake: Lake, tmp_path: Path) -> None:
    packed_and_damaged(tmp_path)
    squid = {"office": {"path": str(tmp_path / "access.log"), "format": "squid"}}
    settings = Config.model_validate({"collect": {"squid": squid}})
    told = [once(lake, *streams_of(settings, tmp_path, lake)) for _ in range(3)]
    assert "access.log.1.gz is damaged" in told[0].error
    assert [one.error for one in told[1:]] == ["", ""]
    assert [one.rows for one in told][1:] == [0, 0]
    os.utime(tmp_path / "access.log.1.gz")
    assert "is damaged" in once(lake, *streams_of(settings, tmp_path, lake)).error  # it is another state of it


def test_another_format_is_another_look(lake: Lake, tmp_path: Path) -> None:
    packed_and_damaged(tmp_path)

    def errors(format_name: str) -> str:
        squid = {"office": {"path": str(tmp_path / "access.log"), "format": format_name}}
        settings = Config.model_validate({"collect": {"squid": squid}})
        return once(lake, *streams_of(settings, tmp_path, lake)).error

    assert 'is in Squid\'s "squid" format' in errors("combined")
    assert errors("combined") == ""
    assert "is damaged" in errors("squid")


@pytest.mark.parametrize(
    "content", ["", "{", '{"made": "x"}', '{"made": "x", "logs": [[1]]}', '{"made": "x", "logs": 5}']
)
def test_what_was_seen_may_be_anything_and_nothing_is_lost(tmp_path: Path, content: str) -> None:
    (tmp_path / ".seen").mkdir()
    (tmp_path / ".seen/office.json").write_text(content)
    seen = Seen(tmp_path, "office", "x")
    assert seen.read() == {}
    places: dict[Hashable, Place] = {(1, 2): Place((1, 2, 3), "a#1", 5, b"before")}
    seen.keep(places)
    assert Seen(tmp_path, "office", "x").read() == {(1, 2): Place((1, 2, 3), "a#1", 5)}
    assert Seen(tmp_path, "office", "y").read() == {}


def test_a_log_that_the_lake_does_not_have_is_read_whatever_was_seen(tmp_path: Path) -> None:
    packed_and_damaged(tmp_path)
    (tmp_path / "access.log.1.gz").unlink()
    rows = []
    for number in range(2):
        whole = open_lake(tmp_path / f"lake{number}", make=True)
        settings = Config.model_validate({"collect": {"squid": {"office": {"path": str(tmp_path / "access.log")}}}})
        if number:
            shutil.copytree(tmp_path / "lake0/.seen", tmp_path / "lake1/.seen")
        rows.append(once(whole, *streams_of(settings, tmp_path, whole)).rows)
    assert rows == [200, 200]


@pytest.mark.skipif(PHP is None, reason="needs PHP")
def test_a_packed_log_of_a_firewall_travels_once(lake: Lake, tmp_path: Path) -> None:
    packed_and_damaged(tmp_path)
    transport, rounds = Transport(), []
    with LogReader(lambda: local_pfsense(transport)) as reader:
        for _ in range(3):
            before, known = transport.received, positions(lake, "proxy")
            logs = RemoteLogs("fw", str(tmp_path / "access.log"), reader)
            one = Following(logs, "squid", "fw", Pace(), seen=Seen(lake.folder, "fw", "x"))
            error = ""
            try:
                ingest(lake, one.round(known), Ingested())
            except SourceError as exc:
                error = str(exc)
            rounds.append((error != "", transport.received - before))
    assert [error for error, _ in rounds] == [True, False, False]
    assert rounds[0][1] > 5_000 > 3_000 > rounds[1][1]
