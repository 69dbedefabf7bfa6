"""verify-kerberos and explain at the command line: options, statuses and streams; the chain itself is made up here."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import pfsquid.cli
from pfsquid.errors import PfsquidError
from pfsquid.kerberos.causes import PLACEHOLDERS, load
from pfsquid.kerberos.chain import CHAIN
from pfsquid.kerberos.check import Check, Finding, NotAsked, Result, fail, ok, run, unknown, warn
from pfsquid.kerberos.explain import explained
from pfsquid.kerberos.verify import Verification

CONFIGURATION = """
firewalls:
  one: {host: fw1.example}
  two: {host: fw2.example}
kerberos:
  realm: LAB.EXAMPLE
  proxy: proxy.lab.example
  keytab: squid.keytab
  account: svc_squid
"""


@dataclass
class Ran:
    """What a command left behind."""

    status: Any
    out: str
    err: str


@dataclass
class Chain:
    """Stands for the chain over a firewall. rounds: findings of the first check, one for each round; the last stays."""

    rounds: list[Finding] = field(default_factory=lambda: [ok("in")])
    asked: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = field(default_factory=list)

    def firewall(self, name: str, only: Collection[str] = (), skip: Collection[str] = ()) -> Iterator[Result]:
        self.asked.append((name, tuple(only), tuple(skip)))
        finding = self.rounds.pop(0) if len(self.rounds) > 1 else self.rounds[0]

        def unasked() -> Finding:
            raise NotAsked("nobody said so", "say: so")

        checks = (
            Check("ssh", "SSH", lambda: finding),
            Check("pfsense", "pfSense", lambda: ok("2.8", ["seen"]), ("ssh",)),
            Check("ldap", "LDAP", unasked),
        )
        yield from run(checks, lambda _name: None, only, skip)


Program = Callable[..., Ran]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Program:
    """Runs pfsquid in this process, in a folder with a configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("PFSQUID_CONFIG", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "pfsquid.yaml").write_text(CONFIGURATION, "utf-8")

    def ran(*words: str) -> Ran:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            pfsquid.cli.main(list(words))
        said = capsys.readouterr()
        return Ran(left.value.code, said.out, said.err)

    return ran


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch) -> Chain:
    one = Chain()

    def firewall(_self: Verification, *words: Any) -> Iterator[Result]:
        return one.firewall(*words)

    monkeypatch.setattr(Verification, "firewall", firewall)
    return one


# ---- results and statuses


@pytest.mark.parametrize(
    ("finding", "status"), [(ok("in"), 0), (warn("odd", "look"), 0), (unknown("x", "y"), 1), (fail("x", "y"), 3)]
)
def test_the_status_says_what_was_found(program: Program, chain: Chain, finding: Finding, status: int) -> None:
    chain.rounds = [finding]
    assert [program("verify-kerberos", *words).status for words in ((), ("--json",), ("--format", "junit"))] == [
        status
    ] * 3


def test_a_break_is_told_for_people_with_what_waits_for_it_and_a_summary(program: Program, chain: Chain) -> None:
    chain.rounds = [fail("no way in", "open it", "ssh fw1")]
    ran = program("verify-kerberos", "--firewall", "one")
    assert ran.out.splitlines()[0] == "FAIL   ssh               SSH: no way in"
    assert "wait   pfsense           pfSense: waits for ssh" in ran.out
    assert "$ ssh fw1" in ran.out
    assert ran.out.splitlines()[-1].startswith("one: 0 ok, 1 fail, 1 waiting, 1 not asked for; ")
    assert ran.err == ""


def test_json_has_the_columns_and_a_row_for_each_check_of_each_firewall(program: Program, chain: Chain) -> None:
    told = json.loads(program("verify-kerberos", "--json").out)
    assert [(row["firewall"], row["code"], row["status"]) for row in told["rows"]] == [
        (name, code, status)
        for name in ("one", "two")
        for code, status in (("ssh", "ok"), ("pfsense", "ok"), ("ldap", "skipped"))
    ]


def test_csv_has_a_line_for_each_check(program: Program, chain: Chain) -> None:
    ran = program("verify-kerberos", "--format", "csv", "--firewall", "one")
    assert [row["code"] for row in csv.DictReader(io.StringIO(ran.out))] == ["ssh", "pfsense", "ldap"]


