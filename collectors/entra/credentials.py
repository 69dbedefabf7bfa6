"""What an app proves itself with at Entra, in the form that MSAL takes. Reads no file, prints no secret."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat, pkcs12

from collectors.entra.errors import GraphError, Kind


@dataclass(frozen=True)
class ClientSecret:
    """A client secret: its value, not the identifier that the portal shows beside it."""

    value: str = field(repr=False)


@dataclass(frozen=True)
class CertificateFile:
    """The content of a PEM or PFX file with certificate and RSA private key. passphrase: None where it has none."""

    content: bytes = field(repr=False)
    passphrase: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Assertion:
    """A signed assertion of somebody whom the app trusts (workload identity). read: the current one, OSError at need.

    It is read anew for each token: Kubernetes and the like replace it every hour.
    """

    read: Callable[[], str] = field(repr=False)


Credential = ClientSecret | CertificateFile | Assertion

_RENEWAL = "in the Entra admin center: App registrations > the app > Certificates & secrets > New client secret"
_BOTH = "put certificate and private key into one file: cat app.crt app.key > app.pem"


def as_msal(credential: Credential, now: datetime | None = None) -> Any:
    """A credential as MSAL's `client_credential`. now: aware; by default the real one.

    Raises GraphError CREDENTIAL: empty, no key, no certificate of the key, not RSA, expired, a wrong passphrase.
    """
    if isinstance(credential, ClientSecret):
        if not credential.value.strip():
            raise _wrong("the client secret is empty", _RENEWAL)
        return credential.value.strip()
    if isinstance(credential, Assertion):
        return {"client_assertion": lambda: _read(credential)}
    key, certificates = _unpacked(credential)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise _wrong("the private key is not RSA: Entra takes no other", "make a new certificate with an RSA key")
    certificate = _of_key(key, certificates)
    _check_time(certificate, now or datetime.now(UTC))
    # Without a thumbprint MSAL signs by PS256 and names the certificate by SHA-256, which Entra prefers to SHA-1.
    return {
        "private_key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "public_certificate": certificate.public_bytes(Encoding.PEM).decode(),
    }


def _read(assertion: Assertion) -> str:
    try:
        text = assertion.read().strip()
    except OSError as exc:
        raise _wrong(f"the assertion cannot be read: {exc}", "look whether the token is mounted there") from exc
    if text.count(".") != 2:
        raise _wrong("the assertion is no signed token (JWT)", "point `assertion` to the file with the token itself")
    return text


def _unpacked(file: CertificateFile) -> tuple[Any, list[x509.Certificate]]:
    """Key and certificates of a PEM or PFX file."""
    passphrase = file.passphrase.encode() if file.passphrase else None
    if b"-----BEGIN" not in file.content:
        return _pfx(file.content, passphrase)
    begin = file.content.find(b"-----BEGIN")
    try:
        certificates = x509.load_pem_x509_certificates(file.content) if b"BEGIN CERTIFICATE" in file.content else []
        key = serialization.load_pem_private_key(_key_part(file.content[begin:]), passphrase)
    except TypeError as exc:  # an encrypted key without passphrase, or the reverse
        wanted = passphrase is None
        raise _wrong(
            "the private key is encrypted" if wanted else "the private key is not encrypted, but there is a passphrase",
            "set `passphrase`" if wanted else "leave `passphrase` out",
        ) from exc
    except (ValueError, UnsupportedAlgorithm) as exc:
        if passphrase and b"ENCRYPTED" in file.content:
            raise _wrong("the passphrase does not open the private key", "check `passphrase`") from None
        raise _wrong(f"the certificate file cannot be read: {_short(exc)}", _BOTH) from exc
    return key, certificates


def _key_part(content: bytes) -> bytes:
    """The private key of a PEM file: what reads it takes the first block of a file only."""
    at = content.find(b"PRIVATE KEY-----")
    begin = content.rfind(b"-----BEGIN", 0, at) if at >= 0 else -1
    if begin < 0:
        raise _wrong("the certificate file holds no private key", _BOTH)
    return content[begin:]


def _pfx(content: bytes, passphrase: bytes | None) -> tuple[Any, list[x509.Certificate]]:
    key: Any = None
    error: Exception | None = None
    # A file "without" passphrase may be one with the empty passphrase.
    for attempt in (passphrase,) if passphrase else (None, b""):
        try:
            key, certificate, others = pkcs12.load_key_and_certificates(content, attempt)
        except (ValueError, UnsupportedAlgorithm) as exc:
            error = exc
            continue
        if key is None:
            raise _wrong("the PFX file holds no private key", "export it again, with the private key")
        return key, [one for one in (certificate, *others) if one is not None]
    if error is not None and "password" in str(error).lower():
        what = "the passphrase does not open the PFX file" if passphrase else "the PFX file needs a passphrase"
        raise _wrong(what, "check `passphrase`") from None
    raise _wrong("the certificate file is neither PEM nor PFX", _BOTH) from error


def _of_key(key: rsa.RSAPrivateKey, certificates: list[x509.Certificate]) -> x509.Certificate:
    """The certificate of the key; the file may hold its issuers too. The last to expire where there are several."""

    def public(of: Any) -> bytes:
        return bytes(of.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    if not certificates:
        raise _wrong("the certificate file holds a private key, but no certificate", _BOTH)
    mine = [one for one in certificates if public(one) == public(key)]
    if not mine:
        raise _wrong(
            "the certificate is not of the private key beside it", "put together the two that were made as one"
        )
    return max(mine, key=lambda one: one.not_valid_after_utc)


def _check_time(certificate: x509.Certificate, now: datetime) -> None:
    name = certificate.fingerprint(hashes.SHA256()).hex()[:12]
    if now > certificate.not_valid_after_utc:
        raise _wrong(
            f"the certificate {name}… has expired on {certificate.not_valid_after_utc:%Y-%m-%d}",
            "make a new one and upload it: App registrations > the app > Certificates & secrets > Certificates",
        )
    if now < certificate.not_valid_before_utc:
        raise _wrong(
            f"the certificate {name}… is valid from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC only",
            "compare this machine's clock with the real time: timedatectl",
        )


def _short(exc: Exception) -> str:
    return " ".join(str(exc).split())[:120]


def _wrong(message: str, *cures: str) -> GraphError:
    return GraphError(Kind.CREDENTIAL, message, *cures, code="local")
