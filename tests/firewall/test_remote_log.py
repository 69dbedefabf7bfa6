"""What travels from a firewall whose logs are followed, what stays there, and what is said where it fails."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collectors.squid.follow import SourceError
from collectors.squid.logs import RACY_SECONDS
from collectors.squid.remote import RemoteLogs
from pfsquid.errors import PfsquidError
from pfsquid.firewall import remote_log
from pfsquid.firewall.remote_log import LogReader
from pfsquid.firewall.ssh import LostConnection
from tests.collectors.reading import Shelf, line, log
from tests.firewall import local_php
from tests.firewall.local_php import Transport, local_pfsense


class Firewall:
    """A firewall that is this machine, and what is known of its log so far."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "access.log"
        self.transport = Transport()
        self.reader = LogReader(lambda: local_pfsense(self.transport))
        self.logs = RemoteLogs("fw", str(self.path), self.reader)
        self.shelf = Shelf()

    def read(self) -> tuple[list[int], int]:
        """A round; what came of it, and how many bytes travelled."""
        before = self.transport.received
        return self.shelf.read(self.logs), self.transport.received - before


@pytest.fixture
def firewall(tmp_path: Path) -> Iterator[Firewall]:
    one = Firewall(tmp_path)
    with one.reader:
        yield one


def aged(path: Path) -> None:
    os.utime(path, (time.time() - 2 * RACY_SECONDS,) * 2)


def test_only_what_is_new_travels_and_packed(firewall: Firewall) -> None:
    firewall.path.write_bytes(log(*range(20_000)))
    came, bytes_read = firewall.read()
    assert (len(came), bytes_read < firewall.path.stat().st_size / 4) == (20_000, True)
    with firewall.path.open("ab") as stream:
        stream.write(line(20_000))
    came, bytes_read = firewall.read()
    assert (came, bytes_read < 1000) == ([20_000], True)


def test_after_a_restart_the_log_is_known_by_digests_made_there(firewall: Firewall) -> None:
    firewall.path.write_bytes(log(*range(20_000)))
    firewall.read()
    firewall.logs = RemoteLogs("fw", str(firewall.path), firewall.reader)
    came, bytes_read = firewall.read()
    assert came == []
    assert bytes_read < 6000
    firewall.logs = RemoteLogs("fw", str(firewall.path), firewall.reader)
    with firewall.path.open("ab") as stream:
        stream.write(line(20_000))
    came, bytes_read = firewall.read()
    assert came == [20_000]
    assert bytes_read < 6000  # the bytes before it, once, for the next digest


def test_a_round_without_news_is_one_short_question(firewall: Firewall) -> None:
    for number in range(30):
        Path(f"{firewall.path}.{number}").write_bytes(log(number))
        aged(Path(f"{firewall.path}.{number}"))
    firewall.read()
    sent = firewall.transport.sent
    came, bytes_read = firewall.read()
    assert (came, bytes_read < 200, firewall.transport.sent - sent < 300) == ([], True, True)


def test_several_logs_share_a_connection(firewall: Firewall, tmp_path: Path) -> None:
    other = tmp_path / "pfsquid.log"
    firewall.path.write_bytes(log(1, 2))
    other.write_bytes(log(3, 4))
    logs = RemoteLogs("fw", str(other), firewall.reader)
    assert (firewall.read()[0], firewall.shelf.read(logs)) == ([1, 2], [3, 4])
    assert len(firewall.transport.channels) == 1


def test_the_program_ends_with_its_input(firewall: Firewall) -> None:
    firewall.path.write_bytes(log(1))
    firewall.read()
    process = firewall.transport.process
    assert process.poll() is None
    assert process.stdin
    process.stdin.close()
    assert process.wait(5) == 0


def test_the_program_ends_by_itself_when_nobody_asks(firewall: Firewall, monkeypatch: pytest.MonkeyPatch) -> None:
    from pfsquid.firewall import pfsense

    text = pfsense._text("log").replace(b"PFSQUID_IDLE = 300", b"PFSQUID_IDLE = 1")
    monkeypatch.setattr(pfsense, "_text", lambda _: text)
    firewall.path.write_bytes(log(1))
    firewall.read()
    assert firewall.transport.process.wait(5) == 0
    with pytest.raises(LostConnection):
        firewall.read()
    assert firewall.read()[0] == []


def test_a_reader_that_was_idle_for_long_starts_anew(firewall: Firewall, monkeypatch: pytest.MonkeyPatch) -> None:
    firewall.path.write_bytes(log(1))
    aged(firewall.path)
    firewall.read()
    monkeypatch.setattr(remote_log, "IDLE_SECONDS", 0.0)
    assert firewall.read()[0] == []
    assert len(firewall.transport.channels) == 2


