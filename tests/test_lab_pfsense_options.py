"""The posing firewall with options, its resolvers, and the way back."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

import pytest

from tests.lab.fixture import Lab
from tests.lab.layout import DC, DOMAIN, FW, PEOPLE, PERSON_PASSWORD
from tests.lab.pfsense.squid import (
    AFTER_AUTH,
    BEFORE_AUTH,
    GENERAL,
    OVERRIDES,
    answer,
    conf,
    kerberos,
    keytab,
    put,
    until,
)
from tests.lab.pfsense.stock import FOREIGN

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def posing(lab: Lab) -> Iterator[Lab]:
    yield lab
    lab.pose(None)


@pytest.fixture
def box(posing: Lab) -> Lab:
    """A stock pfSense 2.8, new for each test."""
    posing.pose("2.8")
    return posing


@pytest.mark.parametrize("release", ["2.7.2", "2.9"])
def test_php_that_dies_in_resync_leaves_config_xml_changed_and_squid_conf_not(posing: Lab, release: str) -> None:
    posing.pose(release)
    posing.arm("squid_resync", "error")
    done = put(posing, "# mine\n")
    assert done.returncode == 255
    assert "the lab lets PHP die at squid_resync" in done.stdout
    assert base64.b64decode(posing.config(BEFORE_AUTH)) == b"# mine\r\n"
    assert "# mine" not in conf(posing)
    assert put(posing, "# mine\n").returncode == 0  # once only
    assert "# mine" in conf(posing)


def test_what_others_have_put_there_is_there(posing: Lab) -> None:
    lab = posing
    lab.pose("2.9", **FOREIGN, ha="10.77.0.2", keep_squid_data=False)
    assert base64.b64decode(lab.config(BEFORE_AUTH)).decode() == FOREIGN["before_auth"]
    assert base64.b64decode(lab.config(AFTER_AUTH)).decode() == FOREIGN["after_auth"]
    assert lab.config(f"{GENERAL}/custom_options") == FOREIGN["integrations"]
    assert lab.config(f"{GENERAL}/keep_squid_data") == ""
    overrides = lab.sh("fw", "cat /var/unbound/domainoverrides.conf")
    assert overrides.count("forward-zone:") == 2  # two servers of one domain are one zone
    assert "\tforward-addr: 10.77.0.80\n\tforward-addr: 10.77.0.81@5353\n" in overrides
    assert 'local-zone: "0.99.10.in-addr.arpa" typetransparent' in lab.sh("fw", "cat /var/unbound/unbound.conf")
    assert lab.sh("ws", "dig +short printer.intra.example").strip() == "10.77.0.90"
    assert answer(lab) == "200"
    put(lab, "# for both\n")  # HA: pushed, without keytab or krb5.conf, before the own squid.conf is written
    [push] = lab.events("xmlrpc_push")
    pushed = push["data"]["sections"]["squid"]["config"][0]["custom_options_squid3"]
    assert (push["data"]["to"], base64.b64decode(pushed)) == ("10.77.0.2", b"# for both\r\n")


def test_ldap_and_negotiate_are_both_offered(posing: Lab) -> None:
    lab = posing
    lab.pose("2.7.2", auth_method="ldap")
    keytab(lab)
    done = put(lab, kerberos().replace("http_access deny !kerb\n", ""))
    assert 'Warning: Undefined array key "outgoing_interface"' in done.stdout  # of 2.7.2's php.ini, not of a fault
    url = f"-x http://{FW.address4}:3128 http://www.example.com/"
    until(lambda: lab.sh("ws", f"curl -sI {url} || true").count("Proxy-Authenticate: ") == 2)
    assert re.findall("Proxy-Authenticate: (.*)\r", lab.sh("ws", f"curl -sI {url}"))[0] == "Negotiate"
    with_password = f"curl -s -o /dev/null -w '%{{http_code}}' -U '{PEOPLE[0].account}:{PERSON_PASSWORD}' {url}"
    assert lab.sh("ws", with_password) == "200"


def test_unbound_restarts_and_redoes_dhcp_unless_told_not_to(box: Lab) -> None:
    before = box.sh("fw", "cat /var/run/unbound.pid")
    box.php(f"require_once('functions.inc'); {OVERRIDES} services_unbound_configure(false);")
    assert box.sh("fw", "cat /var/run/unbound.pid") != before
    assert not box.events("services_dhcpd_configure")
    private = f'private-domain: "{DOMAIN}"\ndomain-insecure: "{DOMAIN}"\n'
    assert private in box.sh("fw", "cat /var/unbound/unbound.conf")
    assert box.sh("ws", f"dig +short _kerberos._udp.{DOMAIN} SRV").split()[-1] == f"{DC.fqdn}."
    box.php("require_once('functions.inc'); services_unbound_configure();")
    assert box.events("services_dhcpd_configure")
    assert "NXDOMAIN" in box.sh("ws", f"dig {DC.fqdn}")
    assert box.sh("ws", "dig +short www.example.com").strip() == "10.77.0.80"


def test_domain_must_be_the_first_key_of_an_override(box: Lab) -> None:
    turned = "[['ip' => '10.77.0.10', 'domain' => 'a.example']]"
    program = f"config_set_path('unbound/domainoverrides', {turned}); unbound_add_domain_overrides();"
    box.php(f"require_once('unbound.inc'); {program}")
    assert 'name: "10.77.0.10"' in box.sh("fw", "cat /var/unbound/domainoverrides.conf")


def test_what_is_dirty_is_a_file(box: Lab) -> None:
    box.php("require_once('functions.inc'); mark_subsystem_dirty('unbound');")
    assert box.sh("fw", "ls /var/run/unbound.dirty")
    box.php("require_once('functions.inc'); clear_subsystem_dirty('unbound');")
    assert box.exec("fw", ["ls", "/var/run/unbound.dirty"]).returncode == 2


@pytest.mark.parametrize("resolver", ["dnsmasq", "none"])
def test_another_resolver(posing: Lab, resolver: str) -> None:
    lab = posing
    lab.pose("2.8", resolver=resolver)
    assert ("nameserver 127.0.0.1" in lab.sh("fw", "cat /etc/resolv.conf")) is (resolver == "dnsmasq")
    assert lab.exec("fw", ["pgrep", "-x", "unbound"]).returncode == 1
    if resolver == "dnsmasq":
        assert lab.sh("ws", "dig +short www.example.com").strip() == "10.77.0.80"
        override = OVERRIDES.replace("unbound/", "dnsmasq/")
        lab.php(f"require_once('functions.inc'); {override} services_dnsmasq_configure(false);")
        assert lab.sh("ws", f"dig +short {DC.fqdn}").strip() == DC.address4


def test_a_pristine_firewall_has_no_squid(posing: Lab) -> None:
    lab = posing
    lab.pose("2.9", package=False)
    assert lab.config("installedpackages/squid") is None
    for path in ("/usr/local/pkg/squid.inc", "/usr/local/sbin/squid", "/usr/local/etc/squid"):
        assert lab.exec("fw", ["test", "-e", path]).returncode == 1, path
    assert lab.exec("fw", ["pkg", "info", "-e", "pfSense-pkg-squid"]).returncode == 1
    assert lab.exec("fw", ["pkg", "query", "%v", "squid"]).returncode == 1


def test_the_labs_own_firewall_comes_back(posing: Lab) -> None:
    lab = posing
    lab.pose(None)
    assert answer(lab) == "407"
    assert lab.sh("ws", f"dig +short {DC.fqdn}").strip() == DC.address4
    for path in ("/cf", "/conf", "/etc/inc", "/usr/local/bin/php", "/home/operator"):
        assert lab.exec("fw", ["test", "-e", path]).returncode == 1, path
    assert b"pfsense" not in lab.read("fw", "/etc/passwd")
