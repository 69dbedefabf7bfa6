"""SQL of one's own reads the lake and nothing else, and writes nothing: every way out that DuckDB has is tried."""

from __future__ import annotations

import hashlib
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from pfsquid.discovery.answer import answer_sql
from pfsquid.discovery.ask import Result
from pfsquid.discovery.duck import Knowledge, Session, session
from pfsquid.errors import WrongUse
from pfsquid.lake.catalog import Lake, open_lake
from pfsquid.lake.collect import collect_squid
from tests.discovery.conftest import TRAFFIC, collected, write_log

CANARY = "canary-that-no-query-may-see"
IN_THIS_MODULE = pa.table({"secret": [CANARY]})

WRITING = r"""
COPY proxy TO '{out}'
COPY (SELECT * FROM proxy) TO '{out}' (FORMAT parquet)
COPY (SELECT 1 AS x) TO '{data}' (FORMAT parquet)
COPY (SELECT 1 AS x) TO '{catalog}' (FORMAT csv)
COPY proxy FROM '{secret}'
EXPORT DATABASE '{out}'
IMPORT DATABASE '{outside}'
ATTACH '{out}' AS other
ATTACH '{catalog}' AS other (TYPE sqlite)
ATTACH ':memory:' AS other
DETACH memory
USE memory
INSTALL httpfs
LOAD httpfs
LOAD '{secret}'
SET enable_external_access = true
SET lock_configuration = false
SET allowed_paths = ['{secret}']
SET python_enable_replacements = true
SET GLOBAL temp_directory = '{outside}'
SET VARIABLE x = 1
RESET enable_external_access
RESET ALL
PRAGMA database_list
PRAGMA enable_profiling
PRAGMA profiling_output = '{out}'
CREATE TABLE x AS SELECT 1
CREATE TEMP TABLE x AS SELECT 1
CREATE VIEW x AS SELECT 1
CREATE OR REPLACE VIEW proxy AS SELECT 1
CREATE MACRO x() AS 1
CREATE SECRET x (TYPE s3)
CREATE PERSISTENT SECRET x (TYPE s3)
CREATE TYPE x AS ENUM ('a')
CREATE SCHEMA x
INSERT INTO people VALUES ('x', 'x', 'x', 'x', 'x', 'x')
INSERT INTO proxy SELECT * FROM proxy
UPDATE people SET upn = 'x'
DELETE FROM proxy
TRUNCATE proxy
MERGE INTO people USING people AS p ON true WHEN MATCHED THEN DELETE
DROP VIEW proxy
DROP TABLE people
ALTER VIEW proxy RENAME TO other
CALL enable_logging(storage = 'file', storage_path = '{outside}')
CALL force_checkpoint()
CHECKPOINT
VACUUM
BEGIN
COMMIT
PREPARE x AS SELECT 1
EXECUTE x
DEALLOCATE x
EXPLAIN SELECT 1
EXPLAIN ANALYZE COPY proxy TO '{out}'
EXPLAIN ANALYZE DELETE FROM proxy
WITH gone AS (DELETE FROM people RETURNING *) SELECT * FROM gone
SELECT 1; SELECT 2
SELECT 1; COPY proxy TO '{out}'
; COPY proxy TO '{out}'
SELECT 1 -- a comment\n; COPY proxy TO '{out}'
SELECT 1 /* ; */; COPY proxy TO '{out}' /* */
/* SELECT 1 */ COPY proxy TO '{out}'
--\n
SELECT * FROM enable_logging(storage = 'file', storage_path = '{outside}')
SELECT * FROM enable_profiling(save_location = '{out}')
SELECT * FROM query('COPY proxy TO ''{out}''')
SELECT * FROM json_execute_serialized_sql(json_serialize_sql('COPY proxy TO ''{out}'''))
SELECT * FROM register_external_resource('duckdb', 'x', '{secret}', '{secret}', 'x', 'x')
"""

