"""Checkpoints: what was there before, written down and fsynced before anything is touched, and how far it came.

A folder for each run, below the user's state folder; only its owner may read it. A run whose last word is not `done` or
`undone` was interrupted, and the next start deals with it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pfsquid.errors import PfsquidError, WrongUse
from pfsquid.firewall.plan import Plan

SERVING, STAGED, APPLYING, DONE, UNDONE = "serving", "staged", "applying", "done", "undone"
_FINAL = (DONE, UNDONE)


@dataclass(frozen=True)
class Checkpoint:
    """One run of `configure` on one firewall. id: also the name of what it stages there."""

    folder: Path

    @property
    def id(self) -> str:
        """Its name, also that of what it stages."""
        return self.folder.name

    @property
    def plan(self) -> Plan:
        """What it was to do, with what was there before; without the content of secrets."""
        return Plan.from_json((self.folder / "plan.json").read_text("utf-8"))

    @property
    def journal(self) -> tuple[str, ...]:
        """The words written to its journal, in order."""
        try:
            return tuple((self.folder / "journal").read_text("utf-8").split())
        except FileNotFoundError:
            return ()

    @property
    def stage(self) -> str:
        """The last word of its journal, '' where there is none."""
        return self.journal[-1] if self.journal else ""

    @property
    def finished(self) -> bool:
        """Was it done, or undone?"""
        return self.stage in _FINAL

    def note(self, word: str) -> None:
        """Write the next word to the journal; on the disk when this returns."""
        _durably(self.folder / "journal", f"{word}\n", append=True)


def state_folder(environment: Mapping[str, str]) -> Path:
    """Where checkpoints are (XDG Base Directory Specification, state)."""
    home = environment.get("XDG_STATE_HOME") or str(Path(environment.get("HOME", "/var/lib")) / ".local" / "state")
    return Path(home) / "pfsquid" / "checkpoints"


@contextmanager
def alone(state: Path, firewall: str) -> Iterator[Path]:
    """The firewall's folder of checkpoints, held by this process alone. Raises PfsquidError."""
    folder = state / firewall
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (folder / ".lock").open("w")
    except OSError as exc:
        raise _cannot_be_kept(folder, exc) from exc
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PfsquidError(
                f"another pfsquid is working on {firewall}", "wait for it to end, then: pfsquid configure --plan"
            ) from None
        yield folder


def begin(folder: Path, plan: Plan, serving: bool) -> Checkpoint:
    """A new checkpoint, with the plan and its before-images on the disk. serving: Squid runs. Raises PfsquidError."""
    name = f"pfsquid-{datetime.now(UTC):%Y%m%d%H%M%S%f}"
    checkpoint = Checkpoint(folder / name)
    try:
        checkpoint.folder.mkdir(mode=0o700)
        if serving:
            checkpoint.note(SERVING)
        _durably(checkpoint.folder / "plan.json.new", plan.to_json())
        (checkpoint.folder / "plan.json.new").rename(checkpoint.folder / "plan.json")
        _sync_folder(checkpoint.folder)
        _sync_folder(folder)
    except OSError as exc:
        raise _cannot_be_kept(folder, exc) from exc
    return checkpoint


def _cannot_be_kept(folder: Path, exc: OSError) -> PfsquidError:
    return PfsquidError(f"checkpoints cannot be kept in {folder}: {exc.strerror or exc}", f"ls -ld {folder}")


def all_of(folder: Path) -> list[Checkpoint]:
    """All checkpoints of a firewall, oldest first; folders that hold no whole plan are none."""
    if not folder.is_dir():
        return []
    return [Checkpoint(path) for path in sorted(folder.iterdir()) if (path / "plan.json").is_file()]


def named(folder: Path, name: str | None) -> Checkpoint:
    """The checkpoint of that name, or the newest one that was done. Raises WrongUse."""
    checkpoints = all_of(folder)
    if name is None:
        done = [one for one in checkpoints if one.stage == DONE]
        if done:
            return done[-1]
        raise WrongUse(f"there is no checkpoint of {folder.name} to go back to", "pfsquid rollback --list")
    for one in checkpoints:
        if one.id == name:
            return one
    raise WrongUse(f"there is no checkpoint {name!r} of {folder.name}", "pfsquid rollback --list")


def describe(checkpoint: Checkpoint) -> tuple[str, str, str, int]:
    """(id, when, state, number of changes) for a list."""
    stamp = datetime.strptime(checkpoint.id.removeprefix("pfsquid-"), "%Y%m%d%H%M%S%f").replace(tzinfo=UTC)
    return checkpoint.id, stamp.strftime("%Y-%m-%d %H:%M:%S"), _state(checkpoint), len(checkpoint.plan.changes)


def _state(checkpoint: Checkpoint) -> str:
    return "begun" if checkpoint.stage in ("", SERVING) else checkpoint.stage


def _durably(path: Path, text: str, append: bool = False) -> None:
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else os.O_TRUNC)
    descriptor = os.open(path, flags, 0o600)
    try:
        data = text.encode("utf-8")
        while data:
            data = data[os.write(descriptor, data) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
