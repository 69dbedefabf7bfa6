"""The wheel alone, in an empty environment outside of the checkout, is all that `pfsquid demo` needs."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(*words: str | Path, cwd: Path) -> str:
    """A command's output; its failure fails the test with what it said."""
    done = subprocess.run(list(map(str, words)), cwd=cwd, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT, cwd=folder)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_both_packages_templates_catalogue_and_programs(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for path in (
        "collectors/squid/columns.py",
        "pfsquid/cli.py",
        "pfsquid/configs/example.yaml",
        "pfsquid/configs/apps/storage.yaml",
        "pfsquid/templates/krb5.conf.j2",
        "pfsquid/discovery/questions/app-signins.sql",
        "pfsquid/firewall/programs/apply.php",
        "pfsquid/recorded/pfsquid.log",
    ):
        assert path in names, path
    assert not any(name.startswith(("tests/", "bench/")) for name in names)


def test_the_wheel_alone_runs_the_demo(wheel: Path, tmp_path: Path) -> None:
    environment, elsewhere = tmp_path / "environment", tmp_path / "elsewhere"
    elsewhere.mkdir()
    run(sys.executable, "-m", "venv", environment, cwd=tmp_path)
    run(environment / "bin" / "python", "-m", "pip", "install", "--quiet", wheel, cwd=tmp_path)
    shown = run(environment / "bin" / "pfsquid", "demo", "--lake", tmp_path / "lake", cwd=elsewhere)
    rick = next(
        line for line in shown.splitlines() if line.startswith("rick.sanchez@pfsquid.example") and "dropbox" in line
    )
    assert "25.1 MB" in rick
    assert rick.endswith("never")
    assert list(elsewhere.iterdir()) == []
