"""Through Athena as through DuckDB: every question with all sets of parameters gives the same rows and types."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pfsquid.cloud import Cloud
from pfsquid.discovery.answer import answer, answer_sql, knowledge
from pfsquid.discovery.ask import questions
from pfsquid.discovery.athena import Athena
from pfsquid.discovery.athena_answer import Streamed, ask, prepare, prepare_sql
from pfsquid.discovery.duck import Knowledge
from pfsquid.discovery.publish import publish
from pfsquid.errors import PfsquidError, WrongUse
from pfsquid.lake.care import compact
from pfsquid.lake.catalog import Lake, open_lake
from pfsquid.lake.collect import collect_entra, collect_squid
from pfsquid.settings_care import CareSettings
from tests.discovery.conftest import TRAFFIC, collected, write_log, write_sign_ins
from tests.discovery.fake_athena import FakeAthena, asking, serving

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOSTILE = "2026-11-04T08:00:00 o'ne\"il--;?@LAB.LOCAL TCP_TUNNEL/200 5 6 CONNECT www.dropbox.com:443\n"
LATE = "2026-11-02T10:00:00 rick.sanchez@LAB.LOCAL TCP_TUNNEL/200 3 4 CONNECT acme.slack.com:443\n"
TIMES = (
    (),
    ("since=2026-11-03",),
    ("since=2026-11-02T08:00:01", "until=2026-11-03T13:20"),
    ("since=2026-11-02T23:59:59.999001",),
    ("until=2026-11-02",),
    ("since=2027-01-01",),
)
WHO = ((), ("app=dropbox",), ("app=Slack",), ("person=rick.sanchez",), ("app=dropbox", "person=o'ne\"il--;?@LAB.LOCAL"))
CASES = (*TIMES, *WHO[1:], (*TIMES[2], *WHO[1]))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, known: Knowledge) -> Lake:
    """TRAFFIC, of which days are counted, one has grown since, one was never counted; sign-ins; and all published."""
    folder = tmp_path_factory.mktemp("athena")
    lake = open_lake(folder / "lake", make=True)
    collected(collect_squid(lake, [write_log(folder / "a.log", TRAFFIC)], "pfsquid", None, lambda *_: None))
    collected(collect_entra(lake, [write_sign_ins(folder / "s.json")], lambda *_: None))
    compact(lake, CareSettings(), NOW)
    for number, lines in enumerate((LATE, HOSTILE)):
        log = write_log(folder / f"{number}.log", lines)
        collected(collect_squid(lake, [log], "pfsquid", None, lambda *_: None))
    publish(lake, known, NOW)
    return lake


@pytest.fixture(scope="module")
def fake(published: Lake) -> Iterator[FakeAthena]:
    with serving(FakeAthena(published)) as one:
        yield one


@pytest.fixture
def athena(fake: FakeAthena, monkeypatch: pytest.MonkeyPatch) -> Athena:
    return asking(fake, monkeypatch, timeout=30)


def asked(athena: Athena, lake: Lake, known: Knowledge, name: str, given: tuple[str, ...]) -> Streamed:
    return ask(athena, prepare(lake, known, name, given, NOW))


@pytest.mark.parametrize("given", CASES, ids=" ".join)
@pytest.mark.parametrize("name", questions())
def test_a_question_has_the_same_answer(
    athena: Athena, published: Lake, known: Knowledge, name: str, given: tuple[str, ...]
) -> None:
    given = tuple(one for one in given if one.partition("=")[0] in questions()[name].parameters)
    here = answer(published, known, name, given, NOW)
    there = asked(athena, published, known, name, given)
    rows = list(there.rows)
    assert there.columns == here.columns
    assert rows == here.rows
    assert [[type(value) for value in row] for row in rows] == [[type(value) for value in row] for row in here.rows]


def test_the_days_that_are_not_counted_are_read_from_the_rows_and_the_others_are_not(
    published: Lake, known: Knowledge
) -> None:
    sql = prepare(published, known, "apps", (), NOW).sql
    assert "day < CAST('2026-11-02' AS DATE)" in sql and "day >= CAST('2026-11-03' AS DATE)" in sql
    assert "ts >= CAST('2026-11-02 00:00:00.000000 UTC' AS TIMESTAMP(6) WITH TIME ZONE)" in sql


SAME = """
SELECT count(*) AS n FROM proxy
SELECT ts, user_name, bytes_up, status FROM proxy ORDER BY ts, user_name, url
SELECT host, count(*) AS n, min(ts) AS first FROM proxy GROUP BY host ORDER BY host
SELECT CAST(max(ts) AS date) AS day, CAST(1.5 AS double) AS half, true AS yes FROM proxy
SELECT '' AS empty, CAST(NULL AS varchar) AS nothing, 'a''b\\c"?;--' AS odd
SELECT p.user_name, people.display_name FROM principals p JOIN people ON people.person_id = p.person_id ORDER BY 1
"""


@pytest.mark.parametrize("sql", SAME.strip().splitlines())
def test_sql_of_ones_own_has_the_same_answer(athena: Athena, published: Lake, known: Knowledge, sql: str) -> None:
    here, there = answer_sql(published, known, sql), ask(athena, prepare_sql(published, known, sql))
    assert (there.columns, list(there.rows)) == (here.columns, here.rows)


@pytest.mark.parametrize("page", [1, 2, 7, 1000])
def test_an_answer_of_many_pages_is_whole_and_in_order(
    athena: Athena, fake: FakeAthena, published: Lake, known: Knowledge, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake.nasty, "page", page)
    sql = "SELECT ts, url, user_name FROM proxy ORDER BY ts, url, user_name"
    assert list(ask(athena, prepare_sql(published, known, sql)).rows) == answer_sql(published, known, sql).rows


def test_pages_are_asked_for_as_rows_are_taken(
    athena: Athena, fake: FakeAthena, published: Lake, known: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake.nasty, "page", 5)
    fake.asked.clear()
    rows = ask(athena, prepare_sql(published, known, "SELECT ts FROM proxy")).rows
    next(rows)
    assert fake.asked.count("GetQueryResults") == 1
    assert len(list(rows)) == 19
    assert fake.asked.count("GetQueryResults") == 5


def test_a_row_of_data_that_looks_like_the_header_is_a_row(athena: Athena, published: Lake, known: Knowledge) -> None:
    asked = prepare_sql(published, known, "SELECT 'a' AS a UNION ALL SELECT 'a' AS a")
    assert list(ask(athena, asked).rows) == [("a",), ("a",)]


def test_what_it_cost_is_told_after_the_rows(athena: Athena, published: Lake, known: Knowledge) -> None:
    told = asked(athena, published, known, "apps", ())
    list(told.rows)
    assert [*told.notes][-1] == "Athena read 12.3 MB ($0.00006) in 1.5 s, of which 0.1 s in the queue"


@pytest.mark.parametrize("name", ["people", "app-signins"])
def test_what_a_reader_must_know_comes_too(athena: Athena, published: Lake, known: Knowledge, name: str) -> None:
    there = asked(athena, published, known, name, ())
    list(there.rows)
    notes = [*there.notes]
    assert answer(published, known, name, (), NOW).notes[0] in notes
    assert any("match nobody" in note for note in notes)


def test_a_time_without_a_log_is_noted(athena: Athena, published: Lake, known: Knowledge) -> None:
    notes = prepare(published, known, "apps", ("since=2027-01-01",), NOW).notes
    assert any("no access log in this time" in note for note in notes)


def test_bytes_up_that_nobody_knows_are_noted(athena: Athena, native_lake: Lake, known: Knowledge) -> None:
    publish(native_lake, known, NOW)
    with serving(FakeAthena(native_lake)) as other:
        one = Athena(Cloud("eu-central-1"), "pfsquid", "pfsquid")
        one._client = one.cloud.client("athena", endpoint_url=other.endpoint)
        there = ask(one, prepare(native_lake, known, "apps", (), NOW))
        assert list(there.rows) == answer(native_lake, known, "apps", (), NOW).rows
        assert any("bytes_up is unknown" in note for note in there.notes)


def test_a_catalogue_of_another_day_is_noted(published: Lake, apps_folder: Path) -> None:
    tagged = knowledge([apps_folder], {}, [], ["slack"], [], {})
    assert any("another catalogue" in note for note in prepare(published, tagged, "apps", (), NOW).notes)


def test_rows_that_came_after_publishing_are_noted(tmp_path: Path, known: Knowledge) -> None:
    lake = open_lake(tmp_path / "lake", make=True)
    collected(collect_squid(lake, [write_log(tmp_path / "a.log", TRAFFIC)], "pfsquid", None, lambda *_: None))
    publish(lake, known, NOW)
    assert prepare(lake, known, "apps", (), NOW).notes == ()
    collected(collect_squid(lake, [write_log(tmp_path / "b.log", LATE)], "pfsquid", None, lambda *_: None))
    assert "first seen after 2026-11-24 12:00 UTC" in prepare(lake, known, "apps", (), NOW).notes[-1]


def test_a_lake_that_was_never_published_says_how(lake: Lake, known: Knowledge) -> None:
    with pytest.raises(PfsquidError) as caught:
        prepare(lake, known, "apps", ())
    assert "pfsquid lake publish" in caught.value.next


@pytest.mark.parametrize(
    ("given", "told"), [("app=dropbx", "did you mean dropbox"), ("person=rik.sanchez", "did you mean rick.sanchez")]
)
def test_a_name_that_nobody_has_is_refused_with_the_nearest(
    published: Lake, known: Knowledge, given: str, told: str
) -> None:
    with pytest.raises(WrongUse, match=told):
        prepare(published, known, "apps", (given,), NOW)
