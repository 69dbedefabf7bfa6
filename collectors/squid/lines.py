"""The slow path: one line of the access log, read by one regular expression made from the logformat.

What the columns of the fast path decline comes here: a line is a row with every field right, or a reject with a
reason. Never guesses: where a line can be read in two ways it is rejected, and says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

from collectors.squid.framing import MARK
from collectors.squid.logformat import Item, Token, literal_bytes
from collectors.squid.meaning import OPEN, URL_CODES, USER_CODES, column_of, form
from collectors.squid.rows import row_maker
from collectors.squid.syslog import unwrapped

LONGEST_LINE = 64 * 1024
CUT_BY_SQUID = 8191  # bytes; the built-in formats then end with a NUL and no end of line (seen with 5.7)
_MOST_WAYS = 100_000

_RUN_TOGETHER = re.compile(rb"\s[A-Z]+(?:_[A-Z]+)*/\d{3}(?: -?\d+){1,2} [A-Z]")
_STAMPED = re.compile(rb"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]")
_BEGINS = re.compile(rb"\d{10}|\d+\.\d+\.\d+\.\d+|[0-9A-Fa-f]{1,4}:[0-9A-Fa-f:]{2,}|\[")
_NAME = re.compile(rb"(?:[A-Za-z'-]|%[89A-Fa-f][0-9A-Fa-f])+(?: (?:[A-Za-z'-]|%[89A-Fa-f][0-9A-Fa-f])+)*")
_NO_ACCOUNT = re.compile(rb"[\"/:;|=,+*?<>&#]")
_OLD = frozenset({b"DIRECT", b"NONE", b"TIMEOUT_DIRECT"})
# log_mime_hdrs on: the built-in formats end with the headers in brackets, those in a header as %5b and %5d.
_HEADERS = rb"(?: \[[^\[\]]*\] \[[^\[\]]*\])?" + OPEN
_TOGETHER = "two records run together on one line"

LineReader = Callable[[bytes], "dict[str, Any] | str"]


@dataclass(frozen=True)
class _Shape:
    """A logformat as regular expressions: each token is a group.

    least, most: the same with short and with long values tried first; where both agree there is one way to read a line.
    time: a time stamp. after: what follows each token that could hold it.
    """

    least: re.Pattern[bytes]
    most: re.Pattern[bytes]
    time: re.Pattern[bytes]
    after: tuple[bytes, ...]

    def read(self, line: bytes) -> tuple[bytes | None, ...] | str:
        """The token's bytes, or why there are none."""
        if len(self.after) > 1:
            ways = 1
            for delimiter in self.after:
                ways *= line.count(delimiter) + 1
            if ways > _MOST_WAYS:
                return "too many ways to read it"
        match = self.least.fullmatch(line)
        if match is None:
            return ""
        if self.after:
            other = self.most.fullmatch(line)
            if other is not None and other.groups() != match.groups():
                return "it can be read in two ways"
        return match.groups()


def line_reader(items: tuple[Item, ...]) -> LineReader:
    """A function: one line (bytes, without its end) → column values, or the reason why it cannot be read.

    Values: ts and started_at as datetime in UTC, numbers as int, text as str, extra as a dict; what is absent is
    missing. A line in a syslog header is read without it.
    """
    tokens = [item for item in items if isinstance(item, Token)]
    pair = _url_before_user(items)
    shape = _shape(items, pair)
    make = row_maker(tokens)
    loose = [number for number, token in enumerate(tokens) if column_of(token) == "url" or token.style == "'"]
    odd = _odd(items)
    wanted = 1 + sum(item.count(" ") for item in items if isinstance(item, str))
    places = {column_of(token): number for number, token in reversed(list(enumerate(tokens)))}

    def read(raw: bytes) -> dict[str, Any] | str:
        line = raw.removesuffix(b"\r").rstrip(b" ")
        if not line.strip():
            return "an empty line"
        if len(line) > LONGEST_LINE:
            return f"longer than {LONGEST_LINE // 1024} KB ({len(line):,} bytes)"
        if odd.search(line):
            _, mark, why = line.rpartition(MARK)
            told = f"broken off on the way: {why.decode('utf-8', 'replace')}"
            return told if mark else "control characters: Squid writes none"
        bare = unwrapped(line)
        found = "" if bare is None else shape.read(bare)
        if isinstance(found, str):  # a format may itself begin with what looks like a header
            own = shape.read(line)
            found, line = (own, line) if bare is None or not isinstance(own, str) else (found, bare)
        if isinstance(found, str):
            return _why(line, wanted, found)
        if pair is not None:
            found = _settled(found, pair, places)
            if isinstance(found, str):
                return found
        elif any(b" " in (found[one] or b"") and _holds_a_record(found[one] or b"", line, shape) for one in loose):
            return _TOGETHER
        return make(found)

    return read


def _odd(items: tuple[Item, ...]) -> re.Pattern[bytes]:
    """Control characters that do not belong into a line of this format."""
    own = {byte for item in items if isinstance(item, str) for byte in literal_bytes(item)} | {9}
    strange = bytes(byte for byte in (*range(32), 127) if byte not in own and byte != 10)
    return re.compile(b"[" + re.escape(strange) + b"]")


