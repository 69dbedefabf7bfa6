"""Whatever goes wrong, the proxy serves as before, and pfsquid says what it was."""

from __future__ import annotations

import base64
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pfsquid.firewall.checkpoint import all_of
from pfsquid.firewall.desired import BEFORE_AUTH, SQUID
from tests.firewall import hindered
from tests.firewall.at_work import (  # noqa: F401 - posing, desk: fixtures
    Desk,
    answer,
    as_posed,
    block_of,
    desk,
    desk_in,
    keytab,
    left_behind,
    posed,
    posing,
    state,
    until,
)

pytestmark = pytest.mark.lab

WRAPPER = """#!/bin/sh
case "$*" in
*parse*|*-v*) ;;
*) if grep -q pfsquid_person /usr/local/etc/squid/squid.conf; then
  kill -9 $(pgrep -x squid) 2>/dev/null; rm -f /var/run/squid/squid.pid; exit 1
fi ;;
esac
exec /usr/sbin/squid "$@"
"""


@pytest.fixture
def other_pose(posing: object, desk: Desk) -> Iterator[Desk]:  # noqa: F811
    """For a test that poses by itself."""
    yield desk
    posed(desk.lab, "2.8")


def unharmed(desk: Desk, status: int, says: str, *words: str, **options: object) -> str:  # noqa: F811
    """Run `configure --yes`, and nothing is other than before. What it said."""
    before = state(desk.lab)
    ran = desk("configure", "--yes", *words, **options)  # type: ignore[arg-type]
    assert ran.status == status, ran.err
    assert says in ran.err
    assert "Traceback" not in ran.err
    after = state(desk.lab)
    assert after == before
    assert left_behind(desk.lab) == []
    assert all(one.finished for one in all_of(desk.checkpoints))
    return ran.err


def spoil(desk: Desk, how: str) -> None:  # noqa: F811
    path = desk.folder / "squid.keytab"
    whole = path.read_bytes()
    if how == "missing":
        path.unlink()
    else:
        other = desk.lab.read("ws", "/etc/krb5.keytab")
        content = {"empty": b"", "truncated": whole[:30], "garbage": b"no keytab" * 20, "of another": other}
        path.write_bytes(content[how])


@pytest.mark.parametrize(
    ("how", "status", "says"),
    [
        ("missing", 2, "No such file"),
        ("empty", 2, "is empty"),
        ("truncated", 1, "does not take the keytab"),
        ("garbage", 1, "does not take the keytab"),
        ("of another", 1, "does not take the keytab"),
    ],
)
def test_a_bad_keytab_changes_nothing(desk: Desk, how: str, status: int, says: str) -> None:  # noqa: F811
    spoil(desk, how)
    unharmed(desk, status, says)


def test_a_bad_keytab_leaves_the_good_one_at_work(desk: Desk) -> None:  # noqa: F811
    desk.configured()
    spoil(desk, "of another")
    unharmed(desk, 1, "does not take the keytab")
    assert answer(desk.lab, ticket=True) == "200"


def test_a_line_that_squid_refuses_changes_nothing(desk: Desk) -> None:  # noqa: F811
    fault = hindered.templates_with(desk.folder, "acl pfsquid_x nosuchtype y")
    said = unharmed(desk, 1, "Squid refuses the configuration", fault=fault)
    assert "acl pfsquid_x nosuchtype y" in said


def test_a_line_that_squid_refuses_only_once_it_is_live_is_put_back(desk: Desk) -> None:  # noqa: F811
    line = hindered.templates_with(desk.folder, "acl pfsquid_x nosuchtype y")
    unharmed(desk, 4, "Squid refuses the configuration", fault=hindered.all_of(line, hindered.unparsed))
    desk.configured()
    unharmed(desk, 4, "nosuchtype", fault=hindered.all_of(line, hindered.unparsed))
    assert answer(desk.lab) == "407 Negotiate"


