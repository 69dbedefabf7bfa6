"""A plan carried out: checkpoint, stage and try, one transaction on the firewall, proof; undone where the proof fails.

The firewall itself compares, writes, proves and puts back, in one process that goes on when nobody listens any more.
What it cannot do (it was killed, it lost power) the next start finds by the checkpoint, and finishes or undoes.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pfsquid.errors import ExitCode, PfsquidError
from pfsquid.firewall.checkpoint import APPLYING, DONE, STAGED, UNDONE, Checkpoint
from pfsquid.firewall.desired import BEFORE_AUTH, block_in, decoded, with_block
from pfsquid.firewall.pfsense import Facts, Pfsense, candidate
from pfsquid.firewall.plan import DNS, FIELD, FILE, Actual, Change, Plan

APPLY_SECONDS = 180.0
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

    Raises PfsquidError where nothing was changed, RolledBack where it was put back, LostConnection where the next start
    must find out.
    """
    say(f"{pfsense.name}: checkpoint {checkpoint.id}; trying files and configuration beside the live ones")
    problem = _stage(pfsense, plan, checkpoint, actual, facts, trial)
    if problem:
        _clean(pfsense, plan, checkpoint, ())
        checkpoint.note(UNDONE)
        raise PfsquidError(f"{pfsense.name}: nothing was changed: {problem}", *_cure(problem))
    checkpoint.note(STAGED)
    say(f"{pfsense.name}: applying {len(plan.changes)} changes, then proving them")
    checkpoint.note(APPLYING)
    _transaction(pfsense, plan, checkpoint, actual.resolver, proof, resume=False)


def recover(pfsense: Pfsense, checkpoint: Checkpoint, actual: Actual, proof: Proof, say: Say) -> None:
    """Finish or undo an earlier run that was cut off. Raises RolledBack, PfsquidError."""
    plan = checkpoint.plan
    fields = [change for change in plan.changes if change.kind != FILE]
    written = bool(fields) and all(_now(actual, change) == (change.after or None) for change in fields)
    if written:
        say(f"{pfsense.name}: an earlier run ({checkpoint.id}) was cut off after it wrote config.xml; finishing it")
        _transaction(pfsense, plan, checkpoint, actual.resolver, proof, resume=True)
        return
    say(f"{pfsense.name}: an earlier run ({checkpoint.id}) was cut off before it wrote config.xml; undoing it")
    back = [
        change for change in plan.changes if change.kind == FILE and not change.sensitive and change.before is not None
    ]
    back = [change for change in back if _file_is(actual, change, change.after)]
    if back:
        undo = replace(
            plan, changes=tuple(replace(change, before=change.after, after=change.before) for change in back)
        )
        staged = pfsense.run(
            "stage", {**_staging(undo, checkpoint), "candidate": None, "keytab": None, "helper": "", "spn": ""}
        )
        if staged["problem"]:
            raise PfsquidError(
                f"{pfsense.name}: {staged['problem']}", "make room on the firewall, then the same command"
            )
        asked = _asked(undo, checkpoint, actual.resolver, replace(proof, want="nothing"))
        pfsense.run("apply", {**asked, "squid": False, "dns": False, "resume": False})
    _clean(pfsense, plan, checkpoint, tuple(c.resource for c in plan.changes if c.kind == FILE and c.sensitive))
    checkpoint.note(UNDONE)


def reversal(plan: Plan, actual: Actual) -> tuple[Plan, list[str]]:
    """The plan that takes an earlier one back, field by field, and what is left because somebody changed it since.

    Of the custom options only the managed block goes, of the DNS overrides only our zones' entries: others' later
    changes beside them stay.
    """
    changes: list[Change] = []
    left: list[str] = []
    for change in plan.changes:
        now = _now(actual, change)
        if change.kind == FIELD and change.resource == BEFORE_AUTH:
            after: Any = with_block(now or "", block_in(change.before or ""))
            if after != (now or ""):
                changes.append(replace(change, action="update", before=now, after=after))
        elif change.kind == DNS:
            ours = {entry["domain"] for entry in change.after} - {entry["domain"] for entry in change.before}
            touched = {e["domain"] for e in change.after if e not in change.before} | ours
            after = [entry for entry in now if entry["domain"] not in touched]
            after += [entry for entry in change.before if entry["domain"] in touched]
            if after != now:
                changes.append(replace(change, action="update", before=now, after=after))
        elif change.kind == FIELD and (now or "") == (change.after or ""):
            changes.append(replace(change, action="update", before=now, after=change.before))
        elif change.kind == FILE and not change.sensitive and _file_is(actual, change, change.after):
            action = "update" if change.before is not None else "delete"
            changes.append(replace(change, action=action, before=change.after, after=change.before))
        elif not change.sensitive and not _is_before(actual, change, now):
            left.append(change.resource)
    return replace(plan, changes=tuple(changes), target=actual.host_key), left


def clean_keytabs(pfsense: Pfsense, facts: Facts, keep: tuple[str, ...]) -> None:
    """Remove keytabs of ours that neither the live configuration nor the last checkpoint refers to."""
    old = [path for path in facts.keytabs if path not in keep]
    if old:
        pfsense.run("clean", {"staged": [], "keytabs": old})


