"""Judges of names: the override, SRV and address records, forward and reverse record of the proxy."""

from __future__ import annotations

from typing import Any

import pytest

from pfsquid.firewall.inspected import Override
from pfsquid.kerberos import chain_names as chain
from pfsquid.kerberos.check import Finding, Status
from pfsquid.kerberos.facts import Lookup
from tests.kerberos.made import (
    CONF,
    DC1,
    DC1_AT,
    DC2,
    DC2_AT,
    HOSTILE,
    LAN,
    PROXY,
    ZONE,
    asked,
    conf,
    file,
    firewall,
    lookup,
    names,
    settings,
    told,
)

NOTHING = lookup(f"_kerberos._tcp.{ZONE}", "SRV", rcode="NXDOMAIN")


def deaf(name: str, kind: str = "SRV", why: str = "timed out") -> Lookup:
    return lookup(name, kind, rcode="no answer", why=why)


# ---- the override


def override(*overrides: tuple[str, str], names: Any = names(), **other: Any) -> Finding:  # noqa: B008 - a record
    found = tuple(Override(zone, server, False) for zone, server in overrides)
    return chain.dns_override(asked(**other), firewall(settings=settings(overrides=found)), names)


BOTH = ((ZONE, DC1_AT), (ZONE, DC2_AT))


def test_an_override_to_all_servers_is_well() -> None:
    finding = override(*BOTH)
    assert (finding.status, finding.detail) == (Status.OK, f"{ZONE} → {DC1_AT}, {DC2_AT}")


@pytest.mark.parametrize("written", [f"{DC1_AT}@5353", DC1_AT])
@pytest.mark.parametrize("zone", [ZONE.upper(), f"{ZONE}."])
def test_an_override_counts_however_it_is_written(zone: str, written: str) -> None:
    assert override((zone, written), (zone, DC2_AT)).status is Status.OK


def test_a_resolver_that_does_not_answer_comes_before_all_else() -> None:
    finding = override(names=names(alive=False))
    assert (finding.status, "own resolver (127.0.0.1) does not answer" in finding.detail) == (Status.FAIL, True)
    assert "unbound-checkconf" in told(finding)


def test_no_override_is_a_break_where_the_domain_is_not_found() -> None:
    finding = override(names=names(kerberos=NOTHING))
    assert (finding.status, f"no domain override for {ZONE}" in finding.detail) == (Status.FAIL, True)
    assert f"_kerberos._tcp.{ZONE}" in told(finding)


def test_no_override_is_none_too_few_where_the_resolver_finds_the_domain() -> None:
    finding = override()
    assert (finding.status, "none is needed" in finding.detail) == (Status.OK, True)


def test_an_override_that_leads_elsewhere_is_a_break_that_names_both_places() -> None:
    finding = override((ZONE, "192.0.2.1"))
    assert (finding.status, "leads to 192.0.2.1" in finding.detail, DC1_AT in finding.detail) == (
        Status.FAIL,
        True,
        True,
    )


def test_an_override_needs_no_servers_in_the_configuration() -> None:
    assert override((ZONE, "192.0.2.1"), dns=()).status is Status.OK


def test_an_override_that_lacks_a_server_is_a_warning_that_names_it() -> None:
    finding = override((ZONE, DC1_AT))
    assert (finding.status, f"without {DC2_AT}" in finding.detail) == (Status.WARN, True)


@pytest.mark.parametrize("other", [{"zones": ("sub.example",)}, {"reverse_zones": ("1.10.in-addr.arpa",)}])
def test_a_further_zone_without_an_override_is_a_warning_that_names_it(other: dict[str, Any]) -> None:
    finding = override(*BOTH, **other)
    assert (finding.status, next(iter(other.values()))[0] in finding.detail) == (Status.WARN, True)


@pytest.mark.parametrize("text", ["", f'name: "other{ZONE}"', f'name: "sub.{ZONE}"', f'name: "{ZONE}.org"'])
def test_an_override_that_was_never_applied_is_a_break(text: str) -> None:
    files = {"/var/unbound/domainoverrides.conf": file("x", text)}
    finding = chain.dns_override(asked(), firewall(resolver_files=files), names())
    assert (finding.status, "not in the resolver's own file" in finding.detail) == (Status.FAIL, True)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"/etc/resolv.conf": file("x", "nameserver 127.0.0.1")},
        {"/var/unbound/domainoverrides.conf": file("x", None)},
        {"/var/etc/dnsmasq.conf": file("x", f"server=/{ZONE}/{DC1_AT}")},
        {"/var/unbound/domainoverrides.conf": file("x", f'name: "{ZONE.upper()}."'.encode() + b"\xff")},
    ],
)
def test_an_override_counts_as_applied_where_its_file_has_it_or_cannot_be_read(files: Any) -> None:
    assert chain.dns_override(asked(), firewall(resolver_files=files), names()).status is Status.OK


# ---- SRV records


def srv(kerberos: Lookup | None = None, ldap: Lookup | None = None, **other: Any) -> Finding:
    well = names()
    return chain.dns_srv(asked(**other), names(kerberos=kerberos or well.kerberos, ldap=ldap or well.ldap))


