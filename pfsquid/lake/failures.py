"""What goes wrong with a lake, in words that say what to do: a disk, a catalog, S3. Judges what it is given.

An answer of S3 to a HEAD has no body and so no name for what is wrong; then S3 is asked once more, in a way that it
can answer in words.
"""

from __future__ import annotations

import re
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from shlex import quote
from typing import Any

from pyiceberg.exceptions import (
    AuthorizationExpiredError,
    CommitFailedException,
    ForbiddenError,
    NoSuchNamespaceError,
    OAuthError,
    RESTError,
    UnauthorizedError,
)
from sqlalchemy.exc import DatabaseError

from pfsquid.errors import PfsquidError, WrongUse
from pfsquid.place import Place
from pfsquid.refusals import S3Refusal, refusal, refused, s3_refusal

_AGAIN = "run this again: it goes on from what is in the lake"


@contextmanager
def explaining(place: Place) -> Iterator[None]:
    """Turn what goes wrong with a lake into an error that says what to do."""
    try:
        yield
    except PfsquidError:
        raise
    except Exception as exc:
        found = failure(place, exc)
        if found is None:
            raise
        raise found from exc


def failure(place: Place, exc: Exception) -> PfsquidError | None:
    """The error of whatever a catalog, a disk or S3 raised; None of what is a fault of pfsquid's own."""
    if isinstance(exc, CommitFailedException):
        return PfsquidError(
            f"another program wrote to the lake in {place} at the same moment; nothing of this step was written", _AGAIN
        )
    if isinstance(exc, DatabaseError | sqlite3.Error):
        return _local(place, str(getattr(exc, "orig", exc)), catalog=True)
    if place.url and (found := _remote(place, exc)):
        return found
    if isinstance(exc, OSError):
        return _local(place, exc.strerror or str(exc))
    return None


def no_lake(place: Place) -> WrongUse:
    """There is none, where one is to be read."""
    collect = f"pfsquid collect squid --from /path/to/access.log --lake {quote(str(place))}"
    if not place.url:
        return WrongUse(f"there is no lake in {place}", collect, "pfsquid demo")
    which = f"the catalog {place.catalog} has no database {place.database}"
    steps = ("pfsquid aws deploy    # makes it in AWS",) if place.catalog == "glue" else ()
    return WrongUse(f"there is no lake in {place}: {which}", collect, *steps)


def _local(place: Place, why: str, catalog: bool = False) -> PfsquidError:
    lower = why.lower()
    folder = str(place.catalog_file.parent if catalog and place.catalog_file else place.folder)
    of = f"the lake in {place}" if not place.url else f"{folder}, which belongs to the lake in {place}"
    if "no such table" in lower:  # made by a process that was killed before it wrote anything
        return no_lake(place)
    if any(words in lower for words in ("no space", "disk is full", "disk full", "quota exceeded")):
        return PfsquidError(
            f"no space left for {of}",
            f"df -h {quote(folder)}",
            "make room, and run this again: it goes on from what is in the lake",
        )
    if any(words in lower for words in ("permission", "readonly", "read-only", "unable to open", "not permitted")):
        other = "set aws.state to another folder" if place.url else "pfsquid … --lake ANOTHER_FOLDER"
        return PfsquidError(
            f"no access to {of}: {why}", f"ls -ld {quote(folder)}    # whose is it, and is it mounted read-only?", other
        )
    return PfsquidError(f"{of} cannot be used: {why}", f"ls -la {quote(folder)}")


def _remote(place: Place, exc: Exception) -> PfsquidError | None:
    what = f"the lake in {place}"
    if _is_of(exc, "botocore.exceptions", "BotoCoreError", "ClientError"):
        return _of_bucket(place, refusal(f"{what}: {_service(exc)}", exc))
    if isinstance(exc, NoSuchNamespaceError):
        return no_lake(place)
    if isinstance(exc, RESTError):
        return _rest(place, what, exc)
    if _is_of(exc, "requests", "RequestException"):
        return _unreached(place, what, exc)
    if isinstance(exc, OSError):
        refusal_of = s3_refusal(str(exc))
        if refusal_of:
            return _of_bucket(place, _s3(place, what, refusal_of))
        if isinstance(exc, FileNotFoundError) and str(exc).count(_bucket(place)):
            return _gone(place, what, exc)
    return None


