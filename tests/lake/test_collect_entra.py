"""Files of sign-ins and audits in the lake: one row for each, whatever file it is from; Graph's word counts more."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from collectors.entra import audits, signins
from collectors.entra.slices import Piece
from collectors.entra.windows import Rules
from pfsquid.lake import ingest as module
from pfsquid.lake.catalog import Lake, open_lake
from pfsquid.lake.collect import Report, collect_entra
from pfsquid.lake.files import write_data_files
from pfsquid.lake.slices import Stream, commit
from tests.collectors.entra_shapes import PORTAL, TENANT, audit, five_logs, hub, table
from tests.collectors.graph_records import page, signin
from tests.lake.rows import held

DAY = int(datetime(2026, 11, 20, tzinfo=UTC).timestamp())
NOW = DAY + 86400 * 5


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake", make=True)


def collected(lake: Lake, path: Path, text: str) -> Report:
    path.write_text(text, "utf-8")
    (report,) = collect_entra(lake, [path], lambda *_: None)
    assert report.problem is None
    return report


def from_graph(lake: Lake, *records: dict[str, object], tenant: str = "contoso", start: int = DAY) -> None:
    """A day of interactive sign-ins as read from Graph."""
    rows = [signins.row_of(each, json.dumps(each), tenant, "interactive") for each in records]
    piece = Piece(start, start + 86400, pa.Table.from_pylist(rows, schema=signins.SIGNINS_SCHEMA), [])
    commit(lake, Stream("signins", tenant, "interactive"), piece, None, Rules(), NOW)


def test_a_file_of_both_kinds_fills_both_tables(lake: Lake, tmp_path: Path) -> None:
    report = collected(lake, tmp_path / "hub.json", "\n".join(map(json.dumps, five_logs())))
    assert held(lake, "signins", "id", "tenant") == [(each, TENANT) for each in ("i", "m", "n", "sp")]
    assert held(lake, "audits", "id", "tenant") == [("d", TENANT)]
    assert report.done.rows == 5


def test_what_was_recognised_is_noted(lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    assert collected(lake, path, table(PORTAL)).notes() == [f"{path}: sign-ins as the Entra portal downloads them"]


def test_a_record_of_two_files_is_one_row_in_its_newest_state(lake: Lake, tmp_path: Path) -> None:
    collected(lake, tmp_path / "a.json", page(signin("a1"), signin("a2")))
    report = collected(lake, tmp_path / "b.json", json.dumps(hub("SignInLogs", signin("a1", appDisplayName="later"))))
    assert held(lake, "signins", "id", "app_name") == [("a1", "later"), ("a2", "Dropbox Business")]
    assert (report.done.rows, report.done.replaced) == (1, 1)


def test_an_audit_that_is_there_already_is_not_doubled(lake: Lake, tmp_path: Path) -> None:
    for _ in range(2):
        report = collected(lake, tmp_path / "a.json", json.dumps([audit("x"), audit("y")]))
    assert (held(lake, "audits", "id"), report.done.unchanged) == (["x", "y"], 2)


def test_a_file_does_not_overwrite_what_graph_gave(lake: Lake, tmp_path: Path) -> None:
    from_graph(lake, signin("a1", appDisplayName="of Graph"))
    report = collected(lake, tmp_path / "old.json", page(signin("a1", appDisplayName="old"), signin("a2")))
    assert held(lake, "signins", "id", "app_name", "tenant") == [
        ("a1", "of Graph", "contoso"), ("a2", "Dropbox Business", None)
    ]  # fmt: skip
    assert (report.done.rows, report.done.unchanged, report.done.replaced) == (1, 1, 0)


def test_what_graph_gives_takes_the_place_of_a_files(lake: Lake, tmp_path: Path) -> None:
    collected(lake, tmp_path / "old.json", page(signin("a1", appDisplayName="old"), signin("a2")))
    from_graph(lake, signin("a1", appDisplayName="of Graph"))
    assert held(lake, "signins", "id", "app_name") == [("a1", "of Graph"), ("a2", "Dropbox Business")]


def test_outside_of_what_graph_gave_the_newest_file_counts(lake: Lake, tmp_path: Path) -> None:
    collected(lake, tmp_path / "a.json", page(signin("a1", appDisplayName="first")))
    from_graph(lake, start=DAY + 86400)
    collected(lake, tmp_path / "b.json", page(signin("a1", appDisplayName="second")))
    assert held(lake, "signins", "id", "app_name") == [("a1", "second")]


def test_an_audit_of_graph_stands_as_well(lake: Lake, tmp_path: Path) -> None:
    row = audits.row_of(audit("x", result="success"), "of Graph", "contoso")
    piece = Piece(DAY, DAY + 86400, pa.Table.from_pylist([row], schema=audits.AUDITS_SCHEMA), [])
    commit(lake, Stream("audits", "contoso", "audits"), piece, None, Rules(), NOW)
    collected(lake, tmp_path / "a.json", json.dumps([audit("x", result="failure")]))
    assert held(lake, "audits", "id", "result", "raw") == [("x", "success", "of Graph")]


def test_rejects_of_a_file_that_is_read_again_are_there_once(lake: Lake, tmp_path: Path) -> None:
    text = page(signin("a1"), signin(""), audit("x"), audit(""))
    for _ in range(2):
        collected(lake, tmp_path / "a.json", text)
    assert held(lake, "rejects", "source_offset", "reason") == [
        (text.index('{"id": "", "created'), "a sign-in without id"),
        (text.index('{"id": "", "category'), "an audit without id"),
    ]


def test_a_file_that_was_half_committed_is_completed(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    text = page(signin("a1"), signin(""), audit("x"))

    def once(table: object, spec: object, rows: object) -> object:
        if getattr(spec, "name", "") == "audits":
            raise KeyboardInterrupt
        return write_data_files(table, spec, rows)  # type: ignore[arg-type]

    path.write_text(text, "utf-8")
    monkeypatch.setattr(module, "write_data_files", once)
    with pytest.raises(KeyboardInterrupt):
        collect_entra(lake, [path], lambda *_: None)
    monkeypatch.setattr(module, "write_data_files", write_data_files)
    collected(lake, path, text)
    assert [held(lake, name, "id") for name in ("signins", "audits")] == [["a1"], ["x"]]
    assert len(held(lake, "rejects", "reason")) == 1