def test_srv_records_name_the_domain_controllers() -> None:
    assert (srv().status, srv().detail) == (Status.OK, f"{DC1}, {DC2}")


def test_missing_srv_records_are_a_break_that_names_them() -> None:
    finding = srv(NOTHING, lookup(f"_ldap._tcp.{ZONE}", "SRV", rcode="NXDOMAIN"))
    assert finding.status is Status.FAIL
    assert finding.detail == f"_kerberos._tcp.{ZONE} and _ldap._tcp.{ZONE}: NXDOMAIN, no SRV record"
    assert f"drill @{DC1_AT} SRV _kerberos._tcp.{ZONE}" in told(finding)


def test_a_missing_record_of_kerberos_alone_matters_less_where_the_kdcs_are_configured() -> None:
    finding = srv(NOTHING, kdcs=(DC1,))
    assert (finding.status, "krb5.conf names the KDCs" in finding.detail) == (Status.WARN, True)


def test_a_missing_record_of_ldap_matters_also_where_the_kdcs_are_configured() -> None:
    assert srv(None, lookup(f"_ldap._tcp.{ZONE}", "SRV", rcode="NXDOMAIN"), kdcs=(DC1,)).status is Status.FAIL


@pytest.mark.parametrize(
    ("answer", "word", "cause"),
    [
        (deaf(f"_kerberos._tcp.{ZONE}"), "no answer: timed out", ()),
        (lookup(f"_kerberos._tcp.{ZONE}", "SRV", rcode="SERVFAIL"), "SERVFAIL", ("dns-servfail",)),
    ],
)
def test_a_resolver_without_an_answer_is_not_taken_for_a_missing_record(
    answer: Lookup, word: str, cause: tuple[str, ...]
) -> None:
    finding = srv(answer)
    assert (finding.status, finding.cause, word in finding.detail) == (Status.FAIL, cause, True)
    assert "nltest" not in told(finding)


def test_srv_is_judged_also_where_no_server_is_known() -> None:
    finding = chain.dns_srv(asked(dns=()), names(kerberos=NOTHING, servers={}))
    assert "drill @DC SRV" in told(finding)


# ---- addresses of the domain controllers


def kdc(hosts: dict[str, Lookup], direct: dict[str, Lookup] | None = None, **other: Any) -> Finding:
    return chain.dns_kdc(asked(**other), names(hosts=hosts, direct=direct or {}))


def test_each_domain_controller_is_told_with_its_address() -> None:
    assert chain.dns_kdc(asked(), names()).detail == f"{DC1} {DC1_AT}, {DC2} {DC2_AT}"


def test_nothing_to_look_up_is_a_break() -> None:
    assert kdc({}).status is Status.FAIL


def test_no_address_at_all_is_a_break_that_says_why() -> None:
    finding = kdc({DC1: lookup(DC1, "A/AAAA", rcode="NXDOMAIN"), DC2: deaf(DC2)})
    assert finding.status is Status.FAIL
    assert f"{DC1} (NXDOMAIN), {DC2} (no answer: timed out)" in finding.detail
    assert f"drill @127.0.0.1 A {DC1}" in told(finding)


@pytest.mark.parametrize(
    ("configured", "remedy"), [({}, "its SRV records"), ({"ldap_servers": (DC2,)}, "directory.servers")]
)
def test_one_without_an_address_is_a_warning_that_names_what_names_it(configured: Any, remedy: str) -> None:
    finding = kdc({DC1: lookup(DC1, "A", DC1_AT), DC2: lookup(DC2, "A")}, **configured)
    assert (finding.status, DC2 in finding.detail, remedy in told(finding)) == (Status.WARN, True, True)


def test_an_address_that_the_resolver_eats_is_rebinding_protection() -> None:
    direct = {DC1: lookup(DC1, "A", DC1_AT, server=DC2_AT)}
    finding = kdc({DC1: lookup(DC1, "A"), DC2: lookup(DC2, "A", DC2_AT)}, direct)
    assert (finding.status, "rebinding protection" in finding.detail) == (Status.FAIL, True)
    assert f"{DC2_AT} gives {DC1_AT}" in finding.detail
    assert f'private-domain: "{ZONE}"' in told(finding)


def test_an_address_that_nobody_has_is_no_rebinding_protection() -> None:
    finding = kdc({DC1: lookup(DC1, "A")}, {DC1: lookup(DC1, "A", server=DC2_AT)})
    assert "rebinding" not in told(finding)


# ---- the proxy's name


def proxy(answer: Lookup, at: Any = None, **other: Any) -> Finding:
    return chain.dns_proxy(asked(**other), at or conf(CONF), names(proxy=answer))


def test_the_proxys_name_leads_to_the_proxy() -> None:
    assert proxy(lookup(PROXY, "A", LAN)).detail == f"{PROXY} → {LAN}"


def test_an_alias_is_a_break_that_names_the_spn_that_browsers_then_want() -> None:
    finding = proxy(lookup(PROXY, "A", LAN, aliases=("one.lab.example", "gate.lab.example")))
    assert (finding.status, "HTTP/gate.lab.example" in finding.detail) == (Status.FAIL, True)
    assert f"samba-tool dns delete DC {ZONE} proxy CNAME one.lab.example" in told(finding)


