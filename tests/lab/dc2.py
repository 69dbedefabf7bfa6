"""Host dc2: a second domain controller of the same domain, for who asks for it.

It joins once; what both controllers then have on disk is kept in the cache beside the domain's archive, so that later
they come up together in a few seconds. At the end the domain is the first one again, which never heard of dc2.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab import dc, hosts
from tests.lab.errors import LabError
from tests.lab.hosts import must, shell, write
from tests.lab.layout import ADMIN_PASSWORD, BASE_DN, DC, DC2, DOMAIN, NETBIOS, REVERSE_ZONE
from tests.lab.locks import only_one
from tests.lab.network import connect_one

PARTITIONS = (BASE_DN, f"CN=Configuration,{BASE_DN}", f"DC=DomainDnsZones,{BASE_DN}", f"DC=ForestDnsZones,{BASE_DN}")
LOGIN = ["-U", f"{NETBIOS}\\Administrator%{ADMIN_PASSWORD}"]
CERTIFICATE = f"""set -e; cd /lab/tls
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN={DC2.fqdn}' -keyout dc.key -out dc.csr
printf 'subjectAltName=DNS:{DC2.fqdn},DNS:{DOMAIN},IP:{DC2.address4},IP:{DC2.address6}\\n' >san
openssl x509 -req -in dc.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 -extfile san -out dc.pem
chmod 600 dc.key ca.key"""


@contextmanager
def second(state: Path) -> Iterator[None]:
    """The domain with two controllers; at the end the first one alone, as at first."""
    try:
        connect_one(state, DC2, hosts.start(state, DC2))
        write(state, DC2, "/etc/hosts", f"127.0.0.1 localhost\n{DC2.address4} {DC2.fqdn} dc2\n")
        write(state, DC2, "/etc/krb5.conf", dc.KRB5_CONF)
        shell(state, DC2, dc.EMPTY, "cannot empty Samba's folders")
        _bring_up(state)
        yield
    finally:
        hosts.end(state, DC2)
        shutil.rmtree(hosts.host_folder(state, DC2), ignore_errors=True)
        dc.fresh(state)


def _bring_up(state: Path) -> None:
    domain = dc.cache_file(state)
    first, other = (domain.with_name(f"{name}-of-two-{domain.name}") for name in ("first", "second"))
    if not other.exists():
        dc.fresh(state)
    with only_one(domain.parent / "lock.two"):
        if not other.exists():
            for old in domain.parent.glob("*-of-two-*"):
                old.unlink()
            _join(state)
            dc.stop(state)
            dc.stop(state, DC2)
            dc.pack(state, DC, first)
            dc.pack(state, DC2, other)
        else:
            dc.stop(state)
            shell(state, DC, dc.EMPTY, "cannot empty Samba's folders")
            if not dc.unpack(state, DC, first) or not dc.unpack(state, DC2, other):
                raise LabError("the cache of two domain controllers cannot be unpacked")
    dc.start(state)
    dc.start(state, host=DC2)


def _join(state: Path) -> None:
    """About ten seconds."""
    words = ["samba-tool", "domain", "join", DOMAIN, "DC", *LOGIN, f"--server={DC.fqdn}"]
    options = ["interfaces = lo eth0", "bind interfaces only = yes", "log level = 1 auth_audit:3 kerberos:3"]
    words += ["--dns-backend=SAMBA_INTERNAL", *(f"--option={one}" for one in (*options, "ntlm auth = yes"))]
    must(state, DC2, words, "the second domain controller cannot join", timeout=120)
    for name in ("ca.pem", "ca.key"):
        write(state, DC2, f"/lab/tls/{name}", dc.read(state, f"/lab/tls/{name}"), mode=0o600)
    shell(state, DC2, CERTIFICATE, "no certificate for the second domain controller")
    change = ["sed", "-i", "-e", "/dns forwarder/d", "-e", dc.SET_CERTIFICATE, "/etc/samba/smb.conf"]
    must(state, DC2, change, "cannot change smb.conf")
    dc.live(state, ["dns_put", DC2.address4.rpartition(".")[2], "PTR", DC2.fqdn, REVERSE_ZONE])
    dc.start(state, host=DC2)
    must(state, DC2, ["samba_dnsupdate", "--use-samba-tool", "--rpc-server-ip", DC.address4], "no records for dc2")
    replicate(state)


def replicate(state: Path) -> None:
    """What one of the two has, the other has now."""
    for target, source in ((DC2, DC), (DC, DC2)):
        for partition in PARTITIONS:
            words = ["samba-tool", "drs", "replicate", target.fqdn, source.fqdn, partition, *LOGIN]
            deadline = time.monotonic() + 30
            while (done := hosts.execute(state, DC, words)).returncode:
                if time.monotonic() > deadline:
                    raise LabError(f"{partition} is not replicated: {done.stderr.decode()}")
                time.sleep(0.2)
