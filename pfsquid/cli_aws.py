"""The command line of AWS that makes and unmakes: template, deploy, destroy, package. Words → calls, like `cli`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pfsquid import cli_aws_status, views
from pfsquid.cli_aws_status import StackOption, named, screen_here, settings_in
from pfsquid.cli_options import ConfigOption, DebugOption, JsonOption
from pfsquid.errors import ExitCode, PfsquidError, WrongUse
from pfsquid.views import Format

if TYPE_CHECKING:
    from pfsquid.aws.changes import Change
    from pfsquid.aws.deploy import Code, Wanted
    from pfsquid.aws.stack import Names
    from pfsquid.config import Config
    from pfsquid.settings_entra import EntraSettings

aws = typer.Typer(
    help="The lake in S3, the collector in Lambda, the questions in Athena: one stack.", no_args_is_help=True
)
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
ArchOption = Annotated[str, typer.Option("--arch", help="Of the collector in Lambda: arm64 or x86_64.")]
PythonOption = Annotated[str, typer.Option("--python", help="Version of Python of the collector in Lambda.")]
PYTHON = "3.12"
aws.command()(cli_aws_status.status)
aws.command()(cli_aws_status.selftest)


@aws.command()
def template(_: DebugOption = False) -> None:
    """Print the template of CloudFormation, whole."""
    from pfsquid.aws.stack import text
    from pfsquid.resources import templates

    views.tell(screen_here(), text(templates() / "aws").rstrip("\n"))


@aws.command()
def deploy(
    plan: Annotated[bool, typer.Option("--plan", help="Show what would change, and change nothing.")] = False,
    yes: YesOption = False,
    stack: StackOption = None,
    tenant: Annotated[
        str | None, typer.Option("--tenant", help="Which tenant of collect.entra, where there are several.")
    ] = None,
    no_collector: Annotated[bool, typer.Option("--no-collector", help="The lake and Athena alone.")] = False,
    arch: ArchOption = "arm64",
    python: PythonOption = PYTHON,
    config: ConfigOption = None,
    json: JsonOption = False,
    _: DebugOption = False,
) -> None:
    """Put the stack up, or bring it to what the configuration says. Its changes are shown before."""
    from pfsquid.aws.deploy import deploy as run

    screen = screen_here()
    settings, folder = settings_in(config)
    cloud, names = named(settings, stack)
    chosen = None if no_collector else _tenant(settings, tenant)
    agreed = False

    def agree(changes: Sequence[tuple[int, Change]]) -> bool:
        nonlocal agreed
        columns = ("step", "action", "resource", "type", "replacement", "why")
        rows = [(step, one.action, one.resource, one.kind, one.replacement, one.why) for step, one in changes]
        views.progress(screen, "")
        views.show(screen, columns, rows, Format.JSON if json else Format.TABLE, f"stack {names.stack}")
        agreed = not plan and (yes or _agreed(screen, f"Do this in account {names.account}, {names.region}?"))
        return agreed

    with tempfile.TemporaryDirectory(prefix="pfsquid-") as temporary:
        code = _built(screen, Path(temporary), arch, python) if chosen else None
        wanted = _wanted(settings, folder, names, chosen, code)
        outcome = run(cloud, wanted, agree, lambda text: views.say(screen, text))
    if not outcome.changed:
        views.say(screen, f"the stack {names.stack} is as it should be: no changes")
    if outcome.changed and not agreed:
        raise typer.Exit(ExitCode.FOUND)
    if not json:
        rows = [(key, value) for key, value in sorted(outcome.outputs.items())]
        views.show(screen, ("output", "value"), rows, Format.TABLE)
    if outcome.outputs.get("LakeUrl") not in (None, settings.lake):
        views.say(screen, f"note: lake: {outcome.outputs['LakeUrl']}    # belongs into the configuration")


@aws.command()
def destroy(
    delete_data: Annotated[
        bool, typer.Option("--delete-data", help="Bucket, database and key, too. Asks for the stack's name.")
    ] = False,
    yes: YesOption = False,
    stack: StackOption = None,
    config: ConfigOption = None,
    _: DebugOption = False,
) -> None:
    """Delete the stack. The data is kept, unless --delete-data is given."""
    from pfsquid.aws.destroy import destroy as run

    screen = screen_here()
    settings, _folder = settings_in(config)
    cloud, names = named(settings, stack)
    if delete_data:
        views.say(screen, f"the lake {names.lake} and all its versions go for good, with database and key")
        if _typed(screen, f"Type the name of the stack ({names.stack}): ") != names.stack:
            raise PfsquidError("that is not the name of the stack: nothing was deleted", "pfsquid aws destroy")
    elif not yes and not _agreed(screen, f"Delete the stack {names.stack} in {names.account}, and keep its data?"):
        raise PfsquidError("nothing was deleted", "pfsquid aws destroy --yes")
    left = run(cloud, names, delete_data, lambda text: views.say(screen, text))
    rows = [("gone", one) for one in left.gone] + [("kept", one) for one in left.kept]
    views.show(screen, ("what", "which"), rows, Format.TABLE)
    if left.kept:
        views.say(screen, "note: pfsquid aws deploy adopts what was kept; pfsquid aws destroy --delete-data deletes it")


@aws.command()
def package(
    arch: ArchOption = "arm64",
    python: PythonOption = PYTHON,
    out: Annotated[Path | None, typer.Option("--out", help="Where to write it.", show_default=False)] = None,
    json: JsonOption = False,
    _: DebugOption = False,
) -> None:
    """Build the collector's package for Lambda. `deploy` does so by itself."""
    from pfsquid.aws.package import build

    screen = screen_here()
    made = build(arch, out, python, lambda text: views.say(screen, text))
    columns = ("package", "arch", "python", "bytes", "unpacked", "digest")
    row = (str(made.path), made.arch, made.python, made.size, made.unpacked, made.digest)
    views.show(screen, columns, [row], Format.JSON if json else Format.TABLE)


