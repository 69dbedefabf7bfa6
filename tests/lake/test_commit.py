"""Writers without a common lock lose nothing and double nothing, whatever becomes of their commits and answers."""

from __future__ import annotations

import multiprocessing
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Table

from collectors.batch import Position
from pfsquid.errors import PfsquidError
from pfsquid.lake import commit as module
from pfsquid.lake.catalog import Lake
from pfsquid.lake.commit import Busy, Moved, committed, put_properties, transient
from pfsquid.lake.ingest import Ingested, ingest, positions
from tests.lake.rivals import CutError, apart, collected, hindered, log_from, side_by_side, writer
from tests.lake.rows import batch, held, proxy_rows, snapshots

STEPS = 6


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return apart(tmp_path / "lake")


def rows(lake: Lake) -> list[Any]:
    return held(lake, "proxy", "source", "source_offset")


def whole(*sources: str, steps: int = STEPS) -> list[tuple[str, int]]:
    return sorted((one, number * 4 + row) for one in sources for number in range(steps) for row in range(3))


def told(*sources: str, steps: int = STEPS) -> list[tuple[str, int]]:
    return sorted((one, number * 4 + 3) for one in sources for number in range(steps))


def readable(lake: Lake) -> bool:
    """Every file that any snapshot names is there."""
    for name in ("proxy", "rejects"):
        table = lake.made_table(name)
        for snapshot in table.snapshots():
            table.scan(snapshot_id=snapshot.snapshot_id).to_arrow()
    return True


def setter(key: str, value: str) -> Any:
    def attempt(table: Table) -> None:
        with table.transaction() as tx:
            put_properties(tx, {key: value})

    return attempt


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_writers_of_different_and_of_the_same_logs_bring_each_row_once(tmp_path: Path, seed: int) -> None:
    folder = tmp_path / "lake"
    apart(folder)
    logs = (["a", "same"], ["same", "b"], ["c", "same"])
    raised = side_by_side(*(partial(writer, folder, one, STEPS, seed * 10 + n) for n, one in enumerate(logs)))
    lake = apart(folder)
    assert raised == []
    assert rows(lake) == whole("a", "b", "c", "same")
    assert held(lake, "rejects", "source", "source_offset") == told("a", "b", "c", "same")
    assert {source: one.offset for source, one in positions(lake, "proxy").items()} == dict.fromkeys(
        ("a", "b", "c", "same"), STEPS * 4
    )
    assert readable(lake)


def test_processes_killed_at_any_commit_bring_each_row_once(tmp_path: Path) -> None:
    folder, context = tmp_path / "lake", multiprocessing.get_context("forkserver")
    apart(folder)
    killed, quiet = 0, False
    for number in range(12):
        quiet = number == 11 or killed > 4
        logs = (["a", "same"], ["same", "b"])
        rivals = [
            context.Process(target=writer, args=(folder, one, STEPS, 100 + 2 * number + n, 0.0 if quiet else 0.06))
            for n, one in enumerate(logs)
        ]
        for one in rivals:
            one.start()
        for one in rivals:
            one.join(60)
        assert {one.exitcode for one in rivals} <= {0, -9}
        killed += sum(one.exitcode == -9 for one in rivals)
        if quiet:
            break
    lake = apart(folder)
    assert killed
    assert rows(lake) == whole("a", "b", "same")
    assert held(lake, "rejects", "source", "source_offset") == told("a", "b", "same")


def test_a_commit_whose_answer_got_lost_is_not_made_twice(lake: Lake) -> None:
    lost = iter([CutError(), CutError(), None])

    def lose() -> None:
        if exc := next(lost, None):
            raise exc

    with hindered(lake, lambda: None, lose):
        collected(lake, "a", 1)
    assert (rows(lake), snapshots(lake, "proxy"), readable(lake)) == (whole("a", steps=1), 1, True)


def test_a_commit_said_to_have_failed_that_took_effect_keeps_its_files(lake: Lake) -> None:
    """A client that asks again by itself may be told that its own first try was somebody else's."""
    failed = iter([CommitFailedException("concurrent update")] * 2)

    def fail() -> None:
        if exc := next(failed, None):
            raise exc

    with hindered(lake, lambda: None, fail):
        collected(lake, "a", 1)
    assert (rows(lake), snapshots(lake, "proxy"), readable(lake)) == (whole("a", steps=1), 1, True)


def test_a_commit_that_arrives_late_is_not_joined_by_a_second_one(lake: Lake) -> None:
    """The connection is cut, the table looks as before, and only then the catalog takes the commit."""
    ingest(lake, [batch(proxy_rows(0), 1)], Ingested())
    catalog: Any = lake.catalog
    real, late = catalog.commit_table, list[Any]()

    def commit_table(*given: Any) -> Any:
        if not late:
            late.append(given)
            raise CutError
        if len(late) == 1:
            late.append(real(*late[0]))
        return real(*given)

    catalog.commit_table = commit_table
    ingest(lake, [batch(proxy_rows(1), 2)], Ingested())
    del catalog.commit_table
    assert (held(lake, "proxy", "source_offset"), snapshots(lake, "proxy"), readable(lake)) == ([0, 1], 2, True)


def test_a_source_that_another_brought_further_is_moved_and_nothing_of_it_is_written(lake: Lake) -> None:
    other, known = apart(lake.folder), positions(lake, "proxy")
    collected(other, "a", 2)
    before = set(lake.folder.rglob("*.parquet"))
    with pytest.raises(Moved):
        ingest(lake, log_from(None, "a", 1), Ingested(), known=known)
    assert (rows(lake), set(lake.folder.rglob("*.parquet"))) == (whole("a", steps=2), before)