def test_junit_is_xml_and_nothing_else(program: Program, chain: Chain) -> None:
    suites = ElementTree.fromstring(program("verify-kerberos", "--format", "junit").out)
    assert [(one.get("name"), one.get("tests"), one.get("skipped")) for one in suites] == [
        ("one", "3", "1"), ("two", "3", "1"),
    ]  # fmt: skip


@pytest.mark.parametrize("shape", [["--json"], ["--format", "junit"], []])
def test_evidence_is_told_only_where_it_is_wanted(program: Program, chain: Chain, shape: list[str]) -> None:
    told = ["seen" in program("verify-kerberos", *shape, *evidence).out for evidence in ([], ["--evidence"])]
    assert told == [False, True]


def test_only_skip_and_firewall_are_handed_on(program: Program, chain: Chain) -> None:
    program("verify-kerberos", "--firewall", "two", "--only", "ssh", "--only", "ldap", "--skip", "ldap")
    assert chain.asked == [("two", ("ssh", "ldap"), ("ldap",))]


# ---- wrong use


@pytest.mark.parametrize(
    ("words", "said", "next"),
    [
        (["--only", "kerberos"], "there is no check 'kerberos'", "pfsquid verify-kerberos --list"),
        (["--skip", "kerberos"], "there is no check 'kerberos'", "pfsquid verify-kerberos --list"),
        (["--firewall", "three"], "there is no firewall 'three'", "one of: one, two"),
        (["--watch", "5", "--json"], "--watch writes lines for people", "--format junit or json"),
        (["--watch", "5", "--format", "junit"], "--watch writes lines for people", "--format junit or json"),
        (["--watch", "0"], "--watch", ""),
        (["--format", "yaml"], "--format", ""),
        (["--list", "--format", "junit"], "a list is no test run", "--format json"),
    ],
)
def test_wrong_use_is_status_2_with_the_next_command(program: Program, words: list[str], said: str, next: str) -> None:
    ran = program("verify-kerberos", *words)
    assert (ran.status, ran.out, said in ran.err, next in ran.err) == (2, "", True, True)


@pytest.mark.parametrize(
    ("configuration", "said"),
    [
        (None, "there is no configuration"),
        ("firewalls: {one: {host: fw1.example}}\n", "no section kerberos"),
        (CONFIGURATION.replace("  one: {host: fw1.example}\n  two: {host: fw2.example}", "  {}"), "names no firewall"),
        (CONFIGURATION.replace("LAB.EXAMPLE", "lab.example"), "a realm in capitals"),
    ],
)
def test_a_configuration_that_lacks_something_is_status_2(
    program: Program, configuration: str | None, said: str
) -> None:
    path = Path("pfsquid.yaml")
    path.unlink()
    if configuration is not None:
        path.write_text(configuration, "utf-8")
    ran = program("verify-kerberos")
    assert (ran.status, said in ran.err, "Traceback" in ran.err) == (2, True, False)


# ---- the list


def test_the_list_needs_no_configuration_and_has_every_check(program: Program) -> None:
    Path("pfsquid.yaml").unlink()
    ran = program("verify-kerberos", "--list")
    assert ran.status == 0
    assert [check.code for check in CHAIN if f"\n{check.code} " not in ran.out] == []


def test_the_list_in_json_tells_needs_and_after_apart(program: Program) -> None:
    told = json.loads(program("verify-kerberos", "--list", "--json").out)
    assert told["columns"] == ["code", "title", "needs", "after", "quick"]
    assert [(row["code"], row["needs"], row["after"]) for row in told["rows"]] == [
        (check.code, list(check.needs), list(check.after)) for check in CHAIN
    ]


def test_the_list_in_csv_has_a_line_for_each_check(program: Program) -> None:
    ran = program("verify-kerberos", "--list", "--format", "csv")
    assert [row["code"] for row in csv.DictReader(io.StringIO(ran.out))] == [check.code for check in CHAIN]


# ---- again and again


@pytest.fixture
def three_rounds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Sleeps not at all, and is interrupted after the third round. Gives for how long it would have slept."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", sleep)
    return slept


