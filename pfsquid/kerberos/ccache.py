"""Credential caches of MIT and Heimdal (FILE:, format versions 3 and 4), read. Pure.

The format is MIT's "Credential cache file format"
(web.mit.edu/kerberos/krb5-latest/doc/formats/ccache_file_format.html): big-endian, a header in version 4, the client,
then one credential after the other to the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pfsquid.kerberos.der import BadDer
from pfsquid.kerberos.enctypes import Key
from pfsquid.kerberos.messages import read_ticket
from pfsquid.kerberos.principal import Principal
from pfsquid.kerberos.tickets import Ticket

_CONFIGURATION = "X-CACHECONF:"  # the realm of entries that are no tickets
_TIME_OFFSET = 1  # a tag of the header: the KDC's clock minus ours, seconds and microseconds
_FIRST_WITH_HEADER = 4
_VERSIONS = {b"\x05\x03": 3, b"\x05\x04": 4}
_OLD_VERSIONS = (b"\x05\x01", b"\x05\x02")


class BadCache(ValueError):  # noqa: N818 - reads as what it is
    """Bytes that are no credential cache, or not a whole one: the text tells why, in words that end a sentence."""


@dataclass(frozen=True)
class Cache:
    """Whose cache it is, and the tickets in it, in the order of the file."""

    principal: Principal
    tickets: tuple[Ticket, ...]


class _Reader:
    """Takes the file apart from its beginning."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    @property
    def left(self) -> int:
        return len(self.data) - self.at

    def take(self, size: int) -> bytes:
        if size > self.left:
            raise BadCache(f"it is cut off: {size} bytes are announced at byte {self.at}, {self.left} are there")
        self.at += size
        return self.data[self.at - size : self.at]

    def whole(self, size: int, signed: bool = False) -> int:
        return int.from_bytes(self.take(size), "big", signed=signed)

    def counted(self) -> bytes:
        return self.take(self.whole(4))

    def pairs(self) -> None:
        """Over the addresses, or the authorization data: a count, then type and value of each."""
        for _ in range(self._count()):
            self.take(2)
            self.counted()

    def principal(self) -> Principal:
        name_type, count = self.whole(4, signed=True), self._count()
        realm = self._text()
        return Principal(tuple(self._text() for _ in range(count)), realm, name_type)

    def time(self) -> datetime:
        return datetime.fromtimestamp(self.whole(4), UTC)

    def _text(self) -> str:
        return self.counted().decode("utf-8", "surrogateescape")

    def _count(self) -> int:
        count = self.whole(4)
        if count > self.left // 4:  # each takes four bytes at least
            raise BadCache(f"it is cut off, or damaged: {count} parts are announced, {self.left} bytes are there")
        return count


def read(data: bytes) -> Cache:
    """The tickets of a FILE: cache; what the cache notes for itself (X-CACHECONF:) is left out.

    BadCache: empty, something else, an older version, or cut off.
    """
    if not data:
        raise BadCache("it is empty")
    version = _VERSIONS.get(data[:2])
    if version is None:
        if data[:2] in _OLD_VERSIONS:
            raise BadCache("it is a keytab, or a credential cache of version 1 or 2, which no program of today writes")
        raise BadCache(f"it is no credential cache: it begins with 0x{data[:2].hex()}, a cache with 0x0504")
    reader = _Reader(data)
    reader.take(2)
    offset = _header(reader) if version >= _FIRST_WITH_HEADER else timedelta()
    principal = reader.principal()
    tickets = []
    while reader.left:
        ticket = _credential(reader, version, offset)
        if ticket is not None:
            tickets.append(ticket)
    return Cache(principal, tuple(tickets))


def _header(reader: _Reader) -> timedelta:
    header, offset = _Reader(reader.take(reader.whole(2))), timedelta()
    while header.left:
        tag, value = header.whole(2), _Reader(header.take(header.whole(2)))
        if tag == _TIME_OFFSET and value.left == 8:
            offset = timedelta(seconds=value.whole(4, signed=True), microseconds=value.whole(4, signed=True))
    return offset


def _credential(reader: _Reader, version: int, offset: timedelta) -> Ticket | None:
    client, server = reader.principal(), reader.principal()
    enctype = reader.whole(2, signed=True)
    if version < _FIRST_WITH_HEADER:
        reader.take(2)  # the enctype once more
    session = Key(enctype, reader.counted())
    authenticated, starts, ends, _renewable = (reader.time() for _ in range(4))
    reader.take(1 + 4)  # is_skey, flags
    reader.pairs()
    reader.pairs()
    ticket, _second = reader.counted(), reader.counted()
    if server.realm == _CONFIGURATION:
        return None
    try:
        _, sealed = read_ticket(ticket)
    except BadDer as error:
        raise BadCache(f"the ticket for {server} in it is damaged: {error}") from None
    return Ticket(
        client=client,
        server=server,
        session=session,
        der=ticket,
        enctype=sealed.enctype,
        kvno=sealed.kvno,
        cipher=sealed.cipher,
        starts=starts if starts.timestamp() else authenticated,
        ends=ends,
        offset=offset,
    )
