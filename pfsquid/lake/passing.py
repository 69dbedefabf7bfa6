"""Why a commit did not come about: what passes by itself, and what does not. Judges errors, and does nothing else."""

from __future__ import annotations

import re

from pyiceberg.exceptions import (
    CommitStateUnknownException,
    ServerError,
    ServiceUnavailableError,
    TooManyRequestsError,
)

from pfsquid.errors import PfsquidError


class Moved(PfsquidError):  # noqa: N818 - reads as what it is
    """Another collector brought the same source further meanwhile: nothing of this was committed."""


class Busy(PfsquidError):  # noqa: N818 - reads as what it is
    """A commit did not come about in time. What it was of can be read again: the positions say what is there."""


def transient(exc: BaseException) -> bool:
    """Does what went wrong pass by itself: too many requests, a server's own failure, a connection that was cut?"""
    if isinstance(exc, Busy | Moved):
        return False
    if isinstance(exc, PfsquidError):
        return exc.__cause__ is not None and transient(exc.__cause__)
    if isinstance(exc, CommitStateUnknownException | ServerError | ServiceUnavailableError | TooManyRequestsError):
        return True
    origin = type(exc).__module__.partition(".")[0]
    judge = {"botocore": _of_botocore, "requests": _of_requests, "sqlalchemy": _of_sqlite}.get(origin)
    if judge:
        return judge(exc)
    return isinstance(exc, OSError) and _of_arrow(str(exc))


# Names of errors as Arrow's S3 tells them.
_ARROW = re.compile(
    r"AWS Error (SLOW_DOWN|THROTTLING|SERVICE_UNAVAILABLE|INTERNAL_FAILURE|NETWORK_CONNECTION|REQUEST_TIMEOUT)\b"
    r"|HTTP status (?:5\d\d|429)\b|curlCode: \d+"
)
_PASSING = frozenset(
    {
        *("SlowDown", "Throttling", "ThrottlingException", "ThrottledException", "RequestLimitExceeded"),
        *("TooManyRequestsException", "ProvisionedThroughputExceededException", "RequestTimeout", "InternalError"),
        *("InternalServiceException", "OperationTimeoutException", "ServiceUnavailable", "BandwidthLimitExceeded"),
    }
)


def _of_arrow(text: str) -> bool:
    return bool(_ARROW.search(text)) and "HTTP status 501" not in text


def _of_botocore(exc: BaseException) -> bool:
    response = getattr(exc, "response", None)
    if isinstance(response, dict):
        status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return response.get("Error", {}).get("Code") in _PASSING or status >= 500
    names = {kind.__name__ for kind in type(exc).__mro__}
    return bool(names & {"HTTPClientError", "ConnectionError"}) and not names & {"SSLError", "ProxyConnectionError"}


def _of_requests(exc: BaseException) -> bool:
    names = {kind.__name__ for kind in type(exc).__mro__}
    return bool(names & {"ConnectionError", "Timeout", "ChunkedEncodingError"}) and "SSLError" not in names


def _of_sqlite(exc: BaseException) -> bool:
    return "database is locked" in str(exc)
