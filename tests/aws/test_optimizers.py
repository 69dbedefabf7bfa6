"""Glue's optimizers as code, with a role that can do just that; and what they do to a table harms nothing of pfsquid's.

Another engine's compaction is played by pyiceberg's own `overwrite`: a day's rows again, in files of foreign names.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.expressions import And, GreaterThanOrEqual, LessThan

from pfsquid.lake.care import compact, plan_compact
from pfsquid.lake.catalog import Lake
from pfsquid.lake.days import held
from pfsquid.lake.files import KEPT, MERGED
from pfsquid.lake.ingest import POSITION, Ingested, Moved, ingest
from pfsquid.lake.tables import TABLES
from pfsquid.lake.usage import covered, to_count
from pfsquid.settings_care import MB, CareSettings
from tests.aws.parts import lint, part, walk, whole
from tests.lake.care_rows import EAGER, LATER, append, everything, many, traffic
from tests.lake.rows import MONDAY, batch, new_lake, proxy_rows
from tests.lake.test_slices import TENANT, put
from tests.lake.test_slices import held as sign_ins_held

PART = part("optimizers")
RESOURCES: dict[str, dict[str, Any]] = PART["Resources"]
OPTIMIZERS = {
    (one["Properties"]["TableName"], one["Properties"]["Type"]): one["Properties"]["TableOptimizerConfiguration"]
    for one in RESOURCES.values()
    if one["Type"] == "AWS::Glue::TableOptimizer"
}
STATEMENTS = {one["Sid"]: one for one in RESOURCES["OptimizerPolicy"]["Properties"]["PolicyDocument"]["Statement"]}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return new_lake(tmp_path)


def compact_as_another_engine(lake: Lake, name: str, day: date) -> None:
    """The day's rows in one file of another engine's."""
    table, column = lake.made_table(name), TABLES[name].by_day
    assert column is not None
    begin = datetime(day.year, day.month, day.day)
    ends = (begin, begin + timedelta(days=1))
    first, last = (f"{one.isoformat()}+00:00" if name != "usage" else one.date().isoformat() for one in ends)
    wanted = And(GreaterThanOrEqual(column, first), LessThan(column, last))
    table.overwrite(table.scan(row_filter=wanted).to_arrow(), overwrite_filter=wanted)


def names(lake: Lake, table: str = "proxy") -> list[str]:
    return [file.file_path.rpartition("/")[2] for there in held(lake.table(table)).values() for file in there.files]


def stale(lake: Lake) -> list[date | None]:
    return [there.day for there in covered(lake.table("proxy"), lake.table("usage")).stale]


def test_the_schemas_accept_the_stack_with_the_optimizers() -> None:
    assert lint(whole(PART)) == []


def test_the_schemas_accept_the_stack_with_both_parts() -> None:
    assert lint(whole(PART, part("quicksight"))) == []


def test_the_schemas_know_a_wrong_optimizer() -> None:
    broken = part("optimizers")
    broken["Resources"]["OptimizerProxyCompaction"]["Properties"]["Type"] = "compact"
    assert any("compact" in line for line in lint(whole(broken)))


def test_without_the_parameter_there_are_no_optimizers() -> None:
    assert [name for name, one in RESOURCES.items() if one.get("Condition") != "HasOptimizers"] == []


def test_an_optimizer_is_of_a_table_of_the_lake_and_the_role_may_change_just_those() -> None:
    tables = {table for table, _ in OPTIMIZERS}
    assert tables <= TABLES.keys()
    allowed = [one["Fn::Sub"].rpartition(":")[2] for one in STATEMENTS["Tables"]["Resource"]]
    assert sorted(allowed) == sorted(
        ["catalog", "database/${DatabaseName}", *(f"table/${{DatabaseName}}/{t}" for t in tables)]
    )


def test_the_tables_that_change_most_have_all_three_optimizers() -> None:
    for table in ("proxy", "signins", "audits"):
        assert {kind for name, kind in OPTIMIZERS if name == table} == {
            "compaction", "retention", "orphan_file_deletion",
        }  # fmt: skip


def test_the_role_reaches_the_tables_and_nothing_else_of_the_bucket() -> None:
    assert STATEMENTS["Files"]["Resource"] == {"Fn::Sub": "${Lake.Arn}/${Prefix}/${DatabaseName}.db/*"}
    assert STATEMENTS["Folder"]["Condition"] == {
        "StringLike": {"s3:prefix": {"Fn::Sub": "${Prefix}/${DatabaseName}.db/*"}}
    }


def test_no_statement_of_the_role_is_for_everything() -> None:
    policy = RESOURCES["OptimizerPolicy"]["Properties"]["PolicyDocument"]
    for statement in walk(policy):
        for value in (statement.get("Action"), statement.get("Resource")):
            listed = value if isinstance(value, list) else [value]
            assert not {"*", "s3:*", "glue:*", "kms:*", "logs:*"} & {one for one in listed if isinstance(one, str)}


def test_only_glue_in_this_account_takes_the_role() -> None:
    (trusted,) = RESOURCES["OptimizerRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trusted["Principal"] == {"Service": "glue.amazonaws.com"}
    assert trusted["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_glue_keeps_states_and_files_at_least_as_long_as_care_does() -> None:
    care, day = CareSettings().expire, 86400
    for (_, kind), given in OPTIMIZERS.items():
        if kind == "retention":
            iceberg = given["RetentionConfiguration"]["IcebergConfiguration"]
            assert iceberg["SnapshotRetentionPeriodInDays"] * day >= care.snapshots
        if kind == "orphan_file_deletion":
            iceberg = given["OrphanFileDeletionConfiguration"]["IcebergConfiguration"]
            assert iceberg["OrphanFileRetentionPeriodInDays"] * day >= care.orphans


def test_what_care_has_sorted_is_not_small_to_glue() -> None:
    """Glue takes files below three quarters of the target; care's files are as large as the target."""
    for spec in TABLES.values():
        assert int(spec.properties()["write.target-file-size-bytes"]) == CareSettings().compact.file_size * MB


