"""The limit on requests holds as the server sees it: over threads, processes, kill -9, restarts and wrong clocks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.entra.limit import Limit, Stopped, Turn


class Time:
    """A clock that only sleeping moves."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds

    def passes(self, seconds: float, under_way: list[tuple[float, Turn]], limit: Limit) -> None:
        """Time goes on, and answers arrive in it. under_way: when each answer comes, and to which request."""
        until = self.now + seconds
        for end, turn in sorted(under_way):
            if end <= until:
                self.now = max(self.now, end)
                limit.ended(turn)
                under_way.remove((end, turn))
        self.now = until

    def limit(self, journal: Path | None = None, requests: int = 5, seconds: float = 10.0) -> Limit:
        return Limit(requests, seconds, journal, clock=self, sleep=self.sleep)


class WouldWaitError(Exception):
    """Instead of waiting."""


def refuse(_: float) -> None:
    raise WouldWaitError


def free(limit: Limit) -> int:
    """How many requests may go at once. They stay under way."""
    number = 0
    try:
        while number < 100:
            limit.wait()
            number += 1
    except WouldWaitError:
        pass
    return number


def most_in(seen: list[float], seconds: float) -> int:
    """The largest number of moments within any span of so many seconds, its end included, its beginning not."""
    seen = sorted(seen)
    return max(sum(1 for other in seen if one - seconds < other <= one) for one in seen)


@given(st.lists(st.tuples(st.floats(0, 8), st.floats(0, 1), st.floats(0, 6)), min_size=10, max_size=60))
def test_the_server_never_sees_more_whatever_the_network_does(course: list[tuple[float, float, float]]) -> None:
    """Each request takes `lasts` s, the server sees it at a share of that; the next caller comes `idle` s later."""
    clock = Time()
    limit = clock.limit()
    under_way: list[tuple[float, Turn]] = []
    seen: list[float] = []

    def sleep(seconds: float) -> None:
        clock.passes(seconds, under_way, limit)

    limit = Limit(5, 10.0, clock=clock, sleep=sleep)
    for lasts, share, idle in course:
        turn = limit.wait()
        seen.append(clock.now + lasts * share)
        under_way.append((clock.now + lasts, turn))
        if idle:
            sleep(idle)
    assert most_in(seen, 10.0) <= 5


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 8), st.floats(0, 1), st.floats(0, 6), st.integers(0, 3)), min_size=10, max_size=50),
    st.floats(0, 1.9),
)
def test_spread_out_over_lives_that_are_killed_the_server_never_sees_more(
    course: list[tuple[float, float, float, int]], spread: float
) -> None:
    """As above, with a journal; now and then the process is killed, with all that it has under way: no answer of that
    ever comes, the server may see it until then, and the next life begins with nothing but the journal."""
    with TemporaryDirectory() as folder:
        clock, journal, lives = Time(), Path(folder) / "journal", 0
        seen: list[float] = []
        sent: list[float] = []
        under_way: list[tuple[float, Turn]] = []

        def sleep(seconds: float) -> None:
            clock.passes(seconds, under_way, limit)

        def life() -> Limit:
            return Limit(5, 10.0, journal, spread=spread, clock=clock, sleep=sleep)

        limit = life()
        for lasts, share, idle, luck in course:
            turn = limit.wait()
            sent.append(clock.now)
            seen.append(clock.now + lasts * share)
            under_way.append((clock.now + lasts, turn))
            if idle:
                sleep(idle)
            if luck == 0:  # killed: what was not seen by then never is
                seen = [min(one, clock.now) for one in seen]
                _buried(journal, lives)
                under_way.clear()
                lives, limit = lives + 1, life()
        assert most_in(seen, 10.0) <= 5
        assert all(later - one >= spread - 1e-6 for one, later in pairwise(sent))


def _buried(journal: Path, life: int) -> None:
    """As if what stands in the journal were of a process that is dead now: another number, started at another time."""
    raw = json.loads(journal.read_bytes())
    for turn in raw["turns"]:
        number, started, namespace = turn[0].split(":")
        if number == str(os.getpid()):
            turn[0] = f"{2**22 + 1 + life}:{started}:{namespace}"  # above the largest that Linux gives
    journal.write_text(json.dumps(raw))


def test_spread_out_requests_are_as_many(tmp_path: Path) -> None:
    clock = Time()
    limit = Limit(5, 10.0, tmp_path / "journal", spread=0.5, clock=clock, sleep=clock.sleep)
    begin = clock.now
    for _ in range(100):
        with limit.turn():
            clock.now += 0.1
    assert 100 / (clock.now - begin) >= 0.95 * 0.5


def test_one_caller_after_the_other_loses_little() -> None:
    clock = Time()
    limit = clock.limit()
    begin = clock.now
    for _ in range(100):
        with limit.turn():
            clock.now += 0.5
    assert 100 / (clock.now - begin) >= 0.9 * 0.5


def test_many_at_once_fill_the_bucket() -> None:
    clock = Time()
    limit = clock.limit()
    begin = clock.now
    for _ in range(20):
        turns = [limit.wait() for _ in range(5)]
        clock.now += 0.5
        for turn in turns:
            limit.ended(turn)
    assert 100 / (clock.now - begin) >= 0.9 * 0.5


