"""Checks of a chain, and the runner: each check judges gathered facts, a break makes its dependants wait. Pure.

A judge is a function of records; the names of its parameters say which. Whoever runs the checks gives a function that
gathers a record by that name, once; what that raises makes the check `error`, never `ok`.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from pfsquid.errors import ExitCode, PfsquidError
from pfsquid.kerberos.redact import redact


class Status(StrEnum):
    """What came of a check. error: it could not be found out. skipped: it waits for another, or nobody asked for it."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    ERROR = "error"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Remedy:
    """What to do: a sentence or two, and commands that the reader can paste."""

    text: str
    commands: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """What a judge says. detail: a sentence. cause: codes of `causes`. evidence: lines seen, without secrets."""

    status: Status
    detail: str
    remedy: Remedy | None = None
    cause: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    waits_for: tuple[str, ...] = ()


@dataclass(frozen=True)
class Check:
    """One link of the chain.

    needs: checks without whose success this one makes no sense. after: checks that, when they failed, make this one's
    outcome mean nothing, but which may be left out. quick: part of what `configure` runs.
    """

    code: str
    title: str
    judge: Callable[..., Finding]
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    quick: bool = False

    @property
    def uses(self) -> tuple[str, ...]:
        """The names of the records that the judge takes."""
        return tuple(inspect.signature(self.judge).parameters)


@dataclass(frozen=True)
class Result:
    """A check with what came of it, and how long it took, in seconds."""

    code: str
    title: str
    finding: Finding
    seconds: float

    @property
    def status(self) -> Status:
        """The finding's."""
        return self.finding.status


class Waiting(Exception):  # noqa: N818 - reads as what it is
    """Raised while gathering: it makes no sense before `code` is well."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class NotAsked(Exception):  # noqa: N818 - reads as what it is
    """Raised while gathering: the configuration does not say what is needed for it. remedy: how it would."""

    def __init__(self, reason: str, *commands: str) -> None:
        super().__init__(reason)
        self.remedy = Remedy(reason, commands)


def ok(detail: str, evidence: Sequence[str] = ()) -> Finding:
    """A finding: all is well."""
    return Finding(Status.OK, detail, evidence=tuple(evidence))


def warn(detail: str, text: str, *commands: str, cause: Sequence[str] = (), evidence: Sequence[str] = ()) -> Finding:
    """A finding: it works, and something about it should be known."""
    return Finding(Status.WARN, detail, Remedy(text, commands), tuple(cause), tuple(evidence))


def fail(detail: str, text: str, *commands: str, cause: Sequence[str] = (), evidence: Sequence[str] = ()) -> Finding:
    """A finding: a break, and what to do about it."""
    return Finding(Status.FAIL, detail, Remedy(text, commands), tuple(cause), tuple(evidence))


def unknown(detail: str, text: str, *commands: str, evidence: Sequence[str] = ()) -> Finding:
    """A finding: it could not be found out, and what would help."""
    return Finding(Status.ERROR, detail, Remedy(text, commands), (), tuple(evidence))


@dataclass
class Gathering:
    """Records by name, each gathered once, also where it failed."""

    gather: Mapping[str, Callable[[], Any]]
    _known: dict[str, Any] = field(default_factory=dict)
    _failed: dict[str, Exception] = field(default_factory=dict)

    def __call__(self, name: str) -> Any:
        """The record; raises again what gathering it raised."""
        if name in self._failed:
            raise self._failed[name]
        if name not in self._known:
            try:
                self._known[name] = self.gather[name]()
            except Exception as exc:
                self._failed[name] = exc
                raise
        return self._known[name]


def run(
    checks: Sequence[Check], gather: Callable[[str], Any], only: Collection[str] = (), skip: Collection[str] = ()
) -> Iterator[Result]:
    """The checks' results in order. only: these, and what they need (all where empty); skip: not these.

    A left-out check blocks those that need it, as one that nobody asked for. Raises KeyError for an unknown code.
    """
    known = {check.code: check for check in checks}
    wanted = _with_needs(known, only) if only else set(known)
    for code in skip:
        known[code]
    done: dict[str, Finding] = {}
    for check in checks:
        if check.code not in wanted:
            continue
        begin = time.monotonic()
        finding = _left_out() if check.code in skip else _blocked(check, done) or _judged(check, gather)
        done[check.code] = finding
        yield Result(check.code, check.title, finding, time.monotonic() - begin)


def exit_code(results: Collection[Result]) -> ExitCode:
    """3 where something is broken; else 1 where something could not be found out; else 0."""
    statuses = {result.status for result in results}
    if Status.FAIL in statuses:
        return ExitCode.FOUND
    return ExitCode.FAILED if Status.ERROR in statuses else ExitCode.DONE


def _with_needs(known: Mapping[str, Check], only: Collection[str]) -> set[str]:
    wanted: set[str] = set()
    todo = list(only)
    while todo:
        check = known[todo.pop()]
        if check.code not in wanted:
            wanted.add(check.code)
            todo += check.needs
    return wanted


def _left_out() -> Finding:
    return Finding(Status.SKIPPED, "left out by --skip")


def _blocked(check: Check, done: Mapping[str, Finding]) -> Finding | None:
    """The reason why a check is not made, or None."""
    broken = [code for code in (*check.needs, *check.after) if code in done and _is_broken(done[code])]
    broken += [code for code in check.needs if code in done and done[code].waits_for and code not in broken]
    if broken:
        roots = tuple(dict.fromkeys(root for code in broken for root in (done[code].waits_for or (code,))))
        return Finding(Status.SKIPPED, f"waits for {', '.join(roots)}", waits_for=roots)
    unasked = [code for code in check.needs if code in done and done[code].status is Status.SKIPPED]
    if unasked:
        first = done[unasked[0]]
        why = first.detail if first.detail.startswith("needs ") else f"needs {unasked[0]}: {first.detail}"
        return replace(first, detail=why, evidence=())
    return None


def _is_broken(finding: Finding) -> bool:
    return finding.status in (Status.FAIL, Status.ERROR)


def _judged(check: Check, gather: Callable[[str], Any]) -> Finding:
    try:
        return check.judge(*[gather(name) for name in check.uses])
    except Waiting as exc:
        return Finding(Status.SKIPPED, f"waits for {exc.code}", waits_for=(exc.code,))
    except NotAsked as exc:
        return Finding(Status.SKIPPED, str(exc), exc.remedy)
    except PfsquidError as exc:
        steps = exc.next or ("the same command with --debug",)
        return Finding(Status.ERROR, exc.message, Remedy("it could not be found out", tuple(steps)))
    except Exception as exc:  # noqa: BLE001 - a probe that breaks is an error of its check, and of no other
        remedy = Remedy("this is a fault of pfsquid: please report it", ("the same command with --debug",))
        return Finding(Status.ERROR, redact(f"the probe broke: {type(exc).__name__}: {exc}"), remedy)
