"""The first configuration, as `pfsquid init` writes it. Pure."""

from __future__ import annotations

import paramiko
from pydantic import TypeAdapter, ValidationError

from pfsquid.errors import WrongUse
from pfsquid.firewall.ssh import fingerprint
from pfsquid.settings import FirewallName, FirewallSettings


def first_configuration(name: str, host: str, port: int, user: str, key: paramiko.PKey) -> str:
    """YAML text with the host key pinned, and places to fill in. Raises WrongUse where a value cannot stand there."""
    try:
        TypeAdapter(FirewallName).validate_python(name)
        FirewallSettings(host=host, port=port, user=user)
    except ValidationError as exc:
        raise WrongUse(f"{exc.errors()[0]['input']!r}: {exc.errors()[0]['msg']}", "pfsquid init --help") from exc
    return f"""# pfsquid's configuration. Every key with its meaning: configs/example.yaml.
firewalls:
  {name}:
    host: {host}
    port: {port}
    user: {user}
    # {fingerprint(key)}
    host_keys: ["{key.get_name()} {key.get_base64()}"]
    # identity: ~/.ssh/id_ed25519      # else the keys of the SSH agent
    # password: env:PFSENSE_PASSWORD

kerberos:
  realm: <LAB.EXAMPLE>
  proxy: <proxy.lab.example>     # the name that browsers use for the proxy
  keytab: <squid.keytab>         # of the account that has the SPN HTTP/<proxy.lab.example>

dns:
  servers: [<10.0.0.10>]         # domain controllers, which answer for the domain's zone
"""
