"""`pfsquid explain CODE`: what a check proves and what breaks it, or what a cause means and how it is mended."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator

from pfsquid.errors import WrongUse
from pfsquid.kerberos.causes import Cause, fill, load
from pfsquid.kerberos.chain import CHAIN
from pfsquid.kerberos.check import Check
from pfsquid.settings import KerberosSettings


def explained(code: str, settings: KerberosSettings | None) -> tuple[str, ...]:
    """Lines of prose. settings: fill the commands, where there are any. Raises WrongUse for an unknown code."""
    checks = {check.code: check for check in CHAIN}
    causes = {cause.code: cause for cause in load()}
    values = _values(settings)
    lines = []
    if code in checks:
        lines += list(_of_check(checks[code], tuple(one for one in causes.values() if one.link == code)))
    if code in causes:
        lines += ["", *_of_cause(causes[code], values)] if lines else list(_of_cause(causes[code], values))
    if lines:
        return tuple(lines)
    near = difflib.get_close_matches(code, [*checks, *causes], 3)
    raise WrongUse(
        f"there is no check and no cause {code!r}{f'; did you mean {near[0]}?' if near else ''}",
        "pfsquid verify-kerberos --list",
    )


def _of_check(check: Check, causes: tuple[Cause, ...]) -> Iterator[str]:
    yield f"{check.code}: {check.title}"
    yield f"  proves: {inspect.getdoc(check.judge)}"
    if check.needs:
        yield f"  needs: {', '.join(check.needs)}"
    if check.after:
        yield f"  waits, where they failed, for: {', '.join(check.after)}"
    dependants = [one.code for one in CHAIN if check.code in (*one.needs, *one.after)]
    if dependants:
        yield f"  what waits for it: {', '.join(dependants)}"
    if causes:
        yield "  texts by which it is known, and what they mean (pfsquid explain CODE):"
        width = max(len(one.code) for one in causes)
        for cause in causes:
            yield f"    {cause.code:<{width}}  {_plain(cause.cause)}"


def _of_cause(cause: Cause, values: dict[str, str | None]) -> Iterator[str]:
    yield f"{cause.code} ({cause.severity}): {_plain(cause.cause)}"
    yield f"  the check: {cause.link}"
    yield f"  seen in: {', '.join(cause.where)}"
    yield f"  known by: {cause.pattern.pattern}"
    remedy = fill((cause.remedy, *cause.commands), **values)
    yield f"  → {remedy[0]}"
    for command in remedy[1:]:
        yield f"    $ {command}"


def _plain(text: str) -> str:
    """A cause's sentence without the text that would fill it: {kvno} → KVNO."""
    words = text.replace("{", "\0").replace("}", "\1")
    while "\0" in words:
        before, _, rest = words.partition("\0")
        name, _, after = rest.partition("\1")
        words = f"{before}{name.upper()}{after}"
    return words


def _values(settings: KerberosSettings | None) -> dict[str, str | None]:
    if settings is None:
        return {}
    return {
        "spn": f"HTTP/{settings.proxy}", "realm": settings.realm, "proxy": settings.proxy,
        "zone": settings.realm.lower(), "account": settings.account, "keytab": str(settings.keytab),
        "kdc": settings.kdcs[0] if settings.kdcs else None,
    }  # fmt: skip
