"""Links that are names: the resolver's override, SRV and address records, forward and reverse of the proxy. Pure."""

from __future__ import annotations

import ipaddress
import re

from pfsquid.firewall.inspected import Inspected
from pfsquid.kerberos.check import Finding, fail, ok, warn
from pfsquid.kerberos.facts import Asked, Lookup, Names
from pfsquid.kerberos.places import proxy_addresses

_CONFIGURE = "pfsquid configure    # sets the domain overrides of `dns:` in pfsquid.yaml"
_GUI = "Services > DNS Resolver > General Settings > Domain Overrides"


def dns_override(asked: Asked, firewall: Inspected, names: Names) -> Finding:
    """The zone's override is in the resolver's configuration, names the servers wanted, and was rendered."""
    zone, there, evidence = asked.zone, _override_servers(firewall, asked.zone), [str(names.kerberos)]
    if not names.alive:
        return fail(
            f"the firewall's own resolver ({names.resolver}) does not answer",
            "without it the firewall finds no domain controller, and neither do the clients that ask it",
            "Status > Services: unbound: start it",
            "unbound-checkconf /var/unbound/unbound.conf    # on the firewall: does it take its configuration?",
            evidence=evidence,
        )
    if not there and names.kerberos.found:
        return ok(f"none for {zone}, and none is needed: {names.resolver} answers for it", evidence)
    if not there:
        return fail(
            f"the firewall has no domain override for {zone}, so {names.resolver} does not find the domain",
            f"send questions for {zone} to the domain controllers: {_GUI}",
            _CONFIGURE,
            f"drill @127.0.0.1 SRV _kerberos._tcp.{zone}    # on the firewall: what it answers",
            evidence=evidence,
        )
    if asked.dns and not set(asked.dns) & set(there):
        return fail(
            f"the domain override for {zone} leads to {', '.join(there)}; configured is {', '.join(asked.dns)}",
            f"one of the two is out of date: {_GUI}",
            _CONFIGURE,
        )
    if not _is_rendered(firewall, zone):
        return fail(
            f"the domain override for {zone} is in config.xml, but not in the resolver's own file",
            f"it was never applied: {_GUI}: Save, then Apply Changes",
            "grep -A3 forward-zone /var/unbound/domainoverrides.conf    # on the firewall",
        )
    missing = [server for server in asked.dns if server not in there]
    if missing:
        told = f"{zone} → {', '.join(there)}, without {', '.join(missing)}"
        return warn(told, "add what is missing", _CONFIGURE, evidence=evidence)
    others = [one for one in (*asked.zones, *asked.reverse_zones) if not _override_servers(firewall, one)]
    if others:
        told = f"{zone} → {', '.join(there)}; there is none for {', '.join(others)}"
        return warn(told, "add it", _CONFIGURE, evidence=evidence)
    return ok(f"{zone} → {', '.join(there)}", evidence)


def dns_srv(asked: Asked, names: Names) -> Finding:
    """The SRV records by which Kerberos and LDAP find the domain controllers."""
    lookups = (names.kerberos, names.ldap)
    evidence = [str(one) for one in lookups]
    missing = [one for one in lookups if not one.found]
    if not missing:
        return ok(", ".join(dict.fromkeys(one.split()[-1] for one in names.kerberos.records)), evidence)
    if asked.kdcs and missing == [names.kerberos]:
        return warn(
            f"{names.kerberos.name} has no SRV record; krb5.conf names the KDCs, so nothing needs it here",
            "clients of the domain do need it",
            "nltest /dsregdns    # on the domain controller",
            evidence=evidence,
        )
    deaf = [one for one in missing if one.rcode not in ("NOERROR", "NXDOMAIN")]
    if deaf:
        return fail(
            f"the resolver has no answer for {' and '.join(one.name for one in deaf)}: {_why(deaf[0])}",
            "a domain controller does answer the firewall, so the fault lies between: the resolver still takes them "
            "for dead (it asks again after some minutes), or refuses what they say (DNSSEC)",
            f"unbound-control -c /var/unbound/unbound.conf lookup {asked.zone}    # on the firewall: whom it asks",
            "Status > Services: unbound: restart it",
            cause=["dns-servfail"] if deaf[0].rcode == "SERVFAIL" else [],
            evidence=evidence,
        )
    return fail(
        f"{' and '.join(one.name for one in missing)}: {missing[0].rcode}, no SRV record",
        "the domain controllers write these records themselves: let them do it again, and look at the zone",
        "nltest /dsregdns    # on Windows, on each domain controller; or: net stop netlogon && net start netlogon",
        "samba_dnsupdate --verbose --all-names    # on Samba",
        f"drill @{next(iter(names.servers), 'DC')} SRV {missing[0].name}    # on the firewall",
        cause=["srv-missing"],
        evidence=evidence,
    )


