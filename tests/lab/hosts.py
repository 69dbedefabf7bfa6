"""One host of the lab as the outside sees it: start it, run something in it, end it.

A host is a set of namespaces held by one process (hostinit.py); its pid stands in the state
folder. A pid is believed only if its command line carries our mark and our folder, so nothing
that is not ours is ever killed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.lab.errors import LabError, last_lines
from tests.lab.layout import DC, DOMAIN, EVERY_HOST, FW, HOSTS, MARK, REPOSITORY, SWITCH, WS, Host

ENVIRONMENT = (
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/root",
    "LC_ALL=C.UTF-8",
    "TERM=dumb",
    "PYTHONDONTWRITEBYTECODE=1",
)

_children: dict[int, subprocess.Popen[bytes]] = {}  # keepers that this process started, and must reap


@dataclass(frozen=True)
class Running:
    """A host that is up: `keeper` is the unshare process outside, `init` the host's pid 1."""

    keeper: int
    init: int
    backing: str


def host_folder(state: Path, host: Host) -> Path:
    return state / "hosts" / host.name


def _is_ours(pid: int, folder: Path) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return MARK.encode() in words and any(str(folder).encode() in word for word in words)


def running(state: Path, host: Host) -> Running | None:
    """The host's processes, or None when it is down (or was killed)."""
    folder = host_folder(state, host)
    try:
        note = json.loads((folder / "pids").read_text())
    except (OSError, ValueError):
        return None
    found = Running(note["keeper"], note["init"], note["backing"])
    return found if _is_ours(found.init, folder) else None


def start(state: Path, host: Host) -> Running:
    """Start one host and wait for its file system; no network yet."""
    folder = host_folder(state, host)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ready").unlink(missing_ok=True)
    log = folder / "init.log"
    given = {
        "name": host.name,
        "fqdn": host.fqdn,
        "folder": str(folder),
        "repository": str(REPOSITORY),
        "nameserver": FW.address4 if host in (FW, WS) else DC.address4,
        "search": DOMAIN,
    }
    with log.open("wb") as output:
        keeper = subprocess.Popen(
            [
                "unshare",
                "--mount",
                "--net",
                "--pid",
                "--uts",
                "--ipc",
                "--fork",
                "--kill-child",
                "--propagation",
                "private",
                sys.executable,
                "-I",
                "-B",
                str(Path(__file__).with_name("hostinit.py")),
                MARK,
                json.dumps(given),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
        )
    ready = folder / "ready"
    deadline = time.monotonic() + 20
    while not ready.exists():
        if keeper.poll() is not None or time.monotonic() > deadline:
            keeper.kill()
            keeper.wait()
            raise LabError(f"host {host.name} did not start:\n{last_lines(log)}")
        time.sleep(0.01)
    answer = json.loads(ready.read_text())
    if "error" in answer:
        keeper.wait(5)
        raise LabError(f"host {host.name} has no file system: {answer['error']}")
    _children[keeper.pid] = keeper
    init = int(Path(f"/proc/{keeper.pid}/task/{keeper.pid}/children").read_text().split()[0])
    note = Running(keeper.pid, init, answer["backing"])
    (folder / "pids").write_text(json.dumps(note.__dict__))
    return note


def end(state: Path, host: Host) -> bool:
    """Kill a host's processes and wait for them; True if it was up."""
    folder = host_folder(state, host)
    pids = _ours_anywhere(folder)
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for pid in pids:
        if pid in _children:
            _children.pop(pid).wait()
    deadline = time.monotonic() + 10
    while any(_is_ours(pid, folder) for pid in pids):
        if time.monotonic() > deadline:
            raise LabError(f"host {host.name} does not die: pids {sorted(pids)}")
        time.sleep(0.01)
    return bool(pids)


def _ours_anywhere(folder: Path) -> list[int]:
    """Every keeper and init of this folder, also those that no note knows (a crashed `up`)."""
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [pid for pid in pids if _is_ours(pid, folder)]


def entry_command(state: Path, host: Host, command: Sequence[str], *, root: bool = True) -> list[str]:
    """The command that runs `command` inside a host, with a fresh environment and as root."""
    found = running(state, host)
    if found is None:
        raise LabError(f"host {host.name} is not up; bring the lab up with: python -m tests.lab up")
    where = (
        ["nsenter", "-t", str(found.init), "-m", "-n", "-p", "-u", "-i", "-r", "-w", "--"]
        if root
        else ["nsenter", "-t", str(found.init), "-n", "--"]
    )
    return [*where, *(["/usr/bin/env", "-i", *ENVIRONMENT] if root else []), *command]


def execute(
    state: Path, host: Host, command: Sequence[str], *, input: bytes | None = None, timeout: float = 60
) -> subprocess.CompletedProcess[bytes]:
    """Run `command` in a host and wait. Over `timeout` seconds it is killed inside: status 124."""
    bounded = ["/usr/bin/timeout", "-k", "2", f"{timeout:g}", *command]
    return subprocess.run(entry_command(state, host, bounded), capture_output=True, input=input or b"")


def must(
    state: Path,
    host: Host,
    command: Sequence[str],
    what: str,
    *,
    input: bytes | None = None,
    timeout: float = 60,
) -> bytes:
    """As `execute`, but a status other than 0 is a LabError that names `what`; gives stdout."""
    done = execute(state, host, command, input=input, timeout=timeout)
    if done.returncode:
        raise LabError(f"{what} (in {host.name}, status {done.returncode}):\n{last_lines(done.stdout + done.stderr)}")
    return done.stdout


def shell(state: Path, host: Host, script: str, what: str) -> None:
    """As `must`, for a script of sh."""
    must(state, host, ["/bin/sh", "-c", script], what)


def write(
    state: Path, host: Host, path: str, content: str | bytes, *, mode: int = 0o644, owner: str = "root:root"
) -> None:
    """Write a file in a host, its folder too; owner and mode are set before it has its name."""
    raw = content.encode() if isinstance(content, str) else content
    program = (
        'set -e; mkdir -p "$(dirname "$1")"; umask 077; cat >"$1.new"; chown "$2" "$1.new"; '
        'chmod "$3" "$1.new"; mv "$1.new" "$1"'
    )
    must(
        state,
        host,
        ["/bin/sh", "-c", program, "write", path, owner, f"{mode:o}"],
        f"cannot write {path}",
        input=raw,
    )


def python_module(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of this repository inside a host, by Debian's own Python."""
    return ["/usr/bin/env", "-C", str(REPOSITORY), "/usr/bin/python3", "-m", module, *arguments]


def wait_until(state: Path, host: Host, command: Sequence[str], what: str, log: str, seconds: float = 30) -> None:
    """Repeat a command until it succeeds; else a LabError with the end of the host's log file."""
    deadline = time.monotonic() + seconds
    while execute(state, host, command, timeout=5).returncode:
        if time.monotonic() > deadline:
            end_of_log = execute(state, host, ["tail", "-n", "15", log]).stdout
            raise LabError(f"{what} after {seconds:.0f} s; {host.name}:{log} ends with:\n{last_lines(end_of_log)}")
        time.sleep(0.1)


def by_name(name: str) -> Host:
    for host in EVERY_HOST:
        if host.name == name:
            return host
    raise LabError(f"there is no host {name}; hosts are {', '.join(h.name for h in HOSTS if h is not SWITCH)}")
