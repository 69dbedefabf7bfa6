"""Runs inside ws: one connection to the proxy that counts every byte it sends and receives.

Plain HTTP, CONNECT with TLS inside, Negotiate tokens. It never retries and never hides a reply:
what the caller asks for is one request on the wire, and what comes back is one `Reply`.
"""

from __future__ import annotations

import base64
import importlib
import socket
import ssl
from dataclasses import dataclass, field

from tests.lab.layout import FW, PROXY_PORT


@dataclass(frozen=True)
class Reply:
    """An answer: `size` counts status line, headers and body as they came, chunk framing too."""

    status: int
    headers: dict[str, str]
    size: int
    complete: bool = True


def token(ccache: str) -> bytes:
    """A Negotiate token for the proxy from a ticket in `ccache`, as the header carries it."""
    gssapi = importlib.import_module("gssapi")
    name = gssapi.Name(f"HTTP@{FW.fqdn}", gssapi.NameType.hostbased_service)
    spnego = gssapi.OID.from_int_seq("1.3.6.1.5.5.2")
    credentials = gssapi.Credentials(usage="initiate", store={"ccache": ccache}, mechs=[spnego])
    context = gssapi.SecurityContext(name=name, creds=credentials, mech=spnego, usage="initiate")
    return base64.b64encode(context.step())


@dataclass
class Connection:
    """A TCP connection to the proxy; `sent` and `received` count bytes on its socket."""

    family: int = socket.AF_INET
    sent: int = 0
    received: int = 0
    tls: ssl.SSLObject | None = None
    closed: bool = False
    waiting: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        address = FW.address4 if self.family == socket.AF_INET else FW.address6
        self.socket = socket.create_connection((address, PROXY_PORT), 30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._from_peer, self._to_peer = ssl.MemoryBIO(), ssl.MemoryBIO()

    @property
    def client_address(self) -> str:
        return str(self.socket.getsockname()[0])

    @property
    def client_port(self) -> int:
        return int(self.socket.getsockname()[1])

    def close(self) -> None:
        self.socket.close()

    # bytes on the socket

    def _raw_send(self, data: bytes) -> None:
        self.socket.sendall(data)
        self.sent += len(data)

    def _raw_receive(self) -> bytes:
        data = self.socket.recv(1 << 16)
        self.received += len(data)
        self.closed = self.closed or not data
        return data

    # bytes of the conversation, inside TLS where there is TLS

    def send(self, data: bytes) -> None:
        if self.tls is None:
            self._raw_send(data)
            return
        for start in range(0, len(data), 1 << 16):
            self.tls.write(data[start : start + (1 << 16)])
            self._raw_send(self._to_peer.read())

    def receive(self) -> bytes:
        """Some bytes, or b"" when the other side has ended."""
        if self.tls is None:
            return self._raw_receive()
        while True:
            try:
                return self.tls.read(1 << 16)
            except ssl.SSLWantReadError:
                data = self._raw_receive()
                if not data:
                    return b""
                self._from_peer.write(data)
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    def start_tls(self, host: str) -> None:
        """TLS through the tunnel; the lab's sites all have one certificate, which is not checked."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        tls = context.wrap_bio(self._from_peer, self._to_peer, server_hostname=host)
        while True:
            try:
                tls.do_handshake()
                self._raw_send(self._to_peer.read())
                break
            except ssl.SSLWantReadError:
                self._raw_send(self._to_peer.read())
                data = self._raw_receive()
                if not data:
                    raise ConnectionError("the tunnel ended during the TLS handshake") from None
                self._from_peer.write(data)
        self.tls = tls

    # replies

    def _more(self) -> bool:
        data = self.receive()
        self.waiting += data
        return bool(data)

    def _take(self, count: int) -> int:
        taken = min(count, len(self.waiting))
        del self.waiting[:taken]
        return taken

    def _take_body(self, length: int) -> int:
        taken = self._take(length)
        while taken < length and self._more():
            taken += self._take(length - taken)
        return taken

    def _take_line(self) -> bytes:
        while b"\n" not in self.waiting:
            if not self._more():
                break
        end = self.waiting.find(b"\n") + 1 or len(self.waiting)
        line = bytes(self.waiting[:end])
        self._take(end)
        return line

    def reply(self, method: str) -> Reply:
        """Read one reply to its end. A connection that ends before any byte gives status 0."""
        first = self._take_line()
        if not first:
            return Reply(0, {}, 0, complete=False)
        status, size, headers = int(first.split()[1]), len(first), dict[str, str]()
        while True:
            line = self._take_line()
            size += len(line)
            if line in (b"\r\n", b"\n", b""):
                break
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        if method == "HEAD" or status in (204, 304) or (method == "CONNECT" and status == 200):
            return Reply(status, headers, size)
        if headers.get("transfer-encoding") == "chunked":
            while True:
                line = self._take_line()
                length = int(line.split(b";")[0] or b"0", 16)
                size += len(line) + self._take_body(length + 2)
                if length == 0:
                    return Reply(status, headers, size)
        if "content-length" in headers:
            length = int(headers["content-length"])
            taken = self._take_body(length)
            return Reply(status, headers, size + taken, complete=taken == length)
        while self._more():
            size += self._take(len(self.waiting))
        return Reply(status, headers, size + self._take(len(self.waiting)))

    def read_to_the_end(self) -> None:
        """Read until the proxy closes, so that every byte that was sent to us is counted."""
        while self.receive():
            pass
