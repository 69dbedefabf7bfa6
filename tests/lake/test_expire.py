"""What nobody reads goes; what a snapshot names, a commit under way may name, or nobody dated, stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from collectors.batch import Position
from pfsquid.lake import expire as module
from pfsquid.lake.care import care, clear, compact, plan_clear
from pfsquid.lake.catalog import Lake
from pfsquid.lake.days import path_of
from pfsquid.lake.engine import engine
from pfsquid.lake.expire import expire, expiry
from pfsquid.lake.files import DataFiles
from pfsquid.lake.ingest import POSITION, positions
from pfsquid.lake.tables import TABLES
from pfsquid.lake.tidy import old_snapshots
from pfsquid.settings_care import CareSettings, ExpireSettings
from tests.lake.care_rows import EAGER, LATER, age, append, everything, many, now, on_disk
from tests.lake.rows import MONDAY, new_lake, proxy_rows, snapshots

HOUR = 3600.0
DAY = 24 * HOUR


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return new_lake(tmp_path)


def settings(**expire: float) -> ExpireSettings:
    return ExpireSettings(**{"snapshots": HOUR, "orphans": DAY, "positions": 400 * DAY, **expire})


def named(lake: Lake, table: str = "proxy") -> set[str]:
    """Every file that some snapshot of the table names, read by pyiceberg alone."""
    there = lake.made_table(table)
    files = {path_of(there.metadata_location), *(path_of(one.metadata_file) for one in there.metadata.metadata_log)}
    for snapshot in there.snapshots():
        files.add(path_of(snapshot.manifest_list))
        files.update(path_of(one.manifest_path) for one in snapshot.manifests(there.io))
        files.update(path_of(task.file) for task in there.scan(snapshot_id=snapshot.snapshot_id).plan_files())
    return files


def test_only_the_newest_state_is_left_and_no_file_but_its_own(lake: Lake) -> None:
    many(lake, 4)
    compact(lake, EAGER, LATER)
    before = everything(lake)
    age(lake, DAY)
    care(lake, EAGER, LATER)
    assert (snapshots(lake, "proxy"), everything(lake)) == (1, before)
    assert on_disk(lake) == named(lake)
    assert len([path for path in on_disk(lake) if path.endswith(".parquet")]) == 1


def test_what_was_the_newest_state_within_the_time_stays(lake: Lake) -> None:
    many(lake, 3)
    soon = now() + timedelta(seconds=HOUR - 60)
    assert not expiry(lake, "proxy", settings(), soon)
    old = expiry(lake, "proxy", settings(), now() + timedelta(hours=2))
    assert len(old.snapshots) == 2


def test_a_state_that_was_the_newest_for_long_stays_for_its_time_after_it_was_followed(lake: Lake) -> None:
    """Whoever began to read it just before the new one came reads on."""
    many(lake, 1)
    table = lake.made_table("proxy")
    (first,) = table.snapshots()
    later = datetime.fromtimestamp(first.timestamp_ms / 1000, UTC) + timedelta(days=3)
    many(lake, 1)
    table.refresh()
    follower = table.snapshots()[1]
    moved = [first, follower.model_copy(update={"timestamp_ms": int(later.timestamp() * 1000)})]
    table.metadata = table.metadata.model_copy(update={"snapshots": moved})
    assert old_snapshots(table, later - timedelta(seconds=1)) == []
    assert old_snapshots(table, later + timedelta(seconds=1)) == [first]


def test_files_of_a_commit_under_way_stay_and_those_of_a_killed_one_go(lake: Lake) -> None:
    many(lake, 1)
    table = lake.made_table("proxy")
    files = DataFiles(table, TABLES["proxy"])
    files.add(proxy_rows(5))
    (under_way,) = [path for path in on_disk(lake) if path not in named(lake)]
    expire(lake, "proxy", settings(), now() + timedelta(hours=23))
    assert Path(under_way).exists()
    expire(lake, "proxy", settings(), now() + timedelta(hours=25))
    assert not Path(under_way).exists()
    files.abandon()


def test_a_file_that_is_committed_while_it_is_looked_at_stays(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    many(lake, 1)
    real, first = module.expiry, iter((True,))

    def then_commit(*args: Any) -> Any:
        found = real(*args)
        if next(first, False):
            append(lake, proxy_rows(7), 8)
            new = on_disk(lake) - on_disk_before
            found = replace(found, files=tuple(new))
        return found

    on_disk_before = on_disk(lake)
    monkeypatch.setattr(module, "expiry", then_commit)
    expire(lake, "proxy", settings(), now())
    assert [row["source_offset"] for row in everything(lake)] == [0, 7]


def test_nothing_a_snapshot_names_ever_goes(lake: Lake) -> None:
    for step in range(5):
        many(lake, 2, days=(0, step % 3))
        (compact if step % 2 else care)(lake, EAGER, LATER)
        expire(lake, "proxy", settings(snapshots=0.0, orphans=60.0), now() + timedelta(days=step % 2))
        assert named(lake) <= on_disk(lake)
        everything(lake)


def test_the_plan_is_what_is_done_and_touches_nothing(lake: Lake) -> None:
    many(lake, 4)
    compact(lake, EAGER, LATER)
    paths = {name: on_disk(lake, name) for name in ("proxy", "usage")}
    plan = plan_clear(lake, EAGER, LATER)
    assert {name: on_disk(lake, name) for name in paths} == paths
    done = clear(lake, EAGER, LATER)
    assert [(d.table, d.deed) for d in done.deeds] == [(d.table, d.deed) for d in plan.deeds]
    assert plan.deeds[0].files == done.deeds[0].files > 0


def position(lake: Lake, source: str, **of: Any) -> None:
    with lake.made_table("proxy").transaction() as tx:
        tx.set_properties({POSITION + source: Position(10, **of).to_json()})


def test_positions_of_logs_not_seen_for_long_go_and_those_that_do_not_say_stay(lake: Lake) -> None:
    many(lake, 1)
    position(lake, "old", read_at=(now() - timedelta(days=401)).isoformat())
    position(lake, "new", read_at=(now() - timedelta(days=399)).isoformat())
    position(lake, "undated")
    expire(lake, "proxy", settings(), now())
    assert positions(lake, "proxy").keys() == {"new", "undated", "access.log#1"}


def test_an_old_position_that_knows_no_time_stays(lake: Lake) -> None:
    many(lake, 1)
    with lake.made_table("proxy").transaction() as tx:
        tx.set_properties({POSITION + "old": '{"offset":10,"head":"","head_bytes":0,"tail":"","unended":null}'})
    expire(lake, "proxy", settings(), now())
    assert "old" in positions(lake, "proxy")


def test_days_past_their_retention_go_from_the_rows_and_the_rollup(lake: Lake) -> None:
    many(lake, 2, days=(0, 1, 2))
    compact(lake, EAGER, LATER)
    keep = CareSettings.model_validate({"retention": {"proxy": "29d"}, "compact": {"quiet": "0s"}})
    known = positions(lake, "proxy")
    clear(lake, keep, LATER)
    days = {row["ts"].date() for row in everything(lake)}
    assert days == {(MONDAY + timedelta(days=n)).date() for n in (1, 2)}
    assert {row["day"] for row in everything(lake, "usage")} == days
    assert positions(lake, "proxy") == known


def test_without_a_retention_nothing_goes(lake: Lake) -> None:
    many(lake, 1)
    clear(lake, CareSettings(), LATER + timedelta(days=10_000))
    assert len(everything(lake)) == 1


def test_hundreds_of_days_go_at_once(lake: Lake) -> None:
    append(lake, pa.concat_tables([proxy_rows(day, day=day) for day in range(70)]), 70)
    keep = CareSettings.model_validate({"retention": {"proxy": "5d"}})
    clear(lake, keep, MONDAY + timedelta(days=70))
    assert len(everything(lake)) == 5


def test_what_a_killed_engine_left_behind_goes(lake: Lake) -> None:
    with engine(lake.folder) as left:
        (left.spill / "x").touch()
        care(lake, EAGER, LATER)
        assert not left.spill.exists()
        left.spill.mkdir()


def test_an_old_lake_without_the_tables_of_today_is_cared_for(lake: Lake) -> None:
    assert not care(lake, EAGER, LATER)
    many(lake, 1)
    assert lake.table("usage") is None
    assert not plan_clear(lake, CareSettings(), now())
