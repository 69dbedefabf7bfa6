"""What tests ask of the posing firewall's proxy, and what a GUI would do with it; functions of a lab that is up."""

from __future__ import annotations

import base64
import subprocess
import time
from collections.abc import Callable

from tests.lab.fixture import Lab
from tests.lab.layout import DC, DOMAIN, FW, REALM, SPN

CONF = "/usr/local/etc/squid/squid.conf"
KEYTAB = "/usr/local/etc/squid/lab.keytab"
GENERAL = "installedpackages/squid/config/0"
BEFORE_AUTH = f"{GENERAL}/custom_options_squid3"
AFTER_AUTH = f"{GENERAL}/custom_options2_squid3"
# PHP that adds what lets the firewall and its clients find the domain.
OVERRIDES = f"""config_set_path('unbound/domainoverrides', [[
    'domain' => '{DOMAIN}', 'ip' => '{DC.address4}', 'descr' => '', 'tls_hostname' => '']]);"""


def kerberos(keytab: str = KEYTAB) -> str:
    """Custom options that ask for a ticket (and, with the last line, insist)."""
    helper = "/usr/local/libexec/squid/negotiate_kerberos_auth"
    return f"""auth_param negotiate program {helper} -k {keytab} -s {SPN}@{REALM} -t none
auth_param negotiate children 5 startup=1 idle=1
acl kerb proxy_auth REQUIRED
http_access deny !kerb
"""


def resync(lab: Lab, before: str = "") -> subprocess.CompletedProcess[str]:
    return lab.php(f"require_once('/usr/local/pkg/squid.inc'); {before} squid_resync();")


def put(lab: Lab, text: str, path: str = BEFORE_AUTH) -> subprocess.CompletedProcess[str]:
    """Save a text area as the GUI does, and resync."""
    encoded = base64.b64encode(text.replace("\n", "\r\n").encode()).decode()
    return resync(lab, f"config_set_path('{path}', '{encoded}'); write_config('a test');")


def answer(lab: Lab, url: str = "http://www.example.com/", proxy: str = FW.address4, host: str = "ws") -> str:
    """The status that the proxy gives; 000 where there is no proxy."""
    words = f"curl -s -m 5 -o /dev/null -w '%{{http_code}}' -x http://{proxy}:3128 {url} || true"
    return lab.sh(host, words)


def until(true: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)


def conf(lab: Lab) -> str:
    return lab.read("fw", CONF).decode()


def parses(lab: Lab) -> bool:
    return lab.exec("fw", ["/usr/local/sbin/squid", "-k", "parse", "-f", CONF]).returncode == 0


def runs(lab: Lab) -> bool:
    return lab.exec("fw", ["pgrep", "-x", "squid"]).returncode == 0


def keytab(lab: Lab, path: str = KEYTAB, owner: str = "root:root", mode: int = 0o400) -> None:
    lab.write("fw", path, lab.read("dc", "/lab/keytabs/squid.keytab"), mode=mode, owner=owner)
