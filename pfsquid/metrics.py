"""Numbers of the running service for Prometheus, on a loopback port. No name, address or URL of anybody is in them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pfsquid.errors import PfsquidError
from pfsquid.lake.state import State


def _received(name: str) -> Callable[[State], float | None]:
    return lambda state: None if state.received is None else state.received.get(name)


COUNTERS: dict[str, tuple[str, Callable[[State], float | None]]] = {
    "rows": ("Rows committed to the lake", lambda state: state.rows),
    "rejects": ("Lines that could not be read", lambda state: state.rejects),
    "rounds": ("Rounds of reading", lambda state: state.rounds),
    "received_lines": ("Lines that came to a port", _received("lines")),
    "received_bad": ("What came to a port and is no line", _received("bad")),
    "received_refused": ("Connections that were refused, and datagrams not allowed", _received("refused")),
    "received_dropped": ("Datagrams for which there was no room", _received("dropped")),
    "received_lost": ("Lines that a full disk did not take before the end", _received("lost")),
}
GAUGES: dict[str, tuple[str, Callable[[State], float | None]]] = {
    "lag_bytes": ("Bytes that are there and not yet in the lake", lambda state: state.lag_bytes),
    "lag_seconds": ("Seconds since everything was in the lake", lambda state: state.lag_seconds),
    "silent_seconds": ("Seconds without data", lambda state: state.silent_for(time.time())),
    "failures": ("Failed rounds since the last good one", lambda state: state.failures),
    "newest_row_timestamp_seconds": ("Time of the newest row", lambda state: state.newest),
    "connections": ("Senders that are connected to a port", _received("connections")),
    "spool_bytes": ("Bytes that came to a port and lie in its spool", _received("spool_bytes")),
    "spool_full": ("1 while nobody is read, since the spool or the disk is full", _received("full")),
}


class ServiceMetrics(Collector):
    """The states of all sources, as Prometheus asks for them."""

    def __init__(self) -> None:
        self._states: Mapping[str, State] = {}

    def update(self, states: Mapping[str, State]) -> None:
        """All sources, as they are now."""
        self._states = states

    def collect(self) -> Iterator[Metric]:
        """The families, each with a sample for each source of which the number is known."""
        kinds: tuple[tuple[Any, Any], ...] = ((CounterMetricFamily, COUNTERS), (GaugeMetricFamily, GAUGES))
        for kind, families in kinds:
            for name, (text, value) in families.items():
                family = kind(f"pfsquid_{name}", text, labels=["source"])
                for state in self._states.values():
                    if (number := value(state)) is not None:
                        family.add_metric([state.name], number)
                yield family


@contextmanager
def served(where: str | None) -> Iterator[ServiceMetrics | None]:
    """Metrics at `ADDRESS:PORT` of this machine; None where nobody asks for them. Raises PfsquidError."""
    if where is None:
        yield None
        return
    address, _, port = where.rpartition(":")
    metrics = ServiceMetrics()
    registry = CollectorRegistry()
    registry.register(metrics)
    try:
        server, thread = start_http_server(int(port), address.strip("[]"), registry)
    except (OSError, OverflowError) as exc:
        why = getattr(exc, "strerror", None) or str(exc)
        raise PfsquidError(
            f"collect.metrics: {where} cannot be listened on: {why}", f"ss -ltnp sport = :{port}    # who has it?"
        ) from exc
    try:
        yield metrics
    finally:
        server.shutdown()
        server.server_close()
        thread.join(2)
