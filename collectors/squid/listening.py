"""Where a receiver listens: the address, its sockets, its TLS.

Every wrong setting is a SourceError that says what to do.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from collectors.squid.follow import SourceError

IP = IPv4Address | IPv6Address

_LISTEN = re.compile(r"(tcp|tls|udp)://(?:\[([^\]]+)\]|([^:/\[\]]+)):(\d{1,5})")
_UDP_BUFFER = 4 * 1024 * 1024
_BACKLOG = 128
# Linux: a counter of the datagrams that this socket had no room for comes with each datagram (socket(7)).
SO_RXQ_OVFL = 40


@dataclass(frozen=True)
class Address:
    """`tcp`, `tls` or `udp`, where to listen (an address or a name), and the port; 0 is any free port."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def parse_listen(text: str) -> Address:
    """`tcp://0.0.0.0:6514` as an Address. Raises SourceError."""
    match = _LISTEN.fullmatch(text)
    if match is None or int(match[4]) > 65535:
        raise SourceError(
            f"{text!r} is no place to listen: write tcp://ADDRESS:PORT, tls://ADDRESS:PORT or udp://ADDRESS:PORT, "
            "an IPv6 address in brackets",
            wrong_use=True,
        )
    return Address(match[1], match[2] or match[3], int(match[4]))


def bound_sockets(address: Address) -> list[socket.socket]:
    """Sockets bound to all addresses that the host has here, listening but for UDP. `[::]` takes IPv4, too.

    Raises SourceError; then none stays open.
    """
    kind = socket.SOCK_DGRAM if address.scheme == "udp" else socket.SOCK_STREAM
    try:
        found = socket.getaddrinfo(address.host, address.port, type=kind, flags=socket.AI_PASSIVE)
    except socket.gaierror as exc:
        raise SourceError(
            f"cannot listen on {address}: {address.host} has no address ({exc.strerror}); give an address of this "
            "machine, or 0.0.0.0 or [::] for all of them",
            wrong_use=True,
        ) from None
    sockets: list[socket.socket] = []
    port = address.port
    with ExitStack() as undo:
        for family, _, _, _, where in dict.fromkeys(found):
            try:
                one = undo.enter_context(socket.socket(family, kind))
                _set_up(one, family, where[0])
                one.bind((where[0], port, *where[2:]))
                if kind == socket.SOCK_STREAM:
                    one.listen(_BACKLOG)
            except OSError as exc:
                raise SourceError(f"cannot listen on {address}: {_why(exc, address)}", wrong_use=True) from exc
            port = one.getsockname()[1]
            sockets.append(one)
        undo.pop_all()
    return sockets


def _set_up(one: socket.socket, family: int, host: object) -> None:
    one.setblocking(False)
    if family == socket.AF_INET6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
    if one.type == socket.SOCK_STREAM:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    else:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _UDP_BUFFER)
        one.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)


def _why(exc: OSError, address: Address) -> str:
    if exc.errno == errno.EADDRINUSE:
        other = "udp" if address.scheme == "udp" else "tcp"
        return (
            f"another program has this port; `ss -l{other[0]}np sport = :{address.port}` shows which, "
            "or take another port here and at the senders"
        )
    if exc.errno == errno.EADDRNOTAVAIL:
        return "this machine has no such address; `ip address` shows which it has, 0.0.0.0 and [::] are all of them"
    if exc.errno in (errno.EACCES, errno.EPERM):
        return (
            "no right to a port below 1024; take a higher one, or give the service CAP_NET_BIND_SERVICE "
            "(systemd: AmbientCapabilities=)"
        )
    return exc.strerror or str(exc)


def tls_context(certificate: Path | None, key: Path | None, client_ca: Path | None) -> ssl.SSLContext:
    """TLS 1.2 and later, with the server's certificate (PEM, its chain after it) and key (in the same file where None).

    client_ca: a sender must show a certificate that one of these has signed. Raises SourceError.
    """
    if certificate is None:
        raise SourceError("tls:// needs a certificate: set `certificate` (PEM) and `key`", wrong_use=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load_certificate(context, certificate, key)
    if client_ca is not None:
        _readable(client_ca, "client_ca")
        try:
            context.load_verify_locations(client_ca)
        except (OSError, ssl.SSLError) as exc:
            raise SourceError(f"client_ca: {client_ca} holds no certificate in PEM: {exc}", wrong_use=True) from exc
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def load_certificate(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    """Give the context a certificate and its key, also anew after a renewal. Raises SourceError."""
    for path, name in ((certificate, "certificate"), (key, "key")):
        if path is not None:
            _readable(path, name)
    locked = SourceError(f"key: {key or certificate} is locked by a password; a service needs a key without one", True)

    def no_password() -> str:
        raise locked

    try:
        context.load_cert_chain(certificate, key, no_password)
    except (OSError, ssl.SSLError) as exc:
        pair = f"certificate: {certificate}, key: {key or certificate}"
        if getattr(exc, "reason", "") == "KEY_VALUES_MISMATCH":
            raise SourceError(f"{pair}: the key is not that of the (first) certificate", wrong_use=True) from exc
        raise SourceError(f"{pair}: not a certificate and its key in PEM: {exc}", wrong_use=True) from exc


def _readable(path: Path, name: str) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as exc:
        raise SourceError(f"{name}: {path} cannot be read: {exc.strerror or exc}", wrong_use=True) from exc


def sender_address(text: str) -> IP:
    """Of a peer: an IPv4 address that came through an IPv6 socket is an IPv4 address."""
    address = ip_address(text.partition("%")[0])
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def tls_problem(exc: BaseException) -> str:
    """Why a handshake failed, for people."""
    reason = getattr(exc, "reason", None)
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNSUPPORTED_PROTOCOL", "UNKNOWN_PROTOCOL"):
        if reason == "UNSUPPORTED_PROTOCOL":
            return "it speaks TLS older than 1.2"
        return "it does not speak TLS: send with TLS, or listen on tcp://"
    if reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return "it showed no certificate, and client_ca wants one"
    if isinstance(exc, (TimeoutError, ConnectionError)):
        return "the TLS handshake did not come to its end"
    return f"TLS failed: {reason or exc}"
