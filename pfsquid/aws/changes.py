"""Change sets of CloudFormation: made, looked at, executed, waited for; what failed, with its reason and its cure.

A change that would replace or remove what holds the data is refused here, whatever the stack's own policy says.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pfsquid.aws.stack import DATA
from pfsquid.cloud import explained
from pfsquid.errors import PfsquidError

CAPABILITIES = ("CAPABILITY_IAM",)
POLL_SECONDS, LONGEST_POLL = 0.25, 5.0
SET_SECONDS, STACK_SECONDS = 300.0, 3600.0
_NOTHING = ("didn't contain changes", "No updates are to be performed")
_CANCELLED = "cancelled"
# Reasons of failures whose cure is not in the reason.
_CURES = {
    "UnreservedConcurrentExecution": (
        "set aws.parameters: {Reserve: false} in the configuration, and raise the quota of Lambda for good",
        "aws service-quotas list-service-quotas --service-code lambda    # Concurrent executions: 1000 is usual",
    ),
    "already exists": (
        "aws.stack: another name, if it is not of an earlier stack of this one",
        "pfsquid aws destroy    # takes away what an earlier stack left",
    ),
    "is not authorized to perform": ("allow the action in a policy of who deploys: docs/aws.md, Permissions",),
    "AccessDenied": ("allow the action in a policy of who deploys: docs/aws.md, Permissions",),
}
Say = Callable[[str], None]


@dataclass(frozen=True)
class Change:
    """What would happen to a resource. action: add, modify, remove, import; replacement: yes, no, perhaps, ""."""

    action: str
    resource: str
    kind: str
    replacement: str = ""
    why: str = ""


@dataclass(frozen=True)
class ChangeSet:
    """A change set that waits to be executed. new: the stack is there only for it."""

    stack: str
    id: str
    changes: tuple[Change, ...]
    new: bool


def make(
    client: Any,
    stack: str,
    kind: str,
    body: Mapping[str, str],
    parameters: Mapping[str, str],
    imports: Sequence[Mapping[str, Any]] = (),
    tags: Mapping[str, str] | None = None,
) -> ChangeSet:
    """Make a change set; without changes where there are none.

    kind: CREATE, UPDATE or IMPORT. body: TemplateBody or TemplateURL. imports: ResourcesToImport. Raises PfsquidError.
    """
    asked: dict[str, Any] = {
        "StackName": stack,
        "ChangeSetName": f"pfsquid-{time.time_ns()}",
        "ChangeSetType": kind,
        "Capabilities": list(CAPABILITIES),
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        **body,
    }
    if imports:
        asked["ResourcesToImport"] = list(imports)
    if tags:
        asked["Tags"] = [{"Key": key, "Value": value} for key, value in tags.items()]
    with explained(f"the stack {stack}"):
        try:
            made = client.create_change_set(**asked)["Id"]
        except client.exceptions.ClientError as exc:
            error = exc.response["Error"]
            if error["Code"] != "ValidationError":
                raise
            raise PfsquidError(
                f"the stack {stack} cannot be so: {error['Message']}", "see aws.parameters in the configuration"
            ) from exc
        told = _described(client, made)
    if told["Status"] == "FAILED":
        drop(client, ChangeSet(stack, made, (), kind == "CREATE"))
        reason = told.get("StatusReason", "")
        if any(one in reason for one in _NOTHING):
            return ChangeSet(stack, "", (), False)
        raise PfsquidError(f"the stack {stack} cannot be changed so: {reason}", *_cures(reason))
    changes = tuple(_change(one["ResourceChange"]) for one in told["Changes"])
    return ChangeSet(stack, made, changes, kind != "UPDATE")


def _described(client: Any, made: str) -> dict[str, Any]:
    """The change set with all its changes, once it is ready."""
    until, pause = time.monotonic() + SET_SECONDS, POLL_SECONDS
    while True:
        told: dict[str, Any] = client.describe_change_set(ChangeSetName=made)
        if told["Status"] in ("CREATE_COMPLETE", "FAILED"):
            break
        if time.monotonic() > until:
            raise PfsquidError("CloudFormation does not get ready with the change set", "the same command once more")
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_POLL)
    token = told.get("NextToken")
    while token:
        more = client.describe_change_set(ChangeSetName=made, NextToken=token)
        told["Changes"] += more["Changes"]
        token = more.get("NextToken")
    return told


def _change(told: Mapping[str, Any]) -> Change:
    replaced = {"True": "yes", "False": "no", "Conditional": "perhaps"}.get(told.get("Replacement", ""), "")
    why = dict.fromkeys(filter(None, map(_why, told.get("Details", []))))
    action = str(told["Action"]).lower()
    return Change(action, str(told["LogicalResourceId"]), str(told["ResourceType"]), replaced, "; ".join(why))


def _why(detail: Mapping[str, Any]) -> str:
    target = detail.get("Target", {})
    what = target.get("Name") or target.get("Attribute") or ""
    cause = detail.get("CausingEntity")
    return f"{what} ({cause})" if cause and what else str(what)


def refuse_loss(changes: Sequence[Change]) -> None:
    """Raises PfsquidError where a change would replace or remove what holds the data."""
    for one in changes:
        lost = one.action == "remove" or (one.action == "modify" and one.replacement in ("yes", "perhaps"))
        if one.resource in DATA and lost:
            raise PfsquidError(
                f"this would {'remove' if one.action == 'remove' else 'replace'} {one.resource} ({one.kind}), which "
                f"holds the data{': ' + one.why if one.why else ''}. Nothing was changed",
                "put back what was changed in the configuration: lake, aws.stack, aws.database",
                "for another lake, another stack: aws.stack: OTHER",
            )


def drop(client: Any, made: ChangeSet) -> None:
    """Leave no trace of a change set that is not executed."""
    if not made.id:
        return
    with suppress(Exception):  # it goes by itself with the stack, or with the next change
        client.delete_change_set(ChangeSetName=made.id)
    if made.new:
        with suppress(Exception):
            told = client.describe_stacks(StackName=made.stack)["Stacks"][0]
            if told["StackStatus"] == "REVIEW_IN_PROGRESS":
                client.delete_stack(StackName=made.stack)


def execute(client: Any, made: ChangeSet, say: Say) -> None:
    """Do it and wait for its end. Raises PfsquidError with the first reason where it fails."""
    with explained(f"the stack {made.stack}"):
        seen = {one["EventId"] for one in events(client, made.stack)}
        client.execute_change_set(ChangeSetName=made.id)
        status = wait(client, made.stack, seen, say)
        if status.endswith("_COMPLETE") and "ROLLBACK" not in status:
            return
        reason = first_failure(events(client, made.stack), seen)
    raise PfsquidError(f"the stack {made.stack} is {status}: {reason}", *_cures(reason), *next_of(made.stack, status))


def wait(client: Any, stack: str, seen: set[str], say: Say) -> str:
    """The status of a stack once an operation that was just asked for has begun and ended. stack: name, or the id.

    seen: the ids of the events before it. Its own are told.
    """
    until, pause, told, begun = time.monotonic() + STACK_SECONDS, POLL_SECONDS, set(seen), False
    while True:
        status = str(client.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])
        ended = begun and not status.endswith("_IN_PROGRESS")
        for one in reversed(events(client, stack)):
            if one["EventId"] not in told:
                told.add(one["EventId"])
                begun = begun or one["ResourceType"] == "AWS::CloudFormation::Stack"
                say(f"{one['LogicalResourceId']}: {str(one['ResourceStatus']).lower().replace('_', ' ')}")
        if ended:
            return status
        if time.monotonic() > until:
            raise PfsquidError(f"the stack {stack} is {status} for an hour", "pfsquid aws status")
        time.sleep(pause)
        pause = min(pause * 1.3, LONGEST_POLL)


def events(client: Any, stack: str) -> list[dict[str, Any]]:
    """The newest first; a first page is enough, as it holds a hundred."""
    with suppress(client.exceptions.ClientError):
        found: list[dict[str, Any]] = client.describe_stack_events(StackName=stack)["StackEvents"]
        return found
    return []


def first_failure(events: Sequence[Mapping[str, Any]], seen: set[str]) -> str:
    """What failed first among events (newest first) that are not in `seen`, and why; others failed in its wake."""
    failed = [
        one
        for one in events
        if one["EventId"] not in seen
        and str(one["ResourceStatus"]).endswith("_FAILED")
        and _CANCELLED not in str(one.get("ResourceStatusReason", "")).lower()
    ]
    if not failed:
        return "CloudFormation gives no reason"
    epoch = datetime.min
    first = min(reversed(failed), key=lambda one: (one.get("Timestamp") or epoch).replace(tzinfo=None))
    return f"{first['LogicalResourceId']} ({first['ResourceType']}): {first.get('ResourceStatusReason', 'no reason')}"


def _cures(reason: str) -> tuple[str, ...]:
    return next((cures for part, cures in _CURES.items() if part in reason), ())


def next_of(stack: str, status: str) -> tuple[str, ...]:
    """What to do about a stack in a status that is none to go on from."""
    if status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED", "IMPORT_ROLLBACK_FAILED"):
        return ("pfsquid aws destroy    # such a stack must be deleted first; data is kept", "pfsquid aws deploy")
    if status == "UPDATE_ROLLBACK_FAILED":
        return (
            f"aws cloudformation continue-update-rollback --stack-name {stack}    # once its reason is mended",
            "pfsquid aws status",
        )
    if status.endswith("_IN_PROGRESS"):
        return ("pfsquid aws status    # until it is at rest; somebody else is at work on it",)
    return ("the configuration mended, then: pfsquid aws deploy",)
