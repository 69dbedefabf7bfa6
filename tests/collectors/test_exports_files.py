"""Files of sign-ins and audits as files: packed, in any encoding, torn, long; places are bytes of what was unpacked."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from collectors.entra import exports, streamed
from collectors.entra.exports import collect
from collectors.entra.streamed import FileError
from tests.collectors.entra_shapes import PORTAL, audit, five_logs, table
from tests.collectors.graph_records import Read, page, signin

ONE = json.dumps(signin("é1", userDisplayName="Renée 😀"), ensure_ascii=False)
BAD = '{"id": "é2", "createdDat'
NO_ID = json.dumps({**signin("x"), "id": "", "userDisplayName": "é"}, ensure_ascii=False)


def zipped(content: bytes, name: str = "InteractiveSignIns.json") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("folder/", b"")
        packed.writestr(name, content)
    return out.getvalue()


def packed_gzip(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


@pytest.mark.parametrize("pack", [bytes, packed_gzip, zipped], ids=["plain", "gzip", "zip"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
@pytest.mark.parametrize(
    "text",
    [
        "\n".join([ONE, BAD, ONE, NO_ID, ONE]) + "\n",
        "\r\n".join([ONE, BAD, ONE, NO_ID, ONE]),
        "[" + ",\n".join([ONE, ONE, NO_ID, ONE]) + "]",
        json.dumps({"value": [json.loads(ONE), json.loads(NO_ID)]}, ensure_ascii=False, indent=1),
        ONE + "\n" + BAD + "\n" + json.dumps(json.loads(ONE), indent=1) + "\n" + NO_ID,
        table({**PORTAL, "User": "Renée"}, {**PORTAL, "Request ID": "", "User": "é"}, bom=""),
    ],
    ids=["lines", "CRLF", "list", "page", "lines then one of many lines", "CSV"],
)
def test_the_place_and_bytes_of_a_reject_are_those_in_the_file(
    tmp_path: Path, text: str, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    raw = text.encode(encoding)
    read = Read(tmp_path, pack(raw))
    assert read.error is None
    assert len(read.rejects) == len(read.offsets) >= 1
    for (_, stood), offset in zip(read.rejects, read.offsets, strict=True):
        assert raw[offset:].startswith(stood)
        assert len(stood) > 10


def test_one_record_a_line_and_one_document_give_the_same(tmp_path: Path) -> None:
    lines = [*map(json.dumps, five_logs()), page(signin("p1"), signin("p2")), json.dumps([audit("p3")])]
    by_line = Read(tmp_path, "\n".join(lines))
    as_one = Read(tmp_path, " ".join(lines))
    assert by_line.rows == as_one.rows
    assert (by_line.error, by_line.ids) == (None, ["i", "n", "sp", "m", "p1", "p2", "d", "p3"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_lines_cut_anywhere_keep_the_whole_ones(tmp_path: Path, encoding: str) -> None:
    raw = (ONE + "\n" + ONE.replace("é1", "é2") + "\n").encode(encoding)
    for end in range(len(raw) // 2 + 40, len(raw) - 4, 97):
        read = Read(tmp_path, raw[:end])
        assert (read.ids, read.rejects) == (["é1"], [])
        assert read.error is not None
        assert not read.error.wrong_use
        assert "at byte" in str(read.error)


def test_a_csv_cut_in_its_last_row_keeps_the_others_and_says_so(tmp_path: Path) -> None:
    text = table(PORTAL, {**PORTAL, "Request ID": "a2"})
    read = Read(tmp_path, text[:-200])
    assert (read.ids, read.rejects) == (["a1"], [])
    assert "cut off or damaged after 1 records" in str(read.error)


def test_a_row_of_a_csv_with_too_many_values_is_a_reject(tmp_path: Path) -> None:
    lines = table(PORTAL, PORTAL, {**PORTAL, "Request ID": "a2"}).split("\r\n")
    lines[1] += ',"more"'
    read = Read(tmp_path, "\r\n".join(lines))
    assert (read.ids, [raw for _, raw in read.rejects]) == (["a1", "a2"], [lines[1].encode()])
    assert read.rejects[0][0].endswith("values where the first line has 32")


def test_a_value_of_a_csv_may_have_many_lines(tmp_path: Path) -> None:
    read = Read(tmp_path, table({**PORTAL, "User agent": 'a\n"b",\r\nc'}, {**PORTAL, "Request ID": "a2"}))
    assert (read.rows[0]["user_agent"], read.ids) == ('a\n"b",\r\nc', ["a1", "a2"])


def test_a_csv_of_one_byte_letters_is_not_guessed_at(tmp_path: Path) -> None:
    raw = table(PORTAL, {**PORTAL, "Request ID": "a2", "User": "x"}, bom="").encode("latin-1")
    read = Read(tmp_path, raw)
    assert read.ids == ["a2"]
    assert read.rejects == [("characters that no Unicode text holds", raw.split(b"\r\n")[1])]


@pytest.mark.parametrize("date", ["3/12/2026 8:15:30 AM", "20/11/2026 08:15:30"])
def test_a_date_of_a_csv_that_may_begin_with_the_day_or_the_month_is_not_guessed_at(tmp_path: Path, date: str) -> None:
    read = Read(tmp_path, table({**PORTAL, "Date (UTC)": date}))
    assert (read.rows, len(read.rejects)) == ([], 1)


def test_a_zip_of_several_files_gives_the_rows_of_each(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr("NonInteractiveSignIns_1.csv", table(PORTAL))
        packed.writestr("b.json", json.dumps([audit()]))
    read = Read(tmp_path, out.getvalue(), "download.zip")
    assert [batch.table for batch in read.batches] == ["signins", "audits"]
    assert [batch.source.partition("#")[0] for batch in read.batches] == [
        "download.zip/NonInteractiveSignIns_1.csv", "download.zip/b.json"
    ]  # fmt: skip


def test_a_damaged_zip_is_an_error_that_says_so(tmp_path: Path) -> None:
    for damaged in (zipped(b"{}")[:-20], b"PK\x03\x04" + b"x" * 100):
        read = Read(tmp_path, damaged)
        assert "cannot be unpacked" in str(read.error)


def test_a_gzip_that_was_damaged_inside_keeps_what_was_readable(tmp_path: Path) -> None:
    packed = bytearray(packed_gzip("\n".join(json.dumps(signin(f"a{n**7}")) for n in range(3000)).encode()))
    packed[len(packed) // 2] ^= 255
    read = Read(tmp_path, bytes(packed))
    assert len(read.ids) > 100
    assert "cut off or damaged after" in str(read.error)


def test_a_file_of_other_things_is_refused_before_it_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    with path.open("w") as out:
        for number in range(exports.STRANGE + 5):
            out.write(json.dumps({"colour": "green", "number": number}) + "\n")
        out.write(json.dumps(signin()) + "\n")
    with pytest.raises(FileError, match="neither a sign-in nor a directory audit"):
        list(collect(path))


def test_a_sign_in_after_some_other_things_is_read(tmp_path: Path) -> None:
    text = "\n".join([json.dumps({"colour": "green"})] * 5 + [json.dumps(signin())])
    read = Read(tmp_path, text)
    assert (read.ids, len(read.rejects), read.error) == (["a1"], 5, None)


@pytest.mark.parametrize("kind", ["lines", "CSV"])
def test_the_memory_is_that_of_some_batches_and_not_of_the_file(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "BATCH_BYTES", 25_000)
    monkeypatch.setattr(streamed, "PIECE", 1 << 14)
    path = tmp_path / "long"
    with path.open("w", encoding="utf-8", newline="") as out:
        if kind == "CSV":
            first, line, _ = table(PORTAL, bom="").split("\r\n")
            out.write(first + "\n")
        else:
            line = ONE
        for number in range(1200):
            out.write(line.replace("a1", f"a{number}").replace("é1", f"é{number}") + "\n")
    tracemalloc.start()
    rows = sum(len(batch.rows) for batch in collect(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rows == 1200
    assert peak < path.stat().st_size / 2
