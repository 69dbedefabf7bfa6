"""Configuration → wanted state of a firewall: files, fields of config.xml, DNS overrides. Pure; renders `templates/`.

Squid's part is one block between marks in "Custom Options (Before Auth)": the one place that pfSense's Squid package
renders while its own authentication is off, and before its own rules. The block only denies who has no ticket; what
the package allows and forbids goes on holding for all others.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from collectors.squid.logformat import FORMATS
from pfsquid.errors import PfsquidError
from pfsquid.settings import DnsSettings, KerberosSettings, ProxySettings

BEGIN = "# >>> pfsquid: managed block; change pfsquid.yaml instead"
END = "# <<< pfsquid"
SQUID = "installedpackages/squid/config/0"
BEFORE_AUTH = f"{SQUID}/custom_options_squid3"
KEYTAB_FOLDER = "/usr/local/etc/squid"

# Names of krb5.conf (MIT) for the enctypes that a configuration may name.
_ENCTYPES = {
    "aes256-sha1": "aes256-cts-hmac-sha1-96",
    "aes128-sha1": "aes128-cts-hmac-sha1-96",
    "rc4-hmac": "arcfour-hmac",
    "des3-cbc-sha1": "des3-cbc-sha1",
    "des-cbc-crc": "des-cbc-crc",
    "des-cbc-md5": "des-cbc-md5",
}
_WEAK = frozenset({"rc4-hmac", "des3-cbc-sha1", "des-cbc-crc", "des-cbc-md5"})


@dataclass(frozen=True)
class WantedFile:
    """A file on the firewall. mode: permission bits. secret: its content is never shown."""

    path: str
    content: bytes
    owner: str
    group: str
    mode: int
    secret: bool = False


@dataclass(frozen=True)
class Desired:
    """What a firewall should be. fields: path in config.xml → value. overrides: DNS zone → servers, in order."""

    files: tuple[WantedFile, ...]
    fields: dict[str, str]
    block: str
    overrides: dict[str, tuple[str, ...]]
    keytab_path: str


def desired(
    kerberos: KerberosSettings,
    proxy: ProxySettings,
    dns: DnsSettings | None,
    keytab: bytes,
    keytab_path: str,
    templates: Path,
    squid_tls: bool = True,
    log_rotate: int = 0,
) -> Desired:
    """The wanted state. keytab: its bytes. keytab_path: where it lies, or will lie, on the firewall.

    squid_tls: was Squid built with OpenSSL? Elsewhere the code for the SNI is a fatal error; a `-` comes in its place.
    log_rotate: how many rotated logs the package keeps; 0: Squid opens cache.log anew and keeps none.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - the values are held to a safe form in `settings`
    )
    zone = kerberos.realm.lower()
    realm_conf = environment.get_template("krb5.conf.j2").render(
        kerberos=kerberos,
        zone=zone,
        enctypes=" ".join(_ENCTYPES[name] for name in kerberos.enctypes),
        weak=bool(_WEAK & set(kerberos.enctypes)),
    )
    block = environment.get_template("squid-before-auth.conf.j2").render(
        begin=BEGIN,
        end=END,
        kerberos=kerberos,
        keytab=keytab_path,
        helper=proxy.helper,
        exempt=proxy.exempt,
        blocked=proxy.blocked,
        groups=[sid_in_base64(sid) for sid in proxy.groups],
        own_log=proxy.own_log,
        cache_log=proxy.cache_log,
        log_rotate=log_rotate,
        logformat=FORMATS["pfsquid"] if squid_tls else FORMATS["pfsquid"].replace("%ssl::>sni", "-"),
    )
    # Squid drops its supplementary groups: only its user, or the group proxy, can read a keytab (0400 keeps it to it).
    files = (
        WantedFile(keytab_path, keytab, "squid", "proxy", 0o400, secret=True),
        WantedFile(kerberos.krb5_conf, realm_conf.encode("utf-8"), "root", "wheel", 0o644),
    )
    return Desired(files, package_fields(proxy), block.strip("\n"), _overrides(kerberos, dns), keytab_path)


