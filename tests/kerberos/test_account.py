"""What LDAP attributes say of an account: each state from the bits that a domain controller gives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pfsquid.kerberos.account import Account, AccountKind, account, enctype_names, filetime, interval

DN = "CN=svc_squid,CN=Users,DC=lab,DC=example"


def read(**values: str | list[str]) -> Account:
    """An enabled user account with a password that never expires, and these attributes; `_` stands for `-`."""
    usual: dict[str, str | list[str]] = {
        "sAMAccountName": "svc_squid",
        "objectClass": ["top", "person", "user"],
        "userAccountControl": "66048",
        "msDS_User_Account_Control_Computed": "0",
        "pwdLastSet": "134087551329151720",
    }
    raw = {
        name.replace("_", "-"): [one.encode() for one in ([value] if isinstance(value, str) else value)]
        for name, value in {**usual, **values}.items()
    }
    return account(DN, raw)


def test_an_account_in_order_is_nothing_but_enabled() -> None:
    found = read(msDS_SupportedEncryptionTypes="24", msDS_KeyVersionNumber="2")
    assert (found.enabled, found.locked, found.password_expired, found.must_change) == (True, False, False, False)
    assert (found.enctypes, found.kvno, found.expires, found.upn, found.is_computer) == (24, 2, None, None, False)
    assert found.flags == {"NORMAL_ACCOUNT", "DONT_EXPIRE_PASSWD"}


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"userAccountControl": "66050"}, "disabled"),
        ({"msDS_User_Account_Control_Computed": "16"}, "locked"),
        ({"userAccountControl": "512", "msDS_User_Account_Control_Computed": "8388608"}, "password_expired"),
        ({"userAccountControl": "512", "pwdLastSet": "0"}, "must_change"),
        (
            {"userAccountControl": "512", "pwdLastSet": "0", "msDS_User_Account_Control_Computed": "8388608"},
            "must_change",
        ),
    ],
)
def test_each_state_is_told_apart(values: dict[str, str], what: str) -> None:
    found = read(**values)
    states = {
        "disabled": not found.enabled,
        "locked": found.locked,
        "password_expired": found.password_expired,
        "must_change": found.must_change,
    }
    assert [name for name, true in states.items() if true] == [what]


def test_a_password_that_never_expires_needs_no_change_though_it_was_never_set() -> None:
    assert not read(pwdLastSet="0").must_change


@pytest.mark.parametrize(
    ("bit", "flag"),
    [
        (0x80000, "TRUSTED_FOR_DELEGATION"),
        (0x100000, "NOT_DELEGATED"),
        (0x1000000, "TRUSTED_TO_AUTH_FOR_DELEGATION"),
        (0x200000, "USE_DES_KEY_ONLY"),
        (0x400000, "DONT_REQUIRE_PREAUTH"),
    ],
)
def test_flags_have_the_names_of_the_specification(bit: int, flag: str) -> None:
    assert flag in read(userAccountControl=str(512 | bit)).flags


@pytest.mark.parametrize(
    ("classes", "kind"),
    [
        (["top", "user"], AccountKind.USER),
        (["top", "user", "computer"], AccountKind.COMPUTER),
        (["top", "user", "computer", "msDS-GroupManagedServiceAccount"], AccountKind.GROUP_MANAGED),
    ],
)
def test_people_computers_and_managed_accounts_are_told_apart(classes: list[str], kind: AccountKind) -> None:
    assert read(objectClass=classes).kind is kind


def test_an_spn_is_found_in_whatever_case_the_directory_has_it() -> None:
    found = read(servicePrincipalName=["http/Proxy.lab.example", "HOST/other"])
    assert found.spelling_of("HTTP/proxy.lab.example") == "http/Proxy.lab.example"
    assert found.spelling_of("HTTP/proxy") is None


@pytest.mark.parametrize("value", ["0", "9223372036854775807"])
def test_two_numbers_mean_never(value: str) -> None:
    assert read(accountExpires=value).expires is None


def test_an_account_expires_at_its_moment() -> None:
    found, moment = read(accountExpires="126444736000000000"), datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC)
    assert found.expires == moment
    assert found.is_expired(moment)
    assert not found.is_expired(moment - timedelta(seconds=1))


def test_where_the_controller_computes_nothing_the_lockout_time_counts() -> None:
    raw = {"sAMAccountName": [b"x"], "userAccountControl": [b"512"], "lockoutTime": [b"134087551329151720"]}
    assert account(DN, raw, whole=False).locked


@pytest.mark.parametrize("junk", [b"", b"x", b"\xff", b"1e9", b"99999999999999999999999"])
def test_numbers_that_are_none_are_nothing(junk: bytes) -> None:
    found = account(DN, {"accountExpires": [junk], "pwdLastSet": [junk], "servicePrincipalName": [b"\xff/x"]})
    assert (found.expires, found.kvno) == (None, None)


def test_lengths_of_time_are_negative_there() -> None:
    assert interval(-36288000000000) == timedelta(days=42)
    assert interval(-9223372036854775808) is None
    assert interval(0) is None
    assert filetime(116444736000000000) == datetime(1970, 1, 1, tzinfo=UTC)


def test_encryption_types_have_names() -> None:
    assert enctype_names(24) == ("AES128", "AES256")
    assert enctype_names(0x80004 | 1) == ("DES-CBC-CRC", "RC4")
