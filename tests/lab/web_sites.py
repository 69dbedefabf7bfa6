"""Runs inside web: HTTP and HTTPS for any host name, with answers of chosen sizes.

GET /bytes/N: N bytes · /chunked/N: N bytes in chunks · /slow/N: N bytes, 2,000 every 50 ms ·
/status/C: that status · /empty: no body · /silent: closes without a reply · anything else: a short
page. POST and PUT swallow the body and answer its length. Keeps nothing and logs nothing.
"""

from __future__ import annotations

import http.server
import json
import socket
import socketserver
import ssl
import threading
import time

PLAIN_PORTS = (80, 8080)
TLS_PORTS = (443, 8443)
BLOCK = bytes(range(256)) * 256


class Site(http.server.BaseHTTPRequestHandler):
    """One connection. Silent on the console."""

    protocol_version = "HTTP/1.1"
    server_version = "lab"
    sys_version = ""
    wbufsize = -1  # unbuffered headers cost a delayed ACK, 40 ms a reply
    disable_nagle_algorithm = True
    timeout = 60

    def log_message(self, format: str, *args: object) -> None:
        pass

    def reply(self, status: int, body: bytes = b"", kind: str = "text/html", length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Cache-Control", "no-store")
        if status >= 200 and status not in (204, 304):
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_many(self, length: int, *, pause: float = 0.0, piece: int = len(BLOCK)) -> None:
        if self.command == "HEAD":
            return
        while length > 0:
            self.wfile.write(BLOCK[: min(piece, length)])
            length -= piece
            if pause:
                self.wfile.flush()
                time.sleep(pause)

    def do_GET(self) -> None:
        words = self.path.split("?")[0].split("/")
        what, number = words[1], int(words[2]) if len(words) > 2 and words[2].isdigit() else 0
        if what == "bytes":
            self.reply(200, kind="application/octet-stream", length=number)
            self.send_many(number)
        elif what == "slow":
            self.reply(200, kind="application/octet-stream", length=number)
            self.send_many(number, pause=0.05, piece=2000)
        elif what == "chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for start in range(0, number, 10_000):
                size = min(10_000, number - start)
                self.wfile.write(b"%x\r\n" % size + BLOCK[:size] + b"\r\n")
            self.wfile.write(b"0\r\n\r\n")
        elif what == "status" and number:
            self.reply(number, b"" if number in (204, 304) else f"<h1>{number}</h1>".encode())
        elif what == "empty":
            self.reply(200)
        elif what == "silent":
            self.close_connection = True
        else:
            self.reply(200, b"<title>lab</title><p>Wubba lubba dub dub</p>\n")

    do_HEAD = do_GET  # noqa: N815 - http.server finds methods by these names

    def do_POST(self) -> None:
        left = length = int(self.headers.get("Content-Length", "0"))
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        while left > 0:
            got = len(self.rfile.read(min(left, 1 << 16)))
            if not got:
                return
            left -= got
        self.reply(200, json.dumps({"received": length}).encode(), "application/json")

    do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_POST  # noqa: N815


class Server(http.server.ThreadingHTTPServer):
    """Answers on IPv4 and IPv6; with `tls`, the handshake happens in the connection's own thread."""

    address_family = socket.AF_INET6
    daemon_threads = True
    request_queue_size = 256
    tls: ssl.SSLContext | None = None

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        socketserver.TCPServer.server_bind(self)  # HTTPServer's own asks DNS for our name: 5 s
        self.server_name, self.server_port = "lab", self.server_address[1]

    def finish_request(self, request: object, client_address: object) -> None:
        assert isinstance(request, socket.socket)
        request.settimeout(60)
        if self.tls is None:
            super().finish_request(request, client_address)
            return
        with self.tls.wrap_socket(request, server_side=True) as wrapped:
            super().finish_request(wrapped, client_address)

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that goes away is the normal case here


def main() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("/etc/web/certificate.pem", "/etc/web/key.pem")
    servers = [Server(("::", port), Site) for port in (*PLAIN_PORTS, *TLS_PORTS)]
    for server in servers[len(PLAIN_PORTS) :]:
        server.tls = context
    threads = [threading.Thread(target=server.serve_forever) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
