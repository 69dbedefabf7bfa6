"""How healthy the chain looks from outside of pfsquid: with dig, kinit, kvno, curl and ldapsearch, run on the hosts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.lab.fixture import Lab
from tests.lab.layout import (
    BASE_DN,
    CHECKER_ACCOUNT,
    CHECKER_PASSWORD,
    DC,
    DOMAIN,
    FW,
    NETBIOS,
    PERSON_PASSWORD,
    PROXY_PORT,
    SERVICE_ACCOUNT,
    SPN,
)

NAMES = {
    "srv_kerberos": f"SRV _kerberos._tcp.{DOMAIN}",
    "srv_ldap": f"SRV _ldap._tcp.{DOMAIN}",
    "kdc": f"A {DC.fqdn}",
    "proxy": f"A {FW.fqdn}",
    "reverse": f"-x {FW.address4}",
}
LDAP = (
    f"ldapsearch -H ldaps://{DC.fqdn} -x -D '{NETBIOS}\\{CHECKER_ACCOUNT}' -w '{CHECKER_PASSWORD}' -b {BASE_DN} "
    f"-LLL '(sAMAccountName={SERVICE_ACCOUNT})' sAMAccountName"
)
KINIT = (
    f"echo '{PERSON_PASSWORD}' | timeout 2 kinit rick.sanchez 2>&1 >/dev/null | tail -1; "
    "[ ${PIPESTATUS[1]} != 124 ] || echo silence"
)
CURL = f"curl -s -m 2 -o /dev/null -D - -x http://{FW.fqdn}:{PROXY_PORT} http://www.example.com/"
# All at once, each into a file of its own.
WS = (
    "set +m; mkdir -p /run/asked; cd /run/asked; export KRB5CCNAME=/run/asked/.cache\n"
    + "".join(
        f"dig +short +time=1 +tries=1 @{FW.address4} {words} 2>&1 | grep -v '^;' | sort >{name} &\n"
        for name, words in NAMES.items()
    )
    + f"""LDAPTLS_CACERT=/etc/ssl/lab-ca.pem timeout 2 {LDAP} 2>&1 | grep -E '^sAM|additional|^ldap' | tail -1 >ldap &
curl -s -m 2 -o /dev/null -D - -x http://{FW.address4}:{PROXY_PORT} http://www.example.com/ >offered &
( ( {KINIT} ) >kinit
timeout 2 kvno {SPN} 2>&1 | tail -1 >kvno
{CURL} --proxy-negotiate -u : >answered ) &
wait; for name in *; do echo "$name $(tr '\\r\\n' '  ' <$name)"; done; rm -rf /run/asked
"""
)
FIREWALL = f"""export PATH=/usr/local/bin:$PATH KRB5CCNAME=MEMORY:
echo "fw_kinit $( ( {KINIT} ) 2>&1)"
echo "clock $(date +%s)"; echo "cache_log $(tail -n 60 /var/squid/logs/cache.log | tr '\\n' '|')"
"""


def symptoms(lab: Lab) -> dict[str, str]:
    """Ask everything once. Names of NAMES: what the firewall's resolver says; offered, answered: the last status that
    the proxy gives without and with a ticket, with the schemes after a 407, '' for no answer; ldap, kinit, kvno: the
    last line of the tool (kinit: empty is well, `silence` after 2 s; fw_kinit: on the firewall); cache_log: its end."""
    found = {}
    with ThreadPoolExecutor() as pool:
        said = pool.map(lab.sh, ("ws", "fw"), (WS, FIREWALL))
    for line in "".join(said).splitlines():
        name, _, text = line.partition(" ")
        found[name] = _status(text) if name in ("offered", "answered") else text.strip()
    return found


def _status(head: str) -> str:
    words = head.split()
    at = max((number for number, word in enumerate(words) if word.startswith("HTTP/1.")), default=-1)
    if at < 0:
        return ""
    last = words[at:]
    schemes = [last[n + 1] for n, word in enumerate(last) if word.lower() == "proxy-authenticate:"]
    return " ".join([last[1], *schemes])
