"""Servers on this machine that answer as they should not: over TCP and UDP, each for one test."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

HOST = "127.0.0.1"


@contextmanager
def tcp(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port where `serve` has each connection and may do with it what it likes; it is closed after that."""
    with socket.create_server((HOST, 0)) as server:

        def run() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    try:
                        serve(connection)
                    except OSError:
                        continue

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield int(server.getsockname()[1])
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5)


@contextmanager
def udp(answer: Callable[[bytes], bytes | None], port: int = 0) -> Iterator[int]:
    """A port that answers each datagram with what `answer` makes of it, or with nothing. port: this one, 0: any."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((HOST, port))
        server.settimeout(0.05)
        over = threading.Event()

        def run() -> None:
            while not over.is_set():
                try:
                    data, sender = server.recvfrom(65535)
                except TimeoutError:
                    continue
                made = answer(data)
                if made is not None:
                    server.sendto(made, sender)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield int(server.getsockname()[1])
        finally:
            over.set()
            thread.join(5)
