"""Keytab files and the commands for those who let others make them."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pfsquid.errors import PfsquidError, WrongUse
from pfsquid.kerberos import keytabs
from pfsquid.kerberos.account import AccountKind
from pfsquid.kerberos.keytab import dump
from pfsquid.kerberos.keytabs import check_place, derived, held, new_password, put, put_bytes, rows, salt_to_come
from pfsquid.kerberos.offline import Offline, text
from pfsquid.kerberos.principal import Principal
from tests.kerberos.domain import REALM, SPN, START, made
from tests.running import Pfsquid

SALTS: Any = {18: (b"LAB.EXAMPLEsvc_squid", None), 17: (b"LAB.EXAMPLEsvc_squid", None)}
ENTRIES = derived(SPN, "one", SALTS, 3, START)


def test_a_password_is_long_and_of_all_classes_and_never_the_same() -> None:
    made_up = {new_password() for _ in range(50)}
    assert len(made_up) == 50
    for one in made_up:
        assert len(one) == 64
        assert one.isascii()
        assert '"' not in one
        for test in (str.isupper, str.islower, str.isdigit, lambda char: not char.isalnum()):
            assert any(map(test, one))


def test_a_keytab_is_its_owners_alone_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "x.keytab"
    path.write_bytes(b"former")
    path.chmod(0o644)
    put(path, ENTRIES)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert held(path).entries == ENTRIES
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_what_cannot_be_written_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "x.keytab"
    path.write_bytes(b"former")

    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os if step == "fsync" else Path, step, no_room)
    with pytest.raises(PfsquidError, match=r"No space left.*as it was"):
        put_bytes(path, b"new")
    assert path.read_bytes() == b"former"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_in_the_way_is_replaced_and_what_it_leads_to_is_not(tmp_path: Path) -> None:
    other, path = tmp_path / "other", tmp_path / "x.keytab"
    other.write_bytes(b"theirs")
    path.symlink_to(other)
    put(path, ENTRIES)
    assert other.read_bytes() == b"theirs"
    assert not path.is_symlink()


def test_a_place_is_tried_without_a_trace(tmp_path: Path) -> None:
    check_place(tmp_path / "x.keytab")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(WrongUse, match="is a folder"):
        check_place(tmp_path)
    with pytest.raises(PfsquidError, match="nothing was changed"):
        check_place(tmp_path / "missing" / "x.keytab")


def test_without_an_aes_salt_there_is_no_key() -> None:
    with pytest.raises(PfsquidError, match="no AES key for this account, but arcfour-hmac"):
        derived(SPN, "one", {23: (b"", None)}, 3, START)


@pytest.mark.parametrize(
    ("sam", "upn", "kind", "salt"),
    [
        ("svc_squid", None, AccountKind.USER, b"LAB.EXAMPLEsvc_squid"),
        ("svc_squid", "svc_squid@lab.example", AccountKind.USER, b"LAB.EXAMPLEsvc_squid"),
        ("svc", "HTTP/proxy.lab.example@LAB.EXAMPLE", AccountKind.USER, b"LAB.EXAMPLEHTTPproxy.lab.example"),
        ("Ann", "ann.müller@mail.example", AccountKind.USER, "LAB.EXAMPLEann.müller".encode()),
        ("PROXY$", None, AccountKind.COMPUTER, b"LAB.EXAMPLEhostproxy.lab.example"),
    ],
)
def test_the_salt_to_come_follows_the_name(sam: str, upn: str | None, kind: AccountKind, salt: bytes) -> None:
    assert salt_to_come(replace(made(sam), upn=upn, kind=kind), REALM) == salt


def test_show_tells_current_from_former_for_each_principal_and_no_key() -> None:
    other = Principal(("HOST", "x"), REALM)
    entries = (*ENTRIES, *derived(SPN, "two", SALTS, 4, START), *derived(other, "three", SALTS, 1, START))
    told = rows(entries)
    assert [(row[0], row[1], row[4]) for row in told[::2]] == [
        (f"HTTP/proxy.lab.example@{REALM}", 3, "former"),
        (f"HTTP/proxy.lab.example@{REALM}", 4, "current"),
        (f"HOST/x@{REALM}", 1, "current"),
    ]
    assert not any(one.key.value.hex() in repr(told) or repr(one.key.value) in repr(told) for one in entries)


@pytest.mark.parametrize(
    ("data", "told"),
    [(b"", "empty"), (b"<html><body>not found", "HTML"), (dump(ENTRIES)[:-9], "cut off"), (None, "no keytab")],
)
def test_show_says_what_a_broken_keytab_is(tmp_path: Path, pfsquid: Pfsquid, data: bytes | None, told: str) -> None:
    path = tmp_path / "x.keytab"
    if data is not None:
        path.write_bytes(data)
    ran = pfsquid("keytab", "show", path)
    assert ran.status == (2 if data is None else 1)
    assert told.lower() in ran.err.lower()
    assert "next:" in ran.err


WANTED = Offline(SPN, "svc_squid")
KTPASS = (
    "ktpass /princ HTTP/proxy.lab.example@LAB.EXAMPLE /mapuser svc_squid /crypto AES256-SHA1"
    " /ptype KRB5_NT_PRINCIPAL /pass * /out squid.keytab"
)


@pytest.mark.parametrize(
    "line",
    [
        "setspn -S HTTP/proxy.lab.example svc_squid",
        KTPASS,
        "Set-ADUser svc_squid -KerberosEncryptionType AES128,AES256",
        "samba-tool spn add HTTP/proxy.lab.example svc_squid",
        "samba-tool domain exportkeytab squid.keytab --principal=HTTP/proxy.lab.example@LAB.EXAMPLE",
        "pfsquid keytab show squid.keytab",
    ],
)
def test_the_commands_for_an_administrator_are_filled_in(line: str) -> None:
    assert line in text(WANTED).splitlines()


def test_encryption_types_then_spn_then_ktpass() -> None:
    told = text(WANTED)
    places = [told.index(f"\n{word} ") for word in ("New-ADUser", "Set-ADUser", "setspn -S", "ktpass")]
    assert places == sorted(places)


def test_case_is_made_right_whatever_was_typed() -> None:
    told = text(replace(WANTED, spn=Principal(("http", "Proxy.Lab.Example"), "lab.example")))
    assert "/princ HTTP/proxy.lab.example@LAB.EXAMPLE " in told


@pytest.mark.parametrize(
    ("sam", "in_powershell", "elsewhere", "in_sh"),
    [
        ("svc squid", "'svc squid'", '"svc squid"', "'svc squid'"),
        ("o'brien", "'o''brien'", '"o\'brien"', "'o'\\''brien'"),
        ("a$b", "'a$b'", '"a$b"', "'a$b'"),
    ],
)
def test_names_are_quoted_for_each_shell(sam: str, in_powershell: str, elsewhere: str, in_sh: str) -> None:
    told = text(replace(WANTED, sam=sam))
    assert f"Set-ADUser {in_powershell} -K" in told
    assert f"setspn -S HTTP/proxy.lab.example {elsewhere}" in told
    assert f"samba-tool user setexpiry {in_sh} " in told


def test_a_folder_is_named_as_each_tool_wants_it() -> None:
    told = text(replace(WANTED, container="OU=My Services,DC=LAB,DC=example"))
    assert "-Path 'OU=My Services,DC=LAB,DC=example'" in told
    assert "--userou='OU=My Services'" in told


def test_nothing_is_left_of_a_file_that_could_not_be_made(tmp_path: Path) -> None:
    writing: Callable[..., None] = keytabs._write
    path = tmp_path / "x"
    path.write_bytes(b"theirs")
    with pytest.raises(FileExistsError):
        writing(path, b"ours")
    assert path.read_bytes() == b"theirs"
