"""Entra sign-ins of the lab's people for the recorded week, in the shape that Microsoft Graph (beta) gives them.

`python -m tests.lab.signins FILE` writes a page of them. They are made up, from the Graph's schema and a seed; the
lab has a real directory but no Entra ID. Who signs in to what is the counterpart of `week`: rick uses Dropbox and morty
ChatGPT without any sign-in, beth's Salesforce goes through Entra ID, bird.person never signs in at all.
"""

from __future__ import annotations

import json
import random
import sys
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.lab.layout import PEOPLE, Person
from tests.lab.week import DAYS

NAMESPACE = uuid.UUID("6f1d0c52-5a0e-4f1b-9a64-7f4f3f3f9b10")
TENANT = str(uuid.uuid5(NAMESPACE, "tenant"))
# Microsoft's own applications have the same id in every tenant; gallery apps have one of the tenant's own.
FIRST_PARTY = {
    "Microsoft Teams": "1fec8e78-bce4-4aaf-ab1b-5451cc387264",
    "Office 365 SharePoint Online": "00000003-0000-0ff1-ce00-000000000000",
    "Office 365 Exchange Online": "00000002-0000-0ff1-ce00-000000000000",
}
# account → app → how often a day
HABITS: dict[str, dict[str, int]] = {
    "rick.sanchez": {"Office 365 Exchange Online": 2, "GitHub": 1},
    "morty.smith": {"Office 365 Exchange Online": 1, "Microsoft Teams": 2},
    "summer.smith": {"Slack": 1, "Office 365 Exchange Online": 1},
    "jerry.smith": {"Office 365 Exchange Online": 1},
    "beth.smith": {"Salesforce": 2, "Zoom": 1, "Office 365 SharePoint Online": 1, "Office 365 Exchange Online": 1},
}
OFFICE = "203.0.113.10"
BROWSER = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
)


def sign_ins(seed: int = 7) -> list[dict[str, Any]]:
    """The week's sign-ins, newest first, as Graph sorts them."""
    chance = random.Random(seed)
    records = []
    for day in DAYS:
        for person in PEOPLE:
            for app, often in HABITS.get(person.account, {}).items():
                for _ in range(often):
                    at = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(
                        hours=chance.randint(7, 16),
                        seconds=chance.randint(0, 3599),
                        microseconds=chance.randint(0, 999_999),
                    )
                    records.append(_record(chance, person, app, at, error=0))
        # A wrong password is no sign-in: jerry has never been in Slack.
        jerry = next(person for person in PEOPLE if person.account == "jerry.smith")
        at = datetime.fromisoformat(f"{day}T10:05:00").replace(tzinfo=UTC)
        records.append(_record(chance, jerry, "Slack", at, error=50126))
    return sorted(records, key=lambda record: str(record["createdDateTime"]), reverse=True)


def _record(chance: random.Random, person: Person, app: str, at: datetime, error: int) -> dict[str, Any]:
    interactive = chance.random() < 0.6
    return {
        "id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "createdDateTime": at.strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".") + "Z",
        "userDisplayName": person.display_name,
        "userPrincipalName": person.mail.lower(),
        "userId": str(uuid.uuid5(NAMESPACE, person.account)),
        "appId": FIRST_PARTY.get(app) or str(uuid.uuid5(NAMESPACE, app)),
        "appDisplayName": app,
        "authenticationRequirement": "multiFactorAuthentication" if interactive else "singleFactorAuthentication",
        "ipAddress": OFFICE,
        "clientAppUsed": "Browser",
        "userAgent": BROWSER,
        "correlationId": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "conditionalAccessStatus": "success" if interactive else "notApplied",
        "isInteractive": interactive,
        "signInEventTypes": ["interactiveUser" if interactive else "nonInteractiveUser"],
        "riskDetail": "none",
        "riskLevelAggregated": "none",
        "riskLevelDuringSignIn": "none",
        "riskState": "none",
        "resourceDisplayName": app,
        "resourceId": FIRST_PARTY.get(app) or str(uuid.uuid5(NAMESPACE, f"{app} resource")),
        "homeTenantId": TENANT,
        "resourceTenantId": TENANT,
        "crossTenantAccessType": "none",
        "status": {
            "errorCode": error,
            "failureReason": "Error validating credentials due to invalid username or password." if error else None,
            "additionalDetails": None,
        },
        "deviceDetail": {
            "deviceId": "",
            "displayName": None,
            "operatingSystem": "Windows10",
            "browser": "Chrome 131.0.0",
            "isCompliant": None,
            "isManaged": None,
            "trustType": None,
        },
        "location": {"city": "Seattle", "state": "Washington", "countryOrRegion": "US", "geoCoordinates": {}},
        "appliedConditionalAccessPolicies": [],
    }


def page() -> str:
    """The sign-ins as one page of the Graph, a record a line."""
    lines = ",\n".join(json.dumps(record, ensure_ascii=False, separators=(",", ":")) for record in sign_ins())
    context = "https://graph.microsoft.com/beta/$metadata#auditLogs/signIns"
    return f'{{"@odata.context": "{context}", "value": [\n{lines}\n]}}\n'


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), "utf-8")
