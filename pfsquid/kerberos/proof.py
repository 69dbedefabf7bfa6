"""Does a key open a ticket that the KDC gives? Asked of a real KDC, before anything relies on it."""

from __future__ import annotations

from collections.abc import Sequence

from pfsquid.errors import PfsquidError
from pfsquid.kerberos.client import login, open_ticket, probe, service_ticket
from pfsquid.kerberos.enctypes import BadKey, Key
from pfsquid.kerberos.kdc import Exchange, KdcError, NoKdc
from pfsquid.kerberos.keytab import Entry
from pfsquid.kerberos.keytabs import ENCTYPES, Salts
from pfsquid.kerberos.principal import Principal
from pfsquid.kerberos.tickets import CannotOpen

_PREAUTH_FAILED = 24
_SERVICE_UNKNOWN = 7
_NO_SUCH_ENCTYPE = 14


class NotProved(PfsquidError):  # noqa: N818 - reads as what it is
    """Why a key is not proved. wrong_key: it is certainly another than the account's."""

    def __init__(self, message: str, *next: str, wrong_key: bool = False) -> None:
        super().__init__(message, *next)
        self.wrong_key = wrong_key


class Kdc:
    """A realm's KDC, for the questions that keytabs raise."""

    def __init__(self, send: Exchange, realm: str) -> None:
        self._send, self._realm = send, realm

    def stated(self, sam: str) -> Salts:
        """The salts by which the KDC has the account's AES keys. Needs no password. Raises NotProved."""
        salts = {}
        for enctype in ENCTYPES:  # one at a time: asked for several, a KDC may state the best alone
            try:
                said = probe(self._send, self._principal(sam), (enctype,))
            except KdcError as exc:
                if exc.code == _NO_SUCH_ENCTYPE:
                    continue
                raise self._told(exc, f"the KDC says nothing of {sam}") from exc
            except NoKdc as exc:
                raise self._told(exc, f"the KDC says nothing of {sam}") from exc
            if enctype in said.salts:
                salts[enctype] = (said.salts[enctype], said.params.get(enctype))
        return salts

    def prove(self, sam: str, keys: Sequence[Key], spn: Principal, entries: Sequence[Entry]) -> Entry:
        """Log in as the account with its keys, get a ticket for the SPN, open it; the entry that did. Raises NotProved.

        A wrong key counts as one wrong password of the account.
        """
        try:
            granting = login(self._send, self._principal(sam), keys=keys, enctypes=ENCTYPES)
            ticket = service_ticket(self._send, granting, spn, ENCTYPES)
            return open_ticket(ticket, entries).entry
        except (KdcError, NoKdc, BadKey, CannotOpen) as exc:
            raise self._told(exc, f"no ticket for {spn} could be had and opened with the key of {sam}") from exc

    def _principal(self, sam: str) -> Principal:
        return Principal((sam,), self._realm)

    def _told(self, failure: Exception, what: str) -> NotProved:
        wrong = isinstance(failure, (BadKey, CannotOpen))
        if isinstance(failure, KdcError):
            wrong = failure.code == _PREAUTH_FAILED
            if failure.code == _SERVICE_UNKNOWN:
                return NotProved(f"{what}: the KDC does not know the SPN ({failure.name})", "pfsquid verify-kerberos")
            why = f"{failure.name} {failure.text}".strip()
        else:
            why = str(failure) or type(failure).__name__
        return NotProved(f"{what}: {why}", "pfsquid verify-kerberos", wrong_key=wrong)
