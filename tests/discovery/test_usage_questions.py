"""Every question gives the same answer from the rollup, from the rows, and from any mixture of the two."""

from __future__ import annotations

import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pfsquid.discovery.answer import answer, answer_sql
from pfsquid.discovery.ask import BEGINNING, END, Spans, question, questions, render, spans
from pfsquid.discovery.duck import Knowledge, Session, session
from pfsquid.lake.care import compact
from pfsquid.lake.catalog import Lake
from pfsquid.lake.collect import collect_entra
from pfsquid.lake.usage import count, to_count
from tests.discovery.conftest import write_sign_ins
from tests.lake.care_rows import EAGER, LATER, append, traffic
from tests.lake.rows import MONDAY, new_lake

HOSTS = ["www.dropbox.com", "acme.slack.com", "files.unheard-of.example", "ad.doubleclick.net", "nas.local", None]
NAMES = ["rick.sanchez@LAB.LOCAL", "morty.smith@LAB.LOCAL", "WS1$@LAB.LOCAL", "stranger@LAB.LOCAL", None]
minutes = st.integers(-1500, 3000)
rows = st.lists(
    st.fixed_dictionaries(
        {
            "at": minutes,
            "firewall": st.sampled_from([None, "a"]),
            "user_name": st.sampled_from(NAMES),
            "host": st.sampled_from(HOSTS),
            "action": st.sampled_from(["TCP_TUNNEL", "TCP_DENIED", "NONE_NONE", "TCP_MISS"]),
            "status": st.sampled_from([None, 200, 403, 407]),
            "method": st.sampled_from(["GET", "CONNECT"]),
            "bytes_up": st.one_of(st.none(), st.integers(-1, 9000)),
            "bytes_down": st.one_of(st.none(), st.integers(-1, 9000)),
        }
    ),
    max_size=25,
)
moments = st.one_of(st.none(), minutes.map(lambda n: MONDAY + timedelta(minutes=n)), st.just(MONDAY.replace(hour=0)))


def from_rows(engine: Session, name: str, since: datetime, until: datetime) -> list[Any]:
    """The answer without the table usage."""
    values = {"since": since, "until": until, "app": None, "person": None}
    return engine.run(render(question(name).sql, values, "duckdb")).rows


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.reuse, Phase.generate))
@given(rows, rows, moments, moments, st.integers(0, 5))
def test_every_question_is_answered_alike(
    known: Knowledge, first: list[Any], late: list[Any], since: datetime | None, until: datetime | None, counted: int
) -> None:
    since, until = since or BEGINNING, until or END
    since, until = (since, until) if since < until else (until, since + timedelta(minutes=1))
    with tempfile.TemporaryDirectory() as folder:
        lake = new_lake(Path(folder))
        collect_entra(lake, [write_sign_ins(Path(folder) / "signins.json")], lambda *_: None)
        append(lake, traffic(*first))
        for day in to_count(lake, 0, LATER, everything=True)[:counted]:
            count(lake, day)
        append(lake, traffic(*late))
        mixed = all_ways(lake, known, since, until, rows_too=True)
        compact(lake, EAGER, LATER)
        assert to_count(lake, 0, LATER) == []
        assert all_ways(lake, known, since, until, rows_too=False) == mixed


def all_ways(lake: Lake, known: Knowledge, since: datetime, until: datetime, rows_too: bool) -> list[Any]:
    """What the rollup answers. rows_too: and the rows alone answer it alike."""
    told = []
    with session(lake, known, since, until) as engine:
        for name in questions():
            given_ = {"since": since, "until": until, "app": None, "person": None, **spans(since, until)}
            told.append(engine.run(render(question(name).sql, given_, "duckdb")).rows)
            assert not rows_too or told[-1] == from_rows(engine, name, since, until), name
        touched = f"CAST(ts AS date) BETWEEN '{since.date()}' AND '{(until - timedelta(microseconds=1)).date()}'"
        for column, table in (("host", "hosts"), ("user_name", "principals")):
            seen = engine.run(f"SELECT {column} FROM {table} ORDER BY 1").rows
            there = f"SELECT DISTINCT {column} FROM proxy WHERE {column} IS NOT NULL AND {touched} ORDER BY 1"
            assert seen == engine.run(there).rows
        told.append(engine.run("SELECT * FROM usage ORDER BY ALL").rows)
    return told


