"""Where the domain controllers are: names, for their certificates, and addresses, by the domain's own DNS servers."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Sequence

from dns.exception import DNSException
from dns.nameserver import Do53Nameserver
from dns.resolver import Resolver

from pfsquid.errors import PfsquidError

SECONDS = 4.0


def controllers(names: Iterable[str], realm: str, servers: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """(name, address) of each controller, in order. Raises PfsquidError where there is none.

    names: those to take, bare addresses left out; where none is left, the SRV records of the domain say them ([MS-ADTS]
    6.3.2.3). servers: DNS servers to ask, ADDRESS or ADDRESS@PORT; without any, and for a name that they do not know,
    this machine's own.
    """
    resolver = _resolver(servers)
    known = [name for name in names if not _is_address(name)] or _named_by_srv(resolver, realm)
    found = [(name, address) for name in known for address in _addresses(resolver, name)]
    if not found:
        asked = ", ".join(servers) or "this machine's DNS servers"
        what = f"none of {', '.join(known)} has an address" if known else f"no SRV record _ldap._tcp.{realm.lower()}"
        raise PfsquidError(
            f"no domain controller of {realm} is found: {what} (asked: {asked})",
            f"dig SRV _ldap._tcp.{realm.lower()}" + (f" @{servers[0].partition('@')[0]}" if servers else ""),
            "directory.servers: [NAME]    # in pfsquid.yaml",
        )
    return tuple(found)


def _resolver(servers: Sequence[str]) -> Resolver:
    resolver = Resolver(configure=not servers)
    resolver.lifetime = SECONDS
    if servers:
        pairs = (server.partition("@") for server in servers)
        resolver.nameservers = [Do53Nameserver(address, int(port or 53)) for address, _, port in pairs]
    return resolver


def _named_by_srv(resolver: Resolver, realm: str) -> list[str]:
    try:
        records = resolver.resolve(f"_ldap._tcp.{realm.lower()}.", "SRV")
    except DNSException:
        return []
    ordered = sorted(records, key=lambda record: (record.priority, -record.weight))
    return [record.target.to_text(omit_final_dot=True) for record in ordered]


def _addresses(resolver: Resolver, name: str) -> list[str]:
    found = []
    for kind in ("A", "AAAA"):
        try:
            found += [record.to_text() for record in resolver.resolve(f"{name}.", kind)]
        except DNSException:
            continue
    if found:
        return found
    try:
        return list(dict.fromkeys(str(one[4][0]) for one in socket.getaddrinfo(name, 636, type=socket.SOCK_STREAM)))
    except OSError:
        return []


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
