"""`pfsquid collect directory`: Active Directory's accounts into the lake. Words → calls, like `cli`; it only reads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pfsquid import views
from pfsquid.cli_options import ConfigOption, DebugOption, JsonOption, LakeOption
from pfsquid.errors import PfsquidError, WrongUse
from pfsquid.views import Format

if TYPE_CHECKING:
    import pyarrow as pa

    from pfsquid.config import Config
    from pfsquid.kerberos.directory import Directory, Site

COLUMNS = ("directory", "server", "accounts", "new", "changed", "gone")


def collect_directory(
    once: Annotated[  # noqa: ARG001 - for those who like to say it
        bool, typer.Option("--once", help="Read it once and end; so it does without, too.", show_default=False)
    ] = False,
    lake: LakeOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
    _: DebugOption = False,
) -> None:
    """Read the users of Active Directory by LDAP into the table accounts, as the section directory says where they are.

    Reads only, and always in verified TLS. Run it daily: renamed and re-used names are told by when they were seen.
    """
    from collectors.directory.schema import AD
    from pfsquid.config import configured, lake_place
    from pfsquid.kerberos.directory import connect_any
    from pfsquid.lake.accounts import refresh
    from pfsquid.lake.catalog import open_lake

    settings, folder = configured(config, os.environ)
    site = site_of(settings, folder)
    screen = views.standard_screen(dict(os.environ))
    opened = open_lake(lake_place(lake, settings, os.environ), make=True)
    with connect_any(site) as directory:
        domain = directory.domain_name
        counts = refresh(opened, AD, domain, listing(directory), datetime.now(UTC))
        row = (domain, directory.name, counts.seen, counts.new, counts.changed, counts.gone)
    views.show(screen, COLUMNS, [row], Format.JSON if json else Format.TABLE)


def listing(directory: Directory) -> Iterator[pa.Table]:
    """All users of the directory's domain, a table a page. Raises LdapProblem, PfsquidError."""
    from collectors.directory.accounts import ATTRIBUTES, FILTER, table
    from collectors.directory.schema import ListingError

    try:
        for page in directory.pages(FILTER, ATTRIBUTES):
            yield table(page, directory.domain_name)
    except ListingError as exc:
        raise PfsquidError(
            f"the accounts of {directory.name} cannot be told apart: {exc}; nothing was changed",
            "may the account directory.user read the attribute objectGUID? Any ordinary one may",
        ) from exc


def site_of(settings: Config, base: Path) -> Site:
    """Where the directory is and who asks, by the configuration. base: the folder that its paths are relative to.

    Raises WrongUse, PfsquidError.
    """
    from pfsquid.kerberos.controllers import controllers
    from pfsquid.kerberos.directory import Site
    from pfsquid.secrets import resolve

    place = settings.directory
    if place.user is None or place.password is None:
        raise WrongUse(
            "the configuration does not say who may ask the directory",
            "directory.user, directory.password    # in pfsquid.yaml: any ordinary account of the domain",
            "configs/example.yaml has every key",
        )
    password = resolve(place.password, base)
    realm = settings.kerberos.realm if settings.kerberos else place.user.rpartition("@")[2].upper()
    servers = place.servers or (settings.kerberos.kdcs if settings.kerberos else ())
    if not servers and "." not in realm:
        raise WrongUse(
            "the configuration does not say which directory to read",
            "directory.servers: [dc1.lab.example]    # in pfsquid.yaml; or kerberos.realm, and DNS says which",
        )
    full = place.user if set("@\\=") & set(place.user) or not settings.kerberos else f"{place.user}@{realm}"
    return Site(
        controllers(servers, realm, settings.dns.servers if settings.dns else ()),
        full,
        password,
        base / place.ca.expanduser() if place.ca else None,
        place.tls,
        place.port,
        place.base,
        place.global_catalog,
    )
