"""Run pfsquid as a process of its own, in an environment that holds nothing of the developer's.

`Pfsquid(...)` and `Pfsquid.forked` fork from a server that has the imports done: real file descriptors, signals and
exit statuses in a third of a second. `Pfsquid.process` starts `python -m pfsquid` from nothing, for pipes, devices and
other users.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import TracebackType
from typing import Any

import pfsquid.cli

RECORDED = Path(pfsquid.cli.__file__).parent / "recorded"
ACCESS_LOG = RECORDED / "access.log"
SIGN_INS = RECORDED / "signins.json"
PATIENCE = 60  # seconds after which a process hangs

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    [
        *("pytest", "rich.table", "pfsquid.discovery.answer", "pfsquid.lake.collect", "pfsquid.lake.care"),
        *("pfsquid.service", "pfsquid.streams", "pfsquid.metrics", "tests.running"),
    ]
)


@dataclass(frozen=True)
class Run:
    """What a command left behind."""

    status: int | None
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of a JSON answer."""
        rows: list[dict[str, Any]] = json.loads(self.out)["rows"]
        return rows


class Forked:
    """A process of its own that runs `main`, with the words of a Popen of text. It ends with the context, by SIGKILL.

    main: a function of a module, called in `folder` with `given` and an environment.
    """

    def __init__(self, folder: Path, environment: dict[str, str], main: Callable[..., object], *given: object) -> None:
        number = len(list(folder.glob(".out*")))
        self._out, self._err = folder / f".out{number}", folder / f".err{number}"
        self._out.touch()
        child = (str(self._out), str(self._err), str(folder), environment, main, *given)
        self._process: ForkServerProcess = _SERVER.Process(target=_child, args=child)
        self._process.start()

    @property
    def returncode(self) -> int | None:
        """Negative where a signal ended it; None as long as it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """As `returncode`."""
        return self.returncode

    def wait(self, timeout: float = PATIENCE) -> int:
        """Until its end."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout)
        return self.returncode

    def communicate(self, timeout: float = PATIENCE) -> tuple[str, str]:
        """What it said, once it has ended."""
        self.wait(timeout)
        return self._out.read_text("utf-8"), self._err.read_text("utf-8")

    def send_signal(self, number: signal.Signals) -> None:
        """To it alone."""
        assert self._process.pid
        os.kill(self._process.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self._process.terminate()

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()

    def __enter__(self) -> Forked:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.returncode is None:
            self.kill()
            self.wait()
        self._process.close()


@dataclass(frozen=True)
class Pfsquid:
    """The program with a home and a working directory of its own: without --lake, the lake is below that home."""

    folder: Path

    @property
    def lake(self) -> Path:
        return self.folder / "home/.local/share/pfsquid/lake"

    def __call__(self, *words: str | Path, **environment: str) -> Run:
        with self.forked(*words, **environment) as process:
            out, err = process.communicate()
            return Run(process.returncode, out, err)

    def forked(self, *words: str | Path, **environment: str) -> Forked:
        """Start it."""
        whole = {**self.environment(), **environment}
        return Forked(self.folder, whole, pfsquid.cli.main, list(map(str, words)))

    def count(self, table: str) -> int:
        """Rows of a table in the lake."""
        return int(self("query", "--json", "--sql", f"SELECT count(*) AS n FROM {table}").rows[0]["n"])

    def process(self, *words: str | Path, before: tuple[str, ...] = (), **options: Any) -> subprocess.Popen[str]:
        """Start `python -m pfsquid`, or `before` it, such as `setpriv …`; its output can be read as text."""
        given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": self.folder, **options}
        command = [*before, sys.executable, "-m", "pfsquid", *map(str, words)]
        return subprocess.Popen(command, env=self.environment(), text=True, stdin=subprocess.DEVNULL, **given)

    def finished(self, *words: str | Path, before: tuple[str, ...] = (), **options: Any) -> Run:
        """Run `process` to its end."""
        with self.process(*words, before=before, **options) as process:
            out, err = process.communicate(timeout=PATIENCE)
            return Run(process.returncode, out or "", err or "")

    def environment(self) -> dict[str, str]:
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        return {
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(RECORDED.parents[1]),
        }


def _child(
    out: str, err: str, folder: str, environment: dict[str, str], main: Callable[..., object], *given: object
) -> None:
    for path, number in ((out, 1), (err, 2)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    main(*given)
