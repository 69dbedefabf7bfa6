"""The command line of Entra ID: `collect entra` of the configured tenants, `entra check`. Words → calls, like `cli`."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pfsquid import view_live, views
from pfsquid.cli_options import ConfigOption, DebugOption, JsonOption, LakeOption
from pfsquid.errors import ExitCode, WrongUse
from pfsquid.frugal import be_frugal
from pfsquid.views import Format

if TYPE_CHECKING:
    from pfsquid.config import Config
    from pfsquid.lake.catalog import Lake
    from pfsquid.lake.state import State

entra = typer.Typer(help="What can be read of Entra ID.", no_args_is_help=True)


@entra.command()
def check(
    name: Annotated[
        str | None, typer.Argument(help="A tenant of the configuration; without one, all.", show_default=False)
    ] = None,
    config: ConfigOption = None,
    lake: LakeOption = None,
    json: JsonOption = False,
    _: DebugOption = False,
) -> None:
    """Ask for one record of each stream, and say what works, what is missing and how to grant it."""
    from collectors.entra.probe import probe
    from collectors.entra.streams import DIRECTORY_STREAMS, STREAMS
    from pfsquid.config import lake_place
    from pfsquid.entra import tenants_of

    screen = views.standard_screen(dict(os.environ))
    settings, folder = _settings(config)
    if not settings.collect.entra:
        raise WrongUse("the configuration names no tenant", "see collect: entra: in configs/example.yaml")
    whole = lake_place(lake, settings, os.environ).folder
    rows = []
    cures: dict[tuple[str, str], list[str]] = {}  # of a tenant, with the streams that each would help
    for tenant in tenants_of(settings, folder, whole if whole.is_dir() else None, [name] if name else []):
        wanted = [STREAMS.get(one) or DIRECTORY_STREAMS[one] for one in dict.fromkeys(tenant.settings.streams)]
        for one in probe(tenant.graph(), wanted, datetime.now(UTC)):
            rows.append((tenant.name, one.stream, "works" if one.works else "does not", one.detail))
            for cure in one.cures:
                cures.setdefault((tenant.name, cure), []).append(one.stream)
    notes = [f"{tenant}, {', '.join(streams)}: {cure}" for (tenant, cure), streams in cures.items()]
    columns = ("tenant", "stream", "works", "detail")
    views.show(screen, columns, rows, Format.JSON if json else Format.TABLE, notes=notes)
    raise typer.Exit(ExitCode.DONE if all(row[2] == "works" for row in rows) else ExitCode.FOUND)


def collect_graph(screen: views.Screen, config: Path | None, lake: str | None, json: bool, follow: bool) -> None:
    """`collect entra` of the configured tenants: all that is to be read now, or on and on until Ctrl-C."""
    be_frugal()
    from pfsquid.config import lake_place
    from pfsquid.entra import reached, run_once, sources_of
    from pfsquid.lake.catalog import open_lake
    from pfsquid.service import Plan, Service

    settings, folder = _settings(config)
    if not settings.collect.entra:
        raise WrongUse(
            "which file? Name one with --from, or a tenant in the configuration (collect: entra:)",
            "pfsquid collect entra --from signins.json",
            "see collect: entra: in configs/example.yaml, and docs/entra.md",
        )
    whole = open_lake(lake_place(lake, settings, os.environ), make=True)
    sources = sources_of(settings, folder, whole.folder)
    line = view_live.Follow(screen)

    def tidy(of: Lake) -> str:
        """What a long round makes many of: snapshots. The rest is for `pfsquid run` and `pfsquid lake compact`."""
        from pfsquid.lake.expire import expire

        with of.caring():
            gone = [expire(of, name, settings.care.expire, datetime.now(UTC)) for name in ("signins", "audits")]
        return ", ".join(f"{one.table}: expire {len(one.snapshots)}" for one in gone if one)

    if follow:
        plan = Plan(whole, sources, settings.collect.flush, settings.collect.alarm, tidy, settings.care.every, False)
        ended = Service(lambda: plan, view_live.logger(screen), dict(os.environ), line).run()
        views.progress(screen, "")
        _leave(ended, ExitCode.INTERRUPTED)
    with _asked_to_end() as stop:
        states, ended = run_once(whole, sources, stop, line.update, tidy)
    views.progress(screen, "")
    _told(screen, json, whole, settings, states)
    failed = any(one.error for one in states)
    missing = any(one.not_given for one in reached(whole, settings))
    code = ExitCode.FAILED if failed else ExitCode.FOUND if missing else ExitCode.DONE
    _leave(ended, ExitCode.INTERRUPTED if stop.is_set() else code)


@contextmanager
def _asked_to_end() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set; the second of them ends the process at once."""
    stop = threading.Event()
    numbers: list[int] = []  # plain, since a handler of a signal must take no lock

    def note(number: int, _: object) -> None:
        if numbers:
            os._exit(128 + number)
        numbers.append(number)
        threading.Thread(target=stop.set, daemon=True).start()

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _told(screen: views.Screen, json: bool, lake: Lake, settings: Config, states: list[State]) -> None:
    """What came of a round, stream by stream, and how far each is complete."""
    from pfsquid.entra import reached

    known = {one.name: one for one in reached(lake, settings)}
    rows, notes = [], []
    for state in states:
        one = known.get(state.name)
        reach = (one.complete_from, one.complete_to, len(one.missing)) if one else (None, None, None)
        rows.append((state.name, state.rows, state.rejects, *reach, state.error or None))
        notes += [f"{state.name}: {gap}" for gap in (one.missing[:5] if one else ())]
    columns = ("source", "rows", "rejects", "complete_from", "complete_to", "gaps", "error")
    views.show(screen, columns, rows, Format.JSON if json else Format.TABLE, notes=notes)


def _settings(config: Path | None) -> tuple[Config, Path]:
    from pfsquid.config import configured

    return configured(config, os.environ)


def _leave(ended: bool, code: ExitCode) -> None:
    """End the process; at once where a thread still waits for an answer, which would hold it up."""
    if not ended:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    raise typer.Exit(code)
