"""A record in the header of syslog or of the journal is the record."""

from __future__ import annotations

import pytest

from collectors.squid.access_log import compile_parser
from collectors.squid.detect import detect
from collectors.squid.logformat import FORMATS
from collectors.squid.syslog import unwrapped

RECORDS = {
    "squid": b"1402454773.542    307 192.0.2.1 TCP_MISS/200 10 GET http://a.example/b rick@LAB HIER_DIRECT/192.0.2.9 -",
    "combined": (
        b'192.0.2.1 - rick@LAB [20/Nov/2026:09:15:30 +0100] "GET http://a.example/ HTTP/1.1" 200 5 "-" "curl/8"'
        b" TCP_MISS:HIER_DIRECT"
    ),
    "pfsquid": (
        b"1402454773.542 307 192.0.2.1 51234 - - TCP_MISS/200 9 1 GET HIER_NONE/- text/html - curl/8 - http://a.example/"
    ),
}
HEADERS = [
    b"<150>Aug 10 16:17:59 kom-gw11 (squid-1): ",
    b"Aug 10 16:17:59 kom-gw11 (squid-1): ",
    b"Aug  1 16:17:59 fw squid[123]: ",
    b"Aug  1 16:17:59 fw (squid-1)[123]: ",
    b"<134>Aug  1 16:17:59 (squid-1): ",
    b"<150>1 2026-11-20T09:15:30.123Z fw squid 123 - - ",
    b'<150>1 2026-11-20T09:15:30.123456+01:00 fw (squid-1) 123 ID7 [a@1 b="c \\"]\\" d"][e@2] ',
    b"<150>1 - - squid - - - \xef\xbb\xbf",
    b"2026-11-20T09:15:30+0100 fw squid[123]: ",
    b"2026-11-20T09:15:30.123456+01:00 fw (squid-1)[123]: ",
    b"<150>(squid-1): ",
]


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("header", HEADERS, ids=lambda header: header.decode())
def test_a_wrapped_record_is_the_record(name: str, header: bytes) -> None:
    parser = compile_parser(FORMATS[name])
    bare, _ = parser.read(RECORDS[name] + b"\n", 0, "log", None)
    assert len(bare) == 1
    wrapped, rejects = parser.read(header + RECORDS[name] + b"\n", 0, "log", None)
    assert (wrapped.to_pylist(), rejects) == (bare.to_pylist(), [])


@pytest.mark.parametrize("name", RECORDS)
def test_a_wrapped_log_is_known_for_what_it_is(name: str) -> None:
    assert detect(b"".join(header + RECORDS[name] + b"\n" for header in HEADERS)) == name


@pytest.mark.parametrize("line", [*RECORDS.values(), b"", b"Aug 10 16:17:59 ", b"hello: world"])
def test_a_bare_record_has_no_header(line: bytes) -> None:
    assert unwrapped(line) is None
