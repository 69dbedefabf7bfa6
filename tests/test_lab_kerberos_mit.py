"""The Kerberos client against a KDC of MIT: every enctype, no preauthentication, another clock, keytabs both ways."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

import pytest

from pfsquid.kerberos import keytab, spnego
from pfsquid.kerberos.client import Ticket, login, open_ticket, probe, service_ticket
from pfsquid.kerberos.enctypes import SUPPORTED, name_of
from pfsquid.kerberos.kdc import Exchange, KdcError, over_network, over_tcp, over_udp
from pfsquid.kerberos.principal import Principal, parse_principal
from tests.lab.fixture import Lab
from tests.lab.inside import in_network
from tests.lab.layout import WEB
from tests.lab.mit_kdc import ENCTYPES, FOLDER, KRB5_CONF, PASSWORD, PORT, REALM, SERVICE, mit_kdc

pytestmark = pytest.mark.lab

Result = TypeVar("Result")
TCP = over_tcp(WEB.address4, PORT)
WAYS = [TCP, over_udp(WEB.address4, PORT), over_network(WEB.address4, PORT)]
DESK = "/root/mit"
AHEAD = timedelta(minutes=10)


def principal(name: str) -> Principal:
    return parse_principal(name, REALM)


@pytest.fixture(scope="module")
def mit(lab: Lab) -> Iterator[Lab]:
    """The MIT KDC, ten minutes ahead, and on ws a krb5.conf for it."""
    lab.write("ws", f"{DESK}/krb5.conf", KRB5_CONF.encode())
    try:
        with mit_kdc(lab.state, ahead="+10m"):
            yield lab
    finally:
        lab.sh("ws", f"rm -rf {DESK}")


def ws(lab: Lab, do: Callable[[], Result]) -> Result:
    return in_network(lab.state, "ws", do)


def service_keytab(lab: Lab) -> tuple[keytab.Entry, ...]:
    return keytab.parse(lab.read("web", f"{FOLDER}/service.keytab"))


def kinit(lab: Lab, command: str) -> str:
    """A command of MIT's on ws, with the KDC's clock."""
    environment = f"export KRB5_CONFIG={DESK}/krb5.conf KRB5CCNAME=FILE:{DESK}/cache"
    return lab.sh("ws", f"{environment}; {command.replace('MIT', 'faketime -f +10m')}")


@pytest.mark.parametrize("enctype", SUPPORTED)
def test_each_enctype_logs_in_by_password_and_its_ticket_is_opened(mit: Lab, enctype: int) -> None:
    spn, client = principal(f"HTTP/e{enctype}.test"), principal(f"e{enctype}")
    told = ws(mit, lambda: probe(TCP, client))
    assert list(told.salts) == [enctype]
    tgt = ws(mit, lambda: login(TCP, client, PASSWORD, enctypes=[enctype]))
    ticket = ws(mit, lambda: service_ticket(TCP, tgt, spn, [enctype]))
    assert (ticket.enctype, ticket.session.enctype) == (enctype, enctype)
    assert open_ticket(ticket, service_keytab(mit)).client == client


@pytest.mark.parametrize("enctype", SUPPORTED)
def test_each_enctype_logs_in_by_keytab(mit: Lab, enctype: int) -> None:
    spn = principal(f"HTTP/e{enctype}.test")
    keys = [entry.key for entry in service_keytab(mit) if entry.principal == spn]
    assert [key.enctype for key in keys] == [enctype]
    assert ws(mit, lambda: login(TCP, spn, keys=keys)).client == spn


@pytest.mark.parametrize("enctype", SUPPORTED)
def test_mits_acceptor_takes_a_token_of_each_enctype(mit: Lab, enctype: int) -> None:
    spn = principal(f"HTTP/e{enctype}.test")

    def ticket() -> Ticket:
        return service_ticket(TCP, login(TCP, principal("rick"), PASSWORD), spn, [enctype])

    token = base64.b64encode(spnego.token(ws(mit, ticket))).decode()
    accept = (
        "import base64, gssapi, sys; context = gssapi.SecurityContext(usage='accept');"
        "context.step(base64.b64decode(sys.stdin.read())); print(context.complete, context.initiator_name)"
    )
    keys = f"KRB5_KTNAME={FOLDER}/service.keytab KRB5RCACHENAME=none: KRB5_CONFIG={FOLDER}/krb5.conf"
    said = mit.sh("web", f'echo {token} | {keys} faketime -f +10m /usr/bin/python3 -c "{accept}"')
    assert said.split() == ["True", f"rick@{REALM}"]


@pytest.mark.parametrize("send", WAYS)
def test_the_clock_of_the_kdc_is_probed_and_worked_with(mit: Lab, send: Exchange) -> None:
    told = ws(mit, lambda: probe(send, principal("rick")))
    assert told.offset is not None
    assert abs(told.offset - AHEAD) < timedelta(seconds=1)
    tgt = ws(mit, lambda: login(send, principal("rick"), PASSWORD))
    assert abs(tgt.offset - AHEAD) < timedelta(seconds=1)
    ticket = ws(mit, lambda: service_ticket(send, tgt, principal(SERVICE)))
    assert open_ticket(ticket, service_keytab(mit)).ends == ticket.ends
    behind = replace(tgt, offset=timedelta())
    with pytest.raises(KdcError) as caught:
        ws(mit, lambda: service_ticket(send, behind, principal(SERVICE)))
    assert caught.value.code in (37, 33)


def test_a_kdc_that_wants_no_preauthentication_gives_a_ticket(mit: Lab) -> None:
    told = ws(mit, lambda: probe(TCP, principal("open")))
    assert (told.preauth, told.offset) == (False, None)
    assert all(salt == f"{REALM}open".encode() for salt in told.salts.values())
    tgt = ws(mit, lambda: login(TCP, principal("open"), PASSWORD))
    assert abs(tgt.offset - AHEAD) < timedelta(seconds=2)
    assert ws(mit, lambda: service_ticket(TCP, tgt, principal(SERVICE))).server == principal(SERVICE)
    with pytest.raises(KdcError) as caught:
        ws(mit, lambda: login(TCP, principal("open"), "wrong"))
    assert caught.value.code == 24


@pytest.mark.parametrize(
    ("who", "password", "code"),
    [
        ("rick", "wrong", 24),
        ("nobody", PASSWORD, 6),
        ("disabled", PASSWORD, 18),
        ("expired", PASSWORD, 23),
        ("e18", PASSWORD, 14),
    ],
)
def test_a_refused_login_has_the_kdcs_code(mit: Lab, who: str, password: str, code: int) -> None:
    enctypes = [17] if who == "e18" else SUPPORTED
    with pytest.raises(KdcError) as caught:
        ws(mit, lambda: login(TCP, principal(who), password, enctypes=enctypes))
    assert caught.value.code == code


def test_another_kdcs_realm_is_refused_with_a_code(mit: Lab) -> None:
    with pytest.raises(KdcError) as caught:
        ws(mit, lambda: probe(TCP, Principal(("rick",), "OTHER.EXAMPLE")))
    assert caught.value.code in (6, 7, 68)


def test_a_keytab_of_ktutil_is_read_and_ours_is_a_login_for_kinit(mit: Lab) -> None:
    add = "".join(
        f"addent -password -p e{enctype} -k {enctype} -e {name} -f\\n{PASSWORD}\\n"
        for enctype, name in ENCTYPES.items()
    )
    kinit(mit, f"printf '{add}wkt {DESK}/ktutil\\nq\\n' | MIT ktutil")
    entries = keytab.parse(mit.read("ws", f"{DESK}/ktutil"))
    assert [(entry.kvno, entry.key.enctype) for entry in entries] == [(enctype, enctype) for enctype in ENCTYPES]
    for entry in entries:  # ktutil -f asked the KDC for the salt; both must have come to the same key
        assert ws(mit, lambda: login(TCP, entry.principal, keys=[entry.key])).client == entry.principal  # noqa: B023
    mit.write("ws", f"{DESK}/ours", keytab.dump(reversed(entries)), mode=0o600)
    listed = kinit(mit, f"klist -kte {DESK}/ours")
    for entry in entries:
        assert f"e{entry.kvno}@{REALM} (" in listed
        assert name_of(entry.key.enctype) in listed
        kinit(mit, f"MIT kinit -k -t {DESK}/ours e{entry.kvno}")
    mit.write("ws", f"{DESK}/service", keytab.dump(service_keytab(mit)), mode=0o600)
    said = kinit(mit, f"MIT kvno -k {DESK}/service {SERVICE} HTTP/e17.test HTTP/e20.test HTTP/e23.test")
    assert said.count("keytab entry valid") == 4
