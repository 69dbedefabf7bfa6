"""What can go wrong on the posing firewall, at a test's wish; `mend` undoes all of it.

Points are places inside the PHP stand-in (root/all/etc/inc/lab.inc): `read` (the configuration was
read), `write_config` (before its backup), `backup` (after it), `written`, `squid_resync` (rendered,
not yet written), `squid_conf` (written, Squid not yet told), `unbound` (before it is stopped).
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.hosts import must, shell, write
from tests.lab.layout import FW

POINTS = ("read", "write_config", "backup", "written", "squid_resync", "squid_conf", "unbound")
SQUID = "/usr/local/sbin/squid"
CUT_SSH = "/usr/libexec/lab/cut-ssh"
ADMIN_PROGRAM = "/var/lab/admin.php"

# mv keeps what wrote to the folder meanwhile out of a half copy; the tmpfs has the folder's owner and mode.
FILL = """set -e
mkdir -p /var/lab/full; cp -a "$1/." /var/lab/full
kilobytes=$(du -sk --apparent-size "$1" | cut -f1)
owner=$(/usr/libexec/lab/stat -c 'uid=%u,gid=%g,mode=%a' "$1")
mount -t tmpfs -o size=$((kilobytes * 2 + 512))k,$owner full "$1"
cp -a /var/lab/full/. "$1"; rm -rf /var/lab/full
cat /dev/zero >"$1/.full" 2>/dev/null || true
"""
FREE = """set -e
mountpoint -q "$1" || exit 0
rm -f "$1/.full"; mkdir -p /var/lab/full; cp -a "$1/." /var/lab/full
umount -l "$1"
find "$1" -mindepth 1 -delete; cp -a /var/lab/full/. "$1"; rm -rf /var/lab/full
"""

# Still parses and stops; told to reconfigure, the running one dies, and none starts.
BROKEN_SQUID = """#!/bin/sh
case "$*" in
*parse*|*check*|*shutdown*|*interrupt*|*kill*|*-v*) exec /usr/sbin/squid "$@" ;;
*reconfigure*) exec /usr/sbin/squid -f /usr/local/etc/squid/squid.conf -k interrupt ;;
*) echo "ld-elf.so.1: Shared object \\"libgssapi_krb5.so.2\\" not found, required by \\"squid\\"" >&2; exit 1 ;;
esac
"""


def arm(state: Path, point: str, do: str, what: str | float | None, times: int | None) -> None:
    """At `point`, the next `times` times (None: always): error, kill, sleep `what` s, or run the command `what`."""
    if point not in POINTS or do not in ("error", "kill", "sleep", "run"):
        raise LabError(f"cannot arm {point} with {do}; points are {', '.join(POINTS)}, deeds error, kill, sleep, run")
    write(state, FW, f"/var/lab/points/{point}", json.dumps({"do": do, "with": what, "times": times}))


def admin_program(path: str, value: str) -> str:
    """Another admin's save through the GUI: one field of config.xml. The two words become PHP strings by JSON."""
    words = json.dumps([path, value])
    return f"""<?php
require_once('config.inc');
[$path, $value] = json_decode(<<<'WORDS'
{words}
WORDS, true);
config_set_path($path, $value);
write_config('Firewall: Rules - saved/edited a firewall rule.');
"""


def other_admin(state: Path, path: str, value: str, at: str | None, when_exists: str | None) -> None:
    """Somebody else saves: now, or at a point of the next PHP that comes by, or when a file appears (60 s)."""
    write(state, FW, ADMIN_PROGRAM, admin_program(path, value))
    command = f"/usr/local/bin/php {ADMIN_PROGRAM}"
    if at is not None:
        arm(state, at, "run", command, 1)
    elif when_exists is not None:
        script = 'for i in $(seq 1200); do [ -e "$1" ] && exec $2; sleep 0.05; done'
        begin = ["/bin/sh", "-c", 'setsid /bin/sh -c "$0" wait "$1" "$2" </dev/null >/dev/null 2>&1 &']
        must(state, FW, [*begin[:2], begin[2], script, when_exists, command], "nobody waits for the file")
    else:
        must(state, FW, command.split(), "the other admin cannot save")


def fill(state: Path, folder: str) -> None:
    must(state, FW, ["/bin/sh", "-c", FILL, "fill", folder], f"cannot fill {folder}")


def free(state: Path, folder: str) -> None:
    must(state, FW, ["/bin/sh", "-c", FREE, "free", folder], f"cannot free {folder}")


def break_squid(state: Path) -> None:
    must(state, FW, ["rm", "-f", SQUID], "cannot remove Squid's link")
    write(state, FW, SQUID, BROKEN_SQUID, mode=0o755)


def mend(state: Path) -> None:
    """No point is armed, PHP is quick, Squid's program is there, disks have room. What a fault broke stays broken."""
    for folder in ("/usr/local/etc/squid", "/cf/conf"):
        free(state, folder)
    script = f"rm -f /var/lab/points/* /var/lab/slow /run/booting; [ -L {SQUID} ] || ln -sf /usr/sbin/squid {SQUID}"
    shell(state, FW, script, "cannot mend the firewall")
