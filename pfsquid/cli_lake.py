"""`pfsquid lake …`: the care of the lake by hand. Words → calls; what is slow to import is imported when used."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pfsquid import views
from pfsquid.cli_options import ConfigOption, DebugOption, FormatOption, JsonOption, LakeOption
from pfsquid.errors import PfsquidError
from pfsquid.views import Format

if TYPE_CHECKING:
    from pfsquid.lake.care import Deed, Report
    from pfsquid.lake.catalog import Lake
    from pfsquid.settings_care import CareSettings

lake = typer.Typer(help="Keep the lake's files few and sorted, and let go what nobody reads.", no_args_is_help=True)

PlanOption = Annotated[
    bool, typer.Option("--plan", "--dry-run", help="Show what would be done, and change nothing.", show_default=False)
]


@lake.command("compact")
def compact_lake(
    plan: PlanOption = False,
    lake: LakeOption = None,
    config: ConfigOption = None,
    format: FormatOption = Format.TABLE,
    json: JsonOption = False,
    _: DebugOption = False,
) -> None:
    """Merge small files into large sorted ones, a day at a time, and count the rollup usage anew where rows changed."""
    from pfsquid.lake.care import compact, plan_compact

    _cared(plan_compact if plan else None, compact, lake, config, Format.JSON if json else format)


@lake.command("expire")
def expire_lake(
    plan: PlanOption = False,
    lake: LakeOption = None,
    config: ConfigOption = None,
    format: FormatOption = Format.TABLE,
    json: JsonOption = False,
    _: DebugOption = False,
) -> None:
    """Delete days past their retention, earlier states of the tables, and files that nothing names any more."""
    from pfsquid.lake.care import clear, plan_clear

    _cared(plan_clear if plan else None, clear, lake, config, Format.JSON if json else format)


@lake.command("publish")
def publish_meaning(
    lake: LakeOption = None,
    config: ConfigOption = None,
    format: FormatOption = Format.TABLE,
    json: JsonOption = False,
    _: DebugOption = False,
) -> None:
    """Write what hosts, apps and people are as tables of the lake, for Athena and other engines."""
    opened, _settings = _opened(lake, config)
    screen = views.standard_screen(dict(os.environ))
    rows = list(_published(opened, config).items())
    notes = () if rows else ("nothing to do",)
    views.show(screen, ("table", "rows"), rows, Format.JSON if json else format, notes=notes)


@lake.command("care")
def care_for_lake(
    lake: LakeOption = None,
    config: ConfigOption = None,
    format: FormatOption = Format.TABLE,
    json: JsonOption = False,
    _: DebugOption = False,
) -> None:
    """Do what is due, as `pfsquid run` has it done now and then: compact, count, delete, expire, publish."""
    from pfsquid.lake.care import Deed, Report, care
    from pfsquid.lake.published import is_due

    opened, settings = _opened(lake, config)
    screen = views.standard_screen(dict(os.environ))
    now = datetime.now(UTC)
    deeds = list(care(opened, settings, now, _progress(screen)).deeds)
    failed: PfsquidError | None = None
    try:
        if is_due(opened, now):
            deeds += [Deed(name, "publish", rows=rows) for name, rows in _published(opened, config).items()]
    except PfsquidError as exc:
        failed = exc  # what was done before is told first
    _show(screen, Report(tuple(deeds)), Format.JSON if json else format)
    if failed:
        raise failed


def _published(lake: Lake, config: Path | None) -> Mapping[str, int]:
    from pfsquid.cli_query import knowledge_of
    from pfsquid.config import find, load
    from pfsquid.discovery.publish import publish

    return publish(lake, knowledge_of(load(find(config, os.environ))), datetime.now(UTC)).tables


def _cared(
    plan: Callable[[Lake, CareSettings, datetime], Report] | None,
    work: Callable[[Lake, CareSettings, datetime, Callable[[Deed], None]], Report],
    lake: str | None,
    config: Path | None,
    format: Format,
) -> None:
    """Show what `plan` says, or do the work and show what it did."""
    opened, settings = _opened(lake, config)
    screen = views.standard_screen(dict(os.environ))
    now = datetime.now(UTC)
    report = plan(opened, settings, now) if plan else work(opened, settings, now, _progress(screen))
    _show(screen, report, format)


def _opened(lake: str | None, config: Path | None) -> tuple[Lake, CareSettings]:
    from pfsquid.config import find, lake_place, load
    from pfsquid.lake.catalog import open_lake

    settings = load(find(config, os.environ))
    return open_lake(lake_place(lake, settings, os.environ), make=False), settings.care


def _progress(screen: views.Screen) -> Callable[[Deed], None]:
    def told(deed: Deed) -> None:
        views.progress(screen, f"{deed.table} {deed.day or ''}: {deed.deed}")

    return told


def _show(screen: views.Screen, report: Report, format: Format) -> None:
    views.progress(screen, "")
    columns = ("table", "deed", "day", "files", "files_after", "bytes", "rows")
    rows = [(d.table, d.deed, d.day, d.files, d.after, d.size, d.rows) for d in report.deeds]
    notes = () if rows else ("nothing to do",)
    views.show(screen, columns, rows, format, notes=notes)
