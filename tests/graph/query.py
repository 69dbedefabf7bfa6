"""What a request asks for, read strictly: only what Graph documents for these resources, everything else is a 400.

Sources: pages "List signIns" and "List directoryAudits" ($filter with eq, ge, le; $orderby; $top up to 1000), the CSDL,
and what users of Graph report of its refusals (quoted dates, $skip, dates older than 90 days).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from tests.graph import audits, people, signins
from tests.graph.clock import TICKS, ticks
from tests.graph.names import AUDITS, KIND_STREAM, SERVICE_PRINCIPALS, USERS
from tests.graph.problems import Problem, bad, bad_filter
from tests.graph.shelf import DAY, NEVER

OLDEST = 90 * DAY  # a filter that reaches further back is refused
PATHS = {
    "auditLogs/signIns": "signIns",
    "auditLogs/directoryAudits": AUDITS,
    "users": USERS,
    "servicePrincipals": SERVICE_PRINCIPALS,
}
_STAMP = re.compile(r"(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,7}))?(Z|[+-]\d\d:\d\d))?")
_TOKENS = re.compile(r"\s*(?:(?P<mark>[()])|(?P<text>'(?:[^']|'')*')|(?P<word>[^\s()']+))")
_KINDS = {"interactiveUser", "nonInteractiveUser", "servicePrincipal", "managedIdentity"}
_USERS_OF = {"interactiveUser", "nonInteractiveUser"}


@dataclass(frozen=True)
class Query:
    """Times in ticks, both ends belong to it. ids: None, or the only ids to give."""

    version: str
    resource: str
    streams: tuple[str, ...]
    low: int = 0
    high: int = NEVER
    ids: frozenset[str] | None = None
    newest_first: bool = True
    top: int = 1000
    select: tuple[str, ...] = ()


def options(query: str) -> dict[str, str]:
    """Names and values of a query string. Raises Problem where one is given twice."""
    pairs = parse_qsl(query, keep_blank_values=True)
    if len({name for name, _ in pairs}) < len(pairs):
        raise bad(
            "Query option was specified more than once, but it must be specified at most once.", "an option twice"
        )
    return dict(pairs)


def read(version: str, path: str, given: dict[str, str], now: float) -> Query:
    """The query of a path such as auditLogs/signIns. Raises Problem (400, 404)."""
    if path not in PATHS or version not in ("v1.0", "beta"):
        raise Problem(404, "ResourceNotFound", "Resource not found for the segment.", f"no such path: {path}")
    resource = PATHS[path]
    _known_options(resource, given)
    most = 1000 if resource in ("signIns", AUDITS) else 999
    top = given.get("$top", str(most if most == 1000 else 100))
    if not top.isdecimal() or not 1 <= int(top) <= most:
        raise bad(f"Invalid page size specified: '{top}'. Must be between 1 and {most} inclusive.", f"$top={top}")
    select = _selected(resource, version, given.get("$select"))
    if resource in (USERS, SERVICE_PRINCIPALS):
        return Query(version, resource, (resource,), top=int(top), select=select)
    time_field = "activityDateTime" if resource == AUDITS else "createdDateTime"
    newest = _newest_first(given.get("$orderby"), time_field)
    reader = _Filter(given.get("$filter", ""), resource, version, time_field, ticks(now))
    reader.read()
    streams = (AUDITS,) if resource == AUDITS else tuple(KIND_STREAM[kind] for kind in reader.kinds())
    return Query(version, resource, streams, reader.low, reader.high, reader.ids, newest, int(top), select)


def _known_options(resource: str, given: dict[str, str]) -> None:
    reports = resource in ("signIns", AUDITS)
    allowed = {"$top", "$select"} | ({"$filter", "$orderby"} if reports else set())
    for name in given:
        if name == "$skip":
            raise bad("Query option 'Skip' is not allowed. To allow it, set the 'AllowedQueryOptions' property.", name)
        if name not in allowed:
            raise bad(f"The query parameter '{name}' is not supported.", f"the option {name}")


def _selected(resource: str, version: str, given: str | None) -> tuple[str, ...]:
    if given is None:
        return ()
    known = {"signIns": signins.FIELDS.get(version, frozenset()), AUDITS: audits.FIELDS, USERS: people.USER_FIELDS}
    names = tuple(name.strip() for name in given.split(","))
    for name in names:
        if name not in known.get(resource, people.APP_FIELDS):
            kind = {"signIns": "signIn", AUDITS: "directoryAudit", USERS: "user"}.get(resource, "servicePrincipal")
            raise bad(f"Could not find a property named '{name}' on type 'microsoft.graph.{kind}'.", f"$select={name}")
    return tuple(dict.fromkeys(names))


def _newest_first(given: str | None, time_field: str) -> bool:
    if given is None:
        return True
    if not (order := re.fullmatch(rf"{time_field}(?: (asc|desc))?", given)):
        raise bad("Invalid orderby clause", f"$orderby={given}")
    return order[1] == "desc"


class _Filter:
    """A filter, word by word: comparisons joined by `and`, in brackets or not; `or` only between sign-in kinds."""

    def __init__(self, text: str, resource: str, version: str, time_field: str, now: int) -> None:
        self.resource, self.version, self.time_field, self.now = resource, version, time_field, now
        self.low, self.high, self.ids = 0, NEVER, None  # type: int, int, frozenset[str] | None
        self._kinds: list[str] = []
        self._words = _words(text)
        self._at = 0

    def read(self) -> None:
        if not self._words:
            return
        self._all()
        if self._at < len(self._words):
            raise bad_filter(f"a filter that goes on with {self._words[self._at]}")

    def kinds(self) -> list[str]:
        """Sign-ins of users that ask for nothing are interactive ones (documentation of signInEventTypes)."""
        found = self._kinds or ["interactiveUser"]
        if len({kind in _USERS_OF for kind in found}) > 1 or len(set(found) - _USERS_OF) > 1:
            raise bad_filter("user and service principal sign-ins in one query")
        return found

    def _next(self, wanted: str | None = None) -> str:
        word = self._words[self._at] if self._at < len(self._words) else ""
        if not word or (wanted is not None and word != wanted):
            raise bad_filter(f"{word or 'nothing'} where {wanted or 'more'} should be")
        self._at += 1
        return word

    def _all(self) -> None:
        self._one()
        while self._at < len(self._words) and self._words[self._at] == "and":
            self._at += 1
            self._one()

    def _one(self) -> None:
        word = self._next()
        if word == "(":
            self._all()
            self._next(")")
        elif word == "signInEventTypes/any" and self.resource == "signIns":
            self._any()
        else:
            self._compare(word, self._next(), self._next())

    def _compare(self, name: str, operator: str, value: str) -> None:
        if name == "id" and operator == "eq" and value.startswith("'"):
            wanted = frozenset({_unquoted(value)})
            self.ids = wanted if self.ids is None else self.ids & wanted
            return
        if name != self.time_field:
            raise bad_filter(f"a filter by {name}")
        if operator not in ("ge", "le", "eq"):
            raise bad_filter(f"the operator {operator}")
        at = _ticks(value)
        if at < self.now - OLDEST * TICKS:
            raise bad_filter(f"{value}, which is more than 90 days ago")
        self.low = max(self.low, at) if operator in ("ge", "eq") else self.low
        self.high = min(self.high, at) if operator in ("le", "eq") else self.high

    def _any(self) -> None:
        if self.version != "beta":
            raise bad("Could not find a property named 'signInEventTypes' on type 'microsoft.graph.signIn'.", "v1.0")
        if self._kinds:
            raise bad_filter("signInEventTypes twice")
        self._next("(")
        word = self._next()
        name, colon, rest = word.partition(":")
        if not colon or not name.isidentifier():
            raise bad_filter(f"{word} where a range variable should be")
        if rest:  # x:x eq …
            self._words.insert(self._at, rest)
        while True:
            self._next(name)
            self._next("eq")
            kind = _unquoted(self._next())
            if kind not in _KINDS:
                raise bad_filter(f"the kind {kind}")
            self._kinds.append(kind)
            if self._next() == ")":
                return
            self._at -= 1
            self._next("or")


def _words(text: str) -> list[str]:
    found: list[str] = []
    at = 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKENS.match(text, at)
        if match is None:
            raise bad_filter(f"{text[at:]} cannot be read")
        found.append(match[match.lastgroup or 0])
        at = match.end()
    return found


def _unquoted(text: str) -> str:
    if not (text.startswith("'") and text.endswith("'") and len(text) > 1):
        raise bad_filter(f"{text} where a text in quotes should be")
    return text[1:-1].replace("''", "'")


def _ticks(text: str) -> int:
    """A stamp without quotes, with up to 7 fraction digits and its offset; a date alone is its midnight."""
    match = _STAMP.fullmatch(text)
    if match is None:
        raise bad_filter(f"{text} where a time should be")
    day, clock, fraction, offset = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock or '00:00'}{offset or 'Z'}").astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise bad_filter(f"{text} where a time should be") from exc
    return int(moment.timestamp()) * TICKS + int((fraction or "").ljust(7, "0"))
