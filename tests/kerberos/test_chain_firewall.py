"""Judges of the firewall itself: the way in, the release, the package, squid.conf and krb5.conf."""

from __future__ import annotations

from typing import Any

import pytest

from pfsquid.kerberos import chain_firewall as chain
from pfsquid.kerberos.check import Finding, Status
from pfsquid.kerberos.facts import Door
from tests.kerberos import made
from tests.kerberos.made import (
    CONF,
    HELPER,
    HOSTILE,
    KEYTAB,
    KRB5,
    REALM,
    SPN,
    asked,
    conf,
    file,
    firewall,
    settings,
    squid,
    told,
)

ETC, LOCAL = "/etc/krb5.conf", "/usr/local/etc/krb5.conf"


# ---- the way in


def test_who_is_let_in_is_told_the_host_key() -> None:
    finding = chain.ssh(Door("root", "ssh-ed25519 SHA256:abc"))
    assert (finding.status, "SHA256:abc" in finding.detail) == (Status.OK, True)


def test_who_is_not_let_in_is_told_why_and_what_to_do() -> None:
    finding = chain.ssh(Door("", "", "fw cannot be reached by SSH", ("nc -vz fw 22",)))
    assert (finding.status, finding.detail) == (Status.FAIL, "fw cannot be reached by SSH")
    assert "nc -vz fw 22" in told(finding)


# ---- pfSense


@pytest.mark.parametrize(
    ("release", "status"),
    [
        ("2.7.0-RELEASE", Status.OK),
        ("2.8.1-RELEASE", Status.OK),
        ("23.09.1-RELEASE", Status.OK),
        ("2.6.0-RELEASE", Status.WARN),
        ("1.2", Status.WARN),
        ("who knows", Status.WARN),
        ("9" * 5000, Status.WARN),
        ("", Status.ERROR),
    ],
)
def test_a_release_is_known_old_strange_or_none(release: str, status: Status) -> None:
    assert chain.pfsense(firewall(release=release)).status is status


def test_a_config_xml_that_cannot_be_read_is_a_break_with_its_reason() -> None:
    finding = chain.pfsense(firewall(settings=None, settings_problem="line 7: mismatched tag"))
    assert (finding.status, "line 7: mismatched tag" in finding.detail) == (Status.FAIL, True)


def test_what_is_no_pfsense_is_not_told_to_restore_its_config_xml() -> None:
    finding = chain.pfsense(firewall(release="", settings=None, settings_problem="no such file"))
    assert finding.status is Status.ERROR
    assert "is this a pfSense?" in finding.detail
    assert "restore" not in told(finding)


# ---- the package


def package(**of_squid: Any) -> Finding:
    return chain.package(asked(), firewall(settings=settings(squid={"enable_squid": "on", **of_squid})))


def test_a_package_in_order_tells_its_versions() -> None:
    finding = package()
    assert (finding.status, "6.10" in finding.detail, "0.4.46" in finding.detail) == (Status.OK, True, True)


@pytest.mark.parametrize("without", [firewall(settings=None), firewall(settings=settings(squid=None))])
def test_a_package_that_is_not_there_is_a_break(without: Any) -> None:
    finding = chain.package(asked(), without)
    assert (finding.status, "not installed" in finding.detail) == (Status.FAIL, True)
    assert "Package Manager" in told(finding)


def test_a_squid_that_does_not_start_at_all_is_told_from_a_package_that_is_not_there() -> None:
    finding = chain.package(asked(), firewall(squid=squid(version="")))
    assert (finding.status, "its program does not run" in finding.detail) == (Status.FAIL, True)
    assert "squid -v" in told(finding)


@pytest.mark.parametrize("value", [{"enable_squid": ""}, {"enable_squid": "off"}])
def test_a_proxy_switched_off_is_a_break(value: dict[str, str]) -> None:
    finding = package(**value)
    assert (finding.status, "switched off" in finding.detail) == (Status.FAIL, True)
    assert "pfsquid configure" in told(finding)


def test_a_transparent_proxy_is_a_break_and_browsers_need_the_name() -> None:
    finding = package(transparent_proxy="on")
    assert (finding.status, "transparent" in finding.detail) == (Status.FAIL, True)
    assert "Transparent HTTP Proxy" in told(finding)
    assert made.PROXY in told(finding)


def test_a_squid_built_without_negotiate_is_a_break() -> None:
    finding = chain.package(asked(), firewall(squid=squid(negotiate=False)))
    assert (finding.status, "without Negotiate" in finding.detail) == (Status.FAIL, True)


def test_a_squid_of_which_nobody_knows_whether_it_has_negotiate_is_no_break() -> None:
    assert chain.package(asked(), firewall(squid=squid(negotiate=None))).status is Status.OK


def test_a_package_whose_update_deletes_its_settings_is_a_warning() -> None:
    finding = package(keep_squid_data="off")
    assert (finding.status, "Keep Settings/Data" in told(finding)) == (Status.WARN, True)


def test_the_packages_own_authentication_is_named() -> None:
    finding = chain.package(asked(), firewall(settings=settings(auth_method="ldap")))
    assert (finding.status, "(ldap)" in finding.detail) == (Status.OK, True)


