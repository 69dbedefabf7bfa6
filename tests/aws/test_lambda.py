"""The stack in an emptied MiniStack: its schedule runs the real package against the test Graph; failures reach people.

MiniStack runs the function as a Python process of its own, from the very zip that Lambda would get.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pfsquid.aws import deploy
from pfsquid.aws.package import Package
from pfsquid.config import lake_place
from pfsquid.lake.catalog import Lake, open_lake
from tests.aws.lambda_runs import FAST, package  # noqa: F401 - a fixture
from tests.aws.ministack import MiniStack, ministack, ministack_server  # noqa: F401 - fixtures
from tests.aws.stacks import Deployer
from tests.graph.fixture import GraphFactory
from tests.graph.serving import Served
from tests.running import Pfsquid

FUNCTION, SECRET = "pfsquid-entra", "/pfsquid/entra/secret"


@dataclass
class Deployed(Deployer):
    """The stack with the real package, and a queue that gets what its topic tells."""

    made: Package | None = None
    told: str = ""

    def package(self, code: str) -> deploy.Code:
        assert self.made is not None
        return deploy.Code(self.made.path, self.made.digest, self.made.arch, self.made.python)

    @property
    def lake(self) -> Lake:
        return open_lake(lake_place(self.names.lake, self.config, {"HOME": str(self.folder)}), make=False)

    def rows(self, name: str) -> list[dict[str, Any]]:
        table = self.lake.table(name)
        rows: list[dict[str, Any]] = table.scan().to_arrow().to_pylist() if table else []
        return rows

    def invoke(self) -> dict[str, Any]:
        """One run, waited for. Raises AssertionError where it fails."""
        answer = self.client("lambda").invoke(FunctionName=FUNCTION, Payload=b"{}")
        payload: dict[str, Any] = json.load(answer["Payload"])
        assert "FunctionError" not in answer, payload
        return payload

    def event(self) -> None:
        """One run as the schedule starts it: nobody waits for it."""
        self.client("lambda").invoke(FunctionName=FUNCTION, InvocationType="Event", Payload=b"{}")

    def dead_letters(self) -> list[dict[str, Any]]:
        url = self.client("sqs").get_queue_url(QueueName="pfsquid-dead-letters")["QueueUrl"]
        got = self.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
        return [json.loads(one["Body"]) for one in got.get("Messages", [])]

    def metric(self, namespace: str, name: str, dimension: dict[str, str], statistic: str) -> float | None:
        told = self.client("cloudwatch").get_metric_statistics(
            Namespace=namespace, MetricName=name, Dimensions=[dimension], Statistics=[statistic],
            StartTime=time.time() - 3600, EndTime=time.time() + 3600, Period=7200,
        )["Datapoints"]  # fmt: skip
        return max((one[statistic] for one in told), default=None)

    def logged(self) -> str:
        told = self.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{FUNCTION}")["events"]
        return "\n".join(one["message"] for one in told)


@pytest.fixture
def deployed(
    ministack: MiniStack,  # noqa: F811 - a fixture
    package: Package,  # noqa: F811 - a fixture
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Deployed]:
    """deployed(served, **parameters) → Deployed."""

    def put_up(served: Served, **parameters: str) -> Deployed:
        for name, value in (*ministack.env.items(), ("PFSQUID_TEST_SECRET", served.secret), ("HOME", str(tmp_path))):
            monkeypatch.setenv(name, value)
        tenant = {
            "tenant": served.tenant, "client_id": served.client_id, "secret": "env:PFSQUID_TEST_SECRET",
            "authority": served.authority, "graph": served.url, "ca": str(served.ca),
            "streams": ["interactive", "audits", "users"], **FAST,
        }  # fmt: skip
        made = Deployed(ministack, tmp_path, {"collect": {"entra": {"contoso": tenant}}}, made=package)
        made("real", **parameters)
        return made

    return put_up


def test_the_schedule_runs_the_collector_and_questions_see_its_rows(
    graph: GraphFactory, deployed: Callable[..., Deployed], pfsquid: Pfsquid
) -> None:
    served = graph(sign_ins=60, days=1)
    stack = deployed(served, ScheduleExpression="rate(1 minute)")
    _wait(lambda: len(stack.rows("audits")) > 0 and len(stack.rows("accounts")) > 0, 150.0)
    _wait(lambda: "run ends" in stack.logged(), 60.0)
    truth = served.control.truth("interactive")
    ids = {row["id"] for row in stack.rows("signins")}
    assert ids
    assert ids <= set(truth)
    asked = pfsquid(
        *("query", "--json", "--lake", stack.names.lake, "--sql", "SELECT count(*) AS n FROM signins"),
        **stack.server.env,
    )
    assert asked.status == 0, asked.err
    assert asked.rows[0]["n"] == len(stack.rows("signins"))
    stale = stack.metric("pfsquid", "StaleSeconds", {"Name": "Name", "Value": "pfsquid"}, "Maximum")
    assert stale is not None
    assert 0 < stale < 1800
    assert served.secret not in stack.logged()
    assert served.control.violations() == []


def test_a_second_run_doubles_nothing_and_reads_the_directory_once_a_day(
    graph: GraphFactory, deployed: Callable[..., Deployed]
) -> None:
    served = graph(sign_ins=60, days=1)
    stack = deployed(served)
    assert stack.invoke()["Rows"] > 0
    signins, listed = len(stack.rows("signins")), len(served.control.requests("/users"))
    stack.client("lambda").update_function_configuration(FunctionName=FUNCTION, MemorySize=1025)  # a new sandbox
    again = stack.invoke()
    assert again["Failures"] == 0
    assert len(stack.rows("signins")) == signins + again["Rows"]
    assert len({row["id"] for row in stack.rows("signins")}) == len(stack.rows("signins"))
    assert len(served.control.requests("/users")) == listed > 0


@pytest.mark.parametrize("cause", ["graph down", "secret gone"])
def test_a_failure_is_an_error_is_tried_again_lies_among_the_dead_letters_and_rings(
    graph: GraphFactory, deployed: Callable[..., Deployed], cause: str
) -> None:
    served = graph(sign_ins=20, days=1)
    stack = deployed(served)
    rung = _listening(stack)
    stack.client("lambda").update_function_configuration(FunctionName=FUNCTION, Timeout=20)
    if cause == "graph down":
        served.control.fault("UNAVAILABLE", times=10_000)
    else:
        stack.client("ssm").delete_parameter(Name=SECRET)
    stack.event()
    _wait(lambda: bool(stack.dead_letters()), 150.0)
    (letter,) = stack.dead_letters()
    told = json.dumps(letter)
    assert ("CollectorFailed" in told) or ("Unhandled" in told), told
    runs = stack.logged().count("run begins")
    assert runs == 2  # once more, as the stack says
    with pytest.raises(AssertionError):
        stack.invoke()  # MiniStack counts no errors of runs that nobody waits for; AWS does
    errors = stack.metric("AWS/Lambda", "Errors", {"Name": "FunctionName", "Value": FUNCTION}, "Sum")
    assert errors == 1
    failures = stack.metric("pfsquid", "Failures", {"Name": "Name", "Value": "pfsquid"}, "Maximum")
    assert failures is not None
    assert failures >= 1
    alarms = {"pfsquid-errors", "pfsquid-stale"}  # what was never read is as stale as the tenant's retention
    _wait(lambda: all(any(alarm in one for one in rung()) for alarm in alarms), 30.0)
    if cause == "secret gone":
        assert SECRET in stack.logged()
    assert served.secret not in stack.logged()


def _listening(stack: Deployed) -> Callable[[], list[str]]:
    """What the topic of the alarms has told so far."""
    sqs, sns = stack.client("sqs"), stack.client("sns")
    url = sqs.create_queue(QueueName="told")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = next(one["TopicArn"] for one in sns.list_topics()["Topics"] if "pfsquid-alarms" in one["TopicArn"])
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def rung() -> list[str]:
        # MiniStack looks at its alarms when a metric is put, and only then.
        stack.client("cloudwatch").put_metric_data(
            Namespace="test", MetricData=[{"MetricName": "look", "Value": 1.0, "Unit": "Count"}]
        )
        got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
        return [one["Body"] for one in got.get("Messages", [])]

    return rung


def _wait(reached: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, "not reached"
        time.sleep(1.0)
