"""A connection to a directory, always inside verified TLS: opened, asked, ended. What ldap3 does is all here.

The certificate is checked by the controller's *name* and against `ca` (or what the system trusts), while the connection
goes to an *address*, for this machine may not know the names of the domain. A password is sent once per connection and
never again by itself, for each wrong one counts towards a lockout; and never before the certificate was found good.
Referrals are not followed. GSSAPI and sealing are not to be had with ldap3. A connection is for one thread.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ldap3 import NONE, SIMPLE, SUBTREE, Connection, Server, Tls
from ldap3.core.exceptions import LDAPException, LDAPStartTLSError

from pfsquid.errors import WrongUse
from pfsquid.kerberos.ldap_problem import Kind, LdapProblem, no_connection, refused, untrusted

SECONDS = 5
PAGE = 500  # entries; a controller gives at most 1,000 (MaxPageSize of its LDAP policy)
_PAGED = "1.2.840.113556.1.4.319"  # the control of RFC 2696
AT_MOST = 50  # entries of an answer; there are never more that could be told to a person


@dataclass(frozen=True)
class Site:
    """Where the directory is, how its certificate is trusted and who asks.

    servers: (name in the certificate, address to connect to), tried in this order by `connect_any`. ca: PEM, None for
    what the system trusts. user: as AD takes it in a simple bind: user@REALM, a UPN, DOMAIN\\user or a DN. base: None
    for the whole domain.
    """

    servers: tuple[tuple[str, str], ...]
    user: str
    password: str = field(repr=False)
    ca: Path | None = None
    tls: Literal["ldaps", "starttls"] = "ldaps"
    port: int | None = None
    base: str | None = None
    global_catalog: bool = True


class _VerifiedTls(Tls):
    """ldap3's Tls verifies by the server's *address* and may leave that out; this one by one name, always."""

    def __init__(self, name: str, ca: Path | None) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._name = name
        self.failure: Exception | None = None
        try:
            self._context = ssl.create_default_context(cafile=None if ca is None else str(ca))
        except OSError as exc:
            raise WrongUse(
                f"directory.ca: {ca} cannot be read as certificates in PEM: {exc}",
                f"openssl x509 -in {ca} -noout -text",
            ) from exc
        # Python 3.13 wants extensions that a house's own CA often leaves out; chain, dates and name are checked.
        self._context.verify_flags &= ~ssl.VERIFY_X509_STRICT

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:  # noqa: ARG002 - ldap3's
        """Called by ldap3 for LDAPS and StartTLS; the handshake is always made, and the reason of a failure is kept."""
        try:
            connection.socket = self._context.wrap_socket(connection.socket, server_hostname=self._name)
        except Exception as exc:
            self.failure = exc
            raise


def opened(site: Site, name: str, address: str, port: int) -> Connection:
    """Connect, verify, then say the password, once. Raises LdapProblem, WrongUse."""
    if not site.password:
        raise WrongUse(f"the password of {site.user} is empty: a directory takes that for nobody", "give a password")
    tls = _VerifiedTls(name, site.ca)
    server = Server(address, port, use_ssl=site.tls == "ldaps", tls=tls, get_info=NONE, connect_timeout=SECONDS)
    connection = Connection(
        server,
        user=site.user,
        password=site.password,
        authentication=SIMPLE,
        auto_referrals=False,
        check_names=False,
        raise_exceptions=False,
        receive_timeout=SECONDS,
    )
    beginning_tls = False
    try:
        connection.open()
        if site.tls == "starttls":
            beginning_tls = True
            if not connection.start_tls():  # without it the password would go in the clear
                raise LDAPStartTLSError("it is not taken")
            beginning_tls = False
        if not connection.bind():
            raise refused(name, site.user, connection.result)
    except (LDAPException, LdapProblem) as exc:
        ended(connection)
        if isinstance(exc, LdapProblem):
            raise
        if tls.failure is not None:
            raise untrusted(name, address, port, site, tls.failure) from exc
        if beginning_tls:
            raise LdapProblem(
                Kind.NO_TLS, f"{name} does not begin TLS on port {port}: {exc}", "directory.tls: ldaps"
            ) from exc
        raise no_connection(name, address, port, exc) from exc
    return connection


def search(
    connection: Connection, name: str, base: str, filter: str, attributes: Sequence[str], scope: Any = SUBTREE
) -> list[tuple[str, Mapping[str, Sequence[bytes]]]]:
    """Entries as (DN, raw attributes), at most AT_MOST; references to other servers are left out."""
    asked(connection, name, "search", base, filter, search_scope=scope, attributes=list(attributes), size_limit=AT_MOST)
    entries = [one for one in connection.response or () if one["type"] == "searchResEntry"]
    return [(one["dn"], one["raw_attributes"]) for one in entries]


def pages(
    connection: Connection, name: str, base: str, filter: str, attributes: Sequence[str]
) -> Iterator[list[Mapping[str, Sequence[bytes]]]]:
    """Raw attributes of all entries below a base, a page at a time (RFC 2696), to the very last one.

    Raises LdapProblem, also where the server stops before the end: half of a listing is none.
    """
    cookie: bytes | None = None
    while True:
        asked(
            connection, name, "search", base, filter, search_scope=SUBTREE, attributes=list(attributes),
            paged_size=PAGE, paged_criticality=True, paged_cookie=cookie,
        )  # fmt: skip
        if connection.result["result"] != 0:
            raise refused(name, str(connection.user), connection.result, "search", base)
        yield [one["raw_attributes"] for one in connection.response or () if one["type"] == "searchResEntry"]
        told = (connection.result.get("controls") or {}).get(_PAGED) or {}
        cookie = (told.get("value") or {}).get("cookie")
        if not cookie:
            return


def asked(connection: Connection, name: str, operation: str, *words: Any, **options: Any) -> None:
    """One operation of ldap3's, by its name. Raises LdapProblem where the answer is no success, or none came."""
    try:
        getattr(connection, operation)(*words, **options)
    except LDAPException as exc:
        raise no_connection(name, connection.server.host, connection.server.port, exc) from exc
    if connection.result["result"] not in (0, 4):  # success; sizeLimitExceeded, where what came is enough
        raise refused(name, str(connection.user), connection.result, operation, words[0])


def ended(connection: Connection | None) -> None:
    """Unbind and close; whatever goes wrong in that is of no matter."""
    if connection is None:
        return
    with suppress(LDAPException, OSError):
        if not connection.closed:
            connection.unbind()
    with suppress(OSError):
        if connection.socket is not None:  # ldap3 forgets the one that it could not connect
            connection.socket.close()
