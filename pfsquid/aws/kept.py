"""What a deleted stack left behind: bucket, key, database. Found for the next deploy, which adopts it, and for destroy.

A bucket counts as ours by its tag only: one that somebody made for other ends is never taken over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pfsquid.aws.stack import Names
from pfsquid.cloud import Cloud, explained
from pfsquid.errors import PfsquidError

TAG = "pfsquid:stack"
_ABSENT = frozenset({"404", "NoSuchBucket", "NotFound", "NotFoundException", "EntityNotFoundException"})


@dataclass(frozen=True)
class Kept:
    """key: its id, "" where there is none; pending: it waits for its deletion. bucket, database: is there one?"""

    bucket: bool = False
    key: str = ""
    pending: bool = False
    database: bool = False


def find(cloud: Cloud, names: Names) -> Kept:
    """What is there of these names, whoever made it. Raises PfsquidError where AWS does not say."""
    from botocore.exceptions import ClientError

    def asked(what: str, call: Any, **words: Any) -> Any:
        with explained(what):
            try:
                return call(**words)
            except ClientError as exc:
                if str(exc.response.get("Error", {}).get("Code")) in _ABSENT:
                    return None
                raise

    s3, kms, glue = (cloud.client(one) for one in ("s3", "kms", "glue"))
    bucket = asked(f"the bucket {names.bucket}", s3.head_bucket, Bucket=names.bucket)
    key = asked(f"the key {names.alias}", kms.describe_key, KeyId=names.alias)
    database = asked(f"the database {names.database}", glue.get_database, Name=names.database)
    about = key["KeyMetadata"] if key else {}
    return Kept(
        bucket is not None,
        str(about.get("KeyId", "")),
        about.get("KeyState") == "PendingDeletion",
        database is not None,
    )


def mark(cloud: Cloud, names: Names) -> None:
    """See to it that the bucket bears the tag by which a later deploy knows it."""
    with explained(f"the tags of the bucket {names.bucket}"):
        s3 = cloud.client("s3")
        tags = _tags(s3, names.bucket)
        if tags.get(TAG) != names.stack:
            tags[TAG] = names.stack
            s3.put_bucket_tagging(
                Bucket=names.bucket,
                Tagging={"TagSet": [{"Key": key, "Value": value} for key, value in tags.items()]},
            )


def imports(cloud: Cloud, names: Names, kept: Kept) -> list[dict[str, Any]]:
    """ResourcesToImport of a stack that adopts what is there; [] where nothing is.

    Raises PfsquidError for a bucket of somebody else's, and where bucket and key are not both there.
    """
    if not kept.bucket and not kept.key:
        return []
    if kept.bucket:
        with explained(f"the tags of the bucket {names.bucket}"):
            owner = _tags(cloud.client("s3"), names.bucket).get(TAG)
        if owner != names.stack:
            whose = f"of the stack {owner}" if owner else "not of a stack of pfsquid"
            raise PfsquidError(
                f"the bucket {names.bucket} is there, and {whose}",
                "lake: s3://OTHER-BUCKET/lake    # in the configuration",
                f"aws s3api put-bucket-tagging --bucket {names.bucket} --tagging "
                f"'TagSet=[{{Key={TAG},Value={names.stack}}}]'    # if it is to be taken over; replaces its tags",
            )
    if kept.pending:
        raise PfsquidError(
            f"the key {names.alias} waits for its deletion, by which the data becomes unreadable",
            f"aws kms cancel-key-deletion --key-id {kept.key} && aws kms enable-key --key-id {kept.key}",
        )
    if not kept.key:
        raise PfsquidError(
            f"the bucket {names.bucket} is there, its key {names.alias} is not: what it encrypted could not be read",
            "aws kms list-aliases",
            f"aws kms create-alias --alias-name {names.alias} --target-key-id KEY    # the one that the bucket names",
        )
    found = [
        _one("AWS::KMS::Key", "Key", "KeyId", kept.key),
        _one("AWS::KMS::Alias", "KeyAlias", "AliasName", names.alias),
    ]
    return [*found, _one("AWS::S3::Bucket", "Lake", "BucketName", names.bucket)] if kept.bucket else found


def _one(kind: str, name: str, identifier: str, value: str) -> dict[str, Any]:
    return {"ResourceType": kind, "LogicalResourceId": name, "ResourceIdentifier": {identifier: value}}


def _tags(s3: Any, bucket: str) -> dict[str, str]:
    from botocore.exceptions import ClientError

    try:
        return {one["Key"]: one["Value"] for one in s3.get_bucket_tagging(Bucket=bucket)["TagSet"]}
    except ClientError as exc:
        if exc.response.get("Error", {}).get("Code") == "NoSuchTagSet":
            return {}
        raise
