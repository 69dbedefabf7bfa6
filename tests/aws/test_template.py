"""The template of the stack: what it promises of encryption, rights, data and documentation, read from what it says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pfsquid.aws import stack
from pfsquid.config import Config
from pfsquid.errors import WrongUse
from pfsquid.settings_entra import EntraSettings

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "templates" / "aws"
EVERY = {"CodeKey": "code/x.zip", "Email": "ops@example.com", "Optimizers": "true", "QuickSightUser": "arn:aws:x"}
TABLES = frozenset({"proxy", "usage", "signins", "audits", "windows"})
WHOLE = stack.template(FOLDER, EVERY, TABLES)
RESOURCES: dict[str, Any] = WHOLE["Resources"]
# What AWS tags by no template.
NO_TAGS = {
    "AWS::Athena::NamedQuery",
    "AWS::CloudFormation::Stack",
    "AWS::Glue::Database",
    "AWS::Glue::TableOptimizer",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Policy",
    "AWS::KMS::Alias",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::QuickSight::RefreshSchedule",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::Scheduler::Schedule",
}
# Where a resource may be `*`, and why AWS allows nothing else.
STARS = {
    ("Key", "Administration"): "in a policy of a key, * is that key",
    ("Key", "UseThroughServices"): "in a policy of a key, * is that key",
    ("Key", "AlarmsToTheTopic"): "in a policy of a key, * is that key",
    ("CollectorRole", "Metrics"): "metrics have no ARN; the namespace is the condition",
}
# Where an action may end in `*`: what is denied is denied whatever AWS adds to it.
STARRED_ACTIONS = {("LakePolicy", "OnlyByTls"), ("LakePolicy", "OnlyByNewTls")}
WRITES = re.compile(r"s3:(?:Put|Delete|Abort)|glue:(?:Create|Update|Delete|Batch(?:Create|Update|Delete))")


def many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every statement of every policy, those of roles' trust included, with the logical id of its resource."""

    def walk(value: Any) -> Iterator[dict[str, Any]]:
        if isinstance(value, dict):
            if "Effect" in value:
                yield value
            for below in value.values():
                yield from walk(below)
        elif isinstance(value, list):
            for below in value:
                yield from walk(below)

    for name, resource in RESOURCES.items():
        for one in walk(resource["Properties"]):
            yield name, one


def text_of(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def can(name: str) -> dict[str, str]:
    """What a policy or role allows: each action with its resources as text; the managed policies of ours included."""
    resource = RESOURCES[name]["Properties"]
    managed = [one["Ref"] for one in resource.get("ManagedPolicyArns", [])]
    found: dict[str, str] = {}
    for other in (name, *managed):
        for owner, one in statements():
            if owner == other and one["Effect"] == "Allow" and "Resource" in one:
                for action in many(one["Action"]):
                    found[action] = found.get(action, "") + text_of(one["Resource"])
    return found


def test_cfn_lint_finds_nothing_in_the_whole_template(tmp_path: Path) -> None:
    path = tmp_path / "template.yaml"
    path.write_text(stack.text(FOLDER), "utf-8")
    linted = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), path], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (linted.returncode, linted.stdout) == (0, "")


def test_what_is_printed_is_what_is_deployed() -> None:
    printed = yaml.load(stack.text(FOLDER), Loader=stack._Loader)
    assert {name: printed["Resources"][name] for name in RESOURCES} == RESOURCES


def test_no_action_is_a_wildcard_but_where_it_is_denied() -> None:
    starred = [
        (name, one)
        for name, one in statements()
        if any("*" in action for action in many(one["Action"])) and (name, one.get("Sid")) not in STARRED_ACTIONS
    ]
    assert starred == []
    assert {one["Effect"] for name, one in statements() if (name, one.get("Sid")) in STARRED_ACTIONS} == {"Deny"}


def test_no_resource_is_everything_but_where_aws_knows_no_smaller_one() -> None:
    everything = {(name, one.get("Sid")) for name, one in statements() if "*" in many(one.get("Resource", ""))}
    assert everything == set(STARS)


def test_a_wildcard_within_a_resource_stands_behind_the_stacks_own_names() -> None:
    free = [
        (name, arn)
        for name, one in statements()
        for arn in map(text_of, many(one.get("Resource", "")))
        if "*" in arn and arn != "*" and not re.search(r"\$\{(?:Lake\.Arn|DatabaseName)\}[^*]*/\*", arn)
        and "/aws-glue/iceberg-" not in arn
    ]  # fmt: skip
    assert free == []


