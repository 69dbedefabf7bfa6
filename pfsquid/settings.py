"""What a configuration may say of firewalls, Kerberos and the proxy: keys, defaults, and what each value may look like.

Values that end up in squid.conf or krb5.conf are held to a form in which they can mean only what they say: no line end,
no quote, no space, no comment sign. Reads no file.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from pfsquid.references import check_reference

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_REALM = re.compile(r"[A-Z0-9](?:[A-Z0-9-]*[A-Z0-9])?(?:\.[A-Z0-9](?:[A-Z0-9-]*[A-Z0-9])?)*")
_PIN = re.compile(r"(?:SHA256:[A-Za-z0-9+/]{43}=?|[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,2}(?: [^\n]*)?)")
_PATH = re.compile(r"/[A-Za-z0-9._/-]+")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}\$?")
_SID = re.compile(r"S-1-[0-9]{1,10}(-[0-9]{1,10}){1,15}")
_DURATION = re.compile(r"(\d+(?:\.\d+)?) ?(ms|s|m|h|d)?")
_LISTEN = re.compile(r"(?:tcp|tls|udp)://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):\d{1,5}")
_ACCOUNT = re.compile(r"[^\s\"/\\\[\]:;|=,+*?<>@][^\"/\\\[\]:;|=,+*?<>@\x00-\x1f]{0,254}")
_URL = re.compile(r"http://[A-Za-z0-9.:\[\]-]+/[A-Za-z0-9._~/?&=%-]*")


def _host(text: str) -> str:
    if len(text) > 253 or not _HOST.fullmatch(text):
        raise ValueError("must be a host name, such as proxy.lab.example")
    return text.lower()


def _host_or_address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return _host(text)


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError("must be an IP address") from None


def _server(text: str) -> str:
    """A DNS server: an address, with `@PORT` where it is not 53."""
    address, _, port = text.partition("@")
    if port and not (port.isdigit() and 0 < int(port) < 65536):
        raise ValueError("must be an IP address, or ADDRESS@PORT")
    return _address(address) + (f"@{int(port)}" if port else "")


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as exc:
        raise ValueError(f"must be an address or a network such as 10.1.0.0/16: {exc}") from None


def _site(text: str) -> str:
    """A domain for `dstdomain`: `example.com` is the host alone, `.example.com` also all below it."""
    return ("." if text.startswith(".") else "") + _host(text.removeprefix("."))


def _sid(text: str) -> str:
    """The SID of a group ([MS-DTYP] 2.4.2.1, in decimal)."""
    if not _SID.fullmatch(text) or any(int(part) >= 2**32 for part in text.split("-")[3:]):
        raise ValueError("must be the SID of a group, such as S-1-5-21-1111-2222-3333-1104")
    return text


def _seconds(value: Any) -> Any:
    """A length of time in seconds: a number, or a number with ms, s, m, h or d."""
    found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if found:
        return float(found[1]) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}[found[2] or "s"]
    if isinstance(value, str):
        raise ValueError("must be a length of time, such as 10s, 5m, 1h or 2d")
    return value


def matching(pattern: re.Pattern[str], what: str) -> AfterValidator:
    """A check that a text is of a form. what: that form, in words."""

    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"must be {what}")
        return text

    return AfterValidator(check)


HostName = Annotated[str, AfterValidator(_host)]
HostOrAddress = Annotated[str, AfterValidator(_host_or_address)]
Address = Annotated[str, AfterValidator(_address)]
Server = Annotated[str, AfterValidator(_server)]
Network = Annotated[str, AfterValidator(_network)]
Site = Annotated[str, AfterValidator(_site)]
Realm = Annotated[str, matching(_REALM, "a realm in capitals, such as LAB.EXAMPLE")]
HostKey = Annotated[str, matching(_PIN, "a public key (`ssh-ed25519 AAAA…`) or its fingerprint (`SHA256:…`)")]
RemotePath = Annotated[str, matching(_PATH, "an absolute path of letters, digits, `.`, `_`, `-` and `/`")]
UserName = Annotated[str, matching(_USER, "a user name")]
Sid = Annotated[str, AfterValidator(_sid)]
FirewallName = Annotated[str, matching(_USER, "a name of letters, digits, `.`, `_` and `-`")]
Secret = Annotated[str, AfterValidator(check_reference)]
Duration = Annotated[float, BeforeValidator(_seconds)]
Listen = Annotated[str, matching(_LISTEN, "tcp://ADDRESS:PORT, tls://ADDRESS:PORT or udp://ADDRESS:PORT")]
# [MS-ADA3] sAMAccountName: what Windows refuses in it; computers' may be longer than the 20 characters of users'.
AccountName = Annotated[str, matching(_ACCOUNT, "an account's name without its domain (sAMAccountName)")]
Url = Annotated[str, matching(_URL, "an address such as http://www.example.com/")]
Enctype = Literal["aes256-sha1", "aes128-sha1", "rc4-hmac", "des3-cbc-sha1", "des-cbc-crc", "des-cbc-md5"]


class Section(BaseModel):
    """A mapping of the configuration: no unknown keys, nothing changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FirewallSettings(Section):
    """How to reach one firewall."""

    host: HostOrAddress
    port: int = Field(default=22, ge=1, le=65535)
    user: UserName = "root"
    host_keys: tuple[HostKey, ...] = ()
    identity: Path | None = None
    passphrase: Secret | None = None
    password: Secret | None = None
    agent: bool = True
    proxy_address: Address | None = None
    synced_from: str | None = None


