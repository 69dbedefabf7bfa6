"""A lake in S3 with Glue's catalog, from the first row to Athena's answer on the command line, and the self-test there.

S3 and Glue are MiniStack's; Athena is our own fake, which runs the SQL over the tables that Glue names.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pfsquid.aws import selftest as selftests
from pfsquid.aws.selftest import SETS, selftest
from pfsquid.aws.selftest_lake import fill
from pfsquid.cloud import Cloud
from pfsquid.discovery.meaning import Knowledge
from pfsquid.lake.catalog import Lake, open_lake
from pfsquid.place import Place
from tests.aws.ministack import REGION, MiniStack
from tests.discovery.conftest import TRAFFIC, write_log, write_sign_ins
from tests.discovery.fake_athena import FakeAthena, serving
from tests.running import Pfsquid

URL = "s3://athena-test/lake"


@pytest.fixture
def cloud(ministack: MiniStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[FakeAthena, dict[str, str]]]:
    """A bucket, and an Athena beside it; with the environment that leads there."""
    monkeypatch.setattr("pfsquid.discovery.athena._PAUSES", (0.001, 0.01))
    with serving(FakeAthena(None)) as fake:
        fake.nasty.output = "s3://athena-test/athena/"
        environment = {**ministack.env, "AWS_ENDPOINT_URL_ATHENA": fake.endpoint}
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        ministack.client("s3").create_bucket(
            Bucket="athena-test", CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        yield fake, environment


def test_a_question_to_athena_on_the_command_line_is_that_of_duckdb(
    cloud: tuple[FakeAthena, dict[str, str]], pfsquid: Pfsquid, tmp_path: Path
) -> None:
    fake, environment = cloud
    log, sign_ins = write_log(tmp_path / "a.log", TRAFFIC), write_sign_ins(tmp_path / "s.json")
    for words in (
        ("collect", "squid", "--from", log, "--format", "pfsquid"),
        ("collect", "entra", "--from", sign_ins),
        ("lake", "publish"),
    ):
        ran = pfsquid(*words, "--lake", URL, **environment)
        assert ran.status == 0, ran.err
    fake.lake = open_lake(Place(tmp_path / "state", URL, "glue", "pfsquid", Cloud(REGION)), make=False)
    for name in ("app-signins", "unmatched-people"):
        here = pfsquid("query", name, "--json", "--lake", URL, **environment)
        there = pfsquid("query", name, "--json", "--engine", "athena", "--lake", URL, **environment)
        assert (there.status, here.status) == (0, 0), there.err
        assert there.rows == here.rows and here.rows
        assert "Athena is to read at most" in there.err and "Athena read 12.3 MB ($0.00006)" in there.err


def test_the_self_test_runs_and_leaves_nothing(
    cloud: tuple[FakeAthena, dict[str, str]], ministack: MiniStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake, _ = cloud

    def watched(lake: Lake, folder: Path) -> Knowledge:
        fake.lake = lake
        return fill(lake, folder)

    monkeypatch.setattr(selftests, "fill", watched)
    monkeypatch.setattr(selftests, "SETS", SETS[:1])
    found = selftest(Cloud(REGION), Place(Path("/nowhere"), URL, "glue", "pfsquid", Cloud(REGION)), "pfsquid")
    assert [one for one in found.checked if one.difference] == []
    assert found.left == ()
    assert ministack.client("s3").list_objects_v2(Bucket="athena-test").get("Contents", []) == []
    names = [one["Name"] for one in ministack.client("glue").get_databases()["DatabaseList"]]
    assert "pfsquid_selftest" not in names
