"""`python -m tests.entra_endurance`: the Entra collector against a Graph that fails, for long, killed again and again.

At the end the tables equal what the server holds, id by id and letter by letter, and the ledger says complete. Three
parts: the back-fill (timed, against the least that the limit allows), three days of re-reads in fast motion, and a
last round that is left alone. Not part of the tests that run each time; `Trial` is what these use, with less of it.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collectors.entra.windows import DAY, Ledger, Status
from pfsquid.lake.catalog import open_lake
from pfsquid.lake.windows import ledgers
from tests.graph.asked import idle, kinds
from tests.graph.control import digest
from tests.graph.remote import Apart, Remote, apart

STREAMS = ("interactive", "non_interactive", "service_principal", "managed_identity", "audits")
ROOT = Path(__file__).parents[1]


@dataclass
class Trial:
    """One trial. kill: seconds between two kills, about; 0 for none. speed: of the days after the back-fill."""

    folder: Path
    sign_ins: int = 20_000
    days: float = 7
    late: float = 0.02
    changed: float = 0.01
    failing: float = 0.05
    kill: float = 5.0
    limit: int = 5
    per: float = 10.0
    speed: float = 3600.0
    command: tuple[str, ...] = ("collect", "entra", "--follow")
    say: Callable[[str], None] = lambda _: None
    peak: int = 0  # kB
    kills: int = 0
    found: dict[str, Any] = field(default_factory=dict)
    _moments: random.Random = field(default_factory=lambda: random.Random(20261124))

    def run(self) -> dict[str, Any]:
        """Raises AssertionError where anything is not as it must be. Returns what was measured."""
        given = {"days": self.days, "sign_ins": self.sign_ins, "late": self.late, "changed": self.changed}
        with apart(**given, limit=self.limit, per=self.per, lifetime=10**9, keep=self.days + 6, silence=2.0) as served:
            remote = served.control
            self._configure(served)
            remote.call("failing", often=self.failing)
            begin, real = remote.now(), time.monotonic()
            self._until(remote, 1.0, lambda: self._read_up_to(begin - 15 * 60))
            self._timed(remote, begin, time.monotonic() - real)
            remote.call("run", speed=self.speed)
            self._until(remote, self.speed, lambda: remote.now() > begin + 3 * DAY + 7200)
            remote.call("run", speed=0)
            remote.call("failing", often=0.0)
            self._to_the_end(remote)
            self._compare(remote, begin)
            self.found["violations"] = [f"{one.kind}: {one.detail}" for one in remote.violations()]
            assert self.found["violations"] == []
        self.found |= {"peak MB": self.peak // 1024, "kills": self.kills}
        return self.found

    def _configure(self, served: Apart) -> None:
        (self.folder / "pfsquid.yaml").write_text(f"""
lake: lake
collect:
  entra:
    contoso:
      tenant: {served.tenant}
      client_id: {served.client_id}
      secret: env:SECRET
      authority: {served.url}
      graph: {served.url}
      ca: {served.ca}
      streams: [{", ".join(STREAMS)}]
      rate: {{requests: {self.limit}, per: {self.per}s}}
      retention: {self.days + 6}d
      timeout: 5s
