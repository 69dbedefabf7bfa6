"""A look at the first lines tells the shipped formats apart, and names what is no access log."""

from __future__ import annotations

import gzip

import pytest

from collectors.squid.detect import describe_other, fits, looks_like
from collectors.squid.logformat import FORMATS

SAMPLES = {
    "squid": b"1402454773.542    307 192.0.2.1 TCP_MISS/200 1 GET http://a.example/ - HIER_NONE/- text/html\n",
    "common": b'192.0.2.1 - - [20/Nov/2026:09:15:30 +0100] "GET http://a.example/ HTTP/1.1" 200 5 TCP_MISS:HIER_NONE\n',
    "combined": (
        b'192.0.2.1 - - [20/Nov/2026:09:15:30 +0100] "GET http://a.example/ HTTP/1.1" 200 5 "-" "curl/8"'
        b" TCP_MISS:HIER_DIRECT\n"
    ),
    "referrer": b"1402454773.542 192.0.2.1 http://r.example/ http://a.example/\n",
    "useragent": b'192.0.2.1 [20/Nov/2026:09:15:30 +0100] "curl/8"\n',
    "pfsquid": (
        b"1402454773.542 307 192.0.2.1 51234 - - TCP_MISS/200 9 1 GET HIER_NONE/- text/html - curl/8 - http://a.example/\n"
    ),
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("other", FORMATS)
def test_each_format_fits_itself_only(name: str, other: str) -> None:
    assert fits(SAMPLES[name], other) == (name == other)
    assert looks_like(SAMPLES[name], but=other) == ("" if name == other else name)


def test_a_log_of_damaged_native_lines_is_still_native() -> None:
    assert fits(b"1402454773.542    307 192.0.2.1 TCP_MI\n" * 3, "squid")


@pytest.mark.parametrize(
    ("sample", "what"),
    [
        (b'{"timestamp": "x"}\n' * 3, "JSON, one record a line"),
        (b"2026/11/20 09:15:30 kid1| Starting Squid Cache version 5.7\n", "Squid's cache.log"),
        (b"Aug 10 16:17:59 fw (squid-1): 1402454773.542 307 ...\n", "syslog (lines wrapped in a syslog header)"),
        (b"<150>Aug  1 16:17:59 fw (squid-1): 1402454773.542 307 ...\n", "syslog (lines wrapped in a syslog header)"),
        (b"<150>1 2026-11-20T09:15:30Z fw squid - - - x\n", "syslog (lines wrapped in a syslog header)"),
        (b"time,user,url,bytes\n1,2,3,4\n", "CSV"),
        (gzip.compress(b"x" * 999, mtime=0)[:50] + b"\0", "a binary file"),
        (b"", ""),
        (b"what is this\n", ""),
    ],
)
def test_what_is_no_access_log_is_named(sample: bytes, what: str) -> None:
    assert describe_other(sample) == what
