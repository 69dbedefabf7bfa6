"""What is answered to whom: token, throttle, faults, permissions, query and page, in this order; and what was seen."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import Any
from urllib.parse import quote

from tests.graph import problems
from tests.graph.clock import Clock, ticks
from tests.graph.faults import PAGES, Fault, Faults
from tests.graph.login import Bearer, Login, LoginError
from tests.graph.names import AUDITS, SERVICE_PRINCIPALS, USERS
from tests.graph.paging import Place, Places
from tests.graph.people import USER_DEFAULT
from tests.graph.problems import Problem
from tests.graph.query import Query, options, read
from tests.graph.throttle import Throttle
from tests.graph.world import World, as_text

GRACE = 0.2  # seconds in which a request that is under way may still come after a refusal
HTML = b"<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>\n"


@dataclass(frozen=True)
class Call:
    """A request as it came. at: time.monotonic() of its arrival."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: str
    at: float


@dataclass(frozen=True)
class Reply:
    """An answer. ending: Fault.CUT_BEFORE, CUT_BODY, STALL or SILENCE, where the connection does not bring it whole."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    ending: Fault | None = None
    fault: Fault | None = None


@dataclass(frozen=True)
class Seen:
    """A request and its answer. at: real seconds since 1970; moment: by the server's clock; status 0: no answer."""

    at: float
    moment: float
    method: str
    path: str
    query: str
    status: int
    fault: str
    preferred: bool


@dataclass(frozen=True)
class Violation:
    """kind: rate, undocumented, hasty (before Retry-After has passed), altered_link, host (not this one)."""

    kind: str
    at: float
    detail: str


