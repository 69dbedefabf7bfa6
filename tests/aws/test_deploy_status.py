"""`pfsquid aws status` on MiniStack: what is wrong is said to be, each with what to do about it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pfsquid.aws import stack
from pfsquid.aws.status import OK, UNKNOWN, WRONG, Line, status
from tests.aws.stacks import TEMPLATES, Deployer


def lines(deployer: Deployer) -> dict[str, Line]:
    """By what they are about."""
    told = status(deployer.cloud, "pfsquid", lambda given: stack.template(TEMPLATES, given), datetime.now(UTC))
    return {one.what: one for one in told}


def test_no_stack_is_told_with_the_way_to_one(deployer: Deployer) -> None:
    assert lines(deployer) == {"stack": Line("stack", WRONG, "there is no stack pfsquid", "pfsquid aws deploy --plan")}


def test_a_stack_at_rest_whose_collector_runs_is_well(deployer: Deployer) -> None:
    deployer()
    assert lines(deployer)["runs"].state == WRONG
    deployer.client("lambda").invoke(FunctionName="pfsquid-entra")
    told = lines(deployer)
    assert [one.what for one in told.values() if one.state == WRONG] == []
    assert told["template"].state == OK
    assert told["runs"].detail.startswith("1 within a day")


def test_a_run_that_failed_and_its_dead_letter_are_told(deployer: Deployer) -> None:
    deployer("fails")
    sqs = deployer.client("sqs")
    deployer.client("lambda").invoke(FunctionName="pfsquid-entra")
    sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName="pfsquid-dead-letters")["QueueUrl"], MessageBody="{}")
    told = lines(deployer)
    assert told["failures"].state == WRONG
    assert "aws logs tail" in told["failures"].next
    assert (told["dead letters"].state, told["dead letters"].detail) == (WRONG, "1")


@pytest.mark.parametrize(("state", "told"), [("ALARM", WRONG), ("OK", OK), ("INSUFFICIENT_DATA", UNKNOWN)])
def test_an_alarm_is_told_as_it_stands(deployer: Deployer, state: str, told: str) -> None:
    deployer()
    deployer.client("cloudwatch").set_alarm_state(AlarmName="pfsquid-stale", StateValue=state, StateReason="since noon")
    line = lines(deployer)["alarm pfsquid-stale"]
    assert line.state == told
    assert ("since noon" in line.detail) == (state == "ALARM")


def test_an_alarm_that_somebody_deleted_is_missing(deployer: Deployer) -> None:
    deployer()
    deployer.client("cloudwatch").delete_alarms(AlarmNames=["pfsquid-errors"])
    assert lines(deployer)["alarm pfsquid-errors"].state == WRONG


def test_a_stack_of_another_version_is_told_with_the_way_to_this_one(deployer: Deployer) -> None:
    deployer(None)

    def older(given: object) -> stack.Template:
        whole = stack.template(TEMPLATES, {})
        whole["Resources"]["Workgroup"]["Properties"]["Description"] = "before"
        return whole

    told = {one.what: one for one in status(deployer.cloud, "pfsquid", older, datetime.now(UTC))}
    assert (told["template"].state, told["template"].next) == (UNKNOWN, "pfsquid aws deploy --plan")
