"""`pfsquid configure` on a firewall that poses as pfSense: from stock to a person in the log, and back."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pfsquid.firewall.desired import BEFORE_AUTH, SQUID
from tests.firewall.at_work import (
    AFTER_AUTH,
    INTEGRATIONS,
    Desk,
    Ran,
    State,
    answer,
    as_posed,
    block_of,
    desk_in,
    keytab,
    left_behind,
    posed,
    state,
    until,
)
from tests.lab.fixture import Lab
from tests.lab.layout import DC, DOMAIN, FW, REALM, REVERSE_ZONE
from tests.lab.pfsense.stock import FOREIGN, RELEASES

pytestmark = pytest.mark.lab

OVERRIDES = "unbound/domainoverrides"
PERSON = f"rick.sanchez@{REALM}"
TIMES = "/usr/libexec/lab/stat -c '%n %Y %s' /cf/conf/config.xml /cf/conf/backup/* /usr/local/etc/squid/* | sort"


@dataclass(frozen=True)
class Story:
    """A firewall that others had settings on, a plan, and `configure --yes`; the tests below go on from there."""

    desk: Desk
    stock: State
    foreign: list[object]
    planned: Ran
    after_plan: State
    ran: Ran


@pytest.fixture(scope="module", params=RELEASES)
def story(lab: Lab, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Each release, with what others have set already and with noise before each answer."""
    posed(lab, request.param, rc_local=True, **FOREIGN)
    desk = desk_in(tmp_path_factory.mktemp("desk"), lab)
    desk.write({"user": "admin"})
    before, theirs = state(lab), foreign(lab)
    planned = desk("configure", "--plan")
    yield Story(desk, before, theirs, planned, state(lab), desk("configure", "--yes"))
    lab.pose(None)


def foreign(lab: Lab) -> list[object]:
    """What is not ours: options, integrations, overrides."""
    overrides = [one for one in lab.config(OVERRIDES) if one["domain"] not in (DOMAIN, REVERSE_ZONE)]
    before = block_of(lab)
    assert before.startswith(FOREIGN["before_auth"])
    return [lab.config(AFTER_AUTH), lab.config(INTEGRATIONS), overrides, lab.config("unbound/hosts")]


def test_a_plan_shows_what_would_change_and_writes_nothing(story: Story) -> None:
    assert story.planned.status == 3
    assert "+auth_param negotiate program" in story.planned.out.replace("    ", "")
    assert story.planned.err.count("deprecated") == 1
    assert story.after_plan == story.stock


def test_from_stock_to_a_person_in_both_logs(story: Story) -> None:
    lab = story.desk.lab
    assert (story.stock.answer, story.ran.status, answer(lab)) == ("200", 0, "407 Negotiate"), story.ran.err
    assert answer(lab, ticket=True) == "200"
    until(lambda: PERSON.encode() in lab.native_log() and PERSON.encode() in lab.own_log(), "nobody is in the logs")
    assert left_behind(lab) == []


def test_cache_log_tells_of_ntlm_and_keeps_as_many_as_the_package(story: Story) -> None:
    lab = story.desk.lab
    assert "debug_options ALL,1 rotate=14\r\n" in block_of(lab)
    ntlm = base64.b64encode(b"NTLMSSP\0\1\0\0\0" + bytes(20)).decode()
    lab.sh("ws", f"curl -s -H 'Proxy-Authorization: Negotiate {ntlm}' -x {FW.address4}:3128 http://www.example.com/")
    until(lambda: b"received type 1 NTLM token" in lab.read("fw", "/var/squid/logs/cache.log"), "cache.log is silent")


def test_what_others_have_set_stays_byte_for_byte(story: Story) -> None:
    assert foreign(story.desk.lab) == story.foreign


def test_the_firewall_itself_finds_the_domain(story: Story) -> None:
    lab = story.desk.lab
    found = lab.sh("fw", f"dig +short SRV _kerberos._tcp.{DOMAIN} @127.0.0.1; dig +short -x {DC.address4} @127.0.0.1")
    assert f"dc1.{DOMAIN}." in found.splitlines()[-1]
    assert f"88 dc1.{DOMAIN}." in found


