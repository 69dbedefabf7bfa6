"""Formats that are in use out there: a line of each is known for what it is, and read with every field right."""

from __future__ import annotations

from typing import Any

import pytest

from collectors.squid.access_log import compile_parser
from collectors.squid.detect import NAMES, UnknownFormatError, detect
from collectors.squid.known import KNOWN_FORMATS
from collectors.squid.logformat import format_of, parse_logformat

NATIVE = (
    "1402454773.542    307 192.0.2.1 TCP_MISS/200 10333 GET http://a.example/b user@LAB HIER_DIRECT/192.0.2.9 text/html"
)
OF_NATIVE = {
    "client_ip": "192.0.2.1", "elapsed_ms": 307, "action": "TCP_MISS", "status": 200, "bytes_down": 10333,
    "method": "GET", "url": "http://a.example/b", "user_name": "user@LAB", "hierarchy": "HIER_DIRECT",
    "peer": "192.0.2.9", "content_type": "text/html", "host": "a.example", "port": 80, "path": "/b",
}  # fmt: skip
DEVO = (
    "2026-11-20:09:15:30+0100 2001:db8::5:51234 - rick guetermann a.example"
    ' "GET http://a.example/b HTTP/1.1" "-" "curl/8" "-" 200 225 19 411 text/html TCP_MISS:HIER_DIRECT'
)
HEADERS = "Host: a.example\r\nProxy-Authorization: (left out)\r\n"
NO_HEADERS = "error:transaction-end-before-headers"
CLF = '192.0.2.1 - LAB\\\\rick [20/Nov/2026:09:15:30 +0100] "GET http://a.example/b HTTP/1.1" 200 512'
OF_CLF = {
    "client_ip": "192.0.2.1", "user_name": "LAB\\rick", "method": "GET", "url": "http://a.example/b", "status": 200,
    "bytes_down": 512, "host": "a.example", "extra": {"rv": "1.1"},
}  # fmt: skip
# Published by a Splunk user.
SPLUNK = (
    "1637507985.865 logformat=splunk_recommended_squid duration=74 src_ip=192.168.1.43 src_port=61745"
    ' dest_ip=117.18.237.29 dest_port=80 user_ident="-" user="-" local_time=[21/Nov/2021:15:19:45 +0000]'
    " http_method=GET request_method_from_client=GET request_method_to_server=GET"
    ' url="http://ocsp.digicert.com/MFEwTzBNMEswSTAJBgUrDgMCGgUABBQ50otx%2Fh0Ztl" http_referrer="-"'
    ' http_user_agent="Microsoft-CryptoAPI/10.0" status=200 vendor_action=TCP_MISS dest_status=HIER_DIRECT'
    ' total_time_milliseconds=52 http_content_type="application/ocsp-response" bytes=1172 bytes_in=270 bytes_out=902'
    ' sni="-"'
)
OF_SPLUNK = {
    "elapsed_ms": 74, "client_ip": "192.168.1.43", "client_port": 61745, "peer": "117.18.237.29", "method": "GET",
    "user_name": None, "user_agent": "Microsoft-CryptoAPI/10.0", "referrer": None, "status": 200, "action": "TCP_MISS",
    "hierarchy": "HIER_DIRECT", "content_type": "application/ocsp-response", "bytes_up": 270, "bytes_down": 902,
    "sni": None, "host": "ocsp.digicert.com",
    "extra": {
        "<p": "80", "tl": "21/Nov/2021:15:19:45 +0000", "<rm": "GET", ">rm": "GET", "<tt": "52", "st": "1172",
    },
}  # fmt: skip
SAMPLES: list[tuple[str, str, dict[str, Any]]] = [
    ("squid", NATIVE, OF_NATIVE | {"extra": None}),
    ("squid", NATIVE.replace("text/html", "-"), OF_NATIVE | {"content_type": None}),
    ("squid", NATIVE.replace("TCP_MISS/200", "NONE_NONE/000").replace("http://a.example/b", NO_HEADERS),
     {"action": "NONE_NONE", "status": 0, "url": NO_HEADERS, "host": None}),
    ("squid", NATIVE.replace("192.0.2.9", "2001:7a8:363c:2::2"), OF_NATIVE | {"peer": "2001:7a8:363c:2::2"}),
    ("squid", "1140701044.525   1231 192.168.1.201 TCP_DENIED/400 1536 GET ahmet - NONE/- text/html",
     {"hierarchy": "NONE", "peer": None, "url": "ahmet", "host": None}),
    ("squid", "1335542309 35 127.0.0.1 TCP_MISS/303 -1 GET http://gadm.example/id/1_3214 - NONE/- text/html",
     {"bytes_down": -1, "elapsed_ms": 35}),
    ("common", CLF + " TCP_MISS:HIER_DIRECT", OF_CLF | {"action": "TCP_MISS", "hierarchy": "HIER_DIRECT"}),
    ("combined", CLF + ' "http://r.example/" "A "B" C" TCP_MISS:HIER_DIRECT',
     OF_CLF | {"referrer": "http://r.example/", "user_agent": 'A "B" C'}),
    ("referrer", "1402454773.542 192.0.2.1 http://r.example/ http://a.example/", {"referrer": "http://r.example/"}),
    ("useragent", '192.0.2.1 [20/Nov/2026:09:15:30 +0100] "curl/8"', {"user_agent": "curl/8"}),
    ("squid-agent", NATIVE + ' "http://r.example/a b" "Mozilla/5.0 (\\"X\\")"',
     OF_NATIVE | {"referrer": "http://r.example/a b", "user_agent": 'Mozilla/5.0 ("X")'}),
    ("squid-agent-only", NATIVE + ' "curl/8"', OF_NATIVE | {"user_agent": "curl/8"}),
    ("squid-request-size", NATIVE.replace(" 10333 ", " 10333 451 "), OF_NATIVE | {"bytes_up": 451}),
    ("squid-mime", NATIVE + " [Host: a.example\\r\\nProxy-Authorization: Negotiate abc\\r\\n] [HTTP/1.1 200 OK\\r\\n]",
     OF_NATIVE | {"extra": {">h": HEADERS, "<h": "HTTP/1.1 200 OK\r\n"}}),
    ("squid-local-time", NATIVE.replace("1402454773.542", "20/Nov/2026:09:15:30 +0100"), OF_NATIVE),
    ("squid-in-brackets", NATIVE.replace("1402454773.542", "[20/Nov/2026:09:15:30 +0100]"), OF_NATIVE),
    ("splunk", SPLUNK, OF_SPLUNK),
    ("devo", DEVO,
     {"client_ip": "2001:db8::5", "client_port": 51234, "user_name": "rick guetermann", "peer": "a.example",
      "bytes_up": 225, "elapsed_ms": 19, "bytes_down": 411, "extra": {"rv": "1.1"}}),
    ("elastic", NATIVE + ' 451 400 300 "a.example" "-" "curl/8" "10.0.0.9" -',
     OF_NATIVE | {"bytes_up": 451, "user_agent": "curl/8",
                  "extra": {">sh": "400", "<sh": "300", "{Host}>h": "a.example", "{X-Forwarded-For}>h": "10.0.0.9"}}),
    ("json", '{"timestamp":"20/Nov/2026:09:15:30 +0100","url":"http://a.example/\\"x","status":200,"action":"TCP_HIT"}',
     {"url": 'http://a.example/"x', "status": 200, "action": "TCP_HIT"}),
    ("apache-combined", CLF + ' "-" "curl/8"', OF_CLF | {"user_agent": "curl/8"}),
    ("apache-common", CLF, OF_CLF),
]  # fmt: skip


