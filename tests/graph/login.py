"""Entra's token endpoint: discovery, client secret, client assertion by certificate, workload identity.

An assertion is really verified: RS256 or PS256 (RFC 7518), aud, exp, iss, sub, jti (RFC 7523). Errors carry Entra's
AADSTS numbers. Source: Microsoft's pages "OAuth 2.0 client credentials flow" and "error codes".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_UNKNOWN_TENANT = "Tenant '{}' not found. Check to make sure you have the correct tenant ID."


@dataclass
class Registered:
    """An app registration. federated: (issuer, subject, its public key) of workload identities."""

    client_id: str
    secrets: set[str] = field(default_factory=set)
    expired: set[str] = field(default_factory=set)
    certificates: list[x509.Certificate] = field(default_factory=list)
    federated: list[tuple[str, str, rsa.RSAPublicKey]] = field(default_factory=list)
    permissions: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Bearer:
    """Whose token it is."""

    client_id: str
    tenant: str
    permissions: frozenset[str]


class LoginError(Exception):
    """An answer of the token endpoint that is an error."""

    def __init__(self, status: int, error: str, number: int, message: str) -> None:
        super().__init__(message)
        self.status, self.error, self.number, self.message = status, error, number, message

    def body(self) -> dict[str, Any]:
        trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
        at = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())
        text = f"AADSTS{self.number}: {self.message} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {at}"
        return {
            "error": self.error,
            "error_description": text,
            "error_codes": [self.number],
            "timestamp": at,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"https://login.microsoftonline.com/error?code={self.number}",
        }


class Login:
    """url: of this server, without a slash at its end. lifetime and lives: seconds (real) that a token is said to live,
    and really lives (None: the same)."""

    def __init__(self, url: str, tenants: tuple[str, ...], seed: int, lifetime: float, lives: float | None) -> None:
        self.url, self.tenants, self.lifetime, self.lives = url, tenants, lifetime, lives
        self.apps: dict[str, Registered] = {}
        self.issued = 0
        self._key = hashlib.sha256(f"tokens of {seed}".encode()).digest()
        self._dead_before = 0.0
        self._dead: set[str] = set()
        self._lock = threading.Lock()

    def expire(self, token: str | None = None) -> None:
        """One token, or all given so far, are expired, whatever was said."""
        if token is None:
            self._dead_before = time.time()
        else:
            self._dead.add(token)

    def discovery(self, tenant: str) -> dict[str, Any]:
        """The OpenID configuration of a tenant. Raises LoginError."""
        self._check_tenant(tenant)
        whole = f"{self.url}/{tenant}"
        return {
            "token_endpoint": f"{whole}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
            "jwks_uri": f"{whole}/discovery/v2.0/keys",
            "response_types_supported": ["code", "id_token"],
            "issuer": f"{whole}/v2.0",
            "authorization_endpoint": f"{whole}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{whole}/oauth2/v2.0/devicecode",
            "tenant_region_scope": "EU",
        }

    def instance(self) -> dict[str, Any]:
        host = self.url.removeprefix("https://")
        metadata = [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}]
        endpoint = f"{self.url}/{self.tenants[0]}/v2.0/.well-known/openid-configuration"
        return {"tenant_discovery_endpoint": endpoint, "api-version": "1.1", "metadata": metadata}

    def token(self, tenant: str, body: str) -> dict[str, Any]:
        """The answer to a token request. Raises LoginError."""
        self._check_tenant(tenant)
        form = dict(parse_qsl(body, keep_blank_values=True))
        if form.get("grant_type") != "client_credentials":
            raise LoginError(400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
        app = self.apps.get(form.get("client_id", ""))
        if app is None:
            raise LoginError(
                400,
                "unauthorized_client",
                700016,
                f"Application with identifier '{form.get('client_id')}' was not found in the directory '{tenant}'.",
            )
        if form.get("scope") != f"{self.url}/.default":
            raise LoginError(400, "invalid_scope", 1002012, "The provided value for scope is not valid.")
        if "client_assertion" in form:
            self._check_assertion(app, tenant, form)
        else:
            _check_secret(app, form.get("client_secret"))
        return {
            "token_type": "Bearer",
            "expires_in": int(self.lifetime),
            "ext_expires_in": int(self.lifetime),
            "access_token": self._issue(app),
        }

    def bearer(self, token: str) -> Bearer | str:
        """Who sends that token, or what is wrong with it."""
        try:
            signed, _, signature = token.rpartition(".")
            claims = json.loads(_decoded(signed.partition(".")[2]))
            right = hmac.compare_digest(_decoded(signature), self._sign(signed))
        except ValueError:
            return "CompactToken parsing failed with error code: 80049217"
        if not right:
            return "Access token validation failure. Invalid signature."
        lives = self.lifetime if self.lives is None else self.lives
        if claims["made"] + lives < time.time() or claims["made"] <= self._dead_before or token in self._dead:
            return "Lifetime validation failed, the token is expired."
        app = self.apps.get(claims["appid"])
        return Bearer(claims["appid"], claims["tid"], frozenset(app.permissions if app else ()))

    def _issue(self, app: Registered) -> str:
        with self._lock:
            self.issued += 1
        now = time.time()
        claims: dict[str, Any] = {
            "aud": self.url,
            "appid": app.client_id,
            "tid": self.tenants[0],
            "roles": sorted(app.permissions),
        }
        claims |= {"made": now, "exp": int(now + self.lifetime), "uti": self.issued}
        signed = ".".join(_encoded(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "HS256"}, claims))
        return f"{signed}.{_encoded(self._sign(signed))}"

    def _sign(self, text: str) -> bytes:
        return hmac.digest(self._key, text.encode(), "sha256")

    def _check_tenant(self, tenant: str) -> None:
        if tenant not in self.tenants:
            raise LoginError(400, "invalid_request", 90002, _UNKNOWN_TENANT.format(tenant))

    def _check_assertion(self, app: Registered, tenant: str, form: dict[str, str]) -> None:
        if form.get("client_assertion_type") != JWT_BEARER:
            raise LoginError(400, "invalid_request", 50027, "JWT token is invalid or malformed.")
        try:
            head, claims, signed, signature = _opened(form["client_assertion"])
        except ValueError as exc:
            raise LoginError(401, "invalid_client", 50027, "JWT token is invalid or malformed.") from exc
        for issuer, subject, key in app.federated:
            if claims.get("iss") == issuer:
                if claims.get("sub") != subject:
                    raise LoginError(
                        400,
                        "invalid_request",
                        700213,
                        "No matching federated identity record found for presented subject.",
                    )
                if claims.get("aud") != "api://AzureADTokenExchange":
                    raise LoginError(400, "invalid_request", 700212, "No matching audience found.")
                _check_signature(head, key, signed, signature)
                _check_times(claims)
                return
        certificate = next((one for one in app.certificates if _names(head, one)), None)
        if certificate is None:
            raise _bad_assertion("The certificate used to sign the assertion is not registered on application.")
        public = certificate.public_key()
        assert isinstance(public, rsa.RSAPublicKey)
        _check_signature(head, public, signed, signature)
        _check_times(claims)
        if claims.get("aud") not in [f"{self.url}/{one}{end}" for one in self.tenants for end in _AUDIENCES]:
            raise _bad_assertion("Client assertion contains an invalid audience.")
        if claims.get("iss") != app.client_id or claims.get("sub") != app.client_id:
            raise _bad_assertion("Client assertion contains an invalid issuer or subject.")
        if not claims.get("jti"):
            raise _bad_assertion("Client assertion has no jti.")


_AUDIENCES = ("/oauth2/v2.0/token", "/v2.0", "/oauth2/token")


def _bad_assertion(why: str) -> LoginError:
    return LoginError(401, "invalid_client", 700027, f"Client assertion failed signature validation. [Reason - {why}]")


def _check_secret(app: Registered, secret: str | None) -> None:
    if secret is None:
        why = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
        raise LoginError(401, "invalid_client", 7000218, why)
    if secret in app.expired:
        why = f"The provided client secret keys for app '{app.client_id}' are expired. Visit the Azure portal."
        raise LoginError(401, "invalid_client", 7000222, why)
    if secret not in app.secrets:
        why = (
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, "
            f"not the client secret ID, for a secret added to app '{app.client_id}'."
        )
        raise LoginError(401, "invalid_client", 7000215, why)


def _check_signature(head: dict[str, Any], key: rsa.RSAPublicKey, signed: bytes, signature: bytes) -> None:
    try:
        if head.get("alg") == "RS256":
            key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        elif head.get("alg") == "PS256":
            salted = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
            key.verify(signature, signed, salted, hashes.SHA256())
        else:
            raise _bad_assertion(f"The algorithm {head.get('alg')} is not supported.")
    except InvalidSignature as exc:
        raise _bad_assertion("The key used is wrong.") from exc


def _check_times(claims: dict[str, Any]) -> None:
    now, expires = time.time(), claims.get("exp")
    if not isinstance(expires, int | float) or expires < now or claims.get("nbf", 0) > now + 300:
        raise LoginError(401, "invalid_client", 700024, "Client assertion is not within its valid time range.")


def _names(head: dict[str, Any], certificate: x509.Certificate) -> bool:
    """By its thumbprint (SHA-1 or SHA-256) in base64url, or by the certificate itself."""
    sha1 = _encoded(certificate.fingerprint(hashes.SHA1()))
    sha256 = _encoded(certificate.fingerprint(hashes.SHA256()))
    return sha1 == str(head.get("x5t", "")).rstrip("=") or sha256 == str(head.get("x5t#S256", "")).rstrip("=")


def _opened(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes]:
    head, claims, signature = token.split(".")
    opened = json.loads(_decoded(head)), json.loads(_decoded(claims))
    if not all(isinstance(part, dict) for part in opened):
        raise ValueError("not objects")
    return *opened, f"{head}.{claims}".encode(), _decoded(signature)


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
