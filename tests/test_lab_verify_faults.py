"""Each fault injected for real, one at a time: the report names that very link, and nothing else is red."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.firewall.at_work import Desk
from tests.firewall.verifying import at_health, verifying
from tests.lab.breaks import BREAKS, broken
from tests.lab.fixture import Lab

pytestmark = pytest.mark.lab

# The break → the code that must be red, and a word of its line. Those of controllers and certificates, which
# take longest, stand in test_lab_verify_controllers.py.
RED = {
    "override_missing": ("dns-override", "no domain override for lab.pfsquid.test"),
    "override_wrong": ("dns-override", "leads to 10.77.0.80"),
    "resolver_down": ("dns-override", "does not answer"),
    "rebinding": ("dns-kdc", "rebinding protection"),
    "srv_missing": ("dns-srv", "_kerberos._tcp.lab.pfsquid.test and _ldap._tcp.lab.pfsquid.test"),
    "srv_kerberos_missing": ("dns-srv", "_kerberos._tcp.lab.pfsquid.test: NXDOMAIN"),
    "srv_ldap_missing": ("dns-srv", "_ldap._tcp.lab.pfsquid.test: NXDOMAIN"),
    "kdc_no_address": ("dns-kdc", "dc1.lab.pfsquid.test"),
    "proxy_cname": ("dns-proxy", "alias (CNAME) of gate.lab.pfsquid.test"),
    "proxy_no_address": ("dns-proxy", "has no address"),
    "proxy_wrong_address": ("dns-proxy", "leads to 10.77.0.80"),
    "reverse_wrong": ("dns-reverse", "names gate.lab.pfsquid.test"),
    "service_disabled": ("account", "is disabled"),
    "service_locked": ("account", "is locked out"),
    "service_expired": ("account", "has expired"),
    "service_password_expired": ("account", "has an expired password"),
    "service_must_change": ("account", "must change its password"),
    "checker_disabled": ("ldap-login", "disabled"),
    "checker_locked": ("ldap-login", "locked"),
    "checker_password_expired": ("ldap-login", "password has expired"),
    "checker_wrong_password": ("ldap-login", "wrong user name or password"),
    "person_disabled": ("login", "KDC_ERR_CLIENT_REVOKED"),
    "person_wrong_password": ("login", "KDC_ERR_PREAUTH_FAILED"),
    "spn_missing": ("spn", "no account has the SPN HTTP/proxy.lab.pfsquid.test"),
    "spn_duplicate": ("spn", "2 accounts have the SPN"),
    "spn_elsewhere": ("spn", "is on jerry.smith, not on svc_squid"),
    "spn_case": ("spn", "is written http/PROXY.lab.pfsquid.test"),
    "spn_other_name": ("spn", "no account has the SPN"),
    "password_reset": ("keytab-kvno", "the directory has kvno"),
    "account_rc4_only": ("account-enctypes", "allows RC4, and no AES"),
    "account_enctypes_unset": ("account-enctypes", "tickets come with RC4"),
    "keytab_missing": ("keytab-readable", "there is no keytab"),
    "keytab_unreadable": ("keytab-readable", "Squid cannot read the keytab"),
    "keytab_readable_by_all": ("keytab-private", "everybody"),
    "keytab_empty": ("keytab", "empty"),
    "keytab_html": ("keytab", "HTML"),
    "keytab_base64": ("keytab", "base64"),
    "keytab_truncated": ("keytab", "cut off"),
    "keytab_rc4_only": ("keytab-enctypes", "no AES key"),
    "keytab_wrong_key": ("ticket", "its key is not the account's"),
    "keytab_other_kvno": ("keytab-kvno", "Its key is the right one"),
    "keytab_other_principal": ("keytab-principal", "has no key of HTTP/proxy.lab.pfsquid.test"),
    "keytab_principal_case": ("keytab-principal", "HTTP/PROXY.lab.pfsquid.test"),
    "keytab_realm_case": ("keytab-principal", "@lab.pfsquid.test"),
    "krb5_other_realm": ("krb5-conf", "default_realm = OTHER.EXAMPLE"),
    "krb5_broken": ("krb5-conf", "is broken: line"),
    "krb5_missing": ("krb5-conf", "there is no /etc/krb5.conf"),
    "krb5_unreadable": ("krb5-conf", "Squid cannot read"),
    "krb5_enctypes": ("krb5-conf", "leaves out aes256"),
    "krb5_kdc_wrong": ("krb5-conf", "names the KDC"),
    "helper_missing": ("helper-program", "there is no /usr/local/libexec"),
    "helper_missing_restarted": ("helper-program", "there is no /usr/local/libexec"),
    "helper_not_executable": ("helper-program", "may not run"),
    "helper_hung": ("helper-program", "no answer"),
    "helper_slow": ("children", "1 of 1 helpers busy"),
    "squid_down": ("squid", "Squid does not run"),
    "squid_disabled": ("package", "switched off"),
    "transparent": ("package", "transparent"),
    "ntlm_token": ("ntlm", "from 10.77.0.50"),
    "ntlm_in_spnego": ("ntlm", "from 10.77.0.50"),
    "block_gone": ("squid-conf", "nobody is asked for a ticket"),
    "allowed_before": ("squid", "where 407 was due"),
    "helper_other_spn": ("squid-conf", "answers as HTTP/gate"),
    "helper_other_keytab": ("keytab-readable", "other.keytab"),
    "log_without_person": ("access-log", "without rick.sanchez"),
    "ssh_refused": ("ssh", "cannot be reached by SSH"),
    "host_key_changed": ("ssh", "which is not pinned"),
}
# These work all the same: something to know, nothing red.
KNOWN = {
    "reverse_override_missing": "dns-override",
    "krb5_overridden": "krb5-conf",
    "service_delegation": "account",
}


@pytest.fixture(scope="module")
def desk(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with verifying(lab, tmp_path_factory.mktemp("desk")) as one:
        yield one


def report(desk: Desk) -> tuple[int, dict[str, dict[str, Any]]]:
    ran = desk("verify-kerberos", "--json", "--evidence")
    assert ran.out, ran.err
    return ran.status, {row["code"]: row for row in json.loads(ran.out)["rows"]}


@pytest.mark.parametrize("name", RED)
def test_the_very_link_is_named_and_nothing_else_is_red(desk: Desk, name: str) -> None:
    code, word = RED[name]
    with broken(desk.lab, name):
        status, rows = report(desk)
    red = {one: row["detail"] for one, row in rows.items() if row["status"] in ("fail", "error")}
    assert set(red) == {code}, red
    assert status == 3
    assert word in red[code]
    assert rows[code]["remedy"]
    assert rows[code]["commands"]
    for row in rows.values():
        if row["waits_for"]:
            assert row["waits_for"] == [code]


@pytest.mark.parametrize("name", KNOWN)
def test_what_works_all_the_same_is_a_warning(desk: Desk, name: str) -> None:
    with broken(desk.lab, name):
        status, rows = report(desk)
    assert {one for one, row in rows.items() if row["status"] != "ok"} == {KNOWN[name]}
    assert rows[KNOWN[name]]["status"] == "warn"
    assert status == 0


def test_after_all_of_this_the_chain_is_well(desk: Desk) -> None:
    assert at_health(desk) == []


def test_every_break_of_the_lab_is_told_of_somewhere() -> None:
    from tests import test_lab_verify_controllers as others

    assert set(BREAKS) - set(RED) - set(KNOWN) - set(others.RED) - set(others.OF_TWO) - set(others.HARMLESS) == set()
