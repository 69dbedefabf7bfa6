"""The Kerberos client against Active Directory (Samba), and its keytabs and tokens against MIT's programs and Squid."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

import pytest

from pfsquid.kerberos import ccache, keytab, negotiate, spnego
from pfsquid.kerberos.client import CannotOpen, Ticket, login, open_ticket, probe, service_ticket
from pfsquid.kerberos.enctypes import AES128, AES256, RC4, string_to_key
from pfsquid.kerberos.kdc import Exchange, KdcError, over_network, over_tcp, over_udp
from pfsquid.kerberos.principal import NT_ENTERPRISE, Principal, parse_principal
from tests.lab.fixture import Lab
from tests.lab.inside import in_network
from tests.lab.layout import COMPUTER_PASSWORD, DC, FW, PERSON_PASSWORD, REALM, SERVICE_PASSWORD, SPN

pytestmark = pytest.mark.lab

Result = TypeVar("Result")
RICK, SQUID = parse_principal("rick.sanchez", REALM), parse_principal(SPN, REALM)
AD = over_tcp(DC.address4)
URL = "http://www.dropbox.com/"
FOLDER = "/root/proto"
# In the directory, beside Samba: an account that is disabled, one that must change its password, one whose UPN was
# changed before its password was set again, and a service that knows nothing but RC4.
ACCOUNTS = f"""
import ldb
from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB
parameters = LoadParm(); parameters.load("/etc/samba/smb.conf")
samdb = SamDB(url=parameters.private_path("sam.ldb"), lp=parameters, session_info=system_session())
for name in ("k.disabled", "k.expired", "k.renamed", "k.rc4"):
    samdb.newuser(name, "{PERSON_PASSWORD}")
def dn(name): return samdb.search(expression=f"(sAMAccountName={{name}})", attrs=[])[0].dn
def put(name, attribute, value):
    message = ldb.Message(dn(name)); message[attribute] = ldb.MessageElement(value, ldb.FLAG_MOD_REPLACE, attribute)
    samdb.modify(message)
