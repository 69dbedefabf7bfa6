"""A secret is had wherever it is kept, told apart from what it is not, fetched as seldom as may be, and never shown."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber, MockRawResponse

from pfsquid import secrets_aws
from pfsquid.cloud import Cloud
from pfsquid.config import load
from pfsquid.errors import PfsquidError, WrongUse
from pfsquid.secrets import check_reference, content, forget, resolve
from pfsquid.secrets_aws import ask_as

VALUE = "s3cret~of-the-app"
HERE = Path("/nowhere")


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    secrets_aws._kept.clear()
    ask_as(Cloud())
    with mock_aws():
        yield
    secrets_aws._kept.clear()
    ask_as(Cloud())


def ssm(region: str = "eu-central-1") -> Any:
    return boto3.client("ssm", region_name=region)


def manager(region: str = "eu-central-1") -> Any:
    return boto3.client("secretsmanager", region_name=region)


def put(name: str, value: str = VALUE, region: str = "eu-central-1") -> str:
    ssm(region).put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)
    return str(ssm(region).get_parameter(Name=name)["Parameter"]["ARN"])


def refused(monkeypatch: pytest.MonkeyPatch, error: Exception) -> list[int]:
    """Every request to AWS ends in this; returns a list that grows with each."""
    asked: list[int] = []

    def fails(*_: object, **__: object) -> None:
        asked.append(1)
        raise error

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", fails)
    return asked


def code(name: str, text: str, operation: str = "GetParameter") -> ClientError:
    return ClientError({"Error": {"Code": name, "Message": text}}, operation)


@pytest.mark.parametrize(
    "reference",
    [
        "ssm:/pfsquid/entra/secret",
        "ssm:name:3",
        "ssm:arn:aws:ssm:eu-west-1:123456789012:parameter/pfsquid/entra/secret",
        "ssm:arn:aws-us-gov:ssm:us-gov-west-1:123456789012:parameter/a",
        "secretsmanager:prod/entra",
        "secretsmanager:prod/entra#client_secret",
        "secretsmanager:arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/entra-AbCdEf#key",
    ],
)
def test_a_reference_to_aws_is_one(reference: str) -> None:
    assert check_reference(reference) == reference


@pytest.mark.parametrize(
    "text",
    [
        "ssm:",
        "ssm:a b",
        "ssm:arn:aws:ssm:eu-west-1:12:parameter/a",
        "ssm:arn:aws:secretsmanager:eu-west-1:123456789012:secret:a",
        "secretsmanager:a#",
        "secretsmanager:#key",
        "secretsmanager:arn:aws:ssm:eu-west-1:123456789012:parameter/a",
    ],
)
def test_what_is_no_reference_to_aws_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="must be") as told:
        check_reference(text)
    assert text.partition(":")[2] == "" or text.partition(":")[2] not in str(told.value)


def test_a_secure_string_is_had_in_clear_by_name_and_by_arn() -> None:
    arn = put("/pfsquid/entra/secret")
    assert resolve("ssm:/pfsquid/entra/secret", HERE) == VALUE
    assert resolve(f"ssm:{arn}", HERE) == VALUE


def test_an_arn_tells_the_region_whatever_the_configuration_says() -> None:
    arn = put("/there", region="ap-southeast-2")
    ask_as(Cloud("eu-central-1"))
    assert resolve(f"ssm:{arn}", HERE) == VALUE


def test_the_configuration_tells_the_region_of_a_name(tmp_path: Path) -> None:
    put("/there", region="ap-southeast-2")
    (tmp_path / "pfsquid.yaml").write_text("aws:\n  region: ap-southeast-2\n")
    load(tmp_path / "pfsquid.yaml")
    assert resolve("ssm:/there", HERE) == VALUE


def test_a_secret_of_secrets_manager_is_had_whole_and_by_key() -> None:
    manager().create_secret(Name="prod/entra", SecretString=json.dumps({"client_secret": VALUE, "id": 3}))
    arn = manager().describe_secret(SecretId="prod/entra")["ARN"]
    assert json.loads(resolve("secretsmanager:prod/entra", HERE))["id"] == 3
    assert resolve("secretsmanager:prod/entra#client_secret", HERE) == VALUE
    assert resolve(f"secretsmanager:{arn}#client_secret", HERE) == VALUE


@pytest.mark.parametrize("key", ["client-secret", "id"])
def test_a_key_that_is_not_there_names_those_that_are(key: str) -> None:
    manager().create_secret(Name="a", SecretString=json.dumps({"client_secret": VALUE, "id": 3}))
    with pytest.raises(WrongUse) as told:
        resolve(f"secretsmanager:a#{key}", HERE)
    assert "client_secret" in told.value.next[0]
    assert VALUE not in "".join((told.value.message, *told.value.next))


def test_a_key_of_what_is_no_json_is_refused_and_the_value_not_shown() -> None:
    manager().create_secret(Name="a", SecretString=VALUE)
    with pytest.raises(WrongUse, match="no JSON") as told:
        resolve("secretsmanager:a#key", HERE)
    assert VALUE not in "".join((told.value.message, *told.value.next))
    assert told.value.__cause__ is None


def test_a_certificate_is_had_as_pem_as_base64_and_as_bytes() -> None:
    pem, pfx = "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n", bytes(range(200))
    put("/pem", pem)
    put("/pfx", base64.encodebytes(pfx).decode())
    manager().create_secret(Name="pfx", SecretBinary=pfx)
    assert content("ssm:/pem", HERE) == pem.encode()
    assert content("ssm:/pfx", HERE) == pfx
    assert content("secretsmanager:pfx", HERE) == pfx


def test_a_text_that_is_no_certificate_is_refused_and_not_shown() -> None:
    put("/pem", VALUE)
    with pytest.raises(WrongUse, match="neither PEM nor a PFX") as told:
        content("ssm:/pem", HERE)
    assert VALUE not in "".join((told.value.message, *told.value.next))


def test_a_binary_secret_is_no_password() -> None:
    manager().create_secret(Name="pfx", SecretBinary=b"\x00\x01")
    with pytest.raises(WrongUse, match="binary"):
        resolve("secretsmanager:pfx", HERE)


@pytest.mark.parametrize("reference", ["ssm:/none", "secretsmanager:none"])
def test_a_secret_that_is_not_there_is_told_with_how_to_make_it(reference: str) -> None:
    ask_as(Cloud("eu-west-3"))
    with pytest.raises(WrongUse, match="there is none of this name in eu-west-3") as told:
        resolve(reference, HERE)
    assert "--region eu-west-3" in told.value.next[0]


@pytest.mark.parametrize(
    ("error", "needs"),
    [
        (
            code(
                "AccessDeniedException",
                "User: arn:aws:sts::1:assumed-role/r/i is not authorized to perform: ssm:GetParameter on resource: "
                "arn:aws:ssm:eu-central-1:1:parameter/a because no identity-based policy allows the action",
            ),
            "ssm:GetParameter on arn:aws:ssm:eu-central-1:1:parameter/a",
        ),
        (
            code(
                "AccessDeniedException",
                "User: arn:aws:sts::1:assumed-role/r/i is not authorized to perform: kms:Decrypt on resource: "
                "arn:aws:kms:eu-central-1:1:key/k because no resource-based policy allows the kms:Decrypt action",
            ),
            "kms:Decrypt on arn:aws:kms:eu-central-1:1:key/k",
        ),
        (
            code("AccessDeniedException", "The ciphertext refers to a customer master key that does not exist"),
            "kms:Decrypt on /a",
        ),
        (code("AccessDeniedException", ""), "ssm:GetParameter on /a"),
    ],
)
def test_a_denied_secret_names_the_action_and_the_resource(
    monkeypatch: pytest.MonkeyPatch, error: ClientError, needs: str
) -> None:
    refused(monkeypatch, error)
    with pytest.raises(WrongUse) as told:
        resolve("ssm:/a", HERE)
    assert f"AWS denies {needs}" in told.value.message


def test_a_key_that_is_disabled_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    refused(monkeypatch, code("InvalidKeyId", "arn:aws:kms:eu-central-1:1:key/k is disabled"))
    with pytest.raises(WrongUse, match="KMS key cannot be used"):
        resolve("ssm:/a", HERE)


@pytest.mark.parametrize(
    "error",
    [code("ThrottlingException", "Rate exceeded"), EndpointConnectionError(endpoint_url="https://ssm.example")],
)
def test_what_passes_is_no_wrong_use(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    refused(monkeypatch, error)
    with pytest.raises(PfsquidError) as told:
        resolve("ssm:/a", HERE)
    assert not isinstance(told.value, WrongUse)
    assert "ssm:/a" in told.value.message


def test_throttling_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    put("/a")
    real: Callable[..., Any] = BotocoreStubber.__call__
    sent: list[int] = []

    def throttled(self: Any, event_name: str, request: Any, **kwargs: Any) -> Any:
        sent.append(1)
        if len(sent) > 2:
            return real(self, event_name, request, **kwargs)
        raw = MockRawResponse(b'{"__type": "ThrottlingException", "message": "Rate exceeded"}')
        return AWSResponse(request.url, 400, {}, raw)

    monkeypatch.setattr(BotocoreStubber, "__call__", throttled)
    monkeypatch.setattr("time.sleep", lambda _: None)
    assert resolve("ssm:/a", HERE) == VALUE
    assert len(sent) == 3


def test_without_credentials_the_way_to_them_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import NoCredentialsError

    refused(monkeypatch, NoCredentialsError())
    with pytest.raises(PfsquidError) as told:
        resolve("ssm:/a", HERE)
    assert "aws configure" in told.value.next


def test_a_secret_is_fetched_once_and_noticed_when_it_is_rotated(monkeypatch: pytest.MonkeyPatch) -> None:
    put("/a", "old")
    assert resolve("ssm:/a", HERE) == "old"
    put("/a", "new")
    assert resolve("ssm:/a", HERE) == "old"
    now = time.monotonic()
    monkeypatch.setattr("pfsquid.secrets_aws.time.monotonic", lambda: now + secrets_aws.KEPT_SECONDS + 1)
    assert resolve("ssm:/a", HERE) == "new"


def test_a_secret_that_is_forgotten_is_fetched_anew() -> None:
    put("/a", "old")
    manager().create_secret(Name="a", SecretString='{"k": "old"}')
    assert [resolve(one, HERE) for one in ("ssm:/a", "secretsmanager:a#k")] == ["old", "old"]
    put("/a", "new")
    manager().put_secret_value(SecretId="a", SecretString='{"k": "new"}')
    for one in ("ssm:/a", "secretsmanager:a#k"):
        forget(one)
    assert [resolve(one, HERE) for one in ("ssm:/a", "secretsmanager:a#k")] == ["new", "new"]


def test_a_refusal_is_not_kept() -> None:
    with pytest.raises(WrongUse):
        resolve("ssm:/a", HERE)
    put("/a")
    assert resolve("ssm:/a", HERE) == VALUE


def test_a_file_that_is_no_text_is_told_without_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"hidden\xff")
    (tmp_path / "secret").chmod(0o600)
    with pytest.raises(WrongUse, match="no text") as told:
        resolve("file:secret", tmp_path)
    assert told.value.__cause__ is None
    assert content("file:secret", tmp_path) == b"hidden\xff"
