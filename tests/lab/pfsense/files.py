"""What the pose writes on the firewall: the tree root/ by release, and texts that depend on the lab. Pure."""

from __future__ import annotations

import io
import tarfile
import time
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.fw_files import internet_names, unbound_conf
from tests.lab.layout import DC, DOMAIN, DUAL_STACK_NAMES, FW, UNKNOWN_NAMES, WEB
from tests.lab.pfsense.stock import VERSIONS, Stock, config_xml

ROOT = Path(__file__).with_name("root")
# Later layers win over earlier ones.
LAYERS = {
    "2.7.2": ("all", "heimdal", "2.7.2"),
    "2.8": ("all", "heimdal", "since-2.8", "2.8"),
    "2.9": ("all", "since-2.8"),
}
PACKAGE_VERSIONS = {"2.7.2": "0.4.46", "2.8": "0.4.48", "2.9": "0.4.48"}
SSHD_MODES = {
    "any": "publickey password keyboard-interactive",
    "key": "publickey",
    "password": "password",
    "keyboard-interactive": "keyboard-interactive",
    "both": "publickey,password publickey,keyboard-interactive",
}
PATH_OVER_SSH = "/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"


def sshd_config(mode: str) -> str:
    """As pfSense has it: no agent forwarding, 30 s to log in, root may, modern algorithms only."""
    if mode not in SSHD_MODES:
        raise LabError(f"there is no sshd mode {mode}; modes are {', '.join(SSHD_MODES)}")
    return f"""Port 22
HostKey /etc/ssh/ssh_host_ed25519_key
HostKey /etc/ssh/ssh_host_rsa_key
PermitRootLogin yes
PubkeyAuthentication yes
PasswordAuthentication yes
KbdInteractiveAuthentication yes
AuthenticationMethods {SSHD_MODES[mode]}
UsePAM yes
UseDNS no
PrintMotd no
PrintLastLog no
AllowAgentForwarding no
X11Forwarding no
LoginGraceTime 30
MaxSessions 50
MaxStartups 50:30:100
KexAlgorithms curve25519-sha256,curve25519-sha256@libssh.org,diffie-hellman-group-exchange-sha256
Ciphers chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr
MACs hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha2-512,hmac-sha2-256
SetEnv PATH={PATH_OVER_SSH}
Subsystem sftp /usr/lib/openssh/sftp-server
"""


def php_ini(release: str) -> str:
    shown = "on" if release == "2.7.2" else "off"
    return f"""include_path = ".:/etc/inc:/usr/local/pfSense/include:/usr/local/pkg:/usr/local/www"
display_errors = {shown}
html_errors = off
log_errors = off
error_reporting = E_ALL
memory_limit = 512M
date.timezone = UTC
"""


def unbound_files() -> dict[str, str]:
    """The lab's unbound.conf in two pieces, around what PHP puts between, and the internet below the root zone."""
    server, _, rest = unbound_conf().partition("include: ")
    control = rest[rest.index("remote-control:") :]
    internet = "".join(
        line for line in internet_names().splitlines(keepends=True) if f'"{DOMAIN}." transparent' not in line
    )
    return {
        "var/lab/unbound_server.conf": server,
        "var/lab/unbound_control.conf": control,
        "var/unbound/internet.conf": internet,
    }


def dnsmasq_conf() -> str:
    lines = ["no-resolv", "no-hosts", "user=root", "cache-size=1000", f"address=/#/{WEB.address4}"]
    lines += [f"address=/{name}/{WEB.address6}" for name in DUAL_STACK_NAMES]
    lines += [f"address=/{name}/" for name in (*UNKNOWN_NAMES, DOMAIN)]
    lines.append(f"host-record={FW.fqdn},{FW.address4}")
    return "\n".join(lines) + "\n"


def own_files(release: str, chosen: Stock) -> dict[str, str | bytes]:
    """Files that no layer of root/ has, by path without the leading slash."""
    squid = "squid 5.7\n" + f"pfSense-pkg-squid {PACKAGE_VERSIONS[release]}\n" if chosen.package else ""
    files: dict[str, str | bytes] = {
        "cf/conf/config.xml": config_xml(release, chosen),
        "etc/version": VERSIONS[release] + "\n",
        "etc/platform": "pfSense\n",
        "etc/ssh/sshd_config": sshd_config("any"),
        "etc/sudoers.d/pfsense": "operator ALL=(root) NOPASSWD: /usr/local/bin/php, /bin/sh\n",
        "etc/hosts": f"127.0.0.1 localhost\n::1 localhost\n{FW.address4} {FW.fqdn} proxy\n",
        "etc/ldap/ldap.conf": "TLS_REQCERT never\n",
        "usr/local/etc/php.ini": php_ini(release),
        "usr/local/share/lab-packages": f"{squid}pfSense-pkg-sudo 0.3\nunbound 1.17.1\n",
        "var/lab/dnsmasq.conf": dnsmasq_conf(),
        "var/lab/dc": DC.address4 + "\n",
        "home/operator/.tcshrc": "/usr/local/sbin/read_xml_tag.sh string system/hostname >/dev/null\n",
        "home/viewer/.tcshrc": "/usr/local/sbin/read_xml_tag.sh string system/hostname >/dev/null\n",
        **unbound_files(),
    }
    if chosen.rc_local:
        files["etc/rc.local"] = "#!/bin/sh\n"
    return files


def archive(release: str, chosen: Stock) -> bytes:
    """All files as a tar, of root, 0644 or (programs) 0755; secrets and config.xml 0600."""
    content: dict[str, bytes] = {}
    for layer in (*LAYERS[release], *(("squid",) if chosen.package else ())):
        for path in sorted((ROOT / layer).rglob("*")):
            if path.is_file():
                content[str(path.relative_to(ROOT / layer))] = path.read_bytes()
    for name, text in own_files(release, chosen).items():
        content[name] = text.encode() if isinstance(text, str) else text
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, raw in content.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(raw), int(time.time())
            entry.mode = 0o755 if raw.startswith(b"#!") else 0o600 if name.endswith("config.xml") else 0o644
            tar.addfile(entry, io.BytesIO(raw))
    return made.getvalue()
