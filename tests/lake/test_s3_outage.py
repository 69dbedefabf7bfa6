"""While S3 is away, `pfsquid run` says so and loses nothing: a file is read later, a receiver keeps what it is sent."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable

import pytest

from pfsquid.lake import status
from pfsquid.lake.catalog import open_lake
from tests.aws.seaweed import Seaweed
from tests.running import ACCESS_LOG, Pfsquid

LINES = ACCESS_LOG.read_bytes().splitlines(keepends=True)
PART = 200


def until(true: Callable[[], object], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.2)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_an_outage_is_told_and_nothing_is_lost_or_double(
    seaweed_apart: Seaweed, pfsquid: Pfsquid, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, folder, port = seaweed_apart, pfsquid.folder, free_port()
    place = store.place(folder)
    aws = {"endpoint": store.endpoint, "catalog": place.catalog, "state": str(place.folder)}
    squid = {"file": {"path": "access.log"}, "port": {"listen": f"tcp://127.0.0.1:{port}", "format": "squid"}}
    config = {"lake": place.url, "aws": aws, "collect": {"flush": "500ms", "squid": squid}}
    (folder / "pfsquid.yaml").write_text(json.dumps(config))
    environment = store.env()

    def known() -> dict[str, int]:
        return {name: one.rows for name, one in status.read(place.folder).items()}

    def errors() -> list[str]:
        return [one.error for one in status.read(place.folder).values()]

    def write(lines: list[bytes]) -> None:
        with (folder / "access.log").open("ab") as log:
            log.writelines(lines)
        sender.sendall(b"".join(lines))

    (folder / "access.log").touch()
    with pfsquid.forked("run", **environment) as process:
        until(lambda: _listens(port) or process.poll() is not None)
        with socket.create_connection(("127.0.0.1", port)) as sender:
            write(LINES[:PART])
            until(lambda: known() == {"file": PART, "port": PART})
            store.stop()
            write(LINES[PART : 2 * PART])
            until(lambda: len(errors()) == 2 and all("it cannot be reached" in one for one in errors()))
            write(LINES[2 * PART : 3 * PART])
            told = pfsquid("status", "--json", **environment)
            spooled = list((place.folder / ".spool" / "port").rglob("*"))
            assert sum(one.stat().st_size for one in spooled if one.is_file()) >= len(b"".join(LINES[PART : 3 * PART]))
            assert (told.status, [row["state"] for row in told.rows]) == (3, ["failing", "failing"])
            store.start()
            until(lambda: known() == {"file": 3 * PART, "port": 3 * PART} and not any(errors()))
        process.terminate()
        _, said = process.communicate(timeout=20)
        assert process.returncode == 0, said
    events = [json.loads(line)["event"] for line in said.splitlines()]
    assert (events.count("source failed") >= 2, events.count("source is back")) == (True, 2)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    table = open_lake(place, make=False).table("proxy")
    assert table is not None
    rows = table.scan(selected_fields=("source", "source_offset")).to_arrow()
    assert len({*zip(*(column.to_pylist() for column in rows.columns), strict=True)}) == len(rows) == 6 * PART


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0
