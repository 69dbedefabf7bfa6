"""Host fw: sshd, unbound and Squid with Kerberos, at the paths where pfSense has them.

`prepare` needs no domain controller, `start` does. The clock of Squid alone can be set to another
day (`restart_squid`), for recordings; the authentication helper keeps the true time, for tickets.
"""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

from tests.lab import dc
from tests.lab.errors import LabError, last_lines
from tests.lab.fw_files import (
    BLOCKED_FILE,
    BLOCKED_SITES,
    KEYTAB,
    LOGS,
    SQUID_CONF,
    domain_overrides,
    helper_wrapper,
    internet_names,
    squid_conf,
    sshd_config,
    unbound_conf,
)
from tests.lab.hosts import execute, must, shell, wait_until, write
from tests.lab.layout import DOMAIN, FW, PROXY_PORT

# looks without connecting, since each connection is a record in the log
SQUID_LISTENS = ["/bin/sh", "-c", f"test $(ss -Hltn sport = :{PROXY_PORT} | wc -l) -ge 3"]
FOREGROUND = ["/bin/sh", "-c", '"$@" </dev/null >/var/squid/start.log 2>&1', "start"]
BACKGROUND = ["/bin/sh", "-c", 'setsid "$@" </dev/null >/var/squid/start.log 2>&1 &', "start"]

PREPARE = f"""set -e
id squid >/dev/null 2>&1 || useradd -r -M -d /var/squid -s /usr/sbin/nologin squid
mkdir -p /usr/local/libexec/squid {LOGS} /var/run/squid /root/.ssh /var/unbound
ln -sfn /usr/sbin/squid /usr/local/sbin/squid
for helper in /usr/lib/squid/*; do ln -sfn "$helper" /usr/local/libexec/squid/; done
chown squid:proxy /var/squid {LOGS} /var/run/squid
for file in .bashrc .profile .bash_profile .bash_login; do rm -f /root/$file; done
rm -f /etc/ssh/ssh_host_* /root/.ssh/*
chmod 700 /root /root/.ssh
"""

START_UNBOUND = """chown -R unbound /var/unbound
unbound -c /var/unbound/unbound.conf >/var/unbound/start.log 2>&1 || { cat /var/unbound/start.log; exit 1; }"""

STOP_SQUID = f"""pid=$(cat /var/run/squid/squid.pid 2>/dev/null)
squid -f {SQUID_CONF} -k shutdown 2>/dev/null
for i in $(seq 200); do
  kill -0 "$pid" 2>/dev/null || {{ rm -f /var/run/squid/squid.pid /dev/shm/squid-*; exit 0; }}
  sleep 0.05
done
echo "process $pid is still there after 10 s"; exit 1"""


def keys_folder(state: Path) -> Path:
    return state / "keys"


def make_keys(state: Path) -> Path:
    """Root's key and the host keys; made once, so that a known_hosts file outlives the lab."""
    folder = keys_folder(state)
    folder.mkdir(exist_ok=True)
    folder.chmod(0o700)
    for name, options in (
        ("id_ed25519", ["-t", "ed25519"]),
        ("fw_host_ed25519", ["-t", "ed25519"]),
        ("fw_host_rsa", ["-t", "rsa", "-b", "3072"]),
    ):
        if not (folder / name).exists():
            subprocess.run(
                ["ssh-keygen", "-q", *options, "-N", "", "-C", "pfsquid-lab", "-f", str(folder / name)],
                check=True,
                capture_output=True,
            )
    known = [
        f"{FW.address4},{FW.address6},{FW.fqdn} {(folder / name).read_text()}"
        for name in ("fw_host_ed25519.pub", "fw_host_rsa.pub")
    ]
    (folder / "known_hosts").write_text("".join(known))
    return folder


