"""Which format a sample of a log is in: a look at its first lines, before anything is read in earnest."""

from __future__ import annotations

import re
from functools import lru_cache

from collectors.squid.access_log import compile_parser
from collectors.squid.known import KNOWN_FORMATS
from collectors.squid.lines import LineReader
from collectors.squid.logformat import FORMATS, Token, format_of, parse_logformat
from collectors.squid.syslog import unwrapped

SAMPLE = 256 * 1024
_LOOKED_AT = 200
_NATIVE_STAMP = re.compile(rb"\s*\d{9,11}(\.\d{3})?\s")
NAMES = (*FORMATS, *(known.name for known in KNOWN_FORMATS))

# Formats that people mistake for an access log of Squid: a name, and what its lines begin like.
_OTHERS: tuple[tuple[str, re.Pattern[bytes]], ...] = (
    ("JSON, one record a line", re.compile(rb"\s*[{\[]")),
    ("Squid's cache.log", re.compile(rb"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d")),
    ("CSV", re.compile(rb"[\w \"]+(,[\w \"]+){3,}\s*$")),
)


class UnknownFormatError(ValueError):
    """A sample in no known format; says what it looks like, and how to give its format."""


def detect(sample: bytes) -> str:
    """The name of the known format (`format_of` gives its logformat) that explains most of a log's first bytes.

    Most is: lines read, each as many times as the format has codes, so that of two that read the same lines the one
    with more in it wins. At least half of the lines must read by it. Raises UnknownFormatError.
    """
    lines = _lines(sample)
    if not lines:
        raise UnknownFormatError("there is no line in it yet to tell the format by")
    scores = _reading(lines, NAMES)
    best = max(scores, key=lambda name: scores[name] * _size(name), default="")
    if best and scores[best] * 2 >= len(lines):
        return best
    raise UnknownFormatError(_unlike(sample, lines, best, scores.get(best, 0)))


def fits(sample: bytes, name: str) -> bool:
    """Does at least one line of the sample read as this format, or carry a native line's stamp where it should?"""
    lines = _lines(sample)
    if any(not isinstance(_reader(name)(line), str) for line in lines):
        return True
    stamped = format_of(name).startswith("%ts")
    others = [other for other in FORMATS if other != name]
    return stamped and any(_NATIVE_STAMP.match(line) for line in lines) and not any(_reading(lines, others))


def looks_like(sample: bytes, but: str) -> str:
    """The name of the known format that explains most of the sample's lines, other than `but`; '' if none."""
    scores = _reading(_lines(sample), [name for name in NAMES if name != but])
    return max(scores, key=lambda name: scores[name] * _size(name), default="")


def describe_other(sample: bytes) -> str:
    """What the sample is, where it is no access log of a known format; '' where that is not known."""
    if b"\x00" in sample[:8192]:
        return "a binary file"
    lines = _lines(sample)[:20]
    wrapped = sum(unwrapped(line) is not None for line in lines)
    if lines and wrapped * 2 > len(lines):
        return "syslog (lines wrapped in a syslog header)"
    for name, begins in _OTHERS:
        if lines and sum(bool(begins.match(line)) for line in lines) * 2 > len(lines):
            return name
    return ""


def _unlike(sample: bytes, lines: list[bytes], best: str, count: int) -> str:
    if best:
        seen = f'only {count} of its first {len(lines)} lines read as the nearest known format, "{best}"'
    else:
        other = describe_other(sample)
        line = (unwrapped(lines[0]) or lines[0])[:120].decode("utf-8", "backslashreplace")
        what = f"it looks like {other}" if other else "no known format reads it"
        seen = f"{what}; its first line has {len(lines[0].split())} words and begins with {line!r}"
    return f"{seen}. Give the logformat line of squid.conf that it was written by: --format 'logformat …'"


def _size(name: str) -> int:
    """How many codes a format has."""
    return sum(isinstance(item, Token) for item in parse_logformat(format_of(name)))


@lru_cache(maxsize=64)
def _reader(name: str) -> LineReader:
    return compile_parser(format_of(name)).read_line


def _reading(lines: list[bytes], names: tuple[str, ...] | list[str]) -> dict[str, int]:
    """How many of the lines each format reads; those that read none are left out."""
    counts = {name: sum(not isinstance(_reader(name)(line), str) for line in lines) for name in names}
    return {name: count for name, count in counts.items() if count}


def _lines(sample: bytes) -> list[bytes]:
    """The sample's first lines that are not empty; a last one without its end only where it is the only one."""
    lines = sample.split(b"\n")
    whole = lines[:-1] if len(lines) > 1 else lines
    return [line for line in whole[:_LOOKED_AT] if line.strip()]
