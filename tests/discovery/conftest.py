"""A small lake whose every row is written out here, made by the product's own collectors, for answers known by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pfsquid.discovery.answer import knowledge
from pfsquid.discovery.duck import Knowledge
from pfsquid.lake.catalog import Lake, open_lake
from pfsquid.lake.collect import Report, collect_entra, collect_squid

APPS = """
- {id: dropbox, name: Dropbox, vendor: Dropbox, category: cloudStorage, domains: [dropbox.com, dropboxapi.com],
   entra_names: [Dropbox Business], risk: [file-upload]}
- {id: slack, name: Slack, vendor: Slack, category: collaboration, domains: [slack.com], risk: []}
- {id: wetransfer, name: WeTransfer, vendor: WeTransfer, category: cloudStorage, domains: [wetransfer.com],
   risk: [anonymous-share]}
- {kind: advertising, domains: [doubleclick.net]}
"""

# when, user, action/status, bytes up, bytes down, method, URL
TRAFFIC = """
2026-11-02T08:00:00     -                      TCP_DENIED/407 100  200  CONNECT www.dropbox.com:443
2026-11-02T08:00:01     rick.sanchez@LAB.LOCAL TCP_TUNNEL/200 1000 5000 CONNECT www.dropbox.com:443
2026-11-02T08:00:01     rick.sanchez@LAB.LOCAL NONE_NONE/200  700  700  CONNECT www.dropbox.com:443
2026-11-02T23:59:59.999 rick.sanchez@LAB.LOCAL TCP_MISS/200   500  -1   GET     http://content.dropboxapi.com/f?x=1
2026-11-03T00:00:00     rick.sanchez@LAB.LOCAL TCP_TUNNEL/200 200  300  CONNECT content.dropbox.com:443
2026-11-03T09:00:00     rick.sanchez@LAB.LOCAL TCP_DENIED/403 50   60   CONNECT wetransfer.com:443
2026-11-03T10:00:00     morty.smith@LAB.LOCAL  TCP_TUNNEL/200 10   20   CONNECT www.dropbox.com:443
2026-11-03T10:05:00     morty.smith@LAB.LOCAL  TCP_DENIED/403 90   90   CONNECT www.dropbox.com:443
2026-11-03T11:00:00     WS1$@LAB.LOCAL         TCP_TUNNEL/200 9999 9999 CONNECT www.dropbox.com:443
2026-11-03T12:00:00     -                      TCP_MISS/200   30   40   GET     http://www.dropbox.com/
2026-11-03T13:00:00     stranger@LAB.LOCAL     TCP_TUNNEL/200 4000 100  CONNECT files.unheard-of.example:443
2026-11-03T13:10:00     stranger@LAB.LOCAL     TCP_TUNNEL/200 1    2    CONNECT other.unheard-of.example:443
2026-11-03T13:20:00     rick.sanchez@LAB.LOCAL TCP_TUNNEL/200 7    8    CONNECT acme.slack.com:443
2026-11-03T13:30:00     rick.sanchez@LAB.LOCAL TCP_TUNNEL/200 5    6    CONNECT ad.doubleclick.net:443
2026-11-03T14:00:00     morty.smith@LAB.LOCAL  TCP_MISS/200   1    1    GET     http://nas.local/
2026-11-03T15:00:00     morty.smith@LAB.LOCAL  TCP_DENIED/403 80   80   CONNECT blocked.example:443
2026-11-03T15:30:00     rick.sanchez@LAB.LOCAL TCP_MISS/407   60   60   GET     http://www.dropbox.com/
2026-11-03T16:00:00     morty.smith@LAB.LOCAL  NONE_NONE/400  0    0    -       error:invalid-request
"""

RICK, MORTY = ("id-rick", "Rick Sanchez"), ("id-morty", "Morty Smith")
NOBODY = ("00000000-0000-0000-0000-000000000000", "")
SignIn = tuple[str, tuple[str, str], str, str, int]  # when, (user id, name), UPN, app, error code
SIGN_INS: list[SignIn] = [
    ("2026-11-02T07:00:00Z", RICK, "rick.sanchez@example.com", "Slack", 0),
    ("2026-11-03T07:00:00Z", RICK, "rick.sanchez@example.com", "Slack", 50126),
    ("2026-11-02T06:00:00Z", RICK, "rick.sanchez@example.com", "Dropbox Business", 50126),
    ("2026-11-02T09:00:00Z", RICK, "rick.sanchez@example.com", "Our file drop", 0),
    ("2026-11-01T05:00:00Z", MORTY, "morty.s@example.com", "dropbox business", 0),
    ("2026-11-03T11:30:00Z", MORTY, "morty.smith@example.com", "Dropbox Business", 0),
    ("2026-11-03T11:40:00Z", NOBODY, "rick.sanchez@typo.example", "Slack", 50034),
]


def write_log(path: Path, traffic: str) -> Path:
    """A log in pfsquid's own format, from lines like those of TRAFFIC."""
    lines = []
    for line in traffic.strip().splitlines():
        when, user, action, up, down, method, url = line.split()
        seconds = datetime.fromisoformat(when).replace(tzinfo=UTC).timestamp()
        client = f"10.0.0.9 50000 - {user}"
        lines.append(f"{seconds:.3f} 10 {client} {action} {up} {down} {method} HIER_DIRECT/192.0.2.1 - - - - {url}\n")
    path.write_text("".join(lines), "ascii")
    return path