def test_a_lost_connection_is_said_and_the_next_round_goes_on(firewall: Firewall) -> None:
    firewall.path.write_bytes(log(*range(50)))
    firewall.read()
    firewall.path.write_bytes(log(*range(60)))
    firewall.transport.process.kill()
    with pytest.raises(PfsquidError, match=r"^fw: "):
        firewall.read()
    assert firewall.read()[0] == list(range(50, 60))


def test_a_connection_lost_in_the_middle_keeps_what_had_come(
    firewall: Firewall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collectors.squid.remote.BLOCK", 64 * 1024)
    monkeypatch.setattr("collectors.squid.follow.PIECE", 64 * 1024)
    firewall.path.write_bytes(log(*range(5000)))
    asked = 0

    def ask(question: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        nonlocal asked
        asked += 1
        if asked == 6:
            firewall.transport.process.kill()
        return firewall.reader(question)

    firewall.logs = RemoteLogs("fw", str(firewall.path), ask)
    with pytest.raises(PfsquidError):
        firewall.read()
    first = len(firewall.shelf.rows)
    assert 0 < first < 5000
    assert firewall.read()[0] == list(range(first, 5000))


@pytest.mark.parametrize("again", [40_000, 90_000], ids=["shorter", "longer"])
def test_a_log_that_is_truncated_while_it_is_read_ends_there(
    firewall: Firewall, monkeypatch: pytest.MonkeyPatch, again: int
) -> None:
    monkeypatch.setattr("collectors.squid.remote.BLOCK", 64 * 1024)
    firewall.path.write_bytes(log(*range(5000)))
    (one,) = firewall.logs.changed({})
    with one.open() as stream:
        assert stream.read1(10**6) == log(*range(5000))[: 64 * 1024]  # type: ignore[attr-defined]
        firewall.path.write_bytes(log(*range(10_000, 20_000))[:again])
        assert stream.read1(10**6) == b""  # type: ignore[attr-defined]
    firewall.path.write_bytes(log(*range(5000)))
    with one.open() as stream:
        stream.digests([(0, 4096), (8192, 4096)])  # type: ignore[attr-defined]
        firewall.path.write_bytes(log(*range(10_000, 20_000))[:again])
        stream.seek(8192 + 4096)
        assert stream.read1(10**6) == b""  # type: ignore[attr-defined]


def test_what_php_says_beside_its_answers_is_noise(firewall: Firewall, monkeypatch: pytest.MonkeyPatch) -> None:
    warning = "PHP Warning: Module is already loaded"
    monkeypatch.setattr(local_php, "START", f"echo '{warning}' >&2; echo '{warning}'; {local_php.START}")
    firewall.path.write_bytes(log(1))
    assert firewall.read()[0] == [1]


def test_a_firewall_without_php_is_said(firewall: Firewall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_php, "START", "/no/php")
    with pytest.raises(PfsquidError, match="there is no /usr/local/bin/php"):
        firewall.read()


def test_a_log_that_is_not_there_is_said(firewall: Firewall) -> None:
    with pytest.raises(SourceError, match=r"there is no log .*access\.log on fw"):
        firewall.read()


def test_a_log_that_may_not_be_read_is_said_each_time(firewall: Firewall, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid():
        pytest.skip("needs root, to become somebody else")
    nobody = local_php.START.replace("exec", "exec setpriv --reuid 65534 --clear-groups")
    monkeypatch.setattr(local_php, "START", nobody)
    firewall.path.write_bytes(log(1))
    firewall.path.chmod(0)
    aged(firewall.path)
    for folder in firewall.path.parents:
        if folder.stat().st_uid == 0 and folder.stat().st_mode & 0o555 != 0o555:  # pytest's own are for root alone
            folder.chmod(folder.stat().st_mode | 0o555)
    for _ in range(2):
        with pytest.raises(SourceError, match=r"fw: .*access\.log cannot be read: Permission denied"):
            firewall.read()
    firewall.path.chmod(0o644)
    assert firewall.read()[0] == [1]


def test_two_firewalls_whose_logs_begin_alike_never_mix(tmp_path: Path) -> None:
    shelf = Shelf()
    for round_ in range(3):
        for name in ("a", "b"):
            folder = tmp_path / name
            folder.mkdir(exist_ok=True)
            firewall = Firewall(folder)
            firewall.path.write_bytes(log(1, 2) + (log(*range(3, 300 + round_)) if round_ else b""))
            logs = RemoteLogs(name, str(firewall.path), firewall.reader)
            with firewall.reader:
                shelf.read(logs, firewall=name)
    for name in ("a", "b"):
        mine = sorted(row["bytes_down"] for row in shelf.rows.values() if row["firewall"] == name)
        assert mine == list(range(1, 302))
        assert {row["source"].partition("/")[0] for row in shelf.rows.values() if row["firewall"] == name} == {name}