@pytest.mark.parametrize("rendered", [False, True])
def test_a_foreign_line_that_squid_refuses_is_named(desk: Desk, rendered: bool) -> None:  # noqa: F811
    broken = base64.b64encode(b"acl theirs nosuchtype x\r\n").decode()
    desk.lab.other_admin(BEFORE_AUTH, broken)
    if rendered:
        desk.lab.php("require_once('/usr/local/pkg/squid.inc'); squid_resync();")
    said = unharmed(desk, 1, "nosuchtype")
    assert ("mend that line in the custom options" in said) is rendered


def test_a_helper_that_is_not_there_changes_nothing(desk: Desk) -> None:  # noqa: F811
    desk.write(proxy={"helper": {"path": "/usr/local/libexec/squid/negotiate"}})
    unharmed(desk, 1, "there is no helper /usr/local/libexec/squid/negotiate")


def test_a_helper_that_is_none_changes_nothing(desk: Desk) -> None:  # noqa: F811
    desk.write(proxy={"helper": {"path": "/bin/cat"}})
    unharmed(desk, 1, "does not take the keytab")


def test_a_squid_that_does_not_come_back_is_put_back(desk: Desk) -> None:  # noqa: F811
    desk.lab.sh("fw", "rm /usr/local/sbin/squid")
    desk.lab.write("fw", "/usr/local/sbin/squid", WRAPPER.encode(), mode=0o755)
    try:
        said = unharmed(desk, 4, "Squid does not run", fault=hindered.impatient)
    finally:
        desk.lab.sh("fw", "ln -sf /usr/sbin/squid /usr/local/sbin/squid")
    assert "the proxy serves as before" in said


def test_a_squid_that_never_starts_again_is_told(desk: Desk) -> None:  # noqa: F811
    xml = state(desk.lab).xml
    desk.lab.break_squid()
    ran = desk("configure", "--yes", fault=hindered.impatient)
    assert ran.status == 4, ran.err
    assert "and afterwards: Squid does not run" in ran.err
    assert state(desk.lab).xml == xml


@pytest.mark.parametrize("folder", ["/usr/local/etc/squid", "/cf/conf"])
@pytest.mark.parametrize("first", [True, False])
def test_a_full_disk_changes_nothing(desk: Desk, folder: str, first: bool) -> None:  # noqa: F811
    if not first:
        desk.configured()
        desk.write(proxy={"blocked": [f"site-{number}.example.org" for number in range(300)]})
    before = state(desk.lab)
    desk.lab.fill_disk(folder)
    ran = desk("configure", "--yes")
    desk.lab.free_disk(folder)
    assert ran.status == 1, ran.err
    assert "nothing was changed" in ran.err
    assert ("no space left" if folder.startswith("/usr") else "/cf/conf") in ran.err
    after = state(desk.lab)
    assert (after.xml, after.squid_conf, after.answer) == (before.xml, before.squid_conf, before.answer)
    assert left_behind(desk.lab) == []


@pytest.mark.parametrize(
    ("point", "how"),
    [(point, "kill") for point in ("write_config", "written", "squid_resync", "squid_conf", "unbound")]
    + [(point, "error") for point in ("write_config", "written", "squid_resync")],
)
def test_php_dies_in_the_middle(desk: Desk, point: str, how: str) -> None:  # noqa: F811
    desk.lab.arm(point, how)
    status = 1 if point in ("write_config", "backup") and how == "kill" else 4
    said = unharmed(desk, status, "the proxy serves as before")
    assert ("apply was killed" if how == "kill" else f"lets PHP die at {point}") in said


def test_what_another_admin_saves_meanwhile_elsewhere_stays(desk: Desk) -> None:  # noqa: F811
    lab = desk.lab
    theirs = "filter/rule/0/descr"
    fault = hindered.before("apply", lambda: lab.other_admin(theirs, "theirs", at="read"))
    ran = desk("configure", "--yes", fault=fault)
    assert (ran.status, lab.config(theirs), answer(lab)) == (0, "theirs", "407 Negotiate"), ran.err


