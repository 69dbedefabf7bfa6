"""The fast path says of each line that it takes what the slow path says, and whatever comes in, no line is lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from collectors.squid.access_log import AccessLogParser, compile_parser
from collectors.squid.columns import compile_columns
from collectors.squid.lines import LONGEST_LINE
from collectors.squid.logformat import format_of, parse_logformat
from collectors.squid.schema import PROXY_SCHEMA
from tests.collectors.access_logs import BOUNDED, PLAIN, WRITTEN, logs, rows

PARSERS = {name: compile_parser(format_of(name)) for name in WRITTEN}
LINE = (
    b"1402454773.542    307 192.0.2.1 TCP_MISS/200 10333 GET http://a.example/b rick@LAB"
    b" HIER_DIRECT/192.0.2.9 text/html"
)


def read(name: str, log: bytes, slowly: bool = False) -> tuple[list[dict[str, Any]], list[tuple[int, str, bytes]]]:
    parser = AccessLogParser(PARSERS[name].read_line, None) if slowly else PARSERS[name]
    table, rejects = parser.read(log, 0, "log", "fw")
    return rows(table), [(reject.offset, reject.reason, reject.raw) for reject in rejects]


def taken_fast(name: str, log: bytes) -> int:
    columns = compile_columns(parse_logformat(format_of(name)))
    assert columns is not None
    plain, _ = columns.read(columns.find(log), LONGEST_LINE)
    return int(plain.sum())


@pytest.mark.parametrize("name", PARSERS)
@BOUNDED
@given(data=st.data())
def test_both_paths_give_the_same_rows_and_rejects(name: str, data: st.DataObject) -> None:
    log = b"".join(line + b"\n" for line in data.draw(logs(name)))
    assert read(name, log) == read(name, log, slowly=True)


@pytest.mark.parametrize("name", PARSERS)
@BOUNDED
@given(log=st.one_of(st.binary(max_size=400), st.text(" /:.-09aA[]\\%@\n\r\tTG", max_size=400).map(str.encode)))
@example(log=b"\n\n\n")
@example(log=b" \n")
@example(log=b"\x00" * 30)
def test_rows_and_rejects_are_as_many_as_lines_whatever_bytes_come_in(name: str, log: bytes) -> None:
    log = log.removesuffix(b"\n") + b"\n"
    taken, rejected = read(name, log)
    assert len(taken) + len(rejected) == log.count(b"\n")


@pytest.mark.parametrize("name", PARSERS)
@BOUNDED
@given(data=st.data())
def test_each_offset_is_where_that_line_begins(name: str, data: st.DataObject) -> None:
    lines = data.draw(logs(name))
    log = b"".join(line + b"\n" for line in lines)
    places = {sum(len(line) + 1 for line in lines[:number]): line for number, line in enumerate(lines)}
    taken, rejected = read(name, log)
    assert sorted([row["source_offset"] for row in taken] + [offset for offset, _, _ in rejected]) == sorted(places)
    for offset, _, raw in rejected:
        assert raw == places[offset].removesuffix(b"\r")
        assert log[offset:].startswith(raw)


@pytest.mark.parametrize("name", PARSERS)
@BOUNDED
@given(data=st.data())
def test_rows_do_not_depend_on_which_lines_stand_beside_them(name: str, data: st.DataObject) -> None:
    lines = data.draw(logs(name, max_lines=4))
    together, _ = read(name, b"".join(line + b"\n" for line in lines))
    alone = [row for line in lines for row in read(name, line + b"\n")[0]]
    assert [row | {"source_offset": 0} for row in together] == [row | {"source_offset": 0} for row in alone]


@pytest.mark.parametrize("name", PARSERS)
def test_plain_lines_go_the_fast_way(name: str) -> None:
    assert taken_fast(name, (PLAIN[name] + b"\n") * 3) == 3


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b" 307 ", b" 0x10 "),
        (b" 10333 ", b" 0x10 "),
        (b" 10333 ", b" " + b"9" * 19 + b" "),
        (b" 307 ", b" " + b"9" * 13 + b" "),
        (b"GET http://a.example/b", b"CONNECT a.example:"),
        (b"http://a.example/b", b"://a.example/b"),
        (b" GET ", b"  GET "),
        (b"1402454773", b" 1402454773"),
        (b"text/html", b"text/html "),
        (b"rick@LAB ", b" rick@LAB "),
        (b"http://", b"gopher+x://"),
        (b"a.example", b"[::1]"),
        (b"a.example", b"a.example:100000"),
    ],
)
def test_what_is_not_plain_is_declined(old: bytes, new: bytes) -> None:
    assert taken_fast("squid", LINE.replace(old, new, 1) + b"\n") == 0


def test_a_hexadecimal_number_is_rejected() -> None:
    _, rejected = read("squid", LINE.replace(b" 10333 ", b" 0x10 ") + b"\n")
    assert [reason for _, reason, _ in rejected] == ["not in the expected format"]


def test_a_field_that_is_empty_does_not_move_the_others() -> None:
    line = LINE.replace(b"/b rick@LAB ", b"/b c  ")  # ten words, but the user is missing
    taken, rejected = read("squid", line + b"\n")
    assert (taken, len(rejected)) == ([], 1)


def test_the_time_of_the_start_is_the_stamp_less_the_duration() -> None:
    (row,), _ = read("squid", LINE + b"\n")
    assert row["ts"] == datetime(2014, 6, 11, 2, 46, 13, 542_000, UTC)
    assert row["started_at"] == row["ts"] - timedelta(milliseconds=307)


def test_a_duration_of_the_age_of_the_world_is_rejected() -> None:
    _, rejected = read("squid", LINE.replace(b"   307 ", b" " + b"9" * 18 + b" ") + b"\n")
    assert len(rejected) == 1


@pytest.mark.parametrize(
    "elapsed", ["     0", "   307", "123456", "1234567", "    -1", "     -", "", "  3 07", "       5", "0x0010"]
)
def test_a_number_filled_up_with_spaces_is_read_alike_on_both_paths(elapsed: str) -> None:
    log = LINE.replace(b"   307", elapsed.encode(), 1) + b"\n" + LINE + b"\n"
    taken, rejected = read("squid", log)
    slowly, refused = read("squid", log, slowly=True)
    assert sorted(map(repr, taken)) == sorted(map(repr, slowly))
    assert rejected == refused


@pytest.mark.parametrize("log", [b"", b"\n", b"not a line\n", LINE + b"\n", LINE.replace(b"/b", b"/\xc3\xa9") + b"\n"])
def test_every_table_has_the_same_types_and_names(log: bytes) -> None:
    full, _ = PARSERS["squid"].read(LINE + b"\n", 0, "log", "fw")
    table, _ = PARSERS["squid"].read(log, 0, "log", None) if log else PARSERS["squid"].read(b"\n", 0, "log", None)
    assert table.schema == full.schema
    assert table.schema.names == PROXY_SCHEMA.names


def test_a_format_of_few_tokens_reads_a_piece_of_few_bytes() -> None:
    table, rejects = compile_parser("%ts.%03tu %rm").read(b"1 2\n", 0, "log", None)
    assert (len(table), len(rejects)) == (0, 1)
