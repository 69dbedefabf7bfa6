"""The lab's firewall, reached by SSH from the host ws, for what a test asks of it within its own process."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from pfsquid.firewall.pfsense import Pfsense
from pfsquid.firewall.ssh import Connection, Target, connection
from tests.lab.fixture import Lab
from tests.lab.hosts import running
from tests.lab.layout import FW, REALM, WS
from tests.lab.pfsense.squid import BEFORE_AUTH, OVERRIDES, kerberos, keytab, resync

KRB5 = f"includedir /etc/krb5.conf.d\n[libdefaults]\n\tdefault_realm = {REALM}\n"
_CLONE_NEWNET = 0x40000000
# What a login itself writes, and what a real request does.
_ALLOWED = ("/run/sshd", "/run/utmp", "/run/sudo", "/var/log/", "/var/squid/logs/", "/var/lib/sudo", "/run/systemd")


@contextmanager
def reached(lab: Lab, user: str = "root") -> Iterator[Pfsense]:
    """A connection as `user`; operator asks for sudo."""
    line = next(one.partition(" ")[2] for one in lab.known_hosts.read_text().splitlines() if "ssh-ed25519" in one)
    target = Target("fw", FW.address4, 22, user, (line,), identity=lab.ssh_key, agent=False)
    opened: list[Connection | BaseException] = []
    with ExitStack() as stack:

        def connect() -> None:
            # Only this thread goes into the host's network; a socket stays where it was made.
            ws = running(lab.state, WS)
            assert ws is not None
            enter = os.open(f"/proc/{ws.init}/ns/net", os.O_RDONLY)
            try:
                assert not ctypes.CDLL(None, use_errno=True).setns(enter, _CLONE_NEWNET), "no network of ws"
                opened.append(stack.enter_context(connection(target)))
            except BaseException as exc:  # noqa: BLE001 - given to the thread that waits
                opened.append(exc)
            finally:
                os.close(enter)

        thread = threading.Thread(target=connect)
        thread.start()
        thread.join()
        if isinstance(opened[0], BaseException):
            raise opened[0]
        yield Pfsense(opened[0], sudo=user == "operator")


def written(lab: Lab) -> dict[str, str]:
    """All that the firewall ever wrote: path → type, times of content and of inode, size, inode.

    In the overlay's upper folder every write shows, wherever it goes; /tmp, /run and /dev/shm are mounts of their own.
    """
    shown = "%p %y %T@ %C@ %s %i\\n"
    inside = "find /tmp /run /dev/shm -xdev -printf"
    up = lab.state / "hosts/fw/up"
    found = lab.sh("fw", f"{inside} '{shown}'")
    if not up.exists():  # the hosts write to memory
        found += lab.sh("fw", f"find /cf /etc /usr/local /var /root /home -xdev -printf '{shown}'")
    lines = {}
    for line in found.splitlines():
        path, _, rest = line.partition(" ")
        lines[path] = rest
    for one in up.rglob("*") if up.exists() else ():
        at = one.lstat()
        lines[f"/{one.relative_to(up)}"] = f"{at.st_mode:o} {at.st_mtime_ns} {at.st_ctime_ns} {at.st_size} {at.st_ino}"
    return {path: rest for path, rest in lines.items() if not path.startswith(_ALLOWED)}


def serve(lab: Lab) -> None:
    """Kerberos on the posing firewall, as somebody would have put it there by hand."""
    keytab(lab, owner="squid:proxy")
    lab.write("fw", "/etc/krb5.conf", KRB5.encode())
    lab.sh("fw", "mkdir -p /etc/krb5.conf.d")
    lab.write("fw", "/etc/krb5.conf.d/more.conf", b"[libdefaults]\n\trdns = false\n", mode=0o600)
    lab.write("fw", "/etc/krb5.conf.d/.hidden.conf", b"[libdefaults]\n")
    text = kerberos().replace("\n", "\\r\\n")
    done = resync(
        lab,
        f"{OVERRIDES} config_set_path('{BEFORE_AUTH}', base64_encode("
        f'"{text}")); write_config("a test"); require_once("unbound.inc"); services_unbound_configure(false);',
    )
    assert done.returncode == 0, done.stdout


def no_longer(lab: Lab) -> None:
    """The lab's own firewall again."""
    lab.sh("fw", "rm -rf /etc/krb5.conf /etc/krb5.conf.d")
    lab.pose(None)
