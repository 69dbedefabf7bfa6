"""A configuration and an actual state for the pure parts of `pfsquid.firewall`."""

from __future__ import annotations

from pathlib import Path

import pytest

from pfsquid.firewall.desired import Desired, desired
from pfsquid.firewall.plan import Actual
from pfsquid.settings import DnsSettings, KerberosSettings, ProxySettings

TEMPLATES = Path(__file__).parents[2] / "templates"
KEYTAB_PATH = "/usr/local/etc/squid/pfsquid-20261124T080000.keytab"
KERBEROS = KerberosSettings(realm="LAB.PFSQUID.TEST", proxy="proxy.lab.pfsquid.test", keytab=Path("squid.keytab"))
DNS = DnsSettings(servers=("10.77.0.10", "10.77.0.11"), reverse_zones=("0.77.10.in-addr.arpa",))


def wanted(
    proxy: ProxySettings | None = None, kerberos: KerberosSettings = KERBEROS, keytab: bytes = b"\x05\x02key"
) -> Desired:
    """The wanted state of the lab's firewall."""
    return desired(kerberos, proxy or ProxySettings(), DNS, keytab, KEYTAB_PATH, TEMPLATES)


@pytest.fixture
def stock() -> Actual:
    """A firewall with the Squid package and nothing of ours."""
    return Actual(
        release="2.7.2-RELEASE",
        host_key="ssh-ed25519 AAAA",
        fields={},
        files={},
        resolver="unbound",
        overrides=[{"domain": "foreign.example", "ip": "192.0.2.1", "descr": "theirs", "tls_hostname": ""}],
        key=b"k" * 32,
    )
