"""Records of a chain in which all is well, as probes would gather them; faults are put in by `dataclasses.replace`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pfsquid.firewall.inspected import (
    Clock,
    FileState,
    HelperState,
    Inspected,
    KeytabState,
    Override,
    Settings,
    SquidState,
)
from pfsquid.kerberos.account import Account, AccountKind
from pfsquid.kerberos.check import Finding
from pfsquid.kerberos.enctypes import Key
from pfsquid.kerberos.facts import Answers, Asked, Clocks, Domain, Kdcs, Ldap, Lookup, Names, Owners
from pfsquid.kerberos.facts_proxy import Children, Journal, Keys, Line, Offer, Requested, Trial
from pfsquid.kerberos.keytab import Entry
from pfsquid.kerberos.principal import Principal, parse_principal
from pfsquid.kerberos.tickets import Ticket

REALM, ZONE = "LAB.EXAMPLE", "lab.example"
PROXY, DC1, DC2 = "proxy.lab.example", "dc1.lab.example", "dc2.lab.example"
LAN, DC1_AT, DC2_AT = "10.1.0.1", "10.1.0.10", "10.1.0.11"
SERVICE, SPN = f"HTTP/{PROXY}", f"HTTP/{PROXY}@{REALM}"
WHO = f"rick.sanchez@{REALM}"
NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
KEYTAB, HELPER = "/usr/local/etc/squid/squid.keytab", "/usr/local/libexec/squid/negotiate_kerberos_auth"
SECRET = bytes(range(0x41, 0x61))  # of every key here: none of it may be shown
CONF = f"""http_port {LAN}:3128
auth_param negotiate program {HELPER} -k {KEYTAB} -s {SPN}
auth_param negotiate children 20 startup=2 idle=2
acl people proxy_auth REQUIRED
http_access allow people
"""
KRB5 = f"""[libdefaults]
    default_realm = {REALM}
    permitted_enctypes = aes256-cts-hmac-sha1-96 aes128-cts-hmac-sha1-96
[realms]
    {REALM} = {{
    }}
"""
HOSTILE = ["", "\x1b[31m", "\x00", "é" * 100_000, "'; rm -rf / #"]


def told(finding: Finding) -> str:
    """All that a finding says to people."""
    return "\n".join((finding.detail, *((finding.remedy.text, *finding.remedy.commands) if finding.remedy else ())))


def asked(**other: Any) -> Asked:
    """What the configuration says."""
    return replace(Asked("fw", "fw.example", REALM, PROXY, "svc_squid", dns=(DC1_AT, DC2_AT), directory=True), **other)


def file(path: str, content: str | bytes | None = None, **other: Any) -> FileState:
    """A file of Squid's."""
    raw = content.encode() if isinstance(content, str) else content
    return replace(FileState(path, "file", len(raw or b""), "squid", "proxy", 0o400, 1000, 7, True, raw), **other)


def settings(**other: Any) -> Settings:
    """config.xml."""
    return replace(
        Settings(
            hostname="fw", domain=ZONE, dns_servers=(), time_servers="", resolver="unbound", resolver_port="53",
            resolver_options="", overrides=(Override(ZONE, DC1_AT, False), Override(ZONE, DC2_AT, False)), hosts=(),
            interfaces=(), virtual_addresses=(), package="0.4.46", squid={"enable_squid": "on"}, auth_method="none",
            cache_saved=True, sync=None,
        ),
        **other,
    )  # fmt: skip


def squid(**other: Any) -> SquidState:
    """Squid, as it runs."""
    return replace(
        SquidState(
            version="Squid Cache: Version 6.10", negotiate=True, conf=file("/usr/local/etc/squid/squid.conf", CONF),
            pid=99, started=1000.0, user="squid", group="proxy", user_exists=True, running_as="squid", processes=(),
            manager=None, manager_problem="",
        ),
        **other,
    )  # fmt: skip


def firewall(**other: Any) -> Inspected:
    """A firewall."""
    return replace(
        Inspected(
            release="2.8.0-RELEASE", php="8.3.1", hostname="fw.example", addresses=(LAN, "127.0.0.1"),
            clock=Clock(-0.1, 0.1), settings=settings(), settings_problem="",
            resolver_files={
                "/etc/resolv.conf": file("/etc/resolv.conf", "nameserver 127.0.0.1\n"),
                "/var/unbound/domainoverrides.conf": file("x", f'forward-zone:\n  name: "{ZONE}"\n'),
            },
            squid=squid(), helper=HelperState(HELPER, file(HELPER, mode=0o755), "elf", True),
            keytab=KeytabState(KEYTAB, file(KEYTAB), "", (), True, False),
            krb5={"/etc/krb5.conf": file("/etc/krb5.conf", KRB5)}, cache_log=None,
            logs={"/var/squid/logs/access.log": file("/var/squid/logs/access.log", None)}, log_space=10**9,
            var_tmp=None, var_tmp_writable=True, replay=None, problems=(),
        ),
        **other,
    )  # fmt: skip


def conf(text: str, **other: Any) -> Inspected:
    """A firewall with this squid.conf."""
    return firewall(squid=squid(conf=file("/usr/local/etc/squid/squid.conf", text)), **other)


def lookup(name: str, kind: str, *records: str, **other: Any) -> Lookup:
    """An answer of the firewall's resolver."""
    return replace(Lookup(name, kind, "127.0.0.1", "NOERROR", records), **other)


