"""The collector in Lambda: what it brings in, what it says of it, when it fails and when it does not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest

from collectors.entra.windows import DAY
from pfsquid.aws.handler import CollectorFailed, settings_of
from pfsquid.errors import WrongUse
from tests.aws.lambda_runs import Runs, metric, put_secret, running
from tests.graph.fixture import GraphFactory

Begin = Callable[..., Runs]


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Begin]:
    with running(tmp_path, monkeypatch, capsys) as given:
        yield given


def test_a_run_brings_in_what_graph_holds_and_says_how_fresh_that_is(graph: GraphFactory, begin: Begin) -> None:
    served = graph(sign_ins=60, days=1)
    run = begin(served)
    told = run()
    assert told["Rows"] == len(run.held("signins")) + len(run.held("audits")) > 0
    assert told["Failures"] == told["Gaps"] == 0
    assert metric("Rows", "Sum") == told["Rows"]
    stale = metric("StaleSeconds")
    assert stale is not None
    assert 900 <= stale < 1500
    assert served.control.violations() == []


def test_the_log_is_lines_of_json_without_the_secret(graph: GraphFactory, begin: Begin) -> None:
    served = graph(sign_ins=10, days=1)
    run = begin(served)
    run()
    assert {line["level"] for line in run.logged} == {"INFO"}
    assert {line["stream"] for line in run.logged if "stream" in line} == {"entra:interactive", "entra:audits"}
    assert served.secret not in str(run.logged)


def test_the_next_run_doubles_nothing(graph: GraphFactory, begin: Begin) -> None:
    run = begin(graph(sign_ins=60, days=1))
    rows = run()["Rows"]
    assert run()["Rows"] == 0
    assert len(run.held("signins")) + len(run.held("audits")) == rows


def test_graph_that_is_down_fails_the_run_and_what_is_measured_gets_older(graph: GraphFactory, begin: Begin) -> None:
    served = graph(sign_ins=10, days=1)
    run = begin(served)
    run()
    time.sleep(2.0)  # until there is something to ask for again
    served.control.fault("UNAVAILABLE", times=10_000, path="auditLogs")
    with pytest.raises(CollectorFailed, match="entra:interactive"):
        run(20.0)
    assert metric("Failures") == 2
    assert run.logged[-1]["StaleSeconds"] > 900


def test_a_tenant_that_was_never_read_is_as_stale_as_its_retention(graph: GraphFactory, begin: Begin) -> None:
    served = graph(sign_ins=10, days=1)
    served.control.fault("UNAVAILABLE", times=10_000, path="auditLogs")
    with pytest.raises(CollectorFailed):
        begin(served)(15.0)
    stale = metric("StaleSeconds")
    assert stale is not None
    assert DAY - 7200 < stale <= DAY


def test_a_secret_that_is_gone_fails_the_run_names_it_and_is_measured(graph: GraphFactory, begin: Begin) -> None:
    run = begin(graph(sign_ins=10, days=1))
    boto3.client("ssm").delete_parameter(Name="/pfsquid/entra/secret")
    with pytest.raises(CollectorFailed, match="/pfsquid/entra/secret"):
        run()
    assert metric("Failures") == 1
    assert metric("StaleSeconds") is not None


def test_a_wrong_secret_fails_the_run_and_is_not_shown(graph: GraphFactory, begin: Begin) -> None:
    run = begin(graph(sign_ins=10, days=1))
    put_secret("wrong-secret-42")
    with pytest.raises(CollectorFailed, match="the client secret is not one of the app") as told:
        run()
    assert "wrong-secret-42" not in str(told.value) + str(run.logged)


def test_a_secret_that_was_rotated_is_fetched_anew_within_the_run(graph: GraphFactory, begin: Begin) -> None:
    served = graph(sign_ins=10, days=1)
    run = begin(served)
    put_secret("wrong-secret-42")
    with pytest.raises(CollectorFailed):
        run()
    put_secret(served.secret)  # what was fetched a moment ago is still in memory
    assert run()["Failures"] == 0


def test_one_stream_that_is_not_allowed_fails_the_run_and_the_others_are_read(
    graph: GraphFactory, begin: Begin
) -> None:
    served = graph(sign_ins=30, days=1)
    served.control.permissions(["AuditLog.Read.All"])
    run = begin(served)
    with pytest.raises(CollectorFailed, match=r"Directory\.Read\.All"):
        run()
    assert run.held("audits")
    assert metric("Failures") == 1


def test_one_stream_that_fails_for_a_while_is_no_failure_of_the_run(graph: GraphFactory, begin: Begin) -> None:
    served = graph(sign_ins=30, days=1)
    served.control.fault("UNAVAILABLE", times=10_000, path="directoryAudits")
    run = begin(served)
    told = run(20.0)
    assert told["Failures"] == 1
    assert told["Rows"] > 0
    assert "WARNING" in {line["level"] for line in run.logged}


def test_a_backlog_that_outlasts_the_time_is_no_failure_and_the_next_run_goes_on(
    graph: GraphFactory, begin: Begin
) -> None:
    served = graph(sign_ins=400, days=1)
    run = begin(served, rate={"requests": 1, "per": 2.0}, slice={"least": 3600, "most": 3600})  # 46 requests
    told = run(12.0)
    assert told["interrupted"] == ["entra:audits", "entra:interactive"]
    assert told["Failures"] == 0
    assert told["Rows"] > 0
    begin(served)
    rest = run()
    assert rest["interrupted"] == []
    assert rest["Rows"] > 0
    assert told["Rows"] + rest["Rows"] == len(run.held("signins")) + len(run.held("audits"))


def test_a_span_that_graph_does_not_give_is_a_gap_that_is_counted(graph: GraphFactory, begin: Begin) -> None:
    served = graph(sign_ins=50, days=1)
    end = served.control.now() - 6 * 3600
    served.control.never(end - 60, end, "interactive")
    run = begin(served, slice={"least": 3600, "most": 7200})
    run(90.0)
    assert (metric("Gaps") or 0) >= 1


def test_metrics_that_cannot_be_told_are_no_failure_of_the_run(
    graph: GraphFactory, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(graph(sign_ins=10, days=1))

    def denied(*_: object) -> None:
        raise RuntimeError("not allowed")

    monkeypatch.setattr("pfsquid.aws.handler.publish", denied)
    assert run()["Failures"] == 0
    assert "ERROR" in {line["level"] for line in run.logged}


GOOD = {
    "PFSQUID_LAKE": "s3://bucket/lake",
    "PFSQUID_TENANT": "contoso.example",
    "PFSQUID_CLIENT_ID": "app",
    "PFSQUID_SECRET": "ssm:/a",
}


@pytest.mark.parametrize("name", ["PFSQUID_LAKE", "PFSQUID_TENANT", "PFSQUID_CLIENT_ID"])
def test_a_variable_that_is_missing_is_named(name: str) -> None:
    with pytest.raises(WrongUse, match=f"{name} is not set"):
        settings_of({key: value for key, value in GOOD.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PFSQUID_TENANT", "common"),
        ("PFSQUID_SECRET", "the-secret-itself"),
        ("PFSQUID_CERTIFICATE", "ssm:a b"),
        ("PFSQUID_STREAMS", "interactive,audit"),
        ("PFSQUID_GRAPH", "http://graph.example"),
        ("PFSQUID_CLOUD", "mars"),
        ("PFSQUID_SETTINGS", "{"),
        ("PFSQUID_SETTINGS", '{"retentoin": "7d"}'),
    ],
)
def test_a_variable_that_is_wrong_is_named_and_its_value_is_not_shown(name: str, value: str) -> None:
    with pytest.raises(WrongUse, match=name) as told:
        settings_of({**GOOD, name: value})
    assert "the-secret-itself" not in str(told.value)


def test_without_a_secret_the_run_says_what_is_missing() -> None:
    with pytest.raises(WrongUse, match="one of secret, certificate and assertion"):
        settings_of({key: value for key, value in GOOD.items() if key != "PFSQUID_SECRET"})
