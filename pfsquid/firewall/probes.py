"""Questions asked from the firewall, and the helper asked on it: what only the firewall itself can find out.

Nothing is written there: no file, no lock, no replay cache. Tokens go on standard input and come back in no answer.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from pfsquid.firewall.pfsense import Pfsense, mapping

_PATIENCE = 30.0  # for SSH and PHP around the asking itself, seconds


@dataclass(frozen=True)
class Question:
    """Bytes to send from the firewall. transport: udp or tcp. host: address or name.

    framing, of TCP: 0 all until the other side closes or the time is over, 2 or 4 bytes of length before each message
    (DNS, RFC 1035 4.2.2; Kerberos, RFC 4120 7.2.2), added and removed here. seconds: how long at most.
    """

    id: str
    transport: str
    host: str
    port: int
    data: bytes = field(repr=False)
    framing: int = 0
    seconds: float = 3.0


@dataclass(frozen=True)
class Answer:
    """What came back. address: which was asked, of a name the first. seconds: until the answer or the error.

    error: '', refused, unreachable, timed out, closed, reset, no such host, the resolver is silent, or the system's.
    """

    data: bytes = field(repr=False)
    error: str
    address: str
    seconds: float


@dataclass(frozen=True)
class Accepted:
    """What the real helper, as Squid's user, said. lines: one for each token that it answered, without tokens.

    started: did it start? problem: '' or why there are fewer lines than tokens. errors: its standard error, tokens out.
    """

    started: bool
    lines: tuple[str, ...]
    errors: str
    ran_as: str
    problem: str


@dataclass(frozen=True)
class Position:
    """Where a log ends: inode (0: no such file) and size in bytes."""

    inode: int
    size: int


def relay(pfsense: Pfsense, questions: Sequence[Question]) -> dict[str, Answer]:
    """Ask all at once from the firewall. Takes the longest `seconds` and one more at most. UDP is sent twice at most.

    Raises PfsquidError or LostConnection where nothing could be asked at all.
    """
    if not questions:
        return {}
    asked = [asdict(one) | {"data": base64.b64encode(one.data).decode("ascii")} for one in questions]
    longest = max(one.seconds for one in questions)
    answers = pfsense.run("relay", {"questions": asked}, longest + _PATIENCE)["answers"]
    return {
        one["id"]: Answer(base64.b64decode(one["data"]), one["error"], one["address"], one["seconds"])
        for one in answers
    }


def accept(
    pfsense: Pfsense,
    command: Sequence[str],
    tokens: Sequence[bytes],
    environment: Mapping[str, str] | None = None,
    seconds: float = 5.0,
) -> Accepted:
    """Give tokens to the helper, started as Squid starts it. command: its words as in squid.conf, wrapper and all.

    environment: what its environment has beside a PATH; Squid gives it nothing of Kerberos. seconds: for each token.
    `-t none` is put at the end of the command, so that no replay cache is written. Raises as `relay`.
    """
    asked = {
        "command": list(command),
        "environment": dict(environment or {}),
        "tokens": [base64.b64encode(token).decode("ascii") for token in tokens],
        "seconds": seconds,
    }
    answer = pfsense.run("accept", asked, seconds * len(tokens) + _PATIENCE)
    return Accepted(answer["started"], tuple(answer["lines"]), answer["errors"], answer["ran_as"], answer["problem"])


def positions(pfsense: Pfsense, paths: Sequence[str]) -> dict[str, Position]:
    """Where logs end now."""
    asked = {"paths": dict.fromkeys(paths), "wait_for": None, "seconds": 0}
    return {path: Position(*one) for path, one in mapping(pfsense.run("since", asked)["positions"]).items()}


def since(
    pfsense: Pfsense, begun: Mapping[str, Position], wait_for: bytes | None = None, seconds: float = 3.0
) -> dict[str, bytes]:
    """What logs got since `begun`, at most the last 1 MB of each, tokens out.

    Waits until `wait_for` stands in one of them or `seconds` are over; without it, for nothing. A log that was rotated
    meanwhile is read on from its former place, which Squid calls PATH.0. `wait_for` is looked for before tokens go out;
    what is taken for one is also a run of 64 or more letters and digits, as in a long URL.
    """
    asked = {
        "paths": {path: [one.inode, one.size] for path, one in begun.items()},
        "wait_for": None if wait_for is None else base64.b64encode(wait_for).decode("ascii"),
        "seconds": seconds,
    }
    answer = pfsense.run("since", asked, seconds + _PATIENCE)
    return {path: base64.b64decode(one) for path, one in mapping(answer["bytes"]).items()}
