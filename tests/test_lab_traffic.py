"""The lab's own account of its traffic and Squid's two logs are the same, line by line."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.lab.fixture import Lab
from tests.lab.layout import COMPUTER_ACCOUNT, PEOPLE, REALM

pytestmark = pytest.mark.lab


@dataclass(frozen=True)
class Line:
    """A line of either log, as far as these tests look at it."""

    user: str | None
    host: str
    method: str
    url: str
    status: int
    action: str
    client_ip: str
    bytes_down: int
    client_port: int = 0
    bytes_up: int = -1


def host_of(method: str, url: str) -> str:
    name = urlsplit(f"//{url}" if method == "CONNECT" else url).hostname
    return name or ""


def native_lines(log: bytes) -> Iterator[Line]:
    for text in log.decode().splitlines():
        _, _, client, result, size, method, url, *user, _, _ = text.split()  # a name may hold spaces
        action, status = result.split("/")
        name = " ".join(user)
        yield Line(
            None if name == "-" else unquote(name),
            host_of(method, url),
            method,
            url,
            int(status),
            action,
            client,
            int(size),
        )


def own_lines(log: bytes) -> Iterator[Line]:
    for text in log.decode().splitlines():
        _, _, client, port, _, user, result, up, down, method, _, _, _, _, _, url = text.split(" ", 15)
        action, status = result.split("/")
        yield Line(
            None if user == "-" else unquote(user),
            host_of(method, url),
            method,
            url,
            int(status),
            action,
            client,
            int(down),
            int(port),
            int(up),
        )


@dataclass(frozen=True)
class Round:
    """One round of traffic with what both sides say of it."""

    truth: dict[str, Any]
    native: list[Line]
    own: list[Line]


@pytest.fixture(scope="module")
def traffic(lab: Lab) -> Round:
    lab.fresh_logs()
    truth = lab.traffic(seed=7)
    return Round(truth, list(native_lines(lab.native_log())), list(own_lines(lab.own_log())))


Sums = dict[tuple[str | None, str, str], list[int]]


def sums(rows: list[tuple[str | None, str, str, bool, bool, int]]) -> Sums:
    """Requests, denied, challenges and bytes of each (user, host, method)."""
    found: Sums = defaultdict(lambda: [0, 0, 0, 0])
    for user, host, method, denied, challenge, size in rows:
        for column, value in enumerate((1, int(denied), int(challenge), size)):
            found[user, host, method][column] += value
    return dict(found)


def exact(truth: dict[str, Any]) -> set[tuple[str | None, str, str]]:
    return {(t["user"], t["host"], t["method"]) for t in truth["totals"] if t["bytes_exact"]}


def line_sums(lines: list[Line], size: str) -> Sums:
    return sums(
        [
            (
                line.user,
                line.host,
                line.method,
                line.action == "TCP_DENIED" and line.status == 403,
                line.status == 407,
                getattr(line, size),
            )
            for line in lines
        ]
    )


def truth_sums(truth: dict[str, Any], size: str) -> Sums:
    return sums([(r["user"], r["host"], r["method"], r["denied"], r["challenge"], r[size]) for r in truth["records"]])


def without_bytes(found: Sums) -> Sums:
    return {key: value[:3] for key, value in found.items()}


def only(found: Sums, keys: set[tuple[str | None, str, str]]) -> Sums:
    return {key: value for key, value in found.items() if key in keys}


def test_native_log_has_each_request_of_each_person_and_host(traffic: Round) -> None:
    assert without_bytes(line_sums(traffic.native, "bytes_down")) == without_bytes(
        truth_sums(traffic.truth, "bytes_down")
    )


def test_native_log_has_the_bytes_that_the_clients_received(traffic: Round) -> None:
    keys = exact(traffic.truth)
    assert only(line_sums(traffic.native, "bytes_down"), keys) == only(truth_sums(traffic.truth, "bytes_down"), keys)


@pytest.mark.parametrize("size", ["bytes_down", "bytes_up"])
def test_own_log_has_the_bytes_that_the_clients_moved(traffic: Round, size: str) -> None:
    keys = exact(traffic.truth)
    assert only(line_sums(traffic.own, size), keys) == only(truth_sums(traffic.truth, size), keys)
    assert without_bytes(line_sums(traffic.own, size)) == without_bytes(truth_sums(traffic.truth, size))


def test_each_line_is_one_record_of_the_truth(traffic: Round) -> None:
    def key(port: int, method: str, status: int, up: int, down: int) -> tuple[int, str, int, int, int]:
        return port, method, status, up, down

    lines = sorted(
        key(line.client_port, line.method, line.status, line.bytes_up, line.bytes_down) for line in traffic.own
    )
    records = sorted(
        key(r["client_port"], r["method"], r["status"], r["bytes_up"], r["bytes_down"])
        for r in traffic.truth["records"]
    )
    inexact = {r["client_port"] for r in traffic.truth["records"] if not r["bytes_exact"]}
    assert [line for line in lines if line[0] not in inexact] == [r for r in records if r[0] not in inexact]
    assert len(lines) == len(records)


def test_both_logs_tell_the_same(traffic: Round) -> None:
    assert line_sums(traffic.native, "bytes_down") == line_sums(traffic.own, "bytes_down")


def test_everybody_was_there(traffic: Round) -> None:
    users = {line.user for line in traffic.native}
    assert users == {None, f"{COMPUTER_ACCOUNT}@{REALM}", *(person.principal for person in PEOPLE)}


def test_every_kind_of_line_occurs(traffic: Round) -> None:
    lines = traffic.native
    assert {"GET", "HEAD", "POST", "PUT", "CONNECT"} <= {line.method for line in lines}
    assert {200, 204, 304, 403, 404, 407, 500, 502, 503} <= {line.status for line in lines}
    assert {"TCP_MISS", "TCP_MISS_ABORTED", "TCP_TUNNEL", "TCP_DENIED", "NONE_NONE"} <= {line.action for line in lines}
    assert any(line.client_ip == "fd77::50" for line in lines)
    assert any(line.host == "fd77::80" for line in lines)
    assert max(len(line.url) for line in lines) > 6_900
    assert any("naïve" in line.url for line in lines)
    for seen in ("aborted", "denied", "challenge"):
        assert any(record[seen] for record in traffic.truth["records"]), seen


def test_an_aborted_transfer_is_within_its_bounds(traffic: Round) -> None:
    aborted = {r["client_port"]: r for r in traffic.truth["records"] if r["aborted"]}
    assert aborted
    for line in traffic.own:
        record = aborted.get(line.client_port)
        if record is not None and line.status != 407:
            assert line.bytes_down == 0 or line.bytes_down >= record["bytes_down"]
            assert line.bytes_up <= record["bytes_up"]


def test_squid_can_be_given_another_day_while_tickets_stay_valid(lab: Lab) -> None:
    lab.fresh_logs()
    lab.restart_squid(at="2026-11-16 09:00:00")
    try:
        truth = lab.traffic(seed=8)
        lines = lab.native_log().decode().splitlines()
    finally:
        lab.restart_squid()
    morning = datetime(2026, 11, 16, 9, tzinfo=UTC).timestamp()
    assert len(lines) == len(truth["records"])
    assert all(morning - 1 <= float(line.split(".")[0]) <= morning + 120 for line in lines)
    assert any(PEOPLE[0].principal in line for line in lines)
