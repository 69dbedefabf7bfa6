"""`pfsquid run`, `status`, `collect squid --follow` as processes: kills, rivals, signals, logs, metrics, a terminal."""

from __future__ import annotations

import json
import os
import pty
import random
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pfsquid.lake import status
from pfsquid.lake.catalog import open_lake
from pfsquid.lake.state import State
from tests.running import ACCESS_LOG, Forked, Pfsquid

LINES = ACCESS_LOG.read_bytes().splitlines(keepends=True)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def configured(folder: Path, **collect: Any) -> Path:
    """A configuration that follows access.log of this folder."""
    squid = {"office": {"path": "access.log", "format": "squid"}}
    whole = {"lake": str(folder / "lake"), "collect": {"flush": "200ms", "squid": squid, **collect}}
    (folder / "pfsquid.yaml").write_text(json.dumps(whole))
    (folder / "access.log").touch()
    return folder / "access.log"


def until(true: Callable[[], object], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)


def rows(folder: Path) -> int:
    table = open_lake(folder / "lake", make=True).table("proxy")
    return len(table.scan(selected_fields=("source_offset",)).to_arrow()) if table else 0


@contextmanager
def at_work(pfsquid: Pfsquid) -> Iterator[Forked]:
    """A `pfsquid run` that has begun."""
    with pfsquid.forked("run") as process:
        try:
            until(lambda: status.read(pfsquid.folder / "lake") or process.poll() is not None)
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(10)


def test_a_line_becomes_a_row_and_everything_is_said_in_json(pfsquid: Pfsquid) -> None:
    port = free_port()
    log = configured(pfsquid.folder, metrics=f"127.0.0.1:{port}")
    with at_work(pfsquid) as process:
        with log.open("ab") as out:
            out.writelines([*LINES[:30], b"no line of a log\n"])
        until(lambda: rows(pfsquid.folder) == 30)
        until(lambda: status.read(pfsquid.folder / "lake")["office"].rejects == 1)
        time.sleep(0.5)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        run = pfsquid("status", "--json")
        second = pfsquid("run")
        beside = pfsquid("collect", "squid", "--from", "access.log", "--lake", "lake")
        begin = time.monotonic()
        process.terminate()
        _, err = process.communicate(timeout=10)
        assert (process.returncode, time.monotonic() - begin < 5) == (0, True)
    families = {one.name: one for one in text_string_to_metric_families(text)}
    assert families["pfsquid_rows"].samples[0].labels == {"source": "office"}
    assert (families["pfsquid_rows"].samples[0].name, families["pfsquid_rows"].samples[0].value) == (
        "pfsquid_rows_total",
        30,
    )
    assert not re.search(r"http://|LAB\.|10\.77", text)
    assert (run.status, run.rows[0]["state"], run.rows[0]["lag_bytes"], run.rows[0]["rejects"]) == (0, "ok", 0, 1)
    assert (second.status, "another pfsquid run is at work" in second.err) == (1, True)
    assert beside.status == 0, beside.err
    assert rows(pfsquid.folder) == 30
    entries = [json.loads(line) for line in err.splitlines()]
    assert (entries[0]["event"], entries[0]["level"], set(entries[0]) >= {"time"}) == ("running", "info", True)


def test_status_is_honest_soon_after_a_kill(pfsquid: Pfsquid) -> None:
    log = configured(pfsquid.folder)
    log.write_bytes(b"".join(LINES[:5]))
    with at_work(pfsquid) as process:
        until(lambda: rows(pfsquid.folder) == 5)
        process.kill()
        process.wait()
    (path,) = (pfsquid.folder / "lake/.status").glob("*.json")
    old = json.loads(path.read_text())
    path.write_text(json.dumps({**old, "written": old["written"] - 31}))
    run = pfsquid("status", "--json")
    assert (run.status, run.rows[0]["state"]) == (3, "not running")


def test_killed_at_any_moment_nothing_is_lost_or_double(pfsquid: Pfsquid) -> None:
    log = configured(pfsquid.folder)
    moments = random.Random(5)
    written = 0
    for number in range(4):
        with pfsquid.forked("run") as process, log.open("ab") as out:
            end = time.monotonic() + moments.uniform(0.3, 1.2)
            while time.monotonic() < end:
                out.write(LINES[written % len(LINES)].replace(b"17948", b"17%03d" % (number + 900)))
                out.flush()
                written += 1
                time.sleep(0.005)
            process.kill()
            process.wait()
    assert pfsquid("collect", "squid").status == 0
    table = open_lake(pfsquid.folder / "lake", make=False).table("proxy")
    assert table is not None
    offsets = table.scan().to_arrow()["source_offset"].to_pylist()
    begins = [0]
    for line in log.read_bytes().splitlines(keepends=True):
        begins.append(begins[-1] + len(line))
    assert sorted(offsets) == begins[:-1]


