"""Turn the running firewall into a stock pfSense of one release, and back.

What the pose replaces is kept on the firewall in a tar; `unpose` removes all that a pose has made
and unpacks it. The real Squid, unbound (or dnsmasq) and sshd run in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.lab import fw
from tests.lab.errors import LabError
from tests.lab.fw_files import SQUID_CONF
from tests.lab.hosts import execute, must, shell, wait_until, write
from tests.lab.layout import FIREWALL_PASSWORDS, FW, PROXY_PORT
from tests.lab.pfsense.files import archive, sshd_config
from tests.lab.pfsense.stock import Stock, stock

LISTENS = ["/bin/sh", "-c", f"ss -Hltn sport = :{PROXY_PORT} | grep -q ."]
BEFORE = "/var/lab-before.tar"
REPLACED = """etc/passwd etc/group etc/shadow etc/gshadow etc/ssh etc/krb5.conf etc/resolv.conf etc/hosts etc/crontab
etc/ldap/ldap.conf root/.ssh root/.profile usr/local/etc/squid usr/local/sbin usr/local/libexec/squid var/squid
var/unbound usr/bin/stat usr/bin/php usr/bin/kinit usr/bin/klist usr/bin/kdestroy usr/bin/kvno usr/bin/ktutil"""
MADE = """etc/inc etc/version etc/platform etc/rc.initial etc/rc.menu etc/rc.local etc/rc.start_packages
etc/sudoers.d/pfsense cf conf usr/local/pkg usr/local/etc/rc.d usr/local/etc/php.ini usr/local/bin/php
usr/local/bin/sudo usr/local/bin/kinit usr/local/bin/klist usr/local/bin/kdestroy usr/local/bin/kvno
usr/local/bin/ktutil usr/local/share/lab-packages usr/sbin/pkg usr/sbin/sha256 usr/libexec/lab var/lab var/etc
home/operator home/viewer tmp/config.cache tmp/config.lock run/booting"""

END_SERVICES = f"""for at in /usr/local/etc/squid /cf/conf; do
  while mountpoint -q $at; do umount -l $at; done
done
if [ -e /cf ]; then kill -9 $(pgrep -x squid) 2>/dev/null; else /usr/sbin/squid -f {SQUID_CONF} -k interrupt; fi
for pid in $(pgrep -x squid) $(cat /run/unbound.pid /run/dnsmasq.pid /run/sshd.pid 2>/dev/null); do
  kill $pid 2>/dev/null
  for i in $(seq 200); do kill -0 $pid 2>/dev/null || break; sleep 0.02; done
  kill -9 $pid 2>/dev/null
