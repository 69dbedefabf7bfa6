"""`pfsquid collect directory` where it cannot work: each refusal says why, what to do next, and nothing secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.running import Pfsquid

WHO = "directory: {user: checker@LAB.EXAMPLE, password: env:PW}\n"


def asked(pfsquid: Pfsquid, folder: Path, text: str, **environment: str) -> tuple[int | None, str]:
    config = folder / "pfsquid.yaml"
    config.write_text(text, "utf-8")
    run = pfsquid("collect", "directory", "--config", config, "--lake", folder / "lake", **environment)
    assert run.out == ""
    return run.status, run.err


def test_who_asks_must_be_said(pfsquid: Pfsquid, tmp_path: Path) -> None:
    status, told = asked(pfsquid, tmp_path, "directory: {servers: [dc1.lab.example]}\n")
    assert status == 2 and "does not say who may ask the directory" in told and "directory.password" in told


def test_a_secret_that_is_not_set_is_named(pfsquid: Pfsquid, tmp_path: Path) -> None:
    status, told = asked(pfsquid, tmp_path, WHO)
    assert status == 2 and "the secret env:PW is not set" in told


def test_which_directory_must_be_said(pfsquid: Pfsquid, tmp_path: Path) -> None:
    status, told = asked(pfsquid, tmp_path, "directory: {user: 'LAB\\checker', password: env:PW}\n", PW="hunter2")
    assert status == 2 and "which directory to read" in told and "hunter2" not in told


@pytest.mark.parametrize("tls", ["ldaps", "starttls"])
def test_a_server_that_is_not_there_is_told_and_makes_no_account(pfsquid: Pfsquid, tmp_path: Path, tls: str) -> None:
    text = f"directory: {{servers: [localhost], user: a@LAB.EXAMPLE, password: env:PW, tls: {tls}, port: 9}}\n"
    status, told = asked(pfsquid, tmp_path, text, PW="hunter2")
    assert status == 1 and "cannot be reached" in told and "hunter2" not in told
