"""What one person does at the proxy, and the exact account of it.

A `Visit` is one connection to the proxy, with one or more requests; making it gives one `Record`
for each line that Squid writes. The bytes are those on the client's own socket, which is how
Squid counts too (tried with Squid 5.7, line by line):

- plain HTTP: `%>st` is request line, headers and body as sent; `%<st` is status line, headers and
  body as received, with the framing of chunks.
- CONNECT: one line when the tunnel ends. `%>st` is the CONNECT request and all that went into the
  tunnel (TLS handshake included); `%<st` is the "200 Connection established" and all that came out.
- 403 and 407: as plain HTTP, for CONNECT too; the error page counts.
- CONNECT to a site that cannot be reached: Squid writes `%<st` 0, though the client receives an
  error page of some kilobytes. Here `bytes_exact` is false.
- aborted transfers: what was on its way when the client left may or may not be counted.
  `bytes_exact` is false; `bytes_down` is then a lower bound, `bytes_up` what the client sent.
- a POST or PUT whose body Squid has not read to its end (407, 403): not made here.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.lab.proxy_client import Connection, Reply, token

USER_AGENT = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0"
UPLOAD_BLOCK = b"wubba lubba dub dub " * 3277


@dataclass(frozen=True)
class Ask:
    """One request to a site: `upload` is the size of a POST or PUT body. `path` may be raw bytes."""

    method: str = "GET"
    path: str = "/"
    upload: int = 0
    headers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Visit:
    """One connection. `leave` is "" or where the client goes away: "down", "up", "tunnel".
    `pause` is how long the person waits before it, in true seconds."""

    host: str
    asks: tuple[Ask, ...] = (Ask(),)
    tls: bool = True
    port: int = 0
    challenge: bool = False
    leave: str = ""
    ipv6: bool = False
    pause: float = 0.0

    @property
    def real_port(self) -> int:
        return self.port or (443 if self.tls else 80)

    @property
    def authority(self) -> str:
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"{name}:{self.real_port}" if self.tls or self.port else name


@dataclass(frozen=True)
class Record:
    """One line of the access log as its client knows it. Times are seconds since 1970, UTC."""

    actor: str
    user: str | None
    host: str
    port: int
    method: str
    url: str
    status: int
    bytes_down: int
    bytes_up: int
    denied: bool
    challenge: bool
    aborted: bool
    bytes_exact: bool
    client_ip: str
    client_port: int
    first: float
    last: float
    requests: int = 1
    inner_requests: int = 0


@dataclass
class Session:
    """A person at a workstation: `user` is the principal, None for a client without a ticket."""

    actor: str
    user: str | None
    ccache: str | None
    user_agent: str = USER_AGENT
    clock: Callable[[], float] = time.time
    records: list[Record] = field(default_factory=list)

    def visit(self, visit: Visit) -> None:
        time.sleep(visit.pause)
        connection = Connection(socket.AF_INET6 if visit.ipv6 else socket.AF_INET)
        try:
            if visit.tls:
                self._tunnel(connection, visit)
            else:
                self._plain(connection, visit)
        finally:
            connection.close()

    def _head(self, method: str, target: str, authority: str, ask: Ask | None, *, authenticate: bool) -> bytes:
        lines = [f"{method} {target} HTTP/1.1", f"Host: {authority}", f"User-Agent: {self.user_agent}"]
        if authenticate and self.ccache:
            lines.append(f"Proxy-Authorization: Negotiate {token(self.ccache).decode()}")
        if ask is not None:
            lines += ask.headers
            if ask.method in ("POST", "PUT"):
                lines.append(f"Content-Length: {ask.upload}")
        return "\r\n".join([*lines, "", ""]).encode()

    def _note(
        self,
        connection: Connection,
        visit: Visit,
        method: str,
        url: str,
        begin: tuple[float, int, int],
        reply: Reply,
        *,
        aborted: bool = False,
        size: int | None = None,
        inner: int = 0,
    ) -> None:
        first, sent_before, received_before = begin
        unreachable = method == "CONNECT" and reply.status >= 500
        self.records.append(
            Record(
                actor=self.actor,
                user=None if reply.status == 407 or self._before_login(visit) else self.user,
                host=visit.host.lower(),
                port=visit.real_port,
                method=method,
                url=url,
                status=reply.status,
                bytes_down=connection.received - received_before if size is None else size,
                bytes_up=connection.sent - sent_before,
                denied=reply.status == 403 and connection.tls is None,
                challenge=reply.status == 407,
                aborted=aborted,
                bytes_exact=not (aborted or unreachable),
                client_ip=connection.client_address,
                client_port=connection.client_port,
                first=first,
                last=self.clock(),
                inner_requests=inner,
            )
        )

    @staticmethod
    def _before_login(visit: Visit) -> bool:
        """Ports that Squid refuses before it asks who it is."""
        return visit.real_port not in (443, 563, 8443) if visit.tls else visit.real_port == 25

    def _begin(self, connection: Connection) -> tuple[float, int, int]:
        return self.clock(), connection.sent, connection.received

    def _tunnel(self, connection: Connection, visit: Visit) -> None:
        target = visit.authority
        reply = Reply(407, {}, 0)
        for authenticate in [False, True] if visit.challenge else [True]:
            begin = self._begin(connection)
            connection.send(self._head("CONNECT", target, target, None, authenticate=authenticate))
            reply = connection.reply("CONNECT")
            if reply.status != 200:
                self._note(connection, visit, "CONNECT", target, begin, reply)
            if self.ccache is None:
                return
        if reply.status != 200:
            return
        connection.start_tls(visit.host)
        for number, ask in enumerate(visit.asks):
            last = number == len(visit.asks) - 1 and not visit.leave
            closing = Ask(ask.method, ask.path, ask.upload, (*ask.headers, "Connection: close")) if last else ask
            connection.send(self._head(ask.method, ask.path, visit.host, closing, authenticate=False))
            if visit.leave == "tunnel":
                connection.receive()
                break
            self._upload(connection, ask.upload)
            connection.reply(ask.method)
        if not visit.leave:
            connection.read_to_the_end()
        self._note(
            connection,
            visit,
            "CONNECT",
            target,
            begin,
            reply,
            aborted=bool(visit.leave),
            inner=len(visit.asks),
        )

    def _upload(self, connection: Connection, size: int) -> None:
        while size > 0:
            connection.send(UPLOAD_BLOCK[:size])
            size -= len(UPLOAD_BLOCK)

    def _plain(self, connection: Connection, visit: Visit) -> None:
        """Negotiate logs in a connection, not a request: only the first request carries a token."""
        logged_in = False
        for ask in visit.asks:
            url = f"http://{visit.authority}{ask.path}"
            rounds = [False, True] if visit.challenge and not logged_in else [not logged_in]
            for authenticate in rounds:
                unsent = len(rounds) == 2 and not authenticate  # a client knows that this one will be refused
                begin = self._begin(connection)
                head = Ask(ask.method, ask.path, 0, ask.headers) if unsent else ask
                connection.send(self._head(ask.method, url, visit.authority, head, authenticate=authenticate))
                if visit.leave and not unsent:
                    self._walk_away(connection, visit, ask, url, begin)
                    return
                if not unsent:
                    self._upload(connection, ask.upload)
                reply = connection.reply(ask.method)
                self._note(connection, visit, ask.method, url, begin, reply, size=reply.size)
                if self.ccache is None or connection.closed:
                    return
            logged_in = True

    def _walk_away(
        self, connection: Connection, visit: Visit, ask: Ask, url: str, begin: tuple[float, int, int]
    ) -> None:
        """Leave in the middle: of the reply ("down"), or of the request's body ("up")."""
        status = 200
        if visit.leave == "down":
            connection.receive()
        else:
            self._upload(connection, ask.upload // 2)
            time.sleep(0.05)
            status = 0
        self._note(connection, visit, ask.method, url, begin, Reply(status, {}, 0), aborted=True)
