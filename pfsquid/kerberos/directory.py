"""Active Directory by LDAP: what one domain controller says of accounts, SPNs and the domain. For one thread.

Only `add` and `change` write. What is asked of other domains goes through the global catalog ([MS-ADTS] 3.1.1.1.8).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ldap3 import BASE, MODIFY_REPLACE, Connection
from ldap3.utils.conv import escape_filter_chars
from ldap3.utils.dn import parse_dn

from pfsquid.kerberos.account import ATTRIBUTES, Account, account, interval, number
from pfsquid.kerberos.ldap_problem import Kind, LdapProblem
from pfsquid.kerberos.ldap_session import Site, asked, ended, opened, pages, search

PORTS = {"ldaps": 636, "starttls": 389}
CATALOG_PORTS = {"ldaps": 3269, "starttls": 3268}
SERVICES = ("HTTP", "HOST", "HTTPS", "SQUID", "PROXY", "RestrictedKrbHost")

__all__ = ["Directory", "Kind", "LdapProblem", "Policy", "Site", "connect", "connect_any"]


@dataclass(frozen=True)
class Policy:
    """What the domain says of passwords, time and keys.

    max_password_age: None is for ever. lockout_threshold: bad passwords until an account is locked; 0 is never. now:
    the controller's clock, UTC. level: domainFunctionality of [MS-ADTS] 3.1.1.3.2.25 (from 3, Windows 2008, there are
    AES keys). enctypes: msDS-SupportedEncryptionTypes of krbtgt and of the controllers, by sAMAccountName.
    """

    max_password_age: timedelta | None
    lockout_threshold: int
    now: datetime
    level: int
    enctypes: Mapping[str, int | None]


class Directory:
    """A domain controller that took the password. Made by `connect`."""

    def __init__(self, site: Site, name: str, address: str, connection: Connection) -> None:
        self.name, self.address = name, address
        self._site, self._connection = site, connection
        self._catalog: Connection | None = None
        head = self.root()
        self.domain = _first(head, "defaultNamingContext")
        self.base = site.base or self.domain
        self._no_catalog = not site.global_catalog

    def root(self) -> Mapping[str, Sequence[bytes]]:
        """Attributes of the rootDSE ([MS-ADTS] 3.1.1.3.2)."""
        wanted = [
            "currentTime",
            "defaultNamingContext",
            "rootDomainNamingContext",
            "domainFunctionality",
            "dnsHostName",
        ]
        found = search(self._connection, self.name, "", "(objectClass=*)", wanted, BASE)
        return found[0][1] if found else {}

    def account(self, sam: str) -> Account | None:
        """The account of that sAMAccountName, upper and lower case not told apart; None where there is none."""
        found = self._accounts(f"(sAMAccountName={escape_filter_chars(sam)})")
        return found[0] if found else None

    def account_at(self, dn: str) -> Account | None:
        """The account of that DN, read from this controller; None where there is none."""
        try:
            found = search(self._connection, self.name, dn, "(objectClass=*)", ATTRIBUTES, BASE)
        except LdapProblem as problem:
            if problem.code == 32:  # noSuchObject
                return None
            raise
        return account(*found[0]) if found else None

    def owners_of(self, spn: str) -> tuple[Account, ...]:
        """Every account that has this SPN, upper and lower case not told apart; in the forest where `sees_forest`.

        Those of other domains are not `whole`: a global catalog has no kvno and no encryption types.
        """
        return self._anywhere(f"(servicePrincipalName={escape_filter_chars(spn)})")

    def accounts_like(self, host: str) -> tuple[Account, ...]:
        """Accounts with another SPN under which this host may be meant, such as HTTP/proxy for proxy.lab.example.

        Asked by whole names, for which there is an index; a forest is not searched through for `*/proxy`.
        """
        names = dict.fromkeys((host, host.partition(".")[0]))
        spns = [f"{service}/{name}" for service in SERVICES for name in names]
        return self._anywhere(f"(|{''.join(f'(servicePrincipalName={escape_filter_chars(spn)})' for spn in spns)})")

    def pages(self, filter: str, attributes: Sequence[str]) -> Iterator[list[Mapping[str, Sequence[bytes]]]]:
        """Raw attributes of all entries of the domain, or below `base`, a page at a time. Raises LdapProblem, also
        where not all could be read."""
        return pages(self._connection, self.name, self.base, filter, attributes)

    @property
    def domain_name(self) -> str:
        """The DNS name of the domain: DC=lab,DC=example is lab.example."""
        return ".".join(value for kind, value, _ in parse_dn(self.domain) if kind.upper() == "DC").lower()

    @property
    def sees_forest(self) -> bool:
        """Does a global catalog answer on this controller? Else `owners_of` knows of this domain alone."""
        return self._global() is not None

    def policy(self) -> Policy:
        """The domain's policy, clock and encryption types. Raises LdapProblem."""
        head = self.root()
        wanted = ["maxPwdAge", "lockoutThreshold"]
        domain = search(self._connection, self.name, self.domain, "(objectClass=*)", wanted, BASE)
        attributes = domain[0][1] if domain else {}
        controllers = "(userAccountControl:1.2.840.113556.1.4.803:=8192)"  # SERVER_TRUST_ACCOUNT, by bitwise AND
        keyed = search(
            self._connection,
            self.name,
            self.domain,
            f"(|(sAMAccountName=krbtgt){controllers})",
            ["sAMAccountName", "msDS-SupportedEncryptionTypes"],
        )
        return Policy(
            max_password_age=interval(_int(attributes, "maxPwdAge")),
            lockout_threshold=_int(attributes, "lockoutThreshold") or 0,
            now=datetime.strptime(_first(head, "currentTime")[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC),
            level=_int(head, "domainFunctionality") or 0,
            enctypes={_first(one, "sAMAccountName"): _int(one, "msDS-SupportedEncryptionTypes") for _, one in keyed},
        )

    def add(self, dn: str, classes: Sequence[str], attributes: Mapping[str, Sequence[str | bytes]]) -> None:
        """Make an entry. Raises LdapProblem; nothing was made then."""
        asked(self._connection, self.name, "add", dn, list(classes), {k: list(v) for k, v in attributes.items()})

    def change(self, dn: str, attributes: Mapping[str, Sequence[str | bytes]]) -> None:
        """Replace attributes of an entry, all or none. Raises LdapProblem."""
        changes = {name: [(MODIFY_REPLACE, list(values))] for name, values in attributes.items()}
        asked(self._connection, self.name, "modify", dn, changes)

    def close(self) -> None:
        """End the connections; whatever goes wrong in that is of no matter."""
        for one in (self._connection, self._catalog):
            ended(one)

    def _accounts(self, filter: str) -> tuple[Account, ...]:
        return tuple(account(*one) for one in search(self._connection, self.name, self.base, filter, ATTRIBUTES))

    def _anywhere(self, filter: str) -> tuple[Account, ...]:
        catalog = self._global()
        if catalog is None:
            found = search(self._connection, self.name, self.domain, filter, ATTRIBUTES)
            return tuple(account(*one) for one in found)
        found = search(catalog, self.name, "", filter, ATTRIBUTES)
        here = "," + self.domain.lower()
        read = (self.account_at(dn) if dn.lower().endswith(here) else None for dn, _ in found)
        return tuple(one or account(dn, seen, False) for one, (dn, seen) in zip(read, found, strict=True))

    def _global(self) -> Connection | None:
        if self._catalog is None and not self._no_catalog:
            try:
                self._catalog = opened(self._site, self.name, self.address, CATALOG_PORTS[self._site.tls])
            except LdapProblem as problem:
                if problem.kind not in (Kind.UNREACHABLE, Kind.NO_TLS):
                    raise
                self._no_catalog = True
        return self._catalog


@contextmanager
def connect(site: Site, name: str, address: str) -> Iterator[Directory]:
    """A controller of this name, at this address. Raises LdapProblem, WrongUse."""
    connection = opened(site, name, address, site.port or PORTS[site.tls])
    directory = None
    try:
        directory = Directory(site, name, address, connection)
        yield directory
    finally:
        if directory:
            directory.close()
        else:
            ended(connection)


@contextmanager
def connect_any(site: Site) -> Iterator[Directory]:
    """The first of the site's servers that answers. Raises LdapProblem.

    One that refuses the password, or whose certificate is not good, ends the search.
    """
    last = LdapProblem(
        Kind.UNREACHABLE, "no domain controller is known", "directory.servers: [NAME]   # in pfsquid.yaml"
    )
    for name, address in site.servers:
        try:
            connection = opened(site, name, address, site.port or PORTS[site.tls])
        except LdapProblem as problem:
            if problem.kind is not Kind.UNREACHABLE:
                raise
            last = problem
            continue
        try:
            yield (directory := Directory(site, name, address, connection))
            directory.close()
        finally:
            ended(connection)
        return
    raise last


def _first(attributes: Mapping[str, Sequence[bytes]], name: str) -> str:
    values = attributes.get(name) or (b"",)
    return values[0].decode("utf-8", "backslashreplace")


def _int(attributes: Mapping[str, Sequence[bytes]], name: str) -> int | None:
    values = attributes.get(name)
    return number(values[0]) if values else None
