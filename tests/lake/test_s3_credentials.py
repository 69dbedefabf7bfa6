"""Credentials are those that boto3 finds: of a profile, a process, an assumed role; and fresh ones when they end."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from moto import mock_aws

from pfsquid.cloud import Cloud
from pfsquid.errors import PfsquidError
from pfsquid.lake import access
from pfsquid.lake.access import CLOUD, LakeIO
from pfsquid.lake.catalog import explained, open_lake
from tests.aws.seaweed import KEYS, Seaweed

# Gives what stands in a file, for a time so short that it is asked for again each time.
PROGRAM = """
import datetime, json, sys
access, secret = open(sys.argv[1]).read().split()
until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=30)
print(json.dumps({"Version": 1, "AccessKeyId": access, "SecretAccessKey": secret, "SessionToken": "",
                  "Expiration": until.isoformat()}))
"""
As = Callable[[str], None]


@pytest.fixture
def rotated(seaweed: Seaweed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> As:
    """A profile `rotating` whose keys are those of whom one says."""
    for name in [one for one in os.environ if one.startswith("AWS_")]:
        monkeypatch.delenv(name)
    program, now, config = tmp_path / "program.py", tmp_path / "now", tmp_path / "config"
    program.write_text(PROGRAM)
    config.write_text(
        f"[profile rotating]\nregion = us-east-1\ncredential_process = {sys.executable} {program} {now}\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))  # a session of its own for each test
    return lambda who: (now.write_text(" ".join(KEYS[who])), None)[1]


def test_a_long_run_goes_on_with_fresh_keys(seaweed: Seaweed, tmp_path: Path, rotated: As) -> None:
    rotated("writer")
    place = replace(seaweed.place(tmp_path), cloud=Cloud(None, "rotating", seaweed.endpoint))
    lake = open_lake(place, make=True)
    table = lake.made_table("signins")
    rotated("reader")
    assert table.refresh().metadata
    with pytest.raises(PfsquidError, match="access is denied: s3:PutObject"), explained(lake):
        lake.made_table("audits")
    rotated("writer")
    assert lake.made_table("audits").metadata


def test_the_keys_are_asked_for_once_as_long_as_they_last(seaweed: Seaweed, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in seaweed.env().items():
        monkeypatch.setenv(name, value)
    cloud = Cloud(None, None, seaweed.endpoint)
    begin = time.monotonic()
    systems = {id(access.filesystem(cloud)) for _ in range(200)}
    assert (len(systems), time.monotonic() - begin < 30) == (1, True)
    assert LakeIO({CLOUD: cloud}).fs_by_scheme("s3", "lake") is access.filesystem(cloud)


def test_a_role_that_a_profile_assumes_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config"
    config.write_text(
        "[profile base]\naws_access_key_id = base\naws_secret_access_key = base\nregion = eu-west-1\n"
        "[profile role]\nrole_arn = arn:aws:iam::123456789012:role/collector\nsource_profile = base\n"
        "region = eu-west-1\n"
    )
    with mock_aws(config={"core": {"mock_credentials": False}}):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
        keys = Cloud(None, "role").keys()
    assert (keys.access[:4], bool(keys.token)) == ("ASIA", True)


def test_the_environment_may_send_s3_elsewhere(seaweed: Seaweed, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in seaweed.env().items():
        monkeypatch.setenv(name, value)
    assert Cloud().place() == ("us-east-1", seaweed.endpoint)
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    assert Cloud("eu-central-1").place() == ("eu-central-1", None)
