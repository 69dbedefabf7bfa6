"""What `configure` asks of Kerberos: do people get through what was applied, and has a keytab only grown?"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pfsquid.config import Config
    from pfsquid.firewall.configure import Node, Refusal
    from pfsquid.kerberos.check import Result

# Without these nobody who has to log in gets through: the proxy would be worse off than before.
PUT_BACK = ("keytab-principal", "helper-program", "ticket", "helper", "squid", "request")


def prover(settings: Config, folder: Path, say: Callable[[str], None]) -> Callable[[Node], Refusal | None]:
    """A function that verifies a firewall over its open connection, says what it found, and what must go back.

    folder: where relative paths of the configuration begin.
    """

    def prove(node: Node) -> Refusal | None:
        from pfsquid.kerberos.chain import QUICK
        from pfsquid.kerberos.check import Status
        from pfsquid.kerberos.verify import Verification

        name = node.pfsense.name
        verification = Verification(settings, folder, lambda _: nullcontext(node.pfsense), dict(os.environ))
        results = list(verification.firewall(name, checks=QUICK))
        refusal = _refusal(results)
        for result in results:
            told = f"{result.code}: {result.finding.detail}"
            if result.status in (Status.FAIL, Status.ERROR, Status.WARN) and not (refusal and refusal.detail == told):
                say(f"{name}: {told}")
        if refusal is None:
            say(f"{name}: {_told(results)}")
        return refusal

    return prove


def _told(results: list[Result]) -> str:
    """How far the proof went, in one line."""
    by_code = {result.code: result for result in results}
    request = by_code["request"]
    if request.status == "ok":
        return f"a request with a ticket got through: {request.finding.detail}"
    if request.finding.waits_for:
        return f"no request with a ticket was made: it {request.finding.detail}"
    return f"a request with a ticket: {request.finding.detail}"


def _refusal(results: list[Result]) -> Refusal | None:
    from pfsquid.firewall.configure import Refusal

    for result in results:
        if result.status == "fail" and result.code in PUT_BACK:
            remedy = result.finding.remedy
            steps = (remedy.text, *remedy.commands) if remedy else ()
            return Refusal(f"{result.code}: {result.finding.detail}", steps)
    return None


def grown_in_place(node: Node, say: Callable[[str], None]) -> bool:
    """Where a plan only brings a keytab with all keys of the live one, as after `keytab rotate`: swap it in place.

    So no request is refused meanwhile, and nothing can be worse than before. False: nothing was done, and the plan's
    own way is to be taken. Raises PfsquidError.
    """
    from pfsquid.firewall.inspect import Asked, inspect
    from pfsquid.firewall.renew import live_keytab, renew
    from pfsquid.kerberos.keytab import BadKeytab, parse

    path = live_keytab(node)
    if path is None:
        return False
    there = inspect(node.pfsense, Asked(keytab=path, manager=False)).keytab
    content = there.file.content if there and there.file else None
    try:
        live, new = parse(content or b""), parse(node.wanted.keytab)
    except BadKeytab:
        return False
    keys = {(one.principal, one.kvno, one.key) for one in new}
    if not live or any((one.principal, one.kvno, one.key) not in keys for one in live):
        return False
    renew(node, path, say)
    return True
