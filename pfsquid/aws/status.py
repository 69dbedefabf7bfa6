"""How a stack is: its state, the collector's last runs, dead letters, alarms, and whether it is what the template says.

Only reads. What the lake itself knows, its newest complete windows, is asked by the command line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pfsquid.aws import changes
from pfsquid.aws.stack import Template
from pfsquid.cloud import Cloud, explained

OK, WRONG, UNKNOWN = "ok", "wrong", "unknown"
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Found:
    """A stack that is there. resources: physical ids by logical ones."""

    name: str
    id: str
    status: str
    reason: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    resources: dict[str, str] = field(default_factory=dict)
    drift: str = ""


@dataclass(frozen=True)
class Line:
    """A line of the answer. state: ok, wrong, unknown; next: what to do about it."""

    what: str
    state: str
    detail: str
    next: str = ""


def look(cloud: Cloud, name: str) -> Found | None:
    """The stack; None where there is none. Raises PfsquidError."""
    from botocore.exceptions import ClientError

    client = cloud.client("cloudformation")
    with explained(f"the stack {name}"):
        try:
            told = client.describe_stacks(StackName=name)["Stacks"][0]
        except ClientError as exc:
            if "does not exist" in str(exc):
                return None
            raise
        pages = client.get_paginator("list_stack_resources").paginate(StackName=name)
        resources = {
            one["LogicalResourceId"]: one.get("PhysicalResourceId", "")
            for page in pages
            for one in page["StackResourceSummaries"]
            if one["ResourceStatus"] != "DELETE_COMPLETE"
        }
    if told["StackStatus"] == "DELETE_COMPLETE":
        return None
    return Found(
        name,
        str(told["StackId"]),
        str(told["StackStatus"]),
        str(told.get("StackStatusReason", "")),
        {one["ParameterKey"]: one.get("ParameterValue", "") for one in told.get("Parameters", [])},
        {one["OutputKey"]: one["OutputValue"] for one in told.get("Outputs", [])},
        resources,
        str(told.get("DriftInformation", {}).get("StackDriftStatus", "")),
    )


def status(cloud: Cloud, name: str, template: Callable[[Mapping[str, str]], Template], now: datetime) -> list[Line]:
    """What there is to say of a stack. Raises PfsquidError where AWS refuses.

    template: makes that of this version, of given parameters; now: aware.
    """
    found = look(cloud, name)
    if found is None:
        return [Line("stack", WRONG, f"there is no stack {name}", "pfsquid aws deploy --plan")]
    fine = found.status.endswith("_COMPLETE") and not found.status.startswith(("ROLLBACK", "DELETE", "REVIEW"))
    next_ = "" if fine else changes.next_of(name, found.status)[0]
    detail = f"{found.status}{': ' + found.reason if found.reason else ''}"
    lines = [
        Line("stack", OK if fine else WRONG, detail, next_),
        _template(cloud, name, template(found.parameters)),
        _drift(found),
    ]
    if not found.outputs.get("CollectorName"):
        return [*lines, Line("collector", OK, "none: the lake and Athena alone")]
    return [*lines, *_runs(cloud, found, now), _dead_letters(cloud, found), *_alarms(cloud, found)]


def _template(cloud: Cloud, name: str, template: Mapping[str, Any]) -> Line:
    with explained(f"the template of the stack {name}"):
        told = cloud.client("cloudformation").get_template(StackName=name, TemplateStage="Original")["TemplateBody"]
    there = json.loads(told) if isinstance(told, str) and told.lstrip().startswith("{") else told
    same = isinstance(there, Mapping) and _plain(there) == _plain(template)
    if same:
        return Line("template", OK, "of this version")
    return Line(
        "template", UNKNOWN, "of another version of pfsquid, or another configuration", "pfsquid aws deploy --plan"
    )


def _plain(value: Any) -> Any:
    """Without the optimizers, which come with their tables."""
    kind = "AWS::Glue::TableOptimizer"
    resources = {name: one for name, one in value["Resources"].items() if one["Type"] != kind}
    return json.loads(json.dumps({"resources": resources, "parameters": value.get("Parameters")}))


def _drift(found: Found) -> Line:
    ask = f"aws cloudformation detect-stack-drift --stack-name {found.name}"
    if found.drift == "DRIFTED":
        return Line("drift", WRONG, "somebody changed what the stack made", "pfsquid aws deploy --plan")
    if found.drift == "IN_SYNC":
        return Line("drift", OK, "as the stack made it, when it was last looked at")
    return Line("drift", OK, "never looked for", ask)


def _runs(cloud: Cloud, found: Found, now: datetime) -> list[Line]:
    """The collector's runs of the last day."""
    name = found.outputs["CollectorName"]
    dimensions = [{"Name": "FunctionName", "Value": name}]
    queries = [
        {
            "Id": metric.lower(),
            "MetricStat": {
                "Metric": {"Namespace": "AWS/Lambda", "MetricName": metric, "Dimensions": dimensions},
                "Period": 300,
                "Stat": "Sum",
            },
        }
        for metric in ("Invocations", "Errors")
    ]
    with explained("the metrics of the collector"):
        pages = cloud.client("cloudwatch").get_paginator("get_metric_data")
        series: dict[str, list[tuple[datetime, float]]] = {"invocations": [], "errors": []}
        for page in pages.paginate(MetricDataQueries=queries, StartTime=now - DAY, EndTime=now + timedelta(minutes=5)):
            for one in page["MetricDataResults"]:
                series[one["Id"]] += zip(one["Timestamps"], one["Values"], strict=True)
    runs = [when for when, value in series["invocations"] if value]
    log = f"aws logs tail /aws/lambda/{name} --since 1d"
    if not runs:
        lines = [Line("runs", WRONG, "none within a day", "aws scheduler list-schedules")]
    else:
        count = sum(value for _, value in series["invocations"])
        lines = [
            Line(
                "runs", OK, f"{count:,.0f} within a day, the last about {max(runs).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
            )
        ]
    failed = sum(value for _, value in series["errors"])
    failures = [when for when, value in series["errors"] if value]
    if failed:
        recent = bool(runs) and max(failures) >= max(runs)
        detail = f"{failed:,.0f} runs failed within a day, {'and the last one' if recent else 'not the last one'}"
        lines.append(Line("failures", WRONG if recent else OK, detail, log if recent else ""))
    return lines


def _dead_letters(cloud: Cloud, found: Found) -> Line:
    url = found.outputs["DeadLettersUrl"]
    with explained("the dead letters"):
        told = cloud.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    count = int(told["Attributes"]["ApproximateNumberOfMessages"])
    look_at = f"aws sqs receive-message --queue-url {url}    # then purge-queue"
    return Line("dead letters", WRONG if count else OK, f"{count:,}", look_at if count else "")


def _alarms(cloud: Cloud, found: Found) -> list[Line]:
    names = [
        found.resources[one] for one in ("ErrorsAlarm", "StaleAlarm", "DeadLettersAlarm") if one in found.resources
    ]
    with explained("the alarms"):
        told = cloud.client("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"]
    states = {one["AlarmName"]: one for one in told}
    lines = []
    for name in names:
        one = states.get(name)
        state = one["StateValue"] if one else "missing"
        why = f": {one['StateReason']}" if one and state == "ALARM" and one.get("StateReason") else ""
        kind = {"OK": OK, "INSUFFICIENT_DATA": UNKNOWN}.get(state, WRONG)
        lines.append(
            Line(f"alarm {name}", kind, f"{state}{why}", "" if kind != WRONG else "docs/aws.md, When an alarm rings")
        )
    return lines
