"""Squid's logformat grammar: what a format line comes apart into, and where it is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.squid.known import KNOWN_FORMATS
from collectors.squid.logformat import FORMATS, LogformatError, Token, format_of, parse_logformat
from tests.collectors.access_logs import BOUNDED


def one(text: str) -> Token:
    (item,) = parse_logformat(text)
    assert isinstance(item, Token)
    return item


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("%ts", Token("ts")),
        ("%6tr", Token("tr", minimum=6)),
        ("%03tu", Token("tu", minimum=3, zero=True)),
        ("%03>Hs", Token(">Hs", minimum=3, zero=True)),
        ("%<st", Token("<st")),
        ("%<tt", Token("<tt")),
        ("%>A", Token(">A")),
        ("%[un", Token("un", quoting="[")),
        ("%#.512un", Token("un", quoting="#", maximum=512)),
        ("%{Referer}>h", Token(">h", "Referer")),
        ("%>h{Referer}", Token(">h", "Referer")),
        ('%"{User-Agent}>h', Token(">h", "User-Agent", quoting='"')),
        ("%{%Y-%m-%d}tl", Token("tl", "%Y-%m-%d")),
        ("%ssl::>sni", Token(">sni")),
        ("%http::>a", Token(">a")),
        ("%adapt::all_trs", Token("all_trs")),
        ("%some_future_code", Token("some_future_code")),
    ],
)
def test_a_code_is_read_with_all_that_belongs_to_it(text: str, token: Token) -> None:
    assert one(text) == token


def test_two_codes_without_a_space_are_two() -> None:
    assert parse_logformat("%ts.%tu%Sh/%<a") == (Token("ts"), ".", Token("tu"), Token("Sh"), "/", Token("<a"))


def test_a_doubled_percent_sign_is_one() -> None:
    assert parse_logformat("100%% %ts") == ("100% ", Token("ts"))


def test_quotes_and_brackets_around_a_code_say_how_it_is_written() -> None:
    enclosed = [item.enclosed for item in parse_logformat('%>a [%tl] "%rm %ru" %Ss') if isinstance(item, Token)]
    assert enclosed == ["", "[", '"', '"', ""]


@pytest.mark.parametrize(("text", "column"), [("%", 1), ("%ts %", 5), ("%ts %!", 5), ("%ts %{x", 5), ("%>h{x", 4)])
def test_what_is_no_code_is_named_with_its_column(text: str, column: int) -> None:
    with pytest.raises(LogformatError, match=f"^column {column}: "):
        parse_logformat(text)


@BOUNDED
@given(st.text(st.sampled_from("%[]{}\"'#/<>ashtu.0:- "), max_size=30))
def test_any_text_is_a_format_or_a_named_error(text: str) -> None:
    try:
        items = parse_logformat(text)
    except LogformatError as exc:
        assert str(exc).startswith("column ")
    else:
        assert all(items)


@pytest.mark.parametrize(
    ("text", "logformat"),
    [
        ("squid", FORMATS["squid"]),
        ("splunk", next(known.logformat for known in KNOWN_FORMATS if known.name == "splunk")),
        ("%ts %>a", "%ts %>a"),
        ("logformat office %ts.%03tu %>a", "%ts.%03tu %>a"),
        ("  logformat office   %ts  %>a ", "%ts  %>a"),
    ],
)
def test_a_format_is_a_name_a_line_of_squid_conf_or_a_logformat(text: str, logformat: str) -> None:
    assert format_of(text) == logformat


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("sqid", "there is no format 'sqid'; there are squid, common"),
        ("%>a %ru", "there is no time in it"),
        ("%ts %!", "column 5: "),
        ("logformat office %ts\n%ru", "a record is one line"),
        ("%ts %byte{10}", "is no byte of a line"),
    ],
)
def test_what_is_no_format_says_why(text: str, why: str) -> None:
    with pytest.raises(LogformatError, match=why):
        format_of(text)


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("%6tr", Token("tr", minimum=6)),
        ("%-6tr", Token("tr", minimum=6, left=True)),
        ("%.128mt", Token("mt", maximum=128)),
        ("%#-10.20{X}>h", Token(">h", "X", quoting="#", minimum=10, maximum=20, left=True)),
        ("%icap::tr", Token("icap::tr")),
        ("%proxy_protocol::>h{0x20}", Token("proxy_protocol::>h", "0x20")),
        ("%transport::>connection_id", Token(">connection_id")),
    ],
)
def test_widths_and_prefixes_are_kept(text: str, token: Token) -> None:
    assert one(text) == token


def test_a_byte_by_its_number_is_literal() -> None:
    assert parse_logformat("%ts%byte{9}%byte{255}") == (Token("ts"), "\t\udcff")
