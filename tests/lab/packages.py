"""Which Debian packages the lab needs, which are missing, and their installation by apt-get."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.lab.errors import LabError, last_lines

WAIT = ("-o", "DPkg::Lock::Timeout=600")  # somebody else may be installing, another lab say
LIST = Path(__file__).with_name("packages.txt")


def wanted() -> list[list[str]]:
    """Each package with its alternatives; the first is the one to install."""
    lines = (line.split("#")[0].strip() for line in LIST.read_text().splitlines())
    return [line.split("|") for line in lines if line]


def missing() -> list[str]:
    """Packages that dpkg does not call installed. Without dpkg: LabError."""
    if not shutil.which("dpkg-query"):
        raise LabError("the lab needs Debian (dpkg-query was not found)")
    done = subprocess.run(
        [
            "dpkg-query",
            "-W",
            "-f",
            "${Package} ${db:Status-Status}\\n",
            *(name for names in wanted() for name in names),
        ],
        capture_output=True,
        text=True,
    )
    installed = {line.split()[0] for line in done.stdout.splitlines() if line.endswith(" installed")}
    return [names[0] for names in wanted() if installed.isdisjoint(names)]


def install() -> list[str]:
    """Install what is missing and give its names; package lists are fetched only where needed.
    Services are not started on this machine."""
    names = missing()
    if not names:
        return []
    if os.geteuid():
        raise LabError(f"not root; as root: apt-get install --no-install-recommends {' '.join(names)}")
    if _apt(names).returncode:
        update = subprocess.run(["apt-get", "update"], capture_output=True)
        again = _apt(names)
        if again.returncode:
            raise LabError(f"apt-get cannot install {' '.join(names)}:\n{last_lines(update.stderr + again.stderr)}")
    return names


def _apt(names: list[str]) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    return subprocess.run(
        ["apt-get", "install", "-y", "--no-install-recommends", *WAIT, *names], capture_output=True, env=environment
    )
