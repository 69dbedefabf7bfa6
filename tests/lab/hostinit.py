"""Process 1 of one lab host: makes the host's file system, then waits to be killed.

Run by `unshare` in fresh namespaces, as a script and with no import from this project. It mounts
an overlay over the machine's own `/`, so that programs are shared and every write stays in the
host's folder; when this process dies, the kernel drops mounts, network and every process inside.
Never mounts anything outside its own mount namespace.

argv: MARK, then a JSON object {name, fqdn, folder, repository, nameserver, search}.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path


def mount(*arguments: str, cwd: Path | None = None) -> None:
    done = subprocess.run(["mount", *arguments], cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"mount {' '.join(arguments)}: {done.stderr.strip()}")


def overlay(name: str, folder: Path) -> None:
    """Mount the overlay at folder/root with upper and work dir in `folder`; try what Samba needs."""
    for part in ("up", "work", "root"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    # relative paths: the kernel's option string has no room for commas and colons
    mount("-t", "overlay", f"lab-{name}", "-o", "lowerdir=/,upperdir=up,workdir=work", "root", cwd=folder)
    probe = folder / "root" / ".lab-probe"
    probe.touch()
    os.setxattr(probe, "user.lab", b"1")
    os.setxattr(probe, "security.NTACL", b"1")
    probe.unlink()


def make_root(name: str, folder: Path) -> tuple[Path, str]:
    """The host's new root, and where its writes go: `disk`, or `memory` where the disk cannot."""
    try:
        overlay(name, folder)
        return folder / "root", "disk"
    except OSError as first:
        subprocess.run(["umount", str(folder / "root")], capture_output=True)
        memory = folder / "memory"
        memory.mkdir(exist_ok=True)
        try:
            mount("-t", "tmpfs", "-o", "size=2g", "tmpfs", str(memory))
            overlay(name, memory)
        except OSError as second:
            raise OSError(f"no overlay on {folder} ({first}) and none in memory ({second})") from second
        return memory / "root", "memory"


def furnish(root: Path, fqdn: str, repository: Path, nameserver: str, search: str) -> None:
    if not (root / "usr/bin/env").exists():
        raise OSError("/usr is on a mount of its own, which an overlay over / does not show")
    mount("--rbind", "/dev", str(root / "dev"))
    mount("-t", "tmpfs", "tmpfs", str(root / "dev/shm"))  # squid leaves files here when killed
    mount("-t", "proc", "proc", str(root / "proc"))
    mount("-t", "sysfs", "sysfs", str(root / "sys"))
    for path in ("run", "tmp"):
        mount("-t", "tmpfs", "-o", "mode=1777" if path == "tmp" else "mode=755", "tmpfs", str(root / path))
    for path in ("run/lock", "run/sshd", "run/samba"):
        (root / path).mkdir(parents=True, exist_ok=True)
    inside = root / repository.relative_to("/")
    inside.mkdir(parents=True, exist_ok=True)
    mount("--bind", str(repository), str(inside))
    mount("-o", "remount,bind,ro", str(inside))
    for path, text in {
        "etc/resolv.conf": f"nameserver {nameserver}\nsearch {search}\n",
        "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
        "etc/hostname": f"{fqdn}\n",
    }.items():
        (root / path).unlink(missing_ok=True)
        (root / path).write_text(text)
    socket.sethostname(fqdn)


def main() -> None:
    given = json.loads(sys.argv[2])
    folder = Path(given["folder"])
    try:
        root, backing = make_root(given["name"], folder)
        furnish(root, given["fqdn"], Path(given["repository"]), given["nameserver"], given["search"])
    except OSError as error:
        (folder / "ready.new").write_text(json.dumps({"error": str(error)}))
        (folder / "ready.new").rename(folder / "ready")
        sys.exit(1)
    (folder / "ready.new").write_text(json.dumps({"backing": backing}))
    (folder / "ready.new").rename(folder / "ready")
    os.chroot(root)
    os.chdir("/")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps orphans for us
    while True:
        signal.pause()


main()
