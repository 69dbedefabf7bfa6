"""squid.conf and the cache manager's page of helpers, as far as Kerberos hangs on them. Pure; no text is an error."""

from __future__ import annotations

import re
from dataclasses import dataclass

_DEFAULTS = (20, 0, 1)  # of `children`, `startup` and `idle` (squid.conf.documented)
_NOT_FOR_BROWSERS = frozenset({"intercept", "tproxy", "accel", "transparent"})
_WITH_VALUE = frozenset("kst")


@dataclass(frozen=True)
class HelperCommand:
    """`auth_param negotiate program`. words: all, as Squid starts it. environment: what an `env` in front sets.

    program: the helper itself, '' where there is none. keytab: its -k; spn: its -s; replay: its -t (none, dfl …); None:
    not given. options: all letters given, such as {"k", "s", "t"}.
    """

    words: tuple[str, ...]
    environment: dict[str, str]
    program: str
    keytab: str | None
    spn: str | None
    replay: str | None
    options: frozenset[str]


@dataclass(frozen=True)
class Children:
    """`auth_param negotiate children`: how many at most, at start, and idle."""

    maximum: int
    startup: int
    idle: int


@dataclass(frozen=True)
class Listener:
    """An `http_port` for browsers. address: '' means all."""

    address: str
    port: int


@dataclass(frozen=True)
class Helpers:
    """The cache manager's page of the Negotiate helpers, of all workers. queue: requests that wait for a free one.

    busy: with a request; reserved: in the middle of a login; milliseconds: average service time, None: not told.
    """

    running: int
    maximum: int
    busy: int
    reserved: int
    queue: int
    sent: int
    received: int
    milliseconds: float | None


def negotiate_command(squid_conf: str) -> HelperCommand | None:
    """The helper's command: Squid takes the last of several lines (`auth_param`, squid.conf.documented)."""
    line = _last(squid_conf, r"auth_param\s+negotiate\s+program")
    if line is None:
        return None
    words = split(line)
    environment, rest = _environment(words)
    options = _options(rest[1:])
    return HelperCommand(
        words=words,
        environment=environment,
        program=rest[0] if rest else "",
        keytab=_path(options.get("k")),
        spn=options.get("s"),
        replay=options.get("t"),
        options=frozenset(options),
    )


def children(squid_conf: str) -> Children:
    """How many helpers may run; what the line does not say is Squid's default."""
    words = (_last(squid_conf, r"auth_param\s+negotiate\s+children") or "").split()
    numbers = {name: value for name, _, value in (word.partition("=") for word in words[1:])}
    maximum = _number(words[0] if words else None, _DEFAULTS[0])
    return Children(maximum, _number(numbers.get("startup"), _DEFAULTS[1]), _number(numbers.get("idle"), _DEFAULTS[2]))


def directive(squid_conf: str, name: str) -> str | None:
    """The value of the last line of a directive (visible_hostname, logfile_rotate, debug_options …), or None."""
    return _last(squid_conf, re.escape(name))


def listeners(squid_conf: str) -> tuple[Listener, ...]:
    """Where browsers can be served: `http_port` lines without intercept, tproxy and accel. A name stays a name."""
    found = []
    for value in _all(squid_conf, "http_port"):
        at, *options = value.split()
        address, _, port = at.rpartition(":")
        if port.isdigit() and len(port) < 6 and not _NOT_FOR_BROWSERS & set(options):
            found.append(Listener(address.strip("[]"), int(port)))
    return tuple(found)


def debug_level(squid_conf: str) -> int:
    """The level of cache.log for all sections. `debug_options rotate=N` without ALL is 0: only what stops Squid."""
    value = directive(squid_conf, "debug_options")
    if value is None:
        return 1
    levels = re.findall(r"\bALL,(\d{1,2})\b", value, re.IGNORECASE)
    return int(levels[-1]) if levels else 0


def helpers(page: str) -> Helpers | None:
    """The numbers of a page `negotiateauthenticator` of Squid 5 to 7, or None where it is none."""
    kids = re.findall(r"number active: (\d+) of (\d+)", page)
    if not kids:
        return None
    flags = re.findall(r"^\s*\d+\s+\d+\s+\d+(?:\s+\d+)*\s+([A-Z ]*?)\s*\d+\.\d+\s", page, re.MULTILINE)
    times = [float(one) for one in re.findall(r"avg service time: (\d+(?:\.\d+)?) msec", page)]
    return Helpers(
        running=sum(int(active) for active, _ in kids),
        maximum=sum(int(most) for _, most in kids),
        busy=sum("B" in one for one in flags),
        reserved=sum("R" in one for one in flags),
        queue=_sum(page, r"queue length: (\d+)"),
        sent=_sum(page, r"requests sent: (\d+)"),
        received=_sum(page, r"replies received: (\d+)"),
        milliseconds=max(times) if times else None,
    )


def split(value: str) -> tuple[str, ...]:
    """Words as Squid splits a command: quotes hold one together, and a backslash within them the next character."""
    found = re.findall(r"\"((?:\\.|[^\"\\])*)\"|'((?:\\.|[^'\\])*)'|(\S+)", value)
    return tuple(plain or re.sub(r"\\(.)", r"\1", double or single) for double, single, plain in found)


def _environment(words: tuple[str, ...]) -> tuple[dict[str, str], tuple[str, ...]]:
    if not words or words[0].rpartition("/")[2] != "env":
        return {}, words
    rest = words[1:]
    environment = {}
    while rest and re.match(r"[A-Za-z_][A-Za-z0-9_]*=", rest[0]):
        name, _, value = rest[0].partition("=")
        environment[name] = value
        rest = rest[1:]
    return environment, rest


def _options(words: tuple[str, ...]) -> dict[str, str]:
    """Options by letter, as getopt reads them: `-k FILE`, `-kFILE`, `-dr`."""
    found: dict[str, str] = {}
    rest = list(words)
    while rest:
        letters = rest.pop(0)
        if not letters.startswith("-") or letters == "--":
            break
        letters = letters[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            found[letter] = ""
            if letter in _WITH_VALUE:
                found[letter] = letters or (rest.pop(0) if rest else "")
                break
    return found


def _path(name: str | None) -> str | None:
    return None if name is None else re.sub(r"^(WR)?FILE:", "", name)


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isdigit() and len(text) < 10 else default


def _sum(page: str, pattern: str) -> int:
    return sum(int(one) for one in re.findall(pattern, page))


def _all(squid_conf: str, pattern: str) -> list[str]:
    plain = re.sub(r"\\\r?\n", " ", squid_conf)
    return [one.strip() for one in re.findall(rf"^[ \t]*{pattern}[ \t]+([^\r\n]+)", plain, re.MULTILINE) if one.strip()]


def _last(squid_conf: str, pattern: str) -> str | None:
    found = _all(squid_conf, pattern)
    return found[-1] if found else None
