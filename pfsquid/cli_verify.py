"""The command line of verification: verify-kerberos, explain. Words → calls, like `cli`."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pfsquid import view_checks, views
from pfsquid.cli_options import ConfigOption, DebugOption, JsonOption
from pfsquid.errors import WrongUse
from pfsquid.view_checks import CheckFormat

if TYPE_CHECKING:
    from pfsquid.kerberos.check import Result, Status
    from pfsquid.kerberos.verify import Verification

OnlyOption = Annotated[
    list[str] | None, typer.Option("--only", help="Only this check and what it needs; again for each further one.")
]
SkipOption = Annotated[list[str] | None, typer.Option("--skip", help="Not this check; again for each further one.")]


def verify_kerberos(
    firewall: Annotated[
        list[str] | None, typer.Option("--firewall", help="Only this firewall; once more for each further one.")
    ] = None,
    only: OnlyOption = None,
    skip: SkipOption = None,
    list_: Annotated[bool, typer.Option("--list", help="List the checks, and what each needs.")] = False,
    evidence: Annotated[bool, typer.Option("--evidence", help="Show what was seen, too.")] = False,
    watch: Annotated[
        float | None,
        typer.Option("--watch", help="Again every so many seconds; then only what changes.", min=1, show_default=False),
    ] = None,
    config: ConfigOption = None,
    format: Annotated[CheckFormat, typer.Option("--format", help="How to write the results.")] = CheckFormat.TABLE,
    json: JsonOption = False,
    _: DebugOption = False,
) -> None:
    """Prove every link of Kerberos, from DNS to a real request through the proxy, and name the cure for each break."""
    screen = views.standard_screen(dict(os.environ))
    shape = CheckFormat.JSON if json else format
    if list_:
        _listed(screen, shape)
        return
    from pfsquid.kerberos.check import exit_code
    from pfsquid.kerberos.verify import firewalls_of

    verification = _verification(config)
    names = firewalls_of(verification.config, firewall or ())
    if watch is not None:
        if shape is not CheckFormat.TABLE:
            raise WrongUse("--watch writes lines for people", "cron, and --format junit or json")
        _watch(screen, verification, names, (only or (), skip or ()), watch, evidence)
    runs: list[tuple[str, list[Result]]] = []
    for name in names:
        begin = time.monotonic()
        results: list[Result] = []
        for result in verification.firewall(name, only or (), skip or ()):
            results.append(result)
            if shape is CheckFormat.TABLE:
                view_checks.show_result(screen, result, evidence)
            else:
                views.progress(screen, f"{name}: {result.code}")
        if shape is CheckFormat.TABLE:
            view_checks.show_summary(screen, name, results, time.monotonic() - begin)
        runs.append((name, results))
    views.progress(screen, "")
    if shape is CheckFormat.JUNIT:
        views.tell(screen, view_checks.junit(runs, evidence))
    elif shape is not CheckFormat.TABLE:
        rows = [row for name, results in runs for row in view_checks.rows(name, results, evidence)]
        views.show(screen, view_checks.COLUMNS, rows, views.Format(shape.value))
    raise typer.Exit(int(exit_code([result for _, results in runs for result in results])))


def explain(
    code: Annotated[str, typer.Argument(metavar="CODE", help="A check or a cause: verify-kerberos names them.")],
    config: ConfigOption = None,
    _: DebugOption = False,
) -> None:
    """Say what a check proves and what breaks it, or what a cause means and how it is mended."""
    from pfsquid.config import find, load
    from pfsquid.kerberos.explain import explained

    screen = views.standard_screen(dict(os.environ))
    settings = load(find(config, os.environ))
    for line in explained(code, settings.kerberos):
        views.tell(screen, views.printable(line))


def _listed(screen: views.Screen, shape: CheckFormat) -> None:
    from pfsquid.kerberos.chain import CHAIN

    rows = [
        (check.code, check.title, list(check.needs), list(check.after), check.quick)
        if shape is not CheckFormat.TABLE
        else (check.code, check.title, ", ".join((*check.needs, *check.after)), "yes" if check.quick else "")
        for check in CHAIN
    ]
    if shape is CheckFormat.JUNIT:
        raise WrongUse("a list is no test run", "--format json")
    columns = ("code", "title", "needs", "quick") if shape is CheckFormat.TABLE else (
        "code", "title", "needs", "after", "quick",
    )  # fmt: skip
    views.show(screen, columns, rows, views.Format(shape.value))


def _watch(
    screen: views.Screen,
    verification: Verification,
    names: tuple[str, ...],
    chosen: tuple[list[str] | tuple[()], list[str] | tuple[()]],
    seconds: float,
    evidence: bool,
) -> None:
    """Rounds without end; ends by Ctrl-C. The first is shown whole, of the others what changed."""
    before: dict[tuple[str, str], Status] = {}
    shown: set[str] = set()
    while True:
        begin = time.monotonic()
        for name in names:
            results: list[Result] = []
            started = time.monotonic()
            for result in verification.firewall(name, *chosen):
                results.append(result)
                known = before.get((name, result.code))
                if known is None:
                    view_checks.show_result(screen, result, evidence)
                elif known is not result.status:
                    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
                    view_checks.show_change(screen, now, name, known, result)
                before[name, result.code] = result.status
            if name not in shown:
                shown.add(name)
                view_checks.show_summary(screen, name, results, time.monotonic() - started)
        time.sleep(max(0.0, seconds - (time.monotonic() - begin)))


def _verification(config: Path | None) -> Verification:
    from pfsquid.cli_firewall import site_of
    from pfsquid.config import find, load
    from pfsquid.firewall.configure import open_firewall
    from pfsquid.kerberos.verify import Verification

    whole = site_of(config)
    settings = load(find(config, os.environ))
    return Verification(settings, whole.folder, lambda name: open_firewall(whole, name), dict(os.environ))
