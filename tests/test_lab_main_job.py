"""The main job on what a real Squid has just written: pfsquid's answer and the clients' own account agree."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pfsquid.discovery.apps import APP, UNKNOWN, Catalogue, Host, classify, load
from pfsquid.resources import configs
from tests.lab import signins
from tests.lab.fixture import Lab
from tests.lab.layout import COMPUTER_ACCOUNT, REPOSITORY
from tests.running import Pfsquid

pytestmark = pytest.mark.lab

Key = tuple[str, str]


@dataclass
class Sum:
    """Requests and bytes; exact is False where an aborted transfer makes the bytes a bound."""

    requests: int = 0
    denied: int = 0
    down: int = 0
    up: int = 0
    exact: bool = True


@dataclass(frozen=True)
class Seen:
    """One round of traffic, and a lake for each of the two logs that Squid wrote of it."""

    truth: dict[str, Any]
    lakes: dict[str, Path]


def pfsquid(*words: str) -> Any:
    """Run pfsquid with --json; its answer's rows."""
    with tempfile.TemporaryDirectory() as folder:
        run = Pfsquid(Path(folder))(*words, "--json", PFSQUID_CONFIG=str(REPOSITORY / "configs" / "lab.yaml"))
    assert run.status == 0, run.err
    return run.rows


@pytest.fixture(scope="module")
def seen(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("main-job")
    lab.fresh_logs()
    truth = lab.traffic(seed=11, rounds=2)
    (folder / "signins.json").write_text(signins.page(), "utf-8")
    lakes = {}
    for name, log in (("squid", lab.native_log()), ("pfsquid", lab.own_log())):
        (folder / f"{name}.log").write_bytes(log)
        lakes[name] = folder / f"{name}.lake"
        lake = ("--lake", str(lakes[name]))
        pfsquid("collect", "squid", "--format", name, "--from", str(folder / f"{name}.log"), *lake)
        pfsquid("collect", "entra", "--from", str(folder / "signins.json"), *lake)
    yield Seen(truth, lakes)
    lab.fresh_logs()


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load([configs() / "apps"])


def told(seen: Seen, catalogue: Catalogue, key: str) -> dict[Key, Sum]:
    """The clients' own account: by principal and app (or unknown domain)."""
    sums: dict[Key, Sum] = defaultdict(Sum)
    for record in seen.truth["records"]:
        if (
            not record["host"]
            or record["challenge"]
            or record["user"] is None
            or record["user"].startswith(COMPUTER_ACCOUNT)
        ):
            continue
        host: Host = classify(record["host"], catalogue)
        wanted = (
            host.app_id if key == APP and host.kind == APP else host.domain if key == host.kind == UNKNOWN else None
        )
        if wanted is None:
            continue
        one = sums[(record["user"], wanted)]
        if record["denied"]:
            one.denied += 1
            continue
        one.requests += 1
        one.down += record["bytes_down"]
        one.up += record["bytes_up"]
        one.exact &= record["bytes_exact"]
    return dict(sums)


def principals(seen: Seen, log: str) -> dict[str, str]:
    rows = pfsquid("query", "--lake", str(seen.lakes[log]), "--sql", "SELECT user_name, person_id FROM principals")
    return {row["person_id"]: row["user_name"] for row in rows if row["person_id"]}


@pytest.mark.parametrize("log", ["squid", "pfsquid"])
def test_people_apps_requests_and_bytes_agree_with_what_the_clients_did(
    seen: Seen, catalogue: Catalogue, log: str
) -> None:
    wanted = told(seen, catalogue, APP)
    of_person = principals(seen, log)
    rows = pfsquid("query", "app-people", "--lake", str(seen.lakes[log]))
    answered = {(of_person[row["person"]], row["app"]): row for row in rows if row["person"] != "(no user name)"}
    assert answered.keys() == wanted.keys()
    assert len({user for user, _ in wanted}) >= 6
    for key, one in wanted.items():
        row = answered[key]
        assert (row["requests"], row["denied"]) == (one.requests, one.denied), key
        if one.exact and one.requests:
            assert row["bytes_down"] == one.down, key
            assert row["bytes_up"] == (one.up if log == "pfsquid" else None), key


@pytest.mark.parametrize("log", ["squid", "pfsquid"])
def test_unknown_domains_agree_with_what_the_clients_did(seen: Seen, catalogue: Catalogue, log: str) -> None:
    wanted: dict[str, int] = defaultdict(int)
    for (_, domain), one in told(seen, catalogue, UNKNOWN).items():
        wanted[domain] += one.requests
    rows = pfsquid("query", "unknown-domains", "--lake", str(seen.lakes[log]))
    answered = {row["domain"]: row["requests"] for row in rows}
    # Who came without a name (refused ports and the like) is in the answer, too; the people's requests are all there.
    assert {domain: count for domain, count in wanted.items() if count} == {
        domain: count for domain, count in answered.items() if count
    }


@pytest.mark.parametrize("log", ["squid", "pfsquid"])
def test_every_line_of_the_log_is_a_row_or_a_reject(seen: Seen, log: str) -> None:
    lake = ("--lake", str(seen.lakes[log]))
    lines = (seen.lakes[log].parent / f"{log}.log").read_bytes().count(b"\n")
    rows = pfsquid("query", "--sql", "SELECT count(*) AS n FROM proxy", *lake)[0]["n"]
    rejects = pfsquid("query", "--sql", "SELECT count(*) AS n FROM rejects", *lake)[0]["n"]
    assert rows + rejects == lines
    assert rejects == 0 or log == "squid"


@pytest.mark.parametrize("log", ["squid", "pfsquid"])
def test_the_workstation_and_the_challenges_are_no_use(seen: Seen, log: str) -> None:
    lake = ("--lake", str(seen.lakes[log]))
    challenges = pfsquid("query", "--sql", "SELECT count(*) AS n FROM proxy WHERE status = 407", *lake)[0]["n"]
    assert challenges == sum(record["challenge"] for record in seen.truth["records"])
    people = {row["person"] for row in pfsquid("query", "people", *lake)}
    assert not any(person.startswith("WS1$") for person in people)


def test_people_are_matched_though_realm_and_suffix_differ(seen: Seen) -> None:
    rows = pfsquid("query", "app-signins", "app=slack", "--lake", str(seen.lakes["pfsquid"]))
    summer = next(row for row in rows if row["person"] == "summer.smith@pfsquid.example")
    assert summer["last_sign_in"].startswith("2026-11-20T")
    rows = pfsquid("query", "app-signins", "app=dropbox", "--lake", str(seen.lakes["pfsquid"]))
    rick = next(row for row in rows if row["person"] == "rick.sanchez@pfsquid.example")
    assert rick["last_sign_in"] == "never"


def test_names_with_spaces_and_accents_come_out_of_both_logs_alike(seen: Seen) -> None:
    names = []
    for log in ("squid", "pfsquid"):
        sql = "SELECT DISTINCT user_name FROM proxy WHERE user_name IS NOT NULL ORDER BY user_name"
        names.append([row["user_name"] for row in pfsquid("query", "--sql", sql, "--lake", str(seen.lakes[log]))])
    assert names[0] == names[1]
    assert {"tammy guetermann@LAB.PFSQUID.TEST", "renée.palmer@LAB.PFSQUID.TEST"} <= set(names[0])