def dns_kdc(asked: Asked, names: Names) -> Finding:
    """The domain controllers' names have addresses, through the firewall's resolver."""
    evidence = [str(one) for one in (*names.hosts.values(), *names.direct.values())]
    empty = [name for name, lookup in names.hosts.items() if not lookup.found]
    if not names.hosts:
        return fail(
            "there is no domain controller to look up", "name one, or see dns-srv", "kerberos.kdcs    # in pfsquid.yaml"
        )
    eaten = [name for name in empty if name in names.direct and names.direct[name].found]
    if eaten:
        return fail(
            f"the resolver takes the address out of the answer for {', '.join(eaten)} (rebinding protection): "
            f"asked directly, {names.direct[eaten[0]].server} gives {', '.join(names.direct[eaten[0]].records)}",
            "pfSense lets private addresses through for the zones of its domain overrides: set the override there, not "
            "in custom options; or add the zone as private-domain",
            _CONFIGURE,
            f'server: private-domain: "{asked.zone}"    # Services > DNS Resolver > Custom options',
            cause=["kinit-kdc-unresolved"],
            evidence=evidence,
        )
    if len(empty) == len(names.hosts):
        return fail(
            f"no domain controller has an address: {', '.join(f'{one} ({_why(names.hosts[one])})' for one in empty)}",
            "the A record is missing in the domain's zone: the domain controller writes it when it registers",
            "ipconfig /registerdns    # on the domain controller; on Samba: samba_dnsupdate --verbose",
            f"drill @127.0.0.1 A {empty[0]}    # on the firewall",
            evidence=evidence,
        )
    if empty:
        configured = [name for name in empty if name in (*asked.kdcs, *asked.ldap_servers)]
        return warn(
            f"{', '.join(empty)}: no address; others have one",
            "give it one, or remove what names it: "
            + ("kerberos.kdcs, directory.servers in pfsquid.yaml" if configured else "its SRV records"),
            f"drill @127.0.0.1 A {empty[0]}    # on the firewall",
            evidence=evidence,
        )
    return ok(", ".join(f"{name} {' '.join(one.records)}" for name, one in names.hosts.items()), evidence)


def dns_proxy(asked: Asked, firewall: Inspected, names: Names) -> Finding:
    """The proxy's name: an A record of its own, which leads to the proxy."""
    lookup, evidence, (zone, own) = names.proxy, [str(names.proxy)], _in_zone(asked)
    if lookup.aliases:
        return fail(
            f"{asked.proxy} is an alias (CNAME) of {lookup.aliases[-1]}: browsers then ask for a ticket for "
            f"HTTP/{lookup.aliases[-1]}, not for {asked.service}",
            "give the name an A record of its own; or add the SPN of the name that it leads to",
            f"samba-tool dns delete DC {zone} {own} CNAME {lookup.aliases[0]}",
            f"samba-tool dns add DC {zone} {own} A {asked.address or 'ADDRESS'}",
            evidence=evidence,
        )
    if not lookup.found:
        return fail(
            f"{asked.proxy} has no address ({_why(lookup)})",
            "browsers must find the proxy by that name: add an A record in the domain's zone",
            f"samba-tool dns add DC {zone} {own} A {asked.address or 'ADDRESS'}",
            f"Add-DnsServerResourceRecordA -ZoneName {zone} -Name {own} "
            f"-IPv4Address {asked.address or 'ADDRESS'}    # on Windows",
            evidence=evidence,
        )
    ours = proxy_addresses(asked, firewall)
    strange = [one for one in lookup.records if one not in ours]
    if ours and len(strange) == len(lookup.records):
        return fail(
            f"{asked.proxy} leads to {', '.join(strange)}, and the proxy listens on {', '.join(ours)}",
            "correct the A record; or, where that is a CARP address or NAT in front, say so in pfsquid.yaml",
            f"firewalls.{asked.firewall}.proxy_address: {strange[0]}    # in pfsquid.yaml",
            evidence=evidence,
        )
    # IPv6 is left out: a browser that gets no answer there goes on with IPv4 at once.
    elsewhere = [one for one in strange if ":" not in one]
    if ours and elsewhere:
        return warn(
            f"{asked.proxy} leads to {', '.join(elsewhere)}, too, where this proxy does not listen",
            "browsers take one of the addresses by chance: remove what is not the proxy, unless another proxy with the "
            "same keytab is there",
            f"samba-tool dns delete DC {zone} {own} A {elsewhere[0]}",
            evidence=evidence,
        )
    return ok(f"{asked.proxy} → {', '.join(lookup.records)}", evidence)


