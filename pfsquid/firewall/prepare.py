"""From settings and a firewall's facts to a plan, or to the reasons why there can be none. The judgement is pure."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pfsquid.errors import PfsquidError, WrongUse
from pfsquid.firewall.apply import Proof, Trial
from pfsquid.firewall.desired import BEFORE_AUTH, KEYTAB_FOLDER, SQUID, Desired, block_in, desired, package_fields
from pfsquid.firewall.pfsense import Facts, Pfsense, read
from pfsquid.firewall.plan import Actual, Plan, plan
from pfsquid.settings import DnsSettings, FirewallSettings, KerberosSettings, ProxySettings

DEPRECATION = (
    "Netgate has deprecated pfSense's Squid package: it gets no fixes from them and will go in a later major release. "
    "pfsquid works while it is there; plan for a proxy elsewhere."
)
INTERFACES, PORT, ROTATE = f"{SQUID}/active_interface", f"{SQUID}/proxy_port", f"{SQUID}/log_rotate"
_KEYTAB = re.compile(r" -k (\S+)")
_SYNCED = ("auto", "manual")


@dataclass(frozen=True)
class Wanted:
    """What the configuration says, with the keytab's bytes read. templates: the folder of the templates."""

    kerberos: KerberosSettings
    proxy: ProxySettings
    dns: DnsSettings | None
    keytab: bytes
    templates: Path


@dataclass(frozen=True)
class Prepared:
    """Ready to explain or to apply. warnings: what to know first."""

    plan: Plan
    actual: Actual
    facts: Facts
    trial: Trial
    proof: Proof
    warnings: tuple[str, ...]


def fields_asked(wanted: ProxySettings) -> tuple[str, ...]:
    """The paths in config.xml that pfsquid may touch or must know."""
    return tuple(dict.fromkeys((BEFORE_AUTH, INTERFACES, PORT, ROTATE, *package_fields(wanted))))


def look(pfsense: Pfsense, wanted: Wanted) -> tuple[Actual, Facts]:
    """Read the firewall."""
    return read(pfsense, fields_asked(wanted.proxy), (wanted.kerberos.krb5_conf,), wanted.proxy.helper.path)


def prepare(pfsense: Pfsense, settings: FirewallSettings, wanted: Wanted, keytab_path: str | None = None) -> Prepared:
    """Read the firewall and make the plan. keytab_path: as on the other node of a pair, else found or chosen.

    Raises PfsquidError where the firewall cannot be configured, with what to do on it first.
    """
    actual, facts = look(pfsense, wanted)
    obstacles = list(find_obstacles(facts, wanted.proxy))
    if obstacles:
        raise PfsquidError(
            "\n".join(f"{pfsense.name}: {what}" for what, _ in obstacles), *(how for _, how in obstacles)
        )
    proxy, warnings = _for_this_squid(wanted.proxy, facts)
    path = keytab_path or keytab_place(actual, facts, wanted.keytab, datetime.now(UTC))
    rotate = rotated_logs(wanted.proxy.log_days, actual.fields.get(ROTATE))
    state = desired(wanted.kerberos, proxy, wanted.dns, wanted.keytab, path, wanted.templates, facts.squid_tls, rotate)
    if settings.synced_from:
        state = Desired(state.files, {}, "", state.overrides, path)
    interfaces = wanted.proxy.interface or actual.fields.get(INTERFACES) or "lan"
    address = settings.proxy_address or _address(facts, interfaces)
    if address is None:
        raise WrongUse(
            f"{pfsense.name}: the address of the interface {interfaces} is not in its configuration",
            f"firewalls.{pfsense.name}.proxy_address: 10.0.0.1    # in pfsquid.yaml: where browsers reach the proxy",
        )
    spn = f"HTTP/{wanted.kerberos.proxy}@{wanted.kerberos.realm}"
    return Prepared(
        plan(pfsense.name, actual, state),
        actual,
        facts,
        Trial(wanted.proxy.helper.path, path, spn),
        Proof(
            address,
            wanted.proxy.port or int(actual.fields.get(PORT) or 3128),
            _proof_wanted(settings, wanted, facts, address),
        ),
        (*_warnings(facts, actual, wanted, address), *warnings),
    )


