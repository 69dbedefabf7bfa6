"""Put the stack up, or bring it to what the configuration says: shown first, then done, step by step.

A new stack takes two steps, since the collector's package lies in the bucket that the first step makes; where an
earlier stack left its bucket and its key, these are adopted before. Data is never replaced and never removed here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pfsquid.aws import changes, credential, kept
from pfsquid.aws import stack as document
from pfsquid.aws.changes import Change, ChangeSet, Say
from pfsquid.aws.status import Found, look
from pfsquid.cloud import Cloud, explained
from pfsquid.errors import PfsquidError

_POLICY = {
    "Statement": [
        {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"},
        {
            "Effect": "Deny",
            "Action": ["Update:Replace", "Update:Delete"],
            "Principal": "*",
            "Resource": [f"LogicalResourceId/{name}" for name in document.DATA],
        },
    ]
}
_AT_REST = frozenset(
    {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"}
)


@dataclass(frozen=True)
class Code:
    """The collector's package. digest: of what is in it; python: 3.12."""

    path: Path
    digest: str
    architecture: str
    python: str


@dataclass(frozen=True)
class Wanted:
    """What is to be. parameters: of the stack; credentials: parameters of the Parameter Store with their values.

    code: None where there shall be no collector. templates: the folder of the template.
    """

    names: document.Names
    parameters: dict[str, str]
    templates: Path
    code: Code | None = None
    credentials: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def whole(self) -> dict[str, str]:
        """The parameters with those of the package."""
        if self.code is None:
            return self.parameters
        return self.parameters | {
            "CodeKey": f"code/{self.code.digest}.zip",
            "Architecture": self.code.architecture,
            "Runtime": f"python{self.code.python}",
        }


@dataclass(frozen=True)
class Outcome:
    """changed: was anything done, or, where only a plan was asked for, would anything be?"""

    changed: bool
    outputs: dict[str, str] = field(default_factory=dict)


Agree = Callable[[Sequence[tuple[int, Change]]], bool]


def deploy(cloud: Cloud, wanted: Wanted, agree: Agree, say: Say) -> Outcome:
    """Bring the stack there. agree: is shown the changes, each with the number of its step; False: nothing is done.

    Raises PfsquidError, also for a stack that cannot be gone on from.
    """
    client, name = cloud.client("cloudformation"), wanted.names.stack
    there = look(cloud, name)
    if there and there.status == "REVIEW_IN_PROGRESS":  # of a deploy that was cut off while it showed its changes
        with explained(f"the stack {name}"):
            client.delete_stack(StackName=name)
        there = None
    if there and there.status not in _AT_REST:
        raise PfsquidError(f"the stack {name} is {there.status}: {there.reason or 'no reason is given'}",
                           *changes.next_of(name, there.status))  # fmt: skip
    if there:
        _same_lake(wanted.names, there)
    wanted = _with_database(cloud, wanted, there)
    if there:
        return _updated(cloud, client, wanted, agree, say)
    return _created(cloud, client, wanted, agree, say)


def _same_lake(names: document.Names, there: Found) -> None:
    """Raises PfsquidError where the lake of the configuration is not that of the stack, which would lose it."""
    lake, database = there.outputs.get("LakeUrl"), there.outputs.get("DatabaseName")
    if lake and (lake, database) != (names.lake, names.database):
        raise PfsquidError(
            f"the lake of the stack {names.stack} is {lake} with the database {database}; the configuration says "
            f"{names.lake} with {names.database}, in which there would be nothing. Nothing was changed",
            f"lake: {lake}    # in the configuration; aws.database: {database}",
            "aws.stack: OTHER    # for another lake, another stack",
        )


def _with_database(cloud: Cloud, wanted: Wanted, there: Found | None) -> Wanted:
    """A database that is there, and not of the stack, is used as it is."""
    own = bool(there and "Database" in there.resources)
    makes = own or not kept.find(cloud, wanted.names).database
    return replace(wanted, parameters=wanted.parameters | {"MakeDatabase": str(makes).lower()})


def _created(cloud: Cloud, client: Any, wanted: Wanted, agree: Agree, say: Say) -> Outcome:
    names = wanted.names
    adopted = kept.imports(cloud, names, kept.find(cloud, names))
    base = wanted.parameters | {"CodeKey": "", "Optimizers": "false", "QuickSightUser": ""}
    basis = document.template(wanted.templates, base)
    if adopted:
        ids = {one["LogicalResourceId"] for one in adopted}
        first = _made(cloud, client, wanted, "IMPORT", document.only(basis, ids), base, adopted)
    else:
        first = _made(cloud, client, wanted, "CREATE", basis, base)
    done = False
    try:
        if not agree(_foreseen(wanted, basis, first)):
            return Outcome(True)
        changes.execute(client, first, say)
        done = True
    finally:
        if not done and not _began(client, first):
            changes.drop(client, first)
    if adopted:
        second = _made(cloud, client, wanted, "UPDATE", basis, base)
        changes.refuse_loss(second.changes)
        changes.execute(client, second, say)
    _protect(client, names.stack)
    outcome = _updated(cloud, client, wanted, lambda _: True, say)
    return replace(outcome, changed=True)


