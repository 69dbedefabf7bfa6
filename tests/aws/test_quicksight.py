"""The dashboard of QuickSight as code: the schemas accept it, its SQL answers as pfsquid's own questions do, and each
visual uses only columns that its data set has, as what they are."""

from __future__ import annotations

import copy
import importlib
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

from pfsquid.demo import RECORDED
from pfsquid.discovery.answer import answer, knowledge
from pfsquid.discovery.ask import render
from pfsquid.discovery.duck import Knowledge, session
from pfsquid.lake.catalog import Lake, open_lake
from pfsquid.lake.collect import collect_entra, collect_squid
from pfsquid.resources import configs
from tests.aws.parts import lint, part, walk, whole
from tests.discovery.test_athena_dialect import lint as differs_silently

PART = part("quicksight")
RESOURCES: dict[str, dict[str, Any]] = PART["Resources"]
DEFINITION: dict[str, Any] = RESOURCES["Dashboard"]["Properties"]["Definition"]
TODAY = date(2026, 11, 25)  # soon after the recorded week
Rows = list[dict[str, Any]]


def custom(resource: str) -> dict[str, Any]:
    """The query of a data set."""
    tables = RESOURCES[resource]["Properties"]["PhysicalTableMap"]
    (table,) = tables.values()
    found: dict[str, Any] = table["CustomSql"]
    return found


SETS = [name for name, one in RESOURCES.items() if one["Type"] == "AWS::QuickSight::DataSet"]
IDENTIFIED = {
    one["Identifier"]: one["DataSetArn"]["Fn::GetAtt"][0] for one in DEFINITION["DataSetIdentifierDeclarations"]
}
TYPES = {
    (identifier, column["Name"]): column["Type"]
    for identifier, resource in IDENTIFIED.items()
    for column in custom(resource)["Columns"]
}


def sql_of(resource: str) -> str:
    """The SQL of a data set as Athena gets it, but for the database."""
    text: str = custom(resource)["SqlQuery"]["Fn::Sub"]
    return text.replace('"${DatabaseName}".', "")


def on_duckdb(sql: str) -> str:
    """The same for DuckDB, on the day TODAY."""
    tree = sqlglot.parse_one(sql, read="athena")
    day = exp.cast(exp.Literal.string(TODAY.isoformat()), "date")
    dated = tree.transform(lambda node: day.copy() if isinstance(node, exp.CurrentDate) else node)
    return render(dated.sql(dialect="athena"), {}, "duckdb")


@pytest.fixture(scope="module")
def known() -> Knowledge:
    return knowledge([configs() / "apps"], {}, [], ["slack"], ["dropbox"], {})


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The recorded week."""
    lake = open_lake(tmp_path_factory.mktemp("quicksight") / "lake", make=True)
    reports = collect_squid(lake, [RECORDED / "pfsquid.log"], "pfsquid", None, lambda *_: None)
    reports += collect_entra(lake, [Path(RECORDED / "signins.json")], lambda *_: None)
    assert [report.problem for report in reports] == [None, None]
    return lake


@pytest.fixture(scope="module")
def rows(demo: Lake, known: Knowledge) -> dict[str, Rows]:
    """The rows of each data set."""
    with session(demo, known) as engine:
        results = {name: engine.run(on_duckdb(sql_of(name))) for name in SETS}
    return {
        name: [dict(zip(result.columns, row, strict=True)) for row in result.rows] for name, result in results.items()
    }


def asked(demo: Lake, known: Knowledge, name: str) -> Rows:
    """pfsquid's own answer to a question."""
    result = answer(demo, known, name, [])
    return [dict(zip(result.columns, row, strict=True)) for row in result.rows]


def summed(found: Rows, by: tuple[str, ...], *columns: str) -> dict[tuple[Any, ...], tuple[int, ...]]:
    """Sums of columns, for each value of `by`; nulls count nothing."""
    sums: dict[tuple[Any, ...], Counter[str]] = {}
    for row in found:
        of = sums.setdefault(tuple(row[name] for name in by), Counter())
        of.update({name: row[name] or 0 for name in columns})
    return {key: tuple(of[name] for name in columns) for key, of in sums.items()}


NUMBERS = ("requests", "denied", "bytes_up", "bytes_down")


def test_the_schemas_accept_the_stack_with_the_dashboard() -> None:
    assert lint(whole(PART)) == []