def row_of(name: str, line: str) -> dict[str, Any]:
    table, rejects = compile_parser(format_of(name)).read(line.encode() + b"\n", 0, "log", None)
    assert rejects == []
    (row,) = table.to_pylist()
    row["extra"] = row["extra"] and dict(row["extra"])
    return dict(row)


@pytest.mark.parametrize(("name", "line", "expected"), SAMPLES, ids=[name for name, _, _ in SAMPLES])
def test_a_line_of_each_format_has_its_fields(name: str, line: str, expected: dict[str, Any]) -> None:
    row = row_of(name, line)
    assert {column: row[column] for column in expected} == expected


@pytest.mark.parametrize(("name", "line", "expected"), SAMPLES, ids=[name for name, _, _ in SAMPLES])
def test_each_format_is_told_from_all_others(name: str, line: str, expected: dict[str, Any]) -> None:
    assert detect(line.encode() + b"\n") == name


def test_every_known_format_has_a_sample() -> None:
    assert {name for name, _, _ in SAMPLES} | {"pfsquid"} == set(NAMES)


def test_every_known_format_is_a_logformat_with_a_source() -> None:
    for known in KNOWN_FORMATS:
        assert parse_logformat(known.logformat)
        assert known.source
    assert len(set(NAMES)) == len(NAMES)