def dns_reverse(asked: Asked, names: Names) -> Finding:
    """The reverse record of the proxy's address names the proxy, or there is none."""
    evidence = [str(one) for one in names.reverse.values()]
    wrong = {
        address: lookup
        for address, lookup in names.reverse.items()
        if lookup.found and asked.proxy not in {record.lower() for record in lookup.records}
    }
    if wrong:
        address, lookup = next(iter(wrong.items()))
        zone, own = _reverse_of(asked, address)
        return fail(
            f"the reverse record of {address} names {', '.join(lookup.records)}, not {asked.proxy}",
            "clients that look names up backwards (MIT Kerberos with its default rdns = true) ask for a ticket for "
            "that other name: correct the PTR record",
            f"samba-tool dns delete DC {zone} {own} PTR {lookup.records[0]}",
            f"samba-tool dns add DC {zone} {own} PTR {asked.proxy}",
            "rdns = false    # in [libdefaults] of clients with MIT Kerberos, where the record cannot be changed",
            evidence=evidence,
        )
    deaf = {address: lookup for address, lookup in names.reverse.items() if lookup.rcode == "no answer"}
    if deaf:
        address, lookup = next(iter(deaf.items()))
        return warn(
            f"{address}: {_why(lookup)}, so nobody can say whether it has a reverse record",
            "clients that look names up backwards wait for this: send the reverse zone to the domain controllers",
            "dns.reverse_zones    # in pfsquid.yaml, then: pfsquid configure",
            f"drill @127.0.0.1 -x {address}    # on the firewall",
            evidence=evidence,
        )
    without = [address for address, lookup in names.reverse.items() if not lookup.found]
    if without:
        return ok(f"{', '.join(without)} has none, which does no harm", evidence)
    return ok(", ".join(f"{address} → {' '.join(one.records)}" for address, one in names.reverse.items()), evidence)


def _override_servers(firewall: Inspected, zone: str) -> tuple[str, ...]:
    overrides = firewall.settings.overrides if firewall.settings else ()
    return tuple(one.server.partition("@")[0] for one in overrides if one.domain.lower().rstrip(".") == zone)


def _is_rendered(firewall: Inspected, zone: str) -> bool:
    """Does the resolver's own file have the zone? True also where no such file could be read."""
    files = [one for path, one in firewall.resolver_files.items() if not path.endswith("resolv.conf")]
    texts = [one.content.decode("utf-8", "replace").lower() for one in files if one.content is not None]
    whole = re.compile(rf"(?<![\w.-]){re.escape(zone)}(?!\.?[\w-])")
    return not texts or any(whole.search(text) for text in texts)


def _why(lookup: Lookup) -> str:
    return f"{lookup.rcode}{f': {lookup.why}' if lookup.why else ''}"


def _in_zone(asked: Asked) -> tuple[str, str]:
    """The zone that the proxy's record belongs into, and the record's name there."""
    if asked.proxy.endswith(f".{asked.zone}"):
        return asked.zone, asked.proxy.removesuffix(f".{asked.zone}")
    own, _, zone = asked.proxy.partition(".")
    return zone or asked.zone, own


def _reverse_of(asked: Asked, address: str) -> tuple[str, str]:
    """The reverse zone of an address, that of its /24 or /64 where the configuration names none, and the name in it."""
    whole = ipaddress.ip_address(address).reverse_pointer
    parts = whole.split(".")
    usual = ".".join(parts[1 if ":" not in address else 16 :])
    zone = max((one for one in asked.reverse_zones if whole.endswith(f".{one}")), key=len, default=usual)
    return zone, whole.removesuffix(f".{zone}")
