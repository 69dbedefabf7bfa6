"""Links that are names, reachability and time: from the firewall to the domain controllers. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from pfsquid.firewall.inspected import Inspected
from pfsquid.kerberos.check import Finding, fail, ok, warn
from pfsquid.kerberos.facts import Answers, Asked, Clocks, Kdcs, Names
from pfsquid.kerberos.places import proxy_addresses

_CONFIGURE = "pfsquid configure    # sets the domain overrides of `dns:` in pfsquid.yaml"
_GUI = "Services > DNS Resolver > General Settings > Domain Overrides"


def dns_override(asked: Asked, firewall: Inspected, names: Names) -> Finding:
    """The zone's override is in the resolver's configuration, names the servers wanted, and was rendered."""
    zone, there = asked.zone, _override_servers(firewall, asked.zone)
    if not names.alive:
        return fail(
            f"the firewall's own resolver ({names.resolver}) does not answer",
            "without it the firewall finds no domain controller, and neither do the clients that ask it",
            "Status > Services: unbound: start it",
            "unbound-checkconf /var/unbound/unbound.conf    # on the firewall: does it take its configuration?",
            evidence=[str(names.kerberos)],
        )
    if not there and names.kerberos.found:
        return ok(f"none for {zone}, and none is needed: {names.resolver} answers for it", [str(names.kerberos)])
    if not there:
        return fail(
            f"the firewall has no domain override for {zone}, so {names.resolver} does not find the domain",
            f"send questions for {zone} to the domain controllers: {_GUI}",
            _CONFIGURE,
            f"drill @127.0.0.1 SRV _kerberos._tcp.{zone}    # on the firewall: what it answers",
            evidence=[str(names.kerberos)],
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
        return warn(f"{zone} → {', '.join(there)}, without {', '.join(missing)}", "add what is missing", _CONFIGURE)
    others = [one for one in (*asked.zones, *asked.reverse_zones) if not _override_servers(firewall, one)]
    if others:
        return warn(f"{zone} → {', '.join(there)}; there is none for {', '.join(others)}", "add it", _CONFIGURE)
    return ok(f"{zone} → {', '.join(there)}", [str(names.kerberos)])


def dc(names: Names) -> Finding:
    """At least one of the override's servers answers anything at all."""
    if not names.servers:
        return ok("the configuration names no server to ask by its address")
    evidence = _told(names.servers)
    alive = [address for address, answers in names.servers.items() if answers.any_good]
    if alive:
        return ok(f"{', '.join(alive)} answers the firewall", evidence)
    first = next(iter(names.servers))
    return fail(
        f"no domain controller answers the firewall, neither for names nor for tickets: {', '.join(names.servers)}",
        "it is down, has another address now, or a filter stands between: look at the machine itself first",
        f"ping -c 3 {first}    # on the firewall",
        f"nc -vz {first} 88    # on the firewall; also 53, 389 and 636",
        cause=["dc-down"],
        evidence=evidence,
    )


def dc_all(names: Names, kdcs: Kdcs) -> Finding:
    """Every domain controller that DNS or the override names answers."""
    silent = {address: answers for address, answers in names.servers.items() if answers.silent}
    hosts = {f"{host} ({address})": answers for (host, address), answers in kdcs.answers.items() if answers.silent}
    told = {host: answers for host, answers in hosts.items() if not any(f"({one})" in host for one in silent)}
    down = [*_named(silent, kdcs), *told]
    if not down:
        count = len({address for _, address in kdcs.answers} | set(names.servers))
        return ok("it does" if count == 1 else f"all {count} do", [*_told(names.servers), *_told(hosts)])
    return fail(
        f"{', '.join(down)}: no answer. Another one does, so tickets still come, some of them late",
        "start it again; or, if it is gone for good, remove what still names it: its SRV records (by demoting it) "
        f"and its entry in the override ({_GUI})",
        "samba-tool drs showrepl    # on another domain controller; on Windows: repadmin /replsummary",
        cause=["dc-down"],
        evidence=[*_told(silent), *_told(told)],
    )


