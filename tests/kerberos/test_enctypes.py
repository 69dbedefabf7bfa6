"""Enctypes give what the RFCs' own examples give, and open nothing that was altered."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pfsquid.kerberos import aes, enctypes, rc4
from pfsquid.kerberos.enctypes import AES256, RC4, SUPPORTED, BadKey, Key, checksum, decrypt, encrypt

KEYS = {enctype: enctypes.string_to_key(enctype, "correct horse", b"LAB.EXAMPLErick") for enctype in SUPPORTED}


# RFC 3961, appendix A.1
@pytest.mark.parametrize(
    ("text", "folded"),
    [
        (b"012345", "be072631276b1955"),
        (b"password", "78a07b6caf85fa"),
        (b"Rough Consensus, and Running Code", "bb6ed30870b7f0e0"),
        (b"password", "59e4a8ca7c0385c3c37b3f6d2000247cb6e6bd5b3e"),
        (b"MASSACHVSETTS INSTITVTE OF TECHNOLOGY", "db3b0d8f0b061e603282b308a50841229ad798fab9540c1b"),
        (b"Q", "518a54a215a8452a518a54a215a8452a518a54a215"),
        (b"ba", "fb25d531ae8974499f52fd92ea9857c4ba24cf297e"),
        (b"kerberos", "6b65726265726f73"),
        (b"kerberos", "6b65726265726f737b9b5b2b93132b93"),
        (b"kerberos", "8372c236344e5f1550cd0747e15d62ca7a5a3bcea4"),
        (b"kerberos", "6b65726265726f737b9b5b2b93132b935c9bdcdad95c9899c4cae4dee6d6cae4"),
    ],
)
def test_nfold_is_that_of_rfc_3961(text: bytes, folded: str) -> None:
    assert aes.nfold(text, len(folded) // 2).hex() == folded


# RFC 3962, appendix B
@pytest.mark.parametrize(
    ("iterations", "password", "salt", "short", "long"),
    [
        (
            1,
            "password",
            b"ATHENA.MIT.EDUraeburn",
            "42263c6e89f4fc28b8df68ee09799f15",
            "fe697b52bc0d3ce14432ba036a92e65bbb52280990a2fa27883998d72af30161",
        ),
        (
            2,
            "password",
            b"ATHENA.MIT.EDUraeburn",
            "c651bf29e2300ac27fa469d693bdda13",
            "a2e16d16b36069c135d5e9d2e25f896102685618b95914b467c67622225824ff",
        ),
        (
            1200,
            "password",
            b"ATHENA.MIT.EDUraeburn",
            "4c01cd46d632d01e6dbe230a01ed642a",
            "55a6ac740ad17b4846941051e1e8b0a7548d93b0ab30a8bc3ff16280382b8c2a",
        ),
        (
            5,
            "password",
            bytes.fromhex("1234567878563412"),
            "e9b23d52273747dd5c35cb55be619d8e",
            "97a4e786be20d81a382d5ebc96d5909cabcdadc87ca48f574504159f16c36e31",
        ),
        (
            1200,
            "X" * 64,
            b"pass phrase equals block size",
            "59d1bb789a828b1aa54ef9c2883f69ed",
            "89adee3608db8bc71f1bfbfe459486b05618b70cbae22092534e56c553ba4b34",
        ),
        (
            1200,
            "X" * 65,
            b"pass phrase exceeds block size",
            "cb8005dc5f90179a7f02104c0018751d",
            "d78c5c9cb872a8c9dad4697f0bb5b2d21496c82beb2caeda2112fceea057401b",
        ),
        (
            50,
            "\N{MUSICAL SYMBOL G CLEF}",
            b"EXAMPLE.COMpianist",
            "f149c1f2e154a73452d43e7fe62a56e5",
            "4b6d9839f84406df1f09cc166db4b83c571848b784a3d6bdc346589a3e393f9e",
        ),
    ],
)
def test_keys_of_passwords_are_those_of_rfc_3962(
    iterations: int, password: str, salt: bytes, short: str, long: str
) -> None:
    assert aes.string_to_key(16, password.encode(), salt, iterations).hex() == short
    assert aes.string_to_key(32, password.encode(), salt, iterations).hex() == long


MENU = b"I would like the General Gau's Chicken, please, and wonton soup."


# RFC 3962, appendix B: cipher text stealing
@pytest.mark.parametrize(
    ("size", "cipher"),
    [
        (17, "c6353568f2bf8cb4d8a580362da7ff7f97"),
        (31, "fc00783e0efdb2c1d445d4c8eff7ed2297687268d6ecccc0c07b25e25ecfe5"),
        (32, "39312523a78662d5be7fcbcc98ebf5a897687268d6ecccc0c07b25e25ecfe584"),
        (
            47,
            "97687268d6ecccc0c07b25e25ecfe584b3fffd940c16a18c1b5549d2f838029e39312523a78662d5be7fcbcc98ebf5",
        ),
        (
            48,
            "97687268d6ecccc0c07b25e25ecfe5849dad8bbb96c4cdc03bc103e1a194bbd839312523a78662d5be7fcbcc98ebf5a8",
        ),
        (
            64,
            (
                "97687268d6ecccc0c07b25e25ecfe58439312523a78662d5be7fcbcc98ebf5a8"
                "4807efe836ee89a526730dbc2f7bc8409dad8bbb96c4cdc03bc103e1a194bbd8"
            ),
        ),
    ],
)
def test_cipher_text_stealing_is_that_of_rfc_3962(size: int, cipher: str) -> None:
    key = b"chicken teriyaki"
    assert aes.cts_encrypt(key, MENU[:size]).hex() == cipher
    assert aes.cts_decrypt(key, bytes.fromhex(cipher)) == MENU[:size]


# RFC 1320, appendix A.5
@pytest.mark.parametrize(
    ("text", "digest"),
    [
        (b"", "31d6cfe0d16ae931b73c59d7e0c089c0"),
        (b"a", "bde52cb31de33e46245e05fbdbd6fb24"),
        (b"abc", "a448017aaf21d8525fc10ae87aa6729d"),
        (b"message digest", "d9130a8164549fe818874806e1c7014b"),
        (b"abcdefghijklmnopqrstuvwxyz", "d79e1c308aa5bbcdeea8ed63df412da9"),
        (b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "043f8582f241db351ce627e153e7f0e4"),
        (b"1234567890" * 8, "e33b4ddc9c38f2199c3e7b164fcc0536"),
    ],
)
def test_md4_is_that_of_rfc_1320(text: bytes, digest: str) -> None:
    assert rc4.md4(text).hex() == digest


@pytest.mark.parametrize(
    ("key", "plain", "cipher"),
    [
        (b"Key", b"Plaintext", "bbf316e8d940af0ad3"),
        (b"Wiki", b"pedia", "1021bf0420"),
        (b"Secret", b"Attack at dawn", "45a01f645fc35b383552544b9bf5"),
        (bytes(range(1, 6)), bytes(16), "b2396305f03dc027ccc3524a0a1118a8"),  # RFC 6229, 40 bits
    ],
)
def test_rc4_is_that_of_the_published_examples(key: bytes, plain: bytes, cipher: str) -> None:
    assert rc4.rc4(key, plain).hex() == cipher
    assert rc4.rc4(key, bytes.fromhex(cipher)) == plain


def test_the_rc4_key_of_a_password_is_that_of_rfc_4757() -> None:
    assert enctypes.string_to_key(RC4, "foo", b"no salt").value.hex() == "ac8e657f83df82beea5d43bdaf7800cc"


@pytest.mark.parametrize("enctype", SUPPORTED)
@settings(max_examples=30, deadline=None)
@given(plain=st.binary(max_size=100), usage=st.integers(1, 30))
def test_what_was_encrypted_opens_with_the_key_and_usage_alone(enctype: int, plain: bytes, usage: int) -> None:
    key = KEYS[enctype]
    cipher = encrypt(key, usage, plain)
    assert decrypt(key, usage, cipher) == plain
    assert encrypt(key, usage, plain) != cipher  # each has a confounder of its own
    with pytest.raises(BadKey):
        decrypt(key, usage + 32, cipher)
    with pytest.raises(BadKey):
        decrypt(Key(enctype, bytes(len(key.value))), usage, cipher)


@pytest.mark.parametrize("enctype", SUPPORTED)
def test_no_altered_bit_and_no_shortened_text_is_let_through(enctype: int) -> None:
    key = KEYS[enctype]
    cipher = encrypt(key, 2, b"a ticket of thirty-three bytes ok")
    for at in range(len(cipher)):
        altered = bytearray(cipher)
        altered[at] ^= 1 << at % 8
        with pytest.raises(BadKey):
            decrypt(key, 2, bytes(altered))
        with pytest.raises(BadKey):
            decrypt(key, 2, cipher[:at])


@pytest.mark.parametrize("enctype", SUPPORTED)
@settings(max_examples=20, deadline=None)
@given(cipher=st.binary(max_size=200))
def test_bytes_that_are_no_cipher_text_are_a_bad_key(enctype: int, cipher: bytes) -> None:
    with pytest.raises(BadKey):
        decrypt(KEYS[enctype], 2, cipher)


@pytest.mark.parametrize(("enctype", "kind"), [(17, 15), (18, 16), (19, 19), (20, 20), (23, -138)])
def test_a_checksum_is_of_the_type_of_its_enctype_and_depends_on_all(enctype: int, kind: int) -> None:
    key = KEYS[enctype]
    made = checksum(key, 6, b"body")
    assert made[0] == kind
    assert len({made, checksum(key, 7, b"body"), checksum(key, 6, b"bodY")}) == 3


@pytest.mark.parametrize("enctype", SUPPORTED)
def test_a_key_shows_no_byte_of_itself(enctype: int) -> None:
    assert repr(KEYS[enctype]) == f"Key(enctype={enctype})"


@pytest.mark.parametrize(
    "do",
    [
        lambda: enctypes.string_to_key(16, "x", b""),
        lambda: enctypes.string_to_key(AES256, "x", b"", b""),
        lambda: enctypes.string_to_key(AES256, "x", b"", bytes(4)),
        lambda: enctypes.string_to_key(AES256, "x", b"", (4095).to_bytes(4, "big")),
        lambda: enctypes.string_to_key(AES256, "x", b"", b"\xff\xff\xff\xff"),
        lambda: encrypt(Key(AES256, b"short"), 1, b""),
        lambda: decrypt(Key(AES256, bytes(16)), 1, bytes(64)),
        lambda: checksum(Key(3, bytes(8)), 1, b""),
    ],
)
def test_what_cannot_be_computed_is_a_bad_key_at_once(do: object) -> None:
    assert callable(do)
    with pytest.raises(BadKey):
        do()


@pytest.mark.parametrize(
    ("enctype", "name"),
    [
        (18, "aes256-cts-hmac-sha1-96"),
        (20, "aes256-cts-hmac-sha384-192"),
        (23, "arcfour-hmac"),
        (3, "des-cbc-md5"),
        (16, "des3-cbc-sha1"),
        (99, "enctype 99"),
    ],
)
def test_enctypes_have_the_names_that_krb5_conf_has(enctype: int, name: str) -> None:
    assert enctypes.name_of(enctype) == name
