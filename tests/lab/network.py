"""The wires: a bridge in the switch's namespace and one veth from it into each host.

All of it lives in the hosts' own network namespaces; the machine's own network is not touched.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.lab.errors import LabError, last_lines
from tests.lab.hosts import Running, entry_command
from tests.lab.layout import FW, MACHINES, SWITCH, Host


def _ip(state: Path, host: Host, lines: list[str]) -> None:
    done = subprocess.run(
        entry_command(state, host, ["ip", "-batch", "-"], root=False),
        input="\n".join(lines).encode(),
        capture_output=True,
    )
    if done.returncode:
        raise LabError(f"network of {host.name}:\n{last_lines(done.stderr)}")


def connect(state: Path, hosts: dict[Host, Running]) -> None:
    """Join all hosts; static addresses, usable at once (no duplicate address detection)."""
    lines = ["link set lo up", "link add br0 type bridge forward_delay 0 mcast_snooping 0", "link set br0 up"]
    _ip(state, SWITCH, lines + [line for host in MACHINES for line in _wire(host, hosts[host])])
    for host in MACHINES:
        _ip(state, host, _address(host))


def connect_one(state: Path, host: Host, up: Running) -> None:
    """Join one more host to those that are there."""
    _ip(state, SWITCH, _wire(host, up))
    _ip(state, host, _address(host))


def _wire(host: Host, up: Running) -> list[str]:
    """The hardware address follows from the host's: the others know it when the host comes again."""
    link, number = f"v{host.name}", int(host.address4.rpartition(".")[2])
    made = f"link add {link} type veth peer name eth0 address 02:00:0a:4d:00:{number:02x} netns {up.init}"
    return [made, f"link set {link} master br0 up"]


def _address(host: Host) -> list[str]:
    lines = [
        "link set lo up",
        f"addr add {host.address4}/24 dev eth0",
        f"addr add {host.address6}/64 dev eth0 nodad",
        "link set eth0 up",
    ]
    if host is not FW:
        lines += [f"route add default via {FW.address4}", f"route add ::/0 via {FW.address6}"]
    return lines
