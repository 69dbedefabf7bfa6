"""Another keytab for a proxy that is configured, in the place of the live one, with no request refused meanwhile.

What `configure` does for a change of options, `squid -k reconfigure`, closes Squid's port for a moment (0.3 s in the
lab). Here nothing but the keytab's bytes change: they are swapped, and `squid -k rotate` renews the helpers while the
port stays open. It also starts new log files, as pfSense does every night. The new keytab should hold the former keys,
too, for helpers of before and after serve side by side for a moment.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime

from pfsquid.errors import PfsquidError
from pfsquid.firewall.apply import APPLY_SECONDS, PROOF_SECONDS, cure
from pfsquid.firewall.configure import Node
from pfsquid.firewall.desired import BEFORE_AUTH, decoded
from pfsquid.firewall.plan import FILE
from pfsquid.firewall.undo import keytab_of


def live_keytab(node: Node) -> str | None:
    """Where the live keytab lies, if all that a node's plan has to do is to put another one there; else None."""
    plan, actual = node.prepared.plan, node.prepared.actual
    live = keytab_of(actual.fields.get(BEFORE_AUTH))
    if live is None or live not in node.prepared.facts.keytabs or live == plan.keytab_path:
        return None
    options = plan.change_of(BEFORE_AUTH)
    for change in plan.changes:
        if change is not options and not (change.kind == FILE and change.resource == plan.keytab_path):
            return None
    if options is None:
        return live if node.settings.synced_from else None
    before, after = decoded(options.before or ""), decoded(options.after or "")
    return live if after.replace(plan.keytab_path, live) == before else None


def renew(node: Node, path: str, say: Callable[[str], None]) -> None:
    """Put the wanted keytab at `path`, which `live_keytab` gave, and let the helpers read it.

    Raises PfsquidError; the former keytab is in its place and in use then.
    """
    pfsense, name, trial, proof = node.pfsense, node.pfsense.name, node.prepared.trial, node.prepared.proof
    own = f"pfsquid-{datetime.now(UTC):%Y%m%d%H%M%S%f}"
    content = base64.b64encode(node.wanted.keytab).decode()
    file = {"path": path, "content": content, "owner": "squid", "group": "proxy", "mode": 0o400}
    staged = {
        "id": own,
        "files": [file],
        "candidate": None,
        "keytab": f"{path}.{own}",
        "helper": trial.helper,
        "spn": trial.spn,
    }
    problem = str(pfsense.run("stage", staged)["problem"])
    if problem:
        pfsense.run("clean", {"id": own, "paths": [path], "keytabs": []})
        raise PfsquidError(f"{name}: nothing was changed: {problem}", *cure(problem))
    say(f"{name}: putting the keytab in place of the live one; the proxy serves on")
    asked = {"address": proof.address, "port": proof.port, "want": proof.want, "seconds": PROOF_SECONDS, "block": ""}
    answer = pfsense.run("renew", {"id": own, "path": path, "proof": asked}, APPLY_SECONDS)
    if answer["problem"]:
        evidence = "".join(f"\ncache.log: {line}" for line in answer["log"])
        outcome = "put back" if answer["touched"] else "nothing was changed"
        raise PfsquidError(f"{name}: {outcome}: {answer['problem']}{evidence}", *cure(answer["problem"]))
    say(f"{name}: the helpers have the new keytab")
