"""What `pfsquid configure` and `rollback` do, over all firewalls of a configuration. Asks through callbacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pfsquid.errors import PfsquidError, WrongUse
from pfsquid.firewall.apply import Proof, RolledBack, Say, carry_out, clean_keytabs, recover, reversal
from pfsquid.firewall.checkpoint import Checkpoint, all_of, alone, begin, named
from pfsquid.firewall.pfsense import Pfsense
from pfsquid.firewall.plan import FILE, Plan, base_of
from pfsquid.firewall.prepare import Prepared, Wanted, prepare
from pfsquid.firewall.ssh import LostConnection, Target, connection
from pfsquid.secrets import resolve
from pfsquid.settings import DnsSettings, FirewallSettings, KerberosSettings, ProxySettings

ROOT = ("root", "admin")


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
    """One firewall at work: connected, locked, read."""

    pfsense: Pfsense
    settings: FirewallSettings
    checkpoints: Path
    prepared: Prepared


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
def nodes(site: Site, names: tuple[str, ...], say: Say) -> Iterator[list[Node]]:
    """All asked-for firewalls, connected, with what an interrupted run left dealt with; a pair's second node first.

    Raises PfsquidError; nothing but the finishing or undoing of an interrupted run has been changed then.
    """
    ingredients = wanted(site)
    with ExitStack() as stack:
        ready: dict[str, Node] = {}
        for name in _primaries_first(site, names):
            settings = site.firewalls[name]
            checkpoints = stack.enter_context(alone(site.state, name))
            pfsense = stack.enter_context(open_firewall(site, name))
            primary = ready.get(settings.synced_from or "")
            path = primary.prepared.trial.keytab_path if primary else None
            prepared = prepare(pfsense, settings, ingredients, path)
            unfinished = [one for one in all_of(checkpoints) if not one.finished]
            if unfinished:
                recover(pfsense, unfinished[-1], prepared.actual, prepared.proof, say)
                prepared = prepare(pfsense, settings, ingredients, path)
            ready[name] = Node(pfsense, settings, checkpoints, prepared)
        yield sorted(ready.values(), key=lambda node: node.settings.synced_from is None)


def configure(site: Site, node: Node, given: Plan | None, say: Say) -> Checkpoint:
    """Carry out a node's plan, or exactly the `given` one. Raises PfsquidError, RolledBack, LostConnection."""
    prepared = node.prepared
    plan = _checked(given, prepared) if given else prepared.plan
    try:
        plan = plan.with_secret(wanted(site).keytab)
    except ValueError as exc:
        raise _stale(node.pfsense.name, str(exc)) from exc
    path = plan.keytab_path
    trial = replace(prepared.trial, keytab_path=path)
    proof = prepared.proof
    if node.settings.synced_from:
        proof = replace(proof, want="alive" if prepared.facts.pid else "nothing")
    checkpoint = begin(node.checkpoints, plan)
    carry_out(node.pfsense, plan, checkpoint, prepared.actual, prepared.facts, trial, proof, say)
    earlier = [one.plan.keytab_path for one in all_of(node.checkpoints)[-3:]]
    clean_keytabs(node.pfsense, prepared.facts, (path, *earlier))
    return checkpoint


def rollback(node: Node, name: str | None, ask: Callable[[Plan, list[str]], bool], say: Say) -> bool:
    """Take a checkpoint back; False where the user did not want to, or there is nothing to do."""
    checkpoint = named(node.checkpoints, name)
    undo, left = reversal(checkpoint.plan, node.prepared.actual)
    if not undo.changes or not ask(undo, left):
        return False
    want = "alive" if node.prepared.facts.pid else "nothing"
    proof = Proof(node.prepared.proof.address, _port_after(undo, node.prepared.proof.port), want)
    again = begin(node.checkpoints, undo)
    carry_out(node.pfsense, undo, again, node.prepared.actual, node.prepared.facts, None, proof, say)
    return True


@contextmanager
def open_firewall(site: Site, name: str) -> Iterator[Pfsense]:
    """Connect to one firewall of the configuration, secrets resolved. Raises PfsquidError."""
    settings = site.firewalls[name]
    if not settings.host_keys:
        raise WrongUse(
            f"firewalls.{name}.host_keys is missing: a host key must be pinned", f"pfsquid init --host {settings.host}"
        )

    def secret(reference: str | None) -> str | None:
        return None if reference is None else resolve(reference, site.folder)

    target = Target(
        name=name,
        host=settings.host,
        port=settings.port,
        user=settings.user,
        host_keys=settings.host_keys,
        identity=None if settings.identity is None else site.folder / settings.identity.expanduser(),
        passphrase=secret(settings.passphrase),
        password=secret(settings.password),
        agent=settings.agent,
    )
    with connection(target) as connected:
        yield Pfsense(connected, sudo=settings.user not in ROOT)


def _primaries_first(site: Site, names: tuple[str, ...]) -> list[str]:
    if not site.firewalls:
        raise WrongUse("the configuration names no firewall", "pfsquid init", "firewalls: in pfsquid.yaml")
    for name in names:
        if name not in site.firewalls:
            raise WrongUse(
                f"there is no firewall {name!r} in the configuration", f"one of: {', '.join(site.firewalls)}"
            )
    for name, settings in site.firewalls.items():
        if settings.synced_from and settings.synced_from not in site.firewalls:
            raise WrongUse(
                f"firewalls.{name}.synced_from: there is no firewall {settings.synced_from!r}",
                "name one that is listed",
            )
    asked = names or tuple(site.firewalls)
    return sorted(asked, key=lambda name: site.firewalls[name].synced_from is not None)


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


__all__ = ["LostConnection", "RolledBack", "Site", "configure", "nodes", "open_firewall", "rollback", "wanted"]
