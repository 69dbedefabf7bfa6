"""What breaks are made of: one thing changed on one host, and put back exactly at the end.

Each function gives a `Fault`: called with a lab it is a context manager. On the firewall the files that a fault may
touch are kept in a tar and unpacked again, with owners, modes and times.
In the directory all records are kept and restored (dc_live.py).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from tests.lab import dc
from tests.lab.fixture import Lab
from tests.lab.layout import PROXY_PORT

Fault = Callable[[Lab], AbstractContextManager[None]]

CONF = "/usr/local/etc/squid/squid.conf"
HELPER = "/usr/local/libexec/squid/negotiate_kerberos_auth"
KEYTABS = "/usr/local/etc/squid/pfsquid-*.keytab"
LOGS = "/var/squid/logs"
BLOCK = "installedpackages/squid/config/0/custom_options_squid3"
TOUCHED = f"cf/conf usr/local/etc/squid usr/local/etc/krb5.conf etc/krb5.conf {HELPER[1:]} var/unbound tmp/config.cache"

KEEP = f"mkdir -p /var/lab/kept; cd /; tar -cpf /var/lab/kept/$1.tar $(ls -d {TOUCHED} 2>/dev/null)"
RESTORE = f"set -e; cd /; rm -rf {TOUCHED}; tar -xpf /var/lab/kept/$1.tar; rm /var/lab/kept/$1.tar"
SIZES = f"cd {LOGS}; wc -c *.log | grep -v total"
CUT = f"""cd {LOGS}; for log in *.log; do
  truncate -s $(echo "$1" | awk -v n=$log 'BEGIN {{s = 0}} $2 == n {{s = $1}} END {{print s}}') $log
done"""
# A new set of listening sockets is the sign that Squid has taken a new configuration: it logs nothing of it.
RELOAD_SQUID = f"""sockets() {{ ss -Hltne sport = :{PROXY_PORT} | grep -o 'ino:[0-9]*' | sort | tr '\\n' ' '; }}
before=$(sockets)
if pgrep -x squid >/dev/null; then /usr/local/sbin/squid -f {CONF} -k reconfigure
else rm -f /var/run/squid/squid.pid /dev/shm/squid-*; /usr/local/sbin/squid -f {CONF}; fi
for i in $(seq 100); do
  now=$(sockets); [ -n "$now" ] && [ "$now" != "$before" ] && break
  pgrep -x squid >/dev/null || break
  sleep 0.02
done; true"""
END_SQUID = """kill -9 $(pgrep -x squid) 2>/dev/null
while pgrep -x squid >/dev/null; do sleep 0.01; done; rm -f /var/run/squid/squid.pid /dev/shm/squid-*"""
RELOAD_UNBOUND = """pid=$(cat /var/run/unbound.pid 2>/dev/null); kill $pid 2>/dev/null
while kill -0 $pid 2>/dev/null; do sleep 0.01; done; /usr/sbin/unbound -c /var/unbound/unbound.conf"""


def forget_names(lab: Lab) -> None:
    """The firewall's resolver starts anew: no cache, and no question under way to a server that was silent."""
    lab.sh("fw", f"ip neigh flush dev eth0; {RELOAD_UNBOUND}")


def reload_squid(lab: Lab) -> None:
    """Squid takes its files anew, helpers too; started where it was down."""
    lab.sh("fw", RELOAD_SQUID)


@contextmanager
def logs(lab: Lab) -> Iterator[None]:
    """What Squid logs meanwhile is cut off again at the end: the next to look finds nothing of it."""
    sizes = lab.sh("fw", SIZES)
    try:
        yield
    finally:
        lab.exec("fw", ["/bin/sh", "-c", CUT, "cut", sizes])


def together(*faults: Fault) -> Fault:
    """All of them; put back in the opposite order."""

    @contextmanager
    def inside(lab: Lab) -> Iterator[None]:
        with ExitStack() as stack:
            for fault in faults:
                stack.enter_context(fault(lab))
            yield

    return inside


def directory(*deeds: Sequence[Any]) -> Fault:
    """Deeds of dc_live.py."""

    @contextmanager
    def inside(lab: Lab) -> Iterator[None]:
        name = uuid.uuid4().hex
        dc.live(lab.state, ["keep", name])
        try:
            dc.live(lab.state, *deeds)
            forget_names(lab)
            yield
        finally:
            dc.live(lab.state, ["restore", name])
            forget_names(lab)

    return inside


@contextmanager
def kept(lab: Lab, squid: bool, unbound: bool, fresh: bool = False) -> Iterator[None]:
    """The firewall's files as they are now, again at the end; services then take them anew. fresh: Squid is
    ended first, as it would go on with what it was given."""
    name = uuid.uuid4().hex
    script = ["/bin/sh", "-c"]
    lab.exec("fw", [*script, KEEP, "keep", name])
    try:
        yield
    finally:
        if fresh:
            lab.sh("fw", END_SQUID)
        done = lab.exec("fw", [*script, RESTORE, "restore", name])
        assert done.returncode == 0, done.stderr
        if squid:
            reload_squid(lab)
        if unbound:
            lab.sh("fw", RELOAD_UNBOUND)


def files(script: str, squid: bool = True, fresh: bool = False) -> Fault:
    """A script of sh that changes files of the firewall; $KEYTAB is the one that Squid has. squid: it takes them."""

    @contextmanager
    def inside(lab: Lab) -> Iterator[None]:
        with kept(lab, squid=squid, unbound=False, fresh=fresh):
            lab.sh("fw", f"set -e; KEYTAB=$(ls {KEYTABS} | tail -1); {script}")
            if squid:
                reload_squid(lab)
            yield

    return inside


def gui(program: str, squid: bool = False, unbound: bool = False, ends: bool = False) -> Fault:
    """PHP that changes config.xml, saved and applied as the GUI does. ends: Squid is then down."""
    apply = "write_config('changed by hand');"
    if unbound:
        apply += "require_once('functions.inc'); services_unbound_configure(false);"
    if squid:
        apply += "require_once('/usr/local/pkg/squid.inc'); squid_resync();"

    @contextmanager
    def inside(lab: Lab) -> Iterator[None]:
        with kept(lab, squid=squid, unbound=unbound):
            done = lab.php(f"{program}\n{apply}")
            assert done.returncode == 0, done.stdout + done.stderr
            if squid and not ends:
                reload_squid(lab)
            yield

    return inside


def block(*changes: tuple[str, str]) -> Fault:
    """Somebody edits Squid's custom options in the GUI: regular expressions (PCRE, multi-line) and what stands then."""
    edits = "".join(
        f"$text = preg_replace({_php('~' + pattern + '~m')}, {_php(text)}, $text);" for pattern, text in changes
    )
    program = f"""$text = base64_decode(config_get_path('{BLOCK}')); {edits}
config_set_path('{BLOCK}', base64_encode($text));"""
    return gui(program, squid=True)


def _php(text: str) -> str:
    """A PHP string."""
    return "json_decode(" + "'" + json.dumps(text).replace("\\", "\\\\").replace("'", "\\'") + "')"
