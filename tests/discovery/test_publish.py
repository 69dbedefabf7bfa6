"""Published meaning is what a question would make, is written only where it changed, and spares DuckDB the work."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pfsquid.discovery.answer import answer, answer_sql, knowledge
from pfsquid.discovery.apps import Catalogue, Host, classify
from pfsquid.discovery.ask import questions
from pfsquid.discovery.duck import Knowledge
from pfsquid.discovery.publish import publish
from pfsquid.errors import PfsquidError
from pfsquid.lake.care import care, compact
from pfsquid.lake.catalog import Lake, open_lake
from pfsquid.lake.collect import collect_entra, collect_squid
from pfsquid.lake.published import HOSTS, OF, PUBLISHED, is_due, stand
from pfsquid.publishing import tending
from pfsquid.settings_care import CareSettings
from tests.discovery.conftest import APPS, TRAFFIC, collected, write_log, write_sign_ins
from tests.running import Pfsquid

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
NEW = "2026-11-04T08:00:00 rick.sanchez@LAB.LOCAL TCP_TUNNEL/200 3 4 CONNECT {host}:443\n"


@pytest.fixture
def own(tmp_path: Path) -> Lake:
    """A lake of one's own with TRAFFIC and sign-ins."""
    lake = open_lake(tmp_path / "lake", make=True)
    collected(collect_squid(lake, [write_log(tmp_path / "a.log", TRAFFIC)], "pfsquid", None, lambda *_: None))
    collected(collect_entra(lake, [write_sign_ins(tmp_path / "s.json")], lambda *_: None))
    return lake


def more(lake: Lake, folder: Path, host: str) -> None:
    log = write_log(folder / f"{host}.log", NEW.format(host=host))
    collected(collect_squid(lake, [log], "pfsquid", None, lambda *_: None))


def snapshots(lake: Lake) -> dict[str, int | None]:
    tables = {name: lake.table(name) for name in PUBLISHED}
    return {name: table.metadata.current_snapshot_id if table else None for name, table in tables.items()}


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_is_published_is_what_a_question_would_make(own: Lake, known: Knowledge, name: str) -> None:
    made = answer_sql(own, known, f"SELECT * FROM {name}")
    publish(own, known, NOW)
    table = own.table(name)
    assert table is not None
    rows = [tuple(row.values()) for row in table.scan().to_arrow().to_pylist()]
    assert table.scan().to_arrow().column_names == list(made.columns)
    assert sorted(rows, key=repr) == sorted(made.rows, key=repr)


def test_nothing_is_written_where_nothing_changed(own: Lake, known: Knowledge) -> None:
    publish(own, known, NOW)
    before = snapshots(own)
    again = publish(own, known, NOW + timedelta(hours=1))
    assert (dict(again.tables), again.judged, again.at) == ({}, 0, NOW)
    assert snapshots(own) == before


def test_only_new_hosts_are_judged_and_only_what_changed_is_written(
    own: Lake, known: Knowledge, tmp_path: Path
) -> None:
    publish(own, known, NOW)
    before = snapshots(own)
    more(own, tmp_path, "new.slack.com")
    done = publish(own, known, NOW + timedelta(hours=1))
    assert (dict(done.tables), done.judged) == ({HOSTS: 11}, 1)
    assert {name for name, now in snapshots(own).items() if now != before[name]} == {HOSTS}
    assert answer_sql(own, known, "SELECT app_id FROM hosts WHERE host = 'new.slack.com'").rows == [("slack",)]


def test_another_catalogue_judges_all_hosts_anew(own: Lake, known: Knowledge, tmp_path: Path) -> None:
    publish(own, known, NOW)
    (tmp_path / "apps").mkdir()
    (tmp_path / "apps" / "a.yaml").write_text(APPS.replace("slack.com", "unheard-of.example"), "utf-8")
    other = knowledge([tmp_path / "apps"], {}, [], [], [], {})
    done = publish(own, other, NOW + timedelta(hours=1))
    assert (done.judged, done.tables[HOSTS]) == (10, 10)
    table = own.table(HOSTS)
    assert table is not None
    apps = {row["host"]: row["app_id"] for row in table.scan().to_arrow().to_pylist()}
    assert (apps["files.unheard-of.example"], apps["acme.slack.com"]) == ("slack", None)


