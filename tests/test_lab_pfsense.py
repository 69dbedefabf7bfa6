"""The posing firewall's configuration is as nasty as pfSense's: PHP, config.xml, its cache, its backups, by release."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.fixture import Lab
from tests.lab.pfsense.stock import RELEASES

pytestmark = pytest.mark.lab

XML = "/cf/conf/config.xml"
FIRST_RULE = "filter/rule/0/descr"
FRESH = "$config = function_exists('config_read_file') ? config_read_file(false, false) : parse_config(true);"
FUNCTIONS = """config_get_path config_set_path config_del_path config_path_enabled config_init_path array_get_path
array_set_path array_del_path write_config config_restore lock unlock get_config_user parse_xml_config dump_xml_config
listtags parse_config config_read_file"""


@pytest.fixture(scope="module")
def posing(lab: Lab) -> Iterator[Lab]:
    yield lab
    lab.pose(None)


@pytest.fixture(scope="module", params=RELEASES)
def release(posing: Lab, request: pytest.FixtureRequest) -> str:
    posing.pose(request.param)
    return str(request.param)


@pytest.fixture
def box(lab: Lab, release: str) -> Iterator[Lab]:
    """The stock pfSense of each release; its config.xml and backups are put back."""
    lab.sh("fw", "rm -rf /var/lab/kept; cp -a /cf/conf /var/lab/kept; rm -f /tmp/config.cache")
    yield lab
    lab.mend()
    lab.sh("fw", "rm -rf /cf/conf/* /tmp/config.cache; cp -a /var/lab/kept/. /cf/conf")


def old(release: str) -> bool:
    return release == "2.7.2"


def told(lab: Lab, program: str) -> Any:
    """What a program echoes as JSON on its last line (what comes before may be noise)."""
    done = lab.php(f"{program}")
    assert done.returncode == 0, done.stdout
    return json.loads(done.stdout.splitlines()[-1])


def save(lab: Lab, path: str, value: str) -> None:
    assert lab.php(f"config_set_path('{path}', '{value}'); write_config('a test');").returncode == 0


def backups(lab: Lab) -> list[str]:
    return lab.sh("fw", "cd /cf/conf/backup; ls config-*.xml 2>/dev/null || true").split()


def edit_by_hand(lab: Lab) -> None:
    lab.sh("fw", f"sed -i 's/Default allow LAN to any rule/edited by hand/' {XML}; touch -d '5 seconds' {XML}")


def test_a_save_without_a_change_gives_the_same_configuration(box: Lab) -> None:
    def lines() -> list[str]:
        return box.read("fw", XML).decode().partition("<revision>")[0].splitlines()

    before = lines()
    box.php("write_config('nothing changed');")
    after = box.config("")
    assert lines() == before
    assert after["system"]["user"][1]["descr"] == "Renée & the night shift"
    assert after["system"]["shellcmd"] == ["/usr/local/bin/beep.sh start && true"]


def test_each_release_has_its_own_functions(box: Lab, release: str) -> None:
    missing = told(
        box, f"echo json_encode(array_filter({json.dumps(FUNCTIONS.split())}, fn($f) => !function_exists($f)));"
    )
    wanted = {"2.7.2": ["config_read_file"], "2.8": [], "2.9": ["parse_config"]}[release]
    assert sorted(dict(missing).values() if isinstance(missing, dict) else missing) == wanted
    assert box.read("fw", "/etc/version").decode().startswith(release)


def test_lists_are_lists_and_tag_names_become_lower_case(box: Lab) -> None:
    box.sh("fw", f"sed -i 's|<unbound>|<unbound><Hosts><Host>a</Host></Hosts><hosts></hosts>|' {XML}")
    assert box.config("unbound/hosts") == [{"host": "a"}, ""]
    assert box.config("installedpackages/squid/config/0/enable_squid") == "on"
    assert box.config("unbound/dnssec") == ""


def test_a_tag_that_is_no_list_may_stand_once(box: Lab) -> None:
    box.sh("fw", f"sed -i 's|<syslog>|<syslog><a>1</a><a>2</a>|' {XML}")
    done = box.php(FRESH)
    assert done.returncode == 255
    assert re.search("XML error: A at line [0-9]+ cannot occur more than once", done.stdout)


def test_an_empty_text_is_the_default(box: Lab) -> None:
    assert told(box, "echo \"\\n\", json_encode(config_get_path('unbound/custom_options', 'none'));") == "none"
    assert told(box, "echo \"\\n\", json_encode(config_get_path('unbound/custom_options'));") == ""


def test_on_2_7_2_a_trailing_slash_destroys_the_list(box: Lab, release: str) -> None:
    first = "config_set_path('unbound/domainoverrides', [['domain' => 'a.example', 'ip' => '10.0.0.1']]);"
    second = "config_set_path('unbound/domainoverrides/', ['domain' => 'b.example', 'ip' => '10.0.0.2']);"
    done = box.php(
        f"require_once('functions.inc'); {first} {second} write_config('a list'); unbound_add_domain_overrides();"
    )
    entries = box.config("unbound/domainoverrides")
    if old(release):
        assert entries == ["b.example", "10.0.0.2"]
        assert done.returncode == 255
        assert "PHP ERROR: Type: 1" in done.stdout
        assert "TypeError" in done.stdout
    else:
        assert [entry["domain"] for entry in entries] == ["a.example", "b.example"]
        assert done.returncode == 0


def test_config_cache_is_trusted_without_age_on_2_7_2(box: Lab, release: str) -> None:
    box.php("")
    edit_by_hand(box)
    seen = told(box, f"echo json_encode(config_get_path('{FIRST_RULE}'));")
    save(box, "system/hostname", "other")
    kept = box.config(FIRST_RULE)
    wanted = "Default allow LAN to any rule" if old(release) else "edited by hand"
    assert (seen, kept) == (wanted, wanted)  # the next save erases the edit


def test_a_fresh_read_sees_a_hand_edit(box: Lab) -> None:
    box.php("")
    edit_by_hand(box)
    assert told(box, f"{FRESH} echo json_encode(config_get_path('{FIRST_RULE}'));") == "edited by hand"


def test_a_save_keeps_the_former_file_and_the_revision_names_the_system(box: Lab) -> None:
    stock = box.read("fw", XML)
    save(box, FIRST_RULE, "mine")
    assert box.read("fw", "/cf/conf/backup/config-1795338000.xml") == stock
    assert box.config("revision/username") == "(system)"
    assert box.config("revision/description") == "(system): a test"
    assert box.sh("fw", f"/usr/libexec/lab/stat -c %a {XML}").strip() == "600"


def test_backups_have_one_second_names(box: Lab) -> None:
    program = "while (fmod(microtime(true), 1) > 0.5) { usleep(10000); }"
    box.php(f'{program} for ($i = 0; $i < 4; $i++) {{ write_config("revision $i"); }}')
    assert len(backups(box)) == 2  # of stock and of one revision; three were overwritten
    assert "revision 2" in box.read("fw", f"/cf/conf/backup/{backups(box)[1]}").decode()


def test_no_more_backups_are_kept_than_wanted(box: Lab) -> None:
    box.php(
        "config_set_path('system/backupcount', '3');"
        "for ($i = 0; $i < 6; $i++) { $config['revision']['time'] = (string) (1000 + $i); write_config('again'); }"
    )
    assert backups(box) == ["config-1003.xml", "config-1004.xml", "config-1005.xml"]
    times = told(box, 'echo "\\n", json_encode(get_backups()["versions"]);')
    assert times == [1003, 1004, 1005]


def test_two_scripts_that_overlap_undo_each_other(box: Lab) -> None:
    box.other_admin(FIRST_RULE, "the other's", at="read")
    save(box, "system/hostname", "mine")
    assert box.config("system/hostname") == "mine"
    assert box.config(FIRST_RULE) == "Default allow LAN to any rule"  # nobody was told
    assert len(box.events("write_config")) >= 2


def test_another_admin_can_save_when_a_file_appears(box: Lab) -> None:
    box.other_admin(FIRST_RULE, "later", when_exists="/tmp/now")
    assert box.config(FIRST_RULE) != "later"
    box.sh("fw", f"touch /tmp/now; for i in $(seq 100); do grep -q later {XML} && break; sleep 0.05; done; rm /tmp/now")
    assert box.config(FIRST_RULE) == "later"


def test_who_holds_the_lock_waits_for_himself(box: Lab) -> None:
    assert box.php("$mine = lock('config', LOCK_EX); write_config('never');", timeout=1).returncode == 124


def test_write_config_says_minus_one_on_a_full_disk_and_false_when_refused(box: Lab) -> None:
    box.fill_disk("/cf/conf")
    before = box.read("fw", XML)
    assert told(box, "$said = write_config('full'); echo \"\\n\", json_encode($said);") == -1
    assert box.read("fw", XML) == before
    box.free_disk("/cf/conf")
    program = "$config['reset_factory_defaults'] = true; $said = write_config('no'); echo \"\\n\", json_encode($said);"
    assert told(box, program) is False
    assert box.read("fw", XML) == before


def test_config_restore_differs_by_release_and_undoes_what_others_changed(box: Lab, release: str) -> None:
    save(box, FIRST_RULE, "mine")
    saved = "/cf/conf/backup/config-1795338000.xml"
    one = box.php(f"echo json_encode(config_restore('{saved}'));")
    if old(release):
        assert (one.returncode, one.stdout) == (0, "0")
    else:
        assert one.returncode == 255
        assert "ArgumentCountError" in one.stdout
        assert box.config(FIRST_RULE) == "mine"
        assert told(box, f"echo json_encode(config_restore('{saved}', 'back'));") is True
    assert box.config(FIRST_RULE) == "Default allow LAN to any rule"
    assert not box.events("services_unbound_configure")  # applies nothing


def test_php_fatals_stand_on_stdout_with_status_255(box: Lab, release: str) -> None:
    done = box.php("echo 'before'; no_such_function();")
    assert done.returncode == 255
    assert "PHP ERROR: Type: 1, File: " in done.stdout
    assert "Message: Uncaught Error: Call to undefined function no_such_function()" in done.stdout
    assert ("<pre>PHP ERROR" in done.stdout) is not old(release)
    assert ("Fatal error: Uncaught" in done.stdout) is old(release)
    assert done.stderr == ""


def test_warnings_pollute_stdout_on_2_7_2_only(box: Lab, release: str) -> None:
    assert ("Warning: Undefined array key" in box.php("$a = []; $b = $a['x'];").stdout) is old(release)


def test_includes_print_dots_while_the_machine_boots(box: Lab) -> None:
    box.sh("fw", "touch /var/run/booting")
    assert box.php("echo 'said';").stdout.lstrip(".") == "said"
    assert box.php("echo 'said';").stdout.startswith(".")


def test_text_beyond_ascii_in_a_plain_field_is_lost_with_all_that_was_saved(box: Lab) -> None:
    before = box.read("fw", XML)
    program = "config_set_path('system/hostname', 'mine'); config_set_path('system/timezone', 'Zürich');"
    assert told(box, f"{program} $said = write_config('a test'); echo \"\\n\", json_encode(is_array($said));") is True
    assert box.read("fw", XML) == before  # the backup came back: &uuml; is no entity of XML
    assert b"Z&uuml;rich" in box.read("fw", f"{XML}.bad")


def test_plugins_run_after_a_save_and_the_remote_backup_can_be_suppressed(box: Lab) -> None:
    plugin = "/usr/local/pkg/write_config/mine.inc"
    box.write("fw", plugin, b"<?php lab_event('plugin');")
    box.forget_events()
    box.php("config_set_path('system/acb/enable', 'yes'); write_config('one'); write_config('two-NoReMoTeBaCkUp');")
    box.sh("fw", f"rm {plugin}")
    assert len(box.events("plugin")) == 1  # required once
    assert [one["data"] for one in box.events("upload_config")] == ["one"]
    assert box.config("revision/description") == "(system): two"


def test_php_can_die_after_the_backup(box: Lab) -> None:
    before = box.read("fw", XML)
    box.arm("backup", "kill")
    assert box.php("write_config('half');").returncode == -9
    box.arm("backup", "error")
    assert box.php("write_config('half');").returncode == 255
    assert box.read("fw", XML) == before
    assert backups(box) == ["config-1795338000.xml"]


def test_php_can_be_slow(box: Lab) -> None:
    box.slow_php(0.7)
    assert box.php("", timeout=0.5).returncode == 124
