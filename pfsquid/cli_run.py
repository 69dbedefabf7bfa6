"""The command line of the service: run, status, service install|uninstall|status. Words → calls, like `cli`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    from pfsquid.lake.windows import Reached
    from pfsquid.place import Place

UnitDirOption = Annotated[Path, typer.Option("--unit-dir", help="Where systemd looks for units.")]
service = typer.Typer(help="Put `pfsquid run` into systemd's hands.", no_args_is_help=True)
SYSTEM_UNITS = Path("/etc/systemd/system")
STATUS_COLUMNS = (
    "source", "state", "lag_bytes", "lag_seconds", "rows", "rejects", "newest", "last_data", "error", "last_error",
    "error_at", "log", "offset", "receiver", "complete_from", "complete_to", "gaps", "next_read",
)  # fmt: skip


def run(
    config: ConfigOption = None,
    lake: LakeOption = None,
    _: DebugOption = False,
) -> None:
    """Collect from all sources of the configuration, and keep the lake tidy, until a signal ends it."""
    be_frugal()
    from pfsquid.lake.catalog import alone
    from pfsquid.metrics import served
    from pfsquid.publishing import tending
    from pfsquid.service import Plan, Service, Source
    from pfsquid.streams import streams_of

    screen = views.standard_screen(dict(os.environ))
    settings, _folder = _settings(config)
    whole = _lake(lake, settings, make=True)
    log = view_live.logger(screen)

    def load() -> Plan:
        settings, folder = _settings(config)
        if not settings.collect.anything:
            raise WrongUse(
                "the configuration names nothing to collect from",
                "collect: {squid: {NAME: {firewall: FIREWALL}}}    # in pfsquid.yaml; see configs/example.yaml",
            )
        if _place(lake, settings) != whole.place:
            raise WrongUse("the lake is another one now, which takes a new start", "systemctl restart pfsquid")
        streams: tuple[Source, ...] = streams_of(
            settings, folder, whole, lambda name, text: log("warning", text, source=name)
        )
        if settings.collect.entra:
            from pfsquid.entra import sources_of

            streams += sources_of(settings, folder, whole.folder)
        collect, care = settings.collect, settings.care
        return Plan(whole, streams, collect.flush, collect.alarm, tending(config), care.every)

    with alone(whole), served(settings.collect.metrics) as metrics:
        ended = Service(load, log, dict(os.environ), metrics).run()
    _leave(ended, ExitCode.DONE)


def status(
    config: ConfigOption = None,
    lake: LakeOption = None,
    json: JsonOption = False,
    _: DebugOption = False,
) -> None:
    """Say how far each source is read: lag, rows, rejects, the last error, and since when there was no data."""
    from pfsquid.lake import status as states
    from pfsquid.lake.state import NEVER, OK

    screen = views.standard_screen(dict(os.environ))
    settings, _folder = _settings(config)
    opened = _lake(lake, settings, make=False)
    known, reached = states.read(opened.folder), {one.name: one for one in _reached(opened, settings)}
    entra = [f"{tenant}:{stream}" for tenant, one in settings.collect.entra.items() for stream in one.streams]
    names = [*settings.collect.squid, *entra] or list(known)
    if not names:
        raise WrongUse(
            "nothing is configured to be collected, and nothing ever was", "see collect: in configs/example.yaml"
        )
    now, alarm = time.time(), settings.collect.alarm
    kinds = {name: known[name].kind(now, alarm) if name in known else NEVER for name in names}
    kinds |= {name: OK for name in entra if kinds[name] == NEVER and _is_fresh(name, reached, now, alarm)}
    rows = [_row(name, kinds[name], known.get(name), now, reached.get(name)) for name in names]
    notes = [f"{name}: {_advice(kind, known.get(name))}" for name, kind in kinds.items() if kind != OK]
    notes += [f"{name}: {loss}" for name in names if name in known for loss in _losses(known[name], now, alarm)]
    notes += [f"{name}: {gap}" for name, one in reached.items() for gap in one.not_given[:5]]
    leaving = [(name, gap) for name, one in reached.items() for gap in one.leaving[:5]]
    notes += [f"{name}: {gap}; gone from Graph within a day: pfsquid collect entra" for name, gap in leaving]
    told = [at for at in range(len(STATUS_COLUMNS)) if json or any(row[at] is not None for row in rows)]
    columns, rows = [STATUS_COLUMNS[at] for at in told], [tuple(row[at] for at in told) for row in rows]
    views.show(screen, columns, rows, Format.JSON if json else Format.TABLE, notes=notes)
    raise typer.Exit(ExitCode.FOUND if notes else ExitCode.DONE)


def collect_live(
    screen: views.Screen,
    config: Path | None,
    lake: str | None,
    json: bool,
    follow: bool,
    paths: tuple[list[Path], str, str | None] | None,
) -> None:
    """`collect squid` of the configured sources, or with `--follow` of paths: once, or until Ctrl-C.

    paths: those named, their format and firewall; None for the configuration's sources.
    """
    be_frugal()
    from pfsquid.lake.live import once
    from pfsquid.service import Plan, Service
    from pfsquid.streams import local_streams, streams_of

    settings, folder = _settings(config)
    if paths is None and not settings.collect.squid:
        raise WrongUse(
            "which file? Name one with --from, or sources in the configuration (collect:)",
            "pfsquid collect squid --from /var/squid/logs/access.log",
        )
    whole = _lake(lake, settings, make=True)
    if paths is None:
        streams = streams_of(settings, folder, whole, lambda name, text: views.say(screen, f"note: {name}: {text}"))
    else:
        streams = local_streams([str(path) for path in paths[0]], paths[1], paths[2])
    if not follow:
        states = [once(whole, stream) for stream in streams]
        columns = ("source", "rows", "rejects", "error")
        rows = [(one.name, one.rows, one.rejects, one.error or None) for one in states]
        views.show(screen, columns, rows, Format.JSON if json else Format.TABLE)
        raise typer.Exit(ExitCode.FAILED if any(one.error for one in states) else ExitCode.DONE)
    plan = Plan(whole, streams, settings.collect.flush, settings.collect.alarm, states=False)
    ended = Service(lambda: plan, view_live.logger(screen), dict(os.environ), view_live.Follow(screen)).run()
    views.progress(screen, "")
    _leave(ended, ExitCode.INTERRUPTED)


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
    from pfsquid.systemd import Unit, check_rights, own_program, user_named
    from pfsquid.systemd import install as put

    path = find(config, os.environ)
    if path is None:
        raise WrongUse("there is no configuration to run with", "pfsquid init --host FIREWALL", "--config FILE")
    settings, _folder = _settings(config)
    account, place = user_named(user), _place(lake, settings)
    if not settings.collect.anything:
        raise WrongUse("the configuration names nothing to collect from", "see collect: in configs/example.yaml")
    ports = [int(one.listen.rpartition(":")[2]) for one in settings.collect.squid.values() if one.listen]
    low = any(port < 1024 for port in ports)
    writes = (place.catalog_file.parent,) if place.catalog_file else ()
    unit = Unit(own_program(), user, path.absolute(), place.folder, low, place.url, writes)
    unit.text(templates())
    for folder in (place.folder, *writes):
        if not folder.exists():
            folder.mkdir(parents=True)
            if os.geteuid() == 0:
                os.chown(folder, account.pw_uid, account.pw_gid)
    check_rights(unit, account)
    _told(put(unit, unit_dir, templates()))


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


def _reached(lake: Lake, settings: Config) -> list[Reached]:
    if not settings.collect.entra:
        return []
    from pfsquid.entra import reached

    return reached(lake, settings)


def _is_fresh(name: str, reached: dict[str, Reached], now: float, alarm: float) -> bool:
    """Is a stream read now and then without `pfsquid run`, such as from cron? Listings go with the other streams."""
    same = [reached[name]] if name in reached else reached.values()
    ends = [one.complete_to for one in same if one.complete_to]
    return any(now - end.timestamp() < alarm + 3600 for end in ends)


def _row(name: str, kind: str, state: State | None, now: float, reach: Reached | None) -> tuple[Any, ...]:
    gaps = "; ".join(map(str, reach.missing[:5])) or None if reach else None
    read = (reach.complete_from, reach.complete_to, gaps, reach.next_read) if reach else (None,) * 4
    if state is None:
        return (name, kind, *[None] * (len(STATUS_COLUMNS) - 6), *read)
    return (
        name, kind, state.lag_bytes, round(state.lag_at(now), 1), state.rows, state.rejects, _time(state.newest),
        _time(state.last_data), state.error or None, state.last_error or None, _time(state.error_at),
        state.source or None, state.offset, state.received, *read,
    )  # fmt: skip


def _advice(kind: str, state: State | None) -> str:
    """What to make of a state that needs a look."""
    from pfsquid.lake import state as known

    if kind == known.FAILING and state:
        return f"{state.error} ({state.failures} times in a row; it is tried again at least once a minute)"
    if kind == known.SILENT and state:
        since = _time(state.last_data)
        return f"no data since {since:%Y-%m-%d %H:%M:%S} UTC" if since else "no data since it was started"
    return {
        known.NEVER: "no `pfsquid run` knows of it yet: start it, or reload it (systemctl reload pfsquid)",
        known.STOPPED: "no `pfsquid run` is at work: systemctl status pfsquid; journalctl -u pfsquid",
        known.HANGING: "no sign of life: a disk or network that does not answer? systemctl restart pfsquid",
    }.get(kind, kind)


def _losses(state: State, now: float, alarm: float) -> Iterator[str]:
    """What a receiver cannot keep, now or within the time that `alarm` is long."""
    counts = state.received or {}
    if counts.get("full"):
        size = views.human_bytes(counts["spool_bytes"])
        yield f"the spool is full ({size}), and no sender is read: df -h; journalctl -u pfsquid; raise spool: in MB"
    if state.losing is not None and now - state.losing <= alarm:
        gone = f"{counts.get('dropped', 0):,} datagrams were dropped and {counts.get('lost', 0):,} lines lost"
        yield f"{gone} since the port was opened, last at {_time(state.losing):%Y-%m-%d %H:%M:%S} UTC: docs/receiver.md"


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _settings(config: Path | None) -> tuple[Config, Path]:
    from pfsquid.config import configured

    return configured(config, os.environ)


def _place(lake: str | None, settings: Config) -> Place:
    from pfsquid.config import lake_place

    return lake_place(lake, settings, os.environ)


def _lake(lake: str | None, settings: Config, make: bool) -> Lake:
    from pfsquid.lake.catalog import open_lake

    return open_lake(_place(lake, settings), make)


def _leave(ended: bool, code: ExitCode) -> None:
    """End the process; at once where a source still hangs, which would hold it up."""
    if not ended:
        os._exit(code)
    raise typer.Exit(code)
