"""The machine that a benchmark ran on and the versions of what it ran: a number without them says nothing."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from pathlib import Path

PACKAGES = ("pfsquid", "pyarrow", "duckdb", "pyiceberg")
ASK = """
import importlib.metadata, json, platform, sys
found = {"python": platform.python_version()}
for name in sys.argv[1:]:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        found[name] = "not installed"
print(json.dumps(found))
"""


def describe(python: str) -> dict[str, str]:
    """Processor, memory, kernel, load, GoAccess, and the versions that the interpreter `python` finds."""
    models = [s for s in Path("/proc/cpuinfo").read_text().splitlines() if s.startswith("model name")]
    model = models[0].partition(":")[2].strip() if models else platform.machine()
    kilobytes = int(Path("/proc/meminfo").read_text().split()[1])
    asked = subprocess.run([python, "-c", ASK, *PACKAGES], capture_output=True, text=True, check=True)
    return {
        "cores": f"{len(os.sched_getaffinity(0))} of {model}",
        "memory": f"{kilobytes / 1e6:.0f} GB",
        "system": f"{platform.system()} {platform.release()}",
        "load": load(),
        **{str(name): str(version) for name, version in json.loads(asked.stdout).items()},
        "goaccess": _goaccess(),
    }


def load() -> str:
    """The load averages of the last 1, 5 and 15 minutes: far above 1 at the start, other work disturbs."""
    return ", ".join(f"{average:.1f}" for average in os.getloadavg())


def _goaccess() -> str:
    if not shutil.which("goaccess"):
        return "not installed"
    said = subprocess.run(["goaccess", "--version"], capture_output=True, text=True).stdout
    return said.splitlines()[0].removeprefix("GoAccess - ").rstrip(".") if said else "unknown version"