def dns_srv(asked: Asked, names: Names) -> Finding:
    """The SRV records by which Kerberos and LDAP find the domain controllers."""
    lookups = (names.kerberos, names.ldap)
    evidence = [str(one) for one in lookups]
    missing = [one for one in lookups if not one.found]
    if not missing:
        return ok(f"{', '.join(dict.fromkeys(one.split()[-1] for one in names.kerberos.records))}", evidence)
    if asked.kdcs and missing == [names.kerberos]:
        return warn(
            f"{names.kerberos.name} has no SRV record; krb5.conf names the KDCs, so nothing needs it here",
            "clients of the domain do need it",
            "nltest /dsregdns    # on the domain controller",
        )
    return fail(
        f"{' and '.join(one.name for one in missing)}: {missing[0].rcode}, no SRV record",
        "the domain controllers write these records themselves: let them do it again, and look at the zone",
        "nltest /dsregdns    # on Windows, on each domain controller; or: net stop netlogon && net start netlogon",
        "samba_dnsupdate --verbose --all-names    # on Samba",
        f"drill @{asked.dns[0] if asked.dns else 'DC'} SRV {missing[0].name}    # on the firewall",
        cause=["srv-missing"],
        evidence=evidence,
    )


def dns_kdc(asked: Asked, names: Names) -> Finding:
    """The domain controllers' names have addresses, through the firewall's resolver."""
    evidence = [str(one) for one in (*names.hosts.values(), *names.direct.values())]
    empty = [name for name, lookup in names.hosts.items() if not lookup.found]
    if not names.hosts:
        return fail("there is no domain controller to look up", "see dns-srv", evidence=evidence)
    eaten = [name for name in empty if name in names.direct and names.direct[name].found]
    if eaten:
        return fail(
            f"the resolver takes the address out of the answer for {', '.join(eaten)} (rebinding protection): "
            f"asked directly, {names.direct[eaten[0]].server} gives {', '.join(names.direct[eaten[0]].records)}",
            "pfSense lets private addresses through for the zones of its domain overrides: set the override there, not "
            "in custom options; or add the zone as private-domain",
            _CONFIGURE,
            f'server: private-domain: "{asked.zone}"    # Services > DNS Resolver > Custom options',
            cause=["rebind-protection"],
            evidence=evidence,
        )
    if len(empty) == len(names.hosts):
        return fail(
            f"no domain controller has an address: {', '.join(empty)}",
            "the A record is missing in the domain's zone: the domain controller writes it when it registers",
            "ipconfig /registerdns    # on the domain controller; on Samba: samba_dnsupdate --verbose",
            f"drill @127.0.0.1 A {empty[0]}    # on the firewall",
            evidence=evidence,
        )
    if empty:
        return warn(f"{', '.join(empty)} has no address; others do", "remove its SRV records, or give it one")
    return ok(", ".join(f"{name} {' '.join(one.records)}" for name, one in names.hosts.items()), evidence)


