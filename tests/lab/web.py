"""Host web: starts the sites that stand for the internet (web_sites.py)."""

from __future__ import annotations

import shlex
from pathlib import Path

from tests.lab.hosts import python_module, shell, wait_until
from tests.lab.layout import WEB

LOG = "/var/log/web.log"
CERTIFICATE = """mkdir -p /etc/web && cd /etc/web && openssl req -x509 -newkey ec \
-pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj /CN=web.test -keyout key.pem -out certificate.pem"""


def start(state: Path) -> None:
    shell(state, WEB, CERTIFICATE, "the web host's certificate could not be made")
    command = shlex.join(python_module("tests.lab.web_sites"))
    shell(state, WEB, f"setsid {command} </dev/null >{LOG} 2>&1 &", "the web host does not start")
    wait_until(
        state,
        WEB,
        ["bash", "-c", f"</dev/tcp/{WEB.address4}/443 && </dev/tcp/{WEB.address6}/80"],
        "the web host does not answer",
        LOG,
        15,
    )