""")
        self.environment = {**os.environ, "SECRET": served.secret, "PYTHONPATH": str(ROOT)}
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program has its byte code

    def _start(self, remote: Remote, speed: float, *words: str) -> subprocess.Popen[bytes]:
        clock = (str(remote.now()), str(time.monotonic()), str(speed))
        command = [sys.executable, "-m", "tests.clocked", *clock, *words, "--config", "pfsquid.yaml"]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=log, stderr=log)

    def _until(self, remote: Remote, speed: float, reached: Callable[[], bool]) -> None:
        """Run, and kill now and then, until it is reached."""
        while True:
            process = self._start(remote, speed, *self.command)
            end = time.monotonic() + (self._moments.uniform(0.5, 1.5) * self.kill if self.kill else math.inf)
            try:
                while time.monotonic() < end:
                    time.sleep(0.2)
                    self._measure(process.pid)
                    assert process.poll() is None, (self.folder / "log").read_text()[-3000:]
                    if reached():
                        return
            finally:
                process.send_signal(signal.SIGKILL)
                process.wait()
            self.kills += 1

    def _to_the_end(self, remote: Remote) -> None:
        for _ in range(10):
            process = self._start(remote, 0.0, "collect", "entra")
            while process.poll() is None:
                self._measure(process.pid)
                time.sleep(0.1)
            left = [
                one
                for ledger in self._ledgers().values()
                for one in ledger.waiting()
                if one[1] < remote.now() - 4 * DAY
            ]
            if process.returncode == 0 and not left:
                return
        raise AssertionError((self.folder / "log").read_text()[-3000:])

    def _measure(self, pid: int) -> None:
        with suppress(OSError, IndexError):
            status = Path(f"/proc/{pid}/status").read_text()
            self.peak = max(self.peak, int(status.split("VmHWM:")[1].split()[0]))

    def _ledgers(self) -> dict[str, Ledger]:
        with suppress(Exception):
            return {stream: one for (_, stream), one in ledgers(open_lake(self.folder / "lake", make=False)).items()}
        return {}

    def _read_up_to(self, moment: float) -> bool:
        found = self._ledgers()
        return set(found) == set(STREAMS) and all(
            one.since is not None
            and all(span.status is Status.COMPLETE for span in one.spans(one.since, int(moment), one.since))
            for one in found.values()
        )

    def _timed(self, remote: Remote, begin: float, took: float) -> None:
        pages = sum(math.ceil(len(remote.digests(stream, at=begin)) / 1000) for stream in STREAMS)
        seen = remote.requests("auditLogs")
        asked, tokens = len(seen), len(remote.requests("token"))
        floor = max(0, pages - self.limit) / self.limit * self.per
        self.found |= {"pages": pages, "requests": asked, "floor s": round(floor, 1), "back-fill s": round(took, 1)}
        self.found |= {"of the floor": round(took / floor, 2) if floor else None, "kills in it": self.kills}
        free = idle((one.at for one in seen), self.limit, self.per)
        self.found |= {**kinds(seen), "tokens": tokens, "limit not made use of": round(free, 2)}
        self.say(f"{self.found}, peak {self.peak // 1024} MB")

    def _compare(self, remote: Remote, begin: float) -> None:
        lake, now = open_lake(self.folder / "lake", make=False), remote.now()
        rows: dict[str, dict[str, str]] = {stream: {} for stream in STREAMS}
        total = 0
        for name, columns in (("signins", ("stream", "id", "raw")), ("audits", ("id", "raw"))):
            table = lake.table(name)
            assert table is not None
            for batch in table.scan(selected_fields=columns).to_arrow_batch_reader():
                for row in batch.to_pylist():
                    rows[row.get("stream", "audits")][row["id"]] = digest(row["raw"])
                    total += 1
        found = self._ledgers()
        for stream in STREAMS:
            ledger = found[stream]
            assert ledger.since is not None
            truth = remote.digests(stream, since=ledger.since)
            late = sum(one.late for one in ledger.windows)
            changed = sum(one.changed for one in ledger.windows)
            self.say(
                f"{stream}: {len(truth):,} in truth, {len(rows[stream]):,} in the lake, {late} late, {changed} changed"
            )
            missing, extra = truth.keys() - rows[stream].keys(), rows[stream].keys() - truth.keys()
            assert not missing, (stream, len(missing), sorted(missing)[:3])
            assert not extra, (stream, len(extra), sorted(extra)[:3])
            assert rows[stream] == truth, (stream, "other states")
            horizon = int(now) - 900
            assert all(one.status is Status.COMPLETE for one in ledger.spans(ledger.since, horizon, 0)), ledger
            assert sum(one.rows for one in ledger.windows) == len(truth)
        assert total == sum(map(len, rows.values())), "rows twice"
        self.found["rows"] = total


def main() -> None:
    """The options are the fields of Trial."""
    parser = argparse.ArgumentParser(prog="python -m tests.entra_endurance", description=__doc__)
    for name, default in (("sign-ins", 200_000), ("limit", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    for name, number in (
        ("days", 30),
        ("late", 0.02),
        ("changed", 0.01),
        ("failing", 0.05),
        ("kill", 5),
        ("per", 10),
        ("speed", 3600),
    ):
        parser.add_argument(f"--{name}", type=float, default=float(number))
    parser.add_argument("--keep", type=Path, help="A folder to work in, which stays.")
    given = vars(parser.parse_args())
    keep = given.pop("keep")
    with tempfile.TemporaryDirectory() as temporary:
        folder = keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        trial = Trial(folder, **given, say=lambda text: print(text, flush=True))
        print(trial.run())


if __name__ == "__main__":
    main()