def test_watching_tells_the_first_round_whole_and_then_what_changes(
    program: Program, chain: Chain, three_rounds: list[float]
) -> None:
    chain.rounds = [ok("in"), ok("in still"), fail("no way in", "open it")]
    ran = program("verify-kerberos", "--firewall", "one", "--watch", "60")
    first, rest = ran.out.splitlines()[:6], ran.out.splitlines()[6:]
    assert [line.split()[0] for line in first] == ["ok", "ok", "-", "$", "more:", "one:"]
    assert [line.partition("UTC  ")[2] for line in rest] == [
        "one  ssh: ok → fail: no way in", "one  pfsense: ok → skipped: waits for ssh",
    ]  # fmt: skip
    assert ran.status == 130


def test_watching_several_firewalls_sums_each_up_once(
    program: Program, chain: Chain, three_rounds: list[float]
) -> None:
    ran = program("verify-kerberos", "--watch", "60")
    assert [line[:4] for line in ran.out.splitlines() if "not asked for" in line] == ["one:", "two:"]
    assert len(chain.asked) == 6


def test_watching_waits_for_what_is_left_of_the_time(program: Program, chain: Chain, three_rounds: list[float]) -> None:
    program("verify-kerberos", "--watch", "60")
    assert all(50 < seconds <= 60 for seconds in three_rounds)


# ---- a firewall that cannot be reached


def test_a_firewall_that_lets_nobody_in_is_a_result_and_no_error(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(_site: object, name: str) -> Any:
        raise PfsquidError(f"{name} lets nobody in", "knock louder")

    monkeypatch.setattr("pfsquid.firewall.configure.open_firewall", closed)
    ran = program("verify-kerberos", "--json", "--firewall", "one")
    rows = json.loads(ran.out)["rows"]
    assert (ran.status, rows[0]["status"], rows[0]["detail"]) == (3, "fail", "one lets nobody in")
    assert rows[0]["commands"] == ["knock louder"]
    assert {tuple(row["waits_for"]) for row in rows[1:]} == {("ssh",)}


# ---- explain


@pytest.mark.parametrize("check", CHAIN, ids=[check.code for check in CHAIN])
def test_each_check_is_explained(check: Check) -> None:
    lines = explained(check.code, None)
    assert lines[0] == f"{check.code}: {check.title}"
    assert lines[1].startswith("  proves: ")


@pytest.mark.parametrize("code", [cause.code for cause in load()])
def test_each_cause_is_explained_without_a_place_left_to_fill(code: str) -> None:
    text = "\n".join(explained(code, None))
    assert [part for part in (f"{code} (", "  the check: ", "  → ") if part not in text] == []
    assert [name for name in PLACEHOLDERS if f"{{{name}}}" in text] == []


def test_what_waits_for_a_check_and_what_breaks_it_is_explained(program: Program) -> None:
    out = program("explain", "spn").out
    assert "  needs: ldap-login\n" in out
    assert "  what waits for it: account, ticket\n" in out
    assert "\n    spn-duplicate " in out


def test_a_cause_is_explained_with_the_names_of_the_configuration(program: Program) -> None:
    assert "setspn -F -Q HTTP/proxy.lab.example" in program("explain", "wrong-key").out


def test_a_cause_is_explained_without_any_configuration(program: Program) -> None:
    Path("pfsquid.yaml").unlink()
    assert "setspn -F -Q <spn>" in program("explain", "wrong-key").out


@pytest.mark.parametrize(
    ("code", "near"), [("keytab-kvn", "keytab-kvno"), ("spn-dupliate", "spn-duplicate"), ("Clock", "clock")]
)
def test_a_code_that_is_nearly_right_is_suggested(program: Program, code: str, near: str) -> None:
    ran = program("explain", code)
    assert (ran.status, f"did you mean {near}?" in ran.err, "--list" in ran.err) == (2, True, True)


@pytest.mark.parametrize("code", ["", "\x1b[31m", "x" * 10_000])
def test_a_code_that_is_none_is_wrong_use_and_shown_harmless(program: Program, code: str) -> None:
    ran = program("explain", code)
    assert (ran.status, ran.out, "\x1b" in ran.err, "did you mean" in ran.err) == (2, "", False, False)