READING = """
SELECT * FROM read_csv('{secret}')
SELECT * FROM read_csv_auto('{secret}')
SELECT * FROM read_text('{secret}')
SELECT * FROM read_text(['{data}', '{secret}'])
SELECT * FROM read_blob('{secret}')
SELECT * FROM read_json('{secret}')
SELECT * FROM read_ndjson_objects('{secret}')
SELECT * FROM read_parquet('{secret}')
SELECT * FROM parquet_metadata('{secret}')
SELECT * FROM parquet_schema('{secret}')
SELECT * FROM read_duckdb('{secret}')
SELECT * FROM sniff_csv('{secret}')
SELECT * FROM '{secret}'
SELECT * FROM '{outside}/*.csv'
SELECT * FROM "{secret}"
SELECT * FROM glob('{outside}/*')
SELECT * FROM glob('/etc/*')
SELECT * FROM read_text('/etc/passwd')
SELECT * FROM read_csv('/etc/passwd')
SELECT * FROM read_blob('/proc/self/environ')
SELECT * FROM read_text('file:///etc/passwd')
SELECT * FROM read_blob('{catalog}')
SELECT * FROM read_text('{catalog}')
SELECT * FROM '{catalog}'
SELECT * FROM sqlite_scan('{catalog}', 'iceberg_tables')
SELECT * FROM glob('{lake}/**')
SELECT * FROM read_text('{lake}/**/*.json')
SELECT * FROM read_blob('{data}/../../../../catalog.db')
SELECT * FROM read_text('{lake}/../outside/secret.csv')
SELECT * FROM read_text('secret.csv')
SELECT * FROM read_text('./secret.csv')
SELECT * FROM read_text('~/secret.csv')
SELECT * FROM 'secret.csv'
SELECT * FROM read_csv('http://127.0.0.1:{port}/x.csv')
SELECT * FROM 'http://127.0.0.1:{port}/x.parquet'
SELECT * FROM read_parquet('https://127.0.0.1:{port}/x.parquet')
SELECT * FROM read_parquet('s3://bucket/x.parquet')
SELECT * FROM iceberg_scan('{lake}')
SELECT getenv('HOME')
SELECT * FROM frame
SELECT * FROM IN_THIS_MODULE
SELECT * FROM query_table('frame')
SELECT * FROM query_table('{secret}')
SELECT * FROM query_table(['{secret}'])
SELECT * FROM query('SELECT * FROM read_text(''{secret}'')')
SELECT * FROM query('FROM ''{secret}''')
SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT * FROM read_text(''{secret}'')'))
SELECT * FROM python_map_function((SELECT 1))
SELECT * FROM arrow_scan(1, 2, 3)
SELECT * FROM duckdb_secrets()
SELECT * FROM which_secret('s3://bucket', 's3')
WITH x AS (SELECT content FROM read_text('{secret}')) SELECT * FROM x
SELECT (SELECT content FROM read_text('{secret}'))
SELECT * FROM proxy UNION ALL BY NAME SELECT * FROM read_text('{secret}')
SELECT * FROM histogram('{secret}', column0)
"""


def _statements(text: str) -> list[str]:
    return [line.replace("\\n", "\n") for line in text.strip().splitlines()]


@dataclass
class Place:
    """A lake, a folder outside of it with a secret, and a port where somebody listens."""

    lake: Lake
    outside: Path
    session: Session
    listener: socket.socket

    def filled(self, statement: str) -> str:
        """A statement with the true paths."""
        data = next(self.lake.folder.rglob("*.parquet"))
        names = {
            "out": self.outside / "out",
            "outside": self.outside,
            "secret": self.outside / "secret.csv",
            "data": data,
            "catalog": self.lake.folder / "catalog.db",
            "lake": self.lake.folder,
            "port": self.listener.getsockname()[1],
        }
        for name, value in names.items():
            statement = statement.replace("{" + name + "}", str(value))
        return statement

    def tree(self) -> dict[str, tuple[int, int, str]]:
        """Every file and folder of the place: size, time of change, digest."""
        return {
            str(path): (path.stat().st_size, path.stat().st_mtime_ns, _digest(path))
            for path in sorted(self.outside.parent.rglob("*"))
        }


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, known: Knowledge) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("shut-in")
    outside = root / "outside"
    outside.mkdir()
    (outside / "secret.csv").write_text(f"secret\n{CANARY}\n")
    lake = open_lake(root / "lake", make=True)
    log = write_log(root / "pfsquid.log", TRAFFIC)
    collected(collect_squid(lake, [log], "pfsquid", None, lambda *_: None))
    with socket.create_server(("127.0.0.1", 0)) as listener, session(lake, known) as engine:
        listener.setblocking(False)
        yield Place(lake, outside, engine, listener)


