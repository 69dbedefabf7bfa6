"""The chain as a whole: its order holds, what it judges can be gathered, and it names only causes that there are."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

from pfsquid.kerberos.causes import LINKS, load
from pfsquid.kerberos.chain import CHAIN, QUICK
from pfsquid.kerberos.check import Check
from pfsquid.kerberos.gather import Probes

CODES = [check.code for check in CHAIN]
CAUSES = {cause.code for cause in load()}
FOLDER = Path(inspect.getfile(Probes)).parent
MODULES = sorted(FOLDER.glob("chain_*.py"))
checks = pytest.mark.parametrize("check", CHAIN, ids=CODES)


def test_no_two_checks_have_one_code() -> None:
    assert sorted(set(CODES)) == sorted(CODES)


def test_no_two_checks_have_one_title() -> None:
    titles = [check.title for check in CHAIN]
    assert sorted(set(titles)) == sorted(titles)


@checks
def test_what_a_check_waits_for_stands_before_it(check: Check) -> None:
    before = CODES[: CODES.index(check.code)]
    assert [code for code in (*check.needs, *check.after) if code not in before] == []


@checks
def test_what_a_judge_takes_can_be_gathered(check: Check) -> None:
    assert [name for name in check.uses if not hasattr(Probes, f"get_{name}")] == []


@checks
def test_a_judge_says_in_a_sentence_what_it_proves(check: Check) -> None:
    told = inspect.getdoc(check.judge) or ""
    assert told.endswith(".")
    assert "\n" not in told


@checks
def test_a_title_reads_on_with_a_colon(check: Check) -> None:
    assert check.title
    assert check.title[-1].isalnum() or check.title[-1] == ")"


def test_causes_know_the_checks_of_the_chain_and_no_others() -> None:
    assert sorted(LINKS) == sorted(CODES)


@pytest.mark.parametrize("check", QUICK, ids=[check.code for check in QUICK])
def test_the_quick_part_has_all_that_it_needs(check: Check) -> None:
    assert set(check.needs) <= {one.code for one in QUICK}


def test_the_quick_part_ends_with_a_real_request() -> None:
    assert "request" in {check.code for check in QUICK}


def _numbered(table: ast.Dict) -> bool:
    """Is it a table by the number of an error?"""
    return all(isinstance(key, ast.Constant) and isinstance(key.value, int) for key in table.keys)


def named_causes(path: Path) -> Iterator[tuple[int, str]]:
    """Codes of causes and their lines: in `cause=[…]`, in a `_Cure`'s last place, in tables by an error's number."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        holders: list[ast.expr] = []
        if isinstance(node, ast.keyword) and node.arg == "cause":
            holders = [one for one in ast.walk(node.value) if isinstance(one, (ast.List, ast.Tuple))]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "_Cure":
            holders = node.args[2:]
        elif isinstance(node, ast.Dict) and _numbered(node):
            holders = node.values
        for holder in holders:
            for one in holder.elts if isinstance(holder, (ast.List, ast.Tuple)) else ():
                if isinstance(one, ast.Constant) and isinstance(one.value, str):
                    yield one.lineno, one.value


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_each_cause_that_a_judge_names_is_one_that_explain_knows(path: Path) -> None:
    assert [(line, code) for line, code in named_causes(path) if code not in CAUSES] == []


def test_the_causes_that_judges_name_are_found_here_at_all() -> None:
    found = {code for path in MODULES for _, code in named_causes(path)}
    assert {"dc-down", "wrong-key", "kinit-revoked", "spn-duplicate", "kvno-old-keytab"} <= found
