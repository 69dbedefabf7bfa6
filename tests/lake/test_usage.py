"""The rollup `usage` is what a count of the rows gives, or is known to be stale; kept by commits of one day each."""

from __future__ import annotations

import tempfile
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pfsquid.errors import PfsquidError
from pfsquid.lake import usage as module
from pfsquid.lake.care import care, clear, compact
from pfsquid.lake.catalog import Lake
from pfsquid.lake.rollup import USAGE_SCHEMA
from pfsquid.lake.tables import TABLES
from pfsquid.lake.usage import count, covered, to_count
from tests.lake.care_rows import EAGER, LATER, append, everything, many, traffic
from tests.lake.rows import MONDAY, new_lake, proxy_rows

DAY = 24 * 60
# Written without the definition of the product: each column by a rule of its own.
BY_HAND = """
SELECT CAST(ts AS date) AS day, firewall, user_name, host,
  count(*) FILTER (used) AS requests, count(*) FILTER (denied) AS denied,
  CAST(sum(CASE WHEN bytes_up < 0 THEN 0 ELSE bytes_up END) FILTER (used) AS bigint) AS bytes_up,
  CAST(sum(CASE WHEN bytes_down < 0 THEN 0 ELSE bytes_down END) FILTER (used) AS bigint) AS bytes_down,
  min(ts) FILTER (used) AS first_use, max(ts) FILTER (used) AS last_use,
  CAST(coalesce(list_sum(list_transform(list_distinct(list(hour(ts)) FILTER (used)), lambda h: 1 << h)), 0) AS int)
    AS hours
FROM (
  SELECT *,
    action IS NOT NULL AND NOT contains(action, 'DENIED') AND status IS DISTINCT FROM 407
      AND (method = 'CONNECT' AND status = 200 AND action IN ('NONE', 'NONE_NONE', 'TAG_NONE')) IS NOT TRUE
      AND NOT (peek_unknown) AS used,
    action IS NOT NULL AND contains(action, 'DENIED') AND status IS DISTINCT FROM 407 AS denied
  FROM (SELECT *, (method IS NULL AND status = 200 AND action IN ('NONE', 'NONE_NONE', 'TAG_NONE'))
    OR (method = 'CONNECT' AND status IS NULL AND action IN ('NONE', 'NONE_NONE', 'TAG_NONE'))
    OR (method IS NULL AND status IS NULL AND action IN ('NONE', 'NONE_NONE', 'TAG_NONE')) AS peek_unknown FROM rows)
)
GROUP BY ALL
"""


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return new_lake(tmp_path)


def by_hand(lake: Lake) -> list[dict[str, Any]]:
    connection = duckdb.connect()
    connection.execute("SET TimeZone='UTC'")
    there = lake.table("proxy")
    connection.register("rows", there.scan().to_arrow() if there else TABLES["proxy"].arrow.empty_table())
    return sorted(connection.sql(BY_HAND).to_arrow_table().cast(USAGE_SCHEMA).to_pylist(), key=repr)


def fresh(lake: Lake) -> bool:
    seen = covered(lake.table("proxy"), lake.table("usage"))
    return not seen.stale and not seen.gone


