"""A plan for people: each change as a line and, where it helps, as a diff. Secrets as size and digest. Pure."""

from __future__ import annotations

import base64
import difflib
import json
from dataclasses import dataclass
from typing import Any

from pfsquid.firewall.desired import BEFORE_AUTH, decoded
from pfsquid.firewall.plan import DNS, FILE, Change, Plan

_SIGNS = {"create": "+", "update": "~", "delete": "-"}


@dataclass(frozen=True)
class Explained:
    """One change, told. diff: lines of a unified diff, or none."""

    firewall: str
    sign: str
    resource: str
    summary: str
    diff: tuple[str, ...] = ()


def explain(plan: Plan) -> list[Explained]:
    """All changes of a plan, in its order."""
    return [_explained(plan.firewall, change) for change in plan.changes]


def _explained(firewall: str, change: Change) -> Explained:
    sign = _SIGNS[change.action]
    if change.sensitive:
        size = len(base64.b64decode(change.after)) if change.after else 0
        summary = f"{size} bytes, HMAC {change.digest.partition(':')[2][:8]}, {change.owner}, mode {change.mode:04o}"
        return Explained(firewall, sign, change.resource, summary)
    before, after = _text(change, change.before), _text(change, change.after)
    if "\n" not in before + after:
        return Explained(firewall, sign, change.resource, f"{_quoted(before)} → {_quoted(after)}")
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "now", "then", lineterm="", n=2)
    summary = f"{change.owner}, mode {change.mode:04o}" if change.kind == FILE else ""
    return Explained(firewall, sign, change.resource, summary, tuple(lines)[2:])


def _text(change: Change, value: Any) -> str:
    if value is None:
        return ""
    if change.kind == FILE:
        return base64.b64decode(value).decode("utf-8", "replace")
    if change.kind == DNS:
        return "".join(f"{entry.get('domain')} → {entry.get('ip')}\n" for entry in value)
    return decoded(value).replace("\r\n", "\n") if change.resource == BEFORE_AUTH else str(value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False) if text else "nothing"
