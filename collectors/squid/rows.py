"""The bytes of a record's tokens → one row: decoded, typed, each in its column or in `extra`. Pure.

Which token fills a column where several could, and what is derived from others, stands here and in `meaning`; nothing
is filled that is not exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from collectors.squid import clock
from collectors.squid.logformat import Token
from collectors.squid.meaning import COLUMNS, INTEGERS, OF_URL, SECRET, column_of, decoder, name_of
from collectors.squid.values import host_of, split_url

_SKIPPED = frozenset({"seconds", "fraction", "clock", "started", "both_ways", *OF_URL})
_ABSENT = (b"-", b"", None)
_PARTS: dict[str, Callable[[str], Any]] = {"host": host_of, "port": int, "scheme": str.lower, "path": str}

RowMaker = Callable[[Sequence["bytes | None"]], "dict[str, Any] | str"]


@dataclass(frozen=True)
class _Field:
    token: Token
    key: str
    decode: Callable[[bytes], str]


def candidates(tokens: Sequence[Token]) -> dict[str, list[int]]:
    """Column (or helper) → the numbers of the tokens that can fill it, in the order in which they are asked.

    Of one code that stands there twice, the one without a maximum comes first.
    """
    found: dict[str, list[int]] = {}
    for number, token in enumerate(tokens):
        column = column_of(token)
        if column:
            found.setdefault(column, []).append(number)
    for column, numbers in found.items():
        order = COLUMNS[column]
        numbers.sort(key=lambda number: (order.index(name_of_column(tokens[number])), tokens[number].maximum or 0))
    return found


def name_of_column(token: Token) -> str:
    """The token's name as COLUMNS has it: of times the code alone."""
    return token.code if token.code in ("tl", "tg") else name_of(token)


def kept(token: Token) -> bool:
    """May the token's value be kept in `extra`? What lets somebody in may not."""
    return name_of(token) not in SECRET


def row_maker(tokens: Sequence[Token]) -> RowMaker:
    """A function: the bytes of each token (None: not there) → column values, or why they make no row."""
    fields = [_Field(token, token.key, decoder(token)) for token in tokens]
    plan = candidates(tokens)
    plain = {column: numbers for column, numbers in plan.items() if column not in _SKIPPED}
    extras = [number for number, token in enumerate(tokens) if kept(token)]

    def make(found: Sequence[bytes | None]) -> dict[str, Any] | str:
        values = [None if raw in _ABSENT else _trimmed(field, raw) for field, raw in zip(fields, found, strict=True)]
        used: set[int] = set()
        row: dict[str, Any] = {}
        for column, numbers in plain.items():
            for number in numbers:
                text = values[number]
                if text is not None:
                    row[column] = int(text) if column in INTEGERS else text
                    used.add(number)
                    break
        reason = _times(row, values, plan, fields, used)
        if reason:
            return reason
        _sizes(row, values, plan, used)
        _url(row, values, plan, used)
        taken = {fields[number].key for number in used}
        extra: dict[str, str] = {}
        for number in extras:
            text = values[number]
            if text is not None and number not in used and fields[number].key not in taken:
                extra.setdefault(fields[number].key, text)
        if extra:
            row["extra"] = extra
        return row

    return make


def _trimmed(field: _Field, raw: bytes) -> str | None:
    """The token's text, without the spaces that fill it up to its width; None for `-`, which stands for nothing."""
    token = field.token
    if token.minimum and (len(raw) <= token.minimum or raw[:1] + raw[-1:] != raw[:1].strip() + raw[-1:].strip()):
        raw = raw.rstrip(b" ") if token.left else raw.lstrip(b" ")
    if raw in _ABSENT:
        return None
    text = field.decode(raw)
    return None if text in ("", "-") else text


def _first(values: list[str | None], plan: dict[str, list[int]], column: str) -> int | None:
    return next((number for number in plan.get(column, ()) if values[number] is not None), None)


def _times(
    row: dict[str, Any], values: list[str | None], plan: dict[str, list[int]], fields: list[_Field], used: set[int]
) -> str:
    """`ts` from %ts, else %tl or %tg, with the milliseconds of %tu; `started_at` from %tS, else left to the duration;
    `elapsed_ms` from the stamps where there is no %tr. A reason where there is no time."""
    seconds, clocks = _first(values, plan, "seconds"), plan.get("clock", ())
    fraction, started = _first(values, plan, "fraction"), _first(values, plan, "started")
    moment: datetime | None = None
    try:
        if seconds is not None:
            moment = datetime.fromtimestamp(int(values[seconds] or 0), UTC)
            used.add(seconds)
        for number in clocks if moment is None else ():
            token = fields[number].token
            read = clock.clock(token.argument, token.code == "tg")
            moment = read(values[number] or "") if read else None
            if moment is not None:
                used.add(number)
                break
        if moment is None:
            return "a time stamp that is none" if clocks else "no time stamp"
        if fraction is not None:
            moment = moment.replace(microsecond=_micros(values[fraction] or "", fields[fraction].token))
            used.add(fraction)
        row["ts"] = moment
        if started is not None:
            whole, _, part = (values[started] or "").partition(".")
            row["started_at"] = datetime.fromtimestamp(int(whole), UTC).replace(microsecond=int((part + "000000")[:6]))
            used.add(started)
            if "elapsed_ms" not in row and fraction is not None and part:
                row["elapsed_ms"] = (moment - row["started_at"]) // timedelta(milliseconds=1)
    except (ValueError, OverflowError, OSError):
        return "a time stamp that is none"
    return ""


def _micros(text: str, token: Token) -> int:
    """%tu: milliseconds, or with a maximum width so many digits of the second's fraction."""
    return int(text) * (10 ** (6 - min(token.maximum, 6)) if token.maximum else 1000)


def _sizes(row: dict[str, Any], values: list[str | None], plan: dict[str, list[int]], used: set[int]) -> None:
    """%st is what went both ways: with one of the two known, the other is the difference."""
    both = _first(values, plan, "both_ways")
    if both is None:
        return
    total = int(values[both] or 0)
    for known, other in (("bytes_down", "bytes_up"), ("bytes_up", "bytes_down")):
        if known in row and other not in row and 0 <= row[known] <= total:
            row[other] = total - row[known]
            used.add(both)


def _url(row: dict[str, Any], values: list[str | None], plan: dict[str, list[int]], used: set[int]) -> None:
    """The parts of the URL; where none is logged as a whole, the parts that are."""
    if "url" in row:
        parts = split_url(row.get("method", ""), row["url"])
        row.update({column: part for column, part in zip(OF_URL, parts, strict=True) if part is not None})
        return
    tunnel = row.get("method") == "CONNECT"
    for column in OF_URL:
        number = _first(values, plan, column)
        if number is None or (tunnel and column in ("scheme", "path")):
            continue
        text = values[number] or ""
        value = _PARTS[column](text)
        if value is not None:
            row[column] = value
            used.add(number)
