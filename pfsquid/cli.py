"""The command line: words → calls. No logic and no printing here; what is slow to import is imported when used."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from pfsquid import (
    __version__,
    cli_aws,
    cli_directory,
    cli_entra,
    cli_firewall,
    cli_keytab,
    cli_lake,
    cli_query,
    cli_run,
    cli_verify,
    views,
)
from pfsquid.cli_options import ConfigOption, DebugOption, JsonOption, LakeOption, debug_wanted
from pfsquid.errors import ExitCode, PfsquidError, WrongUse
from pfsquid.views import Format

if TYPE_CHECKING:
    from pfsquid.config import Config
    from pfsquid.lake.catalog import Lake
    from pfsquid.lake.collect import Report

# typer carries a click of its own in newer versions; the class of its usage errors is found by its name.
_ClickError: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


class _InterruptedError(Exception):
    """Ctrl-C, by a name that typer does not know."""


class _ReaderGoneError(Exception):
    """A closed pipe (`| head`), by a name that typer does not know."""


class _Commands(TyperGroup):
    """typer ends the process by itself on these two, without a word and with other statuses than ours."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise _InterruptedError from None
        except BrokenPipeError:
            raise _ReaderGoneError from None


app = typer.Typer(
    name="pfsquid",
    cls=_Commands,
    help="Kerberos single sign-on for Squid on pfSense, complete logs, and the shadow-IT answer that joins them.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
collect = typer.Typer(help="Bring rows into the lake, each exactly once.", no_args_is_help=True)
app.add_typer(collect, name="collect")
app.add_typer(cli_keytab.keytab, name="keytab")
app.add_typer(cli_run.service, name="service")
app.add_typer(cli_lake.lake, name="lake")
app.add_typer(cli_entra.entra, name="entra")
app.add_typer(cli_aws.aws, name="aws")


app.command()(cli_firewall.configure)
app.command()(cli_firewall.rollback)
app.command()(cli_firewall.init)
app.command()(cli_verify.verify_kerberos)
app.command()(cli_verify.explain)
app.command()(cli_run.run)
app.command()(cli_run.status)
app.command()(cli_query.query)
collect.command("directory")(cli_directory.collect_directory)


FromOption = Annotated[
    list[Path] | None,
    typer.Option("--from", help="A file to read; once more for each further one.", show_default=False),
]
FilesArgument = Annotated[
    list[Path] | None, typer.Argument(help="Further files to read (from a pattern).", show_default=False)
]


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False) -> None:
    if version:
        views.tell(_screen(), f"pfsquid {__version__}")
        raise typer.Exit


@collect.command("squid")
def collect_squid(
    from_: FromOption = None,
    files: FilesArgument = None,
    format: Annotated[
        str, typer.Option("--format", help="The log's format: a name (squid, combined …), a logformat line, or auto.")
    ] = "squid",
    firewall: Annotated[str | None, typer.Option("--firewall", help="Name of the firewall that wrote it.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until Ctrl-C, and show how far it is.")] = False,
    lake: LakeOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
    _: DebugOption = False,
) -> None:
    """Read Squid's access logs into the table proxy: files (also packed), folders, patterns, - for standard input.

    Without a file, the sources of the configuration. A second run reads only what is new.
    """
    from pfsquid.lake.collect import collect_squid as run

    screen = _screen()
    paths = [*(from_ or []), *(files or [])]
    if follow or not paths:
        named = (paths, format, firewall) if paths else None
        cli_run.collect_live(screen, config, lake, json, follow, named)
    _reported(screen, json, run(_lake(lake, config, make=True), paths, format, firewall, _progress(screen)))


