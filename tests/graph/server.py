"""The socket: HTTP/1.1 with keep-alive over TLS, on loopback; and the endings that a connection can take."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any

from tests.graph.control import Control
from tests.graph.faults import Fault
from tests.graph.site import Call, Reply

_JSON = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
IDLE = 30.0  # seconds until a connection without a request is closed


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        at = time.monotonic()
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode("utf-8", "replace")
        if path.startswith("/_control/"):
            status, content = self.server.control.remote(path.removeprefix("/_control/"), query, body)
            if isinstance(content, bytes):
                self._send(Reply(status, content))
            else:
                self._lines(content)
            return
        call = Call(self.command, path, query, {name.title(): value for name, value in self.headers.items()}, body, at)
        site = self.server.control.site
        if site.latency:
            self.server.stopping.wait(site.latency)
        reply = site.answer(call)
        if reply.ending is Fault.SILENCE:
            self.server.stopping.wait(site.faults.silence)
        if reply.ending in (Fault.SILENCE, Fault.CUT_BEFORE):
            self._cut()
        else:
            self._send(reply)

    def _send(self, reply: Reply) -> None:
        packed = "gzip" in self.headers.get("Accept-Encoding", "") and len(reply.body) > 1000
        body = gzip.compress(reply.body, 1) if packed else reply.body
        given = {"Content-Type": _JSON, "Transfer-Encoding": "chunked", "request-id": str(uuid.uuid4())}
        given["client-request-id"] = given["request-id"]
        given["Strict-Transport-Security"] = "max-age=31536000"
        if packed:
            given |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        given |= reply.headers
        self.send_response(reply.status)
        for name, value in given.items():
            self.send_header(name, value)
        self.end_headers()
        if reply.ending in (Fault.CUT_BODY, Fault.STALL):
            part = body[: self.server.rng.randrange(1, max(2, len(body)))]
            self.wfile.write(f"{len(body):x}\r\n".encode() + part)
            if reply.ending is Fault.STALL:
                self.server.stopping.wait(self.server.control.site.faults.silence)
            self._cut()
            return
        chunk = f"{len(body):x}\r\n".encode() + body + b"\r\n" if body else b""
        self.wfile.write(chunk + b"0\r\n\r\n")

    def _lines(self, lines: Iterator[bytes]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/jsonl")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in lines:
            self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def _cut(self) -> None:
        self.close_connection = True
        socket.socket.shutdown(self.connection, socket.SHUT_RDWR)

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The Date header follows the server's own clock."""
        return formatdate(self.server.control.site.clock.now() if timestamp is None else timestamp, usegmt=True)

    def version_string(self) -> str:
        return "Kestrel"

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Serves from `start` to `stop`. control has to be set before."""

    daemon_threads = False
    request_queue_size = 64
    control: Control

    def __init__(self, certificate: Path, key: Path, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        # The handshake belongs to the thread of the connection: one that never ends must not hold up the others.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.stopping = threading.Event()
        self.rng = Random(port)
        self.url = f"https://localhost:{self.server_address[1]}"
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), name="graph", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends all connections and threads."""
        self.stopping.set()
        self.shutdown()
        self._thread.join()
        for connection in list(self._open):
            try:
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
            except OSError:
                continue  # it has ended by itself
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections that end anyhow, and clients that do not trust this server, are everyday things."""