def test_who_meets_another_after_its_first_try_is_moved_too(lake: Lake) -> None:
    other, first = apart(lake.folder), iter([True])

    def meanwhile() -> None:
        if next(first, False):
            collected(other, "a", 1)

    with hindered(lake, meanwhile, lambda: None):
        assert collected(lake, "a", 1) == 1
    assert rows(lake) == whole("a", steps=1)


@pytest.mark.parametrize(("alike", "moved"), [("1122", True), ("1133", False)])
def test_a_new_log_that_another_knows_by_another_name_is_moved(lake: Lake, alike: str, moved: bool) -> None:
    """A log that was shorter when the other began with it has another name there."""
    known = positions(lake, "proxy")
    there = batch(proxy_rows(0, source="log#1"), 9, source="log#1", head="x", head_bytes=64, marks="1122")
    ingest(apart(lake.folder), [there], Ingested())
    mine = batch(proxy_rows(0, source="log#2"), 99, source="log#2", head="y", head_bytes=128, marks=f"{alike}33")
    try:
        ingest(lake, [mine], Ingested(), known=known)
    except Moved:
        assert moved
    assert len(rows(lake)) == (1 if moved else 2)


def test_of_two_who_set_a_property_from_the_same_state_one_is_told(lake: Lake) -> None:
    lake.made_table("proxy")
    seen, turns = list[str | None](), threading.Barrier(2)

    def add(own: Lake, name: str) -> None:
        met = False

        def attempt(table: Table) -> None:
            nonlocal met
            before = table.properties.get("names")
            seen.append(before)
            if not met:
                met = bool(turns.wait(10) + 1)
            with table.transaction() as tx:
                put_properties(tx, {"names": (before or "") + name})

        committed(own, "proxy", attempt)

    assert side_by_side(*(partial(add, apart(lake.folder), name) for name in "ab")) == []
    assert seen[:2] == [None, None]
    assert sorted(lake.made_table("proxy").properties["names"]) == ["a", "b"]


def test_one_that_fails_for_good_is_raised_at_once(lake: Lake) -> None:
    tries = list[int]()

    def denied() -> None:
        tries.append(1)
        raise PermissionError("AWS Error ACCESS_DENIED during PutObject operation (HTTP status 403)")

    with hindered(lake, denied, lambda: None), pytest.raises(PermissionError):
        committed(lake, "proxy", setter("a", "b"))
    assert len(tries) == 1


def test_after_its_time_a_commit_is_given_up_and_said_to_be_busy(lake: Lake) -> None:
    other, number = apart(lake.folder), iter(range(10_000))

    def always_first() -> None:
        committed(other, "proxy", setter("other", str(next(number))))

    with hindered(lake, always_first, lambda: None), pytest.raises(Busy, match="written to by others all the time"):
        committed(lake, "proxy", setter("a", "b"), seconds=0.3)
    assert "a" not in lake.made_table("proxy").properties


def test_one_whose_fate_stays_unknown_says_so_and_its_files_stay(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.3)
    ingest(lake, [batch(proxy_rows(0), 1)], Ingested())
    catalog: Any = lake.catalog
    real, load, sent = catalog.commit_table, catalog.load_table, list[int]()

    def then_away(*given: Any) -> Any:
        real(*given)
        sent.append(1)
        raise CutError

    def loaded(*given: Any) -> Any:
        if sent:
            raise CutError
        return load(*given)

    catalog.commit_table, catalog.load_table = then_away, loaded
    with pytest.raises(Busy, match="whether it came about"):
        ingest(lake, [batch(proxy_rows(1), 2)], Ingested())
    del catalog.commit_table, catalog.load_table
    assert (held(lake, "proxy", "source_offset"), readable(lake)) == ([0, 1], True)
    assert positions(lake, "proxy")["access.log#1"] == Position(2)


@pytest.mark.parametrize(
    ("exc", "passes"),
    [
        (OSError("AWS Error SLOW_DOWN during PutObject operation (HTTP status 503): Please reduce"), True),
        (OSError("AWS Error UNKNOWN (HTTP status 500) during HeadObject operation"), True),
        (OSError("AWS Error NETWORK_CONNECTION during HeadObject operation: curlCode: 7"), True),
        (OSError("AWS Error ACCESS_DENIED during PutObject operation (HTTP status 403)"), False),
        (OSError("AWS Error NO_SUCH_BUCKET during PutObject operation (HTTP status 404)"), False),
        (OSError("AWS Error REQUEST_TIME_TOO_SKEWED during PutObject operation (HTTP status 403)"), False),
        (OSError(28, "No space left on device"), False),
        (PfsquidError("no access", "step"), False),
        (ValueError("odd"), False),
    ],
    ids=str,
)
def test_what_passes_by_itself_is_told_from_what_does_not(exc: Exception, passes: bool) -> None:
    assert transient(exc) is passes


def test_errors_of_aws_and_of_a_rest_catalog_are_judged_by_what_they_say() -> None:
    from botocore.exceptions import ClientError, EndpointConnectionError
    from requests.exceptions import ConnectTimeout, InvalidURL

    def answer(code: str, status: int) -> ClientError:
        return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "UpdateTable")

    passing = [answer("ThrottlingException", 400), answer("X", 503), EndpointConnectionError(endpoint_url="http://x")]
    lasting = [answer("AccessDeniedException", 400), answer("ExpiredToken", 403), InvalidURL("x")]
    assert all(map(transient, [*passing, ConnectTimeout("x")]))
    assert not any(map(transient, lasting))