def dns_proxy(asked: Asked, firewall: Inspected, names: Names) -> Finding:
    """The proxy's name: an A record of its own, which leads to the proxy."""
    lookup, evidence = names.proxy, [str(names.proxy)]
    if lookup.aliases:
        return fail(
            f"{asked.proxy} is an alias (CNAME) of {lookup.aliases[-1]}: browsers then ask for a ticket for "
            f"HTTP/{lookup.aliases[-1]}, not for {asked.service}",
            "give the name an A record of its own; or add the SPN of the name that it leads to",
            f"samba-tool dns delete DC {asked.zone} {asked.proxy.split('.')[0]} CNAME {lookup.aliases[0]}",
            f"samba-tool dns add DC {asked.zone} {asked.proxy.split('.')[0]} A {asked.address or 'ADDRESS'}",
            cause=["cname"],
            evidence=evidence,
        )
    if not lookup.found:
        return fail(
            f"{asked.proxy} has no address ({lookup.rcode}{f': {lookup.why}' if lookup.why else ''})",
            "browsers must find the proxy by that name: add an A record in the domain's zone",
            f"samba-tool dns add DC {asked.zone} {asked.proxy.split('.')[0]} A {asked.address or 'ADDRESS'}",
            f"Add-DnsServerResourceRecordA -ZoneName {asked.zone} -Name {asked.proxy.split('.')[0]} "
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
        return fail(
            f"the reverse record of {address} names {', '.join(lookup.records)}, not {asked.proxy}",
            "clients that look names up backwards (MIT Kerberos with its default rdns = true) ask for a ticket for "
            "that other name: correct the PTR record",
            f"samba-tool dns add DC REVERSE_ZONE LAST_NUMBER PTR {asked.proxy}    # and delete the wrong one",
            "rdns = false    # in [libdefaults] of clients with MIT Kerberos, where the record cannot be changed",
            cause=["ptr-other-host"],
            evidence=evidence,
        )
    without = [address for address, lookup in names.reverse.items() if not lookup.found]
    if without:
        return ok(f"{', '.join(without)} has none, which does no harm", evidence)
    return ok(", ".join(f"{address} → {' '.join(one.records)}" for address, one in names.reverse.items()), evidence)


def kdc(kdcs: Kdcs) -> Finding:
    """At least one KDC answers the firewall, over TCP and over UDP."""
    evidence = _told({f"{name} {address}": answers for (name, address), answers in kdcs.answers.items()})
    both = [name for (name, _), answers in kdcs.answers.items() if answers.tcp == "" and answers.udp == ""]
    if both:
        return ok(f"{', '.join(dict.fromkeys(both))} answers over TCP and UDP", evidence)
    if kdcs.good:
        silent = "; ".join(f"{name}: {kdcs.answers[name, address].silent}" for name, address in kdcs.good)
        return fail(
            f"the KDC answers over one of TCP and UDP only: {silent}",
            "tickets of people in many groups are too large for UDP, and some clients begin with UDP: let both through",
            *_filters(kdcs),
            cause=["kdc-unreachable"],
            evidence=evidence,
        )
    return fail(
        "no KDC answers the firewall on port 88: "
        + "; ".join(f"{name} ({address}): {answers.silent}" for (name, address), answers in kdcs.answers.items()),
        "the Kerberos service is stopped there, or a filter stands between",
        *_filters(kdcs),
        cause=["kdc-unreachable"],
        evidence=evidence,
    )


def clock(asked: Asked, clocks: Clocks) -> Finding:
    """The clocks of the firewall, the KDCs and this machine are within the skew that Kerberos allows."""
    limit = asked.clock_skew
    all_clocks = {"this machine": 0.0, asked.firewall: clocks.firewall, **clocks.kdcs}
    usual = sorted(all_clocks.values())[len(all_clocks) // 2]
    evidence = [f"{name}: {seconds - usual:+.1f} s from the middle" for name, seconds in all_clocks.items()]
    spread = max(all_clocks.values()) - min(all_clocks.values()) - clocks.uncertain
    odd = max(all_clocks, key=lambda name: abs(all_clocks[name] - usual))
    off = all_clocks[odd] - usual
    told = f"{odd} is {_duration(abs(off))} {'ahead of' if off > 0 else 'behind'} the others"
    what = "this machine" if odd == "this machine" else "the firewall" if odd == asked.firewall else odd
    commands = {
        "the firewall": (
            "System > General Setup > Timeservers: the domain controllers",
            "ntpq -pn    # on the firewall",
        ),
        "this machine": ("timedatectl status", "chronyc sources"),
    }.get(what, ("w32tm /query /status    # on the domain controller", "w32tm /resync"))
    if spread > limit:
        return fail(
            f"{told}; Kerberos allows {_duration(limit)}",
            f"set the clock of {what} right, and let all of them take the time from one source",
            *commands,
            cause=["clock-skew"],
            evidence=evidence,
        )
    if spread > limit / 2:
        return warn(
            f"{told}; Kerberos allows {_duration(limit)}", f"find out why {what} drifts", *commands, evidence=evidence
        )
    return ok(f"within {max(spread, 0):.1f} s of each other ({_duration(limit)} allowed)", evidence)


def _override_servers(firewall: Inspected, zone: str) -> tuple[str, ...]:
    overrides = firewall.settings.overrides if firewall.settings else ()
    return tuple(one.server.partition("@")[0] for one in overrides if one.domain.lower().rstrip(".") == zone)


def _is_rendered(firewall: Inspected, zone: str) -> bool:
    """Does the resolver's own file have the zone? True also where no such file could be read."""
    files = [one for path, one in firewall.resolver_files.items() if not path.endswith("resolv.conf")]
    texts = [one.content.decode("utf-8", "replace").lower() for one in files if one.content is not None]
    return not texts or any(zone in text for text in texts)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def _filters(kdcs: Kdcs) -> tuple[str, ...]:
    address = next(iter(kdcs.answers), ("", "DC"))[1]
    return (
        f"nc -vz {address} 88; nc -vzu {address} 88    # on the firewall",
        "Firewall > Rules, and the Windows firewall: Kerberos Key Distribution Center (TCP-In, UDP-In)",
    )


def _named(silent: Mapping[str, Answers], kdcs: Kdcs) -> list[str]:
    """Addresses with the host name that DNS gives them."""
    names = {address: name for name, address in kdcs.answers}
    return [f"{names[one]} ({one})" if one in names else one for one in silent]


def _told(answers: Mapping[str, Answers]) -> list[str]:
    return [f"{name}: {one.silent or 'answers'}" for name, one in answers.items()]
