"""`pfsquid lake compact` and `expire` as a user runs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.running import ACCESS_LOG, SIGN_INS, Pfsquid


@pytest.fixture
def pfsquid(tmp_path: Path) -> Pfsquid:
    return Pfsquid(tmp_path)


@pytest.fixture
def filled(pfsquid: Pfsquid) -> Pfsquid:
    assert pfsquid("collect", "squid", "--from", ACCESS_LOG).status == 0
    assert pfsquid("collect", "entra", "--from", SIGN_INS).status == 0
    return pfsquid


@pytest.mark.parametrize("command", ["compact", "expire"])
@pytest.mark.parametrize("plan", [(), ("--plan",), ("--dry-run",)])
def test_without_a_lake_it_says_so_and_makes_none(pfsquid: Pfsquid, command: str, plan: tuple[str, ...]) -> None:
    run = pfsquid("lake", command, *plan, "--lake", "none")
    assert (run.status, "there is no lake in" in run.err, (pfsquid.folder / "none").exists()) == (2, True, False)


def test_answers_are_the_same_after_compaction(filled: Pfsquid) -> None:
    asked = ("apps", "app-signins")  # all of them: discovery/test_usage_questions.py
    before = [filled("query", name, "--json").out for name in asked]
    run = filled("lake", "compact", "--json")
    assert run.status == 0 and {(row["table"], row["deed"]) for row in run.rows} >= {
        ("proxy", "sort"),
        ("usage", "count"),
    }
    assert [filled("query", name, "--json").out for name in asked] == before
    assert filled.count("proxy") == 1131


def test_a_plan_is_shown_and_nothing_done(filled: Pfsquid) -> None:
    files = sorted(filled.lake.rglob("*"))
    plan = filled("lake", "compact", "--plan", "--json")
    assert plan.rows and sorted(filled.lake.rglob("*")) == files
    assert filled("lake", "expire", "--dry-run").status == 0
    assert sorted(filled.lake.rglob("*")) == files


def test_nothing_to_do_is_said(filled: Pfsquid) -> None:
    filled("lake", "compact")
    run = filled("lake", "compact")
    assert (run.status, "nothing to do" in run.err) == (0, True)


def test_retention_of_the_configuration_is_kept_to(filled: Pfsquid) -> None:
    config = filled.folder / "pfsquid.yaml"
    config.write_text("care: {retention: {proxy: 1d, signins: 1d}}\n", "utf-8")
    plan = filled("lake", "expire", "--plan", "--json", "--config", config)
    assert {row["deed"] for row in plan.rows} >= {"delete"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("care: {retention: {proxy: 1h}}", "care.retention.proxy"),
        ("care: {compact: {file: 3}}", "did you mean files?"),
        ("care: {expire: {snapshots: soon}}", "must be a length of time"),
    ],
)
def test_a_wrong_configuration_is_told(pfsquid: Pfsquid, text: str, told: str) -> None:
    config = pfsquid.folder / "pfsquid.yaml"
    config.write_text(text, "utf-8")
    run = pfsquid("lake", "expire", "--config", config)
    assert (run.status, told in run.err) == (2, True)
