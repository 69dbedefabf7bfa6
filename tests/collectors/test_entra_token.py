"""Tokens by MSAL: each kind of credential, each refusal in a person's words, no secret in any text."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID

from collectors.entra.credentials import Assertion, CertificateFile, ClientSecret, Credential, as_msal
from collectors.entra.errors import GraphError, Kind
from collectors.entra.token import Tokens, msal_tokens, roles_of
from tests.collectors.graph_stub import Got, Reply, Stub

Certificate = tuple[Path, Path, Path]
Answer = Callable[[Got, int], Reply]
SECRET = "Very~Secret.Value_123"
NOW = datetime.now(UTC)
KEY = rsa.generate_private_key(65537, 2048)
OTHER_KEY = rsa.generate_private_key(65537, 2048)


def granted(_: Got, number: int) -> Reply:
    return Reply(200, {"token_type": "Bearer", "expires_in": 3599, "access_token": f"access-{number}"})


def refused(code: int, text: str = "x", status: int = 401) -> Answer:
    said = f"AADSTS{code}: {text}. Trace ID: 1 Correlation ID: 2 Timestamp: 3"
    raw = {"error": "invalid_client", "error_description": said, "error_codes": [code]}
    return lambda *_: Reply(status, raw)


def entra(certificate: Certificate, answer: Answer = granted) -> Stub:
    """An Entra that knows one tenant."""

    def script(got: Got, number: int) -> Reply:
        if got.path.endswith("/.well-known/openid-configuration"):
            issuer = f"{server.url}/contoso/v2.0"
            endpoint = f"{server.url}/contoso/oauth2/v2.0"
            return Reply(
                200,
                {
                    "issuer": issuer,
                    "token_endpoint": f"{endpoint}/token",
                    "authorization_endpoint": f"{endpoint}/authorize",
                },
            )
        return answer(got, number)

    server = Stub(certificate, script)
    return server


def tokens_of(server: Stub, credential: Credential | None = None, **options: Any) -> Tokens:
    settings = {"ca": server.ca, "graph": "https://graph.example", **options}
    return msal_tokens("contoso", "client-1", credential or ClientSecret(SECRET), server.url, **settings)


def failed(server: Stub, credential: Credential | None = None) -> GraphError:
    with pytest.raises(GraphError) as caught:
        tokens_of(server, credential).token()
    assert SECRET not in f"{caught.value} {caught.value.cures} {caught.value!r}"
    return caught.value


def posted(server: Stub) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(server.got[-1].body.decode()).items()}


def certificate_of(
    key: Any, since: datetime = NOW - timedelta(days=1), until: datetime = NOW + timedelta(days=9)
) -> Any:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "app")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    return (
        builder.serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .sign(key, hashes.SHA256())
    )


def pem(key: Any, *certificates: Any, passphrase: bytes | None = None) -> bytes:
    """Certificates first, as most tools write them."""
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    parts = [one.public_bytes(Encoding.PEM) for one in certificates]
    return b"".join([b"Bag Attributes\n", *parts, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)])


def pfx(passphrase: bytes | None) -> bytes:
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return pkcs12.serialize_key_and_certificates(b"app", KEY, certificate_of(KEY), None, encryption)


def test_a_secret_gives_a_token_for_the_clouds_graph_and_is_kept(graph_ca: Certificate) -> None:
    with entra(graph_ca) as server:
        tokens = tokens_of(server)
        assert tokens.token() == tokens.token()
        assert posted(server)["scope"] == "https://graph.example/.default"
        assert posted(server)["client_secret"] == SECRET
    assert [got.method for got in server.got] == ["GET", "POST"]


def test_a_renewal_asks_for_a_new_one(graph_ca: Certificate) -> None:
    with entra(graph_ca) as server:
        tokens = tokens_of(server)
        assert tokens.token() != tokens.token(renew=True)


@pytest.mark.parametrize(
    "file",
    [
        CertificateFile(pem(KEY, certificate_of(KEY))),
        CertificateFile(pem(KEY, certificate_of(OTHER_KEY), certificate_of(KEY))),
        CertificateFile(pem(KEY, certificate_of(KEY), passphrase=b"pass"), "pass"),
        CertificateFile(pfx(b"pass"), "pass"),
        CertificateFile(pfx(None)),
    ],
    ids=["pem", "pem with its issuer", "encrypted pem", "pfx", "pfx without passphrase"],
)
def test_a_certificate_signs_for_the_app(graph_ca: Certificate, file: CertificateFile) -> None:
    with entra(graph_ca) as server:
        tokens_of(server, file).token()
        head = json.loads(base64.urlsafe_b64decode(posted(server)["client_assertion"].split(".")[0] + "=="))
    assert head["alg"] == "PS256"
    assert "x5t#S256" in head


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (CertificateFile(pem(KEY)), "no certificate"),
        (CertificateFile(certificate_of(KEY).public_bytes(Encoding.PEM)), "no private key"),
        (CertificateFile(pem(KEY, certificate_of(OTHER_KEY))), "not of the private key"),
        (CertificateFile(pem(KEY, certificate_of(KEY, until=NOW - timedelta(hours=1)))), "has expired"),
        (CertificateFile(pem(KEY, certificate_of(KEY, since=NOW + timedelta(hours=1)))), "valid from"),
        (CertificateFile(pem(KEY, certificate_of(KEY), passphrase=b"pass")), "is encrypted"),
        (CertificateFile(pem(KEY, certificate_of(KEY), passphrase=b"pass"), "Wrong-Pass"), "does not open"),
        (CertificateFile(pem(KEY, certificate_of(KEY)), "Wrong-Pass"), "not encrypted"),
        (CertificateFile(pfx(b"pass"), "Wrong-Pass"), "does not open"),
        (CertificateFile(pfx(b"pass")), "needs a passphrase"),
        (CertificateFile(b"\x30\x82 nonsense"), "neither PEM nor PFX"),
        (CertificateFile(b""), "neither PEM nor PFX"),
        (CertificateFile(b"-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----\n"), "cannot be read"),
    ],
)
def test_a_certificate_file_that_cannot_serve_says_why(file: CertificateFile, words: str) -> None:
    with pytest.raises(GraphError) as caught:
        as_msal(file)
    assert caught.value.kind is Kind.CREDENTIAL
    assert words in str(caught.value)
    assert caught.value.cures
    assert "Wrong-Pass" not in f"{caught.value}{caught.value.cures}{file!r}"


def test_a_key_of_another_kind_is_refused() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(GraphError, match="not RSA"):
        as_msal(CertificateFile(pem(key, certificate_of(key))))


def test_an_assertion_is_read_anew_for_each_token(graph_ca: Certificate) -> None:
    given = iter(["a.b.1", "a.b.2"])
    with entra(graph_ca) as server:
        tokens = tokens_of(server, Assertion(lambda: next(given)))
        tokens.token()
        tokens.token()
        assert posted(server)["client_assertion"] == "a.b.1"
        tokens.token(renew=True)
        assert posted(server)["client_assertion"] == "a.b.2"


def nowhere() -> str:
    raise FileNotFoundError(2, "No such file", "/var/run/token")


@pytest.mark.parametrize(("read", "words"), [(nowhere, "/var/run/token"), (lambda: "no token", "no signed token")])
def test_an_assertion_that_cannot_serve_says_why(graph_ca: Certificate, read: Callable[[], str], words: str) -> None:
    with entra(graph_ca) as server:
        caught = failed(server, Assertion(read))
    assert caught.kind is Kind.CREDENTIAL
    assert words in str(caught)


@pytest.mark.parametrize(
    ("code", "word"),
    [
        (7000215, "secret"),
        (7000222, "expired"),
        (700016, "client id"),
        (700027, "certificate"),
        (90002, "tenant"),
        (50034, "tenant"),
        (7000112, "disabled"),
        (700213, "subject"),
        (500011, "cloud"),
    ],
)
def test_a_refusal_of_entra_has_a_cause_and_a_cure(graph_ca: Certificate, code: int, word: str) -> None:
    with entra(graph_ca, refused(code, f"Invalid client secret provided: {SECRET}")) as server:
        caught = failed(server)
    assert caught.kind is Kind.CREDENTIAL
    assert caught.code == f"AADSTS{code}"
    assert word in f"{caught} {caught.cures}"
    assert "Trace ID" not in str(caught)


def test_a_refusal_of_a_kind_unknown_is_said_in_entras_words(graph_ca: Certificate) -> None:
    with entra(graph_ca, refused(999999, "Something new")) as server:
        assert "Something new" in str(failed(server))


def test_a_corrected_secret_works_without_a_new_start(graph_ca: Certificate) -> None:
    answers = [refused(7000215), granted]
    with entra(graph_ca, lambda got, number: answers[posts(server) > 1](got, number)) as server:
        tokens = tokens_of(server)
        with pytest.raises(GraphError):
            tokens.token()
        assert tokens.token().startswith("access-")


def posts(server: Stub) -> int:
    return sum(got.method == "POST" for got in server.got)


def test_a_tenant_that_is_not_there_is_said(graph_ca: Certificate) -> None:
    text = "AADSTS90002: Tenant 'contoso' not found."
    with Stub(graph_ca, lambda *_: Reply(400, {"error": "invalid_tenant", "error_description": text})) as server:
        caught = failed(server)
    assert caught.code == "AADSTS90002"
    assert caught.kind is Kind.CREDENTIAL
    assert "(AADSTS90002: Tenant 'contoso' not found.)" in str(caught)


def test_a_ca_file_that_is_not_there_is_said(graph_ca: Certificate, tmp_path: Path) -> None:
    with entra(graph_ca) as server, pytest.raises(GraphError, match="nowhere") as caught:
        tokens_of(server, ca=tmp_path / "nowhere.pem").token()
    assert caught.value.kind is Kind.UNREACHABLE


@pytest.mark.parametrize(
    ("reply", "kind", "wait"),
    [
        (Reply(429, {}, {"Retry-After": "7"}), Kind.THROTTLED, 7),
        (Reply(503, b"<html>"), Kind.UNREACHABLE, None),
        (Reply(hang_up=True), Kind.UNREACHABLE, None),
    ],
)
def test_what_passes_is_told_apart_from_a_wrong_secret(
    graph_ca: Certificate, reply: Reply, kind: Kind, wait: float | None
) -> None:
    with entra(graph_ca, lambda *_: reply) as server:
        caught = failed(server)
    assert (caught.kind, caught.wait) == (kind, wait)


def test_an_answer_that_is_no_json_is_no_token(graph_ca: Certificate) -> None:
    with entra(graph_ca, lambda *_: Reply(200, b"<html>sign in</html>")) as server:
        assert failed(server).kind is Kind.BROKEN


def test_the_environment_does_not_replace_a_given_ca(graph_ca: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, os.devnull)
    with entra(graph_ca) as server:
        assert tokens_of(server).token()


def test_an_entra_with_another_ca_gets_no_secret(graph_ca: Certificate) -> None:
    with entra(graph_ca) as server:
        with pytest.raises(GraphError, match="not trusted"):
            tokens_of(server, ca=None).token()
        assert server.got == []


@pytest.mark.parametrize(
    ("tenant", "client", "authority", "graph"),
    [
        ("contoso", "c", "http://login.example", "https://graph.example"),
        ("contoso", "c", "https://login.example", "http://graph.example"),
        ("contoso", "c", "https://user:pass@login.example", "https://graph.example"),
        ("common", "c", "https://login.example", "https://graph.example"),
        ("", "c", "https://login.example", "https://graph.example"),
        ("a/b", "c", "https://login.example", "https://graph.example"),
        ("contoso", "", "https://login.example", "https://graph.example"),
    ],
)
def test_what_cannot_be_right_is_refused_at_once(tenant: str, client: str, authority: str, graph: str) -> None:
    with pytest.raises(GraphError) as caught:
        msal_tokens(tenant, client, ClientSecret(SECRET), authority, graph)
    assert caught.value.kind is Kind.CREDENTIAL
    assert "pass" not in str(caught.value)


def test_a_token_endpoint_in_the_clear_gets_no_secret(graph_ca: Certificate) -> None:
    raw = {"issuer": "https://x", "token_endpoint": "http://127.0.0.1:1/t", "authorization_endpoint": "https://x/a"}
    with Stub(graph_ca, lambda *_: Reply(200, {**raw, "issuer": f"{server.url}/x"})) as server:
        assert failed(server).kind is Kind.CREDENTIAL
        assert posts(server) == 0


def test_an_empty_secret_is_refused_and_no_credential_shows_itself() -> None:
    with pytest.raises(GraphError, match="empty"):
        as_msal(ClientSecret("  "))
    assert SECRET not in f"{ClientSecret(SECRET)!r} {CertificateFile(SECRET.encode(), SECRET)!r}"


def test_roles_are_read_from_a_token_where_it_has_them() -> None:
    body = base64.urlsafe_b64encode(json.dumps({"roles": ["User.Read.All"]}).encode()).decode().rstrip("=")
    assert roles_of(f"x.{body}.y") == frozenset({"User.Read.All"})
    assert roles_of("opaque") is None
    assert roles_of("a.!.b") is None


def test_msal_is_not_loaded_before_the_first_token() -> None:
    code = "import sys; import collectors.entra.graph, collectors.entra.probe; sys.exit('msal' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
