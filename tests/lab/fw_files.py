"""What stands in the firewall's files: pure text from the lab's facts, nothing is written here."""

from __future__ import annotations

import importlib

from tests.lab.layout import (
    DC,
    DOMAIN,
    DUAL_STACK_NAMES,
    FW,
    IPV6_ONLY_NAMES,
    PROXY_PORT,
    REVERSE_ZONE,
    UNKNOWN_NAMES,
    WEB,
)

SQUID_CONF = "/usr/local/etc/squid/squid.conf"
KEYTAB = "/usr/local/etc/squid/squid.keytab"
LOGS = "/var/squid/logs"
NATIVE_LOG = f"{LOGS}/access.log"
OWN_LOG = f"{LOGS}/pfsquid.log"
BLOCKED_FILE = "/var/squid/acl/blocked.acl"
BLOCKED_SITES = (".thepiratebay.org", ".pastebin.com", ".interdimensional-cable.example")


def own_format(with_tls: bool) -> str:
    """pfsquid's log format, from the collector, so that the lab's Squid writes what it reads.
    A Squid without OpenSSL refuses the TLS code: `-` stands for it then."""
    formats: dict[str, str] = importlib.import_module("collectors.squid.logformat").FORMATS
    return formats["pfsquid"] if with_tls else formats["pfsquid"].replace("%ssl::>sni", "-")


def sshd_config() -> str:
    return """Port 22
ListenAddress 0.0.0.0
ListenAddress ::
HostKey /etc/ssh/ssh_host_ed25519_key
HostKey /etc/ssh/ssh_host_rsa_key
PermitRootLogin prohibit-password
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
PrintMotd no
MaxSessions 50
MaxStartups 50:30:100
Subsystem sftp /usr/lib/openssh/sftp-server
"""


def unbound_conf() -> str:
    """As pfSense lays it out. unbound's built-in zones would answer NXDOMAIN for `test.` and
    `10.in-addr.arpa.` before any forward-zone is asked, hence `nodefault`."""
    return """server:
  chroot: ""
  directory: "/var/unbound"
  username: "unbound"
  pidfile: "/var/run/unbound.pid"
  use-syslog: no
  logfile: "/var/unbound/unbound.log"
  verbosity: 1
  interface: 0.0.0.0
  interface: ::0
  access-control: 0.0.0.0/0 allow
  access-control: ::0/0 allow
  module-config: "iterator"
  private-address: 10.0.0.0/8
  private-address: fd00::/8
  local-zone: "test." nodefault
  local-zone: "10.in-addr.arpa." nodefault
  infra-host-ttl: 5
include: /var/unbound/domainoverrides.conf
include: /var/unbound/internet.conf
remote-control:
  control-enable: yes
  control-interface: /var/run/unbound.ctl
"""


def domain_overrides() -> str:
    return f"""server:
  private-domain: "{DOMAIN}"
  domain-insecure: "{DOMAIN}"
  local-zone: "{REVERSE_ZONE}" typetransparent
forward-zone:
  name: "{DOMAIN}"
  forward-addr: {DC.address4}
forward-zone:
  name: "{REVERSE_ZONE}"
  forward-addr: {DC.address4}
"""


def internet_names() -> str:
    """The lab's internet: every name that no other zone has is the web host."""
    lines = [
        "server:",
        '  local-zone: "." redirect',
        f'  local-data: ". 60 IN A {WEB.address4}"',
        f'  local-zone: "{DOMAIN}." transparent',
    ]
    for name in (*DUAL_STACK_NAMES, *IPV6_ONLY_NAMES):
        lines.append(f'  local-zone: "{name}." redirect')
        lines.append(f'  local-data: "{name}. 60 IN AAAA {WEB.address6}"')
        if name in DUAL_STACK_NAMES:
            lines.append(f'  local-data: "{name}. 60 IN A {WEB.address4}"')
    lines += [f'  local-zone: "{name}." always_nxdomain' for name in UNKNOWN_NAMES]
    return "\n".join(lines) + "\n"


def helper_wrapper() -> str:
    """Squid's clock may be set to another day; the helper must see the true one."""
    return """#!/bin/sh
unset LD_PRELOAD FAKETIME FAKETIME_SHARED DONT_FAKE_MONOTONIC
exec /usr/lib/squid/negotiate_kerberos_auth "$@"
"""


def squid_conf(with_tls: bool) -> str:
    """The order is that of the pfSense package: ports, localhost, custom options, the rest."""
    return f"""http_port {FW.address4}:{PROXY_PORT}
http_port [{FW.address6}]:{PROXY_PORT}
http_port 127.0.0.1:{PROXY_PORT}
cache_effective_user squid
cache_effective_group proxy
pid_filename /var/run/squid/squid.pid
visible_hostname {FW.fqdn}
cache_mem 8 MB
cache deny all
cache_log {LOGS}/cache.log
cache_store_log none
netdb_filename {LOGS}/netdb.state
access_log {LOGS}/access.log squid
logformat pfsquid {own_format(with_tls)}
access_log stdio:{OWN_LOG} logformat=pfsquid
buffered_logs off
logfile_rotate 3
pinger_enable off
coredump_dir none
shutdown_lifetime 0 seconds
forwarded_for on

acl sslports port 443 563 8443
acl safeports port 21 70 80 210 280 443 488 563 591 631 777 901 3128 1025-65535
acl CONNECT method CONNECT
http_access deny !safeports
http_access deny CONNECT !sslports
http_access allow localhost

# Custom options before auth
auth_param negotiate program /usr/local/libexec/squid/negotiate_kerberos_auth -k {KEYTAB}
auth_param negotiate children 40 startup=0 idle=1
auth_param negotiate keep_alive on
acl auth proxy_auth REQUIRED
http_access deny !auth

acl blocked dstdomain "{BLOCKED_FILE}"
http_access deny blocked
http_access allow auth
http_access deny all
"""
