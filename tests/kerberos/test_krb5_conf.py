"""krb5.conf as MIT Kerberos reads it: what its parser takes and what it refuses, tried against its own library."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfsquid.kerberos.krb5_conf import Profile, enctypes_in, profile

WHOLE = """# a comment
; another
include /etc/krb5.conf.d/one
includedir /etc/krb5.conf.d/more
[libdefaults]
\tdefault_realm = LAB.EXAMPLE
    dns_lookup_kdc=true
    quoted = "a \\"b\\"\\tc" and what stands behind it
    open = "to the end
[realms]
    LAB.EXAMPLE = {
        kdc = dc1.lab.example:88
        kdc = dc2.lab.example
        auth_to_local_names = {
            rick = root
        }
    }
    OTHER =
    {
        kdc = elsewhere
    } # what stands here is not looked at
"""


def read(*lines: str) -> Profile:
    return profile("\n".join(lines).encode())


@pytest.mark.parametrize(
    ("path", "values"),
    [
        (("libdefaults", "default_realm"), ("LAB.EXAMPLE",)),
        (("libdefaults", "dns_lookup_kdc"), ("true",)),
        (("libdefaults", "quoted"), ('a "b"\tc',)),
        (("libdefaults", "open"), ("to the end",)),
        (("realms", "LAB.EXAMPLE", "kdc"), ("dc1.lab.example:88", "dc2.lab.example")),
        (("realms", "LAB.EXAMPLE", "auth_to_local_names", "rick"), ("root",)),
        (("realms", "OTHER", "kdc"), ("elsewhere",)),
        (("realms", "NOBODY", "kdc"), ()),
        (("libdefaults", "include"), ()),
    ],
)
def test_each_relation_has_its_path(path: tuple[str, ...], values: tuple[str, ...]) -> None:
    assert profile(WHOLE.encode()).all(*path) == values


def test_a_whole_file_has_no_problem_and_names_what_it_draws_in() -> None:
    found = profile(WHOLE.encode())
    assert (found.problem, found.includes) == ("", ("/etc/krb5.conf.d/one", "/etc/krb5.conf.d/more"))


@pytest.mark.parametrize(
    ("value", "read_as"),
    [("x # no comment", "x # no comment"), ("{y", "{y"), ("a = b", "a = b"), ('""', ""), ('x "y"', 'x "y"')],
)
def test_a_value_is_all_that_stands_behind_the_sign(value: str, read_as: str) -> None:
    assert read("[a]", f"n = {value}").get("a", "n") == read_as


def test_the_first_value_counts() -> None:
    assert read("[a]", "n = 1", "[b]", "[a]", "n = 2").get("a", "n") == "1"


def test_a_file_of_windows_reads_the_same() -> None:
    assert profile(b"[a]\r\nn = 1\r\n").get("a", "n") == "1"


def test_what_stands_above_the_first_section_is_not_looked_at() -> None:
    found = read("hello", "  [indented]", "n = 0", "[a]", "n = 1")
    assert (found.problem, found.relations) == ("", ((("a", "n"), "1"),))


@pytest.mark.parametrize("content", [b"", b"\n\n", b"# only a comment", b"n = 1"])
def test_a_file_that_says_nothing_is_not_broken(content: bytes) -> None:
    assert (profile(content).problem, profile(content).relations) == ("", ())


def test_a_group_in_which_the_file_ends_counts_as_closed() -> None:
    assert read("[a]", "g = {", "n = 1").get("a", "g", "n") == "1"


@pytest.mark.parametrize(
    ("lines", "number", "word"),
    [
        (["[a"], 1, "section"),
        (["[a] b"], 1, "section"),
        (["[a]", "no sign"], 2, "name = value"),
        (["[a]", "two names = 1"], 2, "name = value"),
        (["[a]", "= 1"], 2, "name = value"),
        (["[a]", "", "}"], 3, "closing brace without an opening one"),
        (["[a]", "g = {", "}", "}"], 4, "closing brace without an opening one"),
        (["[a]", "g = {", "[b]"], 3, "the group g is not closed"),
        (["[a]", "g =", "n = 1"], 3, "opens the group g is missing"),
        (["[a]", "g =", "", "{"], 3, "opens the group g is missing"),
        (["[a]", "  include /x"], 2, "name = value"),
    ],
)
def test_what_mit_refuses_is_told_with_its_line(lines: list[str], number: int, word: str) -> None:
    found = read(*lines)
    assert (found.problem.startswith(f"line {number}: "), word in found.problem) == (True, True)
    assert found.relations == ()


# ---- several files


def merged(*contents: str) -> Profile:
    return Profile.merged([profile(one.encode()) for one in contents])


def test_of_several_files_the_first_wins_and_all_count() -> None:
    found = merged("[a]\nn = 1\n", "[a]\nn = 2\nm = 3\n")
    assert (found.all("a", "n"), found.get("a", "m")) == (("1", "2"), "3")


@pytest.mark.parametrize(
    ("first", "kept"),
    [
        ("[a]*\ng = {\nn = 1\n}\n", {}),
        ("[a]\ng* = {\nn = 1\n}\n", {"other": "4", "m": "5"}),
        ("[a]\ng = {\nn = 1\n}*\n", {"other": "4", "m": "5"}),
        ("[a]\ng = {\nn* = 1\n}\n", {"other": "4", "m": "5", "more": "3"}),
    ],
)
def test_what_is_marked_final_takes_nothing_of_later_files(first: str, kept: dict[str, str]) -> None:
    found = merged(first, "[a]\ng = {\nn = 2\nmore = 3\n}\nother = {\nn = 4\n}\nm = 5\n")
    later = {"more": found.get("a", "g", "more"), "other": found.get("a", "other", "n"), "m": found.get("a", "m")}
    assert found.all("a", "g", "n") == ("1",)
    assert {name: value for name, value in later.items() if value} == kept


def test_no_files_are_an_empty_profile() -> None:
    assert Profile.merged([]).relations == ()


# ---- any bytes


TOKENS = st.sampled_from(
    ["[a]", "[a]*", "[", "}", "}*", "{", "n = 1", "g = {", "g* =", '"', "include /x", "#", "\x00", "é"]
)


@given(st.one_of(st.binary(), st.lists(TOKENS).map(lambda lines: "\n".join(lines).encode())))
def test_no_bytes_raise_and_a_broken_file_has_a_line_and_nothing_else(content: bytes) -> None:
    found = profile(content)
    assert not found.problem or (found.problem.startswith("line ") and not found.relations)


# ---- lists of enctypes


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("aes256-cts-hmac-sha1-96", {18}),
        ("AES256-CTS, aes128-cts\taes256-sha2", {18, 17, 20}),
        ("aes", {17, 18, 19, 20}),
        ("rc4 camellia des3", {23, 25, 26, 16}),
        ("DEFAULT", {16, 17, 18, 19, 20, 23, 25, 26}),
        ("DEFAULT -rc4 -des3 -camellia", {17, 18, 19, 20}),
        ("aes -aes256-cts", {17, 19, 20}),
        ("-aes aes128-cts", {17}),
        ("+aes128-cts", {17}),
        ("rc4-hmac -arcfour-hmac-md5", set()),
        ("--aes256-cts aes256-cts", {18}),
        ("nonsense aes128-cts des-cbc-crc", {17}),
        ("", set()),
        ("  ,, ", set()),
    ],
)
def test_a_list_of_enctypes_has_names_families_and_exceptions(value: str, found: set[int]) -> None:
    assert enctypes_in(value) == found


@given(st.text())
def test_no_list_of_enctypes_raises(value: str) -> None:
    assert enctypes_in(value) <= enctypes_in("DEFAULT")
