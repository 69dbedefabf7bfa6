"""The configuration: found where it should be, read as it was meant, and all its errors told at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from pfsquid.config import Config, find, lake_place, load
from pfsquid.errors import WrongUse
from pfsquid.resources import configs
from tests.running import Pfsquid

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(text: str) -> Path:
        path = tmp_path / "pfsquid.yaml"
        path.write_text(text, "utf-8")
        return path

    return to_file


def faults(path: Path) -> list[str]:
    """The lines of the error, without the file's name."""
    with pytest.raises(WrongUse) as caught:
        load(path)
    return [line.removeprefix(f"{path}:") for line in caught.value.message.splitlines()]


def test_an_empty_file_is_a_configuration(write: Write) -> None:
    assert load(write("")) == load(None) == Config()


def test_all_errors_come_at_once_with_line_key_and_cure(write: Write) -> None:
    path = write("lake: [a]\npeople:\n  service: [x]\n  realms: {A: {b: c}}\napps:\n  sanctioned: [1]\n")
    assert faults(path) == [
        "1: lake: must be a path",
        "3: people.service: there is no such key; did you mean services?",
        "4: people.realms.A: must be a list",
        "6: apps.sanctioned.0: must be text; put it in quotes",
    ]


def test_the_next_step_opens_the_file_at_the_first_error(write: Write) -> None:
    path = write("people:\n  frob: 1\n")
    with pytest.raises(WrongUse) as caught:
        load(path)
    assert caught.value.next == (f"${{EDITOR:-vi}} +2 {path}",)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("laek: x", "1: laek: there is no such key; did you mean lake?"),
        ("qqqq: x", f"1: qqqq: there is no such key; there are {', '.join(Config.model_fields)}"),
        ("firewalls: {o: {host: a.b, prt: 22}}", "1: firewalls.o.prt: there is no such key; did you mean port?"),
        (
            "collect: {squid: {a: {path: x, formt: y}}}",
            "1: collect.squid.a.formt: there is no such key; did you mean format?",
        ),
        (
            "collect:\n  entra:\n    c: {tenant: a.b, client_id: b, secrt: 'env:X', secret: 'env:Y'}",
            "3: collect.entra.c.secrt: there is no such key; did you mean secret?",
        ),
        (
            "kerberos: {realm: A.B, proxy: p.b, keytab: k, relm: x}",
            "1: kerberos.relm: there is no such key; did you mean realm?",
        ),
        ("people:\n  realm: {}", "2: people.realm: there is no such key; did you mean realms?"),
        ("apps:\n\n  sing_ins: {}", "3: apps.sing_ins: there is no such key; did you mean sign_ins?"),
    ],
)
def test_an_unknown_key_gets_the_likely_one(write: Write, text: str, fault: str) -> None:
    assert faults(write(text)) == [fault]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("lake: a\npeople: {}\nlake: b", "3: lake: stands twice; first in line 1"),
        ("lake: a\nlake: b\nlake: c", "3: lake: stands twice; first in line 1"),
        ("apps:\n  sign_ins:\n    A: x\n    A: y", "4: apps.sign_ins.A: stands twice; first in line 3"),
    ],
)
def test_a_key_that_stands_twice_is_refused(write: Write, text: str, fault: str) -> None:
    assert fault in faults(write(text))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("lake: 5", "1: lake: must be a path"),
        ("people: yes", "1: people: must be keys and values"),
        ("people:", "1: people: must be keys and values"),
        ("apps:\n  folders: one", "2: apps.folders: must be a list"),
        ("people:\n  services: {a: b}", "2: people.services: must be a list"),
        ("people:\n  services: [a,\n    NO]", "3: people.services.1: must be text; put it in quotes"),
        ("people:\n  realms: [A]", "2: people.realms: must be keys and values"),
        ("apps:\n  sign_ins: {a: 5}", "2: apps.sign_ins.a: must be text; put it in quotes"),
        ("- a\n- b", "1: the file must hold keys and values, such as `lake: /srv/pfsquid/lake`"),
        ("just words", "1: the file must hold keys and values, such as `lake: /srv/pfsquid/lake`"),
        ("lake: a\npeople: !secret x", "2: people: could not determine a constructor for the tag '!secret'"),
        ("lake: 2026-13-45", "1: lake: month must be in 1..12"),
        ("people:\n  ? [a, b]\n  : c", "2: people: a key must be text"),
        ("people: &a\n  realms: *a", "2: people.realms: holds itself"),
    ],
)
def test_a_value_of_the_wrong_kind_is_told_where_it_stands(write: Write, text: str, fault: str) -> None:
    assert faults(write(text)) == [fault]


@pytest.mark.parametrize(
    ("text", "line"),
    [("lake: a\npeople: [", 2), ("lake: a\n\tapps: b", 2), ("a: b\n---\nc: d", 2), ("lake: 'a\n\n", 3), ("x: *y", 1)],
)
def test_a_syntax_error_names_its_line(write: Write, text: str, line: int) -> None:
    assert faults(write(text))[0].startswith((f"{line}: not YAML: ", f"{line + 1}: not YAML: "))


def test_a_control_character_names_its_line(write: Write) -> None:
    assert faults(write("lake: a\napps: \x07"))[0].startswith("2: not YAML: ")