def test_the_schemas_are_ones_that_refuse() -> None:
    broken = copy.deepcopy(PART)
    sheet = broken["Resources"]["Dashboard"]["Properties"]["Definition"]["Sheets"][0]
    sheet["Visuals"][0]["KPIVisual"]["ChartConfig"] = {}
    assert any("ChartConfig" in line for line in lint(whole(broken)))


def test_without_a_user_of_quicksight_nothing_of_it_is_made() -> None:
    assert [name for name, one in RESOURCES.items() if one.get("Condition") != "HasQuickSight"] == []


@pytest.mark.parametrize("name", SETS)
def test_trinos_grammar_accepts_the_sql_of_a_data_set(name: str) -> None:
    parse: Callable[[str], object] = importlib.import_module("trino_query_parser").parse_statement
    assert parse(sql_of(name))


@pytest.mark.parametrize("name", SETS)
def test_the_sql_of_a_data_set_holds_nothing_that_differs_silently(name: str) -> None:
    tree = sqlglot.parse_one(sql_of(name), read="athena")
    assert (differs_silently(sql_of(name)), list(tree.find_all(exp.Anonymous, exp.Placeholder))) == ([], [])


@pytest.mark.parametrize("name", SETS)
def test_every_table_is_named_with_the_database_of_the_stack(name: str) -> None:
    """A data source of QuickSight has no database of its own."""
    tree = sqlglot.parse_one(custom(name)["SqlQuery"]["Fn::Sub"].replace("${DatabaseName}", "db"), read="athena")
    made = {one.alias for one in tree.find_all(exp.CTE)}
    assert {one.name for one in tree.find_all(exp.Table) if one.db != "db"} <= made


@pytest.mark.parametrize("name", SETS)
def test_the_columns_of_a_data_set_are_those_of_its_sql_in_their_order(name: str) -> None:
    tree = sqlglot.parse_one(sql_of(name), read="athena")
    assert isinstance(tree, exp.Query)
    assert [column["Name"] for column in custom(name)["Columns"]] == tree.named_selects


@pytest.mark.parametrize("name", SETS)
def test_the_columns_of_a_data_set_have_the_types_that_it_says(name: str, demo: Lake, known: Knowledge) -> None:
    kinds = {"VARCHAR": "STRING", "BIGINT": "INTEGER", "DATE": "DATETIME", "TIMESTAMP": "DATETIME"}
    with session(demo, known) as engine:
        told = engine.run(f"SELECT column_name, column_type FROM (DESCRIBE {on_duckdb(sql_of(name))})").rows
    assert {column: kinds.get(kind, kind) for column, kind in told} == {
        column["Name"]: column["Type"] for column in custom(name)["Columns"]
    }


@pytest.mark.parametrize("name", SETS)
def test_a_data_set_has_rows(name: str, rows: dict[str, Rows]) -> None:
    assert rows[name]


def test_apps_are_the_same_as_in_the_question(rows: dict[str, Rows], demo: Lake, known: Knowledge) -> None:
    mine = [row for row in rows["DashboardUse"] if row["kind"] == "app"]
    question = asked(demo, known, "apps")
    assert summed(mine, ("app",), *NUMBERS) == summed(question, ("app",), *NUMBERS)
    people = {
        app: len({row["used_by"] for row in mine if row["app"] == app} - {None}) for (app,) in summed(mine, ("app",))
    }
    assert people == {row["app"]: row["people"] for row in question}


def test_what_an_app_is_is_the_same_as_in_the_question(rows: dict[str, Rows], demo: Lake, known: Knowledge) -> None:
    wanted = ("app", "category", "risk", "tag")
    mine = {(*(row[name] for name in wanted), row["federated"] == "yes") for row in rows["DashboardUse"] if row["app"]}
    question = asked(demo, known, "apps")
    assert mine == {(*(row[name] for name in wanted), row["federated"]) for row in question}


def test_who_uses_which_app_is_the_same_as_in_the_question(rows: dict[str, Rows], demo: Lake, known: Knowledge) -> None:
    mine = [row for row in rows["DashboardUse"] if row["app"]]
    by = ("app", "person", "name")
    assert summed(mine, by, *NUMBERS) == summed(asked(demo, known, "app-people"), by, *NUMBERS)


def test_who_never_signs_in_is_the_same_as_in_the_question(rows: dict[str, Rows], demo: Lake, known: Knowledge) -> None:
    mine = {
        (row["person"], row["app"], row["sign_in"].partition(",")[0], row["sign_ins"])
        for row in rows["DashboardUse"]
        if row["sign_in"] != "does not apply"
    }
    question = asked(demo, known, "app-signins")
    assert mine == {
        (row["person"], row["app"], "signs in" if row["sign_ins"] else "never", row["sign_ins"]) for row in question
    }
    assert {row[2] for row in mine} == {"never", "signs in"}


