"""Host dc: a Samba Active Directory, provisioned once and then taken from a cache.

The cache holds the domain with its accounts, DNS records, certificate and keytabs, as they were
before the first start of Samba; its name carries Samba's version and a digest of the files that
make it, so that a change of either makes a new one.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.lab.errors import LabError
from tests.lab.hosts import entry_command, execute, must, python_module, shell, wait_until, write
from tests.lab.layout import ADMIN_PASSWORD, DC, DOMAIN, NETBIOS, REALM, Host, shared_folder
from tests.lab.locks import only_one

LOG = "/var/log/samba/log.samba"
KEYTABS = "/lab/keytabs"
CA = "/lab/tls/ca.pem"
KRB5_CONF = f"""[libdefaults]
  default_realm = {REALM}
  dns_lookup_realm = false
  dns_lookup_kdc = true
  rdns = false
"""

TAR = ["tar", "-C", "/", "--xattrs", "--xattrs-include=*", "--acls"]
EMPTY = """rm -rf /etc/samba/smb.conf /var/lib/samba/private/* /var/lib/samba/*.tdb /var/lib/samba/sysvol /lab
mkdir -p /var/log/samba /lab/keytabs"""

SET_CERTIFICATE = (
    r"s#^\[global\]#[global]\n\ttls cafile = /lab/tls/ca.pem\n\ttls certfile = /lab/tls/dc.pem"
    r"\n\ttls keyfile = /lab/tls/dc.key#"
)

# A CA of our own, because Samba's self-made certificate has no SAN and no client can check it.
CERTIFICATES = f"""set -e
mkdir -p /lab/tls; cd /lab/tls
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
  -subj '/CN=pfsquid lab CA' -keyout ca.key -out ca.pem
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
  -subj '/CN={DC.fqdn}' -keyout dc.key -out dc.csr
printf 'subjectAltName=DNS:{DC.fqdn},DNS:{DOMAIN},IP:{DC.address4},IP:{DC.address6}\\n' >san
openssl x509 -req -in dc.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 -extfile san -out dc.pem
chmod 600 dc.key ca.key
"""


STOP = """kill $(cat /run/samba/samba.pid) 2>/dev/null
for i in $(seq 250); do pgrep '^(samba|smbd|winbind)' >/dev/null || exit 0; sleep 0.02; done
kill -9 $(pgrep '^(samba|smbd|winbind)') 2>/dev/null; sleep 0.1"""


def cache_file(state: Path) -> Path:
    """The archive of the domain; it need not be there."""
    version = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "samba"], capture_output=True, text=True).stdout
    digest = hashlib.sha256()
    for name in ("dc.py", "dc_accounts.py", "layout.py"):
        digest.update(Path(__file__).with_name(name).read_bytes())
    safe = "".join(c if c.isalnum() or c in ".-" else "_" for c in version)
    return shared_folder(state) / "cache" / f"domain-{safe}-{digest.hexdigest()[:12]}.tar"


def provision(state: Path) -> str:
    """Make the domain, or unpack it; gives `made` or `from the cache`."""
    write(state, DC, "/etc/hosts", f"127.0.0.1 localhost\n{DC.address4} {DC.fqdn} dc1\n")
    write(state, DC, "/etc/krb5.conf", KRB5_CONF)
    shell(state, DC, EMPTY, "cannot empty Samba's folders")
    cache = cache_file(state)
    with only_one(cache.parent / "lock"):
        if not cache.exists():
            _make(state, cache)
            return "made"
    if unpack(state, DC, cache):
        return "from the cache"
    shell(state, DC, EMPTY, "cannot empty Samba's folders")  # cut short by a full disk, say
    _make(state, cache)
    return "made"


def unpack(state: Path, host: Host, archive: Path) -> bool:
    """Whether the archive of a domain controller could be unpacked on a host."""
    with archive.open("rb") as file:
        return (
            subprocess.run(entry_command(state, host, [*TAR, "-xpf", "-"]), stdin=file, capture_output=True).returncode
            == 0
        )


def pack(state: Path, host: Host, archive: Path) -> None:
    """Samba's files of a host into an archive, which is there whole or not at all."""
    words = [*TAR, "-cpf", "-", "var/lib/samba", "etc/samba", "lab"]
    packed = must(state, host, words, "the domain could not be packed")
    partial = archive.with_suffix(f".{os.getpid()}")
    partial.write_bytes(packed)
    partial.rename(archive)


def fresh(state: Path) -> None:
    """The domain as it was at first, whatever was done to it; Samba is started anew."""
    stop(state)
    provision(state)
    start(state)


def _make(state: Path, cache: Path) -> None:
    """A new domain, and its archive."""
    must(
        state,
        DC,
        [
            "samba-tool",
            "domain",
            "provision",
            f"--realm={REALM}",
            f"--domain={NETBIOS}",
            "--server-role=dc",
            "--dns-backend=SAMBA_INTERNAL",
            f"--adminpass={ADMIN_PASSWORD}",
            "--host-name=dc1",
            f"--host-ip={DC.address4}",
            f"--host-ip6={DC.address6}",
            "--option=interfaces = lo eth0",
            "--option=bind interfaces only = yes",
            "--option=log level = 1 auth_audit:3 kerberos:3",
            "--option=ntlm auth = yes",
        ],
        "samba-tool domain provision failed",
        timeout=180,
    )
    shell(state, DC, CERTIFICATES, "the domain controller's certificate could not be made")
    # provision copies `dns forwarder` from resolv.conf, that is itself: foreign names would hang
    change = ["sed", "-i", "-e", "/dns forwarder/d", "-e", SET_CERTIFICATE, "/etc/samba/smb.conf"]
    must(state, DC, change, "cannot change smb.conf")
    must(state, DC, python_module("tests.lab.dc_accounts"), "the accounts could not be made", timeout=120)
    for old in cache.parent.glob("domain-*.tar"):
        old.unlink()
    pack(state, DC, cache)


def start(state: Path, environment: str = "", host: Host = DC) -> None:
    """Start Samba (environment: NAME=VALUE words) and wait until LDAP, DNS and KDC answer."""
    begin = f"setsid env {environment} samba -D --no-process-group </dev/null >/var/log/samba/start.log 2>&1"
    shell(state, host, begin, "samba does not start")
    ready = (
        f"ldapsearch -x -H ldap://{host.address4} -b '' -s base -LLL defaultNamingContext | grep -q DC= && "
        f"dig +short +time=1 +tries=1 @{host.address4} SRV _kerberos._udp.{DOMAIN} | grep -q dc1 && "
        f"bash -c '</dev/tcp/{host.address4}/88 && </dev/tcp/{host.address4}/464 && </dev/tcp/{host.address4}/636'"
    )
    wait_until(state, host, ["/bin/sh", "-c", ready], "the domain controller does not answer", LOG, 45)


def stop(state: Path, host: Host = DC) -> None:
    """End Samba and wait until all of it is gone."""
    shell(state, host, STOP, "samba does not stop")


def restart(state: Path) -> None:
    """Samba anew, with other certificates, say."""
    stop(state)
    start(state)


def live(state: Path, *deeds: Sequence[Any]) -> list[Any]:
    """Do something in the directory beside the running Samba: dc_live.py. The deeds' answers."""
    program = python_module("tests.lab.dc_live")
    done = must(state, DC, program, "the directory cannot be changed", input=json.dumps(deeds).encode())
    answers: list[Any] = json.loads(done)
    return answers


def read(state: Path, path: str) -> bytes:
    done = execute(state, DC, ["cat", path])
    if done.returncode:
        raise LabError(f"dc:{path} cannot be read: {done.stderr.decode().strip()}")
    return done.stdout