def _is_of(exc: Exception, module: str, *names: str) -> bool:
    """Is it of one of these classes of a library? Asked so that the library need not be loaded."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(exc, tuple(getattr(loaded, name) for name in names))


def _service(exc: Exception) -> str:
    told = str(exc)
    return "Glue" if any(word in told for word in ("glue", "Glue", "Database operation", "Table operation")) else "S3"


def _bucket(place: Place) -> str:
    return place.url.removeprefix("s3://").partition("/")[0]


def _s3(place: Place, what: str, told: S3Refusal) -> PfsquidError:
    if told.code:
        who = place.cloud.who() if told.code == "AccessDenied" and "User" not in told.text else ""
        return refused(f"{what}: S3", told.code, told.text, told.action, who)
    if found := _asked_again(place, f"{what}: S3"):
        return found
    if told.status == 403:
        who = place.cloud.who() if not place.cloud.endpoint else ""
        return refused(f"{what}: S3", "AccessDenied", "", told.action, who)
    return refused(f"{what}: S3", str(told.status), told.text or f"HTTP status {told.status}", told.action)


def _asked_again(place: Place, what: str) -> PfsquidError | None:
    """What S3 says of the bucket in words; None where it has nothing to say against it, or nothing but a denial, which
    may be one of another action."""
    with suppress(PfsquidError):
        client = place.cloud.client("s3", attempts=1)
        asked = place.cloud.place()[0]
        prefix = place.url.removeprefix("s3://").partition("/")[2]
        try:
            answer = client.list_objects_v2(Bucket=_bucket(place), Prefix=f"{prefix}/", MaxKeys=1)
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is told
            code = str((getattr(exc, "response", None) or {}).get("Error", {}).get("Code", ""))
            return None if code in ("AccessDenied", "403", "") else _of_bucket(place, refusal(what, exc))
        headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        region = str(headers.get("x-amz-bucket-region", ""))
        if region and region != asked:
            return PfsquidError(
                f"{what}: the bucket {_bucket(place)} lies in {region}, and not in {asked}",
                f"set aws.region: {region} in the configuration",
                f"export AWS_REGION={region}",
            )
    return None


def _of_bucket(place: Place, error: PfsquidError) -> PfsquidError:
    """The error with the bucket's name in its steps."""
    error.next = tuple(step.replace("BUCKET", _bucket(place)) for step in error.next)
    return error


def _gone(place: Place, what: str, exc: Exception) -> PfsquidError:
    """A file that the catalog names is not there: the bucket, or the file."""
    if found := _asked_again(place, f"{what}: S3"):
        return found
    missing = re.search(r"'?(?:s3://)?(" + re.escape(_bucket(place)) + r"/[^' ]+)'?", str(exc))
    name = missing[1] if missing else str(exc)
    return PfsquidError(
        f"{what}: the file s3://{name} is not there, though a table names it",
        f"aws s3 ls s3://{name}    # deleted by somebody, or by a lifecycle rule of the bucket?",
        "a bucket with versioning can give it back: docs/lake.md",
    )


def _rest(place: Place, what: str, exc: RESTError) -> PfsquidError:
    said = str(exc).partition("\n")[0]
    if isinstance(exc, UnauthorizedError | ForbiddenError | OAuthError | AuthorizationExpiredError):
        return PfsquidError(
            f"{what}: its catalog ({_address(place)}) denies access: {said}",
            "export PFSQUID_CATALOG_TOKEN=…    # or PFSQUID_CATALOG_CREDENTIAL=CLIENT:SECRET",
        )
    return PfsquidError(f"{what}: its catalog ({_address(place)}) says: {said}", f"curl {_address(place)}/v1/config")


def _unreached(place: Place, what: str, exc: Any) -> PfsquidError:
    told = str(exc)
    if "SSLError" in type(exc).__name__ or "certificate" in told.lower():
        return refused(f"{what}: its catalog ({_address(place)})", "TLS", told)
    code = "Name" if "resolve" in told.lower() or "Name or service" in told else "Network"
    return refused(f"{what}: its catalog ({_address(place)})", code, told)


def _address(place: Place) -> str:
    return place.catalog.removeprefix("rest:").partition("?")[0].rstrip("/")
