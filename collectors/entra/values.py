"""What stands in a record of Entra ID → plain values: texts, numbers, flags, times. Total: no value raises anything.

"" and null tell nothing and are None. What cannot be read as what it should be is None, too, and never guessed.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

_SURROGATE = re.compile("[\ud800-\udfff]")
# As Microsoft's services write times for the invariant culture (Event Hub, Log Analytics): month first.
_MONTH_FIRST = re.compile(
    r"(\d{1,2})/(\d{1,2})/(\d{4}),?\s+(\d{1,2}):(\d\d):(\d\d)(?:\.(\d+))?\s*([AaPp][Mm])?\s*(Z|[+-]\d\d:\d\d)?"
)
_DOTNET = re.compile(r"/Date\((-?\d{1,15})(?:[+-]\d{4})?\)/")  # ConvertTo-Json of Windows PowerShell
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2243, 10, 17, tzinfo=UTC)
_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str)


def timestamp(value: Any) -> datetime | None:
    """A date and time in UTC; None where it is none, or lies before 1970 or after 2243.

    Graph's own form, with 0 to 9 digits of fraction and any offset (none is UTC); `11/20/2026 8:15:30 AM`, month first;
    `/Date(1584126941619)/`. The seventh digit (100 ns) is cut: the lake keeps microseconds.
    """
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        found = _other_form(value.strip())
        if found is None:
            return None
        moment = found
    try:
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if _FIRST < moment < _LAST else None


def _other_form(text: str) -> datetime | None:
    try:
        if found := _DOTNET.fullmatch(text):
            return datetime.fromtimestamp(int(found[1]) / 1000, UTC)
        if found := _MONTH_FIRST.fullmatch(text):
            month, day, year, hour, minute, second = (int(found[number]) for number in range(1, 7))
            if found[8]:
                if not 1 <= hour <= 12:
                    return None
                hour = hour % 12 + (12 if found[8] in ("PM", "pm", "Pm", "pM") else 0)
            micros = int((found[7] or "0")[:6].ljust(6, "0"))
            zone = datetime.fromisoformat("2000-01-01T00:00:00" + (found[9] or "Z")).tzinfo
            return datetime(year, month, day, hour, minute, second, micros, zone)
        head, dot, rest = text.upper().replace(" ", "T", 1).partition(".")
        digits = len(rest) - len(rest.lstrip("0123456789"))
        zone_text = rest[digits:].strip() if dot else ""
        fraction = rest[:digits][:6].ljust(6, "0") if dot else ""
        return datetime.fromisoformat(f"{head}.{fraction}{zone_text}" if dot else head)
    except (ValueError, OverflowError, OSError):
        return None


def text_of(value: Any) -> str | None:
    """Text; '' and null are absence, anything else stands as its JSON. Lone surrogates become `?`."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    return compact(value)


def compact(value: Any) -> str | None:
    """A value as JSON without blanks, as UTF-8 can hold it; None where it is nested too deep."""
    try:
        text = _ENCODER.encode(value)
    except (RecursionError, ValueError):
        return None
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def flag(value: Any) -> bool | None:
    """A truth, also where it is written as text."""
    if isinstance(value, bool):
        return value
    return _FLAGS.get(value.strip().lower()) if isinstance(value, str) else None


def number(value: Any) -> int | None:
    """A whole number of 32 bits, also where it is written as text."""
    if value is None or isinstance(value, bool):
        return None
    try:
        found = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if -(2**31) <= found < 2**31 else None


def sound(text: Any) -> bool:
    """Is this text without lone surrogates, which Arrow and UTF-8 do not know?"""
    return not isinstance(text, str) or text.isascii() or not _SURROGATE.search(text)


def decoded(value: Any) -> Any:
    """JSON that was packed into a text, unpacked; any other text and value as it is. '' is None."""
    if not isinstance(value, str):
        return value
    if value[:1] not in ('"', "[", "{"):
        return value or None
    try:
        return json.loads(value, parse_constant=_refused)
    except (ValueError, RecursionError):
        return value


def object_of(value: Any) -> dict[str, Any]:
    """An object, also one that was packed into a text; {} where it is none."""
    if isinstance(value, dict):
        return value
    found = decoded(value) if isinstance(value, str) else None
    return found if isinstance(found, dict) else {}


def list_of(value: Any) -> list[Any]:
    """A list, also one that was packed into a text; [] where it is none."""
    if isinstance(value, list):
        return value
    found = decoded(value) if isinstance(value, str) else None
    return found if isinstance(found, list) else []


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")
