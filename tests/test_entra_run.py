"""Entra ID on the command line: rounds, the service, `status`, `entra check`; and all of it killed again and again."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.entra_endurance import Trial
from tests.graph.fixture import GraphFactory
from tests.graph.serving import Served
from tests.running import Pfsquid


def configured(pfsquid: Pfsquid, served: Served, **given: object) -> None:
    (pfsquid.folder / "secret").write_text(served.secret)
    (pfsquid.folder / "secret").chmod(0o600)
    tenant = {
        **served.settings("file:secret"),
        "rate": {"requests": 5, "per": 0.5},
        "retention": "1d",
        "streams": ["interactive", "audits"],
        **given,
    }
    (pfsquid.folder / "pfsquid.yaml").write_text(yaml.safe_dump({"collect": {"entra": {"contoso": tenant}}}))


def test_one_round_tells_how_far_it_is_and_status_agrees(graph: GraphFactory, pfsquid: Pfsquid) -> None:
    served = graph(sign_ins=100, days=1)
    configured(pfsquid, served)
    run = pfsquid("collect", "entra", "--json")
    assert run.status == 0, run.err
    rows = {row["source"]: row for row in run.rows}
    assert rows["contoso:interactive"]["rows"] == pfsquid.count("signins") > 0
    assert rows["contoso:interactive"]["gaps"] == 0
    status = pfsquid("status", "--json")
    assert status.status == 0, status.err
    (first, _) = status.rows
    assert (first["state"], first["gaps"]) == ("ok", None)
    assert first["complete_from"] < first["complete_to"] < first["next_read"]
    again = pfsquid("collect", "entra", "--once", "--json")
    assert [row["rows"] for row in again.rows] == [0, 0]
    assert served.control.violations() == []


def test_a_stream_that_is_not_allowed_gives_status_1_and_says_how_to_grant_it(
    graph: GraphFactory, pfsquid: Pfsquid
) -> None:
    served = graph(sign_ins=20, days=1)
    served.control.permissions(["AuditLog.Read.All"])
    configured(pfsquid, served)
    run = pfsquid("collect", "entra", "--json")
    assert run.status == 1
    assert "Directory.Read.All" in next(row["error"] for row in run.rows if row["source"] == "contoso:interactive")
    check = pfsquid("entra", "check", "contoso", "--json")
    assert check.status == 3
    assert [row["works"] for row in check.rows] == ["does not", "works"]
    assert "az ad app permission add" in check.err + check.out


def test_a_wrong_secret_is_told_and_never_shown(graph: GraphFactory, pfsquid: Pfsquid) -> None:
    served = graph(sign_ins=20, days=1)
    configured(pfsquid, served)
    (pfsquid.folder / "secret").write_text("not-the-secret-73")
    run = pfsquid("collect", "entra", "--debug")
    assert run.status == 1
    assert "secret" in run.out + run.err
    assert "not-the-secret-73" not in run.out + run.err


@pytest.mark.parametrize("key", ["secret", "certificate"])
def test_a_secret_that_others_may_read_is_refused(graph: GraphFactory, pfsquid: Pfsquid, key: str) -> None:
    configured(
        pfsquid, graph(sign_ins=1, days=1), **({} if key == "secret" else {"secret": None, "certificate": "secret"})
    )
    (pfsquid.folder / "secret").chmod(0o644)
    run = pfsquid("collect", "entra")
    assert run.status == 2
    assert "chmod 600" in run.err


def test_without_a_tenant_the_way_to_one_is_told(pfsquid: Pfsquid) -> None:
    run = pfsquid("collect", "entra")
    assert run.status == 2
    assert "collect: entra:" in run.err


def test_an_unknown_stream_is_told_with_those_that_there_are(graph: GraphFactory, pfsquid: Pfsquid) -> None:
    configured(pfsquid, graph(sign_ins=1, days=1), streams=["interactiv"])
    run = pfsquid("collect", "entra")
    assert run.status == 2
    assert "pfsquid.yaml:" in run.err
    assert "non_interactive" in run.err


@pytest.mark.parametrize("words", [("run",), ("collect", "entra"), ("collect", "entra", "--follow")])
def test_sigterm_ends_it_in_time_while_graph_is_silent(
    graph: GraphFactory, pfsquid: Pfsquid, words: tuple[str, ...]
) -> None:
    served = graph(sign_ins=20, days=1, silence=60.0)
    served.control.fault("SILENCE", times=100, path="auditLogs")
    configured(pfsquid, served)
    with pfsquid.process(*words) as process:
        _wait(lambda: bool(served.control.requests("auditLogs")))
        process.send_signal(signal.SIGTERM)
        begin = time.monotonic()
        process.wait(timeout=20)
    assert time.monotonic() - begin < 6


def test_the_service_reads_and_goes_on_reading(graph: GraphFactory, pfsquid: Pfsquid) -> None:
    served = graph(sign_ins=100, days=1)
    configured(pfsquid, served, every="1s", settle="1s")
    with pfsquid.process("run") as process:
        try:
            _wait(lambda: _complete(pfsquid))
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            served.control.put("interactive", {"id": "new", "createdDateTime": stamp})
            asked = "SELECT count(*) AS n FROM signins WHERE id = 'new'"
            _wait(lambda: pfsquid("query", "--json", "--sql", asked).rows[0]["n"] == 1)
        finally:
            process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)
    assert process.returncode == 0
    assert served.control.violations() == []


def test_killed_again_and_again_it_equals_the_truth_in_the_end(tmp_path: Path) -> None:
    found = Trial(tmp_path, sign_ins=1500, days=1, per=0.5, kill=4.0, speed=40_000.0).run()
    assert found["kills"] >= 1
    assert found["rows"] > 1500


def _complete(pfsquid: Pfsquid) -> bool:
    states = [json.loads(path.read_text()) for path in (pfsquid.lake / ".status").glob("*.json")]
    return len(states) == 2 and all(one["caught_up"] for one in states)


def _wait(reached: Callable[[], bool], seconds: float = 40.0) -> None:
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, f"not reached; load {os.getloadavg()}"
        time.sleep(0.1)