def test_a_wrong_configuration_is_told_at_a_reload_and_the_old_one_goes_on(pfsquid: Pfsquid) -> None:
    log = configured(pfsquid.folder)
    with at_work(pfsquid) as process:
        (pfsquid.folder / "pfsquid.yaml").write_text("collect: {squit: 1}")
        process.send_signal(signal.SIGHUP)
        time.sleep(1)
        log.write_bytes(LINES[0])
        until(lambda: rows(pfsquid.folder) == 1)
        process.terminate()
        _, err = process.communicate(timeout=10)
    assert "the configuration is wrong; the old one goes on" in err
    assert "squit" in err


def test_a_port_in_use_is_told(pfsquid: Pfsquid) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        configured(pfsquid.folder, metrics=f"127.0.0.1:{sock.getsockname()[1]}")
        run = pfsquid("run")
    assert (run.status, "cannot be listened on: Address already in use" in run.err) == (1, True)


def test_nothing_to_collect_is_told(pfsquid: Pfsquid) -> None:
    configured(pfsquid.folder, squid={})
    for words in (("run",), ("collect", "squid"), ("collect", "squid", "--follow"), ("service", "install")):
        run = pfsquid(*words)
        assert (run.status, "squid" in run.err) == (2, True), words


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({}, "ok", ""),
        ({"error": "x is away", "failures": 3}, "failing", "office: x is away (3 times in a row"),
        ({"last_data": -7200}, "silent", "office: no data since 20"),
        ({"beat": -600}, "hanging", "no sign of life"),
        ({"written": -31}, "not running", "no `pfsquid run` is at work"),
        ({"written": 3600}, "not running", "no `pfsquid run` is at work"),
        (None, "never ran", "no `pfsquid run` knows of it yet"),
        ({"received": {"full": 1, "spool_bytes": 256_000_000}}, "ok", "the spool is full (256.0 MB)"),
        ({"received": {"dropped": 1234, "lost": 5}, "losing": -60}, "ok", "1,234 datagrams were dropped and 5 lines"),
        ({"received": {"dropped": 1234, "lost": 5}, "losing": -3700}, "ok", ""),
    ],
)
def test_status_says_what_needs_a_look(pfsquid: Pfsquid, change: dict[str, Any] | None, kind: str, said: str) -> None:
    configured(pfsquid.folder)
    open_lake(pfsquid.folder / "lake", make=True)
    now = time.time()
    if change is not None:
        usual = {"last_data": now, "beat": now, "written": now}
        times = {name: now + value if name in (*usual, "losing") else value for name, value in change.items()}
        status.write(pfsquid.folder / "lake", State("office", "here", now - 9000, **{**usual, **times}))
        status.write(pfsquid.folder / "lake", State("no longer there", "here", now))
    run = pfsquid("status", "--json")
    notes = json.loads(run.out).get("notes", []) or [run.err]
    assert ([row["source"] for row in run.rows], run.rows[0]["state"]) == (["office"], kind)
    assert (run.status, said in " ".join(notes)) == (3 if said else 0, True)
    assert run.rows[0]["receiver"] == (change or {}).get("received")


def test_follow_shows_one_line_on_a_terminal_and_ends_with_ctrl_c(pfsquid: Pfsquid) -> None:
    log = pfsquid.folder / "access.log"
    log.write_bytes(b"".join(LINES[:50]))
    master, slave = pty.openpty()
    words = [sys.executable, "-m", "pfsquid", "collect", "squid", "--follow", "--from", str(log), "--lake", "lake"]
    with subprocess.Popen(words, cwd=pfsquid.folder, env=pfsquid.environment(), stderr=slave, stdout=-3) as process:
        os.close(slave)
        seen = b""
        until(lambda: rows(pfsquid.folder) == 50)
        while b"50 rows" not in seen:
            seen += os.read(master, 4096)
        process.send_signal(signal.SIGINT)
        assert process.wait(8) == 130
    os.close(master)
    assert re.search(rb"\r\x1b\[K50 rows, [\d,]+/s, 0 rejects, lag \d+ s", seen)


def test_follow_is_silent_without_a_terminal(pfsquid: Pfsquid) -> None:
    log = pfsquid.folder / "access.log"
    log.write_bytes(b"".join(LINES[:5]))
    with pfsquid.forked("collect", "squid", "--follow", "--from", "access.log", "--lake", "lake") as process:
        until(lambda: rows(pfsquid.folder) == 5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=8)
    assert (out, [json.loads(line)["event"] for line in err.splitlines()]) == ("", ["running"])
