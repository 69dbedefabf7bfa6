"""Encryption types (RFC 3961): keys from passwords, encryption with integrity, keyed checksums. Pure.

How each is done stands in aes (RFC 3962), aes_sha2 (RFC 8009) and rc4 (RFC 4757).
The key usages are RFC 4120 7.5.1. What an enctype is called is MIT's name, which also krb5.conf has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pfsquid.kerberos import aes, aes_sha2, rc4

AES256, AES128, AES256_SHA2, AES128_SHA2, RC4 = 18, 17, 20, 19, 23
SUPPORTED = (AES256, AES128, AES256_SHA2, AES128_SHA2, RC4)  # what can be computed here; also the order to ask for

_NAMES = {
    1: "des-cbc-crc",
    2: "des-cbc-md4",
    3: "des-cbc-md5",
    16: "des3-cbc-sha1",
    AES128: "aes128-cts-hmac-sha1-96",
    AES256: "aes256-cts-hmac-sha1-96",
    AES128_SHA2: "aes128-cts-hmac-sha256-128",
    AES256_SHA2: "aes256-cts-hmac-sha384-192",
    RC4: "arcfour-hmac",
    24: "arcfour-hmac-exp",
    25: "camellia128-cts-cmac",
    26: "camellia256-cts-cmac",
}
_MOST_ITERATIONS = 1 << 20  # a KDC that states more would keep us busy for minutes, not make the key any better


class BadKey(Exception):  # noqa: N818 - reads as what it is
    """The key does not open the cipher text, does not fit its enctype, or is of an enctype not in SUPPORTED."""


@dataclass(frozen=True)
class Key:
    """A key of an enctype (RFC 3961 8). Its bytes appear in no repr."""

    enctype: int
    value: bytes = field(repr=False)


@dataclass(frozen=True)
class _Profile:
    size: int  # bytes of a key
    checksum_type: int
    iterations: int  # where no parameters say it; 0: there are none
    derive: Callable[[int, bytes, bytes, int], bytes]
    encrypt: Callable[[bytes, int, bytes], bytes]
    decrypt: Callable[[bytes, int, bytes], bytes | None]
    checksum: Callable[[bytes, int, bytes], bytes]


def _no_salt(_size: int, password: bytes, _salt: bytes, _iterations: int) -> bytes:
    return rc4.string_to_key(password.decode("utf-8", "surrogateescape"))


_AES = (aes.string_to_key, aes.encrypt, aes.decrypt, aes.checksum)
_AES_SHA2 = (aes_sha2.string_to_key, aes_sha2.encrypt, aes_sha2.decrypt, aes_sha2.checksum)
_PROFILES = {
    AES128: _Profile(16, 15, 4096, *_AES),
    AES256: _Profile(32, 16, 4096, *_AES),
    AES128_SHA2: _Profile(16, 19, 32768, *_AES_SHA2),
    AES256_SHA2: _Profile(32, 20, 32768, *_AES_SHA2),
    RC4: _Profile(16, -138, 0, _no_salt, rc4.encrypt, rc4.decrypt, rc4.checksum),
}


def name_of(enctype: int) -> str:
    """MIT's name, `aes256-cts-hmac-sha1-96`; `enctype 99` where it has none."""
    return _NAMES.get(enctype, f"enctype {enctype}")


def string_to_key(enctype: int, password: str, salt: bytes, params: bytes | None = None) -> Key:
    """The key of a password; salt and params as the KDC states them (RFC 4120 5.2.7.5).

    params: the count of iterations, 4 bytes big-endian; None is the enctype's own count, and RC4 knows neither salt nor
    count. BadKey: an enctype that is not SUPPORTED; parameters that are none, ask for more than a million iterations,
    or for fewer than the enctype's own: who poses as the KDC could guess the password the faster (MIT refuses it, too).
    """
    profile, iterations = _profile(enctype), 0
    if profile.iterations:
        iterations = profile.iterations if params is None else _iterations(params, profile.iterations)
    return Key(enctype, profile.derive(profile.size, password.encode("utf-8", "surrogateescape"), salt, iterations))


def encrypt(key: Key, usage: int, plain: bytes) -> bytes:
    """Cipher text with a random confounder and an integrity tag. BadKey: a key that is none of its enctype."""
    return _fitting(key).encrypt(key.value, usage, plain)


def decrypt(key: Key, usage: int, cipher: bytes) -> bytes:
    """The plain text. BadKey where the key does not open it (or where what is to be opened was altered)."""
    plain = _fitting(key).decrypt(key.value, usage, cipher)
    if plain is None:
        raise BadKey(f"the {name_of(key.enctype)} key does not open it")
    return plain


def checksum(key: Key, usage: int, data: bytes) -> tuple[int, bytes]:
    """(checksum type, keyed checksum): the type that RFC 3961 8 requires for the enctype."""
    profile = _fitting(key)
    return profile.checksum_type, profile.checksum(key.value, usage, data)


def _profile(enctype: int) -> _Profile:
    if enctype not in _PROFILES:
        raise BadKey(f"{name_of(enctype)} cannot be computed here")
    return _PROFILES[enctype]


def _fitting(key: Key) -> _Profile:
    profile = _profile(key.enctype)
    if len(key.value) != profile.size:
        raise BadKey(f"a {name_of(key.enctype)} key has {profile.size} bytes, this one {len(key.value)}")
    return profile


def _iterations(params: bytes, fewest: int) -> int:
    count = int.from_bytes(params, "big") if len(params) == 4 else 0
    if not fewest <= count <= _MOST_ITERATIONS:
        raise BadKey(f"the KDC states a count of iterations that is not from {fewest} to {_MOST_ITERATIONS}")
    return count
