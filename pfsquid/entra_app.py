"""How the app of a configured tenant proves itself at Entra ID: its secret, certificate or assertion, by reference."""

from __future__ import annotations

import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from collectors.entra.clouds import CLOUDS
from collectors.entra.credentials import Assertion, CertificateFile, ClientSecret, Credential
from collectors.entra.errors import GraphError, Kind
from collectors.entra.token import Tokens, msal_tokens
from pfsquid.errors import PfsquidError, WrongUse
from pfsquid.secrets import content, forget, resolve
from pfsquid.settings_entra import EntraSettings


class Renewing:
    """Tokens of an app whose secret may be replaced while we run: what Entra refuses is looked up anew, once."""

    def __init__(self, look_up: Callable[[], Credential], made: Callable[[Credential], Tokens]) -> None:
        self._look_up, self._made = look_up, made
        self._lock = threading.Lock()
        self._credential = look_up()
        self._tokens = made(self._credential)

    def token(self, renew: bool = False) -> str:
        """See Tokens."""
        tokens = self._tokens
        try:
            return tokens.token(renew)
        except GraphError as exc:
            if exc.kind is not Kind.CREDENTIAL or not self._renewed(tokens):
                raise
        return self._tokens.token(renew)

    def _renewed(self, refused: Tokens) -> bool:
        """Is there another credential than the one that was refused?"""
        with self._lock:
            if self._tokens is not refused:  # another thread was faster
                return True
            try:
                found = self._look_up()
            except PfsquidError:  # what Entra said is more to the point
                return False
            if found == self._credential:
                return False
            self._credential, self._tokens = found, self._made(found)
            return True


def tokens_of(name: str, settings: EntraSettings, folder: Path) -> Tokens:
    """Where the app's tokens come from; does not ask Entra yet. Raises PfsquidError where a secret cannot be had.

    name: of the tenant in the configuration. folder: where relative paths of it begin.
    """
    authority = (settings.authority or CLOUDS[settings.cloud].authority).removesuffix(f"/{settings.tenant}")
    graph = settings.graph or CLOUDS[settings.cloud].graph
    ca = path_of(settings.ca, folder)
    looked = False

    def look_up() -> Credential:
        nonlocal looked
        if looked:
            for reference in (settings.secret, settings.certificate, settings.passphrase):
                if isinstance(reference, str):
                    forget(reference)
        looked = True
        return _credential(name, settings, folder)

    def made(credential: Credential) -> Tokens:
        return msal_tokens(settings.tenant, settings.client_id, credential, authority, graph, ca)

    try:
        return Renewing(look_up, made)
    except GraphError as exc:
        raise WrongUse(f"collect.entra.{name}: {exc.message}", *exc.cures) from exc


def _credential(name: str, settings: EntraSettings, folder: Path) -> Credential:
    if settings.secret is not None:
        return ClientSecret(resolve(settings.secret, folder))
    if settings.assertion is not None:
        return Assertion(_Assertion(folder / settings.assertion.expanduser()))
    if isinstance(settings.certificate, str):
        file = content(settings.certificate, folder)
    else:
        file = _file(name, folder / (settings.certificate or Path()).expanduser())
    return CertificateFile(file, resolve(settings.passphrase, folder) if settings.passphrase else None)


@dataclass(frozen=True)
class _Assertion:
    """Reads the assertion that a file holds now; two of the same file are the same."""

    path: Path

    def __call__(self) -> str:
        return self.path.read_text("utf-8").strip()


def _file(name: str, path: Path) -> bytes:
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise WrongUse(f"collect.entra.{name}: the key in {path} may be read by others", f"chmod 600 {path}")
        return path.read_bytes()
    except OSError as exc:
        raise WrongUse(f"collect.entra.{name}: {path} cannot be read: {exc.strerror}", f"ls -l {path}") from exc


def path_of(path: Path | None, folder: Path) -> Path | None:
    """A path of the configuration, whole."""
    return None if path is None else folder / path.expanduser()
