"""Two machines collect into one lake in S3 at once, and S3 fails at random: in the end it equals what was to be read.

`python -m tests.aws.two_collectors --seconds 300`. Each machine is a `pfsquid run` with a folder of its own, so that no
lock reaches the other: it follows a log of its own, one that both follow, and the sign-ins of one tenant, and cares for
the lake, too. Now and then one is killed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pfsquid.lake.catalog import Lake, open_lake
from pfsquid.lake.tables import TABLES
from pfsquid.lake.windows import ledgers
from pfsquid.place import Place
from tests.aws.faulty import USUAL, Faulty, faulty
from tests.aws.rest_catalog import rest_catalog
from tests.aws.seaweed import Seaweed, _started
from tests.graph.certificate import make
from tests.graph.serving import Options, Served, build
from tests.graph.world import Size
from tests.running import ACCESS_LOG, RECORDED

LINES = ACCESS_LOG.read_bytes().splitlines(keepends=True)
LOGS = ("one", "two", "both")
PATIENCE = 120.0


@dataclass
class Trial:
    """seconds: that logs grow. kill: seconds from one kill to the next, 0 for none. catalog: sqlite or rest."""

    folder: Path
    store: Seaweed
    seconds: float = 8.0
    kill: float = 0.0
    catalog: str = "sqlite"
    sign_ins: int = 300
    times: float = 1.0
    found: dict[str, Any] = field(default_factory=dict)
    _written: Counter[str] = field(default_factory=Counter)
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def run(self) -> dict[str, Any]:
        """What came of it. Raises AssertionError where the lake is not what was to be read."""
        with ExitStack() as stack:
            rates = {name: rate * self.times for name, rate in USUAL.items()}
            before_s3 = stack.enter_context(faulty(self.store.endpoint, rates=rates))
            place = direct = self.store.place(self.folder)
            proxies = [before_s3]
            if self.catalog == "rest":
                behind = stack.enter_context(rest_catalog(place, self.folder / "rest"))
                before_rest = stack.enter_context(faulty(behind, rates=rates, seed=2))
                proxies.append(before_rest)
                place, direct = (replace(place, catalog=f"rest:{one}") for one in (before_rest.endpoint, behind))
            (self.folder / "ca").mkdir()
            server, served = build(
                Size(sign_ins=self.sign_ins, days=1), Options(limit=5, per=0.5), make(self.folder / "ca")
            )
            server.start()
            stack.callback(server.stop)
            for name in ("one", "two"):
                self._configured(name, place, before_s3, served)
            with self._at_work():
                self._feed(random.Random(7))
                lake = open_lake(direct, make=True)
                self._until_read(lake, served, proxies)
            self._compare(lake, served)
            self._count(lake, proxies)
        return self.found

    def _configured(self, name: str, place: Place, store: Faulty, served: Served) -> None:
        folder = self.folder / name
        folder.mkdir()
        (folder / "secret").write_text(served.secret)
        (folder / "secret").chmod(0o600)
        for log in LOGS:
            (self.folder / f"{log}.log").touch()
        sources = {log: {"path": str(self.folder / f"{log}.log"), "format": "squid"} for log in (name, "both")}
        tenant = {
            **served.settings("file:secret"),
            "rate": {"requests": 5, "per": 0.5},
            "retention": "1d",
            "streams": ["interactive"],
            "every": "1s",
        }
        whole = {
            "lake": place.url,
            "aws": {
                "region": "us-east-1",
                "endpoint": store.endpoint,
                "catalog": place.catalog,
                "database": place.database,
                "state": str(folder / "state"),
            },
            "collect": {"flush": "300ms", "squid": sources, "entra": {"contoso": tenant}},
            "care": {"every": "10s", "compact": {"files": 3, "quiet": "1s"}, "expire": {"snapshots": "0s"}},
        }
        (folder / "pfsquid.yaml").write_text(json.dumps(whole))

    def _start(self, name: str) -> None:
        folder = self.folder / name
        environment = {
            **self.store.env(),
            "HOME": str(folder),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(RECORDED.parents[1]),
        }
        environment.pop("AWS_ENDPOINT_URL_S3")
        with (folder / "log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", "pfsquid", "run"], cwd=folder, env=environment, stdout=log, stderr=log
            )

    @contextmanager
    def _at_work(self) -> Any:
        stop = threading.Event()
        killer = threading.Thread(target=self._kill, args=(stop,))
        for name in ("one", "two"):
            self._start(name)
        killer.start()
        try:
            yield
        finally:
            stop.set()
            killer.join()
            for process in self._running.values():
                process.send_signal(signal.SIGTERM)
            for process in self._running.values():
                try:
                    process.wait(3)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def _kill(self, stop: threading.Event) -> None:
        dice, self.found["kills"] = random.Random(3), 0
        while self.kill and not stop.wait(dice.uniform(0.5, 1.5) * self.kill):
            name = dice.choice(["one", "two"])
            self._running[name].kill()
            self._running[name].wait()
            self._start(name)
            self.found["kills"] += 1

    def _feed(self, dice: random.Random) -> None:
        """The logs grow by lines that are all different."""
        end, number = time.monotonic() + self.seconds, 0
        while time.monotonic() < end:
            for log in LOGS:
                with (self.folder / f"{log}.log").open("ab") as out:
                    for _ in range(dice.randrange(40)):
                        number += 1
                        out.write(b"%d.%03d" % (1794816508 + number, LOGS.index(log)) + LINES[number % 1000][14:])
                        self._written[log] += 1
            for name, process in self._running.items():
                assert process.poll() in (None, -9), (self.folder / name / "log").read_text()[-3000:]
            time.sleep(0.2)

    def _until_read(self, lake: Lake, served: Served, proxies: list[Faulty]) -> None:
        begin, calm = time.monotonic(), time.monotonic() + PATIENCE / 2
        while True:
            with suppress(ValueError):  # there is no ledger yet
                if len(_rows(lake)) >= sum(self._written.values()) and _signed_in(lake) == _truth(lake, served):
                    break
            if time.monotonic() > calm:
                for proxy in proxies:
                    proxy.calm()
            logs = "\n".join((self.folder / name / "log").read_text()[-2000:] for name in ("one", "two"))
            assert time.monotonic() < begin + PATIENCE, f"{len(_rows(lake))} of {self._written}\n{logs}"
            time.sleep(0.3)
        self.found["seconds to catch up"] = round(time.monotonic() - begin, 1)
        for proxy in proxies:
            proxy.calm()

    def _compare(self, lake: Lake, served: Served) -> None:
        expected = []
        for log in LOGS:
            offset = 0
            for line in (self.folder / f"{log}.log").read_bytes().splitlines(keepends=True):
                expected.append((log, offset, int(line[:10]) * 1000 + int(line[11:14])))
                offset += len(line)
        got = sorted(_rows(lake))
        assert len(got) == len(expected), (len(got), len(expected))
        assert got == sorted(expected), "other rows"
        assert _signed_in(lake) == _truth(lake, served)
        self.found |= {"rows": len(got), "sign-ins": len(_signed_in(lake))}

    def _count(self, lake: Lake, proxies: list[Faulty]) -> None:
        states = 0
        for name in TABLES:
            if table := lake.table(name):
                states += int(table.metadata_location.rpartition("/")[2].partition("-")[0])
                table.scan().to_arrow()
        injected: Counter[str] = sum((proxy.injected for proxy in proxies), Counter())
        conflicts = sum(proxy.refused for proxy in proxies) if self.catalog == "rest" else proxies[0].metadata - states
        self.found |= {"commits": states, "written and not taken": conflicts, "injected": dict(injected)}
        self.found["requests"] = sum(proxy.requests for proxy in proxies)


def _rows(lake: Lake) -> list[tuple[str, int, int]]:
    """(log, offset, ms) of each row."""
    table = lake.table("proxy")
    if table is None:
        return []
    rows = table.scan(selected_fields=("source", "source_offset", "ts")).to_arrow().to_pylist()
    return [
        (row["source"].partition("/")[0], row["source_offset"], round(row["ts"].timestamp() * 1000)) for row in rows
    ]


def _signed_in(lake: Lake) -> dict[str, str]:
    table = lake.table("signins")
    rows = table.scan(selected_fields=("id", "raw")).to_arrow().to_pylist() if table else []
    assert len(rows) == len({row["id"] for row in rows}), "sign-ins twice"
    return {row["id"]: row["raw"] for row in rows}


def _truth(lake: Lake, served: Served) -> dict[str, str]:
    ((_, ledger),) = ledgers(lake).items()
    assert ledger.since is not None
    later = served.control.truth("interactive", since=ledger.windows[-1].end)
    found = served.control.truth("interactive", since=ledger.since)
    return {one: text for one, text in found.items() if one not in later}


def main() -> None:
    """The options are the fields of Trial."""
    parser = argparse.ArgumentParser(prog="python -m tests.aws.two_collectors", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--kill", type=float, default=20.0)
    parser.add_argument("--sign-ins", type=int, default=3000)
    parser.add_argument("--times", type=float, default=1.0, help="of the usual rates of failures")
    parser.add_argument("--catalog", choices=["sqlite", "rest"], default="sqlite")
    given = vars(parser.parse_args())
    with tempfile.TemporaryDirectory() as folder:
        for store in _started(Path(folder)):
            os.environ.update(store.env())
            work = Path(folder) / "work"
            work.mkdir()
            print(json.dumps(Trial(work, store, **given).run(), indent=2))


if __name__ == "__main__":
    main()
