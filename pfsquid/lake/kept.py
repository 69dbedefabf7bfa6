"""Answers of Graph that are not in the lake yet, on disk: who is killed between answer and commit need not ask again.

An observation and no state, like `hints`: where a file is missing, damaged or old, Graph is asked again and nothing
else. An answer is kept as it came, beside the ledger's text that it follows: it is of use to that ledger only.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from glob import escape
from pathlib import Path
from typing import Any

from collectors.entra.wire import Answer
from pfsquid.lake.aside import put_aside
from pfsquid.lake.hints import FOLDER

SECONDS = 600.0  # how long an answer is worth keeping: links die, and records change
_MOST = 4  # answers; what comes in no order is not kept
_TRIES = 8  # so many readers died of the same answers: they are not read again


@dataclass
class Kept:
    """The answers of one slice of a stream. start, end: of the slice as it was begun; begun: up to where it is in the
    lake; pages: read of it so far. asked: when the oldest answer that is kept was asked for, s since 1970."""

    folder: Path
    name: str
    mark: str = ""
    start: int = 0
    end: int = 0
    begun: int = 0
    pages: int = 0
    tries: int = 0
    files: list[dict[str, Any]] = field(default_factory=list)

    @staticmethod
    def load(lake: Path, name: str) -> Kept:
        """Of a stream by its name; in a lake that is a folder."""
        kept = Kept(lake / FOLDER, name)
        with suppress(OSError, ValueError, TypeError, KeyError):
            told = json.loads(kept._index().read_text("utf-8"))
            for one in told["files"]:
                one["asked"], one["file"] = float(one["asked"]), Path(one["file"]).name
            numbers = {key: int(told[key]) for key in ("start", "end", "begun", "pages", "tries")}
            kept.mark, kept.files = str(told["mark"]), list(told["files"])
            for key, value in numbers.items():
                setattr(kept, key, value)
        return kept

    def goes_on(self, ledger: str | None, now: float) -> bool:
        """Is there an answer that goes on where this ledger ends? What does not is thrown away."""
        fresh = bool(self.files) and 0 <= now - self.asked <= SECONDS
        if fresh and self.mark == _mark(ledger) and self.start <= self.begun < self.end and not self.deadly:
            self.tries += 1
            self._save()
            return True
        self.clear()
        return False

    @property
    def deadly(self) -> bool:
        """Did reader after reader die of what is kept?"""
        return bool(self.files) and self.tries >= _TRIES

    @property
    def asked(self) -> float:
        """When the oldest answer was asked for."""
        return min((float(one["asked"]) for one in self.files), default=time.time())

    def answers(self) -> Iterator[Answer]:
        """In order. One that is not what was kept comes empty, and is no page."""
        for one in list(self.files):
            try:
                packed = (self.folder / one["file"]).read_bytes()
            except OSError:
                packed = b""
            if _digest(packed) != one["digest"]:  # half of it, or another reader's
                packed = b""
            yield Answer(200, {}, packed, bool(one["zipped"]))

    def begin(self, ledger: str | None, start: int, end: int) -> None:
        """A slice is begun; what was kept of another goes."""
        self.clear()
        for path in self.folder.glob(f"{escape(self.name)}.page*"):  # of readers that were killed
            path.unlink(missing_ok=True)
        self.mark, self.start, self.end, self.begun, self.pages, self.tries = _mark(ledger), start, end, start, 0, 0

    def add(self, answer: Answer, asked: float) -> None:
        """The next answer has come. A lake without room for it is no error."""
        self.pages += 1
        if len(self.files) >= _MOST:
            self.clear()
        if self.pages > 1 and not self.files:
            return  # without those before it, it is of no use
        with suppress(OSError):
            path = self.folder / f"{self.name}.page{self.pages}"
            self.folder.mkdir(exist_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(answer.packed)
            self.files.append(
                {"file": path.name, "asked": asked, "zipped": answer.zipped, "digest": _digest(answer.packed)}
            )
            self._save()

    def spoiled(self) -> None:
        """The last answer was no page, or one that came before."""
        self.pages -= 1
        self._remove(self.files[-1:])
        del self.files[-1:]

    def committed(self, ledger: str | None, end: int) -> None:
        """All up to `end` is in the lake. The last answer stays, since it names the next and may hold rows behind."""
        old, self.files = self.files[:-1], self.files[-1:]
        self.mark, self.begun, self.tries = _mark(ledger), end, 0
        if end >= self.end:
            self.clear()
            return
        if self.files:
            self._save()
        self._remove(old)

    def clear(self) -> None:
        """Nothing is kept any more."""
        if self.files:
            with suppress(OSError):
                self._index().unlink(missing_ok=True)
            self._remove(self.files)
            self.files = []

    def _remove(self, files: list[dict[str, Any]]) -> None:
        for one in files:
            with suppress(OSError):
                (self.folder / one["file"]).unlink(missing_ok=True)

    def _index(self) -> Path:
        return self.folder / f"{self.name}.kept"

    def _save(self) -> None:
        names = ("mark", "start", "end", "begun", "pages", "tries", "files")
        put_aside(self._index(), {name: getattr(self, name) for name in names})


def _mark(ledger: str | None) -> str:
    return _digest((ledger or "").encode())


def _digest(text: bytes) -> str:
    return hashlib.blake2b(text, digest_size=16).hexdigest()
