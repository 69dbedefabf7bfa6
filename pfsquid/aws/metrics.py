"""What the collector in Lambda tells CloudWatch and its log: numbers by which alarms ring, and lines of JSON.

No name, address or secret of anybody is in them. The alarms of the stack read the namespace `pfsquid`, by `Name`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from collectors.entra.windows import Rules, Status
from pfsquid.cloud import Cloud
from pfsquid.lake.state import State
from pfsquid.lake.windows import Reached

NAMESPACE = "pfsquid"
_UNITS = {"StaleSeconds": "Seconds"}
_LOST = frozenset({Status.PARTIAL, Status.FAILED, Status.LOST})


@dataclass(frozen=True)
class Measures:
    """One run. stale: s since the end of the newest complete window of the stream that is furthest behind, None where
    that is not known. rows: new ones or changed ones. failures: streams that failed. gaps: spans that the server did
    not give, or keeps no longer."""

    stale: float | None
    rows: int = 0
    failures: int = 0
    gaps: int = 0

    def by_name(self) -> dict[str, float]:
        """As CloudWatch knows them; what is not known is left out."""
        found: dict[str, float] = {"Rows": self.rows, "Failures": self.failures, "Gaps": self.gaps}
        return found if self.stale is None else {"StaleSeconds": round(self.stale, 3), **found}


def stale_seconds(every: Iterable[Reached], rules: Rules, now: float) -> float | None:
    """Of the worst stream. One that was never read is as old as the oldest that it could give; None without streams.

    now: seconds since 1970.
    """
    ends = [one.complete_to.timestamp() if one.complete_to else float(rules.edge(now)) for one in every]
    return max(0.0, now - min(ends)) if ends else None


def measured(every: Iterable[Reached], states: Iterable[State], rules: Rules, now: float) -> Measures:
    """A run that has ended, with how far the lake is after it."""
    reached, told = list(every), list(states)
    gaps = sum(missing.status in _LOST for one in reached for missing in one.missing)
    failures = sum(bool(one.error) and one.error != INTERRUPTED for one in told)
    return Measures(stale_seconds(reached, rules, now), sum(one.rows for one in told), failures, gaps)


INTERRUPTED = "interrupted"


def publish(cloud: Cloud, name: str, measures: Measures, now: datetime) -> None:
    """Tell CloudWatch. name: of the stack, the dimension `Name`. Raises PfsquidError, botocore's errors."""
    data = [
        {
            "MetricName": metric,
            "Dimensions": [{"Name": "Name", "Value": name}],
            "Timestamp": now,
            "Value": float(value),
            "Unit": _UNITS.get(metric, "Count"),
        }
        for metric, value in measures.by_name().items()
    ]
    cloud.client("cloudwatch").put_metric_data(Namespace=NAMESPACE, MetricData=data)


def log(level: str, message: str, **given: Any) -> None:
    """A line of JSON in the log of the function, as CloudWatch Logs Insights takes it apart."""
    stamp = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line: Mapping[str, Any] = {"time": stamp, "level": level, "message": message, **given}
    sys.stdout.write(json.dumps(line, default=str, ensure_ascii=False) + "\n")
    sys.stdout.flush()
