"""Access to AWS: sessions and clients with sane limits. What AWS and S3 refuse is told by `refusals`.

boto3 is loaded when a client is made, not before: no command that does without AWS waits for it.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pfsquid.errors import PfsquidError
from pfsquid.refusals import refusal

__all__ = ["Cloud", "Keys", "explained", "refusal"]

CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 5, 60, 5
_AMAZON = re.compile(r"https?://(?:[a-z0-9.-]+\.)?(?:amazonaws\.com(?:\.cn)?|api\.aws)(?::443)?/?")
_lock = threading.RLock()  # boto3's sessions make their clients one at a time


@dataclass(frozen=True)
class Keys:
    """Credentials as they are at one moment."""

    access: str
    secret: str
    token: str | None


@dataclass(frozen=True)
class Cloud:
    """Where and as whom. None: as the usual places say (environment, ~/.aws/config, the machine's role). endpoint: of
    an S3-compatible store, for S3 alone."""

    region: str | None = None
    profile: str | None = None
    endpoint: str | None = None

    def session(self) -> Any:
        """A boto3 session, one for all threads. Raises PfsquidError where the profile is not there."""
        with _lock:
            return _session(self, tuple(sorted(_of_aws(os.environ).items())))

    def client(self, service: str, attempts: int = ATTEMPTS, **options: Any) -> Any:
        """A boto3 client with short time-outs and retries with growing pauses. Raises PfsquidError."""
        from botocore.config import Config

        config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": attempts},
            user_agent_extra="pfsquid",
            # Stores that only speak S3 have one name for all buckets, and often know no newer checksums.
            s3={"addressing_style": "path"} if self.endpoint else None,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        given = {"region_name": self.region or "us-east-1"} if service == "s3" and self.endpoint else {}
        endpoint = {"endpoint_url": self.endpoint} if service == "s3" and self.endpoint else {}
        with explained(f"AWS {service}"), _lock:
            return self.session().client(service, config=config, **{**given, **endpoint, **options})

    def keys(self) -> Keys:
        """The credentials, fresh ones where those that there were come to their end. Raises PfsquidError."""
        from botocore.exceptions import NoCredentialsError

        with explained("AWS"):
            with _lock:
                found = self.session().get_credentials()
            if found is None:
                raise NoCredentialsError
            frozen = found.get_frozen_credentials()
            return Keys(frozen.access_key, frozen.secret_key, frozen.token)

    def place(self) -> tuple[str, str | None]:
        """The region of S3, and its address where that is not Amazon's own. Raises PfsquidError without a region."""
        from botocore.exceptions import NoRegionError

        with explained("AWS s3"):
            region = self.region or self.session().region_name
            if self.endpoint:
                return region or "us-east-1", self.endpoint
            if not region:
                raise NoRegionError
        asked = self.client("s3").meta.endpoint_url  # redirected by the environment or a profile?
        return region, None if _AMAZON.fullmatch(asked) else asked

    def who(self) -> str:
        """Whose credentials they are, as AWS says; '' where it does not."""
        with suppress(PfsquidError, Exception):
            return str(self.client("sts", attempts=1).get_caller_identity()["Arn"])
        return ""


@lru_cache(maxsize=16)
def _session(cloud: Cloud, _: tuple[tuple[str, str], ...]) -> Any:
    """A session of this cloud, in an environment that says what it says of AWS."""
    import boto3

    with explained("AWS"):
        # AWS_REGION is what all other tools of AWS know; boto3 alone does not.
        region = cloud.region or os.environ.get("AWS_REGION") or None
        return boto3.Session(profile_name=cloud.profile, region_name=region)


def _of_aws(environment: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in environment.items() if key.startswith("AWS_") or key == "HOME"}


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn what AWS refuses into an error that says what to do. what: what was asked, for people."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as exc:
        raise refusal(what, exc) from exc
