"""The answer of the program `inspect` as a record: nothing there at all, and nothing secret in what is shown."""

from __future__ import annotations

import base64
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pfsquid.firewall.inspect import inspect, inspected
from pfsquid.firewall.inspected import HostOverride, Interface, Override
from pfsquid.firewall.pfsense import Pfsense
from pfsquid.firewall.prepare import rotated_logs
from pfsquid.firewall.probes import Question, relay

SQUID: dict[str, Any] = {
    "version": "",
    "negotiate": None,
    "conf": None,
    "pid": 0,
    "started": None,
    "user": "squid",
    "group": "",
    "user_exists": False,
    "running_as": None,
    "processes": [],
    "manager": None,
    "manager_problem": "Squid does not run",
}
# PHP writes an empty map as an empty list.
NOTHING: dict[str, Any] = {
    "clock": 100.5,
    "clock_end": 100.7,
    "release": "",
    "php": "8.5.0",
    "hostname": "fw",
    "addresses": [],
    "settings": None,
    "settings_problem": "no",
    "resolver_files": [],
    "squid": SQUID,
    "helper": None,
    "keytab": None,
    "krb5": [],
    "cache_log": None,
    "logs": [],
    "log_space": None,
    "var_tmp": None,
    "var_tmp_writable": None,
    "replay": None,
    "problems": [],
}
SETTINGS = {
    "hostname": "fw",
    "domain": "example",
    "dns_servers": ["10.0.0.1"],
    "time_servers": None,
    "resolver": "unbound",
    "resolver_port": "",
    "resolver_options": "",
    "overrides": [
        {"domain": "a.example", "ip": "10.0.0.1@5353", "descr": "", "tls_hostname": "", "forward_tls_upstream": ""},
        {"domain": "b.example", "ip": "10.0.0.2"},
        [],
    ],
    "hosts": [
        {"host": "Proxy", "domain": "Example", "ip": "10.0.0.3,fd00::3", "also": [{"host": "", "domain": "x.example"}]},
        {"also": []},
    ],
    "interfaces": [{"name": "lan", "if": "em0", "ipaddr": "10.0.0.1"}, {"name": "opt1"}],
    "virtual_addresses": ["10.0.0.9"],
    "package": None,
    "squid": [],
    "auth_method": None,
    "cache_saved": False,
    "sync": None,
}


def test_a_firewall_with_nothing_on_it() -> None:
    seen = inspected(NOTHING, 90.0, 91.0)
    assert (seen.settings, seen.keytab, seen.krb5, seen.logs, seen.squid.processes) == (None, None, {}, {}, ())


def test_the_clocks_difference_lies_within_what_the_round_trip_allows() -> None:
    clock = inspected(NOTHING, 90.0, 91.0).clock
    assert (clock.lowest, clock.highest) == pytest.approx((9.7, 10.5))
    assert (clock.offset, clock.error) == pytest.approx((10.1, 0.4))


def test_settings() -> None:
    told = inspected({**NOTHING, "settings": SETTINGS}, 0, 0).settings
    assert told is not None
    assert told.overrides == (Override("a.example", "10.0.0.1@5353", True), Override("b.example", "10.0.0.2", False))
    assert told.hosts == (HostOverride(("proxy.example", "x.example"), ("10.0.0.3", "fd00::3")),)
    assert told.interfaces == (Interface("lan", "em0", "10.0.0.1", None), Interface("opt1", "", None, None))
    assert (told.squid, told.time_servers, told.virtual_addresses) == ({}, "", ("10.0.0.9",))


def test_the_keytabs_bytes_are_in_no_repr() -> None:
    file = {
        "path": "/k",
        "kind": "file",
        "size": 3,
        "owner": "squid",
        "group": "proxy",
        "mode": 0o400,
        "mtime": 1,
        "inode": 2,
        "squid_reads": True,
        "content": base64.b64encode(b"secret").decode(),
    }
    keytab = {"path": "/k", "file": file, "problem": "", "closed": ["/"], "squid_reads": True, "nobody_reads": None}
    seen = inspected({**NOTHING, "keytab": keytab}, 0, 0)
    assert seen.keytab is not None
    assert seen.keytab.file is not None
    assert (seen.keytab.file.content, seen.keytab.closed) == (b"secret", ("/",))
    assert "secret" not in repr(seen)
    assert "token" not in repr(Question("1", "tcp", "host", 88, b"token"))


def test_what_is_asked_for() -> None:
    asked: list[Any] = []

    def run(program: str, data: dict[str, Any], seconds: float = 60) -> dict[str, Any]:
        asked.append((program, data, seconds))
        return NOTHING if program == "inspect" else {"answers": []}

    pfsense = cast(Pfsense, SimpleNamespace(run=run))
    inspect(pfsense)
    relay(pfsense, [Question("1", "udp", "host", 53, b"\x00?", 0, 7)])
    assert relay(pfsense, []) == {}
    (_, first, _), (_, second, patience) = asked
    assert first == {
        "keytab": None,
        "helper": None,
        "krb5_confs": ("/etc/krb5.conf", "/usr/local/etc/krb5.conf"),
        "manager": True,
    }
    assert second["questions"][0]["data"] == base64.b64encode(b"\x00?").decode()
    assert patience > 8


@pytest.mark.parametrize(
    ("days", "field", "kept"),
    [
        (30, "14", 30),
        (None, "14", 14),
        (None, "", 0),
        (None, None, 0),
        (None, "0", 0),
        (None, "a\nb", 0),
        (None, "²", 0),
    ],
)
def test_cache_log_keeps_as_many_as_the_package(days: int | None, field: str | None, kept: int) -> None:
    assert rotated_logs(days, field) == kept
