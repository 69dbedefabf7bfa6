"""Times as `%tl` and `%tg` write them: a strftime text → how to read it back. Exact, or not at all. Pure.

Source: strftime of POSIX (in the C locale, in which Squid runs) and the section `logformat` of Squid's manual.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

DEFAULT = "%d/%b/%Y:%H:%M:%S %z"
# By the manual %tg has the same default; up to 5 at least it comes without the zone (tried with 5.7).
_DEFAULT_GMT, _ZONE = "%d/%b/%Y:%H:%M:%S", r"(?: [+-]\d{4})?"
_LONG_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_LONG_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS, _DAYS = ([name[:3] for name in names] for names in (_LONG_MONTHS, _LONG_DAYS))
_WHOLE = {"F": "%Y-%m-%d", "T": "%H:%M:%S", "R": "%H:%M", "D": "%m/%d/%y", "r": "%I:%M:%S %p", "h": "%b",
          "c": "%a %b %e %T %Y", "n": "\n", "t": "\t", "x": "%m/%d/%y", "X": "%H:%M:%S"}  # fmt: skip
_PARTS: dict[str, tuple[str, str]] = {
    "Y": ("year", r"\d{4}"), "y": ("short_year", r"\d\d"), "m": ("month", r"\d\d"), "d": ("day", r"\d\d"),
    "e": ("day", r"[ \d]\d"), "H": ("hour", r"\d\d"), "k": ("hour", r"[ \d]\d"), "I": ("twelfth", r"\d\d"),
    "l": ("twelfth", r"[ \d]\d"), "M": ("minute", r"\d\d"), "S": ("second", r"\d\d"), "p": ("half", "AM|PM"),
    "j": ("day_of_year", r"\d{3}"), "b": ("month_name", "|".join(_MONTHS)), "B": ("long_month", "|".join(_LONG_MONTHS)),
    "z": ("zone", r"[+-]\d{4}"), "Z": ("zone_name", r"[A-Za-z0-9+-]+"), "s": ("epoch", r"-?\d{1,11}"),
    "a": ("", "|".join(_DAYS)), "A": ("", "|".join(_LONG_DAYS)), "u": ("", r"\d"), "w": ("", r"\d"),
    "U": ("", r"\d\d"), "W": ("", r"\d\d"), "V": ("", r"\d\d"), "G": ("", r"\d{4}"), "g": ("", r"\d\d"),
    "C": ("", r"\d\d"),
}  # fmt: skip

Clock = Callable[[str], "datetime | None"]


def pattern(form: str, in_utc: bool) -> str:
    """A regular expression of what the strftime text `form` (empty: the default) writes; without groups."""
    return _compiled(form)[0] if form or not in_utc else _compiled(_DEFAULT_GMT)[0] + _ZONE


def clock(form: str, in_utc: bool) -> Clock | None:
    """What reads a time written by `form`; None where that does not tell a moment: no date, no time, no zone.

    in_utc: the time is GMT whatever the text says of a zone (`%tg`). The reader gives a moment in UTC, None for a
    text that is no time.
    """
    bare = in_utc and not form
    _, groups, names = _compiled(_DEFAULT_GMT if bare else form)
    whole = re.compile(groups + _ZONE if bare else groups)
    dated = {"year", "short_year"} & names and (
        ("day" in names and {"month", "month_name", "long_month"} & names) or "day_of_year" in names
    )
    timed = {"minute", "second"} <= names and ("hour" in names or {"twelfth", "half"} <= names)
    if "epoch" not in names and not (dated and timed and (in_utc or {"zone", "zone_name"} & names)):
        return None

    def read(text: str) -> datetime | None:
        match = whole.fullmatch(text)
        if match is None:
            return None
        try:
            return _moment(match.groupdict(), in_utc)
        except (ValueError, OverflowError, OSError):
            return None

    if not form and not in_utc:
        return _of_the_day(read)
    return lru_cache(maxsize=4096)(read)


def _of_the_day(read: Clock) -> Clock:
    """The same reader for the default text, which `read`s each day and zone once only: `20/Nov/2026:09:15:30 +0100`."""
    midnight = lru_cache(maxsize=64)(read)

    def quickly(text: str) -> datetime | None:
        hour, minute, second = text[12:14], text[15:17], text[18:20]
        if len(text) != 26 or not (hour + minute + second).isdecimal() or not text.isascii():
            return None
        begins = midnight(f"{text[:12]}00{text[14:15]}00{text[17:18]}00{text[20:]}")
        if begins is None or hour > "23" or minute > "59" or second > "60":
            return None
        seconds = (
            int(hour) * 3600 + int(minute) * 60 + min(int(second), 59)
        )  # a leap second is its minute's last moment
        return begins + timedelta(seconds=seconds)

    return quickly


@lru_cache(maxsize=64)
def _compiled(form: str) -> tuple[str, str, frozenset[str]]:
    """A pattern without groups, one with named groups, and the names; a part that comes twice is read once."""
    bare, named, names = "", "", set()
    at, text = 0, form or DEFAULT
    while at < len(text):
        letter = text[at + 1 : at + 2]
        if text[at] == "%" and letter in _WHOLE:
            text = text[:at] + _WHOLE[letter] + text[at + 2 :]
            continue
        if text[at] == "%" and letter in _PARTS:
            name, part = _PARTS[letter]
            bare += f"(?:{part})"
            named += f"(?P<{name}>{part})" if name and name not in names else f"(?:{part})"
            names.add(name)
            at += 2
            continue
        plain = "%" if text[at] == "%" and letter == "%" else text[at]
        at += 2 if text[at : at + 2] == "%%" else 1
        bare += re.escape(plain)
        named += re.escape(plain)
    return bare, named, frozenset(names - {""})


def _moment(part: dict[str, str], in_utc: bool) -> datetime | None:
    if "epoch" in part:
        return datetime.fromtimestamp(int(part["epoch"]), UTC)
    if "year" in part:
        year = int(part["year"])
    else:
        short = int(part["short_year"])
        year = short + (1900 if short >= 69 else 2000)
    hour = int(part["twelfth"]) % 12 + 12 * (part["half"] == "PM") if "twelfth" in part else int(part["hour"])
    # A leap second is the last moment of its minute.
    second = min(int(part["second"]), 59)
    if "day_of_year" in part and "day" not in part:
        day = datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=int(part["day_of_year"]) - 1)
        month, number = day.month, day.day
    else:
        month, number = _month(part), int(part["day"])
    zone = UTC if in_utc else _zone(part)
    if zone is None:
        return None
    return datetime(year, month, number, hour, int(part["minute"]), second, tzinfo=zone).astimezone(UTC)


def _month(part: dict[str, str]) -> int:
    if "month" in part:
        return int(part["month"])
    if "month_name" in part:
        return _MONTHS.index(part["month_name"]) + 1
    return _LONG_MONTHS.index(part["long_month"]) + 1


def _zone(part: dict[str, str]) -> timezone | None:
    """The zone; a name other than UTC tells nothing (CST is in America, China and Australia)."""
    if "zone" in part:
        sign = -1 if part["zone"][0] == "-" else 1
        return timezone(sign * timedelta(hours=int(part["zone"][1:3]), minutes=int(part["zone"][3:])))
    return UTC if part["zone_name"] in ("UTC", "GMT", "Z") else None
