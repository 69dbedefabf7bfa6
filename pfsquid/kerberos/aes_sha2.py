"""AES with HMAC-SHA2, encrypt then MAC: enctypes 19 and 20 (RFC 8009). Pure.

Keys, salts and texts are bytes; the size of the key (16 or 32) says which of the two. What does not open is None.
"""

from __future__ import annotations

import hashlib
import hmac
import os

from pfsquid.kerberos.aes import BLOCK, cts_decrypt, cts_encrypt

_HASH = {16: "sha256", 32: "sha384"}
_TAG = {16: 16, 32: 24}  # also the bytes of Ki and Kc
_NAME = {16: b"aes128-cts-hmac-sha256-128", 32: b"aes256-cts-hmac-sha384-192"}


def kdf(key: bytes, label: bytes, size: int) -> bytes:
    """KDF-HMAC-SHA2 of section 3, `size` bytes: SP 800-108 in counter mode, where one round is enough."""
    return hmac.digest(key, b"\0\0\0\1" + label + b"\0" + (size * 8).to_bytes(4, "big"), _HASH[len(key)])[:size]


def string_to_key(size: int, password: bytes, salt: bytes, iterations: int) -> bytes:
    """Section 4; size: bytes of the key, 16 or 32."""
    made = hashlib.pbkdf2_hmac(_HASH[size], password, _NAME[size] + b"\0" + salt, iterations, size)
    return kdf(made, b"kerberos", size)


def encrypt(key: bytes, usage: int, plain: bytes, confounder: bytes | None = None) -> bytes:
    """Section 5 with a random confounder."""
    confounder = os.urandom(BLOCK) if confounder is None else confounder
    cipher = cts_encrypt(kdf(key, _usage(usage, 0xAA), len(key)), confounder + plain)
    return cipher + _mac(key, usage, 0x55, bytes(BLOCK) + cipher)


def decrypt(key: bytes, usage: int, cipher: bytes) -> bytes | None:
    """The plain text without the confounder, or None where the integrity does not hold."""
    tag = _TAG[len(key)]
    if len(cipher) < BLOCK + tag:
        return None
    body = cipher[:-tag]
    if not hmac.compare_digest(_mac(key, usage, 0x55, bytes(BLOCK) + body), cipher[-tag:]):
        return None
    return cts_decrypt(kdf(key, _usage(usage, 0xAA), len(key)), body)[BLOCK:]


def checksum(key: bytes, usage: int, data: bytes) -> bytes:
    """Section 6: 16 or 24 bytes."""
    return _mac(key, usage, 0x99, data)


def _mac(key: bytes, usage: int, purpose: int, data: bytes) -> bytes:
    tag = _TAG[len(key)]
    return hmac.digest(kdf(key, _usage(usage, purpose), tag), data, _HASH[len(key)])[:tag]


def _usage(usage: int, purpose: int) -> bytes:
    return usage.to_bytes(4, "big") + bytes([purpose])
