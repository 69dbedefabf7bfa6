"""The documentation is true and whole: what the code has, README.md or docs/ names; what these show, works."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, get_args

import pytest
import typer
import yaml
from pydantic import BaseModel

from collectors.squid.detect import NAMES
from pfsquid import config
from pfsquid.cli import app
from pfsquid.discovery.answer import answer, answer_sql, knowledge
from pfsquid.discovery.ask import PARAMETERS, questions
from pfsquid.errors import ExitCode
from pfsquid.kerberos.chain import CHAIN
from pfsquid.lake.catalog import Lake, open_lake
from pfsquid.lake.tables import TABLES
from pfsquid.resources import configs

ROOT = Path(__file__).parent.parent
FILES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = "\n".join(path.read_text("utf-8") for path in FILES)
TABLES_MD = (ROOT / "docs" / "tables.md").read_text("utf-8")
QUESTIONS_MD = (ROOT / "docs" / "questions.md").read_text("utf-8")
EXAMPLE = configs() / "example.yaml"
TYPES = {
    "varchar": "VARCHAR",
    "bigint": "BIGINT",
    "int": "INTEGER",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
    "varbinary": "BLOB",
    "map": "MAP(VARCHAR, VARCHAR)",
}
TYPERS_OWN = {"--help", "--install-completion", "--show-completion"}


def commands(command: Any, words: tuple[str, ...] = ("pfsquid",)) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with its words, groups included."""
    yield words, command
    for name, below in getattr(command, "commands", {}).items():
        if not below.hidden:
            yield from commands(below, (*words, name))


COMMANDS = dict(commands(typer.main.get_command(app)))
OPTIONS = sorted(
    {
        option
        for command in COMMANDS.values()
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("-")
    }
    - TYPERS_OWN
)


def config_keys(model: type[BaseModel], where: str = "") -> Iterator[str]:
    """The dotted keys of a configuration model, down to those that hold values; `*` for each member of a collection."""
    for name, field in model.model_fields.items():
        below = [(f"{where}{name}.", field.annotation)]
        star = "" if isinstance(field.annotation, UnionType) else "*."
        below += [(f"{where}{name}.{star}", kind) for kind in get_args(field.annotation)]
        models = [(path, kind) for path, kind in below if isinstance(kind, type) and issubclass(kind, BaseModel)]
        for path, kind in models:
            yield from config_keys(kind, path)
        if not models:
            yield where + name


def holds(value: Any, parts: list[str]) -> bool:
    """Does a plain value hold this dotted key?"""
    if not parts:
        return True
    if parts[0] == "*":
        return any(holds(member, parts[1:]) for member in (value.values() if isinstance(value, dict) else value))
    return isinstance(value, dict) and parts[0] in value and holds(value[parts[0]], parts[1:])


KEYS = list(config_keys(config.Config))


def sections(text: str) -> dict[str, str]:
    """`## heading` → what stands below it."""
    return {part.partition("\n")[0].strip(): part.partition("\n")[2] for part in text.split("\n## ")[1:]}


def first_column(text: str) -> list[str]:
    return re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return open_lake(tmp_path_factory.mktemp("documented") / "lake", make=True)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_is_documented(words: tuple[str, ...]) -> None:
    assert " ".join(words) in TEXT


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_says_what_it_does(words: tuple[str, ...]) -> None:
    assert COMMANDS[words].help


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_is_documented(option: str) -> None:
    assert re.search(rf"{re.escape(option)}(?![\w-])", TEXT)


@pytest.mark.parametrize("key", KEYS)
def test_every_key_of_the_configuration_stands_in_the_example(key: str) -> None:
    assert holds(yaml.safe_load(EXAMPLE.read_text("utf-8")), key.split("."))


def test_the_example_of_a_configuration_is_one() -> None:
    config.load(EXAMPLE)


def test_the_example_of_a_configuration_is_named() -> None:
    assert "configs/example.yaml" in TEXT


@pytest.mark.parametrize("code", list(ExitCode), ids=lambda code: code.name)
def test_every_exit_status_is_documented(code: ExitCode) -> None:
    told = re.findall(r"^.*exit status.*$(?:\n(?!\n).+|\n\n\|.*)*", TEXT, re.IGNORECASE | re.MULTILINE)
    assert any(re.search(rf"(?<!\w){int(code)}(?!\w)", paragraph) for paragraph in told)


