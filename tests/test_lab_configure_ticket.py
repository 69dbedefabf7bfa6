"""Where the caller has a ticket, `configure` proves that people get through; where they do not, all is put back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pfsquid.kerberos.enctypes import Key
from pfsquid.kerberos.keytab import dump, parse
from tests.firewall.at_work import Desk, Ran, desk_in
from tests.lab.fixture import Lab
from tests.lab.layout import BASE_DN, FW, PERSON_PASSWORD, WS
from tests.lab.pfsense.squid import resync

pytestmark = pytest.mark.lab

FOLDER = "/root/desk"
CACHE = f"KRB5CCNAME={FOLDER}/ticket"


@pytest.fixture
def desk(lab: Lab, tmp_path: Path) -> Iterator[Desk]:
    """A stock 2.8, and at the workstation a configuration, the right keytab and rick's ticket."""
    lab.exec("ws", ["mkdir", "-p", FOLDER])
    lab.sh("ws", f"echo '{PERSON_PASSWORD}' | {CACHE} kinit rick.sanchez")  # while names of the domain still resolve
    (tmp_path / "ticket").write_bytes(lab.read("ws", f"{FOLDER}/ticket"))
    lab.pose("2.8")
    yield desk_in(tmp_path, lab)
    lab.sh("ws", f"rm -rf {FOLDER}")
    lab.pose(None)


def configure(desk: Desk, *words: str) -> Ran:
    """With rick's ticket."""
    return desk("configure", *words, environment={"KRB5CCNAME": f"FILE:{desk.folder / 'ticket'}"})


def status_of(lab: Lab, *curl: str, url: str = "http://www.dropbox.com/") -> str:
    proxy = FW.fqdn if curl else FW.address4
    words = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-x", f"http://{proxy}:3128", *curl, url]
    return lab.exec("ws", ["env", CACHE, *words]).stdout.decode()


def test_a_request_with_the_callers_ticket_is_part_of_the_proof(desk: Desk) -> None:
    done = configure(desk, "--yes")
    assert done.status == 0, done.err
    assert "a request with a ticket got through: rick.sanchez@" in done.err
    assert status_of(desk.lab, "--proxy-negotiate", "-U", ":") == "200"
    assert status_of(desk.lab) == "407"


def test_a_keytab_whose_key_is_not_the_accounts_is_put_back(desk: Desk) -> None:
    keytab = desk.folder / "squid.keytab"
    entries = parse(keytab.read_bytes())
    wrong = [replace(one, key=Key(one.key.enctype, bytes(len(one.key.value)))) for one in entries]
    keytab.write_bytes(dump(wrong))
    before = desk.lab.read("fw", "/usr/local/etc/squid/squid.conf")
    done = configure(desk, "--yes")
    assert done.status == 4, done.err
    told = done.err
    assert "its key is not the account" in told, told
    assert "the proxy serves as before" in told
    assert status_of(desk.lab) == "200"
    assert desk.lab.read("fw", "/usr/local/etc/squid/squid.conf") == before


def test_exempt_apps_need_no_ticket_and_the_rest_does(desk: Desk) -> None:
    desk.write(proxy={"exempt": {"apps": ["Dropbox"]}, "ipv4_first": True})
    done = configure(desk, "--yes")
    assert done.status == 0, done.err
    assert "no longer knows it" in done.err
    assert status_of(desk.lab) == "200"
    assert status_of(desk.lab, url="http://chatgpt.com/") == "407"
    again = configure(desk, "--plan", "--json")
    assert (again.status, json.loads(again.out)["rows"]) == (0, [])
    assert WS.address4.encode() in desk.lab.read("fw", "/var/squid/logs/pfsquid.log")


def test_an_unknown_exempt_app_is_told_with_the_nearest(desk: Desk) -> None:
    desk.write(proxy={"exempt": {"apps": ["Dropbx"]}})
    done = configure(desk, "--plan")
    assert done.status == 2
    assert "did you mean dropbox" in done.err


def test_only_members_get_through_and_others_are_denied_not_asked_again(desk: Desk) -> None:
    desk.lab.sh("dc", "samba-tool group add 'Proxy Users'; samba-tool group addmembers 'Proxy Users' rick.sanchez")
    try:
        shown = desk.lab.sh("dc", "samba-tool group show 'Proxy Users'")
        sid = next(line.split()[1] for line in shown.splitlines() if line.startswith("objectSid:"))
        desk.write(proxy={"groups": [sid], "blocked": [".pastebin.com"]})
        assert configure(desk, "--yes").status == 0
        answers = {}
        for person in ("rick.sanchez", "jerry.smith"):
            # A ticket tells the groups of the moment at which it was given.
            desk.lab.sh("ws", f"echo '{PERSON_PASSWORD}' | {CACHE} kinit {person}")
            answers[person] = status_of(desk.lab, "--proxy-negotiate", "-U", ":")
        assert answers == {"rick.sanchez": "200", "jerry.smith": "403"}
        assert status_of(desk.lab) == "407"
        assert status_of(desk.lab, url="http://www.pastebin.com/") == "403"
    finally:
        desk.lab.sh("dc", "samba-tool group delete 'Proxy Users'")


def test_who_has_no_ticket_is_asked_for_a_password_where_the_fallback_is_on(desk: Desk) -> None:
    desk.lab.pose("2.8", auth_method="ldap")
    # Below the root of the domain: at the root AD refers to other names. These resolve once the overrides are there,
    # and the package's LDAP helper then follows them without a login ("Operations error").
    base = f"config_set_path('installedpackages/squidauth/config/0/ldap_basedomain', 'CN=Users,{BASE_DN}');"
    resync(desk.lab, f"{base} write_config('a test');")
    desk.write(proxy={"basic_fallback": True})
    done = configure(desk, "--yes")
    assert done.status == 0, done.err
    head = ["curl", "-s", "-o", "/dev/null", "-D", "-", "-x", f"http://{FW.address4}:3128", "http://www.dropbox.com/"]
    offered = desk.lab.exec("ws", head).stdout.decode()
    assert "Proxy-Authenticate: Negotiate" in offered
    assert "Proxy-Authenticate: Basic" in offered
    assert status_of(desk.lab, "--proxy-negotiate", "-U", ":") == "200"
    assert status_of(desk.lab, "--proxy-basic", "-U", f"rick.sanchez:{PERSON_PASSWORD}") == "200"
    assert status_of(desk.lab, "--proxy-basic", "-U", "rick.sanchez:wrong") == "407"
