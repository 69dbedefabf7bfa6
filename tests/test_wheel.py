"""The wheel alone, in an empty environment outside of the checkout, is all that `pfsquid demo` needs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
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
    """Beside what it depends on, which is lent by this environment."""
    environment, elsewhere = tmp_path / "environment", tmp_path / "elsewhere"
    elsewhere.mkdir()
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=tmp_path)
    install = ("-m", "pip", "--python", environment / "bin" / "python", "install", "--quiet", "--no-deps", "--no-index")
    run(sys.executable, *install, wheel, cwd=tmp_path)
    (site,) = environment.glob("lib/python*/site-packages")
    # A path in a .pth file is searched, and .pth files in it are not: the checkout stays out.
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    where = run(environment / "bin" / "python", "-c", "import pfsquid; print(pfsquid.__file__)", cwd=elsewhere)
    assert Path(where.strip()).is_relative_to(site)
    shown = run(environment / "bin" / "pfsquid", "demo", "--lake", tmp_path / "lake", cwd=elsewhere)
    rick = next(
        line for line in shown.splitlines() if line.startswith("rick.sanchez@pfsquid.example") and "dropbox" in line
    )
    assert "25.1 MB" in rick
    assert rick.endswith("never")
    assert list(elsewhere.iterdir()) == []


def test_what_the_product_imports_is_among_what_it_depends_on() -> None:
    """Not what those bring with them: that may change."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    needs = {normal(re.split(r"[^A-Za-z0-9._-]", one)[0]) for one in told}
    owners = packages_distributions()
    for path in [*ROOT.glob("pfsquid/**/*.py"), *ROOT.glob("collectors/**/*.py")]:
        for name in third_party(path):
            assert set(map(normal, owners[name])) & needs, f"{path}: {name}"


def normal(name: str) -> str:
    """PEP 503."""
    return re.sub("[-_.]+", "-", name).lower()


def third_party(path: Path) -> Iterator[str]:
    """The packages that a file imports, without those that may be missing."""
    tree = ast.parse(path.read_text("utf-8"))
    optional = {inner for node in ast.walk(tree) if isinstance(node, ast.Try) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and node not in optional:
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level and node not in optional:
            names = [str(node.module)]
        else:
            continue
        for name in {one.partition(".")[0] for one in names}:
            if name not in sys.stdlib_module_names | {"pfsquid", "collectors"}:
                yield name
