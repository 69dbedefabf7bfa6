"""The contract that every collector keeps: a batch of rows, what could not be read, and where to resume.

A collector yields `Batch` after `Batch`. The lake commits a batch's rows and its position together, so that
whatever dies in between, reading resumes exactly where the last committed batch ended.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

import pyarrow as pa

REJECTS_SCHEMA = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("source_offset", pa.int64(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("raw", pa.binary(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Reject:
    """A line or record that could not be read.

    offset: bytes from the start of the source's (decompressed) stream. raw: the bytes as they stood there,
    without the end of line. reason: a sentence for people.
    """

    offset: int
    reason: str
    raw: bytes


@dataclass(frozen=True)
class Position:
    """How far a source has been read: bytes [0, offset) are in the lake.

    head and tail are digests of the first `head_bytes` and of the last bytes before `offset`; marks are those of its
    first 32, 64, 128 … 2,048 bytes, shortened (see `collectors.squid.follow`): by them a log is known again after it
    was renamed, rotated, copied or compressed. `unended` is the offset of a last line that was read although it had no
    end of line yet, or None. origin: the firewall or source that it is a log of, which keeps equal logs of two apart;
    None where nobody said. read_at: when it was last seen, UTC in ISO 8601, or '' in positions of old.
    """

    offset: int
    head: str = ""
    head_bytes: int = 0
    tail: str = ""
    unended: int | None = None
    marks: str = ""
    origin: str | None = None
    read_at: str = field(default="", compare=False)

    def to_json(self) -> str:
        """The position as one line of JSON, keys sorted, as it stands in the table's properties."""
        told = {key: value for key, value in asdict(self).items() if key == "offset" or value not in ("", None)}
        return json.dumps(told, sort_keys=True, separators=(",", ":"))

    @staticmethod
    def from_json(text: str) -> Position:
        """Read what `to_json` wrote. Raises ValueError on anything else."""
        try:
            return Position(**json.loads(text))
        except (TypeError, json.JSONDecodeError) as exc:
            raise ValueError(f"not a reading position: {text[:80]!r}") from exc


@dataclass(frozen=True)
class Batch:
    """One step of a collector.

    table: the lake's table. rows: in that table's Arrow schema. rejects: in the order of their offsets.
    source: stable name of where the rows come from. position: where to resume after this batch.
    replaces: a row of this source at exactly this offset was read unfinished before, and gives way to these rows.
    key: a column by which a row replaces the row of the same value that is in the table; rows are unique by it.
    """

    table: str
    rows: pa.Table
    source: str
    position: Position
    rejects: list[Reject] = field(default_factory=list)
    replaces: int | None = None
    key: str | None = None


def rejects_table(source: str, rejects: list[Reject]) -> pa.Table:
    """Rejects of one source as Arrow rows of REJECTS_SCHEMA."""
    return pa.Table.from_pydict(
        {
            "source": [source] * len(rejects),
            "source_offset": [reject.offset for reject in rejects],
            "reason": [reject.reason for reject in rejects],
            "raw": [reject.raw for reject in rejects],
        },
        schema=REJECTS_SCHEMA,
    )
