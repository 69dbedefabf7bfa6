"""krb5.conf as MIT Kerberos reads it: sections, relations, nested braces, several files one over the other. Pure.

Format: krb5.conf(5) of MIT Kerberos. The first value of a relation wins, also over files; a section or group that is
closed with `*` lets no later file add to it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

_SECTION = re.compile(r"\[([^\]]+)\](\*?)\s*$")
_RELATION = re.compile(r"(?P<name>[^=\s{}]+)\*?\s*=\s*(?P<value>.*)$")
_DIRECTIVE = re.compile(r"(include|includedir|module)\s+(\S+)")


@dataclass(frozen=True)
class Profile:
    """Relations as (path, value), in order; path is section, groups, name. problem: '' where the file can be read.

    includes: the files and folders that it draws in.
    """

    relations: tuple[tuple[tuple[str, ...], str], ...] = ()
    includes: tuple[str, ...] = ()
    problem: str = ""
    final: frozenset[str] = field(default_factory=frozenset)

    def get(self, *path: str) -> str | None:
        """The first value of a relation, or None."""
        return next(iter(self.all(*path)), None)

    def all(self, *path: str) -> tuple[str, ...]:
        """All values of a relation, in order."""
        return tuple(value for at, value in self.relations if at == path)

    @staticmethod
    def merged(profiles: Sequence[Profile]) -> Profile:
        """Several files as one: earlier ones first, sections that an earlier one closed with `*` from it alone."""
        relations: list[tuple[tuple[str, ...], str]] = []
        closed: set[str] = set()
        for one in profiles:
            relations += [(path, value) for path, value in one.relations if path[0] not in closed]
            closed |= one.final
        return Profile(tuple(relations), final=frozenset(closed))


def profile(content: bytes) -> Profile:
    """The file's relations; where MIT Kerberos would refuse it, `problem` says the line and why."""
    relations: list[tuple[tuple[str, ...], str]] = []
    includes: list[str] = []
    final: set[str] = set()
    section, groups = "", list[str]()
    for number, raw in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        directive = _DIRECTIVE.match(line)
        if directive and not groups and "=" not in line:
            includes.append(directive[2])
            continue
        head = _SECTION.match(line)
        if head and not groups:
            section = head[1]
            final |= {section} if head[2] else set()
            continue
        if line.rstrip("*") == "}":
            if not groups:
                return Profile(problem=f"line {number}: a closing brace without an opening one")
            groups.pop()
            continue
        relation = _RELATION.match(line)
        if not section or not relation:
            return Profile(problem=f"line {number}: neither a section nor `name = value`")
        if relation["value"] == "{":
            groups.append(relation["name"])
        else:
            relations.append(((section, *groups, relation["name"]), _unquoted(relation["value"])))
    if groups:
        return Profile(problem=f"the group {groups[-1]} is never closed")
    return Profile(tuple(relations), tuple(includes), final=frozenset(final))


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] == '"':
        return value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return value
