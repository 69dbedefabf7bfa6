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
# MIT Kerberos, krb5.conf(5), "Encryption types".
_NAMES = {
    "des3-cbc-sha1": 16, "des3-hmac-sha1": 16, "des3-cbc-sha1-kd": 16,
    "aes128-cts-hmac-sha1-96": 17, "aes128-cts": 17, "aes128-sha1": 17,
    "aes256-cts-hmac-sha1-96": 18, "aes256-cts": 18, "aes256-sha1": 18,
    "aes128-cts-hmac-sha256-128": 19, "aes128-sha2": 19,
    "aes256-cts-hmac-sha384-192": 20, "aes256-sha2": 20,
    "arcfour-hmac": 23, "rc4-hmac": 23, "arcfour-hmac-md5": 23,
    "camellia128-cts-cmac": 25, "camellia128-cts": 25, "camellia256-cts-cmac": 26, "camellia256-cts": 26,
}  # fmt: skip
_FAMILIES = {
    "des3": frozenset({16}), "aes": frozenset({17, 18, 19, 20}), "rc4": frozenset({23}),
    "camellia": frozenset({25, 26}),
    "default": frozenset({16, 17, 18, 19, 20, 23, 25, 26}),
}  # fmt: skip
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


def enctypes_in(value: str) -> frozenset[int]:
    """The enctypes of a list as `permitted_enctypes` has it: names, families, DEFAULT, and `-NAME` to take one out."""
    found: set[int] = set()
    for word in re.split(r"[\s,]+", value.strip().lower()):
        name = word.lstrip("-+")
        taken = _FAMILIES.get(name) or ({_NAMES[name]} if name in _NAMES else set())
        found = found - taken if word.startswith("-") else found | taken
    return frozenset(found)


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] == '"':
        return value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return value
