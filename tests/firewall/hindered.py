"""What hinders a pfsquid at work, given to `Desk` as `fault`: deeds before or after a program on the firewall."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pfsquid.firewall.apply
import pfsquid.resources
from pfsquid.firewall.pfsense import Pfsense

Deed = Callable[[], object]


def die() -> None:
    """As by kill -9."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_soon() -> None:
    """In the middle of what comes next."""
    threading.Timer(0.35, die).start()


def before(program: str, deed: Deed) -> Deed:
    """Do it before the program is sent."""
    return lambda: _around(program, deed, None)


def after(program: str, deed: Deed) -> Deed:
    """Do it once its answer is there."""
    return lambda: _around(program, None, deed)


def _around(at: str, first: Deed | None, then: Deed | None) -> None:
    real = Pfsense.run

    def run(self: Pfsense, program: str, data: dict[str, Any], seconds: float = 60.0) -> dict[str, Any]:
        if first and program == at:
            first()
        answer = real(self, program, data, seconds)
        if then and program == at:
            then()
        return answer

    Pfsense.run = run  # type: ignore[method-assign]


def impatient() -> None:
    """Proofs are given two seconds."""
    pfsquid.firewall.apply.PROOF_SECONDS = 2


def unparsed() -> None:
    """The candidate squid.conf is not shown to Squid."""
    real = Pfsense.run

    def run(self: Pfsense, program: str, data: dict[str, Any], seconds: float = 60.0) -> dict[str, Any]:
        return real(self, program, {**data, "candidate": None} if program == "stage" else data, seconds)

    Pfsense.run = run  # type: ignore[method-assign]


def templates_with(folder: Path, line: str) -> Deed:
    """The block has one more line."""
    own = folder / "templates"
    own.mkdir()
    for path in filter(Path.is_file, pfsquid.resources.templates().iterdir()):
        text = path.read_text("utf-8")
        (own / path.name).write_text(text.replace("{{ end }}", f"{line}\n{{{{ end }}}}"), "utf-8")

    def use() -> None:
        pfsquid.resources.templates = lambda: own

    return use


def all_of(*deeds: Deed) -> Deed:
    """One after the other."""
    return lambda: [deed() for deed in deeds]
