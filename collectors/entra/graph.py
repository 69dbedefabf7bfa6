"""Microsoft Graph, page after page, in spite of itself: waits its turn, tries again, notices what comes twice.

A page is asked for again on the very same link; what does not help by asking again is said by `GraphError.kind`. The
caller's memory holds one page. Paging is a loop, links are followed as they are given, to Graph's own host only.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, unquote_plus, urlencode, urljoin, urlsplit

from collectors.entra.answers import ErrorObject, anything, said, status_of
from collectors.entra.errors import Asked, GraphError, Kind, refusal
from collectors.entra.limit import LONGEST_PAUSE, Limit, Stopped
from collectors.entra.page import HEAVY, read_again, read_page
from collectors.entra.records import Record
from collectors.entra.token import Tokens, check_https, roles_of
from collectors.entra.wire import Answer, Timeout, Wire, retry_after

T = TypeVar("T")
# New members of evolvable enumerations come as themselves, not as unknownFutureValue ("Best practices" of Graph).
_PREFER = "include-unknown-enum-members"
_LATER = ("wait: it is tried again then",)
# What asking again can mend.
_PASSING = frozenset({Kind.TOO_SLOW, Kind.THROTTLED, Kind.UNREACHABLE, Kind.BROKEN})


@dataclass(frozen=True)
class Patience:
    """How often a link is asked for (attempts), how often of these in vain because of silence (silences).

    first, most: s of the first and the longest pause between, each twice the one before. longest: s of a Retry-After
    that is still waited for; a longer one ends the try.
    """

    attempts: int = 6
    silences: int = 2
    first: float = 1.0
    most: float = 60.0
    longest: float = 300.0


@dataclass(frozen=True)
class Page:
    """A page. records: `Record`s, or what was made of them. number: from 0, as they came. full: it holds as many as
    were asked for. last: no link follows.

    A last page that is full is a reason for doubt: the link to the next one may be missing.
    """

    records: list[Any]
    number: int
    full: bool
    last: bool


class Graph:
    """The Graph of one tenant, for one app. Thread-safe. Its methods raise GraphError, and Stopped when `stop` is set.

    base_url: https, without version. limit: shared by all that use this app and tenant. ca: the only CAs trusted, PEM.
    client_id: for the commands in cures only. OSError comes where the limit's journal cannot be used.
    """

    def __init__(
        self,
        tokens: Tokens,
        base_url: str,
        limit: Limit,
        ca: Path | None = None,
        timeout: Timeout | None = None,
        patience: Patience | None = None,
        stop: threading.Event | None = None,
        client_id: str = "",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        check_https(base_url)
        self._tokens, self._base, self._limit = tokens, base_url.rstrip("/"), limit
        self._wire, self._patience = Wire(ca, timeout), patience or Patience()
        self._stop, self._client_id, self._sleep = stop, client_id, sleep
        self._counted: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def requests(self) -> int:
        """Requests sent so far."""
        return self._counted["requests"]

    @property
    def repeated(self) -> int:
        """Pages left out so far because they repeated one before."""
        return self._counted["repeated"]

    def close(self) -> None:
        """Close the connections of all threads; a later request opens new ones."""
        self._wire.close()

    def get(self, path: str, query: Mapping[str, str] | None = None, version: str = "v1.0") -> Any:
        """One JSON answer, whatever it holds. path: without version and without slash before it."""
        return self._fetched(self._url(path, query or {}, version), path, False, lambda one: anything(one.body))

    def pages(
        self,
        path: str,
        query: Mapping[str, str],
        version: str = "v1.0",
        take: Callable[[Record], Any] | None = None,
        sending: Callable[[], None] | None = None,
        answered: Callable[[Answer], None] | None = None,
        before: Iterable[Answer] = (),
    ) -> Iterator[Page]:
        """The pages of a collection, in Graph's order; one with `last` ends them.

        A page that repeats one before is left out (as the last it comes empty). DEAD_LINK: the rest cannot be reached,
        as the link has died or leads in a circle; begin again. take: makes of each record what the page is to hold;
        HEAVY is held from then on until the next page is asked for: however many threads read, one page is in memory.
        sending: told of each request that goes out; answered: of each answer that seems good, before it is read.
        before: answers that came in an earlier life: the pages begin with them, and go on behind the last.
        """
        url = self._url(path, query, version)
        followed: set[bytes] = set()
        read: set[bytes] = set()
        top = int(query.get("$top", 0))
        old = iter(before)
        for number in count():  # no recursion: a chain may have thousands of links
            if answer := next(old, None):
                page = read_again(answer, path, take)
            else:
                followed.add(_digest(url))
                page = self._fetched(url, path, number > 0, lambda one: read_page(one, take), sending, answered)
            try:
                repeats = page.count > 0 and page.print_ in read
                read.add(page.print_)
                if repeats:
                    self._note("repeated")
                if not repeats or not page.next:
                    yield Page([] if repeats else page.records, number, 0 < top <= page.count, not page.next)
            finally:
                page.records = []
                if take:
                    HEAVY.release()
            if not page.next:
                return
            url = self._next(page.next, url)
            if _digest(url) in followed:
                raise GraphError(Kind.DEAD_LINK, f"Microsoft Graph on {path}: its links lead in a circle")

    def _url(self, path: str, query: Mapping[str, str], version: str) -> str:
        text = urlencode(query, quote_via=quote, safe="$'():,/")
        return f"{self._base}/{version}/{path.lstrip('/')}" + (f"?{text}" if text else "")

    def _next(self, link: str, before: str) -> str:
        """A link of Graph, whole. Never to another host: the token goes with it."""
        url = urljoin(before, link)
        if _origin(url) != _origin(self._base):
            raise GraphError(
                Kind.BROKEN,
                f"Microsoft Graph's link to the next page leads to {urlsplit(url).netloc!r}, which is not asked",
                "check `graph`: it must be the address that Graph itself uses",
            )
        return url

    def _fetched(
        self,
        url: str,
        path: str,
        following: bool,
        read: Callable[[Answer], T],
        sending: Callable[[], None] | None = None,
        answered: Callable[[Answer], None] | None = None,
    ) -> T:
        """A good answer, read. Asks again while that may help."""
        failures: Counter[Kind] = Counter()
        renew = renewed = False
        while True:
            self._check_stop()
            try:
                token = self._tokens.token(renew)
                renew = False
                answer = self._sent(url, token, sending)
                if answered and answer.status == 200:
                    answered(answer)
                return self._judged(answer, url, path, following, token, read)
            except GraphError as exc:
                if exc.kind is Kind.UNAUTHORIZED and not renewed:
                    renew = renewed = True
                    continue
                if exc.kind not in _PASSING or exc.code == "certificate" or 300 <= (exc.status or 0) < 400:
                    raise
                failures[exc.kind] += 1
                self._give_up(exc, failures)
                self._back_off(exc, failures.total())

    def _sent(self, url: str, token: str, sending: Callable[[], None] | None) -> Answer:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json", "Prefer": _PREFER}
        paused = self._limit.paused()
        if paused > self._patience.longest:
            raise GraphError(Kind.THROTTLED, "Microsoft Graph has asked not to be asked", *_LATER, wait=paused)
        with self._limit.turn(self._stop) as turn:
            self._note("requests")
            if sending:
                sending()

            def seen() -> None:
                with suppress(OSError):  # of the journal; it comes again at the end of the turn, as what it is
                    self._limit.ended(turn)

            answer = self._wire.get(url, headers, seen)
        wait = retry_after(answer.headers)
        if wait and (answer.status == 429 or answer.status >= 500):
            self._limit.pause(wait)  # for all: the quota is the app's, not the link's
        return answer

    def _judged(
        self, answer: Answer, url: str, path: str, following: bool, token: str, read: Callable[[Answer], T]
    ) -> T:
        status = answer.status
        if status == 200:
            try:
                return read(answer)
            except ErrorObject as exc:
                code, text = exc.code, exc.text
                status = status_of(code, text)
        else:
            code, text = said(answer.body)
        asked = Asked(path, following, unquote_plus(urlsplit(url).query), self._client_id, roles_of(token))
        error = refusal(status, code, text, asked)
        error.wait = retry_after(answer.headers)
        raise error

    def _give_up(self, error: GraphError, failures: Counter[Kind]) -> None:
        """Raise the error where it is time to."""
        silent = error.kind is Kind.TOO_SLOW and error.status is None
        most = self._patience.silences if silent else self._patience.attempts
        if error.wait is not None and error.wait > self._patience.longest:
            error.message += f"; it wants to be left alone for {min(error.wait, LONGEST_PAUSE):,.0f} s"
            raise error
        if failures[error.kind] >= most or failures.total() >= self._patience.attempts:
            if failures.total() > 1:
                error.message += f" (tried {failures.total()} times)"
            raise error

    def _back_off(self, error: GraphError, tries: int) -> None:
        pause = min(self._patience.first * 2 ** (tries - 1), self._patience.most)
        if error.wait is not None:
            pause = max(error.wait, 0.0)
        if error.kind is Kind.THROTTLED and error.status:
            self._limit.pause(pause)
        elif self._stop is not None:
            self._stop.wait(pause)
        else:
            self._sleep(pause)

    def _check_stop(self) -> None:
        if self._stop is not None and self._stop.is_set():
            raise Stopped

    def _note(self, what: str) -> None:
        with self._lock:
            self._counted[what] += 1


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or 443


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
