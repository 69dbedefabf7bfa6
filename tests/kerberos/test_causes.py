"""Error texts and causes: a captured case finds exactly what was wrong, every cause has a case, nothing raises."""

from __future__ import annotations

import re
import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pfsquid.errors import WrongUse
from pfsquid.kerberos.causes import LINKS, PLACEHOLDERS, WHERE, Cause, diagnose, fill, load, parse, tolerant

CASES = Path(__file__).parent.parent / "captured" / "kerberos"
ROOT = Path(__file__).parents[2]
FOLDERS = sorted(path.parent for path in CASES.glob("*/expected.yaml"))
# whose texts a file of a case holds
WHERE_OF = {"cache.log": "squid", **{f"{where}.txt": where for where in WHERE}}
CODES = [cause.code for cause in load()]
BY_CODE = {cause.code: cause for cause in load()}
ENTRY = """
- code: a-code
  link: clock
  where: [squid]
  pattern: time of (?P<host>\\S+) is wrong
  cause: The time of {host} is wrong.
  remedy: Set it.
  commands: ['date -u']
"""


@cache
def expected(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((folder / "expected.yaml").read_text("utf-8"))
    return found


def codes(text: str, where: str | None = None) -> list[str]:
    return [one.code for one in diagnose(text, where)]


# ---- captured cases


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_captured_case_finds_its_causes_in_order_and_nothing_else(folder: Path) -> None:
    found = {
        path.name: codes(path.read_text("utf-8"), WHERE_OF[path.name])
        for path in sorted(folder.iterdir())
        if path.name != "expected.yaml"
    }
    assert found == expected(folder)["found"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_case_says_what_was_wrong_and_where_its_texts_are_from(folder: Path) -> None:
    told = expected(folder)
    assert sorted(told) == ["fault", "found", "source"]
    assert told["source"].startswith(("captured in the lab", "written from"))


def test_every_folder_of_cases_is_read() -> None:
    assert [path for path in sorted(CASES.iterdir()) if path.is_dir()] == FOLDERS


@pytest.mark.parametrize("code", CODES)
def test_every_cause_has_a_captured_case(code: str) -> None:
    assert [f.name for f in FOLDERS if any(code in found for found in expected(f)["found"].values())]


@pytest.mark.parametrize("folder", ["healthy", "healthy-with-debug"])
def test_nothing_is_found_in_what_a_healthy_proxy_says(folder: str) -> None:
    texts = [path.read_text("utf-8") for path in (CASES / folder).iterdir() if path.name != "expected.yaml"]
    assert [codes(text) for text in texts] == [[]] * len(texts)
    assert "Accepting HTTP Socket connections" in "".join(texts)


def test_captures_have_no_token_in_them() -> None:
    runs = [run for path in CASES.rglob("*.*") for run in re.findall(r"[A-Za-z0-9+/]{60,}", path.read_text("utf-8"))]
    assert runs
    assert [run for run in runs if "NotAToken+NotAToken" not in run or len(run) > 120] == []


# ---- the file


@pytest.mark.parametrize("cause", load(), ids=lambda cause: cause.code)
def test_an_error_has_a_command_and_every_sentence_ends(cause: Cause) -> None:
    assert cause.commands or cause.severity != "error"
    assert cause.cause.endswith(".")
    assert cause.remedy.endswith(".")


def test_yaml_takes_no_remark_of_a_command_for_its_own_comment() -> None:
    written = (ROOT / "pfsquid" / "kerberos" / "causes.yaml").read_text("utf-8").count("    # ")
    assert sum(command.count("    # ") for cause in load() for command in cause.commands) == written > 50


def test_the_file_is_in_the_order_of_the_chain() -> None:
    links = [cause.link for cause in load()]
    assert links == sorted(links, key=LINKS.index)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("pattern:", "patern:"), "unknown key patern"),
        (("pattern:", "patern:"), "pattern is missing"),
        (("wrong\n", "(wrong\n"), "pattern is no regular expression"),
        (("{host} is", "{name} is"), "{name}, which is no group of the pattern"),
        (("date -u", "date {host}"), "unknown placeholder {host}"),
        (("link: clock", "link: clocks"), "link 'clocks' is no check"),
        (("[squid]", "[squad]"), "where is none or more of"),
        (("[squid]", "squid"), "where is not a list"),
        (("a-code", "A code"), "is not in kebab-case"),
        (("remedy: Set it.", "remedy: 3"), "remedy is not a text"),
        (("time of (?P<host>\\S+) is wrong", "(?P<host>x?)"), "pattern matches an empty line"),
        (("  remedy", "  severity: fatal\n  remedy"), "severity 'fatal' is none of"),
        (("  remedy", "  symptom: maybe\n  remedy"), "symptom is neither true nor false"),
    ],
)
def test_a_fault_of_the_file_is_named_with_its_entry(change: tuple[str, str], message: str) -> None:
    with pytest.raises(WrongUse, match=re.escape(message)) as caught:
        parse(ENTRY.replace(*change))
    assert "causes.yaml: entry 1 (" in caught.value.message


