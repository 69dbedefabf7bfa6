"""A Graph in a process of its own, for tests that kill, measure or run long: the same control, over HTTP."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.graph.control import digest
from tests.graph.site import Seen, Violation

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Remote:
    """The control of a server elsewhere. Every name of control.REMOTE can be called by `call`."""

    url: str
    ca: Path

    def call(self, name: str, /, **arguments: Any) -> Any:
        """Raises urllib.error.HTTPError where the server does not understand it."""
        request = urllib.request.Request(f"{self.url}/_control/{name}", json.dumps(arguments).encode())
        with urllib.request.urlopen(request, context=self._context()) as answer:
            return json.load(answer)

    def now(self) -> float:
        return float(self.call("now"))

    def moments(self) -> tuple[int, int]:
        """How many records are still to come into sight, and how many are still to change."""
        to_come, to_change = self.call("moments")
        return to_come, to_change

    def requests(self, path: str = "") -> list[Seen]:
        return [Seen(**one) for one in self.call("requests", path=path)]

    def violations(self, kind: str | None = None) -> list[Violation]:
        return [Violation(**one) for one in self.call("violations", kind=kind)]

    def truth(self, stream: str, **given: Any) -> Iterator[tuple[str, str]]:
        """(id, text) of what could be read of a stream; given: at, since, version, as Control.truth takes them."""
        url = f"{self.url}/_control/truth?{urlencode({'stream': stream, **given})}"
        with urllib.request.urlopen(url, context=self._context()) as answer:
            for line in answer:
                text = line.decode().rstrip("\n")
                yield json.loads(text)["id"], text

    def digests(self, stream: str, **given: Any) -> dict[str, str]:
        """id → control.digest of the record's text."""
        return {name: digest(text) for name, text in self.truth(stream, **given)}

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca))


@dataclass(frozen=True)
class Apart:
    """As serving.Served, of a server in a process of its own."""

    url: str
    authority: str
    ca: Path
    tenant: str
    client_id: str
    secret: str
    control: Remote
    pid: int


@contextmanager
def apart(**options: Any) -> Iterator[Apart]:
    """A server with the options of Size and Options by name, for as long as the block lasts."""
    given = [f"--{name.replace('_', '-')}={value}" for name, value in options.items() if value is not None]
    command = [sys.executable, "-m", "tests.graph", "--until-eof", *given]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None and process.stdin is not None
        line = json.loads(process.stdout.readline())
        ca = Path(line.pop("ca"))
        yield Apart(**line, ca=ca, control=Remote(line["url"], ca), pid=process.pid)
        process.stdin.close()
        process.wait(timeout=20)
