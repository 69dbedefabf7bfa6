"""Principals are written and read as MIT's programs do it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pfsquid.kerberos.principal import Principal, parse_principal


@pytest.mark.parametrize(
    ("text", "components", "realm"),
    [
        ("rick.sanchez", ("rick.sanchez",), "LAB"),
        ("rick@OTHER", ("rick",), "OTHER"),
        ("HTTP/proxy.lab.example@X", ("HTTP", "proxy.lab.example"), "X"),
        ("HTTP/proxy", ("HTTP", "proxy"), "LAB"),
        (r"rick\@mail.example", ("rick@mail.example",), "LAB"),
        (r"a\/b/c@X", ("a/b", "c"), "X"),
        ("tammy guetermann", ("tammy guetermann",), "LAB"),
        (r"a\\b\n", ("a\\b\n",), "LAB"),
        ("rick@", ("rick",), "LAB"),
        ("rick@A/B", ("rick",), "A/B"),
    ],
)
def test_a_text_is_a_principal(text: str, components: tuple[str, ...], realm: str) -> None:
    assert parse_principal(text, "LAB") == Principal(components, realm)


@pytest.mark.parametrize("text", ["", "@LAB", "/", "rick@A@B", "rick\\"])
def test_a_text_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"principal|name|realm|backslash"):
        parse_principal(text, "LAB")


def test_the_name_type_is_no_part_of_equality_and_the_case_is() -> None:
    assert Principal(("HTTP", "a"), "LAB", 1) == Principal(("HTTP", "a"), "LAB", 2)
    assert Principal(("HTTP", "a"), "LAB") != Principal(("http", "a"), "LAB")


@given(
    components=st.lists(st.text(max_size=8), min_size=1, max_size=4).filter(any), realm=st.text(min_size=1, max_size=8)
)
@settings(max_examples=100)
def test_what_is_written_is_read_again(components: list[str], realm: str) -> None:
    principal = Principal(tuple(components), realm)
    assert parse_principal(str(principal), "LAB") == principal
