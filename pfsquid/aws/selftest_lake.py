"""The made-up lake of the self-test: a few days of a log, sign-ins, accounts; small, and of everything that is odd.

Written by the collectors themselves. Days differ in how they are kept: counted, grown since, never counted; accounts
have versions.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from collectors.directory.schema import ACCOUNTS_SCHEMA, table_of
from collectors.entra.directory import SERVICE_PRINCIPALS_SCHEMA
from pfsquid.discovery.answer import knowledge
from pfsquid.discovery.meaning import Knowledge
from pfsquid.discovery.publish import publish
from pfsquid.errors import PfsquidError
from pfsquid.lake.accounts import SERVICE_PRINCIPALS, refresh
from pfsquid.lake.care import compact
from pfsquid.lake.catalog import Lake
from pfsquid.lake.collect import Report, collect_entra, collect_squid
from pfsquid.resources import configs
from pfsquid.settings_care import CareSettings

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
_TENANT = "11111111-2222-3333-4444-555555555555"
ODD = "o'ne\"il--;?@TEST.EXAMPLE"
"""A user name as an attacker might choose it."""

# When, user, action and status, bytes up and down, method, URL.
_COUNTED = f"""
2026-11-02T08:00:00     -                        TCP_DENIED/407  100  200  CONNECT www.dropbox.com:443
2026-11-02T08:00:01     rick.sanchez@TEST.EXAMPLE TCP_TUNNEL/200 1000 5000 CONNECT www.dropbox.com:443
2026-11-02T08:00:01     rick.sanchez@TEST.EXAMPLE NONE_NONE/200  700  700  CONNECT www.dropbox.com:443
2026-11-02T23:59:59.999 rick.sanchez@TEST.EXAMPLE TCP_MISS/200   500  -1   GET     http://content.dropboxapi.com/f?x=1
2026-11-03T00:00:00     rick.sanchez@TEST.EXAMPLE TCP_TUNNEL/200 200  300  CONNECT content.dropbox.com:443
2026-11-03T09:00:00     rick.sanchez@TEST.EXAMPLE TCP_DENIED/403 50   60   CONNECT wetransfer.com:443
2026-11-03T10:00:00     morty.smith@TEST.EXAMPLE  TCP_TUNNEL/200 10   20   CONNECT www.dropbox.com:443
2026-11-03T10:05:00     morty.smith@TEST.EXAMPLE  TCP_DENIED/403 90   90   CONNECT www.dropbox.com:443
2026-11-03T11:00:00     WS1$@TEST.EXAMPLE         TCP_TUNNEL/200 9999 9999 CONNECT www.dropbox.com:443
2026-11-03T12:00:00     -                         TCP_MISS/200   30   40   GET     http://www.dropbox.com/
2026-11-03T13:00:00     stranger@TEST.EXAMPLE     TCP_TUNNEL/200 4000 100  CONNECT files.unheard-of.example:443
2026-11-03T13:20:00     rick.sanchez@TEST.EXAMPLE TCP_TUNNEL/200 7    8    CONNECT acme.slack.com:443
2026-11-03T13:30:00     rick.sanchez@TEST.EXAMPLE TCP_TUNNEL/200 5    6    CONNECT ad.doubleclick.net:443
2026-11-03T14:00:00     morty.smith@TEST.EXAMPLE  TCP_MISS/200   1    1    GET     http://nas.local/
2026-11-03T15:00:00     {ODD} TCP_TUNNEL/200 70000000000 80000000000 CONNECT odd.never-heard.example:443
2026-11-03T16:00:00     morty.smith@TEST.EXAMPLE  NONE_NONE/400  0    0    -       error:invalid-request
"""
_LATER = f"""
2026-11-02T10:00:00     rick.sanchez@TEST.EXAMPLE TCP_TUNNEL/200 3    4    CONNECT acme.slack.com:443
2026-11-04T08:00:00.001 {ODD} TCP_TUNNEL/200 5    6    CONNECT www.dropbox.com:443
"""
_PEOPLE = {"id-rick": "Rick Sanchez", "id-morty": "Morty Smith"}
_SIGN_INS = (
    ("2026-11-02T07:00:00Z", "id-rick", "rick.sanchez@test.example", "Slack", 0),
    ("2026-11-03T07:00:00Z", "id-rick", "rick.sanchez@test.example", "Slack", 50126),
    ("2026-11-02T09:00:00.1234567Z", "id-rick", "rick.sanchez@test.example", "Ünser 'file' drop 😀", 0),
    ("2026-11-03T11:30:00Z", "id-morty", "morty.smith@test.example", "Dropbox Business", 0),
)


def fill(lake: Lake, folder: Path) -> Knowledge:
    """Write the rows, count some days, publish; gives the knowledge to ask with. folder: for files in between.

    Raises PfsquidError.
    """
    known = knowledge([configs() / "apps"], {}, ["backup"], ["slack"], ["wetransfer"], {})
    _all_of_it(collect_squid(lake, [_log(folder / "counted.log", _COUNTED)], "pfsquid", "fw1", lambda *_: None))
    _all_of_it(collect_entra(lake, [_sign_ins(folder / "signins.json")], lambda *_: None))
    _directory(lake)
    compact(lake, CareSettings(), NOW)
    _all_of_it(collect_squid(lake, [_log(folder / "later.log", _LATER)], "pfsquid", "fw2", lambda *_: None))
    publish(lake, known, NOW)
    return known


def _directory(lake: Lake) -> None:
    for department in ("Science", "Research"):  # the second time, a version ends
        account = {
            "origin": "entra", "tenant": _TENANT, "account_id": "id-morty", "upn": "morty.smith@test.example",
            "sam_account_name": "morty.smith", "realm": "TEST.EXAMPLE", "mail": "morty@test.example",
            "display_name": "Morty Smith", "department": department, "enabled": True, "user_type": "Member",
            "raw": json.dumps({"department": department}),
        }  # fmt: skip
        refresh(lake, "entra", _TENANT, [table_of(ACCOUNTS_SCHEMA, [account])], NOW)
    principal = {
        "tenant": _TENANT, "id": "sp-1", "app_id": "app-1", "display_name": "Unheard of", "tags": "[]",
        "homepage": "https://www.unheard-of.example/", "reply_urls": "[]", "enabled": True, "kind": "Application",
        "raw": "{}",
    }  # fmt: skip
    tables = [table_of(SERVICE_PRINCIPALS_SCHEMA, [principal])]
    refresh(lake, "entra", _TENANT, tables, NOW, SERVICE_PRINCIPALS)


def _log(path: Path, traffic: str) -> Path:
    """A log in pfsquid's own format."""
    lines = []
    for line in traffic.strip().splitlines():
        when, user, action, up, down, method, url = line.split()
        seconds = datetime.fromisoformat(when).replace(tzinfo=UTC).timestamp()
        name = user.replace('"', "%22")
        lines.append(
            f"{seconds:.3f} 10 10.0.0.9 50000 - {name} {action} {up} {down} {method} HIER_DIRECT/192.0.2.1"
            f" - - - - {url}\n"
        )
    path.write_text("".join(lines), "ascii")
    return path


def _sign_ins(path: Path) -> Path:
    """Sign-ins as a page of Microsoft Graph."""
    records = [
        {
            "id": f"signin-{number}",
            "createdDateTime": when,
            "userId": user_id,
            "userDisplayName": _PEOPLE[user_id],
            "userPrincipalName": upn,
            "appId": f"id-of-{app.casefold()}",
            "appDisplayName": app,
            "status": {"errorCode": error},
        }
        for number, (when, user_id, upn, app, error) in enumerate(_SIGN_INS)
    ]
    path.write_text(json.dumps({"value": records}), "utf-8")
    return path


def _all_of_it(reports: list[Report]) -> None:
    for report in reports:
        if report.problem or report.done.rejects:
            raise PfsquidError(f"the self-test's own data was not taken: {report}", "the same command with --debug")
