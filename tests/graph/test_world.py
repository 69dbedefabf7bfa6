"""What there is to read comes late, changes and falls out of retention, by a clock of its own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.graph.clock import Clock, stamp, ticks
from tests.graph.conftest import Ask
from tests.graph.fixture import GraphFactory
from tests.graph.names import AUDITS, SIGN_INS
from tests.graph.query import Query
from tests.graph.shelf import DAY, NEVER
from tests.graph.world import Size, World

START = 1_782_900_000.0  # a Wednesday of 2026, 10:00
STREAMS = (*SIGN_INS, AUDITS)
INTERACTIVE = "/v1.0/auditLogs/signIns"


def world(speed: float = 0.0, keep: float = 30.0, **size: Any) -> World:
    return World(Size(**size), Clock(START, speed), "11111111-1111-1111-1111-111111111111", keep)


def truth(made: World, at: float | None = None) -> dict[str, str]:
    return {f"{stream}/{name}": text for stream in STREAMS for name, text in made.truth(stream, at)}


def test_the_same_seed_is_the_same_world() -> None:
    one, same, other = (truth(world(seed=seed, sign_ins=500)) for seed in (1, 1, 2))
    assert one == same
    assert not set(one) & set(other)


def test_there_are_as_many_as_were_asked_for() -> None:
    made = world(sign_ins=1003, audits=17, quiet=600.0)
    assert sum(len(made.shelves[stream]) for stream in SIGN_INS) == 1003
    assert len(dict(made.truth(AUDITS))) == 17
    assert len(truth(made)) == 1020


def test_nothing_can_be_seen_before_its_time() -> None:
    made = world(sign_ins=2000, late=0.5, ahead=2.0)
    for shelf in made.shelves.values():
        assert (shelf.visible > shelf.created).all()
        assert (shelf.changed > shelf.visible).all()


def test_late_records_come_within_three_days() -> None:
    made = world(sign_ins=800, late=0.3)
    first, to_come = truth(made), made.moments()[0]
    assert to_come > 30
    last = truth(made, START + 3 * DAY)
    assert len(last) == len(first) + to_come
    made.clock.advance(3 * DAY + 1)
    assert made.moments() == (0, 0)
    assert truth(made) == last


def test_changed_records_keep_their_id_and_time() -> None:
    made = world(sign_ins=800, changed=0.2, days=1.0)
    first, last = truth(made), truth(made, START + 7 * DAY)
    changed = [name for name in first if first[name] != last[name]]
    assert len(changed) >= made.moments()[1] * 0.9
    for name in changed:
        before, after = json.loads(first[name]), json.loads(last[name])
        assert before["id"] == after["id"]
        if name.startswith(AUDITS):
            assert before["activityDateTime"] == after["activityDateTime"]
            assert before["resultReason"] == "Pending"
        else:
            assert before["createdDateTime"] == after["createdDateTime"]
            assert before["status"]["errorCode"] in (0, 50074)
            assert after["status"]["errorCode"] != 50074


def test_what_would_take_days_can_happen_in_seconds() -> None:
    slow, quick = (world(sign_ins=600, quiet=600.0, late=0.2, changed=0.1, during=during) for during in (None, 5.0))
    to_come, to_change = quick.moments()
    assert 80 < to_come < 170
    assert to_change > 30
    quick.clock.advance(5.1)
    assert quick.moments() == (0, 0)
    assert truth(quick) == truth(slow, START + 6 * DAY)


def test_what_is_older_than_three_days_has_come_before_such_a_start() -> None:
    made = world(sign_ins=600, late=0.5, changed=0.5, during=5.0, days=20.0)
    for shelf in made.shelves.values():
        old = shelf.created < ticks(START - 3 * DAY)
        changed = shelf.changed[old]
        assert (shelf.visible[old] <= ticks(START)).all()
        assert (changed[changed < NEVER] <= ticks(START) + 1).all()


def test_a_record_can_be_taken_away() -> None:
    made = world(sign_ins=100, quiet=600.0)
    before = dict(made.truth(AUDITS))
    gone = next(iter(before))
    made.remove(AUDITS, gone)
    assert set(before) - set(dict(made.truth(AUDITS))) == {gone}


def test_new_records_are_made_where_there_is_a_future() -> None:
    made = world(sign_ins=500, ahead=1.0, days=2.0)
    before = len(truth(made))
    made.clock.advance(DAY + 600)
    assert 700 < len(truth(made)) < 800
    assert before <= 525


def test_old_records_are_not_given_any_longer() -> None:
    made = world(sign_ins=2000, days=8.0, keep=7.0)
    asked = Query("v1.0", "signIns", ("interactive",), 0, NEVER)
    rows, _ = made.page(asked, None, START)
    assert made.count(asked, START) < len(made.shelves["interactive"])
    assert min(row.created for row in rows) >= ticks(made.edge())
    assert min(json.loads(text)["createdDateTime"] for text in truth(made).values() if "created" in text) >= stamp(
        ticks(made.edge()), 0
    ).removesuffix("Z")


def test_a_first_run_has_an_hour_before_anything_is_lost() -> None:
    made = world(sign_ins=2000, days=30.0)
    assert all(len(shelf) == 0 or int(shelf.created[0]) > ticks(made.edge() + 3500) for shelf in made.shelves.values())


def test_a_large_world_is_made_of_numbers_only() -> None:
    made = world(sign_ins=200_000, days=30.0, people=2000)
    held = sum(
        column.nbytes
        for shelf in made.shelves.values()
        for column in (shelf.created, shelf.visible, shelf.changed, shelf.seeds, shelf.which)
    )
    assert held < 20_000_000


@pytest.mark.parametrize(
    ("digits", "text"),
    [
        (7, "2026-07-01T10:00:00.1234567Z"),
        (3, "2026-07-01T10:00:00.123Z"),
        (1, "2026-07-01T10:00:00.1Z"),
        (0, "2026-07-01T10:00:00Z"),
    ],
)
def test_stamps_have_up_to_seven_digits(digits: int, text: str) -> None:
    assert stamp(ticks(START) + 1_234_567, digits) == text


def test_the_clock_can_be_pushed_run_and_stopped() -> None:
    clock = Clock(START, 0.0)
    assert clock.now() == START
    assert clock.advance(90.0) == START + 90
    clock.run(1_000_000.0)
    later = clock.now()
    while clock.now() == later:
        pass
    clock.run(0.0)
    stopped = clock.now()
    assert stopped > START + 90
    assert clock.now() == stopped


def test_a_record_of_a_test_comes_changes_and_goes(graph: GraphFactory, ask: Ask) -> None:
    served = graph(sign_ins=0, start=START, speed=0.0, limit=100)
    asking, control = ask(served), served.control
    record = {"id": "a", "createdDateTime": "2026-07-01T09:00:00Z", "odd": "ü"}
    control.put("interactive", record, visible=START + 60)
    control.put("interactive", {**record, "odd": "changed"}, visible=START + 120)
    control.remove("interactive", "a", gone=START + 180)
    found = []
    for _ in range(4):
        value = asking.get(INTERACTIVE).json["value"]
        assert [one["id"] for one in value] == list(control.truth("interactive"))
        found.append([one["odd"] for one in value])
        control.advance(60)
    assert found == [[], ["ü"], ["changed"], []]


def test_pages_are_the_very_text_of_the_truth(graph: GraphFactory, ask: Ask) -> None:
    served = graph(sign_ins=300, quiet=600.0, changed=0.2, start=START, speed=0.0)
    body = ask(served).get(INTERACTIVE).body.decode()
    assert all(text in body for text in served.control.truth("interactive").values())


def test_the_date_of_an_answer_is_the_servers(graph: GraphFactory, ask: Ask) -> None:
    served = graph(sign_ins=0, start=START, speed=0.0)
    assert ask(served).sign_on().headers["date"] == "Wed, 01 Jul 2026 10:00:00 GMT"
