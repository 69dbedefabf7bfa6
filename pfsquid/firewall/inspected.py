"""Records of what a firewall is like for Kerberos, as `inspect` fills them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class FileState:
    """A file as it is. kind: file, folder, other. mode: permission bits. mtime: seconds since 1970.

    squid_reads: may Squid's user open it (tried; of a folder, a helper or others not)? content: where it was asked for.
    """

    path: str
    kind: str
    size: int
    owner: str
    group: str
    mode: int
    mtime: int
    inode: int
    squid_reads: bool | None = None
    content: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class KeytabState:
    """The keytab. path: as asked for or found in squid.conf; file: None where nothing is there, says `problem`.

    closed: folders above it that Squid's user may not pass. squid_reads, nobody_reads: tried, as Squid's user with the
    groups that Squid has, and as `nobody`; None: there is no such user or no file.
    """

    path: str
    file: FileState | None
    problem: str
    closed: tuple[str, ...]
    squid_reads: bool | None
    nobody_reads: bool | None


@dataclass(frozen=True)
class HelperState:
    """The helper's program. kind: elf, script, other; runs: may Squid's user execute it, by owner, group and mode."""

    path: str
    file: FileState | None
    kind: str
    runs: bool | None


@dataclass(frozen=True)
class Process:
    """A running process. started: seconds since 1970 by the firewall's clock, right to a second.

    command: of Squid, the negotiate helper and the resolver whole, of others of Squid's children the program alone.
    """

    pid: int
    parent: int
    user: str
    started: float
    command: str


@dataclass(frozen=True)
class Override:
    """A domain override. server: address, with `@PORT` where it is not 53. tls: asked over TLS?"""

    domain: str
    server: str
    tls: bool


@dataclass(frozen=True)
class HostOverride:
    """Names that the resolver answers itself, with all aliases. addresses: one or several."""

    names: tuple[str, ...]
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Interface:
    """An interface of config.xml: its name there (lan), the device, addresses as configured (also `dhcp`) or None."""

    name: str
    device: str
    address4: str | None
    address6: str | None


@dataclass(frozen=True)
class Settings:
    """What config.xml says. squid: fields of the package's General page, as stored (custom options decoded, secrets
    out); None: the package has no settings. package: version of the installed package, None: not installed.

    resolver: unbound, dnsmasq or None. resolver_options: its custom options. dns_servers: of System > General Setup.
    """

    hostname: str
    domain: str
    dns_servers: tuple[str, ...]
    time_servers: str
    resolver: str | None
    resolver_port: str
    resolver_options: str
    overrides: tuple[Override, ...]
    hosts: tuple[HostOverride, ...]
    interfaces: tuple[Interface, ...]
    virtual_addresses: tuple[str, ...]
    package: str | None
    squid: dict[str, str] | None
    auth_method: str | None
    cache_saved: bool
    sync: str | None


@dataclass(frozen=True)
class Clock:
    """The firewall's clock beside ours, seconds since 1970. lowest, highest: bounds of (firewall's minus ours)."""

    lowest: float
    highest: float

    @property
    def offset(self) -> float:
        """Firewall's clock minus ours, seconds."""
        return (self.lowest + self.highest) / 2

    @property
    def error(self) -> float:
        """How far off `offset` may be, seconds."""
        return (self.highest - self.lowest) / 2


@dataclass(frozen=True)
class SquidState:
    """Squid, as it runs. version: first line of `squid -v`, '' where it does not start; negotiate: does its build name
    Negotiate (None: unknown); conf: squid.conf with its content, secrets out.

    pid: of the master process, 0 where none runs. started: of it. user, group: as whom the workers run, by squid.conf
    (user_exists: on this firewall); running_as: as whom a worker runs, seen. processes: Squid, all below it, Negotiate
    helpers, and resolvers. manager: page `negotiateauthenticator` of the cache manager as text, None
    where there is none, says manager_problem.
    """

    version: str
    negotiate: bool | None
    conf: FileState | None
    pid: int
    started: float | None
    user: str
    group: str
    user_exists: bool
    running_as: str | None
    processes: tuple[Process, ...]
    manager: str | None
    manager_problem: str


@dataclass(frozen=True)
class Inspected:
    """A firewall. settings: None where config.xml cannot be read, says settings_problem.

    resolver_files: rendered domain overrides of unbound and dnsmasq, and /etc/resolv.conf, those that exist. krb5:
    path → file (None: not there), first the main ones, then what they include. cache_log: its file; its content is the
    end of it, whole lines, tokens out. logs: path → file of access logs. log_space: free bytes there. var_tmp: the
    folder of the replay cache; replay: the replay cache of Squid's user; var_tmp_writable: by Squid's user.
    """

    release: str
    php: str
    hostname: str
    addresses: tuple[str, ...]
    clock: Clock
    settings: Settings | None
    settings_problem: str
    resolver_files: dict[str, FileState]
    squid: SquidState
    helper: HelperState | None
    keytab: KeytabState | None
    krb5: dict[str, FileState | None]
    cache_log: FileState | None
    logs: dict[str, FileState | None]
    log_space: int | None
    var_tmp: FileState | None
    var_tmp_writable: bool | None
    replay: FileState | None
    problems: tuple[str, ...]
