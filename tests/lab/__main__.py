"""The lab's command line: `python -m tests.lab up|down|status|exec|sh|traffic|pose|install`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from tests.lab import lab, packages
from tests.lab.browse import standard_traffic
from tests.lab.errors import LabError
from tests.lab.hosts import by_name, entry_command
from tests.lab.layout import state_folder
from tests.lab.pfsense.pose import pose
from tests.lab.pfsense.stock import FOREIGN, RELEASES


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def words() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description="A small company on one machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("install", help="install the Debian packages that are missing")
    commands.add_parser("up", help="bring the lab up (needs root)")
    commands.add_parser("down", help="take it down")
    commands.add_parser("status", help="say which hosts are up; status 3 when not all are")
    run = commands.add_parser("exec", help="run a command in a host: exec HOST COMMAND...")
    run.add_argument("host")
    run.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND")
    shell = commands.add_parser("sh", help="run a shell line in a host: sh HOST 'LINE'")
    shell.add_argument("host")
    shell.add_argument("line")
    traffic = commands.add_parser("traffic", help="let the people browse; prints what they did as JSON")
    traffic.add_argument("--out", type=Path, help="write it to a file")
    traffic.add_argument("--rounds", type=int, default=1)
    traffic.add_argument("--seed", type=int, default=1)
    posing = commands.add_parser("pose", help="let the firewall pose as pfSense, or be the lab's own again (none)")
    posing.add_argument("release", choices=[*RELEASES, "none"])
    posing.add_argument(
        "options", nargs="*", metavar="NAME=JSON", help="such as transparent=true auth_method='\"ldap\"'"
    )
    return parser


def posing_options(words: list[str]) -> dict[str, Any]:
    """Options of a pose; `foreign=true` stands for all of stock.FOREIGN."""
    options: dict[str, Any] = {}
    for word in words:
        name, _, value = word.partition("=")
        try:
            options[name] = json.loads(value)
        except ValueError:
            raise LabError(f"{word}: not NAME=JSON") from None
    return {**(FOREIGN if options.pop("foreign", False) else {}), **options}


def run(given: argparse.Namespace) -> int:
    state = state_folder()
    if os.geteuid():
        raise LabError("the lab needs root, for namespaces and mounts")
    if given.command == "install":
        names = packages.install()
        say(f"installed {' '.join(names)}" if names else "nothing was missing")
    elif given.command == "up":
        say("the lab is up" if lab.up(state, say) else "the lab was already up")
    elif given.command == "down":
        were_up = [lab.down(one) for one in (state, *state.glob("gw*"))]  # also what killed workers of pytest left
        say("the lab is down" if any(were_up) else "the lab was not up")
    elif given.command == "status":
        for host, text in lab.status(state):
            print(f"{host:4} {text}")
        return 0 if lab.is_up(state) else 3
    elif given.command in ("exec", "sh"):
        command = given.words if given.command == "exec" else ["/bin/bash", "-c", given.line]
        if not command:
            raise LabError("exec needs a command: python -m tests.lab exec ws klist")
        entry = entry_command(state, by_name(given.host), command)
        os.execvp(entry[0], entry)
    elif given.command == "traffic":
        truth = json.dumps(standard_traffic(state, seed=given.seed, rounds=given.rounds), ensure_ascii=False, indent=1)
        (given.out.write_bytes if given.out else sys.stdout.buffer.write)(truth.encode())
    elif given.command == "pose":
        pose(state, None if given.release == "none" else given.release, posing_options(given.options))
        say("the firewall is the lab's own" if given.release == "none" else f"the firewall is pfSense {given.release}")
    return 0


def main() -> int:
    try:
        return run(words().parse_args())
    except LabError as error:
        say(f"lab: {error}")
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
