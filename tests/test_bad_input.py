"""Bad input as a user meets it: what is said, what is kept, the next command, and the exit status."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from tests.running import ACCESS_LOG, SIGN_INS, Pfsquid

LINES = ACCESS_LOG.read_bytes().splitlines(keepends=True)
COMBINED = (
    b'10.0.0.5 - rick [16/Nov/2026:08:08:28 +0000] "GET http://a.example/ HTTP/1.1" 200 512 "-" "curl/8" '
    b"TCP_MISS:HIER_DIRECT\n"
)


def written(folder: Path, data: bytes, name: str = "access.log") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def test_a_missing_log_is_named(pfsquid: Pfsquid) -> None:
    run = pfsquid("collect", "squid", "--from", "nowhere.log")
    assert (run.status, run.err.splitlines()[0]) == (2, "pfsquid: there is no file nowhere.log")


def test_a_folder_without_logs_is_named(pfsquid: Pfsquid, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/cache.log").write_text("2026/11/20 09:15:30 kid1| Starting\n")
    run = pfsquid("collect", "squid", "--from", "logs")
    assert (run.status, "there is no log in logs" in run.err, "ls -l logs" in run.err) == (2, True, True)


def test_a_pattern_that_nothing_fits_is_named(pfsquid: Pfsquid) -> None:
    run = pfsquid("collect", "squid", "--from", "access.log*")
    assert (run.status, "there is no log in access.log*" in run.err) == (2, True)


def test_a_directory_of_sign_ins_is_refused(pfsquid: Pfsquid, tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    run = pfsquid("collect", "entra", "--from", "export")
    assert (run.status, "export/*.json" in run.err) == (2, True)


def test_an_empty_log_is_no_error_and_says_that_there_is_nothing(pfsquid: Pfsquid, tmp_path: Path) -> None:
    run = pfsquid("collect", "squid", "--from", written(tmp_path, b""))
    assert (run.status, "nothing new to collect" in run.err) == (0, True)


def test_an_empty_file_of_sign_ins_is_no_error_and_says_that_there_is_nothing(pfsquid: Pfsquid, tmp_path: Path) -> None:
    run = pfsquid("collect", "entra", "--from", written(tmp_path, b"", "signins.json"))
    assert (run.status, "nothing new to collect" in run.err) == (0, True)


def test_a_gzip_log_is_read(pfsquid: Pfsquid, tmp_path: Path) -> None:
    run = pfsquid(
        "collect", "squid", "--json", "--from", written(tmp_path, gzip.compress(ACCESS_LOG.read_bytes(), mtime=0))
    )
    assert (run.status, run.rows[0]["rows"]) == (0, len(LINES))


def test_a_truncated_gzip_log_keeps_what_could_be_read(pfsquid: Pfsquid, tmp_path: Path) -> None:
    whole = gzip.compress(ACCESS_LOG.read_bytes(), mtime=0)
    run = pfsquid("collect", "squid", "--json", "--from", written(tmp_path, whole[: len(whole) // 2], "cut.log.gz"))
    kept = run.rows[0]["rows"]
    assert run.status == 1
    assert "cut.log.gz is damaged" in run.err
    assert f"the {kept:,} rows before that are in the lake" in run.err
    assert 0 < kept == pfsquid.count("proxy") < len(LINES)


def test_the_whole_copy_after_a_truncated_gzip_completes_the_log(pfsquid: Pfsquid, tmp_path: Path) -> None:
    whole = gzip.compress(ACCESS_LOG.read_bytes(), mtime=0)
    pfsquid("collect", "squid", "--from", written(tmp_path, whole[: len(whole) // 2], "access.log.gz"))
    run = pfsquid("collect", "squid", "--from", written(tmp_path, whole, "access.log.gz"))
    assert (run.status, pfsquid.count("proxy")) == (0, len(LINES))


def test_a_binary_file_is_refused(pfsquid: Pfsquid, tmp_path: Path) -> None:
    run = pfsquid("collect", "squid", "--from", written(tmp_path, bytes(range(256)) * 100))
    assert (run.status, "is a binary file, not an access log" in run.err) == (2, True)


def test_a_log_of_another_format_is_refused_with_a_command_that_reads_it(pfsquid: Pfsquid, tmp_path: Path) -> None:
    log = written(tmp_path, COMBINED * 3, "their log")
    run = pfsquid("collect", "squid", "--from", log)
    assert (run.status, '"combined" format, not in "squid"' in run.err) == (2, True)
    assert f"--format combined --from '{log}'" in run.err


def test_a_log_of_no_known_format_names_the_formats(pfsquid: Pfsquid, tmp_path: Path) -> None:
    run = pfsquid("collect", "squid", "--from", written(tmp_path, b"dear diary\ntoday nothing happened\n"))
    assert (run.status, "NAME is one of squid, common, combined" in run.err) == (2, True)


def test_an_unknown_format_name_is_refused(pfsquid: Pfsquid) -> None:
    run = pfsquid("collect", "squid", "--format", "sqiud", "--from", ACCESS_LOG)
    assert (run.status, "there is no format 'sqiud'" in run.err, "squid, common" in run.err) == (2, True, True)


def test_bytes_that_are_not_utf8_do_not_stop_the_rest(pfsquid: Pfsquid, tmp_path: Path) -> None:
    odd = LINES[0].replace(b"jerry.smith", b"j\xe9r\xf4me")
    run = pfsquid("collect", "squid", "--json", "--from", written(tmp_path, b"".join([LINES[0], odd, LINES[2]])))
    assert (run.status, run.rows[0]["rows"] + run.rows[0]["rejects"]) == (0, 3)


def test_a_line_of_100_kb_goes_to_rejects_with_its_bytes(pfsquid: Pfsquid, tmp_path: Path) -> None:
    long = LINES[0].replace(b"ad.doubleclick.net", b"a" * 100_000)
    run = pfsquid("collect", "squid", "--from", written(tmp_path, LINES[0] + long + LINES[2]))
    assert (run.status, "1 × longer than 64 KB" in run.err) == (0, True)
    told = pfsquid("query", "--json", "--sql", "SELECT source_offset, octet_length(raw) AS size FROM rejects")
    assert told.rows == [{"source_offset": len(LINES[0]), "size": len(long) - 1}]


def test_a_log_with_only_rejects_from_some_point_says_so(pfsquid: Pfsquid, tmp_path: Path) -> None:
    log = written(tmp_path, LINES[0] * 3)
    pfsquid("collect", "squid", "--from", log)
    log.write_bytes(LINES[0] * 3 + b"rubbish\n")
    run = pfsquid("collect", "squid", "--from", log)
    assert (run.status, "1 lines went to rejects" in run.err, "FROM rejects" in run.err) == (1, True, True)


def test_one_bad_file_among_several_does_not_stop_the_others(pfsquid: Pfsquid, tmp_path: Path) -> None:
    run = pfsquid("collect", "squid", "--json", "--from", "nowhere.log", written(tmp_path, LINES[0]))
    assert (run.status, [row["rows"] for row in run.rows]) == (2, [0, 1])


def test_json_cut_in_half_keeps_the_records_before(pfsquid: Pfsquid, tmp_path: Path) -> None:
    whole = SIGN_INS.read_bytes()
    run = pfsquid("collect", "entra", "--json", "--from", written(tmp_path, whole[: len(whole) // 2], "half.json"))
    kept = run.rows[0]["rows"]
    assert (run.status, "half.json is cut off or damaged" in run.err) == (1, True)
    assert 0 < kept == pfsquid.count("signins") < 75


def test_json_of_something_else_is_refused(pfsquid: Pfsquid, tmp_path: Path) -> None:
    other = json.dumps({"value": [{"colour": "green"}]}).encode()
    run = pfsquid("collect", "entra", "--from", written(tmp_path, other, "other.json"))
    assert (run.status, "its records are no sign-ins of Microsoft Graph" in run.err) == (2, True)


def test_what_was_recognised_is_said(pfsquid: Pfsquid) -> None:
    run = pfsquid("collect", "entra", "--from", SIGN_INS)
    assert (run.status, "signins.json: sign-ins as Microsoft Graph gives them" in run.err + run.out) == (0, True)


def test_the_unified_audit_log_is_refused_by_its_name(pfsquid: Pfsquid, tmp_path: Path) -> None:
    other = b"CreationDate,UserIds,Operations,AuditData\r\n2026-11-20,a,UserLoggedIn,{}\r\n"
    run = pfsquid("collect", "entra", "--from", written(tmp_path, other, "audit.csv"))
    assert (run.status, "Microsoft 365's unified audit log, not a log of Entra ID" in run.err) == (2, True)


def test_a_csv_cut_in_half_keeps_the_rows_before(pfsquid: Pfsquid, tmp_path: Path) -> None:
    whole = b"Date (UTC),Request ID,User,Application\n2026-11-20T08:15:30Z,a1,x,y\n2026-11-20T08:15:31Z,a2"
    run = pfsquid("collect", "entra", "--json", "--from", written(tmp_path, whole, "half.csv"))
    assert (run.status, run.rows[0]["rows"], "half.csv is cut off or damaged" in run.err) == (1, 1, True)


def test_a_log_given_as_sign_ins_is_refused(pfsquid: Pfsquid) -> None:
    run = pfsquid("collect", "entra", "--from", ACCESS_LOG)
    assert (run.status, "is no JSON of sign-ins" in run.err) == (2, True)


def test_sign_ins_given_as_a_log_are_refused(pfsquid: Pfsquid) -> None:
    run = pfsquid("collect", "squid", "--from", SIGN_INS)
    assert (run.status, "is JSON" in run.err) == (2, True)
