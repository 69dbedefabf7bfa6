"""What the collector in Lambda proves itself with: put into the Parameter Store under the stack's key, when it changed.

CloudFormation makes no SecureString, so that this is no part of the stack. Values are compared, never shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collectors.entra.credentials import CertificateFile, as_msal
from collectors.entra.errors import GraphError
from pfsquid.aws.stack import Names
from pfsquid.cloud import Cloud, explained
from pfsquid.errors import WrongUse
from pfsquid.secrets import content, resolve
from pfsquid.settings_entra import EntraSettings

KINDS = ("secret", "certificate", "ca")


@dataclass(frozen=True)
class Parameter:
    """A parameter to be put. name: whole; secure: encrypted; new: there is none yet."""

    name: str
    value: str = field(repr=False)
    secure: bool
    new: bool


def wanted(names: Names, tenant: str, settings: EntraSettings, folder: Path) -> dict[str, str]:
    """Names and values that the collector of a tenant needs. folder: where relative paths begin. Raises WrongUse."""
    if settings.assertion is not None:
        raise WrongUse(
            f"collect.entra.{tenant}: an assertion is a file of this machine, which Lambda does not have",
            f"collect.entra.{tenant}: a secret or a certificate",
        )
    found: dict[str, str] = {}
    if settings.secret is not None:
        found["secret"] = resolve(settings.secret, folder)
    elif settings.certificate is not None:
        found["certificate"] = _certificate(tenant, settings, folder)
    if settings.ca:
        try:
            found["ca"] = (folder / settings.ca.expanduser()).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            raise WrongUse(
                f"collect.entra.{tenant}: {settings.ca} cannot be read: {exc}", f"ls -l {settings.ca}"
            ) from exc
    return {f"{names.secrets}/{kind}": value for kind, value in found.items()}


def _certificate(tenant: str, settings: EntraSettings, folder: Path) -> str:
    """Key and certificate as PEM without passphrase: the parameter itself is encrypted."""
    where = settings.certificate
    file = content(where if isinstance(where, str) else f"file:{where}", folder)
    passphrase = resolve(settings.passphrase, folder) if settings.passphrase else None
    try:
        pair = as_msal(CertificateFile(file, passphrase))
    except GraphError as exc:
        raise WrongUse(f"collect.entra.{tenant}: {exc.message}", *exc.cures) from exc
    return str(pair["private_key"]) + str(pair["public_certificate"])


def changed(cloud: Cloud, values: dict[str, str]) -> list[Parameter]:
    """Those that the Parameter Store has not, or has otherwise. Raises PfsquidError."""
    client = cloud.client("ssm")
    found = []
    for name, value in values.items():
        with explained(f"the parameter {name}"):
            try:
                there = client.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
            except client.exceptions.ParameterNotFound:
                there = None
        if there != value:
            found.append(Parameter(name, value, not name.endswith("/ca"), there is None))
    return found


def put(cloud: Cloud, names: Names, given: list[Parameter]) -> None:
    """Put them, those that are secure under the stack's key. Raises PfsquidError."""
    client = cloud.client("ssm")
    for one in given:
        kind: dict[str, Any] = {"Type": "SecureString", "KeyId": names.alias} if one.secure else {"Type": "String"}
        tags: dict[str, Any] = (
            {"Tags": [{"Key": "pfsquid:stack", "Value": names.stack}]} if one.new else {"Overwrite": True}
        )
        with explained(f"the parameter {one.name}"):
            client.put_parameter(Name=one.name, Value=one.value, Tier="Intelligent-Tiering", **kind, **tags)


def remove(cloud: Cloud, names: Names) -> list[str]:
    """Delete what `put` put; the names of what was there. Raises PfsquidError."""
    client = cloud.client("ssm")
    every = [f"{names.secrets}/{kind}" for kind in KINDS]
    with explained(f"the parameters {names.secrets}"):
        return sorted(client.delete_parameters(Names=every)["DeletedParameters"])
