"""What a firewall is like for Kerberos, read in one go: settings, files, processes, logs, clock. Changes nothing on it.

The program behind it requires no file of pfSense (2.7 writes a cache when one does), takes no lock and starts nothing
but `squid -v` and `ps`. What is missing is None. Secrets of squid.conf and tokens in cache.log are replaced by `…`
before they leave the firewall; the keytab's bytes are for this process's memory only.
"""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from typing import Any

from pfsquid.firewall.inspected import (
    Clock,
    FileState,
    HelperState,
    HostOverride,
    Inspected,
    Interface,
    KeytabState,
    Override,
    Process,
    Settings,
    SquidState,
)
from pfsquid.firewall.pfsense import Pfsense, mapping

KRB5_CONFS = ("/etc/krb5.conf", "/usr/local/etc/krb5.conf")


@dataclass(frozen=True)
class Asked:
    """What to look at. helper, keytab: paths; None: those of the negotiate helper in squid.conf.

    krb5_confs: files of MIT Kerberos beside those that the helper's environment names. manager: ask Squid for its page
    of helpers, which leaves a line in access.log.
    """

    keytab: str | None = None
    helper: str | None = None
    krb5_confs: tuple[str, ...] = KRB5_CONFS
    manager: bool = True


def inspect(pfsense: Pfsense, asked: Asked | None = None, seconds: float = 60.0) -> Inspected:
    """Look at a firewall. Raises PfsquidError or LostConnection only where no program of ours runs on it."""
    wanted = asked or Asked()
    before = time.time()
    answer = pfsense.run(
        "inspect",
        {
            "keytab": wanted.keytab,
            "helper": wanted.helper,
            "krb5_confs": wanted.krb5_confs,
            "manager": wanted.manager,
        },
        seconds,
    )
    return inspected(answer, before, time.time())


def inspected(answer: dict[str, Any], before: float, after: float) -> Inspected:
    """The program's answer as a record. before, after: our clock around it, seconds since 1970."""
    squid = dict(answer["squid"])
    settings = answer["settings"]
    return Inspected(
        release=answer["release"],
        php=answer["php"],
        hostname=answer["hostname"],
        addresses=tuple(answer["addresses"]),
        clock=Clock(answer["clock_end"] - after, answer["clock"] - before),
        settings=None if settings is None else _settings(settings),
        settings_problem=answer["settings_problem"],
        resolver_files={path: _present(one) for path, one in mapping(answer["resolver_files"]).items()},
        squid=SquidState(
            **squid
            | {
                "conf": _file(squid["conf"]),
                "processes": tuple(Process(**one) for one in squid["processes"]),
            }
        ),
        helper=_helper(answer["helper"]),
        keytab=_keytab(answer["keytab"]),
        krb5={path: _file(one) for path, one in mapping(answer["krb5"]).items()},
        cache_log=_file(answer["cache_log"]),
        logs={path: _file(one) for path, one in mapping(answer["logs"]).items()},
        log_space=answer["log_space"],
        var_tmp=_file(answer["var_tmp"]),
        var_tmp_writable=answer["var_tmp_writable"],
        replay=_file(answer["replay"]),
        problems=tuple(answer["problems"]),
    )


def _settings(told: dict[str, Any]) -> Settings:
    hosts = [one | {"also": [dict(alias) for alias in one["also"]]} for one in told["hosts"]]
    return Settings(
        hostname=told["hostname"] or "",
        domain=told["domain"] or "",
        time_servers=told["time_servers"] or "",
        resolver=told["resolver"],
        resolver_port=told["resolver_port"],
        resolver_options=told["resolver_options"],
        package=told["package"],
        auth_method=told["auth_method"],
        cache_saved=told["cache_saved"],
        sync=told["sync"],
        dns_servers=tuple(told["dns_servers"]),
        overrides=tuple(
            Override(one.get("domain", ""), one.get("ip", ""), "forward_tls_upstream" in one)
            for one in map(mapping, told["overrides"])
            if one
        ),
        hosts=tuple(_host(one) for one in hosts if one.get("domain")),
        interfaces=tuple(
            Interface(one["name"], one.get("if", ""), one.get("ipaddr") or None, one.get("ipaddrv6") or None)
            for one in told["interfaces"]
        ),
        virtual_addresses=tuple(told["virtual_addresses"]),
        squid=None if told["squid"] is None else mapping(told["squid"]),
    )


def _host(one: dict[str, Any]) -> HostOverride:
    named = [one, *one["also"]]
    names = tuple(f"{each.get('host', '')}.{each.get('domain', '')}".strip(".").lower() for each in named)
    return HostOverride(names, tuple(part for part in one.get("ip", "").replace(",", " ").split() if part))


def _present(one: dict[str, Any]) -> FileState:
    content = one["content"]
    return FileState(**one | {"content": None if content is None else base64.b64decode(content)})


def _file(one: dict[str, Any] | None) -> FileState | None:
    return None if one is None else _present(one)


def _helper(one: dict[str, Any] | None) -> HelperState | None:
    return None if one is None else HelperState(**one | {"file": _file(one["file"])})


def _keytab(one: dict[str, Any] | None) -> KeytabState | None:
    return None if one is None else KeytabState(**one | {"file": _file(one["file"]), "closed": tuple(one["closed"])})
