"""Results of checks as people, monitoring and spreadsheets get them; nothing hostile and no secret comes through."""

from __future__ import annotations

import io
import json
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfsquid import view_checks, views
from pfsquid.kerberos import chain_keytab, chain_ticket
from pfsquid.kerberos.check import Finding, Remedy, Result, Status, fail, ok, unknown, warn
from pfsquid.kerberos.facts_proxy import Service
from pfsquid.kerberos.tickets import Opened
from pfsquid.views import Format, Screen
from tests.kerberos.made import NOW, SECRET, asked, entry, keys, ticket

BROKEN = fail(
    "the DC is down\nits cause in words", "start it\nthen look", "ping dc1", "nc -vz dc1 88", cause=["dc-down"],
    evidence=["dc1: timed out"],
)  # fmt: skip
WAITING = Finding(Status.SKIPPED, "waits for dc", waits_for=("dc",))
UNASKED = Finding(Status.SKIPPED, "nobody said who", Remedy("nobody said who", ("verify.user",)))
SOME = (ok("well"), warn("odd", "look"), BROKEN, unknown("no idea", "ask"), WAITING, UNASKED)


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def result(finding: Finding, code: str = "dc", title: str = "domain controllers", seconds: float = 0.25) -> Result:
    return Result(code, title, finding, seconds)


def shown(finding: Finding, evidence: bool = False, out: io.StringIO | None = None, color: bool = False) -> str:
    stream = out or io.StringIO()
    view_checks.show_result(Screen(stream, io.StringIO(), color), result(finding), evidence)
    return stream.getvalue()


# ---- for people


@pytest.mark.parametrize(
    ("finding", "begin"),
    [
        (ok("well"), "ok     dc "),
        (warn("odd", "look"), "warn   dc "),
        (BROKEN, "FAIL   dc "),
        (unknown("no idea", "ask"), "ERROR  dc "),
        (WAITING, "wait   dc "),
        (UNASKED, "-      dc "),
    ],
)
def test_a_line_begins_with_the_word_for_its_status(finding: Finding, begin: str) -> None:
    assert shown(finding).startswith(begin)


def test_a_break_has_its_cause_remedy_and_commands_below_it() -> None:
    indent = " " * 25
    assert shown(BROKEN).splitlines() == [
        "FAIL   dc                domain controllers: the DC is down",
        f"{indent}its cause in words",
        f"{indent}→ start it",
        f"{indent}  then look",
        f"{indent}  $ ping dc1",
        f"{indent}  $ nc -vz dc1 88",
        f"{indent}  more: pfsquid explain dc-down",
    ]


def test_what_is_well_is_one_line() -> None:
    assert shown(ok("well")) == "ok     dc                domain controllers: well\n"


def test_what_waits_is_one_line_without_a_remedy() -> None:
    assert len(shown(Finding(Status.SKIPPED, "waits for a", Remedy("x", ("y",)), waits_for=("a",))).splitlines()) == 1


def test_a_remedy_that_repeats_the_detail_is_not_said_twice() -> None:
    assert (shown(UNASKED).count("nobody said who"), "$ verify.user" in shown(UNASKED)) == (1, True)


def test_evidence_is_shown_where_it_is_wanted() -> None:
    assert ("| dc1: timed out" in shown(BROKEN), "| dc1: timed out" in shown(BROKEN, True)) == (False, True)


@pytest.mark.parametrize("empty", [ok(""), fail("", ""), Finding(Status.FAIL, "", None)])
def test_a_finding_without_words_is_shown_all_the_same(empty: Finding) -> None:
    assert "domain controllers: " in shown(empty)


@pytest.mark.parametrize(
    ("out", "color", "colored"),
    [(Terminal(), True, True), (Terminal(), False, False), (io.StringIO(), True, False), (io.StringIO(), False, False)],
)
def test_only_a_terminal_that_wants_color_gets_it(out: io.StringIO, color: bool, colored: bool) -> None:
    assert ("\x1b[1;31mFAIL  \x1b[0m" in shown(BROKEN, out=out, color=color)) is colored


def test_no_color_is_kept_to() -> None:
    assert (views.standard_screen({"NO_COLOR": "1"}).color, views.standard_screen({}).color) == (False, True)


HOSTILE = "\x1b]0;owned\x07\x9b31m\r\x00\u202e"


def hostile(status: Status = Status.FAIL) -> Finding:
    return Finding(status, HOSTILE, Remedy(HOSTILE, (HOSTILE,)), (HOSTILE,), (HOSTILE,))


def test_no_control_character_of_a_finding_reaches_the_terminal() -> None:
    text = shown(hostile(), evidence=True, out=Terminal())
    assert all(char.isprintable() or char == "\n" for char in text)


# ---- the last line, and what changed


def told(*findings: Finding) -> str:
    out = io.StringIO()
    view_checks.show_summary(Screen(out, io.StringIO()), "fw", [result(one) for one in findings], 2.345)
    return out.getvalue()


@pytest.mark.parametrize(
    ("findings", "line"),
    [
        (SOME, "fw: 1 ok, 1 warn, 1 fail, 1 error, 1 waiting, 1 not asked for; 2.3 s\n"),
        ((ok("x"), ok("y")), "fw: 2 ok; 2.3 s\n"),
        ((), "fw: 0 ok; 2.3 s\n"),
    ],
)
def test_the_summary_counts_what_there_is(findings: tuple[Finding, ...], line: str) -> None:
    assert told(*findings) == line


def changed(finding: Finding) -> str:
    out = io.StringIO()
    view_checks.show_change(Screen(out, io.StringIO()), "12:00:00 UTC", "fw", Status.OK, result(finding))
    return out.getvalue()


