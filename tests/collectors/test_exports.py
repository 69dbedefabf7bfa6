"""Files of several products: each shape is recognised by what it holds, says so, and gives the same rows."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collectors.entra.exports import collect
from tests.collectors.entra_shapes import (
    PORTAL,
    PORTAL_AUDIT,
    TENANT,
    analytics,
    audit,
    five_logs,
    hub,
    pascal,
    table,
)
from tests.collectors.graph_records import Read, signin

AT = datetime(2026, 11, 20, 8, 15, 30, 123456, UTC)
SAME = {
    "id": "a1",
    "user_id": "5f0e7a7e-0000-4000-8000-000000000001",
    "user_principal_name": "rick.sanchez@citadel.example",
    "app_id": "6d2c0000-0000-4000-8000-0000000000aa",
    "app_name": "Dropbox Business",
    "resource_id": "00000003-0000-0000-c000-000000000000",
    "resource_name": "Microsoft Graph",
    "ip_address": "192.0.2.10",
    "client_app": "Browser",
    "error_code": 50126,
    "failure_reason": "Invalid username or password.",
    "country": "CH",
    "city": "Bern",
    "device_os": "Windows 11",
    "browser": "Edge 131",
    "correlation_id": "c0ffee00-0000-4000-8000-000000000001",
}
HUB = hub("SignInLogs", signin())
STAMP = "2026-11-20T08:15:30Z"
OF_HUB = "SignInLogs as Event Hub and Azure Storage give them"
QUERY = {"tables": [{"name": "PrimaryResult", "columns": [{"name": name, "type": "string"} for name in analytics(True)],
                     "rows": [list(analytics(True).values())]}]}  # fmt: skip


@pytest.mark.parametrize(
    ("content", "shape"),
    [
        (json.dumps(signin()), "sign-ins as Microsoft Graph gives them"),
        (json.dumps(HUB), OF_HUB),
        (json.dumps({**HUB, "properties": json.dumps(signin())}), OF_HUB),
        (json.dumps({"records": [HUB]}), OF_HUB),
        (json.dumps([{"records": [HUB]}]), OF_HUB + " in a message of Event Hub"),
        (json.dumps(analytics(True)), "sign-ins as Log Analytics gives them"),
        (json.dumps([analytics(False)]), "sign-ins as Log Analytics gives them"),
        (json.dumps(QUERY), "sign-ins as Log Analytics gives them"),
        (json.dumps([pascal(signin())], indent=4), "sign-ins as PowerShell writes them"),
        (json.dumps({"preview": False, "result": signin()}), "Graph gives them in a search result of Splunk"),
        (json.dumps({"result": {"_raw": json.dumps(signin())}}), "Graph gives them in a search result of Splunk"),
        (json.dumps({"_raw": json.dumps(HUB)}), "Storage give them in an event of Splunk"),
        (json.dumps({"hits": {"hits": [{"_source": {"message": json.dumps(HUB)}}]}}), "in a search of Elasticsearch"),
        (json.dumps({"_source": {"data": {"ms-graph": signin()}}}), "in a document of Elasticsearch"),
        (json.dumps({"_source": {"event": {"original": json.dumps(HUB)}}}), "in a document of Elasticsearch"),
        (json.dumps({"results": [signin(), signin("a2")]}), "sign-ins as Microsoft Graph gives them"),
        (table({key: str(value) for key, value in analytics(True).items()}), "Analytics gives them, in CSV"),
        (table({"TimeGenerated [UTC]": "11/20/2026, 8:15:30.123456 AM"} |
               {key: str(value) for key, value in analytics(True, TimeGenerated=..., CreatedDateTime=...).items()}),
         "Analytics gives them, in CSV"),
        (table(PORTAL), "sign-ins as the Entra portal downloads them"),
        (table(PORTAL, delimiter=";", bom=""), "sign-ins as the Entra portal downloads them"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_the_sign_in_of_each_product_gives_the_same_row(
    tmp_path: Path, content: str, shape: str, encoding: str
) -> None:
    read = Read(tmp_path, content.encode(encoding))
    assert (read.error, read.rejects, len(read.shapes)) == (None, [], 1)
    assert shape in read.shapes[0]
    assert {name: read.rows[0][name] for name in SAME} == SAME
    assert abs(read.rows[0]["created_at"] - AT).total_seconds() < 1
    assert isinstance(json.loads(read.rows[0]["raw"]), dict)


def test_the_record_of_an_envelope_is_kept_whole(tmp_path: Path) -> None:
    (row,) = Read(tmp_path, json.dumps({"records": [HUB]}, indent=1)).rows
    assert json.loads(row["raw"]) == HUB
    assert "\n" in row["raw"]


def test_one_hub_of_all_logs_fills_both_tables(tmp_path: Path) -> None:
    read = Read(tmp_path, "\n".join(map(json.dumps, five_logs())))
    assert read.rejects == []
    assert {row["id"]: row.get("stream", "audits") for row in read.rows} == {
        "i": "interactive", "n": "non_interactive", "sp": "service_principal", "m": "managed_identity", "d": "audits"
    }  # fmt: skip
    assert {row["tenant"] for row in read.rows} == {TENANT}
    by_id = {row["id"]: row for row in read.rows}
    assert (by_id["sp"]["service_principal_name"], by_id["sp"]["user_display_name"]) == ("backup", None)
    assert sorted({batch.table for batch in read.batches}) == ["audits", "signins"]
    assert len(read.shapes) == 5


def test_what_only_the_envelope_tells_is_taken_from_it(tmp_path: Path) -> None:
    bare = {"id": "a1", "userId": "u1", "appId": "x"}
    text = json.dumps(hub("SignInLogs", bare, resultType="50126", resultDescription="no", tenantId=...))
    (row,) = Read(tmp_path, text).rows
    told = ("error_code", "failure_reason", "ip_address", "user_display_name", "tenant", "created_at")
    at = datetime(2026, 11, 20, 8, 16, 1, 500_000, UTC)
    assert [row[name] for name in told] == [50126, "no", "192.0.2.77", "Rick Sanchez", TENANT, at]


def test_of_log_analytics_the_workspace_is_not_the_tenant(tmp_path: Path) -> None:
    (row,) = Read(tmp_path, json.dumps(analytics(True))).rows
    assert (row["tenant"], row["stream"], row["mfa"], row["is_interactive"]) == (TENANT, "non_interactive", True, False)


@pytest.mark.parametrize(
    ("name", "stream"),
    [("InteractiveSignIns_2026-11-20.csv", "interactive"), ("NonInteractiveSignIns_2026-11-20.csv", "non_interactive"),
     ("MSISignIns_1.csv", "managed_identity"), ("ApplicationSignIns.csv", "service_principal"), ("x.csv", None)],
)  # fmt: skip
def test_the_portals_file_name_tells_the_kind_of_its_rows(tmp_path: Path, name: str, stream: str | None) -> None:
    assert Read(tmp_path, table(PORTAL), name).rows[0]["stream"] == stream


def test_a_download_of_the_portal_fills_the_columns(tmp_path: Path) -> None:
    (row,) = Read(tmp_path, table(PORTAL)).rows
    told = ("user_display_name", "conditional_access", "mfa", "is_managed", "is_compliant", "device_id", "tenant")
    assert [row[name] for name in told] == ["Renée Sanchez", "notApplied", True, True, False, None, TENANT]
    assert row["user_agent"] == 'Mozilla/5.0, the "fox"'
    assert json.loads(row["raw"])["Autonomous system  number"] == "64500"


def test_a_column_that_the_portal_has_twice_is_kept_twice(tmp_path: Path) -> None:
    text = table(PORTAL).replace('"Latency"', '"Incoming token type"', 1)
    raw = json.loads(Read(tmp_path, text).rows[0]["raw"])
    assert (raw["Incoming token type"], raw["Incoming token type (2)"]) == ("None", "95")


def test_the_audit_of_the_portal_gives_the_row_of_graph_but_for_its_id(tmp_path: Path) -> None:
    (row,) = Read(tmp_path, table(PORTAL_AUDIT)).rows
    target = audit()["targetResources"][0]
    targets = [{**target, "modifiedProperties": target["modifiedProperties"][:1]}, {"id": "u1", "type": "User"}]
    (graphs,) = Read(tmp_path, json.dumps(audit(targetResources=targets))).rows
    differ = {name for name in row if row[name] != graphs[name]}
    assert (differ, row["id"][:4]) == ({"id", "raw"}, "csv-")


def test_equal_audits_of_the_portal_are_as_many_rows_and_the_same_ones_next_time(tmp_path: Path) -> None:
    text = table(PORTAL_AUDIT, PORTAL_AUDIT, {**PORTAL_AUDIT, "Result": "failure"})
    ids = Read(tmp_path, text).ids
    assert (len(set(ids)), ids) == (3, Read(tmp_path, text).ids)


def test_an_app_of_the_portals_audits_is_who_did_it(tmp_path: Path) -> None:
    by_app = {"ActorType": "Application", "ActorDisplayName": "Sync", "ActorUserPrincipalName": "", "IPAddress": ""}
    (row,) = Read(tmp_path, table({**PORTAL_AUDIT, **by_app})).rows
    assert (row["initiated_by_app"], row["initiated_by_user"], row["initiated_by_ip"]) == ("Sync", None, None)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (json.dumps({"CreationTime": "2026-11-20T08:15:30", "Operation": "x", "Workload": "x"}), "unified audit"),
        ("CreationDate,UserIds,Operations,AuditData\n2026-11-20,a,b,{}\n", "unified audit"),
        (json.dumps({"value": [{"id": "1", "createdDateTime": STAMP, "accountEnabled": True}]}), "a user"),
        (json.dumps({"id": "1", "activityDateTime": STAMP, "provisioningAction": "create"}), "provisioning"),
        (json.dumps(hub("RiskyUsers", {"id": "1"})), "the log RiskyUsers"),
        (json.dumps({"time": "2026-11-20T08:15:30Z", "category": "SignInLogs"}), "without its properties"),
        (json.dumps({"tables": [{"columns": [], "rows": []}]}), "without rows"),
        ("Request ID,Date,Authentication method,Succeeded\nx,y,z,true\n", "authentication details"),
        ("Request ID,User,Username,Application\nx,y,z,a\n", "Date (UTC)"),
    ],
)  # fmt: skip
def test_what_is_something_else_is_refused_by_its_name(tmp_path: Path, content: str, says: str) -> None:
    read = Read(tmp_path, content)
    assert (read.rows, read.rejects) == ([], [])
    assert read.error is not None
    assert (read.error.wrong_use, says in str(read.error)) == (True, True), read.error


def test_other_logs_of_the_same_hub_are_rejects_by_their_name(tmp_path: Path) -> None:
    risky = json.dumps(hub("RiskyUsers", {"id": "1"}))
    read = Read(tmp_path, "\n".join([risky, json.dumps(HUB), risky]))
    assert (read.ids, read.error, len(read.rejects)) == (["a1"], None, 2)
    assert read.rejects[0] == (
        "the log RiskyUsers, which is neither of sign-ins nor of directory audits",
        risky.encode(),
    )


def test_each_shape_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("\n".join([json.dumps(HUB), json.dumps(signin("b"))] * 3))
    told: list[str] = []
    list(collect(path, told.append))
    assert len(told) == 2
