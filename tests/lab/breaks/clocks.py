"""Wrong clocks: of the firewall, of the domain controller, of the process that checks.

The kernel has one clock for all; a library that the loader puts before a new program (LD_PRELOAD) tells it another
time. What already runs keeps its own, so services are started anew.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from tests.lab import dc
from tests.lab.breaks.parts import HELPER, Fault, reload_squid
from tests.lab.fixture import Lab

# Samba's modules would look for time() in the C library first.
FOR_ALL = "LDB_MODULES_DISABLE_DEEPBIND=1"
TIME = "/etc/faketimerc"
PHP = "/usr/local/bin/php"
WRONG = 360  # seconds: more than Kerberos bears (300)


def library() -> Path:
    """The library that tells another time; it is Debian's package faketime."""
    return next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))


def environment(seconds: float) -> dict[str, str]:
    """For a program that is started with it: its clock is `seconds` ahead (negative: behind)."""
    return {"LD_PRELOAD": str(library()), "FAKETIME": f"{seconds:+.0f}", "DONT_FAKE_MONOTONIC": "1"}


def started_anew(words: Sequence[str], seconds: float) -> Callable[[], NoReturn]:
    """A `fault` for at_work.Desk: the forked process becomes pfsquid with these words and a wrong clock."""

    def become() -> NoReturn:
        path = os.pathsep.join(one for one in sys.path if one)
        given = {**os.environ, **environment(seconds), "PYTHONPATH": path}
        os.execve(sys.executable, [sys.executable, "-m", "pfsquid", *words], given)

    return become


def firewall(seconds: float) -> Fault:
    """PHP and what it starts, and Squid's helper. Not sshd, whose children may open no file, as the library does."""
    given = " ".join(f"{name}={value}" for name, value in environment(seconds).items())
    wrap = f"""mv $path $path.true
printf '#!/bin/sh\\nexec env {given} %s.true "$@"\\n' $path >$path; chmod 755 $path"""
    put = f"for path in {PHP} {HELPER}; do {wrap}; done"
    back = "".join(f"mv {path}.true {path}; " for path in (PHP, HELPER))

    @contextmanager
    def inside(lab: Lab) -> Iterator[None]:
        lab.sh("fw", put)
        try:
            reload_squid(lab)
            yield
        finally:
            lab.sh("fw", back)
            reload_squid(lab)

    return inside


def controller(seconds: float) -> Fault:
    """Samba: KDC, LDAP and all. It forgets its environment, so that the time stands in a file."""

    @contextmanager
    def inside(lab: Lab) -> Iterator[None]:
        lab.sh("dc", f"echo {seconds:+.0f} >{TIME}")
        try:
            dc.stop(lab.state)
            dc.start(lab.state, f"LD_PRELOAD={library()} DONT_FAKE_MONOTONIC=1 {FOR_ALL}")
            yield
        finally:
            lab.sh("dc", f"rm -f {TIME}")
            dc.restart(lab.state)

    return inside


FAULTS: dict[str, tuple[str, Fault]] = {
    "clock_firewall_ahead": ("the firewall's clock is 6 minutes ahead", firewall(WRONG)),
    "clock_firewall_behind": ("the firewall's clock is 6 minutes behind", firewall(-WRONG)),
    "clock_controller_ahead": ("the domain controller's clock is 6 minutes ahead", controller(WRONG)),
    "clock_controller_behind": ("the domain controller's clock is 6 minutes behind", controller(-WRONG)),
}
