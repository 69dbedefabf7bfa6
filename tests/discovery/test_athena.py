"""Athena at its worst: states that do not end, throttling, lost answers, refusals; and what is never sent to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest

from pfsquid.cloud import Cloud
from pfsquid.discovery.athena import LONGEST, Athena, check
from pfsquid.discovery.athena_answer import Asked, ask
from pfsquid.discovery.athena_values import failure, rows_of
from pfsquid.errors import ExitCode, PfsquidError, WrongUse
from tests.discovery.fake_athena import FakeAthena, Nasty, asking, serving


@pytest.fixture
def fake() -> Iterator[FakeAthena]:
    with serving(FakeAthena(None)) as one:
        yield one


@pytest.fixture
def athena(fake: FakeAthena, monkeypatch: pytest.MonkeyPatch) -> Athena:
    return asking(fake, monkeypatch, timeout=20)


def states(fake: FakeAthena) -> list[str]:
    return [one["state"] for one in fake.queries.values()]


def test_a_query_that_waits_and_runs_for_long_is_waited_for(athena: Athena, fake: FakeAthena) -> None:
    fake.nasty.looks = 4
    told: list[str] = []
    athena.tell = told.append
    assert list(athena.run("SELECT 1 AS n").rows) == [(1,)]
    assert told == ["Athena: queued", "Athena: running"]


def test_after_the_time_out_the_query_is_stopped(athena: Athena, fake: FakeAthena) -> None:
    fake.nasty.endless, athena.timeout = True, 0.2
    with pytest.raises(PfsquidError, match=r"within 0\.2 seconds") as caught:
        athena.run("SELECT 1 AS n")
    assert states(fake) == ["CANCELLED"]
    assert any(step.startswith("--timeout") for step in caught.value.next)


def test_ctrl_c_stops_the_query(athena: Athena, fake: FakeAthena) -> None:
    fake.nasty.endless = True

    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    athena.tell = interrupt
    with pytest.raises(KeyboardInterrupt):
        athena.run("SELECT 1 AS n")
    assert states(fake) == ["CANCELLED"]


def test_a_query_whose_beginning_was_not_told_is_stopped_too(
    athena: Athena, fake: FakeAthena, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = Athena._started
    calls: list[str] = []

    def once(self: Athena, sql: str, token: str, until: float) -> str:
        identity = started(self, sql, token, until)
        calls.append(token)
        if len(calls) == 1:
            raise KeyboardInterrupt  # Athena has it, we have no answer
        return identity

    monkeypatch.setattr(Athena, "_started", once)
    with pytest.raises(KeyboardInterrupt):
        athena.run("SELECT 1 AS n")
    assert (len(set(calls)), states(fake)) == (1, ["CANCELLED"])


def test_an_answer_that_is_lost_does_not_start_it_twice(athena: Athena, fake: FakeAthena) -> None:
    fake.nasty.deaf = 2
    assert list(athena.run("SELECT 1 AS n").rows) == [(1,)]
    assert len(fake.queries) == 1


def test_throttling_is_waited_out(athena: Athena, fake: FakeAthena) -> None:
    fake.nasty.throttle = 4
    assert list(athena.run("SELECT 1 AS n").rows) == [(1,)]


def test_throttling_without_end_is_told(athena: Athena, fake: FakeAthena) -> None:
    fake.nasty.throttle, athena.timeout = 10_000, 0.01
    with pytest.raises(PfsquidError, match="Rate exceeded"):
        athena.group()


@pytest.mark.parametrize(
    ("reason", "told", "step"),
    [
        ("SYNTAX_ERROR: line 1:8: mismatched input", "does not take the SQL", "pfsquid query --sql"),
        ("TABLE_NOT_FOUND: line 1:15: Table 'x.pfsquid.hosts' does not exist", "does not find", "pfsquid lake publish"),
        ("Query exhausted resources at this scale factor", "more than Athena gives", "since=7d"),
        ("Access Denied (Service: Amazon S3; Status Code: 403)", "may not read", "aws sts get-caller-identity"),
        ("ICEBERG_CANNOT_OPEN_SPLIT: NoSuchKey: the key does not exist", "a file of the lake went", "the same again"),
        ("Rate exceeded: slow down", "asked too much", "pfsquid query"),
        ("GENERIC_INTERNAL_ERROR: something", "GENERIC_INTERNAL_ERROR", "aws athena get-query-execution"),
        ("", "gives no reason", "aws athena get-query-execution"),
    ],
)
def test_a_failure_says_what_to_do(athena: Athena, fake: FakeAthena, reason: str, told: str, step: str) -> None:
    fake.nasty.reason = reason or " "
    with pytest.raises(PfsquidError, match=told) as caught:
        athena.run("SELECT 1 AS n")
    assert caught.value.next[0].startswith(step)
    assert "StopQueryExecution" not in fake.asked


def test_more_bytes_than_the_workgroup_allows_is_told_as_that() -> None:
    found = failure("CANCELLED", "Bytes scanned limit was exceeded", "id")
    assert "more than the workgroup allows" in found.message and found.next[0].startswith("since=7d")


def test_a_query_that_somebody_cancelled_is_told_as_that() -> None:
    assert "was cancelled in Athena: by hand" in failure("CANCELLED", "by hand", "id").message


@pytest.mark.parametrize(
    ("nasty", "told", "step"),
    [
        (Nasty(output=""), "no place for results", "pfsquid aws deploy"),
        (Nasty(state="DISABLED"), "switched off", "aws athena update-work-group"),
        (Nasty(refuse={"GetWorkGroup": ("AccessDeniedException", "not authorized")}), "no access", "aws sts"),
    ],
)
def test_a_workgroup_that_cannot_be_used_says_how(
    athena: Athena, fake: FakeAthena, nasty: Nasty, told: str, step: str
) -> None:
    fake.nasty = nasty
    with pytest.raises(PfsquidError, match=told) as caught:
        ask(athena, Asked("SELECT 1 AS n", 0, True))
    assert caught.value.next[0].startswith(step)
    assert "StartQueryExecution" not in fake.asked


def test_athena_may_keep_the_results_itself(athena: Athena, fake: FakeAthena) -> None:
    fake.nasty = Nasty(output="", managed=True)
    assert athena.group().output == ""


def test_a_workgroup_that_is_not_there_says_deploy(athena: Athena) -> None:
    athena.workgroup = "other"
    with pytest.raises(PfsquidError, match="no workgroup other") as caught:
        athena.group()
    assert caught.value.next[0] == "pfsquid aws deploy"


def test_what_surely_reads_too_much_is_not_sent(athena: Athena, fake: FakeAthena) -> None:
    fake.nasty.cutoff = 10_000_000
    with pytest.raises(PfsquidError, match=r"12\.0 MB .* allows 10\.0 MB") as caught:
        ask(athena, Asked("SELECT 1 AS n", 12_000_000, True))
    assert caught.value.next[0].startswith("since=7d")
    assert "StartQueryExecution" not in fake.asked


def test_what_may_read_too_much_is_sent_with_a_word(athena: Athena, fake: FakeAthena) -> None:
    fake.nasty.cutoff = 10_000_000
    told: list[str] = []
    athena.tell = told.append
    assert list(ask(athena, Asked("SELECT 1 AS n", 12_000_000, False)).rows) == [(1,)]
    assert any("may read too much" in line for line in told)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1; SELECT 2", "SELECT 1; DROP TABLE proxy", "DROP TABLE proxy", "DELETE FROM proxy", "VACUUM proxy",
        "INSERT INTO proxy SELECT * FROM proxy", "CREATE TABLE x AS SELECT 1 AS n", "OPTIMIZE proxy REWRITE DATA",
        "UNLOAD (SELECT 1) TO 's3://b/x' WITH (format='JSON')", "PREPARE x FROM SELECT 1", "SHOW TABLES", "",
        "MERGE INTO a USING b ON a.x = b.x WHEN MATCHED THEN DELETE", "MSCK REPAIR TABLE proxy", "SELECT (1",
        "ALTER TABLE proxy SET TBLPROPERTIES ('x' = 'y')", "EXPLAIN SELECT 1", "UPDATE proxy SET host = 'x'",
        "CREATE VIEW v AS SELECT 1 AS n", "WITH a AS (SELECT 1) INSERT INTO b SELECT * FROM a",
    ],
)  # fmt: skip
def test_nothing_but_one_select_is_sent(athena: Athena, fake: FakeAthena, sql: str) -> None:
    with pytest.raises(WrongUse):
        athena.run(sql)
    assert fake.asked == []


def test_sql_longer_than_athena_takes_is_refused_here() -> None:
    with pytest.raises(WrongUse, match="longer than Athena takes"):
        check(f"SELECT '{'ä' * (LONGEST // 2)}' AS a")


@pytest.mark.parametrize(
    "sql", ["SELECT 1", "WITH a AS (SELECT 1 AS n) SELECT n FROM a", "SELECT 1 UNION SELECT 2", "(SELECT 1)"]
)
def test_a_select_of_any_shape_passes(sql: str) -> None:
    check(sql)


def test_many_threads_may_ask_at_once(athena: Athena, fake: FakeAthena) -> None:
    found: list[Any] = []
    ones = [threading.Thread(target=lambda n=n: found.extend(athena.run(f"SELECT {n} AS n").rows)) for n in range(4)]
    for one in ones:
        one.start()
    for one in ones:
        one.join()
    assert sorted(found) == [(0,), (1,), (2,), (3,)]
    assert len(fake.queries) == 4


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("varchar", "", ""),
        ("varchar", None, None),
        ("bigint", "-9223372036854775808", -(2**63)),
        ("integer", "7", 7),
        ("double", "1.5E10", 1.5e10),
        ("double", "-Infinity", float("-inf")),
        ("boolean", "true", True),
        ("boolean", "false", False),
        ("decimal", "1.50", 1.5),
        ("decimal", "12345678901234567890", 12345678901234567890),
        ("date", "2026-11-03", date(2026, 11, 3)),
        ("date", "10000-01-01", "10000-01-01"),
        ("timestamp", "2026-11-03 16:00:00.000", datetime(2026, 11, 3, 16)),
        ("timestamp with time zone", "2026-11-03 16:00:00.000001 UTC", datetime(2026, 11, 3, 16, 0, 0, 1, UTC)),
        ("timestamp with time zone", "2026-11-03 16:00:00.000 Europe/Berlin", datetime(2026, 11, 3, 15, tzinfo=UTC)),
        ("timestamp with time zone", "2026-11-03 16:00:00 +02:00", datetime(2026, 11, 3, 14, tzinfo=UTC)),
        ("timestamp with time zone", "+12000-01-01 00:00:00.000 UTC", "+12000-01-01 00:00:00.000 UTC"),
        ("varbinary", "de ad be ef", b"\xde\xad\xbe\xef"),
        ("array", "[1, 2]", "[1, 2]"),
        ("map", "{a=1}", "{a=1}"),
    ],
)
def test_a_value_comes_out_as_what_it_is(kind: str, text: str | None, value: Any) -> None:
    cell = {} if text is None else {"VarCharValue": text}
    page = {"ResultSet": {"Rows": [{"Data": [cell]}]}}
    ((found,),) = rows_of(page, [("a", kind)], headed=False)
    assert found == value and (value is None or kind == "decimal" or type(found) is type(value))


def test_credentials_that_are_missing_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(PfsquidError) as caught:
        Athena(Cloud("eu-central-1"), "pfsquid", "pfsquid").group()
    assert caught.value.exit_code is ExitCode.FAILED and caught.value.next
