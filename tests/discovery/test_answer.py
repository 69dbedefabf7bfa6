"""What an answer says beside its rows, and how wrong questions are refused."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pfsquid.discovery.answer import answer, knowledge, list_questions
from pfsquid.discovery.ask import questions
from pfsquid.discovery.duck import Knowledge
from pfsquid.errors import WrongUse
from pfsquid.lake.catalog import Lake, open_lake
from pfsquid.lake.collect import collect_entra, collect_squid
from tests.discovery.conftest import collected, write_log, write_sign_ins

TWO_RICKS = """
2026-11-02T08:00:00 rick@ONE.LOCAL      TCP_TUNNEL/200 1 2 CONNECT www.dropbox.com:443
2026-11-02T08:00:01 rick@TWO.LOCAL      TCP_TUNNEL/200 3 4 CONNECT www.dropbox.com:443
2026-11-02T08:00:02 o'neil"--@ONE.LOCAL TCP_TUNNEL/200 5 6 CONNECT www.dropbox.com:443
"""


@pytest.fixture(scope="module")
def two_ricks(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder = tmp_path_factory.mktemp("ricks")
    lake = open_lake(folder / "lake", make=True)
    sign_ins = write_sign_ins(folder / "s.json", [("2026-11-02T07:00:00Z", ("id", ""), "rick@example.com", "Slack", 0)])
    collected(collect_squid(lake, [write_log(folder / "a.log", TWO_RICKS)], "pfsquid", None, lambda *_: None))
    collected(collect_entra(lake, [sign_ins], lambda *_: None))
    return lake


def test_the_list_of_questions_holds_each_with_its_parameters() -> None:
    listed = {str(name): parameters for name, _, parameters in list_questions().rows}
    assert listed == {name: " ".join(one.parameters) for name, one in questions().items()}


def test_never_is_explained_by_the_time_that_sign_ins_are_of(lake: Lake, known: Knowledge) -> None:
    notes = answer(lake, known, "app-signins", []).notes
    assert "sign-ins from 2026-11-01 05:00 to 2026-11-03 11:40 UTC; `never` means none of these" in notes[0]


def test_never_says_nothing_without_sign_ins_and_the_note_says_so(native_lake: Lake, known: Knowledge) -> None:
    assert "`never` says nothing" in answer(native_lake, known, "people", []).notes[0]


def test_a_question_without_sign_ins_has_no_note_on_them(lake: Lake, known: Knowledge) -> None:
    assert answer(lake, known, "apps", []).notes == ()


def test_unknown_bytes_up_are_noted(native_lake: Lake, known: Knowledge) -> None:
    assert any("bytes_up is unknown" in note for note in answer(native_lake, known, "apps", []).notes)


@pytest.mark.parametrize(
    "given", [["since=2027-01-01"], ["since=2026-11-03T20:00"], ["since=2026-11-03T10:30", "until=2026-11-03T10:45"]]
)
def test_a_time_without_a_log_is_noted(lake: Lake, known: Knowledge, given: list[str]) -> None:
    assert any("no access log in this time" in note for note in answer(lake, known, "apps", given).notes)


def test_a_principal_that_only_the_configuration_can_match_is_noted(two_ricks: Lake, known: Knowledge) -> None:
    notes = answer(two_ricks, known, "people", []).notes
    assert [note for note in notes if note.startswith("rick@ONE.LOCAL is not matched") and "people.realms" in note]


def test_the_configuration_solves_what_the_note_says(two_ricks: Lake, apps_folder: Path) -> None:
    solved = knowledge([apps_folder], {"ONE.LOCAL": ("example.com",), "TWO.LOCAL": ("two.example",)}, [], [], [], {})
    people = [row[0] for row in answer(two_ricks, solved, "people", []).rows]
    assert "rick@example.com" in people and "rick@TWO.LOCAL" in people


def test_a_name_that_means_several_people_is_refused_with_all(two_ricks: Lake, known: Knowledge) -> None:
    with pytest.raises(WrongUse, match=r"rick@ONE\.LOCAL or rick@TWO\.LOCAL or rick@example\.com") as caught:
        answer(two_ricks, known, "people", ["person=rick"])
    assert caught.value.next == ("person=rick@ONE.LOCAL", "person=rick@TWO.LOCAL", "person=rick@example.com")


def test_a_name_with_quotes_is_a_name_and_not_sql(two_ricks: Lake, known: Knowledge) -> None:
    assert len(answer(two_ricks, known, "people", ["person=o'neil\"--@ONE.LOCAL"]).rows) == 1


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("appz", [], "there is no question 'appz'; did you mean apps?"),
        ("xyzzy", [], "there is no question 'xyzzy'"),
        ("apps", ["since"], "'since' is no key=value"),
        ("apps", ["since="], "is no key=value"),
        ("apps", ["sinse=7d"], "did you mean since?"),
        ("apps", ["colour=red"], "it takes since, until"),
        ("unknown-domains", ["since=soon"], "since=soon is no day or moment"),
        ("apps", ["until=2026-02-30"], "until=2026-02-30 is no day or moment"),
        ("apps", ["since=2026-11-03", "until=2026-11-02"], "is not before"),
        ("apps", ["app=dropbocks"], "did you mean dropbox?"),
        ("app-people", ["person=rick.sanchex"], "did you mean rick.sanchez@example.com?"),
    ],
)
def test_a_wrong_question_is_refused_with_what_would_be_right(
    lake: Lake, known: Knowledge, name: str, given: list[str], told: str
) -> None:
    with pytest.raises(WrongUse) as caught:
        answer(lake, known, name, given)
    assert told in caught.value.message
    assert caught.value.next


@pytest.mark.parametrize(
    ("sanctioned", "unsanctioned", "sign_ins", "where"),
    [
        (["dropbocks"], [], {}, "apps.sanctioned"),
        ([], ["dropbocks"], {}, "apps.unsanctioned"),
        ([], [], {"Our file drop": "dropbocks"}, "apps.sign_ins.Our file drop"),
    ],
)
def test_an_unknown_app_in_the_configuration_is_named_with_its_key(
    apps_folder: Path, sanctioned: list[str], unsanctioned: list[str], sign_ins: dict[str, str], where: str
) -> None:
    with pytest.raises(WrongUse, match="there is no app 'dropbocks'") as caught:
        knowledge([apps_folder], {}, [], sanctioned, unsanctioned, sign_ins)
    assert caught.value.message.startswith(where)


def test_a_name_beside_a_failed_sign_in_of_nobody_is_no_person(lake: Lake, known: Knowledge) -> None:
    with pytest.raises(WrongUse):
        answer(lake, known, "people", ["person=rick.sanchez@typo.example"])


def test_an_empty_lake_is_answered_with_no_rows(tmp_path: Path, known: Knowledge) -> None:
    lake = open_lake(tmp_path / "lake", make=True)
    result = answer(lake, known, "app-signins", [], datetime(2026, 11, 24, tzinfo=UTC))
    assert result.rows == []
    assert len(result.notes) == 2
