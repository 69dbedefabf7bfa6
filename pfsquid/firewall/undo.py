"""The way back: what a checkpoint changed, field by field, and what an interrupted run left half done.

What others changed since stays and is named. Nothing is removed that the live configuration refers to.
"""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from typing import Any

from pfsquid.errors import PfsquidError
from pfsquid.firewall.apply import Proof, Say, Trial, clean, conclude, cure, stage, transaction
from pfsquid.firewall.checkpoint import APPLYING, SERVING, UNDONE, Checkpoint
from pfsquid.firewall.desired import BEFORE_AUTH, block_in, with_block
from pfsquid.firewall.pfsense import Facts, Pfsense
from pfsquid.firewall.plan import DNS, FILE, Actual, Change, Plan, same

_PROGRAM = re.compile(r"^auth_param negotiate program (\S+) -k (\S+) -s (\S+)", re.MULTILINE)


def recover(pfsense: Pfsense, checkpoint: Checkpoint, actual: Actual, facts: Facts, proof: Proof, say: Say) -> None:
    """Finish an earlier run that was cut off, where config.xml is as it wanted it; else undo it.

    Raises RolledBack, PfsquidError.
    """
    plan = checkpoint.plan
    fields = [change for change in plan.changes if change.kind != FILE]
    if fields and checkpoint.stage == APPLYING and all(_holds(actual, change, change.after) for change in fields):
        say(f"{pfsense.name}: an earlier run ({checkpoint.id}) was cut off after it wrote config.xml; finishing it")
        if block_in(_options(actual)) is None:
            proof = replace(proof, want="alive" if facts.pid else "nothing")
        answer = transaction(pfsense, plan, checkpoint, actual.resolver, proof, "resume")
        conclude(pfsense, plan, checkpoint, answer)
        clean(pfsense, plan, checkpoint)
        return
    say(f"{pfsense.name}: an earlier run ({checkpoint.id}) was cut off before it was done; undoing it")
    undo(pfsense, checkpoint, actual, facts, proof)


def undo(pfsense: Pfsense, checkpoint: Checkpoint, actual: Actual, facts: Facts, proof: Proof) -> bool:
    """Take a run back that did not come to its end; True where config.xml had to be written for it.

    Raises PfsquidError where that could not be done: the next start tries again.
    """
    back, _ = reversal(checkpoint.plan, actual)
    created = _created(checkpoint.plan)
    answer = {"after": ""}
    if checkpoint.stage == APPLYING:
        problem = stage(pfsense, back, checkpoint, actual, facts, None)
        if problem:
            raise PfsquidError(f"{pfsense.name}: an earlier run cannot be undone: {problem}", *cure(problem))
        want = "alive" if SERVING in checkpoint.journal else "nothing"
        answer = transaction(pfsense, back, checkpoint, actual.resolver, replace(proof, want=want), "undo")
        if answer["result"] == "stale":
            raise PfsquidError(
                f"{pfsense.name}: somebody changed {answer['problem']} at this moment", "the same command again"
            )
    live = keytab_of(_options_after(back, actual))
    clean(pfsense, checkpoint.plan, checkpoint, tuple(path for path in created if path != live))
    checkpoint.note(UNDONE)
    if answer["after"]:
        raise PfsquidError(
            f"{pfsense.name}: the former settings are back, but {answer['after']}", *cure(answer["after"])
        )
    return any(change.kind != FILE for change in back.changes)


def reversal(plan: Plan, actual: Actual) -> tuple[Plan, list[str]]:
    """The plan that takes an earlier one back, field by field, and what is left because somebody changed it since.

    Of the custom options only the managed block goes, of the DNS overrides only our zones' entries: others' later
    changes beside them stay.
    """
    changes: list[Change] = []
    left: list[str] = []
    for change in plan.changes:
        if change.kind == FILE:
            if change.sensitive:
                continue  # a keytab that nothing refers to is not in the way, and may be wanted again
            if not _holds(actual, change, change.after):
                if not _holds(actual, change, change.before):
                    left.append(change.resource)
                continue
            changes.append(_file_back(change))
            continue
        now, after = _now(actual, change), _before(actual, change)
        if after is _THEIRS:
            if not same(now, change.before):
                left.append(change.resource)
        elif not same(now, after):
            changes.append(replace(change, action="update", before=now, after=after))
    return replace(plan, changes=tuple(changes), target=actual.host_key), left


def trial_of(undo_plan: Plan, actual: Actual) -> Trial | None:
    """How to try the keytab that the way back leads to; None where it leads to no Kerberos. Raises PfsquidError."""
    found = _PROGRAM.search(block_in(_options_after(undo_plan, actual)) or "")
    if found is None:
        return None
    helper, keytab, spn = found.groups()
    if keytab not in actual.files:
        raise PfsquidError(
            f"{undo_plan.firewall}: the keytab {keytab}, which these settings refer to, is not there any more",
            "kerberos.keytab: THAT KEYTAB    # in pfsquid.yaml, and then: pfsquid configure",
        )
    return Trial(helper, keytab, spn)


_THEIRS = object()


def _before(actual: Actual, change: Change) -> Any:
    """What a field is to be after going back, or _THEIRS where somebody else set it since."""
    now = _now(actual, change)
    if same(now, change.after):
        return change.before
    if change.resource == BEFORE_AUTH:
        return with_block(now or "", block_in(change.before or ""))
    if change.kind == DNS:
        touched = {entry["domain"] for entry in change.after if entry not in change.before}
        touched |= {entry["domain"] for entry in change.before if entry not in change.after}
        others = [entry for entry in now if entry["domain"] not in touched]
        return others + [entry for entry in change.before if entry["domain"] in touched]
    return _THEIRS


def _file_back(change: Change) -> Change:
    owner, group, mode = change.former or (change.owner, change.group, change.mode)
    return replace(
        change,
        action="update" if change.before is not None else "delete",
        before=change.after,
        after=change.before,
        owner=owner,
        group=group,
        mode=mode,
        former=(change.owner, change.group, change.mode),
    )


def _created(plan: Plan) -> tuple[str, ...]:
    return tuple(c.resource for c in plan.changes if c.kind == FILE and c.sensitive and c.action == "create")


def _options(actual: Actual) -> str:
    return actual.fields.get(BEFORE_AUTH) or ""


def _options_after(plan: Plan, actual: Actual) -> str:
    change = plan.change_of(BEFORE_AUTH)
    return (change.after or "") if change else _options(actual)


def keytab_of(field: str | None) -> str | None:
    """The keytab that the managed block in a field refers to."""
    found = _PROGRAM.search(block_in(field or "") or "")
    return found[2] if found else None


def _now(actual: Actual, change: Change) -> Any:
    return actual.overrides if change.kind == DNS else actual.fields.get(change.resource)


def _holds(actual: Actual, change: Change, value: Any) -> bool:
    """Is the field, or the file, what `value` says?"""
    if change.kind != FILE:
        return same(_now(actual, change), value)
    file = actual.files.get(change.resource)
    return (file.content if file else None) == (None if value is None else base64.b64decode(value))
