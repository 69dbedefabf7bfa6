"""Imports run one way, only views print, files stay short and say what they are for: read from the source by `ast`."""

from __future__ import annotations

import ast
import dataclasses
import enum
import importlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PRODUCT = sorted([*(ROOT / "pfsquid").rglob("*.py"), *(ROOT / "collectors").rglob("*.py")])
TESTS = sorted((ROOT / "tests").rglob("*.py"))
BENCH = sorted((ROOT / "bench").rglob("*.py"))

# What each part of pfsquid may import of pfsquid, beside itself. The configuration stands below the middle, where
# `errors` and `resources` are too.
BASE = {"errors", "resources"}
PLACED = BASE | {"cloud", "place", "refusals"}
CONFIGURED = PLACED | {
    "config",
    "settings",
    "settings_aws",
    "settings_care",
    "settings_entra",
    "references",
    "secrets",
    "secrets_aws",
}
MIDDLE = {"firewall", "kerberos", "lake", "discovery", "forward", "aws"}
# What of `firewall` only reads.
READING = ("ssh", "pfsense", "inspect", "inspected", "probes", "squid_conf")
MAY: dict[str, set[str]] = {
    "": set(),
    "__main__": {"cli"},
    "cli": {
        "",
        "views",
        "cli_firewall",
        "cli_keytab",
        "cli_verify",
        "cli_run",
        "cli_lake",
        "cli_query",
        "cli_directory",
        "cli_entra",
        "cli_aws",
        "cli_options",
        "demo",
        "dashboard",
        "service",
    }
    | MIDDLE
    | CONFIGURED,
    "cli_firewall": {"views", "cli_prove", "cli_options", "discovery", "firewall", "kerberos"} | CONFIGURED,
    "cli_prove": {"firewall", "kerberos"} | CONFIGURED,
    "cli_keytab": {"views", "cli_firewall", "cli_options", "firewall", "kerberos"} | CONFIGURED,
    "cli_verify": {"views", "view_checks", "cli_firewall", "cli_options", "firewall", "kerberos"} | CONFIGURED,
    "cli_entra": {"views", "view_live", "cli_options", "frugal", "entra", "service", "lake"} | CONFIGURED,
    "cli_aws": {"views", "cli_options", "cli_aws_status", "aws"} | CONFIGURED,
    "cli_aws_status": {"views", "cli_options", "aws", "lake", "entra"} | CONFIGURED,
    "cli_options": {"views"},
    "cli_lake": {"views", "cli_options", "cli_query", "discovery", "lake"} | CONFIGURED,
    "publishing": {"lake", "errors", "settings_care"},
    "cli_query": {"views", "cli_options", "discovery", "lake"} | CONFIGURED,
    "cli_directory": {"views", "cli_options", "kerberos", "lake"} | CONFIGURED,
    "cli_run": {
        "views",
        "view_live",
        "cli_options",
        "entra",
        "frugal",
        "service",
        "streams",
        "metrics",
        "publishing",
        "systemd",
        "lake",
    }
    | CONFIGURED,
    "service": {"systemd", "lake", "errors"},
    "streams": {"", "log_choice"} | MIDDLE | CONFIGURED,
    "log_choice": {"lake", "errors"},
    "entra": {"entra_app", "lake"} | CONFIGURED,
    "entra_app": CONFIGURED,
    "metrics": {"lake", "errors"},
    "systemd": {"errors"},
    "view_live": {"views", "lake"},
    "demo": {"", "views"} | MIDDLE | CONFIGURED,
    "dashboard": {"", "views", "lake", "discovery", "config"} | BASE,
    "fitting": set(),
    "frugal": set(),
    "view_checks": {"views", "kerberos"},
    "views": {"", "fitting", "discovery", "lake", "firewall", "kerberos", "forward", "aws"} | BASE,
    "firewall": CONFIGURED,
    "kerberos": {f"firewall.{one}" for one in READING} | CONFIGURED,
    "lake": PLACED | {"settings_care"},
    "discovery": {"lake"} | PLACED,
    "forward": {"discovery"} | CONFIGURED,
    "aws": {"lake", "discovery", "entra", "frugal"} | CONFIGURED,
    "config": {
        "errors",
        "cloud",
        "place",
        "secrets_aws",
        "settings",
        "settings_aws",
        "settings_care",
        "settings_entra",
    },
    "settings_aws": {"settings"},
    "cloud": {"errors", "refusals"},
    "refusals": {"errors"},
    "place": {"cloud"},
    "settings_care": {"settings"},
    "settings_entra": {"settings", "references"},
    "settings": {"errors", "references"},
    "secrets": {"errors", "references", "secrets_aws"},
    "secrets_aws": {"errors", "cloud", "references"},
    "references": set(),
    "resources": set(),
    "errors": set(),
}
READS_ROWS = MIDDLE | {
    "cli",
    "cli_directory",
    "cli_entra",
    "cli_firewall",
    "entra",
    "entra_app",
    "log_choice",
    "settings_entra",
    "streams",
}
PURE = (
    "pfsquid.discovery.people",
    "pfsquid.discovery.links",
    "collectors.directory.accounts",
    "collectors.entra.directory",
    "pfsquid.discovery.apps",
    "pfsquid.discovery.ask",
    "pfsquid.firewall.desired",
    "pfsquid.firewall.plan",
    "pfsquid.firewall.inspected",
    "pfsquid.firewall.squid_conf",
    "pfsquid.kerberos.account",
    "pfsquid.kerberos.causes",
    "pfsquid.kerberos.ccache",
    "pfsquid.kerberos.chain",
    "pfsquid.kerberos.check",
    "pfsquid.kerberos.explain",
    "pfsquid.kerberos.keytab",
    "pfsquid.kerberos.messages",
    "pfsquid.kerberos.spnego",
    "collectors.squid.logformat",
    "collectors.squid.lines",
    "collectors.squid.values",
    "collectors.squid.columns",
    "collectors.entra.windows",
    "collectors.entra.schedule",
    "collectors.entra.slices",
)
IMPURE = {
    "socket",
    "dns",
    "paramiko",
    "boto3",
    "botocore",
    "requests",
    "msal",
    "ldap3",
    "duckdb",
    "pyiceberg",
    "urllib3",
    "httpx",
}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def name_of(path: Path) -> str:
    """pfsquid/lake/catalog.py → pfsquid.lake.catalog."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in PRODUCT}


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file imports, anywhere in it, with the line. `from package import module` is the module."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute here"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield (whole if whole in MODULES else str(node.module)), node.lineno


def inner(module: str) -> str:
    """pfsquid.lake.catalog → lake.catalog; pfsquid itself → ''."""
    return module.removeprefix("pfsquid").removeprefix(".")


def allowed(importer: str, imported: str) -> bool:
    part, wanted = inner(importer).partition(".")[0], inner(imported)
    return part == wanted.partition(".")[0] or any(
        wanted == may or (may != "" and wanted.startswith(may + ".")) for may in MAY[part]
    )


def wrong_arrows(path: Path) -> list[str]:
    importer, wrong = name_of(path), []
    for module, line in imports(path):
        top = module.partition(".")[0]
        if importer.startswith("collectors"):
            bad = top == "pfsquid"
        elif top == "collectors":
            bad = inner(importer).partition(".")[0] not in READS_ROWS
        else:
            bad = top == "pfsquid" and not allowed(importer, module)
        if bad:
            wrong.append(f"{path.relative_to(ROOT)}:{line}: {importer} → {module}")
    return wrong


@pytest.mark.parametrize("path", PRODUCT, ids=name_of)
def test_imports_run_one_way(path: Path) -> None:
    assert wrong_arrows(path) == []


def test_every_part_of_pfsquid_has_its_place_in_the_order() -> None:
    assert {inner(module).partition(".")[0] for module in MODULES if module.startswith("pfsquid")} - set(MAY) == set()


@pytest.mark.parametrize(
    ("importer", "imported", "may"),
    [
        ("pfsquid.cli", "pfsquid.lake.catalog", True),
        ("pfsquid.discovery.duck", "pfsquid.lake.catalog", True),
        ("pfsquid.lake.ingest", "pfsquid.lake.tables", True),
        ("pfsquid.kerberos.chain", "pfsquid.firewall.ssh", True),
        ("pfsquid.kerberos.chain", "pfsquid.firewall.apply", False),
        ("pfsquid.lake.ingest", "pfsquid.discovery.ask", False),
        ("pfsquid.lake.ingest", "pfsquid.views", False),
        ("pfsquid.discovery.duck", "pfsquid.cli", False),
        ("pfsquid.dashboard.app", "pfsquid.firewall.ssh", False),
        ("pfsquid.dashboard.app", "pfsquid.secrets", False),
        ("pfsquid.forward.defender", "pfsquid.lake.catalog", False),
    ],
)
def test_the_order_is_the_designs(importer: str, imported: str, may: bool) -> None:
    assert allowed(importer, imported) is may


def test_views_import_errors_and_types_of_results_only() -> None:
    wrong = []
    for node in ast.walk(tree(ROOT / "pfsquid" / "views.py")):
        if isinstance(node, ast.ImportFrom) and node.module == "pfsquid.fitting":
            continue  # the layout of tables, a part of the views
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("pfsquid"):
            module = importlib.import_module(str(node.module))
            wrong += [alias.name for alias in node.names if not _is_data(getattr(module, alias.name))]
        elif isinstance(node, ast.Import):
            wrong += [alias.name for alias in node.names if alias.name.startswith("pfsquid")]
    assert wrong == []


def _is_data(thing: object) -> bool:
    return isinstance(thing, type) and (dataclasses.is_dataclass(thing) or issubclass(thing, (Exception, enum.Enum)))


@pytest.mark.parametrize("module", [module for module in PURE if module in MODULES])
def test_pure_logic_imports_no_io_library_not_even_indirectly(module: str) -> None:
    seen: set[str] = set()
    todo = [module]
    while todo:
        current = todo.pop()
        if current in seen:
            continue
        seen.add(current)
        if current in MODULES:
            todo += [imported for imported, _ in imports(MODULES[current])]
    assert {name.partition(".")[0] for name in seen} & IMPURE == set()


# What a Lambda writes to its standard output is its log.
WRITERS = ("pfsquid.views", "pfsquid.aws.metrics")


@pytest.mark.parametrize("path", [path for path in PRODUCT if name_of(path) not in WRITERS], ids=name_of)
def test_only_views_print(path: Path) -> None:
    prints = [
        node.lineno
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Name) and node.func.id == "print")
            or ast.unparse(node.func) in ("sys.stdout.write", "sys.stderr.write", "typer.echo", "click.echo")
        )
    ]
    assert prints == []


def test_the_product_never_imports_tests_or_bench() -> None:
    wrong = [
        (name_of(path), module)
        for path in PRODUCT
        for module, _ in imports(path)
        if module.partition(".")[0] in ("tests", "bench", "pytest", "hypothesis")
    ]
    assert wrong == []


def test_no_module_is_called_utils_helpers_or_manager() -> None:
    banned = {"util", "utils", "helper", "helpers", "manager", "managers", "common", "misc"}
    assert [path for path in [*PRODUCT, *TESTS, *BENCH] if {path.stem, path.parent.name} & banned] == []


@pytest.mark.parametrize("path", [*PRODUCT, *BENCH], ids=name_of)
def test_a_file_has_at_most_300_lines(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 300


@pytest.mark.parametrize("path", TESTS, ids=name_of)
def test_a_file_of_tests_has_at_most_400_lines(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 400


def test_every_file_says_what_it_is_for() -> None:
    every = [path for path in [*PRODUCT, *TESTS, *BENCH] if path.stat().st_size]
    assert [name_of(path) for path in every if not ast.get_docstring(tree(path))] == []


def test_what_is_public_has_a_docstring() -> None:
    bare = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.name}"
        for path in PRODUCT
        for node in _public(tree(path).body)
        if not ast.get_docstring(node)
    ]
    assert bare == []


def _public(body: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from _public(node.body)
