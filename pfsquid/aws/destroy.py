"""Take the stack away: without the data, which is kept, or with it, where that is asked for in so many words."""

from __future__ import annotations

from dataclasses import dataclass, field

from pfsquid.aws import changes, credential, kept
from pfsquid.aws.changes import Say
from pfsquid.aws.stack import Names
from pfsquid.aws.status import Found, look
from pfsquid.cloud import Cloud, explained
from pfsquid.errors import PfsquidError

KEY_DAYS = 30  # the longest that KMS waits; until then a key can be brought back
_BATCH = 1000


@dataclass(frozen=True)
class Left:
    """What was done. gone: what was deleted; kept: what is still there, a line each."""

    gone: tuple[str, ...] = ()
    kept: tuple[str, ...] = field(default=())


def destroy(cloud: Cloud, names: Names, delete_data: bool, say: Say) -> Left:
    """Delete the stack and the app's secret; with delete_data also bucket, database and key. Raises PfsquidError.

    May be called again where it was cut off: what is gone already is no error.
    """
    found = look(cloud, names.stack)
    if found and found.status.endswith("_IN_PROGRESS") and found.status != "REVIEW_IN_PROGRESS":
        raise PfsquidError(f"the stack {names.stack} is {found.status}", *changes.next_of(names.stack, found.status))
    names = _as_made(names, found)
    there = kept.find(cloud, names)
    gone = []
    if found:
        if "Lake" in found.resources and there.bucket:
            kept.mark(cloud, names)
        _delete(cloud, found, say)
        gone.append(f"stack {names.stack}")
    gone += credential.remove(cloud, names)
    if delete_data:
        return Left((*gone, *_without_data(cloud, names, kept.find(cloud, names), say)))
    return Left(tuple(gone), tuple(_told(names, kept.find(cloud, names))))


def _as_made(names: Names, found: Found | None) -> Names:
    """The names that the stack has, where the configuration has changed since."""
    if found is None or not found.parameters:
        return names
    prefix = found.parameters.get("Prefix", names.prefix)
    database = found.parameters.get("DatabaseName", names.database)
    bucket = found.outputs.get("Bucket") or found.resources.get("Lake") or names.bucket
    return Names(names.stack, bucket, prefix, database, names.workgroup, names.account, names.region)


def _delete(cloud: Cloud, found: Found, say: Say) -> None:
    client = cloud.client("cloudformation")
    with explained(f"the stack {found.name}"):
        seen = {one["EventId"] for one in changes.events(client, found.id)}
        client.delete_stack(StackName=found.name)
        status = changes.wait(client, found.id, seen, say)  # by its id: a name of a deleted stack says nothing
    if status != "DELETE_COMPLETE":
        reason = changes.first_failure(changes.events(client, found.id), seen)
        raise PfsquidError(
            f"the stack {found.name} is {status}: {reason}", "pfsquid aws destroy    # once the reason is mended"
        )


def _without_data(cloud: Cloud, names: Names, there: kept.Kept, say: Say) -> list[str]:
    gone = []
    if there.database:
        gone.append(f"database {names.database} with {_drop_database(cloud, names):,} tables")
    if there.bucket:
        count = empty(cloud, names.bucket, say)
        with explained(f"the bucket {names.bucket}"):
            cloud.client("s3").delete_bucket(Bucket=names.bucket)
        gone.append(f"bucket {names.bucket} with {count:,} versions of objects")
    if there.key:
        kms = cloud.client("kms")
        with explained(f"the key {names.alias}"):
            kms.delete_alias(AliasName=names.alias)
            if not there.pending:
                kms.schedule_key_deletion(KeyId=there.key, PendingWindowInDays=KEY_DAYS)
        gone.append(
            f"key {there.key}, in {KEY_DAYS} days; until then: aws kms cancel-key-deletion --key-id {there.key}"
        )
    return gone


def _drop_database(cloud: Cloud, names: Names) -> int:
    glue = cloud.client("glue")
    with explained(f"the database {names.database}"):
        pages = glue.get_paginator("get_tables").paginate(DatabaseName=names.database)
        tables = [one["Name"] for page in pages for one in page["TableList"]]
        for table in tables:
            glue.delete_table(DatabaseName=names.database, Name=table)
        glue.delete_database(Name=names.database)
    return len(tables)


def empty(cloud: Cloud, bucket: str, say: Say) -> int:
    """Delete all versions of all objects, and uploads that were broken off; how many versions. Raises PfsquidError."""
    s3, count = cloud.client("s3"), 0
    with explained(f"the bucket {bucket}"):
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            every = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            for at in range(0, len(every), _BATCH):
                batch = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in every[at : at + _BATCH]]
                told = s3.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
                if told.get("Errors"):
                    first = told["Errors"][0]
                    raise PfsquidError(
                        f"s3://{bucket}/{first.get('Key')} cannot be deleted: {first.get('Message')}",
                        "pfsquid aws destroy --delete-data    # goes on where it was",
                    )
                count += len(batch)
                say(f"{bucket}: {count:,} versions deleted")
        for upload in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
            s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    return count


def _told(names: Names, there: kept.Kept) -> list[str]:
    lines = []
    if there.bucket:
        lines.append(f"bucket {names.bucket}, with the lake {names.lake}")
    if there.key:
        lines.append(f"key {names.alias}, without which the lake cannot be read")
    if there.database:
        lines.append(f"database {names.database} of Glue, with its tables")
    return lines
