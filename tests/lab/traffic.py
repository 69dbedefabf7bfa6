"""Runs inside ws: the people browse as the plan on stdin says; prints exactly what they did.

stdin: {"plan": {actor: [visit, ...]}, "clock": {"true": T, "shown": S, "speed": F}}: at the true time T
Squid's clock showed S, and it runs F times as fast; the truth has the times of Squid's clock.
stdout: the truth, {"records": [...], "totals": [...], "first", "last"}; session.py says how the bytes
are counted. Each actor has a ticket cache of its own and runs beside the others; one visit at a time.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.lab.layout import COMPUTER_ACCOUNT, PERSON_PASSWORD, REALM
from tests.lab.scenario import ANONYMOUS
from tests.lab.session import Ask, Record, Session, Visit


def log_in(actor: str, folder: Path) -> str | None:
    """Get a ticket into a cache of the actor's own; its name. The computer has its keytab."""
    if actor == ANONYMOUS:
        return None
    ccache = f"FILE:{folder}/{actor.replace(' ', '_')}"
    command = ["kinit", "-c", ccache, *(["-k"] if actor == COMPUTER_ACCOUNT else []), f"{actor}@{REALM}"]
    done = subprocess.run(command, input=f"{PERSON_PASSWORD}\n".encode(), capture_output=True)
    if done.returncode:
        sys.exit(f"kinit {actor}: {done.stderr.decode().strip()}")
    return ccache


def visit_of(given: dict[str, Any]) -> Visit:
    asks = tuple(Ask(a["method"], a["path"], a["upload"], tuple(a["headers"])) for a in given["asks"])
    return Visit(**{**given, "asks": asks})


def totals(records: list[Record]) -> list[dict[str, Any]]:
    """Sums for each (user, host, method), in that order."""
    sums: dict[tuple[str, str, str], dict[str, Any]] = defaultdict(
        lambda: {"requests": 0, "denied": 0, "challenges": 0, "bytes_down": 0, "bytes_up": 0, "bytes_exact": True}
    )
    for record in records:
        entry = sums[record.user or "", record.host, record.method]
        entry["requests"] += record.requests
        entry["denied"] += record.denied
        entry["challenges"] += record.challenge
        entry["bytes_down"] += record.bytes_down
        entry["bytes_up"] += record.bytes_up
        entry["bytes_exact"] &= record.bytes_exact
    return [
        {"user": user or None, "host": host, "method": method, **sums[user, host, method]}
        for user, host, method in sorted(sums)
    ]


def browse(plan: dict[str, list[Visit]], true: float, shown: float, speed: float) -> list[Record]:
    def clock() -> float:
        return round(shown + (time.time() - true) * speed, 3)

    with tempfile.TemporaryDirectory() as folder:
        sessions = [
            Session(
                actor,
                None if actor == ANONYMOUS else f"{actor}@{REALM}",
                log_in(actor, Path(folder)),
                clock=clock,
            )
            for actor in plan
        ]

        def live(session: Session) -> None:
            for visit in plan[session.actor]:
                session.visit(visit)

        with ThreadPoolExecutor(len(sessions)) as pool:
            list(pool.map(live, sessions))
    return sorted((record for session in sessions for record in session.records), key=lambda record: record.last)


def main() -> None:
    given = json.load(sys.stdin)
    plan = {actor: [visit_of(visit) for visit in visits] for actor, visits in given["plan"].items()}
    records = browse(plan, **given["clock"])
    json.dump(
        {
            "first": min(r.first for r in records),
            "last": max(r.last for r in records),
            "totals": totals(records),
            "records": [asdict(record) for record in records],
        },
        sys.stdout,
        ensure_ascii=False,
        indent=1,
    )


if __name__ == "__main__":
    main()