class KerberosSettings(Section):
    """The domain, and the proxy's name and key in it."""

    realm: Realm
    proxy: HostName
    keytab: Path
    kdcs: tuple[HostOrAddress, ...] = ()
    enctypes: tuple[Enctype, ...] = ("aes256-sha1", "aes128-sha1")
    clock_skew: int = Field(default=300, ge=1, le=3600)
    krb5_conf: RemotePath = "/etc/krb5.conf"
    log: RemotePath | None = None
    account: AccountName | None = None


class HelperSettings(Section):
    """negotiate_kerberos_auth: how many, and how it checks."""

    path: RemotePath = "/usr/local/libexec/squid/negotiate_kerberos_auth"
    children: int = Field(default=20, ge=1, le=1000)
    startup: int = Field(default=2, ge=0, le=1000)
    idle: int = Field(default=2, ge=0, le=1000)
    keep_alive: bool = True
    replay_cache: bool = False
    debug: bool = False


class ExemptSettings(Section):
    """Who and what needs no ticket; the package's own rules still hold for them."""

    sites: tuple[Site, ...] = ()
    sources: tuple[Network, ...] = ()
    apps: tuple[str, ...] = ()


class ProxySettings(Section):
    """Squid and its package on the firewall. What is None stays as it is there."""

    interface: str | None = Field(default=None, pattern=r"^[a-z0-9_]+(,[a-z0-9_]+)*$")
    port: int | None = Field(default=None, ge=1, le=65535)
    allow_interface: bool = True
    ipv4_first: bool = False
    log_days: int | None = Field(default=None, ge=1, le=3650)
    own_log: bool = True
    cache_log: bool = True
    helper: HelperSettings = Field(default_factory=HelperSettings)
    exempt: ExemptSettings = Field(default_factory=ExemptSettings)
    groups: tuple[Sid, ...] = ()
    basic_fallback: bool = False
    blocked: tuple[Site, ...] = ()


class DnsSettings(Section):
    """Which servers answer for the domain's zones."""

    servers: tuple[Server, ...] = Field(min_length=1)
    zones: tuple[HostName, ...] = ()
    reverse_zones: tuple[HostName, ...] = ()


class DirectorySettings(Section):
    """Active Directory by LDAP: where, how its certificate is trusted, and who asks."""

    servers: tuple[HostName, ...] = ()
    ca: Path | None = None
    tls: Literal["ldaps", "starttls"] = "ldaps"
    port: int | None = Field(default=None, ge=1, le=65535)
    user: str | None = Field(default=None, min_length=1)
    password: Secret | None = None
    base: str | None = Field(default=None, min_length=3)
    global_catalog: bool = True


class VerifySettings(Section):
    """Whose ticket makes the real request of `verify-kerberos`, and which page it asks for."""

    user: str | None = Field(default=None, min_length=1)
    password: Secret | None = None
    keytab: Path | None = None
    url: Url = "http://www.example.com/"


class SquidSource(Section):
    """One place where access logs come from: a firewall's log over SSH, a path on this machine, or a port.

    spool: megabytes that a port keeps until they are in the lake.
    """

    firewall: FirewallName | None = None
    log: RemotePath | None = None
    path: Path | None = None
    listen: Listen | None = None
    format: str = Field(default="auto", min_length=1)
    certificate: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None
    allow: tuple[Network, ...] = ()
    spool: int = Field(default=256, ge=1, le=1_000_000)

    @model_validator(mode="after")
    def _one_place(self) -> SquidSource:
        if sum(one is not None for one in (self.firewall, self.path, self.listen)) != 1:
            raise ValueError("must have one of firewall, path and listen")
        return self


class CollectSettings(Section):
    """What `run` collects. flush: how old rows get before they are committed. alarm: after how long without data."""

    flush: Duration = Field(default=10.0, ge=0.2, le=3600)
    alarm: Duration = Field(default=3600.0, ge=1)
    metrics: str | None = Field(default=None, pattern=r"^(127\.0\.0\.1|\[::1\]|localhost):\d{1,5}$")
    squid: dict[FirewallName, SquidSource] = Field(default_factory=dict)
