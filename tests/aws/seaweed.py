"""A real store that speaks S3 (SeaweedFS), on free ports of the loopback, with a writer and a reader.

One for each test worker; `seaweed_apart` is one for a single test, which may stop it and start it again. What it keeps
stays below a folder of its own and small.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pfsquid.cloud import Cloud
from pfsquid.place import Place

WEED = Path(sys.executable).with_name("weed")
PATIENCE = 60.0
KEYS = {name: (f"{name}-key", f"{name}-secret") for name in ("admin", "writer", "reader")}
RIGHTS = {"admin": ["Admin"], "writer": ["Read", "Write", "List", "Tagging"], "reader": ["Read", "List"]}


@dataclass
class Seaweed:
    """The store. port: of S3. bucket: made already. Everybody who asks as `writer` or `reader` may use it."""

    folder: Path
    ports: dict[str, int]
    bucket: str = "lake"
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.ports['s3']}"

    def env(self, who: str = "writer") -> dict[str, str]:
        """What makes boto3 and pfsquid ask it, as somebody."""
        access, secret = KEYS[who]
        return {
            "AWS_ACCESS_KEY_ID": access,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def place(self, folder: Path, catalog: str = "", prefix: str = "") -> Place:
        """A place for a lake of its own; its state and its SQLite catalog are in `folder`. The environment must say as
        whom (see `env`)."""
        url = f"s3://{self.bucket}/{prefix or uuid.uuid4().hex}"
        catalog = catalog or f"sqlite:{folder / 'catalog.db'}"
        return Place(folder / "state", url, catalog, "pfsquid", Cloud("us-east-1", None, self.endpoint))

    def client(self, who: str = "admin") -> Any:
        """boto3's client of S3."""
        import boto3  # here, since all tests load this module
        from botocore.config import Config

        access, secret = KEYS[who]
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=access,
            aws_secret_access_key=secret,
            region_name="us-east-1",
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=10),
        )

    def keys(self, prefix: str) -> set[str]:
        """All keys below s3://BUCKET/PREFIX, given as such, as such."""
        inner = prefix.removeprefix(f"s3://{self.bucket}/")
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=inner)
        return {f"s3://{self.bucket}/{one['Key']}" for page in pages for one in page.get("Contents", ())}

    def start(self) -> None:
        """Until it takes a first object; a volume is assigned only then."""
        self.folder.mkdir(parents=True, exist_ok=True)
        identities = [
            {"name": who, "actions": RIGHTS[who], "credentials": [{"accessKey": access, "secretKey": secret}]}
            for who, (access, secret) in KEYS.items()
        ]
        (self.folder / "s3.json").write_text(json.dumps({"identities": identities}))
        with (self.folder / "weed.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(WEED), *self._words()], stdout=log, stderr=log, cwd=self.folder, start_new_session=True
            )
        self._until_ready()

    def stop(self) -> None:
        """Until it has ended: else the next one could not begin on its ports."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def kill(self) -> None:
        """At once: nobody needs any more what it keeps."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _words(self) -> list[str]:
        ports = self.ports
        given = {
            "dir": self.folder / "data",
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "metricsPort": 0,
            "master.telemetry": "false",
            "master.volumeSizeLimitMB": 64,
            "master.volumePreallocate": "false",
            "volume.max": 60,
            "volume.index": "leveldb",
            "s3.config": self.folder / "s3.json",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            **{f"{name}.port": ports[name] for name in ("master", "volume", "filer", "s3")},
            **{f"{name}.port.grpc": ports[f"{name}.grpc"] for name in ("master", "volume", "filer", "s3")},
        }
        (self.folder / "data").mkdir(exist_ok=True)
        return ["server", "-s3", *(f"-{name}={value}" for name, value in given.items())]

    def _until_ready(self) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        until, client = time.monotonic() + PATIENCE, self.client()
        while True:
            try:
                if self.bucket not in {one["Name"] for one in client.list_buckets()["Buckets"]}:
                    client.create_bucket(Bucket=self.bucket)
                client.put_object(Bucket=self.bucket, Key=".ready", Body=b"1")
                return
            except (BotoCoreError, ClientError) as exc:
                ended = self._process is None or self._process.poll() is not None
                if ended or time.monotonic() > until:
                    tail = (self.folder / "weed.log").read_bytes()[-2000:].decode("utf-8", "replace")
                    self.stop()
                    raise RuntimeError(f"SeaweedFS does not start: {exc}\n{tail}") from exc
                time.sleep(0.1)


def _free_ports() -> dict[str, int]:
    names = [f"{name}{kind}" for name in ("master", "volume", "filer", "s3") for kind in ("", ".grpc")]
    sockets = [socket.socket() for _ in names]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return {name: one.getsockname()[1] for name, one in zip(names, sockets, strict=True)}
    finally:
        for one in sockets:
            one.close()


def _started(folder: Path) -> Iterator[Seaweed]:
    store = Seaweed(folder / "seaweed", _free_ports())
    store.start()
    try:
        yield store
    finally:
        store.kill()
        shutil.rmtree(store.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    """The store of this worker."""
    yield from _started(tmp_path_factory.mktemp("seaweed"))


@pytest.fixture
def seaweed_apart(tmp_path: Path) -> Iterator[Seaweed]:
    """A store for one test alone, which may stop and start it."""
    yield from _started(tmp_path)


@pytest.fixture
def as_writer(seaweed: Seaweed, monkeypatch: pytest.MonkeyPatch) -> Seaweed:
    """The store, and this process asks it as its writer."""
    for name, value in seaweed.env().items():
        monkeypatch.setenv(name, value)
    return seaweed
