"""Secrets by reference: `env:NAME`, `file:PATH`, `keyring:SERVICE/USER`. A configuration never holds a value."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from pfsquid.errors import WrongUse

SCHEMES = ("env", "file", "keyring")


def check_reference(text: str) -> str:
    """The reference itself, where it has the form of one. Raises ValueError, without repeating what may be a secret."""
    scheme, colon, rest = text.partition(":")
    if not colon or scheme not in SCHEMES or not rest:
        raise ValueError("must be a reference: env:NAME, file:PATH or keyring:SERVICE/USER, never the secret itself")
    if scheme == "keyring" and "/" not in rest:
        raise ValueError("must be keyring:SERVICE/USER")
    return text


def resolve(reference: str, base: Path, environment: Mapping[str, str] = os.environ) -> str:
    """The secret that a checked reference stands for; one end of line is cut from a file's.

    base: the folder that a relative file path is relative to. Raises WrongUse where it is not there, or where a file
    may be read by others.
    """
    scheme, _, rest = reference.partition(":")
    if scheme == "env":
        if not environment.get(rest):
            raise WrongUse(f"the secret {reference} is not set", f"read -rs {rest} && export {rest}")
        return environment[rest]
    if scheme == "file":
        return _from_file(base / Path(rest).expanduser())
    return _from_keyring(*rest.split("/", 1))


def _from_file(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        if stat.S_IMODE(mode) & 0o077:
            raise WrongUse(f"the secret in {path} may be read by others", f"chmod 600 {path}")
        return path.read_text("utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as exc:
        raise WrongUse(f"the secret in {path} cannot be read: {exc}", f"ls -l {path}") from exc


def _from_keyring(service: str, user: str) -> str:
    try:
        import keyring
    except ImportError:
        raise WrongUse("keyring: references need the package keyring", "pip install keyring") from None
    secret = keyring.get_password(service, user)
    if secret is None:
        raise WrongUse(f"the keyring has no secret for {service}/{user}", f"keyring set {service} {user}")
    return str(secret)
