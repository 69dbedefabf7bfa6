"""Faults of the keytab on the firewall. The good one is the service account's; what is made of it is made here, without
the product's own code: format 0x0502 as MIT documents it in "The keytab file format"."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from tests.lab.breaks.parts import KEYTABS, Fault, files, kept, reload_squid
from tests.lab.fixture import Lab
from tests.lab.layout import REALM, SERVICE_PASSWORD

RC4 = 23
HTML = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Your session has ended.</body></html>\n"


@dataclass(frozen=True)
class Entry:
    """One entry. principal: HTTP/host; the realm apart."""

    principal: str
    realm: str
    kvno: int
    enctype: int
    key: bytes
    timestamp: int = 0
    name_type: int = 1


def entries(raw: bytes) -> list[Entry]:
    """The entries of a whole keytab; AssertionError where it is none."""
    assert raw[:2] == b"\x05\x02"
    at, found = 2, []
    while at < len(raw):
        (size,) = struct.unpack_from(">i", raw, at)
        at += 4
        if size > 0:
            found.append(_entry(raw[at : at + size]))
        at += abs(size)
    return found


def _entry(raw: bytes) -> Entry:
    (count,) = struct.unpack_from(">H", raw)
    at, words = 2, []
    for _ in range(count + 1):
        (size,) = struct.unpack_from(">H", raw, at)
        words.append(raw[at + 2 : at + 2 + size].decode())
        at += 2 + size
    name_type, timestamp, kvno, enctype, size = struct.unpack_from(">IIBHH", raw, at)
    at += 13
    key = raw[at : at + size]
    if len(raw) >= at + size + 4:
        kvno = struct.unpack_from(">I", raw, at + size)[0] or kvno
    return Entry("/".join(words[1:]), words[0], kvno, enctype, key, timestamp, name_type)


def made(found: list[Entry]) -> bytes:
    """A keytab of these entries."""
    whole = b"\x05\x02"
    for one in found:
        parts = one.principal.split("/")
        raw = struct.pack(">H", len(parts))
        for word in (one.realm, *parts):
            raw += struct.pack(">H", len(word.encode())) + word.encode()
        raw += struct.pack(">IIBHH", one.name_type, one.timestamp, one.kvno & 0xFF, one.enctype, len(one.key))
        raw += one.key + struct.pack(">I", one.kvno)
        whole += struct.pack(">i", len(raw)) + raw
    return whole


def content(change: Callable[[bytes], bytes]) -> Fault:
    """The keytab has other bytes, with the same name, owner and mode."""

    @contextmanager
    def inside(lab: Lab) -> Iterator[None]:
        path = lab.sh("fw", f"ls {KEYTABS} | tail -1").strip()
        with kept(lab, squid=True, unbound=False):
            lab.write("fw", path, change(lab.read("fw", path)), mode=0o400, owner="squid:proxy")
            reload_squid(lab)
            yield

    return inside


def each(change: Callable[[Entry], Entry]) -> Fault:
    """Each entry, changed."""
    return content(lambda raw: made([change(one) for one in entries(raw)]))


def rc4(raw: bytes) -> bytes:
    """The account's RC4 key alone, which is the MD4 digest of the password in UTF-16 (RFC 4757, section 2)."""
    first = entries(raw)[0]
    return made([replace(first, enctype=RC4, key=md4(SERVICE_PASSWORD.encode("utf-16-le")))])


def md4(data: bytes) -> bytes:
    """RFC 1320; OpenSSL has it no more."""
    mask = 0xFFFFFFFF
    state = [0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476]
    padded = data + b"\x80" + bytes(-(len(data) + 9) % 64) + struct.pack("<Q", 8 * len(data))
    rounds: list[tuple[Callable[[int, int, int], int], int, list[int], tuple[int, ...]]] = [
        (lambda x, y, z: (x & y) | (~x & z), 0, list(range(16)), (3, 7, 11, 19)),
        (
            lambda x, y, z: (x & y) | (x & z) | (y & z),
            0x5A827999,
            [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15],
            (3, 5, 9, 13),
        ),
        (
            lambda x, y, z: x ^ y ^ z,
            0x6ED9EBA1,
            [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15],
            (3, 9, 11, 15),
        ),
    ]
    for at in range(0, len(padded), 64):
        words = struct.unpack_from("<16I", padded, at)
        a, b, c, d = state
        for mix, constant, order, shifts in rounds:
            for number, word in enumerate(order):
                turned = (a + mix(b, c, d) + words[word] + constant) & mask
                shift = shifts[number % 4]
                a, b, c, d = d, (turned << shift | turned >> (32 - shift)) & mask, b, c
        state = [(one + two) & mask for one, two in zip(state, (a, b, c, d), strict=True)]
    return struct.pack("<4I", *state)


FAULTS: dict[str, tuple[str, Fault]] = {
    "keytab_missing": ("there is no keytab", files("rm $KEYTAB")),
    "keytab_unreadable": ("the keytab is root's alone", files("chown root:wheel $KEYTAB || chown root:root $KEYTAB")),
    "keytab_readable_by_all": ("everybody may read the keytab", files("chmod 444 $KEYTAB", squid=False)),
    "keytab_empty": ("the keytab is empty", content(lambda raw: b"")),
    "keytab_html": ("the keytab is a web page", content(lambda raw: HTML)),
    "keytab_base64": ("the keytab is still base64", content(lambda raw: base64.encodebytes(raw))),
    "keytab_truncated": ("the keytab is cut in its first entry", content(lambda raw: raw[:60])),
    "keytab_rc4_only": ("the keytab has an RC4 key only", content(rc4)),
    "keytab_wrong_key": (
        "the keytab's keys are others, with the right kvno",
        each(lambda one: replace(one, key=bytes(byte ^ 0x55 for byte in one.key))),
    ),
    "keytab_other_kvno": ("the right keys with another kvno", each(lambda one: replace(one, kvno=one.kvno + 7))),
    "keytab_other_principal": (
        "the keytab is for another name",
        each(lambda one: replace(one, principal=one.principal.replace("proxy", "gate"))),
    ),
    "keytab_principal_case": (
        "the keytab's principal is in another case",
        each(lambda one: replace(one, principal=one.principal.replace("HTTP/proxy", "HTTP/PROXY"))),
    ),
    "keytab_realm_case": (
        "the keytab's realm is in another case",
        each(lambda one: replace(one, realm=REALM.lower())),
    ),
}
