"""Error text → what it really means → what to do. The knowledge is data: causes.yaml, an entry for each cause.

Pure: a text goes in, causes come out. An unknown text gives nothing; this never guesses. What it gives of the text is
redacted (redact.py), and no command ever takes anything from it: whoever can write a line into a log must not write
what an administrator pastes into a shell.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pfsquid.errors import WrongUse
from pfsquid.kerberos.redact import REMOVED, redact

__all__ = ["REMOVED", "Cause", "Diagnosed", "diagnose", "fill", "load", "parse", "redact"]

# The checks of the chain that a cause can name as the one at fault, in the order in which they depend on each other.
LINKS = (
    *("ssh", "pfsense", "package", "squid-conf", "dns-override", "dc", "dc-all", "dns-srv", "dns-kdc", "dns-proxy"),
    *("dns-reverse", "kdc", "clock", "krb5-conf", "ldap", "ldap-login", "account", "account-enctypes", "spn"),
    *("keytab-readable", "keytab-private", "keytab", "keytab-principal", "keytab-kvno", "keytab-enctypes", "login"),
    *("ticket", "helper-program", "helper", "squid", "cache-log", "request", "access-log", "ntlm", "children"),
)
WHERE = ("helper", "squid", "kinit", "kvno", "client", "ldap", "ssh", "dns", "kdc")
SEVERITIES = ("error", "warning", "harmless")
PLACEHOLDERS = ("spn", "realm", "account", "proxy", "keytab", "kdc", "zone", "user")

_FIELDS = ("code", "link", "where", "severity", "symptom", "pattern", "cause", "remedy", "commands")
_OPTIONAL = {"severity": "error", "symptom": False, "commands": []}
_LONGEST_LINE = 4096
_LONGEST_GROUP = 200
_NAME = re.compile(r"\{([a-z_]+)\}")
_STAMP = re.compile(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d(?:\.\d+)?(?: kid\d+)?\| ")
_BARE = re.compile(r"[\w/@][\w.@:/+,=-]*\$?")
_QUOTABLE = re.compile(r"[^-\"$`\\%!\x00-\x1f][^\"$`\\%!\x00-\x1f]*")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Cause:
    """An entry of causes.yaml. link: the code of the check at fault. where: whose texts the pattern is looked for in.
    symptom: only says that something failed; another text has the reason. cause: a sentence, with {groups} of the
    pattern. remedy, commands: with {placeholders} (PLACEHOLDERS), for `fill`."""

    code: str
    link: str
    where: tuple[str, ...]
    severity: str
    symptom: bool
    pattern: re.Pattern[str]
    cause: str
    remedy: str
    commands: tuple[str, ...]


@dataclass(frozen=True)
class Diagnosed:
    """A cause that was found. line: the first line that told it, redacted, without its timestamp. text: the cause's
    sentence, filled. named: the pattern's groups (a kvno, a principal, a path), as strings."""

    cause: Cause
    line: str
    text: str
    named: Mapping[str, str] = field(default_factory=dict)

    @property
    def code(self) -> str:
        """The cause's code."""
        return self.cause.code

    @property
    def link(self) -> str:
        """The code of the check at fault."""
        return self.cause.link


@cache
def load() -> tuple[Cause, ...]:
    """The causes that come with pfsquid, in the order of the file."""
    path = Path(__file__).with_name("causes.yaml")
    return parse(path.read_text("utf-8"), path.name)


def parse(text: str, name: str = "causes.yaml") -> tuple[Cause, ...]:
    """The causes of a YAML text; `name` is for messages. Raises WrongUse with everything that is wrong in it."""
    try:
        entries = yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        raise WrongUse(f"{name} is not YAML: {error}") from None
    if not isinstance(entries, list):
        raise WrongUse(f"{name} is not a list of causes")
    causes: list[Cause] = []
    wrong: list[str] = []
    for number, entry in enumerate(entries, 1):
        where = f"{name}: entry {number}"
        if not isinstance(entry, dict):
            wrong.append(f"{where} is not a mapping")
            continue
        where += f" ({entry.get('code', 'no code')})"
        faults = list(_faults(entry)) or [
            f"the code {entry['code']} is taken" for cause in causes if cause.code == entry["code"]
        ]
        wrong += [f"{where}: {fault}" for fault in faults]
        if not faults:
            causes.append(_cause({**_OPTIONAL, **entry}))
    if wrong:
        raise WrongUse("\n".join(wrong), "docs/causes.md tells how an entry looks")
    return tuple(causes)


def _faults(entry: Mapping[str, Any]) -> Iterable[str]:
    unknown = [str(key) for key in entry if key not in _FIELDS]
    missing = [key for key in _FIELDS if key not in entry and key not in _OPTIONAL]
    if unknown or missing:
        yield from (f"unknown key {key}" for key in unknown)
        yield from (f"{key} is missing" for key in missing)
        return
    texts = [key for key in ("code", "link", "pattern", "cause", "remedy") if not _is_text(entry[key])]
    lists = [key for key in ("where", "commands") if not _is_list(entry.get(key, []))]
    if texts or lists:
        yield from (f"{key} is not a text" for key in texts)
        yield from (f"{key} is not a list of texts" for key in lists)
        return
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", entry["code"]):
        yield f"code {entry['code']!r} is not in kebab-case"
    if entry["link"] not in LINKS:
        yield f"link {entry['link']!r} is no check; checks are {', '.join(LINKS)}"
    if not entry["where"] or set(entry["where"]) - set(WHERE):
        yield f"where is none or more of {', '.join(WHERE)}: {entry['where']}"
    if entry.get("severity", "error") not in SEVERITIES:
        yield f"severity {entry['severity']!r} is none of {', '.join(SEVERITIES)}"
    if not isinstance(entry.get("symptom", False), bool):
        yield "symptom is neither true nor false"
    yield from _faults_of_names(entry)


