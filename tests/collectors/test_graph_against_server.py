"""The client against the Graph that is as nasty as the real one: all records once, never too fast, not even killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from collectors.entra.credentials import ClientSecret
from collectors.entra.errors import GraphError, Kind
from collectors.entra.graph import Graph, Patience
from collectors.entra.limit import Limit
from collectors.entra.probe import probe
from collectors.entra.streams import DIRECTORY_STREAMS, STREAMS, query_of
from collectors.entra.token import msal_tokens
from collectors.entra.wire import Timeout
from tests.graph.fixture import FAST, GraphFactory
from tests.graph.serving import Served

QUICK = Patience(attempts=6, silences=3, first=0.01, most=0.1, longest=10)
WIDE = {"limit": 1000, "per": 0.1}


def client(served: Served, limit: Limit | None = None, **options: Any) -> Graph:
    tokens = msal_tokens(
        served.tenant, served.client_id, ClientSecret(served.secret), served.url, served.url, served.ca
    )
    settings = {"timeout": Timeout(10, 30, 60), "patience": QUICK, "client_id": served.client_id, **options}
    return Graph(tokens, served.url, limit or Limit(1000, 0.1), served.ca, **settings)


def span(served: Served) -> tuple[datetime, datetime]:
    now = datetime.fromtimestamp(served.control.now(), UTC)
    return now - timedelta(days=6), now


def read(graph: Graph, served: Served, name: str = "interactive", top: int = 100) -> dict[str, str]:
    """id → text of all records of a stream; every one may come once only."""
    stream = STREAMS[name]
    found: list[tuple[str, str]] = []
    for page in graph.pages(stream.path, query_of(stream, *span(served), top), stream.version):
        found += [(record.value["id"], record.text) for record in page.records]
    assert [one for one, times in Counter(one for one, _ in found).items() if times > 1] == []
    return dict(found)


@pytest.mark.parametrize("name", STREAMS)
def test_each_stream_is_read_whole_and_in_its_very_text(graph: GraphFactory, name: str) -> None:
    served = graph(sign_ins=1500, quiet=600, **WIDE)
    served.control.run(0)
    assert read(client(served), served, name) == served.control.truth(name)
    assert served.control.violations() == []


@pytest.mark.parametrize(
    "fault",
    [
        "TOO_MANY",
        "TOO_MANY_SECONDS",
        "TOO_MANY_DATE",
        "UNAVAILABLE",
        "UNAVAILABLE_RETRY",
        "GATEWAY_TIMEOUT",
        "INTERNAL",
        "CUT_BEFORE",
        "CUT_BODY",
        "SILENCE",
        "NOT_JSON",
        "HTML",
        "HTML_GATEWAY",
        "EMPTY_BODY",
        "REPEATED_PAGE",
        "EMPTY_PAGE",
        "SHORT_PAGE",
        "EXPIRED",
    ],
)
def test_every_record_comes_once_through_each_fault(graph: GraphFactory, fault: str) -> None:
    served = graph(sign_ins=800, quiet=600, retry_after=0.2, silence=1.5, **WIDE)
    served.control.run(0)
    served.control.fault(fault, nth=3, times=1, path="signIns")
    timeout = Timeout(10, 1 if fault == "SILENCE" else 30, 60)
    assert read(client(served, timeout=timeout), served, top=50) == served.control.truth("interactive")
    assert served.control.violations() == []
    assert fault.lower() in str([seen.fault for seen in served.control.requests()]).lower()


@pytest.mark.parametrize(
    ("fault", "kind"), [("DEAD_TOKEN", Kind.DEAD_LINK), ("SELF_LINK", Kind.DEAD_LINK), ("FOREIGN_LINK", Kind.BROKEN)]
)
def test_a_lost_way_is_said_never_passed_over(graph: GraphFactory, fault: str, kind: Kind) -> None:
    served = graph(sign_ins=800, quiet=600, **WIDE)
    served.control.fault(fault, nth=1, times=1, path="signIns", on="next" if fault == "DEAD_TOKEN" else "any")
    with pytest.raises(GraphError) as caught:
        read(client(served), served, top=50)
    assert caught.value.kind is kind


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("LICENCE", Kind.LICENCE), ("PERMISSION", Kind.PERMISSION), ("PRIVILEGES", Kind.PERMISSION)],
)
def test_a_refusal_is_told_by_kind(graph: GraphFactory, fault: str, kind: Kind) -> None:
    served = graph(sign_ins=10, **WIDE)
    served.control.fault(fault, nth=1, times=9, path="signIns")
    with pytest.raises(GraphError) as caught:
        read(client(served), served)
    assert caught.value.kind is kind
    assert caught.value.cures


def test_what_graph_keeps_no_longer_is_too_old(graph: GraphFactory) -> None:
    served = graph(sign_ins=10, **WIDE)
    stream, now = STREAMS["interactive"], datetime.now(UTC)
    with pytest.raises(GraphError) as caught:
        client(served).get(stream.path, query_of(stream, now - timedelta(days=100), now, 1))
    assert caught.value.kind is Kind.TOO_OLD


def test_a_token_endpoint_that_fails_for_a_while_is_asked_again(graph: GraphFactory) -> None:
    served = graph(sign_ins=10, quiet=600, **WIDE)
    served.control.fault("UNAVAILABLE", nth=1, times=2, path="token")
    read(client(served), served)
    assert served.control.violations() == []


def test_tokens_that_expire_are_renewed_on_the_way(graph: GraphFactory) -> None:
    served = graph(sign_ins=800, quiet=600, **WIDE)
    served.control.run(0)
    client_ = client(served)
    pages = client_.pages("auditLogs/signIns", query_of(STREAMS["interactive"], *span(served), 50))
    found = {record.value["id"] for record in next(pages).records}
    served.control.expire_tokens()
    found |= {record.value["id"] for page in pages for record in page.records}
    assert found == set(served.control.truth("interactive"))


def test_the_probe_says_which_permission_each_stream_lacks(graph: GraphFactory) -> None:
    served = graph(sign_ins=50, **WIDE)
    served.control.permissions(["AuditLog.Read.All", "User.Read.All"])
    now = datetime.fromtimestamp(served.control.now(), UTC)
    results = {one.stream: one for one in probe(client(served), [*STREAMS.values(), *DIRECTORY_STREAMS.values()], now)}
    assert {name for name, one in results.items() if one.works} == {"audits", "users"}
    assert "Directory.Read.All" in results["interactive"].detail
    assert "Application.Read.All" in results["service_principals"].detail
    assert any(f"--id {served.client_id}" in cure for cure in results["interactive"].cures)


def test_four_threads_of_two_clients_keep_to_the_limit(graph: GraphFactory, tmp_path: Path) -> None:
    served = graph(sign_ins=400, quiet=600)
    served.control.run(0)
    limits = [Limit(int(FAST["limit"]), FAST["per"], tmp_path / "journal") for _ in range(2)]
    clients = [client(served, limit) for limit in limits]
    names = ("interactive", "non_interactive", "service_principal", "audits")
    found: dict[str, dict[str, str]] = {}

    def run(number: int, name: str) -> None:
        found[name] = read(clients[number % 2], served, name, top=25)

    threads = [threading.Thread(target=run, args=one) for one in enumerate(names)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: len(records) for name, records in found.items()} == {
        name: len(served.control.truth(name)) for name in names
    }
    assert served.control.violations("rate") == []
    assert {seen.status for seen in served.control.requests("auditLogs")} == {200}


PROCESS = """
import json, sys, threading
from pathlib import Path
from collectors.entra.credentials import ClientSecret
from collectors.entra.graph import Graph
from collectors.entra.limit import Limit
from collectors.entra.token import msal_tokens
tenant, client_id, secret, url, ca, journal, requests, per, number = json.loads(sys.argv[1])
tokens = msal_tokens(tenant, client_id, ClientSecret(secret), url, url, Path(ca))
graph = Graph(tokens, url, Limit(requests, per, Path(journal)), Path(ca))
tokens.token()
print("ready", flush=True)
def ask():
    for _ in range(number):
        graph.get("auditLogs/signIns", {"$top": "1"})
        print("asked", flush=True)