@collect.command("entra")
def collect_entra(
    from_: FromOption = None,
    files: FilesArgument = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until Ctrl-C, and show how far it is.")] = False,
    once: Annotated[bool, typer.Option("--once", help="All that is to be read now, as without --follow.")] = False,
    lake: LakeOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
    _: DebugOption = False,
) -> None:
    """Read sign-ins, audits, users and service principals of the configured tenants of Entra ID from Microsoft Graph.

    With files: the sign-ins and audits in them, as exported from the portal, Azure Monitor or Graph.
    """
    from pfsquid.lake.collect import collect_entra as run

    screen = _screen()
    paths = [*(from_ or []), *(files or [])]
    if follow and (once or paths):
        raise WrongUse("--follow goes with neither --once nor files", "pfsquid collect entra --follow")
    if not paths:
        cli_entra.collect_graph(screen, config, lake, json, follow)
    _reported(screen, json, run(_lake(lake, config, make=True), paths, _progress(screen)))


@app.command()
def demo(
    lake: Annotated[
        str | None, typer.Option("--lake", help="Keep the demo's lake in this folder, or s3://….", show_default=False)
    ] = None,
    _: DebugOption = False,
) -> None:
    """Show the main job on a recorded proxy log and sign-ins: no network, no root, under a minute."""
    from pfsquid.demo import run

    run(_screen(), lake)


def main(arguments: list[str] | None = None) -> None:
    """Run `pfsquid` and leave the process with an exit status of `ExitCode`."""
    words = sys.argv[1:] if arguments is None else arguments
    screen = _screen()
    logging.getLogger("pyiceberg").setLevel(logging.ERROR)  # its warnings are for programmers; errors reach us as such
    try:
        status = typer.main.get_command(app).main(words, prog_name="pfsquid", standalone_mode=False)
        code = int(status) if isinstance(status, int) else ExitCode.DONE
        with views.written(screen):
            pass
    except _ClickError as exc:
        exc.show(file=screen.err)
        code = ExitCode.WRONG_USE
    except (_InterruptedError, typer.Abort, KeyboardInterrupt):
        views.say(screen, "pfsquid: interrupted; what was committed is kept, and the same command goes on from there")
        code = ExitCode.INTERRUPTED
    except PfsquidError as exc:
        views.error(screen, exc, debug_wanted())
        code = exc.exit_code
    except (_ReaderGoneError, BrokenPipeError):
        code = ExitCode.DONE  # it has seen enough
    except Exception as exc:  # noqa: BLE001 - the last stop before the user
        views.error(screen, exc, debug_wanted())
        code = ExitCode.FAILED
    try:
        screen.out.flush()
    except OSError:  # said already; Python would say so once more at exit, and change the status
        os.dup2(os.open(os.devnull, os.O_WRONLY), screen.out.fileno())
    sys.exit(int(code))


def _screen() -> views.Screen:
    return views.standard_screen(dict(os.environ))


def _settings(config: Path | None) -> Config:
    from pfsquid.config import find, load

    return load(find(config, os.environ))


def _lake(lake: str | None, config: Path | None, make: bool) -> Lake:
    return _open(lake, _settings(config), make)


def _open(lake: str | None, settings: Config, make: bool) -> Lake:
    from pfsquid.config import lake_place
    from pfsquid.lake.catalog import open_lake

    return open_lake(lake_place(lake, settings, os.environ), make)


def _progress(screen: views.Screen) -> Callable[..., None]:
    return lambda path, done: views.progress(screen, f"{path.name}: {done.rows:,} rows, {done.rejects:,} rejects")


def _reported(screen: views.Screen, json: bool, reports: list[Report]) -> None:
    from pfsquid.lake.collect import exit_code

    views.progress(screen, "")
    columns = ("file", "rows", "rejects", "replaced", "unchanged")
    rows = [(str(r.path), r.done.rows, r.done.rejects, r.done.replaced, r.done.unchanged) for r in reports]
    notes = [note for report in reports for note in report.notes()]
    views.show(screen, columns, rows, Format.JSON if json else Format.TABLE, notes=notes)
    for report in reports:
        if report.problem:
            views.error(screen, report.problem, debug_wanted())
    raise typer.Exit(int(exit_code(reports)))
