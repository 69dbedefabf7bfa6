"""What a configuration may say of AWS and of S3-compatible stores: where, as whom, under which names. Reads no file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from pfsquid.settings import Section, matching

_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d")
_ENDPOINT = re.compile(r"https?://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::\d{1,5})?/?")
_DATABASE = re.compile(r"[a-z0-9_]{1,255}")
_WORKGROUP = re.compile(r"[A-Za-z0-9._-]{1,128}")
_STACK = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,127}")
_LAKE = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:/[A-Za-z0-9!_.*'()/=-]*)?")


def _unslashed(text: str) -> str:
    """Without the `/` at its end, which means nothing there."""
    return text.rstrip("/")


def _catalog(text: str) -> str:
    kind, colon, rest = text.partition(":")
    if text == "glue" or (colon and rest and kind in ("sqlite", "rest")):
        if kind == "rest" and not re.match(r"https?://", rest):
            raise ValueError("must be rest:https://…, the address of an Iceberg REST catalog")
        return text
    raise ValueError("must be glue, sqlite:PATH or rest:URL")


def _parameter(value: object) -> object:
    """YAML's own types as CloudFormation takes them."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


Region = Annotated[str, matching(_REGION, "a region such as eu-central-1")]
Endpoint = Annotated[
    str, matching(_ENDPOINT, "an address such as https://s3.example.com:9000"), AfterValidator(_unslashed)
]
DatabaseName = Annotated[str, matching(_DATABASE, "a name of lower-case letters, digits and `_`, as Athena takes it")]
WorkgroupName = Annotated[str, matching(_WORKGROUP, "the name of a workgroup of Athena")]
StackName = Annotated[str, matching(_STACK, "the name of a stack: a letter, then letters, digits and `-`")]
CatalogName = Annotated[str, AfterValidator(_catalog)]
S3Url = Annotated[str, matching(_LAKE, "s3://BUCKET or s3://BUCKET/PREFIX"), AfterValidator(_unslashed)]
ParameterValue = Annotated[str, BeforeValidator(_parameter)]


class AwsSettings(Section):
    """AWS, or a store that speaks S3. What is None is left to the usual places: environment, ~/.aws, the instance.

    state: a folder of this machine for what a lake in S3 needs here: locks, status, spools, the limit of requests.
    parameters: of the stack, by their names in templates/aws/pfsquid.yaml.
    """

    region: Region | None = None
    profile: str | None = Field(default=None, min_length=1)
    endpoint: Endpoint | None = None
    catalog: CatalogName = "glue"
    database: DatabaseName = "pfsquid"
    workgroup: WorkgroupName = "pfsquid"
    stack: StackName = "pfsquid"
    state: Path | None = None
    parameters: dict[str, ParameterValue] = Field(default_factory=dict)