@pytest.fixture(autouse=True)
def _at_home_outside(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory and the home are where the secret lies, so that short paths are tried too."""
    monkeypatch.chdir(place.outside)
    monkeypatch.setenv("HOME", str(place.outside))


@pytest.mark.parametrize("statement", _statements(WRITING) + _statements(READING))
def test_answer_sql_refuses(place: Place, known: Knowledge, statement: str) -> None:
    frame = pa.table({"secret": [CANARY]})
    before = place.tree()
    with pytest.raises(WrongUse):
        answer_sql(place.lake, known, place.filled(statement))
    assert place.tree() == before
    assert frame.num_rows == 1


@pytest.mark.parametrize("statement", _statements(WRITING) + _statements(READING))
def test_the_session_refuses_also_what_sqlglot_would_not_read(place: Place, statement: str) -> None:
    frame = pa.table({"secret": [CANARY]})
    before = place.tree()
    with pytest.raises(WrongUse):
        place.session.run(place.filled(statement))
    assert place.tree() == before
    assert frame.num_rows == 1


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM duckdb_settings()",
        "SELECT * FROM duckdb_databases()",
        "SELECT * FROM duckdb_views()",
        "SELECT * FROM duckdb_variables()",
        "SELECT * FROM duckdb_temporary_files()",
        "SELECT * FROM duckdb_logs",
        "SELECT write_log('x')",
        "SELECT * FROM checkpoint()",
        "SELECT * FROM read_blob('{data}')",
        "SELECT * FROM parquet_metadata('{data}')",
        "SELECT * FROM query('SELECT count(*) FROM proxy')",
        "SELECT 1; -- ; COPY proxy TO '{out}'",
        "SELECT 1 /* ; COPY proxy TO '{out}' */ AS x",
        "SELECT '; COPY proxy TO ''{out}''' AS x",
    ],
)
def test_what_is_answered_shows_and_changes_nothing_outside(place: Place, statement: str) -> None:
    before = place.tree()
    result: Result = place.session.run(place.filled(statement))
    assert CANARY not in str(result.rows)
    assert place.tree() == before


@pytest.mark.parametrize(
    ("setting", "value"),
    [("enable_external_access", False), ("python_enable_replacements", False), ("lock_configuration", True)],
)
def test_the_session_is_locked_twice(place: Place, setting: str, value: bool) -> None:
    assert place.session.run(f"SELECT current_setting('{setting}') AS value").rows == [(value,)]


def test_a_result_larger_than_memory_spills_into_the_sessions_own_folder(place: Place) -> None:
    (spill,) = place.session.run("SELECT current_setting('temp_directory') AS folder").rows[0]
    assert Path(spill).is_dir()
    assert Path(spill) not in (place.outside, place.lake.folder)
    assert Path(spill).stat().st_mode & 0o077 == 0


def test_nobody_was_called_on_the_network(place: Place) -> None:
    place.session.run("SELECT 1 AS x")
    with pytest.raises(WrongUse):
        place.session.run(place.filled("SELECT * FROM read_csv('http://127.0.0.1:{port}/x.csv')"))
    with pytest.raises(BlockingIOError):
        place.listener.accept()


def test_after_all_this_the_session_still_answers(place: Place) -> None:
    for statement in _statements(WRITING):
        with pytest.raises(WrongUse):
            place.session.run(place.filled(statement))
    assert place.session.run("SELECT count(*) AS n FROM proxy").rows == [(18,)]


def test_a_lake_beside_it_is_outside_too(place: Place, known: Knowledge, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(place.lake.folder, other)
    data = next(other.rglob("*.parquet"))
    with pytest.raises(WrongUse):
        answer_sql(place.lake, known, f"SELECT * FROM read_parquet('{data}')")


def test_a_link_to_the_outside_is_refused(place: Place, known: Knowledge) -> None:
    link = place.outside / "link.csv"
    link.symlink_to(place.outside / "secret.csv")
    with pytest.raises(WrongUse):
        answer_sql(place.lake, known, f"SELECT * FROM read_csv('{link}')")
    link.unlink()
