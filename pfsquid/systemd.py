"""systemd: tell it that the service is ready and alive, and put the unit in its place.

Protocol: sd_notify(3), a datagram to $NOTIFY_SOCKET; the watchdog's time comes in $WATCHDOG_USEC. No library is needed.
"""

from __future__ import annotations

import os
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
    """What the unit says. program: pfsquid's own path. user: as whom; config, lake: paths."""

    program: Path
    user: str
    config: Path
    lake: Path

    def text(self, templates: Path) -> str:
        """The unit file."""
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(templates),
            undefined=jinja2.StrictUndefined,
            keep_trailing_newline=True,
            autoescape=False,  # noqa: S701 - a unit file; its values are checked in `checked`
        )
        return environment.get_template(f"{UNIT}.j2").render(unit=self)

    def checked(self) -> Unit:
        """The same, where each value can stand in a unit file as it is. Raises PfsquidError."""
        for value in (str(self.program), self.user, str(self.config), str(self.lake)):
            if any(char in value for char in "\n\"\\%$' "):
                raise PfsquidError(
                    f"{value!r} cannot stand in a unit file", "choose a path without spaces, quotes, $, % and \\"
                )
        return self


def own_program() -> Path:
    """The program that runs now, as systemd has to start it."""
    found = shutil.which(sys.argv[0]) or shutil.which("pfsquid")
    return Path(found or sys.argv[0]).absolute()


def install(unit: Unit, folder: Path, templates: Path) -> tuple[str, ...]:
    """Write the unit and start it; lines of what was done. Raises PfsquidError."""
    path = folder / UNIT
    text = unit.checked().text(templates)
    try:
        if path.exists() and path.read_text("utf-8") == text:
            told = f"{path} is as it should be"
        else:
            new = path.with_suffix(".new")
            new.write_text(text, "utf-8")
            new.rename(path)
            told = f"{path} is written"
    except OSError as exc:
        raise PfsquidError(
            f"{path} cannot be written: {exc.strerror}", "sudo pfsquid service install", "--unit-dir FOLDER"
        ) from exc
    _systemctl("daemon-reload")
    _systemctl("enable", "--now", UNIT)
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
