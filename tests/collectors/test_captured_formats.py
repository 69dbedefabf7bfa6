"""What Squid 5.7 wrote for odd values by fifteen logformats is read back as what was sent, or rejected; never wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from collectors.squid.access_log import AccessLogParser, compile_parser
from collectors.squid.logformat import FORMATS
from tests.collectors.access_logs import rows

FOLDER = Path(__file__).parents[1] / "captured" / "squid-5.7-formats"
SENT: list[dict[str, str]] = json.loads((FOLDER / "requests.json").read_text("utf-8"))
LITERAL: dict[str, str] = json.loads((FOLDER / "formats.json").read_text("utf-8"))
ALL = LITERAL | {path.stem: FORMATS[path.stem] for path in FOLDER.glob("*.txt") if path.stem not in LITERAL}
# Where a value that Squid writes as it is holds what parts the fields, a line can have two ways to read it.
MAY_REJECT = {"raw": 20, "referrer": 6, "combined": 8, "useragent": 0, "default": 0, "common": 0}


def text(sent: str) -> str:
    raw = sent.encode("utf-8", "surrogateescape")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def becomes(name: str, slowly: bool = False) -> list[dict[str, Any] | str]:
    """Each line's row or reason, in order."""
    parser = compile_parser(ALL[name])
    parser = AccessLogParser(parser.read_line, None) if slowly else parser
    table, rejects = parser.read((FOLDER / f"{name}.txt").read_bytes(), 0, "log", None)
    found: list[tuple[int, dict[str, Any] | str]] = [(row["source_offset"], row) for row in rows(table)]
    found += [(reject.offset, reject.reason) for reject in rejects]
    return [one for _, one in sorted(found, key=lambda pair: pair[0])]


@pytest.mark.parametrize("name", ALL)
def test_both_paths_agree(name: str) -> None:
    assert becomes(name) == becomes(name, slowly=True)


@pytest.mark.parametrize("name", ALL)
def test_what_was_sent_is_what_is_read(name: str) -> None:
    found = becomes(name)
    assert len(found) == len(SENT)
    for sent, row in zip(SENT, found, strict=True):
        if isinstance(row, str):
            continue
        extra = dict(row["extra"] or ())
        seen = {
            "user": row["user_name"],
            "agent": row["user_agent"],
            "referer": row["referrer"],
            "odd": extra.get("{X-Odd}>h"),
        }
        wanted: dict[str, str | None] = {key: text(sent[key]) for key in seen}
        for key, value in seen.items():
            token = {"user": "un", "agent": "{User-Agent}>h", "referer": "{Referer}>h", "odd": "{X-Odd}>h"}[key]
            if value is None and (
                wanted[key] == "-" or (token not in ALL[name] and not (key == "user" and "ul" in ALL[name]))
            ):
                continue
            if name in ("default", "widths") and key != "user" and "%" in str(wanted[key]):
                continue  # written without the percent sign escaped: nobody can tell
            if name == "default" and key == "referer":
                value = value and _unsafe(value)
            if name == "widths" and key in ("user", "agent"):
                assert str(wanted[key]).startswith(str(value)), (key, sent)
                continue
            assert value == wanted[key], (key, sent)
        if name in ("default", "times"):
            assert row["host"] == "www.dropbox.com"
        elif row["url"] is not None:
            assert row["url"] == _url(sent["url"])
        if "method" in row and "%rm" in ALL[name]:
            assert (row["method"], row["status"] or 200) == ("GET", 200)


def _url(sent: str) -> str:
    """As %ru has it: without the query (strip_query_terms); bytes that are no UTF-8 escaped."""
    raw = sent.encode("utf-8", "surrogateescape").partition(b"?")
    stripped = raw[0] + raw[1]
    try:
        return stripped.decode("utf-8")
    except UnicodeDecodeError:
        return "".join(chr(byte) if byte < 0x80 else f"%{byte:02X}" for byte in stripped)


def _unsafe(value: str) -> str:
    from collectors.squid.values import text_of, unsafe_undone

    return text_of(unsafe_undone(value.encode()))


@pytest.mark.parametrize("name", ALL)
def test_only_lines_that_can_be_read_in_two_ways_are_rejected(name: str) -> None:
    reasons = [row for row in becomes(name) if isinstance(row, str)]
    assert len(reasons) <= MAY_REJECT.get(name, 0), reasons
    assert set(reasons) <= {"it can be read in two ways"}


def test_what_is_derived_is_exact() -> None:
    times, native = becomes("times"), becomes("quoted")
    for one, other in zip(times, native, strict=True):
        assert isinstance(one, dict)
        assert isinstance(other, dict)
        assert (one["bytes_up"], one["bytes_down"], one["ts"]) == (
            other["bytes_up"],
            other["bytes_down"],
            other["ts"],
        )
        assert abs(one["elapsed_ms"] - other["elapsed_ms"]) <= 1
        assert (one["scheme"], one["port"]) == ("http", 80)
