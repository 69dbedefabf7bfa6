"""`configure` with another keytab than the live one: swapped in place where it has only grown."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from pfsquid.kerberos.enctypes import Key
from pfsquid.kerberos.keytab import dump, parse
from tests.firewall.at_work import KEYTABS, Desk, answer, desk, posing  # noqa: F401 - fixtures

pytestmark = pytest.mark.lab


def test_a_keytab_that_has_only_grown_is_swapped_in_place(desk: Desk) -> None:  # noqa: F811
    desk.configured()
    lab = desk.lab
    name = lab.sh("fw", f"ls {KEYTABS}").strip()
    entries = parse((desk.folder / "squid.keytab").read_bytes())
    more = [
        replace(one, kvno=one.kvno + 1, key=Key(one.key.enctype, os.urandom(len(one.key.value)))) for one in entries
    ]
    (desk.folder / "squid.keytab").write_bytes(dump((*more, *entries)))
    sockets = lab.sh("fw", "ss -Hltne sport = :3128 | grep -o 'ino:[0-9]*' | sort")
    ran = desk("configure", "--yes")
    assert ran.status == 0, ran.err
    assert "in place of the live one" in ran.err
    assert lab.sh("fw", f"ls {KEYTABS}").strip() == name
    assert lab.read("fw", name) == (desk.folder / "squid.keytab").read_bytes()
    assert lab.sh("fw", "ss -Hltne sport = :3128 | grep -o 'ino:[0-9]*' | sort") == sockets  # the port stayed open
    assert desk("configure", "--plan").status == 0
    assert answer(lab, ticket=True) == "200"
