"""What AWS and S3-compatible stores refuse, in words that say what to do. Pure: asks nobody, loads no library.

The same refusal comes in two shapes: as an exception of botocore, and as the text of an OSError of Arrow's own client
of S3. Both are brought to the name that AWS gives it, and told by one list.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pfsquid.errors import PfsquidError

_WHO = "aws sts get-caller-identity    # who am I, and where?"
_CLOCK = ("timedatectl    # is the clock synchronised?", "chronyc tracking", "sudo chronyc makestep")
_LOGIN = ("aws sso login    # or whatever gives this machine its credentials", "aws sts get-caller-identity")


@dataclass(frozen=True)
class _Told:
    """why: in words; '' where AWS's own do. next: the steps to take. codes: AWS's names for it."""

    why: str
    next: tuple[str, ...]
    codes: tuple[str, ...]


_ALL = (
    _Told(
        "there are no credentials",
        ("aws configure", "set aws.profile in the configuration", "export AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=…"),
        ("NoCredentialsError", "PartialCredentialsError"),
    ),
    _Told(
        "the credentials have expired",
        _LOGIN,
        (
            *("ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired", "SSOTokenLoadError"),
            *("CredentialRetrievalError", "UnauthorizedSSOTokenError", "TokenRetrievalError"),
        ),
    ),
    _Told(
        "the access key is not known there",
        ("aws configure list    # where does the key come from?", "aws iam list-access-keys", "set aws.profile"),
        ("InvalidAccessKeyId", "UnrecognizedClientException", "InvalidClientTokenId", "InvalidToken"),
    ),
    _Told(
        "the secret does not belong to the access key",
        ("aws configure list    # where does the key come from?", "aws configure"),
        ("SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature"),
    ),
    _Told(
        "the clock of this machine is wrong",
        _CLOCK,
        ("RequestTimeTooSkewed", "RequestInTheFuture"),
    ),
    _Told(
        "access is denied",
        ("allow it in a policy of who asks, or in that of the bucket or its key", _WHO),
        (
            *("AccessDenied", "AccessDeniedException", "AllAccessDisabled", "UnauthorizedOperation", "AccountProblem"),
            *("KMS.AccessDeniedException", "KMS.DisabledException", "Forbidden", "403"),
        ),
    ),
    _Told("there is no such bucket", ("aws s3 ls", "look at lake: in the configuration"), ("NoSuchBucket",)),
    _Told(
        "the bucket lies in another region",
        ("aws s3api get-bucket-location --bucket BUCKET", "set aws.region in the configuration to it"),
        (
            *("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301"),
            *("TemporaryRedirect", "AuthorizationQueryParametersError"),
        ),
    ),
    _Told(
        "no region is known",
        ("set aws.region in the configuration", "export AWS_REGION=eu-central-1"),
        ("NoRegionError",),
    ),
    _Told("there is no such profile", ("aws configure list-profiles", "set aws.profile"), ("ProfileNotFound",)),
    _Told(
        "it is asked too much at once, also after waiting",
        ("nothing: it is tried again later", "fewer commits: raise collect.flush"),
        (
            *("SlowDown", "Throttling", "ThrottlingException", "ThrottledException", "TooManyRequestsException"),
            *("RequestLimitExceeded", "BandwidthLimitExceeded", "503"),
        ),
    ),
    _Told(
        "it cannot be reached",
        ("is the network up, and the address right? Does a proxy stand between (HTTPS_PROXY)?",),
        ("EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError", "Network"),
    ),
    _Told(
        "its name cannot be resolved",
        ("getent hosts s3.amazonaws.com    # does DNS answer?", "is aws.region right, and aws.endpoint?"),
        ("Name",),
    ),
    _Told(
        "its certificate is not trusted, or it speaks no TLS",
        (
            "export AWS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt    # a file with the CA of the store",
            "is aws.endpoint right?",
        ),
        ("SSLError", "TLS"),
    ),
    _Told(
        "a proxy stands between, and refuses",
        ("echo $HTTPS_PROXY $NO_PROXY",),
        ("ProxyConnectionError",),
    ),
    _Told(
        "the database is not there",
        ("pfsquid aws deploy    # makes it", "aws glue get-databases", "set aws.database in the configuration"),
        ("EntityNotFoundException",),
    ),
)
_BY_CODE = {code: told for told in _ALL for code in told.codes}
_ACTION = re.compile(r"not authorized to perform:? ([\w-]+:\w+)(?: on resource:? \"?([^\s\"]+))?")
_USER = re.compile(r"User:? (arn:[^\s]+|[^\s]+) is not")
_MESSAGE = re.compile(
    r"An error occurred \([^)]+\) when calling the (?P<call>\w+) operation(?: \([^)]*\))?: (?P<text>.*)", re.DOTALL
)


def refusal(what: str, exc: Exception) -> PfsquidError:
    """The error of an answer of AWS (a botocore exception). what: what was asked, for people."""
    response = getattr(exc, "response", None) or {}
    code = str(response.get("Error", {}).get("Code", "")) or type(exc).__name__
    text, call = str(exc), ""
    if found := _MESSAGE.match(text):
        text, call = found["text"], found["call"]
    if code == "EndpointConnectionError" and "resolv" in str(getattr(exc, "kwargs", "")).lower():
        code = "Name"
    return refused(what, code, text, call)


def refused(what: str, code: str, text: str, call: str = "", who: str = "") -> PfsquidError:
    """The error of a refusal by its name. text: as AWS worded it. call: the operation, such as `PutObject`, or the
    action. who: whose credentials, where that is known."""
    told = _BY_CODE.get(code)
    if told is None:
        return PfsquidError(f"{what}: {text or code}", _WHO)
    why = told.why
    if told is _BY_CODE["AccessDenied"]:
        action = _ACTION.search(text)
        needs = " on ".join(filter(None, action.groups())) if action else call
        user = _USER.search(text)
        asks = user[1] if user else who
        why += f" to {asks}" if asks else ""
        why += f": {needs.rstrip('.,')}" if needs else ""
    rest = f" ({code}: {text.strip().rstrip('.')})" if text.strip() else f" ({code})"
    return PfsquidError(f"{what}: {why}{rest}", *told.next)


# Arrow's client of S3. Its text: `… AWS Error CODE [(HTTP status 403)] during PutObject operation: …`.
_ARROW = re.compile(
    r"AWS Error (?P<code>[A-Z_0-9]+)(?: \(HTTP status (?P<status>\d+)\))? during (?P<call>\w+) operation: (?P<text>.*)",
    re.DOTALL,
)
_UNKNOWN = re.compile(r"(?:Unable to parse ExceptionName: (?P<code>\S+) )?Message: (?P<text>.*)", re.DOTALL)
_CURL = re.compile(r"curlCode: (\d+)")
_CURL_CODES = {5: "Name", 6: "Name", 35: "TLS", 51: "TLS", 58: "TLS", 59: "TLS", 60: "TLS", 77: "TLS", 83: "TLS"}
_ACTIONS = {
    "HeadObject": "s3:GetObject and s3:ListBucket",
    "GetObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "ListObjectsV2": "s3:ListBucket",
    "DeleteObject": "s3:DeleteObject",
    "DeleteObjects": "s3:DeleteObject",
    "HeadBucket": "s3:ListBucket",
}


@dataclass(frozen=True)
class S3Refusal:
    """What Arrow's client of S3 was refused. code: as AWS names it; '' where the answer had no body to say so, as that
    to a HEAD. status: of HTTP, 0 where not told. action: of IAM, that the call needs."""

    code: str
    status: int
    action: str
    text: str


def s3_refusal(text: str) -> S3Refusal | None:
    """The text of an OSError as a refusal; None where it is none of S3."""
    found = _ARROW.search(text)
    if not found:
        return None
    name, said, status = found["code"], found["text"], int(found["status"] or 0)
    code = "".join(part.capitalize() for part in name.split("_"))
    silent = "No response body" in said
    if name == "NETWORK_CONNECTION":
        curl = _CURL.search(said)
        code = _CURL_CODES.get(int(curl[1]), "Network") if curl else "Network"
    elif name == "UNKNOWN":
        inner = _UNKNOWN.search(said)
        code, said = (inner["code"] or "", inner["text"]) if inner else ("", said)
    elif silent and name in ("ACCESS_DENIED", "RESOURCE_NOT_FOUND", "VALIDATION", "INVALID_PARAMETER_VALUE"):
        code = ""
    if silent and not code:
        status = status or (403 if name == "ACCESS_DENIED" else 400)
    return S3Refusal(code, status, _ACTIONS.get(found["call"], found["call"]), "" if silent else said.strip())
