"""The parts of the stack that are merged into it: read, put beside what they refer to, linted by cfn-lint's schemas."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[2] / "templates" / "aws"
_ROOT = {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}
_KEPT = {"UpdateReplacePolicy": "Retain", "DeletionPolicy": "Retain"}

# What a part may refer to: parameters and resources of the stack, as small as the schemas allow.
PARAMETERS = {
    "Name": {"Type": "String", "Default": "pfsquid"},
    "Prefix": {"Type": "String", "Default": "lake"},
    "DatabaseName": {"Type": "String", "Default": "pfsquid"},
    "QuickSightUser": {"Type": "String", "Default": ""},
    "Optimizers": {"Type": "String", "Default": "false", "AllowedValues": ["true", "false"]},
}
STACK = {
    "Key": {
        "Type": "AWS::KMS::Key",
        **_KEPT,
        "Properties": {
            "KeyPolicy": {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Principal": _ROOT, "Action": "kms:*", "Resource": "*"}],
            }
        },
    },
    "Lake": {"Type": "AWS::S3::Bucket", **_KEPT},
    "Workgroup": {"Type": "AWS::Athena::WorkGroup", "Properties": {"Name": {"Ref": "Name"}}},
    "AnalystPolicy": {
        "Type": "AWS::IAM::ManagedPolicy",
        "Properties": {
            "PolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Action": "glue:GetTable",
                        "Resource": {
                            "Fn::Sub": "arn:${AWS::Partition}:glue:${AWS::Region}:${AWS::AccountId}:database/${Name}"
                        },
                    }
                ],
            }
        },
    },
}


def part(name: str) -> dict[str, Any]:
    """A part by its name, as plain values."""
    read: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text("utf-8"))
    return read


def whole(*parts: dict[str, Any]) -> dict[str, Any]:
    """A template of the parts and of what they refer to."""
    merged: dict[str, Any] = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Parameters": dict(PARAMETERS),
        "Conditions": {},
        "Resources": dict(STACK),
    }
    for one in parts:
        merged["Conditions"].update(one["Conditions"])
        merged["Resources"].update(one["Resources"])
    used = json.dumps(merged)
    merged["Parameters"] = {
        name: value for name, value in PARAMETERS.items() if f'{{"Ref": "{name}"}}' in used or f"${{{name}}}" in used
    }
    return merged


def lint(template: dict[str, Any]) -> list[str]:
    """The errors and warnings of cfn-lint, a line each; [] where the template is clean."""
    checked: Callable[..., list[object]] = importlib.import_module("cfnlint.api").lint
    config = importlib.import_module("cfnlint.config").ManualArgs(regions=["us-east-1"])
    found = [str(one) for one in checked(json.dumps(template, indent=1), config=config)]
    return [line for line in found if not line.startswith("[I")]


def walk(value: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in a value, itself included."""
    if isinstance(value, dict):
        yield value
    for below in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(below)
