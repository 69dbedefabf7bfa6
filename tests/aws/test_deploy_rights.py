"""The stack's policies at work: a MiniStack that enforces IAM, a user with each of them, and what each may do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from pfsquid.aws import deploy, stack
from pfsquid.cloud import Cloud
from pfsquid.config import Config
from tests.aws.ministack import REGION, MiniStack, started
from tests.aws.stacks import TEMPLATES

ROOT = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
DATABASE = {"DatabaseName": "pfsquid"}
DEEDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "read the lake": ("s3", "get_object", {"Key": "lake/a"}),
    "list the lake": ("s3", "list_objects_v2", {"Prefix": "lake/"}),
    "list the bucket": ("s3", "list_objects_v2", {}),
    "write the lake": ("s3", "put_object", {"Key": "lake/b", "Body": b""}),
    "delete in the lake": ("s3", "delete_object", {"Key": "lake/b"}),
    "write results": ("s3", "put_object", {"Key": "athena/b", "Body": b""}),
    "replace the collector": ("s3", "put_object", {"Key": "code/b", "Body": b""}),
    "make a table": ("glue", "create_table", {**DATABASE, "TableInput": {"Name": "proxy"}}),
    "see tables": ("glue", "get_tables", DATABASE),
    "drop a table": ("glue", "delete_table", {**DATABASE, "Name": "kept"}),
    "ask Athena": ("athena", "start_query_execution", {"QueryString": "SELECT 1", "WorkGroup": "pfsquid"}),
    "ask without a bound": ("athena", "start_query_execution", {"QueryString": "SELECT 1", "WorkGroup": "primary"}),
}
MAY = {
    "WriterPolicyArn": {
        "read the lake", "list the lake", "write the lake", "delete in the lake", "make a table", "see tables",
    },
    "AnalystPolicyArn": {"read the lake", "list the lake", "write results", "see tables", "ask Athena"},
}  # fmt: skip


@dataclass(frozen=True)
class Put:
    """A stack that is up. outputs: its own; users: a session for each policy."""

    server: MiniStack
    bucket: str
    users: dict[str, Any]


@pytest.fixture(scope="module")
def put(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Put]:
    with started(tmp_path_factory.mktemp("rights"), AUTH="true") as server, pytest.MonkeyPatch.context() as patch:
        for name, value in {**server.env, **ROOT}.items():
            patch.setenv(name, value)
        cloud = Cloud(REGION)
        account = cloud.client("sts").get_caller_identity()["Account"]
        names = stack.names_of(Config(), account, REGION)
        wanted = deploy.Wanted(names, stack.parameters(names, Config(), None, False), TEMPLATES)
        outputs = deploy.deploy(cloud, wanted, lambda _: True, lambda _: None).outputs
        cloud.client("s3").put_object(Bucket=names.bucket, Key="lake/a", Body=b"a")
        cloud.client("glue").create_table(**DATABASE, TableInput={"Name": "kept"})
        yield Put(server, names.bucket, {one: _user(cloud, one, outputs[one]) for one in MAY})


def _user(cloud: Cloud, name: str, policy: str) -> Any:
    iam = cloud.client("iam")
    iam.create_user(UserName=name)
    iam.attach_user_policy(UserName=name, PolicyArn=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=REGION)


def _done(put: Put, policy: str, deed: str) -> bool:
    """Was it allowed?"""
    service, name, words = DEEDS[deed]
    client = put.users[policy].client(service, endpoint_url=put.server.url)
    try:
        getattr(client, name)(**({"Bucket": put.bucket} if service == "s3" else {}), **words)
    except ClientError as exc:
        assert exc.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException")
        return False
    return True


@pytest.mark.parametrize("policy", MAY)
def test_without_tls_nobody_reaches_the_lake(put: Put, policy: str) -> None:
    assert not _done(put, policy, "read the lake")


@pytest.mark.parametrize("policy", MAY)
def test_each_policy_allows_what_it_is_for_and_nothing_else(put: Put, policy: str) -> None:
    s3 = boto3.client("s3", endpoint_url=put.server.url, region_name=REGION, aws_access_key_id="test",
                      aws_secret_access_key="test")  # fmt: skip
    s3.delete_bucket_policy(Bucket=put.bucket)  # the one that forbids what is not TLS, as this is
    assert {deed for deed in DEEDS if _done(put, policy, deed)} == MAY[policy]