def test_a_change_is_one_line_with_time_place_and_both_statuses() -> None:
    assert changed(BROKEN) == "12:00:00 UTC  fw  dc: ok → fail: the DC is down its cause in words\n"


def test_a_change_with_a_hostile_detail_is_one_printable_line() -> None:
    assert changed(hostile()).removesuffix("\n").isprintable()


# ---- rows


def rows(*findings: Finding, evidence: bool = False) -> list[dict[str, Any]]:
    made = view_checks.rows("fw", [result(one) for one in findings], evidence)
    out = io.StringIO()
    views.show(Screen(out, io.StringIO()), view_checks.COLUMNS, made, Format.JSON)
    found: list[dict[str, Any]] = json.loads(out.getvalue())["rows"]
    return found


def test_a_row_has_the_documented_shape() -> None:
    assert rows(BROKEN, evidence=True) == [
        {
            "firewall": "fw",
            "code": "dc",
            "title": "domain controllers",
            "status": "fail",
            "detail": "the DC is down\nits cause in words",
            "waits_for": [],
            "cause": ["dc-down"],
            "remedy": "start it\nthen look",
            "commands": ["ping dc1", "nc -vz dc1 88"],
            "seconds": 0.25,
            "evidence": ["dc1: timed out"],
        }
    ]


def test_a_row_of_what_is_well_has_the_same_keys() -> None:
    (row,) = rows(ok("well", ["seen"]))
    assert list(row) == list(view_checks.COLUMNS)
    assert (row["remedy"], row["commands"], row["evidence"]) == (None, [], [])


def test_a_row_of_what_waits_names_for_what() -> None:
    (row,) = rows(WAITING)
    assert (row["status"], row["waits_for"]) == ("skipped", ["dc"])


def test_hostile_text_comes_through_json_unchanged() -> None:
    (row,) = rows(hostile(), evidence=True)
    assert (row["detail"], row["commands"], row["evidence"]) == (HOSTILE, [HOSTILE], [HOSTILE])


# ---- JUnit


def xml(*findings: Finding, evidence: bool = False, firewall: str = "fw") -> ElementTree.Element:
    results = [result(one) for one in findings]
    return ElementTree.fromstring(view_checks.junit([(firewall, results)], evidence))


def test_a_suite_counts_its_cases() -> None:
    (suite,) = xml(*SOME)
    assert suite.attrib == {
        "name": "fw", "tests": "6", "failures": "1", "errors": "1", "skipped": "2", "time": "1.500",
    }  # fmt: skip
    assert len(suite.findall("testcase")) == 6


def test_each_firewall_is_a_suite() -> None:
    text = view_checks.junit([("a", [result(ok("x"))]), ("b", [])], False)
    assert [suite.get("name") for suite in ElementTree.fromstring(text)] == ["a", "b"]


@pytest.mark.parametrize(
    ("finding", "kind"),
    [(BROKEN, "failure"), (unknown("x", "y"), "error"), (WAITING, "skipped"), (UNASKED, "skipped")],
)
def test_a_case_that_is_not_well_says_how_and_why(finding: Finding, kind: str) -> None:
    case = xml(finding)[0][0]
    assert (case.get("classname"), case.get("name"), case[0].tag) == ("verify-kerberos.fw", "dc", kind)
    assert case[0].get("message") == finding.detail


@pytest.mark.parametrize("finding", [ok("x"), warn("x", "y")])
def test_a_case_that_is_well_or_worth_a_warning_has_not_failed(finding: Finding) -> None:
    assert [one.tag for one in xml(finding)[0][0]] == ["system-out"]


def test_a_failure_holds_the_remedy_with_its_commands() -> None:
    assert xml(BROKEN)[0][0][0].text == "start it\nthen look\nping dc1\nnc -vz dc1 88"


def test_evidence_is_in_the_output_where_it_is_wanted() -> None:
    outputs = [xml(BROKEN, evidence=wanted)[0][0].findtext("system-out") or "" for wanted in (False, True)]
    assert ["dc1: timed out" in one for one in outputs] == [False, True]


@given(st.text(), st.sampled_from(Status))
def test_any_text_is_well_formed_xml_of_the_same_shape(text: str, status: Status) -> None:
    finding = Finding(status, text, Remedy(text, (text,)), (text,), (text,))
    assert xml(finding, evidence=True, firewall=text)[0].get("tests") == "1"


def test_markup_in_a_text_stays_text() -> None:
    text = "</failure><testcase name='x'/>]]>&amp;\"'"
    assert xml(fail(text, text))[0][0][0].get("message") == text


def test_no_control_character_reaches_the_terminal_by_xml() -> None:
    text = view_checks.junit([("fw", [result(hostile())])], True)
    assert all(char.isprintable() or char == "\n" for char in text)


# ---- secrets


def test_nothing_of_a_key_or_a_ticket_is_in_any_output() -> None:
    opened = Service(ticket(), opened=Opened(entry(), ticket().client, NOW))
    findings = [
        chain_keytab.keytab(keys()),
        chain_keytab.keytab_principal(asked(), keys()),
        chain_ticket.ticket(asked(), opened),
        chain_ticket.ticket(asked(), Service(ticket(), reason="wrong_key", text="its key is another")),
    ]
    results = [result(one) for one in findings]
    everything = "".join(shown(one, evidence=True) for one in findings)
    everything += json.dumps(view_checks.rows("fw", results, True)) + view_checks.junit([("fw", results)], True)
    assert [form for form in (SECRET.decode(), SECRET.hex(), repr(SECRET)[2:-1]) if form in everything] == []
    assert "kvno 4" in everything