def test_bytes_that_are_not_utf8_are_told(tmp_path: Path) -> None:
    path = tmp_path / "pfsquid.yaml"
    path.write_bytes(b"lake: \xff\xfe")
    assert "not YAML" in faults(path)[0]


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    assert "cannot be read: No such file" in faults(tmp_path / "nowhere.yaml")[0]


def test_paths_are_relative_to_the_file(write: Write, tmp_path: Path) -> None:
    config = load(write("lake: here/lake\napps: {folders: [mine, /srv/theirs]}"))
    assert (config.lake, config.apps.folders) == (tmp_path / "here/lake", (tmp_path / "mine", Path("/srv/theirs")))


def test_a_tilde_is_the_home(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/rick")
    assert load(write("lake: ~/lake")).lake == Path("/home/rick/lake")


def test_one_suffix_of_a_realm_needs_no_list(write: Write) -> None:
    assert load(write("people: {realms: {LAB.EXAMPLE: example.com}}")).people.realms == {
        "LAB.EXAMPLE": ("example.com",)
    }


def test_a_realm_called_no_is_text(write: Write) -> None:
    assert load(write("people: {realms: {NO: example.no}}")).people.realms == {"NO": ("example.no",)}


def test_the_search_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home/.config/pfsquid").mkdir(parents=True)
    (tmp_path / "xdg/pfsquid").mkdir(parents=True)
    home, xdg = {"HOME": str(tmp_path / "home")}, {"XDG_CONFIG_HOME": str(tmp_path / "xdg")}
    found = [find(None, home)]
    (tmp_path / "home/.config/pfsquid/pfsquid.yaml").touch()
    found.append(find(None, home))
    (tmp_path / "xdg/pfsquid/pfsquid.yaml").touch()
    found.append(find(None, home | xdg))
    (tmp_path / "pfsquid.yaml").touch()
    found.append(find(None, home | xdg))
    found.append(find(None, home | xdg | {"PFSQUID_CONFIG": "env.yaml"}))
    found.append(find(Path("said.yaml"), home | xdg | {"PFSQUID_CONFIG": "env.yaml"}))
    assert [path and str(path.relative_to(tmp_path) if path.is_absolute() else path) for path in found] == [
        None,
        "home/.config/pfsquid/pfsquid.yaml",
        "xdg/pfsquid/pfsquid.yaml",
        "pfsquid.yaml",
        "env.yaml",
        "said.yaml",
    ]


def test_errors_of_the_configuration_are_wrong_use_at_the_command_line(pfsquid: Pfsquid, write: Write) -> None:
    path = write("laek: x\npeople:\n  service: [y]\n")
    run = pfsquid("query", "apps", "--config", path)
    assert (run.status, run.out) == (2, "")
    assert f"{path}:1: laek: " in run.err
    assert f"{path}:3: people.service: " in run.err


def test_an_app_that_the_catalogue_does_not_know_is_told(pfsquid: Pfsquid, write: Write) -> None:
    pfsquid("collect", "squid", "--from", "/dev/null")
    run = pfsquid("query", "apps", "--config", write("apps: {sanctioned: [dropbx]}"))
    assert (run.status, "did you mean dropbox" in run.err) == (2, True)


def test_the_lake_of_the_configuration_is_used(pfsquid: Pfsquid, write: Write, tmp_path: Path) -> None:
    write("lake: configured")
    pfsquid("collect", "squid", "--from", "/dev/null")
    assert (tmp_path / "configured/catalog.db").is_file()


@pytest.mark.parametrize("name", ["example.yaml", "lab.yaml"])
def test_a_configuration_that_is_shipped_is_right(name: str) -> None:
    load(configs() / name)


def keys(model: Any, where: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        yield (*where, name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from keys(field.annotation, (*where, name))


@pytest.mark.parametrize("key", list(keys(Config)), ids=".".join)
def test_the_example_shows_every_key(key: tuple[str, ...]) -> None:
    shown = yaml.safe_load((configs() / "example.yaml").read_text("utf-8"))
    for part in key:
        assert part in shown
        shown = shown[part]


@pytest.mark.parametrize("wrong", ["s3:/lake", "s3://", "s3://Lake/x", "s3://lake/x?y"])
def test_what_begins_like_a_place_in_s3_is_no_folder(write: Write, wrong: str) -> None:
    (fault,) = faults(write(f"lake: '{wrong}'"))
    assert fault == "1: lake: must be a folder, s3://BUCKET or s3://BUCKET/PREFIX"


def test_paths_of_aws_are_relative_to_the_configuration_and_places_in_s3_are_not(
    write: Write,
) -> None:
    path = write("{lake: 's3://lake/p/', aws: {catalog: 'sqlite:c/catalog.db', state: state}}")
    place = lake_place(None, load(path), {"HOME": "/home/x"})
    assert (place.url, place.folder, place.catalog_file) == (
        "s3://lake/p", path.parent / "state", path.parent / "c/catalog.db",
    )  # fmt: skip
    named = lake_place("here", load(path), {"HOME": "/home/x"})
    assert (named.url, named.catalog_file, str(named)) == ("", None, str(Path("here").absolute()))