def test_a_second_run_says_no_changes_and_writes_nothing(story: Story) -> None:
    lab = story.desk.lab
    before, times = state(lab), lab.sh("fw", TIMES)
    for words in (("configure",), ("configure", "--yes"), ("configure", "--plan")):
        ran = story.desk(*words)
        assert (ran.status, ran.out) == (0, "no changes\n"), ran.err
    assert (state(lab), lab.sh("fw", TIMES)) == (before, times)


def test_a_hand_edit_in_the_block_is_drift_and_is_mended(story: Story) -> None:
    lab = story.desk.lab
    right = block_of(lab)
    edited = base64.b64encode(right.replace("keep_alive on", "keep_alive off").encode()).decode()
    lab.other_admin(BEFORE_AUTH, edited)
    drift = story.desk("configure", "--plan")
    assert drift.status == 3
    assert "+auth_param negotiate keep_alive on" in drift.out.replace("    ", "")
    story.desk.configured()
    assert (block_of(lab), answer(lab)) == (right, "407 Negotiate")


def test_going_back_gives_the_stock_configuration_byte_for_byte(story: Story) -> None:
    first = min(one.name for one in story.desk.checkpoints.iterdir() if one.is_dir())
    ran = story.desk("rollback", first, "--yes")
    assert ran.status == 0, ran.err
    back, stock = state(story.desk.lab), story.stock
    assert back.xml.decode().splitlines() == stock.xml.decode().splitlines()
    assert (back.squid_conf, back.krb5_conf, back.answer) == (stock.squid_conf, stock.krb5_conf, "200")


@pytest.fixture(scope="module")
def stock(lab: Lab) -> Iterator[Lab]:
    """A stock 2.8, which each test may pose anew."""
    posed(lab, "2.8")
    yield lab
    lab.pose(None)


@pytest.fixture
def plain(stock: Lab, tmp_path: Path) -> Iterator[Desk]:
    yield desk_in(tmp_path, stock)
    as_posed(stock)


@pytest.fixture
def other_pose(stock: Lab, tmp_path: Path) -> Iterator[Desk]:
    """For a test that poses by itself."""
    yield desk_in(tmp_path, stock)
    posed(stock, "2.8")


def test_without_a_terminal_and_without_yes_nothing_is_changed(plain: Desk) -> None:
    before = state(plain.lab)
    ran = plain("configure")
    assert (ran.status, state(plain.lab)) == (2, before)
    assert "--yes" in ran.err


@pytest.mark.parametrize("typed", ["\n", "what?\n"])
def test_the_answer_is_no_unless_it_is_yes(plain: Desk, typed: str) -> None:
    before = state(plain.lab)
    assert plain("configure", typed=typed).status == 3
    assert state(plain.lab) == before


def test_yes_at_the_terminal_does_it(plain: Desk) -> None:
    assert plain("configure", typed="yes\n").status == 0
    assert answer(plain.lab) == "407 Negotiate"


def test_exactly_the_plan_of_a_file_is_done_once(plain: Desk) -> None:
    assert plain("configure", "--out", "plan").status == 3
    assert answer(plain.lab) == "200"
    plain.write(proxy={"blocked": [".example.org"]})  # says something else by now
    ran = plain("configure", "plan", "--yes")
    assert (ran.status, answer(plain.lab)) == (0, "407 Negotiate"), ran.err
    assert "example.org" not in block_of(plain.lab)
    again = plain("configure", "plan", "--yes")
    assert again.status == 1
    assert "stale" in again.err


@pytest.mark.parametrize("reason", ["stale", "host key", "keytab", "damaged"])
def test_a_plan_that_no_longer_fits_is_refused(plain: Desk, reason: str) -> None:
    lab = plain.lab
    plain("configure", "--out", "plan")
    if reason == "stale":
        lab.other_admin(f"{SQUID}/proxy_port", "3129")
    elif reason == "host key":
        lab.new_host_key()
        shown = lab.sh("fw", "cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub").strip()
        plain.write({"host_keys": [shown]})
    elif reason == "keytab":
        (plain.folder / "squid.keytab").write_bytes(keytab(lab)[:-4] + b"xxxx")
    else:
        text = (plain.folder / "plan").read_text()
        (plain.folder / "plan").write_text(text.replace('"3128"', '"3129"').replace("10.77.0.10", "10.77.0.99"))
    before = state(lab)
    ran = plain("configure", "plan", "--yes")
    if reason == "host key":
        lab.first_host_key()
    assert ran.status == (2 if reason == "damaged" else 1), ran.err
    told = {"stale": "not as it was", "host key": "another host key", "keytab": "is not what it was"}
    assert told.get(reason, "changed or damaged") in ran.err
    assert state(lab) == before
    assert left_behind(lab) == []


