"""The self-test: every question to one's own Athena and to DuckDB, over the same small lake, compared row for row.

The lake is made for it, in a database of its own below the place for Athena's results, and dropped at the end. Nothing
of the lake in use is read or written.
"""

from __future__ import annotations

import math
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from pfsquid.aws.selftest_lake import NOW, ODD, fill
from pfsquid.cloud import Cloud, explained
from pfsquid.discovery.answer import answer, answer_sql
from pfsquid.discovery.ask import questions
from pfsquid.discovery.athena import TIMEOUT, Athena, Tell
from pfsquid.discovery.athena_answer import Asked, ask, prepare, prepare_sql
from pfsquid.discovery.athena_cost import dollars
from pfsquid.discovery.meaning import Knowledge
from pfsquid.errors import PfsquidError, WrongUse
from pfsquid.lake.catalog import Lake, open_lake
from pfsquid.place import Place

SETS = (
    (),
    ("since=2026-11-03",),
    ("until=2026-11-02",),
    ("since=2026-11-02T08:00:01", "until=2026-11-03T13:20"),
    ("since=2026-11-02T23:59:59.999",),
    ("app=dropbox",),
    ("person=rick.sanchez", "since=2026-11-02"),
    (f"person={ODD}",),
    ("since=2027-01-01",),
)
"""Sets of parameters; of each, a question gets those that it takes."""
SQL = (
    "SELECT count(*) AS n FROM proxy",
    "SELECT 'it''s \\ \" ? -- ; é 😀' AS odd, '' AS empty, CAST(NULL AS varchar) AS nothing",
    "SELECT ts, host, bytes_up, status FROM proxy ORDER BY ts, host, bytes_up",
    "SELECT max(ts) AS at, CAST(max(ts) AS date) AS day, CAST(1 AS double) / 3 AS third, 1 = 1 AS yes FROM proxy",
    "SELECT department, valid_to IS NULL AS holds FROM accounts ORDER BY department",
    "SELECT app_name, json_extract_scalar(raw, '$.status.errorCode') AS error FROM signins ORDER BY id",
    "SELECT kind, count(*) AS n FROM hosts GROUP BY kind ORDER BY kind",
)


@dataclass(frozen=True)
class Checked:
    """One question. duckdb, athena: rows; None where it gave none but an error. difference: '' where they are equal.
    scanned: bytes that Athena read; seconds: that it took."""

    question: str
    given: str
    duckdb: int | None
    athena: int | None
    difference: str = ""
    scanned: int = 0
    seconds: float = 0.0

    @property
    def cost(self) -> float:
        """Dollars."""
        return dollars(self.scanned) if self.athena is not None else 0.0


