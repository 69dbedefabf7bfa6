"""A lake in S3 is what one in a folder is, whichever catalog it has: same commands, same rows, same care."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from pfsquid.errors import WrongUse
from pfsquid.lake.access import files_below
from pfsquid.lake.care import care, clear, compact
from pfsquid.lake.catalog import Lake, open_lake
from pfsquid.lake.collect import collect_squid
from pfsquid.lake.days import held
from pfsquid.place import Place
from tests.aws.rest_catalog import rest_catalog
from tests.aws.seaweed import Seaweed
from tests.lake.care_rows import EAGER
from tests.running import ACCESS_LOG, SIGN_INS, Pfsquid, Run

LATER = datetime(2026, 12, 24, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "rest", "glue"])
def place(request: pytest.FixtureRequest, as_writer: Seaweed, tmp_path: Path) -> Iterator[Place]:
    """A place for a lake with each catalog."""
    with ExitStack() as stack:
        place = as_writer.place(tmp_path)
        if request.param == "rest":
            place = replace(place, catalog=f"rest:{stack.enter_context(rest_catalog(place, tmp_path / 'rest'))}")
        if request.param == "glue":
            stack.enter_context(mock_aws())
            for name, value in as_writer.env().items():
                stack.enter_context(pytest.MonkeyPatch.context()).setenv(name, value)
            place = replace(place, catalog="glue")
        yield place


def collected(place: Place) -> Lake:
    lake = open_lake(place, make=True)
    (report,) = collect_squid(lake, [ACCESS_LOG], "squid", None, lambda *_: None)
    assert (report.problem, report.done.rows) == (None, 1131)
    return lake


def offsets(lake: Lake) -> list[int]:
    table = lake.table("proxy")
    return sorted(table.scan().to_arrow()["source_offset"].to_pylist()) if table else []


def test_rows_come_once_and_are_compacted_and_cleared(place: Place, seaweed: Seaweed) -> None:
    lake = collected(place)
    before = offsets(lake)
    (again,) = collect_squid(lake, [ACCESS_LOG], "squid", None, lambda *_: None)
    assert (again.done.rows, len(before)) == (0, 1131)
    report = compact(lake, EAGER, LATER)
    assert {(deed.table, deed.deed) for deed in report.deeds} >= {("proxy", "sort"), ("usage", "count")}
    clear(lake, EAGER, LATER)
    assert offsets(lake) == before
    assert not care(lake, EAGER, LATER)
    table = lake.made_table("proxy")
    named = {file.file_path for there in held(table).values() for file in there.files}
    there = {path for path, _ in files_below(table.io, f"{table.location()}/data")}
    assert (there, len(named), len(table.snapshots())) == (named, 5, 1)
    assert all(path.startswith(f"{place.url}/pfsquid.db/proxy/data/") for path in named)
    assert not [key for key in seaweed.keys(place.url) if key.endswith("/")]


def test_two_who_make_a_table_at_the_same_moment_have_the_same_one(place: Place, tmp_path: Path) -> None:
    lakes = [open_lake(replace(place, folder=tmp_path / f"machine{number}"), make=True) for number in range(4)]
    met, uuids = threading.Barrier(len(lakes)), list[Any]()

    def make(lake: Lake) -> None:
        met.wait()
        uuids.append(lake.made_table("signins").metadata.table_uuid)

    threads = [threading.Thread(target=make, args=(lake,)) for lake in lakes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(uuids), len(set(uuids))) == (4, 1)


def test_a_question_to_no_lake_is_wrong_use_and_makes_none(place: Place, seaweed: Seaweed) -> None:
    with pytest.raises(WrongUse, match="there is no lake in s3://"):
        open_lake(place, make=False)
    assert not seaweed.keys(place.url)


def test_a_lake_of_another_prefix_is_not_read_for_this_one(place: Place) -> None:
    collected(place)
    other = open_lake(replace(place, url=place.url + "-2"), make=False)
    with pytest.raises(WrongUse, match="is of another lake") as caught:
        other.table("proxy")
    assert caught.value.next[0] == f"--lake {place.url}"


Program = Callable[..., Run]


@pytest.fixture
def program(seaweed: Seaweed, pfsquid: Pfsquid) -> Program:
    """pfsquid with a configuration of a lake in S3, and a SQLite catalog."""
    aws = {"endpoint": seaweed.endpoint, "catalog": "sqlite:catalog.db", "state": "state"}
    config = {"lake": seaweed.place(pfsquid.folder).url, "aws": aws}
    (pfsquid.folder / "pfsquid.yaml").write_text(json.dumps(config))
    return lambda *words, **more: pfsquid(*words, **{**seaweed.env(), **more})


def test_every_command_works_as_on_a_folder(program: Program, pfsquid: Pfsquid) -> None:
    folder = Pfsquid(pfsquid.folder / "local")
    folder.folder.mkdir()
    for words in (
        ("collect", "squid", "--from", ACCESS_LOG, "--json"),
        ("collect", "squid", "--from", ACCESS_LOG, "--json"),
        ("collect", "entra", "--from", SIGN_INS, "--json"),
        ("query", "app-signins", "--json"),
        ("lake", "compact", "--plan", "--json"),
        ("query", "--json", "--sql", "SELECT count(*) AS n, sum(bytes_down) AS b FROM proxy"),
        ("status",),
    ):
        there, here = program(*words), folder(*words)
        assert (there.status, there.out) == (here.status, here.out), there.err
    for words in (("lake", "compact", "--json"), ("lake", "expire", "--json"), ("query", "apps", "--json")):
        assert (program(*words).status, len(program("query", "apps", "--json").rows)) == (0, 14)
    assert {path.name for path in pfsquid.folder.iterdir()} >= {"catalog.db", "state"}
    assert not (pfsquid.folder / "s3:").exists()


def test_the_place_may_be_named_on_the_command_line(program: Program, seaweed: Seaweed, pfsquid: Pfsquid) -> None:
    url = f"s3://{seaweed.bucket}/named/{pfsquid.folder.name}"
    assert program("collect", "squid", "--lake", url, "--from", ACCESS_LOG).status == 0
    assert len(program("query", "apps", "--lake", f"{url}/", "--json").rows) == 14
    assert seaweed.keys(url)


@pytest.mark.parametrize("wrong", ["s3:/lake/x", "s3://", "s3://Lake/x", "s3://lake/x?y"])
def test_what_is_no_place_in_s3_is_told_and_makes_no_folder(pfsquid: Pfsquid, wrong: str) -> None:
    run = pfsquid("collect", "squid", "--lake", wrong, "--from", ACCESS_LOG)
    assert (run.status, f"{wrong} is no lake: it must be a folder, or s3://BUCKET/PREFIX" in run.err) == (2, True)


def test_a_reader_may_ask_and_is_told_what_he_may_not(program: Program, seaweed: Seaweed) -> None:
    program("collect", "squid", "--from", ACCESS_LOG)
    reader = seaweed.env("reader")
    assert len(program("query", "apps", "--json", **reader).rows) == 14
    run = program("collect", "squid", "--from", SIGN_INS.with_name("pfsquid.log"), "--format", "pfsquid", **reader)
    assert (run.status, "access is denied: s3:PutObject" in run.err) == (1, True), run.err