put("k.disabled", "userAccountControl", "514")
put("k.expired", "pwdLastSet", "0")
put("k.renamed", "userPrincipalName", "somebody.else@{REALM.lower()}")
put("k.rc4", "msDS-SupportedEncryptionTypes", "4")
put("k.rc4", "servicePrincipalName", "HTTP/rc4.example")
samdb.setpassword("(sAMAccountName=k.renamed)", "{PERSON_PASSWORD}")
"""
REMOVE = "for name in k.disabled k.expired k.renamed k.rc4; do samba-tool user delete $name & done; wait"


@pytest.fixture(scope="module")
def people(lab: Lab) -> Iterator[Lab]:
    """The lab with the accounts of ACCOUNTS in it, and a folder on ws and fw."""
    lab.sh("ws", f"mkdir -p {FOLDER}")
    made = lab.exec("dc", ["/usr/bin/python3", "-c", ACCOUNTS])
    try:
        assert made.returncode == 0, made.stderr
        yield lab
    finally:
        lab.sh("dc", REMOVE)
        lab.sh("ws", f"rm -rf {FOLDER}")
        lab.sh("fw", f"rm -rf {FOLDER}")


def ws(lab: Lab, do: Callable[[], Result]) -> Result:
    return in_network(lab.state, "ws", do)


def refused(lab: Lab, do: Callable[[], object]) -> KdcError:
    with pytest.raises(KdcError) as caught:
        ws(lab, do)
    return caught.value


def squids_keytab(lab: Lab) -> tuple[keytab.Entry, ...]:
    return keytab.parse(lab.read("dc", "/lab/keytabs/squid.keytab"))


def ricks_ticket(lab: Lab, send: Exchange = AD) -> Ticket:
    return ws(lab, lambda: service_ticket(send, login(send, RICK, PERSON_PASSWORD), SQUID))


@pytest.mark.parametrize("enctype", [AES256, AES128, RC4])
def test_a_password_gets_a_ticket_that_the_keytab_opens(lab: Lab, enctype: int) -> None:
    tgt = ws(lab, lambda: login(AD, RICK, PERSON_PASSWORD, enctypes=[enctype]))
    ticket = ws(lab, lambda: service_ticket(AD, tgt, SQUID))
    opened = open_ticket(ticket, squids_keytab(lab))
    assert (opened.client, opened.entry.key.enctype, tgt.session.enctype) == (RICK, AES256, enctype)
    assert opened.ends == ticket.ends


def test_an_account_of_rc4_alone_gives_tickets_of_rc4(people: Lab) -> None:
    tgt = ws(people, lambda: login(AD, RICK, PERSON_PASSWORD))
    ticket = ws(people, lambda: service_ticket(AD, tgt, parse_principal("HTTP/rc4.example", REALM)))
    entry = replace(squids_keytab(people)[0], principal=ticket.server, key=string_to_key(RC4, PERSON_PASSWORD, b""))
    assert (ticket.enctype, open_ticket(ticket, [entry]).client) == (RC4, RICK)
    with pytest.raises(CannotOpen):
        open_ticket(ticket, [replace(entry, key=string_to_key(RC4, "wrong", b""))])


@pytest.mark.parametrize("enctype", [AES256, AES128])
def test_a_keytab_is_a_login_and_needs_nobodys_password(lab: Lab, enctype: int) -> None:
    entries = squids_keytab(lab)
    account = parse_principal("svc_squid", REALM)
    keys = [entry.key for entry in entries if entry.key.enctype == enctype]
    ticket = ws(lab, lambda: service_ticket(AD, login(AD, account, keys=keys), SQUID))
    assert open_ticket(ticket, entries).client == account


def test_names_beyond_ascii_computers_and_upns_log_in(lab: Lab) -> None:
    upn = Principal(("renee.palmer@pfsquid.example",), REALM, NT_ENTERPRISE)
    renee, tammy, computer = (parse_principal(name, REALM) for name in ("renée.palmer", "tammy guetermann", "WS1$"))
    assert ws(lab, lambda: login(AD, renee, PERSON_PASSWORD)).client == renee
    assert ws(lab, lambda: login(AD, tammy, PERSON_PASSWORD)).client == tammy
    assert ws(lab, lambda: login(AD, computer, COMPUTER_PASSWORD)).client == computer
    assert ws(lab, lambda: login(AD, upn, PERSON_PASSWORD)).client == renee


@pytest.mark.parametrize(
    ("who", "password", "code"),
    [
        ("rick.sanchez", "wrong", 24),
        ("nobody", PERSON_PASSWORD, 6),
        ("k.disabled", PERSON_PASSWORD, 18),
        ("k.expired", PERSON_PASSWORD, 23),
        (SPN, SERVICE_PASSWORD, 6),
    ],
)
def test_a_refused_login_has_the_kdcs_code(people: Lab, who: str, password: str, code: int) -> None:
    error = refused(people, lambda: login(AD, parse_principal(who, REALM), password))
    assert (error.code, error.name.startswith("KDC_ERR_")) == (code, True)
    assert password not in f"{error} {error!r} {error.__dict__}"


def test_the_code_of_a_service_that_there_is_not_is_7(lab: Lab) -> None:
    tgt = ws(lab, lambda: login(AD, RICK, PERSON_PASSWORD))
    nowhere = parse_principal("HTTP/nowhere.example", REALM)
    assert refused(lab, lambda: service_ticket(AD, tgt, nowhere)).code == 7


def test_an_enctype_that_the_account_has_no_key_of_is_14(lab: Lab) -> None:
    assert refused(lab, lambda: login(AD, RICK, PERSON_PASSWORD, enctypes=[20, 19])).code == 14


def test_a_probe_tells_salt_count_and_clock(lab: Lab) -> None:
    told = ws(lab, lambda: probe(AD, parse_principal("svc_squid", REALM)))
    assert told.preauth
    assert told.offset is not None
    assert abs(told.offset) < timedelta(seconds=1)
    key = string_to_key(AES256, SERVICE_PASSWORD, told.salts[AES256], told.params[AES256])
    assert key in {entry.key for entry in squids_keytab(lab)}
    assert refused(lab, lambda: probe(AD, parse_principal("nobody", REALM))).code == 6


def test_the_salt_is_the_one_that_the_kdc_states_not_the_accounts_name(people: Lab) -> None:
    renamed = parse_principal("k.renamed", REALM)
    told = ws(people, lambda: probe(AD, renamed))
    assert told.salts[AES256] == f"{REALM}somebody.else".encode()
    assert ws(people, lambda: login(AD, renamed, PERSON_PASSWORD)).client == renamed


@pytest.mark.parametrize("way", [over_tcp, over_udp, over_network])
@pytest.mark.parametrize("address", [DC.address4, DC.address6])
def test_the_kdc_is_asked_over_tcp_and_udp(lab: Lab, way: Callable[[str], Exchange], address: str) -> None:
    assert ws(lab, lambda: probe(way(address), RICK)).preauth


def test_an_answer_too_big_for_udp_comes_over_tcp(lab: Lab) -> None:
    assert refused(lab, lambda: login(over_udp(DC.address4), RICK, PERSON_PASSWORD)).code == 52
    assert ricks_ticket(lab, over_network(DC.address4)).server == SQUID


def test_a_ticket_and_a_keytab_that_differ_say_in_what(lab: Lab) -> None:
    ticket, entries = ricks_ticket(lab), squids_keytab(lab)

    def reason(*others: keytab.Entry) -> str:
        with pytest.raises(CannotOpen) as caught:
            open_ticket(ticket, others)
        return caught.value.reason

    big = next(entry for entry in entries if entry.key.enctype == AES256)
    small = next(entry for entry in entries if entry.key.enctype == AES128)
    wrong = replace(big, key=string_to_key(AES256, "wrong", b""))
    assert reason(replace(big, principal=parse_principal("HTTP/PROXY.lab.pfsquid.test", REALM))) == "no_principal"
    assert reason(small) == "no_enctype"
    assert reason(replace(wrong, kvno=9), replace(small, kvno=9)) == "no_kvno"
    assert reason(wrong, small) == "wrong_key"
    assert open_ticket(ticket, [replace(big, kvno=9)]).client == RICK  # kvno differs, the key is right


def test_mits_programs_take_the_keytab_that_is_written(people: Lab) -> None:
    entries = squids_keytab(people)
    own = [replace(entry, principal=parse_principal("svc_squid", REALM)) for entry in entries]
    far = replace(entries[0], kvno=300, principal=parse_principal(r"HTTP/with\/slash", REALM))
    people.write("ws", f"{FOLDER}/k", keytab.dump([*entries, *own, far]), mode=0o600)
    listed = people.sh("ws", f"klist -kte {FOLDER}/k")
    found = re.findall(r"^ *(\d+) (\S+ \S+) (\S+) \((\S+)\)", listed, re.MULTILINE)
    assert [(int(kvno), name) for kvno, _, name, _ in found] == [
        (entry.kvno, str(entry.principal)) for entry in (*entries, *own, far)
    ]
    assert [enctype for *_, enctype in found[:2]] == ["aes256-cts-hmac-sha1-96", "aes128-cts-hmac-sha1-96"]
    cache = f"export KRB5CCNAME=FILE:{FOLDER}/c;"
    people.sh("ws", f"{cache} kinit -k -t {FOLDER}/k svc_squid && kvno -k {FOLDER}/k {SPN} | grep 'keytab entry valid'")
    people.write("ws", f"{FOLDER}/k2", keytab.dump(reversed(own)), mode=0o600)
    people.sh("ws", f"{cache} kinit -k -t {FOLDER}/k2 svc_squid")


@pytest.mark.parametrize("version", [3, 4])
def test_the_cache_that_mits_kinit_wrote_is_read_and_its_tickets_are_used(people: Lab, version: int) -> None:
    conf, cache = f"{FOLDER}/v{version}.conf", f"{FOLDER}/c{version}"
    text = (
        people.read("ws", "/etc/krb5.conf").decode().replace("[libdefaults]", f"[libdefaults]\n ccache_type={version}")
    )
    people.write("ws", conf, text.encode())
    script = (
        f"export KRB5_CONFIG={conf} KRB5CCNAME=FILE:{cache}; echo '{PERSON_PASSWORD}' | kinit rick.sanchez; kvno {SPN}"
    )
    people.sh("ws", script)
    data = people.read("ws", cache)
    assert data[:2] == bytes([5, version])
    read = ccache.read(data)
    assert read.principal == RICK
    tgt = next(ticket for ticket in read.tickets if ticket.server.components[0] == "krbtgt")
    kept = next(ticket for ticket in read.tickets if ticket.server == SQUID)
    assert open_ticket(kept, squids_keytab(people)).client == RICK
    ours = ws(people, lambda: service_ticket(AD, tgt, SQUID))
    assert open_ticket(ours, squids_keytab(people)).client == RICK
    for ticket in (kept, ours):
        assert ws(people, lambda: negotiate.ask(FW.address4, 3128, URL, spnego.token(ticket))).status == 200  # noqa: B023


@pytest.mark.parametrize("mutual", [True, False])
def test_squids_helper_and_mits_acceptor_take_the_token(people: Lab, mutual: bool) -> None:
    token = base64.b64encode(spnego.token(ricks_ticket(people), mutual=mutual)).decode()
    people.write("fw", f"{FOLDER}/k", people.read("dc", "/lab/keytabs/squid.keytab"))
    helper = "$(dpkg -L squid-openssl squid 2>/dev/null | grep -m1 negotiate_kerberos_auth$)"
    said = people.sh("fw", f"printf 'YR {token}\\nQQ\\n' | {helper} -k {FOLDER}/k -s GSS_C_NO_NAME -t none")
    assert re.match(rf"OK token=\S+ user=rick.sanchez@{REALM}\b", said)
    accept = (
        "import base64, gssapi, sys\n"
        "context = gssapi.SecurityContext(usage='accept')\n"
        "answer = context.step(base64.b64decode(sys.stdin.read()))\n"
        "print(context.complete, context.initiator_name, len(answer or b'') > 0)\n"
    )
    people.write("fw", f"{FOLDER}/accept.py", accept.encode())
    token = base64.b64encode(spnego.token(ricks_ticket(people), mutual=mutual)).decode()
    environment = f"KRB5_KTNAME={FOLDER}/k KRB5RCACHENAME=none:"
    said = people.sh("fw", f"echo {token} | {environment} /usr/bin/python3 {FOLDER}/accept.py")
    assert said.split() == ["True", f"rick.sanchez@{REALM}", "True"]


def test_a_token_that_mit_made_is_told_to_be_kerberos(people: Lab) -> None:
    make = (
        "import base64, gssapi\n"
        "name = gssapi.Name('HTTP@proxy.lab.pfsquid.test', gssapi.NameType.hostbased_service)\n"
        "for mech in ('1.3.6.1.5.5.2', '1.2.840.113554.1.2.2'):\n"
        "    mech = gssapi.OID.from_int_seq(mech)\n"
        "    print(base64.b64encode(gssapi.SecurityContext(name=name, mech=mech, usage='initiate').step()).decode())\n"
    )
    people.write("ws", f"{FOLDER}/make.py", make.encode())
    cache = f"export KRB5CCNAME=FILE:{FOLDER}/c5; echo '{PERSON_PASSWORD}' | kinit rick.sanchez >/dev/null"
    tokens = people.sh("ws", f"{cache}; /usr/bin/python3 {FOLDER}/make.py").split()
    assert [spnego.kind_of(base64.b64decode(token)) for token in tokens] == [spnego.TokenKind.KERBEROS] * 2


def test_a_request_with_the_token_gets_through_and_the_log_has_the_person(lab: Lab) -> None:
    ticket = ricks_ticket(lab)
    asked = ws(lab, lambda: negotiate.ask(FW.address4, 3128, URL, None))
    assert (asked.status, asked.schemes, asked.error) == (407, ("Negotiate",), "ERR_CACHE_ACCESS_DENIED 0")
    reply = ws(lab, lambda: negotiate.ask(FW.address4, 3128, URL, spnego.token(ticket)))
    assert (reply.status, reply.error) == (200, "")
    assert reply.local[0] == "10.77.0.50"
    assert f"GET {URL} rick.sanchez@{REALM} " in lab.sh("fw", "tail -1 /var/squid/logs/access.log")
    spoilt = bytearray(spnego.token(ticket))
    spoilt[-1] ^= 1
    assert ws(lab, lambda: negotiate.ask(FW.address4, 3128, URL, bytes(spoilt))).status == 407