names = st.sampled_from([None, "", "rick@LAB", "WS1$@LAB", "Zoë"])
row = st.fixed_dictionaries(
    {
        "at": st.integers(0, 3 * DAY),
        "firewall": st.sampled_from([None, "a", "b"]),
        "user_name": names,
        "host": st.sampled_from([None, "x.example", "y.example", "[::1]"]),
        "action": st.sampled_from(
            [None, "TCP_TUNNEL", "TCP_DENIED", "NONE_NONE", "TCP_DENIED_REPLY", "NONE", "TCP_MISS"]
        ),
        "status": st.sampled_from([None, 0, 200, 403, 407]),
        "method": st.sampled_from([None, "GET", "CONNECT"]),
        "bytes_up": st.one_of(st.none(), st.integers(-1, 2**40)),
        "bytes_down": st.one_of(st.none(), st.integers(-1, 2**40)),
    }
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.lists(row, max_size=8)),
        st.tuples(st.just("replace"), st.integers(0, 7)),
        st.tuples(st.just("delete"), names),
        st.tuples(st.sampled_from(["care", "compact", "count", "clear"]), st.none()),
    ),
    max_size=9,
)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.reuse, Phase.generate))
@given(steps)
def test_whatever_happens_the_rollup_is_exact_or_known_to_be_stale(deeds: list[tuple[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lake = new_lake(Path(folder))
        for number, (deed, given_) in enumerate(deeds):
            done(lake, deed, given_, number)
            seen = covered(lake.table("proxy"), lake.table("usage"))
            exact = [one for one in by_hand(lake) if one["day"] in seen.fresh]
            assert [one for one in everything(lake, "usage") if one["day"] in seen.fresh] == exact
        compact(lake, EAGER, LATER)
        assert fresh(lake) and everything(lake, "usage") == by_hand(lake)


def done(lake: Lake, deed: str, given_: Any, number: int) -> None:
    if deed == "append":
        append(lake, traffic(*given_))
    elif deed == "replace" and given_ in {one["source_offset"] for one in everything(lake)}:
        append(
            lake,
            traffic({"source_offset": given_, "action": "TCP_MISS", "user_name": "new"}),
            replaces=given_,
            source="log#1",
        )
    elif deed == "delete" and (table := lake.table("proxy")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # where nothing is deleted
            table.delete(f"user_name = '{given_}'" if given_ else "user_name IS NULL")
    elif deed == "care":
        care(lake, EAGER, LATER)
    elif deed == "compact":
        compact(lake, EAGER, MONDAY)
    elif deed == "clear":
        clear(
            lake,
            EAGER.model_copy(update={"retention": EAGER.retention.model_copy(update={"proxy": 29 * 86400.0})}),
            LATER,
        )
    elif deed == "count":
        for day in to_count(lake, 0, LATER, everything=True)[: 1 + number % 2]:
            count(lake, day)


def test_a_late_row_makes_its_day_stale_and_no_other(lake: Lake) -> None:
    many(lake, 1, days=(0, 1))
    compact(lake, EAGER, LATER)
    append(lake, proxy_rows(9, day=0))
    assert to_count(lake, 0, LATER) == [MONDAY.date()]


def test_a_day_that_left_proxy_leaves_the_rollup(lake: Lake) -> None:
    many(lake, 1, days=(0, 1))
    compact(lake, EAGER, LATER)
    lake.made_table("proxy").delete(f"ts < '{(MONDAY + timedelta(hours=12)).isoformat()}'")
    assert to_count(lake, 0, LATER) == [MONDAY.date()]
    compact(lake, EAGER, LATER)
    assert [one["day"] for one in everything(lake, "usage")] == [(MONDAY + timedelta(days=1)).date()]
    assert [key for key in lake.made_table("usage").properties if key.startswith(module.MARK)] == [
        "pfsquid.usage.2026-11-17"
    ]


def test_rows_that_come_while_a_day_is_counted_leave_it_stale(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    many(lake, 2)
    fill, first = module._fill, iter((True,))

    def while_others_write(*args: Any) -> None:
        fill(*args)
        if next(first, False):
            append(lake, proxy_rows(9))

    monkeypatch.setattr(module, "_fill", while_others_write)
    count(lake, MONDAY.date())
    assert not fresh(lake)
    count(lake, MONDAY.date())
    assert fresh(lake) and everything(lake, "usage") == by_hand(lake)


def test_a_count_that_fails_leaves_no_file_and_the_old_rollup(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    many(lake, 1)
    compact(lake, EAGER, LATER)
    before = everything(lake, "usage")
    append(lake, proxy_rows(9))
    monkeypatch.setattr(
        module, "replace_files", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(PfsquidError, match="no space left"):
        count(lake, MONDAY.date())
    assert everything(lake, "usage") == before
    data = Path(lake.made_table("usage").location().removeprefix("file://")) / "data"
    assert len(list(data.rglob("*.parquet"))) == 1


def test_a_day_without_countable_rows_is_fresh_and_has_rows_of_zeros(lake: Lake) -> None:
    append(lake, traffic({"user_name": "rick", "host": "x", "action": "TCP_DENIED", "status": 407}))
    compact(lake, EAGER, LATER)
    (only,) = everything(lake, "usage")
    assert (only["requests"], only["denied"], only["bytes_up"], only["hours"], fresh(lake)) == (0, 0, None, 0, True)
