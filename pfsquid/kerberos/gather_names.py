"""Names and reachability, asked from the firewall: packets are made here, sent there, and read here."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.reversename

from pfsquid.firewall.inspected import Inspected
from pfsquid.firewall.pfsense import Pfsense
from pfsquid.firewall.probes import Answer, Question, relay
from pfsquid.kerberos.client import probe
from pfsquid.kerberos.facts import Answers, Asked, Kdcs, Lookup, Names
from pfsquid.kerberos.kdc import KdcError, NoKdc
from pfsquid.kerberos.places import proxy_addresses
from pfsquid.kerberos.principal import Principal

_SECONDS = 3.0
_NAMESERVER = re.compile(r"^\s*nameserver\s+([0-9A-Fa-f.:]+)", re.MULTILINE)
_Asking = tuple[str, str, str]  # name, type, server


def names(pfsense: Pfsense, asked: Asked, firewall: Inspected) -> Names:
    """Two waves of questions: SRV records, the proxy and the override's servers; then what these led to."""
    resolver = _resolver(firewall)
    overrides = firewall.settings.overrides if firewall.settings else ()
    ours = [one.server.partition("@")[0] for one in overrides if one.domain.lower().rstrip(".") == asked.zone]
    servers = tuple(dict.fromkeys((*asked.dns, *ours)))
    srv = [(f"_{name}._tcp.{asked.zone}", "SRV", resolver) for name in ("kerberos", "ldap")]
    proxy = [(asked.proxy, kind, resolver) for kind in ("A", "AAAA")]
    zone = [(asked.zone, "SOA", server) for server in servers]
    local = ("localhost", "A", resolver)
    first, answers = _wave(pfsense, [*srv, *proxy, *zone, local], servers)
    kerberos, ldap = (first[one] for one in srv)
    targets = dict.fromkeys(record.split()[-1] for lookup in (kerberos, ldap) for record in lookup.records)
    hosts = tuple(dict.fromkeys((*targets, *asked.kdcs, *asked.ldap_servers)))
    addresses = dict.fromkeys(record for one in proxy for record in first[one].records)
    reverse = tuple(addresses) or tuple(filter(_is_address, proxy_addresses(asked, firewall)))[:1]
    alive = [server for server in servers if first[(asked.zone, "SOA", server)].rcode != "no answer"]
    named = [host for host in hosts if not _is_address(host)]
    through = [(host, kind, resolver) for host in named for kind in ("A", "AAAA")]
    direct = [(host, "A", alive[0]) for host in named if alive]
    backwards = [(_reversed(one), "PTR", resolver) for one in reverse]
    second, _ = _wave(pfsense, [*through, *direct, *backwards], ())
    return Names(
        resolver=resolver,
        alive=first[local].rcode != "no answer",
        kerberos=kerberos,
        ldap=ldap,
        hosts={host: _host(host, resolver, second) for host in hosts},
        direct={host: second[(host, "A", alive[0])] for host in named if alive},
        proxy=_joined([first[one] for one in proxy]),
        reverse={one: second[(_reversed(one), "PTR", resolver)] for one in reverse},
        servers={
            server: Answers(
                ""
                if first[(asked.zone, "SOA", server)].rcode != "no answer"
                else first[(asked.zone, "SOA", server)].why,
                *answers[server],
            )
            for server in servers
        },
    )


def kdcs(pfsense: Pfsense, asked: Asked, names: Names) -> Kdcs:
    """Every KDC that DNS or the configuration names, over TCP and UDP; by IPv6 only where a host has nothing else."""
    wanted = asked.kdcs or tuple(dict.fromkeys(record.split()[-1] for record in names.kerberos.records))
    places = [(host, address) for host in wanted for address in _reachable(names.hosts[host].records)]
    answers: dict[tuple[str, str], Answers] = {}
    offsets: dict[str, float] = {}
    got = relay(pfsense, [one for _, address in places for one in _as_requests(asked, address)])
    for host, address in places:
        told = []
        for transport in ("tcp", "udp"):
            why, offset = _kerberos(asked, got[f"{transport} {address}"])
            told.append(why)
            if offset is not None:
                offsets[host] = offset
        answers[host, address] = Answers(None, *told)
    return Kdcs(answers, offsets)


def _wave(
    pfsense: Pfsense, asking: Sequence[_Asking], servers: Sequence[str]
) -> tuple[dict[_Asking, Lookup], dict[str, tuple[str, str]]]:
    """DNS questions, and whether servers answer on port 88 over TCP and UDP; again over TCP where UDP was too small."""
    unique = list(dict.fromkeys(asking))
    queries = [dns.message.make_query(name, kind, use_edns=0, payload=1232) for name, kind, _ in unique]
    questions = [_dns_question(number, one, queries[number], "udp") for number, one in enumerate(unique)]
    knocks = [one for server in servers for one in _as_requests(None, server)]
    got = relay(pfsense, [*questions, *knocks])
    cut = [(number, one) for number, one in enumerate(unique) if _is_cut(got[str(number)])]
    if cut:
        got |= relay(pfsense, [_dns_question(number, one, queries[number], "tcp") for number, one in cut])
    lookups = {one: _lookup(one, queries[number], got[str(number)]) for number, one in enumerate(unique)}
    return lookups, {
        server: (_kerberos(None, got[f"tcp {server}"])[0], _kerberos(None, got[f"udp {server}"])[0])
        for server in servers
    }


