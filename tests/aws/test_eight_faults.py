"""The known faults of what this project grew from, a Lambda that pulled logs once a day: a promise for each of them.

Against the real handler and a Graph that is as strict as the real one. That no policy of the collector is wider than it
must be is promised in `test_template.py`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.transforms import DayTransform

from collectors.entra.credentials import ClientSecret
from collectors.entra.graph import Graph
from collectors.entra.limit import Limit
from collectors.entra.token import msal_tokens
from pfsquid.aws.handler import CollectorFailed
from tests.aws.lambda_runs import Runs, metric, running
from tests.graph.fixture import GraphFactory

Begin = Callable[..., Runs]


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Begin]:
    with running(tmp_path, monkeypatch, capsys) as given:
        yield given


def day_before() -> datetime:
    """Midnight (UTC) that was at least some hours ago, and not a day and a half."""
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight if now - midnight > timedelta(hours=2) else midnight - timedelta(days=1)


def record(name: str, at: datetime, fraction: str = "") -> dict[str, Any]:
    return {"id": name, "createdDateTime": f"{at:%Y-%m-%dT%H:%M:%S}{fraction}Z"}


def test_1_no_error_is_swallowed_a_run_that_fails_fails_and_is_measured(graph: GraphFactory, begin: Begin) -> None:
    served = graph(sign_ins=5, days=1)
    served.control.fault("INTERNAL", times=10_000)
    run = begin(served)
    with pytest.raises(CollectorFailed):
        run(15.0)
    assert (metric("Failures") or 0) >= 1
    assert run.logged[-1]["level"] == "ERROR"


def test_2_what_happens_at_midnight_and_at_the_edge_of_any_slice_is_there_once(
    graph: GraphFactory, begin: Begin
) -> None:
    served = graph(sign_ins=5, days=1)
    midnight = day_before()
    edges = [midnight - timedelta(seconds=1), midnight, midnight + timedelta(seconds=1)]
    for number, at in enumerate(edges):
        served.control.put("interactive", record(f"edge-{number}", at))
    run = begin(served, retention="2d", slice={"least": 3600, "most": 3600})
    run(90.0)
    assert {f"edge-{number}" for number in range(3)} <= run.held("signins").keys()


def test_3_days_are_those_of_utc_wherever_the_function_runs(
    graph: GraphFactory, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = graph(sign_ins=5, days=1)
    at = day_before() + timedelta(minutes=30)
    served.control.put("interactive", record("early", at))
    run = begin(served, retention="2d")
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")  # 14 hours ahead of UTC
    time.tzset()
    try:
        run()
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    assert run.held("signins")["early"]["created_at"] == at
    assert 900 <= (metric("StaleSeconds") or 0) < 1800


def test_4_more_pages_than_python_recurses_are_read(graph: GraphFactory) -> None:
    served = graph(sign_ins=5200, days=1, limit=100_000, per=1.0)
    tokens = msal_tokens(
        served.tenant, served.client_id, ClientSecret(served.secret), served.url, served.url, served.ca
    )
    client = Graph(tokens, served.url, Limit(100_000, 1.0), served.ca)
    pages = client.pages("auditLogs/signIns", {"$top": "1", "$orderby": "createdDateTime"})
    most = sys.getrecursionlimit()
    assert sum(len(page.records) for page in islice(pages, most + 20)) == most + 20


def test_5_a_row_is_a_record_and_nothing_of_the_page_around_it(graph: GraphFactory, begin: Begin) -> None:
    served = graph(sign_ins=80, days=1)
    run = begin(served)
    run()
    held = run.held("signins")
    truth = served.control.truth("interactive")
    assert len(held) > 10
    for name, row in held.items():
        assert json.loads(row["raw"]) == json.loads(truth[name])
        assert "@odata.nextLink" not in row["raw"]
        assert "\n" not in row["raw"]


@pytest.mark.parametrize("fraction", ["", ".5", ".1234567"])
def test_6_times_are_times_whatever_their_form_and_the_record_keeps_its_own_text(
    graph: GraphFactory, begin: Begin, fraction: str
) -> None:
    served = graph(sign_ins=1, days=1)
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
    served.control.put("interactive", record("stamped", at, fraction))
    run = begin(served)
    run()
    row = run.held("signins")["stamped"]
    assert row["created_at"] == at + timedelta(seconds=float(fraction or 0) // 1e-6 * 1e-6)
    assert f"{at:%Y-%m-%dT%H:%M:%S}{fraction}Z" in row["raw"]


def test_7_rows_lie_by_their_day_and_a_run_again_overwrites_and_doubles_nothing(
    graph: GraphFactory, begin: Begin
) -> None:
    served = graph(sign_ins=40, days=2)
    run = begin(served, retention="2d")
    run()
    first = run.held("signins")
    table = run.lake.table("signins")
    assert table is not None
    (field,) = table.spec().fields
    assert isinstance(field.transform, DayTransform)
    time.sleep(2.0)
    run()
    again = run.held("signins")
    assert first.items() <= again.items()


def test_8_what_graph_throttles_is_asked_for_again_when_it_says_so(graph: GraphFactory, begin: Begin) -> None:
    served = graph(sign_ins=60, days=1, retry_after=1.0)
    served.control.fault("TOO_MANY_SECONDS", nth=2, path="auditLogs")
    served.control.fault("TOO_MANY_DATE", nth=4, path="auditLogs")
    run = begin(served)
    told = run()
    assert told["Failures"] == 0
    assert {one.status for one in served.control.requests("auditLogs")} >= {200, 429}
    assert served.control.violations() == []


def test_and_sign_ins_that_no_person_makes_are_read_as_well(
    graph: GraphFactory, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = graph(sign_ins=60, days=1)
    run = begin(served)
    monkeypatch.delenv("PFSQUID_STREAMS")  # what nobody restricts is everything
    run(120.0)
    streams = {row["stream"] for row in run.held("signins").values()}
    assert streams == {"interactive", "non_interactive", "service_principal", "managed_identity"}
    assert run.lake.table("audits") and run.lake.table("accounts") and run.lake.table("service_principals")
