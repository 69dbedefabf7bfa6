"""The test Graph's limit is that of the reports: shared by their streams, and told by Retry-After."""

from __future__ import annotations

import time

from tests.graph.conftest import Ask
from tests.graph.fixture import GraphFactory
from tests.graph.throttle import Throttle


def test_no_more_than_the_limit_in_any_window() -> None:
    throttle = Throttle(5, 10.0)
    assert [throttle.over("app", at) for at in (0.0, 1.0, 2.0, 3.0, 4.0)] == [None] * 5
    assert throttle.over("app", 9.999) is not None
    assert throttle.over("app", 10.5) is not None, "what was refused counts too"


def test_the_window_slides() -> None:
    throttle = Throttle(2, 10.0)
    waits = [throttle.over("app", at) for at in (0.0, 6.0, 10.0, 15.0, 25.0)]
    assert waits == [None, None, None, 5.0, None]


def test_the_wait_ends_when_there_is_room_again() -> None:
    throttle = Throttle(2, 10.0)
    throttle.over("app", 0.0)
    throttle.over("app", 1.0)
    wait = throttle.over("app", 2.0)
    assert wait == 9.0, "the request of 1.0 and this one fill the window until 11.0"
    assert throttle.over("app", 11.0) is None


def test_apps_and_tenants_have_limits_of_their_own() -> None:
    throttle = Throttle(1, 10.0)
    assert [throttle.over(who, 0.0) for who in ("a/x", "b/x", "a/y")] == [None] * 3


def test_streams_of_the_reports_share_one_limit(graph: GraphFactory, ask: Ask) -> None:
    served = graph(sign_ins=10, limit=2, per=60.0)
    asking = ask(served)
    paths = ("auditLogs/signIns", "auditLogs/directoryAudits", "auditLogs/signIns", "users")
    answers = [asking.get(f"/v1.0/{path}") for path in paths]
    assert [one.status for one in answers] == [200, 200, 429, 200]
    assert 0 < int(answers[2].headers["retry-after"]) <= 60
    assert [one.kind for one in served.control.violations()] == ["rate"]


def test_coming_back_before_retry_after_is_remembered(graph: GraphFactory, ask: Ask) -> None:
    served = graph(sign_ins=10, limit=100, retry_after=30.0)
    served.control.fault("TOO_MANY_SECONDS")
    asking = ask(served)
    assert asking.get("/v1.0/auditLogs/signIns").headers["retry-after"] == "30"
    time.sleep(0.25)  # what was under way already is forgiven
    asking.get("/v1.0/auditLogs/signIns")
    assert [one.kind for one in served.control.violations()] == ["hasty"]
