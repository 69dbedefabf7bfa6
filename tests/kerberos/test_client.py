"""The client: what it makes of a KDC's good days and bad ones, with every enctype and without a network."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pfsquid.kerberos import client, der, messages
from pfsquid.kerberos.client import CannotOpen, login, open_ticket, probe, service_ticket
from pfsquid.kerberos.enctypes import SUPPORTED, BadKey, Key
from pfsquid.kerberos.kdc import Exchange, KdcError, NoKdc, WrongRealm
from pfsquid.kerberos.keytab import Entry
from pfsquid.kerberos.principal import Principal, parse_principal
from tests.kerberos.small_kdc import REALM, SmallKdc
from tests.kerberos.wire import NONCE, WIRE, mutated
from tests.lab import layout

PASSWORD = "Wubba-Lubba-1!"
RICK, HTTP = parse_principal("rick", REALM), parse_principal("HTTP/proxy", REALM)
ACCOUNTS = {"rick": PASSWORD, "HTTP/proxy": "service", "krbtgt": "krbtgt"}


@pytest.fixture
def kdc() -> SmallKdc:
    return SmallKdc(dict(ACCOUNTS))


def entry(kdc: SmallKdc, enctype: int = 18, kvno: int = 4) -> Entry:
    return Entry(HTTP, kvno, kdc.key("HTTP/proxy", enctype), datetime.now(UTC))


def code_of(do: object) -> int:
    assert callable(do)
    with pytest.raises(KdcError) as caught:
        do()
    assert PASSWORD not in f"{caught.value!r} {caught.value.__dict__}"
    return caught.value.code


@pytest.mark.parametrize("enctype", SUPPORTED)
@pytest.mark.parametrize("preauth", [True, False])
@pytest.mark.parametrize("by_key", [True, False])
def test_a_login_leads_to_a_ticket_that_the_keytab_opens(enctype: int, preauth: bool, by_key: bool) -> None:
    kdc = SmallKdc(dict(ACCOUNTS), enctypes=[enctype], preauth=preauth)
    tgt = login(kdc, RICK, keys=[kdc.key("rick", enctype)]) if by_key else login(kdc, RICK, PASSWORD)
    ticket = service_ticket(kdc, tgt, HTTP)
    opened = open_ticket(ticket, [entry(kdc, enctype)])
    assert (opened.client, opened.ends, ticket.kvno) == (RICK, ticket.ends, 4)
    assert len(kdc.seen) == (3 if preauth else 2)


def test_enctypes_are_asked_for_in_the_order_given(kdc: SmallKdc) -> None:
    login(kdc, RICK, PASSWORD, enctypes=[17, 23, 18])
    for message in kdc.seen:
        body = der.numbered(der.numbered(der.in_application(message, 10))[4])
        assert [der.to_integer(one) for one in der.elements(body[8])] == [17, 23, 18]


def test_a_probe_tells_the_salt_and_costs_no_password(kdc: SmallKdc) -> None:
    kdc.ahead = timedelta(minutes=-11)
    told = probe(kdc, RICK)
    assert (told.preauth, told.salts[18], told.params[18]) == (True, b"LAB.EXAMPLE:rick", b"\x00\x00\x10\x00")
    assert list(told.salts) == list(SUPPORTED)
    assert told.offset is not None
    assert abs(told.offset - kdc.ahead) < timedelta(seconds=1)
    (message,) = kdc.seen
    padata = messages.read_padata(der.numbered(der.in_application(message, 10))[3])
    assert [number for number, _ in padata] == [messages.PA_PAC_REQUEST]


def test_without_a_salt_said_it_is_realm_and_name(kdc: SmallKdc) -> None:
    kdc.info = False
    assert probe(SmallKdc(dict(ACCOUNTS), preauth=False, info=False), RICK).salts == {}
    told = messages.salts_in([(19, der.sequence(der.fields(f0=der.integer(18))))], b"LAB.EXAMPLErick")
    assert told == ({18: b"LAB.EXAMPLErick"}, {18: None})
    old = der.sequence(der.fields(f0=der.integer(18), f1=der.octets(b"old")))
    assert messages.salts_in([(11, old)], b"") == ({18: b"old"}, {18: None})


@pytest.mark.parametrize("preauth", [True, False])
def test_the_clock_of_the_kdc_is_the_one_that_counts(preauth: bool) -> None:
    kdc = SmallKdc(dict(ACCOUNTS), preauth=preauth, ahead=timedelta(hours=11))
    tgt = login(kdc, RICK, PASSWORD)
    assert abs(tgt.offset - kdc.ahead) < timedelta(seconds=2)
    assert service_ticket(kdc, tgt, HTTP).offset == tgt.offset
    assert code_of(lambda: service_ticket(kdc, replace(tgt, offset=timedelta()), HTTP)) == 37


@pytest.mark.parametrize("preauth", [True, False])
def test_refusals_have_their_codes(preauth: bool) -> None:
    kdc = SmallKdc(dict(ACCOUNTS), preauth=preauth, enctypes=[18, 17])
    assert code_of(lambda: login(kdc, RICK, "wrong")) == 24
    assert code_of(lambda: login(kdc, RICK, keys=[Key(18, bytes(32))])) == 24
    assert code_of(lambda: login(kdc, parse_principal("nobody", REALM), "x")) == 6
    assert code_of(lambda: login(kdc, RICK, PASSWORD, enctypes=[23])) == 14
    assert code_of(lambda: login(kdc, RICK, keys=[Key(3, bytes(8))])) == 14
    tgt = login(kdc, RICK, PASSWORD)
    assert code_of(lambda: service_ticket(kdc, tgt, parse_principal("HTTP/no", REALM))) == 7


def test_one_key_of_an_enctype_is_tried_and_no_more(kdc: SmallKdc) -> None:
    right = kdc.key("rick", 18)
    assert code_of(lambda: login(kdc, RICK, keys=[Key(18, bytes(32)), right])) == 24
    assert len(kdc.seen) == 2
    assert login(kdc, RICK, keys=[right, Key(18, bytes(32))]).client == RICK


def test_a_cookie_goes_back_as_it_came(kdc: SmallKdc) -> None:
    login(kdc, RICK, PASSWORD)
    padata = dict(messages.read_padata(der.numbered(der.in_application(kdc.seen[1], 10))[3]))
    assert padata[messages.PA_FX_COOKIE] == b"cookie"


def test_a_referral_names_the_other_realm(kdc: SmallKdc) -> None:
    kdc.refers_to = "OTHER.EXAMPLE"
    with pytest.raises(WrongRealm, match=r"refers to the realm OTHER\.EXAMPLE for HTTP/elsewhere@") as caught:
        service_ticket(kdc, login(kdc, RICK, PASSWORD), parse_principal("HTTP/elsewhere", REALM))
    assert (caught.value.realm, caught.value.code) == ("OTHER.EXAMPLE", 68)
    with pytest.raises(WrongRealm, match=r"OTHER\.EXAMPLE"):
        login(lambda _: kdc.error(68, realm="OTHER.EXAMPLE"), RICK, PASSWORD)


@pytest.mark.parametrize("preauth", [True, False])
def test_an_answer_to_another_request_is_none(preauth: bool) -> None:
    kdc = SmallKdc(dict(ACCOUNTS), preauth=preauth, tell=lambda nonce: nonce ^ 1)
    with pytest.raises(NoKdc, match="another request"):
        login(kdc, RICK, PASSWORD)
    kdc.tell = lambda nonce: nonce
    tgt = login(kdc, RICK, PASSWORD)
    kdc.tell = lambda nonce: nonce ^ 1
    with pytest.raises(NoKdc, match="another request"):
        service_ticket(kdc, tgt, HTTP)


def test_an_answer_to_another_session_is_none(kdc: SmallKdc) -> None:
    tgt = login(kdc, RICK, PASSWORD)
    answer = kdc(kdc.seen[-1])
    with pytest.raises(NoKdc):
        service_ticket(lambda _: answer, tgt, HTTP)
    answer = service_answer(kdc, tgt)
    with pytest.raises(NoKdc, match="session key"):
        service_ticket(lambda _: answer, replace(tgt, session=Key(18, bytes(32))), HTTP)


def service_answer(kdc: SmallKdc, tgt: client.Ticket) -> bytes:
    answers: list[bytes] = []

    def send(message: bytes) -> bytes:
        answers.append(kdc(message))
        return answers[-1]

    service_ticket(send, tgt, HTTP)
    return answers[-1]


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00" * 100, b"\x7e\x82\xff\xff", b"\x6b\x03\x30\x01\x00"]
)
def test_garbage_is_no_kdc(answer: bytes) -> None:
    for do in (probe, lambda send, who: login(send, who, PASSWORD)):
        with pytest.raises(NoKdc, match="no Kerberos"):
            do(lambda _: answer, RICK)


def test_a_clock_at_the_end_of_time_is_no_kdc(kdc: SmallKdc, monkeypatch: pytest.MonkeyPatch) -> None:
    last = datetime.max.replace(tzinfo=UTC)
    monkeypatch.setattr(SmallKdc, "now", last)
    with pytest.raises(NoKdc, match="clock"):
        login(kdc, RICK, PASSWORD)


def test_wrong_use_is_told(kdc: SmallKdc) -> None:
    with pytest.raises(ValueError, match="either a password or keys"):
        login(kdc, RICK)
    ticket = service_ticket(kdc, login(kdc, RICK, PASSWORD), HTTP)
    with pytest.raises(ValueError, match="no ticket-granting ticket"):
        service_ticket(kdc, ticket, HTTP)
    with pytest.raises(BadKey, match="des-cbc-md5 cannot be computed"):
        service_ticket(kdc, replace(login(kdc, RICK, PASSWORD), session=Key(3, bytes(8))), HTTP)


def test_what_does_not_open_says_why_as_mit_judges(kdc: SmallKdc) -> None:
    ticket = service_ticket(kdc, login(kdc, RICK, PASSWORD), HTTP)  # enctype 18, kvno 4
    right, wrong = entry(kdc), replace(entry(kdc), key=Key(18, bytes(32)))
    small = entry(kdc, 17)
    other = replace(right, principal=parse_principal("HTTP/PROXY", REALM))
    realm = replace(right, principal=Principal(HTTP.components, REALM.lower()))
    cases: list[tuple[list[Entry], str, str]] = [
        ([], "no_principal", "has no entries"),
        ([other], "no_principal", "upper and lower case differ"),
        ([replace(right, principal=RICK)], "no_principal", "the keytab has rick@LAB.EXAMPLE"),
        ([replace(wrong, kvno=3), replace(small, kvno=2)], "no_kvno", "kvno 4, the keytab has 2, 3"),
        ([small, replace(wrong, kvno=3)], "no_enctype", "the keytab has aes128-cts-hmac-sha1-96"),
        ([wrong, small], "wrong_key", "kvno 4 with aes256-cts-hmac-sha1-96"),
    ]
    for entries, reason, told in cases:
        with pytest.raises(CannotOpen, match=told) as caught:
            open_ticket(ticket, entries)
        assert caught.value.reason == reason
    for entries in ([wrong, right], [replace(right, kvno=9)], [realm]):
        assert open_ticket(ticket, entries).entry == entries[-1]


def test_no_secret_is_in_a_repr(kdc: SmallKdc) -> None:
    tgt = login(kdc, RICK, PASSWORD)
    assert "session" not in repr(tgt)
    assert "der" not in repr(tgt).replace("header", "")
    assert "cipher" not in repr(tgt)
    assert PASSWORD not in repr(client._Secret(PASSWORD, {}))


REAL = {name: data for name, data in WIRE.items() if name.startswith(("samba-", "mit-"))}
LAB_RICK = parse_principal("rick.sanchez", layout.REALM)


def one_by_one(answers: list[bytes]) -> Exchange:
    left = iter(answers)
    return lambda _: next(left)


def test_real_answers_replayed_log_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.randbits", lambda _: NONCE)
    send = one_by_one([REAL["samba-1"], REAL["samba-2"], REAL["samba-3"]])
    tgt = login(send, LAB_RICK, layout.PERSON_PASSWORD)
    ticket = service_ticket(send, tgt, parse_principal(layout.SPN, layout.REALM))
    assert (ticket.client, str(ticket.server)) == (LAB_RICK, f"{layout.SPN}@{layout.REALM}")


@given(first=mutated(*REAL.values()) | st.binary(max_size=60), second=mutated(*REAL.values()) | st.binary(max_size=60))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_altered_answers_end_in_a_ticket_or_a_documented_error(
    monkeypatch: pytest.MonkeyPatch, first: bytes, second: bytes
) -> None:
    monkeypatch.setattr("secrets.randbits", lambda _: NONCE)
    for answers in ([first, second], [REAL["samba-1"], second], [first, REAL["samba-2"]]):
        try:
            tgt = login(one_by_one(answers), LAB_RICK, layout.PERSON_PASSWORD)
            service_ticket(one_by_one([second]), tgt, LAB_RICK)
        except (KdcError, NoKdc) as error:
            assert layout.PERSON_PASSWORD not in str(error)
