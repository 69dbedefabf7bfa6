"""Writes tests/captured/kerberos-wire/wire.json anew, from a lab that is up: what Samba's and MIT's programs write.

    python -m tests.lab.capture_wire tests/captured/kerberos-wire/wire.json

Answers of both KDCs to a login and a request for a service ticket (with the nonce of tests/kerberos/wire.py), keytabs
of Samba, ktutil and kadmin (with a hole, and with one that is used again), credential caches and tokens of MIT.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

from pfsquid.kerberos import client, spnego
from pfsquid.kerberos.kdc import Exchange, KdcError, over_tcp
from pfsquid.kerberos.principal import Principal, parse_principal
from tests.kerberos.wire import NONCE
from tests.lab import mit_kdc as mit
from tests.lab.fixture import Lab
from tests.lab.inside import in_network
from tests.lab.layout import DC, FW, PERSON_PASSWORD, REALM, SPN, WEB, state_folder

FOLDER = "/root/wire"
TOKENS = f"""import gssapi
name = gssapi.Name('HTTP@{FW.fqdn}', gssapi.NameType.hostbased_service)
for mech in ('1.3.6.1.5.5.2', '1.2.840.113554.1.2.2'):
    mech = gssapi.OID.from_int_seq(mech)
    print(gssapi.SecurityContext(name=name, mech=mech, usage='initiate').step().hex())
"""


class Capture:
    """What was seen so far, by name."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.seen = lab, dict[str, bytes]()

    def kdc(self, name: str, address: str, port: int = 88) -> Exchange:
        """A way to a KDC that keeps its answers, numbered."""
        send, count = over_tcp(address, port), iter(range(1, 99))

        def kept(message: bytes) -> bytes:
            answer = send(message)
            self.seen[f"{name}-{next(count)}"] = answer
            return answer

        return kept

    def ws(self, do: Callable[[], client.Ticket]) -> client.Ticket:
        return in_network(self.lab.state, "ws", do)

    def exchange(self, send: Exchange, who: Principal, password: str, spn: Principal) -> client.Ticket:
        return self.ws(lambda: client.service_ticket(send, client.login(send, who, password), spn))

    def samba(self) -> None:
        rick, spn = parse_principal("rick.sanchez", REALM), parse_principal(SPN, REALM)
        ticket = self.exchange(self.kdc("samba", DC.address4), rick, PERSON_PASSWORD, spn)
        self.seen["token-ours"] = spnego.token(ticket)
        unknown, nobody = self.kdc("samba-unknown", DC.address4), parse_principal("nobody", REALM)
        try:
            self.ws(lambda: client.login(unknown, nobody, PERSON_PASSWORD))
        except KdcError:
            self.seen["keytab-samba"] = self.lab.read("dc", "/lab/keytabs/squid.keytab")

    def caches(self) -> None:
        self.lab.write("ws", f"{FOLDER}/tokens.py", TOKENS.encode())
        plain = self.lab.read("ws", "/etc/krb5.conf").decode()
        for version in (3, 4):
            conf = plain.replace("[libdefaults]", f"[libdefaults]\n  ccache_type = {version}")
            self.lab.write("ws", f"{FOLDER}/krb5.conf", conf.encode())
            begin = f"export KRB5_CONFIG={FOLDER}/krb5.conf KRB5CCNAME=FILE:{FOLDER}/cache"
            get = f"echo '{PERSON_PASSWORD}' | kinit rick.sanchez >/dev/null; kvno {SPN} >/dev/null"
            tokens = self.lab.sh("ws", f"{begin}; {get}; /usr/bin/python3 {FOLDER}/tokens.py").split()
            self.seen[f"ccache-mit-v{version}"] = self.lab.read("ws", f"{FOLDER}/cache")
        self.seen |= {"token-mit-spnego": bytes.fromhex(tokens[0]), "token-mit-bare": bytes.fromhex(tokens[1])}

    def mit(self) -> None:
        rick, spn = parse_principal("rick", mit.REALM), parse_principal(mit.SERVICE, mit.REALM)
        self.exchange(self.kdc("mit", WEB.address4, mit.PORT), rick, mit.PASSWORD, spn)
        anybody = parse_principal("open", mit.REALM)
        send = self.kdc("mit-open", WEB.address4, mit.PORT)
        self.ws(lambda: client.login(send, anybody, mit.PASSWORD))
        add = "".join(
            f"addent -password -p e{enctype} -k {300 if enctype == 20 else enctype} -e {name} -s SALT{enctype}\\n"
            f"{mit.PASSWORD}\\n"
            for enctype, name in mit.ENCTYPES.items()
        )
        begin = f"export KRB5_CONFIG={mit.FOLDER}/krb5.conf KRB5_KDC_PROFILE={mit.FOLDER}/kdc.conf; cd {mit.FOLDER}"
        self.lab.sh("web", f"{begin}; printf '{add}wkt ktutil\\nq\\n' | ktutil")
        self.seen["keytab-mit-ktutil"] = self.lab.read("web", f"{mit.FOLDER}/ktutil")
        for name, query in {
            "hole": "ktremove -k service.keytab HTTP/e19.test all",
            "reused": "ktadd -k service.keytab -norandkey HTTP/e17.test",
        }.items():
            self.lab.sh("web", f"{begin}; kadmin.local -r {mit.REALM} -q '{query}'")
            self.seen[f"keytab-mit-{name}"] = self.lab.read("web", f"{mit.FOLDER}/service.keytab")


def main(target: str) -> None:
    capture = Capture(Lab(state_folder()))
    with patch("secrets.randbits", lambda _: NONCE), mit.mit_kdc(capture.lab.state):
        capture.samba()
        capture.caches()
        capture.mit()
    capture.lab.sh("ws", f"rm -rf {FOLDER}")
    text = json.dumps({name: data.hex() for name, data in sorted(capture.seen.items())}, indent=1)
    Path(target).write_text(text + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
