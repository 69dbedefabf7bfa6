"""`pfsquid aws deploy` into an emptied MiniStack: shown before it is done, in place, and never at the cost of data."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pfsquid.aws import stack
from pfsquid.errors import PfsquidError
from tests.aws.ministack import ACCOUNT, REGION
from tests.aws.stacks import SECRET, Deployer

BUCKET = f"pfsquid-lake-{ACCOUNT}-{REGION}"


def test_from_nothing_all_is_put_up_in_two_steps_that_are_shown_before(deployer: Deployer) -> None:
    outcome = deployer(Email="ops@example.com")
    assert outcome.changed
    assert deployer.status() == "UPDATE_COMPLETE"
    assert outcome.outputs["LakeUrl"] == f"s3://{BUCKET}/lake"
    (shown,) = deployer.shown
    steps = {change.resource: step for step, change in shown}
    assert (steps["Lake"], steps["Collector"], steps["/pfsquid/entra/secret"]) == (1, 2, 2)
    listed = deployer.client("cloudformation").list_stack_resources(StackName="pfsquid")["StackResourceSummaries"]
    assert {one["LogicalResourceId"] for one in listed} == set(steps) - {"/pfsquid/entra/secret"}


def test_the_lake_and_athena_come_without_a_collector(deployer: Deployer) -> None:
    outcome = deployer(None)
    assert "CollectorName" not in outcome.outputs
    assert {step for step, _ in deployer.shown[0]} == {1}
    group = deployer.client("athena").get_work_group(WorkGroup="pfsquid")["WorkGroup"]["Configuration"]
    assert group["EnforceWorkGroupConfiguration"] is True
    assert int(group["BytesScannedCutoffPerQuery"]) == 100_000_000_000
    blocked = deployer.client("s3").get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]
    assert set(blocked.values()) == {True}


def test_the_same_again_changes_nothing_and_asks_nothing(deployer: Deployer) -> None:
    deployer()
    assert not deployer().changed
    assert len(deployer.shown) == 1
    assert deployer.waiting() == []


def test_a_new_package_updates_the_function_in_place(deployer: Deployer) -> None:
    deployer()
    lambdas = deployer.client("lambda")
    before = lambdas.get_function(FunctionName="pfsquid-entra")["Configuration"]
    assert deployer("v2").changed
    assert deployer.actions()["Collector"] == "modify"
    after = lambdas.get_function(FunctionName="pfsquid-entra")["Configuration"]
    assert after["FunctionArn"] == before["FunctionArn"]
    assert json.load(lambdas.invoke(FunctionName="pfsquid-entra")["Payload"]) == "v2"
    listed = deployer.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="code/")["Contents"]
    assert len(listed) == 1  # the package that nothing is made of any more is gone


def test_a_parameter_changes_only_what_hangs_on_it(deployer: Deployer) -> None:
    deployer()
    deployer(ScheduleExpression="rate(1 hour)")
    assert deployer.actions()["Schedule"] == "modify"
    assert not set(deployer.actions()) & set(stack.DATA)
    schedule = deployer.client("scheduler").get_schedule(Name="pfsquid-entra", GroupName="pfsquid")
    assert schedule["ScheduleExpression"] == "rate(1 hour)"


def test_the_collector_can_come_later_and_go_again(deployer: Deployer) -> None:
    deployer(None)
    deployer()
    assert deployer.actions()["Collector"] == "add"
    deployer(None)
    assert deployer.actions()["Collector"] == "remove"
    assert deployer.status() == "UPDATE_COMPLETE"


def test_who_does_not_agree_leaves_no_trace_of_a_new_stack(deployer: Deployer) -> None:
    deployer.agrees = False
    outcome = deployer()
    assert (outcome.changed, outcome.outputs) == (True, {})
    assert deployer.status() == ""
    assert deployer.client("s3").list_buckets()["Buckets"] == []
    assert deployer.client("ssm").describe_parameters()["Parameters"] == []


def test_who_does_not_agree_to_an_update_leaves_all_as_it_was(deployer: Deployer) -> None:
    deployer()
    deployer.agrees = False
    before = deployer.client("lambda").get_function(FunctionName="pfsquid-entra")["Configuration"]["CodeSha256"]
    assert deployer("v2").changed
    after = deployer.client("lambda").get_function(FunctionName="pfsquid-entra")["Configuration"]["CodeSha256"]
    assert after == before
    assert deployer.waiting() == []


def test_a_deploy_that_was_cut_off_while_it_showed_its_changes_is_no_hindrance(deployer: Deployer) -> None:
    deployer.client("cloudformation").create_change_set(
        StackName="pfsquid", ChangeSetName="left", ChangeSetType="CREATE",
        TemplateBody=json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}),
    )  # fmt: skip
    assert deployer.status() == "REVIEW_IN_PROGRESS"
    deployer(None)
    assert deployer.status() == "CREATE_COMPLETE"


def test_the_secret_is_encrypted_put_when_it_changed_and_never_shown(
    deployer: Deployer, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployer()
    ssm = deployer.client("ssm")
    there = ssm.get_parameter(Name="/pfsquid/entra/secret", WithDecryption=True)["Parameter"]
    assert (there["Value"], there["Type"], there["Version"]) == (SECRET, "SecureString", 1)
    assert ssm.describe_parameters()["Parameters"][0]["KeyId"] == "alias/pfsquid"
    deployer("v2")
    monkeypatch.setenv("PFSQUID_TEST_SECRET", "another-one")
    deployer("v2")
    assert deployer.actions() == {"/pfsquid/entra/secret": "modify"}
    again = ssm.get_parameter(Name="/pfsquid/entra/secret", WithDecryption=True)["Parameter"]
    assert (again["Value"], again["Version"]) == ("another-one", 2)
    template = json.dumps(deployer.client("cloudformation").get_template(StackName="pfsquid")["TemplateBody"])
    told = repr(deployer.shown) + repr(deployer.said) + template
    assert SECRET not in told
    assert "another-one" not in told


def test_a_change_that_fails_is_told_with_its_first_reason_and_undone(deployer: Deployer) -> None:
    deployer()
    with pytest.raises(PfsquidError) as failed:
        deployer(CodeBucket="a-bucket-that-is-not-there", ScheduleExpression="rate(1 hour)")
    assert "a-bucket-that-is-not-there" in failed.value.message
    assert deployer.status() in ("UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")
    schedule = deployer.client("scheduler").get_schedule(Name="pfsquid-entra", GroupName="pfsquid")
    assert schedule["ScheduleExpression"] == "rate(15 minutes)"
    deployer("v2")
    assert deployer.status() == "UPDATE_COMPLETE"


def test_a_resource_that_cannot_be_made_is_told_and_the_next_deploy_mends_it(deployer: Deployer) -> None:
    deployer.client("athena").create_work_group(Name="pfsquid")
    with pytest.raises(PfsquidError, match="Workgroup") as failed:
        deployer(None)
    assert "ROLLBACK_COMPLETE" in failed.value.message
    with pytest.raises(PfsquidError, match="ROLLBACK_COMPLETE") as stuck:
        deployer(None)
    assert any("pfsquid aws destroy" in one for one in stuck.value.next)


def test_a_parameter_out_of_its_bounds_is_refused_before_anything_is_done(deployer: Deployer) -> None:
    with pytest.raises(PfsquidError, match="StaleSeconds"):
        deployer(None, StaleSeconds="1")
    assert deployer.status() == ""


def test_another_bucket_for_the_same_stack_is_refused_since_it_would_lose_the_lake(deployer: Deployer) -> None:
    deployer(None)
    deployer.settings = {"lake": "s3://another-bucket/lake"}
    with pytest.raises(PfsquidError, match="in which there would be nothing"):
        deployer(None)
    names = [one["Name"] for one in deployer.client("s3").list_buckets()["Buckets"]]
    assert names == [BUCKET]
    assert deployer.waiting() == []


def test_the_stack_itself_forbids_to_replace_what_holds_the_data(deployer: Deployer) -> None:
    deployer(None)
    told = deployer.client("cloudformation").get_stack_policy(StackName="pfsquid")["StackPolicyBody"]
    (denied,) = (one for one in json.loads(told)["Statement"] if one["Effect"] == "Deny")
    assert denied["Action"] == ["Update:Replace", "Update:Delete"]
    assert set(denied["Resource"]) == {f"LogicalResourceId/{name}" for name in stack.DATA}


def test_a_bucket_of_somebody_else_is_not_taken_over(deployer: Deployer) -> None:
    deployer.client("s3").create_bucket(Bucket="own-bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    deployer.settings = {"lake": "s3://own-bucket/lake"}
    with pytest.raises(PfsquidError, match="not of a stack of pfsquid"):
        deployer(None)
    assert deployer.status() == ""


def test_a_database_that_is_there_is_used_and_left_alone(deployer: Deployer) -> None:
    glue = deployer.client("glue")
    glue.create_database(DatabaseInput={"Name": "pfsquid", "Description": "of somebody"})
    deployer(None)
    assert "Database" not in deployer.actions()
    assert glue.get_database(Name="pfsquid")["Database"]["Description"] == "of somebody"
    assert not deployer(None).changed


def test_two_stacks_live_side_by_side(deployer: Deployer) -> None:
    deployer(None)
    deployer.settings = {"aws": {"stack": "other", "database": "other", "workgroup": "other"}}
    deployer(None)
    listed: Any = deployer.client("cloudformation").list_stacks()["StackSummaries"]
    assert {one["StackName"]: one["StackStatus"] for one in listed} == {
        "pfsquid": "CREATE_COMPLETE",
        "other": "CREATE_COMPLETE",
    }


def test_a_template_too_long_for_a_request_is_read_from_the_bucket(
    deployer: Deployer, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployer(None)
    monkeypatch.setattr(stack, "LIMIT", 1000)
    deployer()
    assert deployer.actions()["Collector"] == "add"
    assert deployer.status() == "UPDATE_COMPLETE"
    kept = deployer.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="code/")["Contents"]
    assert [one["Key"].rpartition(".")[2] for one in kept] == ["zip"]
