"""pfsquid at work on the lab's posing firewall: run as a person on the workstation would, and what is left afterwards.

`Desk` is a folder with a configuration, a keytab and a key. pfsquid runs from there in a process of its own, forked, in
the network of the host ws; a function given as `fault` is called in that process first, and may hinder it.
"""

from __future__ import annotations

import base64
import ctypes
import os
import pty
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

import pfsquid.cli
import pfsquid.cli_firewall
import pfsquid.firewall.configure
from pfsquid.firewall.desired import BEFORE_AUTH, SQUID
from tests.lab.fixture import Lab
from tests.lab.hosts import running
from tests.lab.layout import DOMAIN, FW, PERSON_PASSWORD, REALM, REVERSE_ZONE, WS

AFTER_AUTH, INTEGRATIONS = f"{SQUID}/custom_options2_squid3", f"{SQUID}/custom_options"
KEYTABS = "/usr/local/etc/squid/pfsquid-*.keytab"
CONFIG = "/cf/conf/config.xml"
PATIENCE = 90
CUT = "=-=-=pfsquid=-=-="
_CLONE_NEWNET = 0x40000000


@dataclass(frozen=True)
class Ran:
    """What a run left behind. status: -9 where it was killed."""

    status: int
    out: str
    err: str


@dataclass(frozen=True)
class Desk:
    """A person's folder, and the lab."""

    folder: Path
    lab: Lab

    def write(self, firewall: dict[str, Any] | None = None, **sections: Any) -> None:
        """The configuration: the usual one, with keys of the firewall and of sections put over it."""
        usual: dict[str, Any] = {
            "kerberos": {"realm": REALM, "proxy": FW.fqdn, "keytab": "squid.keytab"},
            "dns": {"servers": ["10.77.0.10"], "reverse_zones": [REVERSE_ZONE]},
        }
        fw = {"host": FW.address4, "host_keys": [self.host_key], "identity": "id_ed25519", "agent": False}
        whole = {"firewalls": {"fw": {**fw, **(firewall or {})}}}
        for name in usual.keys() | sections.keys():
            whole[name] = {**usual.get(name, {}), **sections.get(name, {})}
        (self.folder / "pfsquid.yaml").write_text(yaml.safe_dump(whole), "utf-8")

    @property
    def host_key(self) -> str:
        """The firewall's host key, as pinned."""
        lines = self.lab.known_hosts.read_text().splitlines()
        return next(line.partition(" ")[2] for line in lines if "ssh-ed25519" in line)

    def __call__(
        self,
        *words: str | Path,
        fault: Callable[[], object] | None = None,
        typed: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Ran:
        """Run pfsquid. typed: what is typed at a terminal; without it there is none."""
        return self.start(*words, fault=fault, typed=typed, environment=environment)()

    def start(
        self,
        *words: str | Path,
        fault: Callable[[], object] | None = None,
        typed: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Callable[[], Ran]:
        """Start pfsquid; what is returned waits for its end."""
        number = len(list(self.folder.glob(".out*")))
        out, err = self.folder / f".out{number}", self.folder / f".err{number}"
        for path in (out, err):
            path.touch()
        master, slave = pty.openpty() if typed is not None else (-1, os.open(os.devnull, os.O_RDONLY))
        pid = os.fork()
        if pid == 0:
            self._child([str(word) for word in words], (slave, out, err), fault, environment or {})
        os.close(slave)
        if typed is not None:
            os.write(master, typed.encode())

        def end() -> Ran:
            deadline = time.monotonic() + PATIENCE
            while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
                if time.monotonic() > deadline:
                    os.kill(pid, signal.SIGKILL)
                time.sleep(0.01)
            if master >= 0:
                os.close(master)
            return Ran(os.waitstatus_to_exitcode(ended[1]), out.read_text("utf-8"), err.read_text("utf-8"))

        return end

    def _child(
        self,
        words: list[str],
        streams: tuple[int, Path, Path],
        fault: Callable[[], object] | None,
        more: Mapping[str, str],
    ) -> None:
        code = 99
        try:
            os.dup2(streams[0], 0)
            for path, number in ((streams[1], 1), (streams[2], 2)):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
            sys.stdin, sys.stdout, sys.stderr = (os.fdopen(n, mode) for n, mode in ((0, "r"), (1, "w"), (2, "w")))
            ws = running(self.lab.state, WS)
            assert ws is not None
            enter = os.open(f"/proc/{ws.init}/ns/net", os.O_RDONLY)
            if ctypes.CDLL(None, use_errno=True).setns(enter, _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "no network of ws")
            home = {"HOME": str(self.folder / "home"), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
            os.environ.clear()
            os.environ.update({**home, **more})
            os.chdir(self.folder)
            if fault:
                fault()
            pfsquid.cli.main(words)
        except SystemExit as exc:
            code = int(exc.code or 0)
        finally:
            with suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    @property
    def checkpoints(self) -> Path:
        return self.folder / "home/.local/state/pfsquid/checkpoints/fw"

    def configured(self) -> None:
        """The firewall, configured."""
        ran = self("configure", "--yes")
        assert ran.status == 0, ran.err


@dataclass(frozen=True)
class State:
    """All that pfsquid touches on the firewall, and the way it serves."""

    xml: bytes
    squid_conf: bytes
    krb5_conf: bytes
    files: str  # of the folders, with owners and modes
    answer: str


def state(lab: Lab) -> State:
    """The firewall as it is."""
    cut = f"printf '%s' {CUT}"
    stat = "/usr/libexec/lab/stat -c '%n %U %G %a'"
    script = (
        f"cat {CONFIG}; {cut}; cat /usr/local/etc/squid/squid.conf; {cut}; cat /etc/krb5.conf 2>/dev/null; {cut}; "
        f"cd /; {stat} usr/local/etc/squid/* etc/krb5.conf* 2>/dev/null; true"
    )
    xml, conf, krb5, files = lab.exec("fw", ["/bin/sh", "-c", script]).stdout.split(CUT.encode())
    return State(settings_in(xml), conf, krb5, files.decode(), answer(lab))


def settings_in(xml: bytes) -> bytes:
    """config.xml without the revision, which each save changes."""
    before, _, rest = xml.partition(b"<revision>")
    return before + rest.partition(b"</revision>")[2]


def answer(lab: Lab, ticket: bool = False, url: str = "http://www.example.com/") -> str:
    """What the proxy says to ws: the status, and after a 407 the schemes that it offers."""
    login = f'kdestroy -q; echo "{PERSON_PASSWORD}" | kinit rick.sanchez >/dev/null; ' if ticket else ""
    name = "--proxy-negotiate -u :" if ticket else ""
    proxy = f"http://proxy.{DOMAIN}:3128" if ticket else f"http://{FW.address4}:3128"
    curl = f"curl -s -m 6 -o /dev/null -D - -w '%{{http_code}}' {name} -x {proxy} {url} || true"
    said = lab.sh("ws", login + curl).splitlines() or [""]
    schemes = [line.split()[1] for line in said if line.lower().startswith("proxy-authenticate")]
    return " ".join([said[-1], *schemes]) if said[-1] == "407" else said[-1]


def left_behind(lab: Lab) -> list[str]:
    """Staged and former files, candidates, and keytabs that squid.conf does not refer to."""
    script = (
        "ls /usr/local/etc/squid/*pfsquid-[0-9]*[0-9] /usr/local/etc/squid/*.old /etc/*pfsquid-* 2>/dev/null; "
        "cd /usr/local/etc/squid; "
        f"for one in $(ls {KEYTABS} 2>/dev/null); do grep -q $one squid.conf || echo $one; done; true"
    )
    return lab.sh("fw", script).split()


def keytab(lab: Lab) -> bytes:
    """The service account's."""
    return lab.read("dc", "/lab/keytabs/squid.keytab")


def posed(lab: Lab, release: str, **options: Any) -> None:
    """Pose, and keep what a test's end puts back."""
    lab.pose(release, **options)
    lab.sh("fw", "rm -rf /var/lab/stock; mkdir /var/lab/stock; cp -a /cf/conf /var/lab/stock/")


def as_posed(lab: Lab) -> None:
    """The firewall as `posed` left it: settings, files, services."""
    lab.mend()
    script = (
        f"rm -rf /cf/conf/* /tmp/config.cache /etc/krb5.conf* {KEYTABS}* /usr/local/etc/squid/*pfsquid*; "
        "cp -a /var/lab/stock/conf/. /cf/conf; for log in /var/squid/logs/*.log; do : >$log; done"
    )
    lab.sh("fw", script)
    done = lab.php(
        "require_once('functions.inc'); require_once('/usr/local/pkg/squid.inc'); services_unbound_configure(false);"
        "squid_resync();"
    )
    assert done.returncode == 0, done.stdout
    until(lambda: answer(lab) == "200", "Squid does not serve as posed")


def until(true: Callable[[], bool], what: str, seconds: float = 8) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def desk_in(folder: Path, lab: Lab) -> Desk:
    """A folder with key, keytab and configuration."""
    (folder / "home").mkdir(exist_ok=True)
    shutil.copy(lab.ssh_key, folder / "id_ed25519")
    (folder / "squid.keytab").write_bytes(keytab(lab))
    desk = Desk(folder, lab)
    desk.write()
    return desk


@pytest.fixture(scope="module")
def posing(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """The firewall, posing as RELEASE (and OPTIONS) of the module says; the lab's own again at its end."""
    posed(lab, getattr(request.module, "RELEASE", "2.8"), **getattr(request.module, "OPTIONS", {}))
    yield lab
    lab.pose(None)


@pytest.fixture
def desk(posing: Lab, tmp_path: Path) -> Iterator[Desk]:
    """A new desk, and a firewall that is put back at the end."""
    yield desk_in(tmp_path, posing)
    as_posed(posing)


def block_of(lab: Lab) -> str:
    """The decoded field with the managed block."""
    return base64.b64decode(lab.config(BEFORE_AUTH) or "").decode("utf-8", "surrogateescape")
