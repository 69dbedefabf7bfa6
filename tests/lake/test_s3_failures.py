"""Whatever S3, Glue, a catalog or the network refuses is told in words, with the next command."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, NoRegionError

from pfsquid.cloud import Cloud
from pfsquid.errors import PfsquidError
from pfsquid.lake import access
from pfsquid.lake.access import CLOUD, LakeIO
from pfsquid.lake.catalog import explained, open_lake
from pfsquid.lake.failures import failure
from pfsquid.place import Place
from pfsquid.refusals import s3_refusal
from tests.aws.rest_catalog import rest_catalog

XML = "<?xml version='1.0'?><Error><Code>{}</Code><Message>{}</Message></Error>"


@dataclass
class Refusing:
    """An S3 that refuses everything. region: of its bucket. asked: the requests that came."""

    status: int = 403
    code: str = "AccessDenied"
    message: str = "Access Denied"
    region: str = "us-east-1"
    endpoint: str = ""
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Refusing]:
    """An S3 that refuses everything, and credentials for it; nothing waits between tries."""
    told = Refusing()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _refuse(self) -> None:
            told.asked.append(f"{self.command} {self.path}")
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = XML.format(told.code, told.message).encode() if self.command != "HEAD" else b""
            self.send_response(told.status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("x-amz-bucket-region", told.region)
            self.send_header("Connection", "close")  # a body that comes in chunks was not read
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _refuse  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    told.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    for name in [one for one in os.environ if one.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {"ACCESS_KEY_ID": "me", "SECRET_ACCESS_KEY": "x", "EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setattr(access, "TRIES", 2)
    yield told
    server.shutdown()
    server.server_close()


def place_of(refusing: Refusing, tmp_path: Path) -> Place:
    return Place(
        tmp_path, "s3://bucket/p", f"sqlite:{tmp_path / 'c.db'}", "pfsquid", Cloud(None, None, refusing.endpoint)
    )


def write(io: LakeIO) -> None:
    with io.new_output("s3://bucket/p/x").create(overwrite=True) as out:
        out.write(b"x")


def read(io: LakeIO) -> None:
    io.new_input("s3://bucket/p/x").open().read()


def remove(io: LakeIO) -> None:
    io.delete("s3://bucket/p/x")


def refused(refusing: Refusing, tmp_path: Path, deed: Callable[[LakeIO], None]) -> PfsquidError:
    lake = open_lake(place_of(refusing, tmp_path), make=True)
    with pytest.raises(PfsquidError) as caught, explained(lake):
        deed(LakeIO({CLOUD: lake.place.cloud}))
    assert caught.value.message.startswith("the lake in s3://bucket/p: S3: ")
    return caught.value


@pytest.mark.parametrize("deed", [write, read, remove])
@pytest.mark.parametrize(
    ("status", "code", "said", "step"),
    [
        (400, "ExpiredToken", "the credentials have expired", "aws sso login"),
        (403, "InvalidAccessKeyId", "the access key is not known there", "aws configure list"),
        (403, "SignatureDoesNotMatch", "the secret does not belong to the access key", "aws configure"),
        (403, "RequestTimeTooSkewed", "the clock of this machine is wrong", "timedatectl"),
        (404, "NoSuchBucket", "there is no such bucket", "aws s3 ls"),
        (400, "AuthorizationHeaderMalformed", "the bucket lies in another region", "--bucket bucket"),
        (301, "PermanentRedirect", "the bucket lies in another region", "--bucket bucket"),
        (503, "SlowDown", "it is asked too much at once", "nothing: it is tried again"),
    ],
)
def test_a_refusal_is_told_whether_the_answer_names_it_or_not(
    refusing: Refusing, tmp_path: Path, deed: Any, status: int, code: str, said: str, step: str
) -> None:
    refusing.status, refusing.code = status, code
    error = refused(refusing, tmp_path, deed)
    assert said in error.message
    assert step in " ".join(error.next)


@pytest.mark.parametrize(
    ("deed", "action"), [(write, "s3:PutObject"), (read, "s3:GetObject"), (remove, "DeleteObject")]
)
def test_a_denial_names_the_action(refusing: Refusing, tmp_path: Path, deed: Any, action: str) -> None:
    error = refused(refusing, tmp_path, deed)
    assert f"access is denied: {action}" in error.message
    assert "aws sts get-caller-identity" in error.next[-1]


def test_a_denial_names_who_was_denied_what_where_aws_says_so(refusing: Refusing, tmp_path: Path) -> None:
    refusing.message = (
        "User: arn:aws:sts::1:assumed-role/collector/i-1 is not authorized to perform: s3:PutObject on resource:"
        ' "arn:aws:s3:::bucket/p/x" because no identity-based policy allows it'
    )
    error = refused(refusing, tmp_path, write)
    assert (
        "denied to arn:aws:sts::1:assumed-role/collector/i-1: s3:PutObject on arn:aws:s3:::bucket/p/x" in error.message
    )


def test_what_passes_is_tried_again_before_it_is_told(refusing: Refusing, tmp_path: Path) -> None:
    refusing.status, refusing.code = 503, "SlowDown"
    refused(refusing, tmp_path, write)
    assert len([one for one in refusing.asked if one.startswith("PUT")]) == 2


def test_a_denial_is_not_tried_again(refusing: Refusing, tmp_path: Path) -> None:
    refused(refusing, tmp_path, write)
    assert len([one for one in refusing.asked if one.startswith("PUT")]) == 1


@pytest.mark.parametrize(
    ("endpoint", "said", "step"),
    [
        ("http://127.0.0.1:1", "it cannot be reached", "is the network up"),
        ("http://nowhere.invalid", "its name cannot be resolved", "getent hosts"),
    ],
)
def test_a_store_that_cannot_be_reached_is_told(
    refusing: Refusing, tmp_path: Path, endpoint: str, said: str, step: str
) -> None:
    refusing.endpoint = endpoint
    for deed in (read, write):
        error = refused(refusing, tmp_path, deed)
        assert (said in error.message, step in error.next[0]) == (True, True), error.message


def test_a_store_without_tls_is_told(refusing: Refusing, tmp_path: Path) -> None:
    refusing.endpoint = refusing.endpoint.replace("http:", "https:")
    error = refused(refusing, tmp_path, read)
    assert "its certificate is not trusted, or it speaks no TLS" in error.message
    assert "AWS_CA_BUNDLE" in error.next[0]


def test_no_credentials_and_no_region_are_told(monkeypatch: pytest.MonkeyPatch, refusing: Refusing) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(PfsquidError, match="there are no credentials") as caught:
        access.filesystem(Cloud(endpoint=refusing.endpoint))
    assert caught.value.next[0] == "aws configure"
    with pytest.raises(PfsquidError, match="no region is known") as caught:
        access.filesystem(Cloud())
    assert caught.value.next[0] == "set aws.region in the configuration"
    with pytest.raises(PfsquidError, match="there is no such profile"):
        access.filesystem(Cloud("eu-west-1", "nobody"))


GLUE = Place(Path("/var/lib/pfsquid"), "s3://bucket/p", "glue")


@pytest.mark.parametrize(
    ("exc", "said"),
    [
        (
            ClientError(
                {"Error": {"Code": "AccessDeniedException", "Message": "User: arn:aws:iam::1:user/joe is not authorized"
                 " to perform: glue:GetTable on resource: arn:aws:glue:eu-west-1:1:catalog because …"}}, "GetTable",
            ),
            "access is denied to arn:aws:iam::1:user/joe: glue:GetTable on arn:aws:glue:eu-west-1:1:catalog",
        ),
        (ClientError({"Error": {"Code": "EntityNotFoundException", "Message": "x"}}, "GetDatabase"), "is not there"),
        (ClientError({"Error": {"Code": "ThrottlingException", "Message": "Rate"}}, "GetTable"), "too much at once"),
        (EndpointConnectionError(endpoint_url="https://glue.eu-west-1.amazonaws.com/"), "cannot be reached"),
        (NoCredentialsError(), "there are no credentials"),
        (NoRegionError(), "no region is known"),
    ],
)  # fmt: skip
def test_a_refusal_of_glue_is_told(exc: Exception, said: str) -> None:
    error = failure(GLUE, exc)
    assert error is not None
    assert (said in error.message, bool(error.next)) == (True, True), error.message


def test_a_fault_of_our_own_is_not_told_as_one_of_s3() -> None:
    assert failure(GLUE, KeyError("x")) is None
    assert s3_refusal("[Errno 28] No space left on device") is None


def test_a_full_disk_of_this_machine_is_told_as_such() -> None:
    error = failure(GLUE, OSError(28, "No space left on device"))
    assert error is not None
    assert "no space left for /var/lib/pfsquid, which belongs to the lake in s3://bucket/p" in error.message


def test_a_rest_catalog_that_refuses_or_is_away_is_told(
    refusing: Refusing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = place_of(refusing, tmp_path)
    with rest_catalog(place, tmp_path / "rest", token="right") as address:
        there = replace(place, catalog=f"rest:{address}")
        with pytest.raises(PfsquidError, match="denies access") as caught:
            open_lake(there, make=False)
        assert "PFSQUID_CATALOG_TOKEN" in caught.value.next[0]
        monkeypatch.setenv("PFSQUID_CATALOG_TOKEN", "right")
        with pytest.raises(PfsquidError, match="there is no lake"):
            open_lake(there, make=False)
    with pytest.raises(PfsquidError, match="cannot be reached"):
        open_lake(there, make=False)
    with pytest.raises(PfsquidError, match="is a secret and no part of an address"):
        open_lake(replace(place, catalog="rest:http://127.0.0.1:1/?token=x"), make=False)


def test_a_service_begins_without_its_catalog(refusing: Refusing, tmp_path: Path) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        away = f"rest:http://127.0.0.1:{sock.getsockname()[1]}"
        lake = open_lake(replace(place_of(refusing, tmp_path), catalog=away), make=True)
        with pytest.raises(PfsquidError, match="cannot be reached"), explained(lake):
            lake.table("proxy")
