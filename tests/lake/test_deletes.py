"""Rows that another engine deleted by Iceberg's delete files are gone: from answers, rollup and compacted files."""

from __future__ import annotations

import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.manifest import (
    DataFile,
    DataFileContent,
    FileFormat,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
    ManifestWriterV2,
)
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation
from pyiceberg.table.update.snapshot import _FastAppendFiles

from pfsquid.discovery.answer import answer_sql
from pfsquid.discovery.apps import Catalogue
from pfsquid.discovery.duck import Knowledge
from pfsquid.lake.care import compact
from pfsquid.lake.catalog import Lake
from pfsquid.lake.days import held, path_of
from tests.lake.care_rows import EAGER, LATER, append, everything, files
from tests.lake.rows import new_lake, proxy_rows

NOBODY = Knowledge(Catalogue({}, {}))


class _DeletesWriter(ManifestWriterV2):
    def content(self) -> ManifestContent:
        return ManifestContent.DELETES

    @property
    def _meta(self) -> dict[str, str]:
        return {**super()._meta, "content": "deletes"}


class _Delete(_FastAppendFiles):
    """Appends a delete file, which pyiceberg only reads."""

    deletes: DataFile

    def _manifests(self) -> list[ManifestFile]:
        metadata = self._transaction.table_metadata
        writer = _DeletesWriter(
            metadata.spec(), metadata.schema(), self.new_manifest_output(), self._snapshot_id, self._compression
        )
        with writer:
            writer.add(
                ManifestEntry.from_args(
                    status=ManifestEntryStatus.ADDED, snapshot_id=self._snapshot_id, data_file=self.deletes
                )
            )
        return [writer.to_manifest_file(), *self._existing_manifests()]


def delete(table: Table, file: DataFile, *positions: int) -> None:
    """Rows of a data file, by their number in it."""
    path = f"{table.location()}/data/{uuid.uuid4()}-deletes.parquet"
    fields = [
        pa.field("file_path", pa.string(), False, {b"PARQUET:field_id": b"2147483546"}),
        pa.field("pos", pa.int64(), False, {b"PARQUET:field_id": b"2147483545"}),
    ]
    rows = pa.Table.from_arrays([[file.file_path] * len(positions), list(positions)], schema=pa.schema(fields))
    pq.write_table(rows, path_of(path))
    with table.transaction() as tx:
        producer = _Delete(Operation.OVERWRITE, tx, table.io)
        producer.deletes = DataFile.from_args(
            content=DataFileContent.POSITION_DELETES,
            file_path=path,
            file_format=FileFormat.PARQUET,
            partition=file.partition,
            record_count=len(positions),
            file_size_in_bytes=Path(path_of(path)).stat().st_size,
        )
        producer.deletes.spec_id = file.spec_id
        producer.commit()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Two files of one day; a row of the first is deleted, and one of the other day is not."""
    lake = new_lake(tmp_path)
    append(lake, proxy_rows(0, 10, 20, host="a.example", action="TCP_MISS", status=200), 30)
    append(lake, proxy_rows(30, host="a.example", action="TCP_MISS", status=200), 40)
    append(lake, proxy_rows(40, day=1, host="a.example", action="TCP_MISS", status=200), 50)
    compact(lake, EAGER, LATER)
    table = lake.made_table("proxy")
    first = next(iter(held(table).values()))
    delete(table, first.files[0], 1)
    return lake


def offsets(lake: Lake) -> list[int]:
    return sorted(row["source_offset"] for row in everything(lake))


def asked(lake: Lake) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    rows = answer_sql(lake, NOBODY, "SELECT source_offset FROM proxy ORDER BY 1").rows
    return rows, answer_sql(lake, NOBODY, "SELECT CAST(sum(requests) AS bigint) AS n FROM usage").rows


def test_answers_are_without_the_deleted_rows(lake: Lake) -> None:
    assert asked(lake) == ([(number,) for number in offsets(lake)], [(4,)])


def test_compaction_leaves_the_deleted_rows_out_for_good(lake: Lake) -> None:
    before = offsets(lake)
    assert len(before) == 4
    compact(lake, EAGER, LATER)
    (first, second) = held(lake.table("proxy")).values()
    assert (files(lake), first.rows, second.rows, offsets(lake)) == ([1, 1], 3, 1, before)
    assert asked(lake) == ([(number,) for number in before], [(4,)])


def test_what_was_compacted_is_not_compacted_again(lake: Lake) -> None:
    compact(lake, EAGER, LATER)
    assert not compact(lake, EAGER, LATER)