def test_usage_in_sql_of_ones_own_is_exact_and_current(lake: Lake, known: Knowledge) -> None:
    sql = "SELECT sum(requests) AS r, sum(denied) AS d, max(hours) AS h FROM usage WHERE host = 'www.dropbox.com'"
    assert answer_sql(lake, known, sql).rows == [(4, 1, 1 << 12)]


def test_the_rollup_is_read_where_it_is_fresh(tmp_path: Path, known: Knowledge) -> None:
    """A rollup that was tampered with shows in the answer: so it is what was read."""
    lake = new_lake(tmp_path)
    append(lake, traffic({"host": "www.dropbox.com", "action": "TCP_MISS", "status": 200}))
    compact(lake, EAGER, LATER)
    usage = lake.made_table("usage")
    kept = {key: value for key, value in usage.properties.items() if key.startswith("pfsquid.usage.")}
    doubled = usage.scan().to_arrow()
    usage.append(doubled)
    assert kept and answer(lake, known, "apps", []).rows[0][7] == 2
    append(lake, traffic({"host": "www.dropbox.com", "action": "TCP_MISS", "status": 200}))
    assert answer(lake, known, "apps", []).rows[0][7] == 2  # stale now: counted from the two rows


DAY = MONDAY.date()


@pytest.mark.parametrize(
    ("since", "until", "stale", "days", "rows"),
    [
        ((0, 0), (2, 0), [], [(0, 2)], []),
        ((0, 6), (2, 0), [], [(1, 2)], [((0, 6), (1, 0))]),
        ((0, 0), (1, 6), [], [(0, 1)], [((1, 0), (1, 6))]),
        ((0, 6), (0, 7), [], [], [((0, 6), (0, 7))]),
        ((0, 6), (1, 7), [], [], [((0, 6), (1, 7))]),
        ((0, 6), (3, 6), [1], [(2, 3)], [((0, 6), (2, 0)), ((3, 0), (3, 6))]),
        ((0, 0), (3, 0), [1], [(0, 1), (2, 3)], [((1, 0), (2, 0))]),
        ((0, 0), (3, 0), [0, 1, 2], [], [((0, 0), (3, 0))]),
        ((0, 0), (1, 0), [5, -3], [(0, 1)], []),
    ],
)
def test_whole_days_are_read_from_the_rollup_and_the_rest_from_the_rows(
    since: tuple[int, int], until: tuple[int, int], stale: list[int], days: list[Any], rows: list[Any]
) -> None:
    def at(when: tuple[int, int]) -> datetime:
        return datetime(DAY.year, DAY.month, DAY.day, when[1], tzinfo=UTC) + timedelta(days=when[0])

    def on(number: int) -> date:
        return DAY + timedelta(days=number)

    told = spans(at(since), at(until), [on(number) for number in stale])
    assert told["days"] == Spans("day", tuple((on(a), on(b)) for a, b in days))
    covered = told["rows"].spans
    assert _joined(covered) == [(at(a), at(b)) for a, b in rows]


def _joined(covered: Any) -> list[tuple[Any, Any]]:
    """Spans that touch, as one."""
    joined: list[tuple[Any, Any]] = []
    for begin, end in covered:
        if joined and joined[-1][1] == begin:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((begin, end))
    return joined


@pytest.mark.parametrize("name", questions())
def test_a_question_with_stale_days_is_athenas_sql(name: str) -> None:
    import importlib

    since, until = MONDAY, MONDAY + timedelta(days=9)
    values = {
        "since": since,
        "until": until,
        "app": None,
        "person": None,
        **spans(since, until, [DAY + timedelta(days=3)]),
    }
    assert importlib.import_module("trino_query_parser").parse_statement(render(question(name).sql, values, "athena"))