done
rm -f /run/squid/squid.pid /run/*.dirty /run/pfsquid* /etc/krb5.conf.pfsquid* /dev/shm/squid-*
"""
KEEP = f"cd /; tar -cpf {BEFORE} $(ls -d {' '.join(REPLACED.split())} 2>/dev/null)\n"
REMOVE = f"cd /; rm -rf {' '.join((REPLACED + ' ' + MADE).split())}\n"
RESTORE = f"tar -xpf {BEFORE}\n"

# Run after the archive was unpacked over what the lab's own firewall had.
FURNISH = (
    """set -e
id admin >/dev/null 2>&1 || useradd -o -u 0 -g 0 -M -d /root -s /etc/rc.initial admin
for name in operator viewer; do
  id $name >/dev/null 2>&1 || useradd -M -N -g nogroup -d /home/$name -s /bin/tcsh $name
  mkdir -p /home/$name/.ssh
  cp /root/.ssh/authorized_keys /home/$name/.ssh/
  chown -R $name:nogroup /home/$name
done
usermod -d /root -s /bin/sh root
"""
    + "".join(f"echo '{name}:{password}'\n" for name, password in FIREWALL_PASSWORDS.items()).join(
        ["{\n", "} | chpasswd -c SHA256 -s 1000\n"]
    )
    + """chmod 440 /etc/sudoers.d/pfsense
ln -sfn /cf/conf /conf
mkdir -p /cf/conf/backup /var/lab/points /var/squid/acl /var/squid/logs /var/etc /usr/local/etc/squid/icons
cp -r /usr/share/squid/icons/. /usr/local/etc/squid/icons
chown -R squid:proxy /var/squid
for program in unbound dnsmasq; do ln -sfn /usr/sbin/$program /usr/local/sbin/$program; done
ln -sfn /usr/bin/sudo /usr/local/bin/sudo
"""
)


def is_posed(state: Path) -> bool:
    return execute(state, FW, ["test", "-e", BEFORE]).returncode == 0


def _must_pose(state: Path) -> None:
    if not is_posed(state):
        raise LabError("the firewall does not pose as pfSense; begin with: python -m tests.lab pose 2.8")


def pose(state: Path, release: str | None, options: Mapping[str, Any]) -> None:
    """Pose as a release with options (stock.py); None puts the lab's own firewall back. LabError if that fails."""
    if release is None:
        unpose(state)
        return
    chosen = stock(options)
    files = archive(release, chosen)
    if is_posed(state):
        shell(state, FW, END_SERVICES + REMOVE + RESTORE, "the former pose cannot be removed")
    else:
        shell(state, FW, END_SERVICES + KEEP, "the firewall's files cannot be kept")
    move = """for name in kinit klist kdestroy kvno ktutil; do mv /usr/bin/$name /usr/local/bin/$name; done
mkdir -p /usr/libexec/lab; cp /usr/bin/stat /usr/libexec/lab/stat
rm -rf /usr/bin/stat /usr/bin/php /etc/krb5.conf /usr/local/etc/squid/* /var/squid/* /var/unbound/* /root/.profile
"""
    if not chosen.package:
        move += "rm -rf /usr/local/etc/squid /usr/local/libexec/squid /usr/local/sbin/squid /var/squid\n"
    shell(state, FW, f"set -e\n{move}", "the firewall's files cannot be replaced")
    must(
        state, FW, ["tar", "-C", "/", "--no-same-owner", "-xpf", "-"], "pfSense's files cannot be unpacked", input=files
    )
    shell(state, FW, FURNISH, "pfSense's users and folders cannot be made")
    if not chosen.package:
        shell(state, FW, "rm -rf /usr/local/etc/squid /var/squid", "Squid's folders cannot be removed")
    must(state, FW, ["/usr/sbin/sshd"], "sshd does not start")
    must(state, FW, ["/usr/local/bin/php"], "PHP does not start pfSense", input=start_program(chosen).encode())
    if chosen.package:
        wait_until(state, FW, LISTENS, "Squid does not answer", "/var/squid/logs/cache.log", 20)


def start_program(chosen: Stock) -> str:
    """What a boot does, as far as it is there: resolver, then packages. config.xml is first laid out as PHP does."""
    resolver = "" if chosen.resolver == "none" else f"services_{chosen.resolver}_configure(false);\n"
    squid = "require_once('/usr/local/pkg/squid.inc');\nsquid_resync();\n" if chosen.package else ""
    return (
        "<?php require_once('config.inc');\nrequire_once('functions.inc');\n"
        "safe_write_file('/cf/conf/config.xml', dump_xml_config($config, 'pfsense'));\n"
        f"{resolver}"
        f"system_resolvconf_generate();\nconfigure_cron();\n{squid}unlink('/var/lab/events');\n"
    )


def reboot(state: Path) -> None:
    """What a boot does to files and services: /var/run, /var/etc and /tmp are wiped, squid.conf is rendered anew and
    Squid started. A Squid that does not start is no error."""
    _must_pose(state)
    stop = "kill -9 $(pgrep -x squid) 2>/dev/null; rm -rf /run/squid /run/*.dirty /run/pfsquid* /var/etc/*"
    stop += "; find /tmp -xdev -mindepth 1 -delete 2>/dev/null; true"  # the repository may be mounted below it
    shell(state, FW, stop, "Squid cannot be stopped")
    program = "require_once('functions.inc'); services_unbound_configure(false); services_dnsmasq_configure(false);"
    boot = f"<?php require_once('config.inc');\n{program} system_resolvconf_generate(); sync_package('squid');"
    must(state, FW, ["/usr/local/bin/php"], "PHP does not boot", input=boot.encode())


def unpose(state: Path) -> None:
    """The lab's own firewall again, as it was before the first pose; nothing when it is not posed."""
    if not is_posed(state):
        return
    shell(state, FW, END_SERVICES + REMOVE + RESTORE + f"rm {BEFORE}\n", "the pose cannot be removed")
    must(state, FW, ["/usr/sbin/sshd"], "sshd does not start")
    shell(state, FW, fw.START_UNBOUND, "unbound does not start")
    fw.start_squid(state)


def restart_sshd(state: Path, mode: str | None = None) -> None:
    """Another way to log in (files.SSHD_MODES), or the same again with new host keys. Sessions go on."""
    _must_pose(state)
    if mode is not None:
        write(state, FW, "/etc/ssh/sshd_config", sshd_config(mode))
    script = (
        "pid=$(cat /run/sshd.pid); kill $pid; while kill -0 $pid 2>/dev/null; do sleep 0.01; done; exec /usr/sbin/sshd"
    )
    shell(state, FW, script, "sshd does not start again")
