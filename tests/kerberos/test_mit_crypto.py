"""Keys, encryption and checksums are those of MIT's library, both ways, for every enctype."""

from __future__ import annotations

import pytest

from pfsquid.kerberos.enctypes import (
    AES256,
    AES256_SHA2,
    RC4,
    SUPPORTED,
    BadKey,
    Key,
    checksum,
    decrypt,
    encrypt,
    string_to_key,
)
from tests.kerberos.mit_crypto import LIBRARY, Mit

ITERATIONS = (40_000).to_bytes(4, "big")  # MIT refuses fewer than the standard count of an enctype
USAGES = (1, 2, 3, 6, 7, 8, 9, 11, 23)


@pytest.fixture(scope="module")
def mit() -> Mit:
    try:
        return Mit()
    except OSError:
        pytest.skip(f"{LIBRARY} is not on this machine (Debian: libk5crypto3)")


@pytest.mark.parametrize("enctype", SUPPORTED)
@pytest.mark.parametrize("password", ["", "sésame \N{MUSICAL SYMBOL G CLEF}", "x" * 130])
@pytest.mark.parametrize("salt", [b"", b"LAB.EXAMPLEren\xc3\xa9e"])
def test_the_key_of_a_password_is_mits(mit: Mit, enctype: int, password: str, salt: bytes) -> None:
    made = string_to_key(enctype, password, salt)
    assert made.value == mit.string_to_key(enctype, password.encode(), salt, None)


@pytest.mark.parametrize("enctype", [enctype for enctype in SUPPORTED if enctype != RC4])
def test_the_count_of_iterations_is_heeded_as_mit_does(mit: Mit, enctype: int) -> None:
    made = string_to_key(enctype, "Wubba-Lubba-1!", b"salt", ITERATIONS)
    assert made.value == mit.string_to_key(enctype, b"Wubba-Lubba-1!", b"salt", ITERATIONS)
    for count in (0, 1, 4095):
        with pytest.raises(BadKey):
            string_to_key(enctype, "Wubba-Lubba-1!", b"salt", count.to_bytes(4, "big"))
        with pytest.raises(ArithmeticError):
            mit.string_to_key(enctype, b"Wubba-Lubba-1!", b"salt", count.to_bytes(4, "big"))


@pytest.mark.parametrize("enctype", SUPPORTED)
@pytest.mark.parametrize("usage", USAGES)
def test_each_opens_what_the_other_encrypted(mit: Mit, enctype: int, usage: int) -> None:
    key = Key(enctype, bytes(range(100, 132 if enctype in (AES256, AES256_SHA2) else 116)))
    for size in (0, 1, 8, 15, 16, 17, 31, 32, 33, 200):
        plain = bytes(range(size))
        assert decrypt(key, usage, mit.encrypt(enctype, key.value, usage, plain)) == plain
        assert mit.decrypt(enctype, key.value, usage, encrypt(key, usage, plain)) == plain


@pytest.mark.parametrize("enctype", SUPPORTED)
@pytest.mark.parametrize("usage", USAGES)
def test_a_checksum_is_mits(mit: Mit, enctype: int, usage: int) -> None:
    key = Key(enctype, bytes(range(100, 132 if enctype in (AES256, AES256_SHA2) else 116)))
    kind, made = checksum(key, usage, b"a request body")
    assert made == mit.checksum(kind, enctype, key.value, usage, b"a request body")
