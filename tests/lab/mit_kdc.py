"""An MIT KDC on the host web, beside the lab's Active Directory: a realm, a port and a folder of its own.

Started and stopped by the test that needs it; nothing of it stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.hosts import shell, wait_until, write
from tests.lab.layout import WEB

REALM, PORT = "MIT.PFSQUID.TEST", 8888
PASSWORD = "Mit-Passw0rd!"
FOLDER = "/lab/mit"
SERVICE = "HTTP/web.test"
# enctype → its name and salt type, as kadmin takes it
ENCTYPES = {
    17: "aes128-cts-hmac-sha1-96",
    18: "aes256-cts-hmac-sha1-96",
    19: "aes128-cts-hmac-sha256-128",
    20: "aes256-cts-hmac-sha384-192",
    23: "arcfour-hmac",
}

_ALL = " ".join(ENCTYPES.values())
KRB5_CONF = f"""[libdefaults]
  default_realm = {REALM}
  dns_lookup_kdc = false
  rdns = false
  allow_weak_crypto = true
  allow_rc4 = true
  permitted_enctypes = {_ALL}
[realms]
  {REALM} = {{
    kdc = {WEB.address4}:{PORT}
  }}
"""
_KDC_CONF = f"""[kdcdefaults]
  kdc_listen = {PORT}
  kdc_tcp_listen = {PORT}
[realms]
  {REALM} = {{
    database_name = {FOLDER}/principal
    key_stash_file = {FOLDER}/stash
    max_life = 10h
    supported_enctypes = {" ".join(f"{name}:normal" for name in ENCTYPES.values())}
  }}
"""
_ENVIRONMENT = f"export KRB5_CONFIG={FOLDER}/krb5.conf KRB5_KDC_PROFILE={FOLDER}/kdc.conf"


@contextmanager
def mit_kdc(state: Path, ahead: str = "") -> Iterator[None]:
    """A KDC with rick (preauthentication), open (none), disabled, expired, SERVICE, and e17, HTTP/e17.test… by enctype.

    ahead: what its clock is ahead by, as faketime takes it ("+10m").
    """
    write(state, WEB, f"{FOLDER}/krb5.conf", KRB5_CONF)
    write(state, WEB, f"{FOLDER}/kdc.conf", _KDC_CONF)
    people = [
        f"addprinc -pw {PASSWORD} +requires_preauth rick",
        f"addprinc -pw {PASSWORD} open",
        f"addprinc -pw {PASSWORD} +requires_preauth -allow_tix disabled",
        f'addprinc -pw {PASSWORD} +requires_preauth -pwexpire "1 day ago" expired',
        f"addprinc -pw {PASSWORD} {SERVICE}",
    ]
    for enctype, name in ENCTYPES.items():
        people.append(f"addprinc -pw {PASSWORD} -e {name}:normal +requires_preauth e{enctype}")
        people.append(f"addprinc -randkey -e {name}:normal HTTP/e{enctype}.test")
        people.append(f"setstr HTTP/e{enctype}.test session_enctypes {name}")
        people.append(f"ktadd -k {FOLDER}/service.keytab -norandkey HTTP/e{enctype}.test")
    people.append(f"ktadd -k {FOLDER}/service.keytab -norandkey {SERVICE}")
    script, faked = "\n".join(people), f"faketime -f {ahead} " if ahead else ""
    begin = f"""{_ENVIRONMENT}
      kdb5_util -r {REALM} create -s -P {PASSWORD} >/dev/null
      kadmin.local -r {REALM} >{FOLDER}/kadmin.log 2>&1 <<'END'
{script}
END
      setsid {faked}krb5kdc -n -r {REALM} -P {FOLDER}/pid </dev/null >{FOLDER}/kdc.log 2>&1 &"""
    try:
        shell(state, WEB, begin, "the MIT KDC does not start")
        answers = f"bash -c '</dev/tcp/{WEB.address4}/{PORT}'"
        wait_until(state, WEB, ["/bin/sh", "-c", answers], "the MIT KDC does not answer", f"{FOLDER}/kadmin.log", 10)
        yield
    finally:
        gone = "kill $pid; while kill -0 $pid 2>/dev/null; do sleep 0.02; done"
        stop = f"if pid=$(cat {FOLDER}/pid); then {gone}; fi; rm -rf {FOLDER}"
        shell(state, WEB, stop, "the MIT KDC does not stop")
