"""Faults of domain controllers, their certificates and clocks: each is named, and nothing else is red."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.firewall.at_work import Desk
from tests.firewall.verifying import at_health, verifying
from tests.lab.breaks import broken, clocks, controllers
from tests.lab.fixture import Lab
from tests.test_lab_verify_faults import report

pytestmark = pytest.mark.lab

RED = {
    "dc_stopped": ("dc", "no domain controller answers"),
    "dc_unreachable": ("dc", "no domain controller answers"),
    "kdc_silent": ("kdc", "port 88"),
    "kdc_tcp_silent": ("kdc", "over one of TCP and UDP only"),
    "kdc_udp_silent": ("kdc", "over one of TCP and UDP only"),
    "ldap_silent": ("ldap", "cannot be reached"),
    "certificate_untrusted": ("ldap", "not trusted"),
    "certificate_wrong_name": ("ldap", "for another name than dc1.lab.pfsquid.test"),
    "certificate_expired": ("ldap", "expired"),
    "clock_firewall_ahead": ("clock", "fw is 6 minutes ahead"),
    "clock_firewall_behind": ("clock", "fw is 6 minutes behind"),
    "clock_controller_ahead": ("clock", "dc1.lab.pfsquid.test is 6 minutes ahead"),
    "clock_controller_behind": ("clock", "dc1.lab.pfsquid.test is 6 minutes behind"),
}
# With a second controller, which takes long to come: all three with the same one. The last one leaves them apart.
OF_TWO = {
    "second_unreachable": ("dc-all", "dc2.lab.pfsquid.test"),
    "first_of_two_unreachable": ("dc", "10.77.0.10"),  # the override knows no other
    "controllers_differ": ("keytab-kvno", "do not agree"),
}
# What no link of the chain minds, or what is the same fault under another account's name.
HARMLESS = (
    "reverse_missing",
    "auth_method",
    "log_off",
    "checker_expired",
    "checker_must_change",
    "person_locked",
    "person_expired",
    "person_password_expired",
    "person_must_change",
)


@pytest.fixture(scope="module")
def desk(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with verifying(lab, tmp_path_factory.mktemp("desk")) as one:
        yield one


@pytest.mark.parametrize("name", RED)
def test_the_very_link_is_named_and_nothing_else_is_red(desk: Desk, name: str) -> None:
    named(desk, name, *RED[name])


def test_of_two_controllers_too_the_very_link_is_named(desk: Desk) -> None:
    with controllers.two(desk.lab):
        for name, (code, word) in OF_TWO.items():
            named(desk, name, code, word)


def named(desk: Desk, name: str, code: str, word: str) -> None:
    with broken(desk.lab, name):
        status, rows = report(desk)
    red = {one: row["detail"] for one, row in rows.items() if row["status"] in ("fail", "error")}
    assert set(red) == {code}, (name, red)
    assert status == (1 if rows[code]["status"] == "error" else 3)
    assert word in red[code]
    assert rows[code]["remedy"]


def test_a_wrong_clock_of_the_machine_that_checks_is_named(desk: Desk) -> None:
    words = ["verify-kerberos", "--json"]
    ran = desk(*words, fault=clocks.started_anew(words, 360))
    red = [row for row in json.loads(ran.out)["rows"] if row["status"] in ("fail", "error")]
    assert [row["code"] for row in red] == ["clock"], red
    assert "this machine is 6 minutes ahead" in red[0]["detail"]


def test_after_all_of_this_the_chain_is_well(desk: Desk) -> None:
    assert at_health(desk) == []