def test_people_are_the_same_as_in_the_question(rows: dict[str, Rows], demo: Lake, known: Knowledge) -> None:
    mine, question = rows["DashboardUse"], asked(demo, known, "people")
    assert summed(mine, ("person",), *NUMBERS) == summed(question, ("person",), *NUMBERS)
    last = {
        (row["person"], f"{at:%Y-%m-%dT%H:%M:%SZ}" if (at := row["last_sign_in_anywhere"]) else "never") for row in mine
    }
    assert last == {(row["person"], row["last_sign_in"]) for row in question}


def test_unknown_domains_are_the_same_as_in_the_question(rows: dict[str, Rows], demo: Lake, known: Knowledge) -> None:
    mine = [row for row in rows["DashboardUse"] if row["kind"] == "unknown"]
    question = asked(demo, known, "unknown-domains")
    assert summed(mine, ("domain",), *NUMBERS) == summed(question, ("domain",), *NUMBERS)


def test_unmatched_names_are_the_same_as_in_the_question(rows: dict[str, Rows], demo: Lake, known: Knowledge) -> None:
    by = ("user_name", "kind", "reason")
    question = asked(demo, known, "unmatched-people")
    assert summed(rows["DashboardUnmatched"], by, "requests") == summed(question, by, "requests")


def test_sign_ins_are_all_that_the_lake_has(rows: dict[str, Rows], demo: Lake, known: Knowledge) -> None:
    with session(demo, known) as engine:
        every = engine.run("SELECT count(*) FROM signins").rows[0][0]
    assert sum(row["sign_ins"] for row in rows["DashboardSignIns"]) == every


def test_what_is_not_sanctioned_is_told_apart(rows: dict[str, Rows]) -> None:
    mine = [row for row in rows["DashboardUse"] if row["app"] and row["requests"]]
    assert {row["tag"] for row in mine if row["shadow_app"] is None} == {"sanctioned"}
    assert {row["tag"] for row in mine if row["shadow_app"]} == {"unsanctioned", "unreviewed"}


def test_a_day_of_long_ago_is_not_loaded(demo: Lake, known: Knowledge) -> None:
    later = on_duckdb(sql_of("DashboardUse")).replace(TODAY.isoformat(), "2027-06-01")
    with session(demo, known) as engine:
        assert engine.run(later).rows == []


