"""Faults of DNS: of the firewall's resolver, of the domain's records, and of the proxy's own names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.lab.breaks.parts import RELOAD_UNBOUND, Fault, directory, gui, kept, together
from tests.lab.fixture import Lab
from tests.lab.layout import DOMAIN, FW, REVERSE_ZONE

SRV = r"_.*"
# The firewall answers its own name itself: for records of the domain to count, it has another name.
OTHER_HOSTNAME = gui("config_set_path('system/hostname', 'gate');", unbound=True)
OWN = FW.address4.rpartition(".")[2]


def resolver(script: str) -> Fault:
    """A script of sh that changes unbound's own files, as by hand."""

    @contextmanager
    def inside(lab: Lab) -> Iterator[None]:
        with kept(lab, squid=False, unbound=True):
            lab.sh("fw", f"set -e; cd /var/unbound; {script}; {RELOAD_UNBOUND}")
            yield

    return inside


@contextmanager
def resolver_down(lab: Lab) -> Iterator[None]:
    """unbound was ended; its port is closed."""
    with kept(lab, squid=False, unbound=True):
        lab.sh("fw", "kill $(cat /var/run/unbound.pid)")
        yield


def overrides(program: str) -> Fault:
    """PHP that changes $all, the list of domain overrides."""
    path = "'unbound/domainoverrides'"
    return gui(f"$all = config_get_path({path}, []); {program} config_set_path({path}, $all);", unbound=True)


def without(domain: str) -> str:
    return f"$all = array_values(array_filter($all, fn($one) => $one['domain'] != '{domain}'));"


def proxy_name(*deeds: list[str]) -> Fault:
    return together(OTHER_HOSTNAME, directory(*deeds))


FAULTS: dict[str, tuple[str, Fault]] = {
    "override_missing": ("no domain override for the domain", overrides(without(DOMAIN))),
    "override_wrong": (
        "the domain override leads to a host that is no DNS server",
        overrides(f"foreach ($all as &$one) if ($one['domain'] == '{DOMAIN}') $one['ip'] = '10.77.0.80'; unset($one);"),
    ),
    "reverse_override_missing": ("no domain override for the reverse zone", overrides(without(REVERSE_ZONE))),
    "rebinding": (
        "the override is there, rebinding protection takes the addresses out of its answers",
        resolver(f"sed -i '/private-domain: \"{DOMAIN}\"/d' unbound.conf"),
    ),
    "resolver_down": (
        "the firewall's resolver does not run",
        resolver_down,
    ),
    "srv_missing": ("the domain has no SRV records", directory(["dns_delete", SRV])),
    "srv_kerberos_missing": ("no SRV records for Kerberos", directory(["dns_delete", r"_kerberos\..*"])),
    "srv_ldap_missing": ("no SRV records for LDAP", directory(["dns_delete", r"_ldap\..*"])),
    "kdc_no_address": ("the SRV records name a controller without an address", directory(["dns_delete", "dc1"])),
    "proxy_cname": (
        "the proxy's name is an alias of the firewall's name, for which there is no SPN",
        proxy_name(
            ["dns_put", "gate", "A", FW.address4],
            ["dns_delete", "proxy"],
            ["dns_put", "proxy", "CNAME", f"gate.{DOMAIN}"],
            ["dns_put", OWN, "PTR", f"gate.{DOMAIN}", REVERSE_ZONE],
        ),
    ),
    "proxy_no_address": ("the proxy's name has no address", proxy_name(["dns_delete", "proxy"])),
    "proxy_wrong_address": ("the proxy's name has another host's", proxy_name(["dns_put", "proxy", "A", "10.77.0.80"])),
    "reverse_wrong": (
        "the proxy's address has another name",
        proxy_name(["dns_put", OWN, "PTR", f"gate.{DOMAIN}", REVERSE_ZONE]),
    ),
    "reverse_missing": (
        "the proxy's address has no name",
        together(
            directory(["dns_delete", OWN, REVERSE_ZONE]), resolver("sed -i '/^local-data-ptr/d' host_entries.conf")
        ),
    ),
}
