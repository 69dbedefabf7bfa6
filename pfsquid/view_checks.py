"""Results of checks as text for people, as rows for JSON and CSV, as JUnit XML. Prints through `views` alone."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any
from xml.etree import ElementTree

from pfsquid import views
from pfsquid.kerberos.check import Result, Status

COLUMNS = (
    "firewall", "code", "title", "status", "detail", "waits_for", "cause", "remedy", "commands", "seconds", "evidence",
)  # fmt: skip
_WORDS = {Status.OK: "ok", Status.WARN: "warn", Status.FAIL: "FAIL", Status.ERROR: "ERROR", Status.SKIPPED: "-"}
_COLORS = {Status.OK: "32", Status.WARN: "33", Status.FAIL: "1;31", Status.ERROR: "1;35", Status.SKIPPED: "2"}
_INDENT = " " * 7


class CheckFormat(StrEnum):
    """How the results of checks are written to standard output."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    JUNIT = "junit"


def show_result(screen: views.Screen, result: Result, evidence: bool) -> None:
    """One result for people: the line, and where something is wrong, what to do."""
    finding = result.finding
    word = f"{'wait' if finding.waits_for else _WORDS[finding.status]:<6}"
    if screen.color and screen.out.isatty():
        word = f"\x1b[{_COLORS[finding.status]}m{word}\x1b[0m"
    lines = _folded(f"{result.title}: {finding.detail}")
    views.tell(screen, f"{word} {views.printable(f'{result.code:<17} {lines[0]}')}")
    indent = f"{_INDENT}{'':<18}"
    for line in lines[1:]:
        views.tell(screen, views.printable(f"{indent}{line}"))
    if finding.remedy and not finding.waits_for and finding.status is not Status.OK:
        if finding.remedy.text != finding.detail:
            for number, line in enumerate(_folded(finding.remedy.text)):
                views.tell(screen, views.printable(f"{indent}{'→ ' if number == 0 else '  '}{line}"))
        for command in finding.remedy.commands:
            views.tell(screen, views.printable(f"{indent}  $ {command}"))
        more = " ".join(dict.fromkeys((result.code, *finding.cause)))
        views.tell(screen, views.printable(f"{indent}  more: pfsquid explain {more.split()[-1]}"))
    if evidence:
        for line in finding.evidence:
            views.tell(screen, views.printable(f"{indent}| {line}"))


def show_summary(screen: views.Screen, firewall: str, results: Sequence[Result], seconds: float) -> None:
    """The last line: how many of each, and how long it took."""
    waiting = sum(bool(result.finding.waits_for) for result in results)
    counts = {status: sum(result.status is status for result in results) for status in Status}
    told = [f"{counts[Status.OK]} ok"]
    told += [
        f"{counts[status]} {status.value}" for status in (Status.WARN, Status.FAIL, Status.ERROR) if counts[status]
    ]
    told += [f"{waiting} waiting"] if waiting else []
    unasked = counts[Status.SKIPPED] - waiting
    told += [f"{unasked} not asked for"] if unasked else []
    views.tell(screen, views.printable(f"{firewall}: {', '.join(told)}; {seconds:.1f} s"))


def show_change(screen: views.Screen, when: str, firewall: str, before: Status, result: Result) -> None:
    """A line of `--watch`: what has changed since the last round."""
    detail = " ".join(_folded(result.finding.detail))
    text = f"{when}  {firewall}  {result.code}: {before.value} → {result.status.value}: {detail}"
    views.tell(screen, views.printable(text))


def rows(firewall: str, results: Sequence[Result], evidence: bool) -> list[tuple[Any, ...]]:
    """The results as rows of COLUMNS."""
    return [
        (
            firewall,
            result.code,
            result.title,
            result.status.value,
            result.finding.detail,
            list(result.finding.waits_for),
            list(result.finding.cause),
            result.finding.remedy.text if result.finding.remedy else None,
            list(result.finding.remedy.commands) if result.finding.remedy else [],
            round(result.seconds, 3),
            list(result.finding.evidence) if evidence else [],
        )
        for result in results
    ]


def junit(runs: Sequence[tuple[str, Sequence[Result]]], evidence: bool) -> str:
    """JUnit XML, as Jenkins and GitLab read it: a suite for each firewall, a case for each check."""
    root = ElementTree.Element("testsuites", name="pfsquid verify-kerberos")
    for firewall, results in runs:
        counted = {status: str(sum(result.status is status for result in results)) for status in Status}
        suite = ElementTree.SubElement(
            root, "testsuite", name=_xml(firewall), tests=str(len(results)), failures=counted[Status.FAIL],
            errors=counted[Status.ERROR], skipped=counted[Status.SKIPPED],
            time=f"{sum(result.seconds for result in results):.3f}",
        )  # fmt: skip
        for result in results:
            _case(suite, firewall, result, evidence)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode")


def _case(suite: ElementTree.Element, firewall: str, result: Result, evidence: bool) -> None:
    finding = result.finding
    case = ElementTree.SubElement(
        suite, "testcase", classname=_xml(f"verify-kerberos.{firewall}"), name=result.code, time=f"{result.seconds:.3f}"
    )
    kind = {Status.FAIL: "failure", Status.ERROR: "error", Status.SKIPPED: "skipped"}.get(finding.status)
    if kind:
        told = ElementTree.SubElement(case, kind, message=_xml(finding.detail))
        told.text = _xml("\n".join((finding.remedy.text, *finding.remedy.commands))) if finding.remedy else None
    output = [f"{result.title}: {finding.detail}", *(finding.evidence if evidence else ())]
    ElementTree.SubElement(case, "system-out").text = _xml("\n".join(output))


def _xml(text: str) -> str:
    """What XML 1.0 can hold (W3C XML 2.2), without what would speak to a terminal."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in text)


def _folded(text: str) -> list[str]:
    return text.splitlines() or [""]
