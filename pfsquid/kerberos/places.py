"""Where things are on a firewall, judged from what was inspected. Pure."""

from __future__ import annotations

import ipaddress

from pfsquid.firewall.inspected import Inspected
from pfsquid.firewall.squid_conf import listeners
from pfsquid.kerberos.facts import Asked


def squid_conf(firewall: Inspected) -> str:
    """The live squid.conf as text, '' where there is none."""
    conf = firewall.squid.conf
    return conf.content.decode("utf-8", "replace") if conf and conf.content else ""


def proxy_addresses(asked: Asked, firewall: Inspected) -> tuple[str, ...]:
    """Where browsers may reach the proxy: as configured, as squid.conf listens, and the virtual addresses."""
    virtual = firewall.settings.virtual_addresses if firewall.settings else ()
    found = [asked.address] if asked.address else []
    for address in _ports(firewall):
        found += [address] if address else list(firewall.addresses)
    return tuple(dict.fromkeys(one for one in (*found, *virtual) if not one.startswith("127.") and one != "::1"))


def proxy_place(asked: Asked, firewall: Inspected) -> tuple[str, int]:
    """Where browsers reach the proxy: never 127.0.0.1, which Squid lets through before it asks."""
    ports = _ports(firewall)
    for address in proxy_addresses(asked, firewall):
        if address in ports or "" in ports or address == asked.address:
            return address, ports.get(address) or ports.get("") or next(iter(ports.values()), 3128)
    return asked.address or asked.host, next(iter(ports.values()), 3128)


def _ports(firewall: Inspected) -> dict[str, int]:
    """Address → port of Squid's listeners; '' is any address, as which a name counts, since nobody says what it is."""
    return {
        one.address if _is_address(one.address) else "": one.port for one in reversed(listeners(squid_conf(firewall)))
    }


def _is_address(text: str) -> bool:
    try:
        return not ipaddress.ip_address(text).is_unspecified
    except ValueError:
        return False
