"""Names and KDCs asked from the firewall: what is asked of whom, and what any answer, also a hostile one, comes to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfsquid.firewall.inspected import Inspected, Override
from pfsquid.firewall.pfsense import Pfsense
from pfsquid.firewall.probes import Answer, Question
from pfsquid.kerberos import gather_names
from pfsquid.kerberos.facts import Answers, Asked, Kdcs, Lookup, Names
from tests.kerberos.made import (
    CONF,
    DC1,
    DC1_AT,
    DC2,
    DC2_AT,
    LAN,
    PROXY,
    ZONE,
    asked,
    conf,
    file,
    firewall,
    names,
    settings,
)
from tests.kerberos.small_kdc import SmallKdc

NOBODY = cast(Pfsense, None)
RESOLVER = "127.0.0.1"
ZONES = {
    (f"_kerberos._tcp.{ZONE}", "SRV"): [f"0 100 88 {DC1}.", f"0 100 88 {DC2.upper()}."],
    (f"_ldap._tcp.{ZONE}", "SRV"): [f"0 100 389 {DC1}."],
    (DC1, "A"): [DC1_AT],
    (DC2, "A"): [DC2_AT],
    (DC2, "AAAA"): ["fd00::b"],
    (PROXY, "A"): [LAN],
    ("1.0.1.10.in-addr.arpa", "PTR"): [f"{PROXY.upper()}."],
    (ZONE, "SOA"): [f"{DC1}. hostmaster.{ZONE}. 1 900 600 86400 3600"],
    ("localhost", "A"): ["127.0.0.1"],
}
Rule = Callable[[dns.message.Message, Question], "bytes | str | None"]


@dataclass
class Network:
    """What the firewall would hear: `relay(pfsense, questions)`. rule: of DNS; None leaves it to `zones`.

    dead: hosts that answer nothing. kdc: answers on port 88. asked: all questions, in order.
    """

    zones: dict[tuple[str, str], list[str]] = field(default_factory=lambda: dict(ZONES))
    rule: Rule = lambda _query, _question: None
    dead: tuple[str, ...] = ()
    kdc: Callable[[bytes], bytes] = field(default_factory=lambda: SmallKdc({"krbtgt": "x"}))
    asked: list[Question] = field(default_factory=list)

    def __call__(self, _pfsense: Pfsense, questions: Sequence[Question]) -> dict[str, Answer]:
        self.asked += questions
        return {one.id: self.answer(one) for one in questions}

    def answer(self, question: Question) -> Answer:
        if question.host in self.dead:
            return Answer(b"", "timed out", question.host, 3.0)
        if question.port == 88:
            return Answer(self.kdc(question.data), "", question.host, 0.1)
        query = dns.message.from_wire(question.data)
        said = self.rule(query, question)
        if said is None:
            said = self.dns(query)
        if isinstance(said, str):
            return Answer(b"", said, question.host, 3.0)
        return Answer(said, "", question.host, 0.1)

    def dns(self, query: dns.message.Message) -> bytes:
        response = dns.message.make_response(query)
        name, kind = asked_for(query)
        if not any(known == name for known, _ in self.zones):
            response.set_rcode(dns.rcode.NXDOMAIN)
        found = self.zones.get((name, kind))
        if found:
            response.answer.append(dns.rrset.from_text_list(f"{name}.", 60, "IN", kind, found))
        return response.to_wire()


def asked_for(query: dns.message.Message) -> tuple[str, str]:
    question = query.question[0]
    return question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    one = Network()
    monkeypatch.setattr(gather_names, "relay", one)
    return one


def found(at: Inspected | None = None, **other: Any) -> Names:
    return gather_names.names(NOBODY, asked(**other), at or conf(CONF))


# ---- what is found


def test_all_names_of_a_domain_are_found(network: Network) -> None:
    one = found()
    assert sorted(one.kerberos.records) == [f"0 100 88 {DC1}", f"0 100 88 {DC2}"]
    assert {name: lookup.records for name, lookup in one.hosts.items()} == {DC1: (DC1_AT,), DC2: (DC2_AT, "fd00::b")}
    assert one.proxy.records == (LAN,)
    assert one.reverse[LAN].records == (PROXY,)
    assert one.servers == {DC1_AT: Answers("", "", ""), DC2_AT: Answers("", "", "")}
    assert one.direct[DC1].server == DC1_AT


def test_the_first_server_of_resolv_conf_is_asked(network: Network) -> None:
    at = firewall(resolver_files={"/etc/resolv.conf": file("x", "# no\nnameserver 10.3.3.3\nnameserver 10.4.4.4\n")})
    assert found(at).resolver == "10.3.3.3"
    assert {one.host for one in network.asked} == {"10.3.3.3", DC1_AT, DC2_AT}


@pytest.mark.parametrize("files", [{}, {"/etc/resolv.conf": file("x", b"\xff\xfe")}])
def test_without_a_resolv_conf_the_firewall_itself_is_asked(network: Network, files: Any) -> None:
    assert found(firewall(resolver_files=files)).resolver == RESOLVER


def test_servers_of_the_override_are_tried_though_the_configuration_does_not_name_them(network: Network) -> None:
    overrides = (Override(f"{ZONE.upper()}.", "10.5.5.5@5353", False), Override("other.example", "10.6.6.6", False))
    assert list(found(firewall(settings=settings(overrides=overrides)), dns=()).servers) == ["10.5.5.5"]


def test_configured_controllers_are_looked_up_beside_those_of_dns(network: Network) -> None:
    one = found(kdcs=("kdc.example", "10.7.7.7"), ldap_servers=("ldap.example",))
    assert sorted(one.hosts) == sorted([DC1, DC2, "kdc.example", "10.7.7.7", "ldap.example"])
    assert one.hosts["10.7.7.7"].records == ("10.7.7.7",)
    assert "10.7.7.7" not in one.direct


def test_a_proxy_without_an_address_is_looked_up_backwards_by_where_it_listens(network: Network) -> None:
    del network.zones[PROXY, "A"]
    assert list(found().reverse) == [LAN]


@pytest.mark.parametrize("listener", [f"http_port {PROXY}:3128\n", ""])
def test_a_proxy_of_which_no_address_is_known_at_all_has_none_to_look_up(network: Network, listener: str) -> None:
    del network.zones[PROXY, "A"]
    at = conf(listener, addresses=())
    assert found(at).reverse == {}


# ---- what comes back


def kerberos(network: Network, rule: Rule) -> Lookup:
    """What becomes of the first SRV record when it is answered by a rule."""
    network.rule = lambda query, question: (
        rule(query, question) if asked_for(query)[0] == f"_kerberos._tcp.{ZONE}" else None
    )
    return found().kerberos


def with_records(*records: tuple[str, str, str], rcode: int = 0, cut: bool = False, id: int | None = None) -> Rule:
    def answer(query: dns.message.Message, question: Question) -> bytes:
        response = dns.message.make_response(query)
        response.set_rcode(dns.rcode.Rcode(rcode))
        if id is not None:
            response.id = id
        if cut and question.transport == "udp":
            response.flags |= dns.flags.TC
        response.answer += [dns.rrset.from_text(name, 60, "IN", kind, text) for name, kind, text in records]
        return response.to_wire()

    return answer


SRV = (f"_kerberos._tcp.{ZONE}.", "SRV", f"0 100 88 {DC1}.")


@pytest.mark.parametrize("rcode", ["NXDOMAIN", "SERVFAIL", "REFUSED", "NOERROR"])
def test_an_answer_without_records_tells_its_code(network: Network, rcode: str) -> None:
    one = kerberos(network, with_records(rcode=dns.rcode.from_text(rcode)))
    assert (one.found, one.rcode) == (False, rcode)


def test_an_answer_too_long_for_udp_is_asked_for_again_over_tcp(network: Network) -> None:
    one = kerberos(network, with_records(SRV, cut=True))
    again = [question for question in network.asked if question.port == 53 and question.transport == "tcp"]
    assert (one.records, len(again), again[0].framing) == ((f"0 100 88 {DC1}",), 1, 2)


def test_an_answer_too_long_for_udp_without_tcp_is_no_answer(network: Network) -> None:
    cut = with_records(SRV, cut=True)
    one = kerberos(network, lambda query, question: "refused" if question.transport == "tcp" else cut(query, question))
    assert (one.found, one.rcode, one.why) == (False, "no answer", "refused")


def test_silence_is_no_answer_with_its_reason(network: Network) -> None:
    one = kerberos(network, lambda _query, _question: "timed out")
    assert (one.rcode, one.why) == ("no answer", "timed out")


@pytest.mark.parametrize("data", [b"", b"\x00", b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 600])
def test_what_is_no_dns_is_no_answer(network: Network, data: bytes) -> None:
    one = kerberos(network, lambda _query, _question: data)
    assert (one.rcode, one.why.startswith("what came is no DNS")) == ("no answer", True)


def test_an_answer_to_another_question_is_no_answer(network: Network) -> None:
    one = kerberos(network, lambda query, question: with_records(SRV, id=query.id ^ 1)(query, question))
    assert (one.found, one.why) == (False, "what came answers another question")


def test_what_stands_behind_a_message_is_not_looked_at(network: Network) -> None:
    one = kerberos(network, lambda query, question: cast(bytes, with_records(SRV)(query, question)) + b"more")
    assert one.found


def test_a_service_that_is_said_not_to_be_there_is_no_record(network: Network) -> None:
    assert not kerberos(network, with_records((SRV[0], "SRV", "0 0 0 ."))).found


def test_aliases_are_told_in_their_order(network: Network) -> None:
    chain = [
        (f"{PROXY}.", "CNAME", "one.example."),
        ("one.example.", "CNAME", "Two.example."),
        ("two.example.", "A", LAN),
    ]
    network.rule = lambda query, question: (
        with_records(*chain)(query, question) if asked_for(query) == (PROXY, "A") else None
    )
    assert (found().proxy.aliases, found().proxy.records) == (("one.example", "two.example"), (LAN,))


def test_a_resolver_that_answers_nothing_is_dead(network: Network) -> None:
    network.dead = (RESOLVER,)
    one = found()
    assert (one.alive, one.kerberos.rcode, one.hosts) == (False, "no answer", {})


def test_a_resolver_that_answers_for_nothing_but_itself_is_alive(network: Network) -> None:
    network.rule = lambda query, _question: None if asked_for(query)[0] == "localhost" else "timed out"
    assert (found().alive, found().kerberos.found) == (True, False)


def test_a_dead_server_is_told_and_the_next_one_asked_directly(network: Network) -> None:
    network.dead = (DC1_AT,)
    one = found()
    assert one.servers[DC1_AT] == Answers("timed out", "timed out", "timed out")
    assert one.direct[DC1].server == DC2_AT


def test_where_all_servers_are_dead_none_is_asked_directly(network: Network) -> None:
    network.dead = (DC1_AT, DC2_AT)
    assert found().direct == {}


@given(st.binary())
def test_no_bytes_of_a_dns_answer_raise(data: bytes) -> None:
    query = dns.message.make_query(ZONE, "SRV")
    for whole in (data, query.to_wire()[:2] + data, query.to_wire()[:2] + b"\x80\x00" + data):
        gather_names._lookup((ZONE, "SRV", RESOLVER), query, Answer(whole, "", RESOLVER, 0.1))


@given(st.binary())
def test_no_bytes_of_a_kdc_raise(data: bytes) -> None:
    why, offset = gather_names._kerberos(None, Answer(data, "", DC1_AT, 0.1))
    assert why or offset is not None


# ---- KDCs


def of_kdcs(known: Names | None = None, **other: Any) -> Kdcs:
    one: Asked = asked(**other)
    return gather_names.kdcs(NOBODY, one, known or names())


def test_each_kdc_is_asked_both_ways_and_tells_its_clock(network: Network) -> None:
    network.kdc = SmallKdc({"krbtgt": "x"}, ahead=timedelta(minutes=6))
    one = of_kdcs()
    assert one.answers == {(DC1, DC1_AT): Answers(None, "", ""), (DC2, DC2_AT): Answers(None, "", "")}
    assert {name: round(offset) for name, offset in one.offsets.items()} == {DC1: 360, DC2: 360}


def test_configured_kdcs_are_asked_instead_of_those_of_dns(network: Network) -> None:
    assert list(of_kdcs(kdcs=(DC2,)).answers) == [(DC2, DC2_AT)]


@pytest.mark.parametrize(
    ("records", "places"), [((DC1_AT, "fd00::a"), [DC1_AT]), (("fd00::a",), ["fd00::a"]), ((), [])]
)
def test_ipv6_is_asked_only_where_there_is_nothing_else(
    network: Network, records: tuple[str, ...], places: list[str]
) -> None:
    known = names()
    hosts = {**known.hosts, DC1: Lookup(DC1, "A/AAAA", RESOLVER, "NOERROR", records)}
    assert [at for name, at in of_kdcs(names(hosts=hosts)).answers if name == DC1] == places


def test_a_silent_kdc_tells_no_clock(network: Network) -> None:
    network.dead = (DC1_AT,)
    one = of_kdcs()
    assert (one.answers[DC1, DC1_AT], list(one.offsets)) == (Answers(None, "timed out", "timed out"), [DC2])


def test_what_is_no_kerberos_is_no_kdc(network: Network) -> None:
    network.kdc = lambda _message: b"HTTP/1.0 400 Bad Request\r\n\r\n"
    assert "no Kerberos" in (of_kdcs().answers[DC1, DC1_AT].tcp or "")


def test_who_asks_a_kdc_gives_no_credentials(network: Network) -> None:
    kdc = SmallKdc({"krbtgt": "x", "pfsquid": "x"})
    network.kdc = kdc
    of_kdcs()
    assert kdc.seen
    assert not [message for message in kdc.seen if b"\xa1\x03\x02\x01\x02" in message]  # PA-ENC-TIMESTAMP
