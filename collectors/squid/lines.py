"""The slow path: one line of the access log, read by one regular expression made from the logformat.

What the columns of the fast path decline comes here: a line is a row with every field right, or a reject with a
reason. Never guesses: where a line can be read in two ways it is rejected, and says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from collectors.squid.logformat import Item, Token
from collectors.squid.values import backslash_decoded, bracket_decoded, percent_decoded, split_url, text_of, url_text

LONGEST_LINE = 64 * 1024
_CUT_BY_SQUID = 8191  # bytes; the built-in formats then end with a NUL and no end of line (seen with 5.7)
USER_CODES = ("un", "ul", "ue", "us", "ui")

_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_RUN_TOGETHER = re.compile(rb"\s[A-Z]+(?:_[A-Z]+)*/\d{3}(?: -?\d+){1,2} [A-Z]")
_NAME = re.compile(rb"(?:[A-Za-z'-]|%[89A-Fa-f][0-9A-Fa-f])+(?: (?:[A-Za-z'-]|%[89A-Fa-f][0-9A-Fa-f])+)*")
_NO_ACCOUNT = re.compile(rb"[\"/:;|=,+*?<>&#]")
_OLD = frozenset({b"DIRECT", b"NONE", b"TIMEOUT_DIRECT"})
# log_mime_hdrs on: the built-in formats end with the headers in brackets, those in a header as %5b and %5d.
_HEADERS = rb"(?: \[[^\[\]]*\] \[[^\[\]]*\])?"

# code → (column, pattern of a value that stands free). Codes that are not here are matched and left.
_TOKENS: dict[str, tuple[str, bytes]] = {
    "ts": ("seconds", rb"\d{10}"),
    "tu": ("millis", rb"\d{3}"),
    "tl": ("clock", rb"[^\]]+"),
    "tg": ("clock", rb"[^\]]+"),
    "tr": ("elapsed_ms", rb"-?\d{1,12}"),
    ">a": ("client_ip", rb"\S+"),
    ">p": ("client_port", rb"\d{1,5}|-"),
    ">eui": ("client_mac", rb"\S+"),
    "Ss": ("action", rb"[A-Z][A-Z0-9_]*"),
    ">Hs": ("status", rb"\d{3}|0|-"),
    "<st": ("bytes_down", rb"-?\d{1,18}"),
    ">st": ("bytes_up", rb"-?\d{1,18}"),
    "rm": ("method", rb"\S+"),
    "ru": ("url", rb"\S(?:.*\S)?"),
    ">ru": ("url", rb"\S(?:.*\S)?"),
    "Sh": ("hierarchy", rb"[A-Z][A-Z0-9_]*"),
    "<a": ("peer", rb"\S*"),
    "<A": ("peer", rb"\S*"),
    "mt": ("content_type", rb"\S+"),
    ">sni": ("sni", rb"\S+"),
}
_HEADER_COLUMNS = {"referer": "referrer", "user-agent": "user_agent"}
_INTEGERS = frozenset({"elapsed_ms", "client_port", "status", "bytes_down", "bytes_up"})
_ENCLOSED = {'"': rb'(?:[^"\\]|\\.)*', "[": rb"[^\]]*"}

LineReader = Callable[[bytes], "dict[str, Any] | str"]


@dataclass(frozen=True)
class _Field:
    """One token of the pattern: the column that it fills, how its text is decoded."""

    column: str
    decode: Callable[[bytes], str]


def line_reader(items: tuple[Item, ...]) -> LineReader:
    """A function: one line (bytes, without its end) → column values, or the reason why it cannot be read.

    Values: ts and started_at as datetime in UTC, numbers as int, text as str; what is absent is missing.
    """
    pattern, fields = _pattern(items)
    spaces_in_url = _url_before_user(items)
    wanted = 1 + sum(item.count(" ") for item in items if isinstance(item, str))

    def read(raw: bytes) -> dict[str, Any] | str:
        line = raw.removesuffix(b"\r").rstrip(b" ")
        if not line.strip():
            return "an empty line"
        if len(line) > LONGEST_LINE:
            return f"longer than {LONGEST_LINE // 1024} KB ({len(line):,} bytes)"
        if line[_CUT_BY_SQUID : _CUT_BY_SQUID + 1] == b"\x00":
            return "cut by Squid at 8 KB, and the next record run onto it"
        if _CONTROL.search(line):
            return "control characters: Squid writes none"
        match = pattern.fullmatch(line)
        if match is None:
            return _why(line, wanted)
        taken = {field.column: match[index] for index, field in enumerate(fields, 1) if match[index] is not None}
        if spaces_in_url:
            reason = _settle_spaces(taken)
            if reason:
                return reason
        elif _RUN_TOGETHER.search(taken.get("url", b"")):
            return "two records run together on one line"
        decoders = {field.column: field.decode for field in fields}
        return _row({column: decoders[column](value) for column, value in taken.items()})

    return read


def _pattern(items: tuple[Item, ...]) -> tuple[re.Pattern[bytes], list[_Field]]:
    parts: list[bytes] = []
    fields: list[_Field] = []
    codes = [item.code for item in items if isinstance(item, Token)]
    user = next((code for code in USER_CODES if code in codes), None)
    for index, item in enumerate(items):
        if isinstance(item, str):
            if not _missing_together(items, index):
                parts.append(re.escape(item.encode("utf-8")))
            continue
        column, value = _TOKENS.get(item.code, ("", rb"\S*"))
        if item.code == user:
            column, value = "user_name", rb"\S+"
        if item.code in (">h", ">ha"):
            column, value = _HEADER_COLUMNS.get(item.argument.lower(), ""), rb"\S*"
        quoting = item.quoting or item.enclosed
        if item.enclosed and item.code not in _TOKENS:
            value = _ENCLOSED[item.enclosed]
        elif quoting == "/":
            value = rb'"(?:[^"\\]|\\.)*"|\S*'
        lead = rb" *" if item.padded else b""
        wanted = bool(column) and all(field.column != column for field in fields)
        if wanted:
            fields.append(_Field(column, _decoder(column, quoting)))
        part = lead + (b"(" if wanted else b"(?:") + value + b")"
        if index and _missing_together(items, index - 1):
            part = b"(?:" + re.escape(str(items[index - 1]).encode("utf-8")) + part + b")?"
        parts.append(part)
    shipped = bool(items) and isinstance(items[-1], Token) and items[-1].code in ("mt", "Sh", "<a")
    return re.compile(b"".join(parts) + (_HEADERS if shipped else b""), re.DOTALL), fields


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


def _decoder(column: str, quoting: str) -> Callable[[bytes], str]:
    if column == "url":
        return url_text
    if quoting == "[":
        return bracket_decoded
    if quoting == "#" or (not quoting and column in ("user_name", "referrer", "user_agent")):
        return percent_decoded
    if quoting in ('"', "/"):
        return lambda raw: backslash_decoded(raw[1:-1] if raw[:1] == b'"' else raw)
    return text_of


def _url_before_user(items: tuple[Item, ...]) -> bool:
    """Do a URL and a user name stand side by side with only a space between, as in the native format?"""
    free = [item for item in items if item != " "]
    for left, right in pairwise(free):
        if isinstance(left, Token) and isinstance(right, Token) and left.code in ("ru", ">ru"):
            return right.code in USER_CODES
    return False


def _settle_spaces(taken: dict[str, bytes]) -> str:
    """Decide to whom the spaces between URL and user belong; changes `taken`, returns a reason where it cannot be told.

    Squid since 3.2 writes no space in a URL (tried with 5.7), but keeps one in a user name (`%[un`); before 3.2 it was
    the other way round, and hierarchies had no HIER_ yet. What cannot stand in an account name (the list is Active
    Directory's for sAMAccountName) shows a URL all the same.
    """
    url, user = taken["url"], taken["user_name"]
    first, _, rest = url.partition(b" ")
    if not rest:
        return ""
    if _RUN_TOGETHER.search(url):
        return "two records run together on one line"
    if taken["method"] == b"CONNECT" or (_NAME.fullmatch(rest) and taken["hierarchy"] not in _OLD and user != b"-"):
        taken["url"], taken["user_name"] = first, rest + b" " + user
        return ""
    if user == b"-" or taken["hierarchy"] in _OLD or _NO_ACCOUNT.search(rest):
        return ""
    return "a space that may belong to the URL or to the user name"


def _why(line: bytes, wanted: int) -> str:
    if _RUN_TOGETHER.search(line[_first_record(line) :]):
        return "two records run together on one line"
    found = len(line.split())
    if found < wanted:
        return f"cut short: {found} of {wanted} fields"
    return "not in the expected format"


def _first_record(line: bytes) -> int:
    first = _RUN_TOGETHER.search(line)
    return first.end() if first else len(line)


def _row(text: dict[str, str]) -> dict[str, Any] | str:
    """Typed values from decoded text; `-` is absence."""
    row: dict[str, Any] = {}
    for column, value in text.items():
        if value in ("-", "") and column != "url":
            continue
        row[column] = int(value) if column in _INTEGERS else value
    try:
        if "seconds" in row:
            micros = int(row.pop("seconds")) * 1_000_000 + int(row.pop("millis", "0")) * 1000
            row["ts"] = datetime.fromtimestamp(micros // 1_000_000, UTC).replace(microsecond=micros % 1_000_000)
        elif "clock" in row:
            row["ts"] = datetime.strptime(row.pop("clock"), "%d/%b/%Y:%H:%M:%S %z").astimezone(UTC)
        else:
            return "no time stamp"
    except (ValueError, OverflowError, OSError):
        return "a time stamp that is none"
    row.update(
        zip(("scheme", "host", "port", "path"), split_url(row.get("method", ""), row.get("url", "")), strict=True)
    )
    return row
