"""Runs inside ws: several people at the proxy, so many requests a second, while a keytab is rotated under them.

Each request is a connection of its own with a token of its own, and is never tried again. Half of them come with a
ticket that is held from the start, four in ten with a service ticket fetched anew, one in ten with a login anew: so
tickets of the former and of the new key arrive, and some are made in the very moment of the change.

    python -m tests.lab.rotation_load SERVICE SECONDS [RATE]       # prints what came of it, as JSON
"""

from __future__ import annotations

import base64
import importlib
import json
import os
import shutil
import socket
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.lab.layout import FW, PEOPLE, PERSON_PASSWORD, PROXY_PORT, REALM

PATIENCE = 10.0
HOW = ("held", "fetched") * 4 + ("held", "login")


class Load:
    """All requests of a run, and what came of them."""

    def __init__(self, service: str, seconds: float, rate: float, folder: Path) -> None:
        self.gssapi: Any = importlib.import_module("gssapi")
        self.server = self.gssapi.Name(f"{service}@{REALM}", self.gssapi.NameType.kerberos_principal)
        self.spnego = self.gssapi.OID.from_int_seq("1.3.6.1.5.5.2")
        self.folder, self.seconds, self.rate = folder, seconds, rate
        self.people = [one.principal for one in PEOPLE]
        self.done: list[tuple[float, str, str, str, float]] = []  # since the start, how, who, came of it, seconds
        self.lock = threading.Lock()

    def token(self, who: str, how: str, number: int) -> bytes:
        """A first SPNEGO token for the proxy."""
        if how == "login":
            name = self.gssapi.Name(who, self.gssapi.NameType.kerberos_principal)
            got = self.gssapi.raw.acquire_cred_with_password(
                name, PERSON_PASSWORD.encode(), mechs=[self.spnego], usage="initiate"
            )
            return self.step(self.gssapi.Credentials(got.creds))
        kept = self.folder / f"{who}.{how}"
        cache = kept if how == "held" else self.folder / f"{number}"
        if how != "held":
            shutil.copy(kept, cache)
        try:
            return self.step(self.gssapi.Credentials(usage="initiate", store={"ccache": f"FILE:{cache}"}))
        finally:
            if how != "held":
                cache.unlink()

    def step(self, credentials: Any) -> bytes:
        context = self.gssapi.SecurityContext(name=self.server, creds=credentials, mech=self.spnego, usage="initiate")
        return bytes(context.step())

    def prepare(self) -> None:
        """Each person's two caches: with the service's ticket, and with the first ticket alone."""
        for who in self.people:
            name = self.gssapi.Name(who, self.gssapi.NameType.kerberos_principal)
            got = self.gssapi.raw.acquire_cred_with_password(name, PERSON_PASSWORD.encode(), usage="initiate")
            for how in ("held", "fetched"):
                store = {b"ccache": f"FILE:{self.folder / f'{who}.{how}'}".encode()}
                self.gssapi.raw.store_cred_into(store, got.creds, usage="initiate", overwrite=True)
            self.token(who, "held", 0)

    def ask(self, token: bytes) -> str:
        """One request; the status, or what went wrong."""
        with socket.create_connection((FW.address4, PROXY_PORT), PATIENCE) as wire:
            wire.sendall(
                b"GET http://www.example.com/ HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\n"
                b"Proxy-Authorization: Negotiate " + base64.b64encode(token) + b"\r\n\r\n"
            )
            answer = b""
            while more := wire.recv(65536):
                answer += more
        return (
            answer.split(b" ", 2)[1].decode("ascii", "replace")
            if answer.count(b" ") > 1
            else "closed without an answer"
        )

    def request(self, number: int, begin: float) -> None:
        who, how, start = (
            self.people[number % len(self.people)],
            HOW[number // len(self.people) % len(HOW)],
            time.monotonic(),
        )
        try:
            came = self.ask(self.token(who, how, number))
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is what the person saw
            came = f"{type(exc).__name__}: {exc}"
        with self.lock:
            self.done.append((round(start - begin, 3), how, who, came, round(time.monotonic() - start, 3)))

    def run(self) -> dict[str, Any]:
        """Requests at their times, whether or not those before have ended."""
        self.prepare()
        print("ready", file=sys.stderr, flush=True)
        threads, begin, began = [], time.monotonic(), time.time()
        for number in range(int(self.seconds * self.rate)):
            time.sleep(max(0.0, begin + number / self.rate - time.monotonic()))
            threads.append(threading.Thread(target=self.request, args=(number, begin)))
            threads[-1].start()
        for thread in threads:
            thread.join()
        slow = sorted(one[4] for one in self.done)
        return {
            "began": began,
            "ended": time.time(),
            "requests": len(self.done),
            "by": dict(Counter(one[1] for one in self.done)),
            "people": len({one[2] for one in self.done}),
            "statuses": dict(Counter(one[3] for one in self.done)),
            "median": slow[len(slow) // 2],
            "slowest": slow[-1],
            "failed": [one for one in self.done if one[3] != "200"],
        }


def main() -> None:
    service, seconds = sys.argv[1], float(sys.argv[2])
    rate = float(sys.argv[3]) if len(sys.argv) > 3 else 50.0
    with TemporaryDirectory() as folder:
        os.environ["KRB5CCNAME"] = "MEMORY:"
        print(json.dumps(Load(service, seconds, rate, Path(folder)).run()))


if __name__ == "__main__":
    main()