@pytest.mark.parametrize("name", NAMES)
def test_every_format_of_a_log_is_documented(name: str) -> None:
    assert f"`{name}`" in TEXT


@pytest.mark.parametrize("name", questions())
def test_every_question_has_a_section_with_an_example(name: str) -> None:
    assert f"`pfsquid query {name}" in sections(QUESTIONS_MD)[name]


@pytest.mark.parametrize("name", questions())
def test_the_parameters_of_a_question_are_those_of_its_section(name: str) -> None:
    told = re.search(r"Parameters:\s((?:`\w+`[,.]\s)+)", sections(QUESTIONS_MD)[name])
    assert told
    assert re.findall(r"`(\w+)`", told[1]) == list(questions()[name].parameters)


@pytest.mark.parametrize("name", questions())
def test_the_columns_of_a_question_are_those_of_its_section(name: str, empty: Lake) -> None:
    columns = answer(empty, knowledge([], {}, [], [], [], {}), name, []).columns
    assert first_column(sections(QUESTIONS_MD)[name]) == list(columns)


def test_the_sections_on_questions_are_those_that_there_are() -> None:
    assert set(sections(QUESTIONS_MD)) == set(questions())


def test_every_parameter_is_explained() -> None:
    assert first_column(QUESTIONS_MD.partition("\n## ")[0]) == list(PARAMETERS)


def test_every_table_of_the_lake_is_documented() -> None:
    assert set(TABLES) <= set(sections(TABLES_MD))


def test_the_documented_tables_and_columns_are_those_that_a_query_sees(empty: Lake) -> None:
    sql = (
        "SELECT table_name, column_name, data_type FROM information_schema.columns"
        " ORDER BY table_name, ordinal_position"
    )
    seen = answer_sql(empty, knowledge([], {}, [], [], [], {}), sql).rows
    row = re.compile(r"^\| `([^`]+)` \| (\w+) \|", re.MULTILINE)
    documented = [
        (table, name, TYPES[kind])
        for table, text in sorted(sections(TABLES_MD).items())
        for name, kind in row.findall(text)
    ]
    assert documented == seen


def test_columns_that_are_never_null_are_said_to_be() -> None:
    for name in ("proxy", "signins"):
        never = re.findall(r"^\| `([^`]+)` \|.*Never null \|$", sections(TABLES_MD)[name], re.MULTILINE)
        assert never == [field.name for field in TABLES[name].arrow if not field.nullable]


def shown() -> list[tuple[str, str]]:
    """Every command line of pfsquid in the documentation, with the file it stands in."""
    found = []
    for path in FILES:
        text = path.read_text("utf-8")
        blocks = re.findall(r"^(?:    |\$ |)(?:\.venv/bin/)?(pfsquid [^\n#|>]*)", text, re.MULTILINE)
        inline = [code.replace("\n", " ") for code in re.findall(r"`(pfsquid [^`|>]*)`", text)]
        found += [(path.name, line.strip()) for line in [*blocks, *inline] if re.match(r"pfsquid [a-z-]", line)]
    return found


def _existing(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the words name, and the words after it."""
    command = COMMANDS[("pfsquid",)]
    for number, word in enumerate(words[1:], 1):
        if word not in getattr(command, "commands", {}):
            return command, words[number:]
        command = command.commands[word]
    return command, []


@pytest.mark.parametrize(("file", "line"), shown())
def test_a_command_line_that_is_shown_is_one_that_works(file: str, line: str) -> None:
    if line in _planned():
        return
    command, rest = _existing(shlex.split(line.replace("…", "x")))
    assert not getattr(command, "commands", {}) or not rest, f"{file}: there is no command {line!r}"
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {word.partition("=")[0] for word in rest if word.startswith("-")} <= options, f"{file}: {line}"


def _planned() -> set[str]:
    """What the README names in a row that ends with `not yet`."""
    rows = [line for line in TEXT.splitlines() if re.search(r"\bnot yet\b", line)]
    return {code for row in rows for code in re.findall(r"`(pfsquid [^`]*)`", row)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_links_to_files_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)", path.read_text("utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_paths_in_the_readme_are_there() -> None:
    paths = re.findall(r"`((?:configs|templates|collectors|pfsquid|docs|tests|bench)/[\w./-]*)`", TEXT)
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_check_of_the_chain_is_explained() -> None:
    table = (ROOT / "docs" / "verify.md").read_text("utf-8")
    assert [check.code for check in CHAIN if f"| `{check.code}` |" not in table] == []
