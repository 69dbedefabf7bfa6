"""`pfsquid verify-kerberos`: the chain over the firewalls of a configuration, once or again and again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from pfsquid.config import Config
from pfsquid.errors import WrongUse
from pfsquid.firewall.pfsense import Pfsense
from pfsquid.kerberos.chain import CHAIN
from pfsquid.kerberos.check import Check, Result, run
from pfsquid.kerberos.facts import Asked
from pfsquid.kerberos.gather import Probes
from pfsquid.kerberos.gather_ticket import Refused

# Names of the configuration → numbers (RFC 3961 8; the registry of Kerberos encryption types).
_ENCTYPES = {
    "aes256-sha1": 18, "aes128-sha1": 17, "rc4-hmac": 23, "des3-cbc-sha1": 16, "des-cbc-crc": 1, "des-cbc-md5": 3,
}  # fmt: skip


@dataclass(frozen=True)
class Verification:
    """What is to be verified. open: connects to a firewall by its name. folder: what relative paths are relative to."""

    config: Config
    folder: Path
    open: Callable[[str], AbstractContextManager[Pfsense]]
    environment: Mapping[str, str]
    refused: Refused = field(default_factory=Refused)

    def firewall(
        self, name: str, only: Collection[str] = (), skip: Collection[str] = (), checks: tuple[Check, ...] = CHAIN
    ) -> Iterator[Result]:
        """The results of one firewall, each as soon as it is known. Raises WrongUse for a code that is no check's."""
        codes = [check.code for check in checks]
        for code in (*only, *skip):
            if code not in codes:
                raise WrongUse(f"there is no check {code!r}", "pfsquid verify-kerberos --list")
        with ExitStack() as stack:
            probes = Probes(
                asked_of(self.config, name), self.config.directory, self.config.verify, self.folder,
                lambda: stack.enter_context(self.open(name)), stack, self.environment, self.refused,
            )  # fmt: skip
            yield from run(checks, probes.gather, only, skip)


def asked_of(config: Config, name: str) -> Asked:
    """What the configuration says of one firewall's chain. Raises WrongUse."""
    kerberos, settings = config.kerberos, config.firewalls[name]
    if kerberos is None:
        raise WrongUse("the configuration has no section kerberos", "configs/example.yaml has every key")
    dns = config.dns
    return Asked(
        firewall=name,
        host=settings.host,
        realm=kerberos.realm,
        proxy=kerberos.proxy,
        account=kerberos.account,
        enctypes=tuple(_ENCTYPES[one] for one in kerberos.enctypes),
        clock_skew=kerberos.clock_skew,
        krb5_conf=kerberos.krb5_conf,
        dns=tuple(one.partition("@")[0] for one in dns.servers) if dns else (),
        zones=dns.zones if dns else (),
        reverse_zones=dns.reverse_zones if dns else (),
        kdcs=kerberos.kdcs,
        ldap_servers=config.directory.servers,
        directory=config.directory.user is not None,
        address=settings.proxy_address,
        url=config.verify.url,
        synced_from=settings.synced_from,
    )


def firewalls_of(config: Config, named: Collection[str]) -> tuple[str, ...]:
    """The firewalls to verify: the named ones, or all. Raises WrongUse."""
    if not config.firewalls:
        raise WrongUse("the configuration names no firewall", "pfsquid init --host FIREWALL")
    for name in named:
        if name not in config.firewalls:
            raise WrongUse(
                f"there is no firewall {name!r} in the configuration", f"one of: {', '.join(config.firewalls)}"
            )
    return tuple(name for name in config.firewalls if not named or name in named)
