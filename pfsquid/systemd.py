"""systemd: tell it that the service is ready and alive, and put the unit in its place.

Protocol: sd_notify(3), a datagram to $NOTIFY_SOCKET; the watchdog's time comes in $WATCHDOG_USEC. No library is needed.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import jinja2

from pfsquid.errors import PfsquidError

UNIT = "pfsquid.service"
# What means only itself in a unit file (systemd.syntax(7), systemd.service(5)).
_PLAIN = re.compile(r"[A-Za-z0-9_.+,=@:/-]+")


def notify(environment: Mapping[str, str], *states: str) -> None:
    """Tell systemd, such as `READY=1` or `STATUS=…`; nothing where it does not listen."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.sendto("\n".join(states).encode(), f"\0{address[1:]}" if address[0] == "@" else address)


def watchdog_seconds(environment: Mapping[str, str]) -> float | None:
    """How often to say `WATCHDOG=1`: half of what systemd allows; None where it does not watch."""
    given = environment.get("WATCHDOG_USEC", "")
    if not given.isdigit() or environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(given) / 2_000_000


@dataclass(frozen=True)
class Unit:
    """What the unit says. program: pfsquid's own path. user: as whom; config, lake: paths. low_port: may it listen on a
    port below 1024? url: of a lake in S3, whose `lake` is its folder on this machine. writes: other folders, for a
    catalog."""

    program: Path
    user: str
    config: Path
    lake: Path
    low_port: bool = False
    url: str = ""
    writes: tuple[Path, ...] = ()

    def text(self, templates: Path) -> str:
        """The unit file. Raises PfsquidError where a value cannot stand in one."""
        for value in (self.program, self.user, self.config, self.lake, self.url or self.lake, *self.writes):
            if not _PLAIN.fullmatch(str(value)):
                raise PfsquidError(
                    f"{str(value)!r} cannot stand in a unit file",
                    "choose a path of letters, digits and _ . + , = @ : / -",
                )
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(templates),
            undefined=jinja2.StrictUndefined,
            keep_trailing_newline=True,
            trim_blocks=True,
            autoescape=False,  # noqa: S701 - a unit file; its values were checked
        )
        return environment.get_template(f"{UNIT}.j2").render(unit=self)


def own_program() -> Path:
    """The program that runs now, as systemd has to start it. Raises PfsquidError where there is no such file."""
    found = shutil.which(sys.argv[0]) or shutil.which("pfsquid")
    program = Path(found or sys.argv[0]).absolute()
    if not os.access(program, os.X_OK) or program.name.endswith(".py"):
        beside = Path(sys.executable).absolute().parent / "pfsquid"
        if not os.access(beside, os.X_OK):
            raise PfsquidError("there is no program pfsquid that systemd could start", "pipx install pfsquid")
        return beside
    return program


def user_named(name: str) -> pwd.struct_passwd:
    """The user as whom the service is to run. Raises PfsquidError."""
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise PfsquidError(
            f"there is no user {name}",
            f"sudo useradd --system --create-home --home-dir /var/lib/{name} --shell /usr/sbin/nologin {name}",
            "pfsquid service install --user ANOTHER",
        ) from None


def check_rights(unit: Unit, user: pwd.struct_passwd) -> None:
    """Can this user start the program, read the configuration and write the lake, without root's privileges (the unit
    takes them away, from root, too)? Raises PfsquidError."""
    written = [(path, os.W_OK, "write") for path in (unit.lake, *unit.writes)]
    wanted = [(unit.program, os.X_OK, "start"), (unit.config, os.R_OK, "read"), *written]
    for path, right, verb in wanted:
        for parent in reversed(path.parents):
            if not _may(user, parent, os.X_OK):
                raise PfsquidError(
                    f"{user.pw_name} cannot {verb} {path}: no way through {parent}",
                    f"move it to where {user.pw_name} may look, or --user SOMEBODY_ELSE",
                )
        if not _may(user, path, right):
            cure = f"sudo chown -R {user.pw_name}: {path}" if right == os.W_OK else f"ls -l {path}"
            raise PfsquidError(f"{user.pw_name} cannot {verb} {path}: it is not allowed to", cure)


def _may(user: pwd.struct_passwd, path: Path, right: int) -> bool:
    """By owner, group and mode of the file alone (path_resolution(7)); what is not there may be made by nobody."""
    try:
        found = path.stat()
    except OSError:
        return False
    groups = os.getgrouplist(user.pw_name, user.pw_gid)
    shift = 6 if found.st_uid == user.pw_uid else 3 if found.st_gid in groups else 0
    return bool(found.st_mode >> shift & right)


def install(unit: Unit, folder: Path, templates: Path) -> tuple[str, ...]:
    """Write the unit, enable it, and start it anew where it changed; lines of what was done. Raises PfsquidError."""
    path = folder / UNIT
    text = unit.text(templates)
    try:
        changed = not path.exists() or path.read_text("utf-8") != text
        if changed:
            new = path.with_suffix(".new")
            new.write_text(text, "utf-8")
            new.chmod(0o644)
            new.rename(path)
    except OSError as exc:
        raise PfsquidError(
            f"{path} cannot be written: {exc.strerror}", "sudo pfsquid service install", "--unit-dir FOLDER"
        ) from exc
    _systemctl("daemon-reload")
    _systemctl("enable", UNIT)
    _systemctl("restart" if changed else "start", UNIT)
    told = f"{path} is written" if changed else f"{path} is as it should be"
    return told, f"{UNIT} is enabled and started"


def uninstall(folder: Path) -> tuple[str, ...]:
    """Stop the service and remove its unit; the lake stays. Raises PfsquidError."""
    path = folder / UNIT
    if not path.exists():
        return (f"there is no {path}",)
    _systemctl("disable", "--now", UNIT)
    try:
        path.unlink()
    except OSError as exc:
        raise PfsquidError(f"{path} cannot be removed: {exc.strerror}", "sudo pfsquid service uninstall") from exc
    _systemctl("daemon-reload")
    return (f"{UNIT} is stopped, disabled and removed; the lake is as it was",)


def is_active() -> str:
    """What systemd says of the unit: active, inactive, failed, unknown …"""
    command = ["systemctl", "is-active", UNIT]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() or "unknown"


def _systemctl(*words: str) -> None:
    command = ["systemctl", *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise PfsquidError(f"systemctl cannot be run: {exc}", " ".join(command)) from exc
    if done.returncode:
        raise PfsquidError(
            f"{' '.join(command)} failed: {done.stderr.strip()}", f"systemctl status {UNIT}", f"journalctl -u {UNIT}"
        )