def find_obstacles(facts: Facts, proxy: ProxySettings) -> list[tuple[str, str]]:
    """What makes it impossible, each with what to do about it on the firewall."""
    found = []
    if not facts.package:
        found.append(
            ("the Squid package is not installed", "System > Package Manager > Available Packages: install squid")
        )
        return found
    if not facts.cache_saved:
        found.append(("the package's local cache was never saved", "Services > Squid Proxy Server > Local Cache: Save"))
    if facts.transparent:
        found.append(
            (
                "the proxy is transparent, and an intercepted request cannot be asked for a ticket",
                "Services > Squid Proxy Server > General: take Transparent HTTP Proxy out",
            )
        )
    if not facts.helper:
        found.append((f"there is no helper {proxy.helper.path}", "System > Package Manager: reinstall squid"))
    if proxy.basic_fallback and facts.auth_method != "ldap":
        found.append(
            (
                "the Basic fallback needs the package's own LDAP authentication, and that is off",
                "Services > Squid Proxy Server > Authentication: LDAP, or proxy.basic_fallback: false",
            )
        )
    return found


def keytab_place(actual: Actual, facts: Facts, keytab: bytes, now: datetime) -> str:
    """Where the keytab lies already, where it is the same, else a new place beside it.

    A new keytab gets a new name, so that the running configuration keeps its own until the new one is proved.
    """
    used = _KEYTAB.search(block_in(actual.fields.get(BEFORE_AUTH) or "") or "")
    if used and used[1] in facts.keytabs:
        there = actual.files[used[1]]
        if hmac.compare_digest(there.digest, hmac.new(actual.key, keytab, hashlib.sha256).hexdigest()):
            return used[1]
    return f"{KEYTAB_FOLDER}/pfsquid-{now:%Y%m%dT%H%M%S%f}.keytab"


def rotated_logs(days: int | None, field: str | None) -> int:
    """The number N of the package's own `debug_options rotate=N`: as configured, or as it is set there; empty is 0."""
    text = (field or "").strip()
    return days or (int(text) if re.fullmatch(r"[0-9]{1,6}", text) else 0)


def _for_this_squid(proxy: ProxySettings, facts: Facts) -> tuple[ProxySettings, tuple[str, ...]]:
    """The settings without what this release of Squid does not know any more, and what to say of it."""
    version = re.search(r"Version (\d+)", facts.squid)
    if not proxy.ipv4_first or version is None or int(version[1]) < 5:
        return proxy, ()
    told = f"proxy.ipv4_first is left out: Squid {version[1]} no longer knows it"
    return proxy.model_copy(update={"ipv4_first": False}), (told,)


def _address(facts: Facts, interfaces: str) -> str | None:
    for name in interfaces.split(","):
        address = facts.interfaces.get(name)
        if address and address[0].isdigit():
            return address
    return None


def _exempt(address: str, wanted: Wanted) -> bool:
    """Is the firewall itself let through without a ticket? Then its own requests cannot show that others are asked."""
    return any(ipaddress.ip_address(address) in ipaddress.ip_network(one) for one in wanted.proxy.exempt.sources)


def _proof_wanted(settings: FirewallSettings, wanted: Wanted, facts: Facts, address: str) -> str:
    if settings.synced_from:  # its options come from the other node, after its files
        return "alive" if facts.pid else "nothing"
    return "alive" if _exempt(address, wanted) else "negotiate"


def _warnings(facts: Facts, actual: Actual, wanted: Wanted, address: str) -> list[str]:
    told = [DEPRECATION]
    if _exempt(address, wanted):
        told.append(
            f"{address} itself is exempt: that others are asked for a ticket cannot be proved from the firewall"
        )
    if actual.resolver is None and wanted.dns is not None:
        told.append("neither the DNS Resolver nor the Forwarder is on: the domain overrides cannot be set")
    if facts.auth_method in ("local", "radius", "cp"):
        told.append(f"the package's own authentication is on ({facts.auth_method}); it is asked for beside Kerberos")
    if facts.auth_method == "ldap" and not wanted.proxy.basic_fallback:
        told.append("the package's own LDAP authentication is on, so Basic is offered beside Negotiate")
    if facts.sync in _SYNCED:
        told.append("the package pushes its settings to another node: list that node under firewalls, with synced_from")
    return told
