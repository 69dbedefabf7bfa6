"""A KDC in one object, for tests without a lab: AS and TGS exchange, all enctypes, and the answers of a bad day."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache

from pfsquid.kerberos import der, messages
from pfsquid.kerberos.der import integer, numbered, to_integer, to_octets
from pfsquid.kerberos.enctypes import SUPPORTED, BadKey, Key, checksum, decrypt, encrypt, string_to_key
from pfsquid.kerberos.principal import Principal

REALM = "LAB.EXAMPLE"
_key = cache(string_to_key)
_COUNTS = {17: 4096, 18: 4096, 19: 32768, 20: 32768, 23: 1}
_ITERATIONS = {enctype: count.to_bytes(4, "big") for enctype, count in _COUNTS.items()}


@dataclass
class SmallKdc:
    """`kdc(message)` is an Exchange. accounts: name → password. Everything may be changed while it is asked.

    ahead: of its clock; tell: the nonce that it answers, from the one that it was asked; refers_to: the realm that has
    the services that it does not know; info: ETYPE-INFO2 is said; seen: the messages that it got.
    """

    accounts: dict[str, str]
    enctypes: Sequence[int] = SUPPORTED
    preauth: bool = True
    ahead: timedelta = timedelta()
    tell: Callable[[int], int] = lambda nonce: nonce
    refers_to: str = ""
    info: bool = True
    extra: tuple[messages.PaData, ...] = ((136, b"\x00"), (133, b"cookie"), (16, b""), (2, b""))
    seen: list[bytes] = field(default_factory=list)

    def __call__(self, message: bytes) -> bytes:
        self.seen.append(message)
        kind = message[0] & 0x1F
        request = numbered(der.in_application(message, kind))
        body = numbered(request[4])
        padata = dict(messages.read_padata(request[3])) if 3 in request else {}
        wanted = [to_integer(one) for one in der.elements(body[8])]
        if kind == messages.AS_REQ:
            return self._as(body, padata, wanted)
        return self._tgs(request[4], body, padata, wanted)

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def salt(self, name: str) -> bytes:
        return f"{REALM}:{name}".encode()

    def key(self, name: str, enctype: int) -> Key:
        return _key(enctype, self.accounts[name], self.salt(name))

    def error(self, code: int, text: str = "", data: bytes | None = None, realm: str | None = None) -> bytes:
        now = self.now
        return der.application(
            30,
            der.fields(
                f0=integer(5),
                f1=integer(30),
                f4=der.time(now),
                f5=integer(now.microsecond),
                f6=integer(code),
                f7=der.text(realm) if realm else None,
                f9=der.text(REALM),
                f10=messages.name(Principal(("krbtgt", REALM), REALM)),
                f11=der.text(text) if text else None,
                f12=der.octets(data) if data is not None else None,
            ),
        )

    def _as(self, body: dict[int, bytes], padata: dict[int, bytes], wanted: list[int]) -> bytes:
        client = messages.read_name(body[1], REALM)
        name = "/".join(client.components)
        if name not in self.accounts:
            return self.error(6)
        enctypes = [one for one in wanted if one in self.enctypes]
        if not enctypes:
            return self.error(14, "no such enctype")
        infos = [self._info(name, enctype) for enctype in enctypes]
        hints = [(messages.PA_ETYPE_INFO2, der.sequence(*infos))] if self.info else []
        if self.preauth and messages.PA_ENC_TIMESTAMP not in padata:
            return self.error(25, "need it", _method_data([*self.extra, *hints]))
        enctype = enctypes[0]
        if self.preauth:
            proof = messages.read_sealed(padata[messages.PA_ENC_TIMESTAMP])
            enctype = proof.enctype
            try:
                stamp = numbered(decrypt(self.key(name, enctype), 1, proof.cipher))
            except BadKey:
                return self.error(24)
            if abs(der.to_time(stamp[0]) - self.now) > timedelta(minutes=5):
                return self.error(37, "clock")
        server = Principal(("krbtgt", REALM), REALM, 2)
        return self._reply(messages.AS_REP, client, server, "krbtgt", self.key(name, enctype), 3, body, hints)

    def _tgs(self, whole: bytes, body: dict[int, bytes], padata: dict[int, bytes], wanted: list[int]) -> bytes:
        shown = numbered(der.in_application(padata[messages.PA_TGS_REQ], 14))
        _, sealed = messages.read_ticket(shown[3])
        inside = numbered(der.in_application(decrypt(self.key("krbtgt", sealed.enctype), 2, sealed.cipher), 3))
        session = numbered(inside[1])
        key = Key(to_integer(session[0]), to_octets(session[1]))
        proof = messages.read_sealed(shown[4])
        authenticator = numbered(der.in_application(decrypt(key, 7, proof.cipher), 2))
        stated = numbered(authenticator[3])
        if (to_integer(stated[0]), to_octets(stated[1])) != checksum(key, 6, whole):
            return self.error(50)
        if abs(der.to_time(authenticator[5]) - self.now) > timedelta(minutes=5):
            return self.error(37)
        server = messages.read_name(body[3], REALM)
        name = "/".join(server.components)
        client = messages.read_name(inside[3], REALM)
        if name not in self.accounts and self.refers_to:
            server, name = Principal(("krbtgt", self.refers_to), REALM, 2), "krbtgt"
        if name not in self.accounts:
            return self.error(7)
        return self._reply(messages.TGS_REP, client, server, name, key, 8, body, [])

    def _reply(
        self,
        kind: int,
        client: Principal,
        server: Principal,
        owner: str,
        key: Key,
        usage: int,
        body: dict[int, bytes],
        hints: Sequence[messages.PaData],
    ) -> bytes:
        at = self.now
        session = Key(key.enctype, bytes(range(len(key.value))))
        keyed = der.fields(f0=integer(session.enctype), f1=der.octets(session.value))
        flags, ends = der.flags(0), der.time(at + timedelta(hours=10))
        crealm, cname, sname = der.text(client.realm), messages.name(client), messages.name(server)
        inside = der.fields(f0=flags, f1=keyed, f2=crealm, f3=cname, f5=der.time(at), f7=ends)
        own = self.key(owner, self.enctypes[0])
        cipher = encrypt(own, 2, der.application(3, inside))
        sealed = der.fields(f0=integer(own.enctype), f1=integer(4), f2=der.octets(cipher))
        ticket = der.application(1, der.fields(f0=integer(5), f1=der.text(REALM), f2=sname, f3=sealed))
        nonce = integer(self.tell(to_integer(body[7])))
        part = der.fields(
            f0=keyed, f1=der.sequence(), f2=nonce, f4=flags, f5=der.time(at), f7=ends, f9=der.text(REALM), f10=sname
        )
        secret = messages.sealed(key.enctype, encrypt(key, usage, der.application(25, part)))
        padata = _method_data(hints) if hints else None
        fields = der.fields(f0=integer(5), f1=integer(kind), f2=padata, f3=crealm, f4=cname, f5=ticket, f6=secret)
        return der.application(kind, fields)

    def _info(self, name: str, enctype: int) -> bytes:
        salt = der.element(der.GENERAL_STRING, self.salt(name))
        return der.fields(f0=integer(enctype), f1=salt, f2=der.octets(_ITERATIONS[enctype]))


def _method_data(padata: Sequence[messages.PaData]) -> bytes:
    return der.sequence(*(der.fields(f1=integer(number), f2=der.octets(value)) for number, value in padata))
