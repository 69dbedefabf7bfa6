"""Everything that goes wrong between a collector and Graph, to be switched on by chance or for the nth request."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from random import Random


class Fault(StrEnum):
    """What happens to one request."""

    TOO_MANY = "429 without Retry-After"
    TOO_MANY_SECONDS = "429 with Retry-After in seconds"
    TOO_MANY_DATE = "429 with Retry-After as a date"
    UNAVAILABLE = "503"
    UNAVAILABLE_RETRY = "503 with Retry-After"
    GATEWAY_TIMEOUT = "504"
    INTERNAL = "500"
    CUT_BEFORE = "the connection ends before an answer"
    CUT_BODY = "the connection ends in the middle of the body"
    SILENCE = "no answer for a long time, then the connection ends"
    STALL = "half a body, nothing for a long time, then the connection ends"
    NOT_JSON = "200 with a body that is no JSON"
    HTML = "200 with a page of HTML"
    HTML_GATEWAY = "502 with a gateway's page of HTML"
    ERROR_IN_BODY = "200 with a page that breaks off in an error of Graph's"
    EMPTY_BODY = "200 with nothing"
    REDIRECT = "302 to another host"
    REPEATED_PAGE = "the page before once more"
    REPEATED_RECORD = "a record twice in a page"
    NO_NEXT_LINK = "a full page without nextLink although there is more"
    SELF_LINK = "a nextLink that leads to its own page"
    FOREIGN_LINK = "a nextLink to another host"
    EMPTY_PAGE = "a page without records, with nextLink"
    SHORT_PAGE = "a page of fewer records than $top, with nextLink"
    DEAD_TOKEN = "400 for the skip token"
    EXPIRED = "401"
    LICENCE = "403: no premium licence"
    PERMISSION = "403: a permission is missing (named)"
    PRIVILEGES = "403: insufficient privileges"
    CONDITIONAL = "403: UnknownError"


PAGES = frozenset(
    (Fault.REPEATED_RECORD, Fault.NO_NEXT_LINK, Fault.SELF_LINK, Fault.FOREIGN_LINK, Fault.EMPTY_PAGE, Fault.SHORT_PAGE)
)
ONLY_NEXT = frozenset((Fault.REPEATED_PAGE, Fault.DEAD_TOKEN))
# What `failing` is made of: it passes, and a collector can see through all of it.
PASSING = (
    Fault.TOO_MANY,
    Fault.TOO_MANY_SECONDS,
    Fault.TOO_MANY_DATE,
    Fault.UNAVAILABLE,
    Fault.UNAVAILABLE_RETRY,
    Fault.GATEWAY_TIMEOUT,
    Fault.GATEWAY_TIMEOUT,
    Fault.INTERNAL,
    Fault.CUT_BEFORE,
    Fault.CUT_BODY,
    Fault.CUT_BODY,
    Fault.NOT_JSON,
    Fault.HTML,
    Fault.HTML_GATEWAY,
    Fault.EMPTY_BODY,
    Fault.ERROR_IN_BODY,
    Fault.REPEATED_PAGE,
    Fault.REPEATED_RECORD,
    Fault.NO_NEXT_LINK,
    Fault.SELF_LINK,
    Fault.EMPTY_PAGE,
    Fault.SHORT_PAGE,
    Fault.DEAD_TOKEN,
    Fault.EXPIRED,
)


@dataclass
class Rule:
    """A fault for some requests whose path and query hold `path`, beginning with the nth from now.

    on: "any", "first" (a query's first page) or "next" (a nextLink).
    """

    fault: Fault
    nth: int = 1
    times: int = 1
    path: str = ""
    on: str = "any"


@dataclass(frozen=True)
class Never:
    """A time span (seconds since 1970) that is never given: every request that touches it ends in a 504."""

    begin: float
    end: float
    stream: str | None = None


class Faults:
    """failing: how often (0 to 1) a request meets one of PASSING. silence and retry_after: seconds (real).

    retry_text: None, or what stands in Retry-After whatever it should be.
    slow_over: None, or how many records a query may have before it gets a 504, or (slow_silent) no answer at all.
    """

    def __init__(self, seed: int, failing: float = 0.0, silence: float = 2.0, retry_after: float = 1.0) -> None:
        self.failing, self.silence, self.retry_after = failing, silence, retry_after
        self.retry_text: str | None = None
        self.random: dict[Fault, float] = {}
        self.never: list[Never] = []
        self.slow_over: int | None = None
        self.slow_silent = False
        self.rules: list[Rule] = []
        self._rng, self._lock = Random(seed), threading.Lock()

    def chance(self, faults: Mapping[Fault, float]) -> None:
        """How often each is met, by itself."""
        self.random = dict(faults)

    def clear(self) -> None:
        self.failing, self.random, self.never, self.slow_over, self.rules, self.retry_text = 0.0, {}, [], None, [], None

    def draw(self, path: str, is_next: bool, token: bool = False) -> Fault | None:
        """The fault of one request. token: one to the token endpoint, which meets what a test has scripted for it."""
        with self._lock:
            for rule in self.rules:
                if rule.path not in path or rule.on not in ("any", "next" if is_next else "first"):
                    continue
                if (token and rule.path not in ("/token", "/oauth2", "token")) or (
                    rule.fault in ONLY_NEXT and not is_next
                ):
                    continue
                rule.nth -= 1
                if rule.nth < 1:
                    rule.times -= 1
                    if rule.times < 1:
                        self.rules.remove(rule)
                    return rule.fault
            if token:
                return None
            for fault, often in self.random.items():
                if (is_next or fault not in ONLY_NEXT) and self._rng.random() < often:
                    return fault
            if self._rng.random() < self.failing:
                fault = self._rng.choice(PASSING)
                return fault if is_next or fault not in ONLY_NEXT else Fault.GATEWAY_TIMEOUT
        return None
