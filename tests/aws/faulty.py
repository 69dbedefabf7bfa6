"""A proxy before S3 that fails at random, as S3 does: 503, 500, connections cut before or after a request was heard.

What it hands on it hands on as it came, so that signatures hold. Each kind of failure has a rate, and a count of how
often it came; `calm` switches all of them off.
"""

from __future__ import annotations

import http.client
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

USUAL = {"slow_down": 0.02, "internal": 0.01, "cut_before": 0.01, "cut_after": 0.02, "cut_within": 0.01, "delay": 0.02}
_ANSWERS = {"slow_down": (503, "SlowDown"), "internal": (500, "InternalError")}
_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "expect"}


@dataclass
class Faulty:
    """The proxy. rates: of each kind, as a part of 1. injected: how often each came. requests: all of them; metadata:
    those of them that wrote a table's next state; refused: those that were answered with a conflict (409)."""

    target: str
    rates: dict[str, float] = field(default_factory=lambda: dict(USUAL))
    seed: int = 20261124
    injected: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    metadata: int = 0
    refused: int = 0
    port: int = 0

    def __post_init__(self) -> None:
        self._dice, self._lock = random.Random(self.seed), threading.Lock()

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def calm(self) -> None:
        """No failure any more."""
        self.rates = {}

    def chosen(self) -> str:
        """What becomes of the next request; "" for nothing bad."""
        with self._lock:
            self.requests += 1
            at = self._dice.random()
            for kind, rate in self.rates.items():
                at -= rate
                if at < 0:
                    self.injected[kind] += 1
                    return kind
        return ""


@contextmanager
def faulty(target: str, **given: object) -> Iterator[Faulty]:
    """A proxy before `target` (http://HOST:PORT), on a port of its own. given: fields of Faulty."""
    proxy = Faulty(target, **given)  # type: ignore[arg-type]
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": proxy}))
    proxy.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, *_: object) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Faulty

    def do_GET(self) -> None:
        """Any method."""
        body = self._body()
        kind = self.proxy.chosen()
        if kind in _ANSWERS:
            status, code = _ANSWERS[kind]
            told = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>by chance</Message></Error>".encode()
            self._answer(status, [("Content-Type", "application/xml")], told)
        elif kind == "cut_before":
            self._cut()
        else:
            if kind == "delay":
                time.sleep(0.5)
            self._pass(body, kind)

    do_PUT = do_POST = do_HEAD = do_DELETE = do_GET  # noqa: N815 - names that the server asks for

    def _pass(self, body: bytes, kind: str) -> None:
        upstream = http.client.HTTPConnection(urlsplit(self.proxy.target).netloc, timeout=30)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in _HOP:
                    upstream.putheader(name, value)
            if body or self.command in ("PUT", "POST"):
                upstream.putheader("Content-Length", str(len(body)))
            upstream.endheaders(body)
            response = upstream.getresponse()
            told = response.read()
        finally:
            upstream.close()
        self.proxy.metadata += self.command == "PUT" and ".metadata.json" in self.path and response.status == 200
        self.proxy.refused += response.status == 409
        if kind == "cut_after":
            self._cut()
            return
        headers = [(name, value) for name, value in response.getheaders() if name.lower() not in _HOP]
        length = int(response.headers.get("Content-Length", len(told)))
        self._answer(response.status, headers, told, length, cut=kind == "cut_within" and len(told) > 1)

    def _answer(
        self, status: int, headers: list[tuple[str, str]], body: bytes, length: int | None = None, cut: bool = False
    ) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self._cut()

    def _cut(self) -> None:
        """Close it in a way that the other side notices at once."""
        self.close_connection = True
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.connection.shutdown(socket.SHUT_RDWR)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def log_message(self, *_: object) -> None:
        """Nothing."""
