"""`pfsquid demo`: the main job on a recorded week, step by step, with the very commands that a user would type.

Each step is a real `pfsquid` process, shown before it runs. Needs no network, no root and no configuration.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path

from pfsquid import views
from pfsquid.errors import PfsquidError

RECORDED = Path(__file__).parent / "recorded"


@dataclass(frozen=True)
class Step:
    """What a step does, why it matters, its command, and one to try next; LAKE and RECORDED stand for folders."""

    does: str
    why: str
    command: tuple[str, ...]
    next: str


STEPS = (
    Step(
        "Read a week of a real proxy's access log into the lake.",
        "Six people browsed through a real Squid with Kerberos; each line of its log bears their name. The log is in "
        "pfsquid's own format, which Squid writes beside its usual one and which also tells how much went up.",
        ("collect", "squid", "--format", "pfsquid", "--from", "RECORDED/pfsquid.log", "--lake", "LAKE"),
        "collect squid --from /path/to/your/access.log    # your own: Squid's default format is read as it is",
    ),
    Step(
        "Read it once more.",
        "Rows and reading position are one commit: nothing is ever read twice, whatever was killed in between.",
        ("collect", "squid", "--format", "pfsquid", "--from", "RECORDED/pfsquid.log", "--lake", "LAKE"),
        'query --sql "SELECT reason, count(*) AS lines FROM rejects GROUP BY reason" --lake LAKE    # none here',
    ),
    Step(
        "Read the same week's sign-ins to Entra ID, as Microsoft Graph gives them.",
        "The proxy alone cannot tell a company account from a private one; the sign-ins alone do not see the traffic.",
        ("collect", "entra", "--from", "RECORDED/signins.json", "--lake", "LAKE"),
        'query --sql "SELECT app_name, count(*) AS n FROM signins GROUP BY app_name ORDER BY n DESC" --lake LAKE',
    ),
    Step(
        "Which SaaS is in use?",
        "Hosts become apps by a catalogue of over a thousand; 407 challenges and computer accounts do not count.",
        ("query", "apps", "--lake", "LAKE"),
        "query app-people app=github --lake LAKE    # who is behind a line",
    ),
    Step(
        "Who uses what, with or without signing in through Entra ID?",
        "The point of it all. LAB.PFSQUID.TEST, the realm in the log, is not the suffix of the sign-ins: people are "
        "matched all the same. `never` beside 25 MB up to Dropbox is what an administrator wants to know.",
        ("query", "app-signins", "--lake", "LAKE"),
        "query app-signins app=dropbox since=2026-11-18 --format csv --lake LAKE",
    ),
    Step(
        "What does no catalogue know?",
        "The long tail is where the surprises are: 8 MB went up to a domain that nobody has heard of.",
        ("query", "unknown-domains", "--lake", "LAKE"),
        "query people person=bird.person --lake LAKE    # whoever it was, and what else they did",
    ),
    Step(
        "Ask in SQL: who sent most to apps that are a high risk?",
        "The tables are Apache Iceberg in a folder; SQL in Athena's dialect reads them, and can do nothing but read.",
        (
            "query",
            "--lake",
            "LAKE",
            "--sql",
            (
                "SELECT user_name, apps.name AS app, apps.risk_reasons, sum(bytes_up) AS bytes_up FROM proxy"
                " JOIN hosts ON hosts.host = proxy.host JOIN apps ON apps.app_id = hosts.app_id"
                " WHERE apps.risk = 'high' AND proxy.status = 200 AND user_name NOT LIKE '%$@%'"
                " GROUP BY user_name, apps.name, apps.risk_reasons ORDER BY bytes_up DESC LIMIT 5"
            ),
        ),
        'query --sql "SHOW TABLES" --lake LAKE    # and: SELECT * FROM proxy LIMIT 3',
    ),
)


def run(screen: views.Screen, lake: str | None) -> None:
    """Run all steps. lake: a folder or s3://…; a new folder below the system's temporary one where none is given.

    Raises PfsquidError where a step fails.
    """
    folder = lake or str(Path(tempfile.mkdtemp(prefix="pfsquid-demo-")) / "lake")
    views.tell(screen, f"pfsquid on a recorded week of six people. The lake is {folder}.")
    for number, step in enumerate(STEPS, 1):
        words = [_filled(word, folder) for word in step.command]
        views.tell(screen, f"\n{number}. {step.does}")
        views.tell(screen, textwrap.indent(textwrap.fill(step.why, 100), "   "))
        views.tell(screen, f"   $ {_program()} {' '.join(map(_quoted, words))}\n")
        status = subprocess.run(  # noqa: S603 - this very program, with the words above
            [sys.executable, "-m", "pfsquid", *words],
            stdout=screen.out,
            stderr=screen.err,
            env=_environment(),
            check=False,
        ).returncode
        if status:
            raise PfsquidError(
                f"step {number} of the demo ended with status {status}", "pfsquid demo --lake ANOTHER_FOLDER"
            )
        views.tell(screen, f"   try next: {_program()} {_filled(step.next, folder)}")
    views.tell(screen, _what_next(folder))


def _environment() -> dict[str, str]:
    """The environment without a configuration of the user's: the demo shows what comes with pfsquid."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PFSQUID_")}
    return {**kept, "PFSQUID_CONFIG": os.devnull, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _quoted(word: str) -> str:
    return f'"{word}"' if any(char in word for char in " $*'") else word


def _program() -> str:
    """How to call pfsquid from here: by its name where the shell finds it, else by its path."""
    if shutil.which("pfsquid"):
        return "pfsquid"
    beside = Path(sys.executable).with_name("pfsquid")
    return os.path.relpath(beside) if beside.is_relative_to(Path.cwd()) else str(beside)


def _filled(text: str, folder: str) -> str:
    return text.replace("RECORDED", str(RECORDED)).replace("LAKE", folder)


def _what_next(folder: str) -> str:
    return f"""
Then your own: {_program()} collect squid --from /var/squid/logs/access.log, and {_program()} query app-signins.
How the week was recorded: {RECORDED / "README.md"}
To forget the demo: {_away(folder)}"""


def _away(lake: str) -> str:
    """What takes the demo's lake away again."""
    if lake.startswith("s3:"):
        return f"aws s3 rm --recursive {lake}    # and its database in the catalog"
    return f"rm -r {Path(lake).parent if Path(lake).name == 'lake' else lake}"
