"""The engine on this machine: which tables it has, how values come out, and that it leaves nothing behind."""

from __future__ import annotations

import tempfile
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from pfsquid.discovery.answer import answer_sql
from pfsquid.discovery.duck import Knowledge, session
from pfsquid.errors import WrongUse
from pfsquid.lake.catalog import Lake, open_lake
from pfsquid.lake.tables import TABLES
from tests.running import Pfsquid

MADE = ["apps", "hosts", "identities", "people", "principals", "signin_apps"]


def test_the_tables_are_those_of_the_documentation(lake: Lake, known: Knowledge) -> None:
    assert answer_sql(lake, known, "SHOW TABLES").rows == [(name,) for name in sorted({*MADE, *TABLES})]


def test_an_empty_lake_has_the_same_tables_and_columns(tmp_path: Path, lake: Lake, known: Knowledge) -> None:
    columns = "SELECT table_name, column_name, data_type FROM information_schema.columns ORDER BY 1, 2"
    empty = open_lake(tmp_path / "lake", make=True)
    assert answer_sql(empty, known, columns).rows == answer_sql(lake, known, columns).rows


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("SELECT sum(CAST(status AS bigint)) AS n FROM proxy WHERE status = 407", 814),
        ("SELECT CAST(1.50 AS decimal(9, 2)) AS n", 1.5),
        ("SELECT max(ts) AS at FROM proxy", datetime(2026, 11, 3, 16, tzinfo=UTC)),
        ("SELECT CAST(max(ts) AS date) AS day FROM proxy", date(2026, 11, 3)),
        ("SELECT approx_distinct(host) > 5 AS many FROM proxy", True),
        ("SELECT count_if(action LIKE '%DENIED%') AS denied FROM proxy", 4),
        ("SELECT regexp_extract(max(url), 'w+') AS w FROM proxy WHERE host = 'www.dropbox.com'", "www"),
        ("SELECT json_extract_scalar(raw, '$.appDisplayName') AS app FROM signins WHERE id = 'signin-0'", "Slack"),
        ("SELECT date_format(max(ts), '%Y-%m-%d') AS day FROM proxy", "2026-11-03"),
        ("SELECT NULL AS nothing", None),
    ],
)
def test_sql_in_athenas_dialect_is_answered(lake: Lake, known: Knowledge, sql: str, value: Any) -> None:
    assert answer_sql(lake, known, sql).rows == [(value,)]


@pytest.mark.parametrize(
    "sql", ["FROM proxy SELECT count(*)", "DESCRIBE people", "SELECT * EXCLUDE (raw) FROM signins"]
)
def test_sql_in_duckdbs_dialect_is_answered_too(lake: Lake, known: Knowledge, sql: str) -> None:
    assert answer_sql(lake, known, sql).rows


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELECT nothing FROM proxy", '"nothing" not found'),
        ("SELECT * FROM prox", "prox does not exist"),
        ("SELEC 1", "SELEC"),
        ("SELECT 1/'x'", "x"),
        ("SELECT CAST('9999-12-31' AS date) + INTERVAL 5 YEAR", "cannot be shown"),
    ],
)
def test_sql_that_does_not_run_is_told_without_a_picture_of_it(
    lake: Lake, known: Knowledge, sql: str, told: str
) -> None:
    with pytest.raises(WrongUse) as caught:
        answer_sql(lake, known, sql)
    assert told in caught.value.message
    assert "LINE" not in caught.value.message and "^" not in caught.value.message
    assert caught.value.next


def test_times_are_in_utc_wherever_the_machine_stands(lake: Lake, pfsquid: Pfsquid) -> None:
    sql = "SELECT CAST(max(ts) AS varchar) AS at FROM proxy"
    run = pfsquid("query", "--sql", sql, "--json", "--lake", lake.folder, TZ="America/New_York")
    assert run.rows == [{"at": "2026-11-03 16:00:00+00"}]


def test_only_files_of_the_time_are_read(lake: Lake, known: Knowledge) -> None:
    with session(lake, known, datetime(2026, 11, 3, tzinfo=UTC), datetime(2026, 11, 4, tzinfo=UTC)) as engine:
        assert engine.run("SELECT min(ts) AS first FROM proxy").rows[0][0] >= datetime(2026, 11, 3, tzinfo=UTC)


def test_hosts_hold_what_each_host_is(lake: Lake, known: Knowledge) -> None:
    rows = answer_sql(lake, known, "SELECT host, domain, app_id, kind, rule FROM hosts WHERE host LIKE '%a%'").rows
    assert ("ad.doubleclick.net", "doubleclick.net", None, "advertising", "doubleclick.net") in rows
    assert ("nas.local", "nas.local", None, "internal", None) in rows


def test_principals_hold_whom_each_user_name_means(lake: Lake, known: Knowledge) -> None:
    assert answer_sql(lake, known, "SELECT user_name, kind, person_id, reason FROM principals ORDER BY 1").rows == [
        ("WS1$@LAB.LOCAL", "computer", None, ""),
        ("morty.smith@LAB.LOCAL", "person", "morty.smith@example.com", ""),
        ("rick.sanchez@LAB.LOCAL", "person", "rick.sanchez@example.com", ""),
        ("stranger@LAB.LOCAL", "person", "stranger@LAB.LOCAL", "no sign-in of anybody called stranger"),
    ]


def test_a_changed_upn_is_the_newest_one(lake: Lake, known: Knowledge) -> None:
    assert answer_sql(lake, known, "SELECT upn FROM people WHERE identity = 'id-morty'").rows == [
        ("morty.smith@example.com",)
    ]


def test_signin_apps_hold_only_apps_that_the_catalogue_knows(lake: Lake, known: Knowledge) -> None:
    assert answer_sql(lake, known, "SELECT signin_app, app_id FROM signin_apps ORDER BY 1").rows == [
        ("id-of-dropbox business|Dropbox Business", "dropbox"),
        ("id-of-dropbox business|dropbox business", "dropbox"),
        ("id-of-slack|Slack", "slack"),
    ]


def test_nothing_is_left_in_the_temporary_folder(
    lake: Lake, known: Knowledge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    answer_sql(lake, known, "SELECT count(*) AS n FROM proxy")
    with pytest.raises(WrongUse):
        answer_sql(lake, known, "SELECT nothing FROM proxy")
    assert list(tmp_path.iterdir()) == []
