"""Secrets in AWS: SecureString parameters of Systems Manager, and Secrets Manager. Fetched, never stored on a disk.

`ssm:NAME`, `ssm:ARN`, `secretsmanager:NAME`, `secretsmanager:ARN`, the last two with `#KEY` for a value of a JSON
object. A value is kept in memory for some minutes, so that one that is rotated is noticed, and AWS not asked at every
turn. What AWS refuses is told with the action and the resource that are missing, never with a value.
"""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import replace
from shlex import quote
from typing import Any

from pfsquid.cloud import Cloud, refusal
from pfsquid.errors import PfsquidError, WrongUse
from pfsquid.references import ARNS

KEPT_SECONDS = 300.0
_ACTIONS = {"ssm": "ssm:GetParameter", "secretsmanager": "secretsmanager:GetSecretValue"}
_DENIED = re.compile(r"not authorized to perform: (\S+)(?: on resource: (\S+))?")
_DENIED_CODES = frozenset({"AccessDeniedException", "AccessDenied", "UnauthorizedOperation"})
_GONE = frozenset({"ParameterNotFound", "ParameterVersionNotFound", "ResourceNotFoundException"})
_KEY = frozenset({"InvalidKeyId", "DecryptionFailure", "KMSInvalidStateException", "KMSAccessDeniedException"})

_lock = threading.Lock()
_kept: dict[tuple[str, Cloud], tuple[str | bytes, float]] = {}
_asked_as = Cloud()


def ask_as(cloud: Cloud) -> None:
    """As whom, and in which region, this process asks for secrets: what its configuration says in `aws`."""
    global _asked_as
    _asked_as = cloud


def fetched(scheme: str, rest: str) -> str | bytes:
    """The value; bytes of a binary secret. Raises WrongUse where it is not there or not allowed, PfsquidError where
    AWS cannot be asked now."""
    name, _, key = rest.partition("#") if scheme == "secretsmanager" else (rest, "", "")
    cloud = _cloud_of(scheme, name)
    place = f"{scheme}:{name}", cloud
    with _lock:  # several sources ask at once; one request is enough
        value, until = _kept.get(place, ("", 0.0))
        if time.monotonic() >= until:
            value = _asked(scheme, name, cloud)
            _kept[place] = value, time.monotonic() + KEPT_SECONDS
    return _part(f"{scheme}:{name}", value, key) if key else value


def forget(reference: str) -> None:
    """What was fetched for a reference is not believed in any longer: the next to ask gets it anew."""
    scheme, _, rest = reference.partition(":")
    name = rest.partition("#")[0] if scheme == "secretsmanager" else rest
    with _lock:
        for place in [one for one in _kept if one[0] == f"{scheme}:{name}"]:
            del _kept[place]


def _cloud_of(scheme: str, name: str) -> Cloud:
    arn = ARNS[scheme].fullmatch(name)
    return replace(_asked_as, region=arn["region"]) if arn else _asked_as


def _asked(scheme: str, name: str, cloud: Cloud) -> str | bytes:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        if scheme == "ssm":
            told = cloud.client("ssm").get_parameter(Name=name, WithDecryption=True)
            return str(told["Parameter"]["Value"])
        told = cloud.client("secretsmanager").get_secret_value(SecretId=name)
        if "SecretString" in told:
            return str(told["SecretString"])
        return bytes(told["SecretBinary"])
    except (BotoCoreError, ClientError) as exc:
        raise _error(scheme, name, cloud, exc) from None
    except KeyError:
        raise WrongUse(f"the secret {scheme}:{name} has no value", _show(scheme, name, cloud)) from None


def _error(scheme: str, name: str, cloud: Cloud, exc: Any) -> PfsquidError:
    told = (getattr(exc, "response", None) or {}).get("Error", {})
    code, text = str(told.get("Code", "")), str(told.get("Message", ""))
    what = f"the secret {scheme}:{name} cannot be had"
    where = f" in {cloud.region}" if cloud.region else ""
    denied = _DENIED.search(text)
    if code in _DENIED_CODES or denied:
        action, resource = denied.groups() if denied else (None, None)
        # A key that may not be used is refused in the name of the service that asks for it.
        if action is None and ("kms" in text.lower() or "ciphertext" in text.lower()):
            action = "kms:Decrypt"
        needs = f"{action or _ACTIONS[scheme]} on {(resource or name).rstrip('.,')}"
        return WrongUse(
            f"{what}: AWS denies {needs}",
            f"allow it in a policy of who asks: {needs}",
            "aws sts get-caller-identity    # who asks?",
        )
    if code in _GONE:
        return WrongUse(f"{what}: there is none of this name{where}", _put(scheme, name, cloud), "set aws.region")
    if code in _KEY:
        return WrongUse(
            f"{what}: its KMS key cannot be used ({code})",
            "aws kms describe-key --key-id KEY    # is it enabled, and not to be deleted?",
            "allow kms:Decrypt on it, in its policy and in that of who asks",
        )
    return refusal(what, exc)


def _part(reference: str, value: str | bytes, key: str) -> str:
    """A value of a secret that is a JSON object."""
    how = f"{reference} without #{key}, where the whole of it is the secret"
    try:
        told = json.loads(value)
    except ValueError:
        raise WrongUse(f"the secret {reference} is no JSON, so it has no #{key}", how) from None
    if not isinstance(told, dict) or not isinstance(told.get(key), str) or not told[key]:
        names = ", ".join(sorted(told)) if isinstance(told, dict) else ""
        raise WrongUse(f"the secret {reference} has no text {key!r}", f"one of: {names}" if names else how)
    return str(told[key])


def _options(cloud: Cloud) -> str:
    region = f" --region {cloud.region}" if cloud.region else ""
    return region + (f" --profile {quote(cloud.profile)}" if cloud.profile else "")


def _put(scheme: str, name: str, cloud: Cloud) -> str:
    if scheme == "ssm":
        return f"aws ssm put-parameter --type SecureString --name {name} --value file://secret.txt{_options(cloud)}"
    return f"aws secretsmanager create-secret --name {name} --secret-string file://secret.txt{_options(cloud)}"


def _show(scheme: str, name: str, cloud: Cloud) -> str:
    if scheme == "ssm":
        return f"aws ssm describe-parameters --parameter-filters Key=Name,Values={name}{_options(cloud)}"
    return f"aws secretsmanager describe-secret --secret-id {name}{_options(cloud)}"