def test_a_request_under_way_counts_until_it_is_answered() -> None:
    clock = Time()
    limit = clock.limit(requests=1)
    turn = limit.wait()
    clock.now += 12
    limit.ended(turn)
    limit.ended(turn)
    at = clock.now
    limit.wait()
    assert clock.now >= at + 10


def test_a_request_without_answer_blocks_for_a_while_only() -> None:
    clock = Time()
    limit = clock.limit(requests=1)
    limit.wait()
    begin = clock.now
    limit.wait()
    assert begin + 25 <= clock.now < begin + 26


def test_two_on_one_journal_are_one(tmp_path: Path) -> None:
    journal = tmp_path / "deep" / "journal"
    first, second = (Limit(5, 60, journal, sleep=refuse) for _ in range(2))
    first.wait(), first.wait(), second.wait()
    assert free(second) == 2
    assert free(first) == 0


def test_a_restart_does_not_forget(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    for _ in range(5):
        with Limit(5, 60, journal, sleep=refuse).turn():
            pass
    assert free(Limit(5, 60, journal, sleep=refuse)) == 0


KILLED = """
import os, signal, sys
from pathlib import Path
from collectors.entra.limit import Limit
limit = Limit(5, 60, Path(sys.argv[1]), transit=600)
for _ in range(3):
    limit.wait()
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(journal: Path) -> subprocess.Popen[bytes]:
    """A process that was killed with three requests under way, dead but not yet buried."""
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(journal)])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    return process


def test_what_a_killed_process_sent_counts_and_ends_with_it(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    process = killed(journal)
    assert free(Limit(5, 60, journal, transit=600, sleep=refuse)) == 2
    seen = [turn[3] for turn in json.loads(journal.read_bytes())["turns"]]
    assert sum(one is not None for one in seen) == 3, "they end when the death is noticed, not after the transit"
    assert process.wait() == -signal.SIGKILL


def test_a_clock_that_is_set_back_neither_hangs_nor_lets_more_through(tmp_path: Path) -> None:
    journal, clock = tmp_path / "journal", Time(1e6)
    for _ in range(5):
        with clock.limit(journal).turn():
            pass
    clock.limit(journal).pause(30)
    back = Time(5.0)
    limit = back.limit(journal)
    limit.wait()
    assert 30 <= back.now - 5.0 < 45


def test_another_boot_counts_the_old_ones_as_of_now(tmp_path: Path) -> None:
    journal, clock = tmp_path / "journal", Time(1000)
    for _ in range(5):
        with clock.limit(journal).turn():
            pass
    raw = json.loads(journal.read_bytes())
    raw["boot"] = "another"
    journal.write_text(json.dumps(raw))
    later = Time(5000)
    later.limit(journal).wait()
    assert 10 <= later.now - 5000 < 11


@pytest.mark.parametrize("damage", [b"\0" * 4096, b"{", b"[]", b'{"turns":[[1]],"pause":[0,0],"boot":""}', b"null"])
def test_a_damaged_journal_is_full_and_heals(tmp_path: Path, damage: bytes) -> None:
    journal, clock = tmp_path / "journal", Time()
    journal.write_bytes(damage)
    limit = clock.limit(journal)
    limit.wait()
    assert 10 <= clock.now - 1000 < 11
    assert json.loads(journal.read_bytes())["turns"]


def test_a_journal_is_one_page_so_that_no_kill_leaves_half_of_it(tmp_path: Path) -> None:
    limit = Limit(5, 60, tmp_path / "journal", sleep=refuse)
    free(limit)
    limit.pause(5)
    assert (tmp_path / "journal").stat().st_size == 4096


def test_a_pause_holds_for_all_and_is_never_shortened(tmp_path: Path) -> None:
    clock = Time()
    first, second = clock.limit(tmp_path / "journal"), clock.limit(tmp_path / "journal")
    first.pause(30)
    first.pause(5)
    assert second.paused() == 30
    second.wait()
    assert clock.now == pytest.approx(1030)
    assert second.paused() == 0


def test_a_server_that_asks_for_days_gets_an_hour() -> None:
    clock = Time()
    limit = clock.limit()
    limit.pause(1e9)
    assert limit.paused() == 3600


def test_who_is_stopped_waits_no_longer() -> None:
    limit, stop = Limit(1, 1000), threading.Event()
    limit.wait(stop)
    threading.Timer(0.05, stop.set).start()
    with pytest.raises(Stopped):
        limit.wait(stop)


def test_a_journal_that_cannot_be_written_is_an_error_not_a_burst(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        Limit(5, 10, tmp_path / "file" / "journal").wait()


@pytest.mark.parametrize(("requests", "seconds"), [(0, 10), (5, 0), (-1, 1)])
def test_a_limit_of_nothing_is_refused(requests: int, seconds: float) -> None:
    with pytest.raises(ValueError, match="at least one"):
        Limit(requests, seconds)


def test_threads_share_the_limit(tmp_path: Path) -> None:
    seen: list[float] = []
    limits = [Limit(4, 0.2, tmp_path / "journal") for _ in range(2)]

    def ask(limit: Limit) -> None:
        for _ in range(5):
            with limit.turn():
                seen.append(time.monotonic())

    threads = [threading.Thread(target=ask, args=(limits[number % 2],)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 20
    assert most_in(seen, 0.2) <= 4