def test_a_tag_is_published_without_judging_hosts(own: Lake, known: Knowledge, apps_folder: Path) -> None:
    publish(own, known, NOW)
    tagged = knowledge([apps_folder], {}, [], ["slack"], [], {})
    done = publish(own, tagged, NOW + timedelta(hours=1))
    assert (dict(done.tables), done.judged) == ({"apps": 3}, 0)


def test_a_question_judges_only_hosts_that_are_not_published(
    own: Lake, known: Knowledge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(own, known, NOW)
    more(own, tmp_path, "new.slack.com")
    judged: list[str] = []

    def watched(host: str, catalogue: Catalogue) -> Host:
        judged.append(host)
        return classify(host, catalogue)

    monkeypatch.setattr("pfsquid.discovery.meaning.classify", watched)
    answer(own, known, "apps", [], NOW)
    assert judged == ["new.slack.com"]


def test_a_question_does_not_trust_what_another_catalogue_published(own: Lake, known: Knowledge) -> None:
    publish(own, knowledge([], {}, [], [], [], {}), NOW)
    assert [row[0] for row in answer(own, known, "apps", [], NOW).rows] == ["dropbox", "slack", "wetransfer"]


@pytest.mark.parametrize("name", questions())
def test_publishing_changes_no_answer(own: Lake, known: Knowledge, name: str) -> None:
    before = answer(own, known, name, ["since=2026-11-03"], NOW)
    publish(own, known, NOW)
    assert answer(own, known, name, ["since=2026-11-03"], NOW) == before


def test_every_table_is_there_once_and_the_newest(own: Lake, known: Knowledge, tmp_path: Path) -> None:
    publish(own, known, NOW)
    more(own, tmp_path, "new.slack.com")
    shown = [name for (name,) in answer_sql(own, known, "SHOW TABLES").rows]
    assert len(shown) == len(set(shown)) and set(PUBLISHED) <= set(shown)
    assert answer_sql(own, known, "SELECT count(*) AS n FROM hosts").rows == [(11,)]


def test_a_user_name_that_is_in_the_log_no_more_is_forgotten(own: Lake, known: Knowledge, tmp_path: Path) -> None:
    publish(own, known, NOW)
    proxy = own.table("proxy")
    assert proxy is not None
    proxy.delete("user_name = 'stranger@LAB.LOCAL'")
    publish(own, known, NOW + timedelta(hours=1))
    principals = own.table("principals")
    assert principals is not None
    assert "stranger@LAB.LOCAL" not in principals.scan().to_arrow()["user_name"].to_pylist()


def test_the_care_of_the_lake_keeps_what_is_published(own: Lake, known: Knowledge, tmp_path: Path) -> None:
    for number in range(12):
        more(own, tmp_path, f"h{number}.slack.com")
        publish(own, known, NOW + timedelta(hours=number))
    before = answer_sql(own, known, "SELECT * FROM hosts ORDER BY host").rows
    compact(own, CareSettings(), NOW + timedelta(days=1))
    care(own, CareSettings(), NOW + timedelta(days=3))
    table = own.table(HOSTS)
    assert table is not None and table.properties[OF]
    assert sorted(table.scan().to_arrow()["host"].to_pylist()) == [row[0] for row in before]


def test_two_who_publish_at_once_leave_each_host_once(own: Lake, known: Knowledge, tmp_path: Path) -> None:
    publish(own, known, NOW)
    more(own, tmp_path, "new.slack.com")
    failed: list[Exception] = []

    def one() -> None:
        try:
            publish(open_lake(own.folder, make=False), known, NOW + timedelta(hours=1))
        except Exception as exc:  # noqa: BLE001 - told below
            failed.append(exc)

    both = [threading.Thread(target=one) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    table = own.table(HOSTS)
    assert table is not None and failed == []
    hosts = table.scan().to_arrow()["host"].to_pylist()
    assert len(hosts) == len(set(hosts)) == 11


def test_an_empty_lake_gets_all_tables_that_questions_name(tmp_path: Path, known: Knowledge) -> None:
    lake = open_lake(tmp_path / "lake", make=True)
    publish(lake, known, NOW)
    assert all(lake.table(name) for name in ("proxy", "usage", "signins", *PUBLISHED))


def test_it_is_due_when_it_never_was_and_after_an_hour(own: Lake, known: Knowledge) -> None:
    assert stand(own) is None and is_due(own, NOW)
    publish(own, known, NOW)
    due = {minutes: is_due(own, NOW + timedelta(minutes=minutes)) for minutes in (0, 59, 60, -1)}
    assert due == {0: False, 59: False, 60: True, -1: True}


def _at_once(folder: Path, more: str = "") -> Path:
    """A configuration by which the days of a lake are due as soon as they are there."""
    path = folder / "at_once.yaml"
    path.write_text(f"care: {{compact: {{quiet: 0s}}}}\n{more}", "utf-8")
    return path


def test_run_has_the_lake_cared_for_and_published_by_a_process_of_its_own(own: Lake, tmp_path: Path) -> None:
    tend = tending(_at_once(tmp_path))
    first = tend(own)
    assert "hosts: publish 1" in first and "usage: count" in first
    assert "publish" not in tend(own)


def test_run_tells_why_the_care_of_the_lake_failed(own: Lake, tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text("lakes: x\n", "utf-8")
    with pytest.raises(PfsquidError, match=r"^/.*wrong.yaml:1: lakes: "):
        tending(tmp_path / "wrong.yaml")(own)


def test_what_was_done_before_publishing_failed_is_told_too(own: Lake, tmp_path: Path) -> None:
    with pytest.raises(PfsquidError, match=r"usage: count .*; .*nowhere"):
        tending(_at_once(tmp_path, "apps: {folders: [nowhere]}\n"))(own)


def test_the_care_of_the_lake_can_be_called_by_hand(own: Lake, pfsquid: Pfsquid, tmp_path: Path) -> None:
    first = pfsquid("lake", "care", "--json", "--lake", own.folder, "--config", _at_once(tmp_path))
    assert {"count", "publish"} <= {row["deed"] for row in first.rows}
    assert "nothing to do" in pfsquid("lake", "care", "--lake", own.folder).err


def test_the_command_says_what_it_wrote(own: Lake, pfsquid: Pfsquid) -> None:
    first = pfsquid("lake", "publish", "--json", "--lake", own.folder)
    assert {row["table"] for row in first.rows} == set(PUBLISHED)
    second = pfsquid("lake", "publish", "--lake", own.folder)
    assert "nothing to do" in second.err and second.status == 0


def test_the_sql_for_athena_is_printed(own: Lake, pfsquid: Pfsquid) -> None:
    pfsquid("lake", "publish", "--lake", own.folder)
    run = pfsquid("query", "apps", "app=dropbox", "--print-sql", "--lake", own.folder)
    assert "hosts.app_id = 'dropbox'" in run.out and ":app" not in run.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--engine", "athena"), "Athena reads a lake in S3"),
        (("--timeout", "10m"), "--timeout goes with --engine athena"),
    ],
)
def test_what_athena_cannot_answer_is_refused(own: Lake, pfsquid: Pfsquid, words: tuple[str, ...], told: str) -> None:
    run = pfsquid("query", "apps", *words, "--lake", own.folder)
    assert run.status == 2 and told in run.err
