"""pfsquid killed, or its connection cut, after each step in turn: the proxy serves, and the next run makes it whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import pytest

from pfsquid.firewall.checkpoint import all_of
from pfsquid.kerberos.enctypes import AES256, Key
from pfsquid.kerberos.keytab import dump, parse
from pfsquid.kerberos.principal import Principal
from tests.firewall import hindered
from tests.firewall.at_work import Desk, answer, block_of, desk, left_behind, posing  # noqa: F401 - fixtures
from tests.lab.fixture import Lab
from tests.lab.layout import REALM

pytestmark = pytest.mark.lab

SERVES = ("200", "407 Negotiate")
Fault = Callable[[Lab], hindered.Deed]
BETWEEN = [("after", "read"), ("after", "stage"), ("before", "apply"), ("after", "apply")]
POINTS = ["write_config", "written", "squid_conf"]


def whole(desk: Desk, status: int = 0) -> None:  # noqa: F811
    """The proxy serves now, and the next run makes all as it should be."""
    lab = desk.lab
    assert answer(lab) in SERVES
    ran = desk("configure", "--yes")
    assert ran.status == status, ran.err
    assert (answer(lab), answer(lab, ticket=True)) == ("407 Negotiate", "200")
    assert all(one.finished for one in all_of(desk.checkpoints))
    assert left_behind(lab) == []


@pytest.mark.parametrize(("when", "program"), BETWEEN)
def test_killed_between_two_steps(desk: Desk, when: str, program: str) -> None:  # noqa: F811
    fault = getattr(hindered, when)(program, hindered.die)
    assert desk("configure", "--yes", fault=fault).status == -9
    whole(desk)


@pytest.mark.parametrize("point", POINTS)
def test_killed_while_the_firewall_is_at_it(desk: Desk, point: str) -> None:  # noqa: F811
    desk.lab.arm(point, "sleep", 0.7)
    fault = hindered.before("apply", hindered.die_soon)
    assert desk("configure", "--yes", fault=fault).status == -9
    whole(desk)


@pytest.mark.parametrize(("when", "program"), BETWEEN)
def test_cut_between_two_steps(desk: Desk, when: str, program: str) -> None:  # noqa: F811
    fault = getattr(hindered, when)(program, desk.lab.cut_ssh)
    ran = desk("configure", "--yes", fault=fault)
    assert ran.status == (0 if (when, program) == ("after", "apply") else 1), ran.err
    assert "Traceback" not in ran.err
    whole(desk)


@pytest.mark.parametrize("point", ["read", *POINTS])
def test_cut_while_the_firewall_is_at_it(desk: Desk, point: str) -> None:  # noqa: F811
    program = "stage" if point == "read" else "apply"
    ran = desk("configure", "--yes", fault=hindered.before(program, lambda: desk.lab.cut_ssh(at=point)))
    assert ran.status == 1, ran.err
    assert "the connection was lost" in ran.err
    whole(desk)


@pytest.mark.parametrize(("when", "program"), [(hindered.after, "apply"), (hindered.before, "clean")])
def test_killed_while_a_new_keytab_comes(desk: Desk, when: Callable[..., hindered.Deed], program: str) -> None:  # noqa: F811
    desk.configured()
    renewed(desk)
    desk.configured()
    former = left_behind(desk.lab)
    renewed(desk)
    assert len(former) == 1  # the keytab that a step back needs
    assert desk("configure", "--yes", fault=when(program, hindered.die)).status == -9
    assert answer(desk.lab, ticket=True) == "200"
    ran = desk("configure", "--yes")
    assert (ran.status, answer(desk.lab, ticket=True)) == (0, "200"), ran.err
    assert len(left_behind(desk.lab)) == 1
    assert left_behind(desk.lab) != former


def renewed(desk: Desk) -> None:  # noqa: F811
    """Another keytab: the key that tickets need, and not all that the one before has, so that it has not just grown."""
    path = desk.folder / "squid.keytab"
    needed = next(one for one in parse(path.read_bytes()) if one.key.enctype == AES256)
    other = replace(needed, principal=Principal(("host", "other"), REALM), key=Key(AES256, os.urandom(32)))
    path.write_bytes(dump([needed, other]))


def test_killed_while_going_back(desk: Desk) -> None:  # noqa: F811
    desk.configured()
    desk.lab.arm("squid_conf", "sleep", 0.7)
    assert desk("rollback", "--yes", fault=hindered.before("apply", hindered.die_soon)).status == -9
    assert answer(desk.lab) in SERVES
    ran = desk("rollback", "--yes")
    assert "was cut off after it wrote config.xml; finishing it" in ran.err
    assert answer(desk.lab) in SERVES


def test_the_drift_alarm_rings_for_an_interrupted_run_that_left_no_change(desk: Desk) -> None:  # noqa: F811
    desk("configure", "--yes", fault=hindered.after("apply", hindered.die))
    ran = desk("configure", "--plan")
    assert (ran.status, ran.out) == (3, "no changes\n"), ran.err
    whole(desk)


def test_a_plan_tells_of_an_interrupted_run_and_leaves_it(desk: Desk) -> None:  # noqa: F811
    desk("configure", "--yes", fault=hindered.after("stage", hindered.die))
    ran = desk("configure", "--plan")
    assert ran.status == 3
    assert "was cut off: pfsquid configure finishes or undoes it" in ran.err
    assert left_behind(desk.lab) != []
    whole(desk)
