"""What `pfsquid configure` and `rollback` do, over all firewalls of a configuration. Asks through callbacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pfsquid.errors import PfsquidError, WrongUse
from pfsquid.firewall.apply import Proof, RolledBack, Say, Trial, carry_out, clean_keytabs
from pfsquid.firewall.checkpoint import DONE, UNDONE, Checkpoint, all_of, alone, begin, named
from pfsquid.firewall.desired import BEFORE_AUTH
from pfsquid.firewall.pfsense import Pfsense
from pfsquid.firewall.plan import FILE, Plan, base_of
from pfsquid.firewall.prepare import Prepared, Wanted, look, prepare
from pfsquid.firewall.ssh import Target, connection
from pfsquid.firewall.undo import keytab_of, recover, reversal, trial_of, undo
from pfsquid.secrets import resolve
from pfsquid.settings import DnsSettings, FirewallSettings, KerberosSettings, ProxySettings

ROOT = ("root", "admin")


@dataclass(frozen=True)
class Refusal:
    """Why what was applied has to go back: what was found, and what to do about it."""

    detail: str
    next: tuple[str, ...] = ()


Prove = Callable[["Node"], Refusal | None]


@dataclass(frozen=True)
class Site:
    """Everything that a configuration says of firewalls. folder: what relative paths in it are relative to."""

    firewalls: Mapping[str, FirewallSettings]
    kerberos: KerberosSettings
    proxy: ProxySettings
    dns: DnsSettings | None
    folder: Path
    templates: Path
    state: Path


@dataclass(frozen=True)
class Node:
    """One firewall at work: connected, locked, read. interrupted: there are rests of a run that was cut off."""

    pfsense: Pfsense
    settings: FirewallSettings
    checkpoints: Path
    prepared: Prepared
    wanted: Wanted
    interrupted: bool


def wanted(site: Site) -> Wanted:
    """The wanted state's ingredients. Raises WrongUse where the keytab cannot be read."""
    path = site.folder / site.kerberos.keytab.expanduser()
    try:
        keytab = path.read_bytes()
    except OSError as exc:
        raise WrongUse(
            f"the keytab {path} cannot be read: {exc.strerror}",
            f"ls -l {path}",
            "kerberos.keytab: PATH    # in pfsquid.yaml: a keytab of the service account, on this machine",
        ) from exc
    if not keytab:
        raise WrongUse(f"the keytab {path} is empty", "make it anew, and run this again")
    return Wanted(site.kerberos, site.proxy, site.dns, keytab, site.templates)


@contextmanager
def nodes(site: Site, names: tuple[str, ...], say: Say, mend: bool) -> Iterator[list[Node]]:
    """All asked-for firewalls, connected and read; a pair's second node first.

    mend: deal with what an interrupted run left; else it is only told. Raises PfsquidError; nothing else has been
    changed then.
    """
    ingredients = wanted(site)
    asked = _asked(site, names)
    with ExitStack() as stack:
        ready: dict[str, Node] = {}
        for name in _with_primaries(site, asked):
            settings = site.firewalls[name]
            checkpoints = stack.enter_context(alone(site.state, name))
            pfsense = stack.enter_context(open_firewall(site, name))
            primary = ready.get(settings.synced_from or "")
            path = primary.prepared.trial.keytab_path if primary else None
            prepared = prepare(pfsense, settings, ingredients, path)
            unfinished = [one for one in all_of(checkpoints) if not one.finished]
            for one in unfinished:
                if not mend:
                    say(f"{name}: an earlier run ({one.id}) was cut off: pfsquid configure finishes or undoes it")
                    continue
                recover(pfsense, one, prepared.actual, prepared.facts, prepared.proof, say)
                prepared = prepare(pfsense, settings, ingredients, path)
            ready[name] = Node(pfsense, settings, checkpoints, prepared, ingredients, bool(unfinished) and not mend)
        yield sorted((ready[name] for name in asked), key=lambda node: node.settings.synced_from is None)


def configure(node: Node, given: Plan | None, say: Say, prove: Prove) -> Checkpoint:
    """Carry out a node's plan, or exactly the `given` one. prove: whether people get through now.

    Raises PfsquidError, RolledBack, LostConnection.
    """
    prepared = node.prepared
    plan = _checked(given, prepared) if given else prepared.plan
    try:
        plan = plan.with_secret(node.wanted.keytab)
    except ValueError as exc:
        raise _stale(node.pfsense.name, str(exc)) from exc
    checkpoint = begin(node.checkpoints, plan, bool(prepared.facts.pid))
    _carry_out(node, plan, checkpoint, replace(prepared.trial, keytab_path=plan.keytab_path), prepared.proof, say)
    if node.settings.synced_from is None:
        _prove(node, plan, checkpoint, say, prove)
    return checkpoint


def _prove(node: Node, plan: Plan, checkpoint: Checkpoint, say: Say, prove: Prove) -> None:
    """What stands in the way of people who log in takes all back. Raises RolledBack."""
    refusal = prove(node)
    if refusal is None:
        return
    say(f"{node.pfsense.name}: {refusal.detail}; taking it back")
    actual, facts = look(node.pfsense, node.wanted)
    undoing, _ = reversal(plan, actual)
    applied = replace(node, prepared=replace(node.prepared, actual=actual, facts=facts))
    again = _go_back(applied, undoing, trial_of(undoing, actual), bool(node.prepared.facts.pid), say)
    for one in (checkpoint, again):
        one.note(UNDONE)
    raise RolledBack(f"{node.pfsense.name}: put back: {refusal.detail}\nthe proxy serves as before", *refusal.next)


