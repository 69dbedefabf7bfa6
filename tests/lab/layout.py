"""Who and what is in the lab: hosts, addresses, accounts, and where the state folder is.

Facts only; nothing here touches the machine. Every password below is made for the lab and
opens nothing else.
"""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
MARK = "pfsquid-lab-host"  # stands in the command line of each host's pid 1

REALM = "LAB.PFSQUID.TEST"
DOMAIN = "lab.pfsquid.test"
NETBIOS = "LAB"
BASE_DN = "DC=lab,DC=pfsquid,DC=test"
UPN_SUFFIX = "pfsquid.example"  # not the realm: the normal case with Entra
REVERSE_ZONE = "0.77.10.in-addr.arpa"

ADMIN_PASSWORD = "Adm1n-Passw0rd!"
SERVICE_PASSWORD = "Svc-Squid-Passw0rd1!"
PERSON_PASSWORD = "Wubba-Lubba-1!"
COMPUTER_PASSWORD = "Ws1-C0mputer-Passw0rd!"
CHECKER_PASSWORD = "Chk-R3ads-0nly-Passw0rd!"
# Accounts of the firewall while it poses as pfSense; all take root's key, too.
FIREWALL_PASSWORDS = {
    "root": "Fw-Adm1n-Passw0rd!",
    "admin": "Fw-Adm1n-Passw0rd!",
    "operator": "Fw-0perator-Passw0rd!",  # tcsh, may sudo php and sh
    "viewer": "Fw-V1ewer-Passw0rd!",  # tcsh, may not
}

SERVICE_ACCOUNT = "svc_squid"
CHECKER_ACCOUNT = "checker"  # an ordinary user, with whom the directory is read
COMPUTER_ACCOUNT = "WS1$"
SPN = f"HTTP/proxy.{DOMAIN}"
PROXY_PORT = 3128


@dataclass(frozen=True)
class Host:
    """One machine of the lab; `address4` and `address6` are empty for the switch."""

    name: str
    fqdn: str
    address4: str = ""
    address6: str = ""


SWITCH = Host("sw", "sw.lab.invalid")
DC = Host("dc", f"dc1.{DOMAIN}", "10.77.0.10", "fd77::10")
FW = Host("fw", f"proxy.{DOMAIN}", "10.77.0.1", "fd77::1")
WS = Host("ws", f"ws1.{DOMAIN}", "10.77.0.50", "fd77::50")
WEB = Host("web", "web.test", "10.77.0.80", "fd77::80")
MACHINES = (DC, FW, WS, WEB)
HOSTS = (SWITCH, *MACHINES)
DC2 = Host("dc2", f"dc2.{DOMAIN}", "10.77.0.11", "fd77::11")  # up only for who asks for it: dc2.py
EVERY_HOST = (*HOSTS, DC2)

# Names that unbound answers otherwise than with the web host's IPv4 address alone.
DUAL_STACK_NAMES = ("dual.example", "www.wikipedia.org")
IPV6_ONLY_NAMES = ("six.example", "ipv6.google.com")
UNKNOWN_NAMES = ("nowhere.example",)  # NXDOMAIN


@dataclass(frozen=True)
class Person:
    """An account in the directory. `account` is the sAMAccountName."""

    account: str
    given_name: str
    surname: str
    display_name: str
    department: str

    @property
    def principal(self) -> str:
        return f"{self.account}@{REALM}"

    @property
    def mail(self) -> str:
        """Also the UPN: ASCII without spaces, as an Entra tenant has it."""
        plain = unicodedata.normalize("NFKD", self.account).encode("ascii", "ignore").decode()
        return f"{plain.replace(' ', '.')}@{UPN_SUFFIX}"


PEOPLE = (
    Person("rick.sanchez", "Rick", "Sanchez", "Rick Sánchez", "Research"),
    Person("morty.smith", "Morty", "Smith", "Morty Smith", "Research"),
    Person("summer.smith", "Summer", "Smith", "Summer Smith", "Sales"),
    Person("jerry.smith", "Jerry", "Smith", "Jerry Smith", "Sales"),
    Person("beth.smith", "Beth", "Smith", "Beth Smith", "Sales"),
    Person("bird.person", "Bird", "Person", "Bird Person", "Research"),
    Person("tammy guetermann", "Tammy", "Guetermann", "Tammy Gütermann", "Sales"),
    Person("renée.palmer", "Renée", "Palmer", "Renée Palmer", "Research"),
)


def state_folder() -> Path:
    """The one folder that the lab writes to; $PFSQUID_LAB_STATE, else `.lab` in the repository. Each worker of pytest's
    -n has a lab of its own in a folder below it."""
    chosen = os.environ.get("PFSQUID_LAB_STATE")
    folder = Path(chosen).resolve() if chosen else REPOSITORY / ".lab"
    return folder / os.environ.get("PYTEST_XDIST_WORKER", "")


def shared_folder(state: Path) -> Path:
    """What the labs of all workers have in common, the cached domain: a folder of the lab that is not a worker's."""
    return state.parent if state.name == os.environ.get("PYTEST_XDIST_WORKER") else state
