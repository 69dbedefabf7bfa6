"""The test Graph takes what Graph documents and refuses, and remembers, everything else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from tests.graph.conftest import Ask
from tests.graph.fixture import GraphFactory
from tests.graph.problems import Problem
from tests.graph.query import Query, options, read

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC).timestamp()
A, B = "2026-06-30T10:00:00Z", "2026-06-30T11:00:00.1234567Z"
SIGN_INS, AUDITS = "auditLogs/signIns", "auditLogs/directoryAudits"


def asked(path: str, query: str, version: str = "beta") -> Query:
    return read(version, path, options(query), NOW)


def test_a_time_span_has_both_its_ends() -> None:
    query = asked(
        SIGN_INS, f"$filter=createdDateTime ge {A} and createdDateTime le {B}&$top=1000&$orderby=createdDateTime"
    )
    assert (query.low, query.high) == (17828136000000000, 17828172001234567)
    assert (query.streams, query.top, query.newest_first) == (("interactive",), 1000, False)


@pytest.mark.parametrize(
    ("filter", "streams"),
    [
        ("signInEventTypes/any(t: t eq 'nonInteractiveUser')", ("non_interactive",)),
        ("signInEventTypes/any(x:x eq 'servicePrincipal')", ("service_principal",)),
        (f"(createdDateTime ge {A}) and (signInEventTypes/any(t: t eq 'managedIdentity'))", ("managed_identity",)),
        (
            "signInEventTypes/any(t: t eq 'interactiveUser' or t eq 'nonInteractiveUser')",
            ("interactive", "non_interactive"),
        ),
        (f"createdDateTime eq {A} and id eq 'a''b'", ("interactive",)),
        ("createdDateTime ge 2026-06-30", ("interactive",)),
        ("createdDateTime ge 2026-06-30T12:00:00%2B02:00", ("interactive",)),
    ],
)
def test_documented_filters_are_taken(filter: str, streams: tuple[str, ...]) -> None:
    assert asked(SIGN_INS, f"$filter={filter}").streams == streams


@pytest.mark.parametrize(
    "filter",
    [
        f"createdDateTime gt {A}",
        f"createdDateTime lt {A}",
        f"createdDateTime ne {A}",
        f"createdDateTime ge '{A}'",
        f"createdDateTime ge {A} or createdDateTime le {B}",
        f"createdDateTime ge {A} and",
        f"(createdDateTime ge {A}",
        "createdDateTime ge 2026-06-30T10:00:00",
        "createdDateTime ge 2026-06-30T10:00:00.12345678Z",
        "createdDateTime ge 2026-06-31T10:00:00Z",
        "createdDateTime ge 2026-06-30T12:00:00+02:00",  # the plus is a space in a query
        "createdDateTime ge 2026-03-01T00:00:00Z",  # more than 90 days ago
        "createdDateTime ge yesterday",
        f"activityDateTime ge {A}",
        "isInteractive eq true",
        "id ge 'a'",
        "id eq 'open",
        "signInEventTypes eq 'servicePrincipal'",
        "signInEventTypes/any(t: t eq 'everything')",
        "signInEventTypes/any(t: u eq 'servicePrincipal')",
        "signInEventTypes/any(t: t ne 'servicePrincipal')",
        "signInEventTypes/any(t: t eq 'servicePrincipal' or t eq 'interactiveUser')",
        "signInEventTypes/any(t: t eq 'servicePrincipal' or t eq 'managedIdentity')",
        "signInEventTypes/any(t: t eq 'servicePrincipal') and signInEventTypes/any(t: t eq 'servicePrincipal')",
    ],
)
def test_an_undocumented_filter_is_a_400(filter: str) -> None:
    with pytest.raises(Problem) as refused:
        asked(SIGN_INS, f"$filter={filter}")
    assert (refused.value.status, refused.value.message) == (400, "Invalid filter clause")
    assert refused.value.undocumented


@pytest.mark.parametrize(
    ("path", "query", "version"),
    [
        (SIGN_INS, "$skip=10", "v1.0"),
        (SIGN_INS, "$top=1001", "v1.0"),
        (SIGN_INS, "$top=0", "v1.0"),
        (SIGN_INS, "$top=ten", "v1.0"),
        (SIGN_INS, "$count=true", "v1.0"),
        (SIGN_INS, "filter=x", "v1.0"),
        (SIGN_INS, "$top=1&$top=2", "v1.0"),
        (SIGN_INS, "$orderby=userPrincipalName", "v1.0"),
        (SIGN_INS, "$select=id,signInEventTypes", "v1.0"),
        (SIGN_INS, "$filter=signInEventTypes/any(t: t eq 'nonInteractiveUser')", "v1.0"),
        (AUDITS, f"$filter=createdDateTime ge {A}", "v1.0"),
        (AUDITS, "$filter=signInEventTypes/any(t: t eq 'interactiveUser')", "beta"),
        (AUDITS, "$orderby=createdDateTime", "v1.0"),
        ("users", "$top=1000", "v1.0"),
        ("users", "$select=password", "v1.0"),
        ("users", f"$filter=createdDateTime ge {A}", "v1.0"),
        ("servicePrincipals", "$select=secret", "v1.0"),
    ],
)
def test_an_undocumented_option_is_a_400(path: str, query: str, version: str) -> None:
    with pytest.raises(Problem) as refused:
        asked(path, query, version)
    assert refused.value.status == 400
    assert refused.value.undocumented


def test_a_path_that_graph_does_not_have_is_a_404() -> None:
    with pytest.raises(Problem) as refused:
        asked("auditLogs/everything", "")
    assert refused.value.status == 404


def test_what_is_refused_is_remembered_with_its_reason(graph: GraphFactory, ask: Ask) -> None:
    served = graph(sign_ins=10)
    answer = ask(served).get(f"/v1.0/auditLogs/signIns?$filter=createdDateTime lt {A}")
    assert (answer.status, answer.code, answer.message) == (400, "BadRequest", "Invalid filter clause")
    assert [(one.kind, "operator lt" in one.detail) for one in served.control.violations()] == [("undocumented", True)]


def test_a_span_gives_what_lies_in_it_and_on_its_ends(graph: GraphFactory, ask: Ask) -> None:
    served = graph(sign_ins=0, start=NOW)
    moments = [datetime.fromtimestamp(NOW, UTC) - timedelta(hours=hours) for hours in (5, 4, 3, 2)]
    for number, moment in enumerate(moments):
        served.control.put("interactive", {"id": str(number), "createdDateTime": f"{moment:%Y-%m-%dT%H:%M:%S}Z"})
    span = f"createdDateTime ge {moments[1]:%Y-%m-%dT%H:%M:%SZ} and createdDateTime le {moments[2]:%Y-%m-%dT%H:%M:%SZ}"
    found = ask(served).get(f"/v1.0/auditLogs/signIns?$filter={quote(span)}")
    assert [one["id"] for one in found.json["value"]] == ["2", "1"]


def test_only_selected_fields_are_given(graph: GraphFactory, ask: Ask) -> None:
    served = graph(sign_ins=20, quiet=600.0)
    found = ask(served).get("/v1.0/auditLogs/signIns?$select=id,createdDateTime&$top=1").json["value"]
    assert [set(one) for one in found] == [{"id", "createdDateTime"}]
    assert len(ask(served).get("/v1.0/users?$top=1").json["value"][0]) == 11


def test_a_record_is_found_by_its_id(graph: GraphFactory, ask: Ask) -> None:
    served = graph(sign_ins=40, quiet=600.0)
    wanted = next(iter(served.control.truth("audits")))
    found = ask(served).get(f"/v1.0/auditLogs/directoryAudits?$filter=id eq '{wanted}'").json["value"]
    assert [one["id"] for one in found] == [wanted]
