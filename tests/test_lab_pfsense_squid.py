"""The posing firewall's Squid package is as nasty as pfSense's; its Squid is a real one."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from tests.lab.fixture import Lab
from tests.lab.layout import FW, PEOPLE, PERSON_PASSWORD
from tests.lab.pfsense.squid import (
    AFTER_AUTH,
    BEFORE_AUTH,
    CONF,
    GENERAL,
    KEYTAB,
    OVERRIDES,
    answer,
    conf,
    kerberos,
    keytab,
    parses,
    put,
    resync,
    runs,
    until,
)

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def posing(lab: Lab) -> Iterator[Lab]:
    lab.pose("2.8")
    lab.sh("fw", "cp -a /cf/conf /var/lab/kept")
    yield lab
    lab.pose(None)


@pytest.fixture
def box(posing: Lab) -> Iterator[Lab]:
    """A stock pfSense 2.8 with Squid running; both are put back."""
    posing.forget_events()
    yield posing
    posing.mend()
    posing.sh("fw", f"rm -rf /cf/conf/* /tmp/config.cache {KEYTAB}; cp -a /var/lab/kept/. /cf/conf")
    posing.sh("fw", "for log in $(ls /var/squid/logs/*.log); do : >$log; done")
    assert resync(posing).returncode == 0
    until(lambda: answer(posing) == "200" or bool(resync(posing).returncode))  # again where Squid was still dying


def test_squid_conf_has_the_packages_order(box: Lab) -> None:
    acls = {name: f"{name}.example" for name in ("whitelist", "blacklist")}
    acls |= {"unrestricted_hosts": "10.77.0.51", "banned_hosts": "10.77.0.52", "allowed_subnets": "10.88.0.0/16"}
    sets = "".join(
        f"config_set_path('installedpackages/squidnac/config/0/{name}', base64_encode('{text}'));"
        for name, text in acls.items()
    )
    sets += f"config_set_path('{GENERAL}/custom_options', '# one;redirect_program /bin/false;url_rewrite_bypass on');"
    sets += f"config_set_path('{BEFORE_AUTH}', base64_encode(\"# mine\\r\\n\"));"
    resync(box, sets)
    wanted = """http_port 10.77.0.1:3128|http_port 127.0.0.1:3128|access_log /var/squid/logs/access.log
