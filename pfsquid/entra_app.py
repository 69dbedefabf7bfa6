"""How the app of a configured tenant proves itself at Entra ID: its secret, certificate or assertion, by reference."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from collectors.entra.clouds import CLOUDS
from collectors.entra.credentials import Assertion, CertificateFile, ClientSecret, Credential
from collectors.entra.errors import GraphError
from collectors.entra.token import Tokens, msal_tokens
from pfsquid.errors import WrongUse
from pfsquid.secrets import resolve
from pfsquid.settings_entra import EntraSettings


def tokens_of(name: str, settings: EntraSettings, folder: Path) -> Tokens:
    """Where the app's tokens come from; asks nobody yet. Raises WrongUse where a secret cannot be had.

    name: of the tenant in the configuration. folder: where relative paths of it begin.
    """
    authority = (settings.authority or CLOUDS[settings.cloud].authority).removesuffix(f"/{settings.tenant}")
    graph = settings.graph or CLOUDS[settings.cloud].graph
    credential, ca = _credential(name, settings, folder), path_of(settings.ca, folder)
    try:
        return msal_tokens(settings.tenant, settings.client_id, credential, authority, graph, ca)
    except GraphError as exc:
        raise WrongUse(f"collect.entra.{name}: {exc.message}", *exc.cures) from exc


def _credential(name: str, settings: EntraSettings, folder: Path) -> Credential:
    if settings.secret is not None:
        return ClientSecret(resolve(settings.secret, folder))
    if settings.assertion is not None:
        path = folder / settings.assertion.expanduser()
        return Assertion(lambda: path.read_text("utf-8").strip())
    path = folder / (settings.certificate or Path()).expanduser()
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise WrongUse(f"collect.entra.{name}: the key in {path} may be read by others", f"chmod 600 {path}")
        content = path.read_bytes()
    except OSError as exc:
        raise WrongUse(f"collect.entra.{name}: {path} cannot be read: {exc.strerror}", f"ls -l {path}") from exc
    passphrase = resolve(settings.passphrase, folder, os.environ) if settings.passphrase else None
    return CertificateFile(content, passphrase)


def path_of(path: Path | None, folder: Path) -> Path | None:
    """A path of the configuration, whole."""
    return None if path is None else folder / path.expanduser()
