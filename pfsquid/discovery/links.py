"""Service principals of a tenant → links between apps and domains, and the apps that Entra ID signs people in to. Pure.

An address of a service principal (home page, login URL, reply URLs) tells the registrable domain of its app; below a
suffix that many tenants share, its host alone. What stands in everybody's registrations (login pages, test tools,
tunnels, this machine) tells nothing, and neither do Microsoft's own apps, whose addresses are Microsoft's.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from pfsquid.discovery.apps import UNKNOWN, App, Catalogue, classify, is_shared, registrable_domain

CATEGORY = "Entra application"
# Tenants in which Microsoft registers its own apps: Microsoft Services, and Microsoft's corporate one.
_MICROSOFT = frozenset({"f8cdef31-a31e-4b4a-93e4-5f571e91255a", "72f988bf-86f1-41af-91ab-2d7cd011db47"})
_NO_APPS = frozenset({"ManagedIdentity", "SocialIdp"})
_NO_SSO = frozenset({"password", "linked", "notSupported"})  # values of preferredSingleSignOnMode
_GENERIC = (
    "azure-apihub.net", "azure-apim.net", "b2clogin.com", "botframework.com", "ciamlogin.com", "example.com",
    "example.net", "example.org", "getpostman.com", "jwt.io", "jwt.ms", "live.com", "loca.lt", "localhost",
    "microsoft.com", "microsoftonline.com", "microsoftonline.us", "ngrok-free.app", "ngrok-free.dev", "ngrok.app",
    "ngrok.dev", "ngrok.io", "oauthdebugger.com", "office.com", "office365.com", "oidcdebugger.com",
    "openidconnect.net", "portal.azure.com", "powerapps.com", "pstmn.io", "requestcatcher.com", "sts.windows.net",
    "webhook.site", "windowsazure.com",
)  # fmt: skip
# Beside the private part of the Public Suffix List: hosts below these are different tenants' own.
_SHARED = (
    "azurecontainerapps.io", "cloudapp.azure.com", "msappproxy.net", "onmicrosoft.com", "powerappsportals.com",
)  # fmt: skip
_HOST = re.compile(r"(?=.{4,253}$)[a-z0-9_-]+(\.[a-z0-9_-]+)*\.[a-z][a-z0-9-]*")


@dataclass(frozen=True)
class ServicePrincipal:
    """A service principal in its newest version, as in the table `service_principals`. present: it is there now."""

    tenant: str
    id: str
    app_id: str | None = None
    display_name: str | None = None
    homepage: str | None = None
    login_url: str | None = None
    reply_urls: tuple[str, ...] = ()
    publisher: str | None = None
    owner_tenant: str | None = None
    sso_mode: str | None = None
    enabled: bool | None = None
    kind: str | None = None
    present: bool = True

    @property
    def is_in_use(self) -> bool:
        """Can people sign in to it now? An app, enabled as Graph has it by default."""
        return self.present and self.enabled is not False and self.kind not in _NO_APPS

    @property
    def signs_in(self) -> bool:
        """Is Entra ID how people get in? A password that Entra ID fills in, or a mere link, is none."""
        return self.is_in_use and self.sso_mode not in _NO_SSO

    @property
    def key(self) -> str:
        """What is the same for an app in all tenants."""
        return (self.app_id or self.id).casefold()


@dataclass(frozen=True)
class Linked:
    """What service principals add. catalogue: with their domains and the apps that only they tell. by_app_id: an
    application id of sign-ins, casefolded → app, where its addresses tell one. federated: apps with an enabled
    service principal for sign-ins."""

    catalogue: Catalogue
    by_app_id: Mapping[str, str]
    federated: frozenset[str]

    def app_of_sign_in(self, app_id: str | None, app_name: str | None) -> str | None:
        """The app meant in a sign-in: by id or name as the catalogue knows them, else by the addresses."""
        return self.catalogue.app_of_sign_in(app_id, app_name) or self.by_app_id.get((app_id or "").casefold())


def linked(catalogue: Catalogue, principals: Iterable[ServicePrincipal]) -> Linked:
    """Join a catalogue with a tenant's service principals.

    A domain that no app of the catalogue explains belongs to the one enabled service principal that links it: to the
    catalogue's app of that name or id, else to an app of its own. Where two link it, it is nobody's.
    """
    ordered = sorted(principals, key=lambda one: (one.tenant, one.id))
    claimed: dict[str, dict[str, ServicePrincipal]] = defaultdict(dict)
    for one in ordered:
        if one.is_in_use and not _is_microsofts(one):
            for host in hosts_of(one):
                if _is_unexplained(host, catalogue):
                    claimed[domain_of(host)].setdefault(one.key, one)
    domains: dict[str, list[str]] = defaultdict(list)
    owners: dict[str, ServicePrincipal] = {}
    for domain, of in sorted(claimed.items()):
        if len(of) == 1:
            ((key, owner),) = of.items()
            domains[key].append(domain)
            owners[key] = owner
    whole = _with_apps(catalogue, {key: (owners[key], tuple(found)) for key, found in domains.items()})
    by_app_id = {one.app_id.casefold(): app for one in ordered if one.app_id and (app := _app_of(one, whole))}
    federated = {by_app_id.get((one.app_id or "").casefold()) or _app_of(one, whole) for one in ordered if one.signs_in}
    return Linked(whole, by_app_id, frozenset(app for app in federated if app))


def hosts_of(one: ServicePrincipal) -> list[str]:
    """The hosts of its addresses that tell something, each once, in their order."""
    found = (_host(url) for url in (one.homepage, one.login_url, *one.reply_urls) if url)
    return list(dict.fromkeys(host for host in found if host))


def domain_of(host: str) -> str:
    """What a host links: its registrable domain, or itself where many tenants share the domain."""
    return host if any(host.endswith("." + suffix) for suffix in _SHARED) else registrable_domain(host)


def _host(url: str) -> str | None:
    try:
        parts = urlsplit(url.strip())
        host = (parts.hostname or "").rstrip(".").removeprefix("*.")
        host = host if host.isascii() else host.encode("idna").decode()
    except (ValueError, UnicodeError):
        return None
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(host) or _is_address(host):
        return None
    return None if any(host == one or host.endswith("." + one) for one in _GENERIC) else host


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_microsofts(one: ServicePrincipal) -> bool:
    return (one.owner_tenant or "").casefold() in _MICROSOFT


def _is_unexplained(host: str, catalogue: Catalogue) -> bool:
    """Does the catalogue know no more of it than, at most, whose machines it stands on?"""
    for name in (host, domain_of(host)):
        found = classify(name, catalogue)
        if found.kind != UNKNOWN and (found.app_id or not found.rule or not is_shared(found.rule)):
            return False
    return True


def _app_of(one: ServicePrincipal, catalogue: Catalogue) -> str | None:
    """Its app by id or name, else the only one that its addresses tell."""
    known = catalogue.app_of_sign_in(one.app_id, one.display_name)
    if known or _is_microsofts(one):
        return known
    told = {classify(host, catalogue).app_id for host in hosts_of(one)} - {None}
    return told.pop() if len(told) == 1 else None


def _with_apps(catalogue: Catalogue, found: Mapping[str, tuple[ServicePrincipal, tuple[str, ...]]]) -> Catalogue:
    apps, suffixes, by_name = dict(catalogue.apps), dict(catalogue.suffixes), dict(catalogue.by_name)
    for one, domains in found.values():
        known = catalogue.app_of_sign_in(one.app_id, one.display_name)
        if known and known in apps:
            apps[known] = replace(apps[known], domains=(*apps[known].domains, *domains))
            app_id = known
        else:
            app_id = _new_id(one, domains, apps)
            ids = (one.app_id,) if one.app_id else ()
            name = one.display_name or domains[0]
            apps[app_id] = App(app_id, name, one.publisher or "", CATEGORY, domains, entra_app_ids=ids)
            by_name.update({key.casefold(): app_id for key in (*ids, app_id)})
            by_name.setdefault(name.casefold(), app_id)
        suffixes.update(dict.fromkeys(domains, ("app", app_id)))
    return Catalogue(apps, suffixes, by_name)


def _new_id(one: ServicePrincipal, domains: tuple[str, ...], apps: Mapping[str, App]) -> str:
    plain = unicodedata.normalize("NFKD", one.display_name or "").encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or re.sub(r"[^a-z0-9]+", "-", domains[0])
    return next(name for name in (slug, f"{slug}-{one.key[:8]}", f"{slug}-{one.key}") if name not in apps)
