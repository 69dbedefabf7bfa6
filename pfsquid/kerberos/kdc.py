"""The way to a KDC: TCP and UDP (RFC 4120 7.2), for each request and its answer anew."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable

from pfsquid.kerberos.der import BadDer
from pfsquid.kerberos.kdc_errors import RESPONSE_TOO_BIG, KdcError, NoKdc, WrongRealm
from pfsquid.kerberos.messages import error_in

__all__ = ["Exchange", "KdcError", "NoKdc", "WrongRealm", "over_network", "over_tcp", "over_udp"]

Exchange = Callable[[bytes], bytes]
"""One message there, one back, as Kerberos has them: without the length that TCP puts in front. NoKdc: no answer."""

_MOST = 1 << 20  # bytes of an answer over TCP; MIT's client takes as much
_DATAGRAM = 65535
_AGAIN = 1.0  # seconds after which an unanswered datagram is sent once more


def over_tcp(host: str, port: int = 88, seconds: float = 5.0) -> Exchange:
    """Messages over TCP. seconds: for one answer in all, from the connection on; looking up a name is not in them."""

    def send(message: bytes) -> bytes:
        end = time.monotonic() + seconds
        try:
            with socket.create_connection((host, port), seconds) as connection:
                connection.sendall(struct.pack(">I", len(message)) + message)
                (size,) = struct.unpack(">I", _exactly(connection, 4, end))
                if not 0 < size <= _MOST:
                    raise NoKdc(f"{host}:{port} answers over TCP with something that is no Kerberos")
                return _exactly(connection, size, end)
        except (ConnectionResetError, BrokenPipeError):
            raise NoKdc(f"{host}:{port} closes the connection over TCP without a whole answer") from None
        except TimeoutError:
            raise NoKdc(f"{host}:{port} does not answer over TCP within {seconds:g} s") from None
        except OSError as error:
            raise NoKdc(f"{host}:{port} cannot be reached over TCP: {_reason(error)}") from None

    return send


def over_udp(host: str, port: int = 88, seconds: float = 5.0) -> Exchange:
    """Messages over UDP, sent again each second until an answer comes. seconds: for one answer in all.

    An answer that says "too big for UDP" is an answer (KRB_ERR_RESPONSE_TOO_BIG): see over_network.
    """

    def send(message: bytes) -> bytes:
        end, refused = time.monotonic() + seconds, ""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        except OSError as error:
            raise NoKdc(f"{host}:{port} cannot be reached over UDP: {_reason(error)}") from None
        for family, kind, protocol, _, address in found:
            try:
                with socket.socket(family, kind, protocol) as connection:
                    connection.connect(address)  # so that a refusal (ICMP) is told
                    return _repeated(connection, message, end)
            except TimeoutError:
                raise NoKdc(f"{host}:{port} does not answer over UDP within {seconds:g} s") from None
            except OSError as error:
                refused = _reason(error)
        raise NoKdc(f"{host}:{port} cannot be reached over UDP: {refused}")

    return send


def over_network(host: str, port: int = 88, seconds: float = 5.0) -> Exchange:
    """As clients do it: UDP, and TCP where the answer is too big for UDP or none comes. seconds: for both in all."""

    def send(message: bytes) -> bytes:
        end = time.monotonic() + seconds
        try:
            answer = over_udp(host, port, seconds / 2)(message)
        except NoKdc:
            answer = b""
        if answer and not _too_big(answer):
            return answer
        return over_tcp(host, port, max(end - time.monotonic(), seconds / 2))(message)

    return send


def _repeated(connection: socket.socket, message: bytes, end: float) -> bytes:
    while (left := end - time.monotonic()) > 0:
        connection.send(message)
        connection.settimeout(min(left, _AGAIN))
        try:
            return connection.recv(_DATAGRAM)
        except TimeoutError:
            continue
    raise TimeoutError


def _too_big(answer: bytes) -> bool:
    try:
        error = error_in(answer)
    except BadDer:
        return False
    return error is not None and error.code == RESPONSE_TOO_BIG


def _exactly(connection: socket.socket, size: int, end: float) -> bytes:
    received = bytearray()
    while len(received) < size:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        piece = connection.recv(min(size - len(received), 1 << 16))
        if not piece:
            raise ConnectionResetError
        received += piece
    return bytes(received)


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
