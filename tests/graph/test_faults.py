"""Each nastiness of the test Graph is there as it is told."""

from __future__ import annotations

import http.client
import json
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from tests.graph.conftest import Ask
from tests.graph.faults import PASSING, Fault
from tests.graph.fixture import GraphFactory
from tests.graph.serving import Served

PATH = "/v1.0/auditLogs/signIns?$top=10"
CUT = (http.client.HTTPException, ConnectionError, OSError)


@pytest.fixture
def served(graph: GraphFactory) -> Served:
    return graph(sign_ins=200, quiet=600.0, limit=1000, silence=0.05)


def ids(page: Any) -> list[str]:
    return [one["id"] for one in page["value"]]


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Fault.TOO_MANY, 429, "TooManyRequests"),
        (Fault.TOO_MANY_SECONDS, 429, "TooManyRequests"),
        (Fault.TOO_MANY_DATE, 429, "TooManyRequests"),
        (Fault.UNAVAILABLE, 503, "ServiceUnavailable"),
        (Fault.UNAVAILABLE_RETRY, 503, "ServiceUnavailable"),
        (Fault.GATEWAY_TIMEOUT, 504, "UnknownError"),
        (Fault.INTERNAL, 500, "InternalServerError"),
        (Fault.EXPIRED, 401, "InvalidAuthenticationToken"),
        (Fault.LICENCE, 403, "Authentication_RequestFromNonPremiumTenantOrB2CTenant"),
        (Fault.PERMISSION, 403, "Authentication_MSGraphPermissionMissing"),
        (Fault.PRIVILEGES, 403, "Authorization_RequestDenied"),
        (Fault.CONDITIONAL, 403, "UnknownError"),
    ],
)
def test_an_error_has_its_status_and_code(served: Served, ask: Ask, fault: Fault, status: int, code: str) -> None:
    served.control.fault(fault)
    answer = ask(served).get(PATH)
    assert (answer.status, answer.code) == (status, code)
    assert served.control.requests("signIns")[0].fault == fault.name


def test_retry_after_is_missing_seconds_or_a_date(served: Served, ask: Ask) -> None:
    asking = ask(served)
    found = []
    for fault in (Fault.TOO_MANY, Fault.TOO_MANY_SECONDS, Fault.UNAVAILABLE_RETRY, Fault.TOO_MANY_DATE):
        served.control.fault(fault)
        found.append(asking.get(PATH).headers.get("retry-after", ""))
    assert found[:3] == ["", "1", "1"]
    assert parsedate_to_datetime(found[3]).timestamp() >= served.control.now() - 1


@pytest.mark.parametrize("fault", [Fault.CUT_BEFORE, Fault.CUT_BODY, Fault.STALL, Fault.SILENCE])
def test_a_connection_can_end_at_any_place(served: Served, ask: Ask, fault: Fault) -> None:
    asking = ask(served)
    asking.token()
    served.control.fault(fault)
    with pytest.raises(CUT):
        asking.get(PATH)
    assert asking.get(PATH).status == 200


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        (Fault.NOT_JSON, 200, "application/json"),
        (Fault.HTML, 200, "text/html"),
        (Fault.HTML_GATEWAY, 502, "text/html"),
        (Fault.EMPTY_BODY, 200, "application/json"),
        (Fault.ERROR_IN_BODY, 200, "application/json"),
    ],
)
def test_a_body_can_be_no_answer_of_graph(served: Served, ask: Ask, fault: Fault, status: int, kind: str) -> None:
    served.control.fault(fault)
    answer = ask(served).get(PATH)
    assert (answer.status, answer.headers["content-type"].partition(";")[0]) == (status, kind)
    with pytest.raises(json.JSONDecodeError):
        _ = answer.json


def test_retry_after_can_be_nonsense(served: Served, ask: Ask) -> None:
    served.control.retry_after(1.0, text="soon")
    served.control.fault(Fault.TOO_MANY_SECONDS)
    assert ask(served).get(PATH).headers["retry-after"] == "soon"


def test_a_redirect_leads_to_another_host(served: Served, ask: Ask) -> None:
    served.control.fault(Fault.REDIRECT)
    answer = ask(served).get(PATH)
    assert (answer.status, answer.headers["location"][:18]) == (302, "https://127.0.0.1:")


def test_a_page_comes_twice_and_no_record_is_lost(served: Served, ask: Ask) -> None:
    served.control.fault(Fault.REPEATED_PAGE, on="next")
    asking = ask(served)
    first = asking.get(PATH).json
    second = asking.get(first["@odata.nextLink"]).json
    assert ids(second) == ids(first)
    third = asking.get(second["@odata.nextLink"]).json
    assert not set(ids(third)) & set(ids(first))
    assert len({one["id"] for one in asking.all(PATH)}) == len(served.control.truth("interactive"))


def test_a_record_comes_twice_in_a_page(served: Served, ask: Ask) -> None:
    served.control.fault(Fault.REPEATED_RECORD)
    found = ids(ask(served).get(PATH).json)
    assert (len(found), len(set(found))) == (11, 10)


def test_a_full_page_without_its_link(served: Served, ask: Ask) -> None:
    served.control.fault(Fault.NO_NEXT_LINK)
    page = ask(served).get(PATH).json
    assert (len(page["value"]), "@odata.nextLink" in page) == (10, False)


