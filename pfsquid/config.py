"""The configuration: one YAML file → checked values, or all its errors at once, with line and cure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import yaml
from pydantic import Field, PlainValidator, TypeAdapter, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from pfsquid.cloud import Cloud
from pfsquid.errors import WrongUse
from pfsquid.place import Place
from pfsquid.secrets_aws import ask_as
from pfsquid.settings import (
    CollectSettings,
    DirectorySettings,
    DnsSettings,
    FirewallName,
    FirewallSettings,
    KerberosSettings,
    ProxySettings,
    Section,
    VerifySettings,
)
from pfsquid.settings_aws import AwsSettings, S3Url
from pfsquid.settings_care import CareSettings
from pfsquid.settings_entra import EntraSettings

Where = tuple[str | int, ...]
_S3_URL: TypeAdapter[str] = TypeAdapter(S3Url)


def _lake(given: object) -> Path | str:
    """A folder, or s3://BUCKET/PREFIX as text."""
    if isinstance(given, str) and given.startswith("s3:"):
        try:
            return _S3_URL.validate_python(given)
        except ValidationError:
            raise ValueError("must be a folder, s3://BUCKET or s3://BUCKET/PREFIX") from None
    if isinstance(given, str | Path):
        return Path(given)
    raise PydanticCustomError("path_type", "Input is not a valid path")


class PeopleConfig(Section):
    """How user names of the log become people."""

    realms: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    services: tuple[str, ...] = ()

    @field_validator("realms", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {realm: (suffix,) if isinstance(suffix, str) else suffix for realm, suffix in value.items()}
        return value


class AppsConfig(Section):
    """The administrator's own apps and verdicts."""

    folders: tuple[Path, ...] = ()
    sanctioned: tuple[str, ...] = ()
    unsanctioned: tuple[str, ...] = ()
    sign_ins: dict[str, str] = Field(default_factory=dict)


class CollectConfig(CollectSettings):
    """What is collected: access logs, and the tenants of Entra ID."""

    entra: dict[FirewallName, EntraSettings] = Field(default_factory=dict)

    @property
    def anything(self) -> bool:
        """Does it name any source?"""
        return bool(self.squid or self.entra)


class Config(Section):
    """The whole configuration. Every key has a default, so that an empty file is one."""

    lake: Annotated[Path | str, PlainValidator(_lake)] | None = None
    aws: AwsSettings = Field(default_factory=AwsSettings)
    people: PeopleConfig = Field(default_factory=PeopleConfig)
    apps: AppsConfig = Field(default_factory=AppsConfig)
    firewalls: dict[FirewallName, FirewallSettings] = Field(default_factory=dict)
    kerberos: KerberosSettings | None = None
    proxy: ProxySettings = Field(default_factory=ProxySettings)
    dns: DnsSettings | None = None
    directory: DirectorySettings = Field(default_factory=DirectorySettings)
    verify: VerifySettings = Field(default_factory=VerifySettings)
    collect: CollectConfig = Field(default_factory=CollectConfig)
    care: CareSettings = Field(default_factory=CareSettings)


@dataclass(frozen=True)
class _Fault:
    line: int
    key: str
    text: str


def find(explicit: Path | None, environment: Mapping[str, str]) -> Path | None:
    """The configuration file to use: `--config`, $PFSQUID_CONFIG, ./pfsquid.yaml, the user's, the system's; or None."""
    if explicit:
        return explicit
    if environment.get("PFSQUID_CONFIG"):
        return Path(environment["PFSQUID_CONFIG"])
    home = Path(environment.get("XDG_CONFIG_HOME") or Path(environment.get("HOME", "/")) / ".config")
    for path in (Path("pfsquid.yaml"), home / "pfsquid" / "pfsquid.yaml", Path("/etc/pfsquid/pfsquid.yaml")):
        with suppress(PermissionError):  # a home that is another's, as under sudo -u
            if path.is_file():
                return path
    return None


def load(path: Path | None) -> Config:
    """Read and check a configuration file; None gives the defaults. Paths in it are relative to the file.

    Raises WrongUse with all errors, a line each.
    """
    if path is None:
        return Config()
    text = ""
    try:
        text = path.read_text("utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except OSError as exc:
        raise WrongUse(
            f"the configuration {path} cannot be read: {exc.strerror}", "pfsquid … --config /path/to/pfsquid.yaml"
        ) from exc
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        where = f"{path}:{_line_of(exc, text)}"
        raise WrongUse(f"{where}: not YAML: {getattr(exc, 'problem', None) or exc}", f"${{EDITOR:-vi}} {path}") from exc
    lines: dict[Where, int] = {}
    faults: list[_Fault] = []
    data = _plain(node, (), lines, faults) if node is not None else {}
    if not isinstance(data, dict):
        faults.append(_Fault(1, "", "the file must hold keys and values, such as `lake: /srv/pfsquid/lake`"))
        data = {}
    config = Config()
    try:
        config = Config.model_validate(data)
    except ValidationError as exc:
        told_already = {fault.key for fault in faults}
        faults += [fault for fault in (_fault(error, lines) for error in exc.errors()) if fault.key not in told_already]
    if faults:
        told = "\n".join(
            f"{path}:{fault.line}: {fault.key + ': ' if fault.key else ''}{fault.text}"
            for fault in sorted(faults, key=lambda fault: fault.line)
        )
        raise WrongUse(told, f"${{EDITOR:-vi}} +{min(fault.line for fault in faults)} {path}")
    ask_as(Cloud(config.aws.region, config.aws.profile))
    return _absolute(config, path.absolute().parent)


def configured(explicit: Path | None, environment: Mapping[str, str]) -> tuple[Config, Path]:
    """The configuration to use, and the folder that relative paths in it begin at. Raises WrongUse."""
    path = find(explicit, environment)
    return load(path), path.absolute().parent if path else Path.cwd()


def default_lake(environment: Mapping[str, str]) -> Path:
    """Where the lake is when nobody says: the user's data folder (XDG Base Directory Specification)."""
    data = environment.get("XDG_DATA_HOME")
    home = Path(data) if data else Path(environment.get("HOME", "/var/lib")) / ".local" / "share"
    return home / "pfsquid" / "lake"


def lake_place(named: str | None, settings: Config, environment: Mapping[str, str]) -> Place:
    """Where the lake is: as named on the command line (a folder, or s3://…), else by the configuration, or the default.

    Raises WrongUse for a text that is neither.
    """
    asked = named or settings.lake or default_lake(environment)
    aws = settings.aws
    if not str(asked).startswith("s3:"):
        return Place(Path(asked).expanduser().absolute())
    try:
        url = _S3_URL.validate_python(str(asked))
    except ValidationError:
        raise WrongUse(
            f"{asked} is no lake: it must be a folder, or s3://BUCKET/PREFIX", "--lake s3://bucket/lake"
        ) from None
    name = "-".join((url.removeprefix("s3://").replace("/", "-"), aws.database))
    state = aws.state or default_lake(environment).parent / "state" / name
    cloud = Cloud(aws.region, aws.profile, aws.endpoint)
    return Place(state.expanduser().absolute(), url, aws.catalog, aws.database, cloud)


def _absolute(config: Config, base: Path) -> Config:
    apps = config.apps.model_copy(
        update={"folders": tuple(base / folder.expanduser() for folder in config.apps.folders)}
    )
    lake = base / config.lake.expanduser() if isinstance(config.lake, Path) else config.lake
    state = base / config.aws.state.expanduser() if config.aws.state else None
    kind, _, path = config.aws.catalog.partition(":")
    catalog = f"sqlite:{base / Path(path).expanduser()}" if kind == "sqlite" else config.aws.catalog
    aws = config.aws.model_copy(update={"state": state, "catalog": catalog})
    return config.model_copy(update={"apps": apps, "lake": lake, "aws": aws})


def _line_of(exc: Exception, text: str) -> int:
    mark = getattr(exc, "problem_mark", None)
    if mark:
        return int(mark.line) + 1
    if isinstance(exc, UnicodeDecodeError):
        return exc.object[: exc.start].count(b"\n") + 1
    return text[: getattr(exc, "position", 0)].count("\n") + 1


def _plain(
    node: yaml.Node, where: Where, lines: dict[Where, int], faults: list[_Fault], within: tuple[yaml.Node, ...] = ()
) -> Any:
    """A YAML node as plain data, noting the line of each key; the same key twice is a fault.

    within: the nodes that hold this one, by which an alias that would have no end is told.
    """
    line = lines.setdefault(where, node.start_mark.line + 1)
    if node in within:
        faults.append(_Fault(line, _dotted(where), "holds itself"))
        return None
    within = (*within, node)
    if isinstance(node, yaml.MappingNode):
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                faults.append(_Fault(line, _dotted(where), "a key must be text"))
                continue
            key = str(key_node.value)
            if key in data:
                faults.append(
                    _Fault(line, _dotted((*where, key)), f"stands twice; first in line {lines[(*where, key)]}")
                )
                continue
            lines[(*where, key)] = line
            data[key] = _plain(value_node, (*where, key), lines, faults, within)
        return data
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*where, number), lines, faults, within) for number, item in enumerate(node.value)]
    try:
        return yaml.SafeLoader("").construct_object(node)  # a scalar by YAML's own rules
    except (yaml.YAMLError, ValueError) as exc:
        faults.append(_Fault(line, _dotted(where), str(getattr(exc, "problem", None) or exc)))
        return None


