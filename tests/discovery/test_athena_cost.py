"""What a query reads at most is told beforehand: of the days that count, the columns that the SQL names."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from pfsquid.discovery.athena_answer import prepare, prepare_sql
from pfsquid.discovery.athena_cost import dollars, reads, told
from pfsquid.discovery.duck import Knowledge
from pfsquid.discovery.publish import publish
from pfsquid.errors import WrongUse
from pfsquid.lake.care import compact
from pfsquid.lake.catalog import Lake, open_lake
from pfsquid.lake.collect import collect_squid
from pfsquid.lake.days import held
from pfsquid.settings_care import CareSettings
from tests.discovery.conftest import TRAFFIC, collected, write_log

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
TABLES = {"proxy": ("ts", "host", "url"), "usage": ("day", "host"), "hosts": ("host", "kind")}


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory, known: Knowledge) -> Lake:
    """TRAFFIC of two days, each counted, and published."""
    folder = tmp_path_factory.mktemp("cost")
    lake = open_lake(folder / "lake", make=True)
    collected(collect_squid(lake, [write_log(folder / "a.log", TRAFFIC)], "pfsquid", None, lambda *_: None))
    compact(lake, CareSettings(), NOW)
    publish(lake, known, NOW)
    return lake


def whole(lake: Lake, *names: str) -> int:
    return sum(there.size for name in names for there in held(lake.table(name)).values())


@pytest.mark.parametrize(
    ("sql", "tables", "columns"),
    [
        ("SELECT host FROM proxy WHERE ts > current_date", {"proxy": 1}, {"proxy": {"host", "ts"}}),
        ("SELECT count(*) FROM proxy", {"proxy": 1}, {"proxy": set()}),
        ("SELECT * FROM proxy", {"proxy": 1}, {"proxy": {"ts", "host", "url"}}),
        ("SELECT proxy.* FROM proxy", {"proxy": 1}, {"proxy": {"ts", "host", "url"}}),
        ("SELECT a.host FROM proxy a JOIN proxy b ON a.ts = b.ts", {"proxy": 2}, {"proxy": {"host", "ts"}}),
        ("WITH a AS (SELECT host FROM proxy) SELECT * FROM a", {"proxy": 1}, {"proxy": {"host"}}),
        ("WITH a AS (SELECT host FROM proxy) SELECT x.host FROM a x, a y", {"proxy": 2}, {"proxy": {"host"}}),
        ("WITH a AS (SELECT url FROM proxy) SELECT host FROM hosts", {"hosts": 1}, {"hosts": {"host"}}),
        ("WITH proxy AS (SELECT 1 AS n) SELECT n FROM proxy", {}, {}),
        ("SELECT 1 WHERE EXISTS (SELECT day FROM usage)", {"usage": 1}, {"usage": {"day"}}),
        ("SELECT n FROM other", {}, {}),
        ("SELECT 1", {}, {}),
    ],
)
def test_what_is_read_of_which_table(sql: str, tables: dict[str, int], columns: dict[str, set[str]]) -> None:
    found = reads(sql, TABLES)
    assert (dict(found.tables), {name: set(some) for name, some in found.columns.items()}) == (tables, columns)


def test_ten_megabytes_are_paid_for_at_least() -> None:
    assert (dollars(0), dollars(10_000_000), dollars(10**12)) == (0.00005, 0.00005, 5.0)


def test_a_cost_is_told_with_as_many_digits_as_it_takes() -> None:
    assert (told(1), told(2 * 10**12)) == ("0.0 MB ($0.00005)", "2,000,000.0 MB ($10.00)")


def test_days_that_are_counted_are_not_read_from_the_rows(counted: Lake, known: Knowledge) -> None:
    most = prepare(counted, known, "apps", (), NOW).size
    assert 0 < most <= whole(counted, "usage", "hosts", "apps", "people", "principals")


def test_only_the_days_that_are_asked_about_count(counted: Lake, known: Knowledge) -> None:
    sizes = [
        prepare(counted, known, "apps", given, NOW).size for given in ((), ("since=2026-11-03",), ("since=2027-01-01",))
    ]
    assert sizes[0] > sizes[1] > sizes[2]


def test_a_part_of_a_day_is_read_from_its_rows(counted: Lake, known: Knowledge) -> None:
    nothing = prepare(counted, known, "apps", ("since=2027-01-01",), NOW).size
    part = prepare(counted, known, "apps", ("since=2026-11-03T00:00:01", "until=2026-11-03"), NOW).size
    day = held(counted.table("proxy"))[date(2026, 11, 3)]
    assert nothing < part <= nothing + day.size


def test_columns_that_are_not_named_are_not_read(counted: Lake, known: Knowledge) -> None:
    host = prepare_sql(counted, known, "SELECT host FROM proxy").size
    both = prepare_sql(counted, known, "SELECT host, url FROM proxy").size
    every = prepare_sql(counted, known, "SELECT * FROM proxy").size
    assert 0 < host < both < every <= whole(counted, "proxy")


def test_a_column_that_is_a_map_counts(counted: Lake, known: Knowledge) -> None:
    assert prepare_sql(counted, known, "SELECT extra FROM proxy").size > 0


def test_a_table_that_has_no_rows_costs_nothing(tmp_path: Path, known: Knowledge) -> None:
    lake = open_lake(tmp_path / "lake", make=True)
    assert prepare_sql(lake, known, "SELECT * FROM proxy").size == 0


def test_sql_that_writes_is_refused_before_anything_is_looked_up(counted: Lake, known: Knowledge) -> None:
    with pytest.raises(WrongUse, match="only one SELECT"):
        prepare_sql(counted, known, "DELETE FROM proxy")
