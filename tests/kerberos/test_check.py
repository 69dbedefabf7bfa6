"""The runner of checks: what waits for what, what an exception means, that each record is gathered once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pfsquid.errors import ExitCode, PfsquidError
from pfsquid.kerberos.check import (
    Check,
    Finding,
    Gathering,
    NotAsked,
    Result,
    Status,
    Waiting,
    exit_code,
    fail,
    ok,
    run,
    unknown,
    warn,
)


def well() -> Finding:
    return ok("well")


def broken() -> Finding:
    return fail("broken", "mend it", "mend --now")


def odd() -> Finding:
    return warn("odd", "look at it")


def unsure() -> Finding:
    return unknown("no idea", "ask")


def raising(problem: BaseException) -> Callable[[], Finding]:
    def judge() -> Finding:
        raise problem

    return judge


def results(*checks: Check, gather: Mapping[str, Any] | None = None, **chosen: Any) -> dict[str, Result]:
    return {one.code: one for one in run(checks, Gathering(gather or {}), **chosen)}


def judged(judge: Callable[..., Finding], **gather: Callable[[], Any]) -> Finding:
    return results(Check("a", "A", judge), gather=gather)["a"].finding


# ---- needs, after


@pytest.mark.parametrize("judge", [broken, unsure, raising(ValueError("x")), raising(PfsquidError("x"))])
def test_a_check_whose_needs_broke_waits_for_them(judge: Callable[[], Finding]) -> None:
    found = results(Check("a", "A", judge), Check("b", "B", well, ("a",)))["b"].finding
    assert (found.status, found.waits_for, found.detail) == (Status.SKIPPED, ("a",), "waits for a")


@pytest.mark.parametrize("judge", [well, odd])
def test_a_check_whose_needs_are_well_or_worth_a_warning_is_made(judge: Callable[[], Finding]) -> None:
    assert results(Check("a", "A", judge), Check("b", "B", well, ("a",)))["b"].status is Status.OK


def test_a_check_that_waits_is_not_even_gathered_for() -> None:
    def judge(record: object) -> Finding:
        raise AssertionError(record)

    gathered: list[str] = []
    results(
        Check("a", "A", broken), Check("b", "B", judge, ("a",)), gather={"record": lambda: gathered.append("record")}
    )
    assert gathered == []


def test_what_waits_names_the_root_and_not_the_check_before_it() -> None:
    found = results(
        Check("a", "A", broken), Check("b", "B", well, ("a",)), Check("c", "C", well, ("b",)), Check("d", "D", well)
    )
    assert (found["c"].finding.waits_for, found["d"].status) == (("a",), Status.OK)


def test_two_roots_are_both_named_each_once() -> None:
    found = results(
        Check("a", "A", broken),
        Check("b", "B", unsure),
        Check("c", "C", well, ("a",)),
        Check("d", "D", well, ("a", "b", "c")),
    )
    assert found["d"].finding.detail == "waits for a, b"


def test_a_check_waits_for_a_broken_one_that_it_comes_after() -> None:
    found = results(Check("a", "A", broken), Check("b", "B", well, (), ("a",)))
    assert found["b"].finding.waits_for == ("a",)


@pytest.mark.parametrize("chosen", [{"skip": ["a"]}, {"only": ["b"]}])
def test_what_a_check_only_comes_after_may_be_left_out(chosen: dict[str, Any]) -> None:
    assert results(Check("a", "A", broken), Check("b", "B", well, (), ("a",)), **chosen)["b"].status is Status.OK


# ---- only, skip, not asked


def test_only_makes_the_named_checks_and_what_they_need_however_far_back() -> None:
    checks = [
        Check("a", "A", well),
        Check("x", "X", well),
        Check("b", "B", well, ("a",)),
        Check("c", "C", well, ("b",)),
    ]
    assert list(results(*checks, only=["c"])) == ["a", "b", "c"]


def test_a_check_left_out_says_so_and_so_does_what_needs_it() -> None:
    found = results(Check("a", "A", broken), Check("b", "B", well, ("a",)), Check("c", "C", well, ("b",)), skip=["a"])
    assert [one.finding.detail for one in found.values()] == [
        "left out by --skip",
        "needs a: left out by --skip",
        "needs a: left out by --skip",
    ]


def test_a_check_left_out_waits_for_nothing() -> None:
    found = results(Check("a", "A", well), Check("b", "B", well, ("a",)), skip=["a"])
    assert [(one.status, one.finding.waits_for) for one in found.values()] == [(Status.SKIPPED, ())] * 2


@pytest.mark.parametrize("chosen", [{"only": ["nope"]}, {"skip": ["nope"]}])
def test_an_unknown_code_is_a_key_error(chosen: dict[str, Any]) -> None:
    with pytest.raises(KeyError, match="nope"):
        results(Check("a", "A", well), **chosen)


def test_what_nobody_asked_for_is_skipped_with_the_way_to_ask_for_it() -> None:
    found = judged(raising(NotAsked("nobody said so", "say: so")))
    assert (found.status, found.detail, found.waits_for) == (Status.SKIPPED, "nobody said so", ())
    assert found.remedy
    assert found.remedy.commands == ("say: so",)


def test_what_needs_an_unasked_check_is_unasked_with_the_same_remedy() -> None:
    found = results(Check("a", "A", raising(NotAsked("no account", "say: so"))), Check("b", "B", well, ("a",)))
    assert found["b"].finding.detail == "needs a: no account"
    assert found["b"].finding.remedy == found["a"].finding.remedy


def test_a_probe_may_say_for_which_check_it_waits() -> None:
    found = judged(raising(Waiting("login")))
    assert (found.status, found.waits_for) == (Status.SKIPPED, ("login",))


# ---- what raises


@pytest.mark.parametrize(
    "problem", [ValueError("boom"), KeyError("boom"), StopIteration("boom"), RecursionError("boom"), OSError("boom")]
)
def test_a_judge_that_raises_anything_is_an_error_and_never_ok(problem: Exception) -> None:
    found = judged(raising(problem))
    assert (found.status, type(problem).__name__ in found.detail, "boom" in found.detail) == (Status.ERROR, True, True)


def test_a_probe_that_raises_is_an_error_of_its_check_alone() -> None:
    def probe() -> object:
        raise ZeroDivisionError

    def judge(record: object) -> Finding:
        raise AssertionError(record)

    found = results(Check("a", "A", judge), Check("b", "B", well), gather={"record": probe})
    assert [one.status for one in found.values()] == [Status.ERROR, Status.OK]


def test_an_error_for_people_keeps_its_words_and_its_next_steps() -> None:
    found = judged(raising(PfsquidError("the cable is out", "plug it in")))
    assert (found.status, found.detail) == (Status.ERROR, "the cable is out")
    assert found.remedy
    assert found.remedy.commands == ("plug it in",)


def test_an_error_without_a_next_step_still_has_one() -> None:
    found = judged(raising(PfsquidError("the cable is out")))
    assert found.remedy
    assert "--debug" in found.remedy.commands[0]


def test_a_record_that_no_probe_gathers_is_an_error() -> None:
    def judge(nothing: object) -> Finding:
        raise AssertionError(nothing)

    assert judged(judge).status is Status.ERROR


def test_what_a_broken_probe_says_is_shown_without_secrets() -> None:
    found = judged(raising(ValueError("password=Wubba-Lubba-1! refused")))
    assert "Wubba" not in found.detail


def test_an_interruption_by_the_user_is_none_of_the_checks() -> None:
    with pytest.raises(KeyboardInterrupt):
        judged(raising(KeyboardInterrupt()))


# ---- gathering, streaming, statuses


def test_each_record_is_gathered_once() -> None:
    count: list[int] = []

    def judge(record: int) -> Finding:
        return ok(str(record))

    def probe() -> int:
        count.append(1)
        return len(count)

    found = results(Check("a", "A", judge), Check("b", "B", judge), gather={"record": probe})
    assert [one.finding.detail for one in found.values()] == ["1", "1"]


def test_a_record_that_could_not_be_gathered_is_not_tried_again() -> None:
    count: list[int] = []

    def judge(record: object) -> Finding:
        raise AssertionError(record)

    def probe() -> object:
        count.append(1)
        raise OSError(f"try {len(count)}")

    found = results(Check("a", "A", judge), Check("b", "B", judge), gather={"record": probe})
    assert [one.finding.detail for one in found.values()] == ["the probe broke: OSError: try 1"] * 2


def test_a_record_may_be_none() -> None:
    count: list[int] = []
    gather = Gathering({"record": lambda: count.append(1)})
    assert [gather("record"), gather("record"), len(count)] == [None, None, 1]


def test_each_result_comes_as_soon_as_it_is_known() -> None:
    made: list[str] = []

    def noting(code: str) -> Callable[[], Finding]:
        def judge() -> Finding:
            made.append(code)
            return ok("well")

        return judge

    stream = run([Check("a", "A", noting("a")), Check("b", "B", noting("b"))], Gathering({}))
    assert (next(stream).code, made) == ("a", ["a"])


def test_a_result_says_how_long_it_took() -> None:
    assert 0 <= results(Check("a", "A", well))["a"].seconds < 1


@pytest.mark.parametrize(
    ("judges", "code"),
    [
        ([], ExitCode.DONE),
        ([well, odd], ExitCode.DONE),
        ([well, raising(NotAsked("no"))], ExitCode.DONE),
        ([well, unsure], ExitCode.FAILED),
        ([raising(ValueError("x"))], ExitCode.FAILED),
        ([broken, unsure, well], ExitCode.FOUND),
    ],
)
def test_the_exit_status_is_3_for_a_break_1_for_a_doubt_and_else_0(
    judges: list[Callable[[], Finding]], code: ExitCode
) -> None:
    found = results(*(Check(str(number), "", judge) for number, judge in enumerate(judges)))
    assert exit_code(found.values()) is code