@pytest.mark.parametrize("path", [BEFORE_AUTH, f"{SQUID}/keep_squid_data"])
def test_what_another_admin_saves_meanwhile_in_our_place_is_not_overwritten(desk: Desk, path: str) -> None:  # noqa: F811
    lab = desk.lab
    if path != BEFORE_AUTH:
        lab.other_admin(path, "")
    theirs = base64.b64encode(b"# theirs\r\n").decode() if path == BEFORE_AUTH else "off"
    ran = desk("configure", "--yes", fault=hindered.before("apply", lambda: lab.other_admin(path, theirs)))
    assert ran.status == 1, ran.err
    assert f"somebody changed {path}" in ran.err
    assert (lab.config(path), answer(lab), left_behind(lab)) == (theirs, "200", [])


def test_a_host_key_that_changed_is_shown_and_nothing_is_sent(desk: Desk) -> None:  # noqa: F811
    lab = desk.lab
    desk.write({"password": "env:PASSWORD"})
    lab.new_host_key()
    shown = lab.sh("fw", "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub").split()[1]
    before = state(lab)
    ran = desk("configure", "--yes", environment={"PASSWORD": "secret"})
    lab.first_host_key()
    assert ran.status == 1
    assert shown in ran.err
    assert "not pinned" in ran.err
    assert state(lab) == before


def test_two_at_once_from_one_desk(desk: Desk) -> None:  # noqa: F811
    desk.lab.slow_php(0.5)
    first = desk.start("configure", "--yes", fault=hindered.before("stage", lambda: (desk.folder / "on").touch()))
    until((desk.folder / "on").exists, "the first one never came to its work")
    second = desk("configure", "--yes")
    assert second.status == 1
    assert "another pfsquid is working on fw" in second.err
    assert (first().status, answer(desk.lab)) == (0, "407 Negotiate")


def test_two_at_once_from_two_desks(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> None:  # noqa: F811
    other = desk_in(tmp_path_factory.mktemp("other"), desk.lab)
    desk.lab.arm("squid_resync", "sleep", 0.6)
    runs = [one.start("configure", "--yes") for one in (desk, other)]
    done = [end() for end in runs]
    assert sorted(one.status for one in done) in ([0, 1], [0, 0]), done
    assert all("somebody changed" in one.err for one in done if one.status)
    assert answer(desk.lab, ticket=True) == "200"
    assert left_behind(desk.lab) == []
    assert desk("configure", "--plan").status == 0


OBSTACLES = {
    "transparent": ({"transparent": True}, "the proxy is transparent"),
    "package": ({"package": False}, "the Squid package is not installed"),
    "basic": ({}, "the Basic fallback needs"),
}


@pytest.mark.parametrize("name", OBSTACLES)
def test_what_stands_in_the_way_is_told_with_what_to_do(other_pose: Desk, name: str) -> None:
    options, says = OBSTACLES[name]
    if options:
        posed(other_pose.lab, "2.8", **options)
    if name == "basic":
        other_pose.write(proxy={"basic_fallback": True})
    before = other_pose.lab.read("fw", "/cf/conf/config.xml")
    ran = other_pose("configure", "--yes")
    assert ran.status == 1
    assert says in ran.err
    assert "System > Package Manager" in ran.err or "Services > Squid Proxy Server" in ran.err
    assert other_pose.lab.read("fw", "/cf/conf/config.xml") == before


def test_a_cache_that_was_never_saved_is_told(desk: Desk) -> None:  # noqa: F811
    desk.lab.php("config_del_path('installedpackages/squidcache'); write_config('x');")
    unharmed(desk, 1, "the package's local cache was never saved")


def test_a_keytab_that_may_not_be_read_is_told(desk: Desk) -> None:  # noqa: F811
    import os

    folder = Path(tempfile.mkdtemp())
    try:
        folder.chmod(0o755)
        elsewhere = desk_in(folder, desk.lab)
        (folder / "squid.keytab").chmod(0o600)
        ran = elsewhere("configure", "--yes", fault=lambda: os.setuid(65534))
        assert ran.status == 2
        assert "cannot be read: Permission denied" in ran.err
    finally:
        shutil.rmtree(folder)
