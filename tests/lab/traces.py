"""What a run leaves on the hosts: a snapshot before, one after, and what differs.

Everything that a host wrote lies in its own layer over the machine's files (hostinit.py): the snapshot is of that layer
and of the host's memory file systems. It is small, and nothing that others do on the machine is in it. A file that came
and went shows in the times of its folder. The directory is compared record by record.
"""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab import dc
from tests.lab.fixture import Lab
from tests.lab.hosts import host_folder, running
from tests.lab.layout import DC, FW, WS, Host

HOSTS = (FW, DC, WS)
MEMORY = ("run", "tmp", "dev/shm")
FORMAT = r"%p\t%y %s %m %U:%G %T@ %C@\n"

# What serving itself writes, whoever asks and whatever the question was.
SERVING = (
    r"dc:/var/lib/samba/private/sam\.ldb\.d/DC=LAB,DC=PFSQUID,DC=TEST\.ldb",  # lastLogon; records are compared
    r"fw:/run(/motd\.dynamic)?",  # Debian's sshd at each login; FreeBSD's does not
)
# Lines are added here, and that is no trace: the servers tell whom they served.
LOGS = (
    r"dc:/var/log/samba/.*",
    r"fw:/var/squid/logs/(access|pfsquid|cache)\.log",
    r"fw:/var/unbound/unbound\.log",
)
# Processes that a server starts and keeps for the next one who asks.
POOLS = (
    r"dc:(/usr/sbin/)?(samba|smbd|winbindd)\b.*",
    r"fw:.*negotiate_kerberos_auth.*",
)
# What a domain controller writes for each good login ([MS-ADA1], [MS-SAMR] 3.1.5.15), with no change of the account.
LOGINS = ("lastLogon", "logonCount")
FIRST_LOGIN = ("lastLogonTimestamp", "whenChanged", "uSNChanged", "replPropertyMetaData")  # once in 9 to 14 days


@dataclass(frozen=True)
class Snapshot:
    """files: host:path → kind, size, mode, owner, mtime, ctime. processes: host:words → how many."""

    files: Mapping[str, str]
    processes: Counter[str]
    directory: Mapping[str, Mapping[str, list[str]]] = field(default_factory=dict)


def snapshot(lab: Lab, *folders: Path) -> Snapshot:
    """All hosts now, with the directory, and folders of the machine itself (of the desk, say)."""
    files: dict[str, str] = {}
    processes: Counter[str] = Counter()
    for host in HOSTS:
        files |= _files(lab.state, host)
        words = lab.sh(host.name, "ps -eo args= | grep -v 'ps -eo args='").splitlines()
        processes.update(f"{host.name}:{line.strip()}" for line in words if _counts(line))
    for folder in folders:
        files |= {f"here:{path}": told for path, told in _find([str(folder)], []).items()}
    return Snapshot(files, processes, directory(lab))


def _files(state: Path, host: Host) -> dict[str, str]:
    up = running(state, host)
    assert up is not None, host.name
    folder = host_folder(state, host) / ("memory" if up.backing == "memory" else "")
    enter = ["nsenter", "-t", str(up.init), "-m", "--"]
    found = {}
    for part, root in ((folder / "up", folder / "up"), *((folder / "root" / one, folder / "root") for one in MEMORY)):
        for path, told in _find([str(part)], enter).items():
            found[f"{host.name}:/{Path(path).relative_to(root)}"] = told
    return found


def _find(words: list[str], enter: list[str]) -> dict[str, str]:
    done = subprocess.run([*enter, "find", *words, "-xdev", "-printf", FORMAT], capture_output=True, check=False)
    lines = done.stdout.decode("utf-8", "surrogateescape").splitlines()
    return dict(line.split("\t", 1) for line in lines if "\t" in line)


def directory(lab: Lab) -> Mapping[str, Mapping[str, list[str]]]:
    """Every record of the domain and of its DNS zones."""
    domain, dns = dc.live(lab.state, ["dump", "domain"], ["dump", "dns"])
    return {**domain, **dns}


def of_directory(
    before: Mapping[str, Mapping[str, list[str]]],
    after: Mapping[str, Mapping[str, list[str]]],
    ignored: tuple[str, ...] = LOGINS + FIRST_LOGIN,
) -> list[str]:
    """`DN: attribute before → after` for all that differs. FIRST_LOGIN goes only with a changed lastLogonTimestamp."""
    found = []
    for dn in sorted(before.keys() | after.keys()):
        was, now = before.get(dn, {}), after.get(dn, {})
        differ = {name for name in was.keys() | now.keys() if was.get(name) != now.get(name)}
        free = set(ignored)
        if "lastLogonTimestamp" not in differ:
            free -= set(FIRST_LOGIN)
        found += [f"{dn}: {name} {was.get(name)} → {now.get(name)}" for name in sorted(differ - free)]
    return found


def changed(before: Snapshot, after: Snapshot, ignored: tuple[str, ...] = ()) -> list[str]:
    """What came, went or changed, without what SERVING, LOGS, POOLS and LOGINS name; a log may only grow. ignored: more
    regular expressions of host:path."""
    found = []
    for name in sorted(before.files.keys() | after.files.keys()):
        was, now = before.files.get(name), after.files.get(name)
        if was == now or _named(name, SERVING + ignored) or (_named(name, LOGS) and _grew(was, now)):
            continue
        found.append(f"{name}: {was or 'was not there'} → {now or 'is gone'}")
    processes = (after.processes - before.processes) + (before.processes - after.processes)
    found += [f"process {name}" for name in sorted(processes) if not _named(name, POOLS)]
    return found + of_directory(before.directory, after.directory)


def _counts(line: str) -> bool:
    """Not the command that lists them, and nobody who has ended and was not yet reaped (`[sshd] <defunct>`)."""
    words = line.strip()
    return "ps -eo args=" not in words and not (words.startswith("[") and words.endswith(("]", "<defunct>")))


def _named(name: str, patterns: tuple[str, ...]) -> bool:
    return any(re.fullmatch(pattern, name) for pattern in patterns)


def _grew(was: str | None, now: str | None) -> bool:
    if was is None or now is None:
        return False
    (kind, size, *rest), (later_kind, later_size, *later) = was.split(), now.split()
    return kind == later_kind and rest[:2] == later[:2] and int(later_size) >= int(size)
