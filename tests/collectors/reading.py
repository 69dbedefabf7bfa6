"""A lake in miniature for the tests: it keeps rows, rejects and positions as the real one does, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from collectors.batch import Batch, Position, Reject
from collectors.squid.collector import collect_logs
from collectors.squid.logs import Logs
from collectors.squid.places import local_logs


def line(number: int, pad: int = 0) -> bytes:
    """A sound line in the native format, different for each number."""
    url = f"http://host{number}.example/{'x' * pad}"
    return f"{1402454773 + number}.000    307 192.0.2.1 TCP_MISS/200 {number} GET {url} - HIER_NONE/- -\n".encode()


def log(*numbers: int) -> bytes:
    return b"".join(map(line, numbers))


def collect(path: Path | str, name: str, known: Mapping[str, Position], firewall: str | None = None) -> Iterator[Batch]:
    """One round over the logs that a path names."""
    return collect_logs(local_logs(path), name, known, firewall)


class Shelf:
    """What has been read so far, over several readings."""

    def __init__(self) -> None:
        self.known: dict[str, Position] = {}
        self.rows: dict[tuple[str, int], dict[str, Any]] = {}
        self.rejects: list[Reject] = []
        self.batches = 0

    def read(
        self,
        path: Path | Logs,
        name: str = "squid",
        until: int | None = None,
        firewall: str | None = None,
        between: Callable[[], object] = lambda: None,
    ) -> list[int]:
        """Read logs as far as they go; the numbers (`line`) of the rows that came in, in their order.

        until: as many batches, and then no further, as if the reader was killed. between: called after each batch.
        """
        came: list[int] = []
        logs = path if isinstance(path, Logs) else local_logs(path)
        for count, batch in enumerate(collect_logs(logs, name, dict(self.known), firewall)):
            if count == until:
                break
            if batch.replaces is not None:
                del self.rows[batch.source, batch.replaces]
            for row in sorted(batch.rows.to_pylist(), key=lambda row: int(row["source_offset"])):
                key = (batch.source, row["source_offset"])
                assert key not in self.rows, "read twice"
                self.rows[key] = row
                came.append(row["bytes_down"])
            self.rejects += batch.rejects
            self.known[batch.source] = Position.from_json(batch.position.to_json())
            self.batches += 1
            between()
        return came

    @property
    def numbers(self) -> list[int]:
        return sorted(row["bytes_down"] for row in self.rows.values())
