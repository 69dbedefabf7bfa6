"""A question to a lake in S3 reads the lake's files there, and nothing else: not the bucket, not this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pfsquid.discovery.answer import answer_sql
from pfsquid.discovery.duck import Knowledge, Session, session
from pfsquid.errors import PfsquidError, WrongUse
from pfsquid.lake import duck_files
from pfsquid.lake.catalog import Lake, open_lake
from pfsquid.lake.collect import collect_squid
from pfsquid.lake.days import held
from pfsquid.place import Place
from tests.aws.seaweed import Seaweed
from tests.discovery.conftest import TRAFFIC, collected, write_log
from tests.discovery.test_sql_is_shut_in import CANARY, READING, WRITING, _statements

OWN = """
SELECT * FROM read_text('s3://{bucket}/secret.csv')
SELECT * FROM read_csv('s3://{bucket}/secret.csv')
SELECT * FROM 's3://{bucket}/secret.csv'
SELECT * FROM read_parquet('s3://{bucket}/secret.parquet')
SELECT * FROM read_parquet(['{data}', 's3://{bucket}/secret.parquet'])
SELECT * FROM read_text('{data}/../../../../../secret.csv')
SELECT * FROM read_text('s3://{bucket}//secret.csv')
SELECT * FROM read_text('S3://{bucket}/secret.csv')
SELECT * FROM read_text('s3a://{bucket}/secret.csv')
SELECT * FROM glob('s3://{bucket}/*')
SELECT * FROM glob('s3://{bucket}/**')
SELECT * FROM read_text('s3://{bucket}/*.csv')
SELECT * FROM read_text('s3://other/x')
COPY proxy TO 's3://{bucket}/out.parquet'
COPY proxy TO '{data}'
COPY (SELECT 1) TO 's3://{bucket}/out.csv'
EXPORT DATABASE 's3://{bucket}/out'
ATTACH 's3://{bucket}/out.db'
"""


@pytest.fixture(scope="module")
def lake(seaweed: Seaweed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    root = tmp_path_factory.mktemp("s3-shut-in")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in seaweed.env().items():
            patch.setenv(name, value)
        lake = open_lake(seaweed.place(root), make=True)
        collected(collect_squid(lake, [write_log(root / "pfsquid.log", TRAFFIC)], "pfsquid", None, lambda *_: None))
        for name in ("secret.csv", "secret.parquet"):
            seaweed.client().put_object(Bucket=seaweed.bucket, Key=name, Body=f"secret\n{CANARY}\n".encode())
        (root / "secret.csv").write_text(f"secret\n{CANARY}\n")
        patch.chdir(root)
        yield lake


@pytest.fixture(scope="module")
def engine(lake: Lake, known: Knowledge) -> Iterator[Session]:
    with session(lake, known) as engine:
        yield engine


def filled(statement: str, lake: Lake, seaweed: Seaweed, root: Path) -> str:
    table = lake.made_table("proxy")
    data = next(file.file_path for there in held(table).values() for file in there.files)
    names = {
        "data": data, "bucket": seaweed.bucket, "lake": lake.place.url, "port": "1", "out": root / "out",
        "outside": root, "secret": root / "secret.csv", "catalog": root / "catalog.db",
    }  # fmt: skip
    for name, value in names.items():
        statement = statement.replace("{" + name + "}", str(value))
    return statement


@pytest.mark.parametrize("statement", _statements(OWN) + _statements(WRITING) + _statements(READING))
def test_the_session_refuses(lake: Lake, engine: Session, seaweed: Seaweed, statement: str) -> None:
    root = lake.folder.parent
    before = seaweed.keys(lake.place.url) if statement in OWN else set()
    with pytest.raises(WrongUse) as caught:
        engine.run(filled(statement, lake, seaweed, root))
    assert CANARY not in str(caught.value)
    assert not (root / "out").exists()
    assert (seaweed.keys(lake.place.url) if before else set()) == before


@pytest.mark.parametrize("statement", _statements(OWN))
def test_answer_sql_refuses(lake: Lake, known: Knowledge, seaweed: Seaweed, statement: str) -> None:
    with pytest.raises(WrongUse):
        answer_sql(lake, known, filled(statement, lake, seaweed, lake.folder.parent))


def test_after_all_this_the_session_still_answers(engine: Session, seaweed: Seaweed) -> None:
    assert engine.run("SELECT count(*) AS n FROM proxy").rows == [(18,)]
    assert not [key for key in seaweed.keys(f"s3://{seaweed.bucket}/") if "/out" in key]


def test_what_s3_refuses_in_the_middle_of_a_question_is_told_as_such(
    lake: Lake, known: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(_io: object, path: str) -> None:
        raise OSError(f"When reading {path}: AWS Error SLOW_DOWN during GetObject operation: Please reduce your rate.")

    monkeypatch.setattr(duck_files, "KEPT", 0)
    with pytest.raises(PfsquidError, match="it is asked too much at once"), session(lake, known) as engine:
        engine.remote._files = {}  # type: ignore[union-attr]
        monkeypatch.setattr(duck_files, "arrow_file", cut)
        engine.remote.learn(  # type: ignore[union-attr]
            lake.made_table("proxy").io, [f for h in held(lake.made_table("proxy")).values() for f in h.files]
        )
        engine.run("SELECT max(user_name) FROM proxy")


def test_a_lake_in_s3_needs_no_place_that_is_a_folder(lake: Lake) -> None:
    assert isinstance(lake.place, Place)
    assert not [path for path in lake.folder.rglob("*") if path.suffix == ".parquet"]
