"""What the checks judge, second part: keytab, tickets, helper, proxy and its logs. Records, without a secret shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pfsquid.kerberos.keytab import Entry
from pfsquid.kerberos.tickets import Opened, Ticket


@dataclass(frozen=True)
class Keys:
    """The firewall's keytab. entries: empty where it cannot be parsed, and then `problem` says why."""

    path: str
    entries: tuple[Entry, ...]
    problem: str = ""
    codes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Login:
    """A login to the domain. source: whose credentials, in words. error: of the KDC, in its words; code: RFC 4120."""

    who: str
    source: str
    tgt: Ticket | None
    error: str = ""
    code: int | None = None


@dataclass(frozen=True)
class Service:
    """A ticket for the proxy. opened: by a key of the keytab; else `reason` and `text` say why not."""

    ticket: Ticket | None
    error: str = ""
    code: int | None = None
    opened: Opened | None = None
    reason: str = ""
    text: str = ""


@dataclass(frozen=True)
class Trial:
    """What the service ticket shows: does the keytab open it, and its enctype. None: no ticket could be had."""

    opens: bool | None
    enctype: int | None = None


@dataclass(frozen=True)
class Spoken:
    """What the real helper, run as Squid's user, said to a token. started: '' or why it did not start."""

    answer: str
    errors: str
    problem: str = ""


@dataclass(frozen=True)
class Offer:
    """What the proxy says to a request without a token, asked by the firewall itself at the address of its LAN."""

    address: str
    port: int
    status: int
    schemes: tuple[str, ...]
    error: str = ""


@dataclass(frozen=True)
class Requested:
    """A real request with a ticket. via: from which machine it was made; client: its address, as the log has it.

    problem: why there was no answer. logs: what access logs got meanwhile, by path; helper: what cache.log got.
    """

    who: str
    url: str
    via: str
    client: str
    status: int
    squid_error: str
    problem: str
    logs: Mapping[str, str]
    cache_log: str


@dataclass(frozen=True)
class Line:
    """A line of cache.log. at: seconds since 1970, None where it bears no time."""

    at: float | None
    text: str


@dataclass(frozen=True)
class Journal:
    """The end of cache.log. since: when the helpers that run now were started; recent: the lines since then.

    knocks: when (seconds since 1970) and from where requests were turned away with 407, by the access log.
    """

    since: float | None
    recent: tuple[Line, ...]
    older: tuple[Line, ...]
    knocks: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True)
class Children:
    """Squid's helper processes, by its cache manager. most: how many there may be; waiting: requests in the queue.

    problem: why the page could not be had; then only `most` is known, from squid.conf."""

    most: int
    running: int = 0
    busy: int = 0
    waiting: int = 0
    average_ms: int | None = None
    problem: str = ""
