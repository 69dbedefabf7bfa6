"""Pages of the test Graph: all records once, newest first, behind links that are opaque and die."""

from __future__ import annotations

import gzip

import pytest

from tests.graph.asking import Answer
from tests.graph.conftest import Ask
from tests.graph.fixture import GraphFactory

SIGN_INS = "/v1.0/auditLogs/signIns"
BETA = "/beta/auditLogs/signIns?$filter=signInEventTypes/any(t: t eq '{}')"


@pytest.mark.parametrize(
    ("stream", "path"),
    [
        ("interactive", f"{SIGN_INS}?$top=50"),
        ("non_interactive", BETA.format("nonInteractiveUser") + "&$top=400"),
        ("service_principal", BETA.format("servicePrincipal")),
        ("managed_identity", BETA.format("managedIdentity")),
        ("audits", "/v1.0/auditLogs/directoryAudits?$top=30&$orderby=activityDateTime asc"),
        ("users", "/v1.0/users?$top=7"),
        ("service_principals", "/v1.0/servicePrincipals"),
    ],
)
def test_the_pages_of_a_stream_hold_its_truth(graph: GraphFactory, ask: Ask, stream: str, path: str) -> None:
    served = graph(sign_ins=600, quiet=600.0, limit=1000)
    found = ask(served).all(path)
    assert len({one["id"] for one in found}) == len(found)
    assert {one["id"] for one in found} == set(served.control.truth(stream))
    assert served.control.violations() == []


def test_pages_are_newest_first_where_nothing_is_said(graph: GraphFactory, ask: Ask) -> None:
    served = graph(sign_ins=300, quiet=600.0, limit=1000)
    asking = ask(served)
    newest = [one["createdDateTime"][:19] for one in asking.all(f"{SIGN_INS}?$top=20")]
    oldest = [one["createdDateTime"][:19] for one in asking.all(f"{SIGN_INS}?$top=20&$orderby=createdDateTime")]
    assert newest == sorted(newest, reverse=True)
    assert oldest == sorted(oldest)


def test_both_kinds_of_users_come_in_one_order(graph: GraphFactory, ask: Ask) -> None:
    served = graph(sign_ins=300, quiet=600.0, limit=1000)
    kinds = "signInEventTypes/any(t: t eq 'interactiveUser' or t eq 'nonInteractiveUser')"
    found = ask(served).all(f"/beta/auditLogs/signIns?$filter={kinds}&$top=50")
    times = [one["createdDateTime"][:19] for one in found]
    assert times == sorted(times, reverse=True)
    assert {one["id"] for one in found} == {
        *served.control.truth("interactive"),
        *served.control.truth("non_interactive"),
    }


def test_a_record_that_comes_in_the_middle_of_a_chain_shifts_nothing(graph: GraphFactory, ask: Ask) -> None:
    served = graph(sign_ins=200, quiet=600.0, limit=1000)
    before = set(served.control.truth("interactive"))
    asking = ask(served)
    page = asking.get(f"{SIGN_INS}?$top=10").json
    for number, record in enumerate(page["value"][:3]):
        served.control.put("interactive", {"id": f"new {number}", "createdDateTime": record["createdDateTime"]})
    rest = asking.all(page["@odata.nextLink"])
    found = [one["id"] for one in [*page["value"], *rest]]
    assert before <= set(found)
    assert len(found) == len(set(found))


def test_a_link_is_of_the_same_host_and_carries_the_query(graph: GraphFactory, ask: Ask) -> None:
    served = graph(sign_ins=100, quiet=600.0)
    link = ask(served).get(f"{SIGN_INS}?$top=2&$orderby=createdDateTime desc").json["@odata.nextLink"]
    assert link.startswith(f"{served.url}{SIGN_INS}?$top=2&$orderby=createdDateTime%20desc&$skiptoken=")


def dead(answer: Answer) -> bool:
    return (answer.status, answer.message) == (400, "Invalid Skip Token, skip token is null")


def test_a_link_that_was_altered_is_refused_and_remembered(graph: GraphFactory, ask: Ask) -> None:
    served = graph(sign_ins=100, quiet=600.0)
    asking = ask(served)
    link = asking.get(f"{SIGN_INS}?$top=2").json["@odata.nextLink"]
    assert dead(asking.get(link.replace("$top=2", "$top=3")))
    assert [one.kind for one in served.control.violations()] == ["altered_link"]
    assert dead(asking.get(f"{SIGN_INS}?$skiptoken=unknown"))


def test_a_link_dies_of_its_use(graph: GraphFactory, ask: Ask) -> None:
    asking = ask(graph(sign_ins=100, quiet=600.0, link_uses=1))
    link = asking.get(f"{SIGN_INS}?$top=2").json["@odata.nextLink"]
    assert asking.get(link).status == 200
    assert dead(asking.get(link))


def test_a_link_dies_of_its_age(graph: GraphFactory, ask: Ask) -> None:
    asking = ask(graph(sign_ins=100, quiet=600.0, link_life=0.0))
    assert dead(asking.get(asking.get(f"{SIGN_INS}?$top=2").json["@odata.nextLink"]))


def test_a_link_dies_where_the_chain_is_too_long(graph: GraphFactory, ask: Ask) -> None:
    asking = ask(graph(sign_ins=100, quiet=600.0, link_rows=4))
    second = asking.get(asking.get(f"{SIGN_INS}?$top=2").json["@odata.nextLink"])
    assert second.status == 200
    assert dead(asking.get(second.json["@odata.nextLink"]))


def test_all_links_can_be_killed(graph: GraphFactory, ask: Ask) -> None:
    served = graph(sign_ins=100, quiet=600.0)
    asking = ask(served)
    link = asking.get(f"{SIGN_INS}?$top=2").json["@odata.nextLink"]
    served.control.kill_links()
    assert dead(asking.get(link))


def test_pages_can_be_packed(graph: GraphFactory, ask: Ask) -> None:
    asking = ask(graph(sign_ins=100, quiet=600.0))
    packed = asking.get(SIGN_INS, packed=True)
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == asking.get(SIGN_INS).body
