"""Squid's logs followed over SSH on a pfSense: whatever happens meanwhile, the rows equal the logs, in every column."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from collectors.squid.follow import SourceError
from collectors.squid.remote import RemoteLogs
from pfsquid.errors import PfsquidError
from pfsquid.firewall.remote_log import LogReader
from pfsquid.firewall.ssh import LostConnection
from tests.collectors.reading import Shelf
from tests.firewall.reached import reached, written
from tests.lab.fixture import Lab
from tests.lab.layout import FW
from tests.lab.pfsense.squid import GENERAL, answer, resync, runs, until

pytestmark = pytest.mark.lab

LOGS = "/var/squid/logs"
LOG = f"{LOGS}/access.log"
ROTATE = "/usr/local/sbin/squid -k rotate -f /usr/local/etc/squid/squid.conf"
KEPT = 12


@pytest.fixture(scope="module")
def posing(lab: Lab) -> Iterator[Lab]:
    lab.pose("2.8")
    done = resync(lab, f"config_set_path('{GENERAL}/log_rotate', '{KEPT}'); write_config('a test');")
    assert done.returncode == 0, done.stdout
    until(lambda: answer(lab) == "200")
    yield lab
    lab.pose(None)


class Following:
    """A person's pfsquid that follows the log, a lake in miniature, and what the log held in truth."""

    def __init__(self, lab: Lab, folder: Path, user: str = "root") -> None:
        self.lab, self.folder, self.user = lab, folder, user
        self.shelf, self.lost, self.number = Shelf(), 0, 0
        self.reader = LogReader(lambda: reached(lab, user))
        self.logs = RemoteLogs("fw", LOG, self.reader)
        self.cut_off: list[bytes] = []

    def round(self) -> None:
        """As the loop does it: an error is noted, the next round tries again."""
        try:
            self.shelf.read(self.logs, firewall="fw")
        except (PfsquidError, SourceError):
            self.lost += 1

    @contextmanager
    def at_work(self, pause: float = 0.1) -> Iterator[None]:
        """Rounds, one after the other."""
        stop = threading.Event()

        def work() -> None:
            while not stop.is_set():
                self.round()
                stop.wait(pause)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def browse(self, count: int) -> None:
        """So many requests, each with a URL of its own."""
        first, self.number = self.number + 1, self.number + count
        urls = f"http://site.example/page[{first}-{self.number}]"
        self.lab.sh("ws", f"curl -s -o /dev/null -x http://{FW.address4}:3128 '{urls}'", timeout=120)

    def rotate(self) -> None:
        self.lab.sh("fw", f"rm -f {LOG}.seen; ls -i {LOG} > {LOG}.seen; {ROTATE}")
        until(lambda: self.lab.sh("fw", f"ls -i {LOG} 2>/dev/null | cmp -s - {LOG}.seen || echo other") == "other\n")

    def differences(self) -> dict[str, Any]:
        """Rows that are in the logs and not in the lake, and the other way; a round with nobody in the way first."""
        for number, text in enumerate(self.cut_off):
            (self.folder / f"cut-off.{number}").write_bytes(text)
        names = self.lab.sh("fw", f"cd {LOGS}; ls | grep -E '^access.log(.[0-9]+)?$'").split()
        for name in names:
            (self.folder / name).write_bytes(self.lab.read("fw", f"{LOGS}/{name}"))
        truth = Shelf()
        truth.read(self.folder, firewall="fw")
        assert (truth.rejects, self.shelf.rejects) == ([], [])
        wanted, have = _rows(truth), _rows(self.shelf)
        return {"missing": dict(wanted - have), "too many": dict(have - wanted)}


def _rows(shelf: Shelf) -> Counter[tuple[str, ...]]:
    """Every column but the two that say where the row stood."""
    return Counter(
        tuple(f"{name}={value!r}" for name, value in row.items() if name not in ("source", "source_offset"))
        for row in shelf.rows.values()
    )


NO_DIFFERENCE: dict[str, Any] = {"missing": {}, "too many": {}}


@pytest.fixture
def following(posing: Lab, tmp_path: Path) -> Iterator[Following]:
    one = Following(posing, tmp_path)
    posing.sh("fw", f"rm -f {LOG}.*; : > {LOG}")
    with one.reader:
        yield one


