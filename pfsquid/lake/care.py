"""The care of the lake: files stay few and sorted, the rollup exact, what nobody reads goes. One at a time in a lake.

`care` does all of it, as `pfsquid run` does now and then; `compact` and `clear` are the halves that have a command.
Everything is a commit of its own, so that what is killed in between is done by the next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from pfsquid.lake.catalog import Lake, explained
from pfsquid.lake.compact import Merge, merge, merge_manifests, merges
from pfsquid.lake.engine import swept
from pfsquid.lake.expire import delete_outdated, expire, expiry, outdated
from pfsquid.lake.tables import TABLES
from pfsquid.lake.usage import count, to_count
from pfsquid.settings_care import CareSettings

_ROUNDS = 8  # what was merged may be one of many again


@dataclass(frozen=True)
class Deed:
    """What was done, or is to be done, to one table. day: None where it is no matter of days. after: files then; None
    where that is not known before it is done. size: bytes of the files before."""

    table: str
    deed: str
    day: date | None = None
    files: int = 0
    after: int | None = 0
    size: int = 0
    rows: int = 0


@dataclass(frozen=True)
class Report:
    """All deeds, in order. Empty where there was nothing to do."""

    deeds: tuple[Deed, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.deeds)


Progress = Callable[[Deed], None]


def care(lake: Lake, settings: CareSettings, now: datetime, progress: Progress = lambda _: None) -> Report:
    """All that is due: quiet days are compacted and counted, then what is old goes. Quick where nothing is due.

    Raises PfsquidError where another cares for the lake, or a table is held by a collector for more than a minute.
    """
    with lake.caring(), explained(lake):
        swept(lake.folder)
        told = _Told(progress)
        _delete_outdated(lake, settings, now, told)
        _compact(lake, settings, now, False, told)
        _expire(lake, settings, now, told)
        return told.report()


def compact(lake: Lake, settings: CareSettings, now: datetime, progress: Progress = lambda _: None) -> Report:
    """Compact and count now, also the days that are not quiet yet. Raises PfsquidError as `care` does."""
    with lake.caring(), explained(lake):
        swept(lake.folder)
        told = _Told(progress)
        _compact(lake, settings, now, True, told)
        return told.report()


def clear(lake: Lake, settings: CareSettings, now: datetime, progress: Progress = lambda _: None) -> Report:
    """Delete days past their retention, then expire. Raises PfsquidError as `care` does."""
    with lake.caring(), explained(lake):
        told = _Told(progress)
        _delete_outdated(lake, settings, now, told)
        _count(lake, settings, now, False, told)
        _expire(lake, settings, now, told)
        return told.report()


def plan_compact(lake: Lake, settings: CareSettings, now: datetime) -> Report:
    """What `compact` would do. Changes nothing."""
    with explained(lake):
        deeds = [_planned(one) for name in TABLES for one in merges(lake, name, settings.compact, now, True)]
        deeds += [Deed("usage", "count", day, 0, None) for day in to_count(lake, 0, now, everything=True)]
        return Report(tuple(deeds))


def plan_clear(lake: Lake, settings: CareSettings, now: datetime) -> Report:
    """What `clear` would do. Changes nothing."""
    with explained(lake):
        deeds = []
        for name, keep in _retention(settings):
            old = outdated(lake, name, keep, now)
            deeds += [Deed(name, "delete", day) for day in old.days]
        for name in TABLES:
            gone = expiry(lake, name, settings.expire, now)
            if gone:
                deeds.append(Deed(name, "expire", None, len(gone.files), 0, gone.size))
        return Report(tuple(deeds))


class _Told:
    """Deeds, each told as it is done."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._deeds = progress, list[Deed]()

    def add(self, deed: Deed) -> None:
        self._deeds.append(deed)
        self._progress(deed)

    def report(self) -> Report:
        return Report(tuple(self._deeds))


def _planned(one: Merge) -> Deed:
    deed = "sort" if one.whole else "merge"
    return Deed(one.table, deed, one.day, len(one.held.files), None, one.held.size, one.held.rows)


def _compact(lake: Lake, settings: CareSettings, now: datetime, everything: bool, told: _Told) -> None:
    for name in TABLES:
        for _ in range(_ROUNDS):
            wanted = merges(lake, name, settings.compact, now, everything)
            done = [result for one in wanted if (result := _merged(lake, one, settings, told))]
            if not done:
                break
    _count(lake, settings, now, everything, told)
    for name in TABLES:
        if many := merge_manifests(lake, name):
            told.add(Deed(name, "merge manifests", None, many, 1))


def _merged(lake: Lake, one: Merge, settings: CareSettings, told: _Told) -> bool:
    result = merge(lake, one, settings.compact)
    if result is None:
        return False
    deed = "sort" if one.whole else "merge"
    told.add(Deed(one.table, deed, one.day, *result.files, result.size[0], result.rows))
    return True


def _count(lake: Lake, settings: CareSettings, now: datetime, everything: bool, told: _Told) -> None:
    for day in to_count(lake, settings.compact.quiet, now, everything):
        told.add(Deed("usage", "count", day, 0, 1, 0, count(lake, day).rows))


def _retention(settings: CareSettings) -> tuple[tuple[str, float | None], ...]:
    keep = settings.retention
    return (("proxy", keep.proxy), ("signins", keep.signins), ("audits", keep.audits))


def _delete_outdated(lake: Lake, settings: CareSettings, now: datetime, told: _Told) -> None:
    for name, keep in _retention(settings):
        for day in delete_outdated(lake, name, keep, now).days:
            told.add(Deed(name, "delete", day))


def _expire(lake: Lake, settings: CareSettings, now: datetime, told: _Told) -> None:
    for name in TABLES:
        if gone := expire(lake, name, settings.expire, now):
            told.add(Deed(name, "expire", None, len(gone.files), 0, gone.size))
