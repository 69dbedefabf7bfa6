"""What the checks judge: records, each gathered once by `probes`. Nothing here is gathered, nothing holds a secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pfsquid.kerberos.account import Account


@dataclass(frozen=True)
class Asked:
    """What the configuration says. enctypes: numbers, the best first. dns: servers of the overrides, without port.

    address, port: where the proxy listens, as far as the configuration says so.
    """

    firewall: str
    host: str
    realm: str
    proxy: str
    account: str | None = None
    enctypes: tuple[int, ...] = (18, 17)
    clock_skew: int = 300
    krb5_conf: str = "/etc/krb5.conf"
    dns: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    reverse_zones: tuple[str, ...] = ()
    kdcs: tuple[str, ...] = ()
    ldap_servers: tuple[str, ...] = ()
    directory: bool = False
    address: str | None = None
    url: str = "http://www.example.com/"
    synced_from: str | None = None

    @property
    def zone(self) -> str:
        """The domain's DNS zone."""
        return self.realm.lower()

    @property
    def service(self) -> str:
        """The SPN, without realm."""
        return f"HTTP/{self.proxy}"

    @property
    def spn(self) -> str:
        """The service's principal, with realm."""
        return f"{self.service}@{self.realm}"

    @property
    def who(self) -> str:
        """The service account, or what stands for it in a command."""
        return self.account or "SERVICE_ACCOUNT"


@dataclass(frozen=True)
class Door:
    """The way in by SSH: who came in, and which key the firewall showed; or why not."""

    user: str
    key: str
    problem: str = ""
    next: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lookup:
    """A question to a DNS server. rcode: `NOERROR`, `NXDOMAIN` …, or `no answer` with the reason in `why`.

    records: SRV as `priority weight port target`, A and AAAA as addresses, PTR as names; without the last dot.
    aliases: the CNAMEs on the way.
    """

    name: str
    kind: str
    server: str
    rcode: str
    records: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    why: str = ""

    @property
    def found(self) -> bool:
        """Is there an answer with records?"""
        return bool(self.records)

    def __str__(self) -> str:
        told = ", ".join(self.records) or f"{self.rcode}{f' ({self.why})' if self.why else ' without records'}"
        aliases = "".join(f" → {alias}" for alias in self.aliases)
        return f"{self.kind} {self.name} @{self.server}{aliases}: {told}"


@dataclass(frozen=True)
class Answers:
    """Does an address answer from the firewall? '' where it does, else the reason; None where nobody asked."""

    dns: str | None = None
    tcp: str | None = None
    udp: str | None = None

    @property
    def all(self) -> tuple[str, ...]:
        """What was asked."""
        return tuple(one for one in (self.dns, self.tcp, self.udp) if one is not None)

    @property
    def any_good(self) -> bool:
        """Did anything answer?"""
        return "" in self.all

    @property
    def silent(self) -> str:
        """What did not answer, and why; '' where all did."""
        names = {"DNS (53)": self.dns, "Kerberos over TCP (88)": self.tcp, "Kerberos over UDP (88)": self.udp}
        return ", ".join(f"{name}: {why}" for name, why in names.items() if why)


@dataclass(frozen=True)
class Names:
    """What the firewall's resolver says of the domain, and the servers of the override when asked directly.

    alive: does the resolver answer for `localhost`, for which it needs nobody?
    hosts: the domain controllers that SRV records (or the configuration) name → their address records through the
    resolver; direct: the same asked of the override's servers. reverse: address of the proxy → its PTR records.
    servers: the override's servers → do they answer?
    """

    resolver: str
    alive: bool
    kerberos: Lookup
    ldap: Lookup
    hosts: Mapping[str, Lookup]
    direct: Mapping[str, Lookup]
    proxy: Lookup
    reverse: Mapping[str, Lookup]
    servers: Mapping[str, Answers]

    @property
    def ldap_hosts(self) -> tuple[str, ...]:
        """The names that the SRV records of LDAP give."""
        return tuple(dict.fromkeys(record.split()[-1] for record in self.ldap.records))


@dataclass(frozen=True)
class Kdcs:
    """The domain controllers' Kerberos service, asked from the firewall: (name, address) → answers.

    offsets: seconds that a KDC's clock is ahead of this machine's, by name.
    """

    answers: Mapping[tuple[str, str], Answers]
    offsets: Mapping[str, float] = field(default_factory=dict)

    @property
    def good(self) -> tuple[tuple[str, str], ...]:
        """Those that answer over TCP or UDP."""
        return tuple(one for one, answers in self.answers.items() if "" in (answers.tcp, answers.udp))


@dataclass(frozen=True)
class Clocks:
    """Seconds that clocks are ahead of this machine's, and how sure that is. kdcs: name → seconds."""

    firewall: float
    uncertain: float
    kdcs: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Refusal:
    """Why a domain controller's LDAP could not be used. kind: of LdapProblem; next: what to do about it."""

    kind: str
    message: str
    next: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ldap:
    """The domain controllers' LDAP, as seen from this machine. opened: those that took the password; refused: the
    others, by name. user: who asked."""

    user: str
    opened: tuple[str, ...]
    refused: Mapping[str, Refusal]


@dataclass(frozen=True)
class Owners:
    """Who has the SPN. accounts: all of them; service: the account that the configuration names, or the only owner.

    where: which part of the directory was searched. like: other SPNs of the same host, as (SPN, sAMAccountName).
    """

    accounts: tuple[Account, ...]
    service: Account | None
    where: str
    like: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Domain:
    """What the domain controllers that could be asked say. kvnos: of the service account, by controller. now: their
    clock. max_password_age: None is for ever."""

    kvnos: Mapping[str, int | None]
    now: datetime
    max_password_age: timedelta | None
