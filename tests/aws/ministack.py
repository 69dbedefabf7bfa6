"""AWS on this machine: MiniStack, in an environment of its own, started once for a worker on a free port of 127.0.0.1.

Its Lambda runs functions by the Python of that environment, whatever their runtime. What it does otherwise than AWS:
alarms are evaluated when a metric is put and never for the want of one; a schedule has neither retries nor dead
letters; types that it does not know are refused.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / ".venv-ministack" / "bin" / "ministack"
REGION, ACCOUNT = "eu-central-1", "123456789012"
_READY = 60.0


@dataclass
class MiniStack:
    """A running one. url: of all its services. env: what boto3, here or in a process, needs to reach it."""

    url: str
    log: Path
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.env = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": ACCOUNT,  # whose account it is, for MiniStack
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str) -> Any:
        """A boto3 client."""
        import boto3

        session = boto3.Session(ACCOUNT, "test", region_name=REGION)
        return session.client(service, endpoint_url=self.url)

    def reset(self) -> None:
        """Empty it."""
        request = urllib.request.Request(f"{self.url}/_ministack/reset", method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()

    def ready(self) -> bool:
        """Does it answer?"""
        try:
            with urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False


@pytest.fixture(scope="session")
def ministack_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniStack]:
    """Started once for all tests of a worker."""
    with started(tmp_path_factory.mktemp("ministack")) as server:
        yield server


@contextmanager
def started(folder: Path, **more: str) -> Iterator[MiniStack]:
    """One that runs as long as the context. folder: for its files; more: variables, such as AUTH=true."""
    if not PROGRAM.exists():
        pytest.fail(f"{PROGRAM} is missing: make .venv-ministack/.installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = MiniStack(f"http://127.0.0.1:{port}", folder / "log")
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "PFSQUID_"))},
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "0.2",
        **more,
    }
    with server.log.open("wb") as log:
        process = subprocess.Popen(
            [PROGRAM], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            until = time.monotonic() + _READY
            while not server.ready():
                if process.poll() is not None or time.monotonic() > until:
                    pytest.fail(f"MiniStack does not start: {server.log.read_text('utf-8', 'replace')[-2000:]}")
                time.sleep(0.1)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def ministack(ministack_server: MiniStack) -> MiniStack:
    """An emptied one."""
    ministack_server.reset()
    return ministack_server
