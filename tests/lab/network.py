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
    for host in MACHINES:
        lines.append(f"link add v{host.name} type veth peer name eth0 netns {hosts[host].init}")
        lines.append(f"link set v{host.name} master br0 up")
    _ip(state, SWITCH, lines)
    for host in MACHINES:
        lines = [
            "link set lo up",
            f"addr add {host.address4}/24 dev eth0",
            f"addr add {host.address6}/64 dev eth0 nodad",
            "link set eth0 up",
        ]
        if host is not FW:
            lines.append(f"route add default via {FW.address4}")
            lines.append(f"route add ::/0 via {FW.address6}")
        _ip(state, host, lines)
