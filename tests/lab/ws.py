"""Host ws: a workstation that asks the firewall for names and has a Kerberos client
and root's key for the firewall."""

from __future__ import annotations

from pathlib import Path

from tests.lab import dc, fw
from tests.lab.hosts import write
from tests.lab.layout import DOMAIN, FW, WS

KEYTAB = "/etc/krb5.keytab"


def prepare(state: Path) -> None:
    write(state, WS, "/etc/resolv.conf", f"nameserver {FW.address4}\nsearch {DOMAIN}\n")
    write(state, WS, "/etc/krb5.conf", dc.KRB5_CONF)
    write(state, WS, "/root/.bashrc", "")
    keys = fw.keys_folder(state)
    write(state, WS, "/root/.ssh/id_ed25519", (keys / "id_ed25519").read_bytes(), mode=0o600)
    write(state, WS, "/root/.ssh/known_hosts", (keys / "known_hosts").read_bytes(), mode=0o600)


def start(state: Path) -> None:
    """Join, as far as the tests need it: the computer account's keytab and the domain's CA."""
    write(state, WS, KEYTAB, dc.read(state, f"{dc.KEYTABS}/ws1.keytab"), mode=0o600)
    write(state, WS, "/etc/ssl/lab-ca.pem", dc.read(state, dc.CA))
