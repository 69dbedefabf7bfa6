"""Judges of the domain controllers as the firewall reaches them: alive, all of them, their KDCs, all clocks."""

from __future__ import annotations

from typing import Any

import pytest

from pfsquid.kerberos import chain_kdc as chain
from pfsquid.kerberos.check import Finding, Status
from pfsquid.kerberos.facts import Answers, Clocks, Kdcs
from tests.kerberos.made import DC1, DC1_AT, DC2, DC2_AT, asked, clocks, kdcs, names, told

SILENT = Answers("timed out", "timed out", "timed out")


# ---- one that answers


@pytest.mark.parametrize("answers", [Answers("", "refused", "refused"), Answers("timed out", "", "timed out")])
def test_a_controller_that_answers_anything_is_alive(answers: Answers) -> None:
    finding = chain.dc(names(servers={DC1_AT: SILENT, DC2_AT: answers}))
    assert (finding.status, finding.detail) == (Status.OK, f"{DC2_AT} answers the firewall")


def test_where_none_answers_all_are_named_and_the_first_is_to_be_tried() -> None:
    finding = chain.dc(names(servers={DC1_AT: SILENT, DC2_AT: SILENT}))
    assert (finding.status, f"{DC1_AT}, {DC2_AT}" in finding.detail) == (Status.FAIL, True)
    assert f"nc -vz {DC1_AT} 88" in told(finding)


def test_where_no_server_is_named_there_is_none_to_try() -> None:
    assert chain.dc(names(servers={})).status is Status.OK


# ---- all of them


def all_of(servers: dict[str, Answers] | None = None, found: Kdcs | None = None) -> Finding:
    return chain.dc_all(names(**({} if servers is None else {"servers": servers})), found or kdcs())


def test_all_that_answer_are_counted_each_once() -> None:
    assert (all_of().status, all_of().detail) == (Status.OK, "all 2 answer")


def test_the_only_one_is_not_called_all() -> None:
    one = Kdcs({(DC1, DC1_AT): Answers(None, "", "")})
    assert all_of({DC1_AT: Answers("", "", "")}, one).detail == "the only one answers"


def test_a_controller_that_is_down_is_named_with_name_and_address() -> None:
    finding = all_of(
        {DC1_AT: Answers("", "", ""), DC2_AT: SILENT}, kdcs(second=Answers(None, "timed out", "timed out"))
    )
    assert (finding.status, finding.detail.startswith(f"{DC2} ({DC2_AT}): no answer.")) == (Status.FAIL, True)
    assert DC1_AT not in finding.detail


def test_a_controller_that_only_srv_records_name_is_missed_too() -> None:
    finding = all_of({DC1_AT: Answers("", "", "")}, kdcs(second=Answers(None, "refused", "refused")))
    assert (finding.status, DC2 in finding.detail) == (Status.FAIL, True)


def test_of_a_controller_that_answers_in_part_it_is_told_what_is_silent() -> None:
    finding = all_of(found=kdcs(second=Answers(None, "", "timed out")))
    assert (finding.status, "Kerberos over UDP (88): timed out" in finding.detail) == (Status.FAIL, True)
    assert "no answer" not in finding.detail


def test_a_server_that_is_no_kdc_by_any_record_need_not_be_one() -> None:
    servers = {"10.1.0.53": Answers("", "refused", "refused"), DC1_AT: Answers("", "", ""), DC2_AT: Answers("", "", "")}
    assert all_of(servers).status is Status.OK


def test_a_server_of_the_override_that_is_dead_is_named_also_where_it_is_no_kdc() -> None:
    finding = all_of({"10.1.0.53": SILENT, DC1_AT: Answers("", "", "")})
    assert (finding.status, "10.1.0.53: no answer" in finding.detail) == (Status.FAIL, True)


# ---- KDCs


def test_one_kdc_that_answers_both_ways_is_enough() -> None:
    finding = chain.kdc(kdcs(first=Answers(None, "refused", "")))
    assert (finding.status, finding.detail) == (Status.OK, f"{DC2} answers over TCP and UDP")


@pytest.mark.parametrize(
    ("answers", "word"),
    [(Answers(None, "", "timed out"), "UDP (88): timed out"), (Answers(None, "refused", ""), "TCP (88): refused")],
)
def test_a_kdc_over_one_way_only_is_a_break_that_names_the_other(answers: Answers, word: str) -> None:
    finding = chain.kdc(kdcs(answers, answers))
    assert (finding.status, word in finding.detail) == (Status.FAIL, True)
    assert f"nc -vz {DC1_AT} 88" in told(finding)


def test_where_no_kdc_answers_each_is_named_with_its_reason() -> None:
    finding = chain.kdc(kdcs(Answers(None, "refused", "timed out"), Answers(None, "no route", "no route")))
    assert (finding.status, "no KDC answers the firewall on port 88" in finding.detail) == (Status.FAIL, True)
    assert [word for word in (DC1, DC2, "refused", "no route") if word not in finding.detail] == []


def test_where_no_kdc_is_known_that_is_said() -> None:
    finding = chain.kdc(Kdcs({}))
    assert (finding.status, "no KDC to ask" in finding.detail) == (Status.FAIL, True)


# ---- clocks


def of_clocks(found: Clocks, **other: Any) -> Finding:
    return chain.clock(asked(**other), found)


def test_clocks_that_agree_are_told_how_well() -> None:
    finding = of_clocks(clocks(1.0, 0.5, 0.2))
    assert (finding.status, finding.detail) == (Status.OK, "within 0.8 s of each other (5 minutes allowed)")


@pytest.mark.parametrize(
    ("found", "said", "command"),
    [
        (clocks(firewall=360), "fw is 6 minutes ahead of the others", "General Setup > Timeservers"),
        (clocks(firewall=-360), "fw is 6 minutes behind the others", "General Setup > Timeservers"),
        (clocks(dc1=360), f"{DC1} is 6 minutes ahead of the others", "w32tm"),
        (clocks(dc2=-7200), f"{DC2} is 2.0 hours behind the others", "w32tm"),
        (clocks(360, 360, 360), "this machine is 6 minutes behind the others", "timedatectl"),
        (clocks(-360, -360, -360), "this machine is 6 minutes ahead of the others", "timedatectl"),
    ],
)
def test_a_clock_that_is_off_is_named_with_the_way_to_set_it(found: Clocks, said: str, command: str) -> None:
    finding = of_clocks(found)
    assert (finding.status, finding.detail) == (Status.FAIL, f"{said}; Kerberos allows 5 minutes")
    assert command in told(finding)


def test_a_clock_on_its_way_out_is_a_warning() -> None:
    assert of_clocks(clocks(firewall=200)).status is Status.WARN


def test_what_cannot_be_measured_is_not_held_against_a_clock() -> None:
    assert of_clocks(clocks(firewall=310, uncertain=170)).status is Status.OK


def test_the_limit_is_the_configurations() -> None:
    assert of_clocks(clocks(firewall=20), clock_skew=10).status is Status.FAIL


def test_clocks_are_compared_also_where_no_kdc_told_its_time() -> None:
    assert of_clocks(Clocks(360, 0.1, {})).status is Status.FAIL


def test_each_clock_is_in_the_evidence() -> None:
    assert len(of_clocks(clocks()).evidence) == 4