def visuals(sheet: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The visuals of a sheet, whatever kind they are."""
    for one in sheet["Visuals"]:
        (visual,) = one.values()
        yield visual


FITTING = {
    "CategoricalDimensionField": {"STRING"},
    "DateDimensionField": {"DATETIME"},
    "NumericalMeasureField": {"INTEGER"},
    "CategoricalMeasureField": {"STRING"},
    "DateMeasureField": {"DATETIME"},
    "CategoryFilter": {"STRING"},
    "RelativeDatesFilter": {"DATETIME"},
}


def test_every_field_is_a_column_of_its_data_set_and_of_the_kind_that_fits() -> None:
    wrong = []
    for mapping in walk(DEFINITION):
        for kind, field in mapping.items():
            if isinstance(field, dict) and "Column" in field:
                where = (field["Column"]["DataSetIdentifier"], field["Column"]["ColumnName"])
                if TYPES.get(where) not in FITTING[kind]:
                    wrong.append((kind, where))
    assert wrong == []


def test_every_data_set_is_shown_by_some_visual() -> None:
    shown = {one["DataSetIdentifier"] for one in walk(DEFINITION["Sheets"]) if "ColumnName" in one}
    assert shown == set(IDENTIFIED)
    assert sorted(IDENTIFIED.values()) == sorted(SETS)


def test_a_visual_sorts_and_labels_only_by_fields_that_it_has() -> None:
    for sheet in DEFINITION["Sheets"]:
        for visual in visuals(sheet):
            named = Counter(one["FieldId"] for one in walk(visual) if "FieldId" in one and "Column" in one)
            used = {one["FieldId"] for one in walk(visual) if "FieldId" in one and "Column" not in one}
            assert set(named.values()) == {1}, visual["VisualId"]
            assert used <= set(named), visual["VisualId"]


def test_a_control_filters_what_its_own_sheet_shows() -> None:
    filters = {
        of["FilterId"]: (group, of["Column"]["DataSetIdentifier"])
        for group in DEFINITION["FilterGroups"]
        for one in group["Filters"]
        for of in one.values()
    }
    controlled = []
    for sheet in DEFINITION["Sheets"]:
        shown = {one["DataSetIdentifier"] for one in walk(sheet["Visuals"]) if "ColumnName" in one}
        for control in sheet["FilterControls"]:
            ((_, one),) = control.items()
            group, identifier = filters[one["SourceFilterId"]]
            (scope,) = group["ScopeConfiguration"]["SelectedSheets"]["SheetVisualScopingConfigurations"]
            assert (scope["SheetId"], identifier in shown) == (sheet["SheetId"], True), one["SourceFilterId"]
            controlled.append(one["SourceFilterId"])
    assert sorted(controlled) == sorted(filters)


def test_days_and_tag_can_be_chosen_where_apps_are_shown() -> None:
    for sheet in DEFINITION["Sheets"][:2]:
        titles = {one["Title"] for control in sheet["FilterControls"] for one in control.values()}
        assert {"Days", "Tag"} <= titles


def test_every_visual_has_a_place_of_its_own_in_the_grid() -> None:
    for sheet in DEFINITION["Sheets"]:
        elements = sheet["Layouts"][0]["Configuration"]["GridLayout"]["Elements"]
        assert sorted(one["ElementId"] for one in elements) == sorted(one["VisualId"] for one in visuals(sheet))
        cells = Counter(
            (one["ColumnIndex"] + x, one["RowIndex"] + y)
            for one in elements
            for x in range(one["ColumnSpan"])
            for y in range(one["RowSpan"])
        )
        assert (set(cells.values()), max(x for x, _ in cells)) == ({1}, 35), sheet["SheetId"]


@pytest.mark.parametrize("key", ["SheetId", "VisualId", "FilterGroupId", "FilterId", "FilterControlId"])
def test_no_id_is_used_twice(key: str) -> None:
    where = DEFINITION["Sheets"] if key != "FilterId" else DEFINITION["FilterGroups"]
    found = Counter(
        one[key] for one in walk(where if key != "FilterGroupId" else DEFINITION["FilterGroups"]) if key in one
    )
    assert [one for one, times in found.items() if times > 1] == []


def test_the_user_may_look_and_change_nothing() -> None:
    actions = {
        action
        for one in RESOURCES.values()
        for given in one["Properties"].get("Permissions", [])
        for action in given["Actions"]
    }
    assert actions
    assert [
        one
        for one in actions
        if not one.startswith(tuple(f"quicksight:{v}" for v in ("Describe", "List", "Pass", "Query")))
    ] == []


def test_what_quicksight_reads_with_can_do_what_an_analyst_can_and_read_names() -> None:
    role = RESOURCES["DashboardRole"]["Properties"]
    assert role["ManagedPolicyArns"] == [{"Ref": "AnalystPolicy"}]
    for statement in role["Policies"][0]["PolicyDocument"]["Statement"]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert all(one.startswith(("athena:Get", "athena:List")) and "*" not in one for one in actions)
        assert "*" not in statement["Resource"]["Fn::Sub"]
    (trusted,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trusted["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_every_data_set_is_loaded_once_a_day_and_not_at_each_click() -> None:
    assert {RESOURCES[name]["Properties"]["ImportMode"] for name in SETS} == {"SPICE"}
    loaded = [one for one in RESOURCES.values() if one["Type"] == "AWS::QuickSight::RefreshSchedule"]
    assert sorted(one["DependsOn"] for one in loaded) == sorted(SETS)
    for one in loaded:
        assert one["Properties"]["DataSetId"] == RESOURCES[one["DependsOn"]]["Properties"]["DataSetId"]
        assert one["Properties"]["Schedule"]["ScheduleFrequency"]["Interval"] == "DAILY"


def test_the_first_deploy_does_not_wait_for_tables_that_are_not_there_yet() -> None:
    waits = [RESOURCES[name]["Properties"]["IngestionWaitPolicy"]["WaitForSpiceIngestion"] for name in SETS]
    assert waits == [False] * len(SETS)


def test_days_are_read_as_days(rows: dict[str, Rows]) -> None:
    assert {type(row["day"]) for row in rows["DashboardUse"]} == {date}
    assert {type(row["first_use"]) for row in rows["DashboardUse"]} <= {datetime, type(None)}