def test_all_faults_of_the_file_come_at_once() -> None:
    with pytest.raises(WrongUse) as caught:
        parse(ENTRY + ENTRY + ENTRY.replace("a-code", "b").replace("clock", "watch") + "- 3\n")
    assert caught.value.message.splitlines()[0] == "causes.yaml: entry 2 (a-code): the code a-code is taken"
    assert len(caught.value.message.splitlines()) == 3


@pytest.mark.parametrize("text", ["{", "a: b", "3"])
def test_what_is_no_list_of_causes_is_refused(text: str) -> None:
    with pytest.raises(WrongUse, match=r"causes\.yaml is not"):
        parse(text)


def test_the_wheel_has_the_file() -> None:
    assert (ROOT / "pfsquid" / "kerberos" / "causes.yaml").is_file()
    assert 'packages = ["pfsquid", "collectors"]' in (ROOT / "pyproject.toml").read_text("utf-8")


# ---- diagnosis


def test_an_unknown_text_gives_nothing() -> None:
    assert diagnose("gss_accept_sec_context() failed: something nobody has ever seen") == ()
    assert diagnose("") == ()


def test_a_cause_is_told_once_with_its_first_line_and_without_the_timestamp() -> None:
    line = "kid1| WARNING: All {}/2 negotiateauthenticator processes are busy."
    text = f"2026/11/24 10:26:46 {line.format(2)}\n2026/11/24 10:26:47 {line.format(1)}\n"
    (found,) = diagnose(text, "squid")
    assert found.line == "WARNING: All 2/2 negotiateauthenticator processes are busy."
    assert found.named == {"busy": "2", "all": "2"}


def test_the_sentence_has_what_the_text_says() -> None:
    (found,) = diagnose("ERROR: keytab file /var/etc/x.keytab does not exist", "helper")
    assert found.text.startswith("There is no file /var/etc/x.keytab;")


def test_the_longest_match_of_a_line_stands_and_what_lies_apart_stands_too() -> None:
    short, long = ENTRY.replace("time of (?P<host>\\S+) is wrong", "time of (?P<host>\\S+)"), ENTRY.replace("a-", "b-")
    known = parse(short + long + ENTRY.replace("a-", "c-").replace("time of", "date of"))
    assert [one.code for one in diagnose("time of fw is wrong, date of dc is wrong", causes=known)] == [
        "b-code",
        "c-code",
    ]
    assert [one.code for one in diagnose("time of fw is right", causes=known)] == ["a-code"]


def test_reasons_come_before_symptoms_and_errors_before_what_is_harmless() -> None:
    severities = {"a": "harmless", "b": "warning", "c": "error"}
    entries = [
        ENTRY.replace("a-code", name).replace("time of", name).replace("  remedy", f"  severity: {severity}\n  remedy")
        for name, severity in severities.items()
    ]
    symptom = ENTRY.replace("a-code", "d").replace("time of", "d").replace("  remedy", "  symptom: true\n  remedy")
    known = parse("".join([symptom, *entries]))
    text = "d x is wrong\na x is wrong\nb x is wrong\nc x is wrong"
    assert [one.code for one in diagnose(text, causes=known)] == ["c", "b", "a", "d"]


