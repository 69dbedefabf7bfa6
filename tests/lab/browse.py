"""Let the people browse: sends a plan into ws, waits until Squid has written every line of it."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.lab.errors import LabError
from tests.lab.fw_files import NATIVE_LOG, OWN_LOG
from tests.lab.hosts import execute, must, python_module
from tests.lab.layout import FW, WS
from tests.lab.scenario import standard
from tests.lab.session import Visit


def lines_written(state: Path, log: str) -> int:
    counted = execute(state, FW, ["/bin/sh", "-c", 'test ! -e "$1" || wc -l <"$1"', "count", log]).stdout
    return int(counted or b"0")


@dataclass(frozen=True)
class Clock:
    """At the true time `true` Squid's clock showed `shown`, and it runs `speed` times as fast."""

    true: float = 0.0
    shown: float = 0.0
    speed: float = 1.0


def browse(
    state: Path, plan: dict[str, list[Visit]], *, clock: Clock = Clock(), timeout: float = 300
) -> dict[str, Any]:
    """The truth of one plan (see traffic.py), once both of Squid's logs have all of its lines."""
    before = {log: lines_written(state, log) for log in (NATIVE_LOG, OWN_LOG)}
    request = json.dumps(
        {
            "plan": {actor: [asdict(visit) for visit in visits] for actor, visits in plan.items()},
            "clock": asdict(clock),
        }
    )
    truth: dict[str, Any] = json.loads(
        must(
            state,
            WS,
            python_module("tests.lab.traffic"),
            "the traffic failed",
            input=request.encode(),
            timeout=timeout,
        )
    )
    deadline = time.monotonic() + 10
    for log, count in before.items():
        while (written := lines_written(state, log) - count) < len(truth["records"]):
            if time.monotonic() > deadline:
                raise LabError(f"{log} has {written} new lines, the clients made {len(truth['records'])} requests")
            time.sleep(0.05)
    return truth


def standard_traffic(state: Path, *, seed: int = 1, rounds: int = 1) -> dict[str, Any]:
    return {"seed": seed, "rounds": rounds, **browse(state, standard(seed, rounds))}
