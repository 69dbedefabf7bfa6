"""Squid's logformat grammar: what a format line comes apart into, and where it is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.squid.logformat import FORMATS, LogformatError, Token, groups, parse_logformat
from tests.collectors.access_logs import BOUNDED


def one(text: str) -> Token:
    (item,) = parse_logformat(text)
    assert isinstance(item, Token)
    return item


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("%ts", Token("ts")),
        ("%6tr", Token("tr", padded=True)),
        ("%03tu", Token("tu")),
        ("%03>Hs", Token(">Hs")),
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
    assert parse_logformat("%ts.%03tu%Sh/%<a") == (Token("ts"), ".", Token("tu"), Token("Sh"), "/", Token("<a"))


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


@pytest.mark.parametrize(("name", "count"), [("squid", 10), ("pfsquid", 16)])
def test_formats_whose_values_hold_no_spaces_are_cut_at_them(name: str, count: int) -> None:
    cut = groups(parse_logformat(FORMATS[name]))
    assert cut is not None
    assert len(cut) == count
    assert cut[0] == (Token("ts"), ".", Token("tu"))


@pytest.mark.parametrize("name", ["common", "combined"])
def test_formats_with_quotes_or_brackets_are_not_cut(name: str) -> None:
    assert groups(parse_logformat(FORMATS[name])) is None
