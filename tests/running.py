"""Run pfsquid as a process of its own, in an environment that holds nothing of the developer's.

`Pfsquid(...)` forks from a server that has the imports done: real file descriptors and exit statuses in a third of a
second. `Pfsquid.process` starts `python -m pfsquid` from nothing, for signals, pipes, devices and other users.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pfsquid.cli

RECORDED = Path(pfsquid.cli.__file__).parent / "recorded"
ACCESS_LOG = RECORDED / "access.log"
SIGN_INS = RECORDED / "signins.json"
PATIENCE = 60  # seconds after which a process hangs

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    ["pytest", "rich.table", "pfsquid.discovery.answer", "pfsquid.lake.collect", "tests.running"]
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


@dataclass(frozen=True)
class Pfsquid:
    """The program with a home and a working directory of its own: without --lake, the lake is below that home."""

    folder: Path

    @property
    def lake(self) -> Path:
        return self.folder / "home/.local/share/pfsquid/lake"

    def __call__(self, *words: str | Path, **environment: str) -> Run:
        out, err = self.folder / ".out", self.folder / ".err"
        settings = (str(self.folder), {**self.environment(), **environment})
        process = _SERVER.Process(target=_child, args=(list(map(str, words)), str(out), str(err), *settings))
        process.start()
        process.join(PATIENCE)
        assert process.exitcode is not None, f"hangs: pfsquid {words}"
        run = Run(process.exitcode, out.read_text("utf-8"), err.read_text("utf-8"))
        process.close()
        return run

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


def _child(words: list[str], out: str, err: str, folder: str, environment: dict[str, str]) -> None:
    for path, number in ((out, 1), (err, 2)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    pfsquid.cli.main(words)
