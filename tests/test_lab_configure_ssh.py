"""The ways into the firewall: whoever may come in, by whatever the firewall wants, and who may not is told why."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from pfsquid.firewall.desired import BEFORE_AUTH
from tests.firewall.at_work import Desk, answer, block_of, desk, left_behind, posing, state  # noqa: F401 - fixtures
from tests.lab.layout import FIREWALL_PASSWORDS, FW, REALM

pytestmark = pytest.mark.lab

PASSWORD = FIREWALL_PASSWORDS["admin"]
BY_KEY: dict[str, Any] = {"identity": "id_ed25519"}
BY_PASSWORD: dict[str, Any] = {"identity": None, "password": "env:FW_PASSWORD"}
LOCKED: dict[str, Any] = {"identity": "locked", "passphrase": "env:FW_PASSPHRASE"}
SECRETS = {"FW_PASSWORD": PASSWORD, "FW_PASSPHRASE": "Sesame Ärger"}


@pytest.fixture
def mode(desk: Desk) -> Iterator[Desk]:  # noqa: F811
    """For a test that changes how one logs in."""
    yield desk
    desk.lab.sshd_mode("any")


@pytest.fixture
def locked(desk: Desk) -> Desk:  # noqa: F811
    """There is a key with a passphrase, which the firewall knows."""
    key = desk.folder / "locked"
    key.write_bytes((desk.folder / "id_ed25519").read_bytes())
    key.chmod(0o600)
    words = ["ssh-keygen", "-q", "-p", "-P", "", "-N", SECRETS["FW_PASSPHRASE"], "-f", str(key)]
    subprocess.run(words, check=True, capture_output=True)
    return desk


@pytest.mark.parametrize("user", ["root", "admin", "operator"])
def test_by_key_as_anybody_who_may(desk: Desk, user: str) -> None:  # noqa: F811
    desk.write({**BY_KEY, "user": user})
    ran = desk("configure", "--plan")
    assert ran.status == 3, ran.err


@pytest.mark.parametrize(
    ("way", "firewall"),
    [
        ("password", BY_PASSWORD),
        ("keyboard-interactive", BY_PASSWORD),
        ("both", {**BY_KEY, "password": "env:FW_PASSWORD"}),
        ("any", {**BY_PASSWORD, "password": "file:secret"}),
        ("key", LOCKED),
    ],
)
def test_by_whatever_the_firewall_wants(mode: Desk, locked: Desk, way: str, firewall: dict[str, Any]) -> None:
    (mode.folder / "secret").write_text(PASSWORD + "\n")
    (mode.folder / "secret").chmod(0o600)
    mode.lab.sshd_mode(way)
    mode.write({**firewall, "user": "admin"})
    ran = mode("configure", "--plan", environment=SECRETS)
    assert ran.status == 3, ran.err
    assert not any(secret in ran.out + ran.err for secret in SECRETS.values())


def test_by_the_agents_key(desk: Desk) -> None:  # noqa: F811
    sock = desk.folder / "agent"
    started = subprocess.run(["ssh-agent", "-a", str(sock)], check=True, capture_output=True, text=True).stdout
    try:
        (desk.folder / "id_ed25519").chmod(0o600)
        words = ["ssh-add", "-q", str(desk.folder / "id_ed25519")]
        subprocess.run(words, check=True, capture_output=True, env={**os.environ, "SSH_AUTH_SOCK": str(sock)})
        desk.write({"identity": None, "agent": True})
        assert desk("configure", "--plan", environment={"SSH_AUTH_SOCK": str(sock)}).status == 3
        ran = desk("configure", "--plan")
        assert ran.status == 1
        assert "nothing to try" in ran.err
    finally:
        os.kill(int(started.partition("SSH_AGENT_PID=")[2].partition(";")[0]), signal.SIGTERM)


@pytest.mark.parametrize(
    ("way", "firewall", "environment", "status", "says"),
    [
        ("any", BY_PASSWORD, {"FW_PASSWORD": "wrong"}, 1, "was not let in (password)"),
        ("keyboard-interactive", BY_PASSWORD, {"FW_PASSWORD": "wrong"}, 1, "was not let in (password)"),
        ("any", BY_PASSWORD, {}, 2, "the secret env:FW_PASSWORD is not set"),
        ("both", BY_KEY, {}, 1, "after the key it also wants"),
        ("any", {"identity": "locked"}, {}, 2, "has a passphrase"),
        ("any", LOCKED, {"FW_PASSPHRASE": "wrong"}, 2, "does not open with the passphrase"),
        ("any", {"identity": "nowhere"}, {}, 2, "there is no key"),
        ("any", {**BY_PASSWORD, "password": "file:loose"}, {}, 2, "may be read by others"),
        ("any", {"host_keys": []}, {}, 2, "pfsquid init --host"),
        ("any", {"port": 23}, {}, 1, "cannot be reached by SSH"),
        ("any", {**BY_KEY, "user": "viewer"}, {}, 1, "install sudo"),
    ],
)
def test_who_is_not_let_in_is_told_why(
    mode: Desk, locked: Desk, way: str, firewall: dict[str, Any], environment: dict[str, str], status: int, says: str
) -> None:
    (mode.folder / "loose").write_text(PASSWORD)
    (mode.folder / "loose").chmod(0o644)
    if way != "any":
        mode.lab.sshd_mode(way)
    mode.write({"user": "admin", **firewall})
    ran = mode("configure", "--yes", environment=environment)
    assert ran.status == status, ran.err
    assert says in ran.err
    assert "Traceback" not in ran.err
    assert not any(secret in ran.err for secret in ("wrong", PASSWORD))


@pytest.mark.parametrize("user", ["operator", "admin"])
def test_every_byte_arrives_through_any_shell_and_comes_back(desk: Desk, user: str) -> None:  # noqa: F811
    lab = desk.lab
    every = bytes(range(256))
    odd = b"# " + bytes(byte for byte in every if byte not in b"\r\n") + b"\r\n# no end of line: $(id) `id` !! \"'"
    lab.write("fw", "/etc/krb5.conf", every, mode=0o600)
    lab.other_admin(BEFORE_AUTH, base64.b64encode(odd).decode())
    lab.php("require_once('/usr/local/pkg/squid.inc'); squid_resync();")
    before = state(lab)
    desk.write({"user": user})
    desk.configured()
    assert base64.b64decode(lab.config(BEFORE_AUTH)).startswith(odd)
    assert (answer(lab), left_behind(lab)) == ("407 Negotiate", [])
    assert desk("rollback", "--yes").status == 0
    after = state(lab)
    assert (after.xml, after.squid_conf, lab.read("fw", "/etc/krb5.conf")) == (before.xml, before.squid_conf, every)


def test_init_shows_the_key_asks_and_writes_what_configure_takes(desk: Desk) -> None:  # noqa: F811
    path = desk.folder / "first.yaml"
    shown = desk.lab.sh("fw", "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key").split()[1]
    words = ("init", "--host", FW.address4, "--name", "edge", "--out", path)
    assert desk(*words).status == 2  # nobody to ask
    assert desk(*words, "--yes", "--user", "x: y").status == 2
    assert desk(*words, typed="\n").status == 1
    assert not path.exists()
    ran = desk(*words, typed="yes\n")
    assert ran.status == 0, ran.err
    assert shown in ran.err
    assert desk("configure", "--plan", "--config", path).status == 2  # the places to fill in
    text = path.read_text()
    filled = {
        "<LAB.EXAMPLE>": REALM,
        "<proxy.lab.example>": FW.fqdn,
        "<squid.keytab>": "squid.keytab",
        "<10.0.0.10>": "10.77.0.10",
        "# identity: ~/.ssh/id_ed25519": "identity: id_ed25519",
    }
    for place, value in filled.items():
        assert place in text
        text = text.replace(place, value)
    assert list(yaml.safe_load(text)["firewalls"]) == ["edge"]
    path.write_text(text)
    ran = desk("configure", "--plan", "--config", path)
    assert ran.status == 3, ran.err
    again = desk(*words, "--yes")
    assert again.status == 2
    assert "is there already" in again.err
    assert path.read_text() == text


def test_what_pfsense_prints_does_not_disturb(desk: Desk) -> None:  # noqa: F811
    noise = "<?php echo '@@pfsquid-0:{}', PHP_EOL, '...'; trigger_error('noise');"
    desk.lab.write("fw", "/usr/local/pkg/write_config/noise.inc", noise.encode())
    desk.lab.sh(
        "fw", "touch /var/run/booting; sed -i 's/display_errors = off/display_errors = on/' /usr/local/etc/php.ini"
    )
    try:
        assert desk("configure", "--plan").status == 3
        desk.lab.sh("fw", "rm /var/run/booting")
        desk.configured()
    finally:
        desk.lab.sh("fw", "rm -f /var/run/booting /usr/local/pkg/write_config/noise.inc")
    assert block_of(desk.lab)
