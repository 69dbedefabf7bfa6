"""What a configuration may say of Entra ID: which tenant, as which app, what is read, how fast. Reads no file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from collectors.entra.clouds import CLOUDS
from collectors.entra.streams import DIRECTORY_STREAMS, STREAMS
from collectors.entra.windows import Rules
from pfsquid.references import check_reference, is_reference
from pfsquid.settings import Duration, Secret, Section

_GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# An id that is no GUID is for Entra ID to refuse: private clouds may have others.
_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")
_NO_TENANT = frozenset({"common", "organizations", "consumers"})  # of sign-ins by people, not of an app's own
_HTTPS = re.compile(r"https://[A-Za-z0-9.-]+(?::\d{1,5})?(?:/[A-Za-z0-9._~/-]*)?")
ALL_STREAMS = (*STREAMS, *DIRECTORY_STREAMS)


def _client_id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise ValueError("must be the app's id, such as 11111111-2222-3333-4444-555555555555; not its name")
    return text.lower() if _GUID.fullmatch(text.lower()) else text


def _tenant(text: str) -> str:
    if not _ID.fullmatch(text) or text.lower() in _NO_TENANT:
        raise ValueError("must be the tenant's id (a GUID), or one of its domains such as contoso.onmicrosoft.com")
    return text.lower()


def _https(text: str) -> str:
    if not _HTTPS.fullmatch(text):
        raise ValueError("must be an address that begins with https://")
    return text.rstrip("/")


def _stream(text: str) -> str:
    if text not in ALL_STREAMS:
        raise ValueError(f"must be one of {', '.join(ALL_STREAMS)}")
    return text


def _certificate(value: object) -> object:
    if not isinstance(value, str):
        return value
    return check_reference(value) if is_reference(value) else Path(value)


ClientId = Annotated[str, AfterValidator(_client_id)]
Tenant = Annotated[str, AfterValidator(_tenant)]
HttpsUrl = Annotated[str, AfterValidator(_https)]
StreamName = Annotated[str, AfterValidator(_stream)]
Certificate = Annotated[Path | str, BeforeValidator(_certificate)]  # a file, or the reference of a secret


class SliceSettings(Section):
    """How long the span of one query is, at least and at most, in seconds."""

    least: Duration = Field(default=300.0, ge=10, le=86400)
    most: Duration = Field(default=7 * 86400.0, ge=10, le=30 * 86400)

    @model_validator(mode="after")
    def _in_order(self) -> SliceSettings:
        if self.least > self.most:
            raise ValueError("least must not be more than most")
        return self


class RateSettings(Section):
    """So many requests in any so many seconds. Graph allows an app 5 in 10 s for these logs, per tenant."""

    requests: int = Field(default=5, ge=1, le=10_000)
    per: Duration = Field(default=10.0, gt=0, le=3600)


class EntraSettings(Section):
    """A tenant of Entra ID and the app that reads it. Times in seconds."""

    tenant: Tenant
    client_id: ClientId
    secret: Secret | None = None
    certificate: Certificate | None = None
    passphrase: Secret | None = None
    assertion: Path | None = None
    cloud: Literal[tuple(CLOUDS)] = "global"  # type: ignore[valid-type]
    authority: HttpsUrl | None = None
    graph: HttpsUrl | None = None
    ca: Path | None = None
    streams: tuple[StreamName, ...] = ALL_STREAMS
    settle: Duration = Field(default=900.0, ge=0, le=86400)
    reread: tuple[Duration, ...] = (3600.0, 6 * 3600.0, 24 * 3600.0, 72 * 3600.0)
    slice: SliceSettings = Field(default_factory=SliceSettings)
    rate: RateSettings = Field(default_factory=RateSettings)
    retention: Duration = Field(default=30 * 86400.0, ge=3600, le=90 * 86400)
    every: Duration = Field(default=300.0, ge=1, le=86400)
    timeout: Duration = Field(default=120.0, ge=1, le=600)
    directory: Duration = Field(default=86400.0, ge=60)

    def rules(self) -> Rules:
        """How its streams are read."""
        return Rules(
            settle=round(self.settle),
            reread=tuple(max(1, round(age)) for age in self.reread),
            least=round(self.slice.least),
            most=round(self.slice.most),
            retention=round(self.retention),
        )

    @field_validator("reread")
    @classmethod
    def _positive(cls, ages: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 1 <= age <= 30 * 86400 for age in ages):
            raise ValueError("must be ages from 1s to 30d")
        return tuple(sorted(set(ages)))

    @model_validator(mode="after")
    def _one_credential(self) -> EntraSettings:
        if sum(one is not None for one in (self.secret, self.certificate, self.assertion)) != 1:
            raise ValueError("must have one of secret, certificate and assertion")
        if self.passphrase is not None and self.certificate is None:
            raise ValueError("passphrase is that of a certificate, and there is none")
        return self
