"""The command line of the firewall: configure, rollback, init. Words → calls, like `cli`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pfsquid import cli_prove, views
from pfsquid.cli_options import ConfigOption, DebugOption, JsonOption
from pfsquid.errors import ExitCode, PfsquidError, WrongUse

if TYPE_CHECKING:
    from pfsquid.config import Config
    from pfsquid.firewall.configure import Node, Site
    from pfsquid.firewall.plan import Plan
    from pfsquid.settings import ProxySettings

YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def configure(
    plan_file: Annotated[
        Path | None,
        typer.Argument(metavar="[PLAN]", help="A plan from --out: exactly that is done.", show_default=False),
    ] = None,
    firewall: Annotated[
        list[str] | None, typer.Option("--firewall", help="Only this firewall; once more for each further one.")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would change, and change nothing.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Write the plan to a file.", show_default=False)] = None,
    yes: YesOption = False,
    config: ConfigOption = None,
    json: JsonOption = False,
    _: DebugOption = False,
) -> None:
    """Bring firewalls to what the configuration says: plan, diff, checkpoint, apply, proof, and back if it fails."""
    from pfsquid.firewall import configure as doing
    from pfsquid.firewall.explain import explain
    from pfsquid.firewall.plan import Plan

    screen = views.standard_screen(dict(os.environ))
    settings, folder = _loaded(config)
    site = _site_in(settings, folder)
    try:
        given = Plan.from_json(plan_file.read_text("utf-8")) if plan_file else None
    except (OSError, ValueError) as exc:
        raise WrongUse(f"{plan_file} cannot be read as a plan: {exc}", "pfsquid configure --plan --out PLAN") from exc
    names = (given.firewall,) if given else tuple(firewall or ())
    mend = not (plan or out) and (yes or sys.stdin.isatty())
    with doing.nodes(site, names, lambda text: views.say(screen, text), mend) as every:
        nodes = [node for node in every if node.pfsense.name in names or not (given or (out and names))]
        plans = [given] if given else [node.prepared.plan for node in nodes]
        told = [one for each in plans for one in explain(each)]
        views.show_changes(screen, told, [w for node in nodes for w in node.prepared.warnings], json)
        if out:
            _write_plan(out, plans)
        if not any(one.changes for one in plans):
            for node in nodes if mend else ():
                doing.tidy(node, node.prepared.plan.keytab_path)
            raise typer.Exit(ExitCode.FOUND if any(node.interrupted for node in nodes) else ExitCode.DONE)
        if plan or out:
            raise typer.Exit(ExitCode.FOUND)
        if not yes and not agreed(screen, "Apply these changes?"):
            raise typer.Exit(ExitCode.FOUND)

        def say(text: str) -> None:
            views.say(screen, text)

        prove = cli_prove.prover(settings, folder, say)
        for node in nodes:
            if not given and node.prepared.plan.changes and cli_prove.grown_in_place(node, say):
                prove(node)
                say(f"{node.pfsense.name}: done; the former keys are still in the keytab")
            elif given or node.prepared.plan.changes:
                checkpoint = doing.configure(node, given, say, prove)
                doing.tidy(node, (given or node.prepared.plan).keytab_path)
                views.say(screen, f"{node.pfsense.name}: done and proved; to go back: pfsquid rollback {checkpoint.id}")


def rollback(
    checkpoint: Annotated[
        str | None, typer.Argument(metavar="[CHECKPOINT]", help="Which; else the last one.", show_default=False)
    ] = None,
    firewall: Annotated[str | None, typer.Option("--firewall", help="Which firewall, where there are several.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the checkpoints.")] = False,
    yes: YesOption = False,
    config: ConfigOption = None,
    json: JsonOption = False,
    _: DebugOption = False,
) -> None:
    """Take a checkpoint back, field by field: what others changed since stays."""
    from pfsquid.firewall import checkpoint as checkpoints
    from pfsquid.firewall import configure as doing
    from pfsquid.firewall.explain import explain

    screen = views.standard_screen(dict(os.environ))
    site = site_of(config)
    name = _one_firewall(site, firewall)
    if list_:
        found = [checkpoints.describe(one) for one in checkpoints.all_of(site.state / name)]
        shape = views.Format.JSON if json else views.Format.TABLE
        views.show(screen, ("checkpoint", "when", "state", "changes"), found, shape)
        return

    def ask(undo: Plan, left: list[str]) -> bool:
        views.show_changes(
            screen, explain(undo), [f"{path} was changed by somebody since and stays" for path in left], json
        )
        return bool(undo.changes) and (yes or agreed(screen, "Go back?"))

    checkpoints.named(site.state / name, checkpoint)
    mend = yes or sys.stdin.isatty()
    with doing.nodes(site, (name,), lambda text: views.say(screen, text), mend) as nodes:
        node: Node = next(one for one in nodes if one.pfsense.name == name)
        if doing.rollback(node, checkpoint, ask, lambda text: views.say(screen, text)):
            views.say(screen, f"{name}: gone back, and the proxy serves")
        else:
            views.say(screen, f"{name}: nothing was changed")


def init(
    host: Annotated[str, typer.Option("--host", help="Name or address of the firewall.")],
    port: Annotated[int, typer.Option("--port", help="Port of its SSH.")] = 22,
    user: Annotated[str, typer.Option("--user", help="Whom to log in as.")] = "root",
    name: Annotated[str, typer.Option("--name", help="What to call it.")] = "firewall",
    path: Annotated[Path, typer.Option("--out", help="Where to write the configuration.")] = Path("pfsquid.yaml"),
    yes: YesOption = False,
    _: DebugOption = False,
) -> None:
    """Begin: show the firewall's host key to compare, pin it, and write a first configuration."""
    from pfsquid.firewall.begin import first_configuration
    from pfsquid.firewall.ssh import fingerprint, host_key

    screen = views.standard_screen(dict(os.environ))
    if path.exists():
        raise WrongUse(f"{path} is there already", f"pfsquid init --host {host} --out OTHER.yaml")
    key = host_key(host, port)
    views.say(screen, f"{host} shows the host key {key.get_name()} {fingerprint(key)}")
    views.say(screen, "compare it on the firewall's own console: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub")
    if not yes and not agreed(screen, "Is it the same?"):
        raise PfsquidError("nothing was written", "compare the fingerprints, then: pfsquid init")
    try:
        path.write_text(first_configuration(name, host, port, user, key), "utf-8")
    except OSError as exc:
        raise PfsquidError(
            f"{path} cannot be written: {exc.strerror}", f"pfsquid init --host {host} --out PATH"
        ) from exc
    views.say(screen, f"{path} is written; fill in the places marked with <…>, then: pfsquid configure --plan")