def test_who_writes_the_lake_cannot_ask_and_who_asks_cannot_write_it() -> None:
    roles = [name for name, one in RESOURCES.items() if one["Type"] in ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy")]
    for name in roles:
        allowed = can(name)
        writes = [action for action, where in allowed.items() if WRITES.match(action) and "athena/*" not in where]
        asks = [action for action in allowed if action.startswith("athena:")]
        assert not (writes and asks), name
    assert can("AnalystPolicy")["s3:PutObject"] == '{"Fn::Sub": "${Lake.Arn}/athena/*"}'
    assert can("WriterPolicy")["s3:PutObject"] == '{"Fn::Sub": "${Lake.Arn}/${Prefix}/*"}'
    assert not any(action.startswith("athena:") for action in can("CollectorRole"))
    assert "glue:DeleteTable" not in can("CollectorRole")


def test_every_service_that_is_trusted_is_so_for_this_account_only() -> None:
    trusting = [one for _, one in statements() if "Service" in (one.get("Principal") or {})]
    assert len(trusting) >= 4
    account = {"Ref": "AWS::AccountId"}
    assert [
        one for one in trusting if one["Condition"].get("StringEquals", {}).get("aws:SourceAccount") != account
    ] == []


def test_the_key_serves_only_through_services_of_aws() -> None:
    (use,) = (one for name, one in statements() if name == "Key" and one["Sid"] == "UseThroughServices")
    assert set(use["Condition"]["StringEquals"]) == {"kms:CallerAccount", "kms:ViaService"}
    assert RESOURCES["Key"]["Properties"]["EnableKeyRotation"] is True


def test_the_bucket_is_closed_encrypted_and_versioned() -> None:
    bucket = RESOURCES["Lake"]["Properties"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule == {
        "BucketKeyEnabled": True,
        "ServerSideEncryptionByDefault": {
            "SSEAlgorithm": "aws:kms",
            "KMSMasterKeyID": {"Fn::GetAtt": ["Key", "Arn"]},
        },
    }
    denied = [one for name, one in statements() if name == "LakePolicy"]
    assert {"Bool": {"aws:SecureTransport": "false"}} in [one["Condition"] for one in denied]


def test_no_rule_of_the_bucket_takes_a_current_object_of_the_lake() -> None:
    rules = RESOURCES["Lake"]["Properties"]["LifecycleConfiguration"]["Rules"]
    assert [one["Prefix"] for one in rules if "ExpirationInDays" in one] == ["athena/"]
    assert any("NoncurrentVersionExpiration" in one for one in rules)
    assert any("AbortIncompleteMultipartUpload" in one for one in rules)


def test_what_holds_data_outlives_the_stack_and_any_replacement() -> None:
    assert {
        (name, RESOURCES[name]["DeletionPolicy"], RESOURCES[name]["UpdateReplacePolicy"]) for name in stack.DATA
    } == {(name, "RetainExceptOnCreate", "Retain") for name in stack.DATA}


def test_all_that_can_be_tagged_is_tagged() -> None:
    assert [
        name for name, one in RESOURCES.items() if one["Type"] not in NO_TAGS and "Tags" not in one["Properties"]
    ] == []


def test_a_run_that_fails_and_an_event_that_is_not_taken_both_end_among_the_dead_letters() -> None:
    letters = {"Fn::GetAtt": ["DeadLetters", "Arn"]}
    assert RESOURCES["CollectorRetries"]["Properties"]["DestinationConfig"] == {"OnFailure": {"Destination": letters}}
    target = RESOURCES["Schedule"]["Properties"]["Target"]
    assert target["DeadLetterConfig"] == {"Arn": letters}
    assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0


def test_silence_is_an_alarm_and_every_alarm_reaches_the_topic() -> None:
    alarms = {name: one["Properties"] for name, one in RESOURCES.items() if one["Type"] == "AWS::CloudWatch::Alarm"}
    assert set(alarms) == {"ErrorsAlarm", "StaleAlarm", "DeadLettersAlarm"}
    assert alarms["StaleAlarm"]["TreatMissingData"] == "breaching"
    assert all(one["AlarmActions"] == [{"Ref": "Topic"}] for one in alarms.values())
    assert RESOURCES["Topic"]["Properties"]["KmsMasterKeyId"] == {"Fn::GetAtt": ["Key", "Arn"]}


def test_the_workgroup_enforces_its_settings_and_a_bound_of_bytes() -> None:
    settings = RESOURCES["Workgroup"]["Properties"]["WorkGroupConfiguration"]
    assert settings["EnforceWorkGroupConfiguration"] is True
    assert settings["BytesScannedCutoffPerQuery"] == {"Ref": "BytesCutoff"}
    assert settings["ResultConfiguration"]["EncryptionConfiguration"]["EncryptionOption"] == "SSE_KMS"
    assert settings["EngineVersion"] == {"SelectedEngineVersion": "Athena engine version 3"}


def test_without_a_package_there_is_no_collector_and_nothing_of_it() -> None:
    without = stack.template(FOLDER, {})
    assert {one["Type"].split("::")[1] for one in without["Resources"].values()} == {
        "KMS",
        "S3",
        "Glue",
        "Athena",
        "IAM",
    }
    assert "CollectorName" not in without["Outputs"]


def test_an_optimizer_waits_for_its_table() -> None:
    some = stack.template(FOLDER, EVERY, frozenset({"proxy"}))["Resources"].values()
    assert {one["Properties"]["TableName"] for one in some if one["Type"] == "AWS::Glue::TableOptimizer"} == {"proxy"}


def test_the_usual_template_fits_into_a_request() -> None:
    usual = stack.template(FOLDER, {"CodeKey": "code/x.zip", "Email": "ops@example.com"})
    assert len(stack.written(usual).encode()) < stack.LIMIT


def test_every_parameter_is_described_here_and_in_the_documentation() -> None:
    documented = (ROOT / "docs" / "aws.md").read_text("utf-8")
    assert [name for name, one in WHOLE["Parameters"].items() if not one.get("Description")] == []
    assert [name for name in WHOLE["Parameters"] if f"`{name}`" not in documented] == []


@pytest.mark.parametrize("name", ["Pfsquid", "1lake", "a" * 25, "pf_squid"])
def test_a_name_that_no_bucket_could_have_is_refused(name: str) -> None:
    with pytest.raises(WrongUse, match="cannot be named"):
        stack.names_of(Config(), "123456789012", "eu-central-1", name)


@pytest.mark.parametrize("lake", ["s3://bucket", "s3://bucket/athena", "s3://bucket/code/x"])
def test_a_lake_where_results_or_code_lie_is_refused(lake: str) -> None:
    with pytest.raises(WrongUse, match="must have a prefix"):
        stack.names_of(Config.model_validate({"lake": lake}), "123456789012", "eu-central-1")


def test_the_lake_of_the_configuration_is_the_stacks() -> None:
    names = stack.names_of(Config.model_validate({"lake": "s3://own/a/b"}), "123456789012", "eu-central-1")
    assert (names.bucket, names.prefix, names.lake) == ("own", "a/b", "s3://own/a/b")


@pytest.mark.parametrize(
    ("given", "why"), [("ScheduleExpresion", "no parameter of the stack"), ("Tenant", "by the other keys")]
)
def test_a_parameter_that_is_not_to_be_given_is_refused(given: str, why: str) -> None:
    with pytest.raises(WrongUse, match=why):
        stack.check_parameters({given: "x"}, WHOLE)


def test_what_a_tenant_is_configured_with_reaches_the_collector() -> None:
    tenant = EntraSettings.model_validate(
        {
            "tenant": "contoso.onmicrosoft.com",
            "client_id": "app",
            "secret": "env:SECRET",
            "streams": ["audits", "interactive"],
            "retention": "7d",
        }
    )
    settings = Config.model_validate({"aws": {"parameters": {"StaleSeconds": 7200, "Reserve": False}}})
    names = stack.names_of(settings, "123456789012", "eu-central-1")
    values = stack.parameters(names, settings, tenant, False)
    assert values["Streams"] == "audits,interactive"
    assert json.loads(values["Settings"]) == {"retention": 604800.0}
    assert (values["StaleSeconds"], values["Reserve"], values["Credential"]) == ("7200", "false", "secret")
    assert set(values) <= set(WHOLE["Parameters"])
