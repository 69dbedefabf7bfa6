"""An app of Entra ID whose secret or certificate lies in AWS: had without a file, and noticed when it is replaced."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key, pkcs12
from cryptography.x509 import load_pem_x509_certificate
from moto import mock_aws

from collectors.entra.credentials import CertificateFile, ClientSecret, Credential
from collectors.entra.errors import GraphError, Kind
from pfsquid import entra_app, secrets_aws
from pfsquid.config import load
from pfsquid.entra_app import Renewing, tokens_of
from pfsquid.errors import WrongUse
from pfsquid.settings_entra import EntraSettings
from tests.graph.fixture import GraphFactory
from tests.graph.serving import Served

HERE = Path("/nowhere")


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    secrets_aws._kept.clear()
    with mock_aws():
        yield
    secrets_aws._kept.clear()


def put(value: str, name: str = "/entra") -> None:
    boto3.client("ssm").put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True, Tier="Advanced")


def settings(served: Served, **given: str) -> EntraSettings:
    fixed = {"tenant": served.tenant, "client_id": served.client_id, "authority": served.url, "graph": served.url}
    return EntraSettings.model_validate({**fixed, "ca": served.ca, **given})


def pair(graph_ca: tuple[Path, Path, Path]) -> bytes:
    """Certificate and key, as PEM."""
    return graph_ca[1].read_bytes() + graph_ca[2].read_bytes()


def test_a_secret_in_the_parameter_store_gives_a_token(graph: GraphFactory) -> None:
    served = graph(sign_ins=1, days=1)
    put(served.secret)
    assert tokens_of("contoso", settings(served, secret="ssm:/entra"), HERE).token()


def test_a_secret_that_is_replaced_while_we_run_is_fetched_when_the_old_one_is_refused(graph: GraphFactory) -> None:
    served = graph(sign_ins=1, days=1)
    put(served.secret)
    tokens = tokens_of("contoso", settings(served, secret="ssm:/entra"), HERE)
    assert tokens.token()
    served.control.app.secrets.clear()
    served.control.app.secrets.add("the-new-one")
    put("the-new-one")
    assert tokens.token(renew=True)


def test_a_secret_that_is_refused_and_not_replaced_is_told(graph: GraphFactory) -> None:
    served = graph(sign_ins=1, days=1)
    put("wrong-secret-42")
    with pytest.raises(GraphError) as told:
        tokens_of("contoso", settings(served, secret="ssm:/entra"), HERE).token()
    assert told.value.kind is Kind.CREDENTIAL
    assert "wrong-secret-42" not in str(told.value)


@pytest.mark.parametrize("form", ["pem", "pfx"])
def test_a_certificate_in_aws_needs_no_file(graph_ca: tuple[Path, Path, Path], graph: GraphFactory, form: str) -> None:
    given = {"certificate": "ssm:/entra"}
    if form == "pem":
        put(pair(graph_ca).decode())
    else:
        key = load_pem_private_key(graph_ca[2].read_bytes(), None)
        certificate = load_pem_x509_certificate(graph_ca[1].read_bytes())
        pfx = pkcs12.serialize_key_and_certificates(None, key, certificate, None, BestAvailableEncryption(b"open"))  # type: ignore[arg-type]
        put(base64.b64encode(pfx).decode())
        put("open", "/passphrase")
        given["passphrase"] = "ssm:/passphrase"
    found = entra_app._credential("contoso", settings(graph(sign_ins=1, days=1), **given), HERE)
    assert isinstance(found, CertificateFile)
    assert found.content == pair(graph_ca) if form == "pem" else found.passphrase == "open"


def test_a_certificate_that_is_no_reference_is_still_a_path(tmp_path: Path) -> None:
    text = "collect:\n  entra:\n    a:\n      tenant: contoso.example\n      client_id: app\n      certificate: {}\n"
    for given, kind in (("app.pem", Path), ("ssm:/entra", str), ("secretsmanager:entra#pem", str)):
        (tmp_path / "pfsquid.yaml").write_text(text.format(given))
        assert isinstance(load(tmp_path / "pfsquid.yaml").collect.entra["a"].certificate, kind)


def test_a_wrong_reference_of_a_certificate_is_told_with_its_line(tmp_path: Path) -> None:
    keys = "tenant: contoso.example\n      client_id: app\n      certificate: 'ssm:a b'\n"
    text = f"collect:\n  entra:\n    a:\n      {keys}"
    (tmp_path / "pfsquid.yaml").write_text(text)
    with pytest.raises(WrongUse, match=r"pfsquid\.yaml:6: .*certificate.*ssm:NAME"):
        load(tmp_path / "pfsquid.yaml")


class Given:
    """Tokens of one credential. refuses: those that Entra does not take."""

    def __init__(self, credential: Credential, refuses: set[str]) -> None:
        assert isinstance(credential, ClientSecret)
        self.value, self.refuses = credential.value, refuses

    def token(self, renew: bool = False) -> str:
        if self.value in self.refuses:
            raise GraphError(Kind.CREDENTIAL, "refused")
        return f"token of {self.value}"


def test_when_the_secret_cannot_be_looked_up_again_what_entra_said_is_told() -> None:
    asked = [ClientSecret("old")]

    def look_up() -> Credential:
        if not asked:
            raise WrongUse("the secret ssm:/entra cannot be had")
        return asked.pop()

    tokens = Renewing(look_up, lambda credential: Given(credential, {"old"}))
    with pytest.raises(GraphError, match="refused"):
        tokens.token()