def names(**other: Any) -> Names:
    """What DNS says."""
    dcs = {DC1: DC1_AT, DC2: DC2_AT}
    return replace(
        Names(
            resolver="127.0.0.1", alive=True,
            kerberos=lookup(f"_kerberos._tcp.{ZONE}", "SRV", *(f"0 100 88 {one}" for one in dcs)),
            ldap=lookup(f"_ldap._tcp.{ZONE}", "SRV", *(f"0 100 389 {one}" for one in dcs)),
            hosts={name: lookup(name, "A/AAAA", at) for name, at in dcs.items()},
            direct={name: lookup(name, "A", at, server=DC1_AT) for name, at in dcs.items()},
            proxy=lookup(PROXY, "A/AAAA", LAN),
            reverse={LAN: lookup("1.0.1.10.in-addr.arpa", "PTR", PROXY)},
            servers={at: Answers("", "", "") for at in dcs.values()},
        ),
        **other,
    )  # fmt: skip


def kdcs(first: Answers | None = None, second: Answers | None = None) -> Kdcs:
    """Two KDCs, both well where nothing else is said."""
    good = Answers(None, "", "")
    return Kdcs({(DC1, DC1_AT): first or good, (DC2, DC2_AT): second or good}, {DC1: 0.1, DC2: 0.2})


def clocks(firewall: float = 0.0, dc1: float = 0.0, dc2: float = 0.0, uncertain: float = 0.2) -> Clocks:
    """Seconds ahead of this machine."""
    return Clocks(firewall, uncertain, {DC1: dc1, DC2: dc2})


def account(sam: str = "svc_squid", **other: Any) -> Account:
    """The service account."""
    return replace(
        Account(
            dn=f"CN={sam},CN=Users,DC=lab,DC=example", sam=sam, upn=None, spns=(SERVICE,), kind=AccountKind.USER,
            enabled=True, locked=False, password_expired=False, must_change=False, expires=None, enctypes=24, kvno=4,
            password_set=NOW - timedelta(days=30), flags=frozenset({"NORMAL_ACCOUNT", "DONT_EXPIRE_PASSWD"}),
            delegates_to=(), control=0x10200,
        ),
        **other,
    )  # fmt: skip


def owners(*accounts: Account, **other: Any) -> Owners:
    """Who has the SPN: the service account alone, where nobody is named."""
    found = accounts or (account(),)
    return replace(Owners(found, account(), "the whole forest was searched"), **other)


def domain(**other: Any) -> Domain:
    """What the controllers say."""
    return replace(Domain({DC1: 4, DC2: 4}, NOW, timedelta(days=42)), **other)


def ldap(**other: Any) -> Ldap:
    """LDAP of both controllers."""
    return replace(Ldap(f"reader@{REALM}", (DC1, DC2), {}), **other)


def entry(enctype: int = 18, kvno: int = 4, principal: str = SPN) -> Entry:
    """A key of a keytab."""
    return Entry(parse_principal(principal, REALM), kvno, Key(enctype, SECRET), NOW)


def keys(*entries: Entry, **other: Any) -> Keys:
    """The firewall's keytab: AES-256 and AES-128 with kvno 4, where nothing else is said."""
    return replace(Keys(KEYTAB, entries or (entry(18), entry(17))), **other)


def ticket(server: str = SPN, **other: Any) -> Ticket:
    """A person's ticket."""
    ends = datetime.now(UTC) + timedelta(hours=8)
    made = Ticket(
        parse_principal(WHO, REALM), parse_principal(server, REALM), Key(18, SECRET), SECRET, 18, 4, SECRET, NOW, ends,
        timedelta(),
    )  # fmt: skip
    return replace(made, **other)


def tgt(**other: Any) -> Ticket:
    """A person's ticket of the domain."""
    return replace(ticket(), **{"server": Principal(("krbtgt", REALM), REALM), **other})


def trial(opens: bool | None = True, enctype: int | None = 18) -> Trial:
    """A service ticket that the keytab opens."""
    return Trial(opens, enctype)


def offer(**other: Any) -> Offer:
    """What the proxy says without a token."""
    return replace(Offer(LAN, 3128, 407, ("Negotiate",)), **other)


def lines(*texts: str, at: float | None = 2000.0) -> tuple[Line, ...]:
    """Lines of cache.log."""
    return tuple(Line(at, text) for text in texts)


def journal(recent: Sequence[Line] = (), older: Sequence[Line] = (), **other: Any) -> Journal:
    """The end of cache.log, since its helpers were started at 1500."""
    return replace(Journal(1500.0, tuple(recent), tuple(older)), **other)


def requested(**other: Any) -> Requested:
    """A request that got through, with its line in the log."""
    url = "http://www.example.com/"
    line = f"1700000000.123 50 10.1.0.50 TCP_MISS/200 1500 GET {url} {WHO} HIER_DIRECT/192.0.2.1 text/html\n"
    logs = {"/var/squid/logs/access.log": line}
    return replace(Requested(WHO, url, "this machine", "10.1.0.50", 200, "", "", logs, ""), **other)


def children(**other: Any) -> Children:
    """Helpers, most of them idle."""
    return replace(Children(20, 2, 0, 0, 3), **other)
