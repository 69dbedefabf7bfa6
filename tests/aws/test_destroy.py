"""`pfsquid aws destroy` on MiniStack: the data stays unless it is asked for by name, and the next deploy adopts it."""

from __future__ import annotations

from typing import Any

import pytest

from pfsquid.aws.destroy import KEY_DAYS, Left, destroy
from pfsquid.errors import PfsquidError
from tests.aws.ministack import ACCOUNT, REGION
from tests.aws.stacks import Deployer

BUCKET = f"pfsquid-lake-{ACCOUNT}-{REGION}"


def gone(deployer: Deployer, delete_data: bool = False) -> Left:
    return destroy(deployer.cloud, deployer.names, delete_data, deployer.said.append)


def filled(deployer: Deployer) -> None:
    """A lake with an object in two versions, one that was deleted, and a table."""
    s3 = deployer.client("s3")
    for body in (b"old", b"new"):
        s3.put_object(Bucket=BUCKET, Key="lake/pfsquid.db/proxy/data/a.parquet", Body=body)
    s3.put_object(Bucket=BUCKET, Key="lake/gone", Body=b"x")
    s3.delete_object(Bucket=BUCKET, Key="lake/gone")
    deployer.client("glue").create_table(
        DatabaseName="pfsquid", TableInput={"Name": "proxy", "Parameters": {"table_type": "ICEBERG"}}
    )


def key_of(deployer: Deployer) -> dict[str, Any]:
    found: dict[str, Any] = deployer.client("kms").describe_key(KeyId="alias/pfsquid")["KeyMetadata"]
    return found


def test_the_data_the_key_and_the_tables_are_kept(deployer: Deployer) -> None:
    deployer()
    filled(deployer)
    left = gone(deployer)
    assert deployer.status() == ""
    assert left.gone == ("stack pfsquid", "/pfsquid/entra/secret")
    assert [one.split()[0] for one in left.kept] == ["bucket", "key", "database"]
    body = deployer.client("s3").get_object(Bucket=BUCKET, Key="lake/pfsquid.db/proxy/data/a.parquet")["Body"].read()
    assert body == b"new"
    assert key_of(deployer)["KeyState"] == "Enabled"
    assert deployer.client("glue").get_table(DatabaseName="pfsquid", Name="proxy")
    assert deployer.client("ssm").describe_parameters()["Parameters"] == []
    assert deployer.client("lambda").list_functions()["Functions"] == []


def test_the_next_deploy_adopts_what_was_kept(deployer: Deployer) -> None:
    deployer()
    filled(deployer)
    key = key_of(deployer)["KeyId"]
    gone(deployer)
    outcome = deployer()
    assert {one: deployer.actions()[one] for one in ("Key", "KeyAlias", "Lake")} == dict.fromkeys(
        ("Key", "KeyAlias", "Lake"), "import"
    )
    assert outcome.outputs["KeyArn"].endswith(key)
    assert deployer.status() == "UPDATE_COMPLETE"
    assert deployer.client("s3").get_object(Bucket=BUCKET, Key="lake/pfsquid.db/proxy/data/a.parquet")
    assert deployer.client("glue").get_table(DatabaseName="pfsquid", Name="proxy")
    assert not deployer().changed


def test_what_was_adopted_is_kept_again(deployer: Deployer) -> None:
    deployer(None)
    gone(deployer)
    deployer(None)
    assert [one.split()[0] for one in gone(deployer).kept] == ["bucket", "key", "database"]


def test_who_does_not_agree_adopts_nothing(deployer: Deployer) -> None:
    deployer(None)
    gone(deployer)
    deployer.agrees = False
    deployer(None)
    assert deployer.status() == ""
    assert deployer.client("s3").head_bucket(Bucket=BUCKET)


def test_with_its_data_nothing_is_left_but_a_key_that_waits(deployer: Deployer) -> None:
    deployer()
    filled(deployer)
    key = key_of(deployer)["KeyId"]
    left = gone(deployer, delete_data=True)
    assert left.kept == ()
    assert deployer.client("s3").list_buckets()["Buckets"] == []
    assert [one["Name"] for one in deployer.client("glue").get_databases()["DatabaseList"]] == []
    told = deployer.client("kms").describe_key(KeyId=key)["KeyMetadata"]
    assert told["KeyState"] == "PendingDeletion"
    assert deployer.client("kms").list_aliases()["Aliases"] == []
    assert any(f"in {KEY_DAYS} days" in one for one in left.gone)


def test_kept_data_can_be_deleted_later(deployer: Deployer) -> None:
    deployer(None)
    filled(deployer)
    gone(deployer)
    gone(deployer, delete_data=True)
    assert deployer.client("s3").list_buckets()["Buckets"] == []


def test_where_there_is_nothing_nothing_happens(deployer: Deployer) -> None:
    assert gone(deployer) == Left()
    assert gone(deployer, delete_data=True) == Left()


def test_a_new_stack_comes_after_all_was_deleted(deployer: Deployer) -> None:
    deployer()
    gone(deployer, delete_data=True)
    deployer()
    assert deployer.status() == "UPDATE_COMPLETE"
    assert deployer.actions()["Lake"] == "add"


def test_a_stack_that_never_came_up_is_taken_away_and_the_next_deploy_works(deployer: Deployer) -> None:
    athena = deployer.client("athena")
    athena.create_work_group(Name="pfsquid")
    with pytest.raises(PfsquidError):
        deployer(None)
    assert deployer.status() == "ROLLBACK_COMPLETE"
    gone(deployer)
    athena.delete_work_group(WorkGroup="pfsquid", RecursiveDeleteOption=True)
    deployer(None)
    assert deployer.status() in ("CREATE_COMPLETE", "UPDATE_COMPLETE")


def test_a_key_that_waits_for_its_deletion_is_told_before_its_data_is_adopted(deployer: Deployer) -> None:
    deployer(None)
    gone(deployer)
    deployer.client("kms").schedule_key_deletion(KeyId=key_of(deployer)["KeyId"], PendingWindowInDays=7)
    with pytest.raises(PfsquidError, match="waits for its deletion") as refused:
        deployer(None)
    assert "cancel-key-deletion" in refused.value.next[0]


def test_a_bucket_without_its_key_is_not_taken_up_with_another_one(deployer: Deployer) -> None:
    deployer(None)
    gone(deployer)
    deployer.client("kms").delete_alias(AliasName="alias/pfsquid")
    with pytest.raises(PfsquidError, match="could not be read"):
        deployer(None)
