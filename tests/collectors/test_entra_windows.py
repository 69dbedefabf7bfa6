"""The ledger of a stream: whatever is read, in whatever order, it adds up, stays small, and claims nothing unread."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.entra.windows import DAY, HOUR, Ledger, Rules, Status, Window, apart, due

RULES = Rules(settle=900, retention=30 * DAY)
NOW = 1_795_500_000


def read(start: int, end: int, at: int, rows: int = 0, **more: object) -> Window:
    return Window(start, end, Status.COMPLETE, rows, read_at=at, **more)  # type: ignore[arg-type]


def ledger(*windows: Window) -> Ledger:
    found = Ledger()
    for one in windows:
        found = found.put(one, (), RULES)
    return found


def test_what_was_read_old_enough_once_is_settled_and_grows_together() -> None:
    found = ledger(*(read(NOW - 20 * DAY + n * HOUR, NOW - 20 * DAY + (n + 1) * HOUR, NOW, 7) for n in range(100)))
    assert [(one.start, one.end, one.rows) for one in found.windows] == [
        (NOW - 20 * DAY, NOW - 20 * DAY + 100 * HOUR, 700)
    ]
    assert found.waiting() == []


@pytest.mark.parametrize(
    ("age", "next_age"), [(0.3, 1), (1, 6), (5.9, 6), (6, 24), (24, 72), (71.9, 72), (72, None), (500, None)]
)
def test_a_window_is_due_at_the_first_age_that_it_was_not_read_at(age: float, next_age: int | None) -> None:
    window = read(NOW - HOUR, NOW, int(NOW + age * HOUR))
    assert due(window, RULES.reread) == (None if next_age is None else NOW + next_age * HOUR)


def test_new_windows_stay_single_until_their_first_re_read_and_grow_with_each() -> None:
    found = Ledger()
    for n in range(24):
        found = found.put(read(NOW + n * 300, NOW + (n + 1) * 300, NOW + (n + 1) * 300 + 900), (), RULES)
    assert len(found.windows) == 24
    for n in range(24):
        found = found.put(read(NOW + n * 300, NOW + (n + 1) * 300, NOW + (n + 1) * 300 + 3700), (), RULES)
    assert len(found.windows) == 4
    assert all(due(one, RULES.reread) == one.end + 6 * HOUR for one in found.windows)


def test_a_re_read_of_a_part_cuts_a_window_and_keeps_the_sums() -> None:
    found = ledger(read(0, 100, 10**6, 50, late=3, changed=2, vanished=1))
    found = found.put(read(30, 60, NOW, 21, late=1), range(35, 55), RULES)
    for name, total in (("rows", 51), ("late", 4), ("changed", 2), ("vanished", 1)):
        assert sum(getattr(one, name) for one in found.windows) == total
    assert apart(found.windows)


def test_what_was_not_given_stays_by_itself() -> None:
    bad = Window(100, 200, Status.PARTIAL, read_at=NOW, reads=1, why="504")
    found = ledger(read(0, 100, NOW), read(200, 300, NOW)).put(bad, (), RULES)
    assert [one.status for one in found.windows] == [Status.COMPLETE, Status.PARTIAL, Status.COMPLETE]
    assert found.put(read(100, 200, NOW, 5), (), RULES).windows == (read(0, 300, NOW, 5),)


def test_spans_have_no_hole_and_tell_lost_from_never() -> None:
    found = ledger(read(100, 200, NOW)).spans(0, 300, 50)
    assert [(one.start, one.end, one.status) for one in found] == [
        (0, 50, Status.LOST),
        (50, 100, Status.NEVER),
        (100, 200, Status.COMPLETE),
        (200, 300, Status.NEVER),
    ]


def test_a_clock_that_was_ahead_leaves_nothing_complete_that_was_not_there_yet() -> None:
    ahead = NOW + 10 * DAY
    found = ledger(read(NOW - 20 * DAY, NOW - 4 * DAY, NOW, 500), read(NOW - 4 * DAY, ahead - 900, ahead, 70)).trusted(
        NOW
    )
    assert found.windows[-1].end == NOW - 900
    assert [(one.start, one.end) for one in found.windows if due(one, RULES.reread)] == [(NOW - 3 * DAY, NOW - 900)]
    assert sum(one.rows for one in found.windows) == 570


def test_a_clock_that_was_ahead_for_a_moment_costs_no_history() -> None:
    found = ledger(read(NOW - 20 * DAY, NOW - 900, NOW + DAY)).trusted(NOW)
    assert found.spans(NOW - 20 * DAY, NOW - 900, 0)[0].status is Status.COMPLETE
    assert found.trusted(NOW) == found


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"since":1}', '{"since":0,"retention":1,"settle":1,"reread":[],"windows":[[1]]}']
)
def test_a_ledger_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a ledger"):
        Ledger.from_json(text)


def test_an_unsettled_stream_of_three_days_takes_few_kilobytes() -> None:
    """Five-minute slices, each re-read when it is due: what the commits of 72 hours of a live stream carry along."""
    found, clock = Ledger(), NOW
    while clock < NOW + 100 * HOUR:
        found = found.put(read(clock - 1200, clock - 900, clock, 170), (), RULES)
        for one in found.windows:
            moment = due(one, RULES.reread)
            if moment is not None and moment <= clock:
                found = found.put(read(one.start, one.end, clock, one.rows), (), RULES)
        clock += 300
    assert len(found.windows) < 150
    assert len(found.to_json()) < 6000
    assert sum(one.rows for one in found.windows) == 170 * 1200


spans = st.tuples(st.integers(0, 200), st.integers(1, 90)).map(lambda pair: (pair[0], pair[0] + pair[1]))
deeds = st.lists(
    st.tuples(
        spans, st.integers(0, 5), st.sampled_from([Status.COMPLETE, Status.COMPLETE, Status.PARTIAL, Status.FAILED])
    ),
    max_size=25,
)
SMALL = Rules(settle=5, reread=(10, 60, 200), least=1, most=100, retention=1000, margin=1)


@settings(max_examples=100, deadline=None)
@given(deeds)
def test_any_reads_in_any_order_add_up(done: list[tuple[tuple[int, int], int, Status]]) -> None:
    """Each second's rows are known; a re-read replaces those of its span. The ledger counts what the lake holds."""
    found, held, state = Ledger(), dict.fromkeys(range(300), 0), dict.fromkeys(range(300), Status.NEVER)
    cut = False
    for clock, ((start, end), rows, status) in enumerate(done, 500):
        cut = cut or any(one.start < start and end < one.end for one in found.windows)
        there = [second for second in range(start, end) for _ in range(held[second])]
        if status is Status.COMPLETE:
            held |= dict.fromkeys(range(start, end), 0) | {start: rows}
        state |= dict.fromkeys(range(start, end), status)
        count = rows if status is Status.COMPLETE else len(there)
        why = "" if status is Status.COMPLETE else "504"
        found = found.put(Window(start, end, status, count, read_at=clock, why=why), there, SMALL)
        found = Ledger.from_json(found.to_json())
        assert apart(found.windows)
    whole = found.spans(0, 300, 0)
    assert [one.start for one in whole] == [0, *(one.end for one in whole[:-1])]
    assert whole[-1].end == 300
    assert all(state[second] is one.status for one in whole for second in range(one.start, one.end))
    # Of a window that is cut in its middle nobody knows which rows are on which side; slices begin where windows do.
    assert cut or sum(one.rows for one in found.windows) == sum(held.values())
