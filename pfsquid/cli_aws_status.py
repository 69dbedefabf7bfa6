"""The command line of AWS that only asks: status, selftest; and as whom, of which stack. Words → calls, like `cli`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pfsquid import views
from pfsquid.cli_options import ConfigOption, DebugOption, JsonOption
from pfsquid.errors import ExitCode, PfsquidError, WrongUse
from pfsquid.views import Format

if TYPE_CHECKING:
    from pfsquid.aws.stack import Names
    from pfsquid.aws.status import Line
    from pfsquid.cloud import Cloud
    from pfsquid.config import Config

StackOption = Annotated[
    str | None, typer.Option("--stack", help="Name of the stack, if not aws.stack.", show_default=False)
]


def status(
    stack: StackOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
    _: DebugOption = False,
) -> None:
    """Say how the stack is: state, runs of the collector, dead letters, alarms, newest complete windows."""
    from pfsquid.aws import stack as document
    from pfsquid.aws.status import OK, look
    from pfsquid.aws.status import status as ask
    from pfsquid.resources import templates

    screen = screen_here()
    settings, _folder = settings_in(config)
    cloud, names = named(settings, stack)
    lines = ask(cloud, names.stack, lambda given: document.template(templates() / "aws", given), datetime.now(UTC))
    found = look(cloud, names.stack)
    if found and found.outputs.get("LakeUrl"):
        limit = float(found.parameters.get("StaleSeconds") or 21_600)
        lines += _windows(settings, found.outputs["LakeUrl"], limit)
    rows = [(one.what, one.state, one.detail) for one in lines]
    notes = [f"{one.what}: {one.next}" for one in lines if one.next and one.state != OK]
    views.show(screen, ("what", "state", "detail"), rows, Format.JSON if json else Format.TABLE, notes=notes)
    raise typer.Exit(ExitCode.FOUND if any(one.state == "wrong" for one in lines) else ExitCode.DONE)


def selftest(
    stack: StackOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
    _: DebugOption = False,
) -> None:
    """Ask every question of your own Athena and of DuckDB, over the same small lake, and compare. Costs cents."""
    from pfsquid.aws.selftest import selftest as run
    from pfsquid.config import lake_place

    screen = screen_here()
    settings, _folder = settings_in(config)
    cloud, names = named(settings, stack)
    place = lake_place(names.lake, settings, os.environ)
    result = run(cloud, place, names.workgroup, lambda text: views.progress(screen, text))
    views.progress(screen, "")
    columns = ("question", "given", "duckdb", "athena", "difference", "scanned_bytes", "seconds")
    rows = [
        (one.question, one.given, one.duckdb, one.athena, one.difference, one.scanned, round(one.seconds, 1))
        for one in result.checked
    ]
    cost = sum(one.cost for one in result.checked)
    notes = [f"{sum(bool(one.difference) for one in result.checked)} of {len(rows)} differ; about ${cost:.4f}"]
    notes += [f"could not be dropped: {one}" for one in result.left]
    views.show(screen, columns, rows, Format.JSON if json else Format.TABLE, notes=notes)
    raise typer.Exit(ExitCode.DONE if result.equal else ExitCode.FOUND)


def screen_here() -> views.Screen:
    """Where output goes."""
    return views.standard_screen(dict(os.environ))


def settings_in(config: Path | None) -> tuple[Config, Path]:
    """The configuration, and where its relative paths begin. Raises WrongUse."""
    from pfsquid.config import configured

    return configured(config, os.environ)


def named(settings: Config, stack: str | None) -> tuple[Cloud, Names]:
    """As whom, and what things are called there. Raises PfsquidError where there are no credentials or no region."""
    from pfsquid.aws.stack import names_of
    from pfsquid.cloud import Cloud, explained

    given = settings.aws
    cloud = Cloud(given.region, given.profile, given.endpoint)
    region = cloud.session().region_name
    if not region:
        raise WrongUse("no region is named", "set aws.region in the configuration", "export AWS_REGION=eu-central-1")
    with explained("who asks AWS"):
        account = cloud.client("sts").get_caller_identity()["Account"]
    return cloud, names_of(settings, str(account), str(region), stack)


def _windows(settings: Config, lake: str, limit: float) -> Iterator[Line]:
    """The newest complete window of each stream. limit: seconds from which on it is too old."""
    if not settings.collect.entra:
        return
    from pfsquid.aws.status import OK, UNKNOWN, WRONG, Line
    from pfsquid.config import lake_place
    from pfsquid.entra import reached
    from pfsquid.lake.catalog import open_lake

    try:
        every = reached(open_lake(lake_place(lake, settings, os.environ), make=False), settings)
    except PfsquidError as exc:
        yield Line("windows", UNKNOWN, exc.message, *exc.next[:1])
        return
    now = datetime.now(UTC)
    for one in every:
        newest = one.complete_to
        if newest is None:
            yield Line(f"stream {one.name}", WRONG, "nothing is read yet", "pfsquid aws status    # in some minutes")
            continue
        age = (now - newest).total_seconds()
        detail = f"complete until {newest:%Y-%m-%d %H:%M} UTC"
        yield Line(f"stream {one.name}", OK if age <= limit else WRONG, detail, "docs/aws.md, When an alarm rings")
