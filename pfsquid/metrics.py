"""Numbers of the running service for Prometheus, on a loopback port. No name, address or URL of anybody is in them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pfsquid.errors import PfsquidError
from pfsquid.lake.live import State


class ServiceMetrics(Collector):
    """The states of all sources, as Prometheus asks for them."""

    def __init__(self) -> None:
        self._states: dict[str, State] = {}

    def update(self, state: State) -> None:
        """A source's numbers, as they are now."""
        self._states[state.name] = state

    def collect(self) -> Iterator[Metric]:
        """The families, each with a sample for each source."""
        counters = {
            "rows": "Rows committed to the lake",
            "rejects": "Lines that could not be read",
            "rounds": "Rounds of reading",
        }
        for name, text in counters.items():
            family = CounterMetricFamily(f"pfsquid_{name}", text, labels=["source"])
            for state in list(self._states.values()):
                family.add_metric([state.name], getattr(state, name))
            yield family
        now = time.time()
        gauges: dict[str, tuple[str, Callable[[State], float]]] = {
            "lag_bytes": ("Bytes that are there and not yet read", lambda state: state.lag_bytes or 0),
            "lag_seconds": ("Seconds since everything was read", lambda state: state.lag_seconds),
            "silent_seconds": ("Seconds without data", lambda state: state.silent_for(now)),
            "failures": ("Failed rounds since the last good one", lambda state: state.failures),
            "newest_row_timestamp_seconds": ("Time of the newest row", lambda state: state.newest or 0),
        }
        for name, (text, value) in gauges.items():
            gauge = GaugeMetricFamily(f"pfsquid_{name}", text, labels=["source"])
            for state in list(self._states.values()):
                gauge.add_metric([state.name], value(state))
            yield gauge


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
    except OSError as exc:
        raise PfsquidError(
            f"collect.metrics: {where} cannot be listened on: {exc.strerror}", f"ss -ltnp sport = :{port}"
        ) from exc
    try:
        yield metrics
    finally:
        server.shutdown()
        server.server_close()
        thread.join(2)
