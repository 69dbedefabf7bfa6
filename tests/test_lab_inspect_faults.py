"""`inspect` where something is missing, broken or hostile: it says so in its place, and all else is still told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pfsquid.firewall.inspect import Asked, inspect
from pfsquid.firewall.inspected import Inspected, KeytabState
from pfsquid.firewall.pfsense import Pfsense
from pfsquid.firewall.squid_conf import debug_level, helpers
from tests.firewall.reached import reached
from tests.lab.fixture import Lab
from tests.lab.layout import FW
from tests.lab.pfsense.squid import CONF, KEYTAB, answer, kerberos, keytab, put, runs, until

pytestmark = pytest.mark.lab

LOG = "/var/squid/logs/cache.log"
ODD = "/usr/local/etc/squid/odd"
# Long enough that no pattern of a token misses it; none of it may come back.
TOKEN = "YIIFsecretsecretsecretsecretsecretsecretsecretsecretsecretsecretsecretsecret"


@pytest.fixture(scope="module")
def posing(lab: Lab) -> Iterator[Lab]:
    lab.pose("2.8")
    keytab(lab, owner="squid:proxy")
    put(lab, kerberos())
    lab.sh("fw", f"cp -p {CONF} /var/lab/conf; cp -p /cf/conf/config.xml /var/lab/xml; cp -p {LOG} /var/lab/log")
    yield lab
    lab.pose(None)


@pytest.fixture(scope="module")
def pfsense(posing: Lab) -> Iterator[Pfsense]:
    with reached(posing) as open_one:
        yield open_one


@pytest.fixture
def box(posing: Lab) -> Iterator[Lab]:
    """The firewall, whose files are put back."""
    yield posing
    back = f"cp -p /var/lab/conf {CONF}; cp -p /var/lab/xml /cf/conf/config.xml; cat /var/lab/log >{LOG}"
    posing.sh("fw", f"chmod 755 /usr/local/etc/squid; rm -rf {ODD}; {back}; rm -f /var/tmp/krb5_*")


def odd_keytab(lab: Lab, pfsense: Pfsense, make: str) -> KeytabState:
    lab.sh("fw", make)
    seen = inspect(pfsense, Asked(keytab=ODD, manager=False))
    assert seen.keytab is not None
    assert seen.settings is not None
    return seen.keytab


def test_a_missing_keytab(box: Lab, pfsense: Pfsense) -> None:
    seen = odd_keytab(box, pfsense, "true")
    assert (seen.file, seen.problem, seen.squid_reads, seen.nobody_reads) == (None, "no such file", None, None)


def test_an_empty_keytab(box: Lab, pfsense: Pfsense) -> None:
    seen = odd_keytab(box, pfsense, f": >{ODD}; chown squid {ODD}")
    assert seen.file is not None
    assert (seen.file.size, seen.file.content, seen.squid_reads) == (0, b"", True)


@pytest.mark.parametrize(
    ("owner", "mode", "squid", "nobody"),
    [
        ("root:root", "400", False, False),
        ("root:squid", "440", False, False),  # Squid has the group proxy alone
        ("root:proxy", "440", True, False),
        ("squid:proxy", "400", True, False),
        ("squid:proxy", "040", False, False),  # the owner's bits count for the owner
        ("root:root", "444", True, True),
    ],
)
def test_who_reads_the_keytab(box: Lab, pfsense: Pfsense, owner: str, mode: str, squid: bool, nobody: bool) -> None:
    box.sh("fw", "getent group squid >/dev/null || groupadd squid; usermod -aG squid squid")
    seen = odd_keytab(box, pfsense, f"echo x >{ODD}; chown {owner} {ODD}; chmod {mode} {ODD}")
    assert (seen.squid_reads, seen.nobody_reads) == (squid, nobody)
    assert seen.file is not None
    assert seen.file.content == b"x\n"


def test_a_folder_above_the_keytab_may_be_closed(box: Lab, pfsense: Pfsense) -> None:
    seen = odd_keytab(box, pfsense, f"echo x >{ODD}; chmod 644 {ODD}; chmod 600 /usr/local/etc/squid")
    assert (seen.closed, seen.squid_reads) == (("/usr/local/etc/squid",), False)


@pytest.mark.parametrize(
    ("make", "problem", "kind"),
    [
        (f"mkdir {ODD}", "", "folder"),
        (f"mkfifo {ODD}", "", "other"),
        (f"ln -s odd {ODD}", "a symbolic link that leads nowhere", None),
        (f"ln -s nowhere {ODD}", "a symbolic link that leads nowhere", None),
        (f"ln -s {KEYTAB} {ODD}", "", "file"),
    ],
)
def test_what_is_no_plain_file(box: Lab, pfsense: Pfsense, make: str, problem: str, kind: str | None) -> None:
    seen = odd_keytab(box, pfsense, make)
    assert seen.problem == problem
    assert (seen.file.kind if seen.file else None) == kind
    assert seen.squid_reads is (True if kind == "file" else None)


def test_the_replay_cache_of_squids_user_shows(box: Lab, pfsense: Pfsense) -> None:
    box.sh("fw", "touch /var/tmp/krb5_$(id -u squid).rcache2")
    seen = inspect(pfsense, Asked(manager=False))
    assert seen.replay is not None
    assert (seen.replay.owner, seen.replay.squid_reads) == ("root", True)


def test_no_squid_conf(box: Lab, pfsense: Pfsense) -> None:
    box.sh("fw", f"rm {CONF}")
    seen = inspect(pfsense)
    assert (seen.squid.conf, seen.keytab, seen.helper, seen.squid.manager) == (None, None, None, None)
    assert seen.squid.manager_problem == "squid.conf names no Negotiate helper"
    assert seen.squid.pid > 1


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("garbage", "line 1"),
        ("", "line 1"),
        ("<pfsense><system></pfsense>", "line 1"),
        ("<opnsense></opnsense>", "<opnsense>"),
        (
            '<!DOCTYPE p [<!ENTITY a SYSTEM "/etc/fstab">]><pfsense><system><domain>&a;</domain></system></pfsense>',
            "",
        ),
    ],
)
def test_a_broken_config_xml(box: Lab, pfsense: Pfsense, content: str, problem: str) -> None:
    box.write("fw", "/cf/conf/config.xml", content.encode())
    seen = inspect(pfsense, Asked(manager=False))
    if problem:
        assert seen.settings is None
        assert seen.settings_problem.startswith("/cf/conf/config.xml is no configuration of pfSense: ")
        assert problem in seen.settings_problem
    else:  # no file is read into it
        assert seen.settings is not None
        assert seen.settings.domain == ""
    assert seen.keytab is not None


def test_no_config_xml(box: Lab, pfsense: Pfsense) -> None:
    box.sh("fw", "rm /cf/conf/config.xml")
    seen = inspect(pfsense, Asked(manager=False))
    assert seen.settings is None
    assert seen.settings_problem == "/cf/conf/config.xml cannot be read: No such file or directory"


def test_of_a_large_cache_log_the_end_comes_in_whole_lines_without_tokens(box: Lab, pfsense: Pfsense) -> None:
    said = f"negotiate_kerberos_auth: DEBUG: Got 'YR {TOKEN}' from squid (length: 99)."
    words = (
        "kid1| ERROR: Negotiate Authentication validating user. Result: {result=BH, notes={message: received type 1}}"
    )
    lines = "\n".join((said, f"Decode '{TOKEN}' (decoded", f"Proxy-Authorization: Negotiate {TOKEN}", words))
    box.write("fw", LOG, (lines.encode() + b"\n") * 50_000 + b"last\n", owner="squid:proxy", mode=0o640)
    seen = inspect(pfsense, Asked(manager=False))
    assert seen.cache_log is not None
    content = seen.cache_log.content or b""
    assert seen.cache_log.size > 15_000_000
    assert 50_000 < len(content) < 262_144
    assert content.endswith(b"\nlast\n")
    assert b"secret" not in content
    assert words.encode() in content
    assert b"Got 'YR \xe2\x80\xa6' from squid" in content


@pytest.mark.parametrize("make", [f"rm {LOG}", f"head -c 500000 /dev/zero | tr '\\0' x >{LOG}", f": >{LOG}"])
def test_no_cache_log_or_one_without_lines(box: Lab, pfsense: Pfsense, make: str) -> None:
    box.sh("fw", make)
    seen = inspect(pfsense, Asked(manager=False))
    assert (seen.cache_log.content if seen.cache_log else b"") == b""


def test_busy_helpers_show_and_their_tokens_do_not(box: Lab, pfsense: Pfsense) -> None:
    slow = "/usr/local/libexec/squid/slow"
    box.write("fw", slow, b"#!/bin/sh\nread a; sleep 4; echo BH slow; read b\n", mode=0o755)
    put(
        box,
        kerberos()
        .replace("/usr/local/libexec/squid/negotiate_kerberos_auth", slow)
        .replace("children 5", "children 2"),
    )
    until(lambda: answer(box) == "407")
    header = f'-H "Proxy-Authorization: Negotiate {TOKEN}$i"'
    curl = f"curl -s -m 5 -o /dev/null {header} -x {FW.address4}:3128 http://www.example.com/"
    box.sh("ws", f"for i in 1 2 3 4; do {curl} & done >/dev/null 2>&1; sleep 0.6")
    found: list[Inspected] = []

    def waits() -> bool:
        found[:] = [inspect(pfsense)]
        told = helpers(found[0].squid.manager or "")
        return told is not None and (told.running, told.maximum, told.busy) == (2, 2, 2) and told.queue > 0

    until(waits, 8)
    assert "secret" not in (found[0].squid.manager or "")
    assert sum("slow" in one.command for one in found[0].squid.processes) == 2
    put(box, kerberos())


def test_a_squid_that_is_down(box: Lab, pfsense: Pfsense) -> None:
    box.sh("fw", "kill -9 $(pgrep -x squid); rm -f /dev/shm/squid-*")
    until(lambda: not runs(box), 5)
    seen = inspect(pfsense)
    assert (seen.squid.pid, seen.squid.started, seen.squid.running_as) == (0, None, None)
    assert seen.squid.manager_problem == "Squid does not run"
    assert debug_level((seen.squid.conf.content or b"").decode() if seen.squid.conf else "") == 0
    put(box, kerberos())


def test_no_squid_package(posing: Lab) -> None:
    posing.pose("2.8", package=False, resolver="dnsmasq", domain_overrides=(("partner.example", "10.77.0.80"),))
    with reached(posing) as pfsense:
        seen = inspect(pfsense)
    assert seen.settings is not None
    assert (seen.settings.package, seen.settings.squid, seen.settings.cache_saved) == (None, None, False)
    assert (seen.squid.conf, seen.squid.pid, seen.keytab, seen.cache_log) == (None, 0, None, None)
    assert seen.settings.resolver == "dnsmasq"
    assert [(one.domain, one.server) for one in seen.settings.overrides] == [("partner.example", "10.77.0.80")]
    assert any("--server=/partner.example/10.77.0.80" in one.command for one in seen.squid.processes)
