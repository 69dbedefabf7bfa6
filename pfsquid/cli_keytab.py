"""The command line of keytabs: create, rotate, show. Words → calls, like `cli`."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pfsquid import cli_firewall, views
from pfsquid.cli_options import ConfigOption, DebugOption, FormatOption, JsonOption
from pfsquid.errors import PfsquidError, WrongUse
from pfsquid.views import Format

if TYPE_CHECKING:
    from pfsquid.config import Config
    from pfsquid.kerberos.directory import Directory
    from pfsquid.kerberos.principal import Principal
    from pfsquid.kerberos.proof import Kdc
    from pfsquid.settings import KerberosSettings

DEFAULT_ACCOUNT = "svc_squid"
KDC_SECONDS = 20.0  # in the middle of a rotation it is better to wait than to give up
keytab = typer.Typer(help="Make, rotate and show the proxy's keytab.", no_args_is_help=True)

UserOption = Annotated[
    str | None, typer.Option("--user", help="Who asks the directory; else directory.user.", show_default=False)
]
PasswordOption = Annotated[
    str | None,
    typer.Option("--password", help="A reference: env:NAME, file:PATH, ssm:NAME …", show_default=False),
]
AccountOption = Annotated[
    str | None, typer.Option("--account", help="The service account; else kerberos.account.", show_default=False)
]
OutOption = Annotated[Path | None, typer.Option("--out", help="The keytab; else kerberos.keytab.", show_default=False)]


@keytab.command("create")
def create(
    user: UserOption = None,
    password: PasswordOption = None,
    account: AccountOption = None,
    container: Annotated[
        str | None, typer.Option("--in", help="DN of the folder for a new account; else CN=Users.", show_default=False)
    ] = None,
    out: OutOption = None,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Take an account that is there, and set a new password for it.")
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Do nothing; print the commands for a domain administrator.")
    ] = False,
    config: ConfigOption = None,
    _: DebugOption = False,
) -> None:
    """Make the service account in Active Directory and a keytab for it, proved by a ticket."""
    from pfsquid.kerberos import enrol
    from pfsquid.kerberos.offline import Offline, text

    screen = views.standard_screen(dict(os.environ))
    settings, kerberos, base = _settings(config)
    sam, path, spn = account or kerberos.account or DEFAULT_ACCOUNT, _path(out, kerberos, base), _spn(kerberos)
    if offline:
        views.tell(screen, text(Offline(spn, sam, container, path.name)))
        return
    wish = enrol.Wish(spn, sam, path, container, adopt)
    with _domain(settings, kerberos, base, user, password) as (directory, kdc):
        if enrol.create(wish, directory, kdc, lambda line: views.say(screen, line)):
            views.say(screen, "to bring it to the firewalls: pfsquid configure")


@keytab.command("rotate")
def rotate(
    file: Annotated[
        Path | None, typer.Argument(metavar="[KEYTAB]", help="Else kerberos.keytab.", show_default=False)
    ] = None,
    drop: Annotated[bool, typer.Option("--drop", help="Only take out former keys that no ticket needs.")] = False,
    lifetime: Annotated[
        float, typer.Option("--lifetime", min=0, help="Hours that the domain's service tickets last.")
    ] = 10,
    configure: Annotated[
        bool, typer.Option("--configure/--no-configure", help="Bring the keytab to the firewalls.")
    ] = True,
    yes: cli_firewall.YesOption = False,
    user: UserOption = None,
    password: PasswordOption = None,
    account: AccountOption = None,
    config: ConfigOption = None,
    _: DebugOption = False,
) -> None:
    """A new key with no failed request: the firewalls have it before the domain uses it."""
    from pfsquid.kerberos import rotation
    from pfsquid.kerberos.keytabs import check_place, held

    screen = views.standard_screen(dict(os.environ))
    settings, kerberos, base = _settings(config)
    path, own = _path(file, kerberos, base), _path(None, kerberos, base)
    if configure and path != own:
        raise WrongUse(f"{path} is not the keytab that `configure` brings ({own})", "--no-configure")
    wait = timedelta(hours=lifetime, seconds=kerberos.clock_skew)
    service = rotation.Service(
        _spn(kerberos), account or kerberos.account or DEFAULT_ACCOUNT, held(path, needed=True), wait
    )
    check_place(path)
    bring = _bring(screen, config, yes, path, configure and bool(settings.firewalls), drop)
    with _domain(settings, kerberos, base, user, password) as (directory, kdc):
        way = rotation.Way(directory, kdc, bring, lambda line: views.say(screen, line))
        left = (rotation.drop if drop else rotation.rotate)(service, way)
    if left.until is None:
        return
    former = ", ".join(map(str, left.former))
    views.say(screen, f"done and proved: kvno {left.kvno}; kvno {former} stays for tickets that are in use")
    views.say(screen, f"from {left.until:%Y-%m-%d %H:%M} UTC it may go; the next rotation drops it, or at once then:")
    views.say(screen, f"  echo 'pfsquid keytab rotate --drop --yes' | at {left.until.astimezone():%H:%M %Y-%m-%d}")
    views.say(screen, "each quarter, from cron: 17 3 1 */3 * pfsquid keytab rotate --yes")


@keytab.command("show")
def show(
    file: Annotated[
        Path | None, typer.Argument(metavar="[KEYTAB]", help="Else kerberos.keytab.", show_default=False)
    ] = None,
    config: ConfigOption = None,
    format: FormatOption = Format.TABLE,
    json: JsonOption = False,
    _: DebugOption = False,
) -> None:
    """What a keytab has: principals, kvno, encryption types, times. Never a key."""
    from pfsquid.kerberos.keytabs import held, rows

    screen = views.standard_screen(dict(os.environ))
    if file is None:
        _unused, kerberos, base = _settings(config)
        file = _path(None, kerberos, base)
    entries = held(file, needed=True).entries
    columns = ("principal", "kvno", "enctype", "time", "state")
    views.show(screen, columns, rows(entries), Format.JSON if json else format)


def _settings(config: Path | None) -> tuple[Config, KerberosSettings, Path]:
    """The configuration, its section kerberos, and the folder that its paths are relative to."""
    from pfsquid.config import find, load

    path = find(config, os.environ)
    settings = load(path)
    if path is None or settings.kerberos is None:
        raise WrongUse(
            "the configuration has no section kerberos" if path else "there is no configuration",
            "pfsquid init --host FIREWALL",
            "configs/example.yaml has every key",
        )
    return settings, settings.kerberos, path.absolute().parent


def _path(given: Path | None, kerberos: KerberosSettings, base: Path) -> Path:
    return given.absolute() if given else base / kerberos.keytab.expanduser()


def _spn(kerberos: KerberosSettings) -> Principal:
    from pfsquid.kerberos.principal import NT_PRINCIPAL, Principal

    return Principal(("HTTP", kerberos.proxy), kerberos.realm, NT_PRINCIPAL)


@contextmanager
def _domain(
    settings: Config, kerberos: KerberosSettings, base: Path, user: str | None, password: str | None
) -> Iterator[tuple[Directory, Kdc]]:
    """A domain controller: its directory, logged in to, and its KDC."""
    from pfsquid.kerberos.controllers import controllers
    from pfsquid.kerberos.directory import Site, connect_any
    from pfsquid.kerberos.kdc import over_network
    from pfsquid.kerberos.proof import Kdc

    place = settings.directory
    who = user or place.user
    if not who:
        raise WrongUse("who asks the directory?", "--user NAME --password env:NAME", "directory.user in pfsquid.yaml")
    secret = _secret(password or (place.password if not user or user == place.user else None), who, base)
    servers = controllers(place.servers or kerberos.kdcs, kerberos.realm, settings.dns.servers if settings.dns else ())
    site = Site(
        servers,
        who if set("@\\=") & set(who) else f"{who}@{kerberos.realm}",
        secret,
        base / place.ca.expanduser() if place.ca else None,
        place.tls,
        place.port,
        place.base,
        place.global_catalog,
    )
    with connect_any(site) as directory:
        yield directory, Kdc(over_network(directory.address, seconds=KDC_SECONDS), kerberos.realm)


def _secret(reference: str | None, who: str, base: Path) -> str:
    from pfsquid.secrets import check_reference, resolve

    if reference:
        try:
            return resolve(check_reference(reference), base)
        except ValueError as exc:
            raise WrongUse(f"--password {exc}", "--password env:NAME") from None
    if not sys.stdin.isatty():
        raise WrongUse(f"there is no terminal to ask for the password of {who}", "--password env:NAME")
    return getpass.getpass(f"Password of {who}: ")


def _bring(
    screen: views.Screen, config: Path | None, yes: bool, path: Path, configure: bool, drop: bool
) -> Callable[[], None]:
    """What takes the keytab to where it is used: this program, or the person at the terminal."""

    def to_firewalls() -> None:
        from pfsquid.firewall import configure as doing
        from pfsquid.firewall.renew import live_keytab, renew

        with doing.nodes(cli_firewall.site_of(config), (), lambda line: views.say(screen, line), yes) as nodes:
            changing = [node for node in nodes if node.prepared.plan.changes]
            places = [(node, live_keytab(node)) for node in changing]
            if all(place for _, place in places):
                names = ", ".join(node.pfsense.name for node in changing)
                if changing and not yes and not cli_firewall.agreed(screen, f"Bring the keytab to {names}?"):
                    raise PfsquidError("the keytab was not brought", "pfsquid keytab rotate --yes")
                for node, place in places:
                    renew(node, str(place), lambda line: views.say(screen, line))
                return
        raise PfsquidError(
            "the firewalls differ from the configuration by more than the keytab",
            "pfsquid configure    # first, and then this again",
        )

    def by_hand() -> None:
        if drop:
            views.say(screen, f"bring {path} to where it is used when it suits you: pfsquid configure")
        elif yes:
            views.say(screen, f"not brought (--no-configure): until {path} is, new tickets fail there")
        elif not sys.stdin.isatty() or not views.ask(screen, f"Bring {path} to where it is used now. Is it there?"):
            raise PfsquidError("the keytab was not brought", "pfsquid keytab rotate", "--yes    # does not wait for it")

    return to_firewalls if configure else by_hand
