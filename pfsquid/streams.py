"""The sources of a configuration, ready to be followed: a firewall over SSH, a path on this machine, a port."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collectors.batch import Batch, Position
from collectors.squid.access_conf import logs_in
from collectors.squid.collector import collect_logs
from collectors.squid.logs import Logs
from collectors.squid.places import local_logs
from collectors.squid.receiver import Receiver
from collectors.squid.remote import RemoteLogs
from pfsquid.config import Config
from pfsquid.errors import PfsquidError, WrongUse
from pfsquid.firewall.configure import enter_firewall
from pfsquid.firewall.inspect import Asked, inspect
from pfsquid.firewall.pfsense import Pfsense
from pfsquid.firewall.remote_log import LogReader
from pfsquid.lake.catalog import Lake
from pfsquid.lake.live import Opened, Stream
from pfsquid.settings import SquidSource

SPOOLS = ".spool"
_OURS = re.compile(r"/pfsquid\.log$")


@dataclass
class Following:
    """Logs of one place, in a format. after: told of the lake's positions before each round, after the last commit."""

    logs: Logs
    format: str
    name: str
    after: Callable[[Mapping[str, Position]], None] | None = None
    _known: Mapping[str, Position] | None = None

    def round(self, known: Mapping[str, Position]) -> Iterator[Batch]:
        """See Opened."""
        if self.after:
            self.after(known)
        reached = dict(known)
        self._known = reached
        for batch in collect_logs(self.logs, self.format, known, self.name):
            reached[batch.source] = batch.position
            yield batch

    def remaining(self) -> int | None:
        """See Opened."""
        return None if self._known is None else self.logs.remaining(self._known)


def streams_of(settings: Config, folder: Path, lake: Lake) -> tuple[Stream, ...]:
    """What is to be followed. folder: where relative paths of the configuration begin. Raises WrongUse."""
    return tuple(_stream(name, source, settings, folder, lake) for name, source in settings.collect.squid.items())


def local_stream(path: str, format_name: str, firewall: str | None) -> Stream:
    """A path that was named on the command line."""

    @contextmanager
    def open_path() -> Iterator[Opened]:
        yield Following(local_logs(path, follow=True, origin=firewall), format_name, firewall or "")

    return Stream(firewall or Path(path).name or "log", "proxy", path, open_path)


def _stream(name: str, source: SquidSource, settings: Config, folder: Path, lake: Lake) -> Stream:
    if source.firewall is not None:
        if source.firewall not in settings.firewalls:
            raise WrongUse(
                f"collect.squid.{name}.firewall: there is no firewall {source.firewall!r}",
                f"one of: {', '.join(settings.firewalls) or 'none is configured'}",
            )
        return Stream(name, "proxy", f"firewall {source.firewall}", lambda: _firewall(name, source, settings, folder))
    if source.path is not None:
        path = folder / source.path.expanduser()
        return Stream(name, "proxy", str(path), lambda: _path(name, source, path))
    return Stream(name, "proxy", str(source.listen), lambda: _port(name, source, folder, lake))


@contextmanager
def _path(name: str, source: SquidSource, path: Path) -> Iterator[Opened]:
    yield Following(local_logs(path, follow=True, origin=name), source.format, name)


@contextmanager
def _firewall(name: str, source: SquidSource, settings: Config, folder: Path) -> Iterator[Opened]:
    firewall = str(source.firewall)

    def enter() -> AbstractContextManager[Pfsense]:
        return enter_firewall(firewall, settings.firewalls[firewall], folder)

    path, format_name = source.log, source.format
    if path is None or format_name == "auto":
        with enter() as pfsense:
            path, format_name = chosen_log(_squid_conf(pfsense), path, format_name, firewall)
    with LogReader(enter) as reader:
        yield Following(RemoteLogs(name, path, reader), format_name, name)


def chosen_log(squid_conf: str, path: str | None, format_name: str, firewall: str) -> tuple[str, str]:
    """Which log, in which logformat: as asked for, else pfsquid's own, else the first that Squid writes to a file.

    Raises PfsquidError where Squid writes none. Pure.
    """
    logs = logs_in(squid_conf)
    if path is None:
        ours = [one for one in logs if _OURS.search(one[0])]
        if not logs:
            raise PfsquidError(
                f"{firewall}: Squid's configuration writes no access log to a file",
                "pfsquid configure    # adds pfsquid's own log",
                f"collect.squid.*.log: /var/squid/logs/access.log    # in pfsquid.yaml, for {firewall}",
            )
        path = (ours or list(logs))[0][0]
    found = dict(logs).get(path)
    return path, found if format_name == "auto" and found else format_name


def _squid_conf(pfsense: Pfsense) -> str:
    conf = inspect(pfsense, Asked(manager=False)).squid.conf
    return conf.content.decode("utf-8", "replace") if conf and conf.content else ""


@contextmanager
def _port(name: str, source: SquidSource, folder: Path, lake: Lake) -> Iterator[Opened]:
    spool = lake.folder / SPOOLS / name
    files: dict[str, Any] = {
        key: folder / value.expanduser()
        for key, value in (("certificate", source.certificate), ("key", source.key), ("client_ca", source.client_ca))
        if value is not None
    }
    receiver = Receiver(str(source.listen), spool, **files)
    receiver.start()
    try:
        yield Following(
            local_logs(spool, follow=True, origin=name), source.format, name, lambda known: _clear(receiver, known)
        )
    finally:
        receiver.stop()


def _clear(receiver: Receiver, known: Mapping[str, Position]) -> None:
    receiver.done(known.values())