@pytest.mark.parametrize("answer", [lookup(PROXY, "A", rcode="NXDOMAIN"), deaf(PROXY, "A"), lookup(PROXY, "A")])
def test_a_name_without_an_address_is_a_break_that_says_why(answer: Lookup) -> None:
    finding = proxy(answer, address=LAN)
    assert (finding.status, answer.rcode in finding.detail, answer.why in finding.detail) == (Status.FAIL, True, True)
    assert f"samba-tool dns add DC {ZONE} proxy A {LAN}" in told(finding)


@pytest.mark.parametrize(
    ("name", "zone", "record"),
    [
        (f"proxy.{ZONE}", ZONE, "proxy"),
        (f"proxy.sub.{ZONE}", ZONE, "proxy.sub"),
        ("proxy.corp.example", "corp.example", "proxy"),
        ("proxy", ZONE, "proxy"),
    ],
)
def test_the_record_to_add_is_named_in_the_zone_where_it_belongs(name: str, zone: str, record: str) -> None:
    finding = proxy(lookup(name, "A", rcode="NXDOMAIN"), proxy=name)
    assert f"samba-tool dns add DC {zone} {record} A ADDRESS" in told(finding)


def test_a_name_that_leads_elsewhere_is_a_break_that_names_both_places() -> None:
    finding = proxy(lookup(PROXY, "A", "192.0.2.7"))
    assert finding.status is Status.FAIL
    assert finding.detail == f"{PROXY} leads to 192.0.2.7, and the proxy listens on {LAN}"
    assert "firewalls.fw.proxy_address: 192.0.2.7" in told(finding)


def test_a_name_that_leads_elsewhere_too_is_a_warning() -> None:
    finding = proxy(lookup(PROXY, "A", LAN, "192.0.2.7"))
    assert (finding.status, "192.0.2.7" in finding.detail) == (Status.WARN, True)


def test_a_further_address_of_ipv6_is_no_warning() -> None:
    assert proxy(lookup(PROXY, "A", LAN, "fd00::7")).status is Status.OK


@pytest.mark.parametrize("listener", ["3128", "0.0.0.0:3128", "[::]:3128", f"{PROXY}:3128"])
def test_a_proxy_that_listens_on_any_address_is_found_at_each(listener: str) -> None:
    assert proxy(lookup(PROXY, "A", LAN), conf(f"http_port {listener}\n")).status is Status.OK


@pytest.mark.parametrize(
    "other", [{"address": "10.9.9.9"}, {"at": firewall(settings=settings(virtual_addresses=("10.9.9.9",)))}]
)
def test_an_address_in_front_or_of_a_pair_is_the_proxys_too(other: Any) -> None:
    assert proxy(lookup(PROXY, "A", "10.9.9.9"), **other).status is Status.OK


@pytest.mark.parametrize("text", HOSTILE)
def test_where_nobody_knows_where_the_proxy_listens_its_address_is_not_judged(text: str) -> None:
    assert proxy(lookup(PROXY, "A", "192.0.2.7"), conf(text)).status is Status.OK


# ---- the reverse record


def reverse(records: dict[str, Lookup], **other: Any) -> Finding:
    return chain.dns_reverse(asked(**other), names(reverse=records))


@pytest.mark.parametrize("records", [(PROXY,), (PROXY.upper(),), ("other.example", PROXY)])
def test_a_reverse_record_that_names_the_proxy_is_well(records: tuple[str, ...]) -> None:
    assert reverse({LAN: lookup("x", "PTR", *records)}).status is Status.OK


def test_no_reverse_record_does_no_harm() -> None:
    finding = reverse({LAN: lookup("x", "PTR", rcode="NXDOMAIN")})
    assert (finding.status, "does no harm" in finding.detail, LAN in finding.detail) == (Status.OK, True, True)


def test_a_reverse_record_that_cannot_be_looked_up_is_not_taken_for_none() -> None:
    finding = reverse({LAN: deaf("x", "PTR")})
    assert (finding.status, "no answer: timed out" in finding.detail) == (Status.WARN, True)


@pytest.mark.parametrize(
    ("address", "zones", "zone", "name"),
    [
        ("10.1.2.3", (), "2.1.10.in-addr.arpa", "3"),
        ("10.1.2.3", ("10.in-addr.arpa", "1.10.in-addr.arpa"), "1.10.in-addr.arpa", "3.2"),
        ("fd00::1", (), "0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0"),
    ],
)
def test_a_wrong_reverse_record_is_a_break_with_the_commands_for_its_very_zone(
    address: str, zones: tuple[str, ...], zone: str, name: str
) -> None:
    finding = reverse({address: lookup("x", "PTR", "gate.example")}, reverse_zones=zones)
    assert (finding.status, f"reverse record of {address} names gate.example" in finding.detail) == (Status.FAIL, True)
    assert f"samba-tool dns delete DC {zone} {name} PTR gate.example" in told(finding)
    assert f"samba-tool dns add DC {zone} {name} PTR {PROXY}" in told(finding)
