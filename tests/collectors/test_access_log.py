"""A whole log: captured ones with what must become of each line, and no dependence on how it is cut into pieces."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.squid.access_log import AccessLogParser, compile_parser
from collectors.squid.logformat import FORMATS, LogformatError
from tests.collectors.access_logs import BOUNDED, logs, rows

CAPTURED = Path(__file__).parents[1] / "captured"
CASES = sorted(path for path in CAPTURED.glob("*/*.log"))
PARSER = compile_parser(FORMATS["squid"])


def becomes(parser: AccessLogParser, log: bytes) -> list[dict[str, Any]]:
    """What became of each line, in order: the columns that are not null, or the reject's reason."""
    table, rejects = parser.read(log, 0, "log", None)
    found = [(row.pop("source_offset"), row) for row in rows(table)]
    for _, row in found:
        assert row.pop("source") == "log"
        started, elapsed = row.pop("started_at"), row["elapsed_ms"]
        assert started == (None if elapsed is None else row["ts"] - timedelta(milliseconds=elapsed))
        row["ts"], row["extra"] = row["ts"].isoformat(), row["extra"] and dict(row["extra"])
    found += [(reject.offset, {"reject": reject.reason}) for reject in rejects]
    return [{name: value for name, value in row.items() if value is not None} for _, row in sorted(found, key=_offset)]


def _offset(pair: tuple[int, dict[str, Any]]) -> int:
    return pair[0]


@pytest.mark.parametrize("log", CASES, ids=[f"{path.parent.name}/{path.stem}" for path in CASES])
def test_each_captured_line_becomes_what_a_person_made_of_it(log: Path) -> None:
    expected = [json.loads(line) for line in (log.parent / "expected.jsonl").read_text("utf-8").splitlines()]
    assert becomes(compile_parser(FORMATS[log.stem]), log.read_bytes()) == expected


@BOUNDED
@given(data=st.data())
def test_it_does_not_matter_where_a_log_is_cut(data: st.DataObject) -> None:
    lines = data.draw(logs("squid"))
    cut = data.draw(st.integers(0, len(lines)))
    first, second = (b"".join(line + b"\n" for line in part) for part in (lines[:cut], lines[cut:]))
    whole = becomes(PARSER, first + second) if lines else []
    assert [row for part in (first, second) if part for row in becomes(PARSER, part)] == whole


def test_offsets_count_from_where_the_piece_begins() -> None:
    log = b"bad\n1402454773.542 307 192.0.2.1 TCP_MISS/200 1 GET http://a.example/ - HIER_NONE/- -\n"
    table, rejects = PARSER.read(log, 1000, "log", "fw")
    assert [reject.offset for reject in rejects] == [1000]
    assert table.select(["source", "firewall", "source_offset"]).to_pylist() == [
        {"source": "log", "firewall": "fw", "source_offset": 1004}
    ]


def test_what_is_no_logformat_is_refused() -> None:
    with pytest.raises(LogformatError, match="column 5"):
        compile_parser("%ts %")
