"""`pfsquid service`: the unit is one that systemd takes, for a user who can work with it. A systemctl stands in."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pfsquid import systemd
from pfsquid.errors import PfsquidError
from pfsquid.resources import templates
from pfsquid.systemd import Unit, check_rights, notify, user_named, watchdog_seconds
from tests.running import Pfsquid, Run

ME = pwd.getpwuid(os.geteuid()).pw_name
SYSTEMCTL = """#!/bin/sh
echo "$@" >> "$HOME/systemctl.log"
case "$*" in "$FAILS") echo "Access denied" >&2; exit 1;; is-active*) echo active;; esac
"""
Service = Callable[..., Run]


@pytest.fixture
def service(pfsquid: Pfsquid) -> Service:
    """Runs `pfsquid service …` with a systemctl that only writes down how it was called."""
    tools = pfsquid.folder / "bin"
    tools.mkdir()
    for name, text in (("systemctl", SYSTEMCTL), ("pfsquid", "#!/bin/sh\n")):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    config = {"lake": str(pfsquid.folder / "lake"), "collect": {"squid": {"office": {"path": "access.log"}}}}
    (pfsquid.folder / "pfsquid.yaml").write_text(json.dumps(config))
    (pfsquid.folder / "units").mkdir()

    def run(*words: str, fails: str = "nothing") -> Run:
        path = f"{tools}:{os.environ['PATH']}"
        return pfsquid("service", *words, "--unit-dir", "units", PATH=path, FAILS=fails)

    return run


def asked(pfsquid: Pfsquid) -> list[str]:
    log = pfsquid.folder / "home/systemctl.log"
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return lines


def test_install_again_uninstall(pfsquid: Pfsquid, service: Service) -> None:
    unit = pfsquid.folder / "units/pfsquid.service"
    run = service("install", "--user", ME)
    assert run.status == 0, run.err
    assert asked(pfsquid) == ["daemon-reload", "enable pfsquid.service", "restart pfsquid.service"]
    text = unit.read_text()
    assert f"--config {pfsquid.folder}/pfsquid.yaml --lake {pfsquid.folder}/lake\n" in text
    assert (f"User={ME}\n" in text, f"ReadWritePaths={pfsquid.folder}/lake\n" in text) == (True, True)
    assert service("status").status == 0
    asked(pfsquid)
    assert "as it should be" in service("install", "--user", ME).out
    assert asked(pfsquid) == ["daemon-reload", "enable pfsquid.service", "start pfsquid.service"]
    assert service("uninstall").status == 0
    assert asked(pfsquid) == ["disable --now pfsquid.service", "daemon-reload"]
    assert (unit.exists(), (pfsquid.folder / "lake").exists()) == (False, True)
    assert (service("status").status, "there is no" in service("uninstall").out) == (3, True)


def test_a_user_who_does_not_exist_is_told(service: Service) -> None:
    run = service("install", "--user", "nobody-of-this-name")
    assert (run.status, "there is no user nobody-of-this-name" in run.err, "sudo useradd" in run.err) == (1, True, True)


def test_what_systemctl_says_is_passed_on(service: Service) -> None:
    run = service("install", "--user", ME, fails="enable pfsquid.service")
    assert (run.status, "Access denied" in run.err) == (1, True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to have others' files")
@pytest.mark.parametrize(
    ("path", "mode", "told"),
    [
        ("lake", 0o755, "cannot write"),
        ("pfsquid.yaml", 0o600, "cannot read"),
        ("bin/pfsquid", 0o644, "cannot start"),
        (".", 0o700, "no way through"),
    ],
)
def test_a_user_who_could_not_work_is_told(tmp_path: Path, path: str, mode: int, told: str) -> None:
    room = Path(
        subprocess.run(["mktemp", "-d", "/var/tmp/XXXXXX"], check=True, capture_output=True, text=True).stdout[:-1]
    )
    try:
        (room / "bin").mkdir()
        (room / "lake").mkdir(mode=0o777)
        for name in ("bin/pfsquid", "pfsquid.yaml"):
            (room / name).touch()
        for name, usual in (
            (".", 0o755),
            ("bin", 0o755),
            ("lake", 0o777),
            ("bin/pfsquid", 0o755),
            ("pfsquid.yaml", 0o644),
        ):
            (room / name).chmod(usual)
        unit = Unit(room / "bin/pfsquid", "nobody", room / "pfsquid.yaml", room / "lake")
        check_rights(unit, user_named("nobody"))
        (room / path).chmod(mode)
        with pytest.raises(PfsquidError, match=told):
            check_rights(unit, user_named("nobody"))
    finally:
        shutil.rmtree(room)


@pytest.mark.parametrize("odd", ["/a b", "/a\nExecStartPre=/bin/rm", "/a%h", "/$A", '/"', "/\\", "/ä", "/a;b", ""])
def test_values_that_could_mean_something_else_are_refused(odd: str) -> None:
    for field in ("program", "config", "lake", "user"):
        values = {"program": "/p", "user": "root", "config": "/c", "lake": "/l", field: odd}
        given = {name: value if name == "user" else Path(value) for name, value in values.items()}
        if odd or field == "user":
            with pytest.raises(PfsquidError, match="cannot stand in a unit file"):
                Unit(**given).text(templates())  # type: ignore[arg-type]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="without systemd")
@pytest.mark.parametrize("low_port", [False, True])
def test_systemd_takes_the_unit_and_finds_it_tight(tmp_path: Path, low_port: bool) -> None:
    unit = tmp_path / "pfsquid.service"
    text = Unit(Path("/bin/true"), "root", Path("/etc/hosts"), tmp_path, low_port).text(templates())
    unit.write_text(text)
    assert ("CAP_NET_BIND_SERVICE" in text) == low_port
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert not [line for line in done.stderr.splitlines() if "pfsquid" in line and "man:" not in line], done.stderr
    words = ["systemd-analyze", "security", "--offline=true", "--threshold=40", str(unit)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


def test_without_systemd_nothing_is_told() -> None:
    notify({}, "READY=1")
    notify({"NOTIFY_SOCKET": "vsock:2:1"}, "READY=1")
    notify({"NOTIFY_SOCKET": "/nobody/there"}, "READY=1")


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "120000000"}, 60.0),
        ({"WATCHDOG_USEC": "120000000", "WATCHDOG_PID": str(os.getpid())}, 60.0),
        ({"WATCHDOG_USEC": "120000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_how_often_the_watchdog_is_fed(given: dict[str, str], seconds: float | None) -> None:
    assert watchdog_seconds(given) == seconds


def test_a_systemctl_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert systemd.is_active() == "unknown"
    (tmp_path / "pfsquid.service").touch()
    with pytest.raises(PfsquidError, match="systemctl cannot be run"):
        systemd.uninstall(tmp_path)
