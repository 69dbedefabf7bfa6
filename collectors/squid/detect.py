"""Which format a sample of a log is in: a look at its first lines, before anything is read in earnest."""

from __future__ import annotations

import re

from collectors.squid.access_log import compile_parser
from collectors.squid.logformat import FORMATS

SAMPLE = 256 * 1024
_LOOKED_AT = 200
_NATIVE_STAMP = re.compile(rb"\s*\d{9,11}(\.\d{3})?\s")

# Formats that people mistake for an access log of Squid: a name, and what its lines begin like.
_OTHERS: tuple[tuple[str, re.Pattern[bytes]], ...] = (
    ("JSON, one record a line", re.compile(rb"\s*[{\[]")),
    ("Squid's cache.log", re.compile(rb"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d")),
    (
        "syslog (lines wrapped in a syslog header)",
        re.compile(rb"(<\d{1,3}>)?[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d |<\d{1,3}>1 "),
    ),
    ("CSV", re.compile(rb"[\w \"]+(,[\w \"]+){3,}\s*$")),
)


def fits(sample: bytes, name: str) -> bool:
    """Does at least one line of the sample read as this format, or carry a native line's stamp where it should?"""
    parser = compile_parser(FORMATS[name])
    lines = _lines(sample)
    if any(not isinstance(parser.read_line(line), str) for line in lines):
        return True
    stamped = FORMATS[name].startswith("%ts")
    return stamped and any(_NATIVE_STAMP.match(line) for line in lines) and not any(_reading(sample, name))


def looks_like(sample: bytes, but: str) -> str:
    """The name of the shipped format that most of the sample's lines read as, other than `but`; '' if none."""
    scores = _reading(sample, but)
    best = max(scores, key=lambda name: scores[name], default="")
    return best if best and scores[best] else ""


def describe_other(sample: bytes) -> str:
    """What the sample is, where it is no access log of a shipped format; '' where that is not known."""
    if b"\x00" in sample[:8192]:
        return "a binary file"
    lines = _lines(sample)[:20]
    for name, begins in _OTHERS:
        if lines and sum(bool(begins.match(line)) for line in lines) * 2 > len(lines):
            return name
    return ""


def _reading(sample: bytes, but: str) -> dict[str, int]:
    """How many lines of the sample each shipped format reads; those that read none are left out."""
    scores = {}
    for name, logformat in FORMATS.items():
        if name != but:
            parser = compile_parser(logformat)
            count = sum(not isinstance(parser.read_line(line), str) for line in _lines(sample))
            if count:
                scores[name] = count
    return scores


def _lines(sample: bytes) -> list[bytes]:
    return [line for line in sample.split(b"\n")[:_LOOKED_AT] if line.strip()]