def _faults_of_names(entry: Mapping[str, Any]) -> Iterable[str]:
    try:
        pattern = re.compile(tolerant(entry["pattern"]))
    except re.error as error:
        yield f"pattern is no regular expression: {error}"
        return
    if pattern.search(""):
        yield "pattern matches an empty line"
    yield from (
        f"cause uses {{{name}}}, which is no group of the pattern"
        for name in _NAME.findall(entry["cause"])
        if name not in pattern.groupindex
    )
    yield from (
        f"unknown placeholder {{{name}}}; there are {', '.join(PLACEHOLDERS)}"
        for text in (entry["remedy"], *entry.get("commands", []))
        for name in _NAME.findall(text)
        if name not in PLACEHOLDERS
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.strip() != ""


def _is_list(value: object) -> bool:
    return isinstance(value, list) and all(_is_text(item) for item in value)


def _cause(entry: Mapping[str, Any]) -> Cause:
    return Cause(
        code=entry["code"],
        link=entry["link"],
        where=tuple(entry["where"]),
        severity=entry["severity"],
        symptom=entry["symptom"],
        pattern=re.compile(tolerant(entry["pattern"])),
        cause=entry["cause"],
        remedy=entry["remedy"],
        commands=tuple(entry["commands"]),
    )


def tolerant(pattern: str) -> str:
    """The pattern with each blank standing for one to three blanks, and each `'` for either kind of quotation mark:
    versions differ in both. Inside of [ ] and after a backslash both are what they are."""
    parts, in_class, escaped = [], False, False
    for char in pattern:
        plain = not (in_class or escaped)
        parts.append("(?: {1,3})" if plain and char == " " else "['\"]" if plain and char == "'" else char)
        if not escaped:
            in_class = (in_class or char == "[") and char != "]"
        escaped = char == "\\" and not escaped
    return "".join(parts)


def diagnose(text: str, where: str | None = None, causes: Sequence[Cause] | None = None) -> tuple[Diagnosed, ...]:
    """The causes that a text tells of, each once, with the first line that tells it; () for an unknown text.

    text: output or a log, of any size. where: whose it is (WHERE), None for anybody's. Of matches that overlap in
    a line the longest stands: it knows more of the text. Order of the answer: reasons before symptoms, errors before
    warnings before what is harmless, and then the order of the file, which is that of the chain, since what comes
    earlier in it explains what comes later.
    """
    known = load() if causes is None else causes
    open_causes = {n: cause for n, cause in enumerate(known) if where is None or where in cause.where}
    found: dict[int, Diagnosed] = {}
    seen: set[str] = set()
    for raw in redact(text).splitlines():
        line = _STAMP.sub("", raw.strip())
        if not line or line in seen:
            continue
        seen.add(line)
        for number, match in _longest(_shortened(line), open_causes):
            if number not in found:
                found[number] = _diagnosed(known[number], match)
    order = sorted(found, key=lambda n: (known[n].symptom, SEVERITIES.index(known[n].severity), n))
    return tuple(found[number] for number in order)


def _shortened(line: str) -> str:
    if len(line) <= _LONGEST_LINE:
        return line
    return f"{line[: _LONGEST_LINE - 1024]} … {line[-1020:]}"


def _longest(line: str, causes: Mapping[int, Cause]) -> list[tuple[int, re.Match[str]]]:
    matches = [(n, match) for n, cause in causes.items() if (match := cause.pattern.search(line))]
    matches.sort(key=lambda item: (item[1].start() - item[1].end(), item[0]))
    kept: list[tuple[int, re.Match[str]]] = []
    for number, match in matches:
        if all(match.end() <= other.start() or match.start() >= other.end() for _, other in kept):
            kept.append((number, match))
    return kept


def _diagnosed(cause: Cause, match: re.Match[str]) -> Diagnosed:
    named = {name: value[:_LONGEST_GROUP] for name, value in match.groupdict().items() if value is not None}
    text = _NAME.sub(lambda name: named.get(name[1], "…"), cause.cause)
    return Diagnosed(cause, match.string, text, named)


def fill(commands: Iterable[str], **values: str | None) -> tuple[str, ...]:
    """Commands (or sentences) with their {placeholders} filled. A value that the shells of both worlds would not take
    as one word is put in quotation marks; one that cannot be, or that is not given, stays a `<name>` to be filled by
    the reader."""

    def word(match: re.Match[str]) -> str:
        value = values.get(match[1]) or ""
        if _BARE.fullmatch(value):
            return value
        return f'"{value}"' if _QUOTABLE.fullmatch(value) else f"<{match[1]}>"

    return tuple(_NAME.sub(word, command) for command in commands)
