"""squid.conf text → which file each `access_log` line writes, and in which logformat. Pure; reads no file.

Source: the sections `access_log` and `logformat` of Squid's configuration manual.
"""

from __future__ import annotations

import re

from collectors.squid.logformat import FORMATS

_TO_A_FILE = ("stdio:", "daemon:")
_OTHER_MODULE = re.compile(r"(?:syslog|udp|tcp|none)(?::|$)")


def logs_in(squid_conf: str) -> tuple[tuple[str, str], ...]:
    """(path, logformat text) of each `access_log` line that writes to a file, in their order.

    A name is looked up among the `logformat` lines first, then among those that Squid ships; without one it is
    `squid`. Lines that log to syslog, UDP, TCP or nowhere, or in a format that is defined nowhere, are left out.
    """
    formats = {name: text for name, text in FORMATS.items() if name != "pfsquid"}
    logs = []
    for words, line in _directives(squid_conf):
        if words[0] == "logformat" and len(words) > 2:
            formats[words[1]] = line.split(None, 2)[2]
    for words, _ in _directives(squid_conf):
        if words[0] == "access_log" and len(words) > 1:
            path, name = _log(words[1:], formats)
            if path and name in formats:
                logs.append((path, formats[name]))
    return tuple(logs)


def _directives(text: str) -> list[tuple[list[str], str]]:
    """Each line that says something, as words and whole; a line that ends with a backslash goes on in the next."""
    joined = re.sub(r"\\\r?\n", "", text)
    lines = [line.strip() for line in joined.splitlines()]
    return [(line.split(), line) for line in lines if line and not line.startswith("#")]


def _log(words: list[str], formats: dict[str, str]) -> tuple[str, str]:
    """Path and format name of an access_log line; an empty path where it is no file."""
    place, rest = words[0], words[1:]
    for module in _TO_A_FILE:
        if place.startswith(module):
            place = place[len(module) :]
            break
    else:
        if _OTHER_MODULE.match(place):
            return "", ""
    named = [word.partition("=")[2] for word in rest if word.startswith("logformat=")]
    if named:
        return place, named[-1]
    # The older syntax: the format's name stands after the place, before the names of ACLs.
    options = bool(rest) and "=" in rest[0]
    return place, rest[0] if rest and not options and rest[0] in formats else "squid"
