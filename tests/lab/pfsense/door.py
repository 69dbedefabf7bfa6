"""What tests do with the firewall while it poses as pfSense; the fixture's `Lab` has all of it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab import fw, hosts
from tests.lab.hosts import execute, must, shell
from tests.lab.layout import FIREWALL_PASSWORDS, FW, WS
from tests.lab.pfsense import faults
from tests.lab.pfsense import pose as poses

ASKPASS = "/root/askpass"
# Bytes from stdin to a connection and from there to stdout, until the other side ends.
WIRE = """import os, socket, sys, threading
wire = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def send():
    while part := os.read(0, 65536):
        wire.sendall(part)
    wire.shutdown(socket.SHUT_WR)
threading.Thread(target=send, daemon=True).start()
while part := wire.recv(65536):
    os.write(1, part)
"""
FRESH_KEYS = """set -e
for kind in ed25519 rsa; do rm -f /etc/ssh/ssh_host_${kind}_key*
  ssh-keygen -q -t $kind -N '' -f /etc/ssh/ssh_host_${kind}_key; done"""


@dataclass(frozen=True)
class Firewall:
    """The firewall of a lab that is up, posing. The state folder is the lab's."""

    state: Path

    def pose(self, release: str | None, **options: Any) -> None:
        """Become a stock pfSense "2.7.2", "2.8" or "2.9" (options: stock.Stock); None: the lab's own firewall again."""
        poses.pose(self.state, release, options)

    def php(self, program: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a PHP program on the firewall as root, without SSH; `<?php require_once('config.inc');` stands before."""
        text = f"<?php require_once('config.inc');\n{program}"
        done = execute(self.state, FW, ["/usr/local/bin/php"], input=text.encode(), timeout=timeout)
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    def config(self, path: str) -> Any:
        """What config.xml has at `path` now (not the cache), as PHP parses it; None when it is not there."""
        program = f"""<?php require_once('globals.inc'); require_once('util.inc'); require_once('xmlparse.inc');
$config = parse_xml_config('/cf/conf/config.xml', 'pfsense');
echo "\\n", json_encode(array_get_path($config, {json.dumps(path)}));"""
        shown = must(self.state, FW, ["/usr/local/bin/php"], "config.xml cannot be read", input=program.encode())
        return json.loads(shown.decode().rpartition("\n")[2])

    def events(self, name: str = "") -> list[dict[str, Any]]:
        """What the stand-in did since the pose (or `forget_events`), oldest first: time, event, data."""
        done = execute(self.state, FW, ["cat", "/var/lab/events"])
        every = [json.loads(line) for line in done.stdout.splitlines()]
        return [one for one in every if name in ("", one["event"])]

    def forget_events(self) -> None:
        must(self.state, FW, ["rm", "-f", "/var/lab/events"], "cannot forget the events")

    def ssh(
        self,
        command: str,
        user: str = "admin",
        input: bytes = b"",
        key: bool = True,
        password: bool = False,
        timeout: float = 30,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command over SSH from ws, with root's key and (or) the user's password from layout.py."""
        hosts.write(self.state, WS, ASKPASS, '#!/bin/sh\nprintf "%s\\n" "$PASSWORD"\n', mode=0o755)
        words = [
            "-o",
            f"BatchMode={'no' if password else 'yes'}",
            "-o",
            f"PubkeyAuthentication={'yes' if key else 'no'}",
        ]
        words += ["-o", "NumberOfPasswordPrompts=1", f"{user}@{FW.address4}", command]
        environment = [f"PASSWORD={FIREWALL_PASSWORDS[user]}", f"SSH_ASKPASS={ASKPASS}", "SSH_ASKPASS_REQUIRE=force"]
        return execute(self.state, WS, ["env", *environment, "ssh", *words], input=input, timeout=timeout)

    @property
    def wire(self) -> list[str]:
        """A command whose stdin and stdout are a connection from ws to the firewall's port 22: an SSH client outside
        of the lab takes it as ProxyCommand. The firewall is then 10.77.0.1 in `known_hosts`."""
        return hosts.entry_command(self.state, WS, ["/usr/bin/python3", "-I", "-c", WIRE, FW.address4, "22"])

    def cut_ssh(self, at: str | None = None) -> None:
        """Cut all SSH connections, now or at a point of the next PHP that comes by; what ran goes on."""
        if at is None:
            must(self.state, FW, [faults.CUT_SSH], "cannot cut the connections")
        else:
            faults.arm(self.state, at, "run", faults.CUT_SSH, 1)

    def reboot(self) -> None:
        """As far as files and services: /var/run, /var/etc and /tmp lose what was there, squid.conf is made anew."""
        poses.reboot(self.state)

    def sshd_mode(self, mode: str) -> None:
        """How one may log in: any (as posed), key, password, keyboard-interactive, both (key AND password)."""
        poses.restart_sshd(self.state, mode)

    def new_host_key(self) -> None:
        """The firewall shows host keys that nobody knows."""
        shell(self.state, FW, FRESH_KEYS, "no new host keys")
        poses.restart_sshd(self.state)

    def first_host_key(self) -> None:
        """It shows those of `known_hosts` again."""
        for kind in ("ed25519", "rsa"):
            key = (fw.keys_folder(self.state) / f"fw_host_{kind}").read_bytes()
            must(self.state, FW, ["rm", "-f", f"/etc/ssh/ssh_host_{kind}_key.pub"], "cannot remove a host key")
            hosts.write(self.state, FW, f"/etc/ssh/ssh_host_{kind}_key", key, mode=0o600)
        poses.restart_sshd(self.state)

    def arm(self, point: str, do: str, what: str | float | None = None, times: int | None = 1) -> None:
        """PHP dies (error, kill), waits (sleep, `what` s) or lets a command run at a point: see faults.py."""
        faults.arm(self.state, point, do, what, times)

    def other_admin(
        self,
        path: str = "filter/rule/0/descr",
        value: str = "changed by another admin",
        at: str | None = None,
        when_exists: str | None = None,
    ) -> None:
        """Another admin saves one field: now; or at a point of the next PHP ("read": just after it has read the
        configuration); or as soon as a file exists."""
        faults.other_admin(self.state, path, value, at, when_exists)

    def slow_php(self, seconds: float) -> None:
        """Each PHP starts that much later."""
        hosts.write(self.state, FW, "/var/lab/slow", f"{seconds:g}\n")

    def fill_disk(self, folder: str) -> None:
        """No room in /usr/local/etc/squid or /cf/conf (a full tmpfs with the folder's content lies over it)."""
        faults.fill(self.state, folder)

    def free_disk(self, folder: str) -> None:
        """Room again; what was written meanwhile stays."""
        faults.free(self.state, folder)

    def break_squid(self) -> None:
        """Squid still parses; told to reconfigure it dies, and it does not start again."""
        faults.break_squid(self.state)

    def mend(self) -> None:
        """Undo every fault: points, slow PHP, full disks, Squid's program."""
        faults.mend(self.state)
