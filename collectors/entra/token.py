"""Tokens of Entra for Graph, by MSAL. MSAL and the network are touched at the first token only. https only."""

from __future__ import annotations

import base64
import json
import logging
import re
import threading
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests

from collectors.entra.credentials import Credential, as_msal
from collectors.entra.errors import GraphError, Kind
from collectors.entra.wire import Timeout, Wire, failure, retry_after

_TENANT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_NO_TENANTS = ("common", "organizations", "consumers")
_WHO = ("check `authority` and `cloud`, and whether a proxy answers in Entra's place",)
_CODE = re.compile(r"AADSTS(\d+)")
_SAID = re.compile(r'AADSTS\d+.*?(?= Trace ID:| Correlation ID:|\\r\\n|", "|$)')
_REGISTRATION = "in the Entra admin center: App registrations > the app > Overview shows both identifiers"
_SECRETS = "in the Entra admin center: App registrations > the app > Certificates & secrets"
# Entra's own codes: the reference page "Microsoft Entra authentication and authorization error codes".
_CAUSES: dict[int, tuple[str, tuple[str, ...]]] = {
    7000215: ("the client secret is not one of the app", ("use the secret's value, not its identifier", _SECRETS)),
    7000222: ("the client secret has expired", (f"make a new one: {_SECRETS} > New client secret",)),
    7000216: ("the app sent neither secret nor certificate", ("set `secret`, `certificate` or `assertion`",)),
    7000112: ("the app is disabled in the tenant", ("enable it: Enterprise applications > the app > Properties",)),
    7000229: ("the app has no service principal in the tenant", ("az ad sp create --id <client id>",)),
    700016: ("the tenant knows no app with this client id", ("check `client_id` and `tenant`", _REGISTRATION)),
    700027: ("the certificate is not one of the app", (f"upload it: {_SECRETS} > Certificates", "check `client_id`")),
    700024: ("the assertion is expired or not yet valid", ("compare this machine's clock with the real time",)),
    700021: ("the assertion's issuer or subject is not the app's", ("check the app's Federated credentials",)),
    700211: (
        "no federated credential of the app has the assertion's issuer",
        ("check the app's Federated credentials",),
    ),
    700212: ("no federated credential of the app has the assertion's audience", ("it is api://AzureADTokenExchange",)),
    700213: (
        "no federated credential of the app has the assertion's subject",
        ("check the app's Federated credentials",),
    ),
    70021: ("no federated credential of the app matches the assertion", ("check the app's Federated credentials",)),
    50012: ("the app's proof was refused", ("check the certificate, and this machine's clock: timedatectl",)),
    500011: ("the tenant does not know Graph's address", ("check `cloud`: tenant and cloud must belong together",)),
    50034: ("the account is not in the tenant", ("check `tenant` and `client_id`", _REGISTRATION)),
    50194: ("the app is not made for several tenants", ("set `tenant` to the tenant's own identifier",)),
    53003: (
        "a Conditional Access policy for workload identities blocks the app",
        ("ask who looks after the policies",),
    ),
    90002: ("there is no such tenant in this cloud", ("check `tenant` and `cloud`", _REGISTRATION)),
    900023: ("the tenant's name is neither a domain nor an identifier", ("check `tenant`", _REGISTRATION)),
    900382: ("the tenant is in another cloud", ("check `cloud`",)),
    1002012: ("the address of Graph is not taken as a scope", ("check `graph` and `cloud`",)),
}


class Tokens(Protocol):
    """Where tokens come from."""

    def token(self, renew: bool = False) -> str:
        """A token that is valid now. renew: a new one, though the last seems valid. Raises GraphError."""
        ...


def msal_tokens(
    tenant: str,
    client_id: str,
    credential: Credential,
    authority: str,
    graph: str,
    ca: Path | None = None,
    timeout: Timeout | None = None,
) -> Tokens:
    """Tokens for an app of a tenant. authority, graph: https URLs of one cloud. ca: the only CAs trusted, PEM.

    Raises GraphError CREDENTIAL at once where tenant, client id or URLs cannot be right; all else comes with `token`.
    """
    tenant, client_id = tenant.strip(), client_id.strip()
    if not _TENANT.fullmatch(tenant) or tenant.lower() in _NO_TENANTS:
        raise _wrong(f"{tenant!r} is no tenant", "set `tenant` to its identifier or one of its domains", _REGISTRATION)
    if not _TENANT.fullmatch(client_id):
        raise _wrong(f"{client_id!r} is no client id", "set `client_id` to the app's", _REGISTRATION)
    for url in (authority, graph):
        check_https(url)
    wire = Wire(ca, timeout or Timeout(read=30.0))
    return _Msal(f"{authority.rstrip('/')}/{tenant}", client_id, credential, f"{graph.rstrip('/')}/.default", wire)


