"""Numbers of a running service: text that Prometheus takes, lines for a terminal. Nobody's name is in them."""

from __future__ import annotations

import io
import re
import time

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from pfsquid import views
from pfsquid.errors import PfsquidError
from pfsquid.lake.state import State
from pfsquid.metrics import ServiceMetrics, served
from pfsquid.view_live import Follow, logger

ODD = 'of\\fice "1"\nx'


def state(name: str = "office", **more: object) -> State:
    return State(name, "here", time.time() - 10, **more)  # type: ignore[arg-type]


def scraped(*states: State) -> str:
    registry, metrics = CollectorRegistry(), ServiceMetrics()
    registry.register(metrics)
    metrics.update({one.name: one for one in states})
    return generate_latest(registry).decode()


def test_the_text_follows_the_conventions_of_prometheus() -> None:
    text = scraped(state(rows=5, lag_bytes=7, error="http://secret.example", source="user@REALM"), state("b"))
    for family in text_string_to_metric_families(text):
        assert re.fullmatch(r"pfsquid_[a-z_]+[a-z]", family.name)
        assert family.documentation
        assert all(sample.name.endswith("_total") == (family.type == "counter") for sample in family.samples)
        assert all(set(sample.labels) == {"source"} for sample in family.samples)
    assert not re.search("secret|REALM", text)


def test_labels_are_escaped() -> None:
    (family,) = [one for one in text_string_to_metric_families(scraped(state(ODD))) if one.name == "pfsquid_rows"]
    assert family.samples[0].labels == {"source": ODD}


def test_what_is_not_known_has_no_sample_and_removed_sources_none() -> None:
    assert 'pfsquid_lag_bytes{source="office"}' not in scraped(state(lag_bytes=None))
    registry, metrics = CollectorRegistry(), ServiceMetrics()
    registry.register(metrics)
    metrics.update({"a": state("a"), "b": state("b")})
    metrics.update({"b": state("b")})
    assert 'source="a"' not in generate_latest(registry).decode()


def test_what_a_receiver_counts_is_there_and_of_other_sources_nothing() -> None:
    counts = {"connections": 2, "accepted": 4, "refused": 1, "lines": 9, "bad": 3, "dropped": 5, "lost": 0}
    text = scraped(state("port", received={**counts, "spool_bytes": 512, "full": 1}), state("log"))
    said = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if line[:1] != "#"}
    wanted = {"connections": 2, "spool_bytes": 512, "spool_full": 1}
    wanted |= {f"received_{name}_total": counts[name] for name in ("lines", "bad", "refused", "dropped", "lost")}
    assert (
        wanted.items()
        == {
            name.removeprefix("pfsquid_").partition("{")[0]: value
            for name, value in said.items()
            if re.search("receive|connections|spool", name)
        }.items()
    )
    assert 'pfsquid_spool_full{source="log"}' not in text


@pytest.mark.parametrize("port", ["99999", "1"])
def test_a_port_that_cannot_be_had_is_told(port: str) -> None:
    with (
        pytest.raises(PfsquidError, match=r"collect\.metrics: 192\.0\.2\.1:\d+ cannot be listened on"),
        served(f"192.0.2.1:{port}"),
    ):
        pass


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_line_of_follow_tells_speed_of_late_lag_and_who_fails() -> None:
    now = [100.0]
    err = Terminal()
    follow = Follow(views.Screen(io.StringIO(), err), lambda: now[0])
    follow.update({"a": state("a", rows=1000, caught_up=time.time())})
    now[0] += 0.5
    follow.update({"a": state("a", rows=1500)})
    now[0] += 1.5
    follow.update({"a": state("a", rows=3000, lag_bytes=2_000_000, error="x"), "b": state("b", rejects=2)})
    shown = err.getvalue().split("\r\x1b[K")[1:]
    assert shown[0] == "1,000 rows, 0/s, 0 rejects, lag 0 s"
    assert re.fullmatch(r"3,000 rows, 1,000/s, 2 rejects, lag 1[01] s and 2.0 MB, failing: a", shown[1]), shown


def test_a_log_that_nobody_reads_any_more_stops_nothing() -> None:
    class Gone(Terminal):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    screen = views.Screen(io.StringIO(), Gone())
    logger(screen)("info", "running", sources=1)
    Follow(screen).update({"a": state()})
