"""The self-test tells every difference between Athena and DuckDB, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from pfsquid.aws import selftest as selftests
from pfsquid.aws.selftest import SETS, SQL, Checked, SelfTest, compared, difference, selftest
from pfsquid.aws.selftest_lake import ODD, fill
from pfsquid.cloud import Cloud
from pfsquid.discovery.answer import answer_sql
from pfsquid.discovery.ask import questions
from pfsquid.discovery.athena import Athena
from pfsquid.discovery.meaning import Knowledge
from pfsquid.errors import PfsquidError, WrongUse
from pfsquid.lake.catalog import Lake, open_lake
from pfsquid.lake.usage import covered
from pfsquid.place import Place
from tests.discovery.fake_athena import FakeAthena, Nasty, serving


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, Knowledge]:
    folder = tmp_path_factory.mktemp("selftest")
    lake = open_lake(folder / "lake", make=True)
    return lake, fill(lake, folder)


@pytest.fixture
def fake(small: tuple[Lake, Knowledge], monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAthena]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setattr("pfsquid.discovery.athena._PAUSES", (0.001, 0.01))
    with serving(FakeAthena(small[0])) as one:
        monkeypatch.setenv("AWS_ENDPOINT_URL_ATHENA", one.endpoint)
        yield one


@pytest.fixture
def athena() -> Athena:
    return Athena(Cloud("eu-central-1"), "pfsquid", "pfsquid_selftest", timeout=30)


def test_every_question_is_asked_with_all_its_parameters_and_equal(
    small: tuple[Lake, Knowledge], fake: FakeAthena, athena: Athena, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selftests, "SETS", (*SETS[:1], SETS[3], *SETS[5:8]))
    found = [*compared(*small, athena)]
    assert [one for one in found if one.difference] == []
    assert {one.question for one in found} == {*questions(), "SQL"}
    assert {part.partition("=")[0] for one in found for part in one.given.split() if "=" in part} == {
        "since", "until", "app", "person",
    }  # fmt: skip
    assert all(one.scanned and one.cost for one in found)
    assert all(one.athena for one in found if not one.given or one.question == "SQL")


def test_the_small_lake_holds_what_is_odd(small: tuple[Lake, Knowledge]) -> None:
    lake, known = small
    seen = covered(lake.table("proxy"), lake.table("usage"))
    assert seen.fresh and seen.stale
    assert answer_sql(lake, known, "SELECT count(*) FROM accounts").rows == [(2,)]
    assert (ODD,) in answer_sql(lake, known, "SELECT DISTINCT user_name FROM proxy").rows


def test_a_difference_is_told_and_makes_the_test_fail(
    small: tuple[Lake, Knowledge], fake: FakeAthena, athena: Athena, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = FakeAthena.computed

    def lying(self: FakeAthena, sql: str) -> Any:
        columns, rows = honest(self, sql)
        return columns, rows[:-1] if "example_host" in sql else rows

    monkeypatch.setattr(FakeAthena, "computed", lying)
    monkeypatch.setattr(selftests, "SETS", ((),))
    found = [*compared(*small, athena)]
    wrong = {one.question for one in found if one.difference}
    assert wrong == {"unknown-domains"}
    assert not SelfTest(tuple(found)).equal


def test_a_question_that_fails_is_told_and_the_others_go_on(
    small: tuple[Lake, Knowledge], fake: FakeAthena, athena: Athena, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selftests, "SETS", ((),))
    fake.nasty = Nasty(reason="FUNCTION_NOT_FOUND: line 1:1: count_if not registered")
    found = [*compared(*small, athena)]
    assert len(found) == len(questions()) + len(SQL)
    assert all("FUNCTION_NOT_FOUND" in one.difference and one.athena is None for one in found)


@pytest.mark.parametrize(
    ("ours", "theirs", "told"),
    [
        ([(1, "a")], [(1, "a")], ""),
        ([(1.0000000000000002,)], [(1.0,)], ""),
        ([(float("nan"),)], [(float("nan"),)], ""),
        ([(1,)], [(1.0,)], "row 1"),
        ([(None,)], [("",)], "row 1"),
        ([(1,), (2,)], [(2,), (1,)], "row 1"),
        ([(1,)], [], "DuckDB has 1 rows, Athena 0"),
        ([(True,)], [(1,)], "row 1"),
        ([(1, 2)], [(1,)], "row 1"),
    ],
)
def test_rows_are_the_same_only_with_their_types_and_order(ours: Any, theirs: Any, told: str) -> None:
    assert difference(ours, theirs).startswith(told) and bool(difference(ours, theirs)) == bool(told)


def test_a_question_that_gave_no_rows_at_all_costs_nothing() -> None:
    assert Checked("apps", "", 1, None, "Athena: no").cost == 0


def test_a_lake_in_a_folder_cannot_be_tested(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="lake in S3"):
        selftest(Cloud(), Place(tmp_path), "pfsquid")


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """S3 and Glue, in process, with a bucket in which something lies already."""
    for name in ("AWS_ENDPOINT_URL_ATHENA", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    with mock_aws():
        s3 = boto3.client("s3", "eu-central-1")
        s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        s3.put_object(Bucket="bucket", Key="athena/result.csv", Body=b"x")
        boto3.client("athena", "eu-central-1").create_work_group(
            Name="pfsquid", Configuration={"ResultConfiguration": {"OutputLocation": "s3://bucket/athena/"}}
        )
        yield Place(Path("/nowhere"), "s3://bucket/lake", "glue", "pfsquid", Cloud("eu-central-1"))


def test_what_it_made_is_gone_also_where_it_breaks(aws: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    s3, glue = boto3.client("s3", "eu-central-1"), boto3.client("glue", "eu-central-1")
    made: list[str] = []

    def broken(lake: Lake, folder: Path) -> Knowledge:
        made.append(lake.place.url)
        key = lake.place.url.removeprefix("s3://bucket/")
        for number in range(3):
            s3.put_object(Bucket="bucket", Key=f"{key}/pfsquid_selftest.db/proxy/{number}", Body=b"x")
        raise PfsquidError("in the middle")

    monkeypatch.setattr(selftests, "fill", broken)
    with pytest.raises(PfsquidError, match="in the middle"):
        selftest(aws.cloud, aws, "pfsquid")
    assert made[0].startswith("s3://bucket/athena/selftest-")
    assert [one["Key"] for one in s3.list_objects_v2(Bucket="bucket")["Contents"]] == ["athena/result.csv"]
    assert glue.get_databases()["DatabaseList"] == []


def test_a_workgroup_that_is_not_there_is_told_before_anything_is_made(fake: FakeAthena) -> None:
    with pytest.raises(PfsquidError, match="no workgroup other"):
        selftest(Cloud("eu-central-1"), Place(Path("/nowhere"), "s3://bucket/lake"), "other")
    assert fake.asked == ["GetWorkGroup"]
