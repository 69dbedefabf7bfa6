"""What of a change set is judged without asking AWS: data in danger, the first failure, what to do about a status."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pfsquid.aws import stack
from pfsquid.aws.changes import Change, first_failure, next_of, refuse_loss
from pfsquid.errors import PfsquidError

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def event(number: int, resource: str, status: str, reason: str = "") -> dict[str, Any]:
    return {
        "EventId": str(number),
        "LogicalResourceId": resource,
        "ResourceType": "AWS::X::Y",
        "ResourceStatus": status,
        "ResourceStatusReason": reason,
        "Timestamp": NOON + timedelta(seconds=number),
    }


@pytest.mark.parametrize("resource", stack.DATA)
@pytest.mark.parametrize(("action", "replacement"), [("remove", ""), ("modify", "yes"), ("modify", "perhaps")])
def test_what_would_lose_data_is_refused(resource: str, action: str, replacement: str) -> None:
    with pytest.raises(PfsquidError, match=f"{resource} .*holds the data"):
        refuse_loss([Change("add", "Topic", "T"), Change(action, resource, "T", replacement)])


@pytest.mark.parametrize("action", ["add", "import", "modify"])
def test_what_leaves_the_data_where_it_is_is_not(action: str) -> None:
    refuse_loss([Change(action, "Lake", "AWS::S3::Bucket", "no"), Change("modify", "Collector", "T", "yes")])


def test_the_first_failure_is_told_and_not_what_failed_in_its_wake() -> None:
    newest_first = [
        event(4, "pfsquid", "ROLLBACK_IN_PROGRESS"),
        event(3, "Topic", "CREATE_FAILED", "Resource creation cancelled"),
        event(2, "Workgroup", "CREATE_FAILED", "it exists"),
        event(1, "Lake", "CREATE_FAILED", "of an earlier operation"),
    ]
    assert first_failure(newest_first, {"1"}) == "Workgroup (AWS::X::Y): it exists"


def test_a_failure_without_any_reason_is_told_as_such() -> None:
    assert first_failure([event(1, "pfsquid", "ROLLBACK_COMPLETE")], set()) == "CloudFormation gives no reason"


@pytest.mark.parametrize(
    ("status", "next_"),
    [
        ("ROLLBACK_COMPLETE", "pfsquid aws destroy"),
        ("DELETE_FAILED", "pfsquid aws destroy"),
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback"),
        ("UPDATE_IN_PROGRESS", "pfsquid aws status"),
    ],
)
def test_for_each_status_that_hinders_there_is_a_next_command(status: str, next_: str) -> None:
    assert next_ in next_of("pfsquid", status)[0]
