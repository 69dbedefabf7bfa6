"""A lake that an older pfsquid made goes on: its tables get the columns that have come since, and its rows keep."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from pfsquid.discovery.answer import answer_sql, knowledge
from pfsquid.lake import tables
from pfsquid.lake.catalog import Lake
from pfsquid.lake.collect import collect_squid
from pfsquid.lake.tables import TABLES, TableSpec
from tests.lake.rows import new_lake

LINE = "140245477%d.542    307 192.0.2.1 TCP_MISS/200 1 GET http://a.example/ - HIER_NONE/- -%s\n"
SQL = "SELECT count(*) AS n, max(extra['{X-Odd}>h']) AS odd FROM proxy"


def collected(lake: Lake, log: Path, text: str, name: str) -> None:
    log.write_text(text)
    (report,) = collect_squid(lake, [log], name, None, lambda *_: None)
    assert (report.problem, report.done.rejects) == (None, 0)


@pytest.fixture
def older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A lake with a row, of before the column `extra`."""
    lake = new_lake(tmp_path)
    spec = TABLES["proxy"]
    schema = pa.schema([field for field in spec.arrow if field.name != "extra"])
    before = TableSpec("proxy", schema, spec.by_day, spec.unlike, spec.statistics)
    with monkeypatch.context() as then:
        then.setitem(tables.TABLES, "proxy", before)
        then.setattr("collectors.squid.access_log.PROXY_SCHEMA", schema)
        collected(lake, tmp_path / "a.log", LINE % (1, ""), "squid")
    table = lake.table("proxy")
    assert table is not None
    assert "extra" not in table.schema().column_names
    return lake


def asked(lake: Lake) -> list[tuple[object, ...]]:
    return [tuple(row) for row in answer_sql(lake, knowledge([], {}, [], [], [], {}), SQL).rows]


def test_questions_are_answered_before_anything_is_written(older: Lake) -> None:
    assert asked(older) == [(1, None)]


def test_new_rows_come_beside_the_old_ones(older: Lake, tmp_path: Path) -> None:
    native = "%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt"
    collected(older, tmp_path / "b.log", LINE % (2, " odd"), native + " %{X-Odd}>h")
    assert asked(older) == [(2, "odd")]
    collected(older, tmp_path / "c.log", LINE % (3, ""), "squid")
    assert asked(older) == [(3, "odd")]
