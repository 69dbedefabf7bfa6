"""Sign-ins of the shape that Microsoft Graph gives, for the tests: invented people, invented ids."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from collectors.batch import Batch
from collectors.entra.exports import collect
from collectors.entra.streamed import FileError

SIGNIN: dict[str, Any] = {
    "id": "a1",
    "createdDateTime": "2026-11-20T08:15:30.1234567Z",
    "userDisplayName": "Rick Sanchez",
    "userPrincipalName": "rick.sanchez@citadel.example",
    "userId": "5f0e7a7e-0000-4000-8000-000000000001",
    "appId": "6d2c0000-0000-4000-8000-0000000000aa",
    "appDisplayName": "Dropbox Business",
    "ipAddress": "192.0.2.10",
    "clientAppUsed": "Browser",
    "correlationId": "c0ffee00-0000-4000-8000-000000000001",
    "conditionalAccessStatus": "success",
    "isInteractive": True,
    "riskLevelDuringSignIn": "none",
    "riskLevelAggregated": "low",
    "resourceDisplayName": "Microsoft Graph",
    "resourceId": "00000003-0000-0000-c000-000000000000",
    "status": {"errorCode": 50126, "failureReason": "Invalid username or password.", "additionalDetails": None},
    "deviceDetail": {
        "deviceId": "d1",
        "operatingSystem": "Windows 11",
        "browser": "Edge 131",
        "isManaged": True,
        "isCompliant": False,
    },
    "location": {"city": "Bern", "state": "", "countryOrRegion": "CH", "geoCoordinates": {}},
    "appliedConditionalAccessPolicies": [],
}


def signin(id: str = "a1", **changed: Any) -> dict[str, Any]:
    """A sign-in with other values; a value of `...` leaves the key out."""
    record = {**SIGNIN, "id": id, **changed}
    return {key: value for key, value in record.items() if value is not ...}


def page(*records: dict[str, Any], **json_options: Any) -> str:
    """Records as Graph answers them."""
    link = {"@odata.context": "https://graph.example/v1.0/$metadata#auditLogs/signIns", "@odata.nextLink": "https://g"}
    return json.dumps({**link, "value": list(records)}, **json_options)


class Read:
    """What became of a file: its rows in order, its rejects as (reason, raw), the error that ended it or None, and what
    was recognised in it."""

    def __init__(self, folder: Path, content: str | bytes, name: str = "signins.json") -> None:
        path = folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        self.rows: list[dict[str, Any]] = []
        self.rejects: list[tuple[str, bytes]] = []
        self.error: FileError | None = None
        self.keys: set[str | None] = set()
        self.shapes: list[str] = []
        self.batches: list[Batch] = []
        self.offsets: list[int] = []
        try:
            for batch in collect(path, self.shapes.append):
                self.batches.append(batch)
                self.offsets += [reject.offset for reject in batch.rejects]
                self.rows += batch.rows.to_pylist()
                self.rejects += [(reject.reason, reject.raw) for reject in batch.rejects]
                self.keys.add(batch.key)
        except FileError as exc:
            self.error = exc

    @property
    def ids(self) -> list[str]:
        return [row["id"] for row in self.rows]
