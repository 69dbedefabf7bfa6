"""What a test holds of a server: faults to set, the truth, and what has been asked of it, in this process or another's.

Everything in REMOTE can be had by POST /_control/NAME with a JSON object of arguments; /_control/truth gives records
as JSON lines.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl

from tests.graph.faults import Fault, Never, Rule
from tests.graph.login import Registered
from tests.graph.names import words
from tests.graph.site import Seen, Site, Violation

REMOTE = frozenset(
    words(
        """
    now advance run requests violations moments fault chance failing never clear slow_over expire_tokens
    kill_links put retry_after silence remove permissions licence limit edge
    """
    )
)


class Control:
    """Times are seconds since 1970 by the server's own clock, where nothing else is said."""

    def __init__(self, site: Site) -> None:
        self.site = site

    # Time
    def now(self) -> float:
        return self.site.clock.now()

    def advance(self, seconds: float) -> float:
        """Push the server's clock on. Returns the new time."""
        return self.site.clock.advance(seconds)

    def run(self, speed: float) -> None:
        """From now on the server's clock runs `speed` times as fast; 0 stops it."""
        self.site.clock.run(speed)

    def edge(self) -> float:
        """Records from before are not given any longer (retention)."""
        return self.site.world.edge()

    # What is true
    def truth(
        self, stream: str, at: float | None = None, since: float | None = None, version: str | None = None
    ) -> dict[str, str]:
        """id → the record's text of all that could be read of a stream at `at`, made since `since` (the edge)."""
        return dict(self.site.world.truth(stream, at, since, version))

    def digests(
        self, stream: str, at: float | None = None, since: float | None = None, version: str | None = None
    ) -> dict[str, str]:
        """As truth, with `digest` of the texts in their place: for very many records."""
        return {name: digest(text) for name, text in self.site.world.truth(stream, at, since, version)}

    def moments(self) -> tuple[int, int]:
        """How many records are still to come into sight, and how many are still to change."""
        return self.site.world.moments()

    def put(self, stream: str, record: dict[str, Any], visible: float | None = None) -> None:
        """A record of a test's own, seen from `visible` on (now). One with the same id is replaced from then on."""
        self.site.world.put(stream, record, visible)

    def remove(self, stream: str, id: str, gone: float | None = None) -> None:
        """A record is not given from `gone` on (now; one that was not put by a test goes at once)."""
        self.site.world.remove(stream, id, gone)

    @property
    def users(self) -> dict[str, dict[str, Any]]:
        """Users by id: change, add, delete."""
        return self.site.world.directory.users

    @property
    def service_principals(self) -> dict[str, dict[str, Any]]:
        return self.site.world.directory.service_principals

    # What has been seen
    def requests(self, path: str = "") -> list[Seen]:
        """All requests whose path holds `path`, in the order of their answers."""
        return [one for one in list(self.site.seen) if path in one.path]

    def violations(self, kind: str | None = None) -> list[Violation]:
        return [one for one in list(self.site.violations) if kind in (None, one.kind)]

    # What goes wrong
    def fault(self, fault: Fault | str, nth: int = 1, times: int = 1, path: str = "", on: str = "any") -> None:
        """The nth request from now meets the fault, and `times` - 1 after it; of those whose path and query hold
        `path`, and are on "first" pages, "next" ones or "any". path="token" is the token endpoint."""
        self.site.faults.rules.append(Rule(_fault(fault), nth, times, path, on))

    def chance(self, faults: dict[Any, float]) -> None:
        """How often (0 to 1) requests meet each fault."""
        self.site.faults.chance({_fault(name): often for name, often in faults.items()})

    def failing(self, often: float) -> None:
        """How often a request meets some fault that passes."""
        self.site.faults.failing = often

    def never(self, begin: float, end: float, stream: str | None = None) -> None:
        """Every request that touches this time span ends in a 504."""
        self.site.faults.never.append(Never(begin, end, stream))

    def slow_over(self, records: int | None, silent: bool = False) -> None:
        """Queries with more records than that get a 504, or nothing for `silence` seconds and then a cut."""
        self.site.faults.slow_over, self.site.faults.slow_silent = records, silent

    def retry_after(self, seconds: float, text: str | None = None) -> None:
        """What faults say in Retry-After; text: this very text, be it nonsense."""
        self.site.faults.retry_after, self.site.faults.retry_text = seconds, text

    def silence(self, seconds: float) -> None:
        """How long SILENCE and STALL last (real seconds)."""
        self.site.faults.silence = seconds

    def clear(self) -> None:
        """No faults any more."""
        self.site.faults.clear()

    def expire_tokens(self) -> None:
        """All access tokens given so far are expired, whatever was said."""
        self.site.login.expire()

    def kill_links(self) -> None:
        """All nextLinks given so far are dead."""
        self.site.places.kill()

    # Who may
    @property
    def app(self) -> Registered:
        """The one app that is registered: secrets, certificates, workload identities."""
        return next(iter(self.site.login.apps.values()))

    def permissions(self, names: Iterable[str]) -> None:
        """The application permissions that are granted, and no others."""
        self.app.permissions = set(names)

    def licence(self, name: str) -> None:
        """Free (no sign-ins), P1 or P2."""
        self.site.world.directory.licence = name

    def limit(self, requests: int, seconds: float) -> None:
        self.site.throttle.limit, self.site.throttle.per = requests, seconds

    # From another process
    def remote(self, name: str, query: str, body: str) -> tuple[int, bytes | Iterator[bytes]]:
        """Status of /_control/NAME, and its body, or the lines of it."""
        try:
            arguments: dict[str, Any] = json.loads(body) if body else dict(parse_qsl(query))
            if name == "truth":
                arguments = {key: float(v) if key in ("at", "since") else v for key, v in arguments.items()}
                return 200, (f"{text}\n".encode() for _, text in self.site.world.truth(**arguments))
            if name not in REMOTE:
                return 404, b'"no such thing"'
            method: Callable[..., Any] = getattr(self, name)
            return 200, json.dumps(method(**arguments), default=dataclasses.asdict).encode()
        except (TypeError, ValueError, KeyError) as exc:
            return 400, json.dumps(f"{type(exc).__name__}: {exc}").encode()


def digest(text: str) -> str:
    """A short name of a record's text."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _fault(name: Fault | str) -> Fault:
    return name if isinstance(name, Fault) else Fault[name]