def _stage(
    pfsense: Pfsense, plan: Plan, checkpoint: Checkpoint, actual: Actual, facts: Facts, trial: Trial | None
) -> str:
    options = next((change for change in plan.changes if change.resource == BEFORE_AUTH), None)
    conf = None
    if options is not None:
        before, after = decoded(actual.fields.get(BEFORE_AUTH) or ""), decoded(options.after or "")
        conf = base64.b64encode(candidate(facts.squid_conf, before, after)).decode()
    keytab = None
    if trial is not None:
        new = any(change.kind == FILE and change.resource == trial.keytab_path for change in plan.changes)
        keytab = f"{trial.keytab_path}.{checkpoint.id}" if new else trial.keytab_path
    asked = {
        **_staging(plan, checkpoint),
        "candidate": conf,
        "keytab": keytab,
        "helper": trial.helper if trial else "",
        "spn": trial.spn if trial else "",
    }
    return str(pfsense.run("stage", asked)["problem"])


def _staging(plan: Plan, checkpoint: Checkpoint) -> dict[str, Any]:
    files = [change for change in plan.changes if change.kind == FILE and change.after is not None]
    return {
        "id": checkpoint.id,
        "files": [
            {"path": f.resource, "content": f.after, "owner": f.owner, "group": f.group, "mode": f.mode} for f in files
        ],
    }


def _transaction(
    pfsense: Pfsense, plan: Plan, checkpoint: Checkpoint, resolver: str | None, proof: Proof, resume: bool
) -> None:
    answer = pfsense.run("apply", {**_asked(plan, checkpoint, resolver, proof), "resume": resume}, APPLY_SECONDS)
    if answer["result"] == "applied":
        checkpoint.note(DONE)
        return
    _clean(pfsense, plan, checkpoint, ())
    checkpoint.note(UNDONE)
    if answer["result"] == "stale":
        raise PfsquidError(
            f"{pfsense.name}: nothing was changed: somebody changed {answer['problem']} since the plan was made",
            "pfsquid configure --plan    # look at the difference again",
        )
    evidence = "".join(f"\ncache.log: {line}" for line in answer.get("log") or [])
    after = f"\nand afterwards: {answer['after']}" if answer.get("after") else "\nthe proxy serves as before"
    raise RolledBack(f"{pfsense.name}: put back: {answer['problem']}{after}{evidence}", *_cure(answer["problem"]))


def _asked(plan: Plan, checkpoint: Checkpoint, resolver: str | None, proof: Proof) -> dict[str, Any]:
    changes = [
        {
            "kind": change.kind,
            "resource": change.resource,
            "action": change.action,
            "before": change.before,
            "after": None if change.kind == FILE else change.after,
            "mode": change.mode,
        }
        for change in plan.changes
    ]
    return {
        "id": checkpoint.id,
        "changes": changes,
        "description": f"pfsquid configure ({checkpoint.id})",
        "proof": {"address": proof.address, "port": proof.port, "want": proof.want, "seconds": PROOF_SECONDS},
        "squid": any(change.then == "squid" for change in plan.changes),
        "dns": any(change.then == "dns" for change in plan.changes),
        "resolver": resolver,
    }


def _clean(pfsense: Pfsense, plan: Plan, checkpoint: Checkpoint, keytabs: tuple[str, ...]) -> None:
    staged = [f"{change.resource}.{checkpoint.id}" for change in plan.changes if change.kind == FILE]
    pfsense.run("clean", {"staged": staged, "keytabs": list(keytabs)})


def _now(actual: Actual, change: Change) -> Any:
    if change.kind == DNS:
        return actual.overrides
    return (actual.fields.get(change.resource) or None) if change.kind == FIELD else None


def _is_before(actual: Actual, change: Change, now: Any) -> bool:
    if change.kind == FILE:
        return _file_is(actual, change, change.before)
    return bool((now or "") == (change.before or ""))


def _file_is(actual: Actual, change: Change, content: str | None) -> bool:
    file = actual.files.get(change.resource)
    if file is None or file.content is None:
        return file is None and content is None
    return content is not None and file.content == base64.b64decode(content)


def _cure(problem: str) -> tuple[str, ...]:
    """What to do about a problem that the firewall reported; the first that fits."""
    cures = (
        (
            "the keytab cannot be read",
            "the keytab must be one file that Squid's user can read: kerberos.keytab in pfsquid.yaml",
        ),
        ("does not take the keytab", "klist -kte KEYTAB    # it must hold HTTP/<proxy>@<REALM>, in that case, whole"),
        ("there is no helper", "on the firewall: ls -l /usr/local/libexec/squid/    # then proxy.helper.path"),
        ("Squid refuses", "pfsquid configure --plan    # which line is it? Then proxy: in pfsquid.yaml"),
        ("no space left", "on the firewall: df -h    # make room, then the same command"),
        ("Squid does not run", "on the firewall: tail -50 /var/squid/logs/cache.log"),
    )
    return tuple(cure for sign, cure in cures if sign in problem)[:1] or ("pfsquid configure --plan",)
