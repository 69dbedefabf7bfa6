"""A plan carried out: checkpoint, stage and try, one transaction on the firewall, proof; undone where the proof fails.

The firewall itself compares, writes, proves and puts back, in one process that goes on when nobody listens any more.
What it cannot do (it was killed, it lost power) `undo` does: at once, or at the next start, by the checkpoint.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pfsquid.errors import ExitCode, PfsquidError
from pfsquid.firewall.checkpoint import APPLYING, DONE, STAGED, UNDONE, Checkpoint
from pfsquid.firewall.desired import BEFORE_AUTH, block_in, decoded
from pfsquid.firewall.pfsense import Facts, Pfsense, candidate
from pfsquid.firewall.plan import FILE, Actual, Change, Plan

APPLY_SECONDS = 240.0
PROOF_SECONDS = 15


@dataclass(frozen=True)
class Proof:
    """What a request through the proxy's LAN address must show. want: negotiate, alive or nothing."""

    address: str
    port: int
    want: str = "negotiate"


@dataclass(frozen=True)
class Trial:
    """How the keytab is tried on the firewall before anything is changed."""

    helper: str
    keytab_path: str
    spn: str


class RolledBack(PfsquidError):  # noqa: N818 - reads as what it is
    """Applied, found bad, and put back: exit status 4."""

    def __init__(self, message: str, *next: str) -> None:
        super().__init__(message, *next, exit_code=ExitCode.ROLLED_BACK)


Say = Callable[[str], None]


def carry_out(
    pfsense: Pfsense,
    plan: Plan,
    checkpoint: Checkpoint,
    actual: Actual,
    facts: Facts,
    trial: Trial | None,
    proof: Proof,
    say: Say,
) -> None:
    """Stage, try, apply and prove a plan. plan: with its secrets filled in.

    Raises PfsquidError where nothing was changed, RolledBack where it was put back. Where any other error leaves the
    checkpoint unfinished, somebody has to find out what was done.
    """
    say(f"{pfsense.name}: checkpoint {checkpoint.id}; trying files and configuration beside the live ones")
    problem = stage(pfsense, plan, checkpoint, actual, facts, trial)
    if problem:
        clean(pfsense, plan, checkpoint)
        checkpoint.note(UNDONE)
        raise PfsquidError(f"{pfsense.name}: nothing was changed: {problem}", *cure(problem))
    checkpoint.note(STAGED)
    say(f"{pfsense.name}: applying {len(plan.changes)} changes, then proving them")
    checkpoint.note(APPLYING)
    conclude(pfsense, plan, checkpoint, transaction(pfsense, plan, checkpoint, actual.resolver, proof, "apply"))


def conclude(pfsense: Pfsense, plan: Plan, checkpoint: Checkpoint, answer: dict[str, Any]) -> None:
    """Note what a transaction came to. Raises PfsquidError where nothing was changed, RolledBack."""
    if answer["result"] == "applied":
        checkpoint.note(DONE)
        return
    with suppress(PfsquidError):  # what is left is left to the next run; why there was no change is told now
        clean(pfsense, plan, checkpoint)
    checkpoint.note(UNDONE)
    if answer["result"] == "stale":
        raise PfsquidError(
            f"{pfsense.name}: nothing was changed: somebody changed {answer['problem']} since the plan was made",
            "pfsquid configure --plan    # look at the difference again",
        )
    evidence = "".join(f"\ncache.log: {line}" for line in answer.get("log") or [])
    after = f"\nand afterwards: {answer['after']}" if answer["after"] else "\nthe proxy serves as before"
    if answer["result"] == "refused":
        raise PfsquidError(f"{pfsense.name}: nothing was changed: {answer['problem']}{after}", *cure(answer["problem"]))
    raise RolledBack(f"{pfsense.name}: put back: {answer['problem']}{after}{evidence}", *cure(answer["problem"]))