@pytest.mark.parametrize("version", ["Squid Cache", *HOSTILE[1:]])
def test_a_strange_version_of_squid_is_no_break(version: str) -> None:
    assert chain.package(asked(), firewall(squid=squid(version=version))).status is Status.OK


# ---- squid.conf


def of_conf(text: str, **other: Any) -> Finding:
    return chain.squid_conf(asked(), conf(text, **other))


def test_a_squid_conf_in_order_tells_principal_and_keytab() -> None:
    finding = of_conf(CONF)
    assert (finding.status, SPN in finding.detail, KEYTAB in finding.detail) == (Status.OK, True, True)


@pytest.mark.parametrize("state", [None, file("/usr/local/etc/squid/squid.conf", None)])
def test_no_squid_conf_is_a_break(state: Any) -> None:
    finding = chain.squid_conf(asked(), firewall(squid=squid(conf=state)))
    assert (finding.status, finding.detail) == (Status.FAIL, "there is no squid.conf")


@pytest.mark.parametrize("text", [*HOSTILE, "http_access allow all\n", CONF.replace("negotiate", "basic")])
def test_a_squid_conf_that_asks_nobody_for_a_ticket_is_a_break(text: str) -> None:
    finding = of_conf(text)
    assert (finding.status, "nobody is asked for a ticket" in finding.detail) == (Status.FAIL, True)
    assert "pfsquid configure" in told(finding)


@pytest.mark.parametrize("option", ["", "-k"])
def test_a_helper_without_a_keytab_is_a_break(option: str) -> None:
    finding = of_conf(CONF.replace(f" -k {KEYTAB} -s {SPN}", f" -s {SPN} {option}"))
    assert (finding.status, "no keytab (-k)" in finding.detail) == (Status.FAIL, True)


def test_a_keytab_may_come_by_the_environment_of_a_wrapper() -> None:
    finding = of_conf(CONF.replace(HELPER, f"/usr/bin/env KRB5_KTNAME=/a.keytab {HELPER}").replace(f"-k {KEYTAB}", ""))
    assert (finding.status, "/a.keytab" in finding.detail) == (Status.OK, True)


def test_a_helper_without_a_service_name_on_a_host_of_another_name_is_a_break() -> None:
    finding = of_conf(CONF.replace(f" -s {SPN}", ""))
    assert (finding.status, "HTTP/fw.example" in finding.detail) == (Status.FAIL, True)
    assert made.SERVICE in told(finding)


def test_a_helper_without_a_service_name_on_the_proxy_itself_is_well() -> None:
    assert of_conf(CONF.replace(f" -s {SPN}", ""), hostname="Proxy.lab.example").status is Status.OK


@pytest.mark.parametrize("name", [SPN, made.SERVICE, "GSS_C_NO_NAME"])
def test_a_helper_may_be_told_its_name_in_three_ways(name: str) -> None:
    assert of_conf(CONF.replace(f"-s {SPN}", f"-s {name}")).status is Status.OK


@pytest.mark.parametrize("name", ["HTTP/other.lab.example@LAB.EXAMPLE", SPN.lower(), f"HTTP/{made.PROXY}@OTHER"])
def test_a_helper_that_answers_as_another_is_a_break_that_names_both(name: str) -> None:
    finding = of_conf(CONF.replace(f"-s {SPN}", f"-s {name}"))
    assert (finding.status, name in finding.detail, SPN in finding.detail) == (Status.FAIL, True, True)


@pytest.mark.parametrize("rule", ["", "# acl people proxy_auth REQUIRED"])
def test_a_helper_that_no_rule_uses_is_a_break(rule: str) -> None:
    finding = of_conf(CONF.replace("acl people proxy_auth REQUIRED", rule))
    assert (finding.status, "no rule asks for a login" in finding.detail) == (Status.FAIL, True)


def test_a_helper_that_writes_tokens_to_its_log_is_a_warning() -> None:
    finding = of_conf(CONF.replace(" -k ", " -d -k "))
    assert (finding.status, "-d" in finding.detail, "take -d out" in told(finding)) == (Status.WARN, True, True)


# ---- krb5.conf


def of_krb5(*contents: str | None, **other: Any) -> Finding:
    """Of /etc/krb5.conf, and of the one of the port."""
    files = {path: None if one is None else file(path, one) for path, one in zip((ETC, LOCAL), contents, strict=False)}
    return chain.krb5_conf(asked(**other), firewall(krb5=files))


def test_a_krb5_conf_in_order_tells_realm_and_kdcs() -> None:
    finding = of_krb5(KRB5.replace("    }", "    kdc = dc1.lab.example:88\n }"), kdcs=("dc1.lab.example",))
    assert (finding.status, REALM in finding.detail, "dc1.lab.example:88" in finding.detail) == (Status.OK, True, True)


@pytest.mark.parametrize("files", [{}, {ETC: None}, {ETC: file(ETC, None)}])
def test_no_krb5_conf_is_a_break(files: Any) -> None:
    finding = chain.krb5_conf(asked(), firewall(krb5=files))
    assert (finding.status, finding.detail) == (Status.FAIL, f"there is no {ETC}")


