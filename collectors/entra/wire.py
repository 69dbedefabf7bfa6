"""One request over TLS and its whole answer. Knows nothing of Graph but its size; never retries, never redirects.

What of the environment counts: HTTPS_PROXY and NO_PROXY; REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE only where no CA file
was given. Nothing else: no .netrc, whose password would take the token's place.
"""

from __future__ import annotations

import io
import ipaddress
import os
import re
import threading
import time
import weakref
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from requests import exceptions
from requests.utils import get_environ_proxies

from collectors.entra.errors import GraphError, Kind

# A page of 1,000 sign-ins is 5 MB or so. Far above it lies a mistake, or an attack on this machine's memory.
MOST_BYTES = 64 << 20
_PIECE = 1 << 16
_GZIP = ("gzip", "x-gzip")


@dataclass(frozen=True)
class Timeout:
    """s. connect: until there is a connection. read: of silence. whole: until all of an answer is there."""

    connect: float = 10.0
    read: float = 120.0
    whole: float = 300.0


@dataclass(frozen=True)
class Answer:
    """An answer of HTTP: status, headers (names in any case), the body as it came. zipped: is that gzip (RFC 1952)?

    It waits packed, a tenth of its size, until its turn to be taken apart comes.
    """

    status: int
    headers: Mapping[str, str]
    packed: bytes
    zipped: bool = False

    @property
    def body(self) -> bytes:
        """The body unpacked, anew each time. GraphError BROKEN where it is damaged or too large."""
        return _unzipped(self.packed) if self.zipped else self.packed


class Wire:
    """Connections that stay open, a set of them for each thread. ca: the only CAs that are trusted, PEM."""

    def __init__(self, ca: Path | None = None, timeout: Timeout | None = None) -> None:
        self._ca, self.timeout = ca, timeout or Timeout()
        self._local = threading.local()
        self._sessions: weakref.WeakSet[requests.Session] = weakref.WeakSet()

    def get(self, url: str, headers: Mapping[str, str], seen: Callable[[], None]) -> Answer:
        """The answer to a GET. seen: called when its head is there. GraphError: UNREACHABLE, TOO_SLOW or BROKEN."""
        deadline = time.monotonic() + self.timeout.whole
        try:
            session = self.session()
            request = session.prepare_request(requests.Request("GET", url, headers=dict(headers)))
            if url.isascii() and url.isprintable() and " " not in url:
                request.url = url  # Graph's links are opaque: not a character of them is changed
            with session.send(request, stream=True, allow_redirects=False, **self.settings(url)) as response:
                seen()
                zipped = response.headers.get("Content-Encoding", "").strip().lower() in _GZIP
                if zipped:
                    response.raw.headers.pop("Content-Encoding")  # else urllib3 unpacks what waits better packed
                body = io.BytesIO()  # gives its bytes without a copy, which a list of parts does not
                for part in response.iter_content(_PIECE):
                    body.write(part)
                    if body.tell() > MOST_BYTES:
                        raise GraphError(Kind.BROKEN, f"an answer of more than {MOST_BYTES >> 20} MiB")
                    if time.monotonic() > deadline:
                        raise GraphError(Kind.TOO_SLOW, f"an answer not complete after {self.timeout.whole:g} s")
                return Answer(response.status_code, response.headers, body.getvalue(), zipped)
        except (exceptions.RequestException, OSError) as exc:
            raise failure(exc, urlsplit(url).hostname or url, self.timeout) from exc

    def session(self) -> requests.Session:
        """This thread's session."""
        session = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.trust_env = False
            session.headers.update({"User-Agent": "pfsquid", "Accept-Encoding": "gzip"})
            self._local.session = session
            self._sessions.add(session)
        assert isinstance(session, requests.Session)
        return session

    def close(self) -> None:
        """Close all connections. What asks again opens new ones."""
        for session in tuple(self._sessions):
            session.close()

    def settings(self, url: str) -> dict[str, Any]:
        """What `requests` needs to be told for a URL: timeout, verify, proxies."""
        ca: str | bool = str(self._ca) if self._ca else _environment_ca()
        return {
            "timeout": (self.timeout.connect, self.timeout.read),
            "verify": ca,
            "proxies": {} if _here(url) else get_environ_proxies(url),
        }


def _unzipped(packed: bytes) -> bytes:
    """Raises GraphError BROKEN where it is no gzip, ends too early, or would be larger than any answer."""
    unzip = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        body = unzip.decompress(packed, MOST_BYTES + 1)
    except zlib.error as exc:
        raise GraphError(Kind.BROKEN, f"the answer is damaged: {exc}") from exc
    if len(body) > MOST_BYTES:
        raise GraphError(Kind.BROKEN, f"an answer of more than {MOST_BYTES >> 20} MiB")
    if packed and not unzip.eof:
        raise GraphError(Kind.BROKEN, "the answer is cut off")
    return body


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """s that an answer asks to be left alone (Retry-After: RFC 9110, 10.2.3: s or a date); None where it does not.

    A date counts from the answer's own Date, as this machine's clock may differ. now: s since 1970, where it has none.
    """
    text = (headers.get("Retry-After") or "").strip()
    try:
        if re.fullmatch(r"\d{1,9}(\.\d*)?", text):
            return float(text)
        then = parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    try:
        since = parsedate_to_datetime(headers.get("Date") or "").timestamp()
    except (ValueError, TypeError, OverflowError):
        since = time.time() if now is None else now
    return max(0.0, then - since)


def failure(exc: Exception, host: str, timeout: Timeout) -> GraphError:
    """What a failure of the connection means. Its text never holds what was sent."""
    text = _innermost(exc)
    if isinstance(exc, exceptions.ReadTimeout) or "read timed out" in text.lower():
        return GraphError(Kind.TOO_SLOW, f"{host} is silent for {timeout.read:g} s")
    if isinstance(exc, exceptions.ProxyError):
        return GraphError(
            Kind.UNREACHABLE,
            f"the proxy on the way to {host} does not let through: {text}",
            "check HTTPS_PROXY and NO_PROXY",
        )
    if isinstance(exc, exceptions.SSLError) and "CERTIFICATE_VERIFY_FAILED" in text:
        return GraphError(
            Kind.UNREACHABLE,
            f"the certificate of {host} is not trusted: {text}",
            "where a proxy opens TLS, set `ca` to a PEM file with its CA",
            code="certificate",
        )
    if isinstance(exc, (exceptions.ChunkedEncodingError, exceptions.ContentDecodingError)):
        return GraphError(Kind.BROKEN, f"the answer of {host} is cut off: {text}")
    if isinstance(exc, OSError) and "CA certificate bundle" in str(exc):
        return GraphError(Kind.UNREACHABLE, str(exc), "set `ca` to a PEM file that is there", code="certificate")
    return GraphError(
        Kind.UNREACHABLE,
        f"{host} cannot be reached: {text}",
        "check the network and name resolution of this machine; behind a proxy, set HTTPS_PROXY",
    )


def _innermost(exc: BaseException) -> str:
    """The cause below urllib3's wrappings, which repeat the whole URL with its query."""
    while True:
        inner = getattr(exc, "reason", None) or next((arg for arg in exc.args if isinstance(arg, BaseException)), None)
        if not isinstance(inner, BaseException):
            return " ".join(str(exc.args[-1] if exc.args else exc).split())[:200] or type(exc).__name__
        exc = inner


def _environment_ca() -> str | bool:
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True


def _here(url: str) -> bool:
    """Whether a URL is of this machine itself, which no proxy could reach."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
