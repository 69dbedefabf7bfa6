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
NOISE = ("advertising", "analytics", "cdn", "identity", "infrastructure")
SANCTIONED, UNSANCTIONED, UNREVIEWED = "sanctioned", "unsanctioned", "unreviewed"

# What the facts of the catalogue mean for a first look. Not a vendor's score: every word stands in `risk_reasons`.
_HIGH = frozenset({"anonymizer", "anonymous-share", "paste", "remote-control", "torrent", "tunnel"})
_MEDIUM = frozenset(
    {"code-hosting", "crypto", "file-transfer", "file-upload", "generative-ai", "messaging", "password-vault"}
    | {"personal-accounts", "personal-mail", "screen-recording"}
)
_SHAPE = "see configs/apps/README.md for the shape of an entry"
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
        if not folder.is_dir():
            raise WrongUse(f"there is no folder {folder} with apps", "correct apps.folders in the configuration")
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
    name = host.rstrip(".").lower()
    if ":" in name or name.replace(".", "").isdigit():
        return _address(host)
    suffix = name
    while suffix:
        found = catalogue.suffixes.get(suffix)
        if found:
            kind, app_id = found
            return Host(host, _domain_below(suffix) or registrable_domain(name), app_id, kind, suffix)
        suffix = suffix.partition(".")[2]
    if "." not in name or name.endswith(_INTERNAL_ZONES):
        return Host(host, name, None, INTERNAL, None)
    return Host(host, registrable_domain(name), None, UNKNOWN, None)


def registrable_domain(host: str) -> str:
    """The public suffix and one label more (a.b.example.co.uk → example.co.uk), private part of the list included."""
    return _public_suffixes().privatesuffix(host) or host


def is_shared(suffix: str) -> bool:
    """Is this a public suffix, private part of the list included, below which each host is somebody else's?"""
    return _domain_below(suffix) is None


@cache
def _domain_below(rule: str) -> str | None:
    """The registrable domain of every host at or below a suffix of the catalogue; None where it is a public suffix
    itself (github.io), and each host has its own. Saves the walk for each of their many hosts."""
    return _public_suffixes().privatesuffix(rule)


@cache
def _public_suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def _address(host: str) -> Host:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
        private = not (getattr(address, "ipv4_mapped", None) or address).is_global
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
        raise WrongUse(f"{path} is not a list of apps", _SHAPE)
    return entries


def _entry(path: Path, number: int, entry: Any) -> tuple[str, App | None]:
    """One entry as an app or a kind of noise. Raises WrongUse."""
    wanted = "id, name, vendor, category and domains; or kind and domains"
    if not isinstance(entry, dict) or not _texts(entry.get("domains")):
        raise WrongUse(f"{path}: entry {number} must have {wanted}", _SHAPE)
    if "kind" in entry:
        if entry["kind"] not in (*NOISE, INTERNAL):
            kinds = ", ".join((*NOISE, INTERNAL))
            raise WrongUse(f"{path}: entry {number}: there is no kind {entry['kind']!r}; there are {kinds}", _SHAPE)
        return entry["kind"], None
    for key in ("id", "name", "vendor", "category"):
        if not isinstance(entry.get(key), str):
            what = "is no text" if key in entry else "is missing"
            raise WrongUse(f"{path}: entry {number}: {key} {what}; it must have {wanted}", _SHAPE)
    for key in ("entra_names", "entra_app_ids", "risk"):
        if not _texts(entry.get(key) or []):
            raise WrongUse(f"{path}: entry {number} ({entry['id']}): {key} must be a list of texts", _SHAPE)
    app = App(
        id=entry["id"],
        name=entry["name"],
        vendor=entry["vendor"],
        category=entry["category"],
        domains=tuple(entry["domains"]),
        entra_names=tuple(entry.get("entra_names") or ()),
        entra_app_ids=tuple(entry.get("entra_app_ids") or ()),
        risk=tuple(entry.get("risk") or ()),
    )
    return APP, app


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