def test_a_missing_end_of_line_between_two_records_is_seen() -> None:
    line = NATIVE + NATIVE
    _, rejects = compile_parser(format_of("squid")).read(line.encode() + b"\n", 0, "log", None)
    assert [reject.reason for reject in rejects] == ["two records run together on one line"]


@pytest.mark.parametrize(
    "name", ["squid", "common", "combined", "referrer", "useragent", "splunk", "squid-agent", "apache-common", "json"]
)
def test_two_records_are_never_read_as_one(name: str) -> None:
    line = next(line for known, line, _ in SAMPLES if known == name)
    _, rejects = compile_parser(format_of(name)).read((line + line).encode() + b"\n", 0, "log", None)
    assert len(rejects) == 1


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (b"", "there is no line in it yet"),
        (b"what is this\n", "its first line has 3 words and begins with 'what is this'"),
        (b'{"a": 1}\n', "it looks like JSON, one record a line"),
        (b"2026/11/20 09:15:30 kid1| Starting\n", "it looks like Squid's cache.log"),
        (
            NATIVE.encode() + b"\n" + b"what is this\n" * 5,
            "only 1 of its first 6 lines read as the nearest known format",
        ),
    ],
)
def test_a_log_in_no_known_format_says_what_was_seen_and_what_to_do(sample: bytes, words: str) -> None:
    with pytest.raises(UnknownFormatError, match=r"--format 'logformat |there is no line in it yet") as caught:
        detect(sample)
    assert words in str(caught.value)


def test_two_user_codes_give_the_authenticated_one_and_keep_the_other() -> None:
    row = row_of("%ts.%03tu %ui %un %ul %ue", "1402454773.542 ident rick morty ext")
    assert (row["user_name"], row["extra"]) == ("morty", {"ui": "ident", "un": "rick", "ue": "ext"})


def test_what_went_one_way_is_the_difference() -> None:
    assert row_of("%ts.%03tu %st %<st", "1402454773.542 1172 902")["bytes_up"] == 270
    row = row_of("%ts.%03tu %st", "1402454773.542 1172")
    assert (row["bytes_up"], row["bytes_down"], row["extra"]) == (None, None, {"st": "1172"})


def test_the_parts_of_a_url_fill_its_columns() -> None:
    row = row_of("%ts.%03tu %rm %>rs %>rd %>rP %>rp", "1402454773.542 GET HTTPS A.Example. 8443 /x?y")
    assert [row[column] for column in ("url", "scheme", "host", "port", "path")] == [
        None, "https", "a.example", 8443, "/x?y",
    ]  # fmt: skip


def test_a_ticket_is_never_kept() -> None:
    row = row_of("%ts.%03tu %credentials %{Proxy-Authorization}>h", "1402454773.542 YIIabc Negotiate")
    assert row["extra"] is None


def test_lines_of_64_kb_and_no_more_are_read() -> None:
    long = NATIVE.replace("/b ", "/" + "b" * 60_000 + " ")
    assert row_of("squid", long)["path"].startswith("/bbb")
    _, rejects = compile_parser(format_of("squid")).read(
        long.replace("/b", "/" + "b" * 9_000).encode() + b"\n", 0, "l", None
    )
    assert rejects[0].reason.startswith("longer than 64 KB")
