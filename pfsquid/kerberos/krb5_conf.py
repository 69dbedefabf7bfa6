"""krb5.conf as MIT Kerberos reads it: sections, relations, nested braces, several files one over the other. Pure.

Format: krb5.conf(5) of MIT Kerberos, and where that leaves it open, what its parser does: lines above the first section
are not looked at, and a group that the file ends in counts as closed. The first value of a relation wins, also over
files; a section or group marked with `*` lets no later file add to it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

_SECTION = re.compile(r"\[([^\]]*)\](\*?)$")
_RELATION = re.compile(r"(?P<name>[^=\s*]+)(?P<final>\*?)[^=\s]*\s*=\s*(?P<value>.*)$", re.DOTALL)
_QUOTED = re.compile(r'"((?:\\.|[^"\\])*)', re.DOTALL)
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
_DIRECTIVE = re.compile(r"(?:include|includedir)\s+(.+)$")
_ESCAPES = {"n": "\n", "t": "\t", "b": "\b"}
_Path = tuple[str, ...]


@dataclass(frozen=True)
class Profile:
    """Relations as (path, value), in order; path is section, groups, name. problem: '' where the file can be read.

    includes: the files and folders that it draws in. final: what no later file may add to.
    """

    relations: tuple[tuple[_Path, str], ...] = ()
    includes: tuple[str, ...] = ()
    problem: str = ""
    final: frozenset[_Path] = field(default_factory=frozenset)

    def get(self, *path: str) -> str | None:
        """The first value of a relation, or None."""
        return next(iter(self.all(*path)), None)

    def all(self, *path: str) -> tuple[str, ...]:
        """All values of a relation, in order."""
        return tuple(value for at, value in self.relations if at == path)

    @staticmethod
    def merged(profiles: Sequence[Profile]) -> Profile:
        """Several files as one: earlier ones first, and what an earlier one marked with `*` from it alone."""
        relations: list[tuple[_Path, str]] = []
        closed: set[_Path] = set()
        for one in profiles:
            relations += [
                (path, value)
                for path, value in one.relations
                if not any(path[:length] in closed for length in range(1, len(path) + 1))
            ]
            closed |= one.final
        return Profile(tuple(relations), final=frozenset(closed))


class _Broken(Exception):  # noqa: N818 - reads as what it is
    """MIT Kerberos would refuse the file; the text says why."""


class _Reader:
    """Takes a file line by line. at: section and groups that are open; brace: the next line has to open a group."""

    def __init__(self) -> None:
        self.relations: list[tuple[_Path, str]] = []
        self.includes: list[str] = []
        self.final: set[_Path] = set()
        self.at: _Path = ()
        self.brace = False

    def take(self, raw: str) -> None:
        line = raw.strip()
        directive = _DIRECTIVE.match(raw.rstrip())
        if directive:
            self.includes.append(directive[1])
        elif self.brace:
            if not line.startswith("{"):
                raise _Broken(f"the brace that opens the group {self.at[-1]} is missing")
            self.brace = False
        elif line and line[0] not in "#;" and (self.at or raw.startswith("[")):
            self._statement(line)

    def _statement(self, line: str) -> None:
        if line.startswith("["):
            self._section(line)
        elif line.startswith("}"):
            if len(self.at) < 2:
                raise _Broken("a closing brace without an opening one")
            self.final |= {self.at} if line.startswith("}*") else set()
            self.at = self.at[:-1]
        else:
            self._relation(line)

    def _section(self, line: str) -> None:
        head = _SECTION.match(line)
        if len(self.at) > 1:
            raise _Broken(f"a section begins, and the group {self.at[-1]} is not closed")
        if not head:
            raise _Broken("a section is written [name]")
        self.at = (head[1],)
        self.final |= {self.at} if head[2] else set()

    def _relation(self, line: str) -> None:
        found = _RELATION.match(line)
        if not found:
            raise _Broken("neither a section nor `name = value`")
        path, value = (*self.at, found["name"]), found["value"]
        self.final |= {path} if found["final"] else set()
        if value in ("", "{"):
            self.at, self.brace = path, not value
        else:
            self.relations.append((path, _unquoted(value)))


def profile(content: bytes) -> Profile:
    """The file's relations; where MIT Kerberos would refuse it, `problem` says the line and why."""
    reader = _Reader()
    for number, raw in enumerate(content.decode("utf-8", "replace").removesuffix("\n").split("\n"), 1):
        try:
            reader.take(raw)
        except _Broken as exc:
            return Profile(problem=f"line {number}: {exc}")
    return Profile(tuple(reader.relations), tuple(reader.includes), final=frozenset(reader.final))


def enctypes_in(value: str) -> frozenset[int]:
    """The enctypes of a list as `permitted_enctypes` has it: names, families, DEFAULT, and `-NAME` to take one out."""
    found: set[int] = set()
    for word in re.split(r"[\s,]+", value.strip().lower()):
        name = word[1:] if word[:1] in ("-", "+") else word
        taken = _FAMILIES.get(name) or ({_NAMES[name]} if name in _NAMES else set())
        found = found - taken if word.startswith("-") else found | taken
    return frozenset(found)


def _unquoted(value: str) -> str:
    """A value in quotation marks ends at the second one, and has a few escapes in it; any other is what it is."""
    quoted = _QUOTED.match(value)
    if not quoted:
        return value
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), quoted[1], flags=re.DOTALL)
