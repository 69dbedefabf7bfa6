"""References of secrets: what form each has. Pure: looks nothing up, and never repeats what may be a secret itself."""

from __future__ import annotations

import re

AWS_SCHEMES = ("ssm", "secretsmanager")
SCHEMES = ("env", "file", "keyring", *AWS_SCHEMES)
ARNS = {
    "ssm": re.compile(r"arn:aws[a-z-]*:ssm:(?P<region>[a-z0-9-]+):\d{12}:parameter/.+"),
    "secretsmanager": re.compile(r"arn:aws[a-z-]*:secretsmanager:(?P<region>[a-z0-9-]+):\d{12}:secret:.+"),
}
_NAMES = {
    "ssm": re.compile(r"[A-Za-z0-9_./-]{1,1011}(?::[A-Za-z0-9_.-]+)?"),  # with a version or a label, if need be
    "secretsmanager": re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}"),
}
_FORMS = "env:NAME, file:PATH, keyring:SERVICE/USER, ssm:NAME or secretsmanager:NAME"


def check_reference(text: str) -> str:
    """The reference itself, where it has the form of one. Raises ValueError, without repeating what may be a secret."""
    scheme, colon, rest = text.partition(":")
    if not colon or scheme not in SCHEMES or not rest:
        raise ValueError(f"must be a reference: {_FORMS}, never the secret itself")
    if scheme == "keyring" and "/" not in rest:
        raise ValueError("must be keyring:SERVICE/USER")
    if scheme in AWS_SCHEMES:
        _check_name(scheme, rest)
    return text


def is_reference(text: str) -> bool:
    """Does it begin as a reference does? A path that does is told apart by `./` before it."""
    return text.partition(":")[0] in SCHEMES and ":" in text


def _check_name(scheme: str, rest: str) -> None:
    name, hash_, key = rest.partition("#") if scheme == "secretsmanager" else (rest, "", "")
    known = ARNS[scheme] if name.startswith("arn:") else _NAMES[scheme]
    if not known.fullmatch(name) or (hash_ and not key):
        form = "ssm:NAME or ssm:ARN" if scheme == "ssm" else "secretsmanager:NAME or secretsmanager:NAME#KEY"
        raise ValueError(f"must be {form}")