def tidy(node: Node, live: str) -> None:
    """Remove our keytabs but the `live` one and that which the last step back would need."""
    done = [one.plan for one in all_of(node.checkpoints) if one.stage == DONE]
    options = done[-1].change_of(BEFORE_AUTH) if done else None
    former = keytab_of(options.before) if options else None
    clean_keytabs(node.pfsense, node.prepared.facts, (live, former) if former else (live,))


def rollback(node: Node, name: str | None, ask: Callable[[Plan, list[str]], bool], say: Say) -> bool:
    """Take a checkpoint back; False where the user did not want to, or there is nothing to do."""
    checkpoint = named(node.checkpoints, name)
    undoing, left = reversal(checkpoint.plan, node.prepared.actual)
    trial = trial_of(undoing, node.prepared.actual)
    if not ask(undoing, left):
        return False
    _go_back(node, undoing, trial, bool(node.prepared.facts.pid), say)
    return True


def _go_back(node: Node, undoing: Plan, trial: Trial | None, served: bool, say: Say) -> Checkpoint:
    """Carry a way back out, with a checkpoint of its own. trial: of the keytab that it leads to, None where it leads to
    no Kerberos; served: did the proxy run then?"""
    proof = replace(node.prepared.proof, port=_port_after(undoing, node.prepared.proof.port))
    if trial is None:
        proof = replace(proof, want="alive" if served else "nothing")
    again = begin(node.checkpoints, undoing, bool(node.prepared.facts.pid))
    _carry_out(node, undoing, again, trial, proof, say)
    return again


def _carry_out(node: Node, plan: Plan, checkpoint: Checkpoint, trial: Trial | None, proof: Proof, say: Say) -> None:
    """Carry a plan out; where the firewall's PHP died of it and there is still a connection, undo it at once."""
    pfsense, prepared = node.pfsense, node.prepared
    try:
        carry_out(pfsense, plan, checkpoint, prepared.actual, prepared.facts, trial, proof, say)
    except PfsquidError as exc:
        if checkpoint.finished or not pfsense.connected:
            raise
        say(f"{exc.message}; undoing it")
        actual, facts = look(pfsense, node.wanted)
        if undo(pfsense, checkpoint, actual, facts, proof):
            raise RolledBack(f"{exc.message}\nput back: the proxy serves as before", *exc.next) from exc
        raise PfsquidError(f"{exc.message}\nnothing was changed: the proxy serves as before", *exc.next) from exc


def open_firewall(site: Site, name: str) -> AbstractContextManager[Pfsense]:
    """Connect to one firewall of the configuration, secrets resolved. Raises PfsquidError."""
    return enter_firewall(name, site.firewalls[name], site.folder)


@contextmanager
def enter_firewall(name: str, settings: FirewallSettings, folder: Path) -> Iterator[Pfsense]:
    """Connect to a firewall of these settings. folder: where relative paths begin. Raises PfsquidError."""
    if not settings.host_keys:
        raise WrongUse(
            f"firewalls.{name}.host_keys is missing: a host key must be pinned", f"pfsquid init --host {settings.host}"
        )

    def secret(reference: str | None) -> str | None:
        return None if reference is None else resolve(reference, folder)

    target = Target(
        name=name,
        host=settings.host,
        port=settings.port,
        user=settings.user,
        host_keys=settings.host_keys,
        identity=None if settings.identity is None else folder / settings.identity.expanduser(),
        passphrase=secret(settings.passphrase),
        password=secret(settings.password),
        agent=settings.agent,
    )
    with connection(target) as connected:
        yield Pfsense(connected, sudo=settings.user not in ROOT)


def _asked(site: Site, names: tuple[str, ...]) -> tuple[str, ...]:
    """The firewalls to work on: those named, with the second nodes of theirs; all where none is named."""
    if not site.firewalls:
        raise WrongUse("the configuration names no firewall", "pfsquid init", "firewalls: in pfsquid.yaml")
    for name in names:
        if name not in site.firewalls:
            raise WrongUse(
                f"there is no firewall {name!r} in the configuration", f"one of: {', '.join(site.firewalls)}"
            )
    for name, settings in site.firewalls.items():
        primary = site.firewalls.get(settings.synced_from or name)
        if primary is None or (settings.synced_from and primary.synced_from):
            raise WrongUse(
                f"firewalls.{name}.synced_from: {settings.synced_from!r} is no firewall that settings come from",
                "name one that is listed, and has no synced_from itself",
            )
    return tuple(
        name for name, settings in site.firewalls.items() if not names or {name, settings.synced_from} & set(names)
    )


def _with_primaries(site: Site, asked: tuple[str, ...]) -> list[str]:
    """Those asked for and the first nodes of theirs, which say where a keytab lies; first nodes first."""
    primaries = [site.firewalls[name].synced_from or name for name in asked]
    return list(dict.fromkeys([*primaries, *asked]))


def _checked(given: Plan, prepared: Prepared) -> Plan:
    """The given plan, where it is for this host key and this state. Raises PfsquidError."""
    if given.target != prepared.actual.host_key:
        raise PfsquidError(
            f"the plan was made for a firewall with another host key than {prepared.plan.firewall} has",
            "pfsquid configure --plan",
        )
    if given.base != base_of(prepared.actual):
        raise _stale(prepared.plan.firewall, "the firewall is not as it was when the plan was made")
    return given


def _stale(firewall: str, why: str) -> PfsquidError:
    return PfsquidError(f"{firewall}: the plan is stale: {why}", "pfsquid configure --plan --out PLAN")


def _port_after(undo: Plan, port: int) -> int:
    """The proxy's port once the plan is carried out."""
    for change in undo.changes:
        if change.kind != FILE and change.resource.endswith("/proxy_port"):
            return int(change.after or 3128)
    return port
