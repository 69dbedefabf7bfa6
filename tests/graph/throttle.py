"""The limit of the reports: so many requests in any so many seconds, per app and tenant, over all streams.

Source: Graph's page on throttling, "Identity and access reports": any, five requests per 10 seconds.
"""

from __future__ import annotations

import threading
from collections import deque


class Throttle:
    """Seconds are real ones. A request that is refused counts as well."""

    def __init__(self, limit: int = 5, per: float = 10.0) -> None:
        self.limit, self.per = limit, per
        self._seen: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def over(self, who: str, at: float) -> float | None:
        """None where a request of that app and tenant is within the limit, else the seconds to wait."""
        with self._lock:
            seen = self._seen.setdefault(who, deque())
            while seen and seen[0] <= at - self.per:
                seen.popleft()
            seen.append(at)
            if len(seen) <= self.limit:
                return None
            return seen[-self.limit] + self.per - at

    def forget(self) -> None:
        with self._lock:
            self._seen.clear()
