"""What the cases of capture_causes.py work with: a fresh lab for each, the proxy's files, a request, a helper by hand.

A case is a function of a `Bench` that injects one fault for real and gives the texts that it made, by file name.
Nothing is put back: the lab of a case goes down with it, and the next one comes up in two seconds.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from tests.lab.errors import LabError
from tests.lab.fixture import Lab
from tests.lab.fw import stop_squid
from tests.lab.fw_files import KEYTAB, LOGS, SQUID_CONF
from tests.lab.layout import PERSON_PASSWORD, PROXY_PORT, REALM, REPOSITORY, SERVICE_PASSWORD, SPN

Texts = dict[str, str]
Case = Callable[["Bench"], Texts]
CASES: dict[str, Case] = {}

HELPER = "/usr/local/libexec/squid/negotiate_kerberos_auth"
PROXY = "proxy.lab.pfsquid.test"
RICK = f"rick.sanchez@{REALM}"
FILLER = "NotAToken+"  # what stands for tokens in captures, again and again
MOST_LINES = 60
LONGEST = 800
_TOKEN = re.compile(r"[A-Za-z0-9+/]{60,}={0,2}")


def case(function: Case) -> Case:
    """Enter a case by the name of its function."""
    CASES[function.__name__.replace("_", "-")] = function
    return function


def without_tokens(text: str) -> str:
    """Each long base64 run as one of the same beginning and at most 120 characters, that is no token; and this
    repository's place as another."""

    def fake(match: re.Match[str]) -> str:
        run = match[0]
        return (run[:4] + FILLER * 12)[: min(len(run), 120) // 4 * 4]

    return _TOKEN.sub(fake, text.replace(str(REPOSITORY), "/opt/pfsquid"))


def shortened(text: str) -> str:
    """What follows Squid's start, where there is one, and of that the first lines: a loop of crashes goes on so."""
    lines = text.splitlines()
    listens = [number for number, line in enumerate(lines) if "Accepting HTTP Socket connections" in line]
    lines = lines[listens[2] :] if len(listens) > 2 else lines
    kept = [line if len(line) <= LONGEST else f"{line[:LONGEST]}…" for line in lines[:MOST_LINES]]
    more = [] if len(kept) == len(lines) else [f"(and {len(lines) - len(kept)} lines more)"]
    return "\n".join([*kept, *more]) + "\n"


@dataclass(frozen=True)
class Bench:
    """A lab that is up, and what cases do with it."""

    lab: Lab

    def out(self, host: str, line: str, timeout: float = 90) -> str:
        """What a line of bash says on both channels, whatever its status."""
        done = self.lab.exec(host, ["/bin/bash", "-c", f"( {line} ) 2>&1"], timeout=timeout)
        return done.stdout.decode("utf-8", "replace")

    def python(self, host: str, program: str) -> str:
        """What a program of Python says, with the libraries of this repository."""
        return self.out(host, f"{REPOSITORY}/.venv/bin/python -I -c {shlex.quote(program)}")

    def conf(self, old: str, new: str) -> None:
        """Change squid.conf; the text must be there."""
        before = self.lab.read("fw", SQUID_CONF).decode()
        if old not in before:
            raise LabError(f"squid.conf has no {old!r}")
        self.lab.write("fw", SQUID_CONF, before.replace(old, new).encode(), owner="squid:proxy")

    def helper_words(self, words: str) -> None:
        """Squid starts its helper with these words."""
        self.conf(f"{HELPER} -k {KEYTAB}", f"{HELPER} {words}")

    def restart(self) -> str:
        """Squid anew, with an empty log; what it said if it did not start."""
        try:
            self.lab.fresh_logs()
        except LabError as error:
            return str(error)
        return ""

    def stop(self) -> None:
        """Squid ends, and is gone."""
        stop_squid(self.lab.state)

    def log(self) -> str:
        """cache.log."""
        return self.out("fw", f"cat {LOGS}/cache.log")

    def kinit(self, who: str = RICK, password: str = PERSON_PASSWORD, host: str = "ws") -> str:
        """Log a person in; what kinit says."""
        return self.out(host, f"echo {shlex.quote(password)} | kinit {shlex.quote(who)}")

    def curl(
        self, words: str = "", name: str = PROXY, before: str = "", negotiate: str = "--proxy-negotiate -U :"
    ) -> str:
        """A request by the ticket that ws has; what curl tells of the login."""
        said = self.out(
            "ws",
            f"{before} curl -sv -m 15 {negotiate} -x http://{name}:{PROXY_PORT} {words} "
            "-o /dev/null http://www.dropbox.com/",
        )
        return "".join(line + "\n" for line in said.splitlines() if line.startswith(("*", "<", "curl")))

    def request(self, words: str = "", name: str = PROXY) -> Texts:
        """Squid anew, a person logs in and asks for a page: what client and proxy say."""
        self.restart()
        self.kinit()
        said = self.curl(words, name)
        return {"cache.log": self.log(), "client.txt": said}

    def token(self) -> str:
        """A SPNEGO token for the proxy, by the ticket that ws has."""
        said = self.out("ws", f"/usr/lib/squid/negotiate_kerberos_auth_test {PROXY} 1")
        return said.partition("YR ")[2].split()[0]

    def send(self, *values: str) -> Texts:
        """Requests with these values of Proxy-Authorization."""
        self.restart()
        said = [self.curl(f"-H 'Proxy-Authorization: {value}'", negotiate="") for value in values]
        return {"cache.log": self.log(), "client.txt": "".join(said)}

    def by_hand(self, token: str, words: str = f"-k {KEYTAB}", user: str = "squid", before: str = "") -> str:
        """What the helper says to a token, as Squid's user."""
        line = f"printf 'YR {token}\\nQQ\\n' | {before} {HELPER} {words}"
        return self.out("fw", f"su -s /bin/sh {user} -c {shlex.quote(line)}")

    def keytab(self, content: bytes, mode: int = 0o400, owner: str = "squid:proxy") -> None:
        """The firewall gets another keytab."""
        self.lab.write("fw", KEYTAB, content, mode=mode, owner=owner)

    def keytab_by_ktutil(self, *entries: str) -> None:
        """A keytab of `-p PRINCIPAL -k KVNO -e ENCTYPE` entries, with the service account's password."""
        adds = "".join(f"addent -password {entry}\\n{SERVICE_PASSWORD}\\n" for entry in entries)
        self.out("ws", f"rm -f /tmp/made.keytab; printf '{adds}wkt /tmp/made.keytab\\nq\\n' | ktutil")
        self.keytab(self.lab.read("ws", "/tmp/made.keytab"))

    def export(self, principal: str = SPN) -> None:
        """The firewall gets a keytab with the keys that the directory has now."""
        self.lab.sh(
            "dc", f"rm -f /tmp/new.keytab; samba-tool domain exportkeytab /tmp/new.keytab --principal={principal}"
        )
        self.keytab(self.lab.read("dc", "/tmp/new.keytab"))

    def kvno(self) -> int:
        """The service account's kvno."""
        said = self.out(
            "dc", "ldbsearch -H /var/lib/samba/private/sam.ldb samaccountname=svc_squid msDS-KeyVersionNumber"
        )
        return int(said.partition("msDS-KeyVersionNumber: ")[2].split()[0])

    def slow_clock(self, shift: str) -> None:
        """The helper's clock is shifted: `+10m`, `-10m`."""
        wrapper = f'#!/bin/sh\nexec faketime -f "{shift}" /usr/lib/squid/negotiate_kerberos_auth "$@"\n'
        self.lab.write("fw", HELPER, wrapper.encode(), mode=0o755)
