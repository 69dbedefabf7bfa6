"""Every fault of the Kerberos chain that the lab can inject for real, by name: `with broken(lab, "spn_missing"): …`.

The firewall poses as pfSense 2.8 and was configured by `pfsquid configure` before (tests/firewall/at_work.py). Each
break is put back exactly at the end of its context and can be made again; it takes below two seconds both ways.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

from tests.lab.breaks import accounts, clocks, controllers, kerberos, keytabs, names, proxies
from tests.lab.breaks.parts import Fault, logs, together
from tests.lab.fixture import Lab


@dataclass(frozen=True)
class Break:
    """A fault: its name, what it is in words, the link of the chain that is at fault, and the way into it."""

    name: str
    link: str
    what: str
    fault: Fault


_LINKS = {
    "names": names.FAULTS,
    "controllers": controllers.FAULTS,
    "clocks": clocks.FAULTS,
    "accounts": accounts.FAULTS,
    "keytabs": keytabs.FAULTS,
    "kerberos": kerberos.FAULTS,
    "proxies": proxies.FAULTS,
}
BREAKS: dict[str, Break] = {
    name: Break(name, link, what, fault) for link, faults in _LINKS.items() for name, (what, fault) in faults.items()
}


def broken(lab: Lab, name: str) -> AbstractContextManager[None]:
    """The lab with this fault, until the end of the context."""
    return together(logs, BREAKS[name].fault)(lab)