def test_only_texts_of_the_place_that_was_asked_for_count() -> None:
    text = "kinit: Password incorrect while getting initial credentials"
    assert codes(text, "kinit") == ["kinit-wrong-password"]
    assert codes(text) == ["kinit-wrong-password"]
    assert codes(text, "squid") == []


@pytest.mark.parametrize("change", [("  ", " "), ("  ", "   "), ("'", '"')])
def test_blanks_and_quotation_marks_may_differ(change: tuple[str, str]) -> None:
    text = "gss_acquire_cred() failed:  Key table file '/etc/krb5.keytab' not found"
    assert codes(text.replace(*change), "helper") == ["keytab-default-missing"]


def test_tolerance_leaves_classes_and_escapes_alone() -> None:
    assert tolerant(r"a b[ '\]']\ '") == r"""a(?: {1,3})b[ '\]']\ ['"]"""


def test_other_realms_names_and_versions_are_the_same_causes() -> None:
    text = "Request ticket server HTTP/p.corp@CORP kvno 255 not found in keytab; keytab is likely out of date"
    (found,) = diagnose(text, "helper")
    assert (found.code, found.named["kvno"]) == ("kvno-old-keytab", "255")


# ---- commands


def test_commands_are_filled_and_what_is_missing_is_left_to_the_reader() -> None:
    commands = fill(BY_CODE["client-spn-missing"].commands, spn="HTTP/p.lab.example", account=None)
    assert commands[:2] == ("setspn -Q HTTP/p.lab.example", "setspn -S HTTP/p.lab.example <account>")


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("svc_squid", "svc_squid"),
        ("WS1$", "WS1$"),
        ("-x", "<account>"),
        ("a$HOME", "<account>"),
        ("tammy guetermann", '"tammy guetermann"'),
        ("renée", "renée"),
        ("a; rm -rf /", '"a; rm -rf /"'),
        ('a"; rm -rf /; "', "<account>"),
        ("$(reboot)", "<account>"),
        ("`reboot`", "<account>"),
        ("a\nreboot", "<account>"),
        ("", "<account>"),
    ],
)
def test_a_value_cannot_leave_its_place_in_a_command(value: str, word: str) -> None:
    assert fill(["setspn -L {account}"], account=value) == (f"setspn -L {word}",)


def test_commands_take_nothing_from_the_text() -> None:
    groups = {name for cause in load() for name in cause.pattern.groupindex} - set(PLACEHOLDERS)
    used = {
        name for cause in load() for text in (cause.remedy, *cause.commands) for name in re.findall(r"\{(\w+)\}", text)
    }
    assert used <= set(PLACEHOLDERS)
    assert used & groups == set()


# ---- hostile texts


@given(st.text(max_size=500))
def test_no_text_makes_it_raise(text: str) -> None:
    for one in diagnose(text):
        assert one.text


@given(st.lists(st.sampled_from([word for cause in load() for word in cause.pattern.pattern.split()]), max_size=12))
def test_no_mixture_of_the_patterns_own_words_makes_it_raise(words: list[str]) -> None:
    diagnose(" ".join(words))


@pytest.mark.parametrize(
    "line",
    [
        "a",
        " ",
        "aB3",
        "Server '",
        "kvno 1 ",
        "x.",
        "(?",
        "gss_accept_sec_context() failed: ",
        "80090308",
        "Basic ",
        "://a:",
    ],
)
def test_a_line_of_a_megabyte_takes_little_time(line: str) -> None:
    begin = time.process_time()
    diagnose(line * (1_000_000 // len(line)))
    assert time.process_time() - begin < 2


def test_a_log_of_a_megabyte_takes_little_time() -> None:
    lines = [f"2026/11/24 10:26:{n % 60:02} kid1| nothing of note in request {n} of somebody" for n in range(14_000)]
    begin = time.process_time()
    assert diagnose("\n".join(lines)) == ()
    assert time.process_time() - begin < 2