def stage(
    pfsense: Pfsense, plan: Plan, checkpoint: Checkpoint, actual: Actual, facts: Facts, trial: Trial | None
) -> str:
    """Put files beside their places, let Squid parse the options, the helper read the keytab; what is wrong, or ''."""
    options = plan.change_of(BEFORE_AUTH)
    conf = None
    if options is not None:
        before, after = decoded(actual.fields.get(BEFORE_AUTH) or ""), decoded(options.after or "")
        conf = base64.b64encode(candidate(facts.squid_conf, before, after)).decode()
    keytab = None
    if trial is not None:
        new = any(change.kind == FILE and change.resource == trial.keytab_path for change in plan.changes)
        keytab = f"{trial.keytab_path}.{checkpoint.id}" if new else trial.keytab_path
    files = [change for change in plan.changes if change.kind == FILE and change.after is not None]
    asked = {
        "id": checkpoint.id,
        "files": [
            {"path": f.resource, "content": f.after, "owner": f.owner, "group": f.group, "mode": f.mode} for f in files
        ],
        "candidate": conf,
        "keytab": keytab,
        "helper": trial.helper if trial else "",
        "spn": trial.spn if trial else "",
    }
    return str(pfsense.run("stage", asked)["problem"])


def transaction(
    pfsense: Pfsense, plan: Plan, checkpoint: Checkpoint, resolver: str | None, proof: Proof, mode: str
) -> dict[str, Any]:
    """Run it on the firewall. mode: apply, resume or undo. The answer: result, problem, after, log."""
    options = plan.change_of(BEFORE_AUTH)
    block = (block_in(options.after or "") or "") if options and proof.want == "negotiate" else ""
    asked = {
        "id": checkpoint.id,
        "mode": mode,
        "changes": [_told(change) for change in plan.changes],
        "description": f"pfsquid configure ({checkpoint.id})",
        "proof": {
            "address": proof.address,
            "port": proof.port,
            "want": proof.want,
            "seconds": PROOF_SECONDS,
            "block": block,
        },
        "squid": mode != "apply" or any(change.then == "squid" for change in plan.changes),
        "dns": any(change.then == "dns" for change in plan.changes),
        "resolver": resolver,
    }
    return pfsense.run("apply", asked, APPLY_SECONDS)


def clean(pfsense: Pfsense, plan: Plan, checkpoint: Checkpoint, keytabs: tuple[str, ...] = ()) -> None:
    """Remove what a run left beside the files that it was to change, and these keytabs."""
    paths = [change.resource for change in plan.changes if change.kind == FILE]
    pfsense.run("clean", {"id": checkpoint.id, "paths": paths, "keytabs": list(keytabs)})


def clean_keytabs(pfsense: Pfsense, facts: Facts, keep: tuple[str, ...]) -> None:
    """Remove keytabs of ours that neither the live configuration nor one that can be gone back to refers to."""
    old = [path for path in facts.keytabs if path not in keep]
    if old:
        pfsense.run("clean", {"id": "pfsquid-0", "paths": [], "keytabs": old})


def cure(problem: str) -> tuple[str, ...]:
    """What to do about a problem that the firewall reported; the first that fits."""
    cures = (
        (
            "the keytab cannot be read",
            "the keytab must be one file that Squid's user can read: kerberos.keytab in pfsquid.yaml",
        ),
        ("does not take the keytab", "klist -kte KEYTAB    # it must hold HTTP/<proxy>@<REALM>, in that case, whole"),
        ("there is no helper", "on the firewall: ls -l /usr/local/libexec/squid/    # then proxy.helper.path"),
        ("is refused, too", "Services > Squid Proxy Server > General: mend that line in the custom options, first"),
        ("Squid refuses", "pfsquid configure --plan    # which line is it? Then proxy: in pfsquid.yaml"),
        ("no space left", "on the firewall: df -h    # make room, then the same command"),
        ("cannot be written", "on the firewall: df -h /cf/conf    # make room, then the same command"),
        ("Squid does not run", "on the firewall: tail -50 /var/squid/logs/cache.log"),
    )
    return tuple(cure for sign, cure in cures if sign in problem)[:1] or ("pfsquid configure --plan",)


def _told(change: Change) -> dict[str, Any]:
    """What the firewall needs of a change: a file's content was staged, and its former one stays beside it there."""
    content = change.kind != FILE
    return {
        "kind": change.kind,
        "resource": change.resource,
        "action": change.action,
        "before": change.before if content else None,
        "after": change.after if content else None,
    }
