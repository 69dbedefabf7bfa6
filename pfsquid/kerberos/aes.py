"""AES in Kerberos: CBC with cipher text stealing, and the simplified profile with HMAC-SHA1 (RFC 3961, RFC 3962). Pure.

Keys, salts and texts are bytes. What does not open is None, never an exception.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from math import lcm

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

BLOCK = 16
_TAG = 12  # HMAC-SHA1-96


def nfold(data: bytes, size: int) -> bytes:
    """`data` stretched or folded to `size` bytes (RFC 3961 5.1): copies, each rotated 13 bits more, added up."""
    bits, number = len(data) * 8, int.from_bytes(data, "big")
    copies = bytearray()
    for turn in range(lcm(len(data), size) // len(data)):
        by = 13 * turn % bits
        copies += ((number >> by | number << (bits - by)) & ((1 << bits) - 1)).to_bytes(len(data), "big")
    total = sum(int.from_bytes(copies[at : at + size], "big") for at in range(0, len(copies), size))
    most = (1 << size * 8) - 1
    while total > most:  # one's complement: what runs over comes in again at the end
        total = (total & most) + (total >> size * 8)
    return total.to_bytes(size, "big")


def cts_encrypt(key: bytes, plain: bytes) -> bytes:
    """AES-CBC-CTS with an initial vector of zeros (RFC 3962 5): the last two blocks swapped, the last cut short."""
    stolen = -len(plain) % BLOCK
    encryptor = Cipher(algorithms.AES(key), modes.CBC(bytes(BLOCK))).encryptor()
    blocks = encryptor.update(plain + bytes(stolen)) + encryptor.finalize()
    if len(plain) <= BLOCK:
        return blocks
    return blocks[: -2 * BLOCK] + blocks[-BLOCK:] + blocks[-2 * BLOCK : len(blocks) - BLOCK - stolen]


def cts_decrypt(key: bytes, cipher: bytes) -> bytes:
    """The reverse of cts_encrypt; `cipher` has at least one block."""
    if len(cipher) <= BLOCK:
        return _cbc_decrypt(key, bytes(BLOCK), cipher)
    last = len(cipher) % BLOCK or BLOCK
    head, swapped, tail = cipher[: -BLOCK - last], cipher[-BLOCK - last : -last], cipher[-last:]
    ecb = _cbc_decrypt(key, bytes(BLOCK), swapped)
    whole = tail + ecb[last:]
    return _cbc_decrypt(key, bytes(BLOCK), head + whole) + bytes(a ^ b for a, b in zip(ecb, tail, strict=False))


def _cbc_decrypt(key: bytes, vector: bytes, cipher: bytes) -> bytes:
    decryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).decryptor()
    return decryptor.update(cipher) + decryptor.finalize()


def derive(key: bytes, constant: bytes) -> bytes:
    """DK of RFC 3961 5.1 for AES, whose random-to-key changes nothing: as long as `key`."""
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - as the RFC has it
    block, made = nfold(constant, BLOCK), b""
    while len(made) < len(key):
        block = encryptor.update(block)
        made += block
    return made[: len(key)]


def string_to_key(size: int, password: bytes, salt: bytes, iterations: int) -> bytes:
    """RFC 3962 4; size: bytes of the key, 16 or 32."""
    return derive(hashlib.pbkdf2_hmac("sha1", password, salt, iterations, size), b"kerberos")


def encrypt(key: bytes, usage: int, plain: bytes, confounder: bytes | None = None) -> bytes:
    """RFC 3961 5.3 with a random confounder."""
    plain = (os.urandom(BLOCK) if confounder is None else confounder) + plain
    return cts_encrypt(derive(key, _usage(usage, 0xAA)), plain) + _mac(key, usage, 0x55, plain)


def decrypt(key: bytes, usage: int, cipher: bytes) -> bytes | None:
    """The plain text without the confounder, or None where the integrity does not hold."""
    if len(cipher) < BLOCK + _TAG:
        return None
    plain = cts_decrypt(derive(key, _usage(usage, 0xAA)), cipher[:-_TAG])
    return plain[BLOCK:] if hmac.compare_digest(_mac(key, usage, 0x55, plain), cipher[-_TAG:]) else None


def checksum(key: bytes, usage: int, data: bytes) -> bytes:
    """RFC 3961 5.4: 12 bytes."""
    return _mac(key, usage, 0x99, data)


def _mac(key: bytes, usage: int, purpose: int, data: bytes) -> bytes:
    return hmac.digest(derive(key, _usage(usage, purpose)), data, "sha1")[:_TAG]


def _usage(usage: int, purpose: int) -> bytes:
    return usage.to_bytes(4, "big") + bytes([purpose])
