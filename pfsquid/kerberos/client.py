"""A Kerberos client: what the KDC says of a principal, a login, a ticket for a service (RFC 4120 3.1, 3.3).

Needs no krb5.conf, no ticket cache and no Kerberos of the system; keeps nothing. It works on the KDC's time, whatever
ours is, as MIT's kdc_timesync does. Every function takes the way to the KDC (kdc.Exchange), and raises

- KdcError: what the KDC refused, with its code; WrongRealm where it refers to another realm, which is never followed;
- NoKdc: it cannot be reached, or what it answers is no Kerberos, or is no answer to what was asked.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pfsquid.kerberos import messages
from pfsquid.kerberos.der import BadDer
from pfsquid.kerberos.enctypes import SUPPORTED, BadKey, Key, checksum, decrypt, encrypt, name_of, string_to_key
from pfsquid.kerberos.kdc import Exchange
from pfsquid.kerberos.kdc_errors import ETYPE_NOSUPP, PREAUTH_FAILED, PREAUTH_REQUIRED, KdcError, NoKdc, WrongRealm
from pfsquid.kerberos.principal import NT_ENTERPRISE, NT_SRV_INST, Principal
from pfsquid.kerberos.tickets import CannotOpen, Opened, Ticket, ap_request, open_ticket

__all__ = ["CannotOpen", "Opened", "Probe", "Ticket", "login", "open_ticket", "probe", "service_ticket"]

# Key usages of RFC 4120 7.5.1
_TIMESTAMP, _AS_REPLY, _TGS_CHECKSUM, _TGS_REQUEST, _TGS_REPLY = 1, 3, 6, 7, 8
_KRBTGT = "krbtgt"


@dataclass(frozen=True)
class Probe:
    """What a KDC tells of a principal to anybody.

    preauth: it wants a proof of the key first; salts, params: by enctype, in the KDC's order, what string_to_key takes
    (empty where the KDC states none); offset: the KDC's clock minus ours, None where it did not tell (no preauth).
    """

    preauth: bool
    salts: Mapping[int, bytes]
    params: Mapping[int, bytes | None]
    offset: timedelta | None


@dataclass(frozen=True)
class _First:
    """The answer to a request without preauthentication; reply: where none was wanted."""

    probe: Probe
    cookie: tuple[messages.PaData, ...]
    nonce: int
    reply: messages.Reply | None


@dataclass(frozen=True)
class _Secret:
    """A password, or keys."""

    password: str | None = field(repr=False)
    keys: Mapping[int, Key]

    def key(self, enctype: int, salts: Mapping[int, bytes], params: Mapping[int, bytes | None], own: bytes) -> Key:
        if self.password is None:
            return self.keys[enctype]
        return string_to_key(enctype, self.password, salts.get(enctype, own), params.get(enctype))


def probe(send: Exchange, principal: Principal, enctypes: Sequence[int] = SUPPORTED) -> Probe:
    """Ask for a ticket without saying who asks: needs no credentials, and counts as no bad password.

    KdcError: 6 unknown, 18 disabled or locked, 23 password expired, 14 no such enctype… as the KDC tells it this early.
    """
    return _first(send, principal, enctypes).probe


def login(
    send: Exchange,
    principal: Principal,
    password: str | None = None,
    keys: Sequence[Key] = (),
    enctypes: Sequence[int] = SUPPORTED,
) -> Ticket:
    """A ticket-granting ticket, by a password or by keys of the principal.

    enctypes: allowed, the best first. keys: the first of an enctype counts and no other is tried, as each wrong one
    counts as a bad password. name_type 10 (NT_ENTERPRISE) makes a principal of one component a UPN.
    KdcError 24: wrong password or key; 14: the KDC has no key of any of the enctypes, or the keys are of none of them.
    """
    if (password is None) == (not keys):
        raise ValueError("a login takes either a password or keys")
    secret = _Secret(password, {key.enctype: key for key in reversed(keys)})
    wanted = [
        enctype for enctype in enctypes if enctype in SUPPORTED and (password is not None or enctype in secret.keys)
    ]
    if not wanted:
        raise KdcError(ETYPE_NOSUPP, "none of the keys is of an enctype that may be used")
    begun = _first(send, principal, wanted)
    if begun.reply is not None:
        return _granted(begun.reply, begun.nonce, principal, secret, begun.probe)
    enctype = next((one for one in wanted if one in begun.probe.salts), None)
    if enctype is None:
        asked = ", ".join(name_of(one) for one in wanted)
        raise KdcError(ETYPE_NOSUPP, f"the KDC has no key of {asked} for {principal}")
    try:
        key = secret.key(enctype, begun.probe.salts, begun.probe.params, _own_salt(principal))
        at = _now(begun.probe.offset or timedelta())
        proof = messages.sealed(enctype, encrypt(key, _TIMESTAMP, messages.timestamp(at)))
    except BadKey as error:
        raise KdcError(ETYPE_NOSUPP, str(error)) from None
    nonce = _nonce()
    padata = [(messages.PA_ENC_TIMESTAMP, proof), messages.pac_request(True), *begun.cookie]
    reply = _ask(send, _as_request(principal, wanted, nonce, padata), messages.AS_REP)
    return _granted(reply, nonce, principal, secret, begun.probe)


def service_ticket(send: Exchange, tgt: Ticket, spn: Principal, enctypes: Sequence[int] = SUPPORTED) -> Ticket:
    """A ticket for a service, from the KDC of the TGT's realm.

    enctypes: for the session key; with which key the ticket itself is encrypted is the KDC's choice, and the service's.
    KdcError 7: no such SPN, or more than one account has it; WrongRealm: the service is in another realm.
    BadKey: the session key of the TGT is of an enctype not in SUPPORTED (a TGT of another client's cache).
    """
    if len(tgt.server.components) != 2 or tgt.server.components[0] != _KRBTGT:
        raise ValueError(f"a ticket for {tgt.server} is no ticket-granting ticket")
    realm = tgt.server.components[1]
    nonce = _nonce()
    body = messages.request_body(None, realm, spn, enctypes, nonce, messages.CANONICALIZE)
    proof = ap_request(tgt, _TGS_REQUEST, checksum(tgt.session, _TGS_CHECKSUM, body), _now(tgt.offset))
    reply = _ask(send, messages.request(messages.TGS_REQ, body, [(messages.PA_TGS_REQ, proof)]), messages.TGS_REP)
    try:
        part = messages.read_reply_part(decrypt(tgt.session, _TGS_REPLY, reply.sealed.cipher))
        ticket = _ticket(reply, part, nonce, tgt.offset)
    except BadKey:
        raise NoKdc("the answer of the KDC cannot be opened with the session key of the login") from None
    except BadDer as error:
        raise NoKdc(f"the KDC answers with something that is no Kerberos: {error}") from None
    name = ticket.server.components
    if name[:1] == (_KRBTGT,) and spn.components[:1] != (_KRBTGT,):
        raise WrongRealm(f"the KDC of {realm} refers to the realm {name[-1]} for {spn}", name[-1])
    return ticket


def _first(send: Exchange, principal: Principal, enctypes: Sequence[int]) -> _First:
    nonce, before = _nonce(), datetime.now(UTC)
    try:
        reply = _ask(send, _as_request(principal, enctypes, nonce, [messages.pac_request(True)]), messages.AS_REP)
    except KdcError as error:
        if error.code != PREAUTH_REQUIRED:
            raise
        after = datetime.now(UTC)
        try:
            padata = messages.read_padata(error.data)
            salts, params = messages.salts_in(padata, _own_salt(principal))
        except BadDer as bad:
            raise NoKdc(f"the KDC wants preauthentication and does not say which: {bad}") from None
        offset = messages.clock_offset(error.server_time, before, after) if error.server_time else None
        cookie = tuple(one for one in padata if one[0] == messages.PA_FX_COOKIE)
        return _First(Probe(True, salts, params, offset), cookie, nonce, None)
    try:
        salts, params = messages.salts_in(reply.padata, _own_salt(principal))
    except BadDer as error:
        raise NoKdc(f"the KDC answers with something that is no Kerberos: {error}") from None
    return _First(Probe(False, salts, params, None), (), nonce, reply)


def _as_request(principal: Principal, enctypes: Sequence[int], nonce: int, padata: Sequence[messages.PaData]) -> bytes:
    server = Principal((_KRBTGT, principal.realm), principal.realm, NT_SRV_INST)
    options = messages.CANONICALIZE if principal.name_type == NT_ENTERPRISE else 0
    body = messages.request_body(principal, principal.realm, server, enctypes, nonce, options)
    return messages.request(messages.AS_REQ, body, padata)


def _ask(send: Exchange, request: bytes, kind: int) -> messages.Reply:
    answer = send(request)
    try:
        error = messages.error_in(answer)
        if error is None:
            return messages.read_reply(answer, kind)
    except BadDer as bad:
        raise NoKdc(f"the KDC answers with something that is no Kerberos: {bad}") from None
    raise error


def _granted(reply: messages.Reply, nonce: int, principal: Principal, secret: _Secret, told: Probe) -> Ticket:
    enctype = reply.sealed.enctype
    if enctype not in SUPPORTED or (secret.password is None and enctype not in secret.keys):
        raise KdcError(ETYPE_NOSUPP, f"the KDC answers with {name_of(enctype)}, which was not asked for")
    try:
        own = _own_salt(principal)
        salts, params = messages.salts_in(reply.padata, own)
        key = secret.key(enctype, {**told.salts, **salts}, {**told.params, **params}, own)
        part = messages.read_reply_part(decrypt(key, _AS_REPLY, reply.sealed.cipher))
        offset = told.offset if told.offset is not None else part.at - datetime.now(UTC)
        ticket = _ticket(reply, part, nonce, offset)
    except BadKey:
        raise KdcError(PREAUTH_FAILED, "the answer of the KDC does not open with the password or key given") from None
    except BadDer as error:
        raise NoKdc(f"the KDC answers with something that is no Kerberos: {error}") from None
    if ticket.server.components[:1] != (_KRBTGT,):
        raise NoKdc(f"the KDC answers with a ticket for {ticket.server} instead of a ticket-granting ticket")
    return ticket


def _ticket(reply: messages.Reply, part: messages.ReplyPart, nonce: int, offset: timedelta) -> Ticket:
    if part.nonce & 0xFFFFFFFF != nonce:
        raise BadDer("an answer to another request")
    _, sealed = messages.read_ticket(reply.ticket)
    return Ticket(
        client=reply.client,
        server=part.server,
        session=part.session,
        der=reply.ticket,
        enctype=sealed.enctype,
        kvno=sealed.kvno,
        cipher=sealed.cipher,
        starts=part.starts,
        ends=part.ends,
        offset=offset,
    )


def _now(offset: timedelta) -> datetime:
    """The KDC's clock."""
    try:
        return datetime.now(UTC) + offset
    except OverflowError:
        raise NoKdc("the clock of the KDC stands at the end of time") from None


def _own_salt(principal: Principal) -> bytes:
    return "".join((principal.realm, *principal.components)).encode("utf-8", "surrogateescape")


def _nonce() -> int:
    return secrets.randbits(31)
