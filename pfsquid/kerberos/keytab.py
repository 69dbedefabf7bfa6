"""Keytabs, read and written: the file format 0x0502 that MIT, Heimdal, Samba and Windows' ktpass share. Pure.

The format is MIT's "Keytab file format" (web.mit.edu/kerberos/krb5-latest/doc/formats/keytab_file_format.html):
big-endian; each entry has its length in front, a negative length is a hole that a removed entry left, zero is the end.
After the key may stand a kvno of 32 bits, which counts where it is not zero, and anything else, which does not.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from pfsquid.kerberos.enctypes import Key
from pfsquid.kerberos.principal import Principal

_VERSION, _OLD_VERSION = b"\x05\x02", b"\x05\x01"
_BASE64_VERSION = b"BQI"  # 0x0502 and whatever the highest byte of the first length begins with: always zero
_LOOKS_LIKE: tuple[tuple[str, str], ...] = (
    (r"\s*(<!doctype|<html|<\?xml|<head|<body|<!--)", "a web page (HTML): a download that did not come through"),
    (r"\s*-----BEGIN ", "PEM text: a certificate or a key of TLS"),
    (r"\x1f\x8b", "compressed by gzip"),
    (r"PK\x03\x04", "a ZIP archive"),
    (r"\x05[\x03\x04]", "a credential cache (tickets of a login)"),
    (r"\x30[\x80-\x84]", "DER: a certificate or PKCS #12"),
    (r"\xff\xfe|\xfe\xff", "text in UTF-16: Windows' PowerShell writes such"),
    (r"[\t\n\r\x20-\x7e\x80-\xff]{16}", "text"),
)


class BadKeytab(ValueError):  # noqa: N818 - reads as what it is
    """Bytes that are no keytab, or not a whole one: the text tells why, in words that end a sentence."""


@dataclass(frozen=True)
class Entry:
    """A key of a principal. kvno: 0 to 2^32-1; timestamp: when it was put in, UTC, whole seconds, 1970 to 2106."""

    principal: Principal
    kvno: int
    key: Key
    timestamp: datetime


def parse(data: bytes) -> tuple[Entry, ...]:
    """The entries in the order of the file; keys of any enctype, also of those that cannot be computed here.

    BadKeytab: empty, something else (and what it looks like), version 0x0501, or cut off (and in which entry).
    """
    if not data:
        raise BadKeytab("it is empty")
    if not data.startswith(_VERSION):
        raise BadKeytab(_what_it_is(data))
    return tuple(_entry(body, number) for number, body in enumerate(_bodies(data), 1))


def dump(entries: Iterable[Entry]) -> bytes:
    """A keytab with these entries, in this order; `parse` gives them back. ValueError: a value that has no room."""
    return _VERSION + b"".join(_dumped(entry) for entry in entries)


def _what_it_is(data: bytes) -> str:
    if data.startswith(_OLD_VERSION):
        return "it has the old format version 0x0501: write it anew with a tool of today (0x0502)"
    if len(data) < len(_VERSION):
        return "it is cut off in the format version, its first two bytes"
    if data.lstrip().startswith(_BASE64_VERSION):
        return "it is the base64 text of a keytab: decode it first, base64 -d"
    for pattern, what in _LOOKS_LIKE:
        if re.match(pattern.encode("latin-1"), data, re.IGNORECASE):
            return f"it is no keytab, it looks like {what}"
    return f"it is no keytab: it begins with 0x{data[:2].hex()}, a keytab with 0x0502"


def _bodies(data: bytes) -> Iterator[bytes]:
    at, number = len(_VERSION), 1
    while at < len(data):
        if len(data) - at < 4:
            raise BadKeytab(f"it is cut off in the length of entry {number}")
        (size,) = struct.unpack_from(">i", data, at)
        at += 4
        if size == 0:
            return
        if abs(size) > len(data) - at:
            what = f"entry {number}" if size > 0 else f"the hole before entry {number}"
            raise BadKeytab(f"it is cut off in {what}: {abs(size)} bytes are announced, {len(data) - at} are there")
        if size > 0:
            yield data[at : at + size]
            number += 1
        at += abs(size)


class _Reader:
    """Takes one entry apart from its beginning."""

    def __init__(self, body: bytes, number: int) -> None:
        self.rest, self.number = body, number

    def take(self, size: int, what: str) -> bytes:
        if size > len(self.rest):
            raise BadKeytab(f"entry {self.number} is too short: it ends in its {what}")
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken

    def whole(self, size: int, what: str) -> int:
        return int.from_bytes(self.take(size, what), "big")

    def name(self, what: str) -> str:
        return self.take(self.whole(2, what), what).decode("utf-8", "surrogateescape")


def _entry(body: bytes, number: int) -> Entry:
    reader = _Reader(body, number)
    count = reader.whole(2, "principal")
    realm = reader.name("realm")
    components = tuple(reader.name("principal") for _ in range(count))
    name_type = reader.whole(4, "name type")
    timestamp = datetime.fromtimestamp(reader.whole(4, "timestamp"), UTC)
    kvno = reader.whole(1, "kvno")
    enctype = int.from_bytes(reader.take(2, "enctype"), "big", signed=True)
    key = Key(enctype, reader.take(reader.whole(2, "key"), "key"))
    if len(reader.rest) >= 4:
        kvno = reader.whole(4, "kvno") or kvno
    return Entry(Principal(components, realm, name_type), kvno, key, timestamp)


def _dumped(entry: Entry) -> bytes:
    principal = entry.principal
    try:
        body = b"".join(
            (
                struct.pack(">H", len(principal.components)),
                *(_counted(_bytes(name)) for name in (principal.realm, *principal.components)),
                struct.pack(
                    ">IIBh", principal.name_type, int(entry.timestamp.timestamp()), entry.kvno & 0xFF, entry.key.enctype
                ),
                _counted(entry.key.value),
                struct.pack(">I", entry.kvno),
            )
        )
    except struct.error:
        raise ValueError(f"a name, number or time of the entry for {principal} has no room in a keytab") from None
    return struct.pack(">i", len(body)) + body


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _counted(value: bytes) -> bytes:
    return struct.pack(">H", len(value)) + value