def _fault(error: Any, lines: Mapping[Where, int]) -> _Fault:
    where: Where = tuple(error["loc"])
    known = where
    while known not in lines and known:
        known = known[:-1]
    text = {
        "extra_forbidden": "there is no such key",
        "string_type": "must be text; put it in quotes",
        "dict_type": "must be keys and values",
        "tuple_type": "must be a list",
        "model_type": "must be keys and values",
        "path_type": "must be a path",
    }.get(error["type"], str(error["msg"]).removeprefix("Value error, "))
    if error["type"] == "extra_forbidden":
        close = difflib.get_close_matches(str(where[-1]), list(_keys_beside(where)), 1)
        text += f"; did you mean {close[0]}?" if close else f"; there are {', '.join(_keys_beside(where))}"
    return _Fault(lines.get(known, 1), _dotted(where), text)


def _keys_beside(where: Where) -> Iterator[str]:
    kind: Any = Config
    for key in where[:-1]:
        if get_origin(kind) is dict:
            kind = get_args(kind)[1]
        else:
            kind = kind.model_fields[key].annotation
            if get_origin(kind) is not dict:  # `Section | None`
                kind = next((one for one in get_args(kind) if hasattr(one, "model_fields")), kind)
    yield from kind.model_fields


def _dotted(where: Where) -> str:
    return ".".join(str(part) for part in where)