@dataclass
class Site:
    """All parts of the server but its socket. host: as requests must name it."""

    url: str
    clock: Clock
    world: World
    login: Login
    throttle: Throttle
    faults: Faults
    places: Places
    seen: list[Seen] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    latency: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _wait: dict[str, tuple[float, float]] = field(default_factory=dict)

    def answer(self, call: Call) -> Reply:
        """Never raises for what a request holds."""
        try:
            if call.path.endswith(("/token", "/openid-configuration", "/discovery/instance")):
                reply = self._login(call)
            else:
                reply = self._graph(call)
        except Problem as problem:
            if problem.undocumented:
                self.accuse("undocumented", f"{problem.undocumented} in {call.path}?{call.query}")
            reply = self._refused(problem)
        with self._lock:
            self.seen.append(
                Seen(
                    time.time() - (time.monotonic() - call.at),
                    self.clock.now(),
                    call.method,
                    call.path,
                    call.query,
                    0 if reply.ending in (Fault.CUT_BEFORE, Fault.SILENCE) else reply.status,
                    reply.fault.name if reply.fault else "",
                    "include-unknown-enum-members" in call.headers.get("Prefer", ""),
                )
            )
        return reply

    def accuse(self, kind: str, detail: str) -> None:
        with self._lock:
            self.violations.append(Violation(kind, time.time(), detail))

    def _refused(self, problem: Problem, fault: Fault | None = None) -> Reply:
        return Reply(problem.status, problem.body(self.clock.now()), dict(problem.headers), fault=fault)

    def _login(self, call: Call) -> Reply:
        fault = self.faults.draw(call.path, False, token=True)
        if fault is not None:
            return self._failed(fault, "token", call)
        tenant = call.path.split("/")[1]
        try:
            if call.path.endswith("/token"):
                if call.method != "POST":
                    raise LoginError(400, "invalid_request", 900561, "The endpoint only accepts POST requests.")
                found = self.login.token(tenant, call.body)
            else:
                found = self.login.instance() if "instance" in call.path else self.login.discovery(tenant)
        except LoginError as error:
            return Reply(error.status, json.dumps(error.body()).encode())
        return Reply(200, json.dumps(found).encode())

    def _graph(self, call: Call) -> Reply:
        bearer = self._bearer(call)
        version, _, path = call.path.removeprefix("/").partition("/")
        reports = path.startswith("auditLogs/")
        if reports:
            self._limit(bearer, call)
        given = options(call.query)
        link = given.get("$skiptoken")
        fault = self.faults.draw(f"{call.path}?{call.query}", link is not None)
        if fault is not None and fault not in PAGES | {Fault.REPEATED_PAGE}:
            return self._failed(fault, f"{bearer.tenant}/{bearer.client_id}" if reports else "", call)
        if call.method != "GET":
            raise Problem(405, "Request_BadRequest", "Specified HTTP method is not allowed.", f"{call.method} {path}")
        if link is None:
            place = Place(read(version, path, given, self.clock.now()), given)
        else:
            place = self.places.find(link)
            if (
                {**place.given, "$skiptoken": link} != given
                or path != _path_of(place.query)
                or (version != place.query.version)
            ):
                self.accuse("altered_link", f"{call.path}?{call.query}")
                raise problems.dead_link()
        self._allow(bearer, place.query)
        if self._never(place.query):
            raise Problem(504, "UnknownError", "")
        most = self.faults.slow_over
        if reports and most is not None and self.world.count(place.query, self.clock.now()) > most:
            if self.faults.slow_silent:
                return Reply(200, b"", ending=Fault.SILENCE)
            raise Problem(504, "UnknownError", "")
        return self._page(call, place, fault)

    def _bearer(self, call: Call) -> Bearer:
        if call.headers.get("Host", "") != self.url.removeprefix("https://"):
            self.accuse("host", f"{call.path} of {call.headers.get('Host')}")
        scheme, _, token = call.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not token:
            raise problems.no_token("Access token is empty.")
        bearer = self.login.bearer(token)
        if isinstance(bearer, str):
            raise problems.no_token(bearer)
        return bearer

    def _limit(self, bearer: Bearer, call: Call) -> None:
        who = f"{bearer.tenant}/{bearer.client_id}"
        refused, until = self._wait.get(who, (0.0, 0.0))
        if refused + GRACE < call.at < until:
            self.accuse("hasty", f"{until - call.at:.3f} s before Retry-After had passed: {call.path}")
        over = self.throttle.over(who, call.at)
        if over is not None:
            self.accuse("rate", f"more than {self.throttle.limit} in {self.throttle.per} s: {call.path}")
            self._wait[who] = (call.at, call.at + over)
            raise problems.throttled(str(max(1, math.ceil(over))))

    def _allow(self, bearer: Bearer, query: Query) -> None:
        """Which permission each resource needs; signIns need a licence and, by a known issue, Directory.Read.All."""
        has = bearer.permissions
        if query.resource == USERS and not has & {"User.Read.All", "Directory.Read.All"}:
            raise problems.no_permission()
        if query.resource == SERVICE_PRINCIPALS and not has & {"Application.Read.All", "Directory.Read.All"}:
            raise problems.no_permission()
        if query.resource in ("signIns", AUDITS) and "AuditLog.Read.All" not in has:
            raise problems.no_permission("AuditLog.Read.All")
        if query.resource == "signIns":
            if "Directory.Read.All" not in has:
                raise problems.no_permission()
            if self.world.directory.licence == "Free":
                raise problems.no_licence()

    def _never(self, query: Query) -> bool:
        return any(
            query.low <= ticks(one.end)
            and query.high >= ticks(one.begin)
            and (one.stream is None or one.stream in query.streams)
            for one in self.faults.never
        )

    def _failed(self, fault: Fault, who: str, call: Call) -> Reply:
        retry, moment = self.faults.retry_after, self.clock.now()
        seconds = self.faults.retry_text or str(math.ceil(retry))
        errors = {
            Fault.TOO_MANY: problems.throttled(None),
            Fault.TOO_MANY_SECONDS: problems.throttled(seconds),
            Fault.TOO_MANY_DATE: problems.throttled(formatdate(moment + retry + 1, usegmt=True)),
            Fault.UNAVAILABLE: Problem(503, "ServiceUnavailable", "Service unavailable. Please retry."),
            Fault.UNAVAILABLE_RETRY: Problem(503, "ServiceUnavailable", "Retry later.", "", {"Retry-After": seconds}),
            Fault.GATEWAY_TIMEOUT: Problem(504, "UnknownError", ""),
            Fault.INTERNAL: Problem(500, "InternalServerError", "Internal server error."),
            Fault.DEAD_TOKEN: problems.dead_link(),
            Fault.EXPIRED: problems.no_token("Lifetime validation failed, the token is expired."),
            Fault.LICENCE: problems.no_licence(),
            Fault.PERMISSION: problems.no_permission("AuditLog.Read.All"),
            Fault.PRIVILEGES: problems.no_permission(),
            Fault.CONDITIONAL: problems.conditional(),
        }
        if fault in (Fault.TOO_MANY_SECONDS, Fault.UNAVAILABLE_RETRY) and who and self.faults.retry_text is None:
            self._wait[who] = (call.at, call.at + math.ceil(retry))
        if fault is Fault.TOO_MANY_DATE and who and self.clock.speed:
            self._wait[who] = (call.at, call.at + retry / self.clock.speed)
        if fault is Fault.DEAD_TOKEN:
            self.places.kill(options(call.query)["$skiptoken"])
        if fault is Fault.EXPIRED:
            self.login.expire(call.headers.get("Authorization", "").partition(" ")[2])
        if fault in errors:
            return self._refused(errors[fault], fault)
        elsewhere = self.url.replace("//localhost", "//127.0.0.1")
        html = {"Content-Type": "text/html; charset=utf-8"}
        return {
            Fault.CUT_BEFORE: Reply(200, b"", ending=fault, fault=fault),
            Fault.SILENCE: Reply(200, b"", ending=fault, fault=fault),
            Fault.CUT_BODY: replace(self._whole(call), ending=fault, fault=fault),
            Fault.STALL: replace(self._whole(call), ending=fault, fault=fault),
            Fault.ERROR_IN_BODY: replace(self._broken_off(call), fault=fault),
            Fault.REDIRECT: Reply(302, b"", {"Location": f"{elsewhere}{call.path}?{call.query}"}, fault=fault),
            Fault.NOT_JSON: Reply(200, b'{"@odata.context":"https://graph', fault=fault),
            Fault.HTML: Reply(200, HTML, html, fault=fault),
            Fault.HTML_GATEWAY: Reply(502, HTML, html, fault=fault),
            Fault.EMPTY_BODY: Reply(200, b"", fault=fault),
        }[fault]

    def _whole(self, call: Call) -> Reply:
        """The right answer, to be cut off."""
        try:
            given = options(call.query)
            link = given.get("$skiptoken")
            _, version, path = call.path.split("/", 2)
            place = self.places.find(link) if link else Place(read(version, path, given, self.clock.now()), given)
            return self._page(call, place, None)
        except (Problem, ValueError):
            return Reply(200, b'{"token_type":"Bearer","expires_in":3599,"access_token":"e')

    def _broken_off(self, call: Call) -> Reply:
        """A page in the middle of which Graph has met an error of its own (microsoft-graph-docs-contrib issue 7577)."""
        whole = self._whole(call)
        why = Problem(400, "BadRequest", "The property 'category' has a null value, which is not allowed.")
        return replace(whole, body=whole.body[: len(whole.body) * 2 // 3] + why.body(self.clock.now()))

    def _page(self, call: Call, place: Place, fault: Fault | None) -> Reply:
        query, moment = place.query, self.clock.now()
        if fault is Fault.REPEATED_PAGE and place.before is not None:
            again = self._page(call, replace(place.before, before=None), None)
            link = self._link(replace(place, uses=0))
            page = json.loads(again.body)
            texts = [as_text(one) for one in page["value"]]
            return replace(again, body=self._body(query, texts, link), fault=fault)
        after, number = place.after, place.number
        prefers = "include-unknown-enum-members" in call.headers.get("Prefer", "")
        top = query.top
        if fault in (Fault.EMPTY_PAGE, Fault.SHORT_PAGE):
            top = 0 if fault is Fault.EMPTY_PAGE else max(1, top // 3)
        if query.resource in (USERS, SERVICE_PRINCIPALS):
            listed = list(self.world.listed(query.resource).values())
            texts = [_directory_text(one, query) for one in listed[number : number + top]]
            number += len(texts)
            more = number < len(listed)
        else:
            rows, more = self.world.page(replace(query, top=max(top, 1)), after, moment)
            more, rows = more or (top == 0 and bool(rows)), rows[:top]
            after = rows[-1] if rows else after
            texts = [self.world.text(row, moment, query.version, prefers, query.select) for row in rows]
        following = Place(query, place.given, after, number, place.page + 1, place.served + len(texts), before=place)
        place.before = replace(place.before, before=None) if place.before else None  # no chain of all pages
        next_link = self._link(following) if more else None
        if fault is Fault.REPEATED_RECORD:
            texts += texts[:1]
        elif fault is Fault.NO_NEXT_LINK:
            next_link = None
        elif fault is Fault.SELF_LINK and next_link:
            next_link = f"{self.url}{call.path}?{call.query}"
        elif fault is Fault.FOREIGN_LINK and next_link:
            next_link = next_link.replace("//localhost", "//127.0.0.1")
        return Reply(200, self._body(query, texts, next_link), fault=fault)

    def _link(self, place: Place) -> str:
        token = self.places.link(place)
        asked = "&".join(f"{name}={quote(value, safe='')}" for name, value in place.given.items())
        path = _path_of(place.query)
        return f"{self.url}/{place.query.version}/{path}?{asked}{'&' if asked else ''}$skiptoken={token}"

    def _body(self, query: Query, texts: list[str], link: str | None) -> bytes:
        context = f"{self.url}/{query.version}/$metadata#{_path_of(query)}"
        parts = [f'"@odata.context":{json.dumps(context)}']
        parts += [f'"@odata.nextLink":{json.dumps(link)}'] if link else []
        return ("{" + ",".join([*parts, f'"value":[{",".join(texts)}]']) + "}").encode()


def _path_of(query: Query) -> str:
    return {"signIns": "auditLogs/signIns", AUDITS: "auditLogs/directoryAudits", USERS: "users"}.get(
        query.resource, "servicePrincipals"
    )


def _directory_text(record: dict[str, Any], query: Query) -> str:
    names = query.select or (tuple(USER_DEFAULT) if query.resource == USERS else ())
    return as_text({name: record.get(name) for name in dict.fromkeys(("id", *names))} if names else record)
