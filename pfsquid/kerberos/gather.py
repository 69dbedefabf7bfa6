"""Gathering: what the checks judge, of the firewall, the domain controllers and the proxy. Writes nothing anywhere.

A `Probes` serves one run over one firewall; each record is gathered once, when the first check wants it. A password is
tried once and remembered as refused, over all firewalls and rounds: wrong ones count towards a lockout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pfsquid.errors import PfsquidError
from pfsquid.firewall.inspect import Asked as Wanted
from pfsquid.firewall.inspect import inspect
from pfsquid.firewall.inspected import Inspected
from pfsquid.firewall.pfsense import Pfsense
from pfsquid.firewall.ssh import fingerprint
from pfsquid.kerberos import gather_directory, gather_names, gather_proxy, gather_ticket
from pfsquid.kerberos.causes import diagnose
from pfsquid.kerberos.check import Gathering
from pfsquid.kerberos.facts import Asked, Clocks, Domain, Door, Kdcs, Ldap, Names, Owners
from pfsquid.kerberos.facts_proxy import Children, Journal, Keys, Login, Offer, Requested, Service, Spoken, Trial
from pfsquid.kerberos.gather_directory import Controllers
from pfsquid.kerberos.gather_ticket import Credentials, Refused
from pfsquid.kerberos.kdc import Exchange
from pfsquid.kerberos.keytab import BadKeytab, parse
from pfsquid.settings import DirectorySettings, VerifySettings


@dataclass
class Probes:
    """The probes of one run. connect: opens the firewall, within `stack`. folder: where relative paths begin."""

    asked: Asked
    directory: DirectorySettings
    verify: VerifySettings
    folder: Path
    connect: Callable[[], Pfsense]
    stack: ExitStack
    environment: Mapping[str, str]
    refused: Refused = field(default_factory=Refused)
    _pfsense: Pfsense | None = None
    _exchange: Exchange | None = None
    _credentials: Credentials | None = None

    def __post_init__(self) -> None:
        names = [name for name in vars(Probes) if name.startswith("get_")]
        self.gather = Gathering({name.removeprefix("get_"): getattr(self, name) for name in names})

    def _get(self, name: str) -> Any:
        return self.gather(name)

    @property
    def pfsense(self) -> Pfsense:
        """The open firewall. Raises what stood in the way of it."""
        self._get("door")
        if self._pfsense is None:
            raise PfsquidError("the firewall could not be entered", "see ssh")
        return self._pfsense

    def get_asked(self) -> Asked:
        """What the configuration says."""
        return self.asked

    def get_door(self) -> Door:
        """The way in."""
        try:
            self._pfsense = self.connect()
        except PfsquidError as exc:
            return Door("", "", exc.message, tuple(exc.next))
        key = self._pfsense.connection.transport.get_remote_server_key()
        return Door(self._pfsense.connection.target.user, f"{key.get_name()} {fingerprint(key)}")

    def get_firewall(self) -> Inspected:
        """All that the firewall is like."""
        confs = tuple(dict.fromkeys((self.asked.krb5_conf, *Wanted().krb5_confs)))
        ordered = tuple(sorted(confs, key=lambda path: path not in Wanted().krb5_confs))
        return inspect(self.pfsense, Wanted(krb5_confs=ordered))

    def get_names(self) -> Names:
        """What DNS says, and which servers answer."""
        return gather_names.names(self.pfsense, self.asked, self._get("firewall"))

    def get_kdcs(self) -> Kdcs:
        """The KDCs, asked from the firewall."""
        return gather_names.kdcs(self.pfsense, self.asked, self._get("names"))

    def get_clocks(self) -> Clocks:
        """All clocks."""
        kdcs: Kdcs = self._get("kdcs")
        clock = self._get("firewall").clock
        return Clocks(clock.offset, clock.error, kdcs.offsets)

    def get_controllers(self) -> Controllers:
        """The domain controllers' LDAP, opened."""
        names: Names = self._get("names")
        return gather_directory.controllers(self.asked, self.directory, self.folder, names, self.stack, self.refused)

    def get_ldap(self) -> Ldap:
        """Which of them let us in."""
        controllers: Controllers = self._get("controllers")
        return controllers.ldap

    def get_owners(self) -> Owners:
        """Who has the SPN."""
        return gather_directory.owners(self.asked, self._get("controllers"))

    def get_maybe_owners(self) -> Owners | None:
        """The same, None where the directory cannot be asked."""
        try:
            owners: Owners = self._get("owners")
        except Exception:  # noqa: BLE001 - another check tells why
            return None
        return owners

    def get_domain(self) -> Domain:
        """The service account's kvno on each controller, and the domain's rules for passwords."""
        return gather_directory.domain(self._get("controllers"), self._get("owners"))

    def get_keys(self) -> Keys:
        """The firewall's keytab, parsed in memory."""
        state = self._get("firewall").keytab
        content = state.file.content if state and state.file else None
        path = state.path if state else ""
        if content is None:
            return Keys(path, (), "its content could not be read")
        try:
            entries = parse(content)
        except BadKeytab as exc:
            found = diagnose(str(exc), "helper")
            return Keys(path, (), str(exc), tuple(one.code for one in found))
        return Keys(path, entries, "" if entries else "it has no entry")

    @property
    def credentials(self) -> Credentials:
        """Whose ticket is tried. Raises NotAsked where nobody's can be had."""
        if self._credentials is None:
            self._credentials = gather_ticket.credentials(
                self.asked, self.verify, self.directory, self.folder, self.environment
            )
        return self._credentials

    def get_login(self) -> Login:
        """A ticket of the domain for whoever tries the chain."""
        return gather_ticket.log_in(self.credentials, self._send, self.refused)

    def get_service(self) -> Service:
        """A ticket for the proxy, tried with the firewall's keytab."""
        return gather_ticket.for_proxy(self.asked, self._get("login"), self._send, self._get("keys"))

    def get_trial(self) -> Trial:
        """Does the keytab open a ticket, as far as that is known?"""
        try:
            if not any(answers.tcp == "" for answers in self._get("kdcs").answers.values()):
                return Trial(None)  # a login would wait for its time-outs, for nothing
            service: Service = self._get("service")
        except Exception:  # noqa: BLE001 - another check tells why
            return Trial(None)
        if service.ticket is None:
            return Trial(None)
        return Trial(service.opened is not None, service.ticket.enctype)

    def _send(self, message: bytes) -> bytes:
        if self._exchange is None:
            self._exchange = gather_ticket.exchange(self.pfsense, self._get("kdcs"))
        return self._exchange(message)

    def get_tried(self) -> Spoken:
        """What the helper says to a token that is none."""
        return gather_proxy.speak(self.pfsense, self._get("firewall"), b"pfsquid" * 8)

    def get_accepted(self) -> Spoken:
        """What the helper says to a real token."""
        token = gather_ticket.fresh_token(self._get("service"))
        return gather_proxy.speak(self.pfsense, self._get("firewall"), token)

    def get_offer(self) -> Offer:
        """What the proxy offers at its LAN address."""
        return gather_proxy.offer(self.pfsense, self.asked, self._get("firewall"))

    def get_requested(self) -> Requested:
        """A real request."""
        login: Login = self._get("login")
        token = gather_ticket.fresh_token(self._get("service"))
        who = str(login.tgt.client) if login.tgt else login.who
        return gather_proxy.requested(self.pfsense, self.asked, self._get("firewall"), self._get("offer"), who, token)

    def get_journal(self) -> Journal:
        """The end of cache.log, told apart by when the present helpers were started."""
        return gather_proxy.journal(self.pfsense, self._get("firewall"))

    def get_children(self) -> Children:
        """How many helpers are busy."""
        return gather_proxy.counted(self._get("firewall"))