def _tenant(settings: Config, name: str | None) -> tuple[str, EntraSettings]:
    every = settings.collect.entra
    if name and name not in every:
        raise WrongUse(
            f"collect.entra: there is no tenant {name!r}", f"one of: {', '.join(every) or 'none is configured'}"
        )
    if name or len(every) == 1:
        chosen = name or next(iter(every))
        return chosen, every[chosen]
    if every:
        raise WrongUse(
            f"the collector of a stack reads one tenant, and there are {len(every)}: {', '.join(every)}",
            f"pfsquid aws deploy --tenant {next(iter(every))}",
            "for each further one a stack of its own: --stack NAME",
        )
    raise WrongUse(
        "the configuration names no tenant for the collector",
        "collect: entra: in the configuration; see docs/entra.md",
        "pfsquid aws deploy --no-collector    # the lake and Athena alone",
    )


def _built(screen: views.Screen, folder: Path, arch: str, python: str) -> Code:
    from pfsquid.aws.deploy import Code
    from pfsquid.aws.package import build

    made = build(arch, folder / "package.zip", python, lambda text: views.say(screen, text))
    return Code(made.path, made.digest, made.arch, made.python)


def _wanted(
    settings: Config, folder: Path, names: Names, chosen: tuple[str, EntraSettings] | None, code: Code | None
) -> Wanted:
    from pfsquid.aws import credential
    from pfsquid.aws import stack as document
    from pfsquid.aws.deploy import Wanted
    from pfsquid.resources import templates

    place = templates() / "aws"
    document.check_parameters(settings.aws.parameters, document.template(place, {}))
    values = document.parameters(names, settings, chosen[1] if chosen else None, isinstance(settings.lake, str))
    secrets = credential.wanted(names, *chosen, folder) if chosen else {}
    return Wanted(names, values, place, code, secrets)


def _agreed(screen: views.Screen, question: str) -> bool:
    if not sys.stdin.isatty():
        raise WrongUse("there is no terminal to ask on", "the same command with --yes", "--plan only shows")
    return views.ask(screen, question)


def _typed(screen: views.Screen, question: str) -> str:
    screen.err.write(question)
    screen.err.flush()
    return sys.stdin.readline().strip()