@dataclass(frozen=True)
class SelfTest:
    """What came of it. left: what could not be dropped."""

    checked: tuple[Checked, ...]
    left: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Is every answer the same?"""
        return not any(one.difference for one in self.checked)


def selftest(
    cloud: Cloud, place: Place, workgroup: str, tell: Tell = lambda _: None, timeout: float = TIMEOUT
) -> SelfTest:
    """Run it. place: of the lake in use, for its bucket and the name of its database. tell: told what is done.

    Raises PfsquidError where the small lake cannot be made; what goes wrong with a question is in the result.
    """
    if not place.url or place.catalog != "glue":
        raise WrongUse("the self-test takes a lake in S3 with Glue's catalog", "pfsquid aws deploy")
    athena = Athena(cloud, workgroup, f"{place.database}_selftest", timeout)
    group = athena.group()
    base = (group.output or place.url).rstrip("/")
    with tempfile.TemporaryDirectory(prefix="pfsquid-") as folder:
        where = Place(Path(folder), f"{base}/selftest-{uuid.uuid4().hex[:12]}", "glue", athena.database, cloud)
        tell(f"a small lake is made in {where.url}, database {where.database}")
        lake = open_lake(where, make=True)
        left: list[str] = []
        with _dropping(lake, left, tell):
            lake.catalog.create_namespace_if_not_exists(lake.namespace)
            _drop_tables(lake)  # of one that was cut off
            known = fill(lake, Path(folder))
            checked = tuple(compared(lake, known, athena, tell))
        return SelfTest(checked, tuple(left))


def compared(lake: Lake, known: Knowledge, athena: Athena, tell: Tell = lambda _: None) -> Iterator[Checked]:
    """Ask both everything, one after the other."""
    for name, question in questions().items():
        for given in dict.fromkeys(
            tuple(one for one in each if one.partition("=")[0] in question.parameters) for each in SETS
        ):
            tell(f"{name} {' '.join(given)}")
            yield _compared(
                name,
                " ".join(given),
                lambda name=name, given=given: answer(lake, known, name, given, NOW).rows,  # type: ignore[misc]
                lambda name=name, given=given: prepare(lake, known, name, given, NOW),  # type: ignore[misc]
                athena,
            )
    for number, sql in enumerate(SQL, 1):
        tell(f"SQL {number}")
        yield _compared(
            "SQL",
            str(number),
            lambda sql=sql: answer_sql(lake, known, sql).rows,  # type: ignore[misc]
            lambda sql=sql: prepare_sql(lake, known, sql),  # type: ignore[misc]
            athena,
        )


def _compared(
    question: str, given: str, here: Callable[[], list[tuple[Any, ...]]], there: Callable[[], Asked], athena: Athena
) -> Checked:
    try:
        ours = here()
    except PfsquidError as exc:
        return Checked(question, given, None, None, f"DuckDB: {exc.message}")
    try:
        streamed = ask(athena, there())
        theirs = list(streamed.rows)
    except PfsquidError as exc:
        return Checked(question, given, len(ours), None, f"Athena: {exc.message}")
    return Checked(
        question, given, len(ours), len(theirs), difference(ours, theirs), streamed.scanned, streamed.seconds
    )


def difference(ours: Sequence[Sequence[Any]], theirs: Sequence[Sequence[Any]]) -> str:
    """The first difference between DuckDB's rows and Athena's; '' where there is none. Fractions may differ in their
    last digits."""
    for number, (one, other) in enumerate(zip(ours, theirs, strict=False), 1):
        if len(one) != len(other) or not all(map(_is_same, one, other)):
            return f"row {number}: DuckDB {tuple(one)!r}, Athena {tuple(other)!r}"
    return "" if len(ours) == len(theirs) else f"DuckDB has {len(ours)} rows, Athena {len(theirs)}"


def _is_same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-12) or (math.isnan(one) and math.isnan(other))
    return type(one) is type(other) and bool(one == other)


@contextmanager
def _dropping(lake: Lake, left: list[str], tell: Tell) -> Iterator[None]:
    """Drop the lake afterwards, whatever happened; what could not be dropped is in `left`."""
    try:
        yield
    finally:
        tell("the small lake is dropped")
        steps: tuple[tuple[str, Callable[[], None]], ...] = (
            (f"tables of {lake.namespace}", lambda: _drop_tables(lake)),
            (f"database {lake.namespace}", lambda: _drop_database(lake)),
            (lake.place.url, lambda: _drop_files(lake.place)),
        )
        for what, step in steps:
            try:
                step()
            except Exception as exc:  # noqa: BLE001 - each is tried, and told
                left.append(f"{what} ({exc})")


def _drop_tables(lake: Lake) -> None:
    for identifier in lake.catalog.list_tables(lake.namespace):
        with suppress(KeyError):
            lake.catalog.drop_table(identifier)


def _drop_database(lake: Lake) -> None:
    catalog: Any = lake.catalog
    catalog.drop_namespace(lake.namespace)


def _drop_files(place: Place) -> None:
    bucket, _, prefix = place.url.removeprefix("s3://").partition("/")
    if "/selftest-" not in f"/{prefix}":
        raise AssertionError(f"{place.url} is none of the self-test's")
    with explained(f"files of {place.url}"):
        client = place.cloud.client("s3")
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
        keys = ({"Key": one["Key"]} for page in pages for one in page.get("Contents", ()))
        while some := list(islice(keys, 1000)):
            client.delete_objects(Bucket=bucket, Delete={"Objects": some, "Quiet": True})
