"""Host dc: a Samba Active Directory, provisioned once and then taken from a cache.

The cache holds the domain with its accounts, DNS records, certificate and keytabs, as they were
before the first start of Samba; its name carries Samba's version and a digest of the files that
make it, so that a change of either makes a new one.
"""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.hosts import entry_command, execute, must, python_module, shell, wait_until, write
from tests.lab.layout import ADMIN_PASSWORD, DC, DOMAIN, NETBIOS, REALM

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


def _cache_file(state: Path) -> Path:
    version = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "samba"], capture_output=True, text=True).stdout
    digest = hashlib.sha256()
    for name in ("dc.py", "dc_accounts.py", "layout.py"):
        digest.update(Path(__file__).with_name(name).read_bytes())
    safe = "".join(c if c.isalnum() or c in ".-" else "_" for c in version)
    return state / "cache" / f"domain-{safe}-{digest.hexdigest()[:12]}.tar"


def provision(state: Path) -> str:
    """Make the domain, or unpack it; gives `made` or `from the cache`."""
    write(state, DC, "/etc/hosts", f"127.0.0.1 localhost\n{DC.address4} {DC.fqdn} dc1\n")
    write(state, DC, "/etc/krb5.conf", KRB5_CONF)
    shell(state, DC, EMPTY, "cannot empty Samba's folders")
    cache = _cache_file(state)
    if cache.exists():
        with cache.open("rb") as archive:
            entry = entry_command(state, DC, [*TAR, "-xpf", "-"])
            if subprocess.run(entry, stdin=archive, capture_output=True).returncode == 0:
                return "from the cache"
        cache.unlink()  # cut short by a full disk, say; what was unpacked of it goes too
        shell(state, DC, EMPTY, "cannot empty Samba's folders")
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
    pack = [*TAR, "-cpf", "-", "var/lib/samba", "etc/samba", "lab"]
    packed = must(state, DC, pack, "the domain could not be packed")
    cache.parent.mkdir(exist_ok=True)
    cache.parent.chmod(0o700)
    for old in cache.parent.glob("domain-*.tar"):
        old.unlink()
    partial = cache.with_suffix(".new")
    partial.write_bytes(packed)
    partial.rename(cache)
    return "made"


def start(state: Path) -> None:
    """Start Samba and wait until LDAP, DNS and KDC answer."""
    begin = "setsid samba -D --no-process-group </dev/null >/var/log/samba/start.log 2>&1"
    shell(state, DC, begin, "samba does not start")
    ready = (
        f"ldapsearch -x -H ldap://{DC.address4} -b '' -s base -LLL defaultNamingContext | grep -q DC= && "
        f"dig +short +time=1 +tries=1 @{DC.address4} SRV _kerberos._udp.{DOMAIN} | grep -q dc1 && "
        f"bash -c '</dev/tcp/{DC.address4}/88 && </dev/tcp/{DC.address4}/464 && </dev/tcp/{DC.address4}/636'"
    )
    wait_until(state, DC, ["/bin/sh", "-c", ready], "the domain controller does not answer", LOG, 45)


def read(state: Path, path: str) -> bytes:
    done = execute(state, DC, ["cat", path])
    if done.returncode:
        raise LabError(f"dc:{path} cannot be read: {done.stderr.decode().strip()}")
    return done.stdout