logfile_rotate 14|debug_options rotate=14|acl localnet src  10.77.0.0/24 127.0.0.0/8|cache_mem 8 MB
acl allowed_subnets src 10.88.0.0/16|acl whitelist dstdom_regex -i "/var/squid/acl/whitelist.acl"
http_access allow manager localhost|http_access deny manager|http_access deny purge|http_access deny !safeports
http_access deny CONNECT !sslports|http_access allow localhost|# Package Integration|# one
url_rewrite_program /bin/false|url_rewrite_bypass on|# Custom options before auth|# mine
http_access deny banned_hosts|http_access allow unrestricted_hosts|http_access allow whitelist
http_access deny blacklist|http_access allow allowed_subnets|http_access allow localnet|http_access deny allsrc"""
    lines = conf(box).splitlines()
    places = [lines.index(line) for line in re.split(r"[|\n]", wanted)]
    assert places == sorted(places)
    assert parses(box)


def test_an_acl_of_the_package_exists_only_when_its_field_is_filled(box: Lab) -> None:
    put(box, "http_access allow whitelist\n")
    assert not parses(box)
    assert box.sh("fw", "ls /var/squid/acl").strip() == ""


def test_requests_from_localhost_are_allowed_before_custom_options(box: Lab) -> None:
    put(box, "http_access deny all\n")
    until(lambda: answer(box) == "403")
    assert answer(box, proxy="127.0.0.1", host="fw") == "200"
    assert answer(box, host="fw") == "403"


def test_after_auth_is_not_rendered_without_an_auth_method(box: Lab) -> None:
    put(box, "# after\n", AFTER_AUTH)
    assert "# after" not in conf(box)
    resync(box, "config_set_path('installedpackages/squidauth/config/0/auth_method', 'local');")
    text = conf(box)
    assert (
        text.index("acl password proxy_auth REQUIRED") < text.index("# after") < text.index("allow password localnet")
    )
    resync(box, f"config_set_path('{GENERAL}/transparent_proxy', 'on');")
    text = conf(box)
    assert "intercept" in text
    assert "proxy_auth" not in text  # transparent forces the method none


def test_deny_before_auth_asks_for_kerberos_and_a_ticket_gets_through(box: Lab) -> None:
    keytab(box)
    box.php(f"require_once('functions.inc'); {OVERRIDES} write_config('a test'); services_unbound_configure(false);")
    done = put(box, kerberos())
    assert (done.returncode, done.stdout) == (0, "")
    until(lambda: answer(box) == "407")
    curl = "curl -s -m 9 -o /dev/null -w '%{http_code}' --proxy-negotiate -u :"
    words = f"echo '{PERSON_PASSWORD}' | kinit {PEOPLE[0].account} >/dev/null && {curl} -x http://{FW.fqdn}:3128 "
    assert box.sh("ws", f"{words} http://www.example.com/") == "200"
    until(lambda: PEOPLE[0].principal in box.native_log().decode())
    box.php("require_once('functions.inc'); config_del_path('unbound/domainoverrides'); services_unbound_configure();")


def test_resync_chowns_the_keytab_and_keeps_its_mode(box: Lab) -> None:
    keytab(box)
    resync(box)
    assert box.sh("fw", f"stat -f '%Su:%Sg %Lp' {KEYTAB}").strip() == "squid:proxy 400"


@pytest.mark.parametrize("fault", ["missing", "of group squid"])
def test_a_keytab_that_squid_cannot_read_parses_but_takes_squid_down(box: Lab, fault: str) -> None:
    path = "/var/lab/other.keytab"  # not below /usr/local/etc/squid, where the next resync would mend it
    box.sh("fw", f"rm -f {path}")
    if fault == "of group squid":
        keytab(box, path, owner="root:squid", mode=0o440)
    done = put(box, kerberos(path))
    assert (done.returncode, done.stdout) == (0, "")
    assert parses(box)
    until(lambda: answer(box) == "000")
    until(lambda: "crashing too rapidly" in box.read("fw", "/var/squid/logs/cache.log").decode())
    until(lambda: not runs(box))


def test_squid_resync_says_nothing_about_a_bad_option_and_the_old_configuration_stays_live(box: Lab) -> None:
    done = put(box, "http_acess deny all\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "http_acess deny all" in conf(box)
    assert not parses(box)
    time.sleep(0.3)
    assert answer(box) == "200"
    box.reboot()
    assert answer(box) == "000"  # it does not come back


def test_hand_edits_of_squid_conf_die_at_the_next_resync(box: Lab) -> None:
    box.sh("fw", f"echo '# by hand' >>{CONF}")
    box.sh("fw", "/etc/rc.start_packages")
    assert "# by hand" not in conf(box)


def test_resync_saves_the_configuration_itself(box: Lab) -> None:
    resync(box, "write_config('one');")
    assert len(box.events("write_config")) == 1
    box.forget_events()
    resync(box, "config_del_path('installedpackages/squidauth'); config_set_path('cron/item', []);")
    assert len(box.events("write_config")) == 3
    assert box.config("installedpackages/squidauth/config/0/auth_method") == "none"
    assert "squid -k rotate -f" in box.config("cron/item/0/command")


def test_the_package_silences_cache_log(box: Lab) -> None:
    resync(box)
    time.sleep(0.3)
    assert "Accepting HTTP" not in box.read("fw", "/var/squid/logs/cache.log").decode()
    put(box, "debug_options ALL,1 rotate=14\n")
    until(lambda: "Accepting HTTP" in box.read("fw", "/var/squid/logs/cache.log").decode())


def test_squid_starts_only_when_it_is_enabled(box: Lab) -> None:
    box.sh("fw", "/usr/local/etc/rc.d/squid.sh stop")
    box.php(f"config_set_path('{GENERAL}/enable_squid', ''); write_config('off');")
    assert box.exec("fw", ["/usr/local/etc/rc.d/squid.sh", "start"]).returncode == 0
    assert answer(box) == "000"


def test_a_node_in_backup_has_no_squid(box: Lab) -> None:
    box.sh("fw", "touch /var/lab/carp_backup")
    resync(box, f"config_set_path('{GENERAL}/carpstatusvid', '_vip1');")
    box.sh("fw", "rm /var/lab/carp_backup")
    assert not runs(box)


def test_squid_can_listen_on_both_families(box: Lab) -> None:
    resync(box, f"config_set_path('{GENERAL}/listenproto', 'any'); config_set_path('{GENERAL}/proxy_port', '8080');")
    assert "http_port 10.77.0.1:8080\nhttp_port [fd77::1]:8080\n" in conf(box)
    assert "acl localnet src  10.77.0.0/24 fd77::/64 127.0.0.0/8 ::1/128\n" in conf(box)


def test_while_booting_a_running_squid_is_left_alone(box: Lab) -> None:
    box.sh("fw", f"touch /var/run/booting; echo '# by hand' >>{CONF}")
    resync(box)
    assert "# by hand" in conf(box)


def test_without_a_saved_cache_there_is_no_disk_cache(box: Lab) -> None:
    resync(box, "config_set_path('installedpackages/squidcache/config/0/harddisk_cache_system', 'ufs');")
    assert "cache_dir ufs /var/squid/cache 100 16 256" in conf(box)
    resync(box, "config_del_path('installedpackages/squidcache');")
    assert "cache_dir" not in conf(box)


def test_removing_the_package_without_keep_squid_data_removes_its_settings(box: Lab) -> None:
    remove = "require_once('/usr/local/pkg/squid.inc'); squid_deinstall_command();"
    box.php(remove)
    assert box.config(f"{GENERAL}/enable_squid") == "on"
    box.php(f"config_set_path('{GENERAL}/keep_squid_data', '');" + remove)
    assert box.config("installedpackages/squid") is None
    assert box.exec("fw", ["test", "-e", "/var/squid"]).returncode == 1


def test_squid_can_refuse_to_come_back(box: Lab) -> None:
    box.break_squid()
    assert parses(box)
    assert put(box, "# mine\n").returncode == 0
    until(lambda: not runs(box))
    assert resync(box).returncode == 0
    assert answer(box) == "000"


def test_a_full_disk_leaves_half_a_squid_conf_and_is_not_told(box: Lab) -> None:
    box.fill_disk("/usr/local/etc/squid")
    done = put(box, "# mine\n" * 2000)
    assert (done.returncode, done.stdout) == (0, "")
    assert "# mine\n" in conf(box)
    assert "http_access deny allsrc" not in conf(box)