def test_a_link_that_leads_to_its_own_page(served: Served, ask: Ask) -> None:
    served.control.fault(Fault.SELF_LINK, on="next")
    asking = ask(served)
    link = asking.get(PATH).json["@odata.nextLink"]
    assert asking.get(link).json["@odata.nextLink"] == link


def test_a_link_to_another_host_is_remembered_when_it_is_followed(served: Served, ask: Ask) -> None:
    served.control.fault(Fault.FOREIGN_LINK)
    asking = ask(served)
    link = asking.get(PATH).json["@odata.nextLink"]
    assert link.startswith("https://127.0.0.1:")
    asking.close()
    asking.get(link)
    assert [one.kind for one in served.control.violations()] == ["host"]


@pytest.mark.parametrize(("fault", "length"), [(Fault.EMPTY_PAGE, 0), (Fault.SHORT_PAGE, 3)])
def test_a_page_with_less_than_it_could_have(served: Served, ask: Ask, fault: Fault, length: int) -> None:
    served.control.fault(fault)
    asking = ask(served)
    page = asking.get(PATH).json
    assert len(page["value"]) == length
    rest = asking.all(page["@odata.nextLink"])
    assert len(rest) + length == len(served.control.truth("interactive"))


def test_a_dead_token_stays_dead(served: Served, ask: Ask) -> None:
    served.control.fault(Fault.DEAD_TOKEN)
    asking = ask(served)
    link = asking.get(PATH).json["@odata.nextLink"]
    for _ in range(2):
        answer = asking.get(link)
        assert (answer.status, answer.message) == (400, "Invalid Skip Token, skip token is null")


def test_a_slice_that_is_never_given(served: Served, ask: Ask) -> None:
    now = served.control.now()
    served.control.never(now - 7200, now - 3600, stream="interactive")
    asking = ask(served)
    assert asking.get(PATH).status == 504
    assert asking.get("/v1.0/auditLogs/directoryAudits").status == 200
    assert asking.get("/beta/auditLogs/signIns?$filter=signInEventTypes/any(t: t eq 'servicePrincipal')").status == 200
    served.control.clear()
    assert asking.get(PATH).status == 200


def test_a_query_of_too_many_records_is_too_slow(served: Served, ask: Ask) -> None:
    asking = ask(served)
    served.control.slow_over(20)
    assert asking.get(PATH).status == 504
    served.control.slow_over(20, silent=True)
    with pytest.raises(CUT):
        asking.get(PATH)
    served.control.slow_over(100)
    assert asking.get(PATH).status == 200


def test_the_nth_request_fails_and_so_many_after_it(served: Served, ask: Ask) -> None:
    served.control.fault("UNAVAILABLE", nth=2, times=2, path="signIns")
    asking = ask(served)
    assert asking.get("/v1.0/users").status == 200
    assert [asking.get(PATH).status for _ in range(4)] == [200, 503, 503, 200]


def test_the_token_endpoint_fails_where_a_test_says_so(served: Served, ask: Ask) -> None:
    served.control.fault("UNAVAILABLE", path="token")
    asking = ask(served)
    assert [asking.sign_on().status for _ in range(2)] == [503, 200]


def test_by_chance_all_that_passes_is_met(served: Served, ask: Ask) -> None:
    served.control.failing(0.5)
    met = {served.control.site.faults.draw("auditLogs/signIns", is_next=True) for _ in range(2000)}
    assert met == {*PASSING, None}


def test_a_chance_of_one_fault_is_of_that_fault_only(served: Served) -> None:
    served.control.chance({Fault.HTML: 0.5})
    met = [served.control.site.faults.draw("auditLogs/signIns", is_next=False) for _ in range(1000)]
    assert set(met) == {Fault.HTML, None}
    assert 350 < met.count(Fault.HTML) < 650


@pytest.mark.parametrize(
    ("without", "path", "code"),
    [
        ("AuditLog.Read.All", "auditLogs/signIns", "Authentication_MSGraphPermissionMissing"),
        ("Directory.Read.All", "auditLogs/signIns", "Authorization_RequestDenied"),
        ("AuditLog.Read.All", "auditLogs/directoryAudits", "Authentication_MSGraphPermissionMissing"),
        ("User.Read.All Directory.Read.All", "users", "Authorization_RequestDenied"),
        ("Application.Read.All Directory.Read.All", "servicePrincipals", "Authorization_RequestDenied"),
    ],
)
def test_what_is_not_permitted_is_a_403(served: Served, ask: Ask, without: str, path: str, code: str) -> None:
    served.control.permissions(served.control.app.permissions - set(without.split()))
    answer = ask(served).get(f"/v1.0/{path}")
    assert (answer.status, answer.code) == (403, code)


def test_without_a_premium_licence_there_are_audits_only(graph: GraphFactory, ask: Ask) -> None:
    asking = ask(graph(sign_ins=20, licence="Free"))
    assert asking.get(PATH).code == "Authentication_RequestFromNonPremiumTenantOrB2CTenant"
    assert asking.get("/v1.0/auditLogs/directoryAudits").status == 200
