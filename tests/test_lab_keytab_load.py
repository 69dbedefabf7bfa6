"""A keytab is rotated under load, and nobody notices: tests/lab/rotation_load.py asks, the posing firewall answers.

The short run is a test; `python -m tests.test_lab_keytab_load 60` is the long one, on a lab that is up.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from pfsquid.kerberos.keytab import parse
from tests.firewall.at_work import Desk, Ran, answer, as_posed, desk_in, left_behind, posed, posing
from tests.lab import dc
from tests.lab.fixture import Lab
from tests.lab.hosts import entry_command, python_module
from tests.lab.layout import ADMIN_PASSWORD, BASE_DN, DOMAIN, WS, state_folder

pytestmark = pytest.mark.lab
__all__ = ["posing"]

HOST = f"kt-load.{DOMAIN}"
ACCOUNT = "svc_kt_load"
KEYTAB = "load.keytab"
PASSWORD = {"PW": ADMIN_PASSWORD}


def prepared(folder: Path, lab: Lab) -> Desk:
    """A desk whose configuration has a service account of its own; account, keytab and firewall are ready."""
    desk = desk_in(folder, lab)
    (folder / "ca.pem").write_bytes(lab.read("dc", "/lab/tls/ca.pem"))
    configured(desk)
    made = desk("keytab", "create", environment=PASSWORD)
    assert made.status == 0, made.err
    desk.configured()
    return desk


def configured(desk: Desk, **proxy: Any) -> None:
    desk.write(
        kerberos={"proxy": HOST, "account": ACCOUNT, "keytab": KEYTAB},
        directory={"ca": "ca.pem", "user": "Administrator", "password": "env:PW"},
        proxy={"helper": {"children": 10, "startup": 4, "idle": 2}, **proxy},
    )


def cleared(lab: Lab) -> None:
    lab.exec("dc", ["samba-tool", "user", "delete", ACCOUNT])


def rotated_under_load(desk: Desk, seconds: float) -> dict[str, Any]:
    """The load, with a rotation after a sixth of it; when that began and ended, too."""
    words = python_module("tests.lab.rotation_load", f"HTTP/{HOST}", str(seconds))
    load = subprocess.Popen(
        entry_command(desk.lab.state, WS, words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert load.stderr and load.stdout
    assert load.stderr.readline() == "ready\n"
    time.sleep(seconds / 6)
    begin = time.time()
    ran = desk("keytab", "rotate", "--yes", environment=PASSWORD)
    end = time.time()
    out, err = load.communicate(timeout=seconds + 60)
    assert load.returncode == 0, err
    return {**json.loads(out), "rotation": (begin, end), "status": ran.status, "said": ran.err}


@pytest.fixture(scope="module")
def desk(posing: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One for all tests: each leaves a keytab that serves."""
    yield prepared(tmp_path_factory.mktemp("desk"), posing)
    cleared(posing)
    as_posed(posing)


def in_use(lab: Lab) -> bytes:
    """The keytab that squid.conf names."""
    conf = lab.read("fw", "/usr/local/etc/squid/squid.conf").decode()
    return lab.read("fw", re.findall(r" -k (\S+)", conf)[0])


def rotate(desk: Desk, *words: str) -> Ran:
    return desk("keytab", "rotate", "--yes", *words, environment=PASSWORD)


def test_a_rotation_fails_no_request(desk: Desk) -> None:
    came = rotated_under_load(desk, 12)
    assert came["status"] == 0, came["said"]
    assert came["rotation"][1] < came["ended"] - 1, "the load ended too early to prove anything"
    assert came["failed"] == []
    assert came["requests"] == 600
    assert in_use(desk.lab) == (desk.folder / KEYTAB).read_bytes()
    assert desk("configure", "--plan").status == 0
    assert left_behind(desk.lab) == []


def test_former_keys_are_dropped_on_the_firewall_too(desk: Desk) -> None:
    assert rotate(desk).status == 0
    dc.live(desk.lab.state, ["replace", f"CN={ACCOUNT},CN=Users,{BASE_DN}", "pwdLastSet", "-40000 s"])
    ran = rotate(desk, "--drop")
    assert ran.status == 0, ran.err
    assert len({one.kvno for one in parse(in_use(desk.lab))}) == 1
    assert answer(desk.lab) == "407 Negotiate"


STOP = "pid=$(cat /var/run/squid/squid.pid); kill -INT $pid; while kill -0 $pid; do sleep 0.1; done 2>/dev/null"
START = 'php -r \'require_once("config.inc"); require_once("/usr/local/pkg/squid.inc"); squid_resync();\' >/dev/null'
DEAF = """cd /usr/local/sbin && mv squid squid.real && cat >squid <<'END' && chmod 755 squid
#!/bin/sh
case "$*" in *rotate*) echo not today; exit 1 ;; *) exec /usr/local/sbin/squid.real "$@" ;; esac
END"""
HEARS = "cd /usr/local/sbin && mv squid.real squid"


@pytest.mark.parametrize(
    ("hinder", "mend", "told"),
    [
        (STOP, START, "nothing was changed: Squid does not run"),
        (DEAF, HEARS, "put back: Squid does not take the signal"),
    ],
)
def test_a_squid_that_cannot_take_it_leaves_everything_as_it_was(desk: Desk, hinder: str, mend: str, told: str) -> None:
    before = in_use(desk.lab), (desk.folder / KEYTAB).read_bytes()
    desk.lab.sh("fw", hinder)
    try:
        ran = rotate(desk)
    finally:
        desk.lab.sh("fw", mend)
    assert ran.status == 1
    assert told in ran.err
    assert "the password is as it was" in ran.err
    assert (in_use(desk.lab), (desk.folder / KEYTAB).read_bytes()) == before
    assert left_behind(desk.lab) == []


def test_other_changes_are_not_brought_along(desk: Desk) -> None:
    before = in_use(desk.lab), (desk.folder / KEYTAB).read_bytes()
    configured(desk, blocked=[".example.net"])
    ran = rotate(desk)
    configured(desk)
    assert ran.status == 1
    assert "by more than the keytab" in ran.err
    assert (in_use(desk.lab), (desk.folder / KEYTAB).read_bytes()) == before


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        lab = Lab(state_folder())
        posed(lab, "2.8")
        try:
            result = rotated_under_load(prepared(Path(folder), lab), float(sys.argv[1]))
            first = result["began"]
            result["rotation"] = [round(moment - first, 1) for moment in result["rotation"]]
            print(json.dumps(result, indent=1, ensure_ascii=False))
        finally:
            cleared(lab)
            lab.pose(None)
