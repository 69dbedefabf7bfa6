"""The handler as Lambda calls it, in this process: variables of the function, a context, what it tells CloudWatch."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from collectors.entra.graph import Patience
from pfsquid import secrets_aws
from pfsquid.aws import handler
from pfsquid.aws.package import Package, build
from pfsquid.lake.catalog import Lake, open_lake
from tests.graph.serving import Served

ARCH = {"x86_64": "x86_64", "aarch64": "arm64"}[platform.machine()]
PYTHON = f"3.{sys.version_info.minor}"
SECRET_NAME = "/pfsquid/entra/secret"
FAST = {"rate": {"requests": 5, "per": 0.5}, "retention": "1d", "timeout": 1.0, "every": 1}


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """For the Python that runs this, which is the one of MiniStack, too."""
    return build(ARCH, tmp_path_factory.mktemp("package") / "code.zip", PYTHON)


@dataclass
class Context:
    """What Lambda gives beside the event. seconds: that the run may last."""

    seconds: float = 60.0
    aws_request_id: str = "00000000-0000-0000-0000-000000000000"
    begun: float = field(default_factory=time.monotonic)

    def get_remaining_time_in_millis(self) -> int:
        return round((self.seconds - (time.monotonic() - self.begun)) * 1000)


@dataclass
class Runs:
    """Runs of the handler into one lake. logged: all lines of the log."""

    lake_path: Path
    capsys: pytest.CaptureFixture[str]
    logged: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, seconds: float = 60.0) -> dict[str, Any]:
        """One run. Raises what the handler raises."""
        try:
            return handler.handle({}, Context(seconds))
        finally:
            lines = self.capsys.readouterr().out.splitlines()
            self.logged += [json.loads(line) for line in lines]

    @property
    def lake(self) -> Lake:
        return open_lake(self.lake_path, make=False)

    def held(self, table: str, **where: str) -> dict[str, dict[str, Any]]:
        """id → row; no id may be there twice."""
        there = self.lake.table(table)
        assert there is not None
        rows = [row for row in there.scan().to_arrow().to_pylist() if all(row[k] == v for k, v in where.items())]
        assert len(rows) == len({row["id"] for row in rows})
        return {row["id"]: row for row in rows}


def variables(served: Served, lake: Path | str, **given: object) -> dict[str, str]:
    """Of the function, as the stack sets them. given: further keys of the tenant."""
    return {
        "PFSQUID_NAME": "pfsquid",
        "PFSQUID_LAKE": str(lake),
        "PFSQUID_TENANT": served.tenant,
        "PFSQUID_CLIENT_ID": served.client_id,
        "PFSQUID_SECRET": f"ssm:{SECRET_NAME}",
        "PFSQUID_STREAMS": "interactive,audits",
        "PFSQUID_GRAPH": served.url,
        "PFSQUID_AUTHORITY": served.authority,
        "PFSQUID_CA": str(served.ca),
        "PFSQUID_SETTINGS": json.dumps({**FAST, **given}),
    }


@contextmanager
def running(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Runs]]:
    """begin(served, **given) → Runs into a lake of `folder`, with the secret in a Parameter Store in this process."""
    for name in [one for one in os.environ if one.startswith(("AWS_", "PFSQUID_"))]:
        monkeypatch.delenv(name)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    # What waits for minutes in life.
    monkeypatch.setattr("pfsquid.entra.PATIENCE", Patience(attempts=2, silences=1, first=0.05))
    monkeypatch.setattr("pfsquid.entra._TRIES", 2)
    secrets_aws._kept.clear()

    def begin(served: Served, **given: object) -> Runs:
        for name, value in variables(served, folder / "lake", **given).items():
            monkeypatch.setenv(name, value)
        put_secret(served.secret)
        return Runs(folder / "lake", capsys)

    with mock_aws():
        yield begin
    secrets_aws._kept.clear()


def put_secret(value: str) -> None:
    """As `pfsquid aws deploy` does."""
    boto3.client("ssm").put_parameter(Name=SECRET_NAME, Value=value, Type="SecureString", Overwrite=True)


def metric(name: str, statistic: str = "Maximum") -> float | None:
    """What CloudWatch says of the last hour; None where nothing was measured."""
    now = datetime.now(UTC)
    told = boto3.client("cloudwatch").get_metric_statistics(
        Namespace="pfsquid",
        MetricName=name,
        Dimensions=[{"Name": "Name", "Value": "pfsquid"}],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(hours=1),
        Period=7200,
        Statistics=[statistic],
    )
    points = [one[statistic] for one in told["Datapoints"]]
    return max(points) if points else None
