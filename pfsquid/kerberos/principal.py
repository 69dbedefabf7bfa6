"""Principals: names in a realm, and how they are written (RFC 4120 6.2, RFC 1964 2.1.1). Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

NT_PRINCIPAL, NT_SRV_INST, NT_ENTERPRISE = 1, 2, 10  # RFC 4120 6.2, RFC 6806 5
_ESCAPED = {"n": "\n", "t": "\t", "b": "\b", "0": "\0"}
_ESCAPES = {text: "\\" + letter for letter, text in _ESCAPED.items()} | {"\\": "\\\\"}


@dataclass(frozen=True)
class Principal:
    """A name of a person, computer or service in a realm.

    components: HTTP/proxy.lab.example is ("HTTP", "proxy.lab.example"). Names and realms tell upper from lower case.
    name_type: 1 principal, 2 service instance, 10 enterprise name (a UPN in one component); no part of equality.
    Bytes of a name that are no UTF-8 stand in it as surrogates (`surrogateescape`).
    """

    components: tuple[str, ...]
    realm: str
    name_type: int = field(default=NT_PRINCIPAL, compare=False)

    def __str__(self) -> str:
        name = "/".join(_escaped(component, "/@") for component in self.components)
        return f"{name}@{_escaped(self.realm, '@')}" if self.realm else name


def parse_principal(text: str, realm: str) -> Principal:
    r"""`HTTP/proxy.lab.example@LAB.EXAMPLE` → Principal, of `realm` where the text names none.

    A backslash takes the meaning from `/`, `@` and itself; `\n`, `\t`, `\b` and `\0` are as in MIT's programs.
    ValueError: no name, two realms, or a backslash at the end.
    """
    components, current, own_realm = [], "", False
    letters = iter(text)
    for letter in letters:
        if letter == "\\":
            escaped = next(letters, "")
            if not escaped:
                raise ValueError(f"{text!r} ends with a backslash that escapes nothing")
            current += _ESCAPED.get(escaped, escaped)
        elif letter == "@" and own_realm:
            raise ValueError(f"{text!r} has two realms: write an @ inside a name as \\@")
        elif letter == "@" or (letter == "/" and not own_realm):
            components.append(current)
            current, own_realm = "", letter == "@"
        else:
            current += letter
    if own_realm:
        realm = current or realm
    else:
        components.append(current)
    if not any(components):
        raise ValueError(f"{text!r} has no name before the realm" if text else "an empty text is no principal")
    return Principal(tuple(components), realm)


def _escaped(text: str, special: str) -> str:
    return "".join("\\" + letter if letter in special else _ESCAPES.get(letter, letter) for letter in text)
