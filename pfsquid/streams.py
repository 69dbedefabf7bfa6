"""The sources of a configuration, ready to be followed: a firewall over SSH, a path on this machine, a port."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from collectors.batch import Batch, Position
from collectors.squid.collector import BATCH_BYTES, PARSERS, Pace, collect_logs
from collectors.squid.follow import PIECE
from collectors.squid.logs import Logs
from collectors.squid.places import local_logs
from collectors.squid.receiver import Receiver
from collectors.squid.remote import RemoteLogs
from pfsquid import __version__
from pfsquid.config import Config
from pfsquid.errors import WrongUse
from pfsquid.firewall.configure import enter_firewall
from pfsquid.firewall.inspect import Asked, inspect
from pfsquid.firewall.pfsense import Pfsense
from pfsquid.firewall.remote_log import LogReader
from pfsquid.lake.catalog import Lake
from pfsquid.lake.live import TURN, Opened, Stream
from pfsquid.lake.seen import Seen
from pfsquid.log_choice import Choice, Say
from pfsquid.settings import SquidSource

SPOOLS = ".spool"
RECEIVED = ("connections", "accepted", "refused", "lines", "bad", "dropped", "lost", "spool_bytes", "full")
LEAST_BATCH = 512 * 1024  # smaller ones make more work than they save memory


@dataclass
class Following:
    """Logs of one place, in a format. after: told of the lake's positions before each round, after the last commit.

    lasts: is it in order, though a round failed? seen: what need not be looked at again when it is opened anew.
    """

    logs: Logs
    format: str
    name: str | None
    pace: Pace
    after: Callable[[Mapping[str, Position]], None] | None = None
    lasts: Callable[[], bool] = lambda: False
    seen: Seen | None = None
    _known: Mapping[str, Position] | None = None

    def round(self, known: Mapping[str, Position]) -> Iterator[Batch]:
        """See Opened."""
        if self.after:
            self.after(known)
        if self.seen and self._known is None:
            self.logs.seen = self.seen.read()
        reached = dict(known)
        self._known = reached
        try:
            for batch in collect_logs(self.logs, self.format, known, self.name, self.pace):
                reached[batch.source] = batch.position
                yield batch
        finally:
            if self.seen:
                self.seen.keep(self.logs.lasting())

    def remaining(self) -> int | None:
        """See Opened."""
        return None if self._known is None else self.logs.remaining(self._known)

    def usable(self) -> bool:
        """See Opened."""
        return self.lasts()


@dataclass
class Receiving(Following):
    """The spool of a receiver, with what that counts."""

    receiver: Receiver | None = None

    def received(self) -> Mapping[str, int]:
        """Since its start. spool_bytes: what waits to be committed or deleted. full: 1 while nobody is read."""
        stats = self.receiver.stats() if self.receiver else None
        return {name: int(getattr(stats, name)) for name in RECEIVED} if stats else {}


def pace_of(sources: int) -> Pace:
    """How much each of so many sources may hold in memory: what they hold together is about as much as one alone."""
    batch = max(LEAST_BATCH, BATCH_BYTES // 2 if sources == 1 else BATCH_BYTES // 4 // max(1, sources))
    return Pace(batch, min(PIECE, batch), PARSERS if sources == 1 else 1, TURN)


def streams_of(settings: Config, folder: Path, lake: Lake, say: Say = lambda _, __: None) -> tuple[Stream, ...]:
    """What is to be followed. folder: where relative paths of the configuration begin. Raises WrongUse.

    say: told of a source's name and what there is to know of the log that it reads.
    """
    pace = pace_of(len(settings.collect.squid))
    return tuple(
        _stream(name, source, settings, folder, lake, pace, say) for name, source in settings.collect.squid.items()
    )


def local_streams(paths: Sequence[str], format_name: str, firewall: str | None) -> tuple[Stream, ...]:
    """Paths that were named on the command line."""
    pace = pace_of(len(paths))
    return tuple(
        Stream(path, "proxy", path, partial(_named, path, format_name, firewall, pace)) for path in dict.fromkeys(paths)
    )


@contextmanager
def _named(path: str, format_name: str, firewall: str | None, pace: Pace) -> Iterator[Opened]:
    yield Following(local_logs(path, follow=True, origin=firewall), format_name, firewall, pace)


def _stream(name: str, source: SquidSource, settings: Config, folder: Path, lake: Lake, pace: Pace, say: Say) -> Stream:
    if source.firewall is not None:
        if source.firewall not in settings.firewalls:
            raise WrongUse(
                f"collect.squid.{name}.firewall: there is no firewall {source.firewall!r}",
                f"one of: {', '.join(settings.firewalls) or 'none is configured'}",
            )
        place = f"firewall {source.firewall}"
        choice = Choice(name, lake, say)
        enter = partial(_firewall, name, source, settings, folder, lake, pace, choice)
        return Stream(name, "proxy", place, enter)
    if source.path is not None:
        path = folder / source.path.expanduser()
        return Stream(name, "proxy", str(path), lambda: _path(name, source, path, lake, pace))
    return Stream(name, "proxy", str(source.listen), lambda: _port(name, source, folder, lake, pace))


@contextmanager
def _path(name: str, source: SquidSource, path: Path, lake: Lake, pace: Pace) -> Iterator[Opened]:
    logs = local_logs(path, follow=True, origin=name)
    yield Following(logs, source.format, name, pace, seen=_seen(lake, name, source.format))


def _seen(lake: Lake, name: str, format_name: str) -> Seen:
    return Seen(lake.folder, name, f"{__version__} {format_name}")


@contextmanager
def _firewall(
    name: str, source: SquidSource, settings: Config, folder: Path, lake: Lake, pace: Pace, choice: Choice
) -> Iterator[Opened]:
    firewall = str(source.firewall)

    def enter() -> AbstractContextManager[Pfsense]:
        return enter_firewall(firewall, settings.firewalls[firewall], folder)

    path, format_name = source.log, source.format
    if path is None or format_name == "auto":
        with enter() as pfsense:
            path, format_name = choice.of(_squid_conf(pfsense), path, format_name, firewall)
    with LogReader(enter) as reader:
        yield Following(RemoteLogs(name, path, reader), format_name, name, pace, seen=_seen(lake, name, format_name))


def _squid_conf(pfsense: Pfsense) -> str:
    conf = inspect(pfsense, Asked(manager=False)).squid.conf
    return conf.content.decode("utf-8", "replace") if conf and conf.content else ""


@contextmanager
def _port(name: str, source: SquidSource, folder: Path, lake: Lake, pace: Pace) -> Iterator[Opened]:
    spool = lake.folder / SPOOLS / name
    files: dict[str, Any] = {
        key: folder / value.expanduser()
        for key, value in (("certificate", source.certificate), ("key", source.key), ("client_ca", source.client_ca))
        if value is not None
    }
    receiver = Receiver(str(source.listen), spool, source.spool * 1_000_000, **files, allow=source.allow)
    receiver.start()
    try:
        # A lake without room is no reason to refuse senders: the port stays open, and the spool takes their lines.
        yield Receiving(
            receiver.logs(name),
            source.format,
            name,
            pace,
            after=lambda known: _clear(receiver, known),
            lasts=lambda: receiver.stats().running,
            receiver=receiver,
        )
    finally:
        receiver.stop()


def _clear(receiver: Receiver, known: Mapping[str, Position]) -> None:
    receiver.done(known.values())
