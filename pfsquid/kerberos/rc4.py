"""RC4-HMAC, enctype 23 (RFC 4757), with MD4 (RFC 1320) and RC4. Pure.

Weak, and here only to read what old keytabs and accounts have; `cryptography` has neither any more. Keys and texts are
bytes. What does not open is None.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
from collections.abc import Callable

CONFOUNDER = 8
_TAG = 16
_MASK = 0xFFFFFFFF
_USAGES = {3: 8, 23: 13}  # what Windows does not tell apart: RFC 4757 3, but 9 stays 9 as in MIT and Windows

# RFC 1320 3.4: the function of each round, the order of the words, the rotations, the constant.
_Round = tuple[Callable[[int, int, int], int], tuple[int, ...], tuple[int, ...], int]
_ROUNDS: tuple[_Round, ...] = (
    (lambda x, y, z: x & y | ~x & z, tuple(range(16)), (3, 7, 11, 19), 0),
    (
        lambda x, y, z: x & y | x & z | y & z,
        (0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15),
        (3, 5, 9, 13),
        0x5A827999,
    ),
    (lambda x, y, z: x ^ y ^ z, (0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15), (3, 9, 11, 15), 0x6ED9EBA1),
)


def md4(data: bytes) -> bytes:
    """The MD4 digest, 16 bytes."""
    state = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)
    padded = data + b"\x80" + bytes((55 - len(data)) % 64) + struct.pack("<Q", len(data) * 8 & 0xFFFFFFFFFFFFFFFF)
    for block in struct.iter_unpack("<16I", padded):
        a, b, c, d = state
        for mix, order, turns, constant in _ROUNDS:
            for step, word in enumerate(order):
                mixed = (a + mix(b, c, d) + block[word] + constant) & _MASK
                turn = turns[step % 4]
                a, b, c, d = d, (mixed << turn | mixed >> (32 - turn)) & _MASK, b, c
        state = tuple((old + new) & _MASK for old, new in zip(state, (a, b, c, d), strict=True))  # type: ignore[assignment]
    return struct.pack("<4I", *state)


def rc4(key: bytes, data: bytes) -> bytes:
    """Encrypts and decrypts."""
    box = list(range(256))
    j = 0
    for i in range(256):
        j = (j + box[i] + key[i % len(key)]) & 255
        box[i], box[j] = box[j], box[i]
    i = j = 0
    made = bytearray()
    for byte in data:
        i = (i + 1) & 255
        j = (j + box[i]) & 255
        box[i], box[j] = box[j], box[i]
        made.append(byte ^ box[(box[i] + box[j]) & 255])
    return bytes(made)


def string_to_key(password: str) -> bytes:
    """Section 2: the NT hash; no salt. Text that UTF-16 cannot hold counts as it stands."""
    return md4(password.encode("utf-16-le", "surrogatepass"))


def encrypt(key: bytes, usage: int, plain: bytes, confounder: bytes | None = None) -> bytes:
    """Section 5 with a random confounder."""
    plain = (os.urandom(CONFOUNDER) if confounder is None else confounder) + plain
    inner = _keyed(key, _usage(usage))
    tag = _keyed(inner, plain)
    return tag + rc4(_keyed(inner, tag), plain)


def decrypt(key: bytes, usage: int, cipher: bytes) -> bytes | None:
    """The plain text without the confounder, or None where the integrity does not hold."""
    if len(cipher) < _TAG + CONFOUNDER:
        return None
    inner = _keyed(key, _usage(usage))
    plain = rc4(_keyed(inner, cipher[:_TAG]), cipher[_TAG:])
    return plain[CONFOUNDER:] if hmac.compare_digest(_keyed(inner, plain), cipher[:_TAG]) else None


def checksum(key: bytes, usage: int, data: bytes) -> bytes:
    """Section 4: 16 bytes."""
    digest = hashlib.md5(_usage(usage) + data).digest()  # noqa: S324 - as the RFC has it
    return _keyed(_keyed(key, b"signaturekey\0"), digest)


def _keyed(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "md5")


def _usage(usage: int) -> bytes:
    return struct.pack("<I", _USAGES.get(usage, usage))
