"""The collector of Entra ID as a package for AWS Lambda: a zip of wheels for its platform, cut to what it needs.

The same content gives the same bytes, whenever and wherever it is built: entries are sorted and bear no time of day.
pip fetches the wheels once, in the very versions that are installed here, and they are kept for building offline.
boto3 is in it, though Lambda has one, too: pyiceberg would else run with another version every time that AWS renews
its runtime. Never runs anything of what it packs.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.metadata import distributions
from pathlib import Path

from pfsquid.errors import PfsquidError, WrongUse

HANDLER = "pfsquid.aws.handler"
ARCHES = {"arm64": "aarch64", "x86_64": "x86_64"}
PYTHON = "3.13"  # of the template, too
LIMIT = 262_144_000  # bytes unpacked, of Lambda's quotas
MOST = 240_000_000  # of ours: the next version of Arrow shall fit, too
# What the collector is made of; what these need comes with them.
ROOTS = (
    "boto3",
    "cryptography",
    "msal",
    "pyarrow",
    "pydantic",
    "pyiceberg[pyarrow,pyiceberg-core]",
    "pyyaml",
    "requests",
    "sqlalchemy",
)
# Amazon Linux 2023 has glibc 2.34.
_GLIBC = ("manylinux_2_34", "manylinux_2_31", "manylinux_2_28", "manylinux_2_27", "manylinux_2_26", "manylinux_2_24")
_OLD = ("manylinux_2_17", "manylinux2014")
_SERVICES = ("cloudwatch", "glue", "s3", "secretsmanager", "ssm", "sts")
# Command lines, test suites, headers and sources, and the parts of Arrow that speak of other formats and stores.
_NEEDLESS = (
    *("*.pyx", "*.pxd", "*.pxi", "*.pyi", "*.h", "*.hpp", "*.hh", "*.c", "*.cc", "*.cpp", "*.a", "*/py.typed"),
    *("*/tests/*", "*/testing/*", "*/__pycache__/*", "*.dist-info/RECORD", "*.dist-info/WHEEL", "*.dist-info/sboms/*"),
    *("*.dist-info/INSTALLER", "*.dist-info/entry_points.txt", "*.dist-info/top_level.txt", "*.data/*"),
    *("numpy/*", "numpy-*", "numpy.libs/*", "click/*", "click-*", "markdown_it/*"),
    *("markdown_it_py-*", "mdurl/*", "mdurl-*", "pygments/*", "pygments-*", "fsspec/*", "fsspec-*"),
    *("pyarrow/include/*", "pyarrow/includes/*", "pyarrow/src/*", "pyarrow/*flight*", "pyarrow/_substrait*"),
    *("pyarrow/*_orc*", "pyarrow/*gandiva*", "pyarrow/*cuda*", "pyarrow/*cpp_tests*", "pyarrow/*plasma*"),
    *("pyarrow/*gcsfs*.so", "pyarrow/*azurefs*.so", "pyarrow/*hdfs*.so"),
    *("pyarrow/libarrow_gcs*", "pyarrow/libarrow_azure*"),
    *("pyiceberg/cli/*", "hive_metastore/*", "vendor/*", "boto3/data/*", "boto3/examples/*"),
    # Of zstandard a second make, of SQLAlchemy what only makes it faster: the catalog that it is for is not used here.
    *("zstandard/_cffi*", "sqlalchemy/*_cy.*.so"),
    *("sqlalchemy/dialects/mssql/*", "sqlalchemy/dialects/mysql/*", "sqlalchemy/dialects/oracle/*"),
)  # fmt: skip
# Wheels hold a library once for each of its names; it is loaded by the middle one.
_TWICE = re.compile(r"pyarrow/lib[a-z0-9_]+\.so(\.\d+\.\d+\.\d+)?")
_OFFLINE = re.compile(
    r"NewConnectionError|ConnectionError|name resolution|Network is unreachable|Connection refused|ConnectTimeout"
    r"|ReadTimeout|ProxyError|SSLError|No route to host"
)
_NO_WHEEL = re.compile(r"No matching distribution found for (\S+)")
_TIME = (1980, 1, 1, 0, 0, 0)
Say = Callable[[str], None]


@dataclass(frozen=True)
class Package:
    """A package on the disk. digest: SHA-256 of what is in it, hex. size, unpacked: bytes."""

    path: Path
    digest: str
    size: int
    unpacked: int
    arch: str = "arm64"
    python: str = PYTHON


def build(
    arch: str = "arm64",
    out: Path | None = None,
    python: str = PYTHON,
    say: Say = lambda _: None,
    cache: Path | None = None,
) -> Package:
    """Build the package; None for `out` is a file of this folder. cache: of wheels, by default the user's.

    Raises WrongUse for an architecture that Lambda has not, PfsquidError where wheels cannot be had, where the
    package would be too large, or the disk is full.
    """
    if arch not in ARCHES:
        raise WrongUse(f"there is no architecture {arch!r} in Lambda", f"one of: {', '.join(ARCHES)}")
    if not re.fullmatch(r"3\.\d+", python):
        raise WrongUse(f"{python!r} is no version of Python such as {PYTHON}", f"--python {PYTHON}")
    path = out or Path(f"pfsquid-entra-{arch}.zip")
    try:
        content = {**_from_wheels(_wheels(arch, python, cache or _cache(), say)), **_own()}
        unpacked = sum(len(one) for one in content.values())
        if unpacked > MOST:
            raise PfsquidError(
                f"the package would be {unpacked / 1e6:,.0f} MB unpacked, more than {MOST / 1e6:,.0f} MB; Lambda takes "
                f"{LIMIT / 1e6:,.0f} MB",
                "pip install -c constraints.txt pfsquid    # the versions that are known to fit",
            )
        _write(path, content)
    except (OSError, zipfile.BadZipFile) as exc:
        raise PfsquidError(f"the package {path} cannot be built: {exc}", f"df -h {path.absolute().parent}") from exc
    return Package(path, _digest(content), path.stat().st_size, unpacked, arch, python)


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "pfsquid" / "wheels"


def _pins() -> list[str]:
    """The versions that are installed here: what was tested is what runs."""
    found = {one.name.lower().replace("_", "-"): one.version for one in distributions() if one.name}
    return sorted(f"{name}=={version}" for name, version in found.items() if name != "pfsquid")


def _wheels(arch: str, python: str, cache: Path, say: Say) -> list[Path]:
    """The wheels, from the cache where all are there as they were."""
    pins = _pins()
    asked = json.dumps([ROOTS, pins, arch, python, _GLIBC])
    folder = cache / f"{arch}-{python}" / hashlib.sha256(asked.encode()).hexdigest()[:16]
    if kept := _kept(folder):
        return kept
    say(f"fetching the packages of the collector for {arch}, Python {python} (once)")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        fetched = Path(temporary) / "wheels"
        constraints = Path(temporary) / "constraints.txt"
        constraints.write_text("\n".join(pins), "utf-8")
        _fetch(arch, python, constraints, fetched, cache)
        digests = {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in sorted(fetched.glob("*.whl"))}
        (fetched / "wheels.json").write_text(json.dumps(digests), "utf-8")
        for old in folder.parent.iterdir():  # of versions that are no longer installed
            if old != Path(temporary):
                shutil.rmtree(old, ignore_errors=True)
        fetched.rename(folder)
    return _kept(folder)


def _kept(folder: Path) -> list[Path]:
    """The wheels of a folder; none where one is missing, or another one than was fetched."""
    with suppress(OSError, ValueError, AttributeError):
        digests = json.loads((folder / "wheels.json").read_text("utf-8"))
        found = [folder / name for name in digests]
        if all(hashlib.sha256(one.read_bytes()).hexdigest() == digests[one.name] for one in found):
            return found
    return []


def _fetch(arch: str, python: str, constraints: Path, folder: Path, cache: Path) -> None:
    platforms = [f"--platform={one}_{ARCHES[arch]}" for one in (*_GLIBC, *_OLD)]
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"),
        *("--only-binary=:all:", "--implementation=cp", f"--python-version={python}", *platforms),
        *("--retries=2", "--timeout=20", f"--constraint={constraints}", f"--dest={folder}", *ROOTS),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode == 0:
        return
    told = done.stderr.strip()
    if "No module named pip" in told:
        raise PfsquidError("pip is missing, which fetches the packages of the collector", "python -m ensurepip")
    if _OFFLINE.search(told):
        raise PfsquidError(
            "the packages of the collector cannot be fetched: the package index does not answer. Without a network "
            f"a package can be built only where its wheels are kept from the time before, in {cache}",
            "pip download --no-deps --dest /tmp pyiceberg    # does it answer?",
            "pip config list",
        )
    if missing := _NO_WHEEL.search(told):
        other = next(one for one in ARCHES if one != arch)
        raise PfsquidError(
            f"there is no wheel of {missing[1]} for {arch}, Python {python}",
            f"pfsquid aws package --arch {other}",
            "pip install -c constraints.txt pfsquid    # the versions that are known to have all wheels",
        )
    raise PfsquidError(f"pip cannot fetch the packages of the collector: {told[-500:]}", "pip config list")


def _from_wheels(wheels: list[Path]) -> dict[str, bytes]:
    found = {}
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            names = {one.filename for one in archive.infolist() if not one.is_dir()}
            for name in names:
                target = re.sub(r"^[^/]+\.data/(?:purelib|platlib)/", "", name)
                if _needed(target, names):
                    found[target] = archive.read(name)
    return found


def _needed(name: str, beside: set[str]) -> bool:
    if any(fnmatch(name, pattern) for pattern in _NEEDLESS):
        return False
    twice = _TWICE.fullmatch(name)
    if twice and any(re.fullmatch(re.escape(name.partition(".so")[0]) + r"\.so\.\d+", one) for one in beside):
        return False
    data = name.removeprefix("botocore/data/")
    return data == name or "/" not in data or data.startswith(tuple(f"{one}/" for one in _SERVICES))


def _own() -> dict[str, bytes]:
    """The modules of pfsquid that the handler can reach, and those alone: another command changes no package."""
    base = Path(__file__).parents[2]
    todo, found = [HANDLER], dict[str, bytes]()
    while todo:
        name = todo.pop()
        path = _source(base, name)
        if path is None or str(path.relative_to(base)) in found:
            continue
        text = path.read_bytes()
        found[str(path.relative_to(base))] = text
        todo += [name.rpartition(".")[0], *_imports(text)]
    return found


def _source(base: Path, module: str) -> Path | None:
    if module.partition(".")[0] not in ("pfsquid", "collectors"):
        return None
    stem = base.joinpath(*module.split("."))
    return next((one for one in (stem.with_suffix(".py"), stem / "__init__.py") if one.is_file()), None)


def _imports(text: bytes) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{one.name}" for one in node.names)


def _digest(content: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name in sorted(content):
        digest.update(f"{name}\0{hashlib.sha256(content[name]).hexdigest()}\n".encode())
    return digest.hexdigest()


def _write(path: Path, content: Mapping[str, bytes]) -> None:
    """Whole or not at all."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            for name in sorted(content):
                entry = zipfile.ZipInfo(name, _TIME)
                entry.create_system, entry.external_attr = 3, 0o100644 << 16  # as on Unix; Lambda reads as another user
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, content[name])
        new.rename(path)
    finally:
        new.unlink(missing_ok=True)