def sid_in_base64(sid: str) -> str:
    """A SID as the Kerberos helper names a group of the ticket's PAC: its binary form ([MS-DTYP] 2.4.2.2) in base64."""
    _, revision, authority, *rest = sid.split("-")
    head = bytes((int(revision), len(rest))) + int(authority).to_bytes(6, "big")
    return base64.b64encode(head + b"".join(int(part).to_bytes(4, "little") for part in rest)).decode("ascii")


def package_fields(proxy: ProxySettings) -> dict[str, str]:
    """The package's own settings, those that the configuration speaks of: a checkbox is `on` or nothing."""
    wanted = {
        "enable_squid": "on",
        "keep_squid_data": "on",
        "active_interface": proxy.interface,
        "proxy_port": str(proxy.port) if proxy.port else None,
        "allow_interface": "on" if proxy.allow_interface else "",
        "log_enabled": "on",
        "log_rotate": str(proxy.log_days) if proxy.log_days else None,
        "dns_v4_first": "on" if proxy.ipv4_first else None,
    }
    return {f"{SQUID}/{name}": value for name, value in wanted.items() if value is not None}


def _overrides(kerberos: KerberosSettings, dns: DnsSettings | None) -> dict[str, tuple[str, ...]]:
    if dns is None:
        return {}
    zones = (*(dns.zones or (kerberos.realm.lower(),)), *dns.reverse_zones)
    return dict.fromkeys(dict.fromkeys(zones), dns.servers)


def with_block(field: str, block: str | None) -> str:
    """The field "Custom Options (Before Auth)" with `block` in the place of the managed one, or at its end.

    field: as in config.xml, base64 of lines. All other lines stay byte for byte. None takes the block out. Raises
    PfsquidError where the marks do not tell which lines are ours.
    """
    text = decoded(field)
    begin, end = _marks(text)
    wanted = "" if block is None else block.replace("\n", "\r\n")
    if begin >= 0:
        after = end + len(END)
        if block is None:
            after = after + 2 if text.startswith("\r\n", after) else after
        return encoded(text[:begin] + wanted + text[after:])
    if not wanted:
        return field
    gap = "" if not text or text.endswith("\n") else "\r\n"
    return encoded(f"{text}{gap}{wanted}\r\n")


def block_in(field: str) -> str | None:
    """The managed block as it stands in the field, or None. A hand edit of it shows here."""
    text = decoded(field)
    begin, end = _marks(text)
    return None if begin < 0 else text[begin : end + len(END)].replace("\r\n", "\n")


def _marks(text: str) -> tuple[int, int]:
    """Where the block's first and last line begin; -1, -1 where there is none."""
    begin, end = text.find(BEGIN), text.find(END)
    if text.count(BEGIN) == text.count(END) == (begin >= 0) and begin <= end:
        return begin, end
    raise PfsquidError(
        'the marks around pfsquid\'s block in "Custom Options (Before Auth)" are damaged, or there are two blocks',
        f"Services > Squid Proxy Server > General: take out all lines of pfsquid, with `{BEGIN}` and `{END}`",
    )


def with_overrides(entries: list[dict[str, Any]], wanted: dict[str, tuple[str, ...]]) -> list[dict[str, Any]]:
    """The list of domain overrides with the wanted zones' entries; those of other zones as and where they are.

    An entry that is right already is kept as it is, with its description and whatever else it holds. `domain` comes
    first in a new one: pfSense groups by the first key.
    """
    kept: list[dict[str, Any]] = []
    missing = {zone: list(servers) for zone, servers in wanted.items()}
    for entry in entries:
        zone, server = str(entry.get("domain", "")), str(entry.get("ip", ""))
        if zone not in wanted:
            kept.append(entry)
        elif server in missing[zone]:
            missing[zone].remove(server)
            kept.append(entry)
    for zone, servers in missing.items():
        kept += [{"domain": zone, "ip": server, "descr": "pfsquid", "tls_hostname": ""} for server in servers]
    return kept


def decoded(field: str) -> str:
    """A base64 field of config.xml as text, bytes that are not UTF-8 kept as surrogates."""
    return base64.b64decode(field or "").decode("utf-8", "surrogateescape")


def encoded(text: str) -> str:
    """The reverse of `decoded`."""
    return base64.b64encode(text.encode("utf-8", "surrogateescape")).decode("ascii")
