"""The test token endpoint: secrets, certificates and assertions are really checked; errors have Entra's numbers."""

from __future__ import annotations

import base64
import datetime
import json
import time
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from tests.graph.asking import Answer, Asking
from tests.graph.conftest import Ask
from tests.graph.fixture import GraphFactory
from tests.graph.login import JWT_BEARER
from tests.graph.serving import Served


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def certificate(key: rsa.RSAPrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "app")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    return builder.sign(key, hashes.SHA256())


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def assertion(key: rsa.RSAPrivateKey, head: dict[str, Any], claims: dict[str, Any]) -> str:
    signed = f"{encoded(json.dumps(head).encode())}.{encoded(json.dumps(claims).encode())}"
    salted = padding.PSS(padding.MGF1(hashes.SHA256()), 32) if head["alg"] == "PS256" else padding.PKCS1v15()
    return f"{signed}.{encoded(key.sign(signed.encode(), salted, hashes.SHA256()))}"


def claims(served: Served, **changed: Any) -> dict[str, Any]:
    audience = f"{served.authority}/oauth2/v2.0/token"
    whole = {"aud": audience, "iss": served.client_id, "sub": served.client_id, "jti": "1", "exp": time.time() + 600}
    return {name: value for name, value in (whole | changed).items() if value is not None}


def by_assertion(asking: Asking, text: str) -> Answer:
    return asking.sign_on(client_assertion_type=JWT_BEARER, client_assertion=text)


def number(answer: Answer) -> int:
    """The AADSTS number of a refusal, which its text has too."""
    (found,) = answer.json["error_codes"]
    assert answer.json["error_description"].startswith(f"AADSTS{found}: ")
    return int(found)


def test_discovery_leads_to_the_token_endpoint(graph: GraphFactory, ask: Ask) -> None:
    served = graph(sign_ins=0)
    found = ask(served).send("GET", f"/{served.tenant}/v2.0/.well-known/openid-configuration").json
    assert found["token_endpoint"] == f"{served.authority}/oauth2/v2.0/token"
    assert found["issuer"] == f"{served.authority}/v2.0"


def test_a_secret_gives_a_token_that_graph_takes(graph: GraphFactory, ask: Ask) -> None:
    asking = ask(graph(sign_ins=0))
    found = asking.sign_on().json
    assert (found["token_type"], found["expires_in"]) == ("Bearer", 3599)
    assert asking.get("/v1.0/users").status == 200


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"client_secret": "wrong"}, 7000215),
        ({"client_secret": "old~{secret}"}, 7000222),
        ({"client_id": "11111111-1111-1111-1111-111111111111", "client_secret": "{secret}"}, 700016),
        ({"client_secret": "{secret}", "scope": "https://graph.microsoft.com/.default"}, 1002012),
        ({"scope": "{url}/.default"}, 7000218),
        ({"client_secret": "{secret}", "grant_type": "password"}, 70003),
        ({"client_assertion": "a.b.c", "client_assertion_type": JWT_BEARER}, 50027),
    ],
)
def test_refusals_have_entras_numbers(graph: GraphFactory, ask: Ask, form: dict[str, str], expected: int) -> None:
    served = graph(sign_ins=0)
    filled = {name: text.format(secret=served.secret, url=served.url) for name, text in form.items()}
    answer = ask(served).sign_on(**filled)
    assert answer.status in (400, 401)
    assert number(answer) == expected


def test_an_unknown_tenant_is_refused_at_discovery_and_token(graph: GraphFactory, ask: Ask) -> None:
    asking = ask(graph(sign_ins=0))
    assert number(asking.send("GET", "/nobody.example/v2.0/.well-known/openid-configuration")) == 90002
    assert number(asking.sign_on(tenant="nobody.example")) == 90002


@pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
@pytest.mark.parametrize("named", ["x5t", "x5t#S256"])
def test_a_certificate_is_taken(
    graph: GraphFactory, ask: Ask, key: rsa.RSAPrivateKey, certificate: x509.Certificate, algorithm: str, named: str
) -> None:
    served = graph(sign_ins=0)
    served.control.app.certificates.append(certificate)
    print_ = certificate.fingerprint(hashes.SHA1() if named == "x5t" else hashes.SHA256())
    text = assertion(key, {"alg": algorithm, named: encoded(print_)}, claims(served))
    assert by_assertion(ask(served), text).json["access_token"]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"aud": "https://elsewhere/token"}, 700027),
        ({"iss": "another"}, 700027),
        ({"jti": None}, 700027),
        ({"exp": 1.0}, 700024),
        ({"exp": None}, 700024),
    ],
)
def test_a_bad_claim_of_an_assertion_is_refused(
    graph: GraphFactory,
    ask: Ask,
    key: rsa.RSAPrivateKey,
    certificate: x509.Certificate,
    changed: dict[str, Any],
    expected: int,
) -> None:
    served = graph(sign_ins=0)
    served.control.app.certificates.append(certificate)
    head = {"alg": "PS256", "x5t#S256": encoded(certificate.fingerprint(hashes.SHA256()))}
    assert number(by_assertion(ask(served), assertion(key, head, claims(served, **changed)))) == expected


def test_a_signature_by_another_key_is_refused(graph: GraphFactory, ask: Ask, certificate: x509.Certificate) -> None:
    served = graph(sign_ins=0)
    served.control.app.certificates.append(certificate)
    other = rsa.generate_private_key(65537, 2048)
    head = {"alg": "RS256", "x5t": encoded(certificate.fingerprint(hashes.SHA1()))}
    assert number(by_assertion(ask(served), assertion(other, head, claims(served)))) == 700027


def test_a_workload_identity_is_taken_with_its_subject_only(
    graph: GraphFactory, ask: Ask, key: rsa.RSAPrivateKey
) -> None:
    served = graph(sign_ins=0)
    served.control.app.federated.append(("https://issuer.example", "system:pod", key.public_key()))
    mine = {"aud": "api://AzureADTokenExchange", "iss": "https://issuer.example", "sub": "system:pod"}
    asking = ask(served)
    assert by_assertion(asking, assertion(key, {"alg": "RS256"}, claims(served, **mine))).status == 200
    other = assertion(key, {"alg": "RS256"}, claims(served, **{**mine, "sub": "system:other"}))
    assert number(by_assertion(asking, other)) == 700213


@pytest.mark.parametrize("header", ["", "Basic eDp5", "Bearer ", "Bearer nothing", "Bearer a.b.c"])
def test_graph_takes_no_other_token(graph: GraphFactory, ask: Ask, header: str) -> None:
    answer = ask(graph(sign_ins=0)).send("GET", "/v1.0/users", Authorization=header)
    assert (answer.status, answer.code) == (401, "InvalidAuthenticationToken")
    assert "www-authenticate" in answer.headers


def test_a_forged_token_is_refused(graph: GraphFactory, ask: Ask) -> None:
    asking = ask(graph(sign_ins=0))
    head, _, signature = asking.token().split(".")
    forged = f"{head}.{encoded(json.dumps({'appid': 'x', 'made': time.time()}).encode())}.{signature}"
    assert asking.send("GET", "/v1.0/users", Authorization=f"Bearer {forged}").status == 401


def test_a_token_can_end_before_its_time(graph: GraphFactory, ask: Ask) -> None:
    served = graph(sign_ins=0)
    asking = ask(served)
    assert asking.get("/v1.0/users").status == 200
    served.control.expire_tokens()
    refused = asking.get("/v1.0/users")
    assert (refused.status, refused.code) == (401, "InvalidAuthenticationToken")
    assert "expired" in refused.message
    asking.token(renew=True)
    assert asking.get("/v1.0/users").status == 200
    assert asking.sign_on().json["expires_in"] == 3599
