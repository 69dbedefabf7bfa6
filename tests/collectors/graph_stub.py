"""A TLS server that answers as it is told, request by request, and remembers what it was asked."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from collectors.entra.graph import Graph, Patience
from collectors.entra.limit import Limit
from collectors.entra.wire import Timeout

QUICK = Patience(attempts=4, silences=2, first=0.001, most=0.01, longest=5.0)


@dataclass(frozen=True)
class Reply:
    """An answer. cut: bytes of the body that are left out. silent: no answer at all until the server ends."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0
    silent: bool = False
    hang_up: bool = False


@dataclass(frozen=True)
class Got:
    """A request as it came. at: s, monotonic."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float


class Stub:
    """The server. script: asked for a Reply with each request; its place in the list is its number."""

    def __init__(self, certificate: tuple[Path, Path, Path], script: Callable[[Got, int], Reply]) -> None:
        self.ca = certificate[0]
        self.got: list[Got] = []
        self._script = script
        self._over = threading.Event()
        self._lock = threading.Lock()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate[1], certificate[2])
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Stub:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        got = Got(handler.command, handler.path, dict(handler.headers.items()), body, time.monotonic())
        with self._lock:
            self.got.append(got)
            reply = self._script(got, len(self.got) - 1)
        if reply.silent:
            self._over.wait(30)
        if reply.silent or reply.hang_up:
            handler.close_connection = True
            return
        content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        handler.send_response(reply.status)
        for name, value in {"Content-Length": str(len(content)), **reply.headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content[: len(content) - reply.cut])
        handler.close_connection = handler.close_connection or bool(reply.cut)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 16  # head and body in one piece, else each answer waits for the client's delayed ACK
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                stub._answer(self)

            do_POST = do_GET  # noqa: N815 - the name that http.server calls

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of the tests."""


class Fixed:
    """Tokens of no Entra: token-0 until a new one is wanted."""

    def __init__(self) -> None:
        self.number = 0

    def token(self, renew: bool = False) -> str:
        self.number += renew
        return f"token-{self.number}"


@contextmanager
def stub(certificate: tuple[Path, Path, Path], *replies: Reply) -> Iterator[Stub]:
    """A server that gives these replies one after the other, and the last one for ever."""
    with Stub(certificate, lambda _, number: replies[min(number, len(replies) - 1)]) as server:
        yield server


def graph_of(server: Stub, tokens: Fixed | None = None, **options: Any) -> Graph:
    """A client of the server, without a limit that matters and with little patience."""
    settings: dict[str, Any] = {
        "limit": Limit(1000, 0.1),
        "ca": server.ca,
        "timeout": Timeout(5, 5, 10),
        "patience": QUICK,
        **options,
    }
    return Graph(tokens or Fixed(), server.url, **settings)


def page(server_url: str, *ids: str, next: str = "") -> dict[str, Any]:
    """A page of records with these ids; next: path of the next one."""
    raw: dict[str, Any] = {"@odata.context": f"{server_url}/$metadata", "value": [{"id": one} for one in ids]}
    if next:
        raw["@odata.nextLink"] = f"{server_url}{next}"
    return raw


def error(status: int, code: str, text: str, **headers: str) -> Reply:
    """An error as Graph words it."""
    raw = {"error": {"code": code, "message": text, "innerError": {"request-id": "r-1"}}}
    return Reply(status, raw, {name.replace("_", "-"): value for name, value in headers.items()})