def test_a_krb5_conf_that_squid_cannot_read_is_a_break_with_its_mode() -> None:
    state = file(ETC, KRB5, owner="root", group="wheel", mode=0o600, squid_reads=False)
    finding = chain.krb5_conf(asked(), firewall(krb5={ETC: state}))
    assert (finding.status, "root:wheel 0600" in finding.detail) == (Status.FAIL, True)
    assert f"chmod 644 {ETC}" in told(finding)


def test_a_broken_krb5_conf_is_a_break_with_its_line() -> None:
    finding = of_krb5(KRB5 + "[nonsense")
    assert (finding.status, "line 7" in finding.detail) == (Status.FAIL, True)


def test_a_broken_file_that_another_draws_in_is_named() -> None:
    finding = of_krb5(KRB5, "[libdefaults]\nx y = 1\n")
    assert (finding.status, finding.detail.startswith(f"{LOCAL} is broken: line 2")) == (Status.FAIL, True)


@pytest.mark.parametrize(
    "content", [KRB5.replace(REALM, "OTHER.EXAMPLE"), KRB5.replace(REALM, REALM.lower()), *HOSTILE]
)
def test_a_krb5_conf_of_another_realm_or_of_none_is_a_break(content: str) -> None:
    finding = of_krb5(content)
    assert (finding.status, f"{ETC} says default_realm = " in finding.detail) == (Status.FAIL, True)
    assert REALM in finding.detail


def test_a_first_file_whose_realm_wins_is_the_one_named_and_moved_away() -> None:
    files = {LOCAL: file(LOCAL, KRB5.replace(REALM, "OTHER.EXAMPLE")), ETC: file(ETC, KRB5)}
    finding = chain.krb5_conf(asked(), firewall(krb5=files))
    assert (finding.status, finding.detail.startswith(LOCAL)) == (Status.FAIL, True)
    assert f"mv {LOCAL} {LOCAL}.off" in told(finding)


def test_a_second_file_of_another_realm_is_a_warning_that_names_it() -> None:
    finding = of_krb5(KRB5, KRB5.replace(REALM, "OTHER.EXAMPLE"))
    assert (finding.status, f"{LOCAL} says default_realm = OTHER.EXAMPLE" in finding.detail) == (Status.WARN, True)
    assert f"rm {LOCAL}" in told(finding)


def test_of_further_files_the_one_that_differs_is_named() -> None:
    files = {ETC: file(ETC, KRB5), LOCAL: file(LOCAL, KRB5), "/c": file("/c", KRB5.replace(REALM, "C.EXAMPLE"))}
    assert chain.krb5_conf(asked(), firewall(krb5=files)).detail.startswith("/c says default_realm = C.EXAMPLE")


@pytest.mark.parametrize("listed", ["arcfour-hmac", "aes256-cts", "DEFAULT -aes128-cts", "nonsense"])
def test_enctypes_that_are_not_permitted_are_a_break_that_names_them(listed: str) -> None:
    finding = of_krb5(KRB5.replace("aes256-cts-hmac-sha1-96 aes128-cts-hmac-sha1-96", listed))
    assert (finding.status, "aes128-cts-hmac-sha1-96" in finding.detail) == (Status.FAIL, True)


@pytest.mark.parametrize("listed", ["aes", "DEFAULT", "aes128-cts,aes256-cts rc4"])
def test_enctypes_may_be_permitted_by_family(listed: str) -> None:
    assert of_krb5(KRB5.replace("aes256-cts-hmac-sha1-96 aes128-cts-hmac-sha1-96", listed)).status is Status.OK


@pytest.mark.parametrize("word", ["false", "no", "off", "0"])
def test_no_kdc_at_all_is_a_break(word: str) -> None:
    finding = of_krb5(KRB5.replace("[realms]", f"dns_lookup_kdc = {word}\n[realms]"))
    assert (finding.status, "dns_lookup_kdc is off" in finding.detail) == (Status.FAIL, True)


def test_a_kdc_that_the_configuration_does_not_name_is_a_break() -> None:
    finding = of_krb5(KRB5.replace("    }", "    kdc = web.lab.example\n }"))
    assert (finding.status, "names the KDC web.lab.example" in finding.detail) == (Status.FAIL, True)


@pytest.mark.parametrize(
    "written", ["dc1.lab.example", "DC1.lab.example:88", "tcp/dc1.lab.example", "fd00::1", "[fd00::1]:88"]
)
def test_a_kdc_is_the_same_however_it_is_written(written: str) -> None:
    finding = of_krb5(KRB5.replace("    }", f"    kdc = {written}\n }}"), kdcs=("dc1.lab.example", "fd00::1"))
    assert finding.status is Status.OK


def test_a_break_keeps_what_was_seen() -> None:
    finding = of_krb5(KRB5.replace(REALM, "OTHER.EXAMPLE"))
    assert finding.evidence == (f"{ETC}: default_realm OTHER.EXAMPLE",)