def _began(client: Any, made: ChangeSet) -> bool:
    with suppress(Exception):
        return bool(client.describe_stacks(StackName=made.stack)["Stacks"][0]["StackStatus"] != "REVIEW_IN_PROGRESS")
    return False


def _foreseen(wanted: Wanted, basis: document.Template, first: ChangeSet) -> list[tuple[int, Change]]:
    """The changes of all steps: those of the first by CloudFormation, the others as the template says."""
    rows = [(1, one) for one in first.changes]
    step, seen = 1, {one.resource for one in first.changes}
    for each in (basis, document.template(wanted.templates, wanted.whole)):
        new = {name: one["Type"] for name, one in each["Resources"].items() if name not in seen}
        step += bool(new)
        rows += [(step, Change("add", name, kind)) for name, kind in new.items()]
        seen |= set(new)
    return [*rows, *((step, _of_credential(one, True)) for one in wanted.credentials)]


def _of_credential(name: str, new: bool) -> Change:
    secure = "String" if name.endswith("/ca") else "SecureString"
    return Change("add" if new else "modify", name, f"AWS::SSM::Parameter ({secure})", why="" if new else "value")


def _updated(cloud: Cloud, client: Any, wanted: Wanted, agree: Agree, say: Say) -> Outcome:
    names, parameters = wanted.names, wanted.whole
    tables = _tables(cloud, names) if parameters.get("Optimizers") == "true" else frozenset[str]()
    made = _made(cloud, client, wanted, "UPDATE", document.template(wanted.templates, parameters, tables), parameters)
    done = False
    try:
        changes.refuse_loss(made.changes)
        puts = credential.changed(cloud, wanted.credentials)
        rows = [(1, one) for one in made.changes] + [(1, _of_credential(one.name, one.new)) for one in puts]
        if not rows:
            return Outcome(False, _outputs(cloud, names))
        if not agree(rows):
            return Outcome(True)
        credential.put(cloud, names, puts)
        for one in puts:
            say(f"{one.name}: put")
        if made.changes:
            _upload(cloud, wanted, say)
            done = True
            changes.execute(client, made, say)
    finally:
        if not done:
            changes.drop(client, made)
    _protect(client, names.stack)
    _tidy(cloud, wanted)
    return Outcome(True, _outputs(cloud, names))


def _made(
    cloud: Cloud,
    client: Any,
    wanted: Wanted,
    kind: str,
    template: document.Template,
    parameters: Mapping[str, str],
    imports: Sequence[Mapping[str, Any]] = (),
) -> ChangeSet:
    """A change set; a template that is too long for a request lies in the bucket for so long."""
    declared = {key: value for key, value in parameters.items() if key in template["Parameters"]}
    body, names = document.written(template), wanted.names
    if len(body.encode()) <= document.LIMIT:
        return changes.make(client, names.stack, kind, {"TemplateBody": body}, declared, imports)
    s3, key = cloud.client("s3"), f"code/{hashlib.sha256(body.encode()).hexdigest()[:32]}.template"
    with explained(f"the bucket {names.bucket}"):
        s3.put_object(Bucket=names.bucket, Key=key, Body=body.encode())
        try:
            url = f"{s3.meta.endpoint_url.rstrip('/')}/{names.bucket}/{key}"
            return changes.make(client, names.stack, kind, {"TemplateURL": url}, declared, imports)
        finally:
            s3.delete_object(Bucket=names.bucket, Key=key)


def _tables(cloud: Cloud, names: document.Names) -> frozenset[str]:
    with explained(f"the database {names.database}"):
        pages = cloud.client("glue").get_paginator("get_tables").paginate(DatabaseName=names.database)
        return frozenset(one["Name"] for page in pages for one in page["TableList"])


def _code_bucket(wanted: Wanted) -> str:
    return wanted.parameters.get("CodeBucket") or wanted.names.bucket


def _upload(cloud: Cloud, wanted: Wanted, say: Say) -> None:
    """Put the package where the function looks for it, if it is not there."""
    if wanted.code is None:
        return
    s3, bucket, key = cloud.client("s3"), _code_bucket(wanted), wanted.whole["CodeKey"]
    with explained(f"s3://{bucket}/{key}"):
        there = s3.list_objects_v2(Bucket=bucket, Prefix=key).get("KeyCount", 0)
        if not there:
            say(f"uploading the collector's package ({wanted.code.path.stat().st_size / 1e6:,.0f} MB)")
            s3.upload_file(str(wanted.code.path), bucket, key)


def _tidy(cloud: Cloud, wanted: Wanted) -> None:
    """Delete packages that no function is made of any more. What goes wrong here is left to the next deploy."""
    with suppress(Exception):
        s3, bucket = cloud.client("s3"), wanted.names.bucket
        listed = s3.list_objects_v2(Bucket=bucket, Prefix="code/").get("Contents", [])
        for one in listed:
            if one["Key"].endswith(".zip") and one["Key"] != wanted.whole.get("CodeKey"):
                s3.delete_object(Bucket=bucket, Key=one["Key"])


def _protect(client: Any, stack: str) -> None:
    with explained(f"the policy of the stack {stack}"):
        client.set_stack_policy(StackName=stack, StackPolicyBody=json.dumps(_POLICY))


def _outputs(cloud: Cloud, names: document.Names) -> dict[str, str]:
    found = look(cloud, names.stack)
    return found.outputs if found else {}
