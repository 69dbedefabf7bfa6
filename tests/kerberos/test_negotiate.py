"""A request through a proxy: what the answer says, and that no proxy can hold it, break it or put words into it."""

from __future__ import annotations

import base64
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pfsquid.kerberos.negotiate import NoProxy, Reply, ask
from tests.kerberos.hostile import HOST, tcp
from tests.kerberos.wire import mutated

URL = "http://www.example.com/path?q=1"
DENIED = (
    b"HTTP/1.1 407 Proxy Authentication Required\r\nServer: squid/5.7\r\nX-Squid-Error: ERR_CACHE_ACCESS_DENIED 0\r\n"
    b'Proxy-Authenticate: Negotiate\r\nproxy-authenticate: Basic realm="Squid, here"\r\nContent-Length: 5\r\n\r\nhello'
)


@contextmanager
def proxy(answer: bytes, seen: list[bytes] | None = None) -> Iterator[int]:
    def serve(connection: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            request += connection.recv(65536)
        if seen is not None:
            seen.append(request)
        connection.sendall(answer)

    with tcp(serve) as port:
        yield port


def asked(answer: bytes, token: bytes | None = None) -> Reply:
    with proxy(answer) as port:
        return ask(HOST, port, URL, token, 2)


def test_a_refusal_says_what_is_offered_and_squids_reason() -> None:
    reply = asked(DENIED)
    assert (reply.status, reply.schemes, reply.error) == (407, ("Negotiate", "Basic"), "ERR_CACHE_ACCESS_DENIED 0")
    assert reply.local[0] == HOST
    assert 0 < reply.seconds < 1


@pytest.mark.parametrize(
    ("header", "schemes"),
    [
        (b'Negotiate, Basic realm="a, NTLM b"', ("Negotiate", "Basic")),
        (b"Negotiate oYG2MIGzoAMKAQA=", ("Negotiate",)),
        (b'Digest realm="x", nonce="a,b", qop="auth", Negotiate', ("Digest", "Negotiate")),
        (b"NTLM", ("NTLM",)),
        (b"", ()),
    ],
)
def test_schemes_of_one_header_are_told_apart(header: bytes, schemes: tuple[str, ...]) -> None:
    assert asked(b"HTTP/1.1 407 No\r\nProxy-Authenticate: " + header + b"\r\n\r\n").schemes == schemes


@pytest.mark.parametrize("token", [None, b"\x60\x01token"])
def test_the_request_is_one_get_by_proxy_with_the_token_where_there_is_one(token: bytes | None) -> None:
    seen: list[bytes] = []
    with proxy(b"HTTP/1.0 200 OK\n\n", seen) as port:
        assert ask(HOST, port, URL, token).status == 200
    (request,) = seen
    lines = request.decode().split("\r\n")
    assert lines[:2] == [f"GET {URL} HTTP/1.1", "Host: www.example.com"]
    sent = [line for line in lines if line.startswith("Proxy-Authorization")]
    assert sent == ([] if token is None else [f"Proxy-Authorization: Negotiate {base64.b64encode(token).decode()}"])


def test_an_informational_answer_is_not_the_answer() -> None:
    assert asked(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n").status == 204


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example/",
        "http://",
        "ftp://a",
        "http://u:p@a.example/",
        "http://a/\r\nX: y",
        "http://a/ b",
        "http://ä/",
    ],
)
def test_a_url_that_no_request_line_can_carry_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is no http:// URL"):
        ask(HOST, 1, url, None)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"", "closed the connection without an answer"),
        (b"HTTP/1.1 200 OK\r\nServer: x", "closed the connection within an answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "no HTTP"),
        (b"HTTP/2 200\r\n\r\n", "no HTTP"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 300_000, "no end of headers"),
    ],
)
def test_what_is_no_proxy_says_what_it_did(answer: bytes, told: str) -> None:
    with pytest.raises(NoProxy, match=told):
        asked(answer)


@pytest.mark.parametrize("drip", [b"", b"HTTP/1.1 200 OK\r\nX: "])
def test_a_proxy_that_is_silent_or_drips_times_out(drip: bytes) -> None:
    def serve(connection: socket.socket) -> None:
        connection.sendall(drip)
        for _ in range(30):
            time.sleep(0.02)
            if drip:
                connection.sendall(b"x")

    with tcp(serve) as port:
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            ask(HOST, port, URL, None, 0.3)
        assert time.monotonic() - begun < 0.5


def test_where_nothing_listens_it_is_an_os_error() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        ask(HOST, port, URL, None)


def documented(do: Callable[[], Reply]) -> None:
    with suppress(NoProxy, OSError):
        assert 100 <= do().status < 600


@given(answer=mutated(DENIED) | st.binary(max_size=60).map(lambda rest: b"HTTP/1.1 407 " + rest + b"\r\n\r\n"))
@settings(max_examples=40, deadline=None)
def test_altered_answers_end_in_a_reply_or_a_documented_error(answer: bytes) -> None:
    documented(lambda: asked(answer, b"token"))


def test_a_header_made_to_be_slow_to_read_is_not() -> None:
    for evil in (b"a" * 200_000, b", " * 100_000, b"a b=" * 50_000, b'"' * 200_000, b"a " * 100_000, b" ," * 100_000):
        begun = time.monotonic()
        documented(lambda: asked(b"HTTP/1.1 407 No\r\nProxy-Authenticate: " + evil + b"\r\n\r\n"))  # noqa: B023
        assert time.monotonic() - begun < 1
