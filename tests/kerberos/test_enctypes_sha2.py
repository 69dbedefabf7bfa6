"""Enctypes 19 and 20 give what the examples in RFC 8009, appendix A, give."""

from __future__ import annotations

import pytest

from pfsquid.kerberos import aes_sha2
from pfsquid.kerberos.enctypes import AES128_SHA2, AES256_SHA2, Key, checksum, decrypt, string_to_key

SHORT = bytes.fromhex("3705D96080C17728A0E800EAB6E0D23C")
LONG = bytes.fromhex("6D404D37FAF79F9DF0D33568D320669800EB4836472EA8A026D16B7182460C52")
SALT = bytes.fromhex("10DF9DD783E5BC8ACEA1730E74355F61") + b"ATHENA.MIT.EDUraeburn"
USAGE = 2


@pytest.mark.parametrize(
    ("enctype", "key"),
    [
        (AES128_SHA2, "089BCA48B105EA6EA77CA5D2F39DC5E7"),
        (AES256_SHA2, "45BD806DBF6A833A9CFFC1C94589A222367A79BC21C413718906E9F578A78467"),
    ],
)
@pytest.mark.parametrize("params", [None, (32768).to_bytes(4, "big")])
def test_the_key_of_a_password(enctype: int, key: str, params: bytes | None) -> None:
    assert string_to_key(enctype, "password", SALT, params).value == bytes.fromhex(key)


@pytest.mark.parametrize(
    ("base", "purpose", "size", "derived"),
    [
        (SHORT, 0x99, 16, "B31A018A48F54776F403E9A396325DC3"),
        (SHORT, 0xAA, 16, "9B197DD1E8C5609D6E67C3E37C62C72E"),
        (SHORT, 0x55, 16, "9FDA0E56AB2D85E1569A688696C26A6C"),
        (LONG, 0x99, 24, "EF5718BE86CC84963D8BBB5031E9F5C4BA41F28FAF69E73D"),
        (LONG, 0xAA, 32, "56AB22BEE63D82D7BC5227F6773F8EA7A5EB1C825160C38312980C442E5C7E49"),
        (LONG, 0x55, 24, "69B16514E3CD8E56B82010D5C73012B622C4D00FFC23ED1F"),
    ],
)
def test_the_derivation_of_keys(base: bytes, purpose: int, size: int, derived: str) -> None:
    assert aes_sha2.kdf(base, USAGE.to_bytes(4, "big") + bytes([purpose]), size) == bytes.fromhex(derived)


@pytest.mark.parametrize(
    ("key", "size", "confounder", "cipher"),
    [
        (
            SHORT,
            0,
            "7E5895EAF2672435BAD817F545A37148",
            "EF85FB890BB8472F4DAB20394DCA781DAD877EDA39D50C870C0D5A0A8E48C718",
        ),
        (
            SHORT,
            6,
            "7BCA285E2FD4130FB55B1A5C83BC5B24",
            "84D7F30754ED987BAB0BF3506BEB09CFB55402CEF7E6877CE99E247E52D16ED4421DFDF8976C",
        ),
        (
            SHORT,
            16,
            "56AB21713FF62C0A1457200F6FA9948F",
            "3517D640F50DDC8AD3628722B3569D2AE07493FA8263254080EA65C1008E8FC295FB4852E7D83E1E7C48C37EEBE6B0D3",
        ),
        (
            SHORT,
            21,
            "A7A4E29A4728CE10664FB64E49AD3FAC",
            "720F73B18D9859CD6CCB4346115CD336C70F58EDC0C4437C5573544C31C813BCE1E6D072C186B39A413C2F92CA9B8334A287FFCBFC",
        ),
        (
            LONG,
            0,
            "F764E9FA15C276478B2C7D0C4E5F58E4",
            "41F53FA5BFE7026D91FAF9BE959195A058707273A96A40F0A01960621AC612748B9BBFBE7EB4CE3C",
        ),
        (
            LONG,
            6,
            "B80D3251C1F6471494256FFE712D0B9A",
            "4ED7B37C2BCAC8F74F23C1CF07E62BC7B75FB3F637B9F559C7F664F69EAB7B6092237526EA0D1F61CB20D69D10F2",
        ),
        (
            LONG,
            16,
            "53BF8A0D105265D4E276428624CE5E63",
            (
                "BC47FFEC7998EB91E8115CF8D19DAC4BBBE2E163E87DD37F49BECA92027764F68CF51F14D798C2273F35DF574D1F932E40C4FF25"
                "5B36A266"
            ),
        ),
        (
            LONG,
            21,
            "763E65367E864F02F55153C7E3B58AF1",
            (
                "40013E2DF58E8751957D2878BCD2D6FE101CCFD556CB1EAE79DB3C3EE86429F2B2A602AC86FEF6ECB647D6295FAE077A1FEB5175"
                "08D2C16B4192E01F62"
            ),
        ),
    ],
)
def test_encryption(key: bytes, size: int, confounder: str, cipher: str) -> None:
    plain, enctype = bytes(range(size)), AES128_SHA2 if len(key) == 16 else AES256_SHA2
    assert aes_sha2.encrypt(key, USAGE, plain, bytes.fromhex(confounder)) == bytes.fromhex(cipher)
    assert decrypt(Key(enctype, key), USAGE, bytes.fromhex(cipher)) == plain


@pytest.mark.parametrize(
    ("enctype", "key", "made"),
    [
        (AES128_SHA2, SHORT, "D78367186643D67B411CBA9139FC1DEE"),
        (AES256_SHA2, LONG, "45EE791567EEFCA37F4AC1E0222DE80D43C3BFA06699672A"),
    ],
)
def test_checksums(enctype: int, key: bytes, made: str) -> None:
    assert checksum(Key(enctype, key), USAGE, bytes(range(21))) == (enctype, bytes.fromhex(made))
