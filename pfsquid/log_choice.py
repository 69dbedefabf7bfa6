"""Which of a firewall's access logs is read where the configuration does not say so.

The log that was read before, as long as Squid writes it: after `pfsquid configure`, or a restart of anything, another
log would bring the same requests once more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from collectors.batch import Position
from collectors.squid.access_conf import logs_in
from pfsquid.errors import PfsquidError
from pfsquid.lake.catalog import Lake, explained
from pfsquid.lake.ingest import positions

_OURS = re.compile(r"/pfsquid\.log$")

Say = Callable[[str, str], None]  # a source's name, and what there is to know of what it reads


@dataclass(frozen=True)
class Chosen:
    """A log's path and its logformat. remark: what people should know of the choice, or ''."""

    path: str
    format: str
    remark: str = ""


@dataclass
class Choice:
    """The choice of one source, made at each connection; the last one is known from here, or else from the lake."""

    name: str
    lake: Lake
    say: Say
    _before: str = ""
    _said: set[str] = field(default_factory=set)

    def of(self, squid_conf: str, path: str | None, format_name: str, firewall: str) -> tuple[str, str]:
        """As `chosen_log`; a remark is said once."""
        before = self._before
        if path is None and not before:
            with explained(self.lake):
                before = read_last(positions(self.lake, "proxy"), self.name)
        chosen = chosen_log(squid_conf, path, format_name, firewall, before)
        if path is None:
            self._before = chosen.path
        if chosen.remark and chosen.remark not in self._said:
            self._said.add(chosen.remark)
            self.say(self.name, chosen.remark)
        return chosen.path, chosen.format


def read_last(known: Mapping[str, Position], origin: str) -> str:
    """The file name of the log of which an origin's rows came last, without its path; '' where there are none."""
    theirs = [source for source, position in known.items() if position.origin == origin]
    newest = max(theirs, key=lambda source: known[source].read_at, default="")
    return newest.removeprefix(f"{origin}/").rpartition("#")[0]


def chosen_log(squid_conf: str, path: str | None, format_name: str, firewall: str, before: str = "") -> Chosen:
    """Which log, in which logformat: as asked for, else the one of `before`, else pfsquid's own, else the first that
    Squid writes to a file.

    before: the path or the file name of the log that was read, or ''. Raises PfsquidError where there is none. Pure.
    """
    logs = logs_in(squid_conf)
    remark = ""
    if path is None:
        if not logs:
            raise PfsquidError(
                f"{firewall}: Squid's configuration writes no access log to a file",
                "pfsquid configure    # adds pfsquid's own log",
                f"collect.squid.*.log: /var/squid/logs/access.log    # in pfsquid.yaml, for {firewall}",
            )
        paths = [one for one, _ in logs]
        ours = [one for one in paths if _OURS.search(one)]
        same = [one for one in paths if before and before in (one, one.rpartition("/")[2])]
        path = (same or ours or paths)[0]
        if before and not same:
            remark = f"Squid writes no {before} any more: {path} is read from now on; what both hold counts twice"
        elif before and ours and path not in ours:
            remark = f"goes on with {path}, as before, though Squid writes {ours[0]}, too: name it with log: to change"
    found = dict(logs).get(path)
    return Chosen(path, found if format_name == "auto" and found else format_name, remark)