def test_others_later_changes_stay_when_going_back_and_are_named(plain: Desk) -> None:
    lab = plain.lab
    plain.write(proxy={"log_days": 30})
    plain.configured()
    lab.other_admin(f"{SQUID}/log_rotate", "99")
    since = base64.b64encode((block_of(lab) + "# added since\r\n").encode()).decode()
    lab.other_admin(BEFORE_AUTH, since)
    theirs = "[['domain' => 'new.example', 'ip' => '10.9.9.9', 'descr' => '', 'tls_hostname' => '']]"
    path = f"config_get_path('{OVERRIDES}')"
    assert lab.php(f"config_set_path('{OVERRIDES}', array_merge({path}, {theirs})); write_config('x');").returncode == 0
    ran = plain("rollback", "--yes")
    assert ran.status == 0, ran.err
    assert "log_rotate was changed by somebody since and stays" in ran.err
    assert lab.config(f"{SQUID}/log_rotate") == "99"
    assert block_of(lab) == "# added since\r\n"
    assert [one["domain"] for one in lab.config(OVERRIDES)] == ["new.example"]
    assert answer(lab) == "200"


def test_a_way_back_can_be_gone_back_itself_and_all_are_listed(plain: Desk) -> None:
    assert plain("rollback", "--yes").status == 2
    plain.configured()
    first = next(one.name for one in plain.checkpoints.iterdir() if one.is_dir())
    assert plain("rollback", "--yes").status == 0
    assert answer(plain.lab) == "200"
    ran = plain("rollback", "--yes")
    assert (ran.status, answer(plain.lab)) == (0, "407 Negotiate"), ran.err
    listed = plain("rollback", "--list", "--json")
    assert [row["state"] for row in json.loads(listed.out)["rows"]] == ["done"] * 3
    assert plain("rollback", first, "--yes").status == 0
    assert answer(plain.lab) == "200"
    assert plain("rollback", "pfsquid-1", "--yes").status == 2


def test_a_former_krb5_conf_comes_back_with_its_bytes_owner_and_mode(plain: Desk) -> None:
    every = bytes(range(256))
    plain.lab.write("fw", "/etc/krb5.conf", every, mode=0o640, owner="root:proxy")
    before = state(plain.lab)
    plain.configured()
    assert plain("rollback", "--yes").status == 0
    assert plain.lab.read("fw", "/etc/krb5.conf") == every
    line = "etc/krb5.conf root proxy 640"
    assert line in before.files
    assert line in state(plain.lab).files


def test_the_forwarder_gets_the_overrides_where_there_is_no_resolver(other_pose: Desk) -> None:
    posed(other_pose.lab, "2.8", resolver="dnsmasq", domain_overrides=FOREIGN["domain_overrides"])
    other_pose.write(dns={"servers": ["10.77.0.10", "10.77.0.11@5353"]})
    other_pose.configured()
    entries = other_pose.lab.config("dnsmasq/domainoverrides")
    assert [(one["domain"], one["ip"]) for one in entries[:3]] == list(FOREIGN["domain_overrides"])
    assert [one["ip"] for one in entries if one["domain"] == DOMAIN] == ["10.77.0.10", "10.77.0.11@5353"]


def test_no_secret_is_told_or_written(plain: Desk) -> None:
    lab, secret = plain.lab, keytab(plain.lab)
    told = [plain("configure", "--out", "plan", "--json").out, plain("configure", "--yes", "--debug").err]
    told += [plain("rollback", "--yes").out, plain("configure", "--plan").out]
    written = [path.read_bytes() for path in plain.folder.rglob("*") if path.is_file() and path.suffix != ".keytab"]
    on_firewall = lab.exec(
        "fw", ["/bin/sh", "-c", "cat /cf/conf/*.xml /cf/conf/backup/* /var/log/* /tmp/* /var/lab/events"]
    )
    pieces = [secret[-32:], base64.b64encode(secret)[:24], secret.hex().encode(), secret[-32:].hex().encode()]
    for text in (*written, *(one.encode() for one in told), on_firewall.stdout):
        assert not any(piece in text for piece in pieces)
