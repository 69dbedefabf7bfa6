"""Host → app: the SaaS catalogue, and the longest suffix that knows a host. Reads the catalogue's files, no more."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from publicsuffixlist import PublicSuffixList

from pfsquid.errors import WrongUse

APP, UNKNOWN, INTERNAL = "app", "unknown", "internal"
SANCTIONED, UNSANCTIONED, UNREVIEWED = "sanctioned", "unsanctioned", "unreviewed"

# What the facts of the catalogue mean for a first look. Not a vendor's score: every word stands in `risk_reasons`.
_HIGH = frozenset({"anonymizer", "anonymous-share", "paste", "remote-control", "torrent", "tunnel"})
_MEDIUM = frozenset(
    {"code-hosting", "crypto", "file-transfer", "file-upload", "generative-ai", "messaging", "password-vault"}
    | {"personal-accounts", "personal-mail", "screen-recording"}
)
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTERNAL_ZONES = (".local", ".internal", ".lan", ".intranet", ".home.arpa", ".localhost")


@dataclass(frozen=True)
class App:
    """An app of the catalogue. entra_names, entra_app_ids: how sign-ins name it. risk: words, each a fact."""

    id: str
    name: str
    vendor: str
    category: str
    domains: tuple[str, ...]
    entra_names: tuple[str, ...] = ()
    entra_app_ids: tuple[str, ...] = ()
    risk: tuple[str, ...] = ()

    def risk_level(self) -> str:
        """high, medium or low: the worst of its risk words."""
        words = set(self.risk)
        return "high" if words & _HIGH else "medium" if words & _MEDIUM else "low"


@dataclass(frozen=True)
class Host:
    """What a host is. domain: its registrable domain. kind: app, unknown, internal, or a kind of noise (advertising,
    analytics, cdn, identity, infrastructure). rule: the suffix that decided."""

    host: str
    domain: str
    app_id: str | None
    kind: str
    rule: str | None


@dataclass(frozen=True)
class Catalogue:
    """Apps by id, and for each known suffix the app's id or the kind of noise."""

    apps: Mapping[str, App]
    suffixes: Mapping[str, tuple[str, str | None]]
    by_name: Mapping[str, str] = field(default_factory=dict)

    def app_of_sign_in(self, app_id: str | None, app_name: str | None) -> str | None:
        """The catalogue's app that Entra ID calls by this application id or display name."""
        for key in (app_id, app_name):
            if key and key.casefold() in self.by_name:
                return self.by_name[key.casefold()]
        return None


def load(folders: Iterable[Path], sign_in_apps: Mapping[str, str] | None = None) -> Catalogue:
    """Read a catalogue; files of a later folder win over the same suffix or id of an earlier one.

    sign_in_apps: display name or application id in sign-ins → app id, as configured. Raises WrongUse with file and
    entry where one is malformed.
    """
    apps: dict[str, App] = {}
    suffixes: dict[str, tuple[str, str | None]] = {}
    by_name: dict[str, str] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.yaml")):
            for number, entry in enumerate(_entries(path), 1):
                kind, app = _entry(path, number, entry)
                if app:
                    apps[app.id] = app
                    names = (app.name, app.id, *app.entra_names, *app.entra_app_ids)
                    by_name.update({name.casefold(): app.id for name in names})
                suffixes.update(dict.fromkeys(map(str.lower, entry["domains"]), (kind, app.id if app else None)))
    by_name.update({name.casefold(): app_id for name, app_id in (sign_in_apps or {}).items()})
    return Catalogue(apps, suffixes, by_name)


def classify(host: str, catalogue: Catalogue) -> Host:
    """What this host is, by the longest suffix of whole labels that the catalogue knows."""
    if ":" in host or host.replace(".", "").isdigit():
        return _address(host)
    suffix = host
    while suffix:
        found = catalogue.suffixes.get(suffix)
        if found:
            kind, app_id = found
            return Host(host, registrable_domain(host), app_id, kind, suffix)
        suffix = suffix.partition(".")[2]
    if "." not in host or host.endswith(_INTERNAL_ZONES):
        return Host(host, host, None, INTERNAL, None)
    return Host(host, registrable_domain(host), None, UNKNOWN, None)


def registrable_domain(host: str) -> str:
    """The public suffix and one label more (a.b.example.co.uk → example.co.uk), private part of the list included."""
    return _public_suffixes().privatesuffix(host) or host


@cache
def _public_suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def _address(host: str) -> Host:
    try:
        private = not ipaddress.ip_address(host.partition("%")[0]).is_global
    except ValueError:
        private = False
    return Host(host, host, None, INTERNAL if private else UNKNOWN, None)


def _entries(path: Path) -> list[dict[str, Any]]:
    try:
        entries = yaml.load(path.read_text("utf-8"), Loader=_LOADER)  # noqa: S506 - a safe loader, in C where there is one
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise WrongUse(
            f"{path} cannot be read as a list of apps: {exc}", f"pfsquid query apps    # after mending {path}"
        ) from exc
    if not isinstance(entries, list):
        raise WrongUse(f"{path} is not a list of apps", "see configs/apps/README.md for the shape of an entry")
    return entries


def _entry(path: Path, number: int, entry: Any) -> tuple[str, App | None]:
    """One entry as an app or a kind of noise. Raises WrongUse."""
    wanted = "id, name, vendor, category and domains; or kind and domains"
    texts = (
        isinstance(entry, dict)
        and isinstance(entry.get("domains"), list)
        and all(isinstance(one, str) for one in entry["domains"])
    )
    if not texts:
        raise WrongUse(f"{path}: entry {number} must have {wanted}", "see configs/apps/README.md")
    if "kind" in entry:
        return str(entry["kind"]), None
    try:
        app = App(
            id=str(entry["id"]),
            name=str(entry["name"]),
            vendor=str(entry["vendor"]),
            category=str(entry["category"]),
            domains=tuple(entry["domains"]),
            entra_names=tuple(map(str, entry.get("entra_names") or ())),
            entra_app_ids=tuple(map(str, entry.get("entra_app_ids") or ())),
            risk=tuple(map(str, entry.get("risk") or ())),
        )
    except KeyError as exc:
        raise WrongUse(
            f"{path}: entry {number} has no {exc.args[0]}; it must have {wanted}", "see configs/apps/README.md"
        ) from exc
    return APP, app
