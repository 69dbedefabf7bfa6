"""A whole chain is green, on every release and for every way in; machines are told the same; no trace is left."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest

from pfsquid.kerberos.chain import CHAIN
from pfsquid.kerberos.enctypes import AES256, string_to_key
from pfsquid.kerberos.keytab import Entry, dump, parse
from pfsquid.kerberos.principal import parse_principal
from tests.firewall.at_work import Desk
from tests.firewall.verifying import PERSON, at_health, configuration, verifying
from tests.lab.breaks import broken
from tests.lab.fixture import Lab
from tests.lab.layout import FIREWALL_PASSWORDS, PERSON_PASSWORD, REALM
from tests.lab.traces import changed, snapshot

pytestmark = pytest.mark.lab

CODES = [check.code for check in CHAIN]


@pytest.fixture(scope="module")
def desk(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with verifying(lab, tmp_path_factory.mktemp("desk")) as one:
        yield one


def after(seconds: float, number: signal.Signals) -> None:
    """In the process of pfsquid: a signal, later."""
    threading.Timer(seconds, lambda: os.kill(os.getpid(), number)).start()


def rows_of(out: str) -> dict[str, dict[str, Any]]:
    return {row["code"]: row for row in json.loads(out)["rows"]}


def test_a_whole_chain_is_green_and_no_link_is_left_out(desk: Desk) -> None:
    ran = desk("verify-kerberos", "--json")
    rows = rows_of(ran.out)
    assert {code: row["detail"] for code, row in rows.items() if row["status"] != "ok"} == {}
    assert list(rows) == CODES
    assert ran.status == 0
    assert sum(row["seconds"] for row in rows.values()) < 10


def test_the_person_of_the_real_request_is_named(desk: Desk) -> None:
    rows = rows_of(desk("verify-kerberos", "--json").out)
    for code in ("login", "helper", "request", "access-log"):
        assert PERSON in rows[code]["detail"]


@pytest.mark.parametrize("release", ["2.7.2", "2.9"])
def test_it_is_green_on_each_release(
    lab: Lab, desk: Desk, tmp_path_factory: pytest.TempPathFactory, release: str
) -> None:
    with verifying(lab, tmp_path_factory.mktemp("other"), release) as other:
        assert at_health(other) == []
    lab.pose("2.8")
    desk.configured()


def test_a_user_with_sudo_behind_tcsh_does(desk: Desk) -> None:
    password = desk.folder / "operator"
    password.touch(0o600)
    password.write_text(FIREWALL_PASSWORDS["operator"], "utf-8")
    desk.write({"user": "operator", "identity": None, "password": "file:operator"}, **configuration())
    try:
        assert at_health(desk) == []
    finally:
        desk.write(**configuration())


def test_no_secret_is_in_any_output(desk: Desk) -> None:
    ran = [desk("verify-kerberos", "--evidence", *words) for words in ((), ("--json",), ("--format", "junit"))]
    shown = "".join(one.out + one.err for one in ran)
    state = (desk.folder / "squid.keytab").read_bytes()
    keys = [one.key.value for one in parse(state)]
    assert PERSON_PASSWORD not in shown
    for key in keys:
        assert key.hex() not in shown.lower()
        assert repr(key)[2:-1] not in shown
    assert "YII" not in shown  # how the base64 of each SPNEGO token begins


def test_junit_xml_tells_the_same(desk: Desk) -> None:
    suite = ElementTree.fromstring(desk("verify-kerberos", "--format", "junit").out)[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == (str(len(CODES)), "0", "0")
    assert [case.get("name") for case in suite] == CODES


def test_without_a_directory_its_checks_are_said_not_to_be_asked_for_and_the_rest_is_proved(desk: Desk) -> None:
    desk.write(**{**configuration(), "directory": {}})
    try:
        ran = desk("verify-kerberos", "--json")
    finally:
        desk.write(**configuration())
    rows = rows_of(ran.out)
    unasked = {code for code, row in rows.items() if row["status"] == "skipped"}
    assert unasked == {"ldap", "ldap-login", "spn", "account", "account-enctypes", "keytab-kvno"}
    assert {row["status"] for code, row in rows.items() if code not in unasked} == {"ok"}
    assert ran.status == 0


def test_the_callers_own_ticket_is_used_and_left_as_it_is(desk: Desk) -> None:
    desk.lab.sh("ws", f"echo '{PERSON_PASSWORD}' | KRB5CCNAME=FILE:/root/own kinit morty.smith")
    cache = desk.folder / "own"
    cache.write_bytes(desk.lab.read("ws", "/root/own"))
    before = (cache.read_bytes(), cache.stat().st_mtime_ns)
    desk.write(**{**configuration(), "verify": {}})
    try:
        ran = desk("verify-kerberos", "--json", environment={"KRB5CCNAME": f"FILE:{cache}"})
    finally:
        desk.write(**configuration())
    assert f"morty.smith@{REALM}" in rows_of(ran.out)["access-log"]["detail"]
    assert ran.status == 0
    assert (cache.read_bytes(), cache.stat().st_mtime_ns) == before


def test_a_keytab_of_the_person_does_instead_of_a_password(desk: Desk) -> None:
    who = parse_principal(PERSON, REALM)
    key = string_to_key(AES256, PERSON_PASSWORD, f"{REALM}rick.sanchez".encode())
    timestamp = parse((desk.folder / "squid.keytab").read_bytes())[0].timestamp
    (desk.folder / "person.keytab").write_bytes(dump([Entry(who, 1, key, timestamp)]))
    desk.write(**{**configuration(), "verify": {"user": PERSON, "keytab": "person.keytab"}})
    try:
        rows = rows_of(desk("verify-kerberos", "--only", "login", "--json").out)
    finally:
        desk.write(**configuration())
    assert rows["login"]["status"] == "ok", rows["login"]["detail"]


def test_starttls_does_as_well_as_ldaps(desk: Desk) -> None:
    given = configuration()
    desk.write(**{**given, "directory": {**given["directory"], "tls": "starttls"}})
    try:
        assert at_health(desk) == []
    finally:
        desk.write(**given)


def test_a_wrong_password_is_tried_once_and_never_again_while_watching(desk: Desk, lab: Lab) -> None:
    tries = "grep -c 'rick.sanchez.*NT_STATUS_WRONG_PASSWORD' /var/log/samba/log.samba || true"
    wrong = desk.folder / "wrong"
    wrong.touch(0o600)
    wrong.write_text("not the password", "utf-8")
    before = int(lab.sh("dc", tries) or 0)
    desk.write(**{**configuration(), "verify": {"user": PERSON, "password": "file:wrong"}})
    try:
        ran = desk("verify-kerberos", "--watch", "1", "--only", "login", fault=lambda: after(5, signal.SIGINT))
    finally:
        desk.write(**configuration())
    assert int(lab.sh("dc", tries) or 0) - before == 1
    assert "KDC_ERR_PREAUTH_FAILED" in ran.out
    assert ran.status == 130


def test_while_watching_only_what_changes_is_told(desk: Desk) -> None:
    words = ("verify-kerberos", "--watch", "1", "--only", "squid")
    running = desk.start(*words, fault=lambda: after(9, signal.SIGINT))
    time.sleep(3)
    with broken(desk.lab, "squid_down"):
        time.sleep(3)
    told = running().out
    changes = [line for line in told.splitlines() if " → " in line]
    assert [line.split("  ")[2].partition(": ")[2][:10] for line in changes] == ["ok → fail:", "fail → ok:"], told
    assert told.count("ok     squid ") == 1


def test_a_run_leaves_no_file_no_ticket_and_no_changed_time_on_any_machine(desk: Desk) -> None:
    at_health(desk)  # the first login of an account in days is written down by the domain controller
    before = snapshot(desk.lab)
    ran = desk("verify-kerberos", "--evidence")
    assert ran.status == 0, ran.out
    assert changed(before, snapshot(desk.lab)) == []