def agreed(screen: views.Screen, question: str) -> bool:
    """Ask on the terminal; the default is No. Raises WrongUse where there is no terminal to ask on."""
    if not sys.stdin.isatty():
        raise WrongUse("there is no terminal to ask on", "the same command with --yes")
    return views.ask(screen, question)


def site_of(config: Path | None) -> Site:
    """What the configuration says of firewalls, for commands that go to them. Raises WrongUse."""
    return _site_in(*_loaded(config))


def _loaded(config: Path | None) -> tuple[Config, Path]:
    """The configuration with a section kerberos, and where its relative paths begin. Raises WrongUse."""
    from pfsquid.config import find, load

    path = find(config, os.environ)
    settings = load(path)
    if path is None or settings.kerberos is None:
        raise WrongUse(
            "the configuration has no section kerberos" if path else "there is no configuration",
            "pfsquid init --host FIREWALL",
            "configs/example.yaml has every key",
        )
    return settings, path.absolute().parent


def _site_in(settings: Config, folder: Path) -> Site:
    from pfsquid.firewall.checkpoint import state_folder
    from pfsquid.firewall.configure import Site
    from pfsquid.resources import templates

    assert settings.kerberos is not None
    return Site(
        settings.firewalls,
        settings.kerberos,
        _with_apps(settings),
        settings.dns,
        folder,
        templates(),
        state_folder(os.environ),
    )


def _with_apps(settings: Config) -> ProxySettings:
    """The proxy's settings, with the domains of exempt apps among the exempt sites."""
    exempt = settings.proxy.exempt
    if not exempt.apps:
        return settings.proxy
    from pfsquid.discovery.answer import domains_of
    from pfsquid.discovery.apps import load
    from pfsquid.resources import configs

    catalogue = load((configs() / "apps", *settings.apps.folders))
    domains = [f".{domain}" for name in exempt.apps for domain in domains_of(name, catalogue, "proxy.exempt.apps")]
    sites = tuple(dict.fromkeys((*exempt.sites, *domains)))
    return settings.proxy.model_copy(update={"exempt": exempt.model_copy(update={"sites": sites})})


def _one_firewall(site: Site, name: str | None) -> str:
    if name is None and len(site.firewalls) == 1:
        return next(iter(site.firewalls))
    if name is None or name not in site.firewalls:
        raise WrongUse("which firewall?", *(f"--firewall {one}" for one in site.firewalls))
    return name


def _write_plan(path: Path, plans: list[Plan]) -> None:
    if len(plans) != 1:
        raise WrongUse("a plan's file is for one firewall", *(f"--firewall {one.firewall} --out …" for one in plans))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(plans[0].to_json())
    except OSError as exc:
        raise PfsquidError(f"{path} cannot be written: {exc.strerror}", "--out ANOTHER_PLACE") from exc