def test_live_traffic_through_rotations_cuts_and_restarts(following: Following, posing: Lab) -> None:
    with following.at_work():
        for turn in range(6):
            following.browse(150)
            if turn % 2:
                following.rotate()
            following.browse(50)
            if turn in (1, 2):
                posing.cut_ssh()
            if turn == 3:
                posing.sshd_mode("any")
            if turn == 4:
                posing.sh("fw", "/usr/local/sbin/squid -k shutdown -f /usr/local/etc/squid/squid.conf")
                until(lambda: not runs(posing))
                assert resync(posing).returncode == 0
                until(lambda: posing.sh("fw", "ss -Hltn sport = :3128 | wc -l").strip() != "0")
    following.round()
    assert following.number == 1200
    assert len(following.shelf.rows) > 1000
    assert following.lost
    assert following.differences() == NO_DIFFERENCE


def test_days_of_absence(following: Following) -> None:
    following.browse(60)
    following.round()
    for _ in range(4):
        following.browse(40)
        following.rotate()
    following.browse(10)
    following.logs = RemoteLogs("fw", LOG, following.reader)  # pfsquid was restarted, too
    following.round()
    assert (len(following.shelf.rows), following.differences()) == (230, NO_DIFFERENCE)


def test_a_log_that_is_truncated_and_one_that_is_copied_first(following: Following, posing: Lab) -> None:
    with following.at_work():
        for copied in (False, True, False):
            following.browse(60)
            if copied:
                posing.sh("fw", f"cp {LOG} {LOG}.11")
            else:
                until(lambda: len(following.shelf.rows) == following.number)
                following.cut_off.append(posing.read("fw", LOG))
            posing.sh("fw", f": > {LOG}")
            following.browse(30)
    following.round()
    assert (len(following.shelf.rows), following.differences()) == (270, NO_DIFFERENCE)


def test_a_reboot_that_loses_all_logs_begins_anew(following: Following, posing: Lab) -> None:
    following.browse(30)
    following.round()
    following.cut_off.append(posing.read("fw", LOG))
    posing.sh("fw", f"rm -f {LOG}*")
    following.round()
    assert following.lost == 1
    posing.sh("fw", ROTATE)
    until(lambda: posing.sh("fw", f"ls {LOG} 2>/dev/null || true") != "")
    following.browse(20)
    following.round()
    assert (len(following.shelf.rows), following.differences()) == (50, NO_DIFFERENCE)


def test_a_dead_link_is_noticed_within_seconds(following: Following, posing: Lab) -> None:
    following.browse(10)
    following.round()
    posing.sh("fw", "ip route add blackhole 10.77.0.50/32")
    try:
        begin = time.monotonic()
        with pytest.raises(LostConnection, match="fw: the connection was lost"):
            following.shelf.read(following.logs)
        assert time.monotonic() - begin < 13
    finally:
        posing.sh("fw", "ip route del blackhole 10.77.0.50/32")
    following.browse(10)
    following.round()
    assert (len(following.shelf.rows), following.differences()) == (20, NO_DIFFERENCE)


@pytest.mark.parametrize("user", ["admin", "operator"])
def test_who_is_not_root_follows_too_and_nothing_is_written(posing: Lab, tmp_path: Path, user: str) -> None:
    following = Following(posing, tmp_path, user)
    posing.sh("fw", f"rm -f {LOG}.*; : > {LOG}")
    following.browse(20)
    with following.reader:
        following.round()  # what a login writes is not ours
        before = written(posing)
        following.round()
        following.rotate()
        following.browse(20)
        following.round()
    assert (len(following.shelf.rows), following.lost, following.differences()) == (40, 0, NO_DIFFERENCE)
    after = {path: rest for path, rest in written(posing).items() if "squid" not in path and "/tmp/" not in path}
    assert {path: rest for path, rest in after.items() if before.get(path) != rest} == {}
    until(lambda: posing.sh("fw", "pgrep -fc 'hash[_]equals' || true").strip() == "0", 5)


def test_somebody_without_rights_is_told_so(posing: Lab, tmp_path: Path) -> None:
    following = Following(posing, tmp_path, "viewer")
    with following.reader, pytest.raises((PfsquidError, SourceError)):
        following.shelf.read(following.logs)
