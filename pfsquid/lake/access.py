"""The files of a lake, on a disk or in S3: opened, listed, removed. Those in S3 as whom the configuration says.

Credentials are boto3's, which knows profiles, SSO, assumed roles and those of machines. They are asked for at each
file, so that a process that runs for weeks has fresh ones. For a folder nothing of AWS is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow.fs import FileSystem
from pyiceberg.io import (
    S3_ACCESS_KEY_ID,
    S3_ENDPOINT,
    S3_REGION,
    S3_SECRET_ACCESS_KEY,
    S3_SESSION_TOKEN,
    FileIO,
)
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.manifest import DataFile
from pyiceberg.typedef import Properties

from pfsquid.cloud import CONNECT_SECONDS, READ_SECONDS, Cloud, Keys
from pfsquid.errors import PfsquidError
from pfsquid.place import Place

S3 = "s3://"
CLOUD = "pfsquid.cloud"  # of a catalog's properties: as whom files are read and written
TRIES = 5  # of a request to S3, with growing pauses between
_AT_ONCE = 1000  # keys that S3 deletes in a request


@dataclass(frozen=True)
class Seen:
    """A file that is there. changed: when it was last written, in seconds since 1970; size: bytes."""

    changed: float
    size: int


class LakeIO(PyArrowFileIO):
    """pyiceberg's way to files in S3. properties: CLOUD, a Cloud; a catalog may give keys of its own for a table."""

    def __init__(self, properties: Properties) -> None:
        super().__init__(properties)
        if S3_ACCESS_KEY_ID not in properties:
            self.fs_by_scheme = self._current
        elif S3_REGION not in properties:
            self.properties = {S3_REGION: self.cloud.place()[0], **properties}

    @property
    def cloud(self) -> Cloud:
        """As whom, where no catalog gave keys."""
        cloud: Cloud = self.properties[CLOUD]
        return cloud

    def client(self) -> Any:
        """A client of boto3 for what Arrow's cannot do, or not well."""
        given = {
            "aws_access_key_id": self.properties.get(S3_ACCESS_KEY_ID),
            "aws_secret_access_key": self.properties.get(S3_SECRET_ACCESS_KEY),
            "aws_session_token": self.properties.get(S3_SESSION_TOKEN),
            "endpoint_url": self.properties.get(S3_ENDPOINT),
        }
        return self.cloud.client("s3", **{key: value for key, value in given.items() if value is not None})

    def delete(self, location: Any) -> None:
        """Delete a file; one that is not there is no error. Arrow's client would leave an empty `folder` for it."""
        remove(self, [location if isinstance(location, str) else location.location])

    def _current(self, scheme: str, netloc: str | None = None) -> FileSystem:
        return filesystem(self.cloud) if scheme == "s3" else self._initialize_fs(scheme, netloc)


def filesystem(of: Place | Cloud) -> FileSystem:
    """Arrow's file system of S3, with credentials that hold now; paths are `BUCKET/KEY`. Raises PfsquidError."""
    cloud = of.cloud if isinstance(of, Place) else of
    region, endpoint = cloud.place()
    return _filesystem(cloud.keys(), region, endpoint, os.environ.get("AWS_CA_BUNDLE"), _proxy(endpoint))


@lru_cache(maxsize=8)
def _filesystem(keys: Keys, region: str, endpoint: str | None, ca: str | None, proxy: str | None) -> FileSystem:
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem

    scheme, _, host = endpoint.rpartition("://") if endpoint else ("https", "", None)
    return S3FileSystem(
        access_key=keys.access,
        secret_key=keys.secret,
        session_token=keys.token,
        region=region,
        scheme=scheme,
        endpoint_override=host,
        connect_timeout=CONNECT_SECONDS,
        request_timeout=READ_SECONDS,
        allow_delayed_open=True,  # a small file is one request, not three
        retry_strategy=AwsStandardS3RetryStrategy(max_attempts=TRIES),
        tls_ca_file_path=ca,
        proxy_options=proxy,
    )


def _proxy(endpoint: str | None) -> str | None:
    """The proxy that the environment names for S3, as boto3 takes it, too."""
    from urllib.request import getproxies, proxy_bypass

    url = endpoint or "https://s3.amazonaws.com"
    scheme, _, host = url.partition("://")
    return None if proxy_bypass(host) else getproxies().get(scheme)


def located(file: DataFile | str) -> str:
    """Where a file lies: a path of this machine, or s3://BUCKET/KEY."""
    return (file if isinstance(file, str) else file.file_path).removeprefix("file://")


def opened(io: FileIO, file: DataFile | str) -> str | pa.NativeFile:
    """A file as Arrow reads it, at any place of it: its path on this machine, or one open in S3. Raises OSError."""
    path = located(file)
    return arrow_file(io, path) if path.startswith(S3) else path


def arrow_file(io: FileIO, path: str) -> pa.NativeFile:
    """A file in S3, open to be read. Raises OSError."""
    if not isinstance(io, PyArrowFileIO):
        raise PfsquidError(f"{path} is read by {type(io).__name__}, which pfsquid does not know", "set aws.catalog")
    scheme, netloc, inner = io.parse_location(path)
    return io.fs_by_scheme(scheme, netloc).open_input_file(inner)


def files_below(io: FileIO, location: str) -> Iterator[tuple[str, Seen]]:
    """All files below a folder or prefix, as `located` says where they lie. Raises OSError, botocore's errors."""
    root = located(location).rstrip("/")
    if root.startswith(S3):
        assert isinstance(io, LakeIO)
        bucket, _, prefix = root.removeprefix(S3).partition("/")
        pages = io.client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
        for page in pages:
            for one in page.get("Contents", ()):
                if not one["Key"].endswith("/"):
                    yield f"{S3}{bucket}/{one['Key']}", Seen(one["LastModified"].timestamp(), int(one["Size"]))
        return
    for path in Path(root).rglob("*") if Path(root).is_dir() else ():
        try:
            if path.is_file():
                stat = path.stat()
                yield str(path), Seen(stat.st_mtime, stat.st_size)
        except FileNotFoundError:  # gone meanwhile
            continue


def remove(io: FileIO, paths: Iterable[str]) -> None:
    """Delete files; those that are not there are no error. Raises OSError, botocore's errors."""
    remote: dict[str, list[str]] = {}
    for path in map(located, paths):
        if not path.startswith(S3):
            Path(path).unlink(missing_ok=True)
            continue
        bucket, _, key = path.removeprefix(S3).partition("/")
        remote.setdefault(bucket, []).append(key)
    for bucket, keys in remote.items():
        assert isinstance(io, LakeIO)
        client, left = io.client(), iter(keys)
        while some := list(islice(left, _AT_ONCE)):
            wanted = {"Objects": [{"Key": key} for key in some], "Quiet": True}
            failed = client.delete_objects(Bucket=bucket, Delete=wanted).get("Errors", [])
            if failed := [one for one in failed if one.get("Code") != "NoSuchKey"]:
                raise _not_deleted(bucket, failed[0])


def _not_deleted(bucket: str, one: dict[str, Any]) -> BaseException:
    from botocore.exceptions import ClientError

    told = {"Error": {"Code": one.get("Code", ""), "Message": f"{one.get('Message', '')} ({bucket}/{one.get('Key')})"}}
    error: BaseException = ClientError(told, "DeleteObjects")
    return error
