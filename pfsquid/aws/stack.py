"""The stack as a document: its template, put together from `templates/aws`, and its parameters from a configuration.

Asks nobody: what AWS says of a stack is read in `status`, what is to become of it in `changes`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pfsquid.config import Config
from pfsquid.errors import WrongUse
from pfsquid.settings_entra import ALL_STREAMS, EntraSettings

MAIN, PARTS = "pfsquid.yaml", {"Optimizers": "optimizers.yaml", "QuickSightUser": "quicksight.yaml"}
# What holds the data: kept by `destroy`, and never replaced.
DATA = ("Key", "KeyAlias", "Lake", "Database")
LIMIT = 51_200  # bytes of a template in a request; a longer one is read from the bucket
# What `deploy` finds out by itself.
DERIVED = frozenset(
    {"Name", "BucketName", "Prefix", "DatabaseName", "MakeDatabase", "WorkgroupName", "CodeKey", "Architecture"}
    | {"Runtime", "Tenant", "ClientId", "Credential", "Streams", "Cloud", "GraphEndpoint", "Authority", "Ca"}
    | {"Settings"}
)
# Of a tenant's settings, what the stack has no parameter of its own for.
_MORE = {"settle", "reread", "slice", "rate", "retention", "every", "timeout", "directory"}
_NAME = re.compile(r"[a-z][a-z0-9-]{0,23}")
_SECTION = re.compile(r"^([A-Z]\w*):[ \t]*\n", re.MULTILINE)
Template = dict[str, Any]


class _Loader(yaml.SafeLoader):
    """YAML with the short forms of CloudFormation's functions."""


def _function(loader: _Loader, tag: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        if tag == "GetAtt":
            value = list(value.partition(".")[::2])
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
    return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _function)


@dataclass(frozen=True)
class Names:
    """What the things of a stack are called. account: twelve digits; region: such as eu-central-1."""

    stack: str
    bucket: str
    prefix: str
    database: str
    workgroup: str
    account: str
    region: str

    @property
    def lake(self) -> str:
        """s3://BUCKET/PREFIX."""
        return f"s3://{self.bucket}/{self.prefix}"

    @property
    def secrets(self) -> str:
        """The path of the parameters that hold what the app has."""
        return f"/{self.stack}/entra"

    @property
    def alias(self) -> str:
        """Of the key."""
        return f"alias/{self.stack}"


def names_of(settings: Config, account: str, region: str, stack: str | None = None) -> Names:
    """The names that a configuration gives. stack: another one than it says. Raises WrongUse for what cannot be."""
    aws = settings.aws
    name = stack or aws.stack
    if not _NAME.fullmatch(name):
        raise WrongUse(
            f"a stack cannot be named {name!r}: at most 24 lower-case letters, digits and `-`, a letter first, since "
            "the bucket's name begins with it",
            "set aws.stack in the configuration",
        )
    bucket, prefix = f"{name}-lake-{account}-{region}", "lake"
    if isinstance(settings.lake, str):
        bucket, _, prefix = settings.lake.removeprefix("s3://").partition("/")
        if not prefix or prefix.partition("/")[0] in ("athena", "code"):
            raise WrongUse(
                f"the lake {settings.lake} must have a prefix in its bucket, and not athena or code, where results of "
                "Athena and the collector's package lie",
                f"lake: s3://{bucket}/lake",
            )
    return Names(name, bucket, prefix, aws.database, aws.workgroup, account, region)


def text(folder: Path) -> str:
    """The whole template as YAML, with its comments: each section of the parts below that of the main file."""
    sections = _sections((folder / MAIN).read_text("utf-8"))
    for name in PARTS.values():
        for heading, body in _sections((folder / name).read_text("utf-8")).items():
            if heading:
                sections[heading] = f"{sections.get(heading, '').rstrip()}\n\n{body.strip(chr(10))}\n\n"
    return "".join(f"{heading}:\n{body}" if heading else body for heading, body in sections.items()).rstrip() + "\n"


