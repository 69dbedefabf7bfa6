"""Rivals without a common lock beside the logs: slices of Graph, directories, the care of the lake. Nothing is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from collectors.batch import Batch, Position
from collectors.entra.slices import Piece
from collectors.entra.windows import DAY as ONE_DAY
from pfsquid.errors import PfsquidError
from pfsquid.lake import expire as module
from pfsquid.lake.care import care
from pfsquid.lake.catalog import Lake
from pfsquid.lake.expire import expire
from pfsquid.lake.ingest import POSITION, Ingested, Moved, ingest, positions
from pfsquid.lake.overlap import Stream
from pfsquid.lake.slices import commit
from pfsquid.lake.usage import covered
from pfsquid.lake.windows import ledgers, load, write_table
from pfsquid.settings_care import ExpireSettings
from tests.lake.care_rows import EAGER, LATER
from tests.lake.rivals import apart, at_random, collected, hindered, side_by_side
from tests.lake.rows import batch, held, proxy_rows
from tests.lake.test_slices import DAY, NOW, RULES, TENANT, rows

SLICES = 5
# What is compacted at once stays as long as on any lake that is shared.
SHARED = EAGER.model_copy(update={"expire": module._shared(EAGER.expire)})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    apart(tmp_path / "lake")
    return tmp_path / "lake"


def read(folder: Path, stream: Stream, seed: int) -> None:
    """A collector that reads all slices of a stream that its ledger does not have."""
    lake = apart(folder)
    with hindered(lake, *at_random(seed, 0.15)):
        while True:
            ledger, text = load(lake, stream.table, stream.tenant, stream.name)
            left = [n for n in range(SLICES) if not ledger.covered(DAY + n * 300, DAY + n * 300 + 300)]
            if not left:
                return
            begin = left[0] * 300
            states = {f"{stream.name}{left[0]}.{row}": (float(begin + row), "A") for row in range(3)}
            piece = Piece(DAY + begin, DAY + begin + 300, rows(states, stream.tenant, stream.name), [])
            try:
                commit(lake, stream, piece, text, RULES, NOW)
            except Moved:
                continue
            write_table(lake, NOW)


def test_slices_of_the_same_and_of_other_streams_are_each_there_once(folder: Path) -> None:
    mine, other = Stream("signins", TENANT, "interactive"), Stream("signins", TENANT, "non_interactive")
    raised = side_by_side(*(partial(read, folder, one, seed) for seed, one in enumerate((mine, mine, other))))
    lake = apart(folder)
    assert raised == []
    expected = sorted(f"{one.name}{n}.{row}" for one in (mine, other) for n in range(SLICES) for row in range(3))
    assert held(lake, "signins", "id") == expected
    for ledger in ledgers(lake).values():
        assert sum(one.end - one.start for one in ledger.windows) == SLICES * 300
        assert (sum(one.rows for one in ledger.windows), sum(one.reads for one in ledger.windows)) == (SLICES * 3, 0)
    assert not write_table(lake, NOW), "the table windows says what the ledgers say"


def test_two_who_care_while_two_collect_leave_every_row_and_an_exact_rollup(folder: Path) -> None:
    done = threading.Event()

    def collect(source: str, seed: int) -> None:
        lake = apart(folder)
        with hindered(lake, *at_random(seed, 0.1)):
            collected(lake, source, 12)

    def clean(seed: int) -> None:
        lake = apart(folder)
        with hindered(lake, *at_random(seed, 0.1)):
            while not done.is_set():
                care(lake, SHARED, datetime.now(UTC))

    def both() -> None:
        try:
            assert side_by_side(partial(collect, "a", 1), partial(collect, "b", 2)) == []
        finally:
            done.set()

    assert side_by_side(both, partial(clean, 3), partial(clean, 4)) == []
    lake = apart(folder)
    with lake.caring():
        care(lake, EAGER, LATER)
    expected = sorted((one, number * 4 + row) for one in "ab" for number in range(12) for row in range(3))
    assert held(lake, "proxy", "source", "source_offset") == expected
    assert covered(lake.table("proxy"), lake.table("usage")).stale == ()
    assert len(held(lake, "usage", "day")) == 1


def test_the_same_sign_ins_from_two_machines_are_there_once_in_the_newest_state(folder: Path) -> None:
    def bring(state: str, seed: int) -> None:
        lake = apart(folder)
        with hindered(lake, *at_random(seed, 0.2)):
            for number in range(4):
                table = rows({f"{number}.{row}": (row, state) for row in range(3)}, tenant=None)
                ingest(lake, [Batch("signins", table, f"{state}.json", Position(9), key="id")], Ingested())

    assert side_by_side(partial(bring, "A", 1), partial(bring, "A", 2), partial(bring, "A", 3)) == []
    assert held(apart(folder), "signins", "id") == sorted(f"{n}.{row}" for n in range(4) for row in range(3))


def test_a_position_that_a_collector_brings_further_meanwhile_is_not_forgotten(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, now = apart(folder), datetime.now(UTC)
    old = (now - timedelta(days=500)).isoformat()
    ingest(lake, [batch(proxy_rows(0), 1, read_at=old)], Ingested())
    real = module.expiry

    def then_read(*given: object) -> object:
        found = real(*given)  # type: ignore[arg-type]
        assert found.positions == (f"{POSITION}access.log#1",)
        ingest(apart(folder), [batch(proxy_rows(1), 2, read_at=now.isoformat())], Ingested())
        return found

    monkeypatch.setattr(module, "expiry", then_read)
    expire(lake, "proxy", ExpireSettings(positions=400 * ONE_DAY), now)
    assert positions(lake, "proxy")["access.log#1"].offset == 2


def test_one_forgotten_between_reading_and_commit_is_moved_or_kept_but_never_doubled(folder: Path) -> None:
    lake, now = apart(folder), datetime.now(UTC)
    ingest(lake, [batch(proxy_rows(0), 1, read_at=(now - timedelta(days=500)).isoformat())], Ingested())
    known = positions(lake, "proxy")
    expire(apart(folder), "proxy", ExpireSettings(positions=400 * ONE_DAY), now)
    with pytest.raises(Moved):
        ingest(lake, [batch(proxy_rows(1), 2)], Ingested(), known=known)
    assert held(lake, "proxy", "source_offset") == [0]


def test_of_a_shared_lake_nothing_goes_that_a_commit_under_way_may_need() -> None:
    shared = module._shared(ExpireSettings(snapshots=0.0, orphans=60.0))
    assert (shared.snapshots, shared.orphans) == (600.0, 6 * 3600.0)
    own = ExpireSettings(snapshots=7200.0, orphans=30 * 86400.0)
    assert module._shared(own) == own


def _lakes(folder: Path) -> list[Callable[[], Lake]]:
    return [partial(apart, folder)] * 4


def test_a_lake_is_made_by_many_at_once(tmp_path: Path) -> None:
    tables: list[object] = []

    def begin(make: Callable[[], Lake], number: int) -> None:
        lake = make()
        ingest(lake, [batch(proxy_rows(number), 1, source=f"log{number}")], Ingested())
        tables.append(lake.made_table("proxy").metadata.table_uuid)

    makers = _lakes(tmp_path / "new")
    assert side_by_side(*(partial(begin, make, number) for number, make in enumerate(makers))) == []
    assert len(set(tables)) == 1
    assert held(makers[0](), "proxy", "source_offset") == [0, 1, 2, 3]


def test_what_is_wrong_with_a_lake_is_still_told_in_words(folder: Path) -> None:
    lake = apart(folder)

    def full() -> None:
        raise OSError(28, "No space left on device")

    with hindered(lake, full, lambda: None), pytest.raises(PfsquidError, match="no space left"):
        ingest(lake, [batch(proxy_rows(0), 1)], Ingested())
