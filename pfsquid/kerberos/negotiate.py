"""One request through a proxy, with a Negotiate token or without (RFC 4559, RFC 9110 11.7); never tried again."""

from __future__ import annotations

import base64
import re
import socket
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

_MOST_HEAD = 1 << 18  # bytes of status line and headers
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: [^\r\n]*)?\r?\n")
_SCHEME = re.compile(r"(?:^|,)\s*([A-Za-z][A-Za-z0-9._-]*)(?=\s*(?:,|$)|\s+[^\s=,]+=*\s*(?:,|$)|\s+[\w-]+\s*=)")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


class NoProxy(Exception):  # noqa: N818 - reads as what it is
    """What answers there is no HTTP proxy, or it closes without an answer."""


@dataclass(frozen=True)
class Reply:
    """What the proxy answered, or the site through it.

    schemes: what it offers for authentication (`Negotiate`, `Basic`…), as it writes and orders them; error: Squid's
    X-Squid-Error (`ERR_CACHE_ACCESS_DENIED 0`), or ''; local: our address and port, which Squid logs; seconds: in all.
    """

    status: int
    schemes: tuple[str, ...]
    error: str
    local: tuple[str, int]
    seconds: float


def ask(address: str, port: int, url: str, token: bytes | None, seconds: float = 10) -> Reply:
    """GET an http:// URL through the proxy; its body is not read. token: as spnego.token makes it; None sends none.

    seconds: for all of it. OSError: the proxy cannot be reached, or does not answer in time (TimeoutError). NoProxy: it
    answers no HTTP. ValueError: a URL that no request line can carry.
    """
    request = _request(url, token)
    begun = time.monotonic()
    end = begun + seconds
    with socket.create_connection((address, port), seconds) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        local = connection.getsockname()[:2]
        connection.sendall(request)
        head = _head(connection, end)
    found = _STATUS.match(head)
    if not found:
        raise NoProxy(f"{address}:{port} answers with something that is no HTTP")
    headers = _headers(head[found.end() :])
    return Reply(
        status=int(found[1]),
        schemes=tuple(scheme for name, value in headers if name == "proxy-authenticate" for scheme in _schemes(value)),
        error=next((value for name, value in headers if name == "x-squid-error"), ""),
        local=(str(local[0]), int(local[1])),
        seconds=time.monotonic() - begun,
    )


def _request(url: str, token: bytes | None) -> bytes:
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or "@" in parts.netloc or not re.fullmatch(r"[!-~]+", url):
        raise ValueError(f"{url!r} is no http:// URL without a login")
    lines = [
        f"GET {url} HTTP/1.1",
        f"Host: {parts.netloc}",
        "User-Agent: pfsquid",
        "Accept: */*",
        "Cache-Control: no-cache",
        "Connection: close",
    ]
    if token is not None:
        lines.append(f"Proxy-Authorization: Negotiate {base64.b64encode(token).decode()}")
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def _head(connection: socket.socket, end: float) -> bytes:
    """What comes up to the empty line, informational answers (1xx) left out."""
    received = bytearray()
    while True:
        found = re.search(rb"\r?\n\r?\n", received)
        if found:
            if re.match(rb"HTTP/1\.[01] 1", received):
                del received[: found.end()]
                continue
            return bytes(received[: found.start() + 2])
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        connection.settimeout(left)
        piece = connection.recv(1 << 16)
        if not piece:
            raise NoProxy("the proxy closed the connection " + ("within" if received else "without") + " an answer")
        received += piece
        if len(received) > _MOST_HEAD:
            raise NoProxy(f"the proxy sent more than {_MOST_HEAD} bytes and no end of headers")


def _headers(lines: bytes) -> list[tuple[str, str]]:
    pairs = (line.partition(":") for line in lines.decode("latin-1").splitlines())
    return [(name.strip().lower(), value.strip()) for name, colon, value in pairs if colon]


def _schemes(value: str) -> list[str]:
    """Of a list of challenges: `Negotiate, Basic realm="a, b"` is Negotiate and Basic (RFC 9110 11.6.1)."""
    return _SCHEME.findall(_QUOTED.sub('""', value))
