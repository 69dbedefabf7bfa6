"""The questions, row for row, against answers computed by hand from the lake in conftest.py."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pfsquid.discovery.answer import answer, knowledge
from pfsquid.discovery.ask import Result
from pfsquid.discovery.duck import Knowledge
from pfsquid.errors import WrongUse
from pfsquid.lake.catalog import Lake

RICK, MORTY = "rick.sanchez@example.com", "morty.smith@example.com"
NONE4 = (None, None, None, None)


def at(text: str) -> datetime:
    """`3 13:20` → that moment of November 2026, UTC."""
    day, time = text.split()
    return datetime.fromisoformat(f"2026-11-0{day}T{time}").replace(tzinfo=UTC)


def column(result: Result, name: str, **where: Any) -> list[Any]:
    """The values of a column in the rows where the others are as said."""
    rows = [dict(zip(result.columns, row, strict=True)) for row in result.rows]
    return [row[name] for row in rows if all(row[key] == value for key, value in where.items())]


def test_apps(lake: Lake, known: Knowledge) -> None:
    result = answer(lake, known, "apps", [])
    head = ("app", "name", "category", "risk", "tag", "federated", "people")
    assert result.columns == (*head, "requests", "denied", "bytes_up", "bytes_down", "first_use", "last_use")
    dropbox = ("dropbox", "Dropbox", "cloudStorage", "medium", "unreviewed", True)
    assert result.rows == [
        (*dropbox, 2, 5, 1, 1740, 5360, at("2 08:00:01"), at("3 12:00")),
        ("slack", "Slack", "collaboration", "low", "unreviewed", True, 1, 1, 0, 7, 8, at("3 13:20"), at("3 13:20")),
        ("wetransfer", "WeTransfer", "cloudStorage", "high", "unreviewed", False, 0, 0, 1, *NONE4),
    ]


def test_app_people(lake: Lake, known: Knowledge) -> None:
    result = answer(lake, known, "app-people", [])
    head = ("app", "app_name", "person", "name")
    assert result.columns == (*head, "requests", "denied", "bytes_up", "bytes_down", "first_use", "last_use")
    assert result.rows == [
        ("dropbox", "Dropbox", RICK, "Rick Sanchez", 3, 0, 1700, 5300, at("2 08:00:01"), at("3 00:00")),
        ("dropbox", "Dropbox", "(no user name)", None, 1, 0, 30, 40, at("3 12:00"), at("3 12:00")),
        ("dropbox", "Dropbox", MORTY, "Morty Smith", 1, 1, 10, 20, at("3 10:00"), at("3 10:00")),
        ("slack", "Slack", RICK, "Rick Sanchez", 1, 0, 7, 8, at("3 13:20"), at("3 13:20")),
        ("wetransfer", "WeTransfer", RICK, "Rick Sanchez", 0, 1, *NONE4),
    ]


def test_app_signins(lake: Lake, known: Knowledge) -> None:
    result = answer(lake, known, "app-signins", [])
    head = (
        "person",
        "name",
        "app",
        "app_name",
        "tag",
        "federated",
        "days",
        "requests",
        "denied",
        "bytes_up",
        "bytes_down",
    )
    assert result.columns == (*head, "first_use", "last_use", "sign_ins", "last_sign_in")
    rick, morty = (RICK, "Rick Sanchez"), (MORTY, "Morty Smith")
    dropbox, slack = ("dropbox", "Dropbox", "unreviewed", True), ("slack", "Slack", "unreviewed", True)
    assert result.rows == [
        (*rick, *dropbox, 2, 3, 0, 1700, 5300, at("2 08:00:01"), at("3 00:00"), 0, "never"),
        (*rick, "wetransfer", "WeTransfer", "unreviewed", False, 0, 0, 1, *NONE4, 0, "never"),
        (*morty, *dropbox, 1, 1, 1, 10, 20, at("3 10:00"), at("3 10:00"), 2, "2026-11-03T11:30:00Z"),
        (*rick, *slack, 1, 1, 0, 7, 8, at("3 13:20"), at("3 13:20"), 1, "2026-11-02T07:00:00Z"),
    ]


def test_people(lake: Lake, known: Knowledge) -> None:
    result = answer(lake, known, "people", [])
    head = ("person", "name", "apps", "unknown_domains", "requests", "denied", "bytes_up", "bytes_down")
    assert result.columns == (*head, "first_use", "last_use", "last_sign_in")
    assert result.rows == [
        (RICK, "Rick Sanchez", 2, 0, 5, 1, 1712, 5314, at("2 08:00:01"), at("3 13:30"), "2026-11-02T09:00:00Z"),
        (MORTY, "Morty Smith", 1, 0, 2, 2, 11, 21, at("3 10:00"), at("3 14:00"), "2026-11-03T11:30:00Z"),
        ("stranger@LAB.LOCAL", None, 0, 1, 2, 0, 4001, 102, at("3 13:00"), at("3 13:10"), "never"),
        ("(no user name)", None, 1, 0, 1, 0, 30, 40, at("3 12:00"), at("3 12:00"), "never"),
    ]


def test_unknown_domains(lake: Lake, known: Knowledge) -> None:
    result = answer(lake, known, "unknown-domains", [])
    head = ("domain", "people", "hosts", "example_host", "requests", "denied")
    assert result.columns == (*head, "bytes_up", "bytes_down", "first_use", "last_use")
    assert result.rows == [
        ("unheard-of.example", 1, 2, "files.unheard-of.example", 2, 0, 4001, 102, at("3 13:00"), at("3 13:10")),
        ("blocked.example", 0, 1, "blocked.example", 0, 1, *NONE4),
    ]


def test_bytes_up_are_unknown_and_not_zero_in_the_native_format(native_lake: Lake, known: Knowledge) -> None:
    assert column(answer(native_lake, known, "apps", []), "bytes_up") == [None, None, None]


def test_the_rest_of_the_native_format_is_the_same(lake: Lake, native_lake: Lake, known: Knowledge) -> None:
    def the_rest(lake: Lake) -> list[Any]:
        result = answer(lake, known, "apps", [])
        return [
            [value for name, value in zip(result.columns, row, strict=True) if name not in ("bytes_up", "federated")]
            for row in result.rows
        ]

    assert the_rest(native_lake) == the_rest(lake)


@pytest.mark.parametrize(
    ("given", "requests"),
    [
        ([], 3),
        (["until=2026-11-02"], 2),
        (["since=2026-11-02", "until=2026-11-02"], 2),
        (["since=2026-11-03"], 1),
        (["since=2026-11-02T23:59:59.999"], 2),
        (["since=2026-11-03T00:00"], 1),
        (["until=2026-11-03T00:00"], 2),
        (["until=2026-11-03T00:00:00.001"], 3),
        (["since=2026-11-03T01:00:00+01:00"], 1),
        (["until=2026-11-02T23:59:59.999Z"], 1),
        (["since=0001-01-01", "until=9999-12-30"], 3),
    ],
)
def test_a_time_includes_its_beginning_and_not_its_end(
    lake: Lake, known: Knowledge, given: list[str], requests: int
) -> None:
    result = answer(lake, known, "app-people", [*given, "app=dropbox", f"person={RICK}"])
    assert column(result, "requests") == [requests]


def test_a_time_may_be_so_many_days_back(lake: Lake, known: Knowledge) -> None:
    now = datetime(2026, 11, 9, 13, 15, tzinfo=UTC)
    assert column(answer(lake, known, "apps", ["since=6d"], now), "app") == ["slack"]


def test_days_count_only_those_of_use(lake: Lake, known: Knowledge) -> None:
    assert column(answer(lake, known, "app-signins", ["app=wetransfer"]), "days") == [0]


def test_sign_ins_after_the_time_do_not_count(lake: Lake, known: Knowledge) -> None:
    result = answer(lake, known, "app-signins", ["until=2026-11-03T11:30", f"person={MORTY}"])
    assert (column(result, "sign_ins"), column(result, "last_sign_in")) == ([1], ["2026-11-01T05:00:00Z"])


def test_sign_ins_after_the_time_do_not_count_in_people_either(lake: Lake, known: Knowledge) -> None:
    result = answer(lake, known, "people", ["until=2026-11-03T11:30", f"person={MORTY}"])
    assert column(result, "last_sign_in") == ["2026-11-01T05:00:00Z"]


def test_sign_ins_before_the_time_count(lake: Lake, known: Knowledge) -> None:
    result = answer(lake, known, "app-signins", ["since=2026-11-03", "app=slack"])
    assert column(result, "last_sign_in") == ["2026-11-02T07:00:00Z"]


@pytest.mark.parametrize("name", ["dropbox", "Dropbox", "DROPBOX"])
def test_an_app_is_asked_for_by_id_or_name(lake: Lake, known: Knowledge, name: str) -> None:
    assert column(answer(lake, known, "apps", [f"app={name}"]), "app") == ["dropbox"]


@pytest.mark.parametrize("question", ["apps", "people", "app-people", "app-signins"])
def test_app_narrows_every_question_that_has_it(lake: Lake, known: Knowledge, question: str) -> None:
    result = answer(lake, known, question, ["app=slack"])
    assert column(result, "requests") == [1]


@pytest.mark.parametrize(
    "name",
    [RICK, RICK.upper(), "rick.sanchez@LAB.LOCAL", "rick.sanchez@lab.local", "rick.sanchez", "Rick Sanchez"],
)
def test_a_person_is_asked_for_by_any_name(lake: Lake, known: Knowledge, name: str) -> None:
    assert column(answer(lake, known, "people", [f"person={name}"]), "person") == [RICK]


def test_a_person_without_sign_ins_is_asked_for_by_the_principal(lake: Lake, known: Knowledge) -> None:
    assert column(answer(lake, known, "people", ["person=stranger"]), "person") == ["stranger@LAB.LOCAL"]


@pytest.mark.parametrize("given", ["app=dropbocks", "person=birdperson", "person=WS1$@LAB.LOCAL"])
def test_an_app_or_a_person_that_there_is_none_of_is_refused(lake: Lake, known: Knowledge, given: str) -> None:
    with pytest.raises(WrongUse):
        answer(lake, known, "app-people", [given])


def test_sanctioned_and_unsanctioned_apps_are_tagged(lake: Lake, apps_folder: Path) -> None:
    tagged = knowledge([apps_folder], {}, [], ["Slack"], ["wetransfer"], {})
    result = answer(lake, tagged, "apps", [])
    tags = {"dropbox": "unreviewed", "slack": "sanctioned", "wetransfer": "unsanctioned"}
    assert dict(zip(column(result, "app"), column(result, "tag"), strict=True)) == tags


def test_a_configured_name_in_sign_ins_means_its_app(lake: Lake, apps_folder: Path) -> None:
    mapped = knowledge([apps_folder], {}, [], [], [], {"Our File Drop": "wetransfer"})
    result = answer(lake, mapped, "app-signins", ["app=wetransfer"])
    assert column(result, "last_sign_in") == ["2026-11-02T09:00:00Z"]


def test_a_configured_application_id_in_sign_ins_means_its_app(lake: Lake, apps_folder: Path) -> None:
    mapped = knowledge([apps_folder], {}, [], [], [], {"id-of-our file drop": "wetransfer"})
    result = answer(lake, mapped, "app-signins", ["app=wetransfer"])
    assert column(result, "last_sign_in") == ["2026-11-02T09:00:00Z"]


def test_an_app_of_ones_own_is_used_for_the_past_too(lake: Lake, apps_folder: Path, tmp_path: Path) -> None:
    own = "- {id: own, name: Our Own, vendor: Us, category: unknown, domains: [unheard-of.example]}"
    (tmp_path / "own.yaml").write_text(own, "utf-8")
    result = answer(lake, knowledge([apps_folder, tmp_path], {}, [], [], [], {}), "apps", ["app=own"])
    assert column(result, "bytes_up") == [4001]


def test_a_service_account_is_no_person(lake: Lake, apps_folder: Path) -> None:
    with_service = knowledge([apps_folder], {}, ["stranger"], [], [], {})
    assert "stranger@LAB.LOCAL" not in column(answer(lake, with_service, "people", []), "person")


def test_the_answer_has_the_title_of_its_question(lake: Lake, known: Knowledge) -> None:
    assert answer(lake, known, "apps", []).title.startswith("SaaS apps in use")
