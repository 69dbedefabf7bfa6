"""What is known of a source that is followed, and how it is judged. Pure: reads no clock but where it says so."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

BEAT_SECONDS = 10.0  # a state that did not change is written down anew so often
DEAD_SECONDS = 30.0  # one that was not written for so long: nobody is there
HANGS_SECONDS = 120.0  # a source that gave no sign of life for so long beside `flush`

LOSSES = ("dropped", "lost")  # counts of a receiver that say that lines are gone for good
OK, FAILING, SILENT, HANGING, STOPPED, NEVER = "ok", "failing", "silent", "hanging", "not running", "never ran"


@dataclass
class State:
    """What is known of a stream, for `status` and metrics. Times: seconds since 1970; None where it never was.

    rows, rejects, reasons: since the start of this process. caught_up: when a round last left nothing unread. newest:
    the latest row's own time. source, offset: the log read last, and how far. error: of the last round, '' where it
    went well; last_error and error_at stay. mend: is it one that passes only when a person acts? beat: the source's
    last sign of life. written: the process's.
    received: what a receiver counts since its port was opened (see `streams.Receiving`), None of other sources.
    losing: when it last had to drop something, or lost it.
    """

    name: str
    place: str
    started: float
    rows: int = 0
    rejects: int = 0
    rounds: int = 0
    lag_bytes: int | None = None
    caught_up: float | None = None
    last_data: float | None = None
    newest: float | None = None
    source: str = ""
    offset: int | None = None
    error: str = ""
    last_error: str = ""
    error_at: float | None = None
    failures: int = 0
    beat: float = 0.0
    written: float = 0.0
    flush: float = 0.0
    reasons: dict[str, int] = field(default_factory=dict)
    received: dict[str, int] | None = None
    losing: float | None = None
    mend: bool = False

    @property
    def lag_seconds(self) -> float:
        """How long ago everything was read, by the clock."""
        return self.lag_at(time.time())

    def lag_at(self, now: float) -> float:
        """Seconds since everything was read."""
        return max(0.0, now - (self.caught_up if self.caught_up is not None else self.started))

    def silent_for(self, now: float) -> float:
        """Seconds without data."""
        return max(0.0, now - (self.last_data if self.last_data is not None else self.started))

    def set_back(self, now: float) -> None:
        """The clock was set back: what lies in the future happened now."""
        for name in ("started", "caught_up", "last_data", "error_at", "beat", "losing"):
            value = getattr(self, name)
            if value is not None and value > now:
                setattr(self, name, now)

    def goes_on_from(self, before: State) -> None:
        """Take over what a new process cannot know: when there was data last, and the last error."""
        self.last_data, self.newest = before.last_data, before.newest
        self.last_error, self.error_at = before.last_error, before.error_at
        self.source, self.offset = before.source, before.offset
        self.received, self.losing = before.received, before.losing

    def has_received(self, counts: Mapping[str, int], now: float) -> None:
        """What a receiver counts now; the counts of one that was opened anew begin at 0."""
        gone, before = (sum(one.get(name, 0) for name in LOSSES) for one in (counts, self.received or {}))
        if gone > before or 0 < gone < before:
            self.losing = now
        self.received = dict(counts)

    def kind(self, now: float, alarm: float) -> str:
        """What there is to say of it: OK, or what needs a look. alarm: seconds without data."""
        if abs(now - self.written) > DEAD_SECONDS:
            return STOPPED
        if now - self.beat > HANGS_SECONDS + self.flush:
            return HANGING
        if self.error:
            return FAILING
        return SILENT if self.silent_for(now) > alarm else OK

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)
