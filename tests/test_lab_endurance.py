"""Traffic runs; Squid rotates, pfsquid is killed, sshd restarts, the network is cut, the lake's disk fills. At the end
the table equals the access logs, row for row, in every column. Longer: `python -m tests.test_lab_endurance SECONDS`.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pfsquid.lake.catalog import open_lake
from tests.collectors.reading import Shelf
from tests.firewall.at_work import Desk, desk_in, posed
from tests.lab import lab as whole
from tests.lab.errors import LabError
from tests.lab.fixture import Lab
from tests.lab.hosts import running
from tests.lab.layout import FW, PERSON_PASSWORD, WS, state_folder
from tests.running import RECORDED

pytestmark = pytest.mark.lab

LOGS = "/var/squid/logs"
SOURCES = {"native": ("access.log", "squid"), "own": ("pfsquid.log", "pfsquid")}
ROTATE = "/usr/local/sbin/squid -k rotate -f /usr/local/etc/squid/squid.conf"
BLACKHOLE = "blackhole 10.77.0.50/32"


@dataclass
class Ordeal:
    """What is done to a pfsquid at work, and what it said."""

    lab: Lab
    desk: Desk
    lake: Path
    chance: random.Random
    kills: int = 0
    deeds: Counter[str] = field(default_factory=Counter)
    before: int = 0

    def start(self) -> subprocess.Popen[bytes]:
        """`pfsquid run`, in the workstation's network."""
        self.before = self.begun()
        return subprocess.Popen(self.command("run"), env=self.environment, cwd=self.desk.folder, stderr=self.errors())

    def begun(self) -> int:
        """How many have told that they run."""
        log = self.desk.folder / "run.log"
        return log.read_text("utf-8").count('"event": "running"') if log.exists() else 0

    def until_begun(self) -> None:
        deadline = time.monotonic() + 60
        while self.begun() == self.before:
            assert time.monotonic() < deadline, "it does not begin"
            time.sleep(0.05)

    def command(self, *words: str) -> list[str]:
        ws = running(self.lab.state, WS)
        assert ws is not None
        enter = ["nsenter", f"--net=/proc/{ws.init}/ns/net"]
        return [*enter, sys.executable, "-m", "pfsquid", *words, "--lake", str(self.lake)]

    @property
    def environment(self) -> dict[str, str]:
        home = str(self.desk.folder / "home")
        return {"HOME": home, "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONPATH": str(RECORDED.parents[1])}

    def errors(self) -> int:
        return os.open(self.desk.folder / "run.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    @contextmanager
    def traffic(self) -> Iterator[None]:
        """People browse, with and without a ticket."""
        stop = threading.Event()
        login = f'echo "{PERSON_PASSWORD}" | kinit rick.sanchez >/dev/null'
        self.lab.sh("ws", login)

        def browse() -> None:
            number = 0
            while not stop.wait(0.05):
                number += 1
                urls = f"'http://site{number}.example/page[1-40]?q=%20{number}'"
                name = "--proxy-negotiate -u : -x http://proxy.lab.pfsquid.test:3128" if number % 3 else ""
                curl = f"curl -s -m 20 -o /dev/null {name or f'-x http://{FW.address4}:3128'} {urls} || true"
                self.lab.sh("ws", curl, timeout=90)

        thread = threading.Thread(target=browse)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def trouble(self, kind: str) -> None:
        """One of the faults."""
        self.deeds[kind] += 1
        if kind == "rotate":
            self.lab.sh("fw", ROTATE)
        elif kind == "cut":
            self.lab.cut_ssh()
        elif kind == "sshd":
            self.lab.sshd_mode("any")
        elif kind == "link":
            self.lab.sh("fw", f"ip route add {BLACKHOLE}")
            time.sleep(self.chance.uniform(2, 12))
            self.lab.sh("fw", f"ip route del {BLACKHOLE}")
        elif kind == "disk":
            filler = self.lake.parent / "filler"
            subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=64k"], check=False, capture_output=True)
            time.sleep(6)
            filler.unlink()

    def endure(self, seconds: float, kills: int) -> None:
        """All of it, for so long."""
        faults = ["rotate", "cut", "sshd", "link", "disk", "rotate", "cut", "rotate"]
        begin, done, process = time.monotonic(), 0, self.start()
        try:
            while (passed := time.monotonic() - begin) < seconds or done < len(faults) or self.kills < kills:
                if done / len(faults) <= passed / seconds and done < len(faults) * max(1, int(seconds / 60)):
                    self.trouble(faults[done % len(faults)])
                    done += 1
                if self.chance.random() < 0.8:
                    self.until_begun()
                time.sleep(self.chance.uniform(0.0, max(2.0, 0.7 * seconds / kills)))
                if self.kills < kills:
                    process.kill()
                    assert process.wait() == -9, (self.desk.folder / "run.log").read_text()[-2000:]
                    self.kills += 1
                    process = self.start()
        finally:
            self.until_begun()
            process.terminate()
            assert process.wait(10) == 0, (self.desk.folder / "run.log").read_text()[-2000:]

    def caught_up(self) -> None:
        """What is left is read, with nobody in the way."""
        words = self.command("collect", "squid", "--json")
        done = subprocess.run(words, env=self.environment, cwd=self.desk.folder, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def logs_of(self, name: str) -> Path:
        """A source's logs, fetched by another way."""
        folder = self.desk.folder / name
        folder.mkdir()
        base = SOURCES[name][0]
        for one in self.lab.sh("fw", f"cd {LOGS}; ls | grep -E '^{base}(.[0-9]+)?$'").split():
            (folder / one).write_bytes(self.lab.read("fw", f"{LOGS}/{one}"))
        return folder


def differences(ordeal: Ordeal) -> tuple[dict[str, Any], int]:
    """What the lake has and the logs have not, and the other way; and how many rows there are."""
    lake = open_lake(ordeal.lake, make=False)
    table = lake.table("proxy")
    assert table is not None
    assert lake.table("rejects") is None
    held = table.scan().to_arrow().to_pylist()
    found: dict[str, Any] = {}
    for name, (_, log_format) in SOURCES.items():
        folder, truth = ordeal.logs_of(name), Shelf()
        truth.read(folder, log_format, firewall=name)
        rows = [row for row in held if row["firewall"] == name]
        wanted, have = Counter(map(whole_row, truth.rows.values())), Counter(map(whole_row, rows))
        lines = [line for path in folder.iterdir() for line in path.read_text("utf-8").splitlines()]
        plain = Counter(map(FIELDS[name], lines)) - Counter(map(as_logged, rows))
        found |= {name: (list((wanted - have).items())[:3], list((have - wanted).items())[:3], list(plain.items())[:3])}
        assert (len(lines), truth.rejects) == (len(rows), []), (name, len(lines), len(rows))
    return found, len(held)


def whole_row(row: dict[str, Any]) -> tuple[str, ...]:
    """Every column but those that say where the line stood."""
    return tuple(f"{name}={value!r}" for name, value in row.items() if name not in ("source", "source_offset"))


Plain = tuple[str, ...]


def as_logged(row: dict[str, Any]) -> Plain:
    """A row, with its main columns as Squid wrote them."""
    empty = {key: "-" if row[key] is None else str(row[key]) for key in ("user_name", "peer", "content_type")}
    status = "000" if row["status"] in (None, 0) else str(row["status"])
    return (
        f"{row['ts'].timestamp():.3f}",
        str(row["elapsed_ms"]),
        row["client_ip"],
        f"{row['action']}/{status}",
        str(row["bytes_down"]),
        row["method"],
        row["url"],
        empty["user_name"],
        f"{row['hierarchy']}/{empty['peer']}",
        empty["content_type"],
    )


def native_fields(line: str) -> Plain:
    """The ten fields of Squid's own format, by spaces alone."""
    return tuple(line.split())


def own_fields(line: str) -> Plain:
    """The same ones of pfsquid's format."""
    ts, elapsed, client, _, _, user, result, _, down, method, peer, kind, _, _, _, url = line.split()
    return (ts, elapsed, client, result, down, method, url, user, peer, kind)


FIELDS = {"native": native_fields, "own": own_fields}


@contextmanager
def arranged(lab: Lab, folder: Path, seed: int) -> Iterator[Ordeal]:
    """The firewall configured, its logs empty, the lake on a small disk."""
    posed(lab, "2.8")
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", disk], check=True)
    try:
        desk = desk_in(folder, lab)
        squid = {
            name: {"firewall": "fw", "log": f"{LOGS}/{log}", "format": kind} for name, (log, kind) in SOURCES.items()
        }
        desk.write(proxy={"log_days": 100}, collect={"flush": "1s", "squid": squid})
        desk.configured()
        lab.sh("fw", f"rm -f {LOGS}/*.log.*; for log in {LOGS}/*.log; do : > $log; done")
        yield Ordeal(lab, desk, disk / "lake", random.Random(seed))
    finally:
        subprocess.run(["umount", "--lazy", disk], check=False)
        lab.mend()
        lab.pose(None)


NOTHING: tuple[list[Any], ...] = ([], [], [])


def put_through(lab: Lab, folder: Path, seconds: float, kills: int, seed: int) -> dict[str, Any]:
    """The whole of it; figures."""
    with arranged(lab, folder, seed) as ordeal:
        with ordeal.traffic():
            ordeal.endure(seconds, kills)
        time.sleep(1)
        ordeal.caught_up()
        found, rows = differences(ordeal)
        assert found == {"native": NOTHING, "own": NOTHING}, json.dumps(found, indent=1)
        return {"rows": rows, "kills": ordeal.kills, **ordeal.deeds}


def test_whatever_happens_the_table_equals_the_logs(lab: Lab, tmp_path: Path) -> None:
    figures = put_through(lab, tmp_path, seconds=20, kills=8, seed=20261124)
    assert figures["rows"] > 1000
    assert figures["kills"] == 8


if __name__ == "__main__":
    state = state_folder()
    try:
        up = whole.up(state, print)
    except LabError as exc:
        sys.exit(str(exc))
    try:
        with tempfile.TemporaryDirectory() as name:
            print(put_through(Lab(state), Path(name), float(sys.argv[1]), kills=50, seed=int(time.time())))
    finally:
        if up:
            whole.down(state)