def test_a_foreign_compaction_changes_no_row_and_no_position(lake: Lake) -> None:
    many(lake, 4, days=(0, 1))
    before, positions = everything(lake), dict(lake.made_table("proxy").properties)
    compact_as_another_engine(lake, "proxy", MONDAY.date())
    assert (everything(lake), lake.made_table("proxy").properties) == (before, positions)
    assert any(key.startswith(POSITION) for key in positions)
    assert [name for name in names(lake) if name.startswith((KEPT, MERGED))] == []


def test_a_collector_goes_on_after_a_foreign_compaction(lake: Lake) -> None:
    append(lake, proxy_rows(0, 10), 20)
    compact_as_another_engine(lake, "proxy", MONDAY.date())
    append(lake, proxy_rows(20, 30), 40)
    assert [row["source_offset"] for row in everything(lake)] == [0, 10, 20, 30]


def test_a_row_that_gives_way_is_found_in_a_foreign_file(lake: Lake) -> None:
    append(lake, proxy_rows(0, 10), 15, unended=10)
    append(lake, proxy_rows(0, source="access.log#2"), 5, source="access.log#2")
    compact_as_another_engine(lake, "proxy", MONDAY.date())
    append(lake, proxy_rows(10, method="POST"), 20, replaces=10)
    found = sorted((row["source"], row["source_offset"], row["method"]) for row in everything(lake))
    assert found == [("access.log#1", 0, "GET"), ("access.log#1", 10, "POST"), ("access.log#2", 0, "GET")]


def test_the_rollup_of_a_day_is_stale_after_a_foreign_compaction_and_never_wrong(lake: Lake) -> None:
    append(lake, traffic(*({"user_name": name, "host": "x", "bytes_up": 7} for name in "ab")))
    compact(lake, EAGER, LATER)
    counted = everything(lake, "usage")
    compact_as_another_engine(lake, "proxy", MONDAY.date())
    assert (stale(lake), to_count(lake, 0, LATER)) == ([MONDAY.date()], [MONDAY.date()])
    compact(lake, EAGER, LATER)
    assert (stale(lake), everything(lake, "usage")) == ([], counted)


def test_a_foreign_compaction_of_the_rollup_leaves_it_fresh(lake: Lake) -> None:
    append(lake, traffic({"user_name": "a", "host": "x"}))
    compact(lake, EAGER, LATER)
    before = everything(lake, "usage")
    compact_as_another_engine(lake, "usage", MONDAY.date())
    assert (stale(lake), everything(lake, "usage")) == ([], before)


def test_care_sorts_a_foreign_day_once_and_then_rests(lake: Lake) -> None:
    many(lake, 4)
    compact(lake, EAGER, LATER)
    compact_as_another_engine(lake, "proxy", MONDAY.date())
    rows = everything(lake)
    compact(lake, EAGER, LATER)
    assert all(name.startswith(KEPT) for name in names(lake))
    assert (everything(lake), plan_compact(lake, EAGER, LATER).deeds) == (rows, ())


def test_a_slice_of_graph_takes_the_place_of_its_rows_in_a_foreign_file(lake: Lake) -> None:
    put(lake, 0, 300, {"a": (1, "A"), "b": (2, "B")})
    put(lake, 300, 600, {"c": (301, "C")})
    ledger = dict(lake.made_table("signins").properties)
    compact_as_another_engine(lake, "signins", date(2026, 11, 23))
    assert lake.made_table("signins").properties == ledger and any(TENANT in key for key in ledger)
    done = put(lake, 0, 300, {"a": (1, "A"), "b": (2, "B2"), "late": (3, "L")}, now=1_795_392_000 + 41 * 3600)
    assert (done.late, done.changed, done.vanished) == (1, 1, 0)
    assert sign_ins_held(lake) == {"a": "A", "b": "B2", "late": "L", "c": "C"}


def test_two_that_read_one_log_are_told_apart_also_after_a_foreign_compaction(lake: Lake) -> None:
    append(lake, proxy_rows(0), 10)
    compact_as_another_engine(lake, "proxy", MONDAY.date())
    with pytest.raises(Moved):
        ingest(lake, [batch(proxy_rows(0), 10)], Ingested(), known={})
    assert len(everything(lake)) == 1
