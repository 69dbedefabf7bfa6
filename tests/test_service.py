"""The service and its sources, in this process: what fails or hangs stops no other; signals, watchdog, states."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import pfsquid.lake.live as live
import pfsquid.service
from collectors.batch import Batch, Position
from collectors.squid.follow import SourceError
from pfsquid.errors import PfsquidError
from pfsquid.lake import status
from pfsquid.lake.catalog import Lake, open_lake
from pfsquid.lake.live import Opened, Stream
from pfsquid.lake.state import State
from pfsquid.service import Plan, Service
from tests.lake.rows import proxy_rows


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake", make=True)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "FIRST_PAUSE", 0.1)
    monkeypatch.setattr(pfsquid.service, "TICK_SECONDS", 0.05)


@dataclass
class Fake:
    """A source of ten rows a round, `most` times; `before` is called first, `after` between its rows and its end."""

    name: str
    before: Callable[[], object] = lambda: None
    after: Callable[[], object] = lambda: None
    lasts: bool = False
    rounds: int = 0
    opened: int = 0
    most: int = 10_000

    def stream(self) -> Stream:
        @contextmanager
        def open_() -> Iterator[Opened]:
            self.opened += 1
            yield self

        return Stream(self.name, "proxy", "here", open_)

    def round(self, known: Mapping[str, Position]) -> Iterator[Batch]:
        self.before()
        offset = known[self.name].offset if self.name in known else 0
        self.rounds += 1
        if offset < self.most * 10:
            yield Batch("proxy", proxy_rows(*range(10)), self.name, Position(offset + 10))
        self.after()

    def remaining(self) -> int | None:
        return 0

    def usable(self) -> bool:
        return self.lasts


@dataclass
class Running:
    """A service in this thread, ended by what `meanwhile` does in another."""

    lake: Lake
    said: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)

    def plan(self, *fakes: Fake, **more: Any) -> Plan:
        given = {"flush": 0.2, "alarm": 3600.0, **more}
        return Plan(self.lake, tuple(fake.stream() for fake in fakes), **given)

    def run(self, load: Plan | Callable[[], Plan], meanwhile: Callable[[], object]) -> bool:
        plan = load if callable(load) else lambda: load
        service = Service(plan, lambda level, event, **more: self.said.append((level, event, more)), self.environment)
        failures: list[BaseException] = []
        over = threading.Event()

        def deeds() -> None:
            try:
                meanwhile()
            except BaseException as exc:  # noqa: BLE001 - raised again below
                failures.append(exc)
            if not over.is_set():
                os.kill(os.getpid(), signal.SIGTERM)

        thread = threading.Thread(target=deeds)
        thread.start()
        try:
            return service.run()
        finally:
            over.set()
            thread.join()
            if failures:
                raise failures[0]

    def events(self) -> list[str]:
        return [event for _, event, _ in self.said]

    def rows(self) -> int:
        table = self.lake.table("proxy")
        return len(table.scan().to_arrow()) if table else 0

    def state(self, name: str) -> State:
        return status.read(self.lake.folder)[name]


@pytest.fixture
def service(lake: Lake) -> Running:
    return Running(lake)


def until(true: Callable[[], object], seconds: float = 8) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


def raising(exc: BaseException) -> Callable[[], object]:
    def fail() -> None:
        raise exc

    return fail


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        (SourceError("no such log"), "no such log"),
        (PfsquidError("the firewall is away", "ping it"), "the firewall is away"),
        (KeyError("x"), "a fault of pfsquid itself: KeyError: 'x'"),
        (MemoryError(), "a fault of pfsquid itself: MemoryError: "),
    ],
)
def test_a_source_that_fails_in_any_way_is_told_and_stops_no_other(
    service: Running, problem: BaseException, told: str
) -> None:
    good, bad = Fake("good", most=3), Fake("bad", before=raising(problem))
    assert service.run(service.plan(good, bad), lambda: until(lambda: service.rows() == 30 and bad.opened >= 2))
    state = service.state("bad")
    assert (state.error, state.failures >= 2, service.state("good").error) == (told, True, "")
    assert [more["error"] for _, event, more in service.said if event == "source failed"] == [told]
    assert service.rows() == 30


def test_what_came_before_a_failure_is_kept(service: Running) -> None:
    bad = Fake("bad", after=raising(SourceError("cut off")), most=1)
    service.run(service.plan(bad), lambda: until(lambda: bad.opened >= 2))
    assert service.rows() == 10


def test_pauses_grow_and_end_with_the_failure(service: Running) -> None:
    moments: list[float] = []

    def flaky() -> None:
        moments.append(time.monotonic())
        if len(moments) <= 4:
            raise SourceError("not yet")

    source = Fake("one", before=flaky)
    service.run(service.plan(source), lambda: until(lambda: len(moments) > 7))
    pauses = [round(b - a, 1) for a, b in pairwise(moments)]
    assert pauses[:4] == sorted(pauses[:4])
    assert pauses[3] >= 0.8 > pauses[5]
    assert service.state("one").last_error == "not yet"
    assert service.events()[-2:] != ["source failed", "source failed"]


def test_a_source_that_can_go_on_after_a_failure_is_not_opened_anew(service: Running) -> None:
    port = Fake("port", before=raising(SourceError("the lake is full")), lasts=True)
    service.run(service.plan(port), lambda: until(lambda: service.said and "source failed" in service.events()))
    assert port.opened == 1


def test_silent_sources_do_not_hold_up_another_nor_the_end(service: Running) -> None:
    silent = threading.Event()
    stuck = [Fake(f"stuck{n}", after=silent.wait, most=1) for n in range(4)]
    good = Fake("good", most=5)
    begin = time.monotonic()
    try:
        assert service.run(service.plan(good, *stuck), lambda: until(lambda: service.rows() >= 50))
    finally:
        silent.set()
    assert time.monotonic() - begin < 5
    assert service.rows() in range(50, 91)


def test_rows_of_a_source_that_falls_silent_are_committed_by_their_age(service: Running) -> None:
    silent = threading.Event()
    stuck = Fake("stuck", after=silent.wait, most=1)
    try:
        service.run(service.plan(stuck), lambda: until(lambda: service.rows() == 10, 3))
    finally:
        silent.set()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_ends_the_service_with_an_error(service: Running) -> None:
    class Dies(Fake):
        def stream(self) -> Stream:
            return Stream(self.name, "proxy", "here", raising(SystemExit(3)))  # type: ignore[arg-type]

    with pytest.raises(PfsquidError, match="the thread of dead has died"):
        service.run(service.plan(Dies("dead"), Fake("good")), lambda: time.sleep(1))


def test_a_reload_adds_and_removes_sources_and_keeps_counting(service: Running) -> None:
    plans = [service.plan(Fake("a", most=2), Fake("b")), service.plan(Fake("a", most=0), Fake("c"))]

    def meanwhile() -> None:
        until(lambda: service.rows() >= 30)
        os.kill(os.getpid(), signal.SIGHUP)
        until(lambda: "c" in status.read(service.lake.folder) and service.state("c").rows > 0)

    service.run(lambda: plans.pop(0), meanwhile)
    assert set(status.read(service.lake.folder)) == {"a", "c"}
    assert service.state("a").rows == 20


@pytest.mark.parametrize("problem", [PfsquidError("line 3: no such key"), OSError("gone")])
def test_a_wrong_configuration_leaves_the_old_one_at_work(service: Running, problem: Exception) -> None:
    good = Fake("good")
    plans: list[Plan | Exception] = [service.plan(good), problem]

    def load() -> Plan:
        plan = plans.pop(0)
        if isinstance(plan, Exception):
            raise plan
        return plan

    def meanwhile() -> None:
        until(lambda: good.rounds)
        os.kill(os.getpid(), signal.SIGHUP)
        until(lambda: not plans)
        before = good.rounds
        until(lambda: good.rounds > before + 1)

    service.run(load, meanwhile)
    wrong = [more["error"] for level, event, more in service.said if "is wrong" in event]
    assert (len(wrong), str(problem) in wrong[0], good.opened) == (1, True, 1)


@pytest.fixture
def systemd(service: Running, tmp_path: Path) -> Iterator[list[str]]:
    """What systemd is told, as it comes."""
    told: list[str] = []
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        sock.settimeout(0.1)
        service.environment |= {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "600000"}
        end = threading.Event()

        def listen() -> None:
            while not end.is_set():
                try:
                    told.append(sock.recv(4096).decode())
                except TimeoutError:
                    continue

        thread = threading.Thread(target=listen)
        thread.start()
        yield told
        end.set()
        thread.join()


def test_systemd_is_told_of_each_step(service: Running, systemd: list[str]) -> None:
    def meanwhile() -> None:
        until(lambda: any("failing: bad" in one for one in systemd))
        os.kill(os.getpid(), signal.SIGHUP)
        until(lambda: sum("READY=1" in one for one in systemd) == 2)
        until(lambda: sum("WATCHDOG=1" in one for one in systemd) >= 2)

    service.run(service.plan(Fake("good"), Fake("bad", before=raising(SourceError("x")))), meanwhile)
    until(lambda: any("STOPPING=1" in one for one in systemd))
    steps = [one.partition("\n")[0] for one in systemd]
    assert steps[0] == "READY=1"
    assert steps.index("RELOADING=1") < len(steps) - 1 - steps[::-1].index("READY=1")
    assert steps.count("WATCHDOG=1") >= 2
    assert "MONOTONIC_USEC=" in systemd[steps.index("RELOADING=1")]


def test_the_watchdog_is_fed_no_more_where_a_source_hangs(
    service: Running, systemd: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pfsquid.service, "HUNG_SECONDS", 0.5)
    wake = threading.Event()
    stuck = Fake("stuck", before=wake.wait)

    def meanwhile() -> None:
        until(lambda: "hangs; the watchdog is fed no more" in service.events())
        time.sleep(0.2)
        before = len(systemd)
        time.sleep(1.2)
        assert len(systemd) == before

    try:
        service.run(service.plan(stuck, Fake("good")), meanwhile)
    finally:
        wake.set()


def test_no_data_is_an_alarm(service: Running) -> None:
    quiet = Fake("quiet", most=0)
    service.run(service.plan(quiet, alarm=0.5), lambda: until(lambda: "no data" in service.events()))
    assert service.state("quiet").kind(time.time(), 0.5) == "silent"


def test_a_state_beats_though_nothing_changes(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pfsquid.service, "BEAT_SECONDS", 0.5)
    quiet = Fake("quiet", most=0)

    def meanwhile() -> None:
        until(lambda: "quiet" in status.read(service.lake.folder))
        written = service.state("quiet").written
        until(lambda: service.state("quiet").written > written + 0.4)

    service.run(service.plan(quiet), meanwhile)


def test_a_new_process_knows_when_there_was_data_last(service: Running) -> None:
    source = Fake("one", after=raising(SourceError("cut off")), most=1)
    service.run(service.plan(source), lambda: until(lambda: source.opened >= 2))
    before = service.state("one")
    quiet = Fake("one", most=0)
    service.run(service.plan(quiet), lambda: until(lambda: service.state("one").started > before.started))
    after = service.state("one")
    assert (after.last_data, after.last_error, after.rows) == (before.last_data, "cut off", 0)


def test_what_killed_processes_left_among_the_states_goes(service: Running) -> None:
    folder = service.lake.folder / ".status"
    folder.mkdir()
    for name in ("old.json", "one.4711", "broken.json"):
        (folder / name).write_text("{")
    service.run(service.plan(Fake("one")), lambda: until(lambda: "one" in status.read(service.lake.folder)))
    assert [path.name for path in folder.iterdir()] == ["one.json"]
    assert json.loads((folder / "one.json").read_text())["place"] == "here"


def test_the_care_of_the_lake_may_fail(service: Running) -> None:
    good = Fake("good")

    def care(_: Lake) -> str:
        raise RuntimeError("no")

    plan = service.plan(good, care=care, care_every=0.1)
    service.run(plan, lambda: until(lambda: service.events().count("care of the lake failed") > 1))
    assert good.rounds
