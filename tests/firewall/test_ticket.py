"""The request with the caller's own ticket: passed, refused, or not known, and never one taken for another."""

from __future__ import annotations

from pathlib import Path

import pytest

from pfsquid.firewall.ticket import Passage, judge, try_ticket


@pytest.mark.parametrize(
    ("status", "code", "passage"),
    [
        (0, "503", Passage.PASSED),  # the proxy let it in, and then found no such host
        (0, "200", Passage.PASSED),
        (0, "403", Passage.PASSED),
        (0, "407", Passage.REFUSED),
        (56, "407", Passage.REFUSED),
        (7, "000", Passage.UNKNOWN),
        (5, "000", Passage.UNKNOWN),
        (28, "000", Passage.UNKNOWN),
        (0, "", Passage.UNKNOWN),
    ],
)
def test_only_an_answer_behind_the_proxys_question_is_a_passage(status: int, code: str, passage: Passage) -> None:
    assert judge(status, code, "proxy.lab.example", 3128).passage is passage


def test_without_curl_it_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert try_ticket("proxy.lab.example", 3128, "10.0.0.1", "LAB.EXAMPLE").passage is Passage.UNKNOWN


def test_without_a_ticket_it_is_not_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, body in (("curl", "echo Features: SPNEGO"), ("klist", "exit 1")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    told = try_ticket("proxy.lab.example", 3128, "10.0.0.1", "LAB.EXAMPLE")
    assert told.passage is Passage.UNKNOWN
    assert "kinit" in told.detail


@pytest.mark.parametrize(
    ("principal", "told"),
    [("rick@OTHER.EXAMPLE", "not of the realm"), ("rick@LAB.EXAMPLE", "does not lead from here to 10.0.0.1")],
)
def test_a_ticket_or_a_name_of_another_place_proves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, principal: str, told: str
) -> None:
    for name, body in (("curl", "echo Features: SPNEGO"), ("klist", f"echo Default principal: {principal}")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    ticket = try_ticket("localhost", 3128, "10.0.0.1", "LAB.EXAMPLE")
    assert ticket.passage is Passage.UNKNOWN
    assert told in ticket.detail
