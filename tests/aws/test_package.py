"""The collector's package: small enough for Lambda, the same for the same content, whole; and why, if it cannot be."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pfsquid.aws.package as module
from pfsquid.aws.package import LIMIT, MOST, Package, build
from pfsquid.errors import PfsquidError, WrongUse
from tests.aws.lambda_runs import package  # noqa: F401 - a fixture

IMPORTS = """
import sys
sys.path[:0] = [sys.argv[1]]
import pfsquid.aws.handler, pfsquid.lake.remote, pyiceberg.catalog.glue, pyiceberg.io.pyarrow, msal, pyarrow._s3fs
others = [m.__file__ for m in list(sys.modules.values()) if "-packages" in str(getattr(m, "__file__", ""))]
assert not others, others
print(pfsquid.aws.handler.__file__)
"""


@pytest.fixture
def built(package: Package) -> Package:  # noqa: F811 - a fixture
    return package


def fake_pip(
    monkeypatch: pytest.MonkeyPatch, status: int, stderr: str, make: Callable[[Path], None] | None = None
) -> None:
    """pip that ends so; `make` puts wheels into the folder that they are asked for in."""

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        folder = Path(next(word for word in command if word.startswith("--dest=")).removeprefix("--dest="))
        if make:
            folder.mkdir()
            make(folder)
        return subprocess.CompletedProcess(command, status, "", stderr)

    monkeypatch.setattr("pfsquid.aws.package.subprocess.run", run)


def wheel(path: Path, **files: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def small(folder: Path) -> None:
    wheel(
        folder / "a-1-py3-none-any.whl",
        **{"a/__init__.py": b"x = 1\n", "a/tests/test_a.py": b"", "a-1.dist-info/RECORD": b""},
    )


def test_it_is_within_the_quota_of_lambda(built: Package) -> None:
    with zipfile.ZipFile(built.path) as archive:
        unpacked = sum(one.file_size for one in archive.infolist())
    assert built.unpacked == unpacked < MOST < LIMIT
    assert built.size == built.path.stat().st_size < 100_000_000


def test_the_handler_comes_up_with_nothing_but_the_package(built: Package, tmp_path: Path) -> None:
    with zipfile.ZipFile(built.path) as archive:
        archive.extractall(tmp_path / "code")
    command = [sys.executable, "-I", "-S", "-B", "-c", IMPORTS, str(tmp_path / "code")]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path, env={"PATH": os.environ["PATH"]}
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "code/pfsquid/aws/handler.py")


def test_what_no_collector_needs_is_not_in_it(built: Package) -> None:
    with zipfile.ZipFile(built.path) as archive:
        names = archive.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert not tops & {"duckdb", "paramiko", "typer", "numpy", "pygments", "pytest", "sqlglot", "__pycache__"}
    assert not [name for name in names if "/tests/" in name or name.endswith((".pyx", ".h", ".pyc", "RECORD"))]
    assert {name for name in names if name.startswith("botocore/data/s3/")}
    assert not [name for name in names if name.startswith("botocore/data/ec2/")]


def test_of_pfsquid_only_what_the_handler_can_reach_is_in_it(built: Package) -> None:
    with zipfile.ZipFile(built.path) as archive:
        own = {name for name in archive.namelist() if name.startswith("pfsquid/")}
    assert {"pfsquid/__init__.py", "pfsquid/aws/handler.py", "pfsquid/lake/remote.py"} <= own
    assert not own & {"pfsquid/cli.py", "pfsquid/views.py", "pfsquid/service.py"}


def test_the_cloudwatch_client_of_the_handler_has_its_data(built: Package) -> None:
    with zipfile.ZipFile(built.path) as archive:
        services = {name.split("/")[2] for name in archive.namelist() if name.startswith("botocore/data/")}
    assert {"cloudwatch", "glue", "s3", "secretsmanager", "ssm", "sts"} <= services


def test_the_same_content_gives_the_same_bytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_pip(monkeypatch, 0, "", small)
    first, second = (build("arm64", tmp_path / name, cache=tmp_path / f"cache-{name}") for name in ("a.zip", "b.zip"))
    assert first.digest == second.digest
    assert first.path.read_bytes() == second.path.read_bytes()
    with zipfile.ZipFile(first.path) as archive:
        assert {one.date_time for one in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {one.external_attr >> 16 for one in archive.infolist()} == {0o100644}
        assert archive.namelist() == sorted(archive.namelist())


def test_another_content_has_another_digest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_pip(monkeypatch, 0, "", small)
    first = build("arm64", tmp_path / "a.zip", cache=tmp_path / "one")
    fake_pip(monkeypatch, 0, "", lambda folder: wheel(folder / "a-1-py3-none-any.whl", **{"a/__init__.py": b"x = 2\n"}))
    assert build("arm64", tmp_path / "b.zip", cache=tmp_path / "two").digest != first.digest


def test_wheels_that_were_fetched_once_are_enough_without_a_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake_pip(monkeypatch, 0, "", small)
    first = build("arm64", tmp_path / "a.zip", cache=tmp_path / "cache")
    fake_pip(monkeypatch, 1, "NewConnectionError: no network")
    assert build("arm64", tmp_path / "b.zip", cache=tmp_path / "cache").digest == first.digest


def test_a_kept_wheel_that_was_changed_is_fetched_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_pip(monkeypatch, 0, "", small)
    first = build("arm64", tmp_path / "a.zip", cache=tmp_path / "cache")
    (kept,) = (tmp_path / "cache").rglob("*.whl")
    wheel(kept, **{"a/__init__.py": b"evil = 1\n"})
    assert build("arm64", tmp_path / "b.zip", cache=tmp_path / "cache").digest == first.digest


@pytest.mark.parametrize(
    ("stderr", "told", "step"),
    [
        ("NewConnectionError\nERROR: No matching distribution found for boto3", "does not answer", "pip"),
        ("ERROR: No matching distribution found for pyarrow==26.0.1", "no wheel of pyarrow==26.0.1", "--arch x86_64"),
        ("/usr/bin/python: No module named pip", "pip is missing", "ensurepip"),
        ("ERROR: something else", "something else", "pip config list"),
    ],
)  # fmt: skip
def test_what_pip_cannot_do_is_told_and_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stderr: str, told: str, step: str
) -> None:
    fake_pip(monkeypatch, 1, stderr)
    with pytest.raises(PfsquidError, match=told) as error:
        build("arm64", tmp_path / "a.zip", cache=tmp_path / "cache")
    assert any(step in one for one in error.value.next)
    assert not list(tmp_path.glob("*.zip"))
    assert not list((tmp_path / "cache").rglob("*.whl"))


def test_a_package_that_would_be_too_large_is_refused_before_it_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake_pip(monkeypatch, 0, "", small)
    monkeypatch.setattr(module, "MOST", 1000)
    with pytest.raises(PfsquidError, match="unpacked, more than"):
        build("arm64", tmp_path / "a.zip", cache=tmp_path / "cache")
    assert not (tmp_path / "a.zip").exists()


def test_a_place_that_cannot_be_written_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_pip(monkeypatch, 0, "", small)
    with pytest.raises(PfsquidError, match="cannot be built"):
        build("arm64", tmp_path / "none" / "a.zip", cache=tmp_path / "cache")


@pytest.mark.parametrize(("arch", "python"), [("arm", "3.12"), ("arm64", "3"), ("arm64", "2.7")])
def test_what_lambda_has_not_is_wrong_use(arch: str, python: str, tmp_path: Path) -> None:
    with pytest.raises(WrongUse):
        build(arch, tmp_path / "a.zip", python, cache=tmp_path / "cache")


def test_the_pins_are_what_is_installed_here() -> None:
    pins = dict(pin.split("==") for pin in module._pins())
    assert "pyarrow" in pins
    assert "pfsquid" not in pins


def test_the_digest_is_of_the_content_and_not_of_how_it_is_compressed() -> None:
    content = {"a": b"1"}
    whole = hashlib.sha256(f"a\0{hashlib.sha256(b'1').hexdigest()}\n".encode()).hexdigest()
    assert module._digest(content) == whole
