"""Data files: one a day, with what Iceberg needs to leave out those that a question does not touch."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.expressions import GreaterThanOrEqual
from pyiceberg.table import Table

from pfsquid.lake.files import DataFiles, write_data_files
from pfsquid.lake.ingest import Ingested, ingest
from pfsquid.lake.tables import TABLES
from tests.lake.rows import MONDAY, batch, held, new_lake, proxy_rows

SPEC = TABLES["proxy"]


@pytest.fixture
def proxy(tmp_path: Path) -> Table:
    return new_lake(tmp_path).made_table("proxy")


def data_files(table: Table) -> list[Path]:
    return list(Path(table.location()).rglob("*.parquet"))


def test_rows_of_several_days_become_one_file_a_day(proxy: Table) -> None:
    rows = pa.concat_tables([proxy_rows(0, 10), proxy_rows(20, day=1), proxy_rows(30, 40, 50, day=2)])
    files = write_data_files(proxy, SPEC, rows)
    assert [(file.partition[0], file.record_count) for file in files] == [
        (20773, 2),  # days since 1970: 2026-11-16
        (20774, 1),
        (20775, 3),
    ]


def test_batches_of_a_day_share_a_file(proxy: Table) -> None:
    files = DataFiles(proxy, SPEC)
    for offset in range(5):
        files.add(proxy_rows(offset))
    assert [file.record_count for file in files.finish()] == [5]


def test_days_are_utc_days(proxy: Table) -> None:
    late = MONDAY.replace(hour=23, minute=59, second=59, microsecond=999_999)
    rows = pa.concat_tables([proxy_rows(0, ts=late), proxy_rows(1, ts=late + timedelta(microseconds=1))])
    assert len(write_data_files(proxy, SPEC, rows)) == 2


def test_no_rows_make_no_file(proxy: Table) -> None:
    assert (write_data_files(proxy, SPEC, proxy_rows()), data_files(proxy)) == ([], [])


def test_a_file_bears_icebergs_field_numbers(proxy: Table) -> None:
    write_data_files(proxy, SPEC, proxy_rows(0))
    schema = pq.read_schema(data_files(proxy)[0])
    assert [int(field.metadata[b"PARQUET:field_id"]) for field in schema] == list(range(1, len(SPEC.arrow) + 1))


def test_a_file_keeps_the_bounds_of_its_offsets(proxy: Table) -> None:
    (file,) = write_data_files(proxy, SPEC, proxy_rows(7, 3, 5))
    number = SPEC.arrow.get_field_index("source_offset") + 1
    assert [int.from_bytes(bound[number], "little") for bound in (file.lower_bounds, file.upper_bounds)] == [3, 7]


def test_a_question_about_some_days_reads_their_files_only(tmp_path: Path) -> None:
    lake = new_lake(tmp_path)
    week = pa.concat_tables([proxy_rows(day, day=day) for day in range(7)])
    ingest(lake, [batch(week, 100)], Ingested())
    table = lake.table("proxy")
    assert table is not None
    since = (MONDAY + timedelta(days=5)).replace(hour=0).isoformat()
    assert [len(list(scan.plan_files())) for scan in (table.scan(), table.scan(GreaterThanOrEqual("ts", since)))] == [
        7,
        2,
    ]


def test_texts_that_repeat_are_read_back_as_they_were(tmp_path: Path) -> None:
    lake = new_lake(tmp_path)
    rows = proxy_rows(*range(4))
    names = pa.array(["rick", None, "morty", "rick"]).dictionary_encode()
    rows = rows.set_column(rows.schema.get_field_index("user_name"), "user_name", names)
    more = proxy_rows(4, user_name="summer")
    ingest(lake, [batch(rows, 50), batch(more, 60)], Ingested())
    told = dict(held(lake, "proxy", "source_offset", "user_name"))
    assert told == {0: "rick", 1: None, 2: "morty", 3: "rick", 4: "summer"}


def test_what_is_abandoned_leaves_no_file(proxy: Table) -> None:
    files = DataFiles(proxy, SPEC)
    files.add(proxy_rows(0))
    files.abandon()
    assert data_files(proxy) == []


def test_a_write_that_fails_leaves_no_file(proxy: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with pytest.raises(OSError, match="No space"):
        write_data_files(proxy, SPEC, proxy_rows(0))
    assert data_files(proxy) == []


def test_the_partition_is_the_day(proxy: Table) -> None:
    (field,) = proxy.spec().fields
    (file,) = write_data_files(proxy, SPEC, proxy_rows(0, day=3))
    assert (field.name, date(1970, 1, 1) + timedelta(days=file.partition[0])) == ("ts_day", date(2026, 11, 19))