def _dns_question(number: int, asking: _Asking, query: dns.message.Message, transport: str) -> Question:
    framing = 2 if transport == "tcp" else 0
    return Question(str(number), transport, asking[2], 53, query.to_wire(), framing, _SECONDS)


def _is_cut(answer: Answer) -> bool:
    return len(answer.data) > 3 and bool(answer.data[2] & 2)  # RFC 1035 4.1.1: TC


def _lookup(asking: _Asking, query: dns.message.Message, answer: Answer) -> Lookup:
    name, kind, server = asking
    if answer.error:
        return Lookup(name, kind, server, "no answer", why=answer.error)
    try:
        message = dns.message.from_wire(answer.data, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError) as exc:
        return Lookup(name, kind, server, "no answer", why=f"what came is no DNS: {exc}")
    if not query.is_response(message):
        return Lookup(name, kind, server, "no answer", why="what came answers another question")
    records: list[str] = []
    aliases: list[str] = []
    for rrset in message.answer:
        if rrset.rdtype == dns.rdatatype.CNAME:
            aliases += [_plain(one.target) for one in rrset]
        elif dns.rdatatype.to_text(rrset.rdtype) == kind:
            records += [_record(kind, one) for one in rrset if not str(one).endswith(" .")]  # RFC 2782: no service
    return Lookup(name, kind, server, dns.rcode.to_text(message.rcode()), tuple(records), tuple(aliases))


def _record(kind: str, one: object) -> str:
    text = str(one)
    return text.rstrip(".").lower() if kind in ("SRV", "PTR", "SOA") else text


def _plain(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()


def _host(host: str, resolver: str, second: Mapping[_Asking, Lookup]) -> Lookup:
    if _is_address(host):
        return Lookup(host, "A", "the configuration", "NOERROR", (host,))
    return _joined([second[(host, kind, resolver)] for kind in ("A", "AAAA")])


def _joined(lookups: Sequence[Lookup]) -> Lookup:
    """A and AAAA of a name as one: the records of both, and what went wrong with the first where there are none."""
    records = tuple(record for one in lookups for record in one.records)
    aliases = tuple(dict.fromkeys(alias for one in lookups for alias in one.aliases))
    first = lookups[0]
    return Lookup(first.name, "A/AAAA", first.server, first.rcode, records, aliases, first.why)


def _reachable(records: Sequence[str]) -> tuple[str, ...]:
    four = tuple(one for one in records if ":" not in one)
    return four or tuple(records)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _reversed(address: str) -> str:
    return dns.reversename.from_address(address).to_text(omit_final_dot=True)


def _resolver(firewall: Inspected) -> str:
    """The first server of the firewall's resolv.conf: whom its Kerberos libraries ask."""
    file = firewall.resolver_files.get("/etc/resolv.conf")
    found = _NAMESERVER.search(file.content.decode("utf-8", "replace")) if file and file.content else None
    return found[1] if found else "127.0.0.1"


def _as_requests(asked: Asked | None, address: str) -> list[Question]:
    """What any KDC answers, with its time: a request for a ticket for a principal that gives no credentials."""
    data = _first_message(asked)
    return [
        Question(f"tcp {address}", "tcp", address, 88, data, 4, _SECONDS),
        Question(f"udp {address}", "udp", address, 88, data, 0, _SECONDS),
    ]


def _principal(asked: Asked | None) -> Principal:
    return Principal(("pfsquid",), asked.realm if asked else "PFSQUID")


def _first_message(asked: Asked | None) -> bytes:
    sent: list[bytes] = []

    def keep(message: bytes) -> bytes:
        sent.append(message)
        raise NoKdc("only the message is wanted")

    with suppress(NoKdc):
        probe(keep, _principal(asked))
    return sent[0]


def _kerberos(asked: Asked | None, answer: Answer) -> tuple[str, float | None]:
    """Why an answer is none of a KDC ('' where it is one), and how far ahead of ours its clock is, in seconds."""
    if answer.error:
        return answer.error, None
    try:
        found = probe(lambda _: answer.data, _principal(asked)).offset
        return "", None if found is None else found / timedelta(seconds=1)
    except KdcError as exc:
        offset = (exc.server_time - datetime.now(UTC)).total_seconds() if exc.server_time else None
        return "", offset
    except NoKdc as exc:
        return f"what came is no Kerberos: {exc}", None