def prepare(state: Path) -> None:
    """Users, folders, files; sshd and unbound up. The keys are made."""
    keys = keys_folder(state)
    with_tls = b"--with-openssl" in must(state, FW, ["squid", "-v"], "squid -v fails")
    shell(state, FW, PREPARE, "the firewall's folders could not be made")
    for name in ("ed25519", "rsa"):
        write(state, FW, f"/etc/ssh/ssh_host_{name}_key", (keys / f"fw_host_{name}").read_bytes(), mode=0o600)
    write(state, FW, "/root/.ssh/authorized_keys", (keys / "id_ed25519.pub").read_bytes(), mode=0o600)
    write(state, FW, "/etc/ssh/sshd_config", sshd_config())
    write(state, FW, "/etc/hosts", f"127.0.0.1 localhost\n::1 localhost\n{FW.address4} {FW.fqdn} proxy\n")
    write(state, FW, "/etc/resolv.conf", f"nameserver 127.0.0.1\nsearch {DOMAIN}\n")
    write(state, FW, "/etc/krb5.conf", dc.KRB5_CONF)
    write(state, FW, "/var/unbound/unbound.conf", unbound_conf())
    write(state, FW, "/var/unbound/domainoverrides.conf", domain_overrides())
    write(state, FW, "/var/unbound/internet.conf", internet_names())
    # ours comes before the package's: a link would be overwritten through
    must(state, FW, ["rm", "-f", "/usr/local/libexec/squid/negotiate_kerberos_auth"], "cannot remove a link")
    write(state, FW, "/usr/local/libexec/squid/negotiate_kerberos_auth", helper_wrapper(), mode=0o755)
    write(state, FW, BLOCKED_FILE, "".join(f"{name}\n" for name in BLOCKED_SITES), owner="squid:proxy")
    write(state, FW, SQUID_CONF, squid_conf(with_tls), owner="squid:proxy")
    must(state, FW, ["/usr/sbin/sshd"], "sshd does not start")
    shell(state, FW, START_UNBOUND, "unbound does not start")


def start(state: Path) -> None:
    """Install the keytab and start Squid; the domain controller is up."""
    write(state, FW, KEYTAB, dc.read(state, f"{dc.KEYTABS}/squid.keytab"), mode=0o400, owner="squid:proxy")
    parsed = execute(state, FW, ["squid", "-f", SQUID_CONF, "-k", "parse"])
    if parsed.returncode or b"FATAL" in parsed.stderr:
        raise LabError(f"Squid refuses its configuration:\n{last_lines(parsed.stderr)}")
    start_squid(state)


def start_squid(state: Path, at: str | None = None, speed: float = 1.0) -> None:
    """Start Squid; with `at` ("2026-11-16 09:00:00", UTC) its own clock starts there and runs on,
    `speed` times as fast as the true one."""
    command = ["squid", "-f", SQUID_CONF]
    if at is not None:
        offset = datetime.fromisoformat(at).replace(tzinfo=UTC) - datetime.now(UTC)
        clock = f"FAKETIME={offset.total_seconds():+.0f}{f' x{speed:g}' if speed != 1 else ''}"
        # -N: a worker process is started with changed ids, for which the loader ignores LD_PRELOAD
        library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
        faked = ["env", f"LD_PRELOAD={library}", clock, "DONT_FAKE_MONOTONIC=1", *command, "-N"]
        must(state, FW, [*BACKGROUND, *faked], "Squid does not start")
    else:
        must(state, FW, [*FOREGROUND, *command], "Squid does not start")
    wait_until(state, FW, SQUID_LISTENS, "Squid does not answer", f"{LOGS}/cache.log", 20)


def stop_squid(state: Path) -> None:
    """End Squid and wait until it is gone; open tunnels are logged as they end. What a killed Squid
    has left is removed: the next one would not start beside it."""
    shell(state, FW, STOP_SQUID, "Squid does not stop")


def restart_squid(state: Path, at: str | None = None, speed: float = 1.0) -> None:
    stop_squid(state)
    start_squid(state, at, speed)


def fresh_logs(state: Path) -> None:
    """Stop Squid, remove its logs, start it: the next record is the first one."""
    stop_squid(state)
    shell(state, FW, f"rm -f {LOGS}/*", "Squid's logs cannot be removed")
    start_squid(state)
