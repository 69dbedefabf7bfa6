"""Secrets by reference: of this machine, of AWS. A configuration never holds a value, and no message ever shows one.

`env:NAME`, `file:PATH`, `keyring:SERVICE/USER`, `ssm:NAME` and `secretsmanager:NAME#KEY` (see `secrets_aws`).
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from pfsquid.errors import WrongUse
from pfsquid.references import AWS_SCHEMES, check_reference, is_reference
from pfsquid.secrets_aws import fetched, forget

__all__ = ["check_reference", "content", "forget", "is_reference", "resolve"]

_PEM = "-----BEGIN "


def resolve(reference: str, base: Path, environment: Mapping[str, str] = os.environ) -> str:
    """The secret that a checked reference stands for; one end of line is cut from a file's.

    base: the folder that a relative file path is relative to. Raises WrongUse where it is not there, or where a file
    may be read by others; PfsquidError where AWS cannot be asked.
    """
    scheme, _, rest = reference.partition(":")
    if scheme == "env":
        if not environment.get(rest):
            raise WrongUse(f"the secret {reference} is not set", f"read -rs {rest} && export {rest}")
        return environment[rest]
    if scheme == "file":
        return _from_file(base / Path(rest).expanduser())
    if scheme in AWS_SCHEMES:
        value = fetched(scheme, rest)
        if isinstance(value, bytes):
            raise WrongUse(f"the secret {reference} is binary, where a text is needed", "store it as SecretString")
        return value
    return _from_keyring(*rest.split("/", 1))


def content(reference: str, base: Path, environment: Mapping[str, str] = os.environ) -> bytes:
    """The content of a certificate file, wherever it is: PEM as it is, PFX in Base64 where only a text can be stored.

    Raises as `resolve` does, and WrongUse for a text that is neither.
    """
    scheme, _, rest = reference.partition(":")
    if scheme == "file":
        return _read(base / Path(rest).expanduser())
    if scheme in AWS_SCHEMES:
        value = fetched(scheme, rest)
        if isinstance(value, bytes):
            return value
    else:
        value = resolve(reference, base, environment)
    if _PEM in value:
        return value.encode()
    try:
        return base64.b64decode(re.sub(r"\s", "", value), validate=True)
    except (binascii.Error, ValueError):
        raise WrongUse(
            f"what {reference} holds is no certificate: neither PEM nor a PFX in Base64",
            "cat app.crt app.key    # PEM: both, one after the other",
            "base64 -w0 app.pfx",
        ) from None


def _read(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        if stat.S_IMODE(mode) & 0o077:
            raise WrongUse(f"the secret in {path} may be read by others", f"chmod 600 {path}")
        return path.read_bytes()
    except OSError as exc:
        raise WrongUse(f"the secret in {path} cannot be read: {exc}", f"ls -l {path}") from exc


def _from_file(path: Path) -> str:
    try:
        return _read(path).decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:  # whose text would show a part of it
        raise WrongUse(f"the secret in {path} cannot be read: it is no text in UTF-8", f"file {path}") from None


def _from_keyring(service: str, user: str) -> str:
    try:
        import keyring
    except ImportError:
        raise WrongUse("keyring: references need the package keyring", "pip install keyring") from None
    secret = keyring.get_password(service, user)
    if secret is None:
        raise WrongUse(f"the keyring has no secret for {service}/{user}", f"keyring set {service} {user}")
    return str(secret)