threads = [threading.Thread(target=ask) for _ in range(2)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


def process(served: Served, journal: Path, number: int) -> subprocess.Popen[str]:
    """A process of two threads that ask `number` times each; returned when it has begun."""
    given = (served.tenant, served.client_id, served.secret, served.url, str(served.ca), str(journal), 5, 0.5, number)
    started = subprocess.Popen(
        [sys.executable, "-c", PROCESS, json.dumps(given)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    return started


def test_two_processes_keep_to_the_limit(graph: GraphFactory, tmp_path: Path) -> None:
    served = graph(sign_ins=20)
    for started in [process(served, tmp_path / "journal", 6) for _ in range(2)]:
        assert len(started.communicate()[0].splitlines()) == 12
        assert started.returncode == 0
    assert served.control.violations("rate") == []
    assert len(served.control.requests("auditLogs")) == 24


def test_kills_and_restarts_do_not_burst(graph: GraphFactory, tmp_path: Path) -> None:
    served = graph(sign_ins=20)
    for _ in range(4):
        started = process(served, tmp_path / "journal", 1000)
        assert started.stdout is not None
        for _ in range(3):
            started.stdout.readline()
        started.send_signal(signal.SIGKILL)
        started.communicate()
    assert served.control.violations("rate") == []
    assert len(served.control.requests("auditLogs")) >= 12
