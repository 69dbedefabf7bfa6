"""The whole lab: up, down, status. One command at a time works on one state folder (a lock).

Labs of two clones share nothing, as each has a state folder and namespaces of its own; those of pytest's workers
share the cached domain.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.lab import dc, fw, packages, web, ws
from tests.lab.errors import LabError
from tests.lab.hosts import end, execute, host_folder, running, start
from tests.lab.layout import EVERY_HOST, HOSTS, shared_folder
from tests.lab.network import connect

Say = Callable[[str], None]


@contextmanager
def locked(state: Path) -> Iterator[None]:
    """Hold the state folder; LabError at once where another command holds it."""
    if os.geteuid():
        raise LabError("the lab needs root, for namespaces and mounts")
    for folder in (shared_folder(state), state):
        if folder.exists() and not (folder / "lock").exists() and any(folder.iterdir()):
            raise LabError(f"{folder} is not empty and not a lab's; choose another folder for PFSQUID_LAB_STATE")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / "lock").touch()
    with (state / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LabError(f"another command is working on this lab ({state}); wait for it and try again") from None
        yield


def is_up(state: Path) -> bool:
    """Up means: every host runs, and the last `up` came to its end."""
    return (state / "up").exists() and all(running(state, host) for host in HOSTS)


def up(state: Path, say: Say) -> bool:
    """Bring the lab up; False when it already was. Remains of a crashed lab are removed first."""
    with locked(state):
        if is_up(state):
            return False
        absent = packages.missing()
        if absent:
            raise LabError(f"packages are missing: {' '.join(absent)}\nInstall them: python -m tests.lab install")
        if _clear(state):
            say("removed what an earlier lab had left")
        try:
            _bring_up(state, say)
        except BaseException:
            if not os.environ.get("PFSQUID_LAB_KEEP"):
                _clear(state)
            raise
        return True


def _bring_up(state: Path, say: Say) -> None:
    begin = time.monotonic()

    def tell(text: str) -> None:
        say(f"{time.monotonic() - begin:5.1f} s  {text}")

    fw.make_keys(state)
    with ThreadPoolExecutor(8) as pool:
        hosts = dict(zip(HOSTS, pool.map(lambda host: start(state, host), HOSTS), strict=True))
        connect(state, hosts)
        tell(
            "five hosts on a wire"
            + (", writing to memory" if any(h.backing == "memory" for h in hosts.values()) else "")
        )
        others = [pool.submit(job, state) for job in (web.start, fw.prepare, ws.prepare)]
        origin = dc.provision(state)
        tell(f"dc: domain {origin}")
        dc.start(state)
        tell("dc: LDAP, Kerberos and DNS answer")
        for other in others:
            other.result()
        tell("web: sites answer; fw: sshd and unbound answer")
        fw.start(state)
        ws.start(state)
        tell("fw: Squid answers; ws: ready")
    (state / "up").touch()


def _clear(state: Path) -> bool:
    """End all hosts and remove their folders; keys and the cached domain stay. True if any was up."""
    (state / "up").unlink(missing_ok=True)
    with ThreadPoolExecutor(len(EVERY_HOST)) as pool:
        was_up = any(list(pool.map(lambda host: end(state, host), EVERY_HOST)))
    deadline = time.monotonic() + 10
    while (state / "hosts").exists():
        shutil.rmtree(state / "hosts", ignore_errors=time.monotonic() < deadline)
        time.sleep(0.02)
    return was_up


def down(state: Path) -> bool:
    """Take the lab down; False when nothing of it was up."""
    if not state.exists():
        return False
    with locked(state):
        return _clear(state)


def status(state: Path) -> list[tuple[str, str]]:
    """(host, what it is doing) for every host."""
    lines = []
    for host in HOSTS:
        found = running(state, host)
        if found is None:
            lines.append((host.name, "down"))
            continue
        done = execute(state, host, ["/bin/sh", "-c", "ls /proc | grep -c '^[0-9]'"])
        where = f"{host.address4:<11} {host.address6:<9} {host.fqdn}"
        what = f"{int(done.stdout) - 4} processes, writes to {found.backing}: {host_folder(state, host)}"
        lines.append((host.name, f"up  {where}  pid {found.init}, {what}"))
    return lines
