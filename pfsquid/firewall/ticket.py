"""A request through the proxy with the caller's own ticket, from this machine: the proof that people get through.

Done by curl with the system's Kerberos, where both are there and somebody has a ticket; else it is not known. The host
that is asked for does not exist: what comes back once the proxy has let the request in is its error page.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from dataclasses import dataclass
from enum import StrEnum

_HOST = "http://pfsquid-proof.invalid/"
_SECONDS = 20


class Passage(StrEnum):
    """Did a request with a ticket get through?"""

    PASSED = "passed"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Ticket:
    """What became of the request; detail: a sentence."""

    passage: Passage
    detail: str


def try_ticket(proxy: str, port: int, address: str, realm: str) -> Ticket:
    """Ask the proxy, by the name that browsers use, with the ticket of whoever runs this.

    address: of the firewall that is meant; where the name leads elsewhere, nothing is known of this one. A ticket of
    another realm than `realm` would be refused by rights, and proves nothing either.
    """
    curl, klist = shutil.which("curl"), shutil.which("klist")
    if not curl or "SPNEGO" not in _said(curl, "--version")[1]:
        return Ticket(Passage.UNKNOWN, "there is no curl with Kerberos on this machine")
    if not klist or _said(klist, "-s")[0] != 0:
        return Ticket(Passage.UNKNOWN, "nobody has a ticket here: kinit, to have that proved, too")
    if not re.search(rf"^Default principal: .*@{re.escape(realm)}$", _said(klist)[1], re.MULTILINE):
        return Ticket(Passage.UNKNOWN, f"the ticket here is not of the realm {realm}")
    if address not in _addresses(proxy, port):
        return Ticket(Passage.UNKNOWN, f"{proxy} does not lead from here to {address}")
    status, code = _said(
        curl, "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--max-time", str(_SECONDS),
        "--proxy-negotiate", "--proxy-user", ":", "--proxy", f"http://{proxy}:{port}", _HOST,
    )  # fmt: skip
    return judge(status, code, proxy, port)


def judge(status: int, code: str, proxy: str, port: int) -> Ticket:
    """What curl's exit status and the HTTP status mean. Pure."""
    if code == "407":
        return Ticket(Passage.REFUSED, f"{proxy}:{port} answered 407 to a request with a ticket")
    if status == 0 and code.isdigit() and int(code) > 0:
        return Ticket(Passage.PASSED, f"a request with a ticket got through {proxy}:{port}")
    return Ticket(Passage.UNKNOWN, f"{proxy}:{port} cannot be reached from this machine (curl {status})")


def _addresses(proxy: str, port: int) -> set[str]:
    try:
        return {str(found[4][0]) for found in socket.getaddrinfo(proxy, port, type=socket.SOCK_STREAM)}
    except OSError:
        return set()


def _said(*words: str) -> tuple[int, str]:
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=_SECONDS + 10)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return 1, ""
    return done.returncode, done.stdout.strip()
