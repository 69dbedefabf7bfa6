"""The command line of the service: run, status, service install|uninstall|status. Words → calls, like `cli`."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pfsquid import view_live, views
from pfsquid.cli_options import ConfigOption, DebugOption, JsonOption, LakeOption
from pfsquid.errors import ExitCode, WrongUse
from pfsquid.views import Format

if TYPE_CHECKING:
    from pfsquid.config import Config
    from pfsquid.lake.catalog import Lake
    from pfsquid.lake.live import State

UnitDirOption = Annotated[Path, typer.Option("--unit-dir", help="Where systemd looks for units.")]
service = typer.Typer(help="Put `pfsquid run` into systemd's hands.", no_args_is_help=True)
SYSTEM_UNITS = Path("/etc/systemd/system")


def run(
    config: ConfigOption = None,
    lake: LakeOption = None,
    _: DebugOption = False,
) -> None:
    """Collect from all sources of the configuration, and keep the lake tidy, until a signal ends it."""
    from pfsquid.metrics import served
    from pfsquid.service import Plan, Service
    from pfsquid.streams import streams_of

    screen = views.standard_screen(dict(os.environ))

    def log(level: str, event: str, **fields: Any) -> None:
        view_live.log(screen, level, event, fields)

    def load() -> Plan:
        settings, folder = _settings(config)
        if not settings.collect.squid:
            raise WrongUse(
                "the configuration names nothing to collect from",
                "collect: {squid: {NAME: {firewall: FIREWALL}}}    # in pfsquid.yaml; see configs/example.yaml",
            )
        whole = _lake(lake, settings, make=True)
        streams = streams_of(settings, folder, whole)
        return Plan(whole, streams, settings.collect.flush, settings.collect.alarm, _care(settings))

    settings, _folder = _settings(config)
    with _alone(_lake(lake, settings, make=True)), served(settings.collect.metrics) as metrics:
        Service(load, log, dict(os.environ), metrics).run()


def status(
    config: ConfigOption = None,
    lake: LakeOption = None,
    json: JsonOption = False,
    _: DebugOption = False,
) -> None:
    """Say how far each source is read: lag, rows, rejects, the last error, and since when there was no data."""
    from pfsquid.lake import status as states

    screen = views.standard_screen(dict(os.environ))
    settings, _folder = _settings(config)
    whole = _lake(lake, settings, make=False)
    known = states.read(whole.folder)
    names = list(dict.fromkeys([*settings.collect.squid, *known]))
    now = time.time()
    rows = [_row(name, known.get(name), now, settings.collect.alarm) for name in names]
    columns = (
        "source", "state", "lag_bytes", "lag_seconds", "rows", "rejects", "newest", "no_data_since", "error", "log",
        "offset",
    )  # fmt: skip
    views.show(screen, columns, rows, Format.JSON if json else Format.TABLE)
    bad = [row[0] for row in rows if row[1] in ("failing", "silent", "not running")]
    for name in bad:
        views.say(screen, f"note: {name} needs a look: {next(row[1] for row in rows if row[0] == name)}")
    raise typer.Exit(ExitCode.FOUND if bad else ExitCode.DONE)


def collect_live(
    screen: views.Screen,
    config: Path | None,
    lake: Path | None,
    json: bool,
    follow: bool,
    paths: tuple[list[Path], str, str | None] | None,
) -> None:
    """`collect squid` of the configured sources, or with `--follow` of paths: once, or until Ctrl-C.

    paths: those named, their format and firewall; None for the configuration's sources.
    """
    from pfsquid.lake.live import once
    from pfsquid.service import Plan, Service
    from pfsquid.streams import local_stream, streams_of

    settings, folder = _settings(config)
    whole = _lake(lake, settings, make=True)
    streams = streams_of(settings, folder, whole)
    if paths is not None:
        streams = tuple(local_stream(str(path), paths[1], paths[2]) for path in paths[0])
    if not streams:
        raise WrongUse(
            "which log? Name one with --from, or sources in the configuration (collect:)",
            "pfsquid collect squid --from /var/squid/logs/access.log",
        )
    if not follow:
        states = [once(whole, stream) for stream in streams]
        columns = ("source", "rows", "rejects", "error")
        rows = [(one.name, one.rows, one.rejects, one.error or None) for one in states]
        views.show(screen, columns, rows, Format.JSON if json else Format.TABLE)
        raise typer.Exit(ExitCode.FAILED if any(one.error for one in states) else ExitCode.DONE)
    plan = Plan(whole, streams, settings.collect.flush, settings.collect.alarm)
    shown = view_live.Follow(screen)

    def log(level: str, event: str, **fields: Any) -> None:
        view_live.log(screen, level, event, fields)

    Service(lambda: plan, log, dict(os.environ), shown).run()
    views.progress(screen, "")
    raise typer.Exit(ExitCode.INTERRUPTED)


@service.command()
def install(
    config: ConfigOption = None,
    lake: LakeOption = None,
    user: Annotated[str, typer.Option("--user", help="As whom it runs.")] = "root",
    unit_dir: UnitDirOption = SYSTEM_UNITS,
    _: DebugOption = False,
) -> None:
    """Write the systemd unit, enable it and start it."""
    from pfsquid.config import find
    from pfsquid.resources import templates
    from pfsquid.systemd import Unit, own_program
    from pfsquid.systemd import install as put

    path = find(config, os.environ)
    if path is None:
        raise WrongUse("there is no configuration to run with", "pfsquid init --host FIREWALL", "--config FILE")
    settings, _folder = _settings(config)
    whole = _lake(lake, settings, make=True)
    _told(put(Unit(own_program(), user, path.absolute(), whole.folder), unit_dir, templates()))


@service.command()
def uninstall(unit_dir: UnitDirOption = SYSTEM_UNITS, _: DebugOption = False) -> None:
    """Stop the service and remove its unit. The lake stays."""
    from pfsquid.systemd import uninstall as take_away

    _told(take_away(unit_dir))


@service.command("status")
def service_status(unit_dir: UnitDirOption = SYSTEM_UNITS, _: DebugOption = False) -> None:
    """Say whether the unit is there and runs."""
    from pfsquid.systemd import UNIT, is_active

    screen = views.standard_screen(dict(os.environ))
    there = (unit_dir / UNIT).exists()
    active = is_active() if there else "not installed"
    views.tell(screen, f"{UNIT}: {active}")
    raise typer.Exit(ExitCode.DONE if active == "active" else ExitCode.FOUND)


def _told(lines: tuple[str, ...]) -> None:
    screen = views.standard_screen(dict(os.environ))
    for line in lines:
        views.tell(screen, views.printable(line))


def _row(name: str, state: State | None, now: float, alarm: float) -> tuple[Any, ...]:
    if state is None:
        return (name, "never ran", None, None, 0, 0, None, None, None, None, None)
    running = now - state.written < max(60.0, 3 * alarm) if state.written else False
    kind = "failing" if state.error else "silent" if state.silent_for(now) > alarm else "ok"
    if not running:
        kind = "not running"
    return (
        name, kind, state.lag_bytes, round(now - (state.caught_up or state.started)), state.rows, state.rejects,
        _time(state.newest), _time(state.last_data), state.error or None, state.source or None, state.offset,
    )  # fmt: skip


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _settings(config: Path | None) -> tuple[Config, Path]:
    from pfsquid.config import find, load

    path = find(config, os.environ)
    return load(path), path.absolute().parent if path else Path.cwd()


def _lake(lake: Path | None, settings: Config, make: bool) -> Lake:
    from pfsquid.config import default_lake
    from pfsquid.lake.catalog import open_lake

    return open_lake(lake or settings.lake or default_lake(os.environ), make)


def _alone(lake: Lake) -> Any:
    """One `run` works on a lake at a time: the second says so and stops. Raises PfsquidError."""
    from pfsquid.lake.catalog import alone

    return alone(lake)


def _care(settings: Config) -> Any:
    try:
        from pfsquid.lake.care import tend
    except ImportError:
        return None
    return lambda lake: tend(lake, settings)