def check_https(url: str) -> None:
    """Raise GraphError CREDENTIAL where a URL is not https: a token or secret would travel in the clear."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.username or parts.query:
        raise _wrong(f"{parts.scheme}://{parts.hostname or ''} is no plain https address", "use an https:// address")


def roles_of(token: str) -> frozenset[str] | None:
    """The application permissions that a token names, for messages only; None where it cannot be read."""
    try:
        body = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return frozenset(str(role) for role in claims.get("roles") or ())
    except (ValueError, IndexError, AttributeError, TypeError):
        return None


class _Msal:
    def __init__(self, authority: str, client_id: str, credential: Credential, scope: str, wire: Wire) -> None:
        self._authority, self._client_id, self._credential = authority, client_id, credential
        self._scope, self._wire = scope, wire
        self._host = urlsplit(authority).hostname or authority
        self._lock = threading.Lock()
        self._app: Any = None

    def token(self, renew: bool = False) -> str:
        with self._lock:  # several threads would each fetch one
            try:
                app = self._made()
                if renew:
                    app.remove_tokens_for_client()
                result = app.acquire_token_for_client([self._scope])
            except GraphError:
                raise
            except requests.HTTPError as exc:
                raise _http_failure(exc, self._host) from None
            except json.JSONDecodeError:
                raise GraphError(Kind.BROKEN, f"{self._host} gives no token: its answer is no JSON", *_WHO) from None
            except OSError as exc:
                raise failure(exc, self._host, self._wire.timeout) from None
            except (ValueError, RuntimeError, TypeError, KeyError) as exc:
                # MSAL hides what Entra said behind a text of its own.
                texts = (str(exc.__cause__ or ""), str(exc.__context__ or ""), str(exc))
                raise self._told(next((text for text in texts if "HTTP status" in text), str(exc))) from None
            token = result.get("access_token") if isinstance(result, dict) else None
            if isinstance(token, str) and token:
                return token
            self._app = None  # MSAL keeps a refusal for a minute; the next try asks again
            raise self._told(f"{(result or {}).get('error', '')}: {(result or {}).get('error_description', '')}")

    def _made(self) -> Any:
        if self._app is None:
            credential = as_msal(self._credential)
            import msal  # slow to load, and most commands need no token

            logging.getLogger("msal").addHandler(logging.NullHandler())  # else it writes to stderr
            self._app = msal.ConfidentialClientApplication(
                self._client_id,
                client_credential=credential,
                authority=self._authority,
                http_client=_Http(self._wire),
                # It would ask the global cloud whether the authority is known: other clouds may not reach it.
                instance_discovery=False,
            )
        return self._app

    def _told(self, text: str) -> GraphError:
        """Entra's refusal in a person's words."""
        secret = getattr(self._credential, "value", "")
        text = " ".join((text.replace(secret, "…") if secret else text).split())
        said = _SAID.search(text)
        text = said.group().rstrip('"} ') if said else text
        codes = [int(code) for code in _CODE.findall(text)]
        known = next((_CAUSES[code] for code in codes if code in _CAUSES), None)
        code = f"AADSTS{codes[0]}" if codes else ""
        if known:
            return _wrong(f"{self._host} gives no token: {known[0]} ({text[:200]})", *known[1], code=code)
        if re.search(r"temporarily_unavailable|server_error|HTTP status: 429|\b50[0234]\b", text):
            return GraphError(Kind.UNREACHABLE, f"{self._host} gives no token now: {text[:200]}", code=code)
        return _wrong(
            f"{self._host} gives no token: {text[:300]}", "check `tenant`, `client_id` and `cloud`", code=code
        )


class _Http:
    """What MSAL asks through: our sessions, so that CA, proxies and time-outs are the same as for Graph."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def get(self, url: str, **kwargs: Any) -> requests.Response:
        return self._send("GET", url, kwargs)

    def post(self, url: str, **kwargs: Any) -> requests.Response:
        return self._send("POST", url, kwargs)

    def _send(self, method: str, url: str, kwargs: dict[str, Any]) -> requests.Response:
        check_https(url.partition("?")[0])  # the token endpoint's address is the authority's word
        kept = {name: kwargs[name] for name in ("params", "headers", "data") if name in kwargs}
        settings = self._wire.settings(url)
        response = self._wire.session().request(method, url, allow_redirects=False, **kept, **settings)
        if response.status_code == 429 or response.status_code >= 500:
            raise requests.HTTPError(f"{response.status_code} {response.reason}", response=response)
        return response

    def close(self) -> None:
        """MSAL asks for it; the sessions live on."""


def _http_failure(exc: requests.HTTPError, host: str) -> GraphError:
    status = exc.response.status_code
    kind = Kind.THROTTLED if status == 429 else Kind.UNREACHABLE
    return GraphError(kind, f"{host} gives no token now: {exc}", status=status, wait=retry_after(exc.response.headers))


def _wrong(message: str, *cures: str, code: str = "local") -> GraphError:
    return GraphError(Kind.CREDENTIAL, message, *cures, code=code)
