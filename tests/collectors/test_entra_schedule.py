"""What is read next: what would be lost comes first, nothing twice without need, and the end is reached."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.entra.schedule import LEAST, Task, Why, again, longer, next_due, next_task, shorter
from collectors.entra.windows import DAY, HOUR, Ledger, Rules, Status, Window, due

RULES = Rules()
NOW = 1_795_500_000
EDGE, HORIZON = RULES.edge(NOW), RULES.horizon(NOW)


def ledger(*windows: Window) -> Ledger:
    found = Ledger()
    for one in windows:
        found = found.put(one, (), RULES)
    return found


def read(start: int, end: int, at: int = NOW) -> Window:
    return Window(start, end, Status.COMPLETE, read_at=at)


def task(found: Ledger, length: int = HOUR, now: int = NOW) -> Task | None:
    return next_task(found, now, RULES.horizon(now), length, RULES)


def test_the_first_run_begins_with_what_falls_out_of_retention_first() -> None:
    assert task(Ledger()) == Task(EDGE, EDGE + HOUR, Why.LEAVING)


def test_then_comes_the_rest_from_the_newest() -> None:
    assert task(ledger(read(EDGE, EDGE + 2 * DAY))) == Task(HORIZON - HOUR, HORIZON, Why.BACKFILL)


def test_what_is_new_comes_before_re_reads_and_the_past() -> None:
    found = ledger(read(EDGE, EDGE + 2 * DAY), read(HORIZON - 5 * HOUR, HORIZON - 600, NOW - 7200))
    assert task(found) == Task(HORIZON - 600, HORIZON, Why.LIVE)


def test_a_re_read_that_is_due_comes_before_the_past_and_takes_its_neighbours_along() -> None:
    two = (read(HORIZON - 8000, HORIZON - 7700, HORIZON - 6800), read(HORIZON - 7700, HORIZON - 7400, HORIZON - 6500))
    found = ledger(read(EDGE, EDGE + 2 * DAY), *two, read(HORIZON - 7400, HORIZON, NOW))
    assert task(found) == Task(HORIZON - 8000, HORIZON - 7400, Why.REREAD)


def test_moments_that_are_new_at_each_start_keep_nobody_from_the_rest() -> None:
    found = ledger(read(EDGE, EDGE + 2 * DAY), read(HORIZON - 5 * HOUR, HORIZON - 7))
    assert task(found) == Task(HORIZON - 6 * HOUR, HORIZON - 5 * HOUR, Why.BACKFILL)
    assert task(ledger(read(EDGE, HORIZON - 7))) == Task(HORIZON - 7, HORIZON, Why.LIVE)


def test_too_few_new_moments_are_left_for_later_by_whoever_was_just_started() -> None:
    found = ledger(read(EDGE, HORIZON - 400))
    for fresh, wanted in ((401, None), (400, Task(HORIZON - 400, HORIZON, Why.LIVE))):
        assert next_task(found, NOW, HORIZON, HOUR, RULES, fresh) == wanted


def test_what_was_not_given_waits_for_its_pause_and_is_halved() -> None:
    bad = Window(HORIZON - 600, HORIZON - 300, Status.PARTIAL, read_at=NOW, reads=3, why="504")
    found = ledger(read(EDGE, HORIZON - 600), bad, read(HORIZON - 300, HORIZON))
    assert again(bad) == NOW + 240
    assert next_due(found, NOW, RULES) == NOW + 240
    assert task(found, now=NOW) is None
    later = next_task(found, NOW + 240, HORIZON, HOUR, RULES)
    assert later == Task(HORIZON - 600, HORIZON - 450, Why.RETRY)


def test_what_is_out_of_retention_is_not_asked_for() -> None:
    bad = Window(EDGE - 600, EDGE - 300, Status.PARTIAL, read_at=NOW - DAY, reads=1, why="504")
    assert task(ledger(bad, read(EDGE, HORIZON))) is None


@pytest.mark.parametrize(
    ("pages", "length", "expected"),
    [
        (1, HOUR, 4 * HOUR),
        (3, HOUR, 2 * HOUR),
        (10, HOUR, HOUR),
        (20, HOUR, HOUR // 2),
        (20, 300, 300),
        (1, 7 * DAY, 7 * DAY),
    ],
)
def test_slices_grow_and_shrink_with_the_pages_that_they_give(pages: int, length: int, expected: int) -> None:
    assert longer(length, pages, RULES) == expected


def test_a_slice_that_is_not_given_shrinks_to_the_least() -> None:
    lengths = [7 * DAY]
    while lengths[-1] > RULES.least:
        lengths.append(shorter(lengths[-1], RULES))
    assert lengths[-1] == RULES.least
    assert len(lengths) < 8


SMALL = Rules(settle=10, reread=(50, 200), least=10, most=400, retention=2000, margin=100)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=5, max_size=30), st.integers(20, 300))
def test_whatever_fails_in_the_end_all_is_read_and_settled(luck: list[int], step: int) -> None:
    """A slice fails now and then, time passes: then nothing fails, and every second from the edge on is complete."""
    found, now, length = Ledger(), 10_000, SMALL.least
    for number in range(400):
        horizon = SMALL.horizon(now) // 60 * 60
        wanted = next_task(found, now, horizon, length, SMALL)
        if wanted is None:
            now += step
            continue
        assert SMALL.edge(now) <= wanted.start < wanted.end <= horizon
        assert wanted.end - wanted.start <= max(length, LEAST) or wanted.why is Why.RETRY
        if number < len(luck) and luck[number] < 4:
            if wanted.end - wanted.start > SMALL.least:
                length = shorter(wanted.end - wanted.start, SMALL)
                continue
            tries = max(
                (one.reads for one in found.windows if one.end > wanted.start and one.start < wanted.end and one.why),
                default=0,
            )
            found = found.put(
                Window(wanted.start, wanted.end, Status.PARTIAL, read_at=now, reads=tries + 1, why="504"), (), SMALL
            )
            continue
        found = found.put(Window(wanted.start, wanted.end, Status.COMPLETE, read_at=now), (), SMALL)
        length = longer(length, 1, SMALL)
        now += 1
    edge, horizon = SMALL.edge(now), SMALL.horizon(now)
    late = [one for one in found.windows if one.end > edge and (due(one, SMALL.reread) or now + 1) <= now - step - 130]
    assert late == []
    assert all(one.status is Status.COMPLETE for one in found.spans(edge, horizon - step - 130, edge) if one.end > edge)
