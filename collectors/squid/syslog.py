"""The header that syslog or the journal puts before a record, found and taken off. Pure; reads no log.

Sources: RFC 3164 §4.1, RFC 5424 §6, and what rsyslog, FreeBSD's syslogd and `journalctl -o short-iso` write.
"""

from __future__ import annotations

import re

_MOMENT = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)"
_TAG = rb"\(?[A-Za-z][\w./-]{0,47}\)?(?:\[\d+\])?: *"
_HEADERS = tuple(
    re.compile(pattern)
    for pattern in (
        # RFC 3164, with and without <PRI> and host: `<150>Aug 10 16:17:59 host (squid-1): …`
        rb"(?:<\d{1,3}>)?[A-Z][a-z]{2} [ \d]\d (?:\d{4} )?\d\d:\d\d:\d\d (?:[^\s:]\S* )?" + _TAG,
        # RFC 5424: `<150>1 2026-11-20T09:15:30Z host squid 123 - - …`
        rb"(?:<\d{1,3}>)1 (?:-|"
        + _MOMENT
        + rb") \S+ \S+ \S+ \S+ (?:-|(?:\[(?:[^\"\]\\]|\\.|\"(?:[^\"\\]|\\.)*\")*\])+)"
        rb" (?:\xef\xbb\xbf)?",
        # The journal's short-iso, and rsyslog's own file format.
        rb"(?:<\d{1,3}>)?" + _MOMENT + rb" (?:[^\s:]\S* )?" + _TAG,
        # A priority and nothing else.
        rb"<\d{1,3}>" + _TAG,
    )
)


def unwrapped(line: bytes) -> bytes | None:
    """The record without its header; None where there is no header."""
    for header in _HEADERS:
        match = header.match(line)
        if match:
            return line[match.end() :]
    return None
