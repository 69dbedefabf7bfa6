"""The posing firewall is as nasty over SSH as pfSense: the admin's menu, tcsh, sudo, PATH, logins, host keys."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator

import pytest

from tests.lab.fixture import Lab
from tests.lab.layout import DC, FW, REALM

pytestmark = pytest.mark.lab

PHP = "/usr/local/bin/php"
HELLO = b"<?php require_once('config.inc'); echo config_get_path('system/hostname'), posix_getuid();"


@pytest.fixture(scope="module")
def posing(lab: Lab) -> Iterator[Lab]:
    lab.pose("2.8", rc_local=True)
    yield lab
    lab.pose(None)


@pytest.fixture
def box(posing: Lab) -> Iterator[Lab]:
    yield posing
    posing.mend()


@pytest.fixture
def other_sshd(posing: Lab) -> Iterator[Lab]:
    """For a test that changes how one logs in."""
    yield posing
    posing.sshd_mode("any")


@pytest.mark.parametrize("user", ["admin", "root"])
def test_admin_shell_keeps_the_exit_status(box: Lab, user: str) -> None:
    assert box.ssh("exit 7", user).returncode == 7
    done = box.ssh("/bin/sh -s", user, input=b"cat >/dev/null <<'X'\nX\necho $((6*7)) $0; exit 3")
    assert (done.returncode, done.stdout) == (3, b"42 /bin/sh\n")
    done = box.ssh(PHP, user, input=HELLO)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"proxy0", b"")


def test_admin_without_a_command_gets_a_menu(box: Lab) -> None:
    done = box.ssh("", input=b"0\n")
    assert b"Enter an option: " in done.stdout
    assert done.returncode == 0


def test_on_2_7_2_the_admins_shell_talks_of_rc_local_on_stdout(posing: Lab) -> None:
    said = b">>> Launching rc.local in background...\n"
    assert posing.ssh("echo here").stdout == b"here\n"
    posing.pose("2.7.2", rc_local=True)
    assert posing.ssh("echo here; exit 5").stdout == said + b"here\n"
    assert posing.ssh("exit 5").returncode == 5
    assert posing.ssh("echo here", "root").stdout == b"here\n"
    assert posing.ssh("/usr/bin/kinit x").returncode == 1  # base has Heimdal there
    posing.pose("2.7.2")
    assert posing.ssh("echo here").stdout == b"here\n"
    posing.pose("2.8", rc_local=True)


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("ls /etc/version 2>/dev/null", "'2'"),
        ("echo $(id)", "Illegal variable name"),
        ("echo wow!bang", "Event not found"),
    ],
)
def test_tcsh_refuses_what_sh_takes(box: Lab, command: str, complaint: str) -> None:
    assert complaint in box.ssh(command, "operator").stderr.decode()
    assert box.ssh(command).returncode == 0


def test_an_operator_has_sudo_for_php_and_sh_and_a_viewer_has_not(box: Lab) -> None:
    assert box.ssh(f"sudo -n {PHP}", "operator", input=HELLO).stdout == b"proxy0"
    assert box.ssh("sudo -n /bin/sh -s", "operator", input=b"id -u; exit 4").stdout == b"0\n"
    assert box.ssh("sudo -n /bin/sh -s", "operator", input=b"exit 4").returncode == 4
    assert box.ssh("sudo -n /bin/cat /cf/conf/config.xml", "operator").returncode == 1
    refused = box.ssh(f"sudo -n {PHP}", "viewer", input=HELLO)
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert b"a password is required" in refused.stderr


def test_who_is_not_root_cannot_read_the_configuration_and_hears_of_it_at_login(box: Lab) -> None:
    done = box.ssh("cat /cf/conf/config.xml", "viewer")
    assert done.returncode == 1
    assert done.stderr.count(b"Permission denied") == 2  # one is ~/.tcshrc's
    assert box.ssh(PHP, "viewer", input=HELLO).returncode == 255


@pytest.mark.parametrize("user", ["admin", "operator"])
def test_usr_bin_comes_before_usr_local_bin_in_path(box: Lab, user: str) -> None:
    path = box.ssh("/usr/bin/printenv PATH", user).stdout.decode().strip().split(":")
    assert path.index("/usr/bin") < path.index("/usr/local/bin")
    assert box.ssh("kinit x", user).stderr.endswith(b"kinit: this is Heimdal, not the one that Squid uses\n")
    assert b"Kerberos 5" in box.ssh("/usr/local/bin/klist -V", user).stdout


def test_squids_user_can_be_asked_to_run_something(box: Lab) -> None:
    command = "su -m squid -c 'id -un; id -gn'"
    assert box.ssh(command).stdout.split() == [b"squid", b"proxy"]
    by_sudo = box.ssh("sudo -n /bin/sh -s", "operator", input=command.encode())
    assert by_sudo.stdout.split() == [b"squid", b"proxy"]


def test_commands_of_freebsd(box: Lab) -> None:
    assert (
        box.ssh("cat /etc/version; pkg query %v squid; pkg info -e pfSense-pkg-squid").stdout == b"2.8.0-RELEASE\n5.7\n"
    )
    assert box.ssh("stat -f '%Su:%Sg %Lp' /cf/conf/config.xml").stdout == b"root:root 600\n"
    assert b"illegal option -- c" in box.ssh("stat -c %a /").stderr
    assert len(box.ssh("sha256 -q /etc/version").stdout) == 65


@pytest.mark.parametrize(
    ("mode", "key", "password", "both"),
    [
        ("any", True, True, True),
        ("key", True, False, True),
        ("password", False, True, True),
        ("keyboard-interactive", False, True, True),
        ("both", False, False, True),
    ],
)
def test_ways_to_log_in(other_sshd: Lab, mode: str, key: bool, password: bool, both: bool) -> None:
    other_sshd.sshd_mode(mode)
    for user in ("admin", "operator"):
        assert (other_sshd.ssh("true", user).returncode == 0) is key
        assert (other_sshd.ssh("true", user, key=False, password=True).returncode == 0) is password
        assert (other_sshd.ssh("true", user, password=True).returncode == 0) is both


def test_a_host_key_that_changed_is_noticed(other_sshd: Lab) -> None:
    other_sshd.new_host_key()
    done = other_sshd.ssh("true")
    assert done.returncode == 255
    assert b"REMOTE HOST IDENTIFICATION HAS CHANGED" in done.stderr
    other_sshd.first_host_key()
    assert other_sshd.ssh("true").returncode == 0


def test_sftp_goes_through_the_admins_shell(box: Lab) -> None:
    box.sh("ws", f"echo 'put /etc/hostname /tmp/came' | sftp -b - admin@{FW.address4}")
    assert box.read("fw", "/tmp/came") == box.read("ws", "/etc/hostname")


def test_the_wire_reaches_the_firewall_from_outside(box: Lab) -> None:
    wire = ["-o", f"ProxyCommand={shlex.join(box.wire)}", "-o", f"UserKnownHostsFile={box.known_hosts}"]
    words = [
        "ssh",
        "-F",
        "none",
        "-i",
        str(box.ssh_key),
        "-o",
        "BatchMode=yes",
        *wire,
        f"admin@{FW.address4}",
        "exit 9",
    ]
    assert subprocess.run(words, capture_output=True).returncode == 9


def test_a_connection_can_be_cut_while_php_goes_on(box: Lab) -> None:
    box.cut_ssh(at="write_config")
    program = b"<?php require_once('config.inc'); config_set_path('system/hostname', 'cut'); write_config('cut');"
    done = box.ssh(PHP, input=program)
    assert (done.returncode, done.stdout) == (255, b"")
    assert b"closed" in done.stderr
    box.sh(
        "fw", "for i in $(seq 100); do grep -q '<hostname>cut' /cf/conf/config.xml && exit; sleep 0.05; done; exit 1"
    )
    box.pose("2.8", rc_local=True)


def test_php_over_ssh_can_be_slow(box: Lab) -> None:
    box.slow_php(1)
    assert box.ssh(PHP, input=b"<?php", timeout=0.8).returncode == 124


def test_nothing_of_kerberos_is_there_before(box: Lab) -> None:
    for path in ("/etc/krb5.conf", "/usr/local/etc/krb5.conf", "/etc/krb5.keytab", "/usr/local/etc/squid/squid.keytab"):
        assert box.exec("fw", ["test", "-e", path]).returncode == 1, path
    assert REALM.encode() not in box.read("fw", "/cf/conf/config.xml")
    assert DC.address4.encode() in box.read("fw", "/etc/resolv.conf")
