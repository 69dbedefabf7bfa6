"""`inspect` on three releases: every field as it is, for root, admin and a sudo user; nothing changes."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from pfsquid.firewall.inspect import Asked, inspect
from pfsquid.firewall.inspected import Inspected, Override
from pfsquid.firewall.probes import Question, accept, positions, relay, since
from pfsquid.firewall.squid_conf import children, helpers, listeners, negotiate_command
from tests.firewall.reached import KRB5, no_longer, reached, serve, written
from tests.lab.fixture import Lab
from tests.lab.layout import DC, DOMAIN, FW, REALM, SPN
from tests.lab.pfsense.files import PACKAGE_VERSIONS
from tests.lab.pfsense.squid import CONF, KEYTAB, kerberos
from tests.lab.pfsense.stock import FOREIGN, VERSIONS

pytestmark = pytest.mark.lab

HELPER = "/usr/local/libexec/squid/negotiate_kerberos_auth"
LOGS = ("/var/squid/logs/access.log", "/var/squid/logs/cache.log")


@pytest.fixture(scope="module", params=["2.7.2", "2.8", "2.9"])
def release(lab: Lab, request: pytest.FixtureRequest) -> Iterator[str]:
    lab.pose(request.param, **{**FOREIGN, "auth_method": "ldap", "before_auth": ""})
    serve(lab)
    yield request.param
    no_longer(lab)


@pytest.fixture(scope="module")
def seen(lab: Lab, release: str) -> Inspected:
    with reached(lab, "operator") as pfsense:
        return inspect(pfsense)


def test_release_and_squid(seen: Inspected, release: str) -> None:
    assert (seen.release, seen.hostname, seen.problems) == (VERSIONS[release], FW.fqdn, ())
    assert seen.php.startswith("8.")
    assert {"127.0.0.1", FW.address4, FW.address6} <= set(seen.addresses)
    assert seen.squid.version == "Squid Cache: Version 5.7"
    assert seen.squid.negotiate is True
    assert (seen.squid.user, seen.squid.group, seen.squid.running_as) == ("squid", "proxy", "squid")
    assert seen.squid.pid > 1
    assert abs((seen.squid.started or 0) - time.time()) < 3600


def test_settings(seen: Inspected, release: str) -> None:
    told = seen.settings
    assert told is not None
    assert (told.hostname, told.domain, told.dns_servers) == ("proxy", DOMAIN, (DC.address4,))
    assert (told.resolver, told.package) == ("unbound", PACKAGE_VERSIONS[release])
    assert told.overrides == (Override(DOMAIN, DC.address4, False),)
    assert [(one.names, one.addresses) for one in told.hosts] == [
        (("printer.intra.example",), ("10.77.0.90",)),
        (("nas.intra.example",), ("10.77.0.91",)),
    ]
    interfaces = {one.name: (one.address4, one.address6) for one in told.interfaces}
    assert interfaces == {"wan": ("dhcp", None), "lan": (FW.address4, FW.address6)}
    assert told.squid is not None
    assert told.squid["enable_squid"] == told.squid["keep_squid_data"] == "on"
    assert (told.squid["active_interface"], told.squid["proxy_port"]) == ("lan,lo0", "3128")
    assert told.squid["custom_options_squid3"].replace("\r\n", "\n") == kerberos()
    assert (told.auth_method, told.cache_saved, told.sync) == ("ldap", True, "disabled")
    assert DC.address4.encode() in (seen.resolver_files["/var/unbound/domainoverrides.conf"].content or b"")
    assert (seen.resolver_files["/etc/resolv.conf"].content or b"").startswith(b"nameserver ")


def test_no_password_of_the_package_leaves_the_firewall(seen: Inspected, lab: Lab) -> None:
    conf = seen.squid.conf
    assert conf is not None
    assert conf.content is not None
    live = lab.read("fw", CONF)
    secret = lab.config("installedpackages/squidauth/config/0/ldap_pass").encode()
    assert secret in live
    assert conf.content == live.replace(b"'" + secret + b"'", "…".encode())
    assert secret.decode() not in repr(seen)
    assert not any(secret.decode() in one.command for one in seen.squid.processes)


def test_squid_conf_tells_the_helper(seen: Inspected) -> None:
    assert seen.squid.conf is not None
    text = (seen.squid.conf.content or b"").decode()
    command = negotiate_command(text)
    assert command is not None
    assert (command.program, command.keytab, command.replay) == (HELPER, KEYTAB, "none")
    assert command.spn == f"{SPN}@{REALM}"
    assert children(text).maximum == 5
    assert [one.address for one in listeners(text)] == [FW.address4, "127.0.0.1"]
    assert helpers(seen.squid.manager or "") is not None, seen.squid.manager_problem


def test_keytab_helper_and_krb5_conf(seen: Inspected, lab: Lab) -> None:
    there = seen.keytab
    assert there is not None
    assert there.file is not None
    assert there.file.content == lab.read("dc", "/lab/keytabs/squid.keytab")
    assert (there.file.owner, there.file.group, there.file.mode, there.file.size) == ("squid", "proxy", 0o400, 200)
    assert (there.squid_reads, there.nobody_reads, there.closed, there.problem) == (True, False, (), "")
    assert seen.helper is not None
    assert (seen.helper.path, seen.helper.runs, seen.helper.kind) == (HELPER, True, "script")
    assert list(seen.krb5) == ["/etc/krb5.conf", "/usr/local/etc/krb5.conf", "/etc/krb5.conf.d/more.conf"]
    main, other, more = seen.krb5.values()
    assert main is not None
    assert (main.content, main.squid_reads) == (KRB5.encode(), True)
    assert other is None
    assert more is not None
    assert more.squid_reads is False


def test_logs_and_folders(seen: Inspected, lab: Lab) -> None:
    assert seen.cache_log is not None
    assert b"Starting Squid Cache version 5.7" in (seen.cache_log.content or b"")
    access = seen.logs[LOGS[0]]
    assert access is not None
    assert (access.inode, access.owner, access.mode) == (positions_outside(lab, LOGS[0]), "squid", 0o640)
    assert seen.logs["/var/squid/logs/pfsquid.log"] is None
    assert (seen.log_space or 0) > 1_000_000
    assert seen.var_tmp is not None
    assert (seen.var_tmp.mode, seen.var_tmp_writable, seen.replay) == (0o1777, True, None)


def positions_outside(lab: Lab, path: str) -> int:
    return int(lab.sh("fw", f"/usr/libexec/lab/stat -c %i {path}"))


def test_the_clock_is_bounded(seen: Inspected) -> None:
    assert seen.clock.lowest <= 0 <= seen.clock.highest
    assert seen.clock.error < 1


def test_a_keytab_and_helper_may_be_named(lab: Lab, release: str) -> None:
    with reached(lab) as pfsense:
        seen = inspect(pfsense, Asked(keytab="/etc/hosts", helper="/bin/cat", manager=False))
    assert seen.keytab is not None
    assert (seen.keytab.path, seen.keytab.nobody_reads) == ("/etc/hosts", True)
    assert seen.helper is not None
    assert (seen.helper.path, seen.helper.kind) == ("/bin/cat", "elf")
    assert (seen.squid.manager, seen.squid.manager_problem) == (None, "not asked")


@pytest.mark.parametrize("user", ["root", "admin", "operator"])
def test_nothing_changes_on_the_firewall(lab: Lab, release: str, user: str) -> None:
    command = [HELPER, "-k", KEYTAB, "-s", f"{SPN}@{REALM}"]
    with reached(lab, user) as pfsense:
        inspect(pfsense)  # so that the login itself has been
        before, events = written(lab), lab.events()
        seen = inspect(pfsense)
        answers = relay(
            pfsense, [Question("kdc", "tcp", DC.address4, 88, b"?", 4), Question("dns", "udp", "::1", 9, b"?")]
        )
        accepted = accept(pfsense, command, [b"pfsquid" * 8])
        since(pfsense, positions(pfsense, LOGS))
        assert written(lab) == before
    assert lab.events() == events
    assert seen.release == VERSIONS[release]
    assert set(answers) == {"kdc", "dns"}
    assert (accepted.ran_as, accepted.problem, len(accepted.lines)) == ("squid", "", 1)