def write_native_log(path: Path, traffic: str) -> Path:
    """The same in Squid's own format, which knows no bytes up."""
    lines = []
    for line in traffic.strip().splitlines():
        when, user, action, _, down, method, url = line.split()
        seconds = datetime.fromisoformat(when).replace(tzinfo=UTC).timestamp()
        lines.append(f"{seconds:.3f}     10 10.0.0.9 {action} {down} {method} {url} {user} HIER_DIRECT/192.0.2.1 -\n")
    path.write_text("".join(lines), "ascii")
    return path


def write_sign_ins(path: Path, sign_ins: list[SignIn] = SIGN_INS) -> Path:
    """Sign-ins as a page of Microsoft Graph."""
    records = [
        {
            "id": f"signin-{number}",
            "createdDateTime": when,
            "userId": user_id,
            "userDisplayName": name,
            "userPrincipalName": upn,
            "appId": f"id-of-{app.casefold()}",
            "appDisplayName": app,
            "status": {"errorCode": error},
        }
        for number, (when, (user_id, name), upn, app, error) in enumerate(sign_ins)
    ]
    path.write_text(json.dumps({"value": records}), "utf-8")
    return path


def collected(reports: list[Report]) -> None:
    """All of it, without a reject."""
    assert [(report.problem, report.done.rejects) for report in reports] == [(None, 0)] * len(reports)


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """TRAFFIC and SIGN_INS in a lake; nobody writes to it."""
    folder = tmp_path_factory.mktemp("discovery")
    lake = open_lake(folder / "lake", make=True)
    log = write_log(folder / "pfsquid.log", TRAFFIC)
    collected(collect_squid(lake, [log], "pfsquid", None, lambda *_: None))
    collected(collect_entra(lake, [write_sign_ins(folder / "signins.json")], lambda *_: None))
    return lake


@pytest.fixture(scope="session")
def native_lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """TRAFFIC in Squid's native format, without sign-ins."""
    folder = tmp_path_factory.mktemp("native")
    lake = open_lake(folder / "lake", make=True)
    log = write_native_log(folder / "access.log", TRAFFIC)
    collected(collect_squid(lake, [log], "squid", None, lambda *_: None))
    return lake


@pytest.fixture(scope="session")
def apps_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of three apps and a kind of noise."""
    folder = tmp_path_factory.mktemp("apps")
    (folder / "apps.yaml").write_text(APPS, "utf-8")
    return folder


@pytest.fixture(scope="session")
def known(apps_folder: Path) -> Knowledge:
    """That catalogue and no configuration."""
    return knowledge([apps_folder], {}, [], [], [], {})
