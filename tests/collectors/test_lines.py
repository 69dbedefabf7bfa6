"""One line of an access log, with the fields or the reason that a person would give it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from collectors.squid.lines import LONGEST_LINE, LineReader, line_reader
from collectors.squid.logformat import FORMATS, parse_logformat

READERS = {name: line_reader(parse_logformat(text)) for name, text in FORMATS.items()}
START = "1402454773.542    307 192.0.2.1"


def native(rest: str) -> dict[str, Any]:
    """The fields of a line whose beginning is START; absent ones are left out."""
    found = READERS["squid"](f"{START} {rest}".encode())
    assert isinstance(found, dict), found
    return {column: value for column, value in found.items() if value is not None}


def reason(line: bytes, name: str = "squid") -> str:
    found = READERS[name](line)
    assert isinstance(found, str), found
    return found


def url_parts(method: str, url: str) -> tuple[Any, ...]:
    row = native(f"TCP_MISS/200 1 {method} {url} - HIER_NONE/- -")
    return tuple(row.get(part) for part in ("scheme", "host", "port", "path"))


def user(text: str, method: str = "CONNECT", url: str = "a.example:443", peer: str = "HIER_NONE/-") -> Any:
    return native(f"TCP_MISS/200 1 {method} {url} {text} {peer} -").get("user_name")


def test_a_plain_line_has_every_field() -> None:
    assert native("TCP_MISS/200 10333 GET http://a.example/b?c rick@LAB HIER_DIRECT/192.0.2.9 text/html") == {
        "ts": datetime(2014, 6, 11, 2, 46, 13, 542_000, UTC),
        "elapsed_ms": 307,
        "client_ip": "192.0.2.1",
        "action": "TCP_MISS",
        "status": 200,
        "bytes_down": 10333,
        "method": "GET",
        "url": "http://a.example/b?c",
        "user_name": "rick@LAB",
        "hierarchy": "HIER_DIRECT",
        "peer": "192.0.2.9",
        "content_type": "text/html",
        "scheme": "http",
        "host": "a.example",
        "port": 80,
        "path": "/b?c",
    }


@pytest.mark.parametrize(
    ("result", "action", "status"),
    [
        ("NONE_NONE/000", "NONE_NONE", 0),
        ("NONE/400", "NONE", 400),
        ("TAG_NONE/503", "TAG_NONE", 503),
        ("TCP_TUNNEL/200", "TCP_TUNNEL", 200),
        ("TCP_MISS_ABORTED/000", "TCP_MISS_ABORTED", 0),
        ("TCP_DENIED/407", "TCP_DENIED", 407),
        ("TCP_DENIED_ABORTED/407", "TCP_DENIED_ABORTED", 407),
        ("TCP_REFRESH_UNMODIFIED/304", "TCP_REFRESH_UNMODIFIED", 304),
        ("TCP_SWAPFAIL_MISS_TIMEDOUT/200", "TCP_SWAPFAIL_MISS_TIMEDOUT", 200),
        ("UDP_INVALID/000", "UDP_INVALID", 0),
    ],
)
def test_every_style_of_result_code_is_read(result: str, action: str, status: int) -> None:
    row = native(f"{result} 0 GET http://a.example/ - HIER_NONE/- -")
    assert (row["action"], row["status"]) == (action, status)


@pytest.mark.parametrize(
    ("text", "hierarchy", "peer"),
    [
        ("HIER_NONE/-", "HIER_NONE", None),
        ("NONE/-", "NONE", None),
        ("HIER_NONE", "HIER_NONE", None),
        ("FIRSTUP_PARENT/proxy.example", "FIRSTUP_PARENT", "proxy.example"),
        ("TIMEOUT_HIER_DIRECT/192.0.2.9", "TIMEOUT_HIER_DIRECT", "192.0.2.9"),
        ("ORIGINAL_DST/2001:db8::9", "ORIGINAL_DST", "2001:db8::9"),
        ("PINNED/192.0.2.9", "PINNED", "192.0.2.9"),
    ],
)
def test_a_hierarchy_has_a_peer_or_none(text: str, hierarchy: str, peer: str | None) -> None:
    row = native(f"TCP_MISS/200 1 GET http://a.example/ - {text} -")
    assert (row["hierarchy"], row.get("peer")) == (hierarchy, peer)


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("http://a.example", ("http", "a.example", 80, "/")),
        ("https://A.Example./x", ("https", "a.example", 443, "/x")),
        ("http://a.example:8080/x:y", ("http", "a.example", 8080, "/x:y")),
        ("http://a.example:/", ("http", "a.example", 80, "/")),
        ("http://a.example?q=1", ("http", "a.example", 80, "/?q=1")),
        ("http://user:p%40ss@a.example/", ("http", "a.example", 80, "/")),
        ("http://[2001:db8::1]:8080/", ("http", "2001:db8::1", 8080, "/")),
        ("http://münchen.example/ü", ("http", "xn--mnchen-3ya.example", 80, "/ü")),
        ("http://m%C3%BCnchen.example/", ("http", "xn--mnchen-3ya.example", 80, "/")),
        ("http://a.example/?u=http://b.example:99/", ("http", "a.example", 80, "/?u=http://b.example:99/")),
        ("ftp://ftp.example/pub/", ("ftp", "ftp.example", 21, "/pub/")),
        ("cache_object://localhost/info", ("cache_object", "localhost", None, "/info")),
        ("urn:isbn:123", (None, None, None, None)),
        ("error:invalid-request", (None, None, None, None)),
        ("error:transaction-end-before-headers", (None, None, None, None)),
        ("://a.example/", (None, None, None, None)),
        ("http:///x", (None, None, None, None)),
        ("http://:80*", (None, None, None, None)),
        ("/", (None, None, None, None)),
        ("*", (None, None, None, None)),
    ],
)
def test_a_url_comes_apart_or_not_at_all(url: str, parts: tuple[Any, ...]) -> None:
    assert url_parts("GET", url) == parts


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("a.example:443", "a.example", 443),
        ("A.EXAMPLE.:443", "a.example", 443),
        ("[2001:db8::1]:443", "2001:db8::1", 443),
        ("192.0.2.1:8443", "192.0.2.1", 8443),
        ("a.example", None, None),
        ("a.example:", None, None),
        ("http://a.example:443/", None, None),
    ],
)
def test_a_tunnel_has_a_host_and_a_port_but_no_scheme(url: str, host: str | None, port: int | None) -> None:
    assert url_parts("CONNECT", url) == (None, host, port, None)


@pytest.mark.parametrize(
    ("logged", "name"),
    [
        ("-", None),
        ("rick.sanchez@LAB.EXAMPLE", "rick.sanchez@LAB.EXAMPLE"),
        ("WS1$@LAB.EXAMPLE", "WS1$@LAB.EXAMPLE"),
        (r"LAB\\rick", r"LAB\rick"),
        (r"LAB\rick", r"LAB\rick"),
        ("LAB%5Crick", r"LAB\rick"),
        ("50%25off@LAB", "50%off@LAB"),
        ("%2541", "%41"),
        ("odd%5b1%5d", "odd[1]"),
        ("ren%c3%a9e@LAB", "renée@LAB"),
        ("ren%e9e@LAB", "renée@LAB"),
        ("tammy%20guetermann", "tammy guetermann"),
        ("tammy guetermann@LAB", "tammy guetermann@LAB"),
        ("o'brien", "o'brien"),
    ],
)
def test_a_user_name_is_unescaped(logged: str, name: str | None) -> None:
    assert user(logged) == name


def test_a_space_is_of_the_user_where_it_looks_like_a_name() -> None:
    row = native("TCP_MISS/200 1 GET http://a.example/x tammy guetermann@LAB HIER_DIRECT/192.0.2.9 -")
    assert (row["url"], row["user_name"]) == ("http://a.example/x", "tammy guetermann@LAB")


def test_a_space_is_of_the_url_where_nobody_has_logged_in() -> None:
    row = native("TCP_MISS/200 1 GET http://a.example/my file.txt - HIER_DIRECT/192.0.2.9 -")
    assert (row["url"], row["path"]) == ("http://a.example/my file.txt", "/my file.txt")
    assert "user_name" not in row


def test_a_space_is_of_the_url_where_no_account_name_holds_such_characters() -> None:
    row = native("TCP_MISS/200 1 GET http://a.example/my files/x?y=1 rick@LAB HIER_DIRECT/192.0.2.9 -")
    assert (row["url"], row["user_name"]) == ("http://a.example/my files/x?y=1", "rick@LAB")


def test_a_url_with_a_space_and_a_plain_user_is_rejected() -> None:
    line = f"{START} TCP_MISS/200 1 GET http://a.example/x 2026.docx rick HIER_DIRECT/192.0.2.9 -"
    assert reason(line.encode()) == "a space that may belong to the URL or to the user name"


@pytest.mark.parametrize(
    "headers", [" [Host: a.example\\r\\nX: %5bx%5d\\r\\n] [HTTP/1.1 200 OK\\r\\n\\r\\n]", " [] []"]
)
def test_headers_in_brackets_are_left_out(headers: str) -> None:
    assert (
        native(f"TCP_MISS/200 1 GET http://a.example/ - HIER_NONE/- text/html{headers}")["content_type"] == "text/html"
    )


def test_a_stamp_may_be_of_whole_seconds_and_a_size_negative() -> None:
    row = READERS["squid"](b"1335542309 35 127.0.0.1 TCP_MISS/303 -1 GET http://a.example/ - NONE/- text/html")
    assert isinstance(row, dict)
    assert (row["ts"], row["bytes_down"]) == (datetime(2012, 4, 27, 15, 58, 29, tzinfo=UTC), -1)


def test_bytes_that_are_not_utf_8_are_escaped_in_a_url() -> None:
    row = READERS["squid"](f"{START} TCP_MISS/200 1 GET http://a.example/".encode() + b"caf\xe9 - HIER_NONE/- -")
    assert isinstance(row, dict)
    assert row["url"] == "http://a.example/caf%E9"


SOUND = f"{START} TCP_MISS/200 1 GET http://a.example/ - HIER_NONE/- text/html".encode()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"", "an empty line"),
        (b"  \t", "an empty line"),
        (b"\r", "an empty line"),
        (SOUND[:60], "cut short: 7 of 10 fields"),
        (SOUND + SOUND, "two records run together on one line"),
        (SOUND.replace(b"a.example", b"a\x00b"), "control characters: Squid writes none"),
        (b"\x1f\x8b\x08\x00" * 9, "control characters: Squid writes none"),
        (SOUND.replace(b"a.example", b"a" * LONGEST_LINE), "longer than 64 KB (65,619 bytes)"),
        (SOUND[3:], "not in the expected format"),
        (SOUND.replace(b" 1 GET", b" 1x GET"), "not in the expected format"),
        (SOUND.replace(b"307", b"3" * 13), "not in the expected format"),
        (SOUND.replace(b" GET", b"  GET"), "not in the expected format"),
        (SOUND.replace(b" ", b"\t"), "not in the expected format"),
    ],
)
def test_what_is_no_line_has_a_reason(line: bytes, why: str) -> None:
    assert reason(line) == why


def test_a_line_that_ends_as_on_windows_is_the_same_row() -> None:
    assert READERS["squid"](SOUND + b"\r") == READERS["squid"](SOUND)


COMBINED = (
    b'192.0.2.1 - LAB\\\\rick [20/Nov/2026:09:15:30 +0100] "GET http://a.example/ HTTP/1.1" 200 5'
    b' "http://r.example/" "A \\"B\\" \\\\ 1 \\x" TCP_MISS:HIER_DIRECT'
)


@pytest.mark.parametrize(
    ("read", "agent"),
    [
        (READERS["combined"], r"A \"B\" \\ 1 \x"),  # the built-in format writes it as it came
        (line_reader(parse_logformat(FORMATS["combined"].replace("'", ""))), r'A "B" \ 1 \x'),
    ],
)
def test_combined_has_user_agent_and_referrer(read: LineReader, agent: str) -> None:
    row = read(COMBINED)
    assert isinstance(row, dict)
    assert row["ts"] == datetime(2026, 11, 20, 8, 15, 30, tzinfo=UTC)
    assert (row["user_name"], row["referrer"], row["user_agent"], row["extra"]) == (
        r"LAB\rick",
        "http://r.example/",
        agent,
        {"rv": "1.1"},
    )


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "piece", [" b H/- t [] []", " b H/- t [", ' HTTP/1.1" 200 5 "-" "-"', " A_A", " A/200 1 1", " %aa", "]", "\\"]
)
def test_no_line_takes_long(name: str, piece: str) -> None:
    starts = {
        "squid": f"{START} TCP_MISS/200 1 GET http://x",
        "pfsquid": f"{START} 1 - - TCP_MISS/200 1 1 GET H/- - - - - x",
    }
    start = starts.get(name, '192.0.2.1 - - [20/Nov/2026:09:15:30 +0100] "GET http://x')
    line = (start + piece * (60_000 // len(piece)) + " x").encode()
    began = time.process_time()
    READERS[name](line)
    assert time.process_time() - began < 1


def test_spaces_after_the_last_field_are_nothing() -> None:
    read = line_reader(parse_logformat(FORMATS["squid"]))
    line = b"1794816508.281   1433 10.0.0.1 TCP_MISS/200 16 GET http://a.example/ rick@R HIER_DIRECT/10.0.0.2 text/html"
    assert read(line + b"  ") == read(line)
    assert not isinstance(read(line), str)