def _shape(items: tuple[Item, ...], pair: tuple[int, int] | None) -> _Shape:
    parts: list[bytes] = []
    after: list[bytes] = []
    count = 0
    for index, item in enumerate(items):
        if isinstance(item, str):
            if not _missing_together(items, index):
                parts.append(re.escape(literal_bytes(item)))
            continue
        value = rb"\S+" if pair is not None and count == pair[1] else form(item)
        following = items[index + 1] if index + 1 < len(items) else ""
        delimiter = literal_bytes(following) if isinstance(following, str) else b""
        if index + 1 < len(items) and _may_hold(value, delimiter):
            after.append(delimiter)
        pad = rb" *" + OPEN if item.minimum else b""
        part = b"(" + (b"" if item.left else pad) + value + (pad if item.left else b"") + b")"
        if index and _missing_together(items, index - 1):
            part = b"(?:" + re.escape(literal_bytes(str(items[index - 1]))) + part + b")?" + OPEN
        parts.append(part)
        count += 1
    shipped = bool(items) and isinstance(items[-1], Token) and items[-1].code in ("mt", "Sh", "<a")
    whole = b"".join(parts) + (_HEADERS if shipped else b"")
    times = [form(item) for item in items if isinstance(item, Token) and column_of(item) in ("seconds", "clock")]
    least, most, time = (
        re.compile(pattern, re.DOTALL)
        for pattern in (whole.replace(OPEN, b"?"), whole.replace(OPEN, b""), b"|".join(times).replace(OPEN, b""))
    )
    return _Shape(least, most, time, tuple(after))


def _may_hold(value: bytes, delimiter: bytes) -> bool:
    """Can a value hold what begins the text after it, so that its end is not plain?"""
    first = delimiter[:1]
    pattern = re.compile(value.replace(OPEN, b""), re.DOTALL)
    return not first or any(pattern.fullmatch(around + first + around) for around in (b"", b"a", b"A", b"1"))


def _missing_together(items: tuple[Item, ...], index: int) -> bool:
    """Is items[index] a `.` before milliseconds or a `/` before a peer? They may be missing with what follows them:
    whole-second stamps and hierarchies without a peer are seen in real logs."""
    before = items[index - 1] if index else None
    after = items[index + 1] if index + 1 < len(items) else None
    if not isinstance(before, Token) or not isinstance(after, Token):
        return False
    return (before.code, items[index], after.code) == ("ts", ".", "tu") or (
        before.code == "Sh" and items[index] == "/" and after.code in ("<a", "<A")
    )


def _url_before_user(items: tuple[Item, ...]) -> tuple[int, int] | None:
    """The numbers of a URL and a user name that stand side by side with only a space between, as in the native format,
    both with their spaces; None where there are none."""
    tokens = [item for item in items if isinstance(item, Token)]
    for left, right in pairwise(item for item in items if item != " "):
        if not isinstance(left, Token) or not isinstance(right, Token) or left.style or right.style not in ("", "["):
            continue
        if left.code in URL_CODES and right.code in USER_CODES:
            return tokens.index(left), tokens.index(right)
    return None


def _settled(
    found: tuple[bytes | None, ...], pair: tuple[int, int], places: dict[str, int]
) -> tuple[bytes | None, ...] | str:
    """Decide to whom the spaces between URL and user belong; a reason where it cannot be told.

    Squid since 3.2 writes no space in a URL (tried with 5.7), but keeps one in a user name (`%[un`); before 3.2 it was
    the other way round, and hierarchies had no HIER_ yet. What cannot stand in an account name (the list is Active
    Directory's for sAMAccountName) shows a URL all the same.
    """
    url, user = found[pair[0]] or b"", found[pair[1]] or b""
    first, _, rest = url.partition(b" ")
    if not rest:
        return found
    if _RUN_TOGETHER.search(url):
        return _TOGETHER
    method, hierarchy = (found[places[column]] if column in places else b"" for column in ("method", "hierarchy"))
    old = hierarchy in _OLD
    if method == b"CONNECT" or (_NAME.fullmatch(rest) and not old and user != b"-"):
        settled = list(found)
        settled[pair[0]], settled[pair[1]] = first, rest + b" " + user
        return tuple(settled)
    if user == b"-" or old or _NO_ACCOUNT.search(rest):
        return found
    return "a space that may belong to the URL or to the user name"


def _holds_a_record(value: bytes, line: bytes, shape: _Shape) -> bool:
    """Does a value with spaces hold the beginning of what would be a record of its own, up to the line's end?"""
    if _RUN_TOGETHER.search(value):
        return True
    if len(shape.time.findall(line)) < 2:
        return False
    at = line.find(value)
    starts = islice(_BEGINS.finditer(line, at, at + len(value)), 50)
    return any(shape.most.fullmatch(line, start.start()) for start in starts)


def _why(line: bytes, wanted: int, reason: str) -> str:
    if _RUN_TOGETHER.search(line[_first_record(line) :]) or len(_STAMPED.findall(line)) > 1:
        return _TOGETHER
    if reason:
        return reason
    found = len(line.split())
    if found < wanted:
        return f"cut short: {found} of {wanted} fields"
    return "not in the expected format"


def _first_record(line: bytes) -> int:
    first = _RUN_TOGETHER.search(line)
    return first.end() if first else len(line)
