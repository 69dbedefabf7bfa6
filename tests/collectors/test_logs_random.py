"""Whatever happens to a log between two looks at it, each line that was there to be read is in the lake once.

A random life of a log: it grows, is rotated in Squid's way, truncated, made anew, copied (whole, in part, and
truncated), compressed; meanwhile rounds are read, broken off between reading and committing, and pfsquid restarted.
"""

from __future__ import annotations

import gzip
import os
import random
import re
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from collectors.squid.follow import SourceError
from collectors.squid.logs import Logs
from collectors.squid.places import local_logs
from collectors.squid.remote import RemoteLogs
from collectors.squid.streams import open_log
from pfsquid.firewall.remote_log import LogReader
from tests.collectors.reading import Shelf, line
from tests.firewall.local_php import PHP, Transport, local_pfsense

KEEP = 4
NUMBER = re.compile(rb"TCP_MISS/200 (\d+) ")


class Life(RuleBasedStateMachine):
    """A log in a folder of this machine."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.path = self.folder / "access.log"
        self.shelf = Shelf()
        self.next = 0
        self.age = 1_000_000_000
        self.half = b""  # of a line that Squid has begun to write
        self.logs = self.place()

    def place(self) -> Logs:
        return local_logs(self.path, follow=True)

    def teardown(self) -> None:
        self.stack.close()

    # What Squid and its administrator do.

    @initialize()
    def begins(self) -> None:
        self.path.write_bytes(b"")

    @rule(count=st.sampled_from([1, 2, 5, 30, 80]), pad=st.sampled_from([0, 0, 0, 300]))
    def grows(self, count: int, pad: int) -> None:
        with self.path.open("ab") as stream:
            stream.write(self.half)
            for _ in range(count):
                stream.write(self.line(pad))
        self.half = b""

    def line(self, pad: int = 0) -> bytes:
        self.next += 1
        return line(self.next, pad)

    @precondition(lambda self: not self.half)
    @rule(part=st.floats(0.1, 0.99))
    def begins_a_line(self, part: float) -> None:
        whole = self.line()
        cut = max(1, int(len(whole) * part))
        with self.path.open("ab") as stream:
            stream.write(whole[:cut])
        self.half = whole[cut:]

    def end_line(self) -> None:
        """Squid writes a line at once; a reader sees half of one, but no rotation does."""
        if self.half:
            with self.path.open("ab") as stream:
                stream.write(self.half)
        self.half = b""

    @rule()
    def is_rotated(self) -> None:
        self.end_line()
        for number in range(KEEP - 1, -1, -1):
            for suffix in ("", ".gz", ".zst"):
                former = self.path.with_name(f"access.log.{number - 1}{suffix}") if number else self.path
                if former.exists():
                    for other in ("", ".gz", ".zst"):
                        self.path.with_name(f"access.log.{number}{other}").unlink(missing_ok=True)
                    former.rename(self.path.with_name(f"access.log.{number}{suffix * bool(number)}"))
        self.path.write_bytes(b"")

    @rule()
    def is_truncated(self) -> None:
        self.half = b""
        os.truncate(self.path, 0)

    @rule()
    def is_made_anew(self) -> None:
        self.half = b""
        self.path.unlink()
        self.path.write_bytes(b"")

    @rule()
    def is_copied_and_truncated(self) -> None:
        self.end_line()
        shutil.copy(self.path, self.folder / "access.log.20")
        os.truncate(self.path, 0)

    @rule(part=st.floats(0, 1))
    def is_copied_in_part(self, part: float) -> None:
        data = self.path.read_bytes()
        (self.folder / "access.log.30").write_bytes(data[: int(len(data) * part)])

    @rule(number=st.integers(0, KEEP - 1), zstd=st.booleans())
    def is_compressed(self, number: int, zstd: bool) -> None:
        former = self.path.with_name(f"access.log.{number}")
        if former.exists():
            data = former.read_bytes()
            packed = pa.Codec("zstd").compress(data, asbytes=True) if zstd else gzip.compress(data, 1)
            former.with_name(f"{former.name}{'.zst' if zstd else '.gz'}").write_bytes(packed)
            former.unlink()

    @rule()
    def all_is_gone(self) -> None:
        self.half = b""
        for one in list(self.folder.iterdir()):
            one.unlink()
        self.path.write_bytes(b"")

    @rule()
    def gets_old(self) -> None:
        self.age += 10  # a file that changed has another time than before, also here
        for one in self.folder.iterdir():
            os.utime(one, (self.age, self.age))

    # What pfsquid does.

    @rule()
    def is_read(self) -> None:
        self.shelf.read(self.logs)
        self.all_is_there()

    @rule(batches=st.integers(0, 3))
    def is_read_and_killed(self, batches: int) -> None:
        self.shelf.read(self.logs, until=batches)
        self.logs = self.place()

    @rule(batches=st.integers(0, 3))
    def is_read_and_the_lake_fails(self, batches: int) -> None:
        lost = Shelf()
        lost.known = dict(self.shelf.known)
        lost.read(self.logs)
        self.shelf.read(self.logs, until=batches)

    @rule(seed=st.integers(0, 1000))
    def is_read_while_things_happen(self, seed: int) -> None:
        deeds: list[Callable[[], None]] = [
            self.is_rotated,
            self.is_copied_and_truncated,
            self.is_truncated,
            self.is_made_anew,
            lambda: self.grows(3, 0),
        ]
        choice = random.Random(seed)
        self.shelf.read(self.logs, between=lambda: choice.choice(deeds)())

    @rule()
    def pfsquid_is_restarted(self) -> None:
        self.logs = self.place()

    # What must be.

    @invariant()
    def nothing_is_double_or_made_up(self) -> None:
        numbers = self.shelf.numbers
        assert len(numbers) == len(set(numbers))
        assert set(numbers) <= set(range(1, self.next + 1))
        assert self.shelf.rejects == []

    def all_is_there(self) -> None:
        there: set[int] = set()
        for one in self.folder.iterdir():
            with open_log(one) as stream:
                whole = stream.read().split(b"\n")[:-1]
            there.update(int(found[1]) for each in whole if (found := NUMBER.search(each)))
        assert there <= set(self.shelf.numbers), sorted(there - set(self.shelf.numbers))


class RemoteLife(Life):
    """A log on a firewall: the program that runs there, run by this machine's PHP."""

    def place(self) -> Logs:
        if not hasattr(self, "reader"):
            self.transport = Transport()
            self.reader = self.stack.enter_context(LogReader(lambda: local_pfsense(self.transport)))
        return RemoteLogs("fw", str(self.path), self.reader)

    @rule()
    def the_connection_is_cut(self) -> None:
        if self.transport.channels:
            self.transport.process.kill()
            try:
                self.shelf.read(self.logs)
            except Exception as exc:  # noqa: BLE001 - any but those of the log
                assert not isinstance(exc, SourceError)


BOUNDED = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestLife = Life.TestCase
TestLife.settings = BOUNDED
if PHP:
    TestRemoteLife = RemoteLife.TestCase
    TestRemoteLife.settings = BOUNDED