def _sections(whole: str) -> dict[str, str]:
    begin, *rest = _SECTION.split(whole)
    return {"": begin, **dict(zip(rest[::2], rest[1::2], strict=True))}


def template(folder: Path, parameters: Mapping[str, str], tables: frozenset[str] = frozenset()) -> Template:
    """The template as plain values, without what its conditions leave out: shorter, and told apart at a glance.

    tables: those in the catalog; an optimizer of another one is left out, since it needs its table.
    """
    whole: Template = yaml.load(text(folder), Loader=_Loader)  # noqa: S506 - a SafeLoader with more tags
    values = {name: str(one.get("Default", "")) for name, one in whole["Parameters"].items()} | dict(parameters)
    for section in ("Resources", "Outputs"):
        whole[section] = {
            name: one
            for name, one in whole[section].items()
            if "Condition" not in one or _holds(whole["Conditions"], {"Condition": one["Condition"]}, values)
        }
    for name, resource in list(whole["Resources"].items()):
        if resource["Type"] == "AWS::Glue::TableOptimizer" and resource["Properties"]["TableName"] not in tables:
            del whole["Resources"][name]
    return whole


def _holds(conditions: Mapping[str, Any], rule: Mapping[str, Any], values: Mapping[str, str]) -> bool:
    """Does a condition hold? Of CloudFormation's functions those that the template uses."""
    ((function, given),) = rule.items()
    if function == "Condition":
        return _holds(conditions, conditions[given], values)
    if function == "Fn::Equals":
        one, other = (values[side["Ref"]] if isinstance(side, dict) else side for side in given)
        return bool(one == other)
    told = [_holds(conditions, each, values) for each in given]
    return {"Fn::Not": not told[0], "Fn::And": all(told), "Fn::Or": any(told)}[function]


def only(whole: Template, adopted: Collection[str]) -> Template:
    """What an import may hold: the resources that are adopted, and no outputs. adopted: their logical ids."""
    return {
        **{key: whole[key] for key in ("AWSTemplateFormatVersion", "Description", "Parameters", "Conditions")},
        "Resources": {name: one for name, one in whole["Resources"].items() if name in adopted},
    }


def written(whole: Template) -> str:
    """A template as a request takes it, as short as can be."""
    return json.dumps(whole, separators=(",", ":"))


def parameters(names: Names, settings: Config, tenant: EntraSettings | None, given_bucket: bool) -> dict[str, str]:
    """The values of the stack's parameters, without those of the package. tenant: None without a collector.

    given_bucket: the configuration names the bucket. Raises WrongUse for an unknown one in `aws.parameters`.
    """
    found = {
        "Name": names.stack,
        "BucketName": names.bucket if given_bucket else "",
        "Prefix": names.prefix,
        "DatabaseName": names.database,
        "WorkgroupName": names.workgroup,
        "CodeKey": "",
    }
    if tenant:
        streams = tuple(dict.fromkeys(tenant.streams))
        more = tenant.model_dump(mode="json", include=_MORE, exclude_defaults=True)
        found |= {
            "Tenant": tenant.tenant,
            "ClientId": tenant.client_id,
            "Credential": "secret" if tenant.secret is not None else "certificate",
            "Streams": "" if set(streams) == set(ALL_STREAMS) else ",".join(streams),
            "Cloud": tenant.cloud,
            "GraphEndpoint": tenant.graph or "",
            "Authority": tenant.authority or "",
            "Ca": f"ssm:{names.secrets}/ca" if tenant.ca else "",
            "Settings": json.dumps(more, sort_keys=True) if more else "",
        }
    return found | settings.aws.parameters


def check_parameters(given: Mapping[str, str], whole: Template) -> None:
    """Raises WrongUse for what `aws.parameters` must not or cannot say."""
    known = set(whole["Parameters"]) - DERIVED
    for name in given:
        if name in known:
            continue
        why = "is set by the other keys of the configuration" if name in DERIVED else "is no parameter of the stack"
        raise WrongUse(f"aws.parameters: {name} {why}", f"one of: {', '.join(sorted(known))}")
